"""Solutions on labels, seen at fixed points: which label is there, how dense labels are, and new labels.

The label at a point is found with the network itself, by Newton steps that stay inside a bracket, so that no grid
limits the accuracy. That needs labels that have not crossed: J > 0, which is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.lagrangian import Lagrangian, jacobian, spatial_derivatives
from retrodict.physics.system import Coords, Derivatives, Key, key
from retrodict.solvers.pinn.traces import periodic_polynomial
from retrodict.solvers.pinn.windows import Piece, Window, evaluate

__all__ = ["LabelSolution", "relabelled", "smallest_jacobian"]

Floats = NDArray[np.float64]


def _system(piece: Piece) -> Lagrangian:
    system = piece.trial.system
    system = system.system if isinstance(system, Window) else system
    if not isinstance(system, Lagrangian):
        raise SolverError(expected("piece", type(system).__name__, "a solution of a Lagrangian system"))
    return system


@dataclass(frozen=True)
class LabelSolution:
    """A solution in pieces on labels, evaluated in space.

    Parameters
    ----------
    pieces : sequence of Piece
        Windows that follow each other; labels may be counted anew in each.

    Raises
    ------
    SolverError
        If there is no piece, or one is not of a Lagrangian system.
    """

    pieces: Sequence[Piece]

    def __post_init__(self) -> None:
        if not self.pieces:
            raise SolverError(expected("LabelSolution", "no piece", "at least one"))
        for piece in self.pieces:
            _system(piece)

    def labels(self, coords: Mapping[str, Floats], *, tolerance: float = 1e-13) -> dict[str, Floats]:
        """Return the labels that are at points, within one period, and the times.

        Parameters
        ----------
        coords : Mapping of str to ndarray
            Points in space and time, each of shape (n,); periodic images are wrapped.
        tolerance : float, optional
            Bar on the position, relative to the period.

        Returns
        -------
        dict of str to ndarray
            Labels and times, each of shape (n,).

        Raises
        ------
        SolverError
            If labels have crossed, or the search does not end.
        """
        system = _system(self.pieces[0])
        since, t = system.coords["t"].bounds[0], np.asarray(coords["t"], float)
        at = {x: np.asarray(coords[x], float) - system.stream.get(x, 0.0) * (t - since) for x in system.space}
        return self._labels_in_frame(at, t, tolerance)

    def _labels_in_frame(self, at: Mapping[str, Floats], t: Floats, tolerance: float = 1e-13) -> dict[str, Floats]:
        """Return the labels at points that are counted in the frame of the uniform stream; each piece has its own."""
        system = _system(self.pieces[0])
        low = {x: system.coords[x].bounds[0] for x in system.space}
        wrapped = {x: low[x] + (np.asarray(y) - low[x]) % system.period(x) for x, y in at.items()}
        search = _search_line if len(system.space) == 1 else _search_plane
        return {**search(self._positions, wrapped, t, system, tolerance), "t": t}

    def in_frame(self, coords: Mapping[str, Floats]) -> Floats:
        """Return the field at points that are counted in the frame of the uniform stream, shape (n,)."""
        t = np.asarray(coords["t"], float)
        found = self._labels_in_frame({k: v for k, v in coords.items() if k != "t"}, t)
        return evaluate(self.pieces, found, [key("u")])["u"].double().cpu().numpy()

    def _positions(self, labels: Mapping[str, Floats], t: Floats) -> tuple[dict[str, Floats], Floats]:
        """Return positions and deformation ``F[n, i, a]`` of labels."""
        system = _system(self.pieces[0])
        shifts = [f"shift_{x}" for x in system.space]
        wanted = [*(key(s) for s in shifts), *(key(s, a) for s in shifts for a in system.space)]
        d = evaluate(self.pieces, {**labels, "t": t}, wanted)
        place = {x: labels[x] + d[f"shift_{x}"].double().cpu().numpy() for x in system.space}
        return place, jacobian(d, system.space).double().cpu().numpy()

    def fields(self, coords: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the fields at points in space, each of shape (n,).

        Parameters
        ----------
        coords : Mapping of str to ndarray
            Points, each of shape (n,).

        Returns
        -------
        dict of str to ndarray
            The fields of the base system.
        """
        d = evaluate(self.pieces, self.labels(coords), [key("u")])
        return {"u": d["u"].double().cpu().numpy()}

    def derivatives(self, coords: Mapping[str, Floats], wanted: Sequence[Key]) -> Derivatives:
        """Return derivatives in space and time at points; in the frame of the uniform stream as far as time goes.

        Parameters
        ----------
        coords : Mapping of str to ndarray
            Points, each of shape (n,).
        wanted : sequence of Key
            Up to the second in space, the first in time.

        Returns
        -------
        Derivatives
            Each of shape (n,).
        """
        space = _system(self.pieces[0]).space
        names, first = ("u", *(f"shift_{x}" for x in space)), [(a,) for a in ("t", *space)]
        second = [(a, b) for a in space for b in space] if any(len(k) > 2 for k in wanted) else []
        needed = dict.fromkeys(key(f, *by) for f in names for by in ((), *first, *second))
        d = evaluate(self.pieces, self.labels(coords), list(needed))
        return spatial_derivatives(d, ("u",), tuple(key(*k) for k in wanted), space)


Positions = Callable[[Mapping[str, Floats], Floats], tuple[dict[str, Floats], Floats]]


