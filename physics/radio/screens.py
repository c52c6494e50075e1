"""Direction-dependent gains: band-limited ones, and ones of the kinds that nature makes, which are not band-limited.

Every object has ``values(slot, x, y)``, the complex gains of all receptors in directions given in pixels, ``x`` to the
west and ``y`` to the north. A receptor is a feed of an antenna, ``feed * antennas + antenna``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, DataError, expected

__all__ = [
    "BandLimited",
    "Gains",
    "Ionosphere",
    "Pointing",
    "Product",
    "ionosphere_phase",
    "pointing_errors",
    "smooth_random",
]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class Gains(Protocol):
    """What a simulation asks of gains.

    Examples
    --------
    >>> gains: Gains = BandLimited(np.ones((2, 1, 1, 1)), np.ones((1, 1)), 64)
    >>> gains.values(0, np.zeros(3), np.zeros(3)).shape
    (2, 3)
    """

    def values(self, slot: int, x: Floats, y: Floats) -> Complexes:
        """Return gains, shape (receptor, point), at points given in pixels from the centre."""
        ...


@dataclass(frozen=True)
class BandLimited:
    """Gains with few coefficients: ``D(n) = sum_k d[k] exp(2 pi i k . n / padded)`` with ``d = sum_p basis[t, p] U[p]``.

    Parameters
    ----------
    coefficients : ndarray, shape (receptor, term, support, support)
        ``U``; the last axes are the frequencies in x and in y, from ``-(support - 1) / 2``.
    basis : ndarray, shape (slot, term)
        Functions of time.
    padded : int
        Pixels over which the lowest frequency makes one turn; twice the size of the image by custom.

    Raises
    ------
    DataError
        If the shapes do not fit, or the support is even.

    Examples
    --------
    >>> gains = BandLimited(np.ones((2, 1, 1, 1)), np.ones((4, 1)), 64)
    >>> gains.values(3, np.zeros(1), np.zeros(1)).real.tolist()
    [[1.0], [1.0]]
    """

    coefficients: Complexes
    basis: Floats | Complexes
    padded: int

    def __post_init__(self) -> None:
        shape, terms = np.shape(self.coefficients), np.shape(self.basis)
        if len(shape) != 4 or shape[2] != shape[3] or shape[2] % 2 == 0:
            raise DataError(expected("BandLimited.coefficients", shape, "(receptor, term, support, support), odd"))
        if len(terms) != 2 or terms[1] != shape[1]:
            raise DataError(expected("BandLimited.basis", terms, f"shape (slot, {shape[1]})"))
        if self.padded < 1:
            raise DataError(expected("BandLimited.padded", self.padded, "a positive number of pixels"))

    def values(self, slot: int, x: Floats, y: Floats) -> Complexes:
        """Return gains, shape (receptor, point)."""
        support = self.coefficients.shape[-1]
        k = 2 * np.pi / self.padded * (np.arange(support) - support // 2)
        along, across = np.exp(1j * np.outer(k, x)), np.exp(1j * np.outer(k, y))
        modes = (along[:, None] * across[None, :]).reshape(support**2, -1)
        now = np.tensordot(self.basis[slot], self.coefficients, axes=(0, 1)).reshape(-1, support**2)
        return np.asarray(now @ modes, np.complex128)


def smooth_random(
    rng: np.random.Generator,
    receptors: int,
    support: int,
    basis: Floats | Complexes,
    amplitude: float = 0.05,
    centre: float | None = None,
) -> Complexes:
    """Draw coefficients of band-limited gains around one.

    Off the centre, real and imaginary parts are normal with standard deviation ``amplitude``; the central coefficient
    is one plus a normal number of standard deviation ``centre``. With several functions of time, every one has an
    equal share of the variance, such that the mean square over time is that of a single one.

    Parameters
    ----------
    rng : Generator
        Where the numbers come from.
    receptors, support : int
        Sizes; the support is odd.
    basis : ndarray, shape (slot, term)
        Functions of time; the constant one must be among their combinations.
    amplitude, centre : float, optional
        Standard deviations; that of the centre is the amplitude unless given.

    Returns
    -------
    ndarray of complex, shape (receptor, term, support, support)
        Coefficients.

    Raises
    ------
    ConfigError
        If the support is even, or a function of time vanishes everywhere, or they do not combine to one.

    Examples
    --------
    >>> smooth_random(np.random.default_rng(0), 27, 5, np.ones((60, 1))).shape
    (27, 1, 5, 5)
    """
    if support < 1 or support % 2 == 0:
        raise ConfigError(expected("support", support, "an odd number of coefficients"))
    size = np.sqrt(np.mean(np.abs(basis) ** 2, axis=0))
    mean = np.linalg.lstsq(basis, np.ones(len(basis)), rcond=None)[0]
    if not np.all(size > 0) or not np.allclose(basis @ mean, 1, atol=1e-8):
        raise ConfigError(expected("basis", f"rms {size}", "functions that do not vanish and combine to one"))
    shape = (receptors, basis.shape[1], support, support)
    scale = np.full((support, support), amplitude)
    scale[support // 2, support // 2] = amplitude if centre is None else centre
    out = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * scale
    out /= (size * np.sqrt(size.size))[:, None, None]
    out[..., support // 2, support // 2] += mean
    return np.asarray(out, np.complex128)


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
        return np.exp(-2 * np.log(2.0) * far / self.width**2).astype(np.complex128)


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


@dataclass(frozen=True)
class Product:
    """Gains one after the other.

    Parameters
    ----------
    first, second : Gains
        The factors.

    Examples
    --------
    >>> one = BandLimited(np.full((2, 1, 1, 1), 2.0), np.ones((1, 1)), 64)
    >>> float(Product(one, one).values(0, np.zeros(1), np.zeros(1))[0, 0].real)
    4.0
    """

    first: Gains
    second: Gains

    def values(self, slot: int, x: Floats, y: Floats) -> Complexes:
        """Return gains, shape (receptor, point)."""
        return self.first.values(slot, x, y) * self.second.values(slot, x, y)
