"""From what a network returns to the scaled fields of a flame: ranges, or values held at points, by the chain rule.

`Ranges`: ``T = T_lo + (T_hi - T_lo) sigmoid(N_T)``, ``Y = softmax(N_Y)``, after Wu et al. (2025); conditions at the
ends stay soft. `Held`: ``A(z) + B(z) N(z)`` with the right values of A where B vanishes, at both ends and at the
anchor; the most abundant species closes the sum to one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.polynomial import Polynomial
from torch import Tensor

from retrodict.physics.flames.thin_layer import HALF

__all__ = ["Held", "Jet", "OutputMap", "Ranges", "Step"]

Jet = tuple[Tensor, Tensor, Tensor]
"""Value, slope and curvature along z."""


class OutputMap(Protocol):
    """From raw outputs to scaled fields."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the raw outputs."""
        ...

    def fields(self, raw: Mapping[str, Jet], z: Tensor) -> dict[str, Jet]:
        """Return value, slope and curvature of every scaled field."""
        ...


@dataclass(frozen=True)
class Ranges:
    """Sigmoid and softmax; other fields pass as they are.

    Parameters
    ----------
    scales : Mapping of str to float
        Factors from SI to scaled fields, by field.
    species : tuple of str
        Those of the softmax.
    T : (float, float)
        Range of temperatures, K.

    Examples
    --------
    >>> ranges_ = Ranges({"T": 1.0, "A": 1.0, "B": 1.0}, ("A", "B"), (300.0, 2300.0))
    >>> zero = (torch.zeros(1),) * 3
    >>> {k: float(v[0]) for k, v in ranges_.fields({"T": zero, "A": zero, "B": zero}, torch.zeros(1)).items()}
    {'T': 1300.0, 'A': 0.5, 'B': 0.5}
    """

    scales: Mapping[str, float]
    species: tuple[str, ...]
    T: tuple[float, float]

    @property
    def outputs(self) -> tuple[str, ...]:
        """One for every field."""
        return tuple(self.scales)

    def fields(self, raw: Mapping[str, Jet], z: Tensor) -> dict[str, Jet]:  # noqa: ARG002
        """Return value, slope and curvature of every scaled field."""
        out = {k: v for k, v in raw.items() if k not in ("T", *self.species)}
        a, a1, a2 = raw["T"]
        s = torch.sigmoid(a)
        slope, size = s * (1 - s), (self.T[1] - self.T[0]) * self.scales["T"]
        low = self.T[0] * self.scales["T"]
        out["T"] = (low + size * s, size * slope * a1, size * slope * (a2 + (1 - 2 * s) * a1**2))
        b, b1, b2 = (torch.stack([raw[k][i] for k in self.species]) for i in range(3))
        Y = torch.softmax(b, 0)
        drift = b1 - (Y * b1).sum(0)
        Y1 = Y * drift
        Y2 = Y1 * drift + Y * (b2 - (Y * b2).sum(0) - (Y1 * b1).sum(0))
        for k, name in enumerate(self.species):
            scale = self.scales[name]
            out[name] = (scale * Y[k], scale * Y1[k], scale * Y2[k])
        return {k: out[k] for k in self.scales}


