"""The one form of a reference solution ``u(x, t)`` on a grid, and the checks that bring it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Layout", "as_reference", "assemble"]

Layout = Literal["xt", "tx"]
"""Which axis of a field comes first."""


def as_reference(dataset: xr.Dataset, where: str = "dataset") -> xr.Dataset:
    """Check a Dataset and bring it to the form that `read_reference` returns.

    Parameters
    ----------
    dataset : xarray.Dataset
        Coordinates `x` and `t`; variables with both dims in any order become fields, scalars attributes.
    where : str, optional
        Its name in errors.

    Returns
    -------
    xarray.Dataset
        See `read_reference`; attributes are kept.

    Raises
    ------
    DataError
        If a coordinate is missing, or the content is not finite or not on a grid.

    Examples
    --------
    >>> import xarray as xr
    >>> u = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], {"t": [0.0, 1.0], "x": [1.0, 0.0]}, ("t", "x"))
    >>> as_reference(u.to_dataset(name="u"))["u"].values.tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    if not {"x", "t"} <= set(dataset.coords):
        raise DataError(expected(where, f"coordinates {sorted(map(str, dataset.coords))}", "x and t"))
    fields = {str(name): field for name, field in dataset.data_vars.items() if field.ndim}
    for name, field in fields.items():
        if set(field.dims) != {"x", "t"}:
            raise DataError(expected(f"{where}: {name}", f"dims {field.dims}", "x and t"))
    units = {name: str(field.attrs.get("units", "1")) for name, field in fields.items()}
    values = {name: field.transpose("x", "t").values for name, field in fields.items()}
    result = assemble(where, dataset["x"].values, dataset["t"].values, values, "xt", units)
    return result.assign_attrs(dataset.attrs)


def assemble(
    where: str, x: Any, t: Any, fields: Mapping[str, Any], layout: Layout | None, units: Mapping[str, str]
) -> xr.Dataset:
    """Check axes and fields, and sort them.

    Parameters
    ----------
    where : str
        The file, for errors.
    x, t : ndarray, shapes (X,) and (T,)
        Coordinates, strictly monotone.
    fields : mapping of ndarray
        Of shape (X, T) or (T, X).
    layout : {"xt", "tx"}, optional
        Needed if ``X == T``.
    units : mapping of str
        Of the fields; ``"1"`` where absent.

    Returns
    -------
    xarray.Dataset
        As `retrodict.physics.pde.reference_files.read_reference` describes.

    Raises
    ------
    DataError
        If anything is missing, not real, not finite, not monotone or of another shape.

    Examples
    --------
    >>> assemble("a", np.array([0.0, 1.0]), np.array([0.0, 1.0]), {"u": np.eye(2)}, None, {})
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: a: u: got shape (2, 2), which may be transposed, expected a layout, 'xt' or 'tx', to be given
    """  # noqa: E501 - a message has one line
    import xarray as xr

    if not fields:
        raise DataError(expected(where, "no field", "at least one next to x and t"))
    x, t = _axis(where, "x", x), _axis(where, "t", t)
    order = {"x": slice(None, None, 1 if x[0] < x[-1] else -1), "t": slice(None, None, 1 if t[0] < t[-1] else -1)}
    variables = {}
    for name, field in fields.items():
        values = _real(f"{where}: {name}", field)
        if values.shape not in ((len(x), len(t)), (len(t), len(x))):
            got, wanted = f"shape {values.shape}", f"{len(x)} x-values by {len(t)} times in one order or the other"
            raise DataError(expected(f"{where}: {name}", got, wanted))
        if len(x) == len(t) and layout is None:
            got = f"shape {values.shape}, which may be transposed"
            raise DataError(expected(f"{where}: {name}", got, "a layout, 'xt' or 'tx', to be given"))
        turned = layout == "tx" or (layout is None and values.shape != (len(x), len(t)))
        values = values.T if turned else values
        if values.shape != (len(x), len(t)):
            raise DataError(expected(f"{where}: {name}", f"shape {values.shape[::-1]}", f"layout {layout}"))
        sorted_values = np.ascontiguousarray(values[order["x"], order["t"]])
        variables[name] = (("x", "t"), sorted_values, {"units": units.get(name, "1")})
    return xr.Dataset(variables, {"x": x[order["x"]], "t": t[order["t"]]})


def _axis(where: str, name: str, values: Any) -> NDArray[np.float64]:
    axis = _real(f"{where}: {name}", values)
    if axis.ndim != 1 or len(axis) < 2:
        raise DataError(expected(f"{where}: {name}", f"shape {axis.shape}", "a line of at least two values"))
    steps = np.diff(axis)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise DataError(expected(f"{where}: {name}", "values that go back and forth", "strictly monotone values"))
    return axis


def _real(where: str, values: Any) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise DataError(expected(where, f"dtype {array.dtype}", "real numbers"))
    wide = array.astype(np.float64)
    if not np.isfinite(wide).all():
        raise DataError(expected(where, f"{int((~np.isfinite(wide)).sum())} values not finite", "finite values"))
    return wide
