"""Self-calibration as it is usually done: image, gains of the antennas without direction, image again.

Every cycle images the corrected data and solves for the gains of every interval against what the image predicts
(Pearson and Readhead 1984, Annu. Rev. Astron. Astrophys. 22, 97); phases alone at first, so that a first image that
lacks flux does not turn into gains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.iterate import finished
from retrodict.solvers.radio.joint import JointSolver
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
    model: Interferometer,
    interval: Ints,
    *,
    cycles: int = 3,
    phase_cycles: int = 1,
    steps: int = 40,
    reweightings: int = 0,
) -> SelfCalibrated:
    """Image and calibrate in turn.

    Parameters
    ----------
    model : Interferometer
        The rows with their data; gains without direction, ``size=1``.
    interval : ndarray of int, shape (row,)
        Label of the interval, for example the scan, in which gains are constant.
    cycles : int, optional
        How often gains are solved for; an image follows each.
    phase_cycles : int, optional
        The first of them solve for phases alone.
    steps : int, optional
        Largest number of outer steps of an image.
    reweightings : int, optional
        Of the last image, as in `retrodict.solvers.radio.joint.JointSolver`.

    Returns
    -------
    SelfCalibrated
        Image and gains.

    Raises
    ------
    SolverError
        If a number is out of range, or the gains of the model have a direction.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> rng = np.random.default_rng(0)
    >>> a, b = np.triu_indices(5, 1)
    >>> uvw = np.append(rng.uniform(-60, 60, (10, 2)), np.zeros((10, 1)), axis=1)
    >>> g = np.exp(1j * rng.standard_normal(5))
    >>> vis = Visibilities(uvw, 0 * a + 1e9, 0 * a, a, b, 2 * g[a] * g[b].conj(), 0 * a + 1.0, a < 0)
    >>> found = self_calibrated(Interferometer(vis, Grid(16, 2e-3)), 0 * a, phase_cycles=3)
    >>> bool(np.abs(np.abs(found.calibration.gains) - 1).max() < 1e-6)
    True
    """
    if model.kernels.size != 1 or not (cycles >= 1 and phase_cycles >= 0 and steps >= 1):
        got = f"S = {model.kernels.size}, {cycles} and {phase_cycles} cycles, {steps} steps"
        raise SolverError(expected("self_calibrated", got, "S = 1, at least one cycle and one step"))
    vis = model.vis
    image = _image(model, steps, 0)
    for cycle in range(cycles):
        ideal = model.imager(model.kernels.unit()).apply(image)
        found = stefcal(vis, ideal, interval, phase_only=cycle < phase_cycles)
        last = cycle == cycles - 1
        image = _image(model.with_rows(found.corrected(vis, interval)), steps, reweightings if last else 0)
    return SelfCalibrated(image, found)


def _image(model: Interferometer, steps: int, reweightings: int) -> Floats:
    """Image of data as they are."""
    solver = JointSolver(model, fixed=model.kernels.unit(), reweightings=reweightings)
    return np.asarray(finished(solver, steps).data["image"].values)
