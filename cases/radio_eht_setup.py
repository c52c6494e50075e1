"""Settings of the case ``radio-eht``, its observed and its simulated data, and its imager."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.config import HostConfig, setting
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    from retrodict.inverse.radio.closure_imaging import ClosureImager
    from retrodict.inverse.radio.rings import Ring
    from retrodict.physics.radio.visibilities import Grid, Visibilities
    from retrodict.physics.seeds import Seeds

__all__ = [
    "M87",
    "UAS",
    "Imaged",
    "RadioEHT",
    "correlation",
    "crescent",
    "imaged",
    "imager",
    "observed",
    "ring",
    "simulated",
]

Floats = NDArray[np.float64]

UAS = float(np.deg2rad(1 / 3.6e9))
"""A micro-arcsecond [rad]."""
M87 = "radio/SR1_M87_2017_101_lo_hops_netcal_StokesI.uvfits"
"""Visibilities of M87, bundled."""
_SOUTH, _DIAMETER, _WIDTH, _CONTRAST = np.pi, 42.0, 14.0, 0.5


class RadioEHT(HostConfig):
    """Settings of the case."""

    pixels: int = setting(64, "", "pixels along a side, even", ge=16, le=1024)
    field: float = setting(128.0, "uas", "side of the image", of_data=True, ge=1, le=100000)
    flux: float = setting(
        0.6, "Jy", "compact flux, which baselines as long as these do not see", of_data=True, ge=1e-06, le=1e06
    )
    disk: float = setting(
        66.0,
        "uas",
        "diameter of the disk that imaging starts from and the entropy prefers",
        of_data=True,
        ge=0.01,
        le=100000,
    )
    blur: float = setting(
        15.0, "uas", "blurs the image between two rounds, width at half maximum", of_data=True, ge=0.01, le=10000
    )
    smoothness: float = setting(0.1, "", "weight of the total variation", ge=0, le=1e06)
    sameness: float = setting(1.0, "", "weight of the relative entropy", ge=0, le=1e06)
    systematic: float = setting(0.02, "", "systematic error relative to the amplitude", of_data=True, ge=0, le=1)
    gain_spread: float = setting(
        0.15, "", "standard deviation of the amplitudes of station gains about one", of_data=True, ge=1e-06, le=10
    )
    shortest: float = setting(
        0.1, "Glambda", "leave out baselines shorter than this, which see the jet", of_data=True, ge=0, le=1000
    )
    interval: float = setting(0.0, "s", "average over so long, within scans; 0: whole scans", ge=0, le=1e06)
    least_signal: float = setting(3.0, "", "leave out averages of less signal to noise", ge=0, le=1000)
    steps: int = setting(200, "", "quasi-Newton steps of a round", ge=1, le=1_000_000_000)
    rounds: int = setting(8, "", "largest number of rounds of calibration and imaging", ge=1, le=10_000)


@dataclass(frozen=True)
class Imaged:
    """What imaging to the end gave.

    Parameters
    ----------
    imager : ClosureImager
        Data and method.
    image : ndarray, shape (x, y)
        Flux of the pixels [Jy].
    chi2 : tuple of float
        Reduced chi-squared of closure phases and of closure amplitudes.
    status : Status
        How it ended; rounds are a budget.
    """

    imager: ClosureImager
    image: Floats
    chi2: tuple[float, float]
    status: Status


def observed(config: RadioEHT, data: Path | None = None) -> Visibilities:
    """Return the bundled data of M87, or those of a UVFITS file, averaged and selected.

    Raises
    ------
    DataError
        If no average is left.
    """
    from retrodict.cases.data import bundled
    from retrodict.physics.errors import DataError, expected
    from retrodict.physics.radio.averaging import averaged
    from retrodict.physics.radio.uvfits import read_uvfits
    from retrodict.physics.radio.visibilities import LIGHT

    path = bundled(M87) if data is None else data
    vis = averaged(read_uvfits(path).usable()[0], config.interval or np.inf)
    length = np.hypot(vis.uvw[:, 0], vis.uvw[:, 1]) * vis.frequency / LIGHT
    kept = (length > 1e9 * config.shortest) & (np.abs(vis.data) * np.sqrt(vis.weight) > config.least_signal)
    if not kept.any():
        wanted = f"averages longer than {config.shortest:g} Glambda and above {config.least_signal:g} deviations"
        raise DataError(expected(path.name, f"none of {vis.rows} averages left", wanted))
    return vis.select(kept)


def grid_of(config: RadioEHT, refined: int = 1) -> Grid:
    """Return the pixels of the image, or finer ones."""
    from retrodict.physics.radio.visibilities import Grid

    return Grid(refined * config.pixels, config.field * UAS / (refined * config.pixels))


def imager(config: RadioEHT, vis: Visibilities) -> ClosureImager:
    """Return the solver of data."""
    from retrodict.inverse.radio.closure_imaging import ClosureImager

    return ClosureImager(
        vis,
        grid_of(config),
        config.flux,
        config.disk * UAS,
        config.blur * UAS,
        config.smoothness,
        config.sameness,
        config.systematic,
        config.gain_spread,
        config.rounds,
        config.steps,
    )


def crescent(config: RadioEHT, refined: int = 1) -> Floats:
    """Return the sky that ``run`` simulates: a ring whose south is the brightest, off the centre of the field."""
    grid = grid_of(config, refined)
    x, y = (a * grid.cell / UAS for a in np.meshgrid(grid.coordinates, grid.coordinates, indexing="ij"))
    x, y = x - 3.0, y + 2.0
    angle = np.arctan2(-x, y)
    across = np.exp(-4 * np.log(2) * ((np.hypot(x, y) - _DIAMETER / 2) / _WIDTH) ** 2)
    image = across * (1 + _CONTRAST * np.cos(angle - _SOUTH))
    return np.asarray(config.flux * image / image.sum())


def simulated(config: RadioEHT, seeds: Seeds) -> Visibilities:
    """Return the crescent seen where M87 was seen, through random gains of the stations, with the noise of the data."""
    from retrodict.physics.radio.simulation import predict

    vis, rng = observed(config), seeds.stream("stations and noise")
    # finer pixels than those of the image that is sought
    sky = predict(vis, grid_of(config, 3), crescent(config, 3))
    slot, shape = vis.slots[0], (vis.slots[1].size, len(vis.antennas))
    gains = np.exp(0.1 * rng.normal(size=shape) + 1j * rng.uniform(-np.pi, np.pi, shape))
    noise = (rng.normal(size=vis.rows) + 1j * rng.normal(size=vis.rows)) / np.sqrt(vis.weight)
    return vis.with_data(gains[slot, vis.antenna1] * gains[slot, vis.antenna2].conj() * sky + noise)


@cache
def imaged(settings: str, seed: int | None) -> Imaged:
    """Return the image of the bundled data or, with a seed, of simulated ones."""
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.iterate import finished

    config = RadioEHT.model_validate_json(settings)
    found = imager(config, observed(config) if seed is None else simulated(config, Seeds(seed)))
    ended = finished(found, config.rounds, Status.MAX_STEPS)
    image = ended.data["image"].values
    return Imaged(found, image, found.reduced_chi_squared(image), ended.status)


def ring(image: Floats, grid: Grid) -> Ring:
    """Return the measures of the ring, of a radius of 10 to 35 micro-arcseconds."""
    from retrodict.inverse.radio.rings import ring_of

    return ring_of(image, grid, (10 * UAS, 35 * UAS))


def correlation(first: Floats, second: Floats) -> tuple[float, Floats]:
    """Return the largest normalised cross-correlation over shifts by pixels, and the first image so shifted.

    Examples
    --------
    >>> sky = np.zeros((8, 8))
    >>> sky[2, 3] = 1.0
    >>> round(correlation(sky, np.roll(sky, 2, axis=0))[0], 9)
    1.0
    """
    one, two = ((i - i.mean()) / i.std() for i in (first, second))
    table: Any = np.fft.ifft2(np.fft.fft2(one).conj() * np.fft.fft2(two)).real / one.size
    shift = np.unravel_index(np.argmax(table), table.shape)
    return float(table.max()), np.roll(first, shift, axis=(0, 1))
