"""Linear systems by least squares over random features: a network of one layer of which only the last is unknown.

The fields are ``A + B sum_j c_j phi_j`` with hard conditions in A and B, window by window in time, and the c of a
window solve a linear least squares problem. Three choices make the result insensitive to the numbers of features and
windows: the spread of the random weights follows the waves that a window holds, in space from the spectrum of the
initial fields and in time from the rates that the coefficients give them; a small multiple of the identity under the
matrix bounds the c, so that rounding stays below the residual; and a window hands a series in space to the next, not a
nested network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import Derivatives, Initial, Key, PDESystem, key
from retrodict.solvers.pinn.constraints import check_conditions, periodic_coords
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.windows import Piece, evaluate
from retrodict.solvers.random_features.affine import affine_parts, check_affine
from retrodict.solvers.random_features.march import LinearMarch, Marched
from retrodict.solvers.random_features.series import Axis, Series

__all__ = ["LinearSolution", "LinearSolver", "solve_linear"]

Floats = NDArray[np.float64]

_UNIT = {"sin": 1.0, "tanh": 0.3}
"""Spread of weights that holds as many waves as that of a sine."""


@dataclass(frozen=True)
class LinearSolution:
    """A solution in pieces.

    Parameters
    ----------
    pieces : tuple of Piece
        One a window, as training returns them.
    residuals : ndarray, shape (windows,)
        Root mean square of the residual in units of the fields' rates, at points that were not fitted.
    seams : ndarray, shape (windows - 1,)
        Largest gap between a window's end and the beginning of the next.
    estimate : float
        Of the relative error: residuals times the windows' lengths and gaps, summed, over the size of the fields. An
        upper bound up to the sampling of the residual where the system lets errors not grow.
    seconds : float
        Of the solve.
    """

    pieces: tuple[Piece, ...]
    residuals: Floats
    seams: Floats
    estimate: float
    seconds: float

    def __call__(self, coords: Mapping[str, Floats], wanted: Sequence[Key] | None = None) -> Derivatives:
        """Return fields, or derivatives wanted, at points, each of shape (n,)."""
        keys = wanted or [key(f) for f in self.pieces[0].trial.system.fields]
        return evaluate(self.pieces, coords, keys)


class LinearSolver:
    """Solves a linear system again and again, with other coefficients.

    Features and points are kept as long as the windows stay the same; give a number of windows for that. One call
    costs one factorisation, or one a window where coefficients depend on time. Waves that a call found to be shorter
    than the initial ones are provided for in later calls.

    Parameters
    ----------
    system : PDESystem
        Affine in its fields and of first order in time, on a box with periodic, Dirichlet or Neumann faces.
    features : int, optional
        Number of random features.
    windows : int or "auto", optional
        Number of equal windows of time; chosen from the rates of the system and checked by the residual.
    seed : int, optional
        Of the hidden weights.
    tolerance : float, optional
        Of the error estimate; a finer choice of windows and spreads is tried as long as it is missed.
    activation : str, optional
        ``"sin"`` or ``"tanh"``; tanh needs about twice the features.

    Raises
    ------
    SolverError
        If a number is out of range, the system is not linear, or a field has no initial condition or needs none.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> solver = LinearSolver(convection(3.0), 150, windows=2)
    >>> u = solver.solve({"c": 2.0})({"t": np.array([0.5]), "x": np.array([1.0])})["u"]
    >>> abs(float(u[0])) < 1e-6  # sin(1 - 2 * 0.5)
    True
    """

    def __init__(
        self,
        system: PDESystem,
        features: int = 400,
        *,
        windows: int | Literal["auto"] = "auto",
        seed: int = 0,
        tolerance: float = 1e-9,
        activation: str = "sin",
    ) -> None:
        if features < 1 or (windows != "auto" and windows < 1) or not tolerance > 0:
            got = f"{features} features, {windows} windows, tolerance {tolerance}"
            raise SolverError(expected("LinearSolver", got, "numbers above zero"))
        self._space = [c for c in system.coords if c != "t"]
        if "t" not in system.coords or not self._space:
            raise SolverError(expected("LinearSolver", f"coordinates {list(system.coords)}", "t and some of space"))
        started = {c.field for c in system.conditions if isinstance(c, Initial)}
        if lacking := sorted(set(system.fields) - started):
            raise SolverError(expected("LinearSolver", f"no initial condition of {lacking}", "one for every field"))
        if system.prescribed:
            raise SolverError(expected("LinearSolver", f"prescribed fields {list(system.prescribed)}", "none"))
        if late := [k for k in system.derivatives if k[1:].count("t") > 1]:
            raise SolverError(expected("LinearSolver", f"derivatives {late}", "a system of first order in time"))
        check_affine(system, system.values, seed=seed)
        check_conditions(system)
        self.system, self.features = system, features
        self.windows = None if windows == "auto" else windows
        self.seed, self.tolerance, self.activation = seed, tolerance, activation
        self._reach = self._content()
        self._kept: dict[tuple[float, ...], LinearMarch] = {}

    def solve(self, values: Mapping[str, float] | None = None) -> LinearSolution:
        """Return the solution for some coefficients.

        Parameters
        ----------
        values : Mapping of str to float, optional
            Coefficients; those not given are the system's.

        Returns
        -------
        LinearSolution
            The best of the choices tried.

        Raises
        ------
        SolverError
            If a name is no coefficient of the system, it is not linear, or its solution is not finite.
        """
        began = time.perf_counter()
        if strange := sorted(set(values or {}) - set(self.system.values)):
            raise SolverError(expected("values", strange, f"coefficients among {sorted(self.system.values)}"))
        known = {**self.system.values, **(values or {})}
        check_affine(self.system, known, seed=self.seed)
        estimate, found = self._best(known)
        for _ in range(2):
            grown = {k: max(v, found.reach[k]) for k, v in self._reach.items()}
            early = float(found.residuals[0]) / max(float(found.residuals.max()), 1e-300)
            if estimate <= self.tolerance or early > 0.1 or grown == self._reach:
                break
            # later windows are much worse than the first: coefficients made waves shorter than the initial ones
            self._reach, before = grown, estimate
            estimate, found = min((estimate, found), self._best(known), key=lambda p: p[0])
            if estimate > 0.3 * before:
                break
        if not math.isfinite(estimate):
            raise SolverError(expected("solution", "values that are not finite", "numbers; are the coefficients?"))
        seconds = time.perf_counter() - began
        return LinearSolution(found.pieces, found.residuals, found.seams, estimate, seconds)

    def _best(self, values: Mapping[str, float]) -> tuple[float, Marched]:
        """Return the first solution within the tolerance, or that of the best choice."""
        best: tuple[float, LinearMarch] | None = None
        idle = 0
        for march in self._choices(values):
            # the first window tells what a choice is worth
            probe = self._estimate(march.run(values, 1))
            idle = 0 if best is None or probe < 0.5 * best[0] else idle + 1
            if best is None or probe < best[0]:
                best = probe, march
            if probe <= self.tolerance or idle == 2:
                break
        assert best is not None
        found = best[1].run(values)
        return self._estimate(found), found

    def _estimate(self, found: Marched) -> float:
        low, high = self.system.coords["t"].bounds
        total = (high - low) * float(found.residuals.mean()) + float(found.seams.sum())
        return total / max(found.size, 1e-300) if math.isfinite(total) else math.inf

    def _content(self) -> dict[str, int]:
        """Return the largest wavenumber or degree of the initial fields along every coordinate."""
        series = self._series(dict.fromkeys(self._space, 96 if len(self._space) == 1 else 20))
        low = self.system.coords["t"].bounds[0]
        at = {k: torch.from_numpy(v) for k, v in series.nodes.items()}
        at["t"] = torch.full_like(at[self._space[0]], low)
        out = dict.fromkeys(self._space, 1)
        for c in self.system.conditions:
            if isinstance(c, Initial):
                found = series.reach(series.project(c.value(at).detach().numpy()))
                out = {k: max(v, found[k]) for k, v in out.items()}
        return out

    def _series(self, degrees: Mapping[str, int]) -> Series:
        periodic = periodic_coords(self.system.conditions)
        return Series({k: Axis(*self.system.coords[k].bounds, degrees[k], k in periodic) for k in self._space})

    def _rate(self, values: Mapping[str, float]) -> float:
        """Return how many windows a unit of time needs: one for eight radians of the shortest wave."""
        rng, wanted = np.random.default_rng(self.seed), [key(*k) for k in self.system.derivatives]
        coords = {k: rng.uniform(*v.bounds, 256) for k, v in self.system.coords.items()}
        part = affine_parts(self.system.residuals, wanted, coords, values)
        waves = {}
        for x in self._space:
            low, high = self.system.coords[x].bounds
            turn = math.pi if x in periodic_coords(self.system.conditions) else 1.0
            waves[x] = 2 * turn / (high - low) * self._reach[x]
        rate = 0.0
        for coefficients in part.coefficients:
            size = np.abs(coefficients).max(1)
            by_time = max((s for s, k in zip(size, wanted, strict=True) if k[1:] == ("t",)), default=0.0)
            pairs = [(s, k[1:]) for s, k in zip(size, wanted, strict=True) if "t" not in k[1:]]
            # degrees in time: half the phase for a wave, the square root of a decay
            total = sum(s * math.prod(waves[x] for x in by) / (8.0 if len(by) % 2 else 13.0) for s, by in pairs)
            rate = max(rate, total / by_time) if by_time > 0 else rate
        return float(rate)

    def _choices(self, values: Mapping[str, float]) -> Iterator[LinearMarch]:
        """Yield marches, the likely best first."""
        low, high = self.system.coords["t"].bounds
        turns = (high - low) * self._rate(values)
        if self.windows is None:
            for finer, wider in ((1, 1.0), (2, 1.0), (2, 2.0), (4, 1.0), (4, 2.0), (8, 1.0)):
                count = finer * max(1, math.ceil(turns))
                yield self._march(count, wider, turns)
        else:
            for wider in (1.0, 2.0, 0.5):
                yield self._march(self.windows, wider, turns)

    def _march(self, count: int, wider: float, turns: float) -> LinearMarch:
        # with more coordinates features are scarcer, and narrow spreads hold fewer waves better
        floor, share = (2.0, 0.5) if len(self._space) == 1 else (0.5, 0.25)
        spread = {"t": min(max(0.5 * floor, 4.0 * turns / count), 32.0)}
        spread |= {x: wider * max(floor, share * self._reach[x]) for x in self._space}
        # in octaves, so that close coefficients share their features
        octave = {k: _UNIT[self.activation] * 2.0 ** round(math.log2(v)) for k, v in spread.items()}
        mark = (count, *octave.values(), *self._reach.values())
        if mark not in self._kept:
            self._kept = {**dict(list(self._kept.items())[-2:]), mark: self._build(count, octave)}
        return self._kept[mark]

    def _build(self, count: int, spread: Mapping[str, float]) -> LinearMarch:
        edges = np.linspace(*self.system.coords["t"].bounds, count + 1)
        box = {k: v.bounds for k, v in self.system.coords.items()}
        box["t"] = (float(edges[0]), float(edges[1]))
        periodic = dict.fromkeys(periodic_coords(self.system.conditions), 1)
        network = Network(tuple(self.system.fields), Features(box, periodic), self.features, 1, self.activation)
        rng = np.random.default_rng(self.seed)
        scale = [spread[k] for k in box for _ in range(2 if k in periodic else 1)]
        matrix = rng.uniform(-1.0, 1.0, (self.features, len(scale))) * scale
        shift = rng.uniform(-1.0, 1.0, self.features) * (math.pi if self.activation == "sin" else max(scale))
        last = np.zeros(len(self.system.fields) * (self.features + 1))
        weights = np.concatenate([matrix.ravel(), shift, last])
        least, most = (24, 96) if len(self._space) == 1 else (6, 12)
        series = self._series({k: min(most, max(least, 2 * n + 8)) for k, n in self._reach.items()})
        return LinearMarch(self.system, network, weights, edges, self._points(box), series)

    def _points(self, box: Mapping[str, tuple[float, float]]) -> dict[str, Floats]:
        """Return Chebyshev points of time times uniform or Chebyshev points of space, twice as many as unknowns."""
        line = len(self._space) == 1
        counts = {k: 3 * n + 32 if line else min(3 * n + 12, 24) for k, n in self._reach.items()}
        counts["t"] = max(20 if line else 12, -(-2 * self.features // math.prod(counts.values())))
        periodic = periodic_coords(self.system.conditions)
        axes = [Axis(*bounds, 1, k in periodic).centres(counts[k]) for k, bounds in box.items()]
        return {k: m.ravel() for k, m in zip(box, np.meshgrid(*axes, indexing="ij"), strict=True)}


def solve_linear(
    system: PDESystem,
    *,
    features: int = 400,
    windows: int | Literal["auto"] = "auto",
    seed: int = 0,
    tolerance: float = 1e-9,
    activation: str = "sin",
) -> LinearSolution:
    """Return the solution of a linear system by random features.

    Parameters
    ----------
    system, features, windows, seed, tolerance, activation
        See `LinearSolver`.

    Returns
    -------
    LinearSolution
        Pieces, residuals, an error estimate and the time it took, preparations included.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> found = solve_linear(convection(20.0), features=200)
    >>> at = {"t": np.array([0.0, 1.0]), "x": np.array([1.0, 2.0])}
    >>> bool(np.allclose(found(at)["u"], np.sin(at["x"] - 20.0 * at["t"]), atol=1e-6))
    True
    """
    began = time.perf_counter()
    solver = LinearSolver(system, features, windows=windows, seed=seed, tolerance=tolerance, activation=activation)
    found = solver.solve()
    seconds = time.perf_counter() - began
    return LinearSolution(found.pieces, found.residuals, found.seams, found.estimate, seconds)
