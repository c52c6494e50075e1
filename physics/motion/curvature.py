"""The bicycle model proper: acceleration and curvature, ``heading += curvature * distance``.

Linearised, speed and heading are one Gaussian process (`linear_curvature_moments`, any law). Exact moments by tilted
Gaussian messages are in `retrodict.physics.motion.messages`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.physics.motion.gaussian_path import GaussianPath, dense_moments, integrals
from retrodict.physics.motion.inputs import Inputs
from retrodict.physics.motion.integrators import Rule
from retrodict.physics.motion.polar import Ends
from retrodict.physics.motion.state import Moments, Start

__all__ = ["curvature_path", "linear_curvature_moments"]


def curvature_path(start: Start, inputs: Inputs, dt: Tensor, rule: Rule) -> GaussianPath:
    """Return speed and heading, linearised about the mean path, as a Gaussian process.

    Parameters
    ----------
    start : Start
        x, y, heading, speed.
    inputs : Inputs
        Acceleration [m/s2] and curvature [1/m], any law.
    dt : Tensor, shape (T,)
        Steps [s].
    rule : Rule
        Integrator.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> from retrodict.physics.motion.integrators import rule
    >>> inputs = Inputs(torch.zeros(2, 2), White(torch.tensor([0.0, 0.1]).expand(2, 2)))
    >>> path = curvature_path(Start(torch.tensor([0.0, 0.0, 0.0, 2.0])), inputs, torch.ones(2), rule("euler"))
    >>> [round(float(v), 6) for v in path.ends.h]
    [0.04, 0.08]
    """
    steps, nodes = dt.numel(), len(rule.fractions)
    node, end = integrals(dt, rule)
    r_a, r_ak, r_k = inputs.law.blocks(dt)
    rate, bend = inputs.mean[..., 0], inputs.mean[..., 1]
    v0 = start.mean[..., 3:4]
    before = end - torch.diag(dt)
    fractions = dt.new_tensor(rule.fractions).repeat(steps)
    step = dt.repeat_interleave(nodes)
    # distance up to a node within its step, and over whole steps: rows are distances, columns are accelerations
    partial_v, whole_v = fractions * step, dt
    half = 0.5 if rule.curved else 0.0
    own = torch.eye(steps, dtype=dt.dtype, device=dt.device)
    partial_a = partial_v[:, None] * before.repeat_interleave(nodes, 0) + (half * partial_v**2)[
        :, None
    ] * own.repeat_interleave(nodes, 0)
    whole_a = dt[:, None] * before + half * torch.diag(dt**2)
    partial, whole = v0 * partial_v + rate @ partial_a.T, v0 * whole_v + rate @ whole_a.T
    past = torch.tril(torch.ones_like(own), -1).repeat_interleave(nodes, 0)
    upto = torch.tril(torch.ones_like(own))
    mine = own.repeat_interleave(nodes, 0)
    bend_n = bend.repeat_interleave(nodes, -1)

    def sensitivities(
        sum_over: Tensor, last: tuple[Tensor, Tensor, Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        by_v = (bend * whole_v) @ sum_over.T
        by_a = sum_over @ (bend[..., None] * whole_a)
        by_k = sum_over * whole[..., None, :]
        if last is not None:
            by_v, by_a, by_k = (
                by_v + last[0] * last[1],
                by_a + last[0][..., None] * last[2],
                by_k + mine * last[3][..., None],
            )
        return by_v, by_a, by_k

    at_nodes = sensitivities(past, (bend_n, partial_v, partial_a, partial))
    at_ends = sensitivities(upto, None)
    cov = {ij: start.cov(*ij)[..., None, None] for ij in ((2, 2), (2, 3), (3, 3))}

    def headings(p: tuple[Tensor, Tensor, Tensor], q: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        linked = p[1] @ r_ak @ q[2].mT + p[2] @ r_ak.mT @ q[1].mT
        from_start = cov[2, 2] + cov[2, 3] * (p[0][..., :, None] + q[0][..., None, :])
        from_start = from_start + cov[3, 3] * p[0][..., :, None] * q[0][..., None, :]
        return from_start + p[1] @ r_a @ q[1].mT + p[2] @ r_k @ q[2].mT + linked

    def speeds(rows: Tensor, q: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return cov[2, 3] + cov[3, 3] * q[0][..., None, :] + rows @ (r_a @ q[1].mT + r_ak @ q[2].mT)

    ends = Ends(
        start.mean[..., 2:3] + (bend * whole) @ upto.T,
        torch.diagonal(headings(at_ends, at_ends), dim1=-2, dim2=-1),
        v0 + rate @ end.T,
        torch.diagonal(cov[3, 3] + end @ r_a @ end.T, dim1=-2, dim2=-1),
    )

    def linked(drift: Tensor) -> Tensor:
        rows = [
            [start.cov(i, 2)[..., None] + drift * start.cov(i, 3)[..., None], start.cov(i, 3)[..., None] + 0 * drift]
            for i in (0, 1)
        ]
        return torch.stack([torch.stack(row, -2) for row in rows], -3)

    return GaussianPath(
        v0 + rate @ node.T,
        start.mean[..., 2:3] + (bend * whole) @ past.T + bend_n * partial,
        cov[3, 3] + node @ r_a @ node.T,
        headings(at_nodes, at_nodes),
        speeds(node, at_nodes),
        (dt[:, None] * dt.new_tensor(rule.weights)).flatten(),
        ends,
        headings(at_ends, at_nodes),
        speeds(node, at_ends).mT,
        cov[2, 2][..., 0] + cov[2, 3][..., 0] * at_nodes[0],
        cov[2, 3][..., 0] + 0 * at_nodes[0],
        linked(at_nodes[0]),
        linked(at_ends[0]),
        cov[2, 2][..., 0] + cov[2, 3][..., 0] * at_ends[0],
    )


def linear_curvature_moments(start: Start, inputs: Inputs, dt: Tensor, rule: Rule, *, lever: float = 0.0) -> Moments:
    """Moments linearised about the mean path: what an extended Kalman filter carries, for any law.

    Parameters
    ----------
    start, inputs, dt, rule
        As in `curvature_path`.
    lever : float, optional
        Distance [m] of the reference point ahead of the point that moves along the heading.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> from retrodict.physics.motion.integrators import rule
    >>> inputs = Inputs(torch.zeros(2, 2), White(torch.tensor([0.0, 0.1]).expand(2, 2)))
    >>> start = Start(torch.tensor([0.0, 0.0, 0.0, 2.0]))
    >>> round(float(linear_curvature_moments(start, inputs, torch.ones(2), rule("euler")).covariance[-1, 1, 1]), 4)
    0.16
    """
    moments = dense_moments(start, curvature_path(start, inputs, dt, rule), exact=False, lever=lever)
    # with a random curvature the heading is not Gaussian, and the bound on the bias does not hold
    return Moments(moments.origin, moments.displacement, moments.covariance, moments.heading, moments.speed)
