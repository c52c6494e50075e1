import typing

import numpy as np
import pytest
import xarray as xr

from retrodict.cases.config import resolve
from retrodict.cases.pde_race import race
from retrodict.cases.pde_training import Method, NetworkSettings, field_dataset, space_time, trained
from retrodict.cases.registry import entries, load
from retrodict.cases.verbs import run
from retrodict.physics.errors import ConfigError, SolverError
from retrodict.physics.pde.convection import convection
from retrodict.physics.seeds import Seeds
from retrodict.solvers.base import Status
from retrodict.solvers.pinn.optimizers import METHODS
from retrodict.solvers.pinn.plans import Stage, marching
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import separate_networks


def test_the_methods_on_offer_are_those_that_exist():
    assert set(typing.get_args(Method)) == set(METHODS)


def test_errors_are_relative_to_the_reference_and_a_weak_bound_is_an_alarm():
    grid = space_time(NetworkSettings(x_count=8, t_count=3), (0.0, 1.0), (0.0, 1.0))
    reference = np.ones((3, 8))
    weak = xr.Dataset(
        {"relative": ("time", [0.0, 2.0])},
        {"time": [0.0, 1.0]},
        {"relative_bound": 2.0, "verdict": "invalid", "alarm": 0},
    )
    data = field_dataset(grid, reference, {"half": 1.5 * reference}, certificate=weak)
    assert float(data["relative_error"][0]) == pytest.approx(0.5)
    assert "bound on the error is 2 of the field" in data.attrs["alarms"]


def test_a_race_gives_everyone_the_same_time_and_errors_fall():
    system = convection(1.0)

    def trainer(method):
        plan = marching(system, [0.0, 1.0], [Stage(method, 10_000)])
        return Trainer(plan, lambda s: separate_networks(s, 6, 1), Sampling(64, 8))

    def error(pieces):
        return float(np.abs(pieces[0].weights).max())  # any number of the pieces

    data = race({m: trainer(m) for m in ("adam", "ssbroyden")}, 0.3, error, marks=4)
    assert data["race_seconds"].shape == (2, 4)
    assert bool((data["race_seconds"].diff("mark") >= 0).all())
    assert float(data["race_seconds"].max()) < 2.0


def test_a_network_that_solves_another_problem_is_no_success(tmp_path):
    case = load(next(e.target for e in entries() if e.name == "pde-convection"))
    settings = {"speed": 20.0, "points": 24, "initial_points": 0, "steps": 80, "windows": 1, "features": False}
    settings |= {"method": "levenberg-marquardt", "race_seconds": 0.01}
    outcome = run(case, preset="smoke", settings=settings, out=tmp_path / "run")
    assert not outcome.ok
    assert any("another problem was solved" in w for w in outcome.warnings)
    assert any("false convergence" in w for w in outcome.warnings)


def test_an_unknown_method_is_refused_before_any_work(tmp_path):
    case = load(next(e.target for e in entries() if e.name == "pde-convection"))
    with pytest.raises(ConfigError, match="method"):
        run(case, preset="smoke", settings={"method": "newton"}, out=tmp_path / "run")


def test_how_other_methods_ended_is_told_beside_the_field():
    grid = space_time(NetworkSettings(x_count=8, t_count=3), (0.0, 1.0), (0.0, 1.0))
    fields = {"network": np.ones((3, 8)), "peer": np.zeros((3, 8))}
    told = field_dataset(grid, np.ones((3, 8)), fields, beside={"peer": Status.FAILED}).attrs["alarms"]
    assert told == "peer: training ended failed: The method gave up; see the log."


def test_a_plan_that_solved_another_problem_is_refused_unless_the_dataset_tells_of_it(monkeypatch):
    plan = marching(convection(1.0), [0.0, 1.0], [Stage("adam", 3)])
    trainer = Trainer(plan, lambda s: separate_networks(s, 4, 1), Sampling(16, 4))
    monkeypatch.setattr(Trainer, "done", lambda *_: Status.INVALID)
    with pytest.raises(SolverError, match="status invalid"):
        trained(trainer)
    assert trained(trainer, Status.INVALID)[1].status is Status.INVALID


def test_the_status_of_two_flows_is_that_of_the_worse(monkeypatch):
    monkeypatch.setattr("retrodict.cases.pde_rotation._reference", lambda _config, _flow, grid: 1 + 0 * grid["x"])
    case = load(next(e.target for e in entries() if e.name == "pde-rotation"))
    few = {
        "steps": 2,
        "label_steps": 2,
        "points": 32,
        "initial_points": 8,
        "x_count": 8,
        "t_count": 3,
        "certificate": False,
    }
    data = case.simulate(resolve(case, "smoke", ("test", few)), Seeds(0))
    assert data.attrs["status"] == "max-steps"
    assert [line.partition(":")[0] for line in data.attrs["alarms"].splitlines()] == ["rotation", "cells"]
