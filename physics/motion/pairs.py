"""Covariance of two increments ``v exp(i heading)`` of a Gaussian speed and heading, exact or linearised.

Write position as a complex number. For jointly Gaussian speeds ``v_t, v_s`` and headings ``h_t, h_s`` with means m, n,

    E[v exp(i h)] = A X,  A = exp(i n - H/2),  X = m + i C   (C = cov(v, h), H = var h)

and the centred second moments of a later increment t with an earlier one s are

    M = cov with the conjugate = A_t A_s* { expm1(H_ts) X_t Y + exp(H_ts) [i X_t C_st - i Y C_ts + C_ts C_st + V_ts] }
    Q = cov without it         = A_t A_s { expm1(-H_ts) X_t Z + exp(-H_ts) [i X_t C_st + i Z C_ts - C_ts C_st + V_ts] }

with ``Y = m_s - i C_ss``, ``Z = m_s + i C_ss``, ``C_ts = cov(v_t, h_s)``, ``C_st = cov(v_s, h_t)``. They follow from
``E[a b exp(i p)] = [(mu_a + i S_ap)(mu_b + i S_bp) + S_ab] exp(i mu_p - S_pp/2)``. Nothing cancels: in this form
single precision is enough, while ``E[p p] - mu^2`` loses the variance. The linearised moments have the same shape
with ``expm1(H) -> H``, ``exp -> 1``, ``C_ts C_st -> 0``, ``X -> m``, ``A -> exp(i n)``.

Then Var x = (M + Re Q)/2, Var y = (M - Re Q)/2, Cov = Im Q / 2 of the summed increments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Factors", "earlier", "later", "pair_moments"]

# exp(H) of the coherence must stay finite in single precision; a heading spread of 12 rad is no heading any more
_LARGEST_VARIANCE = 160.0


@dataclass(frozen=True)
class Factors:
    """Coefficients of an earlier increment: ``M = A_t (X_t m1 + m0)`` and ``Q = A_t (X_t q1 + q0)``.

    Parameters
    ----------
    m1, m0, q1, q0 : Tensor
        Complex, of one shape.
    """

    m1: Tensor
    m0: Tensor
    q1: Tensor
    q0: Tensor


def later(m: Tensor, n: Tensor, h: Tensor, c: Tensor, *, exact: bool) -> tuple[Tensor, Tensor]:
    """Return ``A`` and ``X`` of increments with mean speed m, mean heading n, heading variance h, covariance c.

    Examples
    --------
    >>> zero, one = torch.zeros(()), torch.ones(())
    >>> later(one, zero, zero, zero, exact=True)
    (tensor(1.+0.j), tensor(1.+0.j))
    """
    if not exact:
        return torch.polar(torch.ones_like(n), n), torch.complex(m, torch.zeros_like(m))
    return torch.polar(torch.exp(-0.5 * h.clamp(max=_LARGEST_VARIANCE)), n), torch.complex(m, c)


def earlier(
    a: Tensor, x: Tensor, v_cross: Tensor, h_cross: Tensor, c_late: Tensor, c_early: Tensor, *, exact: bool
) -> Factors:
    """Return the factors of increments seen from later ones.

    Parameters
    ----------
    a, x : Tensor
        ``A`` and ``X`` of the earlier increments.
    v_cross, h_cross : Tensor
        Covariance of the later with the earlier speed, and heading.
    c_late, c_early : Tensor
        cov(v_t, h_s) and cov(v_s, h_t).
    exact : bool
        Exact or linearised.

    Examples
    --------
    A certain earlier increment has no covariance with anything:

    >>> zero, one = torch.zeros(()), torch.ones((), dtype=torch.complex64)
    >>> earlier(one, one, zero, zero, zero, zero, exact=True).m1
    tensor(0.+0.j)
    """
    y = x.conj()
    if exact:
        h = h_cross.clamp(max=_LARGEST_VARIANCE)
        grow, shrink = torch.expm1(h), torch.expm1(-h)
        cc = c_late * c_early
    else:
        grow, shrink = h_cross, -h_cross
        cc = torch.zeros_like(c_late)
    up, down = (grow + 1, shrink + 1) if exact else (torch.ones_like(grow), torch.ones_like(grow))
    back = a.conj()
    return Factors(
        back * (grow * y + 1j * (up * c_early)),
        back * (up * (v_cross + cc - 1j * (y * c_late))),
        a * (shrink * x + 1j * (down * c_early)),
        a * (down * (v_cross - cc + 1j * (x * c_late))),
    )


def pair_moments(a: Tensor, x: Tensor, factors: Factors) -> tuple[Tensor, Tensor]:
    """Return M and Q of later increments ``a, x`` with the earlier ones that ``factors`` describe.

    Examples
    --------
    >>> one = torch.ones((), dtype=torch.complex64)
    >>> pair_moments(one, one, Factors(one, 2 * one, 3 * one, 4 * one))
    (tensor(3.+0.j), tensor(7.+0.j))
    """
    return a * (x * factors.m1 + factors.m0), a * (x * factors.q1 + factors.q0)
