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

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Factors", "earlier", "later", "pair_moments"]


def _bounded(h: Tensor) -> Tensor:
    """Keep exp(h) of the coherence finite: from a heading spread of 9 rad on in single, of 25 rad in double precision.

    Beyond, the heading is treated as if it spread no further, and covariances are no longer exact.
    """
    return h.clamp(max=0.9 * math.log(torch.finfo(h.dtype).max))


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

    def plus(self, other: Factors, times: float = 1.0) -> Factors:
        """Return these coefficients plus a multiple of others: those of increments taken together.

        Examples
        --------
        >>> one = torch.ones((), dtype=torch.complex64)
        >>> Factors(one, one, one, one).plus(Factors(one, one, one, one), 2.0).q0
        tensor(3.+0.j)
        """
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Factors(*(torch.add(a, b, alpha=times) for a, b in pairs))


def later(m: Tensor, n: Tensor, h: Tensor, c: Tensor | None, *, exact: bool) -> tuple[Tensor, Tensor]:
    """Return ``A`` and ``X`` of increments with mean speed m, mean heading n, heading variance h, covariance c.

    Without a covariance (None), and linearised, ``X`` is real.

    Examples
    --------
    >>> zero, one = torch.zeros(()), torch.ones(())
    >>> later(one, zero, zero, zero, exact=True)
    (tensor(1.+0.j), tensor(1.+0.j))
    """
    size = torch.exp(-0.5 * _bounded(h)) if exact else torch.ones_like(n)
    # several times faster than torch.polar
    a = torch.complex(size * torch.cos(n), size * torch.sin(n))
    return a, m if c is None or not exact else torch.complex(m, c)


def earlier(
    a: Tensor,
    m: Tensor,
    c: Tensor | None,
    v_cross: Tensor,
    h_cross: Tensor,
    c_late: Tensor | None,
    c_early: Tensor | None,
    *,
    exact: bool,
) -> Factors:
    """Return the factors of increments seen from later ones.

    Parameters
    ----------
    a, m, c : Tensor
        ``A``, mean speed and covariance of speed with heading of the earlier increments.
    v_cross, h_cross : Tensor
        Covariance of the later with the earlier speed, and heading.
    c_late, c_early : Tensor or None
        cov(v_t, h_s) and cov(v_s, h_t). None for all three: speeds and headings are independent.
    exact : bool
        Exact or linearised.

    Examples
    --------
    A certain earlier increment has no covariance with anything:

    >>> zero, one = torch.zeros(()), torch.ones((), dtype=torch.complex64)
    >>> earlier(one, zero + 1, zero, zero, zero, zero, zero, exact=True).m1
    tensor(0.+0.j)
    """
    back = a.conj().resolve_conj()
    if not exact:
        if c_late is None or c_early is None:
            return Factors(back * (h_cross * m), back * v_cross, a * (-h_cross * m), a * v_cross)
        turned, m_late = h_cross * m, m * c_late
        v_cross, c_early, turned, m_late = torch.broadcast_tensors(v_cross, c_early, turned, m_late)
        return Factors(
            back * torch.complex(turned, c_early),
            back * torch.complex(v_cross, -m_late),
            a * torch.complex(-turned, c_early),
            a * torch.complex(v_cross, m_late),
        )
    h = _bounded(h_cross)
    grow, shrink = torch.expm1(h), torch.expm1(-h)
    up, down = grow + 1, shrink + 1
    if c is None or c_late is None or c_early is None:
        return Factors(back * (grow * m), back * (up * v_cross), a * (shrink * m), a * (down * v_cross))
    linked, m_late, both = v_cross - c * c_late, m * c_late, c_late * c_early
    return Factors(
        back * torch.complex(grow * m, up * c_early - grow * c),
        back * torch.complex(up * (linked + both), -up * m_late),
        a * torch.complex(shrink * m, down * c_early + shrink * c),
        a * torch.complex(down * (linked - both), down * m_late),
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
