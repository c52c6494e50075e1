"""Every step-wise solver and every case's own: the protocol, and a resumed run equal to the whole to the last bit."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from retrodict.cases import registry
from retrodict.cases.fit import set_up
from retrodict.cases.prepare import prepare
from retrodict.inverse.ensemble import GaussianEnsemble
from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.autograd import TorchModel
from retrodict.physics.errors import CheckpointError
from retrodict.physics.pde.convection import convection
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.visibilities import Grid, Visibilities
from retrodict.physics.seeds import Seeds
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Solver
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.deepxde.problem import DeepXDEProblem, DeepXDESetup
from retrodict.solvers.deepxde.trainer import DeepXDETrainer
from retrodict.solvers.ensemble_smoother import EnsembleSmoother
from retrodict.solvers.first_order import SOAP, Adam
from retrodict.solvers.flames.networks import FlameTrainer
from retrodict.solvers.flames.phases import Phase
from retrodict.solvers.flames.plans import trial_of, z_profile
from retrodict.solvers.flames.simplified_network import NetworkPlan, network_search
from retrodict.solvers.gradient import LBFGS
from retrodict.solvers.iterate import iterate
from retrodict.solvers.least_squares import GaussNewton, LevenbergMarquardt
from retrodict.solvers.natural_gradient import NaturalGradient
from retrodict.solvers.pinn.plans import Stage, marching
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import separate_networks
from retrodict.solvers.quasi_newton import SSBroyden
from retrodict.solvers.radio.block_coordinate import BlockCoordinate
from retrodict.solvers.radio.joint import JointSolver

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "retrodict_cooling" / "retrodict_cooling.py"


def example():
    """The third-party case of the manual."""
    spec = importlib.util.spec_from_file_location("retrodict_cooling_contract", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.case


def problem(bounds=(0.0, 3.0)):
    """Two unknowns, one near its bound, a prior, masked data."""
    space = Space({"a": Var(("i",), (2,)), "rate": Var(bounds=bounds)})
    seen = Space({"y": Var(("t",), (12,))})
    time = torch.linspace(0, 2, 12, dtype=torch.float64)
    law = lambda t: {"y": t["a"][0] * torch.exp(-t["rate"] * time) + t["a"][1]}  # noqa: E731
    y = 4 * np.exp(-2.5 * time.numpy()) - 1 + 0.1 * np.random.default_rng(0).normal(size=12)
    data = Observation(seen, {"y": y}, {"y": Gaussian(0.1)}, {"y": np.arange(12) != 4})
    terms = (
        Term("data", Misfit(TorchModel(space, seen, law), data)),
        Term("prior", GaussianPrior("a", 0.0, std=5.0), kind="prior"),
    )
    return InverseProblem(space, terms, {"a": np.array([1.0, 1.0]), "rate": 0.2})


def of_case(case):
    return set_up(*prepare(case, preset="smoke"), None)[1]


def has_data(case):
    """Whether a case can be fitted without a file; one that cannot is shown in `test_origins` to wait for it."""
    return "fit" in case.verbs and not case.needs_data


LOCAL = {
    kind.__name__: kind for kind in (LevenbergMarquardt, GaussNewton, NaturalGradient, LBFGS, SSBroyden, Adam, SOAP)
}
FREE = (-np.inf, np.inf)
TABLE = {
    name: (lambda kind=kind: kind(problem(FREE) if kind is SSBroyden else problem())) for name, kind in LOCAL.items()
}


def pinn():
    """Two windows of two stages: six steps cross a refresh, a stage and a leg."""
    stages = [Stage("ssbroyden", 3, refresh=1), Stage("adam", 1)]
    legs = marching(convection(2.0, 0.1), [0.0, 0.5, 1.0], stages)
    return Trainer(legs, lambda s: separate_networks(s, 4, 1), Sampling(24, 8, adaptive=0.5, causal=0.1))


def deepxde():
    return DeepXDETrainer(
        DeepXDEProblem(convection(1.0), DeepXDESetup(width=4, depth=1, domain=20, boundary=8, initial=8, every=2))
    )


def flame():
    """A warm-up on a profile, new points at every step, another optimiser."""
    from retrodict.cases.flame_network_data import free_flame, one_step

    system = free_flame(one_step())
    trial = trial_of(system, "paper", width=4, depth=1)
    physics = {"equations": 1.0, "profile": 1.0}
    phases = [
        Phase("adam", 1, {"profile": 1.0}),
        Phase("adam", 3, physics, refresh=1, points=6),
        Phase("ssbroyden", 9, physics, points=6),
    ]
    return FlameTrainer(trial, phases, fits=[z_profile(system, 11)], unknown=["s_L"])


def simplified_flame():
    """The network begins near its front, so that six steps do not end the search."""
    from retrodict.physics.flames.simplified import imposed_slope

    return network_search(imposed_slope(0.42), NetworkPlan(width=4, depth=1, points=16, warm_up=3))


def joint():
    """Three antennas too few to be worth it; every part of the state moves."""
    rng = np.random.default_rng(1)
    rows = 60
    uvw = np.append(rng.uniform(-60, 60, (rows, 2)), np.zeros((rows, 1)), axis=1)
    pair = np.tile([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]], (rows // 6, 1)).T
    times = np.repeat(np.arange(rows // 6), 6)
    data = 2 + 0.3 * (rng.standard_normal(rows) + 1j * rng.standard_normal(rows))
    vis = Visibilities(uvw, np.full(rows, 1e9), times, *pair, data, np.full(rows, 9.0), np.zeros(rows, bool))
    basis = TimeBasis.spanning("dct", times, 2)
    parts = [Interferometer(vis.select(which), Grid(16, 2e-3), size=3, basis=basis) for which in (times < 8, times > 7)]
    return JointSolver(*parts, patience=9, tolerance=0.0)


def ensemble():
    """The same model, data and prior on one unknown, and one on the other; nothing is linearised."""
    data, prior = (term.fn for term in problem().terms)
    priors = [prior, GaussianPrior("rate", 1.0, std=0.5)]
    return EnsembleSmoother(GaussianEnsemble(data.model, data.observation, priors), members=12)


ENSEMBLES = {"EnsembleSmoother": ensemble}
TABLE |= ENSEMBLES


def closure():
    """Bundled data, a few pixels."""
    from retrodict.cases.config import resolve
    from retrodict.cases.radio_eht import case

    config = resolve(case, "smoke")
    return case.problem(config, Seeds(0), None)


def coordinates():
    """The observation of `joint`, begun from a point."""
    start = np.zeros((16, 16))
    start[8, 8] = 1.0
    return BlockCoordinate(joint().model, start, eta=1.0, tie=1.0, box=0.2, image_steps=5, tolerance=-np.inf)


IMAGERS = {"JointSolver": joint, "BlockCoordinate": coordinates, "ClosureImager": closure}
TABLE |= IMAGERS
TRAINERS = {"Trainer": pinn, "DeepXDETrainer": deepxde, "FlameTrainer": flame, "NetworkSearch": simplified_flame}
TABLE |= TRAINERS
TABLE |= {"case/cooling": lambda: of_case(example())}
TABLE |= {
    f"case/{entry.name}": (lambda target=entry.target: of_case(registry.load(target)))
    for entry in registry.entries()
    if not entry.error and has_data(registry.load(entry.target))
}


# the same solvers as other cases, on problems that take seconds a step
HEAVY = (
    "case/motion-calibration",
    "case/flame-speeds",
    "case/flame-mechanism",
    "case/flame-simplified",
    "case/radio-extended",
    "case/radio-points",
    "case/radio-eht",
    "case/radio-measurement-set",
    "JointSolver",
    "BlockCoordinate",
    "ClosureImager",
)


@pytest.fixture(params=[pytest.param(n, marks=pytest.mark.slow) if n in HEAVY else n for n in TABLE])
def make(request):
    return TABLE[request.param]


def test_solvers_keep_the_protocol(make):
    solver = make()
    assert isinstance(solver, Solver)
    assert solver.name
    assert solver.name == make().name
    state = solver.init()
    for _ in range(2):
        packed = solver.pack(state)
        assert all(isinstance(v, np.ndarray) and not v.dtype.hasobject for v in packed.values())
        again = solver.pack(solver.unpack(packed))
        assert {k: v.tobytes() for k, v in again.items()} == {k: v.tobytes() for k, v in packed.items()}
        before = {k: v.copy() for k, v in packed.items()}
        new, metrics = solver.step(state)
        assert all(np.array_equal(v, before[k], equal_nan=True) for k, v in solver.pack(state).items())  # frozen
        assert all(np.isfinite(float(v)) for v in metrics.values())
        if solver.done(metrics) is not None:
            break
        state = new
    solution = solver.solution(state)
    assert all("units" in solution[k].attrs for k in solution.data_vars)


# a step of a case may take a second: two steps at every commit, six with the slow tests
@pytest.mark.parametrize(("stop", "steps"), [(1, 2), pytest.param(3, 6, marks=pytest.mark.slow)])
def test_a_resumed_run_equals_the_whole(make, tmp_path, stop, steps):
    whole, store = iterate(make(), steps), CheckpointStore(tmp_path)
    iterate(make(), stop, checkpoint=store)
    resumed = iterate(make(), steps, checkpoint=store, resume=True)
    assert (resumed.status, resumed.steps) == (whole.status, whole.steps)
    assert resumed.data.identical(whole.data)
    assert resumed.history.identical(whole.history)


def test_another_solvers_checkpoint_is_refused(make, tmp_path):
    store = CheckpointStore(tmp_path)
    iterate(make(), 1, checkpoint=store)

    class Other(LevenbergMarquardt):
        method = "other"

    with pytest.raises(CheckpointError, match="expected one of 'other:problem:a,rate'"):
        iterate(Other(problem()), 2, checkpoint=store, resume=True)


def test_no_solver_is_missing(public, offers):
    things = public("retrodict.solvers", "retrodict.inverse")
    parts = ("init", "step", "done", "solution", "pack", "unpack")
    made = {n.rpartition(".")[2] for n, thing in things.items() if offers(thing, *parts)}
    assert made == {*LOCAL, *ENSEMBLES, *IMAGERS, *TRAINERS}
