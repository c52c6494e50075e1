"""Calibration block of block-coordinate forward-backward: gains of either end of a baseline held apart, tied.

    F(x, U1, U2) = 1/2 [f(x, U1, U2) + f(x, U2, U1)] + nu/2 |U1 - U2|^2 + mu/2 (|U1 - 1|^2 + |U2 - 1|^2),

``f(x, A, B) = sum w |V(x, A, B) - y|^2 / 2`` with ``A`` at the first receptor of a row and ``B`` at the second, every
coefficient in a box around that of the unit gains (Repetti et al. 2017, MNRAS 470, 3981). The two orders are a row and
its conjugate; their mean counts each row once. In one copy of one receptor ``F`` is quadratic: its normal equations are
formed once, and any number of gradient steps on them costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.radio.gain_blocks import GainBlocks, Quadratic

__all__ = ["CopiesStep", "GainCopies", "tie_strength"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class CopiesStep(NamedTuple):
    """Result of a calibration.

    Parameters
    ----------
    first, second : ndarray of complex, shape (receptor, term, S, S)
        New copies.
    fell : float
        By how much ``F`` fell.
    rise : float
        Largest change of ``F`` by a block; above zero where a step was too long.
    sweeps : int
        Sweeps over the receptors.
    """

    first: Complexes
    second: Complexes
    fell: float
    rise: float
    sweeps: int


@dataclass(frozen=True)
class GainCopies:
    """Projected gradient steps on the gains, receptor by receptor, copy by copy.

    Parameters
    ----------
    model : Interferometer
        The rows, with data and weights.
    tie : float
        ``nu``.
    pull : float
        ``mu``.
    box : float
        Largest distance of real and imaginary part of a coefficient from that of the unit gains.
    centre_box : float or None
        That of the steady coefficient without direction; None is ``box``.
    relaxation : float
        Step in units of one over the largest eigenvalue; steps of 2 or longer need not descend.

    Raises
    ------
    SolverError
        If a number is out of range.

    Examples
    --------
    See `retrodict.solvers.radio.block_coordinate.BlockCoordinate`.
    """

    model: Interferometer
    tie: float
    pull: float = 0.0
    box: float = np.inf
    centre_box: float | None = None
    relaxation: float = 1.9

    def __post_init__(self) -> None:
        centre = self.box if self.centre_box is None else self.centre_box
        if not (0 <= self.tie < np.inf and 0 <= self.pull < np.inf and self.box >= 0 and centre >= 0):
            got = f"tie {self.tie}, pull {self.pull}, boxes {self.box} and {centre}"
            raise SolverError(expected("GainCopies", got, "finite tie and pull and boxes of at least zero"))
        if not self.relaxation > 0:
            raise SolverError(expected("GainCopies.relaxation", self.relaxation, "a positive number"))

    @cached_property
    def blocks(self) -> GainBlocks:
        """Rows by receptor."""
        return GainBlocks(self.model)

    @cached_property
    def radius(self) -> Floats:
        """Half-widths of the boxes, shape (term, S, S)."""
        kernels = self.model.kernels
        out = np.full(kernels.shape[1:], float(self.box))
        if self.centre_box is not None:
            out[kernels.basis.steady != 0, kernels.half, kernels.half] = self.centre_box
        return out

    def project(self, gains: Complexes) -> Complexes:
        """Return the nearest gains inside the boxes, shape (..., term, S, S)."""
        unit = self.model.kernels.unit()[0]
        d = gains - unit
        return np.asarray(
            unit + np.clip(d.real, -self.radius, self.radius) + 1j * np.clip(d.imag, -self.radius, self.radius)
        )

    def ties(self, first: Complexes, second: Complexes) -> float:
        """Return the part of ``F`` that no data enter."""
        unit = self.model.kernels.unit()
        away = sum(float(np.sum(np.abs(u - unit) ** 2)) for u in (first, second))
        return 0.5 * (self.tie * float(np.sum(np.abs(first - second) ** 2)) + self.pull * away)

    def value(self, cube: Complexes, first: Complexes, second: Complexes) -> float:
        """Return ``F`` for the visibility cube of the sky, shape (row, 2 S - 1, 2 S - 1)."""
        vis = self.model.vis
        total = 0.0
        for own, other in ((first, second), (second, first)):
            seen = self.model.seen(cube, own, other)
            total += 0.25 * float(np.sum(vis.weight * np.abs(seen - vis.data) ** 2))
        return total + self.ties(first, second)

    def block(self, receptor: int, cube: Complexes, at: Complexes, other: Complexes) -> Quadratic:
        """Return ``F`` as it depends on one copy of one receptor, but for a constant.

        Parameters
        ----------
        receptor : int
            Whose.
        cube : ndarray of complex, shape (row, 2 S - 1, 2 S - 1)
            Visibility cube of the sky.
        at : ndarray of complex, shape (slot, receptor, S, S)
            Kernels of the other copy, in which the far end of every row is held.
        other : ndarray of complex, shape (receptor, term, S, S)
            The other copy.
        """
        vis = self.model.vis
        data = self.blocks.quadratic(receptor, cube, at, vis.data, 0.5 * vis.weight)
        unit = self.model.kernels.unit()[receptor]
        gram = data.gram + (self.tie + self.pull) * np.eye(data.gram.shape[0])
        return Quadratic(gram, data.moment + (self.tie * other[receptor] + self.pull * unit).ravel())

    def descend(
        self,
        cube: Complexes,
        first: Complexes,
        second: Complexes,
        sweeps: int = 5,
        steps: tuple[int, int] = (5, 5),
        tolerance: float = 1e-5,
    ) -> CopiesStep:
        """Sweep over the receptors, a few steps on either copy of each.

        Parameters
        ----------
        cube : ndarray of complex, shape (row, 2 S - 1, 2 S - 1)
            Visibility cube of the sky.
        first, second : ndarray of complex, shape (receptor, term, S, S)
            Copies, inside the boxes.
        sweeps : int
            Largest number of sweeps.
        steps : tuple of int
            Gradient steps on either copy of a receptor, each time.
        tolerance : float
            A sweep that changes both copies by less, relatively, is the last.
        """
        copies = [first.copy(), second.copy()]
        at = [self.model.kernels.at(u, self.model.times) for u in copies]
        fell, rise, count = 0.0, -np.inf, 0
        while count < sweeps:
            count += 1
            before = [u.copy() for u in copies]
            for receptor in range(first.shape[0]):
                for own, far in ((0, 1), (1, 0)):
                    block = self.block(receptor, cube, at[far], copies[far])
                    new, change = self._stepped(block, copies[own][receptor], steps[own])
                    copies[own][receptor] = new
                    at[own][:, receptor] = np.einsum("tp,pij->tij", self.model.functions, new)
                    fell, rise = fell - change, max(rise, change)
            if all(np.linalg.norm(u - b) <= tolerance * np.linalg.norm(b) for u, b in zip(copies, before, strict=True)):
                break
        return CopiesStep(copies[0], copies[1], fell, rise, count)

    def _stepped(self, block: Quadratic, start: Complexes, steps: int) -> tuple[Complexes, float]:
        """Gains after some steps, and the change of ``F``."""
        largest = block.largest()
        if largest <= 0:
            return start, 0.0
        u, step = start, self.relaxation / largest
        for _ in range(steps):
            u = self.project(u - step * block.gradient(u.ravel()).reshape(u.shape))
        d = (u - start).ravel()
        # the difference of two values would be lost in their rounding
        change = float(np.real(np.vdot(d, block.gradient(start.ravel()) + 0.5 * (block.gram @ d))))
        return u, change


def tie_strength(model: Interferometer, image: Floats, gains: Complexes, fraction: float = 1e-3) -> float:
    """Return a tie ``nu``: a fraction of the median over receptors of the largest eigenvalue of the data's Hessian.

    Parameters
    ----------
    model : Interferometer
        The rows, with weights.
    image : ndarray, shape (N, N)
        Sky at the start [Jy/pixel].
    gains : ndarray of complex, shape (receptor, term, S, S)
        Gains at the start.
    fraction : float
        Of the eigenvalue.

    Raises
    ------
    SolverError
        If the fraction is negative or not finite.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> vis = Visibilities(np.zeros((1, 3)), [1e9], [0.0], [0], [1], [2 + 0j], [4.0], [False])
    >>> model = Interferometer(vis, Grid(8, 1e-3))
    >>> sky = np.zeros((8, 8)); sky[4, 4] = 3.0
    >>> round(tie_strength(model, sky, model.kernels.unit(), 0.5), 3)  # half of 4 * 3^2 / 2
    9.0
    """
    if not 0 <= fraction < np.inf:
        raise SolverError(expected("tie_strength: fraction", fraction, "a finite number of at least zero"))
    copies, cube, at = GainCopies(model, 0.0), model.cube(image), model.kernels.at(gains, model.times)
    seen = np.flatnonzero(copies.blocks.constrained)
    return fraction * float(np.median([copies.block(int(r), cube, at, gains).largest() for r in seen]))
