"""Case ``motion-tracks``: real vehicle tracks read, smoothed, forecast, and their law fitted by maximum likelihood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.checks import Check, SolverRun, max_abs
from retrodict.cases.config import CaseConfig, setting
from retrodict.cases.motion_calibration import SCENARIOS, bundled_batch, first_guess
from retrodict.cases.motion_figures import DATA, MODEL, WHITE, ellipse
from retrodict.cases.origin import DataOrigin, bundled_data, simulated

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome
    from retrodict.inverse.motion.tracking import MotionLaw, TrackBatch
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["Tracks", "case"]


class Tracks(CaseConfig):
    """Settings of the case; the law's defaults were fitted to the forecasts of the bundled tracks."""

    scenario: str = setting("USA_US101-4_1_T-1", "", f"one of {', '.join(SCENARIOS)}, or all")
    history: float = setting(1.0, "s", "what the filter sees before the forecast", gt=0.2, le=1000)
    horizon: float = setting(3.0, "s", "length of the forecast", gt=0.2, le=1000)
    acceleration_std: float = setting(2.6, "m s-2", "stationary spread of the acceleration", ge=1e-06, le=1000)
    yaw_rate_std: float = setting(0.06, "rad s-1", "stationary spread of the yaw rate", ge=1e-06, le=1000)
    acceleration_time: float = setting(0.3, "s", "correlation time of the acceleration", ge=0.001, le=1000)
    yaw_rate_time: float = setting(0.25, "s", "correlation time of the yaw rate", ge=0.001, le=1000)
    position_noise: float = setting(0.15, "m", "standard deviation of measured positions", ge=1e-06, le=1000)
    heading_noise: float = setting(0.01, "rad", "standard deviation of measured headings", ge=1e-06, le=10)
    speed_noise: float = setting(0.3, "m s-1", "standard deviation of measured speeds", ge=1e-06, le=1000)
    synthetic: int = setting(16, "", "synthetic tracks in the recovery check", ge=4, le=10_000)


def _law(config: Tracks) -> MotionLaw:
    import torch

    from retrodict.inverse.motion.tracking import MotionLaw

    return MotionLaw(**{f.name: torch.tensor(getattr(config, f.name), dtype=torch.float64) for f in fields(MotionLaw)})


def _batch(config: Tracks, data: Path | None = None) -> TrackBatch:
    from retrodict.physics.errors import ConfigError, expected

    if config.scenario not in (*SCENARIOS, "all"):
        raise ConfigError(expected("scenario", repr(config.scenario), f"one of {', '.join(SCENARIOS)}, or 'all'"))
    return bundled_batch(SCENARIOS if config.scenario == "all" else (config.scenario,), data)


def origin(config: Tracks, verb: str) -> Sequence[DataOrigin]:
    """Return where the tracks come from: bundled recordings; checks recover the law of synthetic ones too."""
    names = SCENARIOS if config.scenario == "all" else (config.scenario,)
    real = tuple(bundled_data(f"motion/{name}.xml") for name in names)
    law = simulated("vehicles of a known law at a hundredth of the sample step", config.seed)
    return (*real, law) if verb == "validate" else real


def simulate(config: Tracks, _seeds: Seeds) -> xr.Dataset:
    """Return smoothed states of every track with their spread, and a forecast from each track's first second."""
    import torch

    from retrodict.inverse.motion.filtering import smooth
    from retrodict.inverse.motion.tracking import filter_tracks, states
    from retrodict.physics.motion.forecast import forecast

    tracks, law = _batch(config), _law(config)
    present, steps = round(config.history / tracks.time_step), round(config.horizon / tracks.time_step)
    with torch.no_grad():
        filtered = filter_tracks(law, tracks)
        out = states(smooth(filtered), tracks)
        mean, covariance = filtered.mean[present - 1], filtered.covariance[present - 1]
        ahead = forecast(mean, covariance, law.std, law.time_constant, steps, tracks.time_step)
    measured = tracks.measured[:, 1:].numpy().copy()
    measured[..., :2] += tracks.origin[:, None].numpy()
    ok = tracks.valid[:, 1:].numpy()
    by, to = ("track", "time"), ("track", "lead", "axis")
    for i, (name, unit) in enumerate((("x", "m"), ("y", "m"), ("heading", "rad"), ("speed", "m s-1"))):
        out[f"measured_{name}"] = (by, np.where(ok, measured[..., i], np.nan), {"units": unit})
    out["innovation"] = (
        by,
        filtered.innovations.T.numpy(),
        {"units": "1", "long_name": "squared innovation, 4 expected"},
    )
    out["forecast"] = (to, (ahead.mean + tracks.origin[:, None]).numpy(), {"units": "m", "long_name": "mean position"})
    out["forecast_covariance"] = ((*to, "axis_"), ahead.covariance.numpy(), {"units": "m2"})
    lead = ("lead", tracks.time_step * np.arange(1, steps + 1), {"units": "s", "long_name": "time ahead"})
    return out.assign_coords(lead=lead).assign_attrs(scenario=config.scenario, history_s=config.history)


