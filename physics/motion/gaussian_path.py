"""Speed and heading as one Gaussian process with any covariance: all moments in O(T^2), every horizon at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.motion.inputs import Inputs
from retrodict.physics.motion.integrators import Rule
from retrodict.physics.motion.pairs import Factors, earlier, later, pair_moments
from retrodict.physics.motion.polar import Ends, Sums, assemble, start_factors, with_lever
from retrodict.physics.motion.state import Moments, Start

__all__ = ["GaussianPath", "accelerated_path", "dense_moments", "direct_path", "integrals"]


@dataclass(frozen=True)
class GaussianPath:
    """Speed and heading at the N nodes of T steps, and after each step.

    Parameters
    ----------
    m, n : Tensor, shape (..., N)
        Mean speed and heading at the nodes.
    V, H, C : Tensor, shape (..., N, N)
        Covariance of speed, of heading, and of speed (rows) with heading (columns).
    weights : Tensor, shape (N,)
        Seconds that each node stands for.
    ends : Ends
        After each step.
    H_end, C_end : Tensor, shape (..., T, N)
        Covariance of the heading after each step with heading and speed at the nodes.
    h_first, c_first : Tensor, shape (..., N)
        Covariance of the first heading with heading and speed at the nodes.
    linked, linked_end : Tensor, shape (..., 2, 2, N) and (..., 2, 2, T), optional
        Covariance of the start's x and y with heading and speed at the nodes and after each step; None: that with the
        first heading and speed.
    h_kept : Tensor, shape (..., T), optional
        Covariance of the first heading with that after each step; None: its own variance.
    """

    m: Tensor
    n: Tensor
    V: Tensor
    H: Tensor
    C: Tensor
    weights: Tensor
    ends: Ends
    H_end: Tensor
    C_end: Tensor
    h_first: Tensor
    c_first: Tensor
    linked: Tensor | None = None
    linked_end: Tensor | None = None
    h_kept: Tensor | None = None


def integrals(dt: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Return the matrices from inputs to their integral at the nodes, (N, T), and after each step, (T, T).

    Examples
    --------
    >>> from retrodict.physics.motion.integrators import rule
    >>> integrals(torch.ones(2), rule("midpoint"))[0]
    tensor([[0.5000, 0.0000],
            [1.0000, 0.5000]])
    """
    steps = dt.numel()
    ends = torch.tril(dt.expand(steps, steps))
    before = ends - torch.diag(dt)
    rows = torch.stack([before + c * torch.diag(dt) for c in rule.fractions], 1)
    return rows.flatten(0, 1), ends


def accelerated_path(start: Start, inputs: Inputs, dt: Tensor, rule: Rule) -> GaussianPath:
    """Return the process that acceleration and yaw rate with any law drive.

    Parameters
    ----------
    start : Start
        x, y, heading, speed.
    inputs : Inputs
        Acceleration [m/s2] and yaw rate [rad/s].
    dt : Tensor, shape (T,)
        Steps [s].
    rule : Rule
        Integrator.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import Constant
    >>> from retrodict.physics.motion.integrators import rule
    >>> inputs = Inputs(torch.zeros(3, 2), Constant(torch.tensor([1.0, 0.1])))
    >>> path = accelerated_path(Start(torch.zeros(4)), inputs, torch.ones(3), rule("euler"))
    >>> torch.diagonal(path.V)
    tensor([0., 1., 4.])
    """
    node, end = integrals(dt, rule)
    r_a, r_aw, r_w = inputs.law.blocks(dt)
    v0, c0, h0 = (start.cov(i, j)[..., None, None] for i, j in ((3, 3), (2, 3), (2, 2)))
    V, H, C = v0 + node @ r_a @ node.T, h0 + node @ r_w @ node.T, c0 + node @ r_aw @ node.T
    ends = Ends(
        start.mean[..., 2:3] + inputs.mean[..., 1] @ end.T,
        torch.diagonal(h0 + end @ r_w @ end.T, dim1=-2, dim2=-1),
        start.mean[..., 3:4] + inputs.mean[..., 0] @ end.T,
        torch.diagonal(v0 + end @ r_a @ end.T, dim1=-2, dim2=-1),
    )
    weights = (dt[:, None] * dt.new_tensor(rule.weights)).flatten()
    still = torch.zeros_like(weights)
    return GaussianPath(
        start.mean[..., 3:4] + inputs.mean[..., 0] @ node.T,
        start.mean[..., 2:3] + inputs.mean[..., 1] @ node.T,
        V,
        H,
        C,
        weights,
        ends,
        h0 + end @ r_w @ node.T,
        c0 + end @ r_aw.mT @ node.T,
        h0[..., 0] + still,
        c0[..., 0] + still,
    )


