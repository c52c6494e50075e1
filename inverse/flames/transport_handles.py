"""Handles of transport properties: factors on conductivities and binary diffusion coefficients, as logarithms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrodict.inverse.flames.handles import Handle
from retrodict.inverse.flames.reaction_names import find_species
from retrodict.physics.flames.mechanism import Mechanism, pair_index
from retrodict.physics.spaces import Array

__all__ = ["conductivity", "diffusion", "transport"]


def conductivity(mechanism: Mechanism, species: str | None = None, name: str | None = None) -> Handle:
    """Return the handle of ln of the thermal conductivity of one species or of all.

    Parameters
    ----------
    mechanism : Mechanism
        Whose parameters.
    species : str, optional
        All without it.
    name : str, optional
        Of the unknown.

    Returns
    -------
    Handle
        Unit 1.

    Raises
    ------
    DataError
        If there is no such species.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> conductivity(load_mechanism("h2o2.yaml"), "H2").name
    'ln conductivity(H2)'
    """
    rows = range(mechanism.K) if species is None else [find_species(mechanism, species)]
    direction = {"ln_conductivity": _ones(mechanism, "ln_conductivity", list(rows))}
    return Handle(name or f"ln conductivity({species or 'all'})", direction)


def diffusion(
    mechanism: Mechanism, species: str | None = None, other: str | None = None, name: str | None = None
) -> Handle:
    """Return the handle of ln of binary diffusion coefficients: of a pair, of all pairs of a species, or of all.

    Parameters
    ----------
    mechanism : Mechanism
        Whose parameters.
    species, other : str, optional
        The pair; all partners without ``other``, all pairs without both.
    name : str, optional
        Of the unknown.

    Returns
    -------
    Handle
        Unit 1.

    Raises
    ------
    DataError
        If there is no such species.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> handle = diffusion(load_mechanism("h2o2.yaml"), "H2")
    >>> handle.name, int(handle.direction["ln_diffusion"].sum())
    ('ln diffusion(H2)', 10)
    """
    pairs = pair_index(mechanism.K).numpy()
    if species is None:
        rows = np.unique(pairs)
    else:
        row = pairs[find_species(mechanism, species)]
        rows = row if other is None else row[[find_species(mechanism, other)]]
    direction = {"ln_diffusion": _ones(mechanism, "ln_diffusion", [int(r) for r in rows])}
    words = " and ".join(s for s in (species, other) if s) or "all"
    return Handle(name or f"ln diffusion({words})", direction)


def transport(mechanism: Mechanism, name: str = "ln transport") -> Handle:
    """Return the handle of ln of all conductivities and binary diffusion coefficients together.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> sorted(transport(load_mechanism("h2o2.yaml")).direction)
    ['ln_conductivity', 'ln_diffusion']
    """
    both = conductivity(mechanism), diffusion(mechanism)
    return Handle(name, {k: v for handle in both for k, v in handle.direction.items()})


def _ones(mechanism: Mechanism, variable: str, rows: Sequence[int]) -> Array:
    direction = np.zeros(mechanism.domain[variable].shape)
    direction[list(rows)] = 1.0
    return direction
