"""Networks of flames: output maps, training, and what it finds beside finite volumes."""

import numpy as np
import pytest
import torch

from retrodict.cases.flame_network_data import free_flame, one_step
from retrodict.physics.errors import SolverError
from retrodict.physics.flames.systems import CounterflowSystem
from retrodict.physics.system import PDESystem, nested_derivatives
from retrodict.solvers.flames.networks import FlameTrainer
from retrodict.solvers.flames.phases import Fit, Phase
from retrodict.solvers.flames.plans import free_flame_trainer, inverse_trainer, trial_of, z_profile
from retrodict.solvers.flames.raw_system import RawSystem, held, ranges
from retrodict.solvers.iterate import iterate


@pytest.fixture(scope="module")
def free():
    return free_flame(one_step())


@pytest.fixture(scope="module")
def counterflow():
    mech = one_step()
    Y, inert = (np.asarray(v) for v in (mech.composition("CH4", "O2:1, N2:3.76", 0.8), mech.mass_fractions("N2:1")))
    sizes = {"u": 1.0, "V": 150.0, "T": 2000.0, "N2": 1.0, "O2": 0.23, "H2O": 0.1, "CH4": 0.05, "CO2": 0.13}
    return CounterflowSystem(mech, Y, inert, 1.0, 1.0, 300.0, 300.0, 101325.0, 0.02, sizes, -1e4, 1e8)


def waves(names, size=1.0):
    def field(coords):
        return {n: size * torch.sin((1 + 0.3 * i) * coords["z"] + i) for i, n in enumerate(names)}

    return field


@pytest.mark.parametrize("kind", ["held", "ranges"])
@pytest.mark.parametrize("flame", ["free", "counterflow"])
def test_output_maps_obey_the_chain_rule(request, kind, flame):
    system = request.getfixturevalue(flame)
    raw = RawSystem(system, held(system) if kind == "held" else ranges(system, (300.0, 3000.0)))
    assert isinstance(raw, PDESystem)
    z = torch.linspace(-1.9, 1.9, 11, dtype=torch.float64)
    field = waves(raw.output.outputs)
    found = raw.mapped(nested_derivatives(field, {"z": z}, raw.derivatives), {"z": z})
    exact = nested_derivatives(lambda c: raw.values_of(field(c), c["z"]), {"z": z}, system.derivatives)
    for k in system.derivatives:
        assert torch.allclose(found[k].detach(), exact[k].detach(), rtol=1e-10, atol=1e-11), k


def test_held_values_are_exact_for_any_weights(free, counterflow):
    for system in (free, counterflow):
        trial = trial_of(system, "least-squares", width=5, depth=1)
        weights = 3 * np.random.default_rng(0).normal(size=trial.size)
        ends = torch.tensor([-2.0, 2.0], dtype=torch.float64)
        values = trial.system.values_of(trial.fields(weights, {"z": ends}), ends)
        for i, stated in enumerate(system.ends):
            for name, value in stated.items():
                assert float(values[name][i]) / system.scales[name] == pytest.approx(value, rel=1e-9, abs=1e-9)
    z, T = free.anchored
    at = torch.tensor([z], dtype=torch.float64)
    trial = trial_of(free, "least-squares", width=5, depth=1)
    weights = 3 * np.random.default_rng(1).normal(size=trial.size)
    assert float(trial.system.values_of(trial.fields(weights, {"z": at}), at)["T"]) == pytest.approx(T, rel=1e-10)


def test_mass_fractions_sum_to_one_and_ranges_hold(free):
    z = torch.linspace(-2, 2, 41, dtype=torch.float64)
    for output, low in ((held(free), -np.inf), (ranges(free, (300.0, 2000.0)), 0.0)):
        raw = RawSystem(free, output)
        values = raw.values_of(waves(output.outputs, 5.0)({"z": z}), z)
        Y = torch.stack([values[k] / free.scales[k] for k in free.mechanism.species])
        assert torch.allclose(Y.sum(0), torch.ones(41).double(), rtol=1e-13)
        assert float(Y.min()) >= low
    T = values["T"] / free.scales["T"]
    assert 300.0 <= float(T.min()) < float(T.max()) <= 2000.0


@pytest.mark.slow
def test_the_warm_up_fits_its_profile_and_leaves_scalars_alone(free):
    trial, fit = trial_of(free, "paper", width=12, depth=2), z_profile(free, 41)
    phase = Phase("adam", 150, {"profile": 1.0}, options={"rate": 1e-2})
    trainer = FlameTrainer(trial, [phase], fits=[fit], unknown=["s_L"])
    result = iterate(trainer, 150)
    assert float(result.data["s_L"]) == pytest.approx(0.6, abs=1e-12)
    x = free.position(fit.z)
    T, wanted = trainer.fields(result.data, x)["T"], fit.values["T"] / free.scales["T"]
    assert np.linalg.norm(T - wanted) < 0.1 * np.linalg.norm(wanted)


