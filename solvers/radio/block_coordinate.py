"""Block-coordinate forward-backward: image and two tied copies of the gains, projected gradient steps on each in turn.

    F(x, U1, U2) + eta |Psi' x|_1,     x = x_o + e,  e in E,  U1 and U2 in boxes

The method of Repetti et al. (2017, MNRAS 470, 3981), with the functions of time of Thouvenin et al. (2018) and the
settings of their code, as a reference for others. ``F`` is that of `retrodict.solvers.radio.gain_copies`; ``x_o`` is
the bright part of an image given, which may change by the fraction ``theta``, and the rest is not negative. Tie, boxes
and threshold are numbers of the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.unknowns import labelled
from retrodict.physics.radio.wavelets import SARA, Dictionary
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Status, packed, unpacked
from retrodict.solvers.forward_backward import lipschitz
from retrodict.solvers.proximal import Dual, SparseProx
from retrodict.solvers.radio.copies_image import CopiesImage, CopiesMisfit
from retrodict.solvers.radio.gain_copies import GainCopies
from retrodict.solvers.radio.gauge import signal_to_noise
from retrodict.solvers.radio.image_block import bounds

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BlockCoordinate", "BlockState"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_POWER = 10  # power iterations from the last eigenvector
_RISE = 1e-9  # relative rise of a block that ends the solve


@dataclass(frozen=True)
class BlockState:
    """State between outer steps.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        ``x`` [Jy/pixel].
    first, second : ndarray of complex, shape (receptor, term, S, S)
        ``U1`` and ``U2``.
    dual : ndarray, shape of the coefficients
        Of the sparse prior, for a step of ``dual_step``.
    dual_step : float
        See ``dual``; 0 before the first.
    vector : ndarray, shape (N, N)
        Eigenvector of the last power iteration.
    objective : float
        What is minimised; infinite before the first step.
    """

    image: Floats
    first: Complexes
    second: Complexes
    dual: Floats
    dual_step: float
    vector: Floats
    objective: float


@dataclass(frozen=True)
class BlockCoordinate:
    """Joint calibration and imaging by block-coordinate forward-backward steps.

    Parameters
    ----------
    model : Interferometer
        The rows that are fitted, with data and weights.
    start_image : ndarray, shape (N, N)
        Image without calibration [Jy/pixel]; ``x_o``, where the solve begins, is its part above ``bright``.
    eta : float or ndarray
        Threshold of the sparse prior, for weights that are inverse variances; an array broadcasts to the coefficients.
    tie : float
        ``nu``, as from `retrodict.solvers.radio.gain_copies.tie_strength`.
    box : float
        Largest distance of real and imaginary part of a gain coefficient from that of the unit gains.
    centre_box : float or None
        That of the steady coefficient without direction; None is ``box``.
    pull : float
        ``mu``, towards the unit gains.
    start_gains : ndarray of complex or None
        Both copies at the start; None are the unit gains.
    bright : float
        Fraction of the largest pixel above which the start belongs to ``x_o``.
    theta : float
        Fraction by which the bright part may change.
    sweeps, gain_steps : int, tuple of int
        Sweeps over the receptors in an outer step, and gradient steps on either copy of one in a sweep.
    gain_tolerance : float
        A sweep that changes the copies by less, relatively, is the last.
    image_steps : int
        Largest number of steps on the image in an outer step.
    image_tolerance : float
        Image steps end where the image changes by less, relatively.
    accelerated : bool
        Whether image steps have momentum; the method of the paper has none.
    both : bool
        Whether the image too sees both orders of a pair, so that all blocks descend one objective; without, at half the
        cost, it sees the rows alone, as in the authors' code.
    inner : int
        Largest number of iterations of a proximity operator.
    tolerance : float
        The solve ends where the objective falls by less, relatively.
    bases : tuple of str
        Of the sparse prior.
    truth : ndarray or None
        True image of a simulation: its signal-to-noise ratio [dB] is then among the metrics. It steers nothing.

    Raises
    ------
    SolverError
        If a number is out of range, or the image has another shape or no bright pixel.
    DataError
        If gains have the wrong shape.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> rng = np.random.default_rng(0)
    >>> uvw = np.append(rng.uniform(-60, 60, (40, 2)), np.zeros((40, 1)), axis=1)
    >>> vis = Visibilities(uvw, np.full(40, 1e9), np.zeros(40), np.zeros(40), np.ones(40),
    ...                    np.full(40, 2.0), np.ones(40), np.zeros(40, bool))
    >>> sky = np.zeros((16, 16)); sky[8, 8] = 1.8
    >>> from retrodict.solvers.iterate import iterate
    >>> found = iterate(BlockCoordinate(Interferometer(vis, Grid(16, 2e-3)), sky, 0.1, 1.0, 0.2), 20)
    >>> found.status.value, float(found.history["chi2"][-1]) < 1e-3
    ('converged', True)
    """

    model: Interferometer
    start_image: Floats
    eta: Any
    tie: float
    box: float
    centre_box: float | None = None
    pull: float = 0.0
    start_gains: Complexes | None = None
    bright: float = 0.05
    theta: float = 0.5
    sweeps: int = 5
    gain_steps: tuple[int, int] = (5, 5)
    gain_tolerance: float = 1e-5
    image_steps: int = 200
    image_tolerance: float = 1e-5
    accelerated: bool = False
    both: bool = True
    inner: int = 200
    tolerance: float = 2e-2
    bases: tuple[str, ...] = SARA
    truth: Floats | None = None
    name: str = field(init=False, default="block-coordinate")

    def __post_init__(self) -> None:
        if np.shape(self.start_image) != self.model.grid.shape or not np.isfinite(self.start_image).all():
            got = f"shape {np.shape(self.start_image)}"
            raise SolverError(expected("start_image", got, f"finite pixels of shape {self.model.grid.shape}"))
        if not np.max(self.start_image) > 0:
            raise SolverError(expected("start_image", "no positive pixel", "an image of the sky"))
        if not (0 <= self.bright <= 1 and 0 <= self.theta <= 1):
            got = f"bright {self.bright}, theta {self.theta}"
            raise SolverError(expected("BlockCoordinate", got, "fractions from 0 to 1"))
        if min(self.sweeps, *self.gain_steps, self.image_steps, self.inner) < 1:
            got = f"sweeps {self.sweeps}, steps {self.gain_steps} and {self.image_steps}, inner {self.inner}"
            raise SolverError(expected("BlockCoordinate", got, "at least one of each"))
        if self.start_gains is not None:
            object.__setattr__(self, "start_gains", self.model.kernels.check(self.start_gains))
        _ = self.copies, self.prox
        digest = f"{self.model.kernels.shape}:{self.model.rows}:{self.model.grid.size}"
        object.__setattr__(self, "name", f"block-coordinate:{digest}:{self.bases}")

    @cached_property
    def copies(self) -> GainCopies:
        """Calibration block."""
        return GainCopies(self.model, self.tie, self.pull, self.box, self.centre_box)

    @cached_property
    def bright_part(self) -> Floats:
        """``x_o``."""
        start = np.asarray(self.start_image, np.float64)
        return np.where(start >= self.bright * start.max(), start, 0.0)

    @cached_property
    def prox(self) -> SparseProx:
        """Sparse prior within the bounds of the image."""
        dictionary = Dictionary(self.model.grid.shape, self.bases)
        return SparseProx(dictionary, self.eta, *bounds(self.bright_part, self.theta), max_iterations=self.inner)

    def init(self) -> BlockState:
        """Return ``x_o`` and two copies of the gains."""
        shape = self.model.grid.shape
        start = self.model.kernels.unit() if self.start_gains is None else self.start_gains
        gains, vector = self.copies.project(start), np.random.default_rng(0).random(shape)
        return BlockState(
            self.bright_part, gains, gains, np.zeros(self.prox.frame.coefficients), 0.0, vector, float("inf")
        )

    def step(self, state: BlockState) -> tuple[BlockState, Metrics]:
        """Calibrate with the image held, image with the gains held."""
        cube, copies = self.model.cube(state.image), self.copies
        before = copies.value(cube, state.first, state.second)
        gains = copies.descend(cube, state.first, state.second, self.sweeps, self.gain_steps, self.gain_tolerance)
        misfit = CopiesMisfit(self.model, gains.first, gains.second, self.both)
        largest, vector = lipschitz(misfit.normal, state.vector, _POWER if state.dual_step else 4 * _POWER)
        block = CopiesImage(misfit, self.prox, largest, self.image_steps, self.image_tolerance, self.accelerated)
        dual = Dual(state.dual, state.dual_step) if state.dual_step else None
        found, rise = block.descend(state.image, dual)
        objective = found.value + copies.ties(gains.first, gains.second)
        new = BlockState(
            image=found.image,
            first=gains.first,
            second=gains.second,
            dual=state.dual if found.dual is None else found.dual.v,
            dual_step=0.0 if found.dual is None else found.dual.step,
            vector=vector,
            objective=objective,
        )
        metrics = {
            "objective": objective,
            "decrease": (state.objective - objective) / objective if np.isfinite(state.objective) else 1.0,
            "calibration_descent": gains.rise / before,
            "image_descent": rise,
            "chi2": misfit(found.image)[0] / self.model.rows,
            "apart": float(np.linalg.norm(gains.first - gains.second) / np.linalg.norm(gains.first)),
            "image_steps": float(found.steps),
        }
        if self.truth is not None:
            metrics["snr"] = signal_to_noise(found.image, self.truth)
        return new, metrics

    def done(self, metrics: Metrics) -> Status | None:
        """Stop where the objective hardly falls; fail where a block rose."""
        if metrics["calibration_descent"] > _RISE or metrics["image_descent"] > _RISE:
            return Status.FAILED
        return Status.CONVERGED if metrics["decrease"] < self.tolerance else None

    def solution(self, state: BlockState) -> xr.Dataset:
        """Return the image and the mean of the two copies of the gains."""
        return labelled(self.model.grid, self.model.kernels, state.image, 0.5 * (state.first + state.second))

    def pack(self, state: BlockState) -> dict[str, Array]:
        """Return the state as arrays."""
        return packed(state)

    def unpack(self, arrays: Mapping[str, Array]) -> BlockState:
        """Inverse of `pack`."""
        return unpacked(BlockState, arrays)
