"""Visibilities of a sky seen through gains, summed pixel by pixel, and noise.

The sum shares nothing with the operators that images and gains are recovered by: no gridding, no Fourier transform of
the gains, no approximation. ``V = sum_n x(n) D_a(n) conj(D_b(n)) exp(-i uv . n)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.screens import Gains
from retrodict.physics.radio.sky import Catalogue
from retrodict.physics.radio.visibilities import LIGHT, Grid, Visibilities

__all__ = ["add_noise", "noise_for", "predict", "simulate"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]

BLOCK = 2**16
"""Products of rows and points held at once: what stays in the cache."""

DENSE = 0.05
"""Share of filled pixels from which the separable sum over the whole box is the faster."""


def simulate(
    vis: Visibilities,
    grid: Grid,
    sky: Floats | Catalogue,
    gains: Gains | None = None,
    *,
    rng: np.random.Generator | None = None,
    snr_db: float | None = None,
    noise_std: float | None = None,
    w: bool = False,
) -> tuple[Visibilities, Complexes]:
    """Fill a table with the visibilities of a sky, and noise.

    Parameters
    ----------
    vis : Visibilities
        Where to observe; data and, with noise, weights are replaced.
    grid : Grid
        Pixels of the image, or those that the catalogue counts in.
    sky : ndarray, shape (size, size), or Catalogue
        Flux of each pixel or source [Jy].
    gains : Gains, optional
        Of all receptors; perfect unless given. Slot k is the k-th time of the table.
    rng : Generator, optional
        Of the noise.
    snr_db : float, optional
        ``20 log10(||V|| / ||noise||)`` expected over the rows that are not flagged.
    noise_std : float, optional
        Standard deviation of the real and of the imaginary part [Jy]; one of the two, or neither for no noise.
    w : bool, optional
        Whether the phase of baselines that are not coplanar counts.

    Returns
    -------
    Visibilities
        Data with noise, and weights of one over the variance.
    ndarray of complex, shape (row,)
        Data without noise [Jy].

    Raises
    ------
    DataError
        If the image does not fit the grid, or the gains do not cover the receptors.
    ConfigError
        If both kinds of noise are asked for, or noise without ``rng``.

    Examples
    --------
    >>> from retrodict.physics.radio.arrays import array, cell_for, observe
    >>> vis = observe(array("vla-a"), declination=0.7, slots=3)
    >>> sky = Catalogue(np.zeros(1), np.zeros(1), np.ones(1))
    >>> filled, clean = simulate(vis, Grid(64, cell_for(vis)), sky)
    >>> bool(np.allclose(clean, 1)), filled.rows
    (True, 1053)
    """
    _check_noise(rng, snr_db, noise_std)
    clean = predict(vis, grid, sky, gains, w=w)
    out = vis.with_data(clean)
    if snr_db is None and noise_std is None:
        return out, clean
    assert rng is not None
    if noise_std is None:
        assert snr_db is not None
        noise_std = noise_for(clean[~vis.flag], snr_db)
    return add_noise(out, noise_std, rng), clean


def noise_for(data: Complexes, snr_db: float) -> float:
    """Return the standard deviation of the real and of the imaginary part at a signal-to-noise ratio.

    Parameters
    ----------
    data : ndarray of complex
        Without noise [Jy].
    snr_db : float
        ``20 log10(||data|| / ||noise||)`` to be expected.

    Returns
    -------
    float
        Standard deviation [Jy].

    Examples
    --------
    >>> round(noise_for(np.full(50, 1.0 + 0j), 20.0) ** 2, 6)
    0.005
    """
    return float(np.linalg.norm(data) / np.sqrt(2 * max(data.size, 1)) * 10 ** (-snr_db / 20))


def add_noise(vis: Visibilities, noise_std: float, rng: np.random.Generator) -> Visibilities:
    """Return a table with normal noise added and the weights that belong to it.

    Parameters
    ----------
    vis : Visibilities
        Without noise.
    noise_std : float
        Standard deviation of the real and of the imaginary part [Jy].
    rng : Generator
        Where the numbers come from.

    Raises
    ------
    ConfigError
        If the deviation is not positive.

    Examples
    --------
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 0j], [1.0], [False])
    >>> add_noise(one, 0.5, np.random.default_rng(0)).weight.tolist()
    [4.0]
    """
    if not (np.isfinite(noise_std) and noise_std > 0):
        raise ConfigError(expected("noise_std", noise_std, "a positive number"))
    noise = noise_std * (rng.standard_normal(vis.rows) + 1j * rng.standard_normal(vis.rows))
    return replace(vis, data=vis.data + noise, weight=np.full(vis.rows, noise_std**-2))


def _check_noise(rng: np.random.Generator | None, snr_db: float | None, noise_std: float | None) -> None:
    if snr_db is not None and noise_std is not None:
        raise ConfigError(expected("noise", "snr_db and noise_std", "one of the two"))
    if rng is None and not (snr_db is None and noise_std is None):
        raise ConfigError(expected("rng", rng, "a generator, for noise"))


def predict(
    vis: Visibilities, grid: Grid, sky: Floats | Catalogue, gains: Gains | None = None, *, w: bool = False
) -> Complexes:
    """Return the visibilities of a sky, without noise.

    Parameters
    ----------
    vis : Visibilities
        Where to observe.
    grid : Grid
        Pixels of the image, or those that the catalogue counts in.
    sky : ndarray, shape (size, size), or Catalogue
        Flux of each pixel or source [Jy].
    gains : Gains, optional
        Of all receptors; perfect unless given.
    w : bool, optional
        Whether the phase of baselines that are not coplanar counts.

    Returns
    -------
    ndarray of complex, shape (row,)
        Visibilities [Jy].

    Raises
    ------
    DataError
        If the image does not fit the grid, or the gains do not cover the receptors, or the sky passes the horizon.

    Examples
    --------
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [0j], [1.0], [False])
    >>> predict(one, Grid(8, 1e-3), Catalogue(np.zeros(1), np.zeros(1), np.full(1, 3.0))).tolist()
    [(3+0j)]
    """
    out = np.zeros(vis.rows, np.complex128)
    if isinstance(sky, Catalogue):
        x, y, flux, box = sky.x, sky.y, sky.flux, None
    else:
        x, y, flux, box = _points(np.asarray(sky, np.float64), grid, separable=not w)
    if not (flux.size and vis.rows):
        return out
    one, two = vis.receptors
    rows = _dense(vis.uv(grid), x, y, box) if box else _direct(vis, grid, x, y, w=w)
    slot, times = vis.slots
    order = np.argsort(slot, kind="stable")
    for now, which in enumerate(np.split(order, np.searchsorted(slot[order], np.arange(1, times.size)))):
        a, b = one[which], two[which]
        seen = _seen(gains, now, x, y, int(max(a.max(), b.max())))
        out[which] = rows(which, flux * seen, seen.conj(), a, b)
    return out


def _seen(gains: Gains | None, slot: int, x: Floats, y: Floats, last: int) -> Complexes:
    if gains is None:
        return np.ones((last + 1, 1), np.complex128)
    seen = gains.values(slot, x, y)
    if seen.ndim != 2 or seen.shape[0] <= last or seen.shape[1] != x.size:
        wanted = f"gains of {last + 1} receptors or more at {x.size} points"
        raise DataError(expected("gains", f"shape {seen.shape}", wanted))
    return seen


Rows = Callable[[Ints, Complexes, Complexes, Ints, Ints], Complexes]


def _points(sky: Floats, grid: Grid, *, separable: bool) -> tuple[Floats, Floats, Floats, tuple[int, int] | None]:
    """Coordinates and fluxes of the filled pixels; of the box around them, with its shape, where it is well filled."""
    if sky.shape != grid.shape or not np.isfinite(sky).all():
        raise DataError(expected("sky", f"shape {sky.shape}", f"a finite image of shape {grid.shape}"))
    i, j = np.nonzero(sky)
    n = grid.coordinates.astype(np.float64)
    if not i.size or not separable:
        return n[i], n[j], sky[i, j], None
    left, low = slice(i.min(), i.max() + 1), slice(j.min(), j.max() + 1)
    inside = sky[left, low]
    if i.size < DENSE * inside.size:
        return n[i], n[j], sky[i, j], None
    x, y = np.meshgrid(n[left], n[low], indexing="ij")
    return x.ravel(), y.ravel(), inside.ravel(), (inside.shape[0], inside.shape[1])


def _dense(uv: Floats, x: Floats, y: Floats, box: tuple[int, int]) -> Rows:
    """Sum over a box of pixels: the phase is a product of one factor along x and one along y."""
    x, y = x.reshape(box)[:, 0], y.reshape(box)[0]
    step = max(1, BLOCK // (box[0] * box[1]))

    def rows(which: Ints, first: Complexes, second: Complexes, a: Ints, b: Ints) -> Complexes:
        along, across = np.exp(-1j * np.outer(uv[which, 0], x)), np.exp(-1j * np.outer(uv[which, 1], y))
        out = np.empty(which.size, np.complex128)
        for start in range(0, which.size, step):
            part = slice(start, start + step)
            seen = (first[a[part]] * second[b[part]]).reshape(-1, *box)
            inner = np.matmul(seen, across[part, :, None])[..., 0]
            out[part] = np.einsum("rx,rx->r", along[part], inner)
        return out

    return rows


def _direct(vis: Visibilities, grid: Grid, x: Floats, y: Floats, *, w: bool) -> Rows:
    """Sum over points anywhere, each with a phase of its own."""
    step = max(1, BLOCK // x.size)
    uv, points = vis.uv(grid), np.stack([x, y])
    if w:
        height = 1 - grid.cell**2 * (x**2 + y**2)
        if height.min() < 0:
            raise DataError(expected("sky", "a source beyond the horizon", "directions with l^2 + m^2 below one"))
        depth = (-2 * np.pi / LIGHT * vis.frequency * vis.uvw[:, 2])[:, None]
        uv, points = np.hstack([uv, depth]), np.vstack([points, np.sqrt(height) - 1])

    def rows(which: Ints, first: Complexes, second: Complexes, a: Ints, b: Ints) -> Complexes:
        out = np.empty(which.size, np.complex128)
        for start in range(0, which.size, step):
            part = slice(start, start + step)
            seen = first[a[part]] * second[b[part]]
            out[part] = np.einsum("rn,rn->r", seen, np.exp(-1j * (uv[which[part]] @ points)))
        return out

    return rows
