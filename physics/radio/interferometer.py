"""The measurement: sky and direction-dependent gains to visibilities, linear in the sky and in either antenna's gains.

Gains of ``S x S`` coefficients turn one visibility into ``(2 S - 1)^2`` samples of the Fourier plane at shifts of
``2 pi / K`` (the visibility cube), or one row of a sparse matrix. With ``K = 2 N`` the shifts are steps of the
oversampled Fourier grid, so the cube is read off the same grid cells, and sky and gains see one and the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from retrodict.physics.errors import DataError, expected
from retrodict.physics.model import Operator
from retrodict.physics.radio.gains import Kernels, TimeBasis
from retrodict.physics.radio.visibilities import Grid, Visibilities
from retrodict.physics.spaces import Space, Tree, Var

__all__ = ["FourierGrid", "Imager", "Interferometer", "exact_cube"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]
T = TypeVar("T")

WIDTH = 6
"""Cells that a gridding kernel spans: 6 at an oversampling of 2 is accurate to some 5e-6, 8 to 1e-7."""


@dataclass(frozen=True)
class FourierGrid:
    """The oversampled Fourier grid of an image and the footprints of rows on it (Kaiser-Bessel gridding).

    Parameters
    ----------
    uv : ndarray, shape (row, 2)
        Spatial frequencies [rad/pixel].
    size : int
        Pixels along a side of the image.
    reach : int
        Cells by which a footprint grows on either side: ``2 R`` for gains of half-width ``R``.
    width : int
        Cells of the gridding kernel.

    Raises
    ------
    DataError
        If a frequency lies beyond ``pi``: the pixels are too coarse.

    Examples
    --------
    >>> grid = FourierGrid(np.array([[0.3, -0.2]]), 16)
    >>> x = np.zeros((16, 16)); x[8 + 2, 8 + 1] = 1
    >>> row = grid.wx[0][:, None] * grid.wy[0]
    >>> i, j = grid.corner[0]
    >>> v = (row * grid.plane(x)[i:i + 6, j:j + 6]).sum()
    >>> bool(abs(v - np.exp(-1j * (0.3 * 2 - 0.2 * 1))) < 1e-5)
    True
    """

    uv: Floats
    size: int
    reach: int = 0
    width: int = WIDTH
    corner: Ints = field(init=False, repr=False)
    wx: Floats = field(init=False, repr=False)
    wy: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        largest = float(np.abs(self.uv).max(initial=0.0))
        if largest > np.pi * (1 + 1e-9):
            got = f"spatial frequencies up to {largest:.3g} rad/pixel"
            raise DataError(expected("Grid.cell", got, f"at most pi: pixels smaller by {np.pi / largest:.3g}"))
        s = self.uv * (self.padded / (2 * np.pi))
        low = np.floor(s).astype(np.int64) - (self.width // 2 - 1)
        offsets = s[:, :, None] - (low[:, :, None] + np.arange(self.width))
        weights = _kaiser_bessel(offsets, self.width)
        object.__setattr__(self, "corner", np.ascontiguousarray((low - self.reach) % self.padded))
        object.__setattr__(self, "wx", np.ascontiguousarray(weights[:, 0]))
        object.__setattr__(self, "wy", np.ascontiguousarray(weights[:, 1]))

    @property
    def padded(self) -> int:
        """``K``, twice the size of the image."""
        return 2 * self.size

    @property
    def side(self) -> int:
        """Cells of a footprint along a side."""
        return self.width + 2 * self.reach

    @cached_property
    def correction(self) -> Floats:
        """What the image is multiplied by, shape (N,): one over the transform of the gridding kernel."""
        n = np.arange(self.size) - self.size // 2
        z = np.sqrt(_beta(self.width) ** 2 - (np.pi * self.width * n / self.padded) ** 2)
        return np.asarray(z / (self.width * np.sinh(z)))

    def plane(self, image: NDArray[np.floating], dtype: str = "complex128") -> NDArray[np.complexfloating]:
        """Return the Fourier grid of an image, repeated at its edges, shape (K + side, K + side)."""
        n, k, half = self.size, self.padded, self.size // 2
        flat = image * self.correction[:, None] * self.correction
        strip = np.zeros((n, k), np.complex64 if dtype == "complex64" else np.complex128)
        strip[:, :half] = flat[:, half:]
        strip[:, -half:] = flat[:, :half]
        strip = fft.fft(strip, axis=1, overwrite_x=True)
        full = np.zeros((k + self.side, k + self.side), strip.dtype)
        full[:half, :k] = strip[half:]
        full[k - half : k, :k] = strip[:half]
        full[:k, :k] = fft.fft(full[:k, :k], axis=0)
        full[k:, :k] = full[: self.side, :k]
        full[:, k:] = full[:, : self.side]
        return full

    def image(self, plane: NDArray[np.complexfloating]) -> Floats:
        """Adjoint of `plane`, over the reals; overwrites its argument."""
        n, k, half, side = self.size, self.padded, self.size // 2, self.side
        plane[:, :side] += plane[:, k:]
        plane[:side, :k] += plane[k:, :k]
        tall = fft.ifft(plane[:k, :k], axis=0, norm="forward")
        strip = np.concatenate([tall[k - half :], tall[:half]])
        strip = fft.ifft(strip, axis=1, norm="forward", overwrite_x=True)
        flat = np.concatenate([strip[:, -half:], strip[:, :half]], axis=1).real
        return np.asarray(flat * self.correction[:, None] * self.correction, np.float64).reshape(n, n)


@dataclass(frozen=True)
class Imager:
    """Sky to weighted visibilities with gains held: ``A x``, and its adjoint over the reals.

    Parameters
    ----------
    fourier : FourierGrid
        The grid.
    rows : ndarray of complex, shape (row, side, side)
        Rows of the degridding matrix, gains and weights included.

    Examples
    --------
    See `Interferometer.imager`.
    """

    fourier: FourierGrid
    rows: NDArray[np.complexfloating]

    def apply(self, image: NDArray[np.floating]) -> Complexes:
        """Return ``A x``, shape (row,)."""
        from retrodict.physics.radio.kernels import degrid

        out = np.empty(len(self.rows), np.complex128)
        degrid(self.rows, self.fourier.corner, self.fourier.plane(image, str(self.rows.dtype)), out)
        return out

    def adjoint(self, values: Complexes) -> Floats:
        """Return ``Re A' v``, shape (N, N)."""
        from retrodict.physics.radio.kernels import grid_rows

        side = self.fourier.padded + self.fourier.side
        plane = np.zeros((side, side), self.rows.dtype)
        grid_rows(self.rows, self.fourier.corner, values.astype(self.rows.dtype), plane)
        return self.fourier.image(plane)

    def normal(self, image: NDArray[np.floating]) -> Floats:
        """Return ``Re A' A x``."""
        return self.adjoint(self.apply(image))


