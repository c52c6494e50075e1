"""Jets of gated networks, and trial solutions of them: forward by rule, backward by automatic differentiation.

A gate multiplies two jets, ``(a b)_I = sum a_J b_(I - J)`` over the parts of the multi-index; everything else is as in
`retrodict.solvers.pinn.jets`. The way back is recorded by torch: slower than the one by hand, for networks that are
trained by first-order methods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import Key, key
from retrodict.solvers.pinn.activations import ACTIVATIONS
from retrodict.solvers.pinn.jets import Index, JetNetwork, Layer, partitions
from retrodict.solvers.pinn.networks import GatedNetwork, Network
from retrodict.solvers.pinn.prepared import Prepared
from retrodict.solvers.pinn.trial import Trial

__all__ = ["GatedJets", "GatedTrial"]


class GatedJets(JetNetwork):
    """A gated network that carries derivatives along.

    Parameters
    ----------
    network : GatedNetwork
        The network.
    indices : sequence of tuple of str
        Derivatives wanted; `indices` of the object are their closure and the order of the channels.

    Examples
    --------
    >>> from retrodict.solvers.pinn.features import Features
    >>> import numpy as np
    >>> net = GatedNetwork(("u",), Features({"x": (-1.0, 1.0)}), 5, 2)
    >>> jets = GatedJets(net, [("x", "x")])
    >>> weights = torch.from_numpy(net.draw(np.random.default_rng(0)))
    >>> values, _ = jets.forward(weights, jets.inputs({"x": torch.zeros(7, dtype=torch.float64)}))
    >>> values.shape  # channels (value, x, xx), points, fields
    torch.Size([3, 7, 1])
    """

    def __init__(self, network: GatedNetwork, indices: Sequence[Index]) -> None:
        super().__init__(network, indices)
        self._plain = ACTIVATIONS[network.activation].derivatives
        self._depth = max((len(i) for i in self.indices), default=0)
        place = {index: i for i, index in enumerate(self.indices)}
        self._chains = [
            [(float(c), tuple(place[b] for b in blocks)) for blocks, c in sorted(partitions(index).items())]
            if index
            else []
            for index in self.indices
        ]
        self._pairs = [
            [(float(c), place[a], place[b]) for (a, b), c in sorted(_halves(index).items())] for index in self.indices
        ]

    def forward(
        self,
        weights: Tensor,
        inputs: Tensor,
        coefficients: Tensor | None = None,  # noqa: ARG002
    ) -> tuple[Tensor, list[Layer]]:
        """Return the jets of the outputs; the one layer behind them holds the weights and the recorded values."""
        with torch.enable_grad():
            leaf = weights.detach().requires_grad_()
            *maps, last = self.network.split(leaf)
            u, v = (self._activated(_affine(inputs, *gate)) for gate in maps[:2])
            gap, hidden = u - v, inputs
            for layer in maps[2:]:
                hidden = v + self._times(self._activated(_affine(hidden, *layer)), gap)
            values = _affine(hidden, *last)
        return values.detach(), [Layer(leaf, values, [])]

    def gradient(
        self,
        weights: Tensor,  # noqa: ARG002
        layers: list[Layer],
        cotangent: Tensor,
        into: Tensor,
        coefficients: Tensor | None = None,  # noqa: ARG002
    ) -> None:
        """Add the gradient of ``sum(cotangent * values)`` to ``into``."""
        (layer,) = layers
        into += torch.autograd.grad(layer.z, layer.inputs, cotangent, retain_graph=True)[0]

    def jacobian(
        self,
        weights: Tensor,  # noqa: ARG002
        layers: list[Layer],
        cotangent: Tensor,
        into: Tensor,
        coefficients: Tensor | None = None,  # noqa: ARG002
    ) -> None:
        """Add, point by point, the gradient of ``sum(cotangent * values)`` to the rows of ``into``."""
        (layer,) = layers
        points = layer.z.shape[1]
        each = torch.eye(points, dtype=cotangent.dtype, device=cotangent.device)[:, None, :, None] * cotangent
        into += torch.autograd.grad(layer.z, layer.inputs, each, retain_graph=True, is_grads_batched=True)[0]

    def _activated(self, z: Tensor) -> Tensor:
        slopes = self._plain(z[0], self._depth)
        out = [slopes[0]]
        for chain in self._chains[1:]:
            terms = []
            for count, factors in chain:
                term = count * slopes[len(factors)] if count != 1.0 else slopes[len(factors)]
                for factor in factors:
                    term = term * z[factor]
                terms.append(term)
            out.append(sum(terms[1:], terms[0]))
        return torch.stack(out)

    def _times(self, a: Tensor, b: Tensor) -> Tensor:
        out = []
        for pairs in self._pairs:
            terms = [count * a[i] * b[j] if count != 1.0 else a[i] * b[j] for count, i, j in pairs]
            out.append(sum(terms[1:], terms[0]))
        return torch.stack(out)


class _GatedPrepared(Prepared):
    def _network(self, network: Network) -> JetNetwork:
        if not isinstance(network, GatedNetwork):
            return super()._network(network)
        if any(k[0] in network.fields for k in self.combined):
            raise SolverError(expected("GatedTrial.prepare", "combined derivatives", "each derivative apart"))
        return GatedJets(network, [k[1:] for k in self.wanted if k[0] in network.fields])


class GatedTrial(Trial):
    """A trial of networks of which some are gated; else as `Trial`.

    Examples
    --------
    >>> import numpy as np
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.features import Features
    >>> system = convection(2.0)
    >>> network = GatedNetwork(("u",), Features.of(system.coords, {"x": 1}), 8, 2)
    >>> trial = GatedTrial(system, [network])
    >>> d = trial.derivatives(trial.draw(np.random.default_rng(0)), {"t": [0.0], "x": [1.0]}, system.derivatives)
    >>> round(float(d["u"][0]), 6)  # the start is hard
    0.841471
    """

    def prepare(
        self, coords: Mapping[str, object], wanted: Sequence[Key], combined: Mapping[Key, Tensor] | None = None
    ) -> Prepared:
        """Return what does not depend on the weights, for a set of points.

        Raises
        ------
        SolverError
            If derivatives of a gated network are to be combined.
        """
        return _GatedPrepared(self, {k: self.tensor(v) for k, v in coords.items()}, [key(*k) for k in wanted], combined)


def _affine(a: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    z = a @ matrix.T
    return torch.cat([(z[0] + bias)[None], z[1:]])


def _halves(index: Index) -> Counter[tuple[Index, Index]]:
    """Return the ways to share the differentiations of a product among its two factors."""
    out: Counter[tuple[Index, Index]] = Counter()
    for size in range(len(index) + 1):
        for chosen in combinations(range(len(index)), size):
            first = tuple(index[i] for i in chosen)
            out[first, tuple(index[i] for i in range(len(index)) if i not in chosen)] += 1
    return out
