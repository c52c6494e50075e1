"""Logs of one driven vehicle as CSV: time, speed, yaw rate, and where recorded the steering angle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from tokenize import TokenError

import numpy as np
import xarray as xr

from retrodict.physics.errors import ConfigError, DataError, UnitsError, expected
from retrodict.physics.motion.tracks.assembly import UNITS, track_set
from retrodict.physics.motion.tracks.checks import Limits
from retrodict.physics.motion.tracks.damage import Damage, RecordError
from retrodict.physics.motion.tracks.literals import comma_separated, number
from retrodict.physics.motion.tracks.samples import Bodies, Column, Origin, SampleList, Samples
from retrodict.physics.motion.tracks.source import Source
from retrodict.physics.units import convert

__all__ = ["QUANTITIES", "REQUIRED", "read_drive_log"]

QUANTITIES = ("time", "speed", "yaw_rate", "steering", "x", "y", "heading", "acceleration")

REQUIRED = ("time", "speed", "yaw_rate")

_TITLE = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*)\s*\[([A-Za-z0-9 /*^.°µ-]{1,40})\]\s*")

# What pint raises at text that is no unit, beside its own exceptions.
_UNIT_FAILURES = (UnitsError, TokenError, SyntaxError, ArithmeticError, AssertionError, KeyError)

# A log may integrate its heading over many turns.
_LIMITS = Limits(heading=1e4)


def read_drive_log(source: Source, damage: Damage, columns: Mapping[str, tuple[str, str]] | None = None) -> xr.Dataset:
    r"""Read a log.

    Parameters
    ----------
    source : Source
        CSV with a header.
    damage : Damage
        Receives damaged lines.
    columns : mapping of str to (str, str), optional
        For each quantity the title of its column and its unit, for example ``{"speed": ("v_kmh", "km/h")}``. Other
        columns are not read. Default: the header names quantity and unit itself, as in
        ``time[s],speed[km/h],yaw_rate[deg/s],steering[rad]``; then every column must be a known quantity.

    Returns
    -------
    xarray.Dataset
        Track set with the one track ``"log"`` and no positions unless the log has x and y. The time may be
        non-uniform.

    Raises
    ------
    DataError
        If a required column is missing, a title or a unit in the header is wrong, or no line is usable; at the first
        damaged line in the mode "raise".
    ConfigError
        If ``columns`` names an unknown quantity or lacks a required one.
    UnitsError
        If a unit in ``columns`` is wrong.

    Examples
    --------
    >>> text = b"time[ms],speed[km/h],yaw_rate[deg/s]\n0,36,0\n100,36,9\n"
    >>> log = read_drive_log(Source("a.csv", text), Damage("a.csv", "raise"))
    >>> log["speed"].values
    array([[10., 10.]])
    """
    lines = source.lines(damage)
    try:
        _, text = next(lines)
        titles = comma_separated(text)
    except (StopIteration, RecordError) as error:
        raise DataError(expected(f"{source.name}, header", error or "nothing", "a line of column titles")) from error
    wanted = _declared(titles, source.name) if columns is None else _mapped(titles, columns, source.name)
    rows = SampleList("line")
    for line, text in lines:
        try:
            fields = comma_separated(text, len(titles))
            values = {name: number(fields[at], name) for name, (at, _) in wanted.items()}
        except RecordError as error:
            damage.add(f"line {line}", error.got, error.wanted)
            continue
        rows.append(0, values.pop("time"), line, **values)
    raw = rows.finish([name for name in wanted if name != "time"])
    si = {name: _si(values, wanted[name][1], name, source.name, columns) for name, values in raw.columns.items()}
    time = _si(raw.time, wanted["time"][1], "time", source.name, columns)
    samples = Samples(raw.track, time, raw.record, si, raw.missing, raw.unit)
    origin = Origin("drive-log", source.name, source.sha256, "point", None)
    return track_set(samples, Bodies(["log"], ["vehicle"]), origin, damage, _LIMITS)


def _declared(titles: list[str], file: str) -> dict[str, tuple[int, str]]:
    """Return column and unit of each quantity as the header names them."""
    known = "quantity[unit] with a quantity of " + ", ".join(QUANTITIES)
    found: dict[str, tuple[int, str]] = {}
    for at, title in enumerate(titles):
        match = _TITLE.fullmatch(title)
        if match is None or match[1] not in QUANTITIES:
            raise DataError(expected(f"{file}, header, column {at + 1}", repr(title[:60]), known))
        if match[1] in found:
            raise DataError(expected(f"{file}, header", f"{match[1]} twice", "each quantity once"))
        found[match[1]] = (at, match[2])
    absent = [name for name in REQUIRED if name not in found]
    if absent:
        raise DataError(expected(f"{file}, header", f"no column {', '.join(absent)}", ", ".join(REQUIRED)))
    return found


def _mapped(titles: list[str], columns: Mapping[str, tuple[str, str]], file: str) -> dict[str, tuple[int, str]]:
    """Return column and unit of each quantity as the caller names them."""
    if unknown := sorted(set(columns) - set(QUANTITIES)):
        raise ConfigError(expected("columns", ", ".join(unknown), "quantities of " + ", ".join(QUANTITIES)))
    if absent := [name for name in REQUIRED if name not in columns]:
        raise ConfigError(expected("columns", f"no {', '.join(absent)}", ", ".join(REQUIRED)))
    found: dict[str, tuple[int, str]] = {}
    for name, (title, unit) in columns.items():
        if titles.count(title) != 1:
            got = f"{titles.count(title)} columns {title!r}"
            raise DataError(expected(f"{file}, header", got, f"one, for {name}"))
        found[name] = (titles.index(title), unit)
    return found


def _si(values: Column, unit: str, name: str, file: str, columns: object) -> Column:
    where = f"{file}, column {name}"
    try:
        with np.errstate(over="ignore"):
            return np.asarray(convert(values, unit, UNITS[name], where), dtype=float)
    except _UNIT_FAILURES as error:
        if columns is not None and isinstance(error, UnitsError):
            raise
        raise DataError(expected(where, f"unit {unit!r}", f"a unit convertible to {UNITS[name]!r}")) from error
