"""DeepXDE solves the very problem that is declared, leaves its process alone, and loses nothing on the way."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, rotation
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.physics.pde.quasilinear import QuasiLinear, line
from retrodict.physics.pde.reaction import reaction
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import (
    Derivatives,
    Dirichlet,
    Initial,
    Neumann,
    PDESystem,
    Periodic,
    key,
    nested_derivatives,
)
from retrodict.solvers.base import Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.deepxde.engine import Engine, sample
from retrodict.solvers.deepxde.fields import derivatives_of, inputs_of
from retrodict.solvers.deepxde.session import load, session
from retrodict.solvers.deepxde.training import DeepXDEProblem, DeepXDESetup, DeepXDETrainer, train_with_deepxde
from retrodict.solvers.iterate import iterate
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.trial import Trial

SMALL = DeepXDESetup(width=8, depth=2, domain=60, boundary=40, initial=30)


def slopes() -> QuasiLinear:
    """A plane with every kind of face."""
    box = Space({"t": Var(bounds=(0.5, 2.0)), "x": Var(bounds=(-1.0, 2.0)), "y": Var(bounds=(0.0, 1.0))})
    faces = (
        Neumann("u", "x", "lower", lambda at: at["y"] + at["t"]),
        Neumann("u", "x", "upper", lambda at: torch.sin(at["y"])),
        Dirichlet("u", "y", "lower", lambda at: at["x"]),
        Neumann("u", "y", "upper", lambda at: at["x"] * at["t"]),
    )
    carried = {"streams": {"x": "c"}, "diffusivity": lambda u, _a, _p: 1 + u**2}
    return QuasiLinear("slopes", box, lambda at: at["x"], {"c": 1.5}, **carried, boundary=faces)


SYSTEMS = {
    "convection-diffusion": convection(3.0, 0.2),
    "burgers": burgers(0.02, c=2.0),
    "burgers-interval": burgers_interval(0.1),
    "reaction": reaction(5.0),
    "rotation": rotation(nu=0.01),
    "lagrangian": Lagrangian(burgers(0.05, c=7.0)),
    "slopes": slopes(),
}


@contextlib.contextmanager
def engine_of(system: PDESystem, setup: DeepXDESetup):
    problem = DeepXDEProblem(system, setup)
    with session(setup.precision, seed=1) as dde:
        engine = Engine(dde, problem, sample(dde, problem))
        # biases begin at zero, where much is symmetric by chance
        for parameter in engine.net.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
        yield dde, engine


def residuals_of(dde, engine) -> dict[str, torch.Tensor]:
    x = torch.as_tensor(engine.data.train_x).requires_grad_()
    rows = dict(zip(engine.equations, engine.data.pde(x, engine.net(x)), strict=True))
    dde.gradients.clear()
    return {k: v[:, 0].detach() for k, v in rows.items()}


@pytest.mark.parametrize("name", SYSTEMS)
def test_residuals_with_hard_constraints_are_those_of_a_trial_on_the_same_weights(name: str) -> None:
    system = SYSTEMS[name]
    with engine_of(system, replace(SMALL, hard=True)) as (dde, engine):
        features = inputs_of(engine.problem.axes)
        trial = Trial(system, [Network(tuple(system.fields), features, SMALL.width, SMALL.depth)])
        weights = np.concatenate([p.detach().numpy().ravel() for p in engine.net.parameters()])
        coords = {k: torch.as_tensor(v) for k, v in engine.problem.axes.split(engine.data.train_x).items()}
        got = residuals_of(dde, engine)
        engine.choose("adam")
        values = engine.predict(coords)
    d = trial.derivatives(weights, coords, [*system.derivatives, *(key(f) for f in system.fields)])
    wanted = system.residuals(d, coords, {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()})
    assert list(got) == list(wanted)
    for k, r in wanted.items():
        assert float((got[k] - r).abs().max()) <= 1e-10 * max(1.0, float(r.abs().max()))
    for f in system.fields:
        np.testing.assert_allclose(values[f], d[f], rtol=0, atol=1e-12)


def test_mixed_and_higher_derivatives_are_those_of_nested_differentiation() -> None:
    wanted = [key("u", *by) for by in ("tx", "xy", "yy", "xxy", "txy", "xxx")]
    with engine_of(slopes(), SMALL) as (dde, engine):
        axes = engine.problem.axes
        x = torch.as_tensor(engine.data.train_x).requires_grad_()
        got = derivatives_of(dde, axes, ["u"], wanted, x, engine.net(x))

        def field(at):
            return {"u": engine.net(torch.stack([at[k] for k in axes.names], -1))[:, 0]}

        expected = nested_derivatives(field, axes.split(x), wanted)
        for k in wanted:
            assert torch.allclose(got[k], expected[k], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_term_of_the_soft_loss_is_the_mean_square_of_what_was_declared(name: str) -> None:
    system = SYSTEMS[name]
    with engine_of(system, replace(SMALL, weights=(2.0, 3.0, 5.0), scale=7.0)) as (_, engine):
        engine.choose("adam")
        losses, names = engine.losses(), list(system.fields)
        dim = len(engine.problem.axes.names)

        def field(at):
            y = engine.net(torch.stack([at[k] for k in engine.problem.axes.names], -1))
            return {f: y[:, i] for i, f in enumerate(names)}

        def points(part: slice):
            return {k: torch.as_tensor(v) for k, v in engine.problem.axes.split(engine.data.train_x[part]).items()}

        edges = np.cumsum([0, *engine.data.num_bcs])
        parts = {t.name: slice(a, b) for t, a, b in zip(engine.terms, edges, edges[1:], strict=False)}
        expected: dict[str, float] = {}
        at = points(slice(edges[-1], None))
        params = {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}
        rows = system.residuals(nested_derivatives(field, at, system.derivatives), at, params)
        expected |= {k: 2.0 * float((r**2).mean().detach()) for k, r in rows.items()}
        for c in system.conditions:
            if isinstance(c, Periodic):
                for f in names:
                    for label, k in ((f, key(f)), (f"d{f}/d{c.coord}", key(f, c.coord))):
                        if (where := f"{c.name}: {label}") in parts:
                            at = points(parts[where])
                            d = nested_derivatives(field, at, [k])[k]
                            half = len(d) // 2
                            low, high = system.coords[c.coord].bounds
                            assert set(np.round(at[c.coord].numpy(), 12)) == {round(low, 12), round(high, 12)}
                            expected[where] = 5.0 * float(((d[:half] - d[half:]) ** 2).mean().detach())
                continue
            at, weight = points(parts[c.name]), 3.0 if isinstance(c, Initial) else 5.0
            coord, side = c.face
            assert torch.allclose(at[coord], torch.tensor(system.coords[coord].bounds[side == "upper"]).to(at[coord]))
            square = c.residual(nested_derivatives(field, at, c.derivatives), at) ** 2
            if isinstance(c, Initial) and c.rate is not None:
                expected[f"initial rate of {c.field}"] = weight * float(square[len(square) // 2 :].mean().detach())
                square = square[: len(square) // 2]
            expected[c.name] = weight * float(square.mean().detach())
    assert list(losses) == [*engine.equations, *parts]
    assert losses == pytest.approx(expected, rel=1e-10)
    assert dim == len(system.coords)


@dataclass(frozen=True)
class Less:
    """A system without one of its conditions."""

    system: PDESystem
    without: int

    def __getattr__(self, name):  # type: ignore[no-untyped-def]
        return getattr(self.system, name)

    @property
    def conditions(self):  # type: ignore[no-untyped-def]
        return tuple(c for i, c in enumerate(self.system.conditions) if i != self.without)


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_declared_condition_is_dropped(name: str) -> None:
    system = SYSTEMS[name]
    with engine_of(system, SMALL) as (_, engine):
        whole = [t.name for t in engine.terms]
    said = {c.name for c in system.conditions}
    assert said <= {n.partition(":")[0] for n in whole}
    for i, c in enumerate(system.conditions):
        with engine_of(Less(system, i), SMALL) as (_, engine):
            left = [t.name for t in engine.terms]
        rate = f"initial rate of {c.field}" if isinstance(c, Initial) else None
        mine = [n for n in whole if n.partition(":")[0] == c.name or n == rate]
        assert mine
        assert left == [n for n in whole if n not in mine]


def test_slopes_at_a_seam_are_asked_for_where_the_equation_is_of_second_order() -> None:
    for system, wanted in ((convection(1.0), 1), (convection(1.0, 0.1), 2), (reaction(2.0), 1)):
        with engine_of(system, SMALL) as (_, engine):
            assert len([t for t in engine.terms if t.name.startswith("periodic")]) == wanted


def test_with_hard_constraints_only_slopes_are_left_in_the_loss() -> None:
    with engine_of(slopes(), replace(SMALL, hard=True)) as (_, engine):
        assert [t.name for t in engine.terms] == ["du/dx at lower x", "du/dx at upper x", "du/dy at upper y"]
    with engine_of(convection(1.0), replace(SMALL, hard=True)) as (_, engine):
        assert engine.terms == []


def test_three_dimensions_of_space_and_none_of_time() -> None:
    box = {k: Var(bounds=(0.0, 1.0)) for k in ("t", "x", "y", "z")}
    solid = QuasiLinear("heat", Space(box), lambda at: at["x"] * 0, {"k": 1.0}, diffusivity=lambda _u, _a, p: p["k"])
    result = train_with_deepxde(solid, SMALL, iterations=2, records=1)
    assert len([k for k in result.history if str(k).startswith("periodic")]) == 6
    result = train_with_deepxde(Steady(), SMALL, iterations=2, records=1)
    assert {"poisson", "u at lower x", "u at upper x"} <= set(result.history)


@dataclass(frozen=True)
class Steady:
    """Poisson's equation on an interval: no time."""

    box: tuple[float, float] = (0.0, 1.0)
    faces: tuple[str, ...] = ("x", "x")

    @property
    def coords(self) -> Space:
        return Space({"x": Var(bounds=self.box)})

    fields = Space({"u": Var()})
    params = Space({})
    values: dict[str, float] = None  # type: ignore[assignment]
    derivatives = (("u", "x", "x"),)
    exact = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", {})

    def residuals(self, d: Derivatives, _coords, _params):  # type: ignore[no-untyped-def]
        return {"poisson": d["u", "x", "x"] - 1}

    @property
    def conditions(self):  # type: ignore[no-untyped-def]
        sides = zip(self.faces, ("lower", "upper"), strict=True)
        return [Dirichlet("u", c, s, lambda at: 0 * at["x"]) for c, s in sides]


