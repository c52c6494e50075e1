"""The gas of a reference flame: a Cantera Solution with chosen state, rate constants and transport.

Everything that decides the gas is a frozen, hashable `Gas`, so that solved flames can be cached by it; the mechanism
file enters by its SHA-256. Cantera is a reference here and never the source of our gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.solvers.files import sha256
from retrodict.solvers.reference.cantera_changes import (
    Changes,
    Factors,
    Multipliers,
    Parameters,
    changes,
    known_species,
    positive,
    reason,
)

if TYPE_CHECKING:
    import cantera as ct

__all__ = ["Composition", "Gas", "burnt_gas", "fractions", "gas"]

Composition: TypeAlias = str | Mapping[str, float]
"""``"O2:1, N2:3.76"`` or ``{"O2": 1.0, "N2": 3.76}``; only the ratios matter."""

_ABSOLUTE_SUM = 1e-300


@dataclass(frozen=True)
class Gas:
    """A gas as plain values; made by `gas`.

    Parameters
    ----------
    path, digest : str
        Mechanism file and its SHA-256.
    composition : tuple of (str, float)
        Unburnt amounts.
    basis : {"mole", "mass"}
        What the amounts are of.
    T, p : float
        Unburnt state [K, Pa].
    transport_model : str
        As Cantera calls it.
    changes : Changes
        What differs from the mechanism file.
    """

    path: str
    digest: str
    composition: tuple[tuple[str, float], ...]
    basis: Literal["mole", "mass"]
    T: float
    p: float
    transport_model: str = "mixture-averaged"
    changes: Changes = field(default_factory=Changes)

    def solution(self) -> ct.Solution:
        """Return a new Cantera Solution in the unburnt state.

        Raises
        ------
        DataError
            If the mechanism has no transport data for the model.
        """
        import cantera as ct

        made = ct.Solution(self.path)
        try:
            made.transport_model = self.transport_model
        except ct.CanteraError as error:
            got = f"no {self.transport_model} transport ({reason(error)})"
            raise DataError(expected(self.path, got, "transport data of every species")) from error
        self.changes.apply(made)
        amounts = dict(self.composition)
        if self.basis == "mass":
            made.TPY = self.T, self.p, amounts
        else:
            made.TPX = self.T, self.p, amounts
        return made


def gas(
    mechanism: str | Path,
    fuel: Composition | None,
    oxidizer: Composition | None,
    phi: float | None,
    T: float,
    p: float,
    *,
    X: Composition | None = None,
    Y: Composition | None = None,
    transport_model: str = "mixture-averaged",
    parameters: Parameters | None = None,
    multipliers: Multipliers | None = None,
    transport_factors: Factors | None = None,
) -> Gas:
    """Check everything that decides a gas and return it as plain values.

    Parameters
    ----------
    mechanism : str or Path
        Cantera YAML: a path, or the name of a file that comes with Cantera.
    fuel, oxidizer : Composition, optional
        Molar compositions that ``phi`` mixes.
    phi : float, optional
        Equivalence ratio.
    T, p : float
        Unburnt state [K, Pa].
    X, Y : Composition, optional
        Mole or mass fractions of the mixture, instead of fuel, oxidizer and phi.
    transport_model : str, optional
        ``"mixture-averaged"``, ``"multicomponent"`` or ``"unity-Lewis-number"``.
    parameters : Parameters, optional
        New Arrhenius constants.
    multipliers : Multipliers, optional
        Factors on rates.
    transport_factors : Factors, optional
        Factors on the transport properties of pure species and pairs.

    Returns
    -------
    Gas
        Hashable.

    Raises
    ------
    SpaceError
        If T, p or phi is not positive, or a species or reaction is unknown.
    DataError
        If the mechanism is missing or damaged, or a composition is not one.
    ConfigError
        If the mixture is described twice or not at all, or a setting does not exist.

    Examples
    --------
    >>> air = gas("h2o2.yaml", "H2", "O2:1, N2:3.76", 1.0, 300.0, 101325.0)
    >>> round(dict(air.composition)["H2"], 6)
    0.295858
    """
    state = positive("T", T), positive("p", p)
    if phi is not None:
        positive("phi", phi)
    models = ("mixture-averaged", "multicomponent", "unity-Lewis-number")
    if transport_model not in models:
        raise ConfigError(expected("transport_model", repr(transport_model), f"one of {models}"))
    path, digest = _locate(mechanism)
    probe = _probe(path, digest)
    composition, basis = _mixture(probe, fuel, oxidizer, phi, X, Y)
    changed = changes(probe, parameters, multipliers, transport_factors)
    return Gas(path, digest, composition, basis, *state, transport_model, changed)


def burnt_gas(unburnt: Gas, burnt: Composition, T: float) -> Gas:
    """Return the gas of an opposed jet: another molar composition [1] and temperature [K] in the same mechanism.

    Raises
    ------
    SpaceError, DataError
        If the composition is not one of the mechanism.

    Examples
    --------
    >>> jet = burnt_gas(gas("h2o2.yaml", "H2", "O2", 1.0, 300.0, 1e5), "N2", 400.0)
    >>> jet.composition, jet.T
    ((('N2', 1.0),), 400.0)
    """
    amounts = fractions(_probe(unburnt.path, unburnt.digest), burnt, "burnt")
    return replace(unburnt, composition=tuple(amounts.items()), basis="mole", T=T)


def fractions(probe: ct.Solution, composition: Composition, where: str) -> dict[str, float]:
    """Return a composition as amounts by species, after checking it against a mechanism.

    Raises
    ------
    SpaceError
        If a species is not in the mechanism.
    DataError
        If the text has another form, an amount is negative or not finite, or all are zero.
    """
    if isinstance(composition, str):
        parts = [part.split(":") for part in composition.split(",")]
        try:
            pairs = [(part[0].strip(), float(part[1]) if len(part) > 1 else 1.0) for part in parts]
        except ValueError as error:
            raise DataError(expected(where, repr(composition), "the form 'O2:1, N2:3.76'")) from error
        if any(len(part) > 2 for part in parts) or len(dict(pairs)) < len(pairs):
            raise DataError(expected(where, repr(composition), "the form 'O2:1, N2:3.76', each species once"))
    else:
        pairs = [(name, float(value)) for name, value in composition.items()]
    for name, value in pairs:
        known_species(probe, name, where)
        if not (math.isfinite(value) and value >= 0):
            raise DataError(expected(f"{where}[{name!r}]", value, "a finite amount, not negative"))
    if sum(value for _, value in pairs) <= _ABSOLUTE_SUM:
        raise DataError(expected(where, "no amount above zero", "at least one"))
    return dict(pairs)


def _locate(mechanism: str | Path) -> tuple[str, str]:
    import cantera as ct

    places = [Path(mechanism), *(Path(folder) / mechanism for folder in ct.get_data_directories())]
    for place in places:
        if place.is_file():
            return str(place.resolve()), sha256(place)
    raise DataError(expected("mechanism", f"no file {str(mechanism)!r}", "a Cantera YAML file"))


@lru_cache(maxsize=16)
def _probe(path: str, digest: str) -> ct.Solution:
    """Return a gas that is only asked for names and stoichiometry; ``digest`` keys the cache."""
    import cantera as ct

    try:
        return ct.Solution(path)
    # Cantera lets the errors of its parser and of lookups through
    except (ct.CanteraError, ValueError, RuntimeError, KeyError, IndexError) as error:
        got = f"no mechanism that Cantera can read (SHA-256 {digest[:8]}, {reason(error)})"
        raise DataError(expected(path, got, "a Cantera YAML file")) from error


def _mixture(
    probe: ct.Solution,
    fuel: Composition | None,
    oxidizer: Composition | None,
    phi: float | None,
    X: Composition | None,
    Y: Composition | None,
) -> tuple[tuple[tuple[str, float], ...], Literal["mole", "mass"]]:
    import cantera as ct

    mixed = [v is not None for v in (fuel, oxidizer, phi)]
    if sum((any(mixed), X is not None, Y is not None)) != 1 or any(mixed) != all(mixed):
        raise ConfigError(expected("mixture", "another combination", "fuel, oxidizer and phi, or X, or Y"))
    if fuel is not None and oxidizer is not None and phi is not None:
        a, b = fractions(probe, fuel, "fuel"), fractions(probe, oxidizer, "oxidizer")
        # a mixture that failed leaves NaN behind
        probe.TPX = 300.0, 1e5, a
        try:
            probe.set_equivalence_ratio(phi, a, b)
        except ct.CanteraError as error:
            got = f"{fuel!r} and {oxidizer!r} ({reason(error)})"
            raise DataError(expected("fuel and oxidizer", got, "what can burn together")) from error
        return tuple((k, float(v)) for k, v in probe.mole_fraction_dict().items()), "mole"
    given = X if X is not None else Y
    assert given is not None
    amounts = fractions(probe, given, "X" if X is not None else "Y")
    return tuple(amounts.items()), "mole" if X is not None else "mass"
