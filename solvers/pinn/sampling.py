"""Where residuals are asked for: Sobol points, graded toward the start of time, drawn where residuals are large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Space

__all__ = ["Sampling", "causal_weights", "sobol"]

Floats = NDArray[np.float64]


def sobol(box: Mapping[str, tuple[float, float]], count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Return scrambled Sobol points of a box.

    Parameters
    ----------
    box : Mapping of str to (float, float)
        Bounds by coordinate; a coordinate of no width is constant.
    count : int
        Number of points.
    rng : numpy.random.Generator
        Scrambles.

    Returns
    -------
    dict of str to ndarray
        Each of shape (count,).

    Examples
    --------
    >>> sobol({"x": (0.0, 1.0)}, 4, np.random.default_rng(0))["x"].shape
    (4,)
    """
    from scipy.stats import qmc

    power = max(0, int(np.ceil(np.log2(max(count, 1)))))
    unit = qmc.Sobol(len(box), rng=rng).random_base2(power)[:count]
    return {k: low + (high - low) * unit[:, i] for i, (k, (low, high)) in enumerate(box.items())}


@dataclass(frozen=True)
class Sampling:
    """How collocation points are drawn.

    Parameters
    ----------
    count : int
        Points inside.
    initial : int, optional
        More points where time begins. Without them, and with too few points, a network can jump between the start and
        the first point at no cost, and solve another problem exactly.
    grading : float, optional
        Exponent of the times: above 1 they are denser toward the start.
    adaptive : float, optional
        Share of the points that is drawn from candidates with probability ``|r|^k / mean(|r|^k) + 1``.
    power : float, optional
        The exponent k.
    causal : float, optional
        Rate of the causal weights, see `causal_weights`; 0 weights all times equally.
    bins : int, optional
        Number of time intervals of the causal weights.

    Raises
    ------
    SolverError
        If a number is out of range.

    Notes
    -----
    Residual-adaptive distribution: Wu et al. (2023), CMAME 403, 115671. Causal weights: Wang, Sankaran, Perdikaris
    (2024), CMAME 421, 116813.

    Examples
    --------
    >>> from retrodict.physics.pde.quasilinear import line
    >>> points = Sampling(64, initial=16).draw(line(1.0), np.random.default_rng(0))
    >>> len(points["t"]), float(points["t"].min())
    (80, 0.0)
    """

    count: int = 2048
    initial: int = 128
    grading: float = 1.0
    adaptive: float = 0.0
    power: float = 1.0
    causal: float = 0.0
    bins: int = 32

    def __post_init__(self) -> None:
        fine = self.count >= 1 and self.initial >= 0 and self.grading > 0 and 0 <= self.adaptive <= 1
        if not (fine and self.power > 0 and self.causal >= 0 and self.bins >= 2):
            raise SolverError(expected("Sampling", self, "count >= 1, initial, causal >= 0, grading, power > 0, share"))

    def draw(
        self,
        coords: Space,
        rng: np.random.Generator,
        residual: Callable[[Mapping[str, Floats]], Floats] | None = None,
    ) -> dict[str, Floats]:
        """Return points.

        Parameters
        ----------
        coords : Space
            The box.
        rng : numpy.random.Generator
            Source of randomness.
        residual : callable, optional
            Points to the size of the residual there, shape (n,); needed for adaptive points.

        Returns
        -------
        dict of str to ndarray
            Each of shape (count + initial,); those at the start come last.
        """
        box = {k: v.bounds for k, v in coords.items()}
        chosen = round(self.adaptive * self.count) if residual is not None else 0
        points = self._graded(sobol(box, self.count - chosen, rng), box)
        if chosen and residual is not None:
            candidates = self._graded(sobol(box, 4 * self.count, rng), box)
            density = np.abs(residual(candidates)) ** self.power
            density = density / max(density.mean(), 1e-300) + 1.0
            picked = rng.choice(len(density), chosen, replace=False, p=density / density.sum())
            points = {k: np.concatenate([v, candidates[k][picked]]) for k, v in points.items()}
        if self.initial and "t" in box:
            start = sobol({**box, "t": (box["t"][0],) * 2}, self.initial, rng)
            points = {k: np.concatenate([v, start[k]]) for k, v in points.items()}
        return points

    def _graded(self, points: dict[str, Floats], box: Mapping[str, tuple[float, float]]) -> dict[str, Floats]:
        if "t" not in box or self.grading == 1.0:
            return points
        low, high = box["t"]
        return {**points, "t": low + (high - low) * ((points["t"] - low) / (high - low)) ** self.grading}


def causal_weights(t: Floats, residual: Floats, span: tuple[float, float], rate: float, bins: int) -> Floats:
    """Return weights that let a time count once the residuals before it are small.

    Parameters
    ----------
    t, residual : ndarray, shape (n,)
        Times and residuals of the points.
    span : tuple of float
        Beginning and end of time.
    rate : float
        ``w_i = exp(-rate * sum_{k < i} mean r_k^2)`` over the intervals i of time.
    bins : int
        Number of intervals.

    Returns
    -------
    ndarray, shape (n,)
        In (0, 1].

    Examples
    --------
    >>> causal_weights(np.array([0.1, 0.9]), np.array([2.0, 5.0]), (0.0, 1.0), 1.0, 2).round(3)
    array([1.   , 0.018])
    """
    place = np.clip(((t - span[0]) / (span[1] - span[0]) * bins).astype(int), 0, bins - 1)
    counts = np.maximum(np.bincount(place, minlength=bins), 1)
    means = np.bincount(place, residual**2, minlength=bins) / counts
    before = np.concatenate([[0.0], np.cumsum(means)[:-1]])
    return np.asarray(np.exp(-rate * before)[place])