def _search_line(
    positions: Positions, at: Mapping[str, Floats], t: Floats, system: Lagrangian, tolerance: float
) -> dict[str, Floats]:
    """Newton steps inside a bracket that halves where they leave it."""
    (x,) = system.space
    low, _ = system.coords[x].bounds
    length, y = system.period(x), at[x]
    grid = low + length * np.arange(256) / 256
    spread = 0.0
    for s in np.unique(t)[:: max(1, len(np.unique(t)) // 16)]:
        place, f = positions({x: grid}, np.full(256, s))
        _check_crossing(f[:, 0, 0])
        spread = max(spread, float(np.ptp(place[x] - grid)))
    first = positions({x: np.full(len(t), low)}, t)[0][x]
    # the label `low` has moved to `first`: bring the target into the period that begins there
    target = first + (y - first) % length
    lower, upper = np.full(len(t), low), np.full(len(t), low + length)
    label = np.clip(low + (target - first), lower, upper) if spread < 1e-3 * length else 0.5 * (lower + upper)
    for _ in range(100):
        place, f = positions({x: label}, t)
        gap, slope = place[x] - target, f[:, 0, 0]
        _check_crossing(slope)
        if np.all(np.abs(gap) <= tolerance * length):
            return {x: label - gap / slope}  # once more: down to rounding
        upper, lower = np.where(gap > 0, label, upper), np.where(gap < 0, label, lower)
        step = label - gap / slope
        inside = (step > lower) & (step < upper)
        label = np.where(inside, step, 0.5 * (lower + upper))
        if np.all(upper - lower <= 4e-16 * length):
            return {x: label}
    worst = float(np.abs(gap).max())
    if worst <= 1e-9 * length:
        return {x: label}
    raise SolverError(expected("labels", f"a gap of {worst:.3g} after 100 steps", f"at most {tolerance:g} of a period"))


def _check_crossing(volume: Floats) -> None:
    if np.any(volume <= 0):
        raise SolverError(
            expected("labels", f"J = {volume.min():.3g} somewhere", "labels that have not crossed, J > 0")
        )


def _search_plane(
    positions: Positions, at: Mapping[str, Floats], t: Floats, system: Lagrangian, tolerance: float
) -> dict[str, Floats]:
    """Damped Newton steps on the torus."""
    lengths = np.array([system.period(x) for x in system.space])
    target = np.stack([at[x] for x in system.space], -1)
    label = target.copy()

    def gap_of(label: Floats) -> tuple[Floats, Floats]:
        place, f = positions({x: label[:, i] for i, x in enumerate(system.space)}, t)
        gap = np.stack([place[x] for x in system.space], -1) - target
        return gap - lengths * np.round(gap / lengths), f

    gap, f = gap_of(label)
    for _ in range(60):
        size = np.abs(gap / lengths).max(-1)
        if np.all(size <= tolerance):
            _check_crossing(np.linalg.det(f))
            return {x: label[:, i] for i, x in enumerate(system.space)}
        step, share = np.linalg.solve(f, gap[..., None])[..., 0], np.ones(len(t))
        for _ in range(12):
            trial, trial_f = gap_of(label - share[:, None] * step)
            worse = (np.abs(trial / lengths).max(-1) > size) & (size > tolerance)
            if not worse.any():
                break
            share = np.where(worse, 0.5 * share, share)
        label, gap, f = label - share[:, None] * step, trial, trial_f
    worst = float(np.abs(gap).max())
    if worst <= 1e-9 * lengths.max():
        return {x: label[:, i] for i, x in enumerate(system.space)}
    raise SolverError(expected("labels", f"a gap of {worst:.3g} after 60 steps", f"at most {tolerance:g} of a period"))


def smallest_jacobian(piece: Piece, t: float, count: int = 4096) -> float:
    """Return the smallest ``J = det dx/dX`` over labels at one time.

    Parameters
    ----------
    piece : Piece
        Of a Lagrangian system.
    t : float
        When.
    count : int, optional
        Number of labels looked at.

    Returns
    -------
    float
        Labels crowd where it is small and have crossed where it is negative.
    """
    system = _system(piece)
    per_axis = round(count ** (1 / len(system.space)))
    axes = [np.linspace(*system.coords[x].bounds, per_axis, endpoint=False) for x in system.space]
    mesh = [m.ravel() for m in np.meshgrid(*axes, indexing="ij")]
    labels = dict(zip(system.space, mesh, strict=True))
    wanted = [key(f"shift_{i}", a) for i in system.space for a in system.space]
    d = piece.trial.derivatives(piece.weights, {**labels, "t": np.full(len(mesh[0]), t)}, wanted)
    return float(torch.linalg.det(jacobian(d, system.space)).min())


def relabelled(piece: Piece, modes: int = 1024) -> dict[str, Callable[[Coords], Tensor]]:
    """Return the end of a piece as initial values of new labels, which are the positions then.

    The field is carried over as a trigonometric polynomial through its values at equidistant points, found by the
    labels; its derivatives come with it.

    Parameters
    ----------
    piece : Piece
        Of a Lagrangian system in one dimension.
    modes : int, optional
        Number of harmonics.

    Returns
    -------
    dict of str to callable
        Initial values by field, for a `Leg`.

    Raises
    ------
    SolverError
        If space has more than one dimension.
    """
    system = _system(piece)
    if len(system.space) != 1:
        raise SolverError(expected("relabelled", f"{len(system.space)} dimensions of space", "one"))
    (x,) = system.space
    low, _ = system.coords[x].bounds
    length, end = system.period(x), piece.window[1]
    count = 2 * modes
    grid = low + length * np.arange(count) / count
    # in the moving frame, so the stream is not added
    t = np.full(count, end)
    solution = LabelSolution([piece])
    found = _search_line(solution._positions, {x: grid}, t, system, 1e-13)
    values = evaluate([piece], {**found, "t": t}, [key("u")])["u"].double().cpu().numpy()
    field = periodic_polynomial(values, x, system.coords[x].bounds)
    return {f"shift_{x}": lambda coords: torch.zeros_like(coords[x]), "u": field}
