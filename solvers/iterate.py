"""The one loop of the suite: steps, stopping, history, checkpoints, NaN watch and signals."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Solver, Status
from retrodict.solvers.callbacks import Callback
from retrodict.solvers.checkpoint import Checkpoint, CheckpointStore
from retrodict.solvers.result import Result

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Interrupted", "finished", "iterate"]

S = TypeVar("S")


class Interrupted(KeyboardInterrupt):
    """A signal stopped a solve after the step under way.

    It is a `KeyboardInterrupt`, whichever the signal: no ``except Exception`` on the way holds it, so that a loop over
    many solves ends too.

    Parameters
    ----------
    number : int
        The signal.
    result : Result
        What the solve had come to, with status ``INTERRUPTED``.

    Examples
    --------
    >>> issubclass(Interrupted, Exception)
    False
    """

    def __init__(self, number: int, result: Result) -> None:
        super().__init__(number, result)  # so that it can be sent from one process to another
        self.number, self.result = number, result

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name} after {self.result.steps} steps"


def iterate(
    solver: Solver[S],
    max_steps: int,
    *,
    checkpoint: CheckpointStore | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Run a step-wise solver to its end.

    A metric that becomes NaN or infinite ends the solve with the last finite state. SIGINT and SIGTERM end it after
    the step under way, with a checkpoint, and then the work of which it was a part. A resumed run gives the same
    solution and history, to the last bit, as one that was never stopped.

    Parameters
    ----------
    solver : Solver
        What to run.
    max_steps : int
        Largest number of steps, those before a resume included.
    checkpoint : CheckpointStore, optional
        Where checkpoints go.
    resume : bool, optional
        Go on from the newest undamaged checkpoint, if there is one.
    callbacks : sequence of callable, optional
        Each called with the step number and the metrics.

    Returns
    -------
    Result
        Solution, history, status.

    Raises
    ------
    Interrupted
        If a signal stopped the solve; it carries the result so far.
    SolverError
        If ``max_steps`` is not positive, ``resume`` is asked for without a store, or the metrics' names change or
        include ``step``.
    CheckpointError
        If the checkpoints are all damaged or belong to another solver.

    Examples
    --------
    A solver that halves a number until it is small:

    >>> import xarray as xr
    >>> class Halve:
    ...     name = "halve"
    ...     def init(self): return 1.0
    ...     def step(self, s): return s / 2, {"size": s / 2}
    ...     def done(self, metrics): return Status.CONVERGED if metrics["size"] < 0.1 else None
    ...     def solution(self, s): return xr.Dataset({"s": s})
    ...     def pack(self, s): return {"s": np.array(s)}
    ...     def unpack(self, arrays): return float(arrays["s"])
    >>> iterate(Halve(), 10).steps
    4
    """
    if max_steps < 1:
        raise SolverError(expected("max_steps", max_steps, "a positive number"))
    if resume and checkpoint is None:
        raise SolverError(expected("resume", "no checkpoint store", "the store to resume from"))
    began = time.perf_counter()
    stored = checkpoint.newest(solver.name) if checkpoint is not None and resume else None
    state = solver.init() if stored is None else solver.unpack(stored.state)
    history = _History({} if stored is None else stored.history)
    first = step = 0 if stored is None else stored.step
    status = solver.done(history.last()) if stored is not None else None

    def save() -> None:
        if checkpoint is not None:
            checkpoint.write(Checkpoint(solver.name, step, solver.pack(state), history.arrays()))

    with _signals() as seen:
        while status is None and step < max_steps and not seen:
            new, metrics = solver.step(state)
            if not all(math.isfinite(v) for v in metrics.values()):
                status = Status.NON_FINITE
                break
            state, step = new, step + 1
            history.append(metrics)
            for callback in callbacks:
                callback(step, metrics)
            status = solver.done(metrics)
            if checkpoint is not None and status is None and step % checkpoint.every == 0:
                save()
        if step > first and (seen or status is not None):
            save()
    seconds = time.perf_counter() - began
    timing = {"seconds": seconds, "seconds_per_step": seconds / max(step - first, 1)}
    # A signal wins over every other end: whoever sent it wants the work to stop, and a resume finds that end again.
    status = Status.INTERRUPTED if seen else status or Status.MAX_STEPS
    result = Result(solver.solution(state), history.dataset(), status, step, history.last(), timing)
    if seen:
        raise Interrupted(seen[0], result)
    return result


def finished(solver: Solver[S], max_steps: int, *also: Status, callbacks: Sequence[Callback] = ()) -> Result:
    """Run a solver as a part of other work, which goes on with a solution or not at all.

    Parameters
    ----------
    solver : Solver
        What to run.
    max_steps : int
        Largest number of steps.
    *also : Status
        Ends, beside convergence, for which the caller vouches: ``Status.MAX_STEPS`` where steps are a budget.
    callbacks : sequence of callable, optional
        As in `iterate`.

    Returns
    -------
    Result
        That of `iterate`.

    Raises
    ------
    Interrupted
        If a signal stopped the solve.
    SolverError
        If it ended in any other way.

    Examples
    --------
    See `retrodict.solvers.radio.self_calibration.self_calibrated`.
    """
    result = iterate(solver, max_steps, callbacks=callbacks)
    result.status.require(solver.name, *also)
    return result


class _History:
    """Metrics of all steps, as columns."""

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self.columns = {k: list(v.tolist()) for k, v in columns.items()}

    def append(self, metrics: Metrics) -> None:
        if "step" in metrics or (self.columns and set(metrics) != set(self.columns)):
            raise SolverError(
                expected("metrics", sorted(metrics), f"the names of the first step {sorted(self.columns)}")
            )
        for name, value in metrics.items():
            self.columns.setdefault(name, []).append(float(value))

    def last(self) -> dict[str, float]:
        return {k: v[-1] for k, v in self.columns.items() if v}

    def arrays(self) -> dict[str, Array]:
        return {k: np.array(v) for k, v in self.columns.items()}

    def dataset(self) -> xr.Dataset:
        import xarray as xr

        arrays = self.arrays()
        n = len(next(iter(arrays.values()), ()))
        return xr.Dataset({k: ("step", v) for k, v in arrays.items()}, coords={"step": np.arange(1, n + 1)})


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM for the time of the loop; a second SIGINT raises as usual."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def note(number: int, _frame: object) -> None:
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.append(number)

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
