"""Lines of NGSIM files, text or CSV, as rows of numbers in the units of the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.tracks.damage import Damage, RecordError
from retrodict.physics.motion.tracks.literals import blank_separated, comma_separated, integer, number
from retrodict.physics.motion.tracks.source import Source

__all__ = ["COLUMNS", "LOCATIONS", "NUMBERS", "Lines", "read_lines"]

LOCATIONS = ("us-101", "i-80", "lankershim", "peachtree")

COLUMNS = (
    "Vehicle_ID",
    "Frame_ID",
    "Total_Frames",
    "Global_Time",
    "Local_X",
    "Local_Y",
    "Global_X",
    "Global_Y",
    "v_Length",
    "v_Width",
    "v_Class",
    "v_Vel",
    "v_Acc",
    "Lane_ID",
    "Preceding",
    "Following",
    "Space_Headway",
    "Time_Headway",
)

NUMBERS = (
    "vehicle_id",
    "frame_id",
    "total_frames",
    "global_time",
    "v_class",
    "local_x",
    "local_y",
    "v_length",
    "v_width",
    "v_vel",
    "v_acc",
)

_WHOLE = 5
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?", re.ASCII)


@dataclass
class Lines:
    """Rows of a file.

    Parameters
    ----------
    line : list of int
        Line of each row.
    location : list of str
        Location of each row, empty where the format has none.
    values : list of tuple of float
        The `NUMBERS` of each row, feet and milliseconds.
    ordered : bool
        Whether the format lists each vehicle in order of time: the text does, the CSV does not.

    Examples
    --------
    >>> Lines().ordered
    True
    """

    line: list[int] = field(default_factory=list)
    location: list[str] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    ordered: bool = True


def read_lines(source: Source, damage: Damage) -> Lines:
    """Read all lines.

    Parameters
    ----------
    source : Source
        Text of 18 columns without header, or CSV with a header.
    damage : Damage
        Receives damaged lines.

    Returns
    -------
    Lines
        The rows, in the order of the file.

    Raises
    ------
    DataError
        If a column is missing or named twice; at the first damaged line in the mode "raise".

    Examples
    --------
    >>> text = b"2 13 437 1118846980200 16.4 35.3 6451137.6 1873344.9 14.5 4.9 2 40.0 0.5 2 0 0 0.0 0.0"
    >>> read_lines(Source("a.txt", text), Damage("a.txt", "raise")).values[0][:3]
    (2.0, 13.0, 437.0)
    """
    rows = Lines()
    split: Callable[[str, int], list[str]] = blank_separated
    width = len(COLUMNS)
    at, place = [[name.lower() for name in COLUMNS].index(name) for name in NUMBERS], -1
    for order, (line, text) in enumerate(source.lines(damage)):
        if order == 0 and "vehicle_id" in text.lower():
            header = _header(text, source.name)
            width, at = len(header), [header.index(name) for name in NUMBERS]
            place = header.index("location") if "location" in header else -1
            split, rows.ordered = comma_separated, False
            continue
        try:
            fields = split(text, width)
            values = tuple(_number(fields[i], NUMBERS[k], k < _WHOLE) for k, i in enumerate(at))
            location = _location(fields[place]) if place >= 0 else ""
        except RecordError as error:
            damage.add(f"line {line}", error.got, error.wanted)
            continue
        rows.line.append(line)
        rows.location.append(location)
        rows.values.append(values)
    return rows


def _header(text: str, file: str) -> list[str]:
    try:
        header = [name.lower() for name in comma_separated(text)]
    except RecordError as error:
        raise DataError(expected(f"{file}, header", error.got, error.wanted)) from error
    # The CSV of one place has the 18 columns of the text; what joins several places must name them.
    needed = [*NUMBERS, "location"] if len(header) > len(COLUMNS) else list(NUMBERS)
    absent = [name for name in needed if name not in header]
    if absent:
        raise DataError(expected(f"{file}, header", f"no column {', '.join(absent)}", "columns " + ", ".join(needed)))
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(expected(f"{file}, header", f"column {', '.join(twice)} more than once", "each column once"))
    return header


def _number(text: str, name: str, whole: bool) -> float:
    # Some exports of the published CSV group the digits by thousands inside quotes.
    if "," in text and _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    return float(integer(text, name)) if whole else number(text, name)


def _location(text: str) -> str:
    if text.lower() not in LOCATIONS:
        raise RecordError(repr(text), "a Location of " + ", ".join(LOCATIONS))
    return text.lower()
