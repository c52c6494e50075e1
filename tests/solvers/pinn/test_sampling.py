import math
from dataclasses import replace

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers
from retrodict.physics.pde.convection import convection, rotation
from retrodict.physics.pde.quasilinear import line
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.pinn.sampling import Sampling, causal_weights, sobol
from retrodict.solvers.pinn.trial import Trial, separate_networks
from retrodict.solvers.pinn.validation import residual_rms, validation_points, validation_residual

LINE = line(2.0, start=-1.0, since=0.5, duration=2.0)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("count", [1, 2, 100, 512])
def test_points_fill_the_box_evenly(count):
    points = sobol({"a": (-1.0, 3.0), "b": (5.0, 5.0), "c": (0.0, 1.0)}, count, rng())
    assert all(v.shape == (count,) for v in points.values())
    assert np.all(points["b"] == 5.0)
    assert points["a"].min() >= -1
    assert points["a"].max() <= 3
    if count == 512:  # a Sobol net: every eighth of every axis holds an eighth
        assert np.all(np.bincount(((points["a"] + 1) * 2).astype(int)) == 64)
        assert np.all(np.bincount((points["c"] * 8).astype(int)) == 64)


def test_draws_follow_their_stream():
    one, two, other = (Sampling(64, 8).draw(LINE, rng(s)) for s in (1, 1, 2))
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert not np.array_equal(one["x"], other["x"])


@pytest.mark.parametrize(("count", "initial"), [(64, 0), (64, 16), (50, 7)])
def test_points_at_the_start_come_last(count, initial):
    points = Sampling(count, initial).draw(LINE, rng())
    assert {k: v.shape for k, v in points.items()} == {"t": (count + initial,), "x": (count + initial,)}
    assert np.all(points["t"][count:] == 0.5)
    assert np.all(points["t"][:count] > 0.5)
    assert points["t"].max() <= 2.5


def test_grading_crowds_times_toward_the_start_and_leaves_space_alone():
    even, graded = (Sampling(256, 0, grading=g).draw(LINE, rng()) for g in (1.0, 2.0))
    np.testing.assert_allclose((graded["t"] - 0.5) / 2, ((even["t"] - 0.5) / 2) ** 2, atol=1e-14)
    assert np.array_equal(even["x"], graded["x"])
    assert np.mean(graded["t"] < 1.0) == pytest.approx(0.5, abs=0.05)


def test_a_system_at_rest_has_no_start():
    box = Space({"x": Var(bounds=(0.0, 1.0)), "y": Var(bounds=(0.0, 1.0))})
    assert len(Sampling(32, 8, grading=2.0).draw(box, rng())["x"]) == 32


def test_adaptive_points_gather_where_the_residual_is():
    def residual(at):
        return np.where(at["x"] > 0.8, 1.0, 0.0)

    plain = Sampling(512, 0).draw(LINE, rng(), residual)
    drawn = Sampling(512, 0, adaptive=1.0).draw(LINE, rng(), residual)
    half = Sampling(512, 0, adaptive=0.5).draw(LINE, rng(), residual)
    share = [np.mean(p["x"] > 0.8) for p in (plain, half, drawn)]
    # the tenth of the box with all of the residual has a density of 11 against 1
    assert share[0] == pytest.approx(0.1, abs=0.01)
    assert 0.2 < share[1] < share[2] - 0.05
    assert share[2] > 0.3
    assert len(np.unique(drawn["x"])) == 512


def test_adaptive_powers_sharpen_and_nothing_to_see_is_even():
    def residual(at):
        return 1.5 + at["x"]

    means = [np.mean(Sampling(512, 0, adaptive=1.0, power=p).draw(LINE, rng(), residual)["x"]) for p in (1.0, 4.0)]
    assert 0.05 < means[0] < means[1]
    none = Sampling(512, 0, adaptive=1.0).draw(LINE, rng(), lambda at: 0 * at["x"])
    assert abs(np.mean(none["x"])) < 0.1


