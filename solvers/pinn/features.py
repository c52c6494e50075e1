"""Inputs of a network and their derivatives: scaled coordinates, and sines and cosines of periodic ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Space

__all__ = ["Features"]


@dataclass(frozen=True)
class Features:
    """Maps coordinates to the inputs of a network; each input depends on one coordinate.

    A coordinate with a period enters as ``cos(k w x), sin(k w x)``, ``w = 2 pi / period``, so that every network is
    periodic with all its derivatives; any other enters scaled to [-1, 1].

    Parameters
    ----------
    box : Mapping of str to (float, float)
        Bounds of every coordinate, in order.
    harmonics : Mapping of str to int, optional
        Number of harmonics k = 1 .. of the periodic coordinates; their box is one period.

    Raises
    ------
    SolverError
        If a periodic coordinate is not in the box or has no harmonic.

    Examples
    --------
    >>> features = Features({"t": (0.0, 1.0), "x": (0.0, 2 * math.pi)}, {"x": 1})
    >>> features({"t": torch.tensor([0.5]), "x": torch.tensor([0.0])})
    tensor([[0., 1., 0.]])
    """

    box: Mapping[str, tuple[float, float]]
    harmonics: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if strange := {k: n for k, n in self.harmonics.items() if k not in self.box or n < 1}:
            raise SolverError(
                expected("Features.harmonics", strange, f"at least one harmonic of some of {list(self.box)}")
            )

    @classmethod
    def of(cls, coords: Space, harmonics: Mapping[str, int]) -> Features:
        """Return the features of a system's coordinates, some of them periodic."""
        return cls({k: v.bounds for k, v in coords.items()}, harmonics)

    @property
    def size(self) -> int:
        """Number of inputs of the network."""
        return sum(2 * self.harmonics[k] if k in self.harmonics else 1 for k in self.box)

    def __call__(self, coords: Mapping[str, Tensor]) -> Tensor:
        """Return the inputs, shape (n, size)."""
        return self.derivative(coords, ())

    def derivative(self, coords: Mapping[str, Tensor], by: Sequence[str]) -> Tensor:
        """Return a derivative of the inputs, shape (n, size).

        Parameters
        ----------
        coords : Mapping of str to Tensor
            Points, each of shape (n,).
        by : sequence of str
            Coordinates to differentiate by.

        Returns
        -------
        Tensor
            The derivatives.
        """
        columns = []
        for name, (low, high) in self.box.items():
            x, mine = coords[name], all(c == name for c in by)
            order = len(by)
            for k in range(1, self.harmonics.get(name, 0) + 1):
                w = 2 * math.pi * k / (high - low)
                for phase in (0.0, -0.5 * math.pi):
                    quarter = 0.5 * math.pi * order + phase
                    columns.append(w**order * _cosine(w * x, quarter) if mine else torch.zeros_like(x))
            if name not in self.harmonics:
                scale = 2 / (high - low)
                value = scale * (x - low) - 1 if order == 0 else torch.full_like(x, scale if order == 1 else 0.0)
                columns.append(value if mine else torch.zeros_like(x))
        return torch.stack(columns, -1)


def _cosine(x: Tensor, quarter: float) -> Tensor:
    """Return ``cos(x + quarter)`` for a multiple of pi/2, without the rounding of the sum."""
    turns = round(quarter / (0.5 * math.pi)) % 4
    return (torch.cos(x), -torch.sin(x), -torch.cos(x), torch.sin(x))[turns]
