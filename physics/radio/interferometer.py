"""The measurement: sky and direction-dependent gains to visibilities, linear in the sky and in either antenna's gains.

Gains of ``S x S`` coefficients turn one visibility into ``(2 S - 1)^2`` samples of the Fourier plane at shifts of
``2 pi / K`` (the visibility cube), or one row of a sparse matrix. With ``K = 2 N`` the shifts are steps of the
oversampled Fourier grid, so the cube is read off the same grid cells, and sky and gains see one and the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.model import Operator
from retrodict.physics.radio.fourier_grid import WIDTH, FourierGrid
from retrodict.physics.radio.gains import Kernels, TimeBasis
from retrodict.physics.radio.unknowns import unknowns
from retrodict.physics.radio.visibilities import Grid, Visibilities
from retrodict.physics.spaces import Space, Tree, Var

__all__ = ["GridImager", "Imager", "Interferometer", "exact_cube"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]
T = TypeVar("T")


class Imager(Protocol):
    """Sky to weighted visibilities with gains held, a map over the reals."""

    def apply(self, image: NDArray[np.floating]) -> Complexes:
        """Return ``A x``, shape (row,)."""

    def adjoint(self, values: Complexes) -> Floats:
        """Return ``Re A' v``, shape (N, N)."""

    def normal(self, image: NDArray[np.floating]) -> Floats:
        """Return ``Re A' A x``."""


@dataclass(frozen=True)
class GridImager:
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
        Of the stored rows of `imager`; the gridding kernel of ``single`` is narrower: accurate to 1e-5, not 1e-7.

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
        self.first, self.second = vis.receptors
        self.slot, self.times = vis.slots
        self._last: tuple[Complexes, Imager] | None = None
        name, width = {"double": ("complex128", WIDTH + 2), "single": ("complex64", WIDTH)}[precision]
        self.dtype = np.dtype(name)
        self.fourier = FourierGrid(vis.uv(grid), grid.size, 2 * self.kernels.half, width)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.vis.rows

    def with_data(self, data: Complexes) -> Interferometer:
        """Return the measurement of the same rows with other data, shape (row,); what was tabulated is shared."""
        return self.with_rows(self.vis.with_data(data))

    def with_rows(self, vis: Visibilities) -> Interferometer:
        """Return the measurement of the same baselines with other data and weights; what was tabulated is shared."""
        other = copy(self)
        other.vis = vis
        other.__dict__.pop("target", None)
        if not np.array_equal(vis.weight, self.vis.weight):  # whitened rows hold the roots of the weights
            other.__dict__.pop("root", None)
            other._last = None
        return other

    def total(self, act: Callable[[Interferometer], T]) -> T:
        """Return ``act`` of the rows, as `retrodict.physics.radio.streaming.Streamed` does of many chunks."""
        return act(self)

    @cached_property
    def functions(self) -> Complexes:
        """Functions of time at the slots, shape (slot, term)."""
        return np.asarray(self.kernels.basis.at(self.times), np.complex128)

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
            self._last = None  # its rows make room for the new ones
            self._last = (gains.copy(), self.imager(gains, self.root))
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
        return unknowns(self.grid, self.kernels)

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

    def _kernels(self, gains: Complexes, second: Complexes | None) -> tuple[Complexes, Complexes, Ints, Ints, Ints]:
        """Kernels of all slots, those of second receptors apart, and receptors and slot of every row."""
        at = self.kernels.at(gains, self.times)
        other = at if second is None else self.kernels.at(second, self.times)
        return at, other, self.first, self.second, self.slot

    def responses(
        self, cube: Complexes, gains: Complexes, second: Complexes | None = None
    ) -> tuple[Complexes, Complexes]:
        """Return ``h1`` and ``h2``, shape (row, S, S): ``V = sum d1 h1`` and ``conj(V) = sum d2 h2``.

        The kernels ``d2`` of the second receptor of every row come from ``second`` where it is given.
        """
        from retrodict.physics.radio.kernels import responses

        shape = (self.rows, self.kernels.size, self.kernels.size)
        h1, h2 = np.empty(shape, np.complex128), np.empty(shape, np.complex128)
        responses(cube, *self._kernels(gains, second), h1, h2)
        return h1, h2

    def seen(self, cube: Complexes, gains: Complexes, second: Complexes | None = None) -> Complexes:
        """Return the visibilities of a sky through gains from its cube, shape (row,); ``second`` as in `responses`."""
        from retrodict.physics.radio.kernels import bilinear

        out = np.empty(self.rows, np.complex128)
        bilinear(cube, *self._kernels(gains, second), out)
        return out

    def change(self, h1: Complexes, h2: Complexes, delta: Complexes) -> Complexes:
        """Return the change of the visibilities that a change of the gains causes, ``h1 . d1 + conj(h2 . d2)``.

        Parameters
        ----------
        h1, h2 : ndarray of complex, shape (row, S S)
            Of `responses`.
        delta : ndarray of complex, shape (receptor, term, S, S)
            Change of the gains.

        Returns
        -------
        ndarray of complex, shape (row,)
            Linear in ``delta`` over the reals.
        """
        from retrodict.physics.radio.kernels import gather

        out = np.empty(self.rows, np.complex128)
        at = np.einsum("tp,rpa->tra", self.functions, delta.reshape(*delta.shape[:2], -1), optimize=True)
        gather(h1, h2, self.first, self.second, self.slot, at, out)
        return out

    def change_adjoint(self, h1: Complexes, h2: Complexes, values: Complexes) -> Complexes:
        """Return the adjoint of `change` with respect to ``<a, b> = Re(a' b)``, shape (receptor, term, S, S)."""
        from retrodict.physics.radio.kernels import scatter

        shape = self.kernels.shape
        out = np.zeros((self.times.size, shape[0], shape[2] * shape[3]), np.complex128)
        scatter(h1, h2, self.first, self.second, self.slot, values, out)
        return np.asarray(np.einsum("tp,tra->rpa", self.functions.conj(), out, optimize=True)).reshape(shape)

    def predict(self, image: NDArray[np.floating], gains: Complexes) -> Complexes:
        """Return the visibilities of a sky seen through gains, shape (row,)."""
        return self.seen(self.cube(image), gains)

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

        rows = np.empty((self.vis.rows, self.fourier.side, self.fourier.side), self.dtype)
        scale = np.ones(self.vis.rows) if scale is None else scale
        footprints(*self._kernels(gains, second), self.fourier.wx, self.fourier.wy, scale, rows)
        return GridImager(self.fourier, rows)

    def apply(self, params: Tree) -> Tree:
        """Return ``{visibility}``."""
        return {"visibility": self.predict(params["image"], self.kernels.check(params["gains"]))}

    def linearize(self, params: Tree) -> tuple[Tree, Operator]:
        """Return the visibilities and the derivative with respect to image and gains."""
        image, gains = params["image"], self.kernels.check(params["gains"])
        cube, imager = self.cube(image), self.imager(gains)
        h1, h2 = (h.reshape(self.rows, -1) for h in self.responses(cube, gains))

        def forward(delta: Tree) -> Tree:
            turned = self.change(h1, h2, np.asarray(delta["gains"], np.complex128))
            return {"visibility": imager.apply(delta["image"]) + turned}

        def transpose(weight: Tree) -> Tree:
            v = np.asarray(weight["visibility"], np.complex128)
            return {"image": imager.adjoint(v), "gains": self.change_adjoint(h1, h2, v)}

        value = {"visibility": self.seen(cube, gains)}
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
