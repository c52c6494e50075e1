"""Temperatures along a flame, as measured: checked, read from a file, or drawn from the exact solution."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.solvers.reference.phase_plane import phase_plane

__all__ = ["TemperatureData", "measured", "read_temperatures"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TemperatureData:
    """Temperatures along a flame.

    Parameters
    ----------
    x, T, std : ndarray, shape (n,)
        Places in m, temperatures and their standard deviations in K.

    Raises
    ------
    DataError
        If lengths differ, places do not ascend, a number is not finite, or a temperature or deviation not positive.

    Examples
    --------
    >>> TemperatureData(np.array([0.0, 1e-3]), np.array([298.0, -1.0]), np.ones(2))
    Traceback (most recent call last):
        ...
    retrodict.physics.errors.DataError: T: got -1.0, expected positive temperatures in K
    """

    x: Floats
    T: Floats
    std: Floats

    def __post_init__(self) -> None:
        shapes = {k: getattr(self, k).shape for k in ("x", "T", "std")}
        if len(set(shapes.values())) > 1 or self.x.ndim != 1 or not self.x.size:
            raise DataError(expected("TemperatureData", shapes, "three arrays of one length"))
        for name in ("x", "T", "std"):
            if not np.isfinite(getattr(self, name)).all():
                raise DataError(expected(name, "values that are not finite", "numbers"))
        if np.any(np.diff(self.x) <= 0):
            raise DataError(expected("x", "places that do not ascend", "ascending places in m"))
        if self.T.min() <= 0 or self.std.min() <= 0:
            name, wanted = ("T", "temperatures") if self.T.min() <= 0 else ("std", "standard deviations")
            raise DataError(expected(name, float(getattr(self, name).min()), f"positive {wanted} in K"))


def measured(
    mixture: SimplifiedMixture, rng: np.random.Generator, *, count: int = 10, noise: float = 0.01
) -> TemperatureData:
    """Return noisy temperatures at equidistant places, both ends included, from the phase plane.

    Parameters
    ----------
    mixture : SimplifiedMixture
        The truth.
    rng : numpy.random.Generator
        Source of the noise.
    count : int, optional
        Number of places.
    noise : float, optional
        Relative standard deviation.

    Returns
    -------
    TemperatureData
        ``T (1 + noise N(0, 1))``.

    Raises
    ------
    DataError
        If ``count`` is below 3 or ``noise`` not positive.

    Examples
    --------
    >>> measured(SimplifiedMixture(), np.random.default_rng(0), count=4).x
    array([0.    , 0.0005, 0.001 , 0.0015])
    """
    if count < 3 or not 0 < noise < np.inf:
        raise DataError(expected("measured", f"count {count}, noise {noise}", "at least 3 places, positive noise"))
    x = np.linspace(0.0, mixture.length, count)
    T = phase_plane(mixture).temperature(x)
    seen = T * (1 + noise * rng.standard_normal(count))
    # what a laboratory knows is the noise of what it saw
    return TemperatureData(x, seen, noise * np.abs(seen))


def read_temperatures(path: Path, noise: float | None, length: float) -> TemperatureData:
    r"""Read temperatures along a flame.

    Parameters
    ----------
    path : Path
        CSV with the titles ``x`` (m), ``T`` (K) and perhaps ``std`` (K), in any order.
    noise : float or None
        Relative standard deviation where the file has none; such a file is refused without it.
    length : float
        Of the domain, in m.

    Returns
    -------
    TemperatureData
        In ascending order of x.

    Raises
    ------
    DataError
        If columns are missing, a value is no number, or a place is outside of the domain.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "seen.csv"
    >>> count = path.write_text("x,T\n1e-3,4800\n5e-4,3000\n")
    >>> read_temperatures(path, 0.01, 1.5e-3).T
    array([3000., 4800.])
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(expected(str(path), "no readable text", "CSV with the titles x, T and perhaps std")) from error
    rows = list(csv.DictReader(text.splitlines(), skipinitialspace=True))
    titles = set(rows[0]) if rows else set()
    if not {"x", "T"} <= titles or not titles <= {"x", "T", "std"}:
        got = f"titles {sorted(map(str, titles))}" if rows else "no rows"
        raise DataError(expected(str(path), got, "the titles x (m), T (K) and perhaps std (K)"))
    table: dict[str, list[float]] = {k: [] for k in titles}
    for number, row in enumerate(rows, 2):
        for name in titles:
            try:
                table[name].append(float(row[name]))
            except (TypeError, ValueError):
                raise DataError(expected(f"{path}, line {number}, {name}", repr(row[name]), "a number")) from None
    x, T = np.array(table["x"]), np.array(table["T"])
    if not np.all((x >= 0) & (x <= length)):
        raise DataError(expected(f"{path}: x", (float(x.min()), float(x.max())), f"places in [0, {length:g}] m"))
    if "std" not in titles and noise is None:
        raise DataError(expected(f"{path}: titles", sorted(titles), "a column std (K), or the noise given"))
    std = np.array(table["std"]) if noise is None or "std" in titles else noise * np.abs(T)
    order = np.argsort(x)
    return TemperatureData(x[order], T[order], std[order])
