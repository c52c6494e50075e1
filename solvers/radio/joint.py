"""Image and direction-dependent gains together: Gauss-Newton on the gains, sparse imaging, momentum over both.

    sum w |V(x, U) - y|^2 / (2 s^2) + |H Psi' x|_1 + sum |U - 1|^2 / (2 a^2),     x >= 0

Nothing is taken from the truth. The noise scale ``s`` follows the residual, the thresholds ``H`` the noise that the
observation sends into every wavelet subband and the sky found there, the spread ``a`` the gains found so far. A screen
that is common to all antennas can be moved from the gains into the image without a trace in the data: after every
calibration it is (`regauged`). Each block descends; between outer steps the pair is extrapolated, and momentum ends
where a step turns it back. Slots held out of both fits say when to stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.unknowns import labelled
from retrodict.physics.radio.wavelets import SARA, Dictionary
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Status, packed, unpacked
from retrodict.solvers.proximal import Dual, SparseProx
from retrodict.solvers.radio.gain_newton import GainNewton, Prior
from retrodict.solvers.radio.gauge import regauged, signal_to_noise
from retrodict.solvers.radio.image_block import ImageBlock, ImageStep, bounds
from retrodict.solvers.radio.minor_cycle import MinorCycle
from retrodict.solvers.radio.misfit import Measurement, Misfit
from retrodict.solvers.radio.sparsity import Sparsity, noise_levels

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["JointSolver", "JointState"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_FIRST, _SETTLED = 40, 0.02  # rounds of the first image, and the relative change that ends them
_TIGHTER = 0.7  # of the spread learned: sparsity shrinks the sky, and wide gains would make up for it
_SHUT = 1e-5  # spread of coefficients that are held, and the least that is learned
_STIFF, _YIELD = 0.02, 1.02  # first spread, and its growth in a step: gains must not do an unfinished image's work
_WORTH = 2e-3  # smaller relative gains of the held-out residual do not prolong a solve


@dataclass(frozen=True)
class JointState:
    """State between outer steps.

    Parameters
    ----------
    image, gains : ndarray
        The pair that the last step found.
    ahead, gains_ahead : ndarray
        The pair extrapolated, where the next step begins.
    dual : ndarray
        Of the sparse prior, for the step of the minor cycle.
    momentum : float
        Nesterov's ``t``.
    spread : ndarray, shape (group,)
        Standard deviations of the gain coefficients of a term and a ring, a priori.
    best_image, best_gains : ndarray
        The pair of the smallest held-out residual.
    best : float
        That residual.
    mark : float
        It, when `since` last began.
    reference : ndarray, shape (N, N)
        Image that spares its coefficients from the thresholds; zero before the first reweighting.
    round : int
        Reweightings done.
    outer : int
        Outer steps done.
    since : int
        Outer steps since it last fell by more than 0.2 % below the mark; the patience where nothing changes any more.
    """

    image: Floats
    gains: Complexes
    ahead: Floats
    gains_ahead: Complexes
    dual: Floats
    momentum: float
    spread: Floats
    best_image: Floats
    best_gains: Complexes
    best: float
    mark: float
    reference: Floats
    round: int
    outer: int
    since: int


@dataclass(frozen=True)
class JointSolver:
    """Joint calibration and imaging.

    Parameters
    ----------
    model : Measurement
        The rows that are fitted, with data and weights: in memory, or read in chunks.
    held_out : Measurement or None
        Rows of other time slots, which tell when to stop; the basis must not be ``slots``.
    threshold : float
        Largest threshold of the sparse prior, of coefficients that hold nothing, in standard deviations of their noise.
    spread : float or None
        Standard deviation of the real and of the imaginary part of a gain coefficient; None learns it.
    fixed : ndarray of complex or None
        Gains to hold: imaging alone.
    steps : int
        Steps of the minor cycle on the image in an outer step.
    patience : int
        Outer steps without a held-out residual better by 0.2 % after which the solve ends.
    tolerance : float
        The solve ends where image and gains together change by less, relatively.
    bases : tuple of str
        Of the sparse prior; ``("dirac",)`` for point sources.
    reweightings : int
        How often a solve that has ended goes on with thresholds that spare what it has found (Candes et al. 2008, J.
        Fourier Anal. Appl. 14, 877): the sparse prior takes its threshold off every source, and faint ones feel it.
    known : ndarray or None
        Bright part of the sky, shape (N, N), where the solve begins; zero where nothing is known. It should hold most
        of the flux: gains that are fitted to less begin to do the work of the rest.
    theta : float
        Fraction by which the known part may change.
    graduated : int
        Outer steps after which a further ring of coefficients is freed, from the centre outwards; 0 frees all at once.
    truth : ndarray or None
        True image of a simulation: its signal-to-noise ratio [dB] is then among the metrics. It steers nothing.

    Raises
    ------
    SolverError
        If a number is out of range or gains to hold have the wrong shape.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> rng = np.random.default_rng(0)
    >>> uvw = np.append(rng.uniform(-60, 60, (40, 2)), np.zeros((40, 1)), axis=1)
    >>> vis = Visibilities(uvw, np.full(40, 1e9), np.zeros(40), np.zeros(40), np.ones(40),
    ...                    np.full(40, 2.0), np.ones(40), np.zeros(40, bool))
    >>> from retrodict.physics.radio.interferometer import Interferometer
    >>> from retrodict.solvers.iterate import iterate
    >>> sky = iterate(JointSolver(Interferometer(vis, Grid(16, 2e-3))), 20).data["image"]
    >>> bool(sky.values.argmax() == 8 * 16 + 8)
    True
    """

    model: Measurement
    held_out: Measurement | None = None
    threshold: float = 6.0
    spread: float | None = None
    fixed: Complexes | None = None
    steps: int = 120
    patience: int = 12
    tolerance: float = 1e-4
    bases: tuple[str, ...] = SARA
    reweightings: int = 1
    known: Floats | None = None
    theta: float = 0.5
    graduated: int = 0
    truth: Floats | None = None
    name: str = field(init=False, default="joint-imaging")

    def __post_init__(self) -> None:
        least = {"threshold": 0, "reweightings": 0, "graduated": 0, "steps": 1, "patience": 1}
        wrong = [f"{n} {getattr(self, n)}" for n, low in least.items() if not getattr(self, n) >= low]
        if not (self.spread is None or self.spread > 0) or not 0 <= self.theta <= 1:
            wrong.append(f"spread {self.spread}, theta {self.theta}")
        if wrong:
            wanted = "threshold, reweightings, graduated >= 0; steps, patience, spread positive; theta from 0 to 1"
            raise SolverError(expected("JointSolver", ", ".join(wrong), wanted))
        known = self._known
        if known.shape != self.model.grid.shape or not (np.isfinite(known).all() and known.min() >= 0):
            wanted = f"an image of shape {self.model.grid.shape}, finite and not negative"
            raise SolverError(expected("JointSolver.known", f"shape {known.shape}", wanted))
        if self.fixed is not None:
            object.__setattr__(self, "fixed", self.model.kernels.check(self.fixed))
        digest = f"{self.model.kernels.shape}:{self.model.rows}:{self.model.grid.size}"
        object.__setattr__(self, "name", f"joint-imaging:{digest}:{self.bases}")

    @cached_property
    def dictionary(self) -> Dictionary:
        """Bases of the sparse prior."""
        return Dictionary(self.model.grid.shape, self.bases)

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lowest and highest image."""
        return bounds(self._known, self.theta)

    @cached_property
    def _known(self) -> Floats:
        return np.zeros(self.model.grid.shape) if self.known is None else np.asarray(self.known, np.float64)

    @cached_property
    def sparsity(self) -> Sparsity:
        """Thresholds of the sparse prior."""
        return Sparsity(self.dictionary, noise_levels(self._beam, self.dictionary), self.threshold)

    @cached_property
    def cycle(self) -> MinorCycle:
        """Minor cycle of the image."""
        return MinorCycle(self._beam)

    @cached_property
    def _beam(self) -> Floats:
        return self.model.total(lambda part: (part.beam(),))[0]

    def init(self) -> JointState:
        """Return unit gains, or those to hold, and an empty image."""
        shape = self.model.grid.shape
        gains = self.model.kernels.unit() if self.fixed is None else self.fixed
        image, nothing, worst = self._known, np.zeros(shape), np.inf
        dual = np.zeros(self.dictionary.coefficients)
        spread = np.full(int(self._groups.max()) + 1, self.spread or _STIFF)
        pair = (image, gains)
        return JointState(*pair, *pair, dual, 1.0, spread, *pair, worst, worst, nothing, 0, 0, 0)

    def step(self, state: JointState) -> tuple[JointState, Metrics]:
        """Calibrate at the extrapolated pair, image with the new gains, extrapolate."""
        if state.since >= self.patience and state.round < self.reweightings:
            state = replace(
                state,
                ahead=state.best_image,
                gains_ahead=state.best_gains,
                momentum=1.0,
                reference=state.best_image,
                round=state.round + 1,
                mark=np.inf,
                best=np.inf,
                since=0,
            )
        fresh = state.outer == 0
        gains, ahead, rise, spread = state.gains_ahead, state.ahead, 0.0, state.spread
        if self.fixed is None and not fresh:
            gains, ahead, rise, spread = self._calibrated(state)
        misfit = Misfit(self.model, gains)
        found = self._imaged(misfit, ahead, Dual(state.dual, self.cycle.step), state.reference)
        # from nothing, the residual is the sky itself: thresholds follow it down until gains have something to go by
        for _ in range(_FIRST - 1 if fresh else 0):
            if _norm(found.image - ahead) < _SETTLED * _norm(found.image):
                break
            ahead = found.image
            found = self._imaged(misfit, ahead, found.dual, state.reference)
        chi2 = misfit.value(found.image) / self.model.rows
        return self._extrapolated(replace(state, spread=spread), gains, found, chi2, rise)

    def _imaged(self, misfit: Misfit, image: Floats, dual: Dual | None, reference: Floats) -> ImageStep:
        scale = misfit.scale(image)
        learn = self.sparsity
        thresholds = learn.sparing(scale, reference) if reference.any() else learn.thresholds(scale, image)
        prox = SparseProx(self.dictionary, thresholds, *self.bounds)
        return ImageBlock(misfit, prox, self.cycle).descend(image, self.steps, dual)

    def _calibrated(self, state: JointState) -> tuple[Complexes, Floats, float, Floats]:
        kernels, group = self.model.kernels, self._groups
        unit = kernels.unit()
        shut = self._shut(state.outer)
        wide = self.prior(np.where(shut, _SHUT, state.spread))
        prior = wide if self.spread is not None else replace(wide, precision=wide.precision / _TIGHTER**2)
        found = GainNewton(self.model).step(state.ahead, state.gains_ahead, prior, precision=wide.precision)
        gains, screen = regauged(kernels, self.model.grid, found.gains)
        moved = state.ahead * screen
        ahead = np.clip(moved, *self.bounds)
        # a part of the sky that is known says itself what the screen is that all receptors share: what its bounds do
        # not let the image take stays with the gains
        if _norm(ahead - moved) > 1e-12 * _norm(moved):
            gains, ahead = found.gains, state.ahead
        spread = state.spread
        if self.spread is None:
            # what the data leave open counts as spread too: without it, gains and their prior shrink each other away
            square = (0.5 * np.abs(gains - unit) ** 2 + found.variance).mean(axis=0)
            learned = np.sqrt(np.bincount(group.ravel(), square.ravel()) / np.bincount(group.ravel()))
            spread = np.where(shut, spread, np.clip(learned, _SHUT, _YIELD * spread))
        return gains, ahead, (found.after - found.before) / found.before, spread

    def prior(self, spread: Floats) -> Prior:
        """Return the prior of the gains for the standard deviations of a term and a ring, shape (group,)."""
        unit = self.model.kernels.unit()
        return Prior(unit, np.broadcast_to(spread[self._groups] ** -2.0, unit.shape))

    def _shut(self, outer: int) -> NDArray[np.bool_]:
        """Groups that no step has freed yet, shape (group,)."""
        rings = self.model.kernels.half + 1
        ring = np.arange(self.model.kernels.basis.terms * rings) % rings
        return ring > (outer // self.graduated if self.graduated else rings)

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        """Number of the group that a coefficient shares its prior with, shape (term, S, S): its term and its ring."""
        k = np.abs(np.arange(self.model.kernels.size) - self.model.kernels.half)
        ring = np.maximum(k[:, None], k)
        rings = self.model.kernels.half + 1
        return np.arange(self.model.kernels.basis.terms)[:, None, None] * rings + ring

    def _extrapolated(
        self, state: JointState, gains: Complexes, found: ImageStep, chi2: float, rise: float
    ) -> tuple[JointState, Metrics]:
        image = found.image
        # O'Donoghue & Candes (2015, Found. Comput. Math. 15, 715); the misfit cannot say when, for the gauge raises it
        back = _against(state.ahead, image, state.image) + _against(state.gains_ahead, gains, state.gains)
        t = 1.0 if back > 0 else state.momentum
        following = 0.5 * (1 + np.sqrt(1 + 4 * t * t))
        beta = min((t - 1) / following, 0.95)
        moved = _norm(image - state.image) / max(_norm(image), 1e-300)
        turned = _norm(gains - state.gains) / _norm(gains)
        held = self._held(image, gains)
        better, worth = held < state.best, held < (1 - _WORTH) * state.mark
        since = self.patience if moved + turned < self.tolerance else 0 if worth else state.since + 1
        if self._shut(state.outer).any():  # what does not change yet is not at its end
            since = 0
        new = JointState(
            image=image,
            gains=gains,
            ahead=np.clip(image + beta * (image - state.image), *self.bounds),
            gains_ahead=gains + beta * (gains - state.gains) if self.fixed is None else gains,
            dual=state.dual if found.dual is None else found.dual.v,
            momentum=float(following),
            spread=state.spread,
            best_image=image if better else state.best_image,
            best_gains=gains if better else state.best_gains,
            best=min(held, state.best),
            mark=held if worth else state.mark,
            reference=state.reference,
            round=state.round,
            outer=state.outer + 1,
            since=since,
        )
        metrics = {
            "chi2": chi2,
            "held_out": held,
            "change": moved + turned,
            "gain_descent": rise,
            "image_descent": (found.after - found.before) / max(found.before, 1e-300),
            "spread": float(np.sqrt(np.mean(state.spread[self._groups] ** 2))),
            "since": float(new.since),
            "round": float(new.round),
        }
        if self.truth is not None:
            metrics["snr"] = signal_to_noise(image, self.truth)
        return new, metrics

    def _held(self, image: Floats, gains: Complexes) -> float:
        """Mean square of whitened residuals per real number where nothing was fitted; of all rows if none is held."""
        model = self.held_out or self.model
        return Misfit(model, gains).value(image) / model.rows

    def done(self, metrics: Metrics) -> Status | None:
        """Stop where nothing changes, or the held-out residual has not improved for long; fail where a block rose."""
        if metrics["gain_descent"] > 1e-9 or metrics["image_descent"] > 1e-9:
            return Status.FAILED
        ended = metrics["round"] == self.reweightings and metrics["since"] >= self.patience
        return Status.CONVERGED if ended else None

    def solution(self, state: JointState) -> xr.Dataset:
        """Return image and gains of the smallest held-out residual, and the spread of the gains that was learned."""
        found = labelled(self.model.grid, self.model.kernels, state.best_image, state.best_gains)
        return found.assign(spread=("group", state.spread, {"units": "1"}))

    def pack(self, state: JointState) -> dict[str, Array]:
        """Return the state as arrays."""
        return packed(state)

    def unpack(self, arrays: Mapping[str, Array]) -> JointState:
        """Inverse of `pack`."""
        return unpacked(JointState, arrays)


def _against(ahead: NDArray[Any], new: NDArray[Any], old: NDArray[Any]) -> float:
    """How far the step from ``ahead`` to ``new`` goes against the way from ``old`` to ``new``, over ``new`` squared."""
    return float(np.vdot(ahead - new, new - old).real) / max(float(np.vdot(new, new).real), 1e-300)


def _norm(a: NDArray[np.generic]) -> float:
    return float(np.linalg.norm(a))
