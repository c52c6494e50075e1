"""Point samples of a field: where, when, what was seen, and how well."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.physics.decoding import decoding
from retrodict.physics.errors import DataError, expected
from retrodict.physics.spaces import Space, Var

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Samples", "read_samples"]

Floats = NDArray[np.float64]
_COLUMNS = ("x", "t", "u")
_LARGEST = 1e50  # of values, and of the inverse of standard deviations


@dataclass(frozen=True, eq=False)
class Samples:
    """Noisy values of a field at points.

    Parameters
    ----------
    x, t, u : ndarray, shape (n,)
        Places, times and values.
    sigma : ndarray, shape (n,), or float
        Standard deviation of the noise.
    where : str, optional
        Their origin, for errors.

    Raises
    ------
    DataError
        If there is no sample, lengths differ, a number is not finite, a standard deviation is not positive,
        or a number is so large, or a standard deviation so small, that sums of squares overflow.

    Examples
    --------
    >>> Samples(np.array([0.0, 1.0]), np.array([0.0, 0.5]), np.array([1.0, 2.0]), 0.1).sigma
    array([0.1, 0.1])
    """

    x: Floats
    t: Floats
    u: Floats
    sigma: Any
    where: str = "samples"

    def __post_init__(self) -> None:
        x = np.asarray(self.x)
        if x.ndim != 1 or x.size == 0:
            raise DataError(expected(self.where, f"x of shape {x.shape}", "a line of at least one sample"))
        for name in (*_COLUMNS, "sigma"):
            values = np.asarray(getattr(self, name))
            if values.dtype.kind not in "iuf":
                raise DataError(expected(f"{self.where}: {name}", f"dtype {values.dtype}", "real numbers"))
            if values.shape != x.shape and not (name == "sigma" and values.ndim == 0):
                raise DataError(expected(f"{self.where}: {name}", f"shape {values.shape}", f"{x.shape}, as x"))
            values = np.array(np.broadcast_to(values, x.shape), dtype=float)
            if not np.isfinite(values).all():
                at = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(expected(f"{self.where}: {name}[{at}]", values[at], "a finite number"))
            object.__setattr__(self, name, values)
        if not (self.sigma > 0).all():
            at = int(np.flatnonzero(~(self.sigma > 0))[0])
            raise DataError(expected(f"{self.where}: sigma[{at}]", self.sigma[at], "a positive number"))
        for name in (*_COLUMNS, "sigma"):
            values = np.abs(getattr(self, name))
            beyond = np.flatnonzero((values > _LARGEST) | ((name == "sigma") & (values < 1 / _LARGEST)))
            if beyond.size:
                at, wanted = int(beyond[0]), f"a magnitude whose square is a number, up to {_LARGEST:g}"
                raise DataError(expected(f"{self.where}: {name}[{at}]", getattr(self, name)[at], wanted))

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.x)

    def inside(self, coords: Space) -> Samples:
        """Return the samples, if all times lie in the time of a system.

        Raises
        ------
        DataError
            Naming the first that does not.
        """
        low, high = coords["t"].bounds
        outside = np.flatnonzero((self.t < low) | (self.t > high))
        if outside.size:
            at = int(outside[0])
            raise DataError(expected(f"{self.where}: t[{at}]", self.t[at], f"a time in [{low:g}, {high:g}]"))
        return self

    def observation(self) -> Observation:
        """Return the values as an observation with Gaussian noise."""
        space = Space({"u": Var(("sample",), (self.count,))})
        return Observation(space, {"u": self.u}, {"u": Gaussian(self.sigma)}, provenance={"source": self.where})

    def to_dataset(self) -> xr.Dataset:
        """Return the samples as a Dataset over ``sample``; `read_samples` reads what is saved of it."""
        import xarray as xr

        data = {k: ("sample", getattr(self, k), {"units": "1"}) for k in (*_COLUMNS, "sigma")}
        return xr.Dataset(data)

    @classmethod
    def of(cls, dataset: xr.Dataset, sigma: float | None = None, where: str = "samples") -> Samples:
        """Return the samples of a Dataset.

        Parameters
        ----------
        dataset : xarray.Dataset
            Variables `x`, `t`, `u` of one dimension, and perhaps `sigma`.
        sigma : float, optional
            Where the Dataset has none.
        where : str, optional
            Its name in errors.

        Raises
        ------
        DataError
            If one is missing, or as `Samples`.
        """
        names = set(map(str, dataset.variables))
        if lacking := [k for k in _COLUMNS if k not in names]:
            raise DataError(expected(where, f"variables {sorted(names)}", f"x, t and u; {', '.join(lacking)} missing"))
        if "sigma" not in names and sigma is None:
            raise DataError(expected(where, "no sigma", "one in the data, or the noise given"))
        noise = dataset["sigma"].values if "sigma" in names else sigma
        x, t, u = (dataset[k].values for k in _COLUMNS)
        return cls(x, t, u, noise, where)


def read_samples(path: Path, sigma: float | None = None) -> Samples:
    r"""Read samples from CSV or NetCDF.

    Parameters
    ----------
    path : Path
        CSV with the titles ``x,t,u`` and perhaps ``sigma`` in any order, or NetCDF with variables of these names.
    sigma : float, optional
        Standard deviation of the noise, where the file has none.

    Returns
    -------
    Samples
        Checked.

    Raises
    ------
    DataError
        If the file is missing, empty, damaged or has other columns, or a value is not a finite number.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "seen.csv"
    >>> count = path.write_text("t,x,u\n0.5,1.0,0.25\n")
    >>> read_samples(path, 0.1).u
    array([0.25])
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        got = f"no readable file ({error.strerror})"
        raise DataError(expected(str(path), got, "samples as CSV or NetCDF")) from error
    if raw.startswith((b"\x89HDF", b"CDF")):
        return Samples.of(_netcdf(path), sigma, str(path))
    return _csv(path, raw, sigma)


