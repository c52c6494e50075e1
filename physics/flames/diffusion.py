"""Diffusion of each species into the mixture, and its derivatives in closed form.

``G_k = rho (W_k/Wbar) D'_km`` multiplies the gradient of X_k, with ``D'_km = (1 - Y_k)/sum_{j != k} X_j/D_kj``. Here
``1 - Y_k`` is the sum of the other mass fractions: nothing cancels, and where a species is pure its coefficient is that
in equal traces of all others, positive and finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from retrodict.physics.flames.mixture import GAS_CONSTANT, mean_weight, mole_fractions
from retrodict.physics.flames.species_data import pair_index

if TYPE_CHECKING:
    from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["TRACE", "mixture_diffusion", "mixture_diffusion_jacobian"]

Params = Mapping[str, Tensor]

TRACE = 1e-20
"""Least mole fraction in mixture rules, as in Cantera, so that a pure species has neighbours."""


@dataclass(frozen=True, eq=False)
class _Stages:
    """Intermediates: ``G = scale others / sums``; pairs are (n, K, K) with an empty diagonal."""

    fit: Tensor
    inverse: Tensor
    raw: Tensor
    X: Tensor
    masses: Tensor
    mean: Tensor
    off: Tensor
    others: Tensor
    sums: Tensor
    scale: Tensor

    @property
    def value(self) -> Tensor:
        """G."""
        return self.scale * self.others / self.sums


def mixture_diffusion(params: Params, mech: Mechanism, T: Tensor, p: Tensor | float, Y: Tensor) -> Tensor:
    """Return what multiplies the gradients of mole fractions in the diffusive fluxes.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism: ``ln_diffusion``.
    mech : Mechanism
        Fits and molar masses.
    T : Tensor
        Temperature in K, (n,).
    p : Tensor or float
        Pressure in Pa; rho D does not depend on it.
    Y : Tensor
        Mass fractions, (n, K).

    Returns
    -------
    Tensor
        G in kg/m/s, (n, K).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, air = torch.tensor([300.0], dtype=torch.float64), mech.mass_fractions("O2:1, N2:3.76")[None]
    >>> G = mixture_diffusion(mech.tensors(), mech, T, 101325.0, air)
    >>> round(float(G[0, mech.species.index("O2")] * 1e5), 2)
    2.63
    """
    return _stages(params, mech, T, p, Y).value


def _stages(params: Params, mech: Mechanism, T: Tensor, p: Tensor | float, Y: Tensor) -> _Stages:
    """Return all intermediates."""
    K, L = mech.K, T.log()
    fit = (mech.diffusion * params["ln_diffusion"].exp()[:, None])[pair_index(K).reshape(-1)]
    polynomial = (torch.stack([torch.ones_like(L), L, L**2, L**3, L**4], 1) @ fit.T).reshape(-1, K, K)
    # a gas of one species diffuses into itself
    off = 1.0 - torch.eye(K, dtype=T.dtype) if K > 1 else torch.ones(1, 1, dtype=T.dtype)
    inverse = off / polynomial
    raw, mean = mole_fractions(mech, Y), mean_weight(mech, Y)[:, None]
    X = raw.clamp(min=TRACE)
    masses = torch.where(raw >= TRACE, Y, TRACE * mech.weights / mean)
    # rho/Wbar = p/(R T), D_kj = T^(3/2) c.l / p
    scale = (p / (GAS_CONSTANT * T) * (T**1.5 / p))[:, None] * mech.weights
    return _Stages(fit, inverse, raw, X, masses, mean, off, masses @ off, (inverse @ X[:, :, None])[:, :, 0], scale)


def mixture_diffusion_jacobian(
    params: Params, mech: Mechanism, T: Tensor, p: Tensor | float, Y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `mixture_diffusion` and its derivatives by temperature and mass fractions, whose sum is left free.

    Parameters
    ----------
    params, mech, T, p, Y
        As in `mixture_diffusion`.

    Returns
    -------
    tuple of Tensor
        G (n, K), its derivative by T (n, K), and by Y (n, K, K), the last axis that of Y.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, air = torch.tensor([300.0], dtype=torch.float64), mech.mass_fractions("O2:1, N2:3.76")[None]
    >>> G, by_T, by_Y = mixture_diffusion_jacobian(mech.tensors(), mech, T, 101325.0, air)
    >>> round(float(300.0 * by_T[0, 3] / G[0, 3]), 1)  # rho D grows as T^0.8
    0.8
    """
    s, L = _stages(params, mech, T, p, Y), T.log()
    G = s.value
    slope = torch.stack([torch.zeros_like(L), torch.ones_like(L), 2 * L, 3 * L**2, 4 * L**3], 1) @ s.fit.T
    # d ln D_kj/dT = (3/2 + c.l'/c.l)/T, and 1/T goes with the density
    steeper = slope.reshape(s.inverse.shape).mul_(s.inverse).mul_(s.inverse) @ s.X[:, :, None]
    by_T = G * (0.5 + steeper[:, :, 0] / s.sums) / T[:, None]
    present = (s.raw >= TRACE).to(T.dtype)
    # dX_i/dY_j = (Wbar/W_j) (delta_ij - X_i) of species that are present; traces are constant in X, not in Y
    per = s.mean / mech.weights
    through_mean = (s.inverse @ (present * s.raw)[:, :, None])[:, :, 0] / s.sums
    traces = ((1.0 - present) * s.masses) @ s.off
    ratio = s.scale / s.sums
    # in place, as these are the largest arrays of a flame
    by_Y = (s.inverse * (-G / s.sums)[:, :, None]).mul_(per[:, None, :])
    by_Y = by_Y.addcmul_(s.off, ratio[:, :, None]).mul_(present[:, None, :])
    return G, by_T, by_Y.baddbmm_((G * through_mean + ratio * traces)[:, :, None], per[:, None, :])
