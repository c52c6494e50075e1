import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.motion.calibration import (
    calibration,
    calibration_by_group,
    pit_histogram,
    reliability,
    wilson_interval,
)
from retrodict.physics.motion.mixtures import GaussianMixture
from retrodict.physics.motion.pit import radius_pit


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (7, 7), (3, 50), (4999, 10_000)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_wilson_equals_scipy(hits, count, level):
    peer = stats.binomtest(hits, count).proportion_ci(level, method="wilson")
    np.testing.assert_allclose(wilson_interval(hits, count, level), [peer.low, peer.high], rtol=1e-12, atol=1e-15)


def test_coverage_counts_regions_that_hold_the_target():
    curve = calibration([0.1, 0.5, 0.5, 0.9], [0.05, 0.1, 0.5, 0.8, 1.0])
    assert curve.empirical.tolist() == [0.0, 0.25, 0.75, 0.75, 1.0]
    assert curve.count == 4
    assert (curve.low <= curve.empirical).all()
    assert (curve.high >= curve.empirical).all()


def test_a_true_forecast_is_calibrated_and_a_narrow_one_is_not(turned):
    generator = torch.Generator().manual_seed(3)
    covariance = torch.from_numpy(turned(4.0, 0.5, 0.8)).expand(1, 1, 2, 2)
    zeros = torch.zeros((1, 1, 2), dtype=torch.float64)
    truth = GaussianMixture(zeros[0, 0, :1], zeros, covariance, noise=0.3)
    targets = truth.sample(4000, generator)
    good = calibration(radius_pit(truth, targets), level=0.9999)
    assert ((good.low < good.nominal) & (good.nominal < good.high)).all()
    # half the standard deviation: the nominal 90 % ellipse (d^2 = 2 ln 10) is one of 1 - 10^(-1/4) = 43.77 %
    narrow = GaussianMixture(zeros[0, 0, :1], zeros, covariance / 4, noise=0.15)
    pit = radius_pit(narrow, targets)
    share = calibration(pit, 0.9, level=0.9999)
    assert share.low[0] < 1 - 10**-0.25 < share.high[0]
    assert reliability(pit).bias > 0.2
    assert abs(reliability(radius_pit(truth, targets)).bias) < 4 * math.sqrt(1 / 12 / 4000)


def dependent_pit(rng, tracks=40, steps=25):
    # all steps of a track share one PIT value: as many independent values as tracks
    return np.repeat(rng.uniform(size=tracks), steps), np.repeat(np.arange(tracks), steps)


def test_band_by_groups_sees_the_dependence_that_wilson_misses():
    rng = np.random.default_rng(10)
    inside = {"group": 0, "wilson": 0}
    trials = 300
    for _ in range(trials):
        pit, tracks = dependent_pit(rng)
        group = calibration_by_group(pit, tracks, rng, 0.5, resamples=300)
        wilson = calibration(pit, 0.5)
        assert group.empirical[0] == wilson.empirical[0]
        inside["group"] += int(group.low[0] <= 0.5 <= group.high[0])
        inside["wilson"] += int(wilson.low[0] <= 0.5 <= wilson.high[0])
    # nominal 95 %; 4 standard errors of 300 trials are 5 %, and the percentile bootstrap of 40 tracks loses a few more
    assert 0.88 < inside["group"] / trials <= 1.0
    assert inside["wilson"] / trials < 0.5  # 25 times too many "independent" targets: half width 5 times too small


def test_band_by_groups_has_the_width_of_the_number_of_groups():
    rng = np.random.default_rng(11)
    tracks = np.repeat([f"track {i:03d}" for i in range(400)], 5)
    pit = np.repeat((np.arange(400) + 0.5) / 400, 5)
    band = calibration_by_group(pit, tracks, rng, [0.2, 0.5], resamples=4000)
    np.testing.assert_allclose(band.high - band.low, 2 * 1.96 * np.sqrt(np.array([0.16, 0.25]) / 400), rtol=0.08)
    assert band.count == 400
    again = calibration_by_group(pit, tracks, np.random.default_rng(1), 0.5)
    same = calibration_by_group(pit, tracks, np.random.default_rng(1), 0.5)
    assert again.low == same.low


def test_groups_of_unequal_size_weigh_by_their_steps():
    pit = np.array([0.5] * 9 + [0.9])  # a value on the limit is inside
    band = calibration_by_group(pit, [0] * 9 + [1], np.random.default_rng(0), 0.5)
    assert band.empirical[0] == 0.9
    assert (band.low[0], band.high[0]) == (0.0, 1.0)  # one of the two groups twice: share 1 or 0, each with chance 1/4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_reliability_equals_brute_force(values):
    pit = np.array(values)
    ours = reliability(pit)
    grid = (np.arange(20_000) + 0.5) / 20_000
    empirical = (pit[:, None] <= grid).mean(0)
    assert ours.area == pytest.approx(np.abs(empirical - grid).mean(), abs=1e-4)
    assert ours.largest == pytest.approx(stats.kstest(pit, "uniform").statistic, abs=1e-12)
    assert ours.dispersion == pytest.approx(12 * ((pit - pit.mean()) ** 2).mean(), abs=1e-12)


def test_histogram_density_and_standard_error():
    rng = np.random.default_rng(12)
    density, edges, error = pit_histogram(rng.uniform(size=2000), bins=20)
    assert (density * np.diff(edges)).sum() == pytest.approx(1.0)
    # a bin holds Binomial(2000, 1/20) values: variance of the density 2000 (1/20) (19/20) / (2000/20)^2
    assert error == pytest.approx(math.sqrt(95) / 100)
    # 20 bins of a uniform sample: chi-squared with 19 degrees of freedom, by the stated standard error
    chi2 = ((density - 1) ** 2 / error**2).sum() * 19 / 20
    assert 1e-3 < stats.chi2(19).sf(chi2) < 1 - 1e-3


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: calibration([0.5, 1.5]), DataError, "probabilities"),
        (lambda: calibration([]), DataError, "probabilities"),
        (lambda: calibration([np.nan]), DataError, "pit: got NaN"),
        (lambda: calibration([0.5], level=1.0), DataError, "level"),
        (lambda: wilson_interval(3, 2), DataError, "hits"),
        (lambda: calibration_by_group([0.5, 0.6], [1], np.random.default_rng(0)), SpaceError, "groups"),
        (lambda: calibration_by_group([0.5, 0.6], [1, 1], np.random.default_rng(0)), DataError, "two groups"),
        (lambda: pit_histogram([0.5], bins=0), DataError, "bins"),
    ],
)
def test_wrong_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
