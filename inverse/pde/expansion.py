"""Solutions as networks of one layer whose inner weights are drawn once: the solve is least squares in the outer ones.

Everything happens in the frame of the uniform stream, where a carried field is smooth and the same for every stream.
For a linear equation one solve is exact least squares; otherwise Gauss-Newton steps repeat it. The minimiser is a
differentiable function of the coefficients, and `Expansion.derivative` is its exact derivative, curvature included, so
that coefficients to field is a forward model in the strict sense: no training stands in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from torch import Tensor

from retrodict.inverse.pde.harmonics import Harmonics
from retrodict.inverse.pde.pointwise import Pointwise, pointwise
from retrodict.inverse.pde.rest_frame import at_rest
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.system import Coords, Key, key, nested_derivatives
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.jets import JetNetwork
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.sampling import sobol
from retrodict.solvers.pinn.validation import validation_points

__all__ = ["Expansion"]

Floats = NDArray[np.float64]

# Directions of the features that are this much weaker than the strongest add rounding and nothing else.
_WEAK = 1e-9


class Expansion:
    """Solutions of a system at rest, for any coefficients and initial coefficients.

    Parameters
    ----------
    system : QuasiLinear
        The equation; its stream is taken out.
    features : int, optional
        Number of frozen features: accuracy against time.
    initial : Harmonics, optional
        Where the initial field is unknown; the system's own unless given.
    harmonics : int, optional
        Harmonics of space that enter a feature.
    spread : float, optional
        Largest inner weight; steep fields need larger ones.
    points : int, optional
        Where the equation is asked for; four a feature unless given.
    seed : int, optional
        Of the inner weights.

    Raises
    ------
    SolverError
        If a number is not positive, or as `at_rest`.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> expansion = Expansion(convection(1.0, 0.1), 60)
    >>> z = expansion.solve({"nu": 0.2})
    >>> u = expansion.field(z, np.array([1.0]), np.array([1.0]))
    >>> bool(abs(u.item() - np.exp(-0.2) * np.sin(1.0)) < 1e-4)
    True
    """

    def __init__(
        self,
        system: QuasiLinear,
        features: int = 300,
        *,
        initial: Harmonics | None = None,
        harmonics: int = 2,
        spread: float = 1.0,
        points: int | None = None,
        seed: int = 0,
    ) -> None:
        if features < 1 or not spread > 0 or (points is not None and points <= features):
            got = f"{features} features, spread {spread}, {points} points"
            raise SolverError(expected("Expansion", got, "positive numbers, more points than features"))
        still = at_rest(system)
        self.initial = initial
        self._usual = np.zeros(0) if initial is None else _projected(still, initial)
        self.system = still if initial is None else replace(still, initial=lambda at: torch.zeros_like(at["t"]))
        (self.coord,) = still.space
        self.network = Network(("u",), Features.of(still.coords, {self.coord: harmonics}), features, 1)
        inner = _inner_weights(self.network, spread, np.random.default_rng(seed))
        self._inner = torch.as_tensor(inner, dtype=torch.float64)
        self.keys = tuple(dict.fromkeys([key("u"), *(key(*k) for k in still.derivatives)]))
        self.points = self._points(points or 4 * features, np.random.default_rng([seed, 1]))
        self.base, self.start, raw = self._columns(self.points, self.keys)
        self._turn = _independent(raw)
        self.matrix = raw @ self._turn
        self._reference: Floats | None = None

    @cached_property
    def linear(self) -> bool:
        """Whether the equation is linear in the field."""
        rng, count = np.random.default_rng(0), len(self.keys)
        values = {k: rng.uniform(0.1, 1.0, 9) for k in self.keys}
        points = {k: v[:9] for k, v in self.points.items()}
        found = pointwise(self.system, values, points, self.system.values, curved=True)
        return not any(i < count and j < count for i, j in found.second)

    @property
    def size(self) -> int:
        """Number of independent features."""
        return int(self._turn.shape[1])

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the coefficients at rest."""
        return tuple(self.system.values)

    def _points(self, count: int, rng: np.random.Generator) -> dict[str, Floats]:
        box = {k: v.bounds for k, v in self.system.coords.items()}
        low, high = box["t"]
        inside, first = sobol(box, count, rng), sobol({**box, "t": (low, low)}, max(count // 8, 1), rng)
        # denser where time begins, or the field could jump there at no cost
        inside["t"] = low + (high - low) * ((inside["t"] - low) / (high - low)) ** 1.5
        return {k: np.concatenate([inside[k], first[k]]) for k in box}

    def _columns(self, coords: Mapping[str, Floats], keys: Sequence[Key]) -> tuple[Floats, Floats, Floats]:
        """Return hard part (K, n), initial functions (K, n, L) and features (K, n, m) of some derivatives.

        A feature is the output of a hidden unit, or 1, times the time since the beginning: the initial field stays.
        """
        at = {k: torch.from_numpy(np.ascontiguousarray(coords[k], dtype=float)) for k in self.system.coords}
        since = self.system.coords["t"].bounds[0]

        def begin(c: Coords) -> dict[str, Tensor]:
            return {"u": self.system.initial({**c, "t": torch.full_like(c["t"], since)})}

        base = nested_derivatives(begin, at, keys)
        jets = JetNetwork(self.network, [k[1:] for k in keys])
        hidden = jets.forward(self._inner, jets.inputs(at))[1][-1].inputs.numpy()
        units = dict(zip(jets.indices, np.pad(hidden, ((0, 0), (0, 0), (0, 1))), strict=True))
        units[()][:, -1] = 1.0
        elapsed, x = (coords["t"] - since)[:, None], np.asarray(coords[self.coord], float)
        features = np.stack([elapsed * units[k[1:]] for k in keys])
        start = np.zeros((len(keys), len(x), self.initial.size if self.initial else 0))
        for i, k in enumerate(keys):
            if "t" in k:
                rest = list(k[1:])
                rest.remove("t")
                features[i] += k.count("t") * units[tuple(rest)]
            elif self.initial:
                start[i] = self.initial.values(x, len(k) - 1)
        return np.stack([base[k].detach().numpy() for k in keys]), start, features

    def columns(self, coords: Mapping[str, Floats], keys: Sequence[Key]) -> tuple[Floats, Floats, Floats]:
        """Return what fields are made of at points: a derivative is ``base + start a + matrix z``.

        Parameters
        ----------
        coords : Mapping of str to ndarray
            Points in the frame of the stream, each of shape (n,).
        keys : sequence of Key
            Derivatives wanted.

        Returns
        -------
        base : ndarray, shape (K, n)
            The known initial field.
        start : ndarray, shape (K, n, L)
            Functions of the unknown initial field.
        matrix : ndarray, shape (K, n, size)
            Independent features.
        """
        low, high = self.system.coords[self.coord].bounds
        wrapped = low + np.mod(np.asarray(coords[self.coord], float) - low, high - low)
        base, start, raw = self._columns({**coords, self.coord: wrapped}, [key(*k) for k in keys])
        return base, start, raw @ self._turn

    def values(self, z: Floats, a: Floats) -> dict[Key, Floats]:
        """Return the derivatives that the equation needs, at its points, each of shape (n,)."""
        values = self.base + self.start @ a + self.matrix @ z
        return dict(zip(self.keys, values, strict=True))

    def _known(self, params: Mapping[str, float]) -> dict[str, float]:
        return {**self.system.values, **{k: float(v) for k, v in params.items() if k in self.system.values}}

    @cached_property
    def _products(self) -> Floats:
        """Inner products of all pairs of derivatives' features, shape (K, K, size, size)."""
        count = len(self.keys)
        return np.array([[self.matrix[i].T @ self.matrix[j] for j in range(count)] for i in range(count)])

    def _project(self, point: Pointwise, others: Floats) -> tuple[Floats, Floats]:
        """Return ``J' J`` and ``J' others``, where J is the derivative of the residual by z."""
        slopes = point.first[: len(self.keys)]
        if self.linear and not np.ptp(slopes, axis=1).any():
            # a uniform medium: products of the features are made once for all coefficients
            uniform = slopes[:, 0]
            side = sum(g * (block.T @ others) for g, block in zip(uniform, self.matrix, strict=True) if g)
            return np.einsum("i,j,ijkl->kl", uniform, uniform, self._products, optimize=True), np.asarray(side)
        jacobian = np.zeros(self.matrix.shape[1:])
        for slope, block in zip(slopes, self.matrix, strict=True):
            if slope.any():
                jacobian += slope[:, None] * block
        return jacobian.T @ jacobian, jacobian.T @ others

    def solve(self, params: Mapping[str, float], a: Floats | None = None, *, max_steps: int = 50) -> Floats:
        """Return the weights of least residual.

        Parameters
        ----------
        params : Mapping of str to float
            Coefficients at rest; others are ignored, those left out are the system's.
        a : ndarray, shape (L,), optional
            Coefficients of the unknown initial field.
        max_steps : int, optional
            Of Gauss-Newton.

        Returns
        -------
        ndarray, shape (size,)
            A function of the arguments alone: every solve starts from the solution at the system's own coefficients.
            NaN where the steps do not end.
        """
        start = np.zeros(0) if a is None else np.asarray(a, float)
        if self._reference is None:
            first = self._newton(np.zeros(self.size), self.system.values, self._usual, 50)
            self._reference = first if np.isfinite(first).all() else np.zeros(self.size)
        return self._newton(self._reference, self._known(params), start, max_steps)

    def _newton(self, z: Floats, params: Mapping[str, float], a: Floats, max_steps: int) -> Floats:
        small = 1e-11
        point = pointwise(self.system, self.values(z, a), self.points, params)
        for _ in range(max_steps):
            step = -_normal(*self._project(point, point.residual))
            size, share = point.residual @ point.residual, 1.0
            while True:
                new = z + share * step
                trial = pointwise(self.system, self.values(new, a), self.points, params)
                better = trial.residual @ trial.residual <= size * (1 + 1e-9)
                if better or share < 1e-3:
                    break
                share *= 0.5
            z, point = new, trial
            if np.linalg.norm(share * step) <= small * (1 + np.linalg.norm(z)):
                return z
        return np.full(self.size, np.nan)

    def derivative(self, z: Floats, params: Mapping[str, float], a: Floats, wrt: Sequence[str]) -> Floats:
        """Return the derivative of `solve` by coefficients and initial coefficients.

        Parameters
        ----------
        z : ndarray, shape (size,)
            From `solve` with the same arguments.
        params, a
            As in `solve`.
        wrt : sequence of str
            Coefficients at rest.

        Returns
        -------
        ndarray, shape (size, len(wrt) + L)
            Exact where the solve has converged: the residual's curvature is kept.
        """
        point = pointwise(self.system, self.values(z, a), self.points, self._known(params), wrt, curved=True)
        count, r = len(self.keys), point.residual
        by_start = np.zeros(self.start.shape[1:])
        for s, block in zip(point.first, self.start, strict=False):
            by_start += s[:, None] * block
        normal, side = self._project(point, np.concatenate([point.first[count:].T, by_start], axis=1))
        for (i, j), bend in point.second.items():
            if i < count and j < count:
                weighted = (r * bend)[:, None]
                normal += self.matrix[i].T @ (weighted * self.matrix[j])
                side[:, len(wrt) :] += self.matrix[i].T @ (weighted * self.start[j])
            elif i < count:
                side[:, j - count] += self.matrix[i].T @ (r * bend)
        return -_normal(normal, side)

    def field(self, z: Floats, x: Floats, t: Floats, a: Floats | None = None) -> Floats:
        """Return the field at points in the frame of the stream, shape (n,)."""
        base, start, matrix = self.columns({self.coord: x, "t": t}, [key("u")])
        return np.asarray(base[0] + start[0] @ (np.zeros(start.shape[2]) if a is None else a) + matrix[0] @ z)

    def residual(self, z: Floats, params: Mapping[str, float], a: Floats | None = None) -> float:
        """Return the root mean square of the residual on points that the solve never saw."""
        points = validation_points({k: v.bounds for k, v in self.system.coords.items()}, 2048)
        base, start, matrix = self.columns(points, self.keys)
        values = base + start @ (np.zeros(start.shape[2]) if a is None else a) + matrix @ z
        found = pointwise(self.system, dict(zip(self.keys, values, strict=True)), points, self._known(params))
        return float(np.sqrt(np.mean(found.residual**2)))


def _projected(system: QuasiLinear, initial: Harmonics) -> Floats:
    """Return the system's own initial field as harmonics."""
    (x,) = system.space
    low = system.coords["t"].bounds[0]

    def profile(at: Floats) -> Floats:
        place = torch.from_numpy(at)
        return system.initial({x: place, "t": torch.full_like(place, low)}).detach().numpy()

    return initial.project(profile)


def _inner_weights(network: Network, spread: float, rng: np.random.Generator) -> Floats:
    """Return weights whose features vary over the box; higher harmonics count less, as in a smooth field."""
    scale = np.concatenate(
        [
            np.repeat(1 / np.arange(1, n + 1), 2) if (n := network.features.harmonics.get(k, 0)) else [1.0]
            for k in network.features.box
        ]
    )
    matrix = spread * scale * rng.uniform(-1, 1, (network.width, len(scale)))
    shift = spread * rng.uniform(-1, 1, network.width)
    return np.concatenate([matrix.ravel(), shift, np.zeros(network.width + 1)])


def _independent(raw: Floats) -> Floats:
    """Return the map from independent coordinates to features: orthonormal in the sum of all derivatives' squares."""
    scale = np.linalg.norm(raw, axis=(1, 2))
    stacked = np.concatenate([block / s for block, s in zip(raw, scale, strict=True) if s > 0])
    # the triangle has the singular values of the tall matrix, without the square that inner products take
    _, s, vt = np.linalg.svd(np.linalg.qr(stacked, mode="r"))
    keep = s > _WEAK * s[0]
    return np.asarray(vt[keep].T / s[keep])


def _normal(matrix: Floats, side: Floats) -> Floats:
    """Solve a symmetric system, positive definite but for rounding."""
    try:
        return np.asarray(linalg.cho_solve(linalg.cho_factor(matrix), side))
    except linalg.LinAlgError:
        return np.asarray(linalg.lstsq(matrix, side)[0])
