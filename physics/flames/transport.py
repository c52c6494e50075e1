"""Mixture-averaged transport as Cantera has it: conductivity, viscosity, and diffusion into the mixture.

With ``l = (1, ln T, ..., ln^4 T)`` and fits a, b, c: ``mu_k = (T^(1/4) a.l)^2``, ``lambda_k = T^(1/2) b.l``,
``D_kj = T^(3/2) c.l / p``, each times the exponential of its parameter. Mole fractions are held above `TRACE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from retrodict.physics.flames.diffusion import TRACE, mixture_diffusion, mixture_diffusion_jacobian

if TYPE_CHECKING:
    from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["conductivity", "mixture_diffusion", "mixture_diffusion_jacobian", "viscosity"]

Params = Mapping[str, Tensor]


def conductivity(params: Params, mech: Mechanism, T: Tensor, X: Tensor) -> Tensor:
    """Return the thermal conductivity ``(sum X lambda + 1/sum(X/lambda))/2``.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism: ``ln_conductivity``.
    mech : Mechanism
        Fits.
    T : Tensor
        Temperature in K, (n,).
    X : Tensor
        Mole fractions, (n, K).

    Returns
    -------
    Tensor
        lambda in W/m/K, (n,).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.physics.flames.mixture import mole_fractions
    >>> mech = load_mechanism("h2o2.yaml")
    >>> air = mole_fractions(mech, mech.mass_fractions("O2:1, N2:3.76")[None])
    >>> round(float(conductivity(mech.tensors(), mech, torch.tensor([300.0], dtype=torch.float64), air)), 4)
    0.0265
    """
    pure = T.sqrt()[:, None] * (_powers(T) @ mech.conductivity.T) * params["ln_conductivity"].exp()
    X = X.clamp(min=TRACE)
    return 0.5 * ((X * pure).sum(1) + 1.0 / (X / pure).sum(1))


def viscosity(params: Params, mech: Mechanism, T: Tensor, X: Tensor) -> Tensor:
    """Return the dynamic viscosity after Wilke.

    ``mu = sum_k X_k mu_k / sum_j Phi_kj X_j``,
    ``Phi_kj = [1 + (mu_k/mu_j)^(1/2) (W_j/W_k)^(1/4)]^2 / [8 (1 + W_k/W_j)]^(1/2)``.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism: ``ln_viscosity``.
    mech : Mechanism
        Fits and molar masses.
    T : Tensor
        Temperature in K, (n,).
    X : Tensor
        Mole fractions, (n, K).

    Returns
    -------
    Tensor
        mu in Pa s, (n,).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.physics.flames.mixture import mole_fractions
    >>> mech = load_mechanism("h2o2.yaml")
    >>> air = mole_fractions(mech, mech.mass_fractions("O2:1, N2:3.76")[None])
    >>> round(1e5 * float(viscosity(mech.tensors(), mech, torch.tensor([300.0], dtype=torch.float64), air)), 2)
    1.86
    """
    root = T[:, None] ** 0.25 * (_powers(T) @ mech.viscosity.T) * (params["ln_viscosity"] / 2).exp()
    X, W = X.clamp(min=TRACE), mech.weights
    weight = (8.0 * (1.0 + W[:, None] / W)) ** -0.5
    scaled = root / W**0.25
    mixing = weight * (1.0 + scaled[:, :, None] / scaled[:, None, :]) ** 2
    return (X * root**2 / (mixing @ X[:, :, None])[:, :, 0]).sum(1)


def _powers(T: Tensor) -> Tensor:
    """Return the powers of ln T, (n, 5)."""
    L = T.log()
    return torch.stack([torch.ones_like(L), L, L**2, L**3, L**4], 1)
