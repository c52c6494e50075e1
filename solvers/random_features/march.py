"""A linear system marched through equal windows of time with one layer of features whose hidden weights are fixed.

In the coordinates of a window the features and the factor B are the same in all of them. As long as the system's
coefficients are too, so is the matrix of the least squares problem: it is factored once, and a window costs some
products of matrices and vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import (
    Coords,
    Dirichlet,
    Initial,
    Interface,
    Key,
    Neumann,
    PDESystem,
    Periodic,
    key,
    nested_derivatives,
)
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.parts import Residual
from retrodict.solvers.pinn.trial import Trial
from retrodict.solvers.pinn.validation import validation_points
from retrodict.solvers.pinn.windows import Piece, Window
from retrodict.solvers.random_features.affine import Affine, affine_parts, basis_derivatives
from retrodict.solvers.random_features.series import Series

__all__ = ["LinearMarch", "Marched"]

Floats = NDArray[np.float64]
Start = Mapping[str, Callable[[Coords], Tensor]]

_RIDGE = 1e-13
"""Of the columns' norm: bounds the coefficients, and with them the rounding of their sum, by the residual."""


@dataclass(frozen=True)
class _Known(Window):
    """A window with coefficients in place of the system's own."""

    coefficients: Mapping[str, float] = field(default_factory=dict)

    @property
    def values(self) -> Mapping[str, float]:
        return self.coefficients


@dataclass(frozen=True)
class Marched:
    """What a march returns.

    Parameters
    ----------
    pieces : tuple of Piece
        One a window.
    residuals : ndarray, shape (windows,)
        Root mean square of the residual in units of the fields' rates, at points that were not fitted.
    seams : ndarray, shape (windows - 1,)
        Largest gap between a window's end and the beginning of the next.
    size : float
        Root mean square of the fields.
    reach : Mapping of str to int
        Largest wavenumber or degree along every coordinate at the windows' ends.
    """

    pieces: tuple[Piece, ...]
    residuals: Floats
    seams: Floats
    size: float
    reach: Mapping[str, int]


@dataclass(frozen=True)
class _Rows:
    """A residual at points of the first window, and the derivatives of all basis functions there."""

    coords: Mapping[str, Floats]
    wanted: tuple[Key, ...]
    residual: Residual
    basis: Floats
    slopes: tuple[Floats | None, ...] = ()

    def at(self, shift: float) -> dict[str, Floats]:
        return {k: v + shift if k == "t" else v for k, v in self.coords.items()}


class _Factors:
    """Least squares with one matrix and many right sides: QR of the scaled matrix over a small multiple of one."""

    def __init__(self, blocks: Sequence[Floats]) -> None:
        self._weights = [np.sqrt(len(b)) / max(float(np.linalg.norm(b)), 1e-300) for b in blocks]
        matrix = np.vstack([w * b for w, b in zip(self._weights, blocks, strict=True)])
        norms = np.linalg.norm(matrix, axis=0)
        self._scale = 1.0 / np.maximum(norms, 1e-12 * norms.max())
        count = len(norms)
        matrix = np.vstack([matrix * self._scale, _RIDGE * np.sqrt(count) * np.eye(count)])
        if not np.isfinite(matrix).all():
            raise SolverError(expected("residual", "coefficients that are not finite", "numbers"))
        self._q, self._r = np.linalg.qr(matrix)

    def solve(self, right: Sequence[Floats]) -> Floats:
        b = np.concatenate([w * r for w, r in zip(self._weights, right, strict=True)])
        projected = self._q[: len(b)].T @ b
        return np.asarray(solve_triangular(self._r, projected, check_finite=False) * self._scale)


def _soft(condition: Initial | Dirichlet | Neumann) -> Residual:
    return lambda d, at, _params: {condition.name: condition.residual(d, at)}


