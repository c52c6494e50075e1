"""Thermodynamic functions of the species from seven-coefficient NASA polynomials, nondimensional as they are tabulated.

The polynomials of the two temperature ranges meet at each species' own ``T_mid``; the lower one holds there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["enthalpy", "entropy", "heat_capacity", "heat_capacity_slope"]


def heat_capacity(params: Mapping[str, Tensor], mech: Mechanism, T: Tensor) -> Tensor:
    """Return ``c_p,k / R = a0 + a1 T + a2 T^2 + a3 T^3 + a4 T^4``.

    Parameters
    ----------
    params : Mapping of str to Tensor
        ``nasa_low`` and ``nasa_high``, shape (K, 7).
    mech : Mechanism
        Species.
    T : Tensor
        Temperature in K, shape (n,).

    Returns
    -------
    Tensor
        Molar heat capacities over R, shape (n, K).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> c = heat_capacity(mech.tensors(), mech, torch.tensor([500.0], dtype=torch.float64))
    >>> float(c[0, mech.species.index("AR")])
    2.5
    """
    none = torch.zeros_like(T)
    basis = torch.stack([torch.ones_like(T), T, T**2, T**3, T**4, none, none], 1)
    return _ranges(params, mech, T, basis)


def heat_capacity_slope(params: Mapping[str, Tensor], mech: Mechanism, T: Tensor) -> Tensor:
    """Return the derivative of ``c_p,k / R`` by the temperature.

    Parameters
    ----------
    params : Mapping of str to Tensor
        ``nasa_low`` and ``nasa_high``, shape (K, 7).
    mech : Mechanism
        Species.
    T : Tensor
        Temperature in K, shape (n,).

    Returns
    -------
    Tensor
        1/K, shape (n, K).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> c = heat_capacity_slope(mech.tensors(), mech, torch.tensor([500.0], dtype=torch.float64))
    >>> float(c[0, mech.species.index("AR")])
    0.0
    """
    none = torch.zeros_like(T)
    basis = torch.stack([none, torch.ones_like(T), 2 * T, 3 * T**2, 4 * T**3, none, none], 1)
    return _ranges(params, mech, T, basis)


def enthalpy(params: Mapping[str, Tensor], mech: Mechanism, T: Tensor) -> Tensor:
    """Return ``h_k / (R T) = a0 + a1 T/2 + a2 T^2/3 + a3 T^3/4 + a4 T^4/5 + a5/T``.

    Parameters
    ----------
    params : Mapping of str to Tensor
        ``nasa_low`` and ``nasa_high``, shape (K, 7).
    mech : Mechanism
        Species.
    T : Tensor
        Temperature in K, shape (n,).

    Returns
    -------
    Tensor
        Molar enthalpies over R T, formation included, shape (n, K).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> h = enthalpy(mech.tensors(), mech, torch.tensor([298.15], dtype=torch.float64))
    >>> round(float(h[0, mech.species.index("H2O")]) * 8.31446 * 0.29815, 1)  # kJ/mol
    -241.8
    """
    basis = torch.stack([torch.ones_like(T), T / 2, T**2 / 3, T**3 / 4, T**4 / 5, 1 / T, torch.zeros_like(T)], 1)
    return _ranges(params, mech, T, basis)


def entropy(params: Mapping[str, Tensor], mech: Mechanism, T: Tensor) -> Tensor:
    """Return ``s_k / R = a0 ln T + a1 T + a2 T^2/2 + a3 T^3/3 + a4 T^4/4 + a6`` at the reference pressure.

    Parameters
    ----------
    params : Mapping of str to Tensor
        ``nasa_low`` and ``nasa_high``, shape (K, 7).
    mech : Mechanism
        Species.
    T : Tensor
        Temperature in K, shape (n,).

    Returns
    -------
    Tensor
        Molar entropies over R, shape (n, K).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> s = entropy(mech.tensors(), mech, torch.tensor([298.15], dtype=torch.float64))
    >>> round(float(s[0, mech.species.index("H2O")]) * 8.31446, 1)  # J/mol/K
    188.8
    """
    basis = torch.stack([T.log(), T, T**2 / 2, T**3 / 3, T**4 / 4, torch.zeros_like(T), torch.ones_like(T)], 1)
    return _ranges(params, mech, T, basis)


def _ranges(params: Mapping[str, Tensor], mech: Mechanism, T: Tensor, basis: Tensor) -> Tensor:
    """Return the polynomial of the range in which each species is."""
    low, high = basis @ params["nasa_low"].T, basis @ params["nasa_high"].T
    return torch.where(T[:, None] > mech.middle, high, low)
