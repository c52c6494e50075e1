"""First-order methods with a memory of squared gradients: Adam, and SOAP, which is Adam in Shampoo's eigenbasis.

Both need a value and a gradient a step and nothing else, tolerate a function that changes a little from step to step,
and are where the training of a network begins. The whole state packs, so that a resumed run is equal to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Status
from retrodict.solvers.eigenbasis import Factors, Views, blocks_of
from retrodict.solvers.objective import Objective, evaluate
from retrodict.solvers.schedules import Schedule

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SOAP", "Adam", "FirstOrderState"]

Floats = NDArray[np.float64]
_SIDES = ("left", "right", "left_basis", "right_basis")


@dataclass(frozen=True, eq=False)
class FirstOrderState:
    """Where a first-order method stands.

    Parameters
    ----------
    x, gradient : ndarray, shape (n,)
        Packed unknowns and gradient.
    value : float
        Objective.
    mean, square : ndarray, shape (n,)
        Running means of the gradient and of its square; the latter, for SOAP, in the eigenbasis.
    largest : ndarray, shape (n,)
        Largest ``square`` seen, for AMSGrad.
    count : int
        Steps done.
    factors : tuple of Factors
        Preconditioner of every block, for SOAP.
    """

    x: Floats
    gradient: Floats
    value: float
    mean: Floats
    square: Floats
    largest: Floats
    count: int
    factors: tuple[Factors, ...] = ()


class Adam:
    """Adam (Kingma and Ba 2015), with AMSGrad (Reddi et al. 2018) as an option; bounds are kept by clipping.

    Parameters
    ----------
    objective : Objective
        What to minimise; `ValueAndGradient` is made use of.
    rate : float or Schedule, optional
        Learning rate.
    betas : tuple of float, optional
        Memories of the two running means.
    epsilon : float, optional
        Added to the root of the mean square.
    amsgrad : bool, optional
        Use the largest mean square seen.
    tolerance : float, optional
        Bar on the largest projected gradient entry.

    Raises
    ------
    SolverError
        If the objective has no gradient or an option is out of range.

    Examples
    --------
    >>> from retrodict.physics.spaces import Space, Var
    >>> class Bowl:
    ...     name, space, start = "bowl", Space({"x": Var()}), {"x": np.array(4.0)}
    ...     def value(self, x): return float((x["x"] - 1) ** 2)
    ...     def gradient(self, x): return {"x": 2 * (x["x"] - 1)}
    >>> from retrodict.solvers.iterate import iterate
    >>> round(float(iterate(Adam(Bowl(), rate=0.1), 400).data["x"]), 4)
    1.0
    """

    method = "adam"

    def __init__(
        self,
        objective: Objective,
        *,
        rate: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        amsgrad: bool = False,
        tolerance: float = 1e-12,
    ) -> None:
        method = type(self).__name__
        if not isinstance(objective, Objective):
            raise SolverError(expected(method, type(objective).__name__, "an objective with a gradient"))
        if not (all(0 <= b < 1 for b in betas) and 0 < epsilon < math.inf and 0 <= tolerance < math.inf):
            got = f"betas {betas}, epsilon {epsilon}, tolerance {tolerance}"
            raise SolverError(expected(method, got, "0 <= betas < 1, epsilon > 0, tolerance >= 0"))
        self.objective, self.betas, self.epsilon = objective, betas, epsilon
        self.rate = rate if isinstance(rate, Schedule) else Schedule(rate)
        self.amsgrad, self.tolerance = amsgrad, tolerance
        self.lower, self.upper = objective.space.bounds()

    @property
    def name(self) -> str:
        """Method and problem."""
        return f"{self.method}:{self.objective.name}:{','.join(self.objective.space)}"

    def init(self) -> FirstOrderState:
        """Return the state at the start of the problem."""
        x = self.objective.space.pack(self.objective.start)
        value, gradient = evaluate(self.objective, x)
        none = np.zeros_like(x)
        return FirstOrderState(x, gradient, value, none, none, none, 0)

    def step(self, state: FirstOrderState) -> tuple[FirstOrderState, Metrics]:
        """Move by one learning rate and evaluate there."""
        rate, g, (one, two) = self.rate(state.count), state.gradient, self.betas
        mean = state.mean + (1 - one) * (g - state.mean)
        square = state.square + (1 - two) * (self._into(g, state.factors) ** 2 - state.square)
        largest = np.maximum(state.largest, square) if self.amsgrad else state.largest
        count = state.count + 1
        root = np.sqrt(largest if self.amsgrad else square) / math.sqrt(1 - two**count) + self.epsilon
        move = self._back(self._into(mean / (1 - one**count), state.factors) / root, state.factors)
        x = np.clip(state.x - rate * move, self.lower, self.upper)
        value, gradient = evaluate(self.objective, x)
        factors, square = self._turn(state, count, gradient, square)
        new = FirstOrderState(x, gradient, value, mean, square, largest, count, factors)
        return new, self._metrics(new, rate)

    def done(self, metrics: Metrics) -> Status | None:
        """Return ``converged`` when the projected gradient is small."""
        return Status.CONVERGED if metrics["gradient"] <= self.tolerance else None

    def solution(self, state: FirstOrderState) -> xr.Dataset:
        """Return the unknowns with their units."""
        return self.objective.space.to_dataset(self.objective.space.unpack(state.x))

    def pack(self, state: FirstOrderState) -> dict[str, Array]:
        """Return the state as arrays."""
        names = ("x", "gradient", "value", "mean", "square", "largest", "count")
        arrays = {k: np.asarray(getattr(state, k)) for k in names}
        for k, factors in enumerate(state.factors):
            arrays |= {f"{side}-{k}": getattr(factors, side) for side in _SIDES}
        return arrays

    def unpack(self, arrays: Mapping[str, Array]) -> FirstOrderState:
        """Inverse of `pack`."""
        a, blocks = arrays, sum(name.startswith("left-") for name in arrays)
        factors = tuple(Factors(*(a[f"{side}-{k}"] for side in _SIDES)) for k in range(blocks))
        means = (a["mean"], a["square"], a["largest"])
        return FirstOrderState(a["x"], a["gradient"], float(a["value"]), *means, int(a["count"]), factors)

    def _into(self, vector: Floats, factors: Sequence[Factors]) -> Floats:  # noqa: ARG002
        """Return a vector in the basis of the mean squares."""
        return vector

    def _back(self, vector: Floats, factors: Sequence[Factors]) -> Floats:  # noqa: ARG002
        """Inverse of `_into`."""
        return vector

    def _turn(
        self,
        state: FirstOrderState,
        count: int,  # noqa: ARG002
        gradient: Floats,  # noqa: ARG002
        square: Floats,
    ) -> tuple[tuple[Factors, ...], Floats]:
        """Return basis and mean squares after one more gradient."""
        return state.factors, square

    def _metrics(self, new: FirstOrderState, rate: float) -> Metrics:
        g = new.gradient
        resting = ((new.x <= self.lower) & (g > 0)) | ((new.x >= self.upper) & (g < 0))
        size = float(np.max(np.abs(np.where(resting, 0.0, g)), initial=0.0))
        return {"objective": new.value, "gradient": size, "rate": rate}


class SOAP(Adam):
    """Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024); bounds are kept by clipping.

    Parameters
    ----------
    objective : Objective
        What to minimise. Its two-dimensional variables are preconditioned on both sides.
    rate : float or Schedule, optional
        Learning rate.
    betas : tuple of float, optional
        Memories of the two running means; the second is that of the preconditioner, too.
    epsilon : float, optional
        Added to the root of the mean square.
    blocks : Mapping of str to sequence of (slice, shape), optional
        Matrices and vectors inside a variable, for weights that come as one vector.
    frequency : int, optional
        Steps between two renewals of the eigenbasis.
    largest : int, optional
        Sides longer than this are left alone.
    one_sided : bool, optional
        Whether vectors are preconditioned, too; otherwise they take the steps of Adam.
    tolerance : float, optional
        Bar on the largest projected gradient entry.

    Raises
    ------
    SolverError
        If the objective has no gradient, a block does not fit, or an option is out of range.

    Notes
    -----
    Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson and Kakade (2024), arXiv 2409.11321. The first basis is
    that of the gradient at the start, so that no step is spent on finding it.

    Examples
    --------
    >>> from retrodict.physics.spaces import Space, Var
    >>> class Bowl:
    ...     name, space, start = "bowl", Space({"x": Var(("i", "j"), (2, 2))}), {"x": np.eye(2)}
    ...     def value(self, x): return float(((x["x"] - 1) ** 2).sum())
    ...     def gradient(self, x): return {"x": 2 * (x["x"] - 1)}
    >>> from retrodict.solvers.iterate import iterate
    >>> iterate(SOAP(Bowl(), rate=Schedule(0.1, "exponential", steps=100)), 500).data["x"].values.round(3)
    array([[1., 1.],
           [1., 1.]])
    """

    method = "soap"

    def __init__(
        self,
        objective: Objective,
        *,
        rate: float | Schedule = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        epsilon: float = 1e-8,
        blocks: Views | None = None,
        frequency: int = 10,
        largest: int = 2000,
        one_sided: bool = False,
        tolerance: float = 1e-12,
    ) -> None:
        super().__init__(objective, rate=rate, betas=betas, epsilon=epsilon, tolerance=tolerance)
        if frequency < 1 or largest < 1:
            got = f"frequency {frequency}, largest {largest}"
            raise SolverError(expected("SOAP", got, "frequency >= 1, largest >= 1"))
        self.blocks = blocks_of(objective.space, blocks or {}, one_sided=one_sided)
        self.frequency, self.largest = frequency, largest

    def init(self) -> FirstOrderState:
        """Return the state at the start of the problem, with the eigenbasis of the gradient there."""
        state = super().init()
        known = np.nan_to_num(state.gradient, posinf=0.0, neginf=0.0)
        return replace(state, factors=tuple(Factors.first(b.of(known), self.largest) for b in self.blocks))

    def _into(self, vector: Floats, factors: Sequence[Factors]) -> Floats:
        found = vector.copy()
        for block, basis in zip(self.blocks, factors, strict=True):
            block.of(found)[...] = basis.into(block.of(vector))
        return found

    def _back(self, vector: Floats, factors: Sequence[Factors]) -> Floats:
        found = vector.copy()
        for block, basis in zip(self.blocks, factors, strict=True):
            block.of(found)[...] = basis.back(block.of(vector))
        return found

    def _turn(
        self, state: FirstOrderState, count: int, gradient: Floats, square: Floats
    ) -> tuple[tuple[Factors, ...], Floats]:
        if not np.all(np.isfinite(gradient)):
            return state.factors, square
        square, found = square.copy(), []
        for block, factors in zip(self.blocks, state.factors, strict=True):
            learnt = factors.learn(block.of(gradient), self.betas[1])
            if count % self.frequency == 0:
                learnt, block.of(square)[...] = learnt.turn(block.of(square))
            found.append(learnt)
        return tuple(found), square
