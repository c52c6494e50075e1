"""Networks on the simplified flame: the burning velocity, and an estimate of its error that needs no reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.flames.simplified import imposed_slope
from retrodict.physics.flames.simplified_system import SimplifiedSystem
from retrodict.physics.system import Derivatives, key
from retrodict.solvers.base import Status
from retrodict.solvers.flames.simplified_network import NetworkPlan, network_search, profile_part
from retrodict.solvers.flames.simplified_paper import paper_search
from retrodict.solvers.flames.simplified_trained import network_flame, speed_error
from retrodict.solvers.iterate import iterate
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.trial import Trial, separate_networks

EXACT = {(0.42, 1.0, 298.0): 0.292786112, (0.50, 1.2, 298.0): 0.380325984, (0.40, 1.0, 600.0): 0.690851130}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("conditions", EXACT)
def test_every_seed_finds_the_burning_velocity(conditions, seed):
    found = network_flame(imposed_slope(*conditions), NetworkPlan(seed=seed))
    error = found.speed / EXACT[conditions] - 1
    assert abs(error) < 1e-5
    assert found.status in (Status.CONVERGED, Status.MAX_STEPS)
    assert found.error == pytest.approx(error, abs=5e-9)
    assert found.seconds < 150


@pytest.mark.slow
@pytest.mark.parametrize("start", [0.1, 0.4])
def test_the_starts_of_the_paper(start):
    found = network_flame(imposed_slope(0.42), NetworkPlan(start=start))
    assert found.speed == pytest.approx(EXACT[0.42, 1.0, 298.0], rel=1e-5)


@pytest.mark.slow
def test_an_unfinished_network_knows_how_far_off_it_is():
    found = network_flame(imposed_slope(0.42), NetworkPlan(steps=45, target=1e-30))
    error = found.speed / EXACT[0.42, 1.0, 298.0] - 1
    assert 1e-5 < abs(error) < 1e-2
    assert found.error == pytest.approx(error, rel=0.2)  # to first order


@pytest.mark.slow
def test_a_wrong_burning_velocity_is_seen_in_the_residual_of_a_right_profile():
    from retrodict.solvers.reference.phase_plane import phase_plane

    class Exact:
        """A trial that is the exact profile, by splines."""

        def __init__(self, system, orbit):
            from scipy.interpolate import make_interp_spline

            self.system = system
            z = np.linspace(0.0, 10.0, 2001)
            theta = (orbit.temperature(z * system.thickness) - 298.0) / system.rise
            self.spline = make_interp_spline(z, theta, 7)

        def derivatives(self, _weights, coords, wanted):
            return Derivatives({k: torch.from_numpy(self.spline(coords["z"], len(k) - 1)) for k in wanted})

    orbit = phase_plane(imposed_slope(0.42))
    trial = Exact(SimplifiedSystem(orbit.mixture), orbit)
    for wrong in (1e-3, -1e-4):
        assert speed_error(trial, np.empty(0), orbit.speed * (1 + wrong)) == pytest.approx(wrong, rel=2e-2)
    assert abs(speed_error(trial, np.empty(0), orbit.speed)) < 1e-6


def test_the_cut_is_hard_and_the_search_begins_on_the_front():
    mixture = imposed_slope(0.42)
    search = network_search(mixture, NetworkPlan(width=8, points=32, warm_up=40))
    trial, weights = search.loss.trial, search.loss.start["weights"]
    assert trial.soft == ()
    d = trial.derivatives(weights, {"z": [0.0, 10.0]}, [key("theta"), key("theta", "z")])
    assert float(d["theta"][0]) == 0.0
    assert float(d["theta"][1]) == pytest.approx(1.0, abs=1e-12)
    assert float(d["theta", "z"][0]) == pytest.approx(1e5 * 1.5e-4 / trial.system.rise, rel=1e-12)
    assert float(search.loss.start["s_L"]) == pytest.approx(0.3041, abs=1e-3)


def test_a_search_goes_on_from_its_arrays_to_the_last_bit():
    search = network_search(imposed_slope(0.42), NetworkPlan(width=6, points=32, warm_up=10))
    state, _ = search.step(search.init())
    again = search.unpack(search.pack(state))
    (one, metrics), (two, others) = search.step(state), search.step(again)
    assert metrics == others
    assert all(np.array_equal(v, search.pack(two)[k]) for k, v in search.pack(one).items())


def test_data_are_rows_of_the_loss():
    mixture = imposed_slope(0.42)
    system = SimplifiedSystem(mixture)
    trial = Trial(system, separate_networks(system, 5, 1))
    weights = trial.draw(np.random.default_rng(0))
    x, T = np.linspace(1e-4, 1.4e-3, 5), np.linspace(400.0, 4000.0, 5)
    std = np.linspace(0.01, 0.02, 5)
    loss = ResidualLoss(trial, [profile_part(system, x, T, std=std)], weights)
    theta = trial.derivatives(weights, {"z": x / 1.5e-4}, [key("theta")])["theta"].numpy()
    gap = (theta - (T - 298.0) / system.rise) / std
    assert loss.value(loss.start) == pytest.approx(0.5 * np.mean(gap**2), rel=1e-12)
    with pytest.raises(SolverError, match="ascending places"):
        profile_part(system, x[::-1], T)


def test_the_network_of_the_paper_trains():
    search = paper_search(imposed_slope(0.42), warm_up=20, points=40, width=8, depth=1)
    result = iterate(search, 30)
    losses = result.history["loss"].values
    assert losses[-1] < losses[0]
    assert float(result.data["s_L"]) != 0.4
    with pytest.raises(SolverError, match="paper_search: got steps 0"):
        paper_search(imposed_slope(0.42), steps=0)


@pytest.mark.parametrize("change", [{"width": 0}, {"points": 3}, {"start": -1.0}, {"target": 0.0}])
def test_impossible_plans_are_refused(change):
    with pytest.raises(SolverError, match="NetworkPlan: got"):
        replace(NetworkPlan(), **change)
