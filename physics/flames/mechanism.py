"""A reaction mechanism: species, structure and named nominal parameters, read from Cantera's YAML format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import DataError, expected
from retrodict.physics.flames.cantera_errors import reason
from retrodict.physics.flames.compositions import mixed, parsed
from retrodict.physics.flames.reactions import ReactionTables, read_reactions
from retrodict.physics.flames.species_data import (
    check_phase,
    nasa_coefficients,
    pair_index,
    pairs,
    transport_polynomials,
)
from retrodict.physics.flames.writing import read_posterior, restricted_gas, write_mechanism
from retrodict.physics.sealed_text import check_seal
from retrodict.physics.spaces import Array, Space, Var
from retrodict.physics.yaml_limits import check_yaml

if TYPE_CHECKING:
    import cantera as ct

__all__ = ["Mechanism", "load_mechanism", "pair_index", "read_posterior", "write_mechanism"]


@dataclass(frozen=True, eq=False)
class Mechanism:
    """K species of M elements and R reactions, with all that property functions need.

    Parameters
    ----------
    name : str
        Name of the phase.
    species, elements : tuple of str
        Names.
    weights : Tensor
        Molar masses in kg/kmol, (K,).
    atoms : Tensor
        Atoms of each element in each species, (K, M).
    equations : tuple of str
        One a reaction.
    parameters : dict of str to array
        Nominal values: ``ln_A``, ``b``, ``T_a`` by reaction (kmol, m, s; E_a / R in K; high-pressure limit of falloff);
        ``ln_A_low``, ``b_low``, ``T_a_low`` by falloff; ``troe`` (Q, 4); ``efficiency`` (B, K); ``order`` by reaction
        and slot; ``nasa_low``, ``nasa_high`` (K, 7); and logs of factors on properties of pure species, zero at first:
        ``ln_conductivity``, ``ln_viscosity`` (K,), ``ln_diffusion`` by pair ``k <= j`` in the order of `pair_index`.
    domain : Space
        The same names with dims and units.
    reactions : ReactionTables
        Structure of the reactions.
    middle : Tensor
        Temperature between the two ranges of each species in K, (K,).
    viscosity, conductivity, diffusion : Tensor
        Fits in powers of ln T, (K, 5), (K, 5), (P, 5).
    reference_pressure : float
        Pressure of the tabulated entropies in Pa.
    text : str
        The phase as YAML.

    Examples
    --------
    >>> mech = load_mechanism("h2o2.yaml")
    >>> mech.K, mech.R, mech.elements
    (10, 29, ('O', 'H', 'Ar', 'N'))
    """

    name: str
    species: tuple[str, ...]
    elements: tuple[str, ...]
    weights: Tensor
    atoms: Tensor
    equations: tuple[str, ...]
    parameters: dict[str, Array]
    domain: Space
    reactions: ReactionTables
    middle: Tensor
    viscosity: Tensor
    conductivity: Tensor
    diffusion: Tensor
    reference_pressure: float
    text: str

    @property
    def K(self) -> int:  # noqa: N802
        """Number of species."""
        return len(self.species)

    @property
    def R(self) -> int:  # noqa: N802
        """Number of reactions."""
        return len(self.equations)

    def tensors(self) -> dict[str, Tensor]:
        """Return fresh tensors of the nominal parameters."""
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in self.parameters.items()}

    def gas(self) -> ct.Solution:
        """Return a fresh Cantera phase with nominal parameters, for equilibria and mixtures."""
        import cantera as ct

        return ct.Solution(yaml=self.text)

    def composition(self, fuel: str | Mapping[str, float], oxidizer: str | Mapping[str, float], phi: float) -> Tensor:
        """Return the mass fractions of a fuel and an oxidizer at an equivalence ratio.

        Parameters
        ----------
        fuel, oxidizer : str or Mapping of str to float
            Mole amounts, as ``"O2:1, N2:3.76"`` or ``{"O2": 1.0, "N2": 3.76}``.
        phi : float
            Equivalence ratio.

        Returns
        -------
        Tensor
            Y, (K,).

        Raises
        ------
        DataError
            If a species is unknown, an amount is wrong, phi is not positive, or the fuel binds no oxygen.

        Examples
        --------
        >>> mech = load_mechanism("h2o2.yaml")
        >>> float(mech.composition("H2:1", "O2:1", 1.0)[mech.species.index("O2")].round(decimals=4))
        0.8881
        """
        return torch.tensor(mixed(self.gas(), fuel, oxidizer, phi), dtype=torch.float64)

    def mass_fractions(self, amounts: str | Mapping[str, float]) -> Tensor:
        """Return mass fractions of given mole amounts.

        Parameters
        ----------
        amounts : str or Mapping of str to float
            Mole amounts, normalised here.

        Returns
        -------
        Tensor
            Y, (K,).

        Raises
        ------
        DataError
            If a species is unknown, or amounts are negative, not finite or all zero.

        Examples
        --------
        >>> mech = load_mechanism("h2o2.yaml")
        >>> float(mech.mass_fractions({"N2": 2.0}).sum())
        1.0
        """
        masses = torch.zeros(self.K, dtype=torch.float64)
        for name, amount in parsed(amounts, self.species, "mole fractions").items():
            masses[self.species.index(name)] = amount
        masses = masses * self.weights
        return masses / masses.sum()

    def restricted(self, elements: Iterable[str]) -> Mechanism:
        """Return the mechanism of the species made of some elements only, and of the reactions among them.

        An exact reduction: where the left-out species are absent, no reaction makes them. Transport fits are kept.

        Parameters
        ----------
        elements : iterable of str
            Elements to keep.

        Returns
        -------
        Mechanism
            Species in the same order, those without reactions too.

        Raises
        ------
        DataError
            If an element is not in the mechanism, or no species is left.

        Examples
        --------
        >>> load_mechanism("gri30.yaml").restricted(["H", "O", "N"]).K
        18
        """
        wanted = set(elements)
        if strange := sorted(wanted - set(self.elements)):
            raise DataError(expected(f"{self.name}: elements", strange, f"some of {list(self.elements)}"))
        others = [m for m, name in enumerate(self.elements) if name not in wanted]
        kept = [k for k in range(self.K) if not bool(self.atoms[k, others].any())]
        if not kept:
            raise DataError(expected(f"{self.name}: elements", sorted(wanted), "elements that make up a species"))
        gas = restricted_gas(self.text, {self.species[k] for k in kept})
        # Cantera would fit anew over the temperatures that the remaining species share
        first, second = pairs(len(kept))
        return replace(
            _mechanism(gas, self.name),
            viscosity=self.viscosity[kept],
            conductivity=self.conductivity[kept],
            diffusion=self.diffusion[pair_index(self.K)[kept][:, kept][first, second]],
        )


def load_mechanism(source: str | Path, phase: str = "") -> Mechanism:
    """Read a mechanism in Cantera's YAML format.

    Covered are ideal gases of neutral species with NASA7 thermodynamics and gas transport data, and reactions of the
    kinds Arrhenius, three-body (explicit colliders too), falloff after Lindemann and Troe; duplicates, negative A,
    fractional, zero and negative orders, reversible or not. Transport is mixture-averaged whatever the phase names.

    Parameters
    ----------
    source : str or Path
        A file, or the name of one that comes with Cantera.
    phase : str, optional
        Name of the phase, the first of the file unless given.

    Returns
    -------
    Mechanism
        Species, structure and nominal parameters.

    Raises
    ------
    DataError
        If the file cannot be read, does not match its checksum, or holds what is not covered; the species or reaction
        is named.

    Examples
    --------
    >>> load_mechanism("h2o2.yaml").equations[0]
    '2 O + M <=> O2 + M'
    """
    import cantera as ct

    where = str(source)
    with decoding(where, "a mechanism that Cantera accepts"):
        if (path := Path(source)).is_file():
            text = path.read_text(encoding="utf-8")
            check_seal(text, path)
            check_yaml(text, path)
        try:
            gas = ct.Solution(where, phase) if phase else ct.Solution(where)
        except ct.CanteraError as error:
            raise DataError(expected(where, reason(error), "a mechanism that Cantera accepts")) from error
        return _mechanism(gas, where)


def _mechanism(gas: Any, where: str) -> Mechanism:
    """Return the mechanism of a phase."""
    check_phase(gas, where)
    tables, rates = read_reactions(gas, where)
    low, high, middle = nasa_coefficients(gas, where)
    viscosity, conductivity, diffusion = transport_polynomials(gas, where)
    K = gas.n_species
    factors = {"ln_conductivity": np.zeros(K), "ln_viscosity": np.zeros(K), "ln_diffusion": np.zeros(len(diffusion))}
    parameters = {**rates, "nasa_low": low, "nasa_high": high, **factors}
    return Mechanism(
        name=gas.name,
        species=tuple(gas.species_names),
        elements=tuple(gas.element_names),
        weights=torch.tensor(gas.molecular_weights),
        atoms=torch.tensor([[gas.n_atoms(k, m) for m in range(gas.n_elements)] for k in range(K)], dtype=torch.float64),
        equations=tuple(r.equation for r in gas.reactions()),
        parameters=parameters,
        domain=_domain(parameters),
        reactions=tables,
        middle=torch.tensor(middle),
        viscosity=torch.tensor(viscosity),
        conductivity=torch.tensor(conductivity),
        diffusion=torch.tensor(diffusion),
        reference_pressure=gas.reference_pressure,
        text=gas.write_yaml(precision=17),
    )


def _domain(parameters: Mapping[str, Array]) -> Space:
    """Return the space of all parameters."""
    dims = {
        "ln_A": ("reaction",),
        "b": ("reaction",),
        "T_a": ("reaction",),
        "ln_A_low": ("falloff",),
        "b_low": ("falloff",),
        "T_a_low": ("falloff",),
        "troe": ("troe_reaction", "coefficient"),
        "efficiency": ("third_body_reaction", "species"),
        "order": ("reaction", "slot"),
        "nasa_low": ("species", "nasa_coefficient"),
        "nasa_high": ("species", "nasa_coefficient"),
        "ln_conductivity": ("species",),
        "ln_viscosity": ("species",),
        "ln_diffusion": ("pair",),
    }
    units = {"T_a": "K", "T_a_low": "K"}
    return Space({k: Var(dims[k], v.shape, units=units.get(k, "1")) for k, v in parameters.items()})
