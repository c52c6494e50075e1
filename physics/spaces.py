"""Named arrays and the real inner-product spaces they live in.

Parameters and data are trees ``{name: array}``; nothing is flattened at a public border. Every space is a *real*
inner-product space, also for complex arrays: ``<a, b> = Re(vdot(a, b))``, because antenna gains enter a visibility as
``g_i conj(g_j)``, which is linear over the reals only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SpaceError, expected

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Array", "Space", "Tree", "Var"]

Array = NDArray[Any]
Tree = Mapping[str, Array]


@dataclass(frozen=True)
class Var:
    """One named array of a space.

    Parameters
    ----------
    dims : tuple of str
        Names of the axes.
    shape : tuple of int
        Lengths of the axes.
    dtype : str
        ``"float64"``, ``"float32"`` or a complex type.
    units : str
        CF units; ``"1"`` for pure numbers.
    bounds : tuple of float
        Closed interval of admissible values; infinite where free. Complex variables have no bounds.
    long_name : str
        For figures and files.

    Raises
    ------
    SpaceError
        If dims and shape disagree, or the bounds are empty.

    Examples
    --------
    >>> Var(("time",), (3,), units="m").size
    3
    """

    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = "float64"
    units: str = "1"
    bounds: tuple[float, float] = (-np.inf, np.inf)
    long_name: str = ""

    def __post_init__(self) -> None:
        if len(self.dims) != len(self.shape):
            raise SpaceError(expected("Var", f"dims {self.dims} with shape {self.shape}", "one name an axis"))
        if not self.bounds[0] < self.bounds[1]:
            raise SpaceError(expected("Var.bounds", self.bounds, "lower < upper"))

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def is_complex(self) -> bool:
        """Whether elements are complex; each then counts as two real unknowns."""
        return np.issubdtype(np.dtype(self.dtype), np.complexfloating)


class Space(Mapping[str, Var]):
    """A real inner-product space of named arrays.

    Parameters
    ----------
    variables : Mapping of str to Var
        The arrays, in the order in which they are packed.

    Examples
    --------
    >>> space = Space({"x": Var(("time",), (2,)), "gain": Var(dtype="complex128")})
    >>> space.inner({"x": np.ones(2), "gain": np.array(1j)}, {"x": np.ones(2), "gain": np.array(1j)})
    3.0
    """

    def __init__(self, variables: Mapping[str, Var]) -> None:
        self._vars = dict(variables)

    def __getitem__(self, name: str) -> Var:
        return self._vars[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._vars)

    def __len__(self) -> int:
        return len(self._vars)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and list(self.items()) == list(other.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Space(" + ", ".join(f"{k}: {v.dtype}{list(v.shape)} [{v.units}]" for k, v in self.items()) + ")"

    @property
    def size(self) -> int:
        """Real dimension: complex elements count twice."""
        return sum(v.size * (2 if v.is_complex else 1) for v in self.values())

    def zeros(self) -> dict[str, Array]:
        """Return the zero tree."""
        return {k: np.zeros(v.shape, v.dtype) for k, v in self.items()}

    def random(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return a tree of independent standard normal numbers (complex ones have unit variance in each part)."""
        tree = {}
        for name, var in self.items():
            values = rng.standard_normal(var.shape)
            tree[name] = np.asarray(
                values + 1j * rng.standard_normal(var.shape) if var.is_complex else values, var.dtype
            )
        return tree

    def inner(self, a: Tree, b: Tree) -> float:
        """Real inner product ``Re(sum conj(a) b)`` over all variables, accumulated in double precision."""
        total = 0.0
        for name, var in self.items():
            kind = np.complex128 if var.is_complex else np.float64
            total += float(np.vdot(np.asarray(a[name], kind), np.asarray(b[name], kind)).real)
        return total

    def norm(self, a: Tree) -> float:
        """Norm induced by `inner`."""
        return float(np.sqrt(self.inner(a, a)))

    def axpy(self, s: float, a: Tree, b: Tree) -> dict[str, Array]:
        """Return ``s * a + b``."""
        return {k: np.asarray(s * a[k] + b[k], v.dtype) for k, v in self.items()}

    def check(self, tree: Tree, where: str) -> dict[str, Array]:
        """Return ``tree`` as arrays of this space, or say what is wrong with it.

        Raises
        ------
        SpaceError
            If a name is missing or unknown, a shape or type differs, or a value is not finite or out of bounds.
        """
        if set(tree) != set(self):
            raise SpaceError(expected(where, f"names {sorted(tree)}", f"exactly {sorted(self)}"))
        checked = {}
        for name, var in self.items():
            values = np.asarray(tree[name])
            at = f"{where}[{name!r}]"
            if values.shape != var.shape:
                raise SpaceError(expected(at, f"shape {values.shape}", f"{var.shape} = {var.dims}"))
            if values.dtype.kind not in "biufc" or (values.dtype.kind == "c" and not var.is_complex):
                raise SpaceError(expected(at, f"dtype {values.dtype}", var.dtype))
            if not np.all(np.isfinite(values)):
                raise SpaceError(
                    expected(at, f"{int(np.sum(~np.isfinite(values)))} non-finite values", "finite numbers")
                )
            if not var.is_complex and (np.any(values < var.bounds[0]) or np.any(values > var.bounds[1])):
                worst = values.min() if np.any(values < var.bounds[0]) else values.max()
                raise SpaceError(expected(at, worst, f"values in [{var.bounds[0]:g}, {var.bounds[1]:g}] {var.units}"))
            checked[name] = values.astype(var.dtype)
        return checked

    def pack(self, tree: Tree) -> NDArray[np.float64]:
        """Flatten a tree into one real vector, for the dense linear algebra inside a solver; see `unpack`."""
        parts = []
        for name, var in self.items():
            flat = np.asarray(tree[name]).ravel()
            parts.append(np.concatenate([flat.real, flat.imag] if var.is_complex else [flat]).astype(float))
        return np.concatenate(parts) if parts else np.zeros(0)

    def unpack(self, vector: NDArray[np.float64]) -> dict[str, Array]:
        """Inverse of `pack`."""
        tree, at = {}, 0
        for name, var in self.items():
            n = var.size * (2 if var.is_complex else 1)
            part = vector[at : at + n]
            if var.is_complex:
                part = part[: var.size] + 1j * part[var.size :]
            tree[name] = part.reshape(var.shape).astype(var.dtype)
            at += n
        return tree

    def labels(self) -> list[str]:
        """Name of every entry of `pack`: ``"L"`` for a scalar, ``"x[3]"``, and ``.re`` / ``.im`` for complex ones."""
        names = []
        for name, var in self.items():
            index = [name if not var.shape else f"{name}[{','.join(map(str, i))}]" for i in np.ndindex(*var.shape)]
            names += [f"{i}{part}" for part in (".re", ".im") for i in index] if var.is_complex else index
        return names

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper bound of every entry of `pack`."""
        rows = [v.bounds for v in self.values() for _ in range(v.size * (2 if v.is_complex else 1))]
        table = np.array(rows, dtype=float).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def to_dataset(self, tree: Tree) -> xr.Dataset:
        """Return the tree as an xarray Dataset with units; complex variables become ``_re`` / ``_im`` pairs."""
        import xarray as xr

        data = {}
        for name, var in self.items():
            attrs = {"units": var.units, "long_name": var.long_name or name}
            values = np.asarray(tree[name])
            if var.is_complex:
                data[f"{name}_re"] = xr.DataArray(values.real, dims=var.dims, attrs=attrs)
                data[f"{name}_im"] = xr.DataArray(values.imag, dims=var.dims, attrs=attrs)
            else:
                data[name] = xr.DataArray(values, dims=var.dims, attrs=attrs)
        return xr.Dataset(data)

    def from_dataset(self, dataset: xr.Dataset, where: str = "dataset") -> dict[str, Array]:
        """Read a tree back from a Dataset, converting units, and check it.

        Raises
        ------
        SpaceError, UnitsError
            If a variable is missing, has other dims, or units of another dimension.
        """
        from retrodict.physics.units import convert

        tree: dict[str, Array] = {}
        for name, var in self.items():
            parts = [f"{name}_re", f"{name}_im"] if var.is_complex else [name]
            values = []
            for part in parts:
                if part not in dataset or set(dataset[part].dims) != set(var.dims):
                    got = dataset[part].dims if part in dataset else "nothing"
                    raise SpaceError(expected(f"{where}[{part!r}]", got, f"a variable with dims {var.dims}"))
                array = dataset[part].transpose(*var.dims)
                units = array.attrs.get("units", var.units)
                same = units == var.units
                values.append(array.values if same else convert(array.values, units, var.units, f"{where}[{part!r}]"))
            tree[name] = values[0] + 1j * values[1] if var.is_complex else values[0]
        return self.check(tree, where)
