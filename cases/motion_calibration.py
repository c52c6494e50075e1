"""Case ``motion-calibration``: forecasts of real vehicles whose ellipses hold what they promise, on unseen tracks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.checks import Check, Invariant, max_abs
from retrodict.cases.config import CaseConfig, setting
from retrodict.cases.motion_figures import DATA, MODEL, WHITE
from retrodict.cases.origin import bundled_data

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.inverse.motion.calibration import CrossFit
    from retrodict.inverse.motion.tracking import MotionLaw, TrackBatch
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.seeds import Seeds

__all__ = ["Calibration", "bundled_batch", "case", "first_guess"]

METHODS = (
    "correlated, forecast fit, conformal",
    "correlated, one-step fit",
    "white, forecast fit, conformal",
    "white, one-step fit",
)
SCENARIOS = ("USA_Lanker-1_1_T-1", "USA_Peach-4_8_T-1", "USA_US101-3_3_T-1", "USA_US101-4_1_T-1")


class Calibration(CaseConfig):
    """Settings of the case."""

    folds: int = setting(2, "", "folds of tracks: each is scored by the law of the others", ge=2, le=100)
    history: float = setting(1.0, "s", "what the filter sees before the first forecast", gt=0.2, le=1000)
    stride: int = setting(5, "", "samples between two forecasts of a track", ge=1, le=1000)
    fit_steps: int = setting(25, "", "largest number of steps of a law's fit", ge=1, le=1_000_000_000)
    baselines: bool = setting(True, "", "show two more ways to fit beside ours and white inputs")
    longest: float = setting(5.0, "s", "longest horizon that takes part in fit and scores", ge=1, le=1000)


def first_guess() -> MotionLaw:
    """Return the law from which fits start, and about which forecasts have their weak prior."""
    import torch

    from retrodict.inverse.motion.tracking import MotionLaw

    return MotionLaw(*torch.tensor([1.5, 0.15, 1.0, 1.0, 0.2, 0.02, 0.3], dtype=torch.float64))


def bundled_batch(scenarios: Sequence[str] = SCENARIOS, data: Path | None = None) -> TrackBatch:
    """Return the tracks of bundled scenarios, or of a user's file, of two seconds or more."""
    from retrodict.cases.data import bundled
    from retrodict.inverse.motion.tracking import batch, join
    from retrodict.physics.motion.tracks import read_tracks

    paths = [data] if data is not None else [bundled(f"motion/{name}.xml") for name in scenarios]
    return join([batch(read_tracks(path)) for path in paths])


def _horizons(config: Calibration, time_step: float = 0.1) -> list[int]:
    """Return the horizons of 1, 3, 5 and 8 s as far as they are asked for, in samples of the tracks."""
    return [round(h / time_step) for h in (1.0, 3.0, 5.0, 8.0) if h <= config.longest + 1e-9]


@cache
def _fits(config: Calibration) -> dict[str, CrossFit]:
    from retrodict.inverse.motion.calibration import cross_fit

    tracks = bundled_batch()
    shared: dict[str, Any] = {
        "folds": config.folds,
        "history": round(config.history / tracks.time_step),
        "stride": config.stride,
        "max_steps": config.fit_steps,
    }
    start, horizons = first_guess(), _horizons(config)
    one_step: dict[str, Any] = {"objective": "one-step", "conformal": False, **shared}
    fits = {METHODS[0]: cross_fit(tracks, start, horizons, **shared)}
    if config.baselines:
        fits[METHODS[1]] = cross_fit(tracks, start, horizons, **one_step)
        fits[METHODS[2]] = cross_fit(tracks, start, horizons, white=True, **shared)
    fits[METHODS[3]] = cross_fit(tracks, start, horizons, white=True, **one_step)
    return fits


def simulate(config: Calibration, seeds: Seeds) -> xr.Dataset:
    """Return coverage, likelihood and counts at every horizon for every way to forecast, with confidence bands."""
    import torch
    import xarray as xr
    from scipy import stats

    from retrodict.physics.motion.calibration import calibration_by_group

    fits, horizons = _fits(config), _horizons(config)
    levels = np.array([0.5, 0.68, 0.8, 0.9, 0.95])
    shape = (len(fits), len(horizons), len(levels))
    share, low, high = np.empty(shape), np.empty(shape), np.empty(shape)
    for i, fit in enumerate(fits.values()):
        for j in range(len(horizons)):
            seen = ~np.isnan(fit.distance[:, j])
            pit = stats.chi2.cdf(fit.distance[seen, j], 2)
            found = calibration_by_group(torch.as_tensor(pit), fit.track[seen], seeds.stream(f"band {i} {j}"), levels)
            share[i, j], low[i, j], high[i, j] = found.empirical, found.low, found.high
    first = next(iter(fits.values()))
    seen = ~np.isnan(first.distance)
    by = ("method", "horizon", "level")
    nll = np.stack([np.nanmean(f.nll, 0) for f in fits.values()])
    counted = np.array([len(set(first.track[seen[:, j]])) for j in range(len(horizons))])
    data = {
        "coverage": (by, share, {"units": "1", "long_name": "share of windows inside the nominal ellipse"}),
        "coverage_lower": (by, low, {"units": "1", "long_name": "95 % band, resampling tracks"}),
        "coverage_upper": (by, high, {"units": "1", "long_name": "95 % band, resampling tracks"}),
        "nll": (by[:2], nll, {"units": "nat", "long_name": "mean negative log-likelihood"}),
        "windows": ("horizon", seen.sum(0), {"units": "1"}),
        "tracks": ("horizon", counted, {"units": "1"}),
        "factor": (
            ("fold", "horizon"),
            first.factors,
            {"units": "1", "long_name": "conformal factor on the covariance"},
        ),
    }
    coords = {"method": list(fits), "horizon": ("horizon", 0.1 * np.array(horizons), {"units": "s"}), "level": levels}
    return xr.Dataset(data, coords)


