"""Changes of a mechanism: rate constants, factors on rates, factors on transport properties."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from retrodict.physics.errors import ConfigError, DataError, SpaceError, expected

if TYPE_CHECKING:
    import cantera as ct

__all__ = ["Changes", "Factors", "Multipliers", "Parameters", "changes", "known_species", "positive", "reason"]

Parameters: TypeAlias = Mapping[int | tuple[int, Literal["low", "high"]], tuple[float, float, float]]
"""``{reaction: (A, b, E_a)}`` in Cantera's units: m, kmol, s, and J/kmol. Falloff reactions have two rates, named by
``(reaction, "low")`` and ``(reaction, "high")``."""

Multipliers: TypeAlias = Mapping[int, float]
"""``{reaction: factor}`` on forward and reverse rate."""

Factors: TypeAlias = Mapping[Literal["conductivity", "viscosity", "diffusivity"], float | Mapping[Any, float]]
"""Factors on pure-species properties: one for all, or by species, or by pair of species for the diffusivity."""


@dataclass(frozen=True)
class Changes:
    """Changes as plain, sorted, hashable values; made by `changes`.

    Parameters
    ----------
    parameters : tuple of (int, str, (float, float, float))
        Reaction, ``""``, ``"low"`` or ``"high"``, and A, b, E_a.
    multipliers : tuple of (int, float)
        Reaction and factor.
    factors : tuple of (str, str, str, float)
        Property, species, second species, factor.
    """

    parameters: tuple[tuple[int, str, tuple[float, float, float]], ...] = ()
    multipliers: tuple[tuple[int, float], ...] = ()
    factors: tuple[tuple[str, str, str, float], ...] = ()

    def apply(self, made: ct.Solution) -> None:
        """Change a Cantera Solution; setting its transport model again would undo the factors."""
        for index, which, constants in self.parameters:
            _set_rate(made, index, which, constants)
        for index, factor in self.multipliers:
            made.set_multiplier(factor, index)
        for what, first, second, factor in self.factors:
            _scale(made, what, first, second, factor)


def changes(
    probe: ct.Solution, parameters: Parameters | None, multipliers: Multipliers | None, factors: Factors | None
) -> Changes:
    """Check changes against a mechanism.

    Parameters
    ----------
    probe : cantera.Solution
        The mechanism.
    parameters, multipliers, factors : optional
        As their types say.

    Raises
    ------
    SpaceError
        If a reaction or species is unknown, or a factor is negative or not finite.
    DataError
        If constants are not three finite numbers, or a pair of species is named twice.
    ConfigError
        If a reaction has no such rate, or a property is unknown.

    Examples
    --------
    >>> import cantera as ct
    >>> changes(ct.Solution("h2o2.yaml"), None, {2: 1.5}, {"viscosity": {"H2": 2.0}}).factors
    (('viscosity', 'H2', 'H2', 2.0),)
    """
    rates = tuple(sorted(_rate(probe, k, v) for k, v in (parameters or {}).items()))
    scaled = {_reaction(probe, k): _factor(f"multipliers[{k}]", v) for k, v in (multipliers or {}).items()}
    moved = tuple(entry for item in sorted((factors or {}).items()) for entry in _factors(probe, *item))
    return Changes(rates, tuple(sorted(scaled.items())), moved)


def positive(where: str, value: float) -> float:
    """Return a finite positive number.

    Raises
    ------
    SpaceError
        If it is not one.

    Examples
    --------
    >>> positive("T", -3.0)
    Traceback (most recent call last):
    retrodict.physics.errors.SpaceError: T: got -3.0, expected a finite positive number
    """
    if not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise SpaceError(expected(where, value, "a finite positive number"))
    return float(value)


def reason(error: Exception) -> str:
    """Return what a Cantera error says, on one line without its frame.

    Examples
    --------
    >>> reason(ValueError("no flame"))
    'no flame'
    """
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not set(line) <= {"*"} and not line.startswith("CanteraError")]
    return " ".join(told)[:300] or type(error).__name__


def known_species(probe: ct.Solution, name: str, where: str) -> str:
    """Return the name of a species after looking it up.

    Raises
    ------
    SpaceError
        If the mechanism does not have it.

    Examples
    --------
    >>> import cantera as ct
    >>> known_species(ct.Solution("h2o2.yaml"), "AR", "fuel")
    'AR'
    """
    if name not in probe.species_names:
        shown = ", ".join(probe.species_names[:20]) + (", ..." if probe.n_species > 20 else "")
        raise SpaceError(expected(where, f"unknown species {name!r}", f"one of {shown}"))
    return name


def _reaction(probe: ct.Solution, index: int) -> int:
    if not isinstance(index, int) or not 0 <= index < probe.n_reactions:
        raise SpaceError(expected("reaction", index, f"an index from 0 to {probe.n_reactions - 1}"))
    return index


def _factor(where: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise SpaceError(expected(where, value, "a finite factor, not negative"))
    return float(value)


def _rate(probe: ct.Solution, key: Any, constants: Any) -> tuple[int, str, tuple[float, float, float]]:
    index, which = key if isinstance(key, tuple) else (key, "")
    kind = type(probe.reaction(_reaction(probe, index)).rate).__name__
    wanted = {"ArrheniusRate": ("",), "LindemannRate": ("low", "high"), "TroeRate": ("low", "high")}.get(kind)
    if wanted is None or which not in wanted:
        name = f"parameters[{key!r}]"
        raise ConfigError(
            expected(name, f"{which!r} of a {kind}", f"one of {wanted}" if wanted else "Arrhenius or falloff")
        )
    values = tuple(float(v) for v in constants)
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise DataError(expected(f"parameters[{key!r}]", constants, "three finite numbers A, b, E_a"))
    return index, which, values


def _set_rate(made: ct.Solution, index: int, which: str, constants: tuple[float, float, float]) -> None:
    import cantera as ct

    reaction = made.reaction(index)
    new = ct.ArrheniusRate(*constants)
    if which:
        setattr(reaction.rate, f"{which}_rate", new)
    else:
        reaction.rate = new
    made.modify_reaction(index, reaction)


def _factors(probe: ct.Solution, what: str, value: Any) -> list[tuple[str, str, str, float]]:
    if what not in ("conductivity", "viscosity", "diffusivity"):
        raise ConfigError(expected("transport_factors", repr(what), "conductivity, viscosity or diffusivity"))
    where, names = f"transport_factors[{what!r}]", probe.species_names
    if not isinstance(value, Mapping):
        pairs = [(a, b) for i, a in enumerate(names) for b in (names[i:] if what == "diffusivity" else [a])]
        value = {pair if what == "diffusivity" else pair[0]: value for pair in pairs}
    done: dict[tuple[str, str], float] = {}
    for key, factor in value.items():
        first, second = _pair(probe, key, where) if what == "diffusivity" else (known_species(probe, key, where),) * 2
        if (first, second) in done:
            raise DataError(expected(where, f"the pair {key!r} twice", "each pair once"))
        done[first, second] = positive(f"{where}[{key!r}]", factor)
    return [(what, a, b, f) for (a, b), f in sorted(done.items())]


def _pair(probe: ct.Solution, key: Any, where: str) -> tuple[str, str]:
    if not isinstance(key, tuple) or len(key) != 2:
        raise ConfigError(expected(where, repr(key), "a pair of species"))
    first, second = sorted((known_species(probe, k, where) for k in key), key=probe.species_index)
    return first, second


def _scale(made: ct.Solution, what: str, first: str, second: str, factor: float) -> None:
    i, j = made.species_index(first), made.species_index(second)
    if what == "conductivity":
        made.set_thermal_conductivity_polynomial(i, factor * made.get_thermal_conductivity_polynomial(i))
    elif what == "viscosity":
        # mu = (T^(1/4) a.l)^2
        made.set_viscosity_polynomial(i, math.sqrt(factor) * made.get_viscosity_polynomial(i))
    else:
        made.set_binary_diff_coeffs_polynomial(i, j, factor * made.get_binary_diff_coeffs_polynomial(i, j))
