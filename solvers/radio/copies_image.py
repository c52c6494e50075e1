"""Imaging block of block-coordinate forward-backward: the sky for two copies of the gains, by steps that descend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.interferometer import Imager, Interferometer
from retrodict.solvers.base import Status
from retrodict.solvers.forward_backward import Proximal, fista, forward_backward
from retrodict.solvers.proximal import Dual, Prox, SparseProx
from retrodict.solvers.radio.misfit import Misfit

__all__ = ["CopiesImage", "CopiesMisfit", "SkyStep"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_RELAXATION = 1.9  # plain steps times the Lipschitz constant
_RETRIES, _LONGER = 3, 1.5  # power iteration approaches the constant from below: raise it where a step ascends
_SETTLING = 10  # plain steps before their relative change may end them


class CopiesMisfit(Misfit):
    """Data misfit of an image with both copies of the gains held, and its gradient; the last point is kept.

    Parameters
    ----------
    model : Interferometer
        The rows, with data and weights.
    first, second : ndarray of complex, shape (receptor, term, S, S)
        Copies.
    both : bool
        Whether the mean over both orders of every pair is taken, or the one of the rows alone.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> vis = Visibilities(np.zeros((1, 3)), [1e9], [0.0], [0], [1], [2 + 0j], [1.0], [False])
    >>> model = Interferometer(vis, Grid(8, 1e-3))
    >>> unit = model.kernels.unit()
    >>> round(CopiesMisfit(model, unit, unit)(np.zeros((8, 8)))[0], 6)
    2.0
    """

    def __init__(self, model: Interferometer, first: Complexes, second: Complexes, both: bool = True) -> None:
        super().__init__(model, first)
        scale = model.root * np.sqrt(0.5) if both else model.root
        orders = ((first, second), (second, first))[: 2 if both else 1]
        target = scale * model.vis.data
        self._held = tuple((model.imager(u, scale, v), target) for u, v in orders)
        self.accuracy = 100 * float(np.finfo(model.dtype).eps)

    def _maps(self, part: Interferometer) -> Sequence[tuple[Imager, Complexes]]:
        del part  # the maps of the rows in memory are held
        return self._held


class SkyStep(NamedTuple):
    """Where image steps stand.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        Sky [Jy/pixel].
    dual : Dual or None
        Warm start of the next proximity operator.
    value : float
        ``f(x) + |W Psi' x|_1``.
    steps : int
        Steps taken.
    """

    image: Floats
    dual: Dual | None
    value: float
    steps: int


@dataclass(frozen=True)
class CopiesImage:
    """Minimise ``f(x) + |W Psi' x|_1`` within bounds.

    Parameters
    ----------
    misfit : CopiesMisfit
        ``f``.
    prox : SparseProx
        Prior and bounds.
    lipschitz : float
        Largest eigenvalue of the second derivative of ``f``.
    steps : int
        Largest number of steps.
    tolerance : float
        Steps end where the image changes by less, relatively.
    accelerated : bool
        Whether steps have momentum; should those not descend, plain ones are taken.

    Examples
    --------
    See `retrodict.solvers.radio.block_coordinate.BlockCoordinate`.
    """

    misfit: CopiesMisfit
    prox: SparseProx
    lipschitz: float
    steps: int
    tolerance: float = 1e-5
    accelerated: bool = False

    def descend(self, image: Floats, dual: Dual | None) -> tuple[SkyStep, float]:
        """Take the steps.

        Parameters
        ----------
        image : ndarray, shape (N, N)
            Where to begin.
        dual : Dual or None
            Of an earlier call.

        Returns
        -------
        SkyStep
            Where they end; it begins where they only rose.
        float
            Relative rise of the value, beyond what the accuracy of the operators and the gap of the last proximity
            operator allow.
        """
        slack = 0.0

        def prox(z: Any, step: float, warm: Dual | None = None, /) -> Prox:
            nonlocal slack
            made = self.prox(z, step, warm)
            slack = made.gap / (step * (2 - _RELAXATION))
            return made

        before = self.misfit(image)[0] + self.prox.penalty(image)
        start = SkyStep(image, dual, before, 0)
        found = self._momentum(prox, start) if self.accelerated else start
        if not self.accelerated or found.value > before:
            found = self._plain(prox, start)
        if found.value <= before:
            return found, (found.value - before) / max(before, 1e-300)
        return start, max(0.0, (found.value - before - slack) / before - self.misfit.accuracy)

    def _plain(self, prox: Proximal, start: SkyStep) -> SkyStep:
        sky, retries, constant = start, 0, self.lipschitz
        while sky.steps < self.steps and retries <= _RETRIES:
            early = sky.steps < _SETTLING
            budget = min(self.steps, _SETTLING if early else self.steps) - sky.steps
            bar = 0.0 if early else self.tolerance
            found = forward_backward(
                self.misfit, prox, sky.image, constant, budget, tolerance=bar, relaxation=_RELAXATION, dual=sky.dual
            )
            value = float(found.values[-1]) if found.values.size else sky.value
            sky = SkyStep(found.x, found.dual, value, sky.steps + found.steps)
            if found.status in (Status.CONVERGED, Status.NON_FINITE):
                break
            if found.status is Status.DIVERGED:
                retries, constant = retries + 1, constant * _LONGER
        return sky

    def _momentum(self, prox: Proximal, start: SkyStep) -> SkyStep:
        found = fista(
            self.misfit, prox, start.image, self.lipschitz, self.steps, tolerance=self.tolerance, dual=start.dual
        )
        return SkyStep(found.x, found.dual, float(found.values[-1]), found.steps)
