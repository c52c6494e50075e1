"""Exact moments with random curvature, by tilted Gaussian messages.

The heading is a sum of products of Gaussians and not Gaussian itself, yet ``E[v exp(i k heading)]`` stays tractable.
A message is ``z N(v; m, P)`` with complex z and m. Averaging over the curvature of one step multiplies it by
``exp(i b l - c l^2 / 2)``, with l the distance travelled (linear in speed and acceleration), ``b = k mean`` and
``c = k^2 variance`` of the curvature; that is again a message. With ``D = 1 + c P_l``,

    log z += -log(D)/2 + (i b m_l - c m_l^2/2 - b^2 P_l/2) / D
    m_y   += C_yl (i b - c m_l) / D          for every variable y carried along
    C_yw  -= c C_yl C_wl / D

Second moments of two increments start as a message at the earlier step (k = 0 for the moment with the conjugate,
k = 2 without it) that carries the earlier speed, and are tilted with k = 1 up to the later one: O(T^2), vectorised
over the earlier steps. The products of means are subtracted at the end, so all is done in double precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, expected
from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.integrators import Rule
from retrodict.physics.motion.state import Moments, Start

__all__ = ["exact_curvature_moments"]

Pair = tuple[Tensor, Tensor]
Order = Tensor | float


@dataclass(frozen=True)
class _Message:
    """Weight, mean and variance of the speed, mean of the carried variable and its covariance with the speed.

    Complex but for the variance; shape (K, ..., N) for K orders k and N messages side by side.
    """

    log_z: Tensor
    m: Tensor
    p: Tensor
    my: Tensor
    cy: Tensor

    def product(self) -> Tensor:
        """Return E[carried * speed exp(...)], summed over the messages."""
        return (torch.exp(self.log_z) * (self.my * self.m + self.cy)).sum(-1)

    def carried(self) -> Tensor:
        """Return E[carried exp(...)], summed over the messages."""
        return (torch.exp(self.log_z) * self.my).sum(-1)

    def joined(self, *others: _Message) -> _Message:
        """Return the messages of all, side by side."""
        columns = zip(*(vars(message).values() for message in (self, *others)), strict=True)
        return _Message(*(torch.cat(column, -1) for column in columns))

    def order(self, *which: int) -> _Message:
        """Return the messages of some of the orders."""
        return _Message(*(v[list(which)] for v in vars(self).values()))

    def weighted(self, w: Tensor) -> _Message:
        """Return the messages with the carried variable in another unit."""
        return _Message(self.log_z, self.m, self.p, w * self.my, w * self.cy)


@dataclass(frozen=True)
class _Step:
    """Mean and variance of acceleration and curvature, shape (..., 1), and coefficients of speed and acceleration."""

    a: Tensor
    va: Tensor
    k: Tensor
    vk: Tensor
    dt: Tensor
    curved: bool

    def distance(self, fraction: float) -> Pair:
        """Return the coefficients of the distance travelled after a fraction of the step."""
        t = fraction * self.dt
        return t, 0.5 * t * t if self.curved else 0 * t

    def speed(self, fraction: float) -> Pair:
        """Return the coefficients of the speed after a fraction of the step."""
        return torch.ones_like(self.dt), fraction * self.dt

    def carry(self, message: _Message, out: Pair) -> _Message:
        """Return the message with the speed ``out`` of this step as its carried variable."""
        my = out[0] * message.m + out[1] * self.a
        return _Message(message.log_z, message.m, message.p, my, (out[0] * message.p).to(my.dtype))

    def tilt(self, message: _Message, arc: Pair, out: Pair, k: Order = 1.0, shared: Tensor | float = 0.0) -> _Message:
        """Average over the curvature along ``arc`` and move the speed to ``out``.

        ``shared`` is the coefficient of this step's acceleration in the carried variable.
        """
        ml = arc[0] * message.m + arc[1] * self.a
        pl = arc[0] ** 2 * message.p + arc[1] ** 2 * self.va
        co = arc[0] * out[0] * message.p + arc[1] * out[1] * self.va
        cl = arc[0] * message.cy + shared * arc[1] * self.va
        b, c = k * self.k, k * k * self.vk
        inverse = 1 / (1 + c * pl)
        kick = (1j * b - c * ml) * inverse
        loss = c * co * inverse
        # i b l - c l^2 / 2 = l (i b - c l / 2), and what the spread of l adds
        tilted = message.log_z + ml * (1j * b - 0.5 * c * ml) * inverse
        return _Message(
            tilted + (0.5 * torch.log(inverse) - 0.5 * b * b * pl * inverse),
            out[0] * message.m + out[1] * self.a + co * kick,
            out[0] ** 2 * message.p + out[1] ** 2 * self.va - co * loss,
            message.my + cl * kick,
            out[0] * message.cy + shared * out[1] * self.va - cl * loss,
        )


def exact_curvature_moments(start: Start, inputs: Inputs, dt: Tensor, rule: Rule, *, lever: float = 0.0) -> Moments:
    """Exact moments for white acceleration and curvature.

    Parameters
    ----------
    start : Start
        x, y, heading, speed.
    inputs : Inputs
        Acceleration [m/s2] and curvature [1/m] with a white law, uncorrelated with each other.
    dt : Tensor, shape (T,)
        Steps [s].
    rule : Rule
        Integrator.
    lever : float, optional
        Distance [m] of the reference point ahead of the point that moves along the heading.

    Returns
    -------
    Moments
        Over T steps; mean and variance of the heading are those of the linearised model.

    Raises
    ------
    ConfigError
        If the law is not white or the channels are correlated: no closed form is known.

    Examples
    --------
    >>> from retrodict.physics.motion.integrators import rule
    >>> inputs = Inputs(torch.zeros(10, 2), White(torch.tensor([1.0, 0.02]).expand(10, 2)))
    >>> start = Start(torch.tensor([0.0, 0.0, 0.0, 10.0]))
    >>> exact_curvature_moments(start, inputs, torch.full((10,), 0.1), rule("euler")).displacement[-1, 0] < 10
    tensor(True)
    """
    if not isinstance(inputs.law, White) or inputs.law.correlation is not None:
        kind = type(inputs.law).__name__ + (" with correlated channels" if isinstance(inputs.law, White) else "")
        raise ConfigError(expected("exact moments with random curvature", kind, "White inputs, channels uncorrelated"))
    va, _, vk = inputs.law.variances()
    shape = torch.broadcast_shapes(inputs.mean.shape[:-2], start.mean.shape[:-1], va.shape[:-1])
    double = dt.to(torch.float64)
    channels = [
        t.to(torch.float64).expand(*shape, dt.numel()) for t in (inputs.mean[..., 0], va, inputs.mean[..., 1], vk)
    ]
    sweep = _Sweep(start, rule, shape, lever)
    rows = []
    for i in range(dt.numel()):
        sweep.advance(_Step(*_at(channels, i), double[i], rule.curved))
        rows.append(sweep.moments())
    path, m, q = (torch.stack([row[i] for row in rows], -1) for i in range(3))
    single = start.mean.dtype
    entries = torch.stack([m + q.real, q.imag, q.imag, m - q.real], -1).to(single) * 0.5
    displacement = torch.view_as_real(path.resolve_conj()).to(single)
    heading, speed = _ends(start, inputs, dt, curved=rule.curved)
    return Moments(start.mean[..., :2], displacement, entries.unflatten(-1, (2, 2)), heading, speed)


def _ends(start: Start, inputs: Inputs, dt: Tensor, *, curved: bool) -> Pair:
    """Return mean and variance of heading and speed after each step, linearised; shape (..., T, 2)."""
    va, _, vk = inputs.law.variances()
    rate, bend = inputs.mean.unbind(-1)
    n = dt.numel()
    whole = torch.tril(dt.expand(n, n))
    # distance within each step (row) for a unit of acceleration in each (column)
    by_a = dt[:, None] * torch.tril(whole, -1) + (0.5 if curved else 0.0) * torch.diag(dt * dt)
    length = start.mean[..., 3:4] * dt + rate @ by_a.T
    turn_v, turn_a = torch.cumsum(bend * dt, -1), torch.cumsum(bend[..., None] * by_a, -2)
    hh, hv, vv = (start.cov(i, j)[..., None] for i, j in ((2, 2), (2, 3), (3, 3)))
    h = hh + 2 * hv * turn_v + vv * turn_v**2 + (turn_a**2 * va[..., None, :]).sum(-1)
    heading = start.mean[..., 2:3] + torch.cumsum(bend * length, -1), h + torch.cumsum(length**2 * vk, -1)
    speed = start.mean[..., 3:4] + rate @ whole.T, vv + va @ (whole**2).T
    heading_out, speed_out = (torch.stack(torch.broadcast_tensors(*pair), -1) for pair in (heading, speed))
    return heading_out, speed_out


def _at(channels: list[Tensor], i: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, va, k, vk = (t[..., i : i + 1] for t in channels)
    return a, va, k, vk


class _Sweep:
    """One pass over the steps: messages of the heading alone (``waves``), and of pairs with all earlier increments.

    Waves have the orders k = 0, 1, 2. Pairs have two: earlier increments conjugate (from k = 0) and not (from k = 2).
    """

    def __init__(self, start: Start, rule: Rule, shape: torch.Size, lever: float) -> None:
        self.rule, self.lever = rule, lever
        real = torch.zeros((*shape, 1), dtype=torch.float64, device=start.mean.device)
        zero = real.to(torch.complex128)
        s = {ij: start.cov(*ij)[..., None].to(torch.float64) + real for ij in _ENTRIES}
        heading, speed = (start.mean[..., i : i + 1].to(torch.float64) + real for i in (2, 3))
        ranks = [-1, *[1] * real.ndim]
        self.k = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64, device=real.device).reshape(ranks)
        self.sign = torch.tensor([-1.0, 1.0], dtype=torch.float64, device=real.device).reshape(ranks)
        none = zero.expand(3, *zero.shape)
        self.waves = _Message(
            1j * self.k * heading - 0.5 * self.k**2 * s[2, 2],
            speed + 1j * self.k * s[2, 3],
            s[3, 3].expand(none.shape),
            none,
            none,
        )
        # the start's position is the first "increment": it carries no phase of its own
        j = 1j * self.sign
        one = self.waves.order(1, 1)
        pairs = _Message(one.log_z, one.m, one.p, 1j * (s[0, 2] + j * s[1, 2]), s[0, 3] + j * s[1, 3])
        self.path = zero[..., 0]
        # centred second moments; products of means are taken off step by step, where they are small
        self.m, self.q = (s[0, 0] + s[1, 1])[..., 0], (s[0, 0] - s[1, 1] + 2j * s[0, 1])[..., 0]
        if lever:
            # minus the lever along the first heading is the second
            seen = pairs.carried()
            first, twice = (torch.exp(self.waves.log_z[k])[..., 0] for k in (1, 2))
            self.path = self.path - lever * first
            self.m = self.m + lever**2 * (1 - (first * first.conj()).real) - 2 * lever * seen[0].real
            self.q = self.q + lever**2 * (twice - first * first) - 2 * lever * seen[1]
            ends = self.waves.order(0, 2)
            pairs = pairs.joined(_Message(ends.log_z, ends.m, ends.p, none[:2] - lever, none[:2]))
        self.pairs = pairs

    def advance(self, step: _Step) -> None:
        """Go one step on."""
        nodes = [
            (c, b * step.dt, step.distance(c), step.speed(c))
            for c, b in zip(self.rule.fractions, self.rule.weights, strict=True)
        ]
        whole, onward = step.distance(1.0), step.speed(1.0)
        ends, one = self.waves.order(0, 2), self.waves.order(1)
        raw, fresh, jump = torch.zeros_like(self.pairs.m[..., 0]), [], torch.zeros_like(self.path)
        for i, (c, w, arc, speed) in enumerate(nodes):
            # at the very start of a step nothing has been travelled yet
            here = self.pairs if c == 0.0 else step.tilt(self.pairs, arc, speed)
            raw = raw + 2 * w * here.product()
            for j, (_, w_j, arc_j, speed_j) in enumerate(nodes[: i + 1]):
                both = self._arc(arc, arc_j)
                pair = step.tilt(step.carry(ends, speed_j), both, speed, shared=speed_j[1])
                raw = raw + (1 if i == j else 2) * w * w_j * pair.product()
            new = step.tilt(step.carry(ends, speed), self._arc(whole, arc), onward, shared=speed[1])
            fresh.append(new.weighted(w))
            wave = one if c == 0.0 else step.tilt(one, arc, speed)
            jump = jump + (w * torch.exp(wave.log_z) * wave.m)[0, ..., 0]
        self.m = self.m + (raw[0] - jump * (2 * self.path + jump).conj()).real
        self.q = self.q + (raw[1] - jump * (2 * self.path + jump))
        self.path = self.path + jump
        self.pairs = step.tilt(self.pairs, whole, onward).joined(*fresh)
        self.waves = step.tilt(self.waves, whole, onward, self.k)

    def _arc(self, late: Pair, early: Pair) -> Pair:
        """Return the distance whose heading a pair shares: up to the later point less, or plus, that to the earlier."""
        return late[0] + self.sign * early[0], late[1] + self.sign * early[1]

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean displacement and centred second moments of the reference point."""
        path, m, q = self.path, self.m, self.q
        if self.lever:
            last, twice = (torch.exp(self.waves.log_z[k])[..., 0] for k in (1, 2))
            down, up = self.pairs.carried()
            m = m + 2 * self.lever * (down - path.conj() * last).real + self.lever**2 * (1 - (last * last.conj()).real)
            q = q + 2 * self.lever * (up - path * last) + self.lever**2 * (twice - last * last)
            path = path + self.lever * last
        return path, m, q


_ENTRIES = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 2), (2, 3), (3, 3))
