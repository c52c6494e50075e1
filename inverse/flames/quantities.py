"""Numbers of ChemKED files: strings with units, alone or at the head of a list."""

from __future__ import annotations

import math
import re
from typing import Any

from retrodict.physics.errors import DataError, UnitsError, expected
from retrodict.physics.units import convert

__all__ = ["amount", "quantity"]

_QUANTITY = re.compile(
    r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)|\.nan)\s*(.*?)\s*", re.IGNORECASE
)
# spellings that occur in the database and that the unit registry does not know
_SPELLINGS = {"Torr": "torr", "unitless": "", "dimensionless": ""}


def quantity(raw: Any, to: str, where: str) -> float:
    """Return a value with units as a number in other units.

    Parameters
    ----------
    raw : str or list
        ``"18.64 cm/s"``, or a list that starts with such a string. A number without units is taken only where none
        are wanted.
    to : str
        Units of the result, ``"1"`` for none.
    where : str
        File, datapoint and field, for errors.

    Raises
    ------
    UnitsError
        If units are missing or cannot be converted.
    DataError
        If there is no number, or it is not finite.

    Examples
    --------
    >>> quantity(["20 kPa"], "Pa", "pressure")
    20000.0
    """
    text = raw[0] if isinstance(raw, list) and raw else raw
    found = (
        _QUANTITY.fullmatch(str(text)) if isinstance(text, str | int | float) and not isinstance(text, bool) else None
    )
    if found is None:
        raise DataError(expected(where, repr(raw), "a number with units"))
    number, units = float(found[1].lstrip(".") if "nan" in found[1].lower() else found[1]), found[2]
    if not math.isfinite(number):
        raise DataError(expected(where, repr(text), "a finite number"))
    if not units and to != "1":
        raise UnitsError(expected(where, f"{text!r} without units", f"units convertible to {to!r}"))
    return float(convert(number, _SPELLINGS.get(units, units), to, where))


def amount(raw: Any, where: str) -> float:
    """Return the amount of a species, a number without units.

    Raises
    ------
    UnitsError
        If it has units of a dimension.
    DataError
        If there is no number, or it is not finite.

    Examples
    --------
    >>> amount([0.25], "amount")
    0.25
    """
    return quantity(raw, "1", where)
