"""Handles: the few directions, out of all parameters of a mechanism, in which an inverse problem may move.

A handle is one unknown number. All parameters are the mechanism's own plus every handle's value times its direction, so
zero is the mechanism as published. ``ln k`` of a reaction moves the rates of both limits of a falloff. An activation
temperature moves at fixed ``k(T_ref)``: ``A`` and ``E_a`` apart are all but inseparable (correlation 0.998 from one
flame).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrodict.inverse.flames.reaction_names import find_reactions, find_species
from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.spaces import Array

__all__ = ["Handle", "activation", "exponent", "moved", "order", "prefactor", "rate"]


@dataclass(frozen=True, eq=False)
class Handle:
    """One unknown and the direction in which it moves the parameters of a mechanism.

    Parameters
    ----------
    name : str
        Of the unknown.
    direction : Mapping of str to ndarray
        Change of every parameter that moves for a change of the unknown by one.
    units : str, optional
        Of the unknown.
    bounds : (float, float), optional
        Of the unknown.

    Raises
    ------
    SpaceError
        If the name is empty or contains a slash, which files of results do not allow, or the direction is zero.

    Examples
    --------
    >>> Handle("half", {"b": np.array([0.5])}).name
    'half'
    """

    name: str
    direction: Mapping[str, Array]
    units: str = "1"
    bounds: tuple[float, float] = (-np.inf, np.inf)

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise SpaceError(expected("Handle.name", repr(self.name), "a name without a slash"))
        if not any(np.any(v) for v in self.direction.values()):
            raise SpaceError(expected(f"Handle {self.name!r}.direction", "zero", "a direction that moves something"))


def moved(mechanism: Mechanism, handles: Sequence[Handle], values: Mapping[str, Array]) -> dict[str, Array]:
    """Return the parameters of the mechanism with the handles at some values.

    Parameters
    ----------
    mechanism : Mechanism
        Nominal values.
    handles : sequence of Handle
        Directions.
    values : Mapping of str to array
        One number a handle, by name.

    Returns
    -------
    dict
        Parameters by name.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> handle = rate(gas, 0)
    >>> round(float(moved(gas, [handle], {handle.name: 0.7})["ln_A"][0] - gas.parameters["ln_A"][0]), 12)
    0.7
    """
    parameters = {k: np.array(v, float) for k, v in mechanism.parameters.items()}
    for handle in handles:
        for name, part in handle.direction.items():
            parameters[name] = parameters[name] + float(values[handle.name]) * part
    return parameters


def rate(mechanism: Mechanism, reaction: str | int, name: str | None = None) -> Handle:
    """Return the handle of ln k: the rate constant at every temperature, in both limits of a falloff.

    Parameters
    ----------
    mechanism : Mechanism
        Whose parameters.
    reaction : str or int
        Equation or place; duplicates move together.
    name : str, optional
        Of the unknown.

    Returns
    -------
    Handle
        Unit 1.

    Raises
    ------
    DataError
        If there is no such reaction.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> handle = rate(gas, "2 OH (+M) <=> H2O2 (+M)")
    >>> handle.name, float(handle.direction["ln_A"].sum()), float(handle.direction["ln_A_low"].sum())
    ('ln k(2 OH (+M) <=> H2O2 (+M))', 1.0, 1.0)
    """
    rows = find_reactions(mechanism, reaction)
    low = np.isin(mechanism.reactions.falloff.numpy(), rows).astype(float)
    direction = {"ln_A": _ones(mechanism, "ln_A", rows)}
    if low.any():
        direction["ln_A_low"] = low
    return Handle(name or f"ln k({mechanism.equations[rows[0]]})", direction)


def prefactor(mechanism: Mechanism, reaction: str | int, name: str | None = None) -> Handle:
    """Return the handle of ln A alone, of the high-pressure limit of a falloff.

    Parameters
    ----------
    mechanism, reaction, name
        As in `rate`.

    Returns
    -------
    Handle
        Unit 1.

    Raises
    ------
    DataError
        If there is no such reaction.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> prefactor(load_mechanism("h2o2.yaml"), 2).name
    'ln A(H2 + O <=> H + OH)'
    """
    rows = find_reactions(mechanism, reaction)
    return Handle(name or f"ln A({mechanism.equations[rows[0]]})", {"ln_A": _ones(mechanism, "ln_A", rows)})


def activation(
    mechanism: Mechanism, reaction: str | int, T_ref: float | None = None, name: str | None = None
) -> Handle:
    """Return the handle of the activation temperature E_a / R, at fixed ``k(T_ref)`` or at fixed A.

    Parameters
    ----------
    mechanism, reaction, name
        As in `rate`.
    T_ref : float, optional
        Temperature at which k stays, K; without it A stays.

    Returns
    -------
    Handle
        In K.

    Raises
    ------
    DataError
        If there is no such reaction.
    SpaceError
        If the temperature is not positive.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> handle = activation(load_mechanism("h2o2.yaml"), 2, 1500.0)
    >>> {k: float(v[2]) * 1500 for k, v in handle.direction.items()}
    {'T_a': 1500.0, 'ln_A': 1.0}
    """
    return _tilted(mechanism, reaction, ("T_a", "T_a", "K", T_ref, 1 / T_ref if T_ref else 0.0), name)


def exponent(mechanism: Mechanism, reaction: str | int, T_ref: float | None = None, name: str | None = None) -> Handle:
    """Return the handle of the temperature exponent b, at fixed ``k(T_ref)`` or at fixed A.

    Parameters
    ----------
    mechanism, reaction, T_ref, name
        As in `activation`.

    Returns
    -------
    Handle
        Unit 1.

    Raises
    ------
    DataError
        If there is no such reaction.
    SpaceError
        If the temperature is not positive.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> exponent(load_mechanism("h2o2.yaml"), 2).name
    'b(H2 + O <=> H + OH)'
    """
    return _tilted(mechanism, reaction, ("b", "b", "1", T_ref, -np.log(T_ref) if T_ref and T_ref > 0 else 0.0), name)


def _tilted(
    mechanism: Mechanism,
    reaction: str | int,
    what: tuple[str, str, str, float | None, float],
    name: str | None,
) -> Handle:
    """Return the handle of a parameter with what ln A must do so that k stays at the reference temperature."""
    variable, word, units, T_ref, tilt = what
    if T_ref is not None and not 0 < T_ref < np.inf:
        raise SpaceError(expected("T_ref", T_ref, "a positive temperature in K"))
    rows = find_reactions(mechanism, reaction)
    low = np.isin(mechanism.reactions.falloff.numpy(), rows).astype(float)
    direction = {variable: _ones(mechanism, variable, rows)}
    if T_ref is not None:
        direction["ln_A"] = tilt * _ones(mechanism, "ln_A", rows)
    if low.any():
        direction[f"{variable}_low"] = low
        if T_ref is not None:
            direction["ln_A_low"] = tilt * low
    return Handle(name or f"{word}({mechanism.equations[rows[0]]})", direction, units)


def order(
    mechanism: Mechanism,
    reaction: str | int,
    species: str,
    concentration: float | None = None,
    name: str | None = None,
) -> Handle:
    """Return the handle of the order of a reaction in a species, at a fixed rate for one concentration or at fixed A.

    Parameters
    ----------
    mechanism, reaction, name
        As in `rate`.
    species : str
        One of those on which the rate depends.
    concentration : float, optional
        Where the rate stays, kmol/m3; without it A stays.

    Returns
    -------
    Handle
        Unit 1.

    Raises
    ------
    DataError
        If there is no such reaction or species.
    SpaceError
        If the rate does not depend on the species, or the concentration is not positive.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> order(load_mechanism("h2o2.yaml"), 2, "H2").name
    'order of H2(H2 + O <=> H + OH)'
    """
    rows, k = find_reactions(mechanism, reaction), find_species(mechanism, species)
    place = mechanism.reactions.order_species.numpy() == k
    place[[r for r in range(mechanism.R) if r not in rows]] = False
    equation = mechanism.equations[rows[0]]
    if not place.any():
        raise SpaceError(expected("order", f"{species} in '{equation}'", "a species on which the rate depends"))
    direction: dict[str, Array] = {"order": place.astype(float)}
    if concentration is not None:
        if not 0 < concentration < np.inf:
            raise SpaceError(expected("concentration", concentration, "a positive number in kmol/m3"))
        direction["ln_A"] = -np.log(concentration) * _ones(mechanism, "ln_A", rows)
    return Handle(name or f"order of {species}({equation})", direction)


def _ones(mechanism: Mechanism, variable: str, rows: Sequence[int]) -> Array:
    direction = np.zeros(mechanism.domain[variable].shape)
    direction[list(rows)] = 1.0
    return direction
