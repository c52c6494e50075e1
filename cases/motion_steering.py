"""Case ``motion-steering``: wheelbase, understeer, delay and bias from a log of speed, steering and yaw rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.checks import Check, Invariant, SolverRun, max_abs, shortfall
from retrodict.cases.config import CaseConfig, setting
from retrodict.cases.motion_figures import DATA, MODEL, WHITE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome
    from retrodict.inverse.motion.steering_log import SteeringLog
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["Steering", "case"]


class Steering(CaseConfig):
    """Settings of the case."""

    wheelbase: float = setting(2.9, "m", "true wheelbase of the synthetic log", gt=0.5, lt=25)
    understeer: float = setting(0.004, "s2 m-1", "true understeer", ge=-0.01, le=0.05)
    delay: float = setting(0.083, "s", "true delay of the yaw rate, no multiple of the sample step", ge=-0.4, le=0.4)
    bias: float = setting(0.004, "rad", "true bias of the steering angle", ge=-0.1, le=0.1)
    duration: float = setting(120.0, "s", "length of the log", ge=10, le=36000)
    sample_step: float = setting(0.12, "s", "time between samples", ge=0.001, le=0.5)
    yaw_rate_noise: float = setting(
        0.01, "rad s-1", "standard deviation of the yaw rate", of_data=True, ge=1e-09, le=10
    )
    steering_noise: float = setting(0.002, "rad", "standard deviation of the steering angle", of_data=True, ge=0, le=1)
    logs: int = setting(200, "", "synthetic logs in the coverage check", ge=10, le=100_000)


def _drive(config: Steering, rng: np.random.Generator, *, straight: bool = False) -> xr.Dataset:
    """Drive a synthetic log: continuous steering, marched at 1 ms by a Runge-Kutta integrator of the heading.

    The yaw rate is read off the integrated heading, not off the formula that is inverted.
    """
    import xarray as xr

    waves = rng.uniform(0.03, 0.5, 12), 0.0245 * rng.standard_normal(12), rng.uniform(0, 2 * np.pi, 12)
    phase = rng.uniform(0, 2 * np.pi)

    def steering(t: Any) -> Any:
        parts = waves[1] * np.sin(2 * np.pi * waves[0] * np.asarray(t)[..., None] + waves[2])
        return 0.0 * np.asarray(t) if straight else parts.sum(-1)

    def speed(t: Any) -> Any:
        return 12 + 5 * np.sin(2 * np.pi * np.asarray(t) / 47 + phase)

    def rate(t: Any) -> Any:
        v = speed(t)
        return v * np.tan(steering(t - config.delay) + config.bias) / (config.wheelbase + config.understeer * v * v)

    h = 1e-3
    fine = np.arange(-0.01, config.duration + 0.02, h)
    heading = np.concatenate(
        [[0.0], np.cumsum(h / 6 * (rate(fine[:-1]) + 4 * rate(fine[:-1] + h / 2) + rate(fine[1:])))]
    )
    t = np.arange(0, config.duration, config.sample_step)
    yaw = (np.interp(t + 2 * h, fine, heading) - np.interp(t - 2 * h, fine, heading)) / (4 * h)
    noisy = {"speed": speed(t), "yaw_rate": yaw + config.yaw_rate_noise * rng.standard_normal(t.size)}
    noisy["steering"] = steering(t) + config.steering_noise * rng.standard_normal(t.size)
    units = {"speed": "m s-1", "yaw_rate": "rad s-1", "steering": "rad"}
    data = {k: (("track", "time"), v[None], {"units": units[k]}) for k, v in noisy.items()}
    valid = (("track", "time"), np.ones((1, t.size), bool))
    return xr.Dataset({**data, "valid": valid}, {"track": ["log"], "time": ("time", t, {"units": "s"})})


def simulate(config: Steering, seeds: Seeds) -> xr.Dataset:
    """Return a synthetic drive log."""
    return _drive(config, seeds.stream("data"))


def _truth(config: Steering) -> dict[str, Any]:
    return {k: np.array(getattr(config, k)) for k in ("wheelbase", "understeer", "delay", "bias")}


def problem(config: Steering, seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the problem of the synthetic log or of a user's CSV log."""
    from retrodict.inverse.motion.steering_log import SteeringLog, steering_problem, straightness
    from retrodict.physics.errors import DataError, expected
    from retrodict.physics.motion.tracks import read_tracks

    log = SteeringLog.of(simulate(config, seeds) if data is None else read_tracks(data, "drive-log"))
    why = straightness(log, config.steering_noise)
    if why is not None:
        raise DataError(expected(str(data or "synthetic log"), why, "a log with turns"))
    truth = None if data else _truth(config)
    return steering_problem(log, config.yaw_rate_noise, config.steering_noise, truth=truth)


@cache
def _study(config: Steering) -> dict[str, Any]:
    """Fit many logs: estimates, and which intervals hold the truth, by block bootstrap and by Laplace."""
    from retrodict.inverse.estimators import solver_for
    from retrodict.inverse.motion.steering_log import SteeringLog, block_bootstrap, steering_problem
    from retrodict.inverse.posterior import posterior
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.iterate import finished

    truth = np.array([float(v) for v in _truth(config).values()])
    rows, boot, laplace, undelayed = [], [], [], []
    for i in range(config.logs):
        seeds = Seeds(config.seed + 1000 + i)
        log = SteeringLog.of(_drive(config, seeds.stream("data")))
        one = steering_problem(log, config.yaw_rate_noise, config.steering_noise)
        at = one.space.from_dataset(finished(solver_for(one), 200).data)
        rows.append(one.space.pack(at))
        low, high = block_bootstrap(one, at, seeds.stream("bootstrap"))["interval"].T
        boot.append((low < truth) & (truth < high))
        interval = posterior(one, at)["interval_95"].values
        laplace.append((interval[:, 0] < truth) & (truth < interval[:, 1]))
        if i < 20:
            undelayed.append(float(finished(solver_for(one.fix({"delay": np.array(0.0)})), 200).data["wheelbase"]))
    return {
        "estimates": np.array(rows),
        "boot": np.array(boot),
        "laplace": np.array(laplace),
        "undelayed": undelayed,
        "log": log,
    }


