"""The verb ``compare``: how two runs differ in settings, status, numbers, verdicts and timings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.cases.origin import stored
from retrodict.cases.record import RunFolder, read_only
from retrodict.cases.toml import setting_text
from retrodict.physics.errors import ConfigError, expected
from retrodict.solvers.files import read_json
from retrodict.solvers.result import load_dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Comparison", "Difference", "compare"]

_FILES = ("result.nc", "history.nc", "posterior.nc", "diagnostics.nc")


@dataclass(frozen=True)
class Difference:
    """One line of a comparison.

    Parameters
    ----------
    what : str
        Setting, file and variable, or check.
    first, second : str
        What each run has.
    equal : bool
        Whether they agree within the tolerance.
    absolute, relative : float or None
        Largest difference of a variable, absolute and relative to the largest value.
    informative : bool
        Shown, but no reason to call the runs different: timings and versions.
    """

    what: str
    first: str
    second: str
    equal: bool
    absolute: float | None = None
    relative: float | None = None
    informative: bool = False


@dataclass(frozen=True)
class Comparison:
    """All lines; ``equal`` if no line that counts differs.

    Parameters
    ----------
    rows : tuple of Difference
        The lines.
    """

    rows: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether the runs agree."""
        return all(r.equal or r.informative for r in self.rows)


def compare(first: Path, second: Path, *, rtol: float = 0.0) -> Comparison:
    """Compare two run folders.

    Parameters
    ----------
    first, second : Path
        Run folders.
    rtol : float, optional
        Largest difference of a variable, relative to its largest value, that counts as equal; 0: to the last bit.

    Returns
    -------
    Comparison
        Settings that differ, status, every variable, every verdict, timings.

    Raises
    ------
    DataError
        If one is not a run folder or a file has changed since its run.
    ConfigError
        If ``rtol`` is negative.

    Examples
    --------
    >>> compare(Path("no/such/run"), Path("nor/this"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: no/such/run: got no provenance.json, expected a run folder
    """
    if not (math.isfinite(rtol) and rtol >= 0):
        raise ConfigError(expected("--rtol", rtol, "a finite number >= 0"))
    with read_only(first) as one:
        if first.resolve() == second.resolve():
            return Comparison(tuple(_rows(one, one, rtol)))
        with read_only(second) as two:
            return Comparison(tuple(_rows(one, two, rtol)))


def _rows(one: RunFolder, two: RunFolder, rtol: float) -> Iterator[Difference]:
    for key in ("case", "verb", "preset", "seed", "status"):
        a, b = str(one.provenance[key]), str(two.provenance[key])
        if a != b or key in ("case", "status"):
            yield Difference(key, a, b, a == b, informative=key in ("preset", "seed") and a != b)
    a, b = (str((f.provenance.get("assessment") or {"word": ""})["word"]) for f in (one, two))
    if a or b:
        yield Difference("assessment", a or "–", b or "–", a == b)
    told = ["; ".join(map(str, stored(f.provenance))) for f in (one, two)]
    if told[0] != told[1]:
        yield Difference("data", told[0], told[1], equal=False)
    yield from _settings(one, two)
    for name in _FILES:
        yield from _datasets(name, one.path / name, two.path / name, rtol)
    yield from _verdicts(one.path, two.path)
    first, second = (f"{f.provenance['seconds'] or 0.0:.2f} s" for f in (one, two))
    yield Difference("time", first, second, first == second, informative=True)
    for key in ("retrodict", "git", "python", "platform", "processor", "threads"):
        a, b = (str(f.provenance.get(key, "–")) for f in (one, two))
        if a != b:
            yield Difference(key, a, b, equal=False, informative=True)


def _settings(one: RunFolder, two: RunFolder) -> Iterator[Difference]:
    tables = [{s["name"]: s["value"] for s in f.provenance["settings"]} for f in (one, two)]
    for key in dict.fromkeys([*tables[0], *tables[1]]):
        a, b = (setting_text(t.get(key)) for t in tables)
        if a != b:
            yield Difference(f"setting {key}", a, b, equal=False)


def _datasets(name: str, first: Path, second: Path, rtol: float) -> Iterator[Difference]:
    there = (first.exists(), second.exists())
    if not any(there):
        return
    if not all(there):
        a, b = ("present" if t else "absent" for t in there)
        yield Difference(name, a, b, equal=False)
        return
    one, two = load_dataset(first), load_dataset(second)
    for variable in dict.fromkeys([*map(str, one.variables), *map(str, two.variables)]):
        yield _variable(f"{name} {variable}", one, two, variable, rtol)


def _variable(what: str, one: xr.Dataset, two: xr.Dataset, name: str, rtol: float) -> Difference:
    import numpy as np

    if name not in one.variables or name not in two.variables:
        left, right = ("present" if name in d.variables else "absent" for d in (one, two))
        return Difference(what, left, right, equal=False)
    a, b = one[name].values, two[name].values
    shapes = str(a.shape), str(b.shape)
    if a.shape != b.shape or one[name].dims != two[name].dims:
        return Difference(what, *shapes, equal=False)
    left, right = (str(d[name].attrs.get("units", "")) for d in (one, two))
    if left != right:
        return Difference(f"{what} units", left, right, equal=False)
    if a.dtype.kind not in "iufb" or b.dtype.kind not in "iufb":
        return Difference(what, *shapes, equal=bool(np.array_equal(a.astype(str), b.astype(str))))
    a, b = a.astype(float), b.astype(float)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return Difference(what, *shapes, True, 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0.0, np.abs(a - b))
    absolute = math.inf if np.isnan(gap).any() else float(gap.max())
    scale = float(max(np.nanmax(np.abs(a), initial=0.0), np.nanmax(np.abs(b), initial=0.0)))
    relative = absolute / scale if scale > 0 and math.isfinite(scale) else math.inf
    return Difference(what, *shapes, relative <= rtol, absolute, relative)


def _verdicts(first: Path, second: Path) -> Iterator[Difference]:
    tables: list[Mapping[str, Any]] = []
    for path in (first, second):
        file = path / "verdicts.json"
        tables.append({v["name"]: v["passed"] for v in read_json(file)} if file.exists() else {})
    words = {True: "passed", False: "failed", None: "absent"}
    for name in dict.fromkeys([*tables[0], *tables[1]]):
        a, b = (words[t.get(name)] for t in tables)
        yield Difference(f"check {name}", a, b, equal=a == b)
