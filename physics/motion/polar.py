"""What the two routes to polar moments share: the point that moves, the reference point ahead of it, the result."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.motion.pairs import Factors, earlier, later, pair_moments
from retrodict.physics.motion.state import Moments, Start

__all__ = ["Ends", "Sums", "assemble", "start_factors", "with_lever"]


@dataclass(frozen=True)
class Sums:
    """Moments relative to the start, cumulated to every horizon; shape (..., T).

    Parameters
    ----------
    path : Tensor
        Complex mean displacement.
    m, q : Tensor
        Centred second moments of the displacement and the start: with the conjugate (real), without (complex).
    bias : Tensor
        Bound of the bias of the linearised mean [m].
    """

    path: Tensor
    m: Tensor
    q: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Ends:
    """Mean and variance of heading and speed after each step; shape (..., T)."""

    n: Tensor
    h: Tensor
    m: Tensor
    w: Tensor


def start_factors(start: Start, linked: Tensor | None = None) -> Factors:
    """Return the start's position as an earlier increment.

    Parameters
    ----------
    start : Start
        x, y, heading, speed.
    linked : Tensor, shape (..., 2, 2, N), optional
        Covariance of the start's x and y (axis -3) with heading and speed (axis -2) at later nodes; by default that
        with the first heading and speed, which is all there is where the inputs are independent of the start.

    Examples
    --------
    >>> start_factors(Start(torch.zeros(4))).m1.shape
    torch.Size([1])
    """
    if linked is None:
        xh, xv, yh, yv = (start.cov(i, j)[..., None] for i in (0, 1) for j in (2, 3))
    else:
        xh, xv, yh, yv = (linked[..., i, j, :] for i in (0, 1) for j in (0, 1))
    return Factors(
        1j * torch.complex(xh, -yh), torch.complex(xv, -yv), 1j * torch.complex(xh, yh), torch.complex(xv, yv)
    )


def with_lever(
    sums: Sums,
    start: Start,
    ends: Ends,
    seen: Factors,
    ahead: Tensor,
    lever: float,
    *,
    exact: bool,
    kept: Tensor | None = None,
) -> Sums:
    """Move the reference point ``lever`` metres ahead: ``p + lever (exp(i h_T) - exp(i h_0))``.

    The start is where the reference point is; the point that moves along the heading lies behind it.

    Parameters
    ----------
    sums : Sums
        Of the moving point, from the start of the reference point.
    start : Start
        x, y, heading, speed.
    ends : Ends
        After each step.
    seen : Factors
        Sum of all increments and the start's position as earlier ones, seen from a unit vector along the final
        heading; only ``m1`` and ``q1`` are read, since a constant length has no covariance with anything.
    ahead : Tensor
        M and Q stacked, shape (2, ..., T): covariance of all increments with ``-lever exp(i h_0)``.
    lever : float
        Distance [m].
    exact : bool
        Exact or linearised.
    kept : Tensor, shape (..., T), optional
        Covariance of the heading after each step with the first; by default the variance of the first, which is right
        where all that turns the vehicle is independent of the start.

    Examples
    --------
    Nothing moves while the heading is certain and constant:

    >>> zero, czero = torch.zeros(1), torch.zeros(1, dtype=torch.complex64)
    >>> sums = Sums(czero, zero, czero, zero)
    >>> ends = Ends(zero, zero, zero, zero)
    >>> none = Factors(czero, czero, czero, czero)
    >>> moved = with_lever(sums, Start(torch.zeros(4)), ends, none, torch.zeros(2, 1), 2.0, exact=True)
    >>> bool(moved.path.abs() < 1e-6)
    True
    """
    zero = torch.zeros_like(ends.h)
    length = torch.full_like(ends.h, lever)
    a1, x1 = later(length, ends.n, ends.h, None, exact=exact)
    h0 = start.cov(2, 2)[..., None] + zero
    a0, x0 = later(-length, start.mean[..., 2:3] + zero, h0, None, exact=exact)
    own1, own0, first = (
        earlier(a, m, None, zero, h, None, None, exact=exact)
        for a, m, h in ((a1, length, ends.h), (a0, -length, h0), (a0, -length, h0 if kept is None else kept))
    )
    unlinked = torch.zeros_like(seen.m1)
    position = start_factors(start)
    # pairs: end with all that came before, end with the first heading, first heading with the start's position
    pairs = [
        pair_moments(a1, x1, Factors(seen.m1, unlinked, seen.q1, unlinked)),
        pair_moments(a1, x1, Factors(first.m1, unlinked, first.q1, unlinked)),
        pair_moments(a0, x0, Factors(position.m1, 0 * position.m0, position.q1, 0 * position.q0)),
    ]
    singles = [pair_moments(a1, x1, own1), pair_moments(a0, x0, own0)]
    m, q = sums.m + 2 * ahead[0].real, sums.q + 2 * ahead[1]
    for pm, pq in pairs:
        m, q = m + 2 * pm.real, q + 2 * pq
    for pm, pq in singles:
        m, q = m + pm.real, q + pq
    return Sums(sums.path + a1 * x1 + a0 * x0, m, q, sums.bias + 0.5 * abs(lever) * (ends.h + h0))


def assemble(start: Start, sums: Sums, ends: Ends) -> Moments:
    """Return the moments with the start's own covariance added.

    Examples
    --------
    >>> zero = torch.zeros(1)
    >>> still = Ends(zero, zero, zero, zero)
    >>> assemble(Start(torch.zeros(4)), Sums(zero + 0j, zero, zero + 0j, zero), still).covariance.sum()
    tensor(0.)
    """
    m = sums.m + (start.cov(0, 0) + start.cov(1, 1))[..., None]
    re = sums.q.real + (start.cov(0, 0) - start.cov(1, 1))[..., None]
    cross = 0.5 * sums.q.imag + start.cov(0, 1)[..., None]
    # entries apart in memory: stacked several times faster than interleaved
    covariance = torch.stack([0.5 * (m + re), cross, cross, 0.5 * (m - re)]).movedim(0, -1).unflatten(-1, (2, 2))
    heading, speed = (
        torch.stack(torch.broadcast_tensors(*pair)).movedim(0, -1) for pair in ((ends.n, ends.h), (ends.m, ends.w))
    )
    return Moments(start.mean[..., :2], torch.view_as_real(sums.path), covariance, heading, speed, sums.bias)