def _straight(config: Steering) -> float:
    from retrodict.inverse.motion.steering_log import SteeringLog, straightness
    from retrodict.physics.seeds import Seeds

    log = SteeringLog.of(_drive(config, Seeds(config.seed).stream("straight"), straight=True))
    return float(straightness(log, config.steering_noise) is not None)


def checks(config: Steering, _seeds: Seeds) -> Sequence[Check]:
    """Hold estimates and intervals against the truth of logs that another solver drove."""
    n = config.logs
    # three standard errors of a share of 95 % that is right
    band = 3 * (0.95 * 0.05 / n) ** 0.5
    source = f"{n} logs marched at 1 ms by Simpson's rule"
    return [
        Check(
            "wheelbase, largest error",
            lambda: np.abs(_study(config)["estimates"][:, 0] / config.wheelbase - 1).max(),
            SolverRun(0.0, source),
            0.03,
            max_abs,
        ),
        Check(
            "wheelbase, bias",
            lambda: _study(config)["estimates"][:, 0].mean() / config.wheelbase - 1,
            SolverRun(0.0, source),
            0.002 + 0.02 / n**0.5,
            max_abs,
        ),
        Check(
            "95 % bootstrap intervals that hold the wheelbase",
            lambda: _study(config)["boot"][:, 0].mean(),
            SolverRun(0.95, source),
            max(band, 0.02),
            max_abs,
        ),
        Check(
            "95 % Laplace intervals that hold the wheelbase",
            lambda: _study(config)["laplace"][:, 0].mean(),
            SolverRun(0.95, source),
            max(band, 0.02),
            max_abs,
        ),
        Check(
            "delay, bias in seconds",
            lambda: _study(config)["estimates"][:, 2].mean() - config.delay,
            SolverRun(0.0, source),
            0.0005 + 0.005 / n**0.5,
            max_abs,
            "s",
        ),
        Check(
            "assuming no delay biases the wheelbase",
            lambda: abs(np.mean(_study(config)["undelayed"]) / config.wheelbase - 1),
            Invariant(0.002, "delay and estimator matter"),
            0.0,
            shortfall,
        ),
        Check(
            "a straight log is reported as not identifiable",
            lambda: _straight(config),
            Invariant(1.0, "no excitation"),
            0.0,
            max_abs,
        ),
    ]


def _log_figure(data: xr.Dataset) -> Figure:
    """The three channels of the log."""
    from retrodict.cases.plots import canvas

    figure, axes = canvas(3, 1, 8.0, 5.4)
    for ax, name, label in zip(
        axes.ravel(),
        ("speed", "steering", "yaw_rate"),
        ("speed (m/s)", "steering (rad)", "yaw rate (rad/s)"),
        strict=True,
    ):
        ax.plot(data["time"], data[name][0], color=DATA, linewidth=0.9)
        ax.set_ylabel(label)
    axes.ravel()[-1].set_xlabel("time (s)")
    return figure


def _residual_figure(outcome: FitOutcome) -> Figure:
    """Standardised residuals over time, and over the predicted yaw rate where the delay is left out."""
    from retrodict.cases.plots import canvas

    term = outcome.problem.terms[0].fn
    at = outcome.problem.space.from_dataset(outcome.result.data)
    figure, axes = canvas(1, 2, 9.0, 3.4)
    axes = axes.ravel()
    axes[0].plot(term.model.apply(at)["residual"], ".", color=MODEL, markersize=3)
    axes[0].set(xlabel="sample", ylabel="residual (standard deviations)", title="fitted delay")
    axes[1].plot(term.model.apply({**at, "delay": np.array(0.0)})["residual"], ".", color=WHITE, markersize=3)
    axes[1].set(xlabel="sample", title="delay set to zero")
    return figure


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return the residual model of a short log."""
    from retrodict.inverse.motion.steering_log import SteeringLog, residual_model

    config = Steering(duration=20.0)
    log: SteeringLog = SteeringLog.of(_drive(config, np.random.default_rng(0)))
    point = {
        "wheelbase": np.array(2.7),
        "understeer": np.array(0.003),
        "delay": np.array(0.05),
        "bias": np.array(0.002),
    }
    return {"steering residuals": (residual_model(log, config.yaw_rate_noise, config.steering_noise), point)}


case: Case[Steering] = Case(
    name="motion-steering",
    system="motion",
    summary="Wheelbase, understeer, real-valued delay and bias from speed, steering and yaw rate.",
    Config=Steering,
    simulate=simulate,
    presets={"smoke": {"logs": 20, "duration": 60.0}, "default": {"logs": 100}, "paper": {"logs": 200}},
    problem=problem,
    checks=checks,
    figures={"Drive log": _log_figure},
    fit_figures={"Residuals of the yaw rate with the fitted delay and without one": _residual_figure},
    models=models,
    origin="a drive marched at 1 ms by a Runge-Kutta integrator of the heading",
)