@pytest.mark.parametrize(
    "setup",
    [
        replace(SMALL, rate=1e-2),
        replace(SMALL, rate=1e-2, precision="float32"),
        replace(SMALL, optimizer="l-bfgs", precision="float32", hard=True),
        replace(SMALL, optimizer="l-bfgs", scale=100.0),
        replace(SMALL, optimizer="adam+l-bfgs", hard=True, switch=20),
        replace(SMALL, optimizer="adam+nncg", hard=True, rate=1e-2, switch=30, newton={"cgmaxiter": 4, "rank": 8}),
    ],
    ids=lambda s: f"{s.optimizer} {s.precision} {'hard' if s.hard else 'soft'}",
)
def test_a_short_training_lowers_the_loss(setup: DeepXDESetup) -> None:
    result = train_with_deepxde(convection(1.0, 0.1), setup, iterations=40, records=20)
    losses = result.history["loss"].values
    assert len(losses) == 20
    assert losses[-1] < 0.8 * losses[0]
    assert result.status is Status.MAX_STEPS
    assert result.history["iteration"].values[-1] == 40


def test_an_easy_problem_is_solved() -> None:
    system = convection(1.0, 0.1)
    grid = np.meshgrid(np.linspace(0, 1, 11), np.linspace(0, 2 * np.pi, 33))
    at = dict(zip("tx", (g.ravel() for g in grid), strict=True))
    exact = system.exact({k: torch.as_tensor(v) for k, v in at.items()})["u"].numpy()

    def score(predict) -> float:  # type: ignore[no-untyped-def]
        return float(np.linalg.norm(predict(at)["u"] - exact) / np.linalg.norm(exact))

    result = train_with_deepxde(system, replace(SMALL, optimizer="l-bfgs", hard=True), iterations=150, score=score)
    assert result.history["error"].values[-1] < 2e-3
    assert score(result.predict) == result.history["error"].values[-1]


