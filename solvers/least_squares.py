"""Gauss-Newton and Levenberg-Marquardt for bounded non-linear least squares.

Both minimise the *value* of the objective, not half the squared residual: for robust or heteroscedastic noise the two
differ, while ``J' r`` is the exact gradient and ``J' J`` a positive curvature. Bounds are kept by the two-metric
projection of Bertsekas (1982): unknowns at a bound whose gradient points outward rest, the others take the step,
which is then clipped.
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
from retrodict.solvers.normal_equations import Gram, Stacked
from retrodict.solvers.objective import LeastSquaresObjective

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["GaussNewton", "LeastSquaresMethod", "LeastSquaresState", "LevenbergMarquardt"]

Floats = NDArray[np.float64]
_TRIALS = 30
_METRICS = ("objective", "gradient", "change", "gain", "damping", "accepted")


@dataclass(frozen=True)
class LeastSquaresState:
    """Where a least-squares method stands.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Packed unknowns.
    value : float
        Objective.
    damping : float
        Of the next step (Levenberg-Marquardt).
    growth : float
        Factor by which a rejection raises the damping.
    scale : ndarray, shape (n,)
        Largest column norms of the Jacobian seen, the units of the unknowns.
    """

    x: Floats
    value: float
    damping: float
    growth: float
    scale: Floats


class LeastSquaresMethod:
    """What least-squares methods share: start, stopping, packing, the projected step; each adds ``step``.

    Parameters
    ----------
    objective : LeastSquaresObjective
        What to minimise.
    tolerance : float, optional
        Bar on the cosine between residual and Jacobian, and on the relative step.
    scale : {"unit", "absolute"}, optional
        Whether predicted gains are judged against ``max(|value|, 1)``, or against the value alone.

    Raises
    ------
    SolverError
        If the objective is not a least-squares objective or an option is out of range.
    """

    method = ""
    damping = 1e-3

    def __init__(self, objective: LeastSquaresObjective, *, tolerance: float = 1e-8, scale: str = "unit") -> None:
        if not isinstance(objective, LeastSquaresObjective):
            raise SolverError(expected(type(self).__name__, type(objective).__name__, "a least-squares objective"))
        if not 0 < tolerance < 1:
            raise SolverError(expected("tolerance", tolerance, "a number in (0, 1)"))
        if scale not in ("unit", "absolute"):
            raise SolverError(expected("scale", repr(scale), "'unit' or 'absolute'"))
        self.objective, self.tolerance, self.scale = objective, tolerance, scale
        self.lower, self.upper = objective.space.bounds()

    @property
    def name(self) -> str:
        """Method and problem."""
        return f"{self.method}:{self.objective.name}:{','.join(self.objective.space)}"

    def init(self) -> LeastSquaresState:
        """Return the state at the start of the problem."""
        x = self.objective.space.pack(self.objective.start)
        return LeastSquaresState(x, self._value(x), self.damping, 2.0, np.zeros_like(x))

    def done(self, metrics: Metrics) -> Status | None:
        """Return ``converged`` when gradient, predicted gain or step is small, ``stalled`` when no step helps."""
        if metrics["gradient"] <= self.tolerance:
            return Status.CONVERGED
        if metrics["accepted"] == 0.0:
            return Status.CONVERGED if metrics["gain"] <= 1e-12 else Status.STALLED
        small = metrics["change"] <= self.tolerance or metrics["gain"] <= self.tolerance**2
        return Status.CONVERGED if small else None

    def solution(self, state: LeastSquaresState) -> xr.Dataset:
        """Return the unknowns with their units."""
        return self.objective.space.to_dataset(self.objective.space.unpack(state.x))

    def pack(self, state: LeastSquaresState) -> dict[str, Array]:
        """Return the state as arrays."""
        return {k: np.asarray(getattr(state, k)) for k in ("x", "value", "damping", "growth", "scale")}

    def unpack(self, arrays: Mapping[str, Array]) -> LeastSquaresState:
        """Inverse of `pack`."""
        value, damping, growth = (float(arrays[k]) for k in ("value", "damping", "growth"))
        return LeastSquaresState(arrays["x"], value, damping, growth, arrays["scale"])

    def _value(self, x: Floats) -> float:
        return self.objective.value(self.objective.space.unpack(x))

    def _linearize(self, state: LeastSquaresState) -> tuple[Floats, Floats, Floats, NDArray[np.bool_], Floats]:
        """Return residual, Jacobian, gradient, free unknowns and scale."""
        r, jac = self.objective.jacobian(self.objective.space.unpack(state.x))
        gradient = jac.T @ r
        resting = ((state.x <= self.lower) & (gradient > 0)) | ((state.x >= self.upper) & (gradient < 0))
        columns = np.linalg.norm(jac, axis=0)
        return r, jac, gradient, ~resting, np.maximum(state.scale, columns)

    def _metrics(self, new: LeastSquaresState, old: LeastSquaresState, g: Floats, r: Floats, gain: float) -> Metrics:
        """Return the metrics of a step; the gradient is the largest cosine between residual and a free column."""
        scale = np.where(new.scale > 0, new.scale, 1.0)
        size_of_old = np.linalg.norm(old.x * scale) or np.linalg.norm(new.x * scale) or 1.0
        moved = np.linalg.norm((new.x - old.x) * scale) / size_of_old
        cosine = np.max(np.abs(g) / scale, initial=0.0) / (np.linalg.norm(r) + 1e-300)
        size = max(1.0, abs(old.value)) if self.scale == "unit" else abs(old.value) or 1.0
        scaled_gain, accepted = gain / size, float(new.x is not old.x)
        values = (new.value, float(cosine), float(moved), scaled_gain, new.damping, accepted)
        return dict(zip(_METRICS, values, strict=True))

    def _nowhere(self, state: LeastSquaresState) -> tuple[LeastSquaresState, Metrics]:
        """Return the end of a solve whose numbers are not finite."""
        return state, dict.fromkeys(_METRICS, np.nan)

    def _trial(self, x: Floats, free: NDArray[np.bool_], step: Floats) -> Floats:
        full = np.zeros_like(x)
        full[free] = step
        return np.clip(x + full, self.lower, self.upper)


class LevenbergMarquardt(LeastSquaresMethod):
    """Levenberg-Marquardt with Nielsen's damping and a scaling that keeps the largest column norms.

    Parameters
    ----------
    objective : LeastSquaresObjective
        For example an `retrodict.inverse.problem.InverseProblem`.
    tolerance : float, optional
        Bar on the cosine between residual and Jacobian, and on the relative step.
    scale : {"unit", "absolute"}, optional
        Whether predicted gains are judged against ``max(|value|, 1)``, or against the value alone, for objectives that
        fall over many decades.
    damping : float, optional
        Of the first step, in units of the squared column norms; about 1 where the start is poor.
    factorisation : {"svd", "cholesky"}, optional
        How a damped step is found: by singular values, which keeps the accuracy of the Jacobian, or by Cholesky's
        factors of the inner products, formed once a step in the smaller of the two spaces, many times faster; where
        rounding leaves those indefinite, singular values step in.

    Raises
    ------
    SolverError
        If the objective is not a least-squares objective or an option is out of range.

    Notes
    -----
    Marquardt (1963); Nielsen (1999), damping parameter in Marquardt's method; scaling after Moré (1978).
    """

    method = "levenberg-marquardt"

    def __init__(
        self,
        objective: LeastSquaresObjective,
        *,
        tolerance: float = 1e-8,
        scale: str = "unit",
        damping: float = 1e-3,
        factorisation: str = "svd",
    ) -> None:
        super().__init__(objective, tolerance=tolerance, scale=scale)
        if not 0 < damping < np.inf or factorisation not in ("svd", "cholesky"):
            got = f"damping {damping}, factorisation {factorisation!r}"
            raise SolverError(expected("LevenbergMarquardt", got, "damping > 0, factorisation 'svd' or 'cholesky'"))
        self.damping, self.factorisation = damping, factorisation
        if factorisation != "svd":
            self.method = f"{self.method}-{factorisation}"

    def step(self, state: LeastSquaresState) -> tuple[LeastSquaresState, Metrics]:
        """Linearise once, then raise the damping until a step lowers the objective."""
        r, jac, gradient, free, scale = self._linearize(state)
        if not np.all(np.isfinite(scale)) or not np.all(np.isfinite(r)):
            return self._nowhere(state)
        unit = np.where(scale[free] > 0, scale[free], 1.0)
        damping, growth, promised = state.damping, state.growth, None
        stacked = Stacked(jac[:, free] / unit, r)
        gram = Gram(stacked.matrix, r) if self.factorisation == "cholesky" else None
        for _ in range(_TRIALS):
            scaled = gram.solve(damping) if gram else None
            scaled = stacked.solve(damping) if scaled is None else scaled
            x = self._trial(state.x, free, scaled / unit)
            moved = jac @ (x - state.x)
            predicted = float(-(r @ moved) - 0.5 * moved @ moved)
            promised = predicted if promised is None else promised
            value = self._value(x) if predicted > 0 else np.inf
            ratio = (state.value - value) / predicted if predicted > 0 else -1.0
            if np.isfinite(value) and ratio > 1e-4:
                factor = max(1 / 3, 1 - (2 * min(ratio, 1.5) - 1) ** 3)
                new = LeastSquaresState(x, value, max(damping * factor, 1e-15), 2.0, scale)
                return new, self._metrics(new, state, gradient * free, r, predicted)
            damping, growth = damping * growth, growth * 2
        rest = LeastSquaresState(state.x, state.value, state.damping, 2.0, scale)
        return rest, self._metrics(rest, state, gradient * free, r, max(promised or 0.0, 0.0))


class GaussNewton(LeastSquaresMethod):
    """Gauss-Newton with backtracking; rank-deficient directions are left alone.

    Parameters
    ----------
    objective : LeastSquaresObjective
        For example an `retrodict.inverse.problem.InverseProblem`.
    tolerance : float, optional
        Bar on the cosine between residual and Jacobian, and on the relative step.
    scale : {"unit", "absolute"}, optional
        Whether predicted gains are judged against ``max(|value|, 1)``, or against the value alone, for objectives that
        fall over many decades.
    cutoff : float, optional
        Directions with singular values below this share of the largest are left alone.

    Raises
    ------
    SolverError
        If the objective is not a least-squares objective or the tolerance or the cutoff is out of range.
    """

    method = "gauss-newton"

    def __init__(
        self,
        objective: LeastSquaresObjective,
        *,
        tolerance: float = 1e-8,
        scale: str = "unit",
        cutoff: float = 1e-12,
    ) -> None:
        super().__init__(objective, tolerance=tolerance, scale=scale)
        if not 0 <= cutoff < 1:
            raise SolverError(expected("GaussNewton.cutoff", cutoff, "a number in [0, 1)"))
        self.cutoff = cutoff

    def step(self, state: LeastSquaresState) -> tuple[LeastSquaresState, Metrics]:
        """Take the minimum-norm least-squares step, halved until the objective falls."""
        r, jac, gradient, free, scale = self._linearize(state)
        if not np.all(np.isfinite(scale)) or not np.all(np.isfinite(r)):
            return self._nowhere(state)
        unit = np.where(scale[free] > 0, scale[free], 1.0)
        full = np.linalg.lstsq(jac[:, free] / unit, -r, rcond=self.cutoff)[0] / unit
        promised = None
        for k in range(_TRIALS):
            x = self._trial(state.x, free, 0.5**k * full)
            predicted = float(-gradient @ (x - state.x))
            promised = predicted if promised is None else promised
            value = self._value(x) if predicted > 0 else np.inf
            if np.isfinite(value) and state.value - value >= 1e-4 * predicted:
                new = LeastSquaresState(x, value, 0.5**k, 2.0, scale)
                return new, self._metrics(new, state, gradient * free, r, predicted)
        rest = LeastSquaresState(state.x, state.value, state.damping, 2.0, scale)
        return rest, self._metrics(rest, state, gradient * free, r, max(promised or 0.0, 0.0))
