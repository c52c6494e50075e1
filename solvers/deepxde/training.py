"""One and the same system through DeepXDE: its geometry, conditions, networks and optimisers, for fair comparison.

What DeepXDE forgets on saving - coefficients that it trains, the count of iterations, the points - belongs to the state
here, so that a resumed run equals one that never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import PDESystem
from retrodict.solvers.base import Metrics, Status
from retrodict.solvers.deepxde.problem import DeepXDEProblem, DeepXDESetup
from retrodict.solvers.deepxde.trainer import DeepXDEState, DeepXDETrainer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DeepXDEProblem", "DeepXDEResult", "DeepXDESetup", "DeepXDEState", "DeepXDETrainer", "train_with_deepxde"]

Predict = Callable[[Mapping[str, Any]], dict[str, NDArray[np.float64]]]
"""Coordinates, each of shape (n,), to fields, each of shape (n,)."""


@dataclass(frozen=True, eq=False)
class DeepXDEResult:
    """What came of a training.

    Parameters
    ----------
    trainer : DeepXDETrainer
        Of the problem.
    state : DeepXDEState
        Where it ended.
    history : xarray.Dataset
        Along ``step``: iteration, seconds of training, loss, its terms, unknown coefficients, and the error that
        ``score`` returned.
    status : Status
        ``stalled``, ``failed``, ``non-finite``, or ``max-steps`` where the budget was spent.
    """

    trainer: DeepXDETrainer
    state: DeepXDEState
    history: xr.Dataset
    status: Status

    def predict(self, coords: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
        """Return the fields at points, each of shape (n,)."""
        return self.trainer.predict(self.state, coords)

    @property
    def coefficients(self) -> dict[str, float]:
        """The coefficients that were unknown."""
        return self.trainer.coefficients(self.state)


def train_with_deepxde(
    system: PDESystem,
    setup: DeepXDESetup | None = None,
    *,
    seconds: float | None = None,
    iterations: int | None = None,
    unknown: Mapping[str, float] | None = None,
    observations: Mapping[str, Any] | None = None,
    score: Callable[[Predict], float] | None = None,
    records: int = 20,
) -> DeepXDEResult:
    """Solve a system with DeepXDE within a budget.

    Parameters
    ----------
    system : PDESystem
        What to solve.
    setup : DeepXDESetup, optional
        How.
    seconds : float, optional
        Wall-clock time of training, without building the model and without the time that ``score`` takes.
    iterations : int, optional
        Iterations, if there is no limit in seconds or it comes first.
    unknown : Mapping of str to float, optional
        Coefficients to find, with the values to start from.
    observations : Mapping of str to ndarray, optional
        All coordinates and some fields, each of shape (n,).
    score : callable, optional
        Takes ``predict`` and returns an error; called at every record.
    records : int, optional
        Number of entries in the history, about.

    Returns
    -------
    DeepXDEResult
        Prediction, history, coefficients.

    Raises
    ------
    SolverError
        If there is no budget, or DeepXDE cannot express the problem.

    Notes
    -----
    Iterations are those of DeepXDE's model and optimisers. The limit in seconds is kept to one iteration of Adam and to
    a few of L-BFGS, whose calls are cut to what is left; each call costs one evaluation more than an uncut run.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> setup = DeepXDESetup(width=8, depth=2, domain=50, boundary=10, initial=20)
    >>> result = train_with_deepxde(convection(1.0), setup, iterations=40, records=2)
    >>> result.history["iteration"].values, result.predict({"t": [0.0], "x": [1.0]})["u"].shape
    (array([20., 40.]), (1,))
    """
    budget = [b for b in (seconds, iterations) if b is not None]
    if not budget or min(*budget, records) <= 0:
        got = f"seconds {seconds}, iterations {iterations}, records {records}"
        raise SolverError(expected("train_with_deepxde", got, "a positive budget of seconds, iterations or both"))
    trainer = DeepXDETrainer(DeepXDEProblem(system, setup or DeepXDESetup(), unknown or {}, observations))
    return _Run(trainer, seconds, iterations, score, records).run()


class _Run:
    """A training against the clock."""

    def __init__(
        self,
        trainer: DeepXDETrainer,
        seconds: float | None,
        iterations: int | None,
        score: Callable[[Predict], float] | None,
        records: int,
    ) -> None:
        self.trainer, self.score, self.records = trainer, score, records
        self.seconds, self.iterations = seconds, iterations
        self.rows: list[dict[str, float]] = []
        self.spent = self.pace = 0.0

    def run(self) -> DeepXDEResult:
        # building imports half of torch the first time: that is no training
        state, status = self.trainer.init(), None
        while status is None:
            began = time.perf_counter()
            deadline = None if self.seconds is None else began + self.seconds - self.spent
            new, metrics = self.trainer.advance(state, self._chunk(state.iteration), deadline)
            took = time.perf_counter() - began
            self.spent += took
            self.pace = max(self.spent / new.iteration, took / (new.iteration - state.iteration))
            status = self._status(metrics)
            if status is Status.NON_FINITE:
                break
            state = new
            if status is not None or self._due(state.iteration):
                self._record(state, metrics)
        return DeepXDEResult(self.trainer, state, self._history(), status)

    def _status(self, metrics: Metrics) -> Status | None:
        if not np.isfinite(metrics["loss"]):
            return Status.NON_FINITE
        if (end := self.trainer.done(metrics)) is not None:
            return end
        spent = self.seconds is not None and self.spent >= self.seconds
        taken = self.iterations is not None and metrics["iteration"] >= self.iterations
        return Status.MAX_STEPS if spent or taken else None

    def _chunk(self, iteration: int) -> int:
        """Return how many iterations to take at once: to the next record, and by far not beyond the time limit."""
        chunks = [10_000]
        if self.iterations is not None:
            period = max(1, -(-self.iterations // self.records))
            chunks += [self.iterations - iteration, period - iteration % period]
        if self.seconds is not None:
            left = min(0.3 * (self.seconds - self.spent), self.seconds / self.records)
            chunks.append(int(left / self.pace) if iteration else 2)
        return max(1, min(chunks))

    def _due(self, iteration: int) -> bool:
        done = [0.0]
        if self.iterations is not None:
            done.append(iteration / self.iterations)
        if self.seconds is not None:
            done.append(self.spent / self.seconds)
        return max(done) * self.records >= len(self.rows) + 1

    def _record(self, state: DeepXDEState, metrics: Mapping[str, float]) -> None:
        row = {**{k: v for k, v in metrics.items() if k != "still"}, "seconds": self.spent}
        if self.score is not None:
            row["error"] = float(self.score(lambda coords: self.trainer.predict(state, coords)))
        self.rows.append(row)

    def _history(self) -> xr.Dataset:
        import xarray as xr

        names = self.rows[0] if self.rows else {}
        columns = {k: ("step", np.array([row[k] for row in self.rows])) for k in names}
        return xr.Dataset(columns, coords={"step": np.arange(1, len(self.rows) + 1)})