def problem(config: Tracks, _seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the maximum-likelihood problem of process and measurement noise."""
    from retrodict.inverse.motion.tracking import law_problem

    return law_problem(_batch(config, data), first_guess())


def _synthetic(config: Tracks) -> tuple[TrackBatch, MotionLaw]:
    """Drive vehicles of a known law at a hundredth of the sample step, and measure them."""
    import torch

    from retrodict.inverse.motion.tracking import MotionLaw, TrackBatch
    from retrodict.physics.seeds import Seeds

    truth = MotionLaw(*torch.tensor([1.5, 0.15, 1.0, 0.8, 0.1, 0.02, 0.2], dtype=torch.float64))
    rng, dt, fine, steps = Seeds(config.seed).stream("tracks"), 0.1, 100, 50
    h, count = dt / fine, config.synthetic
    decay = torch.exp(-h / truth.time_constant).numpy()
    spread = (truth.std * torch.sqrt(1 - torch.exp(-2 * h / truth.time_constant))).numpy()
    inputs = truth.std.numpy() * rng.standard_normal((count, 2))
    state = np.zeros((count, 4))
    state[:, 2], state[:, 3] = rng.uniform(-3, 3, count), rng.uniform(8, 15, count)
    seen = [state.copy()]
    for _ in range(steps):
        for _ in range(fine):
            inputs = decay * inputs + spread * rng.standard_normal((count, 2))
            state[:, 0] += h * state[:, 3] * np.cos(state[:, 2])
            state[:, 1] += h * state[:, 3] * np.sin(state[:, 2])
            state[:, 2] += h * inputs[:, 1]
            state[:, 3] += h * inputs[:, 0]
        seen.append(state.copy())
    noise = np.array([0.1, 0.1, 0.02, 0.2])
    measured = torch.tensor(np.stack(seen, 1) + noise * rng.standard_normal((count, steps + 1, 4)))
    origin = measured[:, 0, :2].clone()
    measured[..., :2] -= origin[:, None]
    names = tuple(f"synthetic {i}" for i in range(count))
    return TrackBatch(measured, torch.ones(count, steps + 1, dtype=torch.bool), origin, dt, names), truth


@cache
def _recovery(config: Tracks) -> dict[str, Any]:
    """Fit the law of synthetic tracks: errors in standard deviations."""
    from retrodict.inverse.estimators import LBFGS
    from retrodict.inverse.motion.tracking import law_problem
    from retrodict.inverse.posterior import posterior
    from retrodict.solvers.iterate import finished

    tracks, truth = _synthetic(config)
    fit = law_problem(tracks, first_guess(), truth)
    found = finished(LBFGS(fit, tolerance=1e-5), 60)
    post = posterior(fit, fit.space.from_dataset(found.data))
    return {"pulls": ((post["estimate"] - post["truth"]) / post["std"]).values}


def _inputs(config: Tracks) -> tuple[Any, Any]:
    """Recover the positions of one track by Gauss-Newton over all inputs, and by the smoother, from the same data."""
    import torch

    from retrodict.inverse.estimators import solver_for
    from retrodict.inverse.motion.filtering import smooth
    from retrodict.inverse.motion.input_recovery import input_problem
    from retrodict.inverse.motion.tracking import MotionLaw, filter_tracks
    from retrodict.solvers.iterate import finished

    tracks, truth = _synthetic(config)
    one = tracks.select([0])
    # the batch problem has no speed channel: silence it in the filter too
    law = MotionLaw(**{**vars(truth), "speed_noise": torch.tensor(30.0, dtype=torch.float64)})
    states = smooth(filter_tracks(law, one)).mean[:, 0]
    m = one.measured[0].numpy()
    noise = {"position_noise": float(law.position_noise), "heading_noise": float(law.heading_noise)}
    std, tau = (tuple(float(v) for v in pair) for pair in (law.std, law.time_constant))
    fit = input_problem(m[:, :2], m[:, 2], one.time_step, std=std, time_constant=tau, **noise)  # type: ignore[arg-type]
    at = fit.space.from_dataset(finished(solver_for(fit), 200).data)
    return states.numpy(), (at, fit.terms[0].fn.model.apply(at)["position"])  # type: ignore[union-attr]


def checks(config: Tracks, _seeds: Seeds) -> Sequence[Check]:
    """Hold the law's recovery against a truth made on another grid, and two estimators against each other."""

    def apart() -> float:
        smoothed, (_, path) = _inputs(config)
        return float(np.abs(smoothed[:, :2] - path).max())

    def pulls() -> Any:
        return np.abs(_recovery(config)["pulls"])

    law, batch = (
        SolverRun(0.0, "vehicles driven at 1 ms by Euler steps"),
        SolverRun(0.0, "input recovery, 100 unknowns"),
    )
    return [
        Check("largest error of the law, in standard deviations", lambda: pulls().max(), law, 3.5, max_abs),
        Check("true values outside 95 % intervals, of 7", lambda: (pulls() > 1.96).sum(), law, 2.0, max_abs),
        Check("smoother against Gauss-Newton over all inputs", apart, batch, 0.02, max_abs, "m"),
    ]


def _map_figure(data: xr.Dataset) -> Figure:
    """Measured and smoothed tracks with the ellipses of the forecasts."""
    from retrodict.cases.plots import canvas

    figure, ax = canvas(1, 1, 8.4, 5.2)
    for i in range(data.sizes["track"]):
        one = data.isel(track=i)
        ax.plot(
            one["measured_x"], one["measured_y"], ".", color=DATA, markersize=2, label="recorded" if i == 0 else None
        )
        ax.plot(one["x"], one["y"], color=MODEL, linewidth=1, label="smoothed" if i == 0 else None)
        for k in range(9, data.sizes["lead"], 10):
            outline = ellipse(one["forecast"].values[k], one["forecast_covariance"].values[k], 0.9)
            ax.plot(
                *outline, color=WHITE, linewidth=0.7, label="90 % forecast, each second" if i == 0 and k == 9 else None
            )
    ax.set(xlabel="x (m)", ylabel="y (m)")
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend()
    return figure


def _smoothing_figure(data: xr.Dataset) -> Figure:
    """Speed, acceleration and yaw rate of the longest track with two standard deviations."""
    from retrodict.cases.plots import canvas

    one = data.isel(track=int(np.argmax(data["valid"].sum("time").values)))
    figure, axes = canvas(3, 1, 8.0, 5.6)
    axes = axes.ravel()
    labels = {"speed": "speed (m/s)", "acceleration": "acceleration (m/s²)", "yaw_rate": "yaw rate (rad/s)"}
    for ax, (name, label) in zip(axes, labels.items(), strict=True):
        if name == "speed":
            ax.plot(one["time"], one["measured_speed"], ".", color=DATA, markersize=3, label="recorded")
        ax.plot(one["time"], one[name], color=MODEL, label="smoothed, two standard deviations")
        spread = 2 * one[f"{name}_std"]
        ax.fill_between(one["time"], one[name] - spread, one[name] + spread, color=MODEL, alpha=0.18, linewidth=0)
        ax.set_ylabel(label)
    axes[0].legend(ncols=2)
    axes[-1].set_xlabel("time (s)")
    return figure


def _residual_figure(data: xr.Dataset) -> Figure:
    """Squared innovations against the chi-squared law with four degrees of freedom."""
    from scipy import stats

    from retrodict.cases.plots import canvas

    seen = data["innovation"].values[data["valid"].values]
    figure, ax = canvas(1, 1, 6.8, 3.4)
    grid = np.linspace(0, 16, 200)
    ax.hist(
        np.clip(seen, 0, 16),
        bins=48,
        range=(0, 16),
        density=True,
        color=MODEL,
        alpha=0.6,
        label=f"{seen.size} one-step errors",
    )
    ax.plot(grid, stats.chi2.pdf(grid, 4), color=DATA, label="expected")
    ax.set(xlabel="squared innovation (last bin: 16 and more)", ylabel="density")
    ax.legend()
    return figure


def _inputs_figure(outcome: FitOutcome) -> Figure:
    """Spread of the inputs and noise that the fit found, each with its 95 % interval, on their natural scale."""
    from retrodict.cases.plots import canvas

    post = outcome.posterior
    assert post is not None
    figure, ax = canvas(1, 1, 7.4, 3.4)
    at = np.arange(post.sizes["parameter"])[::-1]
    centre, low, high = (np.exp(v) for v in (post["estimate"].values, *post["interval_95"].values.T))
    ax.errorbar(centre, at, xerr=[centre - low, high - centre], fmt="o", color=MODEL, capsize=3)
    ax.set_yticks(at, [str(k).removeprefix("ln_").replace("_", " ") for k in post["parameter"].values])
    ax.set(xscale="log", xlabel="estimate and 95 % interval (SI units)")
    return figure


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return the path models that input recovery inverts."""
    from retrodict.physics.motion.model import path_model
    from retrodict.physics.motion.moments import FORMULATIONS

    rng = np.random.default_rng(0)
    point = {"start": np.array([1.0, -2.0, 0.4, 8.0]), "inputs": 0.1 * rng.standard_normal((8, 2))}
    return {f"path, {f}": (path_model(f, 8, 0.2, wheelbase=2.7), point) for f in FORMULATIONS}


case: Case[Tracks] = Case(
    name="motion-tracks",
    system="motion",
    summary="Real vehicle tracks smoothed and forecast; process and measurement noise by maximum likelihood.",
    Config=Tracks,
    simulate=simulate,
    presets={
        "smoke": {"scenario": "USA_US101-3_3_T-1", "horizon": 2.0, "synthetic": 8},
        "paper": {"scenario": "all", "synthetic": 64},
    },
    problem=problem,
    checks=checks,
    figures={
        "Recorded and smoothed tracks with 90 % forecast ellipses at each second": _map_figure,
        "The longest track: recorded speed, and smoothed speed and inputs": _smoothing_figure,
        "One-step prediction errors of the filter": _residual_figure,
    },
    fit_figures={"What the fit found": _inputs_figure},
    models=models,
    origin=origin,
)
