"""Stopped after k steps and resumed, every solver gives the same numbers to the last bit."""

from functools import partial

import numpy as np
import pytest

from retrodict.physics.errors import CheckpointError
from retrodict.solvers.base import Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.gradient import LBFGS
from retrodict.solvers.iterate import iterate
from retrodict.solvers.least_squares import GaussNewton, LevenbergMarquardt
from retrodict.solvers.natural_gradient import NaturalGradient

SOLVERS = [
    LevenbergMarquardt,
    partial(LevenbergMarquardt, factorisation="cholesky"),
    GaussNewton,
    NaturalGradient,
    LBFGS,
]


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("limits", [{}, {"x": (-2.0, 0.6)}], ids=["free", "bounded"])
@pytest.mark.parametrize("stop", [1, 2, 5, 9])
def test_resumed_equals_uninterrupted(kind, rosenbrock, tmp_path, limits, stop):
    whole = iterate(kind(rosenbrock(bounds=limits)), 100)
    assert whole.status is Status.CONVERGED
    store = CheckpointStore(tmp_path, every=2)
    iterate(kind(rosenbrock(bounds=limits)), stop, checkpoint=store)
    resumed = iterate(kind(rosenbrock(bounds=limits)), 100, checkpoint=store, resume=True)
    assert (resumed.status, resumed.steps) == (whole.status, whole.steps)
    for name in whole.data:
        assert np.array_equal(resumed.data[name].values, whole.data[name].values)
    assert list(resumed.history) == list(whole.history)
    for name in whole.history:
        assert np.array_equal(resumed.history[name].values, whole.history[name].values)


@pytest.mark.parametrize("kind", SOLVERS)
def test_pack_and_unpack_are_inverse_to_the_last_bit(kind, rosenbrock):
    solver = kind(rosenbrock())
    state = solver.init()
    for _ in range(3):
        packed = solver.pack(state)
        again = solver.pack(solver.unpack(packed))
        assert set(packed) == set(again)
        for name in packed:
            assert packed[name].tobytes() == again[name].tobytes()
        state, _ = solver.step(state)


@pytest.mark.parametrize("kind", SOLVERS)
def test_checkpoints_of_another_method_or_problem_are_refused(kind, rosenbrock, tmp_path):
    store = CheckpointStore(tmp_path)
    iterate(kind(rosenbrock()), 2, checkpoint=store)
    other = rosenbrock()
    other.name = "another"
    for solver in (kind(other), *(k(rosenbrock()) for k in SOLVERS if k is not kind)):
        with pytest.raises(CheckpointError, match="got a checkpoint of"):
            iterate(solver, 4, checkpoint=store, resume=True)
