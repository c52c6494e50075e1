"""How often the diagnostics of a fit cry wolf, and how often they see one: right and wrong noise, 200 seeds each.

    python benchmarks/diagnostics.py [--seeds 200] [--values 300]

A line through noisy values is fitted by the noise model that made them, and every diagnostic is asked at two levels:
its false alarms should lie within three binomial deviations of the level. Then wrong models: noise of another kind, of
another size, or a curve in the data that the line cannot follow.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from retrodict.inverse.assessment import assess
from retrodict.inverse.diagnostics import diagnose
from retrodict.inverse.estimators import estimate
from retrodict.inverse.noise import Autocorrelated, Gaussian, Heteroscedastic, NoiseModel, Poisson, StudentT
from retrodict.inverse.observation import Observation
from retrodict.inverse.posterior import posterior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.autograd import TorchModel
from retrodict.physics.spaces import Space, Var

LEVELS = (0.05, 0.01)
TESTS = ("chi2_p", "chi2_low_p", "whiteness_p", "normality_p")
UNKNOWN = Space({"level": Var(), "slope": Var()})
TRUTH = {"level": np.array(60.0), "slope": np.array(30.0)}


def models(count: int) -> dict[str, NoiseModel]:
    """The noise of the data, by name."""
    return {
        "Gaussian": Gaussian(2.0),
        "Student-t": StudentT(2.0, 4.0),
        "relative": Heteroscedastic(0.5, 0.1),
        "Poisson": Poisson(),
        "correlated": Autocorrelated(2.0, 5.0, np.arange(float(count))),
    }


def fitted(y: np.ndarray, noise: NoiseModel, line: TorchModel) -> tuple[InverseProblem, Any]:
    """The problem of a line with some noise, and its solution."""
    data = Observation(line.range, {"y": y}, {"y": noise})
    problem = InverseProblem(UNKNOWN, (Term("data", Misfit(line, data)),), TRUTH)
    return problem, estimate(problem)


def alarms(
    seeds: int, line: TorchModel, noise: NoiseModel, make: Callable[[np.random.Generator], np.ndarray]
) -> tuple[Mapping[str, np.ndarray], list[str]]:
    """P-values of every diagnostic, and assessments, over seeds."""
    rows: dict[str, list[float]] = {k: [] for k in TESTS}
    words = []
    for seed in range(seeds):
        problem, result = fitted(make(np.random.default_rng(seed)), noise, line)
        at = problem.space.from_dataset(result.data)
        told = diagnose(problem, at)
        assert told is not None
        for name in ("chi2_p", "chi2_low_p"):
            rows[name].append(told.attrs[name])
        for name in ("whiteness_p", "normality_p"):
            rows[name].append(float(told[name][0]))
        words.append(assess(result.status, told, posterior(problem, at)).word)
    return {k: np.array(v) for k, v in rows.items()}, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--values", type=int, default=300)
    options = parser.parse_args()
    n, seeds = options.values, options.seeds
    t = np.linspace(-1, 1, n)
    import torch

    at = torch.tensor(t)
    line = TorchModel(UNKNOWN, Space({"y": Var(("time",), (n,))}), lambda p: {"y": p["level"] + p["slope"] * at})
    mean = TRUTH["level"] + TRUTH["slope"] * t
    right = models(n)
    print(f"right models, {seeds} seeds of {n} values: share of false alarms, at levels {LEVELS}")
    print(f"{'noise':12}" + "".join(f"{k:>20}" for k in TESTS) + "   holds")
    within = True
    for name, noise in right.items():
        p, words = alarms(seeds, line, noise, lambda rng, noise=noise: noise.sample(mean, rng))
        cells = []
        for test in TESTS:
            # a test that the one before it makes void is not made: its alarms count among those that are
            made = p[test][np.isfinite(p[test])]
            shares = [float(np.mean(made < a)) for a in LEVELS]
            bars = [3 * (a * (1 - a) / made.size) ** 0.5 for a in LEVELS]
            good = all(abs(s - a) <= b for s, a, b in zip(shares, LEVELS, bars, strict=True))
            within &= good
            cells.append(f"{shares[0]:8.3f} {shares[1]:6.3f} {'ok' if good else 'OFF':>4}")
        print(f"{name:12}" + "".join(cells) + f"   {np.mean([w == 'holds' for w in words]):.3f}")
    print("all within three binomial deviations" if within else "NOT all within three binomial deviations")

    drift = right["correlated"]
    normal, heavy, relative = (right[k].sample for k in ("Gaussian", "Student-t", "relative"))
    bent = mean + 3 * np.cos(7 * t)
    wrong: dict[str, tuple[NoiseModel, Callable[[np.random.Generator], np.ndarray], str]] = {
        "twice the noise": (Gaussian(1.0), lambda r: normal(mean, r), "chi2_p"),
        "half the noise": (Gaussian(4.0), lambda r: normal(mean, r), "chi2_low_p"),
        "outliers taken as Gaussian": (
            Gaussian(2 * 2**0.5),
            lambda r: heavy(mean, r),
            "normality_p",
        ),
        "relative taken as constant": (Gaussian(6.3), lambda r: relative(mean, r), "normality_p"),
        "correlated taken as white": (Gaussian(2.0), lambda r: drift.sample(mean, r), "whiteness_p"),
        "counts of twice the spread": (Poisson(), lambda r: r.negative_binomial(mean / 3, 0.25) * 1.0, "chi2_p"),
        "a curve under the line": (
            Gaussian(2.0),
            lambda r: normal(bent, r),
            "whiteness_p",
        ),
    }
    print(f"\nwrong models: share of seeds in which the diagnostic that should see it does, at level {LEVELS[1]}")
    for name, (noise, make, test) in wrong.items():
        p, words = alarms(seeds, line, noise, make)
        counts = {w: words.count(w) for w in dict.fromkeys(words)}
        print(f"{name:30} {test:12} {np.mean(p[test] < LEVELS[1]):.3f}   assessments {counts}")


if __name__ == "__main__":
    main()
