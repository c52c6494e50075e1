"""What the simulated radio cases share: settings, the observation, and the methods that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from retrodict.cases.config import FileName, HostConfig, setting
from retrodict.cases.origin import DataOrigin, simulated
from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.seeds import Seeds

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.inverse.residuals import Residuals
    from retrodict.physics.radio.interferometer import Interferometer
    from retrodict.physics.radio.visibilities import Grid, Visibilities
    from retrodict.solvers.radio.joint import JointSolver

__all__ = [
    "METHODS",
    "ImagingSettings",
    "Observation",
    "RadioSettings",
    "compared",
    "observed",
    "origin",
    "problem",
    "sky_digest",
    "solver_of",
]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

METHODS = ("true gains", "joint", "gains without direction", "no calibration")
"""From what cannot be had to what need not be suffered."""


class ImagingSettings(HostConfig):
    """Settings of calibration and imaging that simulated and real observations share."""

    support: int = setting(5, "", "coefficients of a gain along an axis, odd; 1: gains without direction", ge=1, le=15)
    threshold: float = setting(6.0, "sigma", "largest threshold of a wavelet coefficient, in its noise", ge=0, le=1000)
    reweightings: int = setting(
        1, "", "how often a solve goes on with thresholds that spare what it has found", ge=0, le=1000
    )
    graduated: int = setting(
        0, "", "outer steps between rings of coefficients that are freed; 0: free at once", ge=0, le=1_000_000
    )
    draws: int = setting(0, "", "observations drawn anew and fitted, for the error of pixels; 0: none", ge=0, le=10_000)
    compare: bool = setting(True, "", "whether a fit also images by the other methods, for its figures")
    checkpoint_every: int = setting(10, "", "steps between two checkpoints", ge=1, le=1_000_000_000)

    @field_validator("support")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("an odd number")
        return value

    @field_validator("draws")
    @classmethod
    def _several(cls, value: int) -> int:
        if value == 1:
            raise ValueError("0, or two or more: one draw has no spread")
        return value


class RadioSettings(ImagingSettings):
    """Settings of a simulated observation and of its calibration and imaging."""

    sky: Literal["spiral", "remnant", "jet", "points"] = setting("spiral", "", "sky of our own making")
    sky_file: FileName = setting("", "", "FITS image that is the sky instead, its brightest pixel 1 Jy")
    array: Literal["vla-a", "meerkat"] = setting("vla-a", "", "telescope")
    size: int = setting(128, "pixel", "side of the image", ge=32, le=2048)
    slots: int = setting(60, "", "time slots", ge=10, le=10_000)
    hours: float = setting(6.0, "h", "hour angles run from minus to plus this", ge=0.001, le=6)
    declination: float = setting(40.0, "degree", "of the phase centre", ge=-90, le=90)
    effects: Literal["smooth", "ionosphere", "pointing"] = setting("smooth", "", "kind of direction-dependent effects")
    amplitude: float = setting(
        0.05, "", "their strength: of a coefficient, rms phase [rad], or offset [beam]", ge=1e-09, le=100
    )
    snr: float = setting(40.0, "dB", "signal to noise of the visibilities", ge=-300, le=300)
    terms: int = setting(3, "", "functions of time of a gain", ge=1, le=1000)
    hold_every: int = setting(
        10, "slot", "every how many slots one is held out to say when to stop", ge=3, le=1_000_000
    )
    max_steps: int = setting(300, "", "largest number of outer steps", ge=1, le=1_000_000_000)


@dataclass(frozen=True)
class Observation:
    """A simulated observation with its truth.

    Parameters
    ----------
    vis : Visibilities
        Data with noise.
    clean : ndarray of complex, shape (row,)
        Data without.
    grid : Grid
        Pixels.
    sky : ndarray, shape (N, N)
        True image [Jy/pixel].
    gains : object
        True gains, with ``values``.
    coefficients : ndarray of complex or None
        True coefficients, where the gains are band-limited.
    config : RadioSettings
        What it was made by.
    """

    vis: Visibilities
    clean: Complexes
    grid: Grid
    sky: Floats
    gains: Any
    coefficients: Complexes | None
    config: RadioSettings

    def model(self, which: Any = slice(None), size: int | None = None) -> Interferometer:
        """Return the measurement of some rows with gains of some size."""
        from retrodict.physics.radio.gains import TimeBasis
        from retrodict.physics.radio.interferometer import Interferometer

        basis = TimeBasis.spanning("dct", self.vis.slots[1], self.config.terms)
        size = self.config.support if size is None else size
        return Interferometer(self.vis.select(which), self.grid, size=size, basis=basis, precision="single")

    @property
    def held(self) -> NDArray[np.bool_]:
        """Rows held out."""
        return np.asarray(self.vis.slots[0] % self.config.hold_every == self.config.hold_every // 2)

    def residuals(self, solution: xr.Dataset) -> list[Residuals]:
        """Return what image and gains leave of the slots held out, in the noise that was added."""
        from retrodict.inverse.radio.residuals import visibility_residuals

        model = self.model(self.held)
        tree = model.domain.from_dataset(solution)
        predicted = model.imager(tree["gains"]).apply(tree["image"])
        return [visibility_residuals("visibilities held out", model.vis, predicted)]

    @property
    def sky_behind_screen(self) -> Floats:
        """True image times the screen that all true gains share, which data cannot tell from it, shape (N, N).

        Raises
        ------
        ConfigError
            If the gains are not band-limited.
        """
        from retrodict.solvers.radio.gauge import regauged

        if self.coefficients is None:
            raise ConfigError(expected("effects", self.config.effects, "smooth: others have no true coefficients"))
        return self.sky * regauged(self.model().kernels, self.grid, self.coefficients)[1]


def observed(config: RadioSettings) -> Observation:
    """Return the observation of some settings; the last few are kept.

    Raises
    ------
    ConfigError
        If too few slots are above the horizon to hold any out.
    DataError
        If the file of the sky is none.
    """
    return _observed(config.model_dump_json(), sky_digest(config))


def sky_digest(config: RadioSettings) -> str:
    """What is kept of an observation ends where the file of its sky changes."""
    from retrodict.cases.record import fingerprint

    path = Path(config.sky_file)
    return fingerprint(path) if path.is_file() else ""


@lru_cache(4)
def _observed(text: str, _digest: str) -> Observation:
    from retrodict.physics.radio.arrays import array, cell_for, observe
    from retrodict.physics.radio.simulation import simulate
    from retrodict.physics.radio.visibilities import Grid

    config = RadioSettings.model_validate_json(text)
    seeds = Seeds(config.seed)
    telescope = array(config.array)
    declination = float(np.deg2rad(config.declination))
    rows = observe(
        telescope, declination=declination, slots=config.slots, hours=(-config.hours, config.hours), frequency=1.4e9
    )
    if (used := rows.slots[1].size) < config.hold_every:
        got = f"{used} of {config.slots} slots above the horizon of {config.array}"
        raise ConfigError(expected("slots", got, f"at least hold_every = {config.hold_every}, to hold one out"))
    grid = Grid(config.size, cell_for(rows), rows.centre)
    sky = _sky(config, seeds.stream("sky"))
    gains, coefficients = _gains(config, rows, grid, seeds.stream("gains"))
    vis, clean = simulate(rows, grid, sky, gains, rng=seeds.stream("noise"), snr_db=config.snr)
    return Observation(vis, clean, grid, sky, gains, coefficients, config)


def _sky(config: RadioSettings, rng: np.random.Generator) -> Floats:
    from retrodict.physics.radio import sky
    from retrodict.physics.radio.fits_image import read_pixels

    if config.sky_file:
        image = read_pixels(config.sky_file, config.size).clip(0)
        if not image.any():
            raise DataError(expected(f"sky_file {config.sky_file}", "no positive pixel", "at least one"))
        return np.asarray(image / image.max())
    if config.sky == "points":
        return sky.point_sky(rng, extent=0.4 * config.size).image(config.size)
    made = {"spiral": sky.spiral, "remnant": sky.remnant, "jet": sky.jet}[config.sky]
    return made(config.size, rng)


def _gains(
    config: RadioSettings, vis: Visibilities, grid: Grid, rng: np.random.Generator
) -> tuple[Any, Complexes | None]:
    from retrodict.physics.radio.arrays import array, itrf_to_enu
    from retrodict.physics.radio.gains import TimeBasis
    from retrodict.physics.radio.screens import BandLimited, ionosphere_phase, pointing_errors, smooth_random

    receptors, times = len(vis.antennas), vis.slots[1]
    if config.effects == "pointing":
        width = 1.0 * config.size
        return pointing_errors(rng, receptors, times.size, width=width, error=config.amplitude * width), None
    if config.effects == "ionosphere":
        site = array(config.array)
        centre = vis.positions.mean(axis=0)
        height = float(np.linalg.norm(centre) - 6.37e6)
        east = itrf_to_enu(vis.positions, site.longitude, site.latitude, height)[:, :2]
        # the cell is widened: at 1.4 GHz the field is narrow, a low-frequency one shows the screen's structure
        return ionosphere_phase(rng, east, times, rms=config.amplitude, cell=300 * grid.cell), None
    basis = np.asarray(TimeBasis.spanning("dct", times, config.terms).at(times), np.complex128)
    drawn = smooth_random(rng, receptors, config.support, basis, config.amplitude)
    return BandLimited(drawn, basis, 2 * grid.size), drawn


def solver_of(seen: Observation, method: str = "joint") -> JointSolver:
    """Return the solver of a method.

    Parameters
    ----------
    seen : Observation
        What is fitted.
    method : str
        One of ``METHODS``.

    Raises
    ------
    ConfigError
        If the method is unknown, or the true gains are not band-limited.
    """
    from retrodict.physics.radio.wavelets import SARA
    from retrodict.solvers.radio.joint import JointSolver

    if method not in METHODS or (method == "true gains" and seen.coefficients is None):
        raise ConfigError(expected("method", repr(method), f"one of {METHODS}; true gains where they are band-limited"))
    size = 1 if method in ("gains without direction", "no calibration") else None
    train, held = seen.model(~seen.held, size), seen.model(seen.held, size)
    fixed = {"true gains": seen.coefficients, "no calibration": train.kernels.unit()}.get(method)
    # the faintest points are still on their way when the image as a whole changes by less than ends an extended sky
    bases, tolerance = (("dirac",), 1e-5) if seen.config.sky == "points" else (SARA, 1e-4)
    return JointSolver(
        train,
        held,
        threshold=seen.config.threshold,
        fixed=fixed,
        bases=bases,
        tolerance=tolerance,
        reweightings=seen.config.reweightings,
        graduated=seen.config.graduated,
        truth=seen.sky,
    )


@lru_cache(4)
def _compared(text: str, _digest: str) -> dict[str, Floats]:
    from retrodict.solvers.iterate import finished

    config = RadioSettings.model_validate_json(text)
    seen = observed(config)
    names = [m for m in METHODS if m != "joint" and (m != "true gains" or seen.coefficients is not None)]
    return {m: finished(solver_of(seen, m), config.max_steps).data["image"].values for m in names}


def compared(config: RadioSettings) -> dict[str, Floats]:
    """Return the images of all methods but the joint one, by name."""
    return _compared(config.model_dump_json(), sky_digest(config))


def origin(config: RadioSettings, _verb: str) -> Sequence[DataOrigin]:
    """Return where the visibilities come from: a simulation, of a sky of our own or of a file."""
    sky = "the sky of sky_file" if config.sky_file else f"a {config.sky} sky of our own making"
    how = f"visibilities of {sky} by sums over pixels, {config.effects} gains and noise of {config.snr:g} dB"
    return (simulated(how, config.seed),)


def problem(config: RadioSettings, _seeds: Seeds, data: Path | None) -> Observation:
    """Return the observation that is to be fitted.

    Raises
    ------
    ConfigError
        If a file is given: case ``radio-measurement-set`` reads those.
    """
    if data is not None:
        raise ConfigError(expected("--data", data, "no file: this case simulates its data"))
    return observed(config)
