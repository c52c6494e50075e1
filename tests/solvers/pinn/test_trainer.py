"""Plans of legs and stages: continuity, points, resuming to the last bit, and what training says about its end."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.physics.system import Dirichlet, Neumann, key
from retrodict.solvers.base import Solver, Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.iterate import iterate
from retrodict.solvers.pinn.certificate import certify
from retrodict.solvers.pinn.diagnosis import field_error
from retrodict.solvers.pinn.lagrangian import relabelled
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.parts import Part
from retrodict.solvers.pinn.plans import Leg, Stage, curriculum, marching
from retrodict.solvers.pinn.sampling import Sampling, causal_weights
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import separate_networks
from retrodict.solvers.pinn.validation import residual_rms

FEW = Sampling(24, 8)


def tiny(system):
    return separate_networks(system, 4, 1)


def run(trainer, steps, state=None):
    """Return the states on the way; a quasi-Newton state that is two steps old cannot be packed any more."""
    seen = [trainer.init() if state is None else state]
    for _ in range(steps):
        state, metrics = trainer.step(seen[-1])
        seen.append(state)
        if trainer.done(metrics) is not None:
            break
    return seen


PLANS = {
    "march": lambda: Trainer(
        marching(convection(2.0, 0.1), [0.0, 0.3, 1.0], [Stage("adam", 2), Stage("ssbroyden", 5, refresh=2)]), tiny, FEW
    ),
    "curriculum": lambda: Trainer(
        curriculum(
            [convection(c) for c in (1.0, 2.0)], [Stage("l-bfgs", 3), Stage("levenberg-marquardt", 3, refresh=1)]
        ),
        tiny,
        Sampling(24, 8, adaptive=0.5, grading=1.5, causal=0.2),
        seed=3,
    ),
    "labels": lambda: Trainer(
        tuple(
            Leg(
                Lagrangian(burgers(0.1, c=5.0)), a, b, (Stage("ssbroyden", 3, refresh=2), Stage("soap", 2)), True, start
            )
            for a, b, start in ((0.0, 0.2, None), (0.2, 0.4, None), (0.4, 0.6, relabelled))
        ),
        tiny,
        Sampling(24, 8, adaptive=0.5),
    ),
    "slopes": lambda: Trainer(
        marching(sloped(), [0.0, 0.5, 1.0], [Stage("gauss-newton", 3)]), tiny, FEW, soft_weight=2.0
    ),
}


def sloped():
    faces = (
        Dirichlet("u", "x", "lower", lambda at: 0 * at["t"]),
        Neumann("u", "x", "upper", lambda at: torch.ones_like(at["t"])),
    )
    return replace(burgers_interval(0.1), initial=lambda at: at["x"] + 1, boundary=faces)


def frozen(pack):
    return {k: (v.dtype, v.tobytes()) for k, v in pack.items()}


def bits(trainer, state):
    return frozen(trainer.pack(state))


@pytest.mark.parametrize("name", PLANS)
def test_resuming_anywhere_gives_the_same_bits(name):
    whole = PLANS[name]()
    assert isinstance(whole, Solver)
    state, packs, metrics = whole.init(), [], {"over": 0.0}
    while not metrics["over"]:
        packs.append(whole.pack(state))
        state, metrics = whole.step(state)
    for stop in np.random.default_rng(len(name)).choice(len(packs), 3, replace=False):
        again = PLANS[name]()
        resumed = again.unpack(packs[stop])
        assert bits(again, resumed) == frozen(packs[stop])
        rest = run(again, 40, resumed)
        assert len(rest) == len(packs) + 1 - stop
        assert bits(again, rest[-1]) == bits(whole, state)


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("name", PLANS)
def test_a_state_that_has_been_left_behind_is_what_it_was(name, read):
    trainer = PLANS[name]()
    state = trainer.init()
    for _ in range(8):
        state = trainer.unpack(trainer.pack(state)) if read else state
        before = bits(trainer, state)
        new, _ = trainer.step(state)
        assert bits(trainer, state) == before
        state = new


def test_checkpoints_carry_a_run_across_legs_stages_and_refreshes(tmp_path):
    whole = iterate(PLANS["march"](), 100)
    store = CheckpointStore(tmp_path)
    for stop in (1, 4, 8, 11):
        iterate(PLANS["march"](), stop, checkpoint=store, resume=stop > 1)
    resumed = iterate(PLANS["march"](), 100, checkpoint=store, resume=True)
    assert resumed.data.identical(whole.data)
    assert resumed.history.identical(whole.history)
    assert resumed.status is whole.status


def test_legs_and_stages_follow_the_plan():
    trainer = PLANS["march"]()
    seen = run(trainer, 40)
    places = [(s.leg, s.stage, s.step) for s in seen]
    assert places == [
        *((0, 0, k) for k in range(2)),
        *((0, 1, k) for k in range(5)),
        *((1, 0, k) for k in range(2)),
        *((1, 1, k) for k in range(6)),
    ]
    assert [len(s.pieces) for s in seen] == [0] * 7 + [1] * 8
    assert [len(s.checks) for s in seen] == [0] * 7 + [1] * 7 + [2]


def test_a_march_is_continuous_and_its_dataset_gives_it_back():
    trainer = PLANS["march"]()
    last = run(trainer, 40)[-1]
    data = trainer.solution(last)
    assert data["since"].values.tolist() == [0.0, 0.3]
    assert data["until"].values.tolist() == [0.3, 1.0]
    first, second = PLANS["march"]().pieces_of(data)
    at = {"t": np.full(50, 0.3), "x": np.linspace(0, 2 * math.pi, 50)}
    left, right = (p.trial.derivatives(p.weights, at, [key("u"), key("u", "x")]) for p in (first, second))
    assert (left["u"] - right["u"]).abs().max() < 1e-13
    assert (left["u", "x"] - right["u", "x"]).abs().max() < 1e-11
    assert (left["u"] - torch.sin(torch.as_tensor(at["x"]))).abs().max() > 1e-3


@pytest.mark.parametrize("plan", [marching, curriculum])
def test_a_leg_goes_on_from_the_weights_before(plan):
    first = convection(1.0), [0.0, 0.5, 1.0]
    legs = (
        plan(*first, [Stage("adam", 1)]) if plan is marching else plan([first[0], convection(2.0)], [Stage("adam", 1)])
    )
    trainer = Trainer(legs, tiny, FEW)
    before, after = run(trainer, 1)
    expected = before.optimizer.pack(before.optimizer.step(before.inner)[0])["x"]
    assert (after.leg, after.step) == (1, 0)
    assert np.array_equal(after.weights, expected)
    assert np.array_equal(trainer.pack(after)["inner/x"], expected)
    assert len(after.pieces) == (1 if plan is marching else 0)


def test_a_curriculum_keeps_its_last_leg_alone():
    trainer = PLANS["curriculum"]()
    last = run(trainer, 40)[-1]
    assert last.pieces == ()
    data = trainer.solution(last)
    assert [k for k in data.data_vars if k.startswith("weights")] == ["weights_0"]
    (piece,) = trainer.pieces_of(data)
    assert piece.trial.system.system.values == {"c": 2.0}
    assert len(last.checks) == 1


def test_legs_of_other_sizes_start_afresh():
    system, stages = convection(1.0), (Stage("adam", 1),)

    def growing(window):
        return separate_networks(window, 4 if window.coords["t"].bounds[0] == 0 else 6, 1)

    trainer = Trainer(marching(system, [0.0, 0.5, 1.0], stages), growing, FEW)
    _, second = run(trainer, 1)
    assert second.weights.size == trainer.trial(1, second.pieces).size > second.pieces[0].size
    assert np.all(np.isfinite(second.weights))


def test_points_are_drawn_anew_when_they_are_due_and_only_then():
    trainer = Trainer(marching(convection(2.0), [0, 1], [Stage("ssbroyden", 7, refresh=3)]), tiny, FEW)
    seen = run(trainer, 7)
    fresh = [not np.array_equal(a.points["x"], b.points["x"]) for a, b in pairwise(seen)]
    assert fresh == [False, False, False, True, False, False, True]
    assert all(np.array_equal(s.points["t"][-8:], np.zeros(8)) for s in seen)
    kept = run(Trainer(marching(convection(2.0), [0, 1], [Stage("ssbroyden", 7)]), tiny, FEW), 7)
    assert all(s.points is kept[0].points for s in kept)


def test_a_method_that_can_keeps_its_curvature_over_new_points():
    for refresh, equal in ((5, False), (0, True)):
        trainer = Trainer(marching(convection(2.0), [0, 1], [Stage("ssbroyden", 9, refresh=refresh)]), tiny, FEW)
        before, after = run(trainer, 6)[-2:]
        assert after.inner.age == before.inner.age + 1
        assert np.array_equal(before.points["x"], after.points["x"]) is equal


def test_adaptive_points_gather_where_the_residual_is_large():
    def late(adaptive):
        plan = marching(convection(8.0), [0, 1], [Stage("adam", 2, refresh=1)])
        trainer = Trainer(plan, tiny, Sampling(400, 0, adaptive=adaptive, power=2.0))
        state = run(trainer, 2)[-1]
        trial = trainer.trial(0, ())
        return np.mean(residual_rms(trial, state.weights, state.points) ** 2)

    assert late(0.9) > 1.1 * late(0.0)


def test_causal_weights_are_those_of_the_residuals_at_the_points():
    sampling = Sampling(64, 8, causal=0.3, bins=8)
    trainer = Trainer(marching(convection(3.0), [0.0, 0.5], [Stage("adam", 3, refresh=2)]), tiny, sampling)
    for state in (trainer.init(), run(trainer, 3)[-1]):
        r = residual_rms(trainer.trial(0, ()), state.weights, state.points)
        expected = causal_weights(state.points["t"], r, (0.0, 0.5), 0.3, 8)
        np.testing.assert_allclose(state.importance, expected, rtol=1e-12)
        assert state.importance.min() < 0.5 < state.importance.max()


def test_seeds_decide():
    one, two, other = (
        Trainer(marching(convection(2.0), [0, 1], [Stage("adam", 3)]), tiny, FEW, seed=s) for s in (0, 0, 1)
    )
    assert bits(one, run(one, 3)[-1]) == bits(two, run(two, 3)[-1])
    assert not np.array_equal(one.init().weights, other.init().weights)
    assert not np.array_equal(one.init().points["x"], other.init().points["x"])


def test_soft_conditions_and_data_are_in_the_loss():
    def data(trial):
        return [
            Part("data", {"t": np.ones(3), "x": np.zeros(3)}, (key("u"),), lambda d, _a, _p: {"d": d["u"] - 1}, 5.0)
        ]

    def loss(**options):
        plan = marching(sloped(), [0.0, 1.0], [Stage("adam", 1)])
        trainer = Trainer(plan, tiny, FEW, **options)
        return trainer.init().optimizer.objective

    names = [p.name for p in loss(parts=data, soft_weight=3.0).parts]
    assert names == ["equations", "du/dx at upper x", "data"]
    plain, heavy = loss(), loss(soft_weight=4.0)
    soft = half_mean_square(plain, "du/dx at upper x")
    assert heavy.value(heavy.start) - plain.value(plain.start) == pytest.approx(3 * soft, rel=1e-9)
    assert np.all(plain.parts[1].coords["x"] == 1.0)


def half_mean_square(loss, name):
    """Return half the mean square of one part."""
    (part,) = [p for p in loss.parts if p.name == name]
    assert part.weight == 1.0
    return ResidualLoss(loss.trial, [part], loss.start["weights"]).value(loss.start)


def test_scales_reach_the_loss_and_the_validation():
    plan = marching(convection(2.0), [0, 1], [Stage("adam", 1)])
    plain, scaled = (Trainer(plan, tiny, FEW, scales=s) for s in ({}, {"convection": 3.0}))
    (_, one), (_, two) = (t.step(t.init()) for t in (plain, scaled))
    assert two["loss"] == pytest.approx(9 * one["loss"], rel=1e-6)
    assert two["validation"] == pytest.approx(3 * one["validation"], rel=0.01)


def test_a_solved_problem_has_converged():
    plan = marching(convection(1.0), [0.0, 1.0], [Stage("ssbroyden", 60)])
    trainer = Trainer(plan, lambda s: separate_networks(s, 8, 2), Sampling(256, 32), tolerance=1e-2)
    result = iterate(trainer, 100)
    assert result.status is Status.CONVERGED
    (piece,) = trainer.pieces_of(result.data)
    assert field_error(piece) < 1e-2


def test_an_unsolved_problem_has_not():
    result = iterate(Trainer(marching(convection(9.0), [0, 1], [Stage("adam", 3)]), tiny, FEW), 100)
    assert result.status is Status.MAX_STEPS
    assert result.best["validation"] > 0.1


def test_a_plan_that_is_cut_short_says_so():
    result = iterate(PLANS["march"](), 3)
    assert result.status is Status.MAX_STEPS
    assert result.steps == 3


def layered(count=24, initial=0):
    plan = marching(convection(20.0), [0.0, 1.0], [Stage("levenberg-marquardt", 80)])
    return Trainer(plan, lambda s: separate_networks(s, 12, 2), Sampling(count, initial))


def test_a_loss_that_vanishes_at_a_few_points_is_no_solution():
    trainer = layered()
    result = iterate(trainer, 80)
    assert (2 * result.best["loss"]) ** 0.5 < 1e-3
    assert result.status is Status.INVALID
    (piece,) = trainer.pieces_of(result.data)
    assert field_error(piece) > 0.3
    bound = certify([piece], training=(2 * result.best["loss"]) ** 0.5)
    assert bound.attrs["verdict"] == "invalid"
    assert bound.attrs["alarm"] == 1


def test_a_bad_window_in_the_middle_is_not_forgotten():
    fine, coarse = (Stage("levenberg-marquardt", 80), Sampling(24, 0))
    system = convection(20.0)
    legs = (*marching(system, [0.0, 0.9], [fine]), Leg(system, 0.9, 1.0, (Stage("adam", 1),)))
    result = iterate(Trainer(legs, lambda s: separate_networks(s, 12, 2), coarse), 100)
    assert result.status is Status.INVALID
    assert result.best["validation"] > 1


def test_a_window_that_is_solved_better_than_the_one_before_is_no_alarm():
    system = convection(1.0, 0.1)
    coarse, fine = (Stage("adam", 2),), (Stage("levenberg-marquardt", 20),)
    legs = (Leg(system, 0.0, 0.5, coarse), Leg(system, 0.5, 1.0, fine))
    result = iterate(Trainer(legs, lambda s: separate_networks(s, 6, 1), Sampling(128, 16), tolerance=10.0), 100)
    assert result.best["validation"] > 30 * (2 * result.best["loss"]) ** 0.5
    assert result.status is Status.CONVERGED


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Trainer((), tiny, FEW), "0 legs"),
        (lambda: Trainer((Leg(convection(1.0), 0.0, 1.0, ()),), tiny, FEW), "each with stages"),
        (
            lambda: Trainer((Leg(convection(1.0), 0.0, 1.0, (Stage("adam", 1),), False),), tiny, FEW),
            "the last one kept",
        ),
        (
            lambda: Trainer(marching(convection(1.0), [0, 1], [Stage("newton", 1)]), tiny, FEW),
            "'newton', expected one of",
        ),
        (lambda: Trainer(marching(convection(1.0), [0, 2], [Stage("adam", 1)]), tiny, FEW), "a window inside"),
        (lambda: Stage("adam", 0), "steps >= 1"),
        (lambda: Stage("adam", 1, refresh=-1), "refresh >= 0"),
        (
            lambda: Trainer(marching(convection(1.0), [0, 1], [Stage("ssbroyden", 1)]), tiny, FEW, dtype=torch.float32),
            "ssbroyden in float32",
        ),
        (
            lambda: Trainer(
                marching(convection(1.0, initial=lambda at: at["x"]), [0, 1], [Stage("adam", 1)]), tiny, FEW
            ),
            "a jump of 6.28 across the period of x, expected periodic data",
        ),
        (
            lambda: Trainer(
                marching(convection(1.0), [0, 1], [Stage("adam", 1)]),
                tiny,
                FEW,
                parts=lambda _t: [Part("data", {"t": np.array([np.nan]), "x": np.zeros(1)}, (key("u"),), dict)],
            ),
            "points of data: got some that are not finite",
        ),
    ],
)
def test_plans_that_mean_nothing_are_refused(make, message):
    with pytest.raises(SolverError, match=message):
        make()


def test_single_precision_trains_with_first_order_methods():
    plan = marching(convection(1.0), [0, 1], [Stage("adam", 5)])
    result = iterate(Trainer(plan, tiny, FEW, dtype=torch.float32), 5)
    assert np.isfinite(result.best["loss"])


@pytest.mark.slow
def test_the_thin_layer_is_flagged_and_never_a_success():
    plan = marching(convection(80.0), [0.0, 1.0], [Stage("ssbroyden", 2000)])
    trainer = Trainer(plan, lambda s: separate_networks(s, 20, 3), Sampling(512, 0))
    result = iterate(trainer, 2000)
    training = (2 * result.best["loss"]) ** 0.5
    (piece,) = trainer.pieces_of(result.data)
    assert training < 2e-4
    assert field_error(piece) > 0.5
    assert result.status is Status.INVALID
    bound = certify([piece], training=training, accuracy=0.2, rounds=2)
    assert (bound.attrs["verdict"], bound.attrs["alarm"]) == ("invalid", 1)
    assert bound.attrs["relative_bound"] >= field_error(piece)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1])))
from test_trainer import PLANS
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.iterate import iterate

def die(step, metrics):
    if step == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

result = iterate(PLANS["march"](), 100, checkpoint=CheckpointStore(Path(sys.argv[2])), resume=True, callbacks=[die])
"""


@pytest.mark.slow
def test_a_run_that_is_killed_twice_gives_the_same_bits(tmp_path):
    whole = iterate(PLANS["march"](), 100)
    store = tmp_path / "torn"
    for at in (3, 12):
        command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(store), str(at)]
        killed = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = iterate(PLANS["march"](), 100, checkpoint=CheckpointStore(store), resume=True)
    assert resumed.data.identical(whole.data)
    assert resumed.history.identical(whole.history)
