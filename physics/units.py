"""Units at the borders: SI inside, conversion by pint when a value enters or leaves."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from retrodict.physics.errors import UnitsError, expected

if TYPE_CHECKING:
    import pint
    from numpy.typing import ArrayLike, NDArray

__all__ = ["convert", "registry"]


@cache
def registry() -> pint.UnitRegistry[float]:
    """Return the one unit registry of the process (built on first use: it takes a noticeable time).

    Returns
    -------
    pint.UnitRegistry
        Registry in which ``"1"`` and ``""`` are dimensionless.

    Examples
    --------
    >>> str(registry().parse_units("m s-1").dimensionality)
    '[length] / [time]'
    """
    import re

    import pint

    # CF writes powers as "m s-1"; pint wants "m*s**-1".
    power = re.compile(r"(?<=[A-Za-z])(?=[+-]?\d)")
    return pint.UnitRegistry(preprocessors=[lambda text: power.sub("**", text)])


def convert(values: ArrayLike, units: str, to: str, where: str = "value") -> NDArray[np.float64]:
    """Convert an array between units.

    Parameters
    ----------
    values : array_like
        Numbers in ``units``.
    units, to : str
        Units as CF or pint write them: ``"m s-1"``, ``"km/h"``, ``"1"``.
    where : str, optional
        Name that an error message shows.

    Returns
    -------
    ndarray of float64
        The same quantity in ``to``.

    Raises
    ------
    UnitsError
        If a unit is unknown or the dimensions differ.

    Examples
    --------
    >>> convert([36.0], "km/h", "m s-1")
    array([10.])
    """
    from tokenize import TokenError

    import pint

    ureg = registry()
    try:
        quantity = ureg.Quantity(np.asarray(values, dtype=float), ureg.parse_units(units))
        return np.asarray(quantity.to(ureg.parse_units(to)).magnitude, dtype=float)
    # pint lets the errors of its tokenizer and of lookups through for malformed units
    except (
        pint.errors.PintError,
        LookupError,
        AssertionError,
        AttributeError,
        ValueError,
        TypeError,
        SyntaxError,
        TokenError,
    ) as error:
        raise UnitsError(expected(where, f"units {units!r}", f"units convertible to {to!r}") + f" ({error})") from error
