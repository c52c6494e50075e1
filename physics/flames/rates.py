"""The stages a rate is made of: constants, colliders, products of concentrations; values and derivatives share them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from retrodict.physics.flames.falloff import Falloff, falloff
from retrodict.physics.flames.mixture import GAS_CONSTANT
from retrodict.physics.flames.thermo import enthalpy, entropy

if TYPE_CHECKING:
    from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["CAP", "TINY", "Stages", "rate_stages"]

TINY = 1e-18
"""Concentration in kmol/m3 below which fractional and negative powers are held constant."""

CAP = 600.0
"""Greatest ln(1/K_c): beyond, endothermic reactions in cold gas would overflow."""


@dataclass(frozen=True, eq=False)
class Stages:
    """Intermediates of all rates, (n, R) unless said otherwise.

    Parameters
    ----------
    enthalpy : Tensor
        h/(R T) of the species, (n, K).
    k, k_reverse : Tensor
        Constants without colliders and falloff (of falloff the high-pressure limit).
    ln_inverse : Tensor
        ln(1/K_c), not capped.
    falloff : Falloff or None
        Falloff factors, if there are any.
    factor : Tensor
        One, M or falloff factor.
    forward, reverse : list of Tensor
        Concentrations to be multiplied.
    power, power_reverse : Tensor or None
        What fractional and negative orders contribute, where there are any.
    rest : Tensor or None
        Orders in `power`, (R, K).
    """

    enthalpy: Tensor
    k: Tensor
    k_reverse: Tensor
    ln_inverse: Tensor
    falloff: Falloff | None
    factor: Tensor
    forward: list[Tensor]
    reverse: list[Tensor]
    power: Tensor | None
    power_reverse: Tensor | None
    rest: Tensor | None

    @property
    def base(self) -> Tensor:
        """Net rates of progress without colliders and falloff."""
        return self.k * self.forward_product - self.k_reverse * self.reverse_product

    @property
    def forward_product(self) -> Tensor:
        """Concentrations to the power of their orders."""
        return _product(self.forward, self.power)

    @property
    def reverse_product(self) -> Tensor:
        """The same of products; zero where a reaction is irreversible."""
        return _product(self.reverse, self.power_reverse)


def rate_stages(params: Mapping[str, Tensor], mech: Mechanism, T: Tensor, C: Tensor) -> Stages:
    """Return all intermediates of the rates.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism.
    mech : Mechanism
        Structure.
    T : Tensor
        Temperature in K, (n,).
    C : Tensor
        Concentrations in kmol/m3, (n, K).

    Returns
    -------
    Stages
        Values only; nothing is differentiated here.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, C = torch.tensor([1500.0], dtype=torch.float64), torch.full((1, 10), 1e-3, dtype=torch.float64)
    >>> round(float(rate_stages(mech.tensors(), mech, T, C).k[0, 2]))  # 38.7 T^2.7 exp(-3150 K / T)
    1782765758
    """
    r = mech.reactions
    basis = torch.stack([torch.ones_like(T), T.log(), -1.0 / T], 1)
    high = torch.stack([params["ln_A"], params["b"], params["T_a"]])
    k = r.sign * (basis @ high).exp()
    h = enthalpy(params, mech, T)
    # ln(1/K_c) = sum nu (h/RT - s/R - ln(p_ref/RT))
    standard = h - entropy(params, mech, T) - (mech.reference_pressure / GAS_CONSTANT / T).log()[:, None]
    ln_inverse = standard @ r.reversible.T
    M = C @ params["efficiency"].T
    fall = None
    if len(r.falloff):
        low = torch.stack([params["ln_A_low"], params["b_low"], params["T_a_low"]]) - high[:, r.falloff]
        ratio = r.sign_low * r.sign[r.falloff] * (basis @ low).exp()
        fall = falloff(params["troe"], r.troe, r.troe_two, T, ratio, M[:, r.falloff_body])
    columns = [torch.ones_like(T)[:, None], M[:, r.plain_body], *([fall.value] if fall else [])]
    padded = torch.cat([C, torch.ones_like(C[:, :1]), torch.zeros_like(C[:, :1])], 1)
    rest = _rest(params["order"], mech)
    return Stages(
        enthalpy=h,
        k=k,
        k_reverse=k * ln_inverse.clamp(max=CAP).exp(),
        ln_inverse=ln_inverse,
        falloff=fall,
        factor=torch.cat(columns, 1).index_select(1, r.factor_column),
        forward=[padded.index_select(1, slot) for slot in r.forward],
        reverse=[padded.index_select(1, slot) for slot in r.reverse],
        power=None if rest is None else _powers(C, rest),
        power_reverse=_powers(C, r.reverse_rest) if bool(r.reverse_rest.any()) else None,
        rest=rest,
    )


def _powers(C: Tensor, orders: Tensor) -> Tensor:
    """Return products of powers of concentrations."""
    return (C.clamp(min=TINY).log() @ orders.T).exp()


def _rest(order: Tensor, mech: Mechanism) -> Tensor | None:
    """Return what orders exceed their whole parts by, (R, K); None where that is nothing and nobody asks for more."""
    r = mech.reactions
    excess = order - r.order_whole
    if not _tracked(order) and not bool(excess.any()):
        return None
    flat = torch.arange(len(order))[:, None] * (mech.K + 1) + r.order_species
    rest = torch.zeros(len(order) * (mech.K + 1), dtype=order.dtype).index_add(0, flat.reshape(-1), excess.reshape(-1))
    return rest.reshape(len(order), mech.K + 1)[:, : mech.K]


def _tracked(x: Tensor) -> bool:
    """Return whether somebody differentiates by this tensor, in reverse, in forward mode or by a transform."""
    if x.requires_grad and torch.is_grad_enabled():
        return True
    return torch.func.debug_unwrap(x) is not x or torch.autograd.forward_ad.unpack_dual(x).tangent is not None


def _product(factors: list[Tensor], power: Tensor | None) -> Tensor:
    """Return the product of the slots and the power."""
    product = factors[0]
    for f in factors[1:]:
        product = product * f
    return product if power is None else product * power