def test_the_loss_is_the_sum_of_weighted_mean_squares(free):
    trial = trial_of(free, "least-squares", width=4, depth=1)
    rng, z = np.random.default_rng(0), np.linspace(-1.5, 1.5, 7)
    fit = Fit("seen", z, {"T": rng.normal(size=7), "O2": rng.normal(size=7)})
    trainer = FlameTrainer(trial, [Phase("adam", 1, {"seen": 3.0})], fits=[fit], unknown=["s_L"])
    state = trainer.init()
    values = trial.system.values_of(
        trial.fields(state.start[: trial.size], {"z": torch.as_tensor(z)}), torch.as_tensor(z)
    )
    squares = sum(float(((values[k] - torch.as_tensor(v)) ** 2).mean()) for k, v in fit.values.items())
    assert state.inner.value == pytest.approx(0.5 * 3.0 * squares, rel=1e-12)


def test_new_points_leave_the_memory_of_adam(free):
    trial = trial_of(free, "least-squares", width=4, depth=1)
    phase = Phase("adam", 9, {"equations": 1.0}, refresh=2, points=8)
    trainer = FlameTrainer(trial, [phase], unknown=["s_L"])
    state = trainer.init()
    first = state.points
    for _ in range(3):
        state, _ = trainer.step(state)
    assert not np.array_equal(state.points, first)
    assert state.inner.count == 3
    assert np.all(np.abs(state.points) <= 2)


def test_what_cannot_be_trained_is_refused(free, counterflow):
    trial = trial_of(free, "least-squares", width=4, depth=1)
    with pytest.raises(SolverError, match="terms among equations"):
        FlameTrainer(trial, [Phase("adam", 1, {"heat": 1.0})])
    with pytest.raises(SolverError, match="some of"):
        FlameTrainer(trial, [Phase("adam", 1, {"equations": 1.0})], unknown=["E_a"])
    with pytest.raises(SolverError, match="positive weights"):
        Phase("adam", 1, {"equations": 0.0})
    with pytest.raises(SolverError, match="increasing z"):
        Fit("data", np.array([0.0, 0.0]), {"T": np.zeros(2)})
    with pytest.raises(SolverError, match="one of"):
        trial_of(free, "magic")
    with pytest.raises(SolverError, match="some of"):
        inverse_trainer(counterflow, {"OH": np.zeros(2)}, np.array([0.0, 0.02]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_burning_velocity_is_that_of_finite_volumes(free, seed):
    from retrodict.cases.flame_networks import same_domain

    trainer = free_flame_trainer(free, steps=120, seed=seed)
    result = iterate(trainer, 120)
    solved = same_domain(free)
    truth = float(solved.observables()["s_L"])
    assert float(result.data["s_L"]) == pytest.approx(truth, rel=3e-4)
    assert result.best["validation"] < 1e-3
    x = solved.equations.x.numpy()
    found = trainer.fields(result.data, x)
    assert np.linalg.norm(found["T"] - solved.U[:, 0]) < 1e-3 * np.linalg.norm(solved.U[:, 0])


@pytest.mark.slow
def test_activation_energy_beyond_extinction_is_found_from_data_and_finished_by_newton():
    from retrodict.cases.flame_network_data import counterflow_data
    from retrodict.cases.flame_network_inverse import cold_start, gauss_newton, handed_over
    from retrodict.cases.flame_networks import trained_for
    from retrodict.solvers.base import Status

    data = counterflow_data()
    begin = 1.25 * data.E_a
    assert cold_start(data, begin).status is Status.FAILED  # no flame burns there
    trainer = inverse_trainer(data.system(-1e4, begin), data.values, data.x, steps=80)
    run = trained_for(trainer, 120.0)
    assert float(run.solution["E_a"]) == pytest.approx(data.E_a, rel=0.02)
    solved = handed_over(trainer, run.solution, data)
    assert solved.status is Status.CONVERGED
    finished = gauss_newton(data, solved)
    assert finished["E_a"] == pytest.approx(data.E_a, rel=5e-3)
    assert finished["Lambda"] == pytest.approx(data.Lambda, rel=5e-3)


@pytest.mark.slow
def test_gauss_newton_has_its_exact_derivative():
    from retrodict.cases.flame_network_data import counterflow_data
    from retrodict.cases.flame_network_inverse import ActivationEnergyFit, cold_start
    from retrodict.solvers.flames.model import FlameModel

    data = counterflow_data()
    model = FlameModel(cold_start(data, data.E_a, points=100), ("u", "V", "T", "Y"), data.x)
    fit = ActivationEnergyFit(model, data, data.E_a)
    at, step = fit.start["E_a"], 1e-4
    _, slope = fit.jacobian({"E_a": at})
    high, low = (fit.jacobian({"E_a": at + s})[0] for s in (step, -step))
    assert np.allclose(slope[:, 0], (high - low) / (2 * step), rtol=0, atol=1e-4 * np.abs(slope).max())
