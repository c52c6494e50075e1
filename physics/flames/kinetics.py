"""Net production rates of the species, and their derivatives in closed form.

With M the collider concentration, ``k_f = A T^b exp(-T_a/T) f``, f = 1, M, or the falloff ``Pr/(1 + Pr) F``, and
``q = k_f prod C^order - k_f/K_c prod C^nu``, ``K_c = exp(-dG0/RT) (p_ref/RT)^dnu``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from retrodict.physics.flames.falloff import falloff_derivatives
from retrodict.physics.flames.rates import CAP, TINY, Stages, rate_stages

if TYPE_CHECKING:
    from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["production", "production_jacobian", "rate_constants", "rates_of_progress"]

Params = Mapping[str, Tensor]


def production(params: Params, mech: Mechanism, T: Tensor, C: Tensor) -> Tensor:
    """Return net molar production rates.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism.
    mech : Mechanism
        Structure.
    T : Tensor
        Temperature in K, (n,).
    C : Tensor
        Concentrations in kmol/m3, (n, K); may be slightly negative.

    Returns
    -------
    Tensor
        wdot in kmol/m3/s, (n, K).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, C = torch.tensor([1500.0], dtype=torch.float64), torch.full((1, 10), 1e-3, dtype=torch.float64)
    >>> wdot = production(mech.tensors(), mech, T, C)
    >>> bool((wdot @ mech.weights).abs() < 1e-9 * wdot.abs().max())  # mass is conserved
    True
    """
    return rates_of_progress(params, mech, T, C) @ mech.reactions.net


def rates_of_progress(params: Params, mech: Mechanism, T: Tensor, C: Tensor) -> Tensor:
    """Return net rates of progress.

    Parameters
    ----------
    params, mech, T, C
        As in `production`.

    Returns
    -------
    Tensor
        q in kmol/m3/s, (n, R).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, C = torch.tensor([1500.0], dtype=torch.float64), torch.full((1, 10), 1e-3, dtype=torch.float64)
    >>> rates_of_progress(mech.tensors(), mech, T, C).shape
    torch.Size([1, 29])
    """
    s = rate_stages(params, mech, T, C)
    return s.factor * s.base


def rate_constants(params: Params, mech: Mechanism, T: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Return forward and reverse rate constants, colliders and falloff included.

    Parameters
    ----------
    params, mech, T, C
        As in `production`.

    Returns
    -------
    tuple of Tensor
        Both (n, R), in powers of kmol/m3 per second; reverse ones are zero for irreversible reactions.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, C = torch.tensor([1500.0], dtype=torch.float64), torch.full((1, 10), 1e-3, dtype=torch.float64)
    >>> round(float(rate_constants(mech.tensors(), mech, T, C)[0][0, 2]))  # 38.7 T^2.7 exp(-3150 K / T)
    1782765758
    """
    s = rate_stages(params, mech, T, C)
    open_ = (mech.reactions.reverse[0] <= mech.K).to(T.dtype)
    return s.factor * s.k, s.factor * s.k_reverse * open_


def production_jacobian(params: Params, mech: Mechanism, T: Tensor, C: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return production rates and their derivatives by temperature and concentrations, in closed form.

    Parameters
    ----------
    params, mech, T, C
        As in `production`.

    Returns
    -------
    tuple of Tensor
        wdot (n, K); its derivative by T at constant C, (n, K); by C at constant T, (n, K, K), the last axis that of C.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> T, C = torch.tensor([1500.0], dtype=torch.float64), torch.full((1, 10), 1e-3, dtype=torch.float64)
    >>> wdot, by_T, by_C = production_jacobian(mech.tensors(), mech, T, C)
    >>> by_T.shape, by_C.shape
    (torch.Size([1, 10]), torch.Size([1, 10, 10]))
    """
    r, s = mech.reactions, rate_stages(params, mech, T, C)
    base = s.base
    q = s.factor * base
    by_T = q * (params["b"] + params["T_a"] / T[:, None]) / T[:, None]
    # d ln(1/K_c)/dT = sum nu (1 - h/RT)/T
    slope = ((1.0 - s.enthalpy) / T[:, None]) @ r.reversible.T * (s.ln_inverse <= CAP)
    by_T = by_T - s.factor * s.k_reverse * s.reverse_product * slope
    by_M = base[:, r.body[r.plain_body]]
    if s.falloff is not None:
        f, t = r.falloff, T[:, None]
        slope = (params["b_low"] - params["b"][f] + (params["T_a_low"] - params["T_a"][f]) / t) / t
        fall_T, fall_M = falloff_derivatives(s.falloff, params["troe"], r.troe, T, slope)
        by_T = by_T.index_add(1, f, fall_T * base[:, f])
        by_M = torch.cat([by_M, fall_M * base[:, f]], 1)
    rows = torch.cat([r.plain_body, r.falloff_body])
    by_C = _through_slots(mech, s) + _dense(by_M, r.net[r.body[rows]], params["efficiency"][rows])
    return q @ r.net, by_T @ r.net, by_C + _through_powers(mech, s, C)


def _through_slots(mech: Mechanism, s: Stages) -> Tensor:
    """Return the derivative of wdot through plain products of concentrations, (n, K, K)."""
    forward, reverse = s.factor * s.k, -s.factor * s.k_reverse
    forward = forward if s.power is None else forward * s.power
    reverse = reverse if s.power_reverse is None else reverse * s.power_reverse
    slots = [*_others(s.forward, forward), *_others(s.reverse, reverse)]
    source, target, weight = mech.reactions.scatter
    # points last: sums of whole rows are fast
    table = torch.cat([slot.T for slot in slots]).index_select(0, source) * weight[:, None]
    by_C = torch.zeros(mech.K**2, table.shape[1], dtype=table.dtype).index_add(0, target, table)
    return by_C.T.reshape(-1, mech.K, mech.K)


def _others(factors: list[Tensor], outer: Tensor) -> list[Tensor]:
    """Return the derivative of ``outer * product`` by each factor, without division."""
    before, derivatives = outer, []
    for i, factor in enumerate(factors):
        after = before
        for other in factors[i + 1 :]:
            after = after * other
        derivatives.append(after)
        before = before * factor
    return derivatives


def _through_powers(mech: Mechanism, s: Stages, C: Tensor) -> Tensor | float:
    """Return the derivative of wdot through fractional and negative powers, (n, K, K)."""
    r, total = mech.reactions, torch.zeros((), dtype=C.dtype)
    slope = ((C >= TINY) / C.clamp(min=TINY))[:, None, :]
    if s.rest is not None:
        total = total + _some(s.factor * s.k * s.forward_product, r.net, s.rest) * slope
    if s.power_reverse is not None:
        total = total - _some(s.factor * s.k_reverse * s.reverse_product, r.net, r.reverse_rest) * slope
    return total


def _some(rates: Tensor, net: Tensor, orders: Tensor) -> Tensor:
    """Return ``_dense`` of the reactions that have orders there."""
    rows = orders.ne(0).any(1).nonzero()[:, 0]
    return _dense(rates[:, rows], net[rows], orders[rows])


def _dense(rates: Tensor, net: Tensor, weights: Tensor) -> Tensor:
    """Return ``sum_r rates_r net_rk weights_rj`` at each point, (n, K, K)."""
    K = net.shape[1]
    return (rates @ (net[:, :, None] * weights[:, None, :]).reshape(len(net), K * K)).reshape(-1, K, K)
