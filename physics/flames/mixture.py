"""The ideal-gas mixture at a point: molar mass, density, mole fractions and concentrations.

All are defined for mass fractions that do not sum to one, as a Newton iteration meets them:
``1/Wbar = sum_k Y_k / W_k`` and ``X_k = Y_k Wbar / W_k``, so that ``sum X = 1`` always.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from retrodict.physics.flames.thermo import heat_capacity

if TYPE_CHECKING:
    from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["GAS_CONSTANT", "concentrations", "density", "heat_capacity_mass", "mean_weight", "mole_fractions"]

GAS_CONSTANT = 8314.46261815324
"""Molar gas constant in J/kmol/K (CODATA 2018, exact)."""


def mean_weight(mech: Mechanism, Y: Tensor) -> Tensor:
    """Return the molar mass of the mixture.

    Parameters
    ----------
    mech : Mechanism
        Species.
    Y : Tensor
        Mass fractions, shape (n, K).

    Returns
    -------
    Tensor
        Wbar in kg/kmol, shape (n,).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> round(float(mean_weight(mech, mech.mass_fractions("O2:1, N2:3.76")[None])), 3)
    28.851
    """
    return 1.0 / (Y @ (1.0 / mech.weights))


def mole_fractions(mech: Mechanism, Y: Tensor) -> Tensor:
    """Return mole fractions.

    Parameters
    ----------
    mech : Mechanism
        Species.
    Y : Tensor
        Mass fractions, shape (n, K).

    Returns
    -------
    Tensor
        X, shape (n, K); sums to one.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> X = mole_fractions(mech, mech.mass_fractions("O2:1, N2:3")[None])
    >>> round(float(X[0, mech.species.index("O2")]), 6)
    0.25
    """
    return Y / mech.weights * mean_weight(mech, Y)[:, None]


def density(mech: Mechanism, T: Tensor, p: Tensor | float, Y: Tensor) -> Tensor:
    """Return the density ``p Wbar / (R T)``.

    Parameters
    ----------
    mech : Mechanism
        Species.
    T : Tensor
        Temperature in K, shape (n,).
    p : Tensor or float
        Pressure in Pa.
    Y : Tensor
        Mass fractions, shape (n, K).

    Returns
    -------
    Tensor
        rho in kg/m3, shape (n,).

    Examples
    --------
    >>> import torch
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> air = mech.mass_fractions("O2:1, N2:3.76")[None]
    >>> round(float(density(mech, torch.tensor([300.0], dtype=torch.float64), 101325.0, air)), 4)
    1.172
    """
    return p * mean_weight(mech, Y) / (GAS_CONSTANT * T)


def concentrations(mech: Mechanism, T: Tensor, p: Tensor | float, Y: Tensor) -> Tensor:
    """Return concentrations ``rho Y_k / W_k``.

    Parameters
    ----------
    mech : Mechanism
        Species.
    T : Tensor
        Temperature in K, shape (n,).
    p : Tensor or float
        Pressure in Pa.
    Y : Tensor
        Mass fractions, shape (n, K).

    Returns
    -------
    Tensor
        C in kmol/m3, shape (n, K).

    Examples
    --------
    >>> import torch
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, air = torch.tensor([300.0], dtype=torch.float64), mech.mass_fractions("O2:1, N2:3.76")[None]
    >>> round(float(concentrations(mech, T, 101325.0, air).sum()), 6)  # p / (R T)
    0.040622
    """
    return density(mech, T, p, Y)[:, None] * Y / mech.weights


def heat_capacity_mass(params: Mapping[str, Tensor], mech: Mechanism, T: Tensor, Y: Tensor) -> Tensor:
    """Return the heat capacity of the mixture per mass, ``sum_k Y_k c_p,k / W_k``.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism: ``nasa_low`` and ``nasa_high``.
    mech : Mechanism
        Species.
    T : Tensor
        Temperature in K, shape (n,).
    Y : Tensor
        Mass fractions, shape (n, K).

    Returns
    -------
    Tensor
        c_p in J/kg/K, shape (n,).

    Examples
    --------
    >>> import torch
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, air = torch.tensor([300.0], dtype=torch.float64), mech.mass_fractions("O2:1, N2:3.76")[None]
    >>> round(float(heat_capacity_mass(mech.tensors(), mech, T, air)), 1)
    1010.1
    """
    return GAS_CONSTANT * (heat_capacity(params, mech, T) * Y / mech.weights).sum(1)
