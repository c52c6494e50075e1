"""Thermodynamic and transport data of the species of a phase, as Cantera fits them; what is not covered is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from retrodict.physics.errors import DataError, expected
from retrodict.physics.flames.cantera_errors import reason

__all__ = ["check_phase", "nasa_coefficients", "pair_index", "pairs", "transport_polynomials"]

_TRANSPORT = {
    "none",
    "mixture-averaged",
    "mixture-averaged-CK",
    "multicomponent",
    "multicomponent-CK",
    "unity-Lewis-number",
}


def check_phase(gas: Any, where: str) -> None:
    """Refuse phases that are no ideal gas of neutral species.

    Parameters
    ----------
    gas : cantera.Solution
        The phase.
    where : str
        Its source, for messages.

    Raises
    ------
    DataError
        If the phase, its kinetics or its transport is of another kind, or a species is charged.

    Examples
    --------
    >>> import cantera
    >>> check_phase(cantera.Solution("h2o2.yaml"), "h2o2.yaml")
    """
    if gas.thermo_model != "ideal-gas":
        raise DataError(expected(f"{where}: phase {gas.name!r}", f"thermo model {gas.thermo_model!r}", "'ideal-gas'"))
    if gas.kinetics_model not in ("bulk", "gas", "none"):
        raise DataError(expected(f"{where}: phase {gas.name!r}", f"kinetics {gas.kinetics_model!r}", "'bulk'"))
    if gas.transport_model not in _TRANSPORT:
        wanted = "mixture-averaged transport of neutral species"
        raise DataError(expected(f"{where}: phase {gas.name!r}", f"transport {gas.transport_model!r}", wanted))
    for species in gas.species():
        if species.charge:
            at = f"{where}: species {species.name!r}"
            raise DataError(expected(at, f"charge {species.charge:g}", "a neutral species"))


def nasa_coefficients(gas: Any, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the coefficients of the lower and upper range and the temperature between them.

    Parameters
    ----------
    gas : cantera.Solution
        The phase.
    where : str
        Its source, for messages.

    Returns
    -------
    tuple of array
        Shapes (K, 7), (K, 7) and (K,).

    Raises
    ------
    DataError
        If a species has another model than NASA7, or temperatures that do not increase from above zero.

    Examples
    --------
    >>> import cantera
    >>> nasa_coefficients(cantera.Solution("h2o2.yaml"), "h2o2.yaml")[2][:2]
    array([1000., 1000.])
    """
    import cantera as ct

    rows = []
    for species in gas.species():
        at, thermo = f"{where}: species {species.name!r}", species.thermo
        if not isinstance(thermo, ct.NasaPoly2):
            model = dict(thermo.input_data).get("model", type(thermo).__name__)
            raise DataError(expected(at, f"thermo model {model}", "NASA7 of one or two ranges"))
        limits = (thermo.min_temp, float(thermo.coeffs[0]), thermo.max_temp)
        if not 0 < limits[0] < limits[2] or not limits[0] <= limits[1] <= limits[2]:
            raise DataError(expected(f"{at}: temperature-ranges", limits, "increasing temperatures above 0 K"))
        rows.append(thermo.coeffs)
    table = np.array(rows, float).reshape(-1, 15)
    return table[:, 8:], table[:, 1:8], table[:, 0]


def transport_polynomials(gas: Any, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Cantera's fits in powers of ln T for viscosity, conductivity and binary diffusion of the pure species.

    Parameters
    ----------
    gas : cantera.Solution
        The phase; its transport model becomes mixture-averaged.
    where : str
        Its source, for messages.

    Returns
    -------
    tuple of array
        Shapes (K, 5), (K, 5) and (P, 5); pairs in the order of `pairs`.

    Raises
    ------
    DataError
        If a species has no transport data, or Cantera rejects them.

    Examples
    --------
    >>> import cantera
    >>> [c.shape for c in transport_polynomials(cantera.Solution("h2o2.yaml"), "h2o2.yaml")]
    [(10, 5), (10, 5), (55, 5)]
    """
    import cantera as ct

    for species in gas.species():
        if species.transport is None:
            raise DataError(
                expected(f"{where}: species {species.name!r}", "no transport data", "a gas transport model")
            )
    try:
        gas.transport_model = "mixture-averaged"
        species = range(gas.n_species)
        viscosity = [gas.get_viscosity_polynomial(k) for k in species]
        conductivity = [gas.get_thermal_conductivity_polynomial(k) for k in species]
        first, second = pairs(gas.n_species)
        diffusion = [gas.get_binary_diff_coeffs_polynomial(int(k), int(j)) for k, j in zip(first, second, strict=True)]
    except ct.CanteraError as error:
        raise DataError(expected(f"{where}: transport", reason(error), "valid transport data")) from error
    return np.array(viscosity), np.array(conductivity), np.array(diffusion)


def pairs(count: int) -> tuple[Tensor, Tensor]:
    """Return the species of each pair ``k <= j``: (0,0), (0,1), ..., (0,K-1), (1,1), ...

    Parameters
    ----------
    count : int
        Number of species K.

    Returns
    -------
    tuple of Tensor
        k and j, each of shape (K (K + 1) / 2,).

    Examples
    --------
    >>> pairs(2)
    (tensor([0, 0, 1]), tensor([0, 1, 1]))
    """
    first, second = torch.triu_indices(count, count)
    return first, second


def pair_index(count: int) -> Tensor:
    """Return the place of the pair of any two species in the order of `pairs`.

    Parameters
    ----------
    count : int
        Number of species K.

    Returns
    -------
    Tensor
        Symmetric, shape (K, K), whole numbers.

    Examples
    --------
    >>> pair_index(3)
    tensor([[0, 1, 2],
            [1, 3, 4],
            [2, 4, 5]])
    """
    first, second = pairs(count)
    index = torch.zeros(count, count, dtype=torch.long)
    index[first, second] = index[second, first] = torch.arange(len(first))
    return index