@dataclass(frozen=True)
class Step:
    """A smooth step from zero at the lower end to one at the upper; a straight line where it is not steep.

    Parameters
    ----------
    steepness : float
        Of the sigmoid, in 1/z; zero is a line.
    through : (float, float), optional
        Position and height that it passes.

    Examples
    --------
    >>> step = Step(4.0, (-0.6, 0.25))
    >>> [abs(round(float(step.jet(torch.tensor([z]).double())[0]), 6)) for z in (-2.0, -0.6, 2.0)]
    [0.0, 0.25, 1.0]
    """

    steepness: float = 0.0
    through: tuple[float, float] = (0.0, 0.5)

    @cached_property
    def _centre(self) -> float:
        low, high = -2 * HALF, 2 * HALF
        for _ in range(100):
            middle = 0.5 * (low + high)
            bottom, there, top = (self._sigmoid(z, middle) for z in (-HALF, self.through[0], HALF))
            low, high = (middle, high) if (there - bottom) / (top - bottom) > self.through[1] else (low, middle)
        return 0.5 * (low + high)

    def _sigmoid(self, z: float, centre: float) -> float:
        return 0.5 * (1 + math.tanh(0.5 * self.steepness * (z - centre)))

    def jet(self, z: Tensor) -> Jet:
        """Return value, slope and curvature."""
        if self.steepness == 0.0:
            return (z + HALF) / (2 * HALF), torch.full_like(z, 0.5 / HALF), torch.zeros_like(z)
        bottom, top = (self._sigmoid(end, self._centre) for end in (-HALF, HALF))
        s = torch.sigmoid(self.steepness * (z - self._centre))
        s1 = self.steepness * s * (1 - s)
        size = 1.0 / (top - bottom)
        return (s - bottom) * size, s1 * size, s1 * (self.steepness * (1 - 2 * s)) * size


@dataclass(frozen=True)
class Held:
    """Fields that keep their values at given places whatever the network does.

    Parameters
    ----------
    ends : Mapping of str to (float, float)
        Scaled values at the lower and the upper end, by field.
    scales : Mapping of str to float
        Factors from SI to scaled fields.
    species : tuple of str
        Their mass fractions sum to one.
    bulk : str
        The species that closes the sum; it has no output.
    step : Step, optional
        How every field goes from one end to the other before training.
    inner : Mapping of str to tuple of float, optional
        Places inside, by field, where the step has the right value already.

    Examples
    --------
    >>> map_ = Held({"T": (1.0, 3.0)}, {"T": 1.0}, (), "", inner={"T": (0.0,)})
    >>> z = torch.tensor([-2.0, 0.0, 2.0])
    >>> map_.fields({"T": (torch.ones(3), torch.zeros(3), torch.zeros(3))}, z)["T"][0].tolist()
    [1.0, 2.0, 3.0]
    """

    ends: Mapping[str, tuple[float, float]]
    scales: Mapping[str, float]
    species: tuple[str, ...]
    bulk: str
    step: Step = field(default_factory=Step)
    inner: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """One for every field but the bulk species."""
        return tuple(k for k in self.ends if k != self.bulk)

    def fields(self, raw: Mapping[str, Jet], z: Tensor) -> dict[str, Jet]:
        """Return value, slope and curvature of every scaled field."""
        s, s1, s2 = self.step.jet(z)
        out: dict[str, Jet] = {}
        for name in self.outputs:
            low, high = self.ends[name]
            b, b1, b2 = self._factor(name, z)
            n, n1, n2 = raw[name]
            out[name] = (
                low + (high - low) * s + b * n,
                (high - low) * s1 + b1 * n + b * n1,
                (high - low) * s2 + b2 * n + 2 * b1 * n1 + b * n2,
            )
        if self.bulk:
            others = [k for k in self.species if k != self.bulk]
            sums = [torch.stack([out[k][i] / self.scales[k] for k in others]).sum(0) for i in range(3)]
            scale = self.scales[self.bulk]
            out[self.bulk] = (scale * (1 - sums[0]), -scale * sums[1], -scale * sums[2])
        return {k: out[k] for k in self.ends}

    @cached_property
    def _factors(self) -> dict[str, tuple[Polynomial, Polynomial, Polynomial]]:
        found = {}
        for name in self.outputs:
            b = Polynomial.fromroots([-HALF, *self.inner.get(name, ()), HALF])
            b = b / np.abs(b(np.linspace(-HALF, HALF, 401))).max()
            found[name] = (b, b.deriv(), b.deriv(2))
        return found

    def _factor(self, name: str, z: Tensor) -> Jet:
        b, b1, b2 = (_horner(p, z) for p in self._factors[name])
        return b, b1, b2


def _horner(polynomial: Polynomial, z: Tensor) -> Tensor:
    total = torch.zeros_like(z)
    for c in reversed(polynomial.coef.tolist()):
        total = total * z + c
    return total
