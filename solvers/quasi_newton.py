"""Dense self-scaled quasi-Newton methods, resumable to the last bit.

For a few thousand unknowns in double precision, such as the weights of a small network that solves a differential
equation: the objective is a mean square that falls over many decades, and the curvature is worth remembering whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Status
from retrodict.solvers.broyden import Correction, InverseHessian, Update, correction
from retrodict.solvers.line_search import Searched, strong_wolfe
from retrodict.solvers.objective import Objective, evaluate

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["QuasiNewtonState", "SSBroyden"]

Floats = NDArray[np.float64]
_METRICS = ("objective", "gradient", "length", "evaluations", "resets", "promised")
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class QuasiNewtonState:
    """Where a quasi-Newton method stands.

    The inverse Hessian is shared with the state before and is corrected in place by the *next* step, so that a state
    and its successor are both whole; the states before these two are not, and are refused.

    Parameters
    ----------
    x, gradient : ndarray, shape (n,)
        Packed unknowns and gradient.
    value : float
        Objective.
    product : ndarray, shape (n,)
        Inverse Hessian times gradient, minus the next direction.
    inverse : InverseHessian
        The matrix, still without ``pending``.
    pending : Correction
        What the step to this state taught; without effect in a state that was just read.
    before : Correction or None
        The correction that ``inverse`` must have taken last for ``pending`` to be the next one.
    age : int
        Corrections since the matrix was the identity.
    resets : int
        How often it was set back.
    """

    x: Floats
    gradient: Floats
    value: float
    product: Floats
    inverse: InverseHessian
    pending: Correction
    before: Correction | None
    age: int
    resets: int


class SSBroyden:
    """Self-scaled Broyden family with a dense inverse Hessian.

    Parameters
    ----------
    objective : Objective
        A smooth function of unbounded unknowns, in double precision; `ValueAndGradient` is made use of.
    update : {"ssbroyden", "ssbfgs", "bfgs"}, optional
        The self-scaled family, its BFGS member, or BFGS without scaling.
    variant : {1, 2}, optional
        How the self-scaled family chooses its member.
    tolerance : float, optional
        Bar on the largest gradient entry, in the units of the objective: a mean square of residuals of size ``e``
        has gradients of about that size.
    resets : int, optional
        How often a line search may fail and the inverse Hessian be set back to the identity.
    noise : float, optional
        Rounding of the objective, relative to its value; below it the slopes decide.

    Raises
    ------
    SolverError
        If the objective has no gradient, has bounds, or is in single precision, or an option is out of range.

    Notes
    -----
    Urban, Stefanou and Pons (2025), J. Comput. Phys. 523, 113656. One step costs one product with the matrix and one
    rank-two correction, ``8 n^2`` bytes of memory; a step of 3000 unknowns takes about ten milliseconds.

    Examples
    --------
    >>> from retrodict.physics.spaces import Space, Var
    >>> class Bowl:
    ...     name, space, start = "bowl", Space({"x": Var()}), {"x": np.array(4.0)}
    ...     def value(self, x): return float((x["x"] - 1) ** 2)
    ...     def gradient(self, x): return {"x": 2 * (x["x"] - 1)}
    >>> from retrodict.solvers.iterate import iterate
    >>> round(float(iterate(SSBroyden(Bowl()), 50).data["x"]), 6)
    1.0
    """

    def __init__(
        self,
        objective: Objective,
        *,
        update: Update = "ssbroyden",
        variant: int = 2,
        tolerance: float = 1e-12,
        resets: int = 5,
        noise: float = 1e-6,
    ) -> None:
        if not isinstance(objective, Objective):
            raise SolverError(expected("SSBroyden", type(objective).__name__, "an objective with a gradient"))
        if update not in get_args(Update) or variant not in (1, 2):
            raise SolverError(
                expected("SSBroyden", f"update {update!r}, variant {variant}", f"{get_args(Update)}, 1 or 2")
            )
        if not (0 <= tolerance < math.inf and resets >= 0 and 0 <= noise < 1):
            got = f"tolerance {tolerance}, resets {resets}, noise {noise}"
            raise SolverError(expected("SSBroyden", got, "tolerance >= 0, resets >= 0, 0 <= noise < 1"))
        _refuse(objective)
        self.objective, self.variant = objective, variant
        self.update: Update = update
        self.tolerance, self.resets, self.noise = tolerance, resets, noise

    @property
    def name(self) -> str:
        """Method and problem."""
        method = f"{self.update}{self.variant if self.update == 'ssbroyden' else ''}"
        return f"{method}:{self.objective.name}:{','.join(self.objective.space)}"

    def init(self) -> QuasiNewtonState:
        """Return the state at the start of the problem."""
        x = self.objective.space.pack(self.objective.start)
        value, gradient = evaluate(self.objective, x)
        inverse = InverseHessian(np.eye(x.size, order="F"))
        pending = inverse.last = Correction.none(x.size)
        return QuasiNewtonState(x, gradient, value, gradient.copy(), inverse, pending, None, 0, 0)

    def adopt(self, state: QuasiNewtonState) -> QuasiNewtonState:
        """Return a state of another objective over the same unknowns as one of this objective, curvature kept.

        For training on new points: the loss hardly changes its shape, and what was learnt of it stays useful. The state
        given stays as it is.
        """
        inverse = _current(state, in_place=False)
        inverse = inverse.copy() if inverse is state.inverse else inverse
        value, gradient = evaluate(self.objective, state.x)
        pending = inverse.last = Correction.none(state.x.size)
        product = inverse.times(gradient)
        return QuasiNewtonState(state.x, gradient, value, product, inverse, pending, None, state.age, 0)

    def step(self, state: QuasiNewtonState) -> tuple[QuasiNewtonState, Metrics]:
        """Search along the quasi-Newton direction; if that fails, forget the curvature and try steepest descent."""
        if not (math.isfinite(state.value) and np.all(np.isfinite(state.product))):
            return state, dict.fromkeys(_METRICS, math.nan)
        promised = 0.5 * float(state.gradient @ state.product)
        found = self._search(state, -state.product, fresh=state.age == 0)
        evaluations, age, resets = found.evaluations, state.age, state.resets
        if not _good(found, state) and age and resets < self.resets:
            found = self._search(state, -state.gradient, fresh=True)
            evaluations, age, resets = evaluations + found.evaluations, 0, resets + 1
            promised = 0.5 * float(state.gradient @ state.gradient)
        if not _good(found, state):
            return state, self._metrics(state, 0.0, evaluations, promised)
        new = self._next(state, found, age, resets)
        return new, self._metrics(new, found.point.length, evaluations, promised)

    def done(self, metrics: Metrics) -> Status | None:
        """Return ``converged`` when the gradient is small, ``stalled`` when no step helps.

        A step that fails although it promised no more than the rounding of the objective is no stall, and slopes
        that promise far less than that are rounding themselves.
        """
        promised, value, failed = metrics["promised"], abs(metrics["objective"]), metrics["length"] == 0.0
        if metrics["gradient"] <= self.tolerance or abs(promised) <= (_ROUNDING if failed else _ROUNDING**2) * value:
            return Status.CONVERGED
        return Status.STALLED if failed else None

    def solution(self, state: QuasiNewtonState) -> xr.Dataset:
        """Return the unknowns with their units."""
        return self.objective.space.to_dataset(self.objective.space.unpack(state.x))

    def pack(self, state: QuasiNewtonState) -> dict[str, Array]:
        """Return the state as arrays, the matrix as its triangle.

        Raises
        ------
        SolverError
            If the matrix has gone on to later states.
        """
        inverse = _current(state, in_place=False)
        arrays = {k: np.asarray(getattr(state, k)) for k in ("x", "gradient", "value", "product", "age", "resets")}
        return arrays | {"triangle": inverse.triangle(), "scale": np.asarray(inverse.scale)}

    def unpack(self, arrays: Mapping[str, Array]) -> QuasiNewtonState:
        """Inverse of `pack`."""
        a = arrays
        inverse = InverseHessian.from_triangle(a["triangle"], float(a["scale"]))
        pending = inverse.last = Correction.none(a["x"].size)
        value, age, resets = float(a["value"]), int(a["age"]), int(a["resets"])
        return QuasiNewtonState(a["x"], a["gradient"], value, a["product"], inverse, pending, None, age, resets)

    def _search(self, state: QuasiNewtonState, direction: Floats, *, fresh: bool) -> Searched:
        """Search from the state along a direction; without curvature the first trial is no longer than one."""
        first = min(1.0, 1.0 / (float(np.linalg.norm(direction)) or 1.0)) if fresh else 1.0

        def function(x: Floats) -> tuple[float, Floats]:
            return evaluate(self.objective, x)

        return strong_wolfe(function, state.x, state.value, state.gradient, direction, first=first, noise=self.noise)

    def _next(self, state: QuasiNewtonState, found: Searched, age: int, resets: int) -> QuasiNewtonState:
        """Return the state at a point found; ``H y`` is the difference of two products that are needed anyway."""
        point, inverse, restart = found.point, _current(state, in_place=True), resets > state.resets
        before = state.gradient if restart else state.product
        after = point.gradient if restart else inverse.times(point.gradient)
        step, change = point.x - state.x, point.gradient - state.gradient
        learnt = correction(
            step,
            change,
            after - before,
            model=-point.length * float(step @ state.gradient),
            update=self.update,
            variant=self.variant,
            first=age == 0,
            restart=restart,
        )
        product, age = learnt.times(after, point.gradient), age + bool(learnt.middle.any())
        return QuasiNewtonState(
            point.x, point.gradient, point.value, product, inverse, learnt, inverse.last, age, resets
        )

    def _metrics(self, new: QuasiNewtonState, length: float, evaluations: int, promised: float) -> Metrics:
        gradient = float(np.max(np.abs(new.gradient), initial=0.0))
        values = (new.value, gradient, length, float(evaluations), float(new.resets), promised)
        return dict(zip(_METRICS, values, strict=True))


def _refuse(objective: Objective) -> None:
    """Refuse bounds and single precision."""
    lower, upper = objective.space.bounds()
    if np.any(np.isfinite(lower)) or np.any(np.isfinite(upper)):
        bounded = [k for k, v in objective.space.items() if np.any(np.isfinite(v.bounds))]
        raise SolverError(expected("SSBroyden", f"bounds on {bounded}", "unbounded unknowns: transform them first"))
    types = {v.dtype for v in objective.space.values()} | {str(getattr(objective, "precision", "float64"))}
    single = sorted(types & {"float32", "complex64", "torch.float32"})
    if single:
        raise SolverError(
            expected("SSBroyden", single[0], "double precision: in single, quasi-Newton steps stop helping near 1e-4")
        )


def _good(found: Searched, state: QuasiNewtonState) -> bool:
    """Return whether a search led anywhere."""
    return found.point.length > 0 and (found.wolfe or found.point.value < state.value)


def _current(state: QuasiNewtonState, *, in_place: bool) -> InverseHessian:
    """Return the matrix of a state, with what the step to it taught."""
    inverse = state.inverse
    if inverse.last is state.pending:
        return inverse
    if inverse.last is not state.before:
        raise SolverError(expected("QuasiNewtonState", "one that two steps or more have left behind", "the newest"))
    if not in_place:
        inverse = inverse.copy()
    inverse.apply(state.pending)
    return inverse
