"""Extended skies of our own making, drawn at random: a galaxy, a supernova remnant and a radio galaxy.

None of them is a picture of anything. They have what makes real sources hard: bright compact knots, thin filaments and
diffuse emission thousands of times fainter, all positive, with an empty border.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from retrodict.physics.errors import ConfigError, expected

__all__ = ["jet", "remnant", "spiral"]

Floats = NDArray[np.float64]

BORDER = 8
FAINTEST = 1e-5


def spiral(size: int, rng: np.random.Generator) -> Floats:
    """Draw an inclined galaxy: a nucleus, arms of gas, and regions of ionised hydrogen strung along them.

    Parameters
    ----------
    size : int
        Pixels along each side; even, at least 32.
    rng : Generator
        Where the galaxy comes from; the same state gives the same galaxy.

    Returns
    -------
    ndarray, shape (size, size)
        Brightness, at most one.

    Raises
    ------
    ConfigError
        If the size is odd or below 32.

    Examples
    --------
    >>> spiral(64, np.random.default_rng(0)).shape
    (64, 64)
    """
    x, y = _plane(size)
    wind, tilt, turn = rng.uniform(2.2, 3.2), rng.uniform(0.45, 0.75), rng.uniform(0, np.pi)
    x, y = x + 0.04 * _turbulence(rng, size, 4.5), y + 0.04 * _turbulence(rng, size, 4.5)
    x, y = np.cos(turn) * x + np.sin(turn) * y, (np.cos(turn) * y - np.sin(turn) * x) / tilt
    r = np.hypot(x, y) + 1e-9
    angle = 2 * (np.arctan2(y, x) - wind * np.log(r))
    arms = np.exp(3.0 * (np.cos(angle) - 1)) * np.exp(-r / 0.28) * (1 - np.exp(-((r / 0.15) ** 2)))
    arms *= np.exp(-np.maximum(r - 0.8, 0) / 0.05)
    gas = arms * np.exp(1.1 * _turbulence(rng, size, 3.0))
    disc = np.exp(-r / 0.22) * np.exp(-np.maximum(r - 0.8, 0) / 0.05) * np.exp(0.5 * _turbulence(rng, size, 3.5))
    out = gas / gas.max() + 0.02 * disc + 0.5 * np.exp(-((r / 0.03) ** 2))
    out = 0.25 * out + _knots(rng, (arms / arms.max()) ** 1.3, 3 + size // 2, 1.3)
    return _finish(out)


def remnant(size: int, rng: np.random.Generator) -> Floats:
    """Draw the remnant of a supernova: a lopsided shell of filaments about a turbulent inside, and a few bystanders.

    Parameters
    ----------
    size : int
        Pixels along each side; even, at least 32.
    rng : Generator
        Where the remnant comes from; the same state gives the same remnant.

    Returns
    -------
    ndarray, shape (size, size)
        Brightness, at most one.

    Raises
    ------
    ConfigError
        If the size is odd or below 32.

    Examples
    --------
    >>> remnant(64, np.random.default_rng(0)).shape
    (64, 64)
    """
    x, y = _plane(size)
    x, y = x + 0.05 * _turbulence(rng, size, 4.0), y + 0.05 * _turbulence(rng, size, 4.0)
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    outer = rng.uniform(0.55, 0.65) * (1 + 0.06 * np.cos(2 * angle + rng.uniform(0, 6)))
    side = np.exp(2.0 * np.cos(angle - rng.uniform(-np.pi, np.pi)) - 2.0)
    shell = np.zeros_like(r)
    for k in range(6):
        radius = outer * (1 - 0.05 * k) + 0.015 * _turbulence(rng, size, 4.5)
        shell += _rim(r, radius, 0.97) ** 2 * (0.02 + _filaments(rng, size, 0.2))
    cloud = np.exp(0.6 * _turbulence(rng, size, 3.2))
    out = shell * (side + 0.02) * cloud
    out /= out.max()
    inside = np.where(r < outer, 1.0, np.exp(-np.maximum(r - outer, 0) / 0.03))
    out += inside * cloud * (0.003 + 0.04 * _filaments(rng, size, 0.05))
    out = 0.35 * out + _knots(rng, np.exp(-((r / 0.8) ** 4)), 6 + size // 16, 1.4)
    return _finish(out)


def jet(size: int, rng: np.random.Generator) -> Floats:
    """Draw a radio galaxy: a core, two jets of unequal brightness, hot spots, and lobes that flow back.

    Parameters
    ----------
    size : int
        Pixels along each side; even, at least 32.
    rng : Generator
        Where the galaxy comes from; the same state gives the same galaxy.

    Returns
    -------
    ndarray, shape (size, size)
        Brightness, at most one.

    Raises
    ------
    ConfigError
        If the size is odd or below 32.

    Examples
    --------
    >>> jet(64, np.random.default_rng(0)).shape
    (64, 64)
    """
    x, y = _plane(size)
    pixel, turn, bend = 2 / size, rng.uniform(-0.6, 0.6), rng.uniform(-0.12, 0.12)
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    y = y - bend * np.sin(2.5 * x)
    wide = x + 0.05 * _turbulence(rng, size, 4.2), y + 0.05 * _turbulence(rng, size, 4.2)
    out = 0.5 * np.exp(-(x**2 + y**2) / (2 * (0.7 * pixel) ** 2))
    for sign, bright in ((1, 1.0), (-1, rng.uniform(0.1, 0.4))):
        end = rng.uniform(0.65, 0.75)
        out += _lobe(rng, sign * wide[0], wide[1], end)
        wave = 0.012 * _turbulence(rng, size, 5.0)
        along = np.clip(sign * x / end, 0, 1)
        lumps = np.exp(1.2 * _turbulence(rng, size, 2.5)) * (sign * x > 0) * (sign * x < end)
        out += 0.03 * bright * lumps * np.exp(-(((y - wave) / (0.006 + 0.02 * along)) ** 2))
        for k in range(3):
            at, off = sign * end * (1 - 0.07 * k), rng.normal(0, 0.03 * (k + 0.3))
            spot = ((x - at) ** 2 + (0.8 * (y - off)) ** 2) / (2 * (rng.uniform(0.7, 1.8) * pixel) ** 2)
            out += rng.uniform(0.3, 1.0) * 0.6**k * np.exp(-spot)
    return _finish(out)


def _lobe(rng: np.random.Generator, x: Floats, y: Floats, end: float) -> Floats:
    """Plasma behind a hot spot, brighter towards it, wider behind, in filaments."""
    size = x.shape[0]
    middle, half, width = 0.52 * end, 0.56 * end, rng.uniform(0.28, 0.4)
    depth = np.sqrt(np.maximum(1 - ((x - middle) / half) ** 2 - (y / width) ** 2, 0))
    thread = sum((_filaments(rng, size, 0.06) for _ in range(4)), np.zeros_like(x))
    bright = 0.001 + 0.03 * np.clip(x / end, 0, 1) ** 2 * (0.05 + thread)
    return depth * bright * np.exp(0.5 * _turbulence(rng, size, 3.2))


def _rim(r: Floats, outer: Floats, share: float) -> Floats:
    """Depth of a spherical shell along the line of sight, bright at its rim."""
    return np.sqrt(np.maximum(outer**2 - r**2, 0)) - np.sqrt(np.maximum((share * outer) ** 2 - r**2, 0))


def _plane(size: int) -> tuple[Floats, Floats]:
    if size < 32 or size % 2:
        raise ConfigError(expected("size", size, "an even number of pixels, at least 32"))
    n = (np.arange(size) - size // 2) / (size / 2)
    x, y = np.meshgrid(n, n, indexing="ij")
    return x, y


def _turbulence(rng: np.random.Generator, size: int, slope: float) -> Floats:
    """Draw a periodic normal field of unit variance with a power spectrum ``k ** -slope``, waves up to half a side."""
    kx, ky = np.fft.fftfreq(size)[:, None] * size, np.fft.rfftfreq(size)[None] * size
    k = np.hypot(kx, ky)
    gain = np.where(k >= 2, np.maximum(k, 2) ** (-slope / 2), 0.0)
    out = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * gain, s=(size, size))
    return np.asarray(out / out.std())


def _filaments(rng: np.random.Generator, size: int, width: float) -> Floats:
    """Draw thin ridges along the zero lines of a smooth field, of uneven brightness."""
    field, uneven = _turbulence(rng, size, 4.5), np.exp(0.8 * _turbulence(rng, size, 3.5))
    return np.asarray(np.exp(-np.abs(field) / width) * uneven / uneven.max())


def _knots(rng: np.random.Generator, density: Floats, count: int, slope: float) -> Floats:
    """Draw compact Gaussians where a density is high, with a power law of peaks of which the highest is one."""
    size = density.shape[0]
    n = np.arange(size) - size // 2
    inner = (np.abs(n) < size // 2 - BORDER - 3)[:, None] & (np.abs(n) < size // 2 - BORDER - 3)
    chance = (density * inner).ravel() / (density * inner).sum()
    i, j = np.divmod(rng.choice(size**2, count, p=chance), size)
    peaks = np.sort((1 - rng.random(count)) ** (1 / slope))[::-1]
    peaks = np.arange(1, count + 1) ** (-slope) * (0.5 + peaks / 2)
    out = np.zeros_like(density)
    for a, b, peak in zip(i, j, peaks / peaks[0], strict=True):
        u, v = n[:, None] - n[a] - rng.uniform(-0.5, 0.5), n - n[b] - rng.uniform(-0.5, 0.5)
        out += peak * np.exp(-(u**2 + v**2) / (2 * rng.uniform(0.6, 1.6) ** 2))
    return out


def _finish(image: Floats) -> Floats:
    """Blur a little, as every telescope does, fade to nothing at the border, and scale to one."""
    image = gaussian_filter(image, 0.6)
    size = image.shape[0]
    edge = np.minimum(np.arange(size), size - 1 - np.arange(size))
    fade = np.clip((edge - BORDER + 1) / (0.04 * size), 0, 1) ** 2
    out = image * fade[:, None] * fade
    out /= out.max()
    return np.where(out < FAINTEST, 0.0, out)
