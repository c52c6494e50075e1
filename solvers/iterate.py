"""The one loop of the suite: steps, stopping, history, checkpoints, NaN watch and signals."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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

__all__ = ["finished", "iterate"]

S = TypeVar("S")


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
    the step under way, with a checkpoint. A resumed run gives the same solution and history, to the last bit, as one
    that was never stopped.

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

    with _signals() as stopped:
        while status is None and step < max_steps:
            new, metrics = solver.step(state)
            if not all(math.isfinite(v) for v in metrics.values()):
                status = Status.NON_FINITE
                break
            state, step = new, step + 1
            history.append(metrics)
            for callback in callbacks:
                callback(step, metrics)
            status = solver.done(metrics)
            if status is None and stopped():
                status = Status.INTERRUPTED
            if checkpoint is not None and (status is not None or step % checkpoint.every == 0):
                save()
    seconds = time.perf_counter() - began
    timing = {"seconds": seconds, "seconds_per_step": seconds / max(step - first, 1)}
    data = solver.solution(state)
    return Result(data, history.dataset(), status or Status.MAX_STEPS, step, history.last(), timing)


def finished(solver: Solver[S], max_steps: int) -> Result:
    """Run a solver as a part of other work, which goes on with a solution or not at all.

    Parameters
    ----------
    solver : Solver
        What to run.
    max_steps : int
        Largest number of steps.

    Returns
    -------
    Result
        That of `iterate`.

    Raises
    ------
    KeyboardInterrupt
        If a signal stopped the solve.
    SolverError
        If it failed.

    Examples
    --------
    See `retrodict.solvers.radio.self_calibration.self_calibrated`.
    """
    result = iterate(solver, max_steps)
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    if result.status not in (Status.CONVERGED, Status.MAX_STEPS):
        raise SolverError(expected(solver.name, f"status {result.status.value}", "a solve that ends with a solution"))
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
def _signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a flag for the time of the loop; a second SIGINT raises as usual."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: bool(seen)
        return

    def note(number: int, _frame: object) -> None:
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.append(number)

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
