"""Whether intervals hold where residuals are correlated: an autoregression of 0.9 added to the yaw rate of drive logs.

    python benchmarks/intervals.py [--draws 100] [--correlation 0.9] [--spread 0.01]

Logs are driven by case ``motion-steering``, whose yaw rate carries white noise of 0.01 rad/s; the correlated error that
is added has the standard deviation ``--spread``. Wheelbase, understeer, delay and bias are fitted as if the noise were
white. Printed: the share of 95 % intervals that hold the truth, of the posterior as it is (Laplace's, widened where the
residuals are correlated), of Laplace's alone and of the moving-block bootstrap.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from retrodict.cases.motion_steering import Steering, _drive
from retrodict.inverse.assessment import assess
from retrodict.inverse.diagnostics import diagnose
from retrodict.inverse.estimators import estimate
from retrodict.inverse.motion.steering_log import STEERING, SteeringLog, block_bootstrap, steering_problem
from retrodict.inverse.noise import Autocorrelated
from retrodict.inverse.posterior import posterior


def main() -> None:
    """Print coverage by unknown and by way to the interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--correlation", type=float, default=0.9)
    parser.add_argument("--spread", type=float, default=0.01)
    options = parser.parse_args()
    config = Steering()
    truth = np.array([getattr(config, k) for k in STEERING])
    hits: dict[str, list[np.ndarray]] = {"posterior": [], "Laplace": [], "block bootstrap": []}
    words, widths = [], []
    for draw in range(options.draws):
        rng = np.random.default_rng(draw)
        log = SteeringLog.of(_drive(config, rng))
        scale = -config.sample_step / np.log(options.correlation)
        error = Autocorrelated(options.spread, scale, log.time).sample(np.zeros_like(log.time), rng)
        problem = steering_problem(replace(log, yaw_rate=log.yaw_rate + error), 0.01, config.steering_noise)
        result = estimate(problem)
        at = problem.space.from_dataset(result.data)
        post, plain = posterior(problem, at), posterior(problem, at, covariance="laplace")
        boot = block_bootstrap(problem, at, rng)["interval"]
        for name, ends in (
            ("posterior", post["interval_95"]),
            ("Laplace", plain["interval_95"]),
            ("block bootstrap", boot),
        ):
            low, high = np.asarray(ends).T
            hits[name].append((low < truth) & (truth < high))
        widths.append((post["std"] / plain["std"]).values)
        words.append(assess(result.status, diagnose(problem, at), post).word)
    print(f"{options.draws} logs, correlation {options.correlation} of {options.spread} rad/s beside white 0.01 rad/s")
    print(f"{'95 % intervals that hold':26}" + "".join(f"{k:>12}" for k in STEERING))
    for name, found in hits.items():
        print(f"{name:26}" + "".join(f"{v:12.2f}" for v in np.mean(found, 0)))
    print(f"{'widened (median)':26}" + "".join(f"{v:12.2f}" for v in np.median(widths, 0)))
    print(f"assessments: {dict(Counter(words))}")


if __name__ == "__main__":
    main()