def noisy_free(system, count: int = 60):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(3)
    at = {k: rng.uniform(*system.coords[k].bounds, count) for k in system.coords}
    return {**at, "u": system.exact({k: torch.as_tensor(v) for k, v in at.items()})["u"].numpy()}


@pytest.mark.parametrize("optimizer", ["l-bfgs", "adam+l-bfgs"])
def test_unknown_coefficients_are_found(optimizer: str) -> None:
    setup = replace(SMALL, optimizer=optimizer, hard=True, switch=50, rate=1e-2)
    start = {"c": 0.5, "nu": 0.3}
    truth = convection(1.0, 0.1)
    guess = replace(truth, values={"c": 9.0, "nu": 9.0}, exact=None)
    result = train_with_deepxde(guess, setup, iterations=250, unknown=start, observations=noisy_free(truth), records=5)
    assert result.coefficients == pytest.approx({"c": 1.0, "nu": 0.1}, rel=2e-2)
    assert result.history["unknown c"].values[-1] == result.coefficients["c"]
    assert "observed u" in result.history


RESUMED = {
    "adam": {"optimizer": "adam"},
    "adam float32": {"optimizer": "adam", "precision": "float32"},
    "l-bfgs": {"optimizer": "l-bfgs", "memory": 10},
    "l-bfgs float32": {"optimizer": "l-bfgs", "precision": "float32"},
    "adam+l-bfgs": {"optimizer": "adam+l-bfgs", "switch": 12},
    "adam+nncg": {
        "optimizer": "adam+nncg",
        "hard": True,
        "rate": 1e-2,
        "switch": 100,
        "every": 20,
        "newton": {"cgmaxiter": 3, "rank": 5, "updatefreq": 3},
    },
}


