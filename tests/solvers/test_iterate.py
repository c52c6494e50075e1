import numpy as np
import pytest

from retrodict.physics.errors import CheckpointError, SolverError
from retrodict.solvers.base import Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.iterate import finished, iterate


def test_history_holds_every_step_and_best_the_last(halve):
    result = iterate(halve(below=0.1), 10)
    assert result.status is Status.CONVERGED
    assert result.steps == 4
    assert result.history["step"].values.tolist() == [1, 2, 3, 4]
    assert result.history["size"].values.tolist() == [0.5, 0.25, 0.125, 0.0625]
    assert result.best == {"size": 0.0625, "log": -4.0}
    assert float(result.data["s"]) == 0.0625
    assert set(result.timing) == {"seconds", "seconds_per_step"}


def test_largest_number_of_steps(halve):
    result = iterate(halve(), 3)
    assert (result.status, result.steps) == (Status.MAX_STEPS, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [1, 3])
def test_non_finite_metrics_end_the_solve_with_the_last_finite_state(halve, bad, at):
    result = iterate(halve(fault={at: bad}), 10)
    assert result.status is Status.NON_FINITE
    assert result.steps == at - 1
    assert float(result.data["s"]) == 0.5 ** (at - 1)
    assert result.history.sizes["step"] == at - 1
    assert all(np.isfinite(v).all() for v in result.history.values())


def test_the_checkpoint_of_a_broken_run_is_the_last_finite_one(halve, tmp_path):
    store = CheckpointStore(tmp_path)
    iterate(halve(fault={4: np.nan}), 10, checkpoint=store)
    assert store.newest("halve").step == 3
    assert iterate(halve(), 6, checkpoint=store, resume=True).steps == 6


def test_statuses_of_the_solver_are_passed_on(halve):
    solver = halve()
    solver.done = lambda metrics: Status.STALLED if metrics["size"] < 0.3 else None
    assert iterate(solver, 10).status is Status.STALLED


def test_callbacks_see_every_step_in_order(halve):
    seen = []
    iterate(halve(below=0.2), 10, callbacks=[lambda k, m: seen.append((k, m["size"])), lambda k, _m: seen.append(k)])
    assert seen == [(1, 0.5), 1, (2, 0.25), 2, (3, 0.125), 3]


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_resumed_history_and_solution_equal_the_uninterrupted_ones(halve, tmp_path, stop, every):
    whole = iterate(halve(below=1e-3), 20)
    store = CheckpointStore(tmp_path, every=every)
    iterate(halve(below=1e-3), stop, checkpoint=store)
    solver = halve(below=1e-3)
    result = iterate(solver, 20, checkpoint=store, resume=True)
    assert solver.calls == whole.steps - stop // every * every
    assert result.history.equals(whole.history)
    assert result.data.identical(whole.data)
    assert (result.status, result.steps, result.best) == (whole.status, whole.steps, whole.best)


def test_resuming_a_finished_run_does_nothing_and_says_the_same(halve, tmp_path):
    store = CheckpointStore(tmp_path)
    done = iterate(halve(below=0.1), 20, checkpoint=store)
    solver = halve(below=0.1)
    again = iterate(solver, 20, checkpoint=store, resume=True)
    assert solver.calls == 0
    assert (again.status, again.steps) == (done.status, done.steps)
    assert again.history.equals(done.history)


def test_the_last_state_is_kept_whatever_the_interval(halve, tmp_path):
    iterate(halve(below=0.01), 20, checkpoint=CheckpointStore(tmp_path, every=100))
    assert CheckpointStore(tmp_path).newest("halve").step == 7


def test_resuming_without_checkpoints_begins_anew(halve, tmp_path):
    assert iterate(halve(), 2, checkpoint=CheckpointStore(tmp_path / "none"), resume=True).steps == 2


def test_another_solvers_checkpoint_is_refused(halve, tmp_path):
    store = CheckpointStore(tmp_path)
    iterate(halve(), 2, checkpoint=store)
    with pytest.raises(CheckpointError, match="got a checkpoint of 'halve', expected one of 'third'"):
        iterate(halve(name="third"), 4, checkpoint=store, resume=True)


def test_old_checkpoints_are_ignored_without_resume(halve, tmp_path):
    store = CheckpointStore(tmp_path)
    iterate(halve(), 5, checkpoint=store)
    assert iterate(halve(), 2, checkpoint=store).steps == 2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"max_steps": 0}, "max_steps: got 0, expected a positive number"),
        ({"max_steps": 2, "resume": True}, "resume: got no checkpoint store, expected the store to resume from"),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_step(halve, arguments, match):
    solver = halve()
    with pytest.raises(SolverError, match=match):
        iterate(solver, **arguments)
    assert solver.calls == 0


def test_metrics_must_keep_their_names(halve):
    solver = halve()
    step = solver.step
    solver.step = lambda s: (step(s)[0], {"size": 1.0} if s[1] < 2 else {"other": 1.0})
    with pytest.raises(SolverError, match=r"metrics: got \['other'\], expected the names of the first step \['size'\]"):
        iterate(solver, 5)
    solver.step = lambda s: (step(s)[0], {"size": 1.0, "step": 1.0})
    with pytest.raises(SolverError, match="'step'"):
        iterate(solver, 5)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.CONVERGED])
def test_a_part_of_other_work_ends_as_its_caller_vouches_for_or_not_at_all(halve, status):
    solver = halve(below=0.1)
    assert finished(solver, 10).status is Status.CONVERGED
    solver.done = lambda metrics: status if metrics["size"] < 0.1 else None
    with pytest.raises(SolverError, match=f"halve: got status {status.value} .*, expected converged"):
        finished(solver, 10)
    with pytest.raises(SolverError, match="expected one of converged, "):
        finished(solver, 10, Status.MAX_STEPS if status is not Status.MAX_STEPS else Status.STALLED)
    assert finished(solver, 10, status).status is status


def test_steps_are_a_budget_where_the_caller_says_so(halve):
    seen = []
    with pytest.raises(SolverError, match="status max-steps"):
        finished(halve(), 3)
    told = finished(halve(), 3, Status.MAX_STEPS, callbacks=[lambda step, _: seen.append(step)])
    assert (told.status, seen) == (Status.MAX_STEPS, [1, 2, 3])
    with pytest.raises(SolverError, match="status non-finite"):
        finished(halve(fault={2: np.nan}), 10, Status.MAX_STEPS)
