"""What the radio cases on files share: settings, the observation read, the methods that are compared on it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.config import FileName, setting
from retrodict.cases.radio_setup import ImagingSettings, RadioSettings, observed
from retrodict.physics.errors import ConfigError, DataError, expected

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.inverse.residuals import Residuals
    from retrodict.physics.radio.interferometer import Interferometer
    from retrodict.physics.radio.visibilities import Grid, Visibilities
    from retrodict.solvers.radio.joint import JointSolver

__all__ = [
    "STAND_IN",
    "Imaged",
    "Measured",
    "RadioFileSettings",
    "measured",
    "simulated",
    "solver_of",
    "stand_in",
    "written",
]

STAND_IN = "a remnant of our own making seen by the VLA, visibilities by sums over pixels, through a MeasurementSet"
"""What is simulated where no file is given."""

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_ARCSEC = np.pi / (180 * 3600)
_RADIO = (1e6, 1e13)  # Hz, as far as radio telescopes reach
_FREE = 0.2  # spread of gains without direction, which many data determine
_NEGLIGIBLE = 0.1  # rad: phases of the w-term that may be left out in silence


class RadioFileSettings(ImagingSettings):
    """Settings of calibration and imaging of data from a file."""

    size: int = setting(256, "pixel", "side of the image, even", ge=32, le=8192)
    cell: float = setting(0.0, "arcsec", "side of a pixel; 0: from the longest baseline", ge=0, le=3600)
    support: int = setting(3, "", "coefficients of a gain along an axis, odd; 1: gains without direction", ge=1, le=15)
    terms: int = setting(12, "", "functions of time of a gain", ge=1, le=1000)
    known: FileName = setting("", "", "FITS image of the bright part of the sky, where the solve begins")
    theta: float = setting(0.5, "", "fraction by which a pixel of it may change", ge=0, le=1)
    hold_every: int = setting(5, "slot", "every how many slots one is held out of image and gains", ge=3, le=1_000_000)
    max_steps: int = setting(200, "", "largest number of outer steps", ge=1, le=1_000_000_000)


@dataclass(frozen=True, eq=False)
class Measured:
    """An observation that was read.

    Parameters
    ----------
    vis : Visibilities
        Rows that can be used.
    grid : Grid
        Pixels.
    config : RadioFileSettings
        Settings.
    notes : tuple of str
        What was left out or neglected; the report tells it.
    """

    vis: Visibilities
    grid: Grid
    config: RadioFileSettings
    notes: tuple[str, ...] = ()

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """Rows held out."""
        return np.asarray(self.vis.slots[0] % self.config.hold_every == self.config.hold_every // 2)

    @cached_property
    def _anchored(self) -> NDArray[np.bool_]:
        """Rows held out of scans of which other slots are fitted."""
        return np.asarray(self.held & np.isin(self.vis.scan, self.vis.scan[~self.held]))

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """Rows that all methods are judged by: those held out whose scans have gains; if none have, all held out."""
        return self._anchored if self._anchored.any() else self.held

    def model(self, which: NDArray[np.bool_], size: int) -> Interferometer:
        """Return the measurement of some rows with gains of some size."""
        from retrodict.physics.radio.gains import TimeBasis
        from retrodict.physics.radio.interferometer import Interferometer
        from retrodict.physics.radio.wide_field import WideField

        basis = TimeBasis.spanning("dct", self.vis.slots[1], self.config.terms)
        if size == 1 and self.w_phase > _NEGLIGIBLE:
            return WideField(self.vis.select(which), self.grid, basis=basis)
        return Interferometer(self.vis.select(which), self.grid, size=size, basis=basis, precision="single")

    @cached_property
    def known(self) -> Floats | None:
        """Bright part of the sky, shape (N, N); None where none is given.

        Raises
        ------
        DataError
            If its pixels are not those of the image, or one is negative, or its unit is per beam.
        """
        from retrodict.physics.radio.fits_image import read_image

        if not self.config.known:
            return None
        image, grid = read_image(self.config.known, per_pixel=True)
        where = f"known {self.config.known}"
        if not grid.covers(self.grid):
            raise DataError(expected(where, str(grid), f"the pixels of the observation, {self.grid}"))
        if image.min() < 0:
            raise DataError(expected(where, f"a pixel of {image.min():.3g}", "none below zero"))
        return image

    @cached_property
    def w_phase(self) -> float:
        """Largest phase of the w-term [rad]."""
        from retrodict.physics.radio.wide_field import largest_w_phase

        return largest_w_phase(self.vis, self.grid)

    def imaged(self, data: xr.Dataset, size: int | None = None) -> Imaged:
        """Return what image and gains of a size, by default that of the settings, leave of the data."""
        models = [self.model(which, size or self.config.support) for which in (~self.held, self.judged)]
        tree = models[0].domain.from_dataset(data)
        return _judged(models, tree["image"], [m.imager(tree["gains"]).apply(tree["image"]) for m in models])

    def residuals(self, solution: xr.Dataset) -> list[Residuals]:
        """Return what image and gains leave of the slots held out, in units of their noise.

        The noise is that of the weights, or what differences in time show where that is less: sky and gains change from
        one slot to the next too, so that differences bound the noise from above.
        """
        from retrodict.inverse.radio.residuals import visibility_residuals
        from retrodict.physics.radio.noise import noise_from_differences

        model = self.model(self.judged, self.config.support)
        tree = model.domain.from_dataset(solution)
        predicted = model.imager(tree["gains"]).apply(tree["image"])
        noise = min(noise_from_differences(self.vis), 1.0)
        return [visibility_residuals("visibilities held out", model.vis, predicted, noise)]

    @cached_property
    def others(self) -> dict[str, Imaged]:
        """What the methods that the joint one is compared with make of the observation.

        Gains of scans are those of the slots that were fitted, and are left out where a scan is a single slot.
        """
        from retrodict.solvers.iterate import finished
        from retrodict.solvers.radio.self_calibration import self_calibrated

        out, steps = {}, self.config.max_steps
        if self._anchored.any():
            steady = [self.model(which, 1) for which in (~self.held, self.judged)]
            solver = replace(solver_of(self, 1), model=steady[0], held_out=steady[1])
            found = self_calibrated(solver, *(m.vis.scan for m in steady), cycles=5, steps=steps)
            out["gains of scans"] = _judged(steady, found.image, [found.predict(m, m.vis.scan) for m in steady])
        for name, calibrate in (("gains without direction", True), ("no calibration", False)):
            out[name] = self.imaged(finished(solver_of(self, 1, calibrate=calibrate), steps).data, 1)
        return out


@dataclass(frozen=True, eq=False)
class Imaged:
    """What a method made of an observation.

    Parameters
    ----------
    image, dirty_residual : ndarray, shape (N, N)
        Sky [Jy/pixel], and the dirty image of what it leaves of the data that were fitted [Jy/beam].
    fitted, held_out : float
        Root of the weighted mean square of the residual over that of the data.
    """

    image: Floats
    dirty_residual: Floats
    fitted: float
    held_out: float


def measured(vis: Visibilities, config: RadioFileSettings, average: float = 0.0) -> Measured:
    """Return an observation ready to be fitted, and say what is not as the model has it.

    Parameters
    ----------
    vis : Visibilities
        As it was read.
    config : RadioFileSettings
        Settings.
    average : float, optional
        Intervals over which the rows that can be used are averaged, within scans [s]; 0: not.

    Raises
    ------
    DataError
        If no row can be used, frequencies are not those of radio, pixels are too coarse for the longest baseline, or
        there are too few time slots.
    """
    from retrodict.physics.radio.arrays import cell_for
    from retrodict.physics.radio.averaging import averaged
    from retrodict.physics.radio.fourier_grid import FourierGrid
    from retrodict.physics.radio.visibilities import Grid
    from retrodict.physics.radio.wavelets import Dictionary

    used, chosen = vis.usable()
    notes = []
    if chosen.kept < vis.rows:
        notes.append(str(chosen))
    if average:
        used = averaged(used, average)
    lowest, highest = float(used.frequency.min()), float(used.frequency.max())
    if lowest < _RADIO[0] or highest > _RADIO[1]:
        got, wanted = f"{lowest:.3g} to {highest:.3g} Hz", f"{_RADIO[0]:g} to {_RADIO[1]:g} Hz: is the unit the hertz?"
        raise DataError(expected("frequencies", got, wanted))
    grid = Grid(config.size, config.cell * _ARCSEC or cell_for(used), used.centre)
    FourierGrid(used.uv(grid), grid.size)  # refuses pixels that are too coarse, before any work
    if used.slots[1].size < config.hold_every:
        got, wanted = f"{used.slots[1].size} time slots", f"at least hold_every = {config.hold_every}, to hold one out"
        raise DataError(expected("time slots", got, wanted))
    found = Measured(used, grid, config)
    if found.w_phase > _NEGLIGIBLE and config.support > 1:
        notes.append(
            f"the w-term, up to {found.w_phase:.2g} rad at the corners of the field, is left out of gains with "
            "direction: a smaller field has less, and support=1 includes it"
        )
    levels = Dictionary(grid.shape).level
    if levels < Dictionary.level:
        notes.append(
            f"{grid.size} pixels can be halved {levels} times: wavelets have {levels} levels, and {Dictionary.level} "
            f"where size is a multiple of {2**Dictionary.level}"
        )
    _ = found.known  # read, and refused, before any work
    if found.judged is found.held:
        notes.append("no scan has slots both fitted and held out: gains of scans are not compared")
    idle = _without(found, ~found.held)
    if idle:
        notes.append(f"no row to fit for {', '.join(idle)}: nothing is said of their gains")
    return Measured(used, grid, config, tuple(notes))


def _without(seen: Measured, which: NDArray[np.bool_]) -> list[str]:
    """Receptors of the table that have no row among some."""
    vis = seen.vis
    first, second = vis.receptors
    names = vis.receptor_names
    count = np.bincount(first[which], minlength=len(names)) + np.bincount(second[which], minlength=len(names))
    return [n for n, c in zip(names, count, strict=True) if not c]


def solver_of(seen: Measured, size: int | None = None, *, calibrate: bool = True) -> JointSolver:
    """Return the solver of an observation.

    Parameters
    ----------
    seen : Measured
        What is fitted.
    size : int, optional
        Coefficients of a gain along an axis; by default those of the settings.
    calibrate : bool, optional
        Whether gains are sought.
    """
    from retrodict.solvers.radio.joint import JointSolver

    size = seen.config.support if size is None else size
    train, held = seen.model(~seen.held, size), seen.model(seen.held, size)
    fixed = None if calibrate else train.kernels.unit()
    config = seen.config
    return JointSolver(
        train,
        held,
        threshold=config.threshold,
        spread=_FREE if size == 1 else None,
        fixed=fixed,
        reweightings=config.reweightings,
        known=seen.known,
        theta=config.theta,
        graduated=config.graduated,
    )


def _judged(models: list[Interferometer], image: Floats, predicted: list[Complexes]) -> Imaged:
    left = [v - m.vis.data for m, v in zip(models, predicted, strict=True)]
    shares = [
        float(np.sqrt((m.vis.weight @ np.abs(r) ** 2) / (m.vis.weight @ np.abs(m.vis.data) ** 2)))
        for m, r in zip(models, left, strict=True)
    ]
    train = models[0]
    weight = train.vis.weight
    dirty = train.imager(train.kernels.unit(), weight).adjoint(-left[0]) / weight.sum()
    return Imaged(image, dirty, *shares)


def simulated(config: RadioFileSettings, seed: int) -> RadioSettings:
    """Return the settings of the observation that is simulated where no file is given: a remnant, seen by the VLA."""
    slots = max(20, 4 * config.hold_every)
    return RadioSettings(
        sky="remnant", size=config.size, slots=slots, support=config.support, terms=3, amplitude=0.03, snr=30, seed=seed
    )


def stand_in(config: RadioFileSettings, seed: int) -> Measured:
    """Return that observation after it was written as a MeasurementSet and read back; its pixels and sky are its own.

    Raises
    ------
    ConfigError
        If a part of the sky is said to be known.
    """
    if config.known:
        raise ConfigError(expected("known", config.known, "observations to go with it, by --data"))
    return measured(written(config, seed), config.model_copy(update={"cell": 0.0}))


def written(config: RadioFileSettings, seed: int) -> Visibilities:
    """Return its visibilities; a scan has as many slots as one is held out of."""
    from retrodict.physics.radio.measurement_set import read_measurement_set, write_measurement_set

    vis = observed(simulated(config, seed)).vis
    vis = replace(vis, scan=vis.slots[0] // config.hold_every)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.ms"
        write_measurement_set(path, vis)
        return read_measurement_set(path)
