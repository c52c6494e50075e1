"""Gains of the kinds that nature makes, which are not band-limited: beams that point aside, and the ionosphere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, expected

__all__ = ["Ionosphere", "Pointing", "ionosphere_phase", "pointing_errors"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True)
class Pointing:
    """Gains of antennas whose Gaussian beams point beside the centre.

    Parameters
    ----------
    offsets : ndarray, shape (slot, receptor, 2)
        Where the beams point [pixel].
    width : float
        Full width at half maximum of the power beam [pixel].
    relative : bool
        Whether gains are relative to the beam of a perfect antenna, so that the image is the apparent sky.

    Examples
    --------
    >>> float(Pointing(np.zeros((1, 2, 2)), 10.0, False).values(0, np.array([5.0]), np.zeros(1))[0, 0].real) ** 2
    0.5000000000000001
    """

    offsets: Floats
    width: float
    relative: bool

    def values(self, slot: int, x: Floats, y: Floats) -> Complexes:
        """Return gains, shape (receptor, point)."""
        west, north = self.offsets[slot, :, :1], self.offsets[slot, :, 1:]
        far = (x - west) ** 2 + (y - north) ** 2 - (x**2 + y**2 if self.relative else 0.0)
        return np.asarray(np.exp(-2 * np.log(2.0) * far / self.width**2), np.complex128)


def pointing_errors(
    rng: np.random.Generator,
    receptors: int,
    slots: int,
    *,
    width: float,
    error: float,
    drift: float | None = None,
    relative: bool = True,
) -> Pointing:
    """Draw beams that wander: an offset for every receptor, and a random walk about it.

    Parameters
    ----------
    rng : Generator
        Where the numbers come from.
    receptors, slots : int
        Sizes.
    width : float
        Full width at half maximum of the power beam [pixel].
    error : float
        Standard deviation of the first offset, along each axis [pixel].
    drift : float, optional
        Standard deviation of the walk at the last slot [pixel]; as the error unless given.
    relative : bool, optional
        Whether the beam of a perfect antenna is divided out.

    Returns
    -------
    Pointing
        Gains.

    Raises
    ------
    ConfigError
        If the width is not positive.

    Examples
    --------
    >>> pointing_errors(np.random.default_rng(0), 27, 60, width=100.0, error=2.0).offsets.shape
    (60, 27, 2)
    """
    if not width > 0:
        raise ConfigError(expected("width", width, "a positive number of pixels"))
    start = error * rng.standard_normal((1, receptors, 2))
    steps = (
        rng.standard_normal((slots, receptors, 2)) * (error if drift is None else drift) / np.sqrt(max(slots - 1, 1))
    )
    steps[0] = 0
    return Pointing(start + np.cumsum(steps, axis=0), width, relative)


@dataclass(frozen=True)
class Ionosphere:
    """Phases of a thin frozen screen that drifts over the array: a sum of plane waves.

    Parameters
    ----------
    stations : ndarray, shape (receptor, 2)
        East and north of the antennas [m].
    waves : ndarray, shape (wave, 2)
        Wave numbers to the east and north [rad/m].
    amplitudes, phases : ndarray, shape (wave,)
        Of the waves [rad].
    drift : ndarray, shape (slot, 2)
        How far the screen has moved to the east and north [m].
    scale : float
        Length on the screen of a pixel of the sky [m].

    Examples
    --------
    >>> draw = ionosphere_phase(np.random.default_rng(0), np.zeros((2, 2)), np.arange(3.0), rms=0.1, cell=1e-5)
    >>> bool(np.allclose(np.abs(draw.values(0, np.arange(4.0), np.arange(4.0))), 1))
    True
    """

    stations: Floats
    waves: Floats
    amplitudes: Floats
    phases: Floats
    drift: Floats
    scale: float

    def phase(self, slot: int, x: Floats, y: Floats) -> Floats:
        """Return phases [rad], shape (receptor, point)."""
        here = (self.stations - self.drift[slot]) @ self.waves.T + self.phases
        there = self.scale * (np.outer(self.waves[:, 1], y) - np.outer(self.waves[:, 0], x))
        return np.asarray(
            (self.amplitudes * np.cos(here)) @ np.cos(there) - (self.amplitudes * np.sin(here)) @ np.sin(there)
        )

    def values(self, slot: int, x: Floats, y: Floats) -> Complexes:
        """Return gains, shape (receptor, point)."""
        return np.asarray(np.exp(1j * self.phase(slot, x, y)), np.complex128)


def ionosphere_phase(
    rng: np.random.Generator,
    stations: ArrayLike,
    times: ArrayLike,
    *,
    rms: float,
    cell: float,
    height: float = 300e3,
    speed: float = 50.0,
    scales: tuple[float, float] = (1e3, 1e5),
    waves: int = 200,
) -> Ionosphere:
    """Draw a turbulent screen with the spectrum of Kolmogorov, ``k ** (-11 / 3)``, between two scales.

    Parameters
    ----------
    rng : Generator
        Where the numbers come from.
    stations : array_like, shape (receptor, 2)
        East and north of the antennas [m], once for every feed.
    times : array_like, shape (slot,)
        Of the slots [s].
    rms : float
        Root mean square of the phase over screens [rad].
    cell : float
        Side of a pixel [rad].
    height : float, optional
        Of the screen [m].
    speed : float, optional
        Of the screen, into a random direction [m/s].
    scales : tuple of float, optional
        Shortest and longest wave [m].
    waves : int, optional
        Number of plane waves.

    Returns
    -------
    Ionosphere
        Gains.

    Raises
    ------
    ConfigError
        If the scales are not positive and in order.

    Examples
    --------
    >>> ionosphere_phase(np.random.default_rng(0), np.zeros((2, 2)), np.arange(3.0), rms=0.1, cell=1e-5).waves.shape
    (200, 2)
    """
    if not 0 < scales[0] < scales[1]:
        raise ConfigError(expected("scales", scales, "two positive lengths, the shorter first"))
    spread = (np.arange(waves) + rng.random(waves)) / waves
    number = 2 * np.pi / scales[1] * (scales[1] / scales[0]) ** spread
    turn, phases, wind = 2 * np.pi * rng.random(waves), 2 * np.pi * rng.random(waves), 2 * np.pi * rng.random()
    power = number ** (-5 / 3)
    passed = np.asarray(times, np.float64) - np.min(times)
    return Ionosphere(
        stations=np.asarray(stations, np.float64),
        waves=number[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1),
        amplitudes=rms * np.sqrt(2 * power / power.sum()),
        phases=phases,
        drift=speed * passed[:, None] * np.array([np.cos(wind), np.sin(wind)]),
        scale=height * cell,
    )
