"""Conductivity and activation energy from noisy temperatures: by Gauss-Newton and by a network."""

from dataclasses import replace

import numpy as np
import pytest

from retrodict.inverse.estimators import solver_for
from retrodict.inverse.flames.simplified import compare_inversions, profile_problem
from retrodict.inverse.flames.temperatures import TemperatureData, measured, read_temperatures
from retrodict.physics.errors import DataError
from retrodict.physics.flames.simplified import imposed_slope
from retrodict.solvers.flames.simplified import solve_simplified
from retrodict.solvers.iterate import iterate

TRUTH = imposed_slope(0.46)
START = replace(TRUTH, conductivity=0.03, activation_energy=1.5e5)


@pytest.mark.slow
def test_noiseless_temperatures_give_the_truth_back():
    flame = solve_simplified(TRUTH)
    at = flame.x[np.array([60, 200, 260, 330, 420])]
    T = np.interp(at, flame.x, flame.T)
    problem = profile_problem(START, TemperatureData(at, T, 1e-3 * T), TRUTH)
    found = iterate(solver_for(problem), 40)
    assert found.status.ok
    assert float(found.data["lambda"]) == pytest.approx(0.026, rel=1e-4)
    assert float(found.data["E_a"]) == pytest.approx(1.214172e5, rel=1e-4)


@pytest.mark.slow
def test_pulls_over_noise_draws_are_of_order_one():
    from retrodict.inverse.posterior import posterior

    pulls = []
    for seed in range(8):
        problem = profile_problem(START, measured(TRUTH, np.random.default_rng(seed)), TRUTH)
        found = iterate(solver_for(problem), 40)
        at = {k: found.data[k].values for k in problem.space}
        std = posterior(problem, at)["std"].values
        pulls.append([(float(at[k]) - float(problem.truth[k])) / s for k, s in zip(problem.space, std, strict=True)])
    assert np.abs(pulls).max() < 4.0
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 1.7


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_a_network_agrees_with_gauss_newton_on_the_same_data(seed):
    table = compare_inversions(TRUTH, seed=seed)
    newton, network = table["estimate"].values
    assert np.all(np.abs(network - newton) < 0.3 * table["std"].values[0])
    assert table["chi2"].values[1] < 1.1 * table["chi2"].values[0] + 0.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.zeros(2), np.ones(3), np.ones(2)), "three arrays of one length"),
        ((np.array([0.1, 0.1]), np.ones(2), np.ones(2)), "ascending places"),
        ((np.array([0.1, 0.2]), np.array([1.0, np.nan]), np.ones(2)), "T: got values that are not finite"),
        ((np.array([0.1, 0.2]), np.ones(2), np.array([1.0, 0.0])), "std: got 0.0"),
    ],
)
def test_impossible_data_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        TemperatureData(*data)
    with pytest.raises(DataError, match="measured: got count 2"):
        measured(TRUTH, np.random.default_rng(0), count=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,T\n", "no rows"),
        ("x,theta\n1,2\n", "titles"),
        ("x,T\n0.001,hot\n", "line 2, T: got 'hot', expected a number"),
        ("x,T\n0.001\n", "line 2, T: got None"),
        ("x,T\n0.1,300\n", "places in"),
        ("x,T\n0.001,-3\n", "T: got -3.0"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    path = tmp_path / "seen.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_temperatures(path, 0.01, 1.5e-3)


def test_files_are_read_in_any_order(tmp_path):
    path = tmp_path / "seen.csv"
    path.write_text("std, T, x\n5, 400, 2e-4\n3, 300, 1e-4\n", encoding="utf-8")
    data = read_temperatures(path, 0.01, 1.5e-3)
    assert [data.x.tolist(), data.T.tolist(), data.std.tolist()] == [[1e-4, 2e-4], [300.0, 400.0], [3.0, 5.0]]
