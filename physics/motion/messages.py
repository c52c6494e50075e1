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
from retrodict.physics.motion.curvature import linear_curvature_moments
from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.integrators import Rule
from retrodict.physics.motion.state import Moments, Start

__all__ = ["exact_curvature_moments"]

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class _Message:
    """Weight, mean and variance of the speed, mean of the carried variable and its covariance with the speed."""

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

    def joined(self, other: _Message) -> _Message:
        """Return the messages of both, side by side."""
        mine, theirs = vars(self).values(), vars(other).values()
        return _Message(*(torch.cat([a, b], -1) for a, b in zip(mine, theirs, strict=True)))


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
        return _Message(message.log_z, message.m, message.p, out[0] * message.m + out[1] * self.a, out[0] * message.p)

    def tilt(self, message: _Message, arc: Pair, out: Pair, k: float = 1.0, shared: Tensor | float = 0.0) -> _Message:
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
        return _Message(
            message.log_z + 0.5 * torch.log(inverse) + (1j * b * ml - 0.5 * c * ml * ml - 0.5 * b * b * pl) * inverse,
            out[0] * message.m + out[1] * self.a + co * kick,
            out[0] ** 2 * message.p + out[1] ** 2 * self.va - c * co * co * inverse,
            message.my + cl * kick,
            out[0] * message.cy + shared * out[1] * self.va - c * cl * co * inverse,
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
    linear = linear_curvature_moments(start, inputs, dt, rule, lever=lever)
    displacement = torch.view_as_real(path.resolve_conj()).to(single)
    return Moments(start.mean[..., :2], displacement, entries.unflatten(-1, (2, 2)), linear.heading, linear.speed)


def _at(channels: list[Tensor], i: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, va, k, vk = (t[..., i : i + 1] for t in channels)
    return a, va, k, vk


class _Sweep:
    """One pass over the steps: messages of the heading alone (``waves``), and of pairs with all earlier increments."""

    def __init__(self, start: Start, rule: Rule, shape: torch.Size, lever: float) -> None:
        self.rule, self.lever = rule, lever
        zero = torch.zeros((*shape, 1), dtype=torch.complex128, device=start.mean.device)
        s = {ij: start.cov(*ij)[..., None].to(torch.complex128) + zero for ij in _ENTRIES}
        heading, speed = (start.mean[..., i : i + 1].to(torch.complex128) + zero for i in (2, 3))
        self.waves = {
            k: _Message(1j * k * heading - 0.5 * k * k * s[2, 2], speed + 1j * k * s[2, 3], s[3, 3], zero, zero)
            for k in (0.0, 1.0, 2.0)
        }
        one = self.waves[1.0]
        # the start's position is the first "increment": it carries no phase of its own
        down, up = (
            _Message(one.log_z, one.m, one.p, 1j * (s[0, 2] + j * s[1, 2]), s[0, 3] + j * s[1, 3]) for j in (-1j, 1j)
        )
        self.path = zero[..., 0]
        self.raw_m, self.raw_q = ((s[0, 0] + s[1, 1]).real)[..., 0], (s[0, 0] - s[1, 1] + 2j * s[0, 1])[..., 0]
        if lever:
            # minus the lever along the first heading is the second
            tail = zero - lever
            self.path = self.path - lever * torch.exp(one.log_z)[..., 0]
            self.raw_m = self.raw_m + lever**2 - 2 * lever * down.carried().real
            self.raw_q = self.raw_q + lever**2 * torch.exp(self.waves[2.0].log_z)[..., 0] - 2 * lever * up.carried()
            down, up = (
                mine.joined(_Message(w.log_z, w.m, w.p, tail, zero))
                for mine, w in ((down, self.waves[0.0]), (up, self.waves[2.0]))
            )
        self.pairs = {0.0: down, 2.0: up}

    def advance(self, step: _Step) -> None:
        """Go one step on."""
        nodes = [
            (b * step.dt, step.distance(c), step.speed(c))
            for c, b in zip(self.rule.fractions, self.rule.weights, strict=True)
        ]
        whole, onward = step.distance(1.0), step.speed(1.0)
        raw = {0.0: 0 * self.path, 2.0: 0 * self.path}
        fresh: dict[float, _Message | None] = {0.0: None, 2.0: None}
        for k, sign in ((0.0, -1.0), (2.0, 1.0)):
            for i, (w, arc, speed) in enumerate(nodes):
                raw[k] = raw[k] + 2 * w * step.tilt(self.pairs[k], arc, speed).product()
                for j, (w_j, arc_j, speed_j) in enumerate(nodes[: i + 1]):
                    both = (arc[0] + sign * arc_j[0], arc[1] + sign * arc_j[1])
                    pair = step.tilt(step.carry(self.waves[k], speed_j), both, speed, shared=speed_j[1])
                    raw[k] = raw[k] + (1 if i == j else 2) * w * w_j * pair.product()
                rest = (whole[0] + sign * arc[0], whole[1] + sign * arc[1])
                new = step.tilt(step.carry(self.waves[k], speed), rest, onward, shared=speed[1])
                weighted = _Message(new.log_z, new.m, new.p, w * new.my, w * new.cy)
                held = fresh[k]
                fresh[k] = weighted if held is None else held.joined(weighted)
        for w, arc, speed in nodes:
            here = step.tilt(self.waves[1.0], arc, speed)
            self.path = self.path + (w * torch.exp(here.log_z) * here.m)[..., 0]
        self.raw_m, self.raw_q = self.raw_m + raw[0.0].real, self.raw_q + raw[2.0]
        for k, new_pairs in fresh.items():
            moved = step.tilt(self.pairs[k], whole, onward)
            self.pairs[k] = moved if new_pairs is None else moved.joined(new_pairs)
        self.waves = {k: step.tilt(w, whole, onward, k) for k, w in self.waves.items()}

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean displacement and centred second moments of the reference point."""
        path, m, q = self.path, self.raw_m, self.raw_q
        if self.lever:
            m = m + 2 * self.lever * self.pairs[0.0].carried().real + self.lever**2
            q = (
                q
                + 2 * self.lever * self.pairs[2.0].carried()
                + self.lever**2 * torch.exp(self.waves[2.0].log_z)[..., 0]
            )
            path = path + self.lever * torch.exp(self.waves[1.0].log_z)[..., 0]
        return path, m - (path * path.conj()).real, q - path * path


_ENTRIES = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 2), (2, 3), (3, 3))