def _netcdf(path: Path) -> xr.Dataset:
    import xarray as xr

    from retrodict.solvers.result import is_sealed, load_dataset

    if is_sealed(path):
        return load_dataset(path)
    with decoding(path, "a NetCDF file"), xr.open_dataset(path, engine="netcdf4") as dataset:
        return dataset.load()


def _csv(path: Path, raw: bytes, sigma: float | None) -> Samples:
    try:
        text = raw.decode("utf-8-sig")
        lines = list(csv.reader(StringIO(text), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(expected(str(path), f"text that is no CSV ({error})", "columns x, t, u")) from error
    rows = [(i, [w.strip() for w in line]) for i, line in enumerate(lines, 1) if any(w.strip() for w in line)]
    if not rows:
        raise DataError(expected(str(path), "an empty file", "columns x, t, u"))
    titles = rows[0][1]
    known = {*_COLUMNS, "sigma"}
    if not set(_COLUMNS) <= set(titles) or not set(titles) <= known or len(set(titles)) != len(titles):
        raise DataError(expected(f"{path}, header", titles, "the titles x, t, u and perhaps sigma, each once"))
    table = []
    for number, words in rows[1:]:
        if len(words) != len(titles):
            raise DataError(expected(f"{path}:{number}", f"{len(words)} values", len(titles)))
        table.append([_number(f"{path}:{number}", word) for word in words])
    if not table:
        raise DataError(expected(str(path), "no line below the header", "at least one sample"))
    columns = dict(zip(titles, np.array(table, dtype=float).T, strict=True))
    if "sigma" not in columns and sigma is None:
        raise DataError(expected(f"{path}, header", titles, "a column sigma, or the noise given"))
    return Samples(columns["x"], columns["t"], columns["u"], columns.get("sigma", sigma), str(path))


def _number(where: str, word: str) -> float:
    try:
        # Python's own literals may hold underscores and foreign digits
        if "_" in word or not word.isascii():
            raise ValueError(word)  # noqa: TRY301 - one way out
        return float(word)
    except ValueError as error:
        raise DataError(expected(where, repr(word), "a number")) from error