@pytest.mark.parametrize("name", [pytest.param(k, marks=[pytest.mark.slow] * ("nncg" in k)) for k in RESUMED])
@pytest.mark.parametrize("stopped", [1, 3, 6])
def test_a_resumed_run_keeps_everything_to_the_last_bit(name: str, stopped: int, tmp_path: Path) -> None:
    setup = replace(SMALL, **{"every": 5, **RESUMED[name]})
    unknown = {} if "nncg" in name else {"nu": 0.3}
    truth = convection(1.0, 0.1)

    def trainer() -> DeepXDETrainer:
        return DeepXDETrainer(DeepXDEProblem(truth, setup, unknown, noisy_free(truth)))

    whole = iterate(trainer(), 8)
    store = CheckpointStore(tmp_path)
    iterate(trainer(), stopped, checkpoint=store)
    np.random.random(7)  # noqa: NPY002 - somebody else draws between the runs
    resumed = iterate(trainer(), 8, checkpoint=store, resume=True)
    assert resumed.history.identical(whole.history)
    assert resumed.data.identical(whole.data)
    assert whole.best["iteration"] > 25
    if unknown:
        assert float(resumed.data["nu"]) == whole.best["unknown nu"] != 0.3
        assert resumed.data["nu"].units == "1"


def test_states_can_be_visited_in_any_order() -> None:
    trainer = DeepXDETrainer(DeepXDEProblem(convection(1.0), replace(SMALL, optimizer="l-bfgs", every=4)))
    at = {"t": [0.5], "x": [1.0]}
    states = [trainer.init()]
    states += [trainer.step(states[-1])[0]]
    states += [trainer.step(states[-1])[0]]
    values = [trainer.predict(s, at)["u"] for s in states]
    assert len({float(v[0]) for v in values}) == 3
    again, _ = trainer.step(states[0])
    assert all(np.array_equal(v, again.arrays[k]) for k, v in states[1].arrays.items())
    assert [trainer.predict(s, at)["u"] for s in reversed(states)] == values[::-1]


KILLED = """
import os, signal, sys
from pathlib import Path
from retrodict.physics.pde.convection import convection
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.iterate import iterate
from retrodict.solvers.deepxde.training import DeepXDEProblem, DeepXDESetup, DeepXDETrainer

setup = DeepXDESetup("adam+l-bfgs", width=8, depth=2, domain=60, boundary=40, initial=30, every=5, switch=12)
def perhaps_die(step, metrics):
    if step == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
trainer = DeepXDETrainer(DeepXDEProblem(convection(1.0, 0.1), setup))
iterate(trainer, 10, checkpoint=CheckpointStore(Path(sys.argv[1])), resume=True, callbacks=[perhaps_die])
"""


