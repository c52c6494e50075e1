"""Acceleration and yaw rate independent from step to step: all moments in O(T), by cumulative sums, with no loop."""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.physics.motion.inputs import Inputs
from retrodict.physics.motion.integrators import Rule
from retrodict.physics.motion.pairs import Factors, earlier, later, pair_moments
from retrodict.physics.motion.polar import Ends, Sums, assemble, start_factors, with_lever
from retrodict.physics.motion.state import Moments, Start

__all__ = ["white_moments"]


def white_moments(start: Start, inputs: Inputs, dt: Tensor, rule: Rule, *, exact: bool, lever: float = 0.0) -> Moments:
    """Moments for acceleration and yaw rate with a white law.

    Speed and heading are random walks, so the covariance of two increments depends on the later one through ``A_t``
    and ``A_t X_t`` alone, and the double sum over pairs separates into cumulative sums.

    Parameters
    ----------
    start : Start
        x, y, heading, speed.
    inputs : Inputs
        Acceleration [m/s2] and yaw rate [rad/s] with a `retrodict.physics.motion.inputs.White` law.
    dt : Tensor, shape (T,)
        Steps [s].
    rule : Rule
        Integrator.
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
    >>> from retrodict.physics.motion.inputs import White
    >>> from retrodict.physics.motion.integrators import rule
    >>> inputs = Inputs(torch.zeros(80, 2), White(torch.tensor([0.0, 0.5]).expand(80, 2)))
    >>> start = Start(torch.tensor([0.0, 0.0, 0.0, 10.0]))
    >>> step = torch.full((80,), 0.1)
    >>> white_moments(start, inputs, step, rule("euler"), exact=True).displacement[-1, 0] < 80
    tensor(True)
    """
    variances = inputs.law.variances()
    sq = dt * dt
    rate, turn = inputs.mean[..., 0], inputs.mean[..., 1]
    m0 = start.mean[..., 3:4] + _before(rate * dt)
    n0 = start.mean[..., 2:3] + _before(turn * dt)
    # order: speed, cross, heading
    base = [
        start.cov(i, j)[..., None] + _before(v * sq)
        for (i, j), v in zip(((3, 3), (2, 3), (2, 2)), variances, strict=True)
    ]
    nodes = []
    for c in rule.fractions:
        m, n = (m0 + c * dt * rate, n0 + c * dt * turn) if c else (m0, n0)
        own = [b + c * c * sq * v for b, v in zip(base, variances, strict=True)] if c else base
        ahead = [b + c * sq * v for b, v in zip(base, variances, strict=True)] if c else base
        a, x = later(m, n, own[2], own[1], exact=exact)
        nodes.append((a, x, earlier(a, x, ahead[0], ahead[2], ahead[1], ahead[1], exact=exact), own, m))
    weights = [b * dt for b in rule.weights]
    pairs = _within(nodes, weights, rule, base, variances, sq, exact=exact)
    step = [
        _add([w * getattr(f, k) for w, (_, _, f, _, _) in zip(weights, nodes, strict=True)])
        for k in ("m1", "m0", "q1", "q0")
    ]
    first = start_factors(start) if start.covariance is not None else None
    sums = [
        _before(s) if first is None else _before(s) + f
        for s, f in zip(step, (first.m1, first.m0, first.q1, first.q0) if first else step, strict=True)
    ]
    seen = Factors(*sums)
    for w, (a, x, _, _, _) in zip(weights, nodes, strict=True):
        pm, pq = pair_moments(a, x, seen)
        pairs[0], pairs[1] = pairs[0] + 2 * w * pm.real, pairs[1] + 2 * w * pq
    jump = _add([w * a * x for w, (a, x, _, _, _) in zip(weights, nodes, strict=True)])
    bias = _add(
        [w * (0.5 * m.abs() * own[2] + own[1].abs()) for w, (_, _, _, own, m) in zip(weights, nodes, strict=True)]
    )
    out = Sums(*(torch.cumsum(v, -1) for v in (jump, pairs[0], pairs[1], bias)))
    ends = Ends(n0 + turn * dt, base[2] + variances[2] * sq, m0 + rate * dt, base[0] + variances[0] * sq)
    if lever != 0.0:
        full = Factors(*(s + t for s, t in zip(sums, step, strict=True)))
        out = with_lever(
            out, start, ends, full, _first_heading(start, nodes, weights, lever, exact=exact), lever, exact=exact
        )
    return assemble(start, out, ends)


Node = tuple[Tensor, Tensor, Factors, list[Tensor], Tensor]


def _within(
    nodes: list[Node],
    weights: list[Tensor],
    rule: Rule,
    base: list[Tensor],
    variances: tuple[Tensor, Tensor, Tensor],
    sq: Tensor,
    *,
    exact: bool,
) -> list[Tensor]:
    """Return M and Q of each step with itself: nodes share the input of the step."""
    total_m: list[Tensor] = []
    total_q: list[Tensor] = []
    for i, (a, x, factors, _, _) in enumerate(nodes):
        for j, (a_j, x_j, _, _, _) in enumerate(nodes[: i + 1]):
            c = rule.fractions[i] * rule.fractions[j]
            if c == 0.0:
                same = factors
            else:
                v, cross, h = (b + c * sq * var for b, var in zip(base, variances, strict=True))
                same = earlier(a_j, x_j, v, h, cross, cross, exact=exact)
            pm, pq = pair_moments(a, x, same)
            count = (1 if i == j else 2) * weights[i] * weights[j]
            total_m.append(count * pm.real)
            total_q.append(count * pq)
    return [_add(total_m), _add(total_q)]


def _first_heading(start: Start, nodes: list[Node], weights: list[Tensor], lever: float, *, exact: bool) -> Tensor:
    """Return M and Q of all increments up to each horizon with minus the lever along the first heading."""
    zero = torch.zeros_like(nodes[0][4])
    h0, c0 = (start.cov(2, j)[..., None] + zero for j in (2, 3))
    a0, x0 = later(zero - lever, start.mean[..., 2:3] + zero, h0, zero, exact=exact)
    source = earlier(a0, x0, zero, h0, c0, zero, exact=exact)
    pairs = [[w * p for p in pair_moments(a, x, source)] for w, (a, x, _, _, _) in zip(weights, nodes, strict=True)]
    return torch.stack([torch.cumsum(_add([p[k] for p in pairs]), -1) for k in (0, 1)])


def _before(x: Tensor) -> Tensor:
    """Sum over the steps before each one."""
    return torch.nn.functional.pad(torch.cumsum(x[..., :-1], -1), (1, 0))


def _add(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
