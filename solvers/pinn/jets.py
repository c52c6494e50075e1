"""Derivatives of a network by its coordinates, forward in one pass, and the way back to its weights by hand.

A jet holds a value and chosen mixed derivatives, closed under leaving out coordinates. A layer ``a' = s(W a + b)`` maps
jets to jets by the rule of Faa di Bruno: a derivative along a multi-index is a sum over the set partitions of the
index, ``s^(p) prod_block z_block``. All derivatives share one matrix product a layer. The reverse pass needs one more
derivative of s and returns the gradient of any function of the jets, or one row of a Jacobian a point.

Points come in blocks small enough for the cache: a whole batch at once is slower than nested automatic differentiation,
and needs memory for all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.solvers.pinn.activations import ACTIVATIONS
from retrodict.solvers.pinn.networks import Network

__all__ = ["Index", "JetNetwork", "Layer", "closure", "partitions"]

Index = tuple[str, ...]
"""Coordinates that something is differentiated by, sorted."""


def closure(indices: Sequence[Index]) -> tuple[Index, ...]:
    """Return the multi-indices and all their parts, lowest order first.

    Parameters
    ----------
    indices : sequence of tuple of str
        Coordinates of each derivative.

    Returns
    -------
    tuple of tuple of str
        Sorted, the empty one first.

    Examples
    --------
    >>> closure([("x", "x"), ("t",)])
    ((), ('t',), ('x',), ('x', 'x'))
    """
    found: set[Index] = {()}
    for index in indices:
        parts: set[Index] = {()}
        for coord in sorted(index):
            parts |= {tuple(sorted((*part, coord))) for part in parts}
        found |= parts
    return tuple(sorted(found, key=lambda i: (len(i), i)))


def partitions(index: Index) -> Counter[tuple[Index, ...]]:
    """Return the set partitions of a multi-index with their multiplicities.

    Parameters
    ----------
    index : tuple of str
        Coordinates of a derivative.

    Returns
    -------
    Counter
        Blocks, sorted, to how often they occur.

    Examples
    --------
    >>> sorted(partitions(("x", "x", "x")).items())[1]
    ((('x',), ('x', 'x')), 3)
    """
    out: Counter[tuple[Index, ...]] = Counter()
    for blocks in _blocks(list(range(len(index)))):
        out[tuple(sorted(tuple(sorted(index[i] for i in block)) for block in blocks))] += 1
    return out


def _blocks(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for blocks in _blocks(rest):
        yield [[first], *blocks]
        for i, block in enumerate(blocks):
            yield [*blocks[:i], [first, *block], *blocks[i + 1 :]]


@dataclass(frozen=True)
class _Product:
    """A term ``count s^(order) prod z[factors]`` of channel ``out``, of two factors or more; times a coefficient."""

    out: int
    count: float
    factors: tuple[int, ...]
    coefficient: int | None = None

    @property
    def order(self) -> int:
        return len(self.factors)


@dataclass
class Layer:
    """What the way back needs of a layer.

    Parameters
    ----------
    inputs : Tensor, shape (channels, n, width in)
        Jets that came in.
    z : Tensor, shape (channels, n, width)
        Jets before the activation.
    slopes : list of Tensor
        The activation and its derivatives at the values.
    """

    inputs: Tensor
    z: Tensor
    slopes: list[Tensor]


class JetNetwork:
    """A network that carries derivatives along.

    Parameters
    ----------
    network : Network
        The network.
    indices : sequence of tuple of str
        Derivatives wanted; `indices` of the object are their closure and the order of the channels.
    combined : sequence of tuple of str, optional
        Derivatives of which only one linear combination is wanted, with coefficients that are known at the points: it
        takes one more channel, where each alone would take its own. A sum of derivatives passes an affine map as each
        of them does, and only the parts of higher orders need the others.

    Examples
    --------
    >>> from retrodict.solvers.pinn.features import Features
    >>> import numpy as np
    >>> net = Network(("u",), Features({"x": (-1.0, 1.0)}), 5, 2)
    >>> jets = JetNetwork(net, [("x", "x")])
    >>> weights = torch.from_numpy(net.draw(np.random.default_rng(0)))
    >>> values, _ = jets.forward(weights, jets.inputs({"x": torch.zeros(7, dtype=torch.float64)}))
    >>> values.shape  # channels (value, x, xx), points, fields
    torch.Size([3, 7, 1])
    """

    def __init__(self, network: Network, indices: Sequence[Index], combined: Sequence[Index] = ()) -> None:
        needed = [part for index in combined for blocks in partitions(index) if len(blocks) > 1 for part in blocks]
        self.network, self.indices, self.combined = network, closure([*indices, *needed]), tuple(combined)
        self._act = ACTIVATIONS[network.activation].derivatives
        channel = {index: i for i, index in enumerate(self.indices)}
        places: list[tuple[int, Index, int | None]] = [(channel[index], index, None) for index in self.indices]
        places += [(len(channel), index, k) for k, index in enumerate(self.combined)]
        self._products = [
            _Product(out, float(count), tuple(channel[b] for b in blocks), coefficient)
            for out, index, coefficient in places
            for blocks, count in partitions(index).items()
            if len(blocks) > 1
        ]
        self._order = max((len(i) for i in (*self.indices, *self.combined)), default=0)

    @property
    def channels(self) -> int:
        """Number of channels; the combination, if there is one, is the last."""
        return len(self.indices) + bool(self.combined)

    def inputs(self, coords: Mapping[str, Tensor], coefficients: Tensor | None = None) -> Tensor:
        """Return the jets of the features, shape (channels, n, features).

        Parameters
        ----------
        coords : Mapping of str to Tensor
            Points, each of shape (n,).
        coefficients : Tensor, shape (len(combined), n), optional
            Of the combination.

        Returns
        -------
        Tensor
            Constant for fixed points.
        """
        parts = [self.network.features.derivative(coords, index) for index in self.indices]
        if coefficients is not None:
            mixed = [self.network.features.derivative(coords, index) for index in self.combined]
            parts.append(torch.einsum("kn,knf->nf", coefficients, torch.stack(mixed)))
        return torch.stack(parts)

    def forward(
        self, weights: Tensor, inputs: Tensor, coefficients: Tensor | None = None
    ) -> tuple[Tensor, list[Layer]]:
        """Return the jets of the outputs, and what `gradient` and `jacobian` need.

        Parameters
        ----------
        weights : Tensor, shape (size,)
            Weights of the network.
        inputs : Tensor, shape (channels, n, features)
            See `inputs`.
        coefficients : Tensor, shape (len(combined), n), optional
            Of the combination.

        Returns
        -------
        values : Tensor, shape (channels, n, fields)
            Value and derivatives.
        layers : list
            For the way back.
        """
        a, layers = inputs, []
        *hidden, last = self.network.split(weights)
        for matrix, bias in hidden:
            z = _affine(a, matrix, bias)
            slopes = self._act(z[0], self._order + 1)
            out = torch.empty_like(z)
            out[0] = slopes[0]
            if len(z) > 1:
                torch.mul(z[1:], slopes[1], out=out[1:])
            for p in self._products:
                product = slopes[p.order] * z[p.factors[0]]
                for factor in p.factors[1:-1]:
                    product *= z[factor]
                if p.coefficient is not None and coefficients is not None:
                    product *= coefficients[p.coefficient, :, None]
                out[p.out].addcmul_(product, z[p.factors[-1]], value=p.count)
            layers.append(Layer(a, z, slopes))
            a = out
        layers.append(Layer(a, a, []))
        return _affine(a, *last), layers

    def gradient(
        self, weights: Tensor, layers: list[Layer], cotangent: Tensor, into: Tensor, coefficients: Tensor | None = None
    ) -> None:
        """Add the gradient of ``sum(cotangent * values)`` to ``into``.

        Parameters
        ----------
        weights : Tensor, shape (size,)
            As in `forward`.
        layers : list
            From `forward`.
        cotangent : Tensor, shape (channels, n, fields)
            Of the values.
        into : Tensor, shape (size,)
            What is added to.
        coefficients : Tensor, shape (len(combined), n), optional
            As in `forward`.
        """
        for (matrix, bias), layer, bar in zip(
            reversed(self.network.split(into)),
            reversed(layers),
            self._back(weights, layers, cotangent, coefficients),
            strict=True,
        ):
            matrix.addmm_(bar.flatten(0, 1).T, layer.inputs.flatten(0, 1))
            bias.add_(bar[0].sum(0))

    def jacobian(
        self, weights: Tensor, layers: list[Layer], cotangent: Tensor, into: Tensor, coefficients: Tensor | None = None
    ) -> None:
        """Add, point by point, the gradient of ``sum(cotangent * values)`` to the rows of ``into``.

        Parameters
        ----------
        weights : Tensor, shape (size,)
            As in `forward`.
        layers : list
            From `forward`.
        cotangent : Tensor, shape (channels, n, fields)
            Of the values.
        into : Tensor, shape (n, size)
            What is added to.
        coefficients : Tensor, shape (len(combined), n), optional
            As in `forward`.
        """
        at = self.network.size
        for (n, m), layer, bar in zip(
            reversed(self.network.layers),
            reversed(layers),
            self._back(weights, layers, cotangent, coefficients),
            strict=True,
        ):
            at -= n * (m + 1)
            block = torch.bmm(bar.permute(1, 2, 0), layer.inputs.transpose(0, 1))
            into[:, at : at + n * m] += block.flatten(1)
            into[:, at + n * m : at + n * (m + 1)] += bar[0]

    def _back(
        self, weights: Tensor, layers: list[Layer], cotangent: Tensor, coefficients: Tensor | None
    ) -> Iterator[Tensor]:
        """Yield the cotangents of the affine maps' results, last layer first."""
        matrices = [matrix for matrix, _ in self.network.split(weights)]
        bar = cotangent
        yield bar
        for matrix, layer in zip(reversed(matrices[1:]), reversed(layers[:-1]), strict=True):
            bar = self._through(layer, (bar.flatten(0, 1) @ matrix).view(*bar.shape[:2], matrix.shape[1]), coefficients)
            yield bar

    def _through(self, layer: Layer, g: Tensor, coefficients: Tensor | None) -> Tensor:
        """Return the cotangent before an activation from the one behind it."""
        z, s = layer.z, layer.slopes
        bar = torch.mul(g, s[1])
        if len(z) > 1:
            total = g[1] * z[1]
            for channel in range(2, len(z)):
                total.addcmul_(g[channel], z[channel])
            bar[0].addcmul_(s[2], total)
        for p in self._products:
            rest = g[p.out] if p.count == 1.0 else g[p.out] * p.count
            if p.coefficient is not None and coefficients is not None:
                rest = rest * coefficients[p.coefficient, :, None]
            if p.order == 2:
                i, j = p.factors
                if i == j:
                    rest = rest * z[i]
                    bar[i].addcmul_(rest, s[2], value=2.0)
                    bar[0].addcmul_(rest.mul_(z[i]), s[3])
                else:
                    lower = rest * s[2]
                    bar[i].addcmul_(lower, z[j])
                    bar[j].addcmul_(lower, z[i])
                    bar[0].addcmul_(rest * s[3], z[i] * z[j])
                continue
            for leave in range(p.order):
                product = rest * s[p.order]
                for k, factor in enumerate(p.factors):
                    product = product if k == leave else product * z[factor]
                bar[p.factors[leave]] += product
            product = rest * s[p.order + 1]
            for factor in p.factors:
                product = product * z[factor]
            bar[0] += product
        return bar


def _affine(a: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    z = (a.flatten(0, 1) @ matrix.T).view(*a.shape[:2], matrix.shape[0])
    z[0] += bias
    return z