@pytest.mark.slow
def test_killed_twice_and_resumed_is_bit_equal(tmp_path: Path) -> None:
    def run(at: int) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment.pop("DDE_BACKEND", None)
        words = [sys.executable, "-W", "error", "-c", KILLED, str(tmp_path), str(at)]
        return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300, check=False)

    for at in (4, 8):
        assert run(at).returncode == -signal.SIGKILL
    last = run(0)
    assert (last.returncode, last.stdout, last.stderr) == (0, "", "")
    problem = DeepXDEProblem(convection(1.0, 0.1), replace(SMALL, optimizer="adam+l-bfgs", every=5, switch=12))
    trainer = DeepXDETrainer(problem)
    found = CheckpointStore(tmp_path).newest(trainer.name)
    store = CheckpointStore(tmp_path / "whole")
    iterate(trainer, 10, checkpoint=store)
    whole = store.newest(trainer.name)
    assert found is not None
    assert whole is not None
    assert found.step == whole.step == 10
    for a, b in ((found.state, whole.state), (found.history, whole.history)):
        assert list(a) == list(b)
        assert all(np.array_equal(v, b[k]) for k, v in a.items())


def globals_of(dde):  # type: ignore[no-untyped-def]
    state = np.random.get_state()  # noqa: NPY002 - the generator that it draws from
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        dde.config.default_float(),
        dict(dde.config.real.reals),
        (dde.config.mixed, dde.config.autodiff, dde.config.random_seed),
        dict(dde.optimizers.config.NNCG_options),
        dict(dde.optimizers.config.LBFGS_options),
        random.getstate(),
        (state[0], state[1].tobytes(), *state[2:]),
        torch.get_rng_state().numpy().tobytes(),
        os.environ.get("DDE_BACKEND"),
        len(dde.gradients.gradients_reverse.jacobian._Jacobians.Js),
    )


@pytest.mark.parametrize("theirs", ["float32", "float64"])
def test_globals_of_the_process_are_left_alone(theirs: str, capfd: pytest.CaptureFixture[str]) -> None:
    dde = load()
    setup = replace(SMALL, optimizer="adam+nncg", switch=10, rate=1e-2, newton={"cgmaxiter": 2, "rank": 5})
    before = torch.get_default_dtype(), dde.config.default_float()
    try:
        dde.config.set_default_float(theirs)
        capfd.readouterr()
        was = globals_of(dde)
        for precision in ("float32", "float64"):
            train_with_deepxde(convection(1.0), replace(setup, precision=precision), iterations=12)
            assert globals_of(dde) == was
        with pytest.raises(ZeroDivisionError):
            train_with_deepxde(convection(1.0), SMALL, iterations=4, score=lambda _: 1 / 0)
        assert globals_of(dde) == was
        # its names are read off one point; the fault comes with the first batch
        broken = replace(convection(1.0), source=lambda u, _a, _p: u * (1 if len(u) == 1 else 1 // 0))
        with pytest.raises(ZeroDivisionError):
            train_with_deepxde(broken, SMALL, iterations=4)
        assert globals_of(dde) == was
    finally:
        dde.config.set_default_float(before[1])
        torch.set_default_dtype(before[0])
        capfd.readouterr()
    train_with_deepxde(convection(1.0), setup, iterations=12)
    assert capfd.readouterr() == ("", "")


def test_a_seed_means_a_run_and_another_seed_another() -> None:
    runs = [train_with_deepxde(convection(1.0), replace(SMALL, seed=s), iterations=5, records=1) for s in (1, 1, 2)]
    losses = [float(r.history["loss"][-1]) for r in runs]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "l-bfgs", "adam+l-bfgs"])
def test_the_time_limit_is_respected(optimizer: str) -> None:
    load()
    pauses = []

    def slow_score(_predict) -> float:  # type: ignore[no-untyped-def]
        time.sleep(0.05)
        pauses.append(1)
        return 0.0

    began = time.perf_counter()
    setup = replace(SMALL, optimizer=optimizer, switch=100, domain=400)
    result = train_with_deepxde(convection(5.0), setup, seconds=1.2, score=slow_score, records=6)
    took = time.perf_counter() - began
    spent = result.history["seconds"].values
    assert result.status is Status.MAX_STEPS
    assert 1.2 <= spent[-1] < 1.6
    assert took < spent[-1] + 0.05 * len(pauses) + 1.0
    assert (np.diff(spent) > 0).all()
    assert 4 <= len(spent) <= 8
    assert result.history["iteration"].values[-1] > 20