def direct_path(inputs: Inputs, dt: Tensor) -> GaussianPath:
    """Return the process of speed and heading that are given directly, step by step.

    Parameters
    ----------
    inputs : Inputs
        Speed [m/s] and heading [rad].
    dt : Tensor, shape (T,)
        Steps [s].

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> path = direct_path(Inputs(torch.ones(3, 2), White(torch.ones(3, 2))), torch.ones(3))
    >>> torch.equal(path.V, torch.eye(3))
    True
    """
    V, C, H = inputs.law.blocks(dt)
    m, n = inputs.mean.unbind(-1)
    ends = Ends(n, torch.diagonal(H, dim1=-2, dim2=-1), m, torch.diagonal(V, dim1=-2, dim2=-1))
    nothing = torch.zeros_like(dt)
    # what is given owes nothing to the start: neither to its heading and speed nor to where it is
    apart = nothing.expand(2, 2, -1)
    return GaussianPath(m, n, V, H, C, dt, ends, H, C.mT, nothing, nothing, apart, apart)


def dense_moments(start: Start, path: GaussianPath, *, exact: bool, lever: float = 0.0) -> Moments:
    """Moments of the positions that a Gaussian speed and heading drive.

    Parameters
    ----------
    start : Start
        x, y, heading, speed.
    path : GaussianPath
        The process.
    exact : bool
        Exact moments, or linearised about the mean.
    lever : float, optional
        Distance [m] of the reference point ahead of the point that moves along the heading.

    Returns
    -------
    Moments
        Over T steps.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import Constant
    >>> from retrodict.physics.motion.integrators import rule
    >>> start = Start(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    >>> inputs = Inputs(torch.zeros(2, 2), Constant(torch.tensor([1.0, 0.0])))
    >>> moments = dense_moments(start, accelerated_path(start, inputs, torch.ones(2), rule("euler")), exact=True)
    >>> moments.covariance[-1, 0, 0]
    tensor(1.)
    """
    own_h, own_c = torch.diagonal(path.H, dim1=-2, dim2=-1), torch.diagonal(path.C, dim1=-2, dim2=-1)
    steps = path.ends.n.shape[-1]
    w = path.weights
    a, x = later(path.m, path.n, own_h, own_c, exact=exact)
    # rows: later node t, columns: earlier node s; the formula is symmetric, so that order matters only for the sum
    factors = earlier(
        a[..., None, :], path.m[..., None, :], own_c[..., None, :], path.V, path.H, path.C, path.C.mT, exact=exact
    )
    pm, pq = pair_moments(a[..., :, None], x[..., :, None], factors)
    area = w[:, None] * w
    position = start_factors(start, path.linked)
    head_m, head_q = pair_moments(a, x, position)
    m = _by_horizon(area * pm.real, steps) + _cumulate(2 * w * head_m.real, steps)
    q = _by_horizon(area * pq, steps) + _cumulate(2 * w * head_q, steps)
    bias = _cumulate(w * (0.5 * path.m.abs() * own_h + own_c.abs()), steps)
    out = Sums(_cumulate(w * a * x, steps), m, q, bias)
    if lever != 0.0:
        zero = torch.zeros_like(path.H_end)
        ends = earlier(
            a[..., None, :], path.m[..., None, :], own_c[..., None, :], zero, path.H_end, zero, path.C_end, exact=exact
        )
        nodes = w.numel() // steps
        past = torch.tril(torch.ones(steps, steps, dtype=w.dtype, device=w.device)).repeat_interleave(nodes, 1) * w
        origin = start_factors(start, path.linked_end)
        m1, q1 = (past * ends.m1).sum(-1) + origin.m1, (past * ends.q1).sum(-1) + origin.q1
        seen = Factors(m1, 0 * m1, q1, 0 * q1)
        ahead = _first_heading(start, path, a, x, lever, exact=exact)
        out = with_lever(out, start, path.ends, seen, ahead, lever, exact=exact, kept=path.h_kept)
    return assemble(start, out, path.ends)


def _first_heading(start: Start, path: GaussianPath, a: Tensor, x: Tensor, lever: float, *, exact: bool) -> Tensor:
    """Return M and Q of all increments up to each horizon with minus the lever along the first heading."""
    zero = torch.zeros_like(path.h_first)
    h0 = start.cov(2, 2)[..., None] + zero
    a0, _ = later(zero - lever, start.mean[..., 2:3] + zero, h0, zero, exact=exact)
    source = earlier(a0, zero - lever, zero, zero, path.h_first, path.c_first, zero, exact=exact)
    steps = path.ends.n.shape[-1]
    return torch.stack([_cumulate(path.weights * p, steps) for p in pair_moments(a, x, source)])


def _cumulate(per_node: Tensor, steps: int) -> Tensor:
    """Sum over the nodes of each step, then over all steps up to each horizon."""
    return torch.cumsum(per_node.unflatten(-1, (steps, -1)).sum(-1), -1)


def _by_horizon(pairs: Tensor, steps: int) -> Tensor:
    """Sum a symmetric (or Hermitian, real part taken) matrix over all pairs of nodes up to each horizon."""
    blocks = pairs.unflatten(-1, (steps, -1)).sum(-1).unflatten(-2, (steps, -1)).sum(-2)
    return torch.cumsum(2 * torch.tril(blocks, -1).sum(-1) + torch.diagonal(blocks, dim1=-2, dim2=-1), -1)