class Interferometer:
    """Sky and gains to visibilities, for the rows of an observation.

    A model ``{image, gains} -> {visibility}``, linear in either antenna's gains and in the image.

    Parameters
    ----------
    vis : Visibilities
        The rows; data are not used.
    grid : Grid
        The image.
    size : int
        ``S``, coefficients of a gain along an axis.
    basis : TimeBasis
        Functions of time; by default constant.
    precision : {"double", "single"}
        Of the stored rows of `imager`.

    Raises
    ------
    DataError
        If pixels are too coarse for the longest baseline, or a size does not fit.

    Examples
    --------
    >>> vis = Visibilities(np.array([[10.0, 5.0, 0.0]]), [1e9], [0.0], [0], [1], [0], [1.0], [False])
    >>> model = Interferometer(vis, Grid(16, 2e-3), size=3)
    >>> sky = np.zeros((16, 16)); sky[8, 8] = 2.0
    >>> bool(np.allclose(model.predict(sky, model.kernels.unit()), 2.0, rtol=1e-5))
    True
    """

    def __init__(
        self,
        vis: Visibilities,
        grid: Grid,
        *,
        size: int = 1,
        basis: TimeBasis | None = None,
        precision: str = "double",
    ) -> None:
        self.vis, self.grid = vis, grid
        receptors = len(vis.antennas) * len(vis.feeds)
        self.kernels = Kernels(size, 2 * grid.size, basis or TimeBasis("constant"), receptors)
        self.fourier = FourierGrid(vis.uv(grid), grid.size, 2 * self.kernels.half)
        self.first, self.second = vis.receptors
        self.slot, self.times = vis.slots
        self._last: tuple[Complexes, Imager] | None = None
        self.dtype = np.dtype({"double": "complex128", "single": "complex64"}[precision])

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.vis.rows

    def total(self, act: Callable[[Interferometer], T]) -> T:
        """Return ``act`` of the rows, as `retrodict.physics.radio.streaming.Streamed` does of many chunks."""
        return act(self)

    @cached_property
    def root(self) -> Floats:
        """Roots of the weights, shape (row,)."""
        return np.sqrt(self.vis.weight)

    @cached_property
    def target(self) -> Complexes:
        """Data times the roots of the weights, shape (row,)."""
        return self.root * self.vis.data

    def whitened(self, gains: Complexes) -> Imager:
        """Return `imager` times the roots of the weights; the last one is kept."""
        if self._last is None or not np.array_equal(self._last[0], gains):
            self._last = (gains, self.imager(gains, self.root))
        return self._last[1]

    def beam(self) -> Floats:
        """Return ``sum w cos(uv . n)`` at lags of up to the field, shape (2 N, 2 N), lag zero at ``[N, N]``.

        It is the image of a source of 1 Jy at the centre, and the covariance of two pixels of an image of noise.
        """
        from ducc0.nufft import nu2u

        points = self.vis.weight.astype(np.complex128)
        out = np.empty((2 * self.grid.size, 2 * self.grid.size), np.complex128)
        nu2u(points=points, coord=self.vis.uv(self.grid), forward=False, epsilon=1e-10, nthreads=1, out=out)
        return np.ascontiguousarray(out.real)

    @property
    def domain(self) -> Space:
        """Image [Jy/pixel] and gains."""
        return Space(
            {
                "image": Var(("x", "y"), self.grid.shape, units="Jy"),
                "gains": Var(("receptor", "term", "kx", "ky"), self.kernels.shape, "complex128"),
            }
        )

    @property
    def range(self) -> Space:
        """Visibilities [Jy]."""
        return Space({"visibility": Var(("row",), (self.vis.rows,), "complex128", "Jy")})

    def cube(self, image: NDArray[np.floating]) -> Complexes:
        """Return the visibility cube of an image, shape (row, 2 S - 1, 2 S - 1)."""
        from retrodict.physics.radio.kernels import cubes

        extent = 2 * self.kernels.size - 1
        out = np.empty((self.vis.rows, extent, extent), np.complex128)
        cubes(
            self.fourier.plane(image).astype(np.complex128),
            self.fourier.corner,
            self.fourier.wx,
            self.fourier.wy,
            extent,
            out,
        )
        return out

    def pairs(self, gains: Complexes, second: Complexes | None = None) -> tuple[Complexes, Complexes]:
        """Return the kernels of the two receptors of every row, shape (row, S, S) each.

        Those of the second receptor come from ``second`` where it is given.
        """
        at = self.kernels.at(gains, self.times)
        other = at if second is None else self.kernels.at(second, self.times)
        return at[self.slot, self.first], other[self.slot, self.second]

    def responses(
        self, cube: Complexes, gains: Complexes, second: Complexes | None = None
    ) -> tuple[Complexes, Complexes]:
        """Return ``h1`` and ``h2``, shape (row, S, S): ``V = sum d1 h1`` and ``conj(V) = sum d2 h2``."""
        from retrodict.physics.radio.kernels import responses

        d1, d2 = self.pairs(gains, second)
        h1, h2 = np.empty_like(d1), np.empty_like(d2)
        responses(cube, d1, d2, h1, h2)
        return h1, h2

    def predict(self, image: NDArray[np.floating], gains: Complexes) -> Complexes:
        """Return the visibilities of a sky seen through gains, shape (row,)."""
        cube = self.cube(image)
        first, _ = self.pairs(gains)
        return np.asarray(np.einsum("mij,mij->m", first, self.responses(cube, gains)[0]))

    def imager(self, gains: Complexes, scale: Floats | None = None, second: Complexes | None = None) -> Imager:
        """Return the linear map of the image with gains held.

        Parameters
        ----------
        gains : ndarray of complex, shape (receptor, term, S, S)
            Coefficients.
        scale : ndarray, shape (row,), optional
            Factor of every row, for example the root of its weight.
        second : ndarray of complex, shape (receptor, term, S, S), optional
            Coefficients of the second receptor of every row, where they are held apart.

        Examples
        --------
        >>> vis = Visibilities(np.array([[10.0, 5.0, 0.0]]), [1e9], [0.0], [0], [1], [0], [1.0], [False])
        >>> model = Interferometer(vis, Grid(16, 2e-3), size=3)
        >>> model.imager(model.kernels.unit()).adjoint(np.array([1 + 0j])).shape
        (16, 16)
        """
        from retrodict.physics.radio.kernels import footprints

        d1, d2 = self.pairs(gains, second)
        rows = np.empty((self.vis.rows, self.fourier.side, self.fourier.side), self.dtype)
        scale = np.ones(self.vis.rows) if scale is None else scale
        footprints(d1, d2, self.fourier.wx, self.fourier.wy, scale, rows)
        return Imager(self.fourier, rows)

    def apply(self, params: Tree) -> Tree:
        """Return ``{visibility}``."""
        return {"visibility": self.predict(params["image"], self.kernels.check(params["gains"]))}

    def linearize(self, params: Tree) -> tuple[Tree, Operator]:
        """Return the visibilities and the derivative with respect to image and gains."""
        image, gains = params["image"], self.kernels.check(params["gains"])
        first, _ = self.pairs(gains)
        h1, h2 = self.responses(self.cube(image), gains)
        imager = self.imager(gains)
        basis = self.kernels.basis.at(self.times)

        def forward(delta: Tree) -> Tree:
            d1, d2 = self.pairs(np.asarray(delta["gains"], np.complex128))
            turned = np.einsum("mij,mij->m", h1, d1) + np.einsum("mij,mij->m", h2, d2).conj()
            return {"visibility": imager.apply(delta["image"]) + turned}

        def transpose(weight: Tree) -> Tree:
            v = weight["visibility"]
            at = np.zeros((self.times.size, self.kernels.receptors, *first.shape[1:]), np.complex128)
            np.add.at(at, (self.slot, self.first), h1.conj() * v[:, None, None])
            np.add.at(at, (self.slot, self.second), h2.conj() * v.conj()[:, None, None])
            return {"image": imager.adjoint(v), "gains": np.einsum("tp,trij->rpij", basis.conj(), at, optimize=True)}

        value = {"visibility": np.einsum("mij,mij->m", first, h1)}
        return value, Operator(self.domain, self.range, forward, transpose)

    def block(self, name: str, params: Tree) -> Operator:
        """Return the linear map of the image with the gains held at ``params``.

        Raises
        ------
        DataError
            If the block is not the image: in the gains of all antennas together the model is quadratic.
        """
        if name != "image":
            raise DataError(expected("Interferometer.block", repr(name), "'image'"))
        imager = self.imager(self.kernels.check(params["gains"]))
        space = Space({"image": self.domain["image"]})
        return Operator(
            space,
            self.range,
            lambda x: {"visibility": imager.apply(x["image"])},
            lambda y: {"image": imager.adjoint(y["visibility"])},
        )


