"""Reactions and species by what a person would call them; what is not there is answered with what is near."""

from __future__ import annotations

import difflib
import re

from retrodict.physics.errors import DataError, expected
from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["find_reactions", "find_species"]


def find_reactions(mechanism: Mechanism, reaction: str | int) -> list[int]:
    """Return the numbers of the reactions with an equation, or the one with a number.

    The order of species, spaces, and the arrow do not matter. Duplicates share an equation: all are returned, for only
    their sum is seen.

    Parameters
    ----------
    mechanism : Mechanism
        Where to look.
    reaction : str or int
        Equation, or place from 0.

    Returns
    -------
    list of int
        Places from 0; at least one.

    Raises
    ------
    DataError
        If there is none, with the equations that are near.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> find_reactions(gas, "O2 + H = OH + O"), find_reactions(gas, 4)
    ([10], [4])
    >>> find_reactions(gas, "H + O2 <=> O + HO")
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: reaction: got 'H + O2 <=> O + HO', expected one of ohmech, such as 'H + O2 <=> O + OH', 'H + HO2 <=> H2O + O', 'H + H2O2 <=> H2O + OH'
    """  # noqa: E501 - a message has one line
    if isinstance(reaction, int) and not isinstance(reaction, bool):
        if 0 <= reaction < mechanism.R:
            return [reaction]
        raise DataError(expected("reaction", reaction, f"a number from 0 to {mechanism.R - 1} of {mechanism.name}"))
    wanted = _sides(str(reaction))
    found = [r for r, equation in enumerate(mechanism.equations) if _sides(equation) == wanted]
    if not found:
        near = _near(str(reaction), list(dict.fromkeys(mechanism.equations)))
        raise DataError(expected("reaction", repr(reaction), f"one of {mechanism.name}, such as {near}"))
    return found


def find_species(mechanism: Mechanism, name: str) -> int:
    """Return the place of a species.

    Raises
    ------
    DataError
        If there is none, with the names that are near.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> find_species(load_mechanism("h2o2.yaml"), "OH")
    4
    """
    if name not in mechanism.species:
        near = _near(name, list(mechanism.species))
        raise DataError(expected("species", repr(name), f"one of {mechanism.name}, such as {near}"))
    return mechanism.species.index(name)


def _sides(equation: str) -> tuple[tuple[str, ...], ...]:
    """Return the terms of both sides, sorted and without spaces; a plus within ``(+M)`` is no separator."""
    closed = re.sub(r"\(\s*\+\s*([^)]*?)\s*\)", r" + (\1)", equation)
    sides = re.split(r"<=>|=>|=", closed)
    return tuple(tuple(sorted("".join(term.split()) for term in re.split(r"\s\+\s", side))) for side in sides)


def _near(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
    return ", ".join(repr(k) for k in found)
