"""Falloff between the low- and the high-pressure limit, after Lindemann and Troe, with derivatives.

``f = Pr/(1 + Pr) F`` with ``Pr = M k_low/k_inf``. Troe: ``lg F = lg F_c/(1 + f1^2)``,
``f1 = (lg Pr + c)/(N - 0.14 (lg Pr + c))``, ``c = -0.4 - 0.67 lg F_c``, ``N = 0.75 - 1.27 lg F_c``,
``F_c = (1 - a) exp(-T/T3) + a exp(-T/T1) + exp(-T2/T)``; with three parameters the last term is absent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Falloff", "falloff", "falloff_derivatives"]

_SMALL = 1e-300


@dataclass(frozen=True, eq=False)
class Falloff:
    """The factor and its intermediates, (n, F) or, of Troe rows, (n, Q).

    Parameters
    ----------
    value, reduced : Tensor
        f and Pr.
    broadening : Tensor
        F.
    ratio : Tensor
        k_low / k_inf.
    center, x, width, f1 : Tensor
        F_c, lg Pr + c, N and f1.
    terms : tuple of Tensor
        The three terms of F_c.
    """

    value: Tensor
    reduced: Tensor
    broadening: Tensor
    ratio: Tensor
    center: Tensor
    x: Tensor
    width: Tensor
    f1: Tensor
    terms: tuple[Tensor, Tensor, Tensor]


def falloff(troe: Tensor, rows: Tensor, two: Tensor, T: Tensor, ratio: Tensor, M: Tensor) -> Falloff:
    """Return the falloff factor.

    Parameters
    ----------
    troe : Tensor
        a, T3, T1, T2 in (Q, 4).
    rows : Tensor
        Which falloffs have them, (Q,).
    two : Tensor
        One where T2 is used, (Q,).
    T : Tensor
        Temperature in K, (n,).
    ratio : Tensor
        k_low / k_inf, (n, F).
    M : Tensor
        Collider concentration in kmol/m3, (n, F).

    Returns
    -------
    Falloff
        Value and intermediates.

    Examples
    --------
    >>> one, none = torch.ones(1, 1), torch.zeros(0, dtype=torch.long)
    >>> falloff(torch.zeros(0, 4), none, torch.zeros(0), one[0], one, one).value  # Lindemann, Pr = 1
    tensor([[0.5000]])
    """
    reduced = M * ratio
    a, T3, T1, T2 = troe.unbind(1)
    t = T[:, None]
    terms = ((1 - a) * (-t / T3).exp(), a * (-t / T1).exp(), two * (-T2 / t).exp())
    center = (terms[0] + terms[1] + terms[2]).clamp(min=_SMALL)
    w = center.log10()
    x = reduced[:, rows].clamp(min=_SMALL).log10() - 0.4 - 0.67 * w
    width = 0.75 - 1.27 * w
    f1 = x / (width - 0.14 * x)
    F = (math.log(10.0) * w / (1 + f1**2)).exp()
    broadening = torch.ones_like(reduced).index_copy(1, rows, F)
    return Falloff(reduced / (1 + reduced) * broadening, reduced, broadening, ratio, center, x, width, f1, terms)


def falloff_derivatives(fall: Falloff, troe: Tensor, rows: Tensor, T: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Return derivatives of the falloff factor.

    Parameters
    ----------
    fall : Falloff
        From `falloff`.
    troe, rows, T
        As there.
    slope : Tensor
        Derivative of ln(k_low/k_inf) by T, (n, F).

    Returns
    -------
    tuple of Tensor
        By T at constant M, and by M at constant T, both (n, F).

    Examples
    --------
    >>> one, none = torch.ones(1, 1), torch.zeros(0, dtype=torch.long)
    >>> fall = falloff(torch.zeros(0, 4), none, torch.zeros(0), one[0], one, one)
    >>> falloff_derivatives(fall, torch.zeros(0, 4), none, one[0], one)[1]  # 1/(1 + Pr)^2
    tensor([[0.2500]])
    """
    _, T3, T1, T2 = troe.unbind(1)
    w, x, N, f1, t = fall.center.log10(), fall.x, fall.width, fall.f1, T[:, None]
    spread = (N - 0.14 * x) ** 2
    # lg F = w/(1 + f1^2) with f1 of x = lg Pr + c(w) and N(w)
    by_f1 = -2.0 * w * f1 / (1 + f1**2) ** 2
    by_lg_Pr = by_f1 * N / spread * (fall.reduced[:, rows] >= _SMALL)
    by_w = 1 / (1 + f1**2) + by_f1 * (-0.67 * N + 1.27 * x) / spread
    first, second, third = fall.terms
    center_T = (-first / T3 - second / T1 + third * T2 / t**2) * (fall.center > _SMALL)
    Pr = fall.reduced
    none = torch.zeros_like(Pr)
    by_Pr = fall.broadening / (1 + Pr) * (1 / (1 + Pr) + none.index_copy(1, rows, by_lg_Pr))
    through_center = none.index_copy(1, rows, by_w * center_T / fall.center)
    return by_Pr * Pr * slope + fall.value * through_center, by_Pr * fall.ratio
