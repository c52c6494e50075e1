"""Intervals hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from retrodict.inverse.estimators import estimate
from retrodict.inverse.noise import Autocorrelated, Gaussian, Heteroscedastic
from retrodict.inverse.posterior import posterior
from retrodict.solvers.base import Status

TRUTH = {"amplitude": np.array(5.0), "rate": np.array(0.8)}
NOISES = {
    "gaussian": Gaussian(0.15),
    "heteroscedastic": Heteroscedastic(0.05, 0.05),
    "autocorrelated": Autocorrelated(0.15, 0.3, np.linspace(0.0, 3.0, 25)),
}


@pytest.mark.parametrize(
    "name", ["gaussian", *(pytest.param(n, marks=pytest.mark.slow) for n in NOISES if n != "gaussian")]
)
def test_intervals_cover_at_their_level(decay, decay_problem, name):
    noise, clean = NOISES[name], decay.apply(TRUTH)["y"]
    rng, draws = np.random.default_rng(7), 400
    inside = {68: np.zeros(2), 95: np.zeros(2)}
    for _ in range(draws):
        problem = decay_problem(noise.sample(clean, rng), noise, start=(4.5, 0.9))
        result = estimate(problem)
        assert result.status is Status.CONVERGED
        post = posterior(problem, problem.space.from_dataset(result.data))
        for level, count in inside.items():
            low, high = post[f"interval_{level}"].values.T
            count += (low <= [5.0, 0.8]) & (high >= [5.0, 0.8])
    for level, count in inside.items():
        low, high = stats.binom(draws, level / 100).interval(0.9999)
        assert (low <= count).all(), (level, count)
        assert (count <= high).all(), (level, count)