def problem(config: Calibration, _seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the problem of the law that forecasts all tracks best."""
    from retrodict.inverse.motion.calibration import forecast_problem

    tracks = bundled_batch(data=data)
    history = round(config.history / tracks.time_step)
    horizons = _horizons(config, tracks.time_step)
    return forecast_problem(tracks, first_guess(), horizons, history=history, stride=config.stride)


def checks(config: Calibration, _seeds: Seeds) -> Sequence[Check]:
    """Hold the coverage of 90 % ellipses on unseen tracks to 90 +- 5 % at 1, 3 and 5 s."""
    out = []
    for steps in (10, 30, 50):
        horizons = _horizons(config)
        if steps not in horizons:
            continue
        j = horizons.index(steps)
        for method, must in ((METHODS[0], True), (METHODS[3], False)):

            def share(method: str = method, j: int = j) -> float:
                return float(_fits(config)[method].coverage(0.9)[j])

            note = "" if must else "shown beside it: within any bar"
            tolerance = 0.05 if must else 1.0
            name = f"90 % ellipses at {steps / 10:g} s, {method}"
            out.append(
                Check(
                    name,
                    share,
                    Invariant(0.9, "nominal coverage, tracks not used for fitting"),
                    tolerance,
                    max_abs,
                    "1",
                    note,
                )
            )
    return out


_COLOURS = dict(zip(METHODS, (MODEL, "#66a5ad", "#e9a3ad", WHITE), strict=True))


def _coverage_figure(data: xr.Dataset) -> Figure:
    """Coverage of 90 % ellipses over the horizon, with bands from resampling tracks."""
    from retrodict.cases.plots import canvas

    figure, axes = canvas(1, 2, 10.0, 3.8)
    axes = axes.ravel()
    nine = data.sel(level=0.9)
    for method in map(str, data["method"].values):
        one, colour = nine.sel({"method": method}), _COLOURS[method]
        axes[0].plot(one["horizon"], 100 * one["coverage"], "o-", color=colour, label=method, markersize=4)
        if method in (METHODS[0], METHODS[3]):
            axes[0].fill_between(
                one["horizon"],
                100 * one["coverage_lower"],
                100 * one["coverage_upper"],
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        axes[1].plot(one["horizon"], data["nll"].sel({"method": method}), "o-", color=colour, markersize=4)
    axes[0].axhspan(85, 95, color="#edae49", alpha=0.2, linewidth=0)
    axes[0].axhline(90, color=DATA, linewidth=0.8)
    axes[0].set(xlabel="horizon (s)", ylabel="windows inside the 90 % ellipse (%)", ylim=(55, 101))
    axes[0].legend(fontsize=7, loc="lower left")
    axes[1].set(xlabel="horizon (s)", ylabel="mean negative log-likelihood (nat)")
    return figure


def _reliability_figure(data: xr.Dataset) -> Figure:
    """Empirical against nominal coverage at every horizon."""
    from retrodict.cases.plots import canvas

    figure, axes = canvas(1, data.sizes["horizon"], 2.2 * data.sizes["horizon"], 2.7)
    for j, ax in enumerate(np.ravel(axes)):
        ax.plot([0, 1], [0, 1], color=DATA, linewidth=0.8)
        for method in (METHODS[0], METHODS[3]):
            one = data.sel({"method": method}).isel(horizon=j)
            ax.plot(data["level"], one["coverage"], "o-", color=_COLOURS[method], markersize=3)
            ax.fill_between(
                data["level"],
                one["coverage_lower"],
                one["coverage_upper"],
                color=_COLOURS[method],
                alpha=0.15,
                linewidth=0,
            )
        ax.set(
            title=f"{float(data['horizon'][j]):g} s, n = {int(data['windows'][j])}",
            xlim=(0.4, 1),
            ylim=(0.2, 1.02),
            xlabel="nominal",
        )
    np.ravel(axes)[0].set_ylabel("empirical")
    return figure


case: Case[Calibration] = Case(
    name="motion-calibration",
    system="motion",
    summary="Forecasts of real vehicles with calibrated ellipses, scored on tracks not used for fitting.",
    Config=Calibration,
    simulate=simulate,
    presets={
        "smoke": {"baselines": False},
        "paper": {"folds": 5, "longest": 8.0},
    },
    problem=problem,
    # overlapping windows make a composite likelihood, whose curvature is no information matrix
    posterior=lambda _problem, _at: None,
    checks=checks,
    figures={
        "Coverage of 90 % ellipses and likelihood on tracks not used for fitting": _coverage_figure,
        "Reliability: ours (blue) and white inputs fitted to one-step errors (red)": _reliability_figure,
    },
    origin=lambda _config, _verb: [bundled_data(f"motion/{name}.xml") for name in SCENARIOS],
)
