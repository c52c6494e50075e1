"""Mixtures as a user names them: amounts by species, fuel and oxidizer, with errors that help."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.flames.cantera_errors import reason

__all__ = ["mixed", "parsed"]


def parsed(amounts: str | Mapping[str, float], species: Sequence[str], where: str) -> dict[str, float]:
    """Return mole amounts by species.

    Parameters
    ----------
    amounts : str or Mapping of str to float
        As ``"O2:1, N2:3.76"``, ``"CH4"`` or a mapping.
    species : sequence of str
        Known names.
    where : str
        What the amounts are, for messages.

    Returns
    -------
    dict of str to float
        Amounts.

    Raises
    ------
    DataError
        If a name is unknown (the nearest are told) or named twice, or amounts are no numbers, negative or all zero.

    Examples
    --------
    >>> parsed("O2:1, N2:3.76", ["O2", "N2"], "oxidizer")
    {'O2': 1.0, 'N2': 3.76}
    """
    items = _items(amounts, where) if isinstance(amounts, str) else list(amounts.items())
    found: dict[str, float] = {}
    for name, amount in items:
        at = f"{where}: species {name!r}"
        if name not in species:
            raise DataError(expected(at, "not in the mechanism", f"such as {_nearest(name, species)}"))
        if name in found:
            raise DataError(expected(at, "named twice", "each species once"))
        try:
            found[name] = float(amount)
        except (TypeError, ValueError):
            raise DataError(expected(at, repr(amount), "a number")) from None
        if not (math.isfinite(found[name]) and found[name] >= 0):
            raise DataError(expected(at, found[name], "a finite amount that is not negative"))
    if not sum(found.values()) > 0:
        raise DataError(expected(where, amounts, "an amount above zero of at least one species"))
    return found


def mixed(
    gas: Any, fuel: str | Mapping[str, float], oxidizer: str | Mapping[str, float], phi: float
) -> NDArray[np.float64]:
    """Return the mass fractions of a fuel and an oxidizer at an equivalence ratio.

    Parameters
    ----------
    gas : cantera.Solution
        The phase, which is set.
    fuel, oxidizer : str or Mapping of str to float
        Mole amounts.
    phi : float
        Equivalence ratio.

    Returns
    -------
    array
        Y, (K,).

    Raises
    ------
    DataError
        If amounts or phi are wrong, or the two do not react.

    Examples
    --------
    >>> import cantera
    >>> float(mixed(cantera.Solution("h2o2.yaml"), "H2", "O2:1, N2:3.76", 1.0).sum().round(12))
    1.0
    """
    import cantera as ct

    names = gas.species_names
    fuel, oxidizer = parsed(fuel, names, "fuel"), parsed(oxidizer, names, "oxidizer")
    if not (math.isfinite(phi) and phi > 0):
        raise DataError(expected("phi", phi, "a finite positive equivalence ratio"))
    try:
        gas.set_equivalence_ratio(phi, fuel, oxidizer)
    except ct.CanteraError as error:
        raise DataError(
            expected("fuel and oxidizer", reason(error), "a fuel that takes up oxygen, an oxidizer with it")
        ) from error
    return np.array(gas.Y)


def _items(text: str, where: str) -> list[tuple[str, Any]]:
    """Return names and amounts of ``"A:1, B:2"``; a name alone stands for an amount of one."""
    items: list[tuple[str, Any]] = []
    for part in text.replace(",", " ").replace(": ", ":").split():
        name, colon, amount = part.rpartition(":")
        items.append((name, amount) if colon else (part, 1.0))
    if not items:
        raise DataError(expected(where, repr(text), "amounts such as 'O2:1, N2:3.76'"))
    return items


def _nearest(name: str, species: Sequence[str]) -> str:
    """Return the most similar names, whatever their case."""
    folded = {s.upper(): s for s in species}
    near = difflib.get_close_matches(str(name).upper(), list(folded), n=3, cutoff=0.5)
    return " or ".join(repr(folded[s]) for s in near) or ", ".join(list(species)[:8])
