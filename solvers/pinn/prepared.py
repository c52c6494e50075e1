"""A trial at fixed points: all that does not depend on its weights, computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from math import comb, prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from retrodict.physics.system import Coords, Key, Value, nested_derivatives
from retrodict.solvers.pinn.jets import Index, JetNetwork, Layer, closure
from retrodict.solvers.pinn.networks import Network

if TYPE_CHECKING:
    from retrodict.solvers.pinn.trial import Trial

__all__ = ["Memory", "Prepared"]

Memory = list[tuple[list[Layer], torch.Size]]
"""What the way back needs, network by network."""

_CACHE = 600_000
"""Bytes of one channel stack of a layer that a block of points may take: about the second-level cache."""


class Prepared:
    """Derivatives of a trial at fixed points, for any weights.

    Rows are the derivatives wanted, in order, and behind them the combination, if there is one.

    Parameters
    ----------
    trial : Trial
        What to evaluate.
    coords : Mapping of str to Tensor
        Points, each of shape (n,).
    wanted : sequence of Key
        Canonical keys.
    combined : Mapping of Key to Tensor, optional
        Derivatives of one field of which only the sum with these coefficients, each of shape (n,), is wanted.
    """

    def __init__(
        self,
        trial: Trial,
        coords: Mapping[str, Tensor],
        wanted: Sequence[Key],
        combined: Mapping[Key, Tensor] | None = None,
    ) -> None:
        self.trial, self.wanted, self.combined = trial, tuple(wanted), dict(combined or {})
        self.coords = {k: coords[k] for k in trial.system.coords}
        self.count = len(next(iter(self.coords.values())))
        self._factors = self._leibniz_factors()
        self._jets = [self._network(network) for network in trial.networks]
        self._coefficients = [self._stacked(jets) for jets in self._jets]
        pairs = list(zip(self._jets, self._coefficients, strict=True))
        self._inputs = [jets.inputs(self.coords, mixed) for jets, mixed in pairs]
        self._parts = [self._product_rule(jets) for jets in self._jets]
        self._base = self._hard()
        channels = max((j.channels * j.network.width for j in self._jets), default=1)
        size = max(64, _CACHE // (channels * trial.tensor(0.0).element_size()))
        pieces = max(1, round(self.count / size))
        edges = np.linspace(0, self.count, pieces + 1).astype(int)
        self.blocks = [slice(int(a), int(b)) for a, b in pairwise(edges)]

    def _keys(self, fields: Sequence[str]) -> list[Key]:
        return [k for k in (*self.wanted, *self.combined) if k[0] in fields]

    def _leibniz_factors(self) -> dict[Key, Tensor]:
        """Return the derivatives of B, by field and index, that are not zero everywhere."""
        found = {}
        for name in {k[0] for k in self._keys(list(self.trial.ansatz))}:
            parts = closure([k[1:] for k in self._keys([name])])
            factor = self.trial.ansatz[name].factor
            d = nested_derivatives(partial(_named, factor), self.coords, [("B", *p) for p in parts])
            for part in parts:
                value = d[("B", *part)].detach().to(self.trial.dtype)
                if bool((value != 0).any()):
                    found[(name, *part)] = value
        return found

    def _network(self, network: Network) -> JetNetwork:
        """Return the jets of one network: what is wanted alone, and what the product rule of a combination needs."""
        alone = [k[1:] for k in self.wanted if k[0] in network.fields]
        mixed = [k for k in self.combined if k[0] in network.fields]
        for name, *index in mixed:
            alone += [rest for part, rest in _splits(tuple(index)) if part and (name, *part) in self._factors]
        return JetNetwork(network, alone, [k[1:] for k in mixed])

    def _stacked(self, jets: JetNetwork) -> Tensor | None:
        """Return the coefficients of a combination, shape (derivatives, n)."""
        return torch.stack(list(self.combined.values())) if jets.combined else None

    def _hard(self) -> Tensor:
        """Return the rows of A, shape (rows, n)."""
        fields, keys = self.trial.ansatz, self._keys(list(self.trial.ansatz))

        def base(coords: Coords) -> dict[str, Tensor]:
            return {f: fields[f].base(coords) for f in {k[0] for k in keys}}

        d = nested_derivatives(base, self.coords, keys)
        rows = [d[k].detach().to(self.trial.dtype) for k in self.wanted]
        if self.combined:
            mixed = [a * d[k].detach().to(self.trial.dtype) for k, a in self.combined.items()]
            rows.append(torch.stack(mixed).sum(0))
        return torch.stack(rows)

    def _product_rule(self, jets: JetNetwork) -> list[tuple[int, int, int, Tensor]]:
        """Return terms (row, channel, output, factor) of ``B N``."""
        channel, fields = {index: i for i, index in enumerate(jets.indices)}, jets.network.fields
        terms = []
        for row, (name, *by) in enumerate(self.wanted):
            if name in fields:
                for part, rest in _splits(tuple(by)):
                    if (name, *part) in self._factors:
                        factor = _ways(tuple(by), part) * self._factors[(name, *part)]
                        terms.append((row, channel[rest], fields.index(name), factor))
        last: dict[tuple[int, int], Tensor] = {}
        for (name, *by), a in self.combined.items():
            if name in fields:
                last[len(channel), fields.index(name)] = self._factors[name,]
                for part, rest in _splits(tuple(by)):
                    if part and (name, *part) in self._factors:
                        place = (channel[rest], fields.index(name))
                        value = _ways(tuple(by), part) * a * self._factors[(name, *part)]
                        last[place] = last[place] + value if place in last else value
        return terms + [(len(self.wanted), c, f, value) for (c, f), value in last.items()]

    def forward(self, weights: Tensor, block: slice) -> tuple[Tensor, Memory]:
        """Return the rows at some of the points, and what the way back needs.

        Parameters
        ----------
        weights : Tensor, shape (size,)
            All weights.
        block : slice
            Which points.

        Returns
        -------
        values : Tensor, shape (rows, n)
            Derivatives.
        memory : list
            For `gradient` and `jacobian`.
        """
        memory: Memory = []
        out = self._base[:, block].clone()
        everything = zip(self._jets, self._inputs, self._coefficients, self._parts, self.trial.slices, strict=True)
        for jets, inputs, mixed, parts, own in everything:
            values, layers = jets.forward(weights[own], inputs[:, block], _cut(mixed, block))
            for row, channel, field, factor in parts:
                out[row].addcmul_(factor[block], values[channel, :, field])
            memory.append((layers, values.shape))
        return out, memory

    def gradient(self, weights: Tensor, block: slice, memory: Memory, cotangent: Tensor, into: Tensor) -> None:
        """Add the gradient of ``sum(cotangent * values)`` to ``into``, shape (size,)."""
        for jets, own, mixed, layers, bar in self._split(block, memory, cotangent):
            jets.gradient(weights[own], layers, bar, into[own], mixed)

    def jacobian(self, weights: Tensor, block: slice, memory: Memory, cotangent: Tensor, into: Tensor) -> None:
        """Add the gradient of each point's ``sum(cotangent * values)`` to the rows of ``into``, shape (n, size)."""
        for jets, own, mixed, layers, bar in self._split(block, memory, cotangent):
            jets.jacobian(weights[own], layers, bar, into[:, own], mixed)

    def _split(
        self, block: slice, memory: Memory, cotangent: Tensor
    ) -> Iterator[tuple[JetNetwork, slice, Tensor | None, list[Layer], Tensor]]:
        """Yield, network by network, what its reverse pass needs."""
        everything = zip(self._jets, self._coefficients, self._parts, self.trial.slices, memory, strict=True)
        for jets, mixed, parts, own, (layers, shape) in everything:
            bar = cotangent.new_zeros(shape)
            for row, channel, field, factor in parts:
                bar[channel, :, field].addcmul_(factor[block], cotangent[row])
            yield jets, own, _cut(mixed, block), layers, bar


def _named(factor: Value, coords: Coords) -> dict[str, Tensor]:
    return {"B": factor(coords)}


def _cut(mixed: Tensor | None, block: slice) -> Tensor | None:
    return None if mixed is None else mixed[:, block]


def _splits(index: Index) -> Iterator[tuple[Index, Index]]:
    """Yield every part of a multi-index once, and what is left of it."""
    for part in closure([index]):
        rest = list(index)
        for coord in part:
            rest.remove(coord)
        yield part, tuple(rest)


def _ways(index: Index, part: Index) -> int:
    """Return how often the product rule takes a part out of a multi-index."""
    return prod(comb(index.count(c), part.count(c)) for c in set(index))