class LinearMarch:
    """Features, points and factors of equal windows.

    Parameters
    ----------
    system : PDESystem
        Affine in its fields, of first order in time.
    network : Network
        One hidden layer and all fields; its box is that of the first window.
    weights : ndarray, shape (size,)
        Hidden weights; those of the last layer are what is solved for.
    edges : ndarray, shape (windows + 1,)
        Of equal windows.
    points : Mapping of str to ndarray
        Where the residual is fitted, in the first window.
    series : Series
        What carries the fields from a window to the next.
    """

    def __init__(
        self,
        system: PDESystem,
        network: Network,
        weights: Floats,
        edges: Floats,
        points: Mapping[str, Floats],
        series: Series,
    ) -> None:
        self.system, self.network, self.edges, self.series = system, network, edges, series
        self._weights = torch.from_numpy(weights)
        self._initial = {c.field: c.value for c in system.conditions if isinstance(c, Initial)}
        faces = {c.coord for c in system.conditions if isinstance(c, Periodic)}
        self._flat = faces >= set(series.axes)
        first = self._trial(0, self._initial, system.values)
        equations = tuple(dict.fromkeys([*(key(f) for f in system.fields), *(key(*k) for k in system.derivatives)]))
        self._fitted = [self._rows(first, points, equations, system.residuals)]
        for c in first.soft:
            if isinstance(c, Interface):
                raise SolverError(expected(f"LinearSolver: {c.name}", "an interface", "a system that is not in parts"))
            on = self._face(points, *c.face)
            keys = tuple(key(*k) for k in c.derivatives)
            self._fitted.append(self._rows(first, on, keys, _soft(c)))
        box = {k: v.bounds for k, v in first.system.coords.items()}
        self._checked = self._rows(first, validation_points(box, 256), equations, system.residuals)
        nodes = {**series.nodes, "t": np.full(len(next(iter(series.nodes.values()))), edges[1])}
        values = tuple(key(f) for f in system.fields)
        self._end = self._rows(first, nodes, values, lambda _d, _at, _p: {})
        self._factored: tuple[list[Affine], _Factors] | None = None
        self._steady: tuple[list[Affine], Affine] | None = None

    def _trial(self, window: int, start: Start, values: Mapping[str, float]) -> Trial:
        a, b = float(self.edges[window]), float(self.edges[window + 1])
        own = {k: (a, b) if k == "t" else v for k, v in self.network.features.box.items()}
        features = type(self.network.features)(own, self.network.features.harmonics)
        n = self.network
        known = _Known(self.system, a, b, start, values)
        return Trial(known, [Network(n.fields, features, n.width, n.depth, n.activation)])

    def _rows(self, trial: Trial, coords: Mapping[str, Floats], wanted: tuple[Key, ...], residual: Residual) -> _Rows:
        basis = basis_derivatives(trial.networks[0], self._weights, trial.ansatz, coords, wanted)
        if not self._flat or len(self.edges) == 2:
            return _Rows(coords, wanted, residual, basis)
        known: dict[tuple[str, ...], Floats] = {}
        for _, *by in wanted:
            if "t" not in by and tuple(by) not in known:
                known[tuple(by)] = self.series.slopes(coords, by)
        return _Rows(coords, wanted, residual, basis, tuple(known.get(k[1:]) for k in wanted))

    def _face(self, points: Mapping[str, Floats], coord: str, side: str) -> dict[str, Floats]:
        """Return the points moved to a face, each once."""
        at = self.system.coords[coord].bounds[0 if side == "lower" else 1]
        stacked = np.stack([np.full_like(v, at) if k == coord else v for k, v in points.items()])
        return dict(zip(points, np.unique(stacked, axis=1), strict=True))

    def run(self, values: Mapping[str, float], windows: int | None = None) -> Marched:
        """Return the solution in all windows, or in the first few.

        Parameters
        ----------
        values : Mapping of str to float
            Coefficients of the system.
        windows : int, optional
            Stop after so many.

        Returns
        -------
        Marched
            Pieces and how well they fit.
        """
        start: Start = self._initial
        trace: list[Floats] | None = None
        pieces, residuals, seams, size = [], [], [], 0.0
        reach = dict.fromkeys(self.series.axes, 0)
        for k in range(len(self.edges) - 1 if windows is None else windows):
            trial, shift = self._trial(k, start, values), float(self.edges[k] - self.edges[0])
            parts = [affine_parts(r.residual, r.wanted, r.at(shift), values) for r in self._fitted]
            hard = [self._hard(trial, r, shift, trace) for r in self._fitted]
            right = [-row for p, h in zip(parts, hard, strict=True) for row in p(h)]
            unknown = self._solver(parts).solve(right).reshape(len(self.system.fields), -1)
            pieces.append(Piece(trial, self._packed(unknown)))
            checked = self._derivatives(self._checked, self._hard(trial, self._checked, shift, trace), unknown)
            rms, norm = self._quality(self._check_parts(parts, shift, values), checked)
            residuals.append(rms)
            size = max(size, norm)
            ends = self._derivatives(self._end, self._hard(trial, self._end, shift, trace), unknown)
            trace = [self.series.project(u) for u in ends]
            start = {f: self.series.function(c) for f, c in zip(self.system.fields, trace, strict=True)}
            seams.append(self._gap(ends, start))
            reach = {k: max(v, *(self.series.reach(c, 1e-6)[k] for c in trace)) for k, v in reach.items()}
        return Marched(tuple(pieces), np.array(residuals), np.array(seams[:-1]), size, reach)

    def _solver(self, parts: list[Affine]) -> _Factors:
        last = self._factored
        if last is None or not all(a.same_matrix(b) for a, b in zip(last[0], parts, strict=True)):
            blocks = [b for p, r in zip(parts, self._fitted, strict=True) for b in self._matrix(p, r)]
            self._factored = last = (parts, _Factors(blocks))
        return last[1]

    def _matrix(self, part: Affine, rows: _Rows) -> list[Floats]:
        """Return one matrix (n, fields * (width + 1)) a residual."""
        out = []
        for coefficients in part.coefficients:
            columns = []
            for f in self.system.fields:
                block = np.zeros(rows.basis.shape[1:])
                for a, k, basis in zip(coefficients, rows.wanted, rows.basis, strict=True):
                    if k[0] == f and a.any():
                        block += a[:, None] * basis
                columns.append(block)
            out.append(np.hstack(columns))
        return out

    def _hard(self, trial: Trial, rows: _Rows, shift: float, trace: list[Floats] | None) -> Floats:
        """Return the derivatives of A, shape (keys, n)."""
        if trace is not None and rows.slopes:
            by_field = dict(zip(self.system.fields, trace, strict=True))
            zero = np.zeros(rows.basis.shape[1])
            pairs = zip(rows.wanted, rows.slopes, strict=True)
            return np.stack([zero if s is None else s @ by_field[k[0]].ravel() for k, s in pairs])
        coords = {k: torch.from_numpy(v) for k, v in rows.at(shift).items()}
        d = nested_derivatives(lambda c: {f: a.base(c) for f, a in trial.ansatz.items()}, coords, rows.wanted)
        return np.stack([d[k].detach().numpy() for k in rows.wanted])

    def _derivatives(self, rows: _Rows, hard: Floats, unknown: Floats) -> Floats:
        index = {f: i for i, f in enumerate(self.system.fields)}
        free = [b @ unknown[index[k[0]]] for k, b in zip(rows.wanted, rows.basis, strict=True)]
        return np.asarray(hard + np.stack(free))

    def _packed(self, unknown: Floats) -> Floats:
        hidden = self._weights[: self.network.width * (self.network.features.size + 1)].numpy()
        return np.concatenate([hidden, unknown[:, :-1].ravel(), unknown[:, -1]])

    def _check_parts(self, parts: list[Affine], shift: float, values: Mapping[str, float]) -> Affine:
        """Return the system at the points of the check; as in the last window where nothing changed."""
        last = self._steady
        if last is None or not all(a.same(b) for a, b in zip(last[0], parts, strict=True)):
            rows = self._checked
            self._steady = last = (parts, affine_parts(rows.residual, rows.wanted, rows.at(shift), values))
        return last[1]

    def _quality(self, part: Affine, d: Floats) -> tuple[float, float]:
        """Return the size of the residual as a rate of the fields, and the size of the fields."""
        rates = [i for i, k in enumerate(self._checked.wanted) if k[1:] == ("t",)]
        per_rate = np.abs(part.coefficients[:, rates]).max((1, 2), initial=0.0)[:, None]
        residual = part(d) / np.where(per_rate > 0, per_rate, 1.0)
        fields = d[[i for i, k in enumerate(self._checked.wanted) if len(k) == 1]]
        return float(np.sqrt((residual**2).sum(0).mean())), float(np.sqrt((fields**2).sum(0).mean()))

    def _gap(self, ends: Floats, start: Start) -> float:
        at = {k: torch.from_numpy(v) for k, v in self.series.nodes.items()}
        return max(float(np.abs(u - start[f](at).numpy()).max()) for f, u in zip(self.system.fields, ends, strict=True))
