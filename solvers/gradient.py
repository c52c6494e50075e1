"""L-BFGS with bounds, resumable to the last bit.

scipy's L-BFGS-B keeps its memory inside a call and cannot be resumed. This one packs its pairs. Bounds are kept by
projection along the search arc with the memory restricted to the free unknowns (Bertsekas 1982); without bounds in
the way the line search satisfies the strong Wolfe conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Status
from retrodict.solvers.line_search import strong_wolfe
from retrodict.solvers.objective import Objective, evaluate

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LBFGS", "LBFGSState"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LBFGSState:
    """Where L-BFGS stands.

    Parameters
    ----------
    x, gradient : ndarray, shape (n,)
        Packed unknowns and gradient.
    value : float
        Objective.
    steps, changes : ndarray, shape (k, n)
        The newest pairs of step and gradient change, oldest first.
    """

    x: Floats
    gradient: Floats
    value: float
    steps: Floats
    changes: Floats


class LBFGS:
    """Limited-memory BFGS (Nocedal 1980).

    Parameters
    ----------
    objective : Objective
        For example an `retrodict.inverse.problem.InverseProblem` of smooth terms.
    memory : int, optional
        Number of pairs kept.
    tolerance : float, optional
        Bar on the largest projected gradient entry times ``max(|x|, 1)``, relative to ``max(|value|, 1)``.
    scale : {"unit", "absolute"}, optional
        ``"unit"`` takes one as the natural size of the objective, such as a negative log-likelihood has. ``"absolute"``
        is for objectives that fall over many decades: the bar is on the gradient itself, gains are relative to the
        value, and a value that rounding keeps from falling is accepted while slopes still shrink.

    Raises
    ------
    SolverError
        If the objective has no gradient, or memory, tolerance or scale are out of range.

    Examples
    --------
    >>> from retrodict.physics.spaces import Space, Var
    >>> class Bowl:
    ...     name, space, start = "bowl", Space({"x": Var()}), {"x": np.array(4.0)}
    ...     def value(self, x): return float((x["x"] - 1) ** 2)
    ...     def gradient(self, x): return {"x": 2 * (x["x"] - 1)}
    >>> from retrodict.solvers.iterate import iterate
    >>> round(float(iterate(LBFGS(Bowl()), 50).data["x"]), 6)
    1.0
    """

    def __init__(self, objective: Objective, *, memory: int = 10, tolerance: float = 1e-8, scale: str = "unit") -> None:
        if not isinstance(objective, Objective):
            raise SolverError(expected("LBFGS", type(objective).__name__, "an objective with a gradient"))
        if memory < 1 or not 0 < tolerance < 1:
            raise SolverError(
                expected("LBFGS", f"memory {memory}, tolerance {tolerance}", "memory >= 1, 0 < tolerance < 1")
            )
        if scale not in ("unit", "absolute"):
            raise SolverError(expected("LBFGS", f"scale {scale!r}", "'unit' or 'absolute'"))
        self.objective, self.memory, self.tolerance, self.scale = objective, memory, tolerance, scale
        self.lower, self.upper = objective.space.bounds()

    @property
    def name(self) -> str:
        """Method and problem."""
        return f"l-bfgs:{self.objective.name}:{','.join(self.objective.space)}"

    def init(self) -> LBFGSState:
        """Return the state at the start of the problem."""
        x = self.objective.space.pack(self.objective.start)
        empty, (value, gradient) = np.zeros((0, x.size)), self._evaluate(x)
        return LBFGSState(x, gradient, value, empty, empty)

    def step(self, state: LBFGSState) -> tuple[LBFGSState, Metrics]:
        """Take one quasi-Newton step; if it fails, forget the memory and try steepest descent."""
        free, promised = ~self._resting(state.x, state.gradient), 0.0
        for forget in (False, True):
            keep = slice(0, 0) if forget else slice(None)
            s, y = state.steps[keep] * free, state.changes[keep] * free
            direction = _two_loop(s, y, state.gradient * free)
            promised = promised if forget else -float(state.gradient @ direction)
            x, value, gradient, wolfe = self._search(state, direction)
            if value < state.value or (wolfe and self.scale == "absolute"):
                pairs = (
                    np.vstack([state.steps[keep], x - state.x]),
                    np.vstack([state.changes[keep], gradient - state.gradient]),
                )
                if pairs[0][-1] @ pairs[1][-1] <= 1e-12 * (pairs[1][-1] @ pairs[1][-1]):
                    pairs = (state.steps[keep], state.changes[keep])
                new = LBFGSState(x, gradient, value, pairs[0][-self.memory :], pairs[1][-self.memory :])
                return new, self._metrics(new, state, promised)
        return state, self._metrics(state, state, promised)

    def done(self, metrics: Metrics) -> Status | None:
        """Return ``converged`` when the projected gradient is small, ``stalled`` when no step helps.

        A step that fails although it promised no more than the rounding of the objective is no stall.
        """
        if metrics["gradient"] <= self.tolerance:
            return Status.CONVERGED
        if metrics["gain"] == 0.0:
            return Status.CONVERGED if metrics["promised"] <= 1e-12 else Status.STALLED
        return None

    def solution(self, state: LBFGSState) -> xr.Dataset:
        """Return the unknowns with their units."""
        return self.objective.space.to_dataset(self.objective.space.unpack(state.x))

    def pack(self, state: LBFGSState) -> dict[str, Array]:
        """Return the state as arrays."""
        return {k: np.asarray(getattr(state, k)) for k in ("x", "gradient", "value", "steps", "changes")}

    def unpack(self, arrays: Mapping[str, Array]) -> LBFGSState:
        """Inverse of `pack`."""
        a = arrays
        return LBFGSState(a["x"], a["gradient"], float(a["value"]), a["steps"], a["changes"])

    def _evaluate(self, x: Floats) -> tuple[float, Floats]:
        return evaluate(self.objective, x)

    def _size(self, value: float) -> float:
        return max(1.0, abs(value)) if self.scale == "unit" else 1.0

    def _resting(self, x: Floats, g: Floats) -> NDArray[np.bool_]:
        return ((x <= self.lower) & (g > 0)) | ((x >= self.upper) & (g < 0))

    def _metrics(self, new: LBFGSState, old: LBFGSState, promised: float) -> Metrics:
        g = np.where(self._resting(new.x, new.gradient), 0.0, new.gradient)
        size = np.max(np.abs(g) * np.maximum(np.abs(new.x), 1.0), initial=0.0) / self._size(new.value)
        share = promised / (self._size(old.value) if self.scale == "unit" else abs(old.value) or 1.0)
        return {"objective": new.value, "gradient": float(size), "gain": old.value - new.value, "promised": share}

    def _search(self, state: LBFGSState, direction: Floats) -> tuple[Floats, float, Floats, bool]:
        """Return point, value and gradient that a line search along ``direction`` accepts, or the old ones."""
        slope = state.gradient @ direction
        if not slope < 0:
            return state.x, state.value, state.gradient, False
        length = 1.0 if len(state.steps) else min(1.0, 1.0 / float(np.linalg.norm(state.gradient)))
        reach = np.where(direction > 0, self.upper - state.x, state.x - self.lower)
        if np.all(np.isinf(reach[direction != 0])) and len(state.steps):
            found = strong_wolfe(self._evaluate, state.x, state.value, state.gradient, direction)
            if found.wolfe or found.point.value < state.value:
                return found.point.x, found.point.value, found.point.gradient, found.wolfe
        for _ in range(40):
            x = np.clip(state.x + length * direction, self.lower, self.upper)
            tree = self.objective.space.unpack(x)
            value = float(self.objective.value(tree))
            if np.isfinite(value) and value <= state.value + 1e-4 * (state.gradient @ (x - state.x)):
                return x, value, self.objective.space.pack(self.objective.gradient(tree)), False
            length *= 0.5
        return state.x, state.value, state.gradient, False


def _two_loop(steps: Floats, changes: Floats, gradient: Floats) -> Floats:
    """Return minus the inverse Hessian of the memory times the gradient."""
    q = gradient.copy()
    used = [(s, y, 1 / (y @ s)) for s, y in zip(steps, changes, strict=True) if y @ s > 1e-14 * (y @ y)]
    alphas = []
    for s, y, rho in reversed(used):
        alphas.append(rho * (s @ q))
        q -= alphas[-1] * y
    if used:
        s, y, _ = used[-1]
        q *= (s @ y) / (y @ y)
    for (s, y, rho), alpha in zip(used, reversed(alphas), strict=True):
        q += s * (alpha - rho * (y @ q))
    return -q
