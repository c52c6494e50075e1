"""Acceleration and yaw rate independent from step to step: all moments in O(T), by cumulative sums, with no loop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.integrators import Rule, sum_before
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
    walk = _Walk.of(start, inputs, dt)
    nodes = [walk.node(c, b, exact=exact) for c, b in zip(rule.fractions, rule.weights, strict=True)]
    ahead = [walk.factors(node, node.fraction, exact=exact) for node in nodes]
    step = _total(ahead)
    upto = Factors(*(torch.cumsum(f, -1) for f in vars(step).values()))
    before = upto.plus(step, -1.0)
    if start.covariance is not None:
        # the start's position is the first increment
        first = start_factors(start)
        before, upto = before.plus(first), upto.plus(first)
    squares, products = [], []
    for i, node in enumerate(nodes):
        # within the step, a pair shares a part of the input; all pairs of two different increments count twice
        within = [walk.factors(other, node.fraction * other.fraction, exact=exact) for other in nodes[:i]]
        own = ahead[i] if node.fraction == 0.0 else walk.factors(node, node.fraction**2, exact=exact)
        seen = own.plus(_total([before, *within]), 2.0)
        pm, pq = pair_moments(node.a, node.x, seen)
        squares.append(pm.real)
        products.append(pq)
    jump = _sum([node.a * node.x for node in nodes])
    bias = _sum([node.weight * walk.bias(node) for node in nodes])
    out = Sums(*(torch.cumsum(v, -1) for v in (jump, _sum(squares), _sum(products), bias)))
    if lever != 0.0:
        first_heading = _first_heading(start, nodes, lever, exact=exact)
        out = with_lever(out, start, walk.ends, upto, first_heading, lever, exact=exact)
    return assemble(start, out, walk.ends)


@dataclass(frozen=True)
class _Node:
    """A point of the quadrature within every step; ``a`` is ``A`` times the seconds it stands for."""

    fraction: float
    weight: Tensor
    a: Tensor
    x: Tensor
    m: Tensor
    h: Tensor
    cross: Tensor | None


@dataclass(frozen=True)
class _Walk:
    """Speed and heading as random walks: means and (co)variances before each step, and what the step adds.

    ``base`` and ``gain`` are variance of speed, covariance, variance of heading; the covariance is None where a certain
    start and independent channels leave none.
    """

    dt: Tensor
    rate: Tensor
    turn: Tensor
    m: Tensor
    n: Tensor
    base: tuple[Tensor, Tensor | None, Tensor]
    gain: tuple[Tensor, Tensor | None, Tensor]

    @staticmethod
    def of(start: Start, inputs: Inputs, dt: Tensor) -> _Walk:
        va, cross, vw = (v * (dt * dt) for v in inputs.law.variances())
        linked = start.covariance is not None or not isinstance(inputs.law, White) or inputs.law.correlation is not None
        base = [start.cov(i, j)[..., None] + sum_before(v) for i, j, v in ((3, 3, va), (2, 3, cross), (2, 2, vw))]
        rate, turn = inputs.mean[..., 0], inputs.mean[..., 1]
        m, n = start.mean[..., 3:4] + sum_before(rate * dt), start.mean[..., 2:3] + sum_before(turn * dt)
        both = (base[1], cross) if linked else (None, None)
        return _Walk(dt, rate, turn, m, n, (base[0], both[0], base[2]), (va, both[1], vw))

    def shared(self, fraction: float) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return the (co)variances with a share of what the step adds."""
        if fraction == 0.0:
            return self.base
        (w, c, h), (dw, dc, dh) = self.base, self.gain
        return w + fraction * dw, None if c is None or dc is None else c + fraction * dc, h + fraction * dh

    def node(self, fraction: float, weight: float, *, exact: bool) -> _Node:
        """Return speed and heading after a fraction of each step."""
        m, n = self.m, self.n
        if fraction:
            m, n = m + fraction * self.dt * self.rate, n + fraction * self.dt * self.turn
        _, cross, h = self.shared(fraction * fraction)
        a, x = later(m, n, h, cross, exact=exact)
        return _Node(fraction, weight * self.dt, weight * self.dt * a, x, m, h, cross)

    def factors(self, node: _Node, fraction: float, *, exact: bool) -> Factors:
        """Return a node as the earlier increment; later ones share a fraction of the variance of its step."""
        w, cross, h = self.shared(fraction)
        return earlier(node.a, node.m, node.cross, w, h, cross, cross, exact=exact)

    def bias(self, node: _Node) -> Tensor:
        """Return the bound of the bias of a linearised increment [m/s]."""
        bound = 0.5 * node.m.abs() * node.h
        return bound if node.cross is None else bound + node.cross.abs()

    @property
    def ends(self) -> Ends:
        """Heading and speed after each step."""
        w, _, h = self.shared(1.0)
        return Ends(self.n + self.dt * self.turn, h, self.m + self.dt * self.rate, w)


def _first_heading(start: Start, nodes: list[_Node], lever: float, *, exact: bool) -> Tensor:
    """Return M and Q of all increments up to each horizon with minus the lever along the first heading."""
    zero = torch.zeros_like(nodes[0].m)
    h0, c0 = (start.cov(2, j)[..., None] + zero for j in (2, 3))
    a0, _ = later(zero - lever, start.mean[..., 2:3] + zero, h0, zero, exact=exact)
    source = earlier(a0, zero - lever, zero, zero, h0, c0, zero, exact=exact)
    pairs = [pair_moments(node.a, node.x, source) for node in nodes]
    return torch.stack([torch.cumsum(_sum([p[k] for p in pairs]), -1) for k in (0, 1)])


def _total(parts: list[Factors]) -> Factors:
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return total


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