def exact_cube(image: Floats, uv: Floats, kernels: Kernels, accuracy: float = 1e-12) -> Complexes:
    """Return the visibility cube by one non-uniform Fourier transform, for any padded size.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        Sky.
    uv : ndarray, shape (row, 2)
        Spatial frequencies [rad/pixel].
    kernels : Kernels
        Size and padding.
    accuracy : float
        Of the transform.

    Returns
    -------
    ndarray of complex, shape (row, 2 S - 1, 2 S - 1)
        ``X(u - omega q)``.

    Examples
    --------
    >>> x = np.zeros((8, 8)); x[4, 4] = 3.0
    >>> exact_cube(x, np.array([[0.1, 0.2]]), Kernels(1, 16, TimeBasis("constant"), 2)).round(9).item()
    (3+0j)
    """
    from ducc0.nufft import u2nu

    q = np.arange(-2 * kernels.half, 2 * kernels.half + 1)
    shift = (2 * np.pi / kernels.padded) * np.stack(np.meshgrid(q, q, indexing="ij"), axis=-1)
    points = (uv[:, None, None, :] - shift).reshape(-1, 2)
    flat = u2nu(grid=image.astype(np.complex128), coord=points, forward=True, epsilon=accuracy, nthreads=1)
    return np.asarray(flat).reshape(len(uv), q.size, q.size)


def _beta(width: int) -> float:
    """Shape of the Kaiser-Bessel kernel: of least error for images that fill the field, found by trial."""
    return 2.3 * width


def _kaiser_bessel(offset: Floats, width: int) -> Floats:
    return np.asarray(np.i0(_beta(width) * np.sqrt(np.clip(1 - (2 * offset / width) ** 2, 0, None))))
