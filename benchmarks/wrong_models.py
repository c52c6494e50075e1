"""Whether a fit says so when its model is wrong: one wrong model a system, many draws of the noise.

    OMP_NUM_THREADS=1 python benchmarks/wrong_models.py [--draws 50] [--sections pde,motion,flames,radio]

- pde: the field also decays (rate 0.3), which the equation of case ``pde-inverse`` has no term for; 200 samples at 1 %.
- motion: the car of the drive log is no bicycle: its yaw rate lags behind by 0.25 s as its tyres relax, and understeers
  the more the harder it turns.
- flames: 20 burning velocities of hydrogen at 2 %, at half to eight atmospheres, of a mechanism in which a rate that is
  not sought (H + O2 + H2O) is twice as large; three rates are sought, with priors of an uncertainty factor of two.
- radio: a point source seen by the VLA through raw phases of the receivers, between -pi and pi, where the model expects
  gains near one.

Beside each stands the same fit with the right model, and for flames one with five velocities at 5 %, which cannot test
their model. Printed: assessments, and the first reason of the last draw.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from retrodict.inverse.assessment import Assessment, assess
from retrodict.inverse.diagnostics import diagnose, examine_residuals
from retrodict.inverse.estimators import estimate, solver_for
from retrodict.inverse.posterior import posterior
from retrodict.inverse.problem import InverseProblem
from retrodict.physics.spaces import Tree
from retrodict.solvers.base import Status

Draw = Callable[[int], Assessment]


def told(problem: InverseProblem, status: Status, at: Tree) -> Assessment:
    """The assessment of a fit, as the verb has it."""
    return assess(status, diagnose(problem, at), posterior(problem, at))


def fitted(problem: InverseProblem) -> Assessment:
    """Fit and assess."""
    result = estimate(problem)
    return told(problem, result.status, problem.space.from_dataset(result.data))


def pde() -> Iterator[tuple[str, Draw]]:
    """Convection and diffusion, with and without a decay that the model lacks."""
    from retrodict.cases.pde_inverse_setup import PdeInverse, bump, posed
    from retrodict.inverse.pde.inference import infer
    from retrodict.inverse.pde.samples import Samples
    from retrodict.solvers.reference.spectral import convection_diffusion

    config = PdeInverse()
    period = config.period
    exact = convection_diffusion(lambda x: bump(config, x), period=period, speed=43.0, diffusivity=0.02, samples=512)

    def draw(seed: int, decay: float) -> Assessment:
        rng = np.random.default_rng(seed)
        x, t = rng.uniform(0, period, 200), rng.uniform(0, 1, 200)
        u = exact(x, t) * np.exp(-decay * t) + 0.01 * rng.standard_normal(200)
        found = infer(posed(config, Samples(x, t, u, 0.01), 0, None), (0.0, config.highest))
        problem = found.problem
        return assess(found.result.status, diagnose(problem, found.estimate), found.posterior)

    yield "pde, right", lambda seed: draw(seed, 0.0)
    yield "pde, a decay is missing", lambda seed: draw(seed, 0.3)


def motion() -> Iterator[tuple[str, Draw]]:
    """Drive logs of a bicycle, and of a car that is none."""
    from retrodict.cases.motion_steering import Steering, _drive
    from retrodict.inverse.motion.steering_log import SteeringLog, steering_problem

    config = Steering()

    def log(seed: int) -> SteeringLog:
        return SteeringLog.of(_drive(config, np.random.default_rng(seed)))

    def car(one: SteeringLog, seed: int) -> SteeringLog:
        rng = np.random.default_rng([seed, 1])
        clean = SteeringLog.of(_drive(config.model_copy(update={"yaw_rate_noise": 1e-9}), np.random.default_rng(seed)))
        hard = clean.yaw_rate / (1 + (clean.speed * clean.yaw_rate / 4.0) ** 2)
        lagged = np.empty_like(hard)
        lagged[0], keep = hard[0], np.exp(-config.sample_step / 0.25)
        for i in range(1, hard.size):
            lagged[i] = keep * lagged[i - 1] + (1 - keep) * hard[i]
        return replace(one, yaw_rate=lagged + config.yaw_rate_noise * rng.standard_normal(hard.size))

    def draw(seed: int, *, wrong: bool) -> Assessment:
        seen = car(log(seed), seed) if wrong else log(seed)
        return fitted(steering_problem(seen, config.yaw_rate_noise, config.steering_noise))

    yield "motion, right", lambda seed: draw(seed, wrong=False)
    yield "motion, no bicycle", lambda seed: draw(seed, wrong=True)


def flames() -> Iterator[tuple[str, Draw]]:
    """Burning velocities of hydrogen, of the mechanism and of another one; made on three times the nodes."""
    from retrodict.inverse.flames.handles import moved, rate
    from retrodict.inverse.flames.inference import flame_noise, flame_posterior, flame_problem, rate_deviation
    from retrodict.inverse.flames.joint import JointFlames
    from retrodict.inverse.observation import Observation
    from retrodict.physics.flames.mechanism import load_mechanism
    from retrodict.solvers.flames.premixed import FreeFlame

    gas = load_mechanism("h2o2.yaml")
    sought = ["H + O2 <=> O + OH", "H2 + O <=> H + OH", "H2 + OH <=> H + H2O"]
    other = "H + O2 + H2O <=> HO2 + H2O"

    def flame(phi: float, p: float, points: int) -> FreeFlame:
        Y = np.asarray(gas.composition("H2", "O2:1, AR:5", phi))
        return FreeFlame(gas, Y, 300.0, 101325.0 * p, width=0.03 * p**-0.7, points=points)

    mixtures = [(phi, p) for p in (0.5, 1.0, 3.0, 8.0) for phi in (0.6, 0.8, 1.0, 1.4, 2.0)]

    @cache
    def joint(count: int) -> JointFlames:
        some = mixtures[:: len(mixtures) // count][:count]
        names = {f"phi {phi:g} at {p:g} atm": flame(phi, p, 60) for phi, p in some}
        return JointFlames(names, [rate(gas, r, r) for r in sought])

    @cache
    def truth(count: int, factor: float) -> dict[str, np.ndarray]:
        handle = rate(gas, other, "other")
        parameters = moved(gas, [handle], {"other": np.array(np.log(factor))})
        true = replace(gas, parameters=parameters)
        some = mixtures[:: len(mixtures) // count][:count]
        found = [replace(flame(phi, p, 180), mechanism=true).solve() for phi, p in some]
        return {k: np.asarray(one.observables()["s_L"]) for k, one in zip(joint(count).range, found, strict=True)}

    @cache
    def begin(count: int, factor: float) -> Tree:
        """Where data without noise lead: all draws start there."""
        return solved(joint(count).domain.zeros(), truth(count, factor), count, 0.02)[1]

    def solved(start: Tree, values: Tree, count: int, noise: float) -> tuple[InverseProblem, Tree, Status]:
        model = joint(count)
        seen = Observation(model.range, values, flame_noise(model.range, relative=noise))
        problem = flame_problem(model, seen, dict.fromkeys(model.domain, rate_deviation(2.0)), start)
        result = estimate(problem, solver_for(problem, tolerance=1e-4))
        return problem, problem.space.from_dataset(result.data), result.status

    def draw(seed: int, count: int, noise: float, factor: float) -> Assessment:
        rng = np.random.default_rng(seed)
        values = {k: v * (1 + noise * rng.standard_normal()) for k, v in truth(count, factor).items()}
        problem, at, status = solved(begin(count, factor), values, count, noise)
        return assess(status, diagnose(problem, at), flame_posterior(problem, at))

    yield "flames, right", lambda seed: draw(seed, 20, 0.02, 1.0)
    yield "flames, another rate is wrong", lambda seed: draw(seed, 20, 0.02, 2.0)
    yield "five flames at 5 %", lambda seed: draw(seed, 5, 0.05, 2.0)


def radio() -> Iterator[tuple[str, Draw]]:
    """A point source with gains near one, and with raw phases."""
    from retrodict.cases.radio_file_setup import RadioFileSettings, measured, solver_of
    from retrodict.cases.radio_setup import RadioSettings, observed
    from retrodict.solvers.iterate import iterate

    config = RadioFileSettings(size=32, terms=3, support=1, reweightings=0, compare=False)

    def draw(seed: int, *, raw: bool) -> Assessment:
        rng = np.random.default_rng(seed)
        vis = observed(RadioSettings(sky="points", size=32, slots=20, support=1, snr=30, seed=seed)).vis
        if raw:
            phase = np.exp(1j * rng.uniform(-np.pi, np.pi, len(vis.antennas)))
            vis = vis.with_data(vis.data * phase[vis.antenna1] * phase[vis.antenna2].conj())
        seen = measured(vis, config)
        result = iterate(solver_of(seen), 40)
        return assess(result.status, examine_residuals(seen.residuals(result.data)))

    yield "radio, gains near one", lambda seed: draw(seed, raw=False)
    yield "radio, raw phases", lambda seed: draw(seed, raw=True)


def main() -> None:
    """Print a line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--sections", default="pde,motion,flames,radio")
    options = parser.parse_args()
    sections = {"pde": pde, "motion": motion, "flames": flames, "radio": radio}
    for section in options.sections.split(","):
        for name, draw in sections[section]():
            began, found = time.perf_counter(), []
            for seed in range(options.draws):
                found.append(draw(seed))
            words = Counter(a.word for a in found)
            told = "; ".join(found[-1].reasons[:2])
            wrong = (words["misfit"] + words["invalid"]) / options.draws
            seconds = time.perf_counter() - began
            print(f"{name:32} misfit or invalid {wrong:5.0%}  {dict(words)}  {seconds:.0f} s\n    {told}", flush=True)


if __name__ == "__main__":
    main()
