"""Track batches, laws by maximum likelihood, and forecasts scored on unseen tracks."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from retrodict.cases.motion_calibration import bundled_batch, first_guess
from retrodict.cases.motion_tracks import Tracks, _recovery, _synthetic
from retrodict.inverse.motion.calibration import Windows, conformal_factor, cross_fit, forecast_problem, score
from retrodict.inverse.motion.tracking import LAW, MotionLaw, batch, filter_tracks, join, law_problem
from retrodict.physics.errors import DataError


def track_set(valid, step=0.1):
    valid = np.asarray(valid, bool)
    t = step * np.arange(valid.shape[1])
    path = {"x": 1e6 + 10 * t + 0 * valid, "y": 0 * valid, "heading": 0 * valid, "speed": 10 + 0 * valid}
    table = {k: (("track", "time"), np.where(valid, v, np.nan)) for k, v in path.items()}
    names = [f"t{i}" for i in range(len(valid))]
    return xr.Dataset({**table, "valid": (("track", "time"), valid)}, {"track": names, "time": t})


def test_batch_starts_each_track_at_its_first_sample_and_keeps_gaps():
    valid = np.ones((2, 40), bool)
    valid[0, :5] = valid[0, 20] = valid[1, 30:] = False
    made = batch(track_set(valid))
    assert made.names == ("t0", "t1")
    assert made.origin[0, 0] == pytest.approx(1e6 + 5)
    assert made.valid[0, :35].sum() == 34
    assert not made.valid[0, 15]
    assert made.valid[1].sum() == 30
    assert made.measured[0, 1, 0] == pytest.approx(1.0)


def test_short_uneven_or_incomplete_sets_are_refused():
    short = track_set(np.ones((1, 10)))
    with pytest.raises(DataError, match="longest has 10 samples"):
        batch(short)
    with pytest.raises(DataError, match="uneven grid"):
        batch(track_set(np.ones((1, 30))).assign_coords(time=np.arange(30.0) ** 2))
    with pytest.raises(DataError, match="no heading"):
        batch(track_set(np.ones((1, 30))).drop_vars("heading"))
    with pytest.raises(DataError, match="time steps"):
        join([batch(track_set(np.ones((1, 30)))), batch(track_set(np.ones((1, 30)), 0.2))])


def test_padding_and_company_do_not_change_a_track():
    tracks, law = _synthetic(Tracks(synthetic=4))
    alone = filter_tracks(law, tracks.select([2])).nll
    assert filter_tracks(law, tracks).nll[2] == pytest.approx(float(alone), abs=1e-9)


def test_law_logs_round_trip():
    law = first_guess()
    assert sorted(law.logs()) == sorted(LAW)
    assert float(MotionLaw.of(law.logs()).yaw_rate_time) == pytest.approx(float(law.yaw_rate_time))


def test_likelihood_gradient_matches_differences():
    tracks, _ = _synthetic(Tracks(synthetic=4))
    problem = law_problem(tracks.select([0, 1]), first_guess())
    x = problem.space.pack(problem.start)
    gradient = problem.space.pack(problem.gradient(problem.start))
    for j in range(len(x)):
        h = 1e-5 * np.eye(len(x))[j]
        slope = (problem.value(problem.space.unpack(x + h)) - problem.value(problem.space.unpack(x - h))) / 2e-5
        assert gradient[j] == pytest.approx(slope, rel=1e-5, abs=1e-5)


@pytest.mark.slow
def test_maximum_likelihood_recovers_a_law_driven_on_another_grid():
    pulls = _recovery(Tracks(synthetic=16))["pulls"]
    assert np.all(np.abs(pulls) < 3.5)


def test_forecasts_of_the_true_law_are_calibrated():
    tracks, law = _synthetic(Tracks(synthetic=120))
    windows = score(law, tracks, [10, 20], history=10, stride=50)
    distance = windows.distance[windows.exists].numpy()
    # 240 distances of 120 independent vehicles: chi-squared with two degrees of freedom
    assert stats.kstest(windows.distance[:, 0].numpy(), stats.chi2(2).cdf).pvalue > 0.001
    assert np.mean(distance < stats.chi2.ppf(0.9, 2)) == pytest.approx(0.9, abs=0.08)


def test_forecasts_only_use_the_past():
    tracks, law = _synthetic(Tracks(synthetic=4))
    before = score(law, tracks, [10], stride=15)
    bent = tracks.measured.clone()
    bent[:, 30:, :2] += 100.0
    after = score(law, type(tracks)(bent, tracks.valid, tracks.origin, tracks.time_step, tracks.names), [10], stride=15)
    assert torch.equal(before.log_det[before.present == 10], after.log_det[after.present == 10])
    assert torch.equal(before.distance[before.present == 10], after.distance[after.present == 10])


def test_conformal_factor_gives_the_level_and_is_scale_free():
    rng = np.random.default_rng(0)
    distance = torch.tensor(4.0 * rng.chisquare(2, (500, 1)))
    index = np.arange(500)
    windows = Windows(index, index, distance, torch.zeros(500, 1), torch.ones(500, 1, dtype=torch.bool))
    factor = conformal_factor(windows)
    assert float(factor) == pytest.approx(4.0, rel=0.15)
    inside = (distance / factor <= stats.chi2.ppf(0.9, 2)).double().mean()
    assert 0.9 <= float(inside) <= 0.905
    assert float(windows.nll(2.0)[0, 0]) == pytest.approx(float(distance[0, 0]) / 4 + np.log(2) + np.log(2 * np.pi))


@pytest.mark.slow
def test_bundled_tracks_are_covered_on_unseen_windows():
    found = cross_fit(bundled_batch(), first_guess(), [10, 30, 50])
    assert np.all(np.abs(found.coverage(0.9) - 0.9) <= 0.05)
    assert len(set(found.track)) == 60


def test_a_prior_keeps_the_forecast_law_near_its_guess():
    tracks, _ = _synthetic(Tracks(synthetic=4))
    problem = forecast_problem(tracks, first_guess(), [10], stride=20)
    assert sum(t.kind == "prior" for t in problem.terms) == len(LAW)
    assert np.isfinite(problem.value(problem.start))
