"""Networks over one flat vector of weights: fully connected ones, and gated ones with factored matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.pinn.activations import ACTIVATIONS
from retrodict.solvers.pinn.features import Features

__all__ = ["GatedNetwork", "Network"]


@dataclass(frozen=True)
class Network:
    """A perceptron from coordinates to some fields.

    Parameters
    ----------
    fields : tuple of str
        Names of the outputs.
    features : Features
        Its inputs.
    width, depth : int
        Hidden layers and their width.
    activation : str, optional
        ``"tanh"`` or ``"sin"``.

    Raises
    ------
    SolverError
        If a size is not positive, there is no field, or the activation is unknown.

    Examples
    --------
    >>> Network(("u",), Features({"t": (0.0, 1.0)}), 20, 2).size
    481
    """

    fields: tuple[str, ...]
    features: Features
    width: int = 20
    depth: int = 3
    activation: str = "tanh"

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1 or not self.fields:
            got = f"fields {self.fields}, width {self.width}, depth {self.depth}"
            raise SolverError(expected("Network", got, "at least one of each"))
        if self.activation not in ACTIVATIONS:
            raise SolverError(expected("Network.activation", repr(self.activation), f"one of {sorted(ACTIVATIONS)}"))

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Output and input width of every layer."""
        widths = [self.features.size, *[self.width] * self.depth, len(self.fields)]
        return tuple(zip(widths[1:], widths[:-1], strict=True))

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(n * (m + 1) for n, m in self.layers)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return starting weights: normal with Glorot's variance, biases zero.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray, shape (size,)
            Weights.
        """
        parts = []
        for n, m in self.layers:
            parts += [rng.standard_normal(n * m) * math.sqrt(2.0 / (n + m)), np.zeros(n)]
        return np.concatenate(parts)

    def split(self, weights: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return matrix and bias of every layer as views of the flat vector.

        Parameters
        ----------
        weights : Tensor, shape (size,)
            All weights.

        Returns
        -------
        list of (Tensor, Tensor)
            Shapes (out, in) and (out,).
        """
        views, at = [], 0
        for n, m in self.layers:
            views.append((weights[at : at + n * m].view(n, m), weights[at + n * m : at + n * (m + 1)]))
            at += n * (m + 1)
        return views

    def __call__(self, weights: Tensor, inputs: Tensor) -> Tensor:
        """Return the outputs by plain torch, shape (n, fields); differentiable by everything.

        Parameters
        ----------
        weights : Tensor, shape (size,)
            All weights.
        inputs : Tensor, shape (n, features)
            What `Features` returns.

        Returns
        -------
        Tensor
            Outputs.
        """
        act, a = ACTIVATIONS[self.activation], inputs
        *hidden, (last, bias) = self.split(weights)
        for matrix, shift in hidden:
            a = act.plain(torch.addmm(shift, a, matrix.T))
        return torch.addmm(bias, a, last.T)


@dataclass(frozen=True)
class GatedNetwork(Network):
    """The modified perceptron: two encodings of the inputs gate every hidden layer; matrices may be factored.

    ``U = s(W_u x + b)``, ``V = s(W_v x + b)``; every hidden layer ``h <- s(W h + b)``, then ``h <- h U + (1 - h) V``.
    With factors every matrix is ``W = diag(e) M``, and both ``e`` and M are weights.

    Parameters
    ----------
    fields, features, width, depth, activation
        As of `Network`.
    factored : bool, optional
        Whether matrices are factored.
    spread : (float, float), optional
        Mean and standard deviation of the logarithm of the factors at the start.

    Raises
    ------
    SolverError
        As `Network`.

    Notes
    -----
    Wang, Teng and Perdikaris (2021), SIAM J. Sci. Comput. 43, A3055; Wang, Wang, Seidman and Perdikaris (2022), Random
    weight factorization improves the training of continuous neural representations.

    Examples
    --------
    >>> network = GatedNetwork(("u",), Features({"x": (0.0, 1.0)}), 8, 2)
    >>> [shape for shape in network.layers]  # both gates first
    [(8, 1), (8, 1), (8, 1), (8, 8), (1, 8)]
    """

    factored: bool = True
    spread: tuple[float, float] = (0.5, 0.1)

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Output and input width of every affine map, those of the gates first."""
        gate = (self.width, self.features.size)
        return (gate, gate, *super().layers)

    @property
    def size(self) -> int:
        """Number of weights, factors included."""
        return sum(n * (m + 1 + self.factored) for n, m in self.layers)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return starting weights: the products are normal with Glorot's variance, biases zero; factors come last."""
        parts, factors = [], []
        for n, m in self.layers:
            matrix = rng.standard_normal((n, m)) * math.sqrt(2.0 / (n + m))
            if self.factored:
                factors.append(np.exp(self.spread[0] + self.spread[1] * rng.standard_normal(n)))
                matrix = matrix / factors[-1][:, None]
            parts += [matrix.ravel(), np.zeros(n)]
        return np.concatenate([*parts, *factors])

    def split(self, weights: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return matrix, factors multiplied in, and bias of every affine map, those of the gates first."""
        views, at = [], 0
        for n, m in self.layers:
            views.append((weights[at : at + n * m].view(n, m), weights[at + n * m : at + n * (m + 1)]))
            at += n * (m + 1)
        if not self.factored:
            return views
        factors = torch.split(weights[at:], [n for n, _ in self.layers])
        return [(e[:, None] * matrix, bias) for e, (matrix, bias) in zip(factors, views, strict=True)]

    def __call__(self, weights: Tensor, inputs: Tensor) -> Tensor:
        """Return the outputs by plain torch, shape (n, fields); differentiable by everything."""
        act = ACTIVATIONS[self.activation]
        *maps, (last, bias) = self.split(weights)
        (u, v), hidden = [act.plain(torch.addmm(shift, inputs, w.T)) for w, shift in maps[:2]], inputs
        for matrix, shift in maps[2:]:
            hidden = act.plain(torch.addmm(shift, hidden, matrix.T))
            hidden = hidden * u + (1 - hidden) * v
        return torch.addmm(bias, hidden, last.T)