def test_calls_of_lbfgs_cut_short_go_on_as_one() -> None:
    def run(every: int) -> float:
        trainer = DeepXDETrainer(DeepXDEProblem(convection(1.0), replace(SMALL, optimizer="l-bfgs", every=every)))
        return iterate(trainer, 24 // every).best["loss"]

    assert run(2) == pytest.approx(run(24), rel=1e-6)
    assert run(1) == pytest.approx(run(24), rel=1e-6)


def test_endings_have_names() -> None:
    stuck = replace(SMALL, optimizer="nncg", newton={"cgmaxiter": 3, "rank": 30})
    # where its line search finds nothing is the processor's rounding's: that it comes to it is not
    assert train_with_deepxde(convection(1.0), stuck, iterations=2000).status is Status.FAILED
    nan = replace(convection(1.0), source=lambda u, _a, _p: u * float("nan"))
    result = train_with_deepxde(nan, SMALL, iterations=5)
    assert result.status is Status.NON_FINITE
    assert result.state.iteration == 0
    assert np.isfinite(result.predict({"t": [0.0], "x": [0.0]})["u"]).all()
    still = replace(SMALL, optimizer="l-bfgs", precision="float32", width=1, depth=1, domain=2, boundary=2, initial=1)
    # some starts circle about the minimum instead, which ones the processor decides
    starts = (replace(still, seed=seed) for seed in (1, 2, 3, 4))
    assert any(train_with_deepxde(convection(1.0), s, iterations=2000).status is Status.STALLED for s in starts)


OPEN = Space({"t": Var(bounds=(0.0, 1.0)), "x": Var()})
WIDE = Space({k: Var(bounds=(0.0, 1.0)) for k in ("t", "x", "y", "z", "w")})


@pytest.mark.parametrize(
    ("system", "keywords", "message"),
    [
        (QuasiLinear("a", OPEN, lambda at: at["x"]), {}, "coordinate 'x': got bounds"),
        (QuasiLinear("a", WIDE, lambda at: at["x"]), {}, "4 space coordinates"),
        (QuasiLinear("a", Space({"t": Var(bounds=(0, 1))}), lambda at: at["t"]), {}, "0 space coordinates"),
        (
            QuasiLinear("a", line(1.0), lambda at: at["x"], boundary=(Dirichlet("u", "t", "upper", lambda a: a["x"]),)),
            {},
            "u at upper t: got a face of 't'",
        ),
        (rotation(), {"setup": replace(SMALL, boundary=2)}, "no collocation point"),
        (convection(1.0), {"unknown": {"nu": 1.0}}, "'nu', expected one of \\['c'\\]"),
        (convection(1.0, 0.1), {"unknown": {"nu": -1.0}}, "unknown 'nu': got -1.0"),
        (convection(1.0), {"unknown": {"c": np.nan}}, "unknown 'c': got nan"),
        (convection(1.0), {"unknown": {"c": 1.0}, "setup": replace(SMALL, optimizer="nncg")}, "nncg, which DeepXDE"),
        (convection(1.0), {"observations": {"t": [0.0], "x": [0.0]}}, "some of \\('u',\\)"),
        (convection(1.0), {"observations": {"t": [0.0], "u": [0.0]}}, "arrays of \\['x'\\] too"),
        (convection(1.0), {"observations": {"t": [0.0], "x": [0.0], "u": [0.0, 1.0]}}, "1 finite values"),
        (convection(1.0), {"observations": {"t": [0.0], "x": [0.0], "u": [np.nan]}}, "1 values not finite"),
        (convection(1.0), {"observations": {"t": [0.0], "x": [0.0], "v": [0.0], "u": [0.0]}}, "got \\['v'\\]"),
        (convection(1.0), {"iterations": None}, "a positive budget"),
        (convection(1.0), {"seconds": -1.0}, "a positive budget"),
        (convection(1.0), {"iterations": 0}, "a positive budget"),
        (convection(1.0, initial=lambda a: a["x"]), {"setup": replace(SMALL, hard=True)}, "a jump of"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(system, keywords, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SolverError, match=message):
        train_with_deepxde(system, **{"setup": SMALL, "iterations": 1, **keywords})


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "sgd"},
        {"precision": "float16"},
        {"distribution": "grid"},
        {"width": 0},
        {"boundary": 1},
        {"every": 0},
        {"rate": 0.0},
        {"scale": np.inf},
        {"weights": (1.0, 1.0)},
        {"weights": (1.0, -1.0, 1.0)},
        {"newton": {"step": 1}},
    ],
    ids=str,
)
def test_settings_are_checked(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SolverError, match="DeepXDESetup"):
        DeepXDESetup(**wrong)


def test_another_backend_in_the_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dde = load()
    monkeypatch.setattr(dde.backend, "backend_name", "jax")
    with pytest.raises(SolverError, match="'jax', imported before"):
        load()
