import os
import signal
import threading

import pytest

from retrodict.solvers.base import Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.iterate import iterate


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(halve, tmp_path, number):
    store = CheckpointStore(tmp_path, every=100)
    solver = halve(fault={3: lambda: os.kill(os.getpid(), number)})
    result = iterate(solver, 10, checkpoint=store)
    assert (result.status, result.steps) == (Status.INTERRUPTED, 3)
    assert store.newest("halve").step == 3
    whole = iterate(halve(), 10)
    resumed = iterate(halve(), 10, checkpoint=store, resume=True)
    assert resumed.history.equals(whole.history)
    assert resumed.data.identical(whole.data)


def test_handlers_are_given_back(halve):
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    iterate(halve(), 2)
    assert {n: signal.getsignal(n) for n in before} == before
    with pytest.raises(ZeroDivisionError):
        iterate(halve(fault={1: lambda: 1 / 0}), 2)
    assert {n: signal.getsignal(n) for n in before} == before


def test_a_second_interrupt_raises_at_once(halve):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    solver = halve(fault={2: twice})
    with pytest.raises(KeyboardInterrupt):
        iterate(solver, 10)
    assert solver.calls == 2


def test_convergence_wins_over_a_signal_in_the_same_step(halve):
    result = iterate(halve(below=0.25, fault={2: lambda: signal.raise_signal(signal.SIGINT)}), 10)
    assert result.status is Status.CONVERGED


def test_other_threads_run_without_signal_handlers(halve):
    results = []
    worker = threading.Thread(target=lambda: results.append(iterate(halve(), 3)))
    worker.start()
    worker.join()
    assert results[0].status is Status.MAX_STEPS