def test_without_a_residual_nothing_is_adaptive():
    even, adaptive = (Sampling(64, 8, adaptive=a).draw(LINE, rng()) for a in (0.0, 1.0))
    assert all(np.array_equal(even[k], adaptive[k]) for k in even)


def test_causal_weights_are_the_exponential_of_what_came_before():
    t = np.array([0.9, 0.1, 0.3, 0.35, 0.6])
    r = np.array([9.0, 1.0, 2.0, 0.0, 3.0])
    got = causal_weights(t, r, (0.0, 1.0), 0.5, 4)
    before = np.array([1 + 2 + 9, 0, 1, 1, 1 + 2])  # mean squares of the quarters: 1, 2, 9, 81
    np.testing.assert_allclose(got, np.exp(-0.5 * before), rtol=1e-14)


def test_causal_weights_count_from_the_window_and_skip_empty_bins():
    got = causal_weights(np.array([2.0, 3.0]), np.array([1.0, 1.0]), (2.0, 3.0), 1.0, 10)
    np.testing.assert_allclose(got, [1.0, math.exp(-1.0)], rtol=1e-14)
    assert np.all(causal_weights(np.linspace(0, 1, 9), np.zeros(9), (0.0, 1.0), 100.0, 4) == 1.0)


@pytest.mark.parametrize(
    "bad",
    [{"count": 0}, {"initial": -1}, {"grading": 0.0}, {"adaptive": 1.5}, {"power": 0.0}, {"causal": -1.0}, {"bins": 1}],
)
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(SolverError, match="count >= 1"):
        replace(Sampling(), **bad)


def test_validation_reaches_down_to_a_millionth_of_the_window_and_sees_all_of_it():
    points = validation_points({k: v.bounds for k, v in LINE.items()})
    since = (points["t"] - 0.5) / 2
    assert 0 <= since.min() < 2e-6
    assert np.mean(since < 1e-3) > 0.2
    counts = np.histogram(since[::2], 8, (0, 1))[0]
    assert counts.min() > 0.9 * counts.max()
    assert points["x"].min() >= -1
    assert points["x"].max() <= 1
    places = np.histogram2d(since[::2], points["x"][::2], 8)[0]
    assert places.min() > 0.5 * places.max()


@pytest.mark.parametrize("system", [convection(3.0), burgers(0.1, c=2.0), rotation()], ids=lambda s: s.name)
def test_the_residual_is_that_of_the_system(system):
    trial = Trial(system, separate_networks(system, 4, 1))
    weights = trial.draw(rng())
    at = {k: rng(i).uniform(*v.bounds, 9) for i, (k, v) in enumerate(system.coords.items())}
    d = trial.derivatives(weights, at, system.derivatives)
    params = {k: trial.tensor(v) for k, v in system.values.items()}
    r = system.residuals(d, {k: trial.tensor(v) for k, v in at.items()}, params)[system.name].numpy()
    np.testing.assert_allclose(residual_rms(trial, weights, at), np.abs(r), rtol=1e-13)
    np.testing.assert_allclose(residual_rms(trial, weights, at, {system.name: 3.0}), 3 * np.abs(r), rtol=1e-13)


def test_a_thin_layer_at_the_start_counts_in_validation():
    system = convection(1.0)
    trial = Trial(system, separate_networks(system, 4, 1))
    # u = sin x + t N, where N dies out over a ten thousandth of the window
    smooth, layer = np.zeros(trial.size), np.zeros(trial.size)
    slope, bias, out = 0, 4 * 3, slice(-5, None)
    layer[[slope, bias]] = 2e4
    layer[out] = [-0.5, 0, 0, 0, 0.5]
    even = sobol({k: v.bounds for k, v in system.coords.items()}, 512, rng())
    plain = [np.sqrt(np.mean(residual_rms(trial, w, even) ** 2)) for w in (smooth, layer)]
    seen = [validation_residual(trial, w) for w in (smooth, layer)]
    assert abs(plain[1] / plain[0] - 1) < 1e-3
    assert seen[1] / seen[0] > 1.01
