"""Self-calibration as it is usually done: image, gains of the antennas without direction, image again.

Every cycle images the corrected data and solves for the gains of every interval against what the image predicts
(Pearson and Readhead 1984, Annu. Rev. Astron. Astrophys. 22, 97); phases alone at first, so that a first image that
lacks flux does not turn into gains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.base import Status
from retrodict.solvers.iterate import finished
from retrodict.solvers.radio.joint import JointSolver
from retrodict.solvers.radio.misfit import Measurement
from retrodict.solvers.radio.stefcal import Calibration, stefcal

__all__ = ["SelfCalibrated", "self_calibrated"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class SelfCalibrated:
    """Image and gains.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        Sky [Jy/pixel].
    calibration : Calibration
        Gains of every interval.

    Examples
    --------
    See `self_calibrated`.
    """

    image: Floats
    calibration: Calibration

    def predict(self, model: Interferometer, interval: Ints) -> Complexes:
        """Return the visibilities of rows, fitted or not, whose intervals have the labels given, shape (row,).

        Raises
        ------
        DataError
            If an interval has no gains.
        """
        ideal = model.imager(model.kernels.unit()).apply(self.image)
        return np.asarray(ideal * self.calibration.factors(model.vis, interval))


def self_calibrated(
    solver: JointSolver,
    interval: Ints,
    held_interval: Ints | None = None,
    *,
    cycles: int = 3,
    phase_cycles: int = 1,
    steps: int = 40,
) -> SelfCalibrated:
    """Image and calibrate in turn.

    Parameters
    ----------
    solver : JointSolver
        How to image which rows, in memory, with gains without direction, ``size=1``; rows that it holds out are
        corrected as the others are. Only the last image is reweighted.
    interval : ndarray of int, shape (row,)
        Label of the interval, for example the scan, in which gains are constant.
    held_interval : ndarray of int, shape (row held out,), optional
        The same of the rows held out, whose intervals must have rows that are not.
    cycles : int, optional
        How often gains are solved for; an image follows each.
    phase_cycles : int, optional
        The first of them solve for phases alone.
    steps : int, optional
        Largest number of outer steps of an image.

    Returns
    -------
    SelfCalibrated
        Image and gains.

    Raises
    ------
    SolverError
        If a number is out of range, the gains have a direction, or rows are not in memory.
    DataError
        If rows are held out of an interval without gains.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> rng = np.random.default_rng(0)
    >>> a, b = np.triu_indices(5, 1)
    >>> uvw = np.append(rng.uniform(-60, 60, (10, 2)), np.zeros((10, 1)), axis=1)
    >>> g = np.exp(1j * rng.standard_normal(5))
    >>> vis = Visibilities(uvw, 0 * a + 1e9, 0 * a, a, b, 2 * g[a] * g[b].conj(), 0 * a + 1.0, a < 0)
    >>> found = self_calibrated(JointSolver(Interferometer(vis, Grid(16, 2e-3))), 0 * a, phase_cycles=3)
    >>> bool(np.abs(np.abs(found.calibration.gains) - 1).max() < 1e-6)
    True
    """
    model, held = _in_memory(solver.model), None if solver.held_out is None else _in_memory(solver.held_out)
    if model.kernels.size != 1 or not (cycles >= 1 and phase_cycles >= 0 and steps >= 1):
        got = f"S = {model.kernels.size}, {cycles} and {phase_cycles} cycles, {steps} steps"
        raise SolverError(expected("self_calibrated", got, "S = 1, at least one cycle and one step"))
    if (held is None) != (held_interval is None):
        raise SolverError(expected("self_calibrated", "rows held out or their intervals", "both or neither"))
    unit = model.kernels.unit()
    quick = replace(solver, fixed=unit, reweightings=0)
    image = _image(quick, steps, Status.MAX_STEPS)
    held_out = None
    for cycle in range(cycles):
        ideal = model.imager(unit).apply(image)
        found = stefcal(model.vis, ideal, interval, phase_only=cycle < phase_cycles)
        corrected = model.with_rows(found.corrected(model.vis, interval))
        if held is not None and held_interval is not None:
            held_out = held.with_rows(found.corrected(held.vis, held_interval))
        last = cycle == cycles - 1
        here = replace(quick, model=corrected, held_out=held_out, reweightings=solver.reweightings if last else 0)
        # the images on the way need not be at their ends
        image = _image(here, steps, *(() if last else (Status.MAX_STEPS,)))
    return SelfCalibrated(image, found)


def _in_memory(model: Measurement) -> Interferometer:
    if not isinstance(model, Interferometer):
        raise SolverError(expected("self_calibrated", "rows that are read in chunks", "rows in memory"))
    return model


def _image(solver: JointSolver, steps: int, *also: Status) -> Floats:
    """Image of data as they are."""
    return np.asarray(finished(solver, steps, *also).data["image"].values)
