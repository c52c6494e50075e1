"""Solutions of systems in parts, seen as one in space and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.splits import Split
from retrodict.physics.system import Derivatives, Key, PDESystem, key
from retrodict.solvers.pinn.windows import Piece, Window, evaluate

__all__ = ["SplitSolution"]

Floats = NDArray[np.float64]
Evaluate = Callable[[Mapping[str, Floats], Sequence[Key]], Derivatives]


@dataclass(frozen=True)
class SplitSolution:
    """A solution in parts of space and pieces of time, evaluated in the coordinates of the whole.

    Parameters
    ----------
    pieces : sequence of Piece
        Windows that follow each other, of one `Split` system.

    Raises
    ------
    SolverError
        If there is no piece, or one is not of a `Split` system.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> split = Split(convection(1.0), [0.0, 2.0, 2 * np.pi])
    >>> trial = Trial(split, separate_networks(split, 4, 1))
    >>> solution = SplitSolution([Piece(trial, np.zeros(trial.size))])  # the initial field, for all times
    >>> solution.fields({"t": np.zeros(2), "x": np.array([1.0, 4.0])})["u"].round(6)
    array([ 0.841471, -0.756802])
    """

    pieces: Sequence[Piece]

    def __post_init__(self) -> None:
        if not self.pieces:
            raise SolverError(expected("SplitSolution", "no piece", "at least one"))
        for piece in self.pieces:
            _split(piece)

    def fields(self, coords: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the fields of the whole at points, each of shape (n,).

        Parameters
        ----------
        coords : Mapping of str to ndarray
            Points, each of shape (n,).

        Returns
        -------
        dict of str to ndarray
            At an interface those of the lower part.
        """
        d = self.derivatives(coords, [key(f) for f in _whole(_split(self.pieces[0])).fields])
        return {k[0]: v.double().cpu().numpy() for k, v in d.items()}

    def derivatives(self, coords: Mapping[str, Floats], wanted: Sequence[Key]) -> Derivatives:
        """Return derivatives of the fields of the whole at points.

        Parameters
        ----------
        coords : Mapping of str to ndarray
            Points, each of shape (n,).
        wanted : sequence of Key
            Derivatives by the coordinates of the whole.

        Returns
        -------
        Derivatives
            Each of shape (n,); at an interface those of the lower part.

        Raises
        ------
        SolverError
            If a point lies outside the domain.
        """
        system: PDESystem = _split(self.pieces[0])
        found: Evaluate = partial(evaluate, self.pieces)
        while isinstance(system, Split):
            found, system = partial(_across, system, found), system.base
        return found(coords, [key(*k) for k in wanted])


def _split(piece: Piece) -> Split:
    system = piece.trial.system
    system = system.system if isinstance(system, Window) else system
    if not isinstance(system, Split):
        raise SolverError(expected("piece", type(system).__name__, "a solution of a Split system"))
    return system


def _whole(system: PDESystem) -> PDESystem:
    return _whole(system.base) if isinstance(system, Split) else system


def _across(split: Split, inner: Evaluate, coords: Mapping[str, Floats], wanted: Sequence[Key]) -> Derivatives:
    """Return derivatives in the coordinates of the base from those in the box of its parts."""
    x, edges = np.asarray(coords[split.coord], float), np.asarray(split.edges, float)
    slack = 1e-12 * (edges[-1] - edges[0])
    if x.min(initial=np.inf) < edges[0] - slack or x.max(initial=-np.inf) > edges[-1] + slack:
        raise SolverError(expected(split.coord, (float(x.min()), float(x.max())), f"points in {(edges[0], edges[-1])}"))
    which = np.clip(np.searchsorted(edges, x) - 1, 0, split.count - 1)
    out: dict[Key, Tensor] = {}
    for k in range(split.count):
        mine = np.flatnonzero(which == k)
        at = {c: np.asarray(v, float)[mine] for c, v in coords.items()}
        at[split.coord] = (at[split.coord] - edges[k]) / split.width(k)
        d = split.inside(inner(at, [split.inner_key(name, k) for name in wanted]), k)
        for name in wanted:
            out.setdefault(name, torch.empty(len(x), dtype=d[name].dtype))[torch.as_tensor(mine)] = d[name].cpu()
    return Derivatives(out)
