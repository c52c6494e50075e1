import os
import pickle
import signal
import threading

import numpy as np
import pytest

from retrodict.inverse.estimators import LevenbergMarquardt, estimate
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.iterate import Interrupted, iterate


def _interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step_with_a_checkpoint(halve, tmp_path, number):
    store = CheckpointStore(tmp_path, every=100)
    solver = halve(fault={3: lambda: os.kill(os.getpid(), number)})
    with pytest.raises(Interrupted) as stopped:
        iterate(solver, 10, checkpoint=store)
    result = stopped.value.result
    assert (result.status, result.steps, stopped.value.number) == (Status.INTERRUPTED, 3, number)
    assert float(result.data["s"]) == 1 / 8
    sent = pickle.loads(pickle.dumps(stopped.value))  # as from a worker of a sweep
    assert (str(sent), sent.result.steps) == (f"stopped by {signal.Signals(number).name} after 3 steps", 3)
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


def test_a_signal_in_the_last_step_stops_too_and_a_resume_finds_the_end(halve, tmp_path):
    store = CheckpointStore(tmp_path)
    with pytest.raises(Interrupted, match="stopped by SIGINT after 2 steps"):
        iterate(halve(below=0.25, fault={2: _interrupt}), 10, checkpoint=store)
    assert iterate(halve(below=0.25), 10, checkpoint=store, resume=True).status is Status.CONVERGED


def test_a_signal_while_a_checkpoint_is_written_loses_no_step(halve, tmp_path, monkeypatch):
    store, write = CheckpointStore(tmp_path, every=2), CheckpointStore.write
    monkeypatch.setattr(CheckpointStore, "write", lambda self, point: (write(self, point), _interrupt()))
    with pytest.raises(KeyboardInterrupt):
        iterate(halve(), 10, checkpoint=store)
    assert store.newest("halve").step == 2


def test_a_loop_over_estimates_stops(monkeypatch):
    prior = Term("prior", GaussianPrior("x", 3.0, std=1.0))
    problem = InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(0.0)})
    step, done = LevenbergMarquardt.step, []

    def interrupted(self, state):
        _interrupt()
        return step(self, state)

    monkeypatch.setattr(LevenbergMarquardt, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        done.extend(estimate(problem) for _ in range(3))
    assert done == []


def test_other_threads_run_without_signal_handlers(halve):
    results = []
    worker = threading.Thread(target=lambda: results.append(iterate(halve(), 3)))
    worker.start()
    worker.join()
    assert results[0].status is Status.MAX_STEPS
