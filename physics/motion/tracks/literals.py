"""Numbers as text: stricter than Python's own, which take underscores, foreign digits and nan."""

from __future__ import annotations

import csv
import math
import re

from retrodict.physics.motion.tracks.damage import RecordError

__all__ = ["blank_separated", "comma_separated", "integer", "number"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)


def number(text: str, name: str) -> float:
    """Read a finite decimal number.

    Parameters
    ----------
    text : str
        The text, without blanks around it.
    name : str
        What the number means, for the message.

    Returns
    -------
    float
        The number.

    Raises
    ------
    RecordError
        If the text is no finite decimal number.

    Examples
    --------
    >>> number("-1.5e2", "speed")
    -150.0
    """
    if not _NUMBER.fullmatch(text):
        raise RecordError(repr(text), f"a decimal number for {name}")
    value = float(text)
    if not math.isfinite(value):
        raise RecordError(text, f"a finite number for {name}")
    return value


def integer(text: str, name: str) -> int:
    """Read a whole number, also one written as ``"12.0"``.

    Parameters
    ----------
    text : str
        The text, without blanks around it.
    name : str
        What the number means, for the message.

    Returns
    -------
    int
        The number, exact: its magnitude is below 2**53.

    Raises
    ------
    RecordError
        If the text is no whole number of that size.

    Examples
    --------
    >>> integer("780.0", "frame")
    780
    """
    value = number(text, name)
    if not value.is_integer() or abs(value) >= 2**53:
        raise RecordError(text, f"a whole number for {name}")
    return int(value)


def blank_separated(text: str, count: int) -> list[str]:
    """Split a line at blanks and tabs.

    Parameters
    ----------
    text : str
        The line.
    count : int
        Number of fields that it must have.

    Returns
    -------
    list of str
        The fields.

    Raises
    ------
    RecordError
        If there are more or fewer.

    Examples
    --------
    >>> blank_separated("780  1.0 8.46 3.59", 4)
    ['780', '1.0', '8.46', '3.59']
    """
    fields = re.split(r"[ \t]+", text.strip(" \t"))
    if len(fields) != count:
        raise RecordError(f"{len(fields)} fields", f"{count} fields")
    return fields


def comma_separated(text: str, count: int | None = None) -> list[str]:
    """Split a line of CSV (RFC 4180) and strip blanks around the fields.

    Parameters
    ----------
    text : str
        The line.
    count : int, optional
        Number of fields that it must have.

    Returns
    -------
    list of str
        The fields, without quotes.

    Raises
    ------
    RecordError
        If there are more or fewer, or a quote is out of place.

    Examples
    --------
    >>> comma_separated('1, "2,000"', 2)
    Traceback (most recent call last):
    retrodict.physics.motion.tracks.damage.RecordError: got 3 fields, expected 2 fields
    >>> comma_separated('1,"2,000"', 2)
    ['1', '2,000']
    """
    try:
        fields = [field.strip(" \t") for field in next(csv.reader([text], strict=True))]
    except csv.Error as error:
        raise RecordError(str(error), "a line of comma-separated fields") from error
    if count is not None and len(fields) != count:
        raise RecordError(f"{len(fields)} fields", f"{count} fields")
    return fields
