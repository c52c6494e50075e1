"""A system on a part of its time, beginning with what came before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Condition, Coords, Derivatives, Field, Initial, Key, PDESystem, Periodic, key
from retrodict.solvers.pinn.traces import periodic_polynomial
from retrodict.solvers.pinn.trial import Trial

__all__ = ["Piece", "Window", "continued", "evaluate"]

_TRACE = 2048
"""Points through which a field is carried over a seam."""


@dataclass(frozen=True)
class Window:
    """A system between two times, with its own initial fields.

    Parameters
    ----------
    system : PDESystem
        The whole.
    since, until : float
        The window.
    start : Mapping of str to callable, optional
        Initial value by field in place of the system's own.

    Raises
    ------
    SolverError
        If the window is empty or leaves the system's time.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> Window(convection(1.0), 0.25, 0.5).coords["t"].bounds
    (0.25, 0.5)
    """

    system: PDESystem
    since: float
    until: float
    start: Mapping[str, Callable[[Coords], Tensor]] | None = None

    def __post_init__(self) -> None:
        low, high = self.system.coords["t"].bounds
        if not low <= self.since < self.until <= high:
            raise SolverError(expected("Window", f"[{self.since}, {self.until}]", f"a window inside [{low}, {high}]"))

    @property
    def coords(self) -> Space:
        """Coordinates; time is bounded by the window."""
        t = self.system.coords["t"]
        own = Var(t.dims, t.shape, t.dtype, t.units, (self.since, self.until), t.long_name)
        return Space({k: own if k == "t" else v for k, v in self.system.coords.items()})

    @property
    def fields(self) -> Space:
        """As the system's."""
        return self.system.fields

    @property
    def params(self) -> Space:
        """As the system's."""
        return self.system.params

    @property
    def values(self) -> Mapping[str, float]:
        """As the system's."""
        return self.system.values

    @property
    def derivatives(self) -> Sequence[Key]:
        """As the system's."""
        return self.system.derivatives

    def residuals(self, d: Derivatives, coords: Coords, params: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the system's residuals."""
        return self.system.residuals(d, coords, params)

    @property
    def prescribed(self) -> Sequence[str]:
        """As the system's."""
        return self.system.prescribed

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The system's, with initial values replaced; a known rate at the old start is no longer one."""
        if self.start is None:
            return tuple(self.system.conditions)
        start = self.start
        return tuple(
            Initial(c.field, start[c.field], None, c.time) if isinstance(c, Initial) else c
            for c in self.system.conditions
        )

    @property
    def exact(self) -> Field | None:
        """As the system's."""
        return self.system.exact


@dataclass(frozen=True)
class Piece:
    """A trained trial on one window.

    Parameters
    ----------
    trial : Trial
        Of a `Window`, or of a whole system.
    weights : ndarray, shape (size,)
        Its weights.
    """

    trial: Trial
    weights: NDArray[np.float64]

    @property
    def window(self) -> tuple[float, float]:
        """Beginning and end."""
        return self.trial.system.coords["t"].bounds


def continued(piece: Piece) -> dict[str, Callable[[Coords], Tensor]]:
    """Return a piece's fields at its end as initial values: the next piece joins without a gap.

    On a periodic line they are trigonometric polynomials through the fields, to rounding, so that the hundredth window
    costs no more than the second; elsewhere they are the piece itself.

    Parameters
    ----------
    piece : Piece
        What came before.

    Returns
    -------
    dict of str to callable
        Initial values by field.
    """
    system = piece.trial.system
    space = [c for c in system.coords if c != "t"]
    if len(space) == 1 and Periodic(space[0]) in system.conditions:
        (x,) = space
        low, high = bounds = system.coords[x].bounds
        grid = low + (high - low) * np.arange(_TRACE) / _TRACE
        coords = {x: grid, "t": np.full(_TRACE, piece.window[1])}
        d = piece.trial.derivatives(piece.weights, coords, [key(f) for f in system.fields])
        return {f: periodic_polynomial(d[f].double().cpu().numpy(), x, bounds) for f in system.fields}
    weights = piece.trial.tensor(piece.weights)
    return {name: partial(_field, piece.trial, weights, name) for name in system.fields}


def _field(trial: Trial, weights: Tensor, name: str, coords: Coords) -> Tensor:
    return trial.fields(weights, coords)[name]


def evaluate(pieces: Sequence[Piece], coords: Mapping[str, NDArray[np.float64]], wanted: Sequence[Key]) -> Derivatives:
    """Return derivatives of a solution in pieces.

    Parameters
    ----------
    pieces : sequence of Piece
        Windows that follow each other.
    coords : Mapping of str to ndarray
        Points, each of shape (n,).
    wanted : sequence of Key
        Derivatives wanted.

    Returns
    -------
    Derivatives
        Each of shape (n,); at a seam, of the earlier window.

    Raises
    ------
    SolverError
        If a point lies outside all windows.
    """
    t, wanted = np.asarray(coords["t"], float), [key(*k) for k in wanted]
    ends = np.array([p.window[1] for p in pieces])
    which = np.searchsorted(ends + 1e-12 * (1 + np.abs(ends)), t)
    if which.max(initial=0) >= len(pieces) or t.min(initial=np.inf) < pieces[0].window[0] - 1e-12:
        span = (pieces[0].window[0], pieces[-1].window[1])
        raise SolverError(expected("t", (float(t.min()), float(t.max())), f"times in {span}"))
    first = pieces[0].trial
    out = {k: torch.empty(len(t), dtype=first.dtype, device=first.device) for k in wanted}
    for i, piece in enumerate(pieces):
        mine = np.flatnonzero(which == i)
        if len(mine):
            d = piece.trial.derivatives(piece.weights, {k: np.asarray(v)[mine] for k, v in coords.items()}, wanted)
            for k in wanted:
                out[k][torch.as_tensor(mine)] = d[k]
    return Derivatives(out)
