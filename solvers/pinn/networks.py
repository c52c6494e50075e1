"""Fully connected networks over one flat vector of weights."""

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

__all__ = ["Network"]


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
