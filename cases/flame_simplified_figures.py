"""Figures of the case ``flame-simplified``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrodict.cases.plots import COLOURS, canvas

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome

__all__ = ["ellipse_figure", "fit_figure", "profile_figure", "residual_figure", "speed_figure"]


def profile_figure(data: xr.Dataset) -> Figure:
    """Draw the temperature on the exact one, with the rate behind them and the error below."""
    figure, axes = canvas(2, 1, 6.8, 5.2)
    top, low = axes.ravel()
    x = 1e3 * data["x"]
    rate = data["omega"].values / float(data["omega"].max())
    low_T, high_T = float(data["T_exact"].min()), float(data["T_exact"].max())
    top.fill_between(x, low_T, low_T + (high_T - low_T) * rate, color=COLOURS[3], alpha=0.22, linewidth=0)
    peak = float(x[int(np.argmax(rate))])
    place = (peak + 0.05 * float(x[-1]), low_T + 0.33 * (high_T - low_T))
    top.annotate("rate of reaction", place, color="#8a6d1f", fontsize=8.5, xytext=(34, 0), textcoords="offset points")
    top.plot(x, data["T_exact"], color=COLOURS[5], linewidth=3.2, alpha=0.45, label="phase plane, exact")
    top.plot(x, data["T"], color=COLOURS[0], label=data.attrs["label"])
    speed = f"$s_L$ = {float(data['s_L']):.6f} m/s, off by {float(data['relative_error']):.1e}"
    top.set(ylabel="T in K", title=speed)
    top.tick_params(labelbottom=False)
    top.legend(loc="lower right")
    gap = np.abs(data["T"] - data["T_exact"])
    low.semilogy(x, np.maximum(gap, 1e-5), color=COLOURS[1])
    low.set(xlabel="x in mm", ylabel="error of T in K")
    figure.align_ylabels([top, low])
    return figure


def residual_figure(data: xr.Dataset) -> Figure:
    """Draw the residual along the flame, and the weight with which it moves the burning velocity."""
    figure, ax = canvas(1, 1, 6.8, 3.4)
    x = 1e3 * data["x"]
    if "residual" in data:
        ax.semilogy(x, np.maximum(np.abs(data["residual"]), 1e-14), color=COLOURS[0], linewidth=1.2)
    else:
        ax.annotate("this method gives no residual", (0.5, 0.5), xycoords="axes fraction", ha="center")
    ax.set(xlabel="x in mm", ylabel="residual over the heat carried")
    side = ax.twinx()
    side.grid(visible=False)
    side.fill_between(x, data["weight"], color=COLOURS[3], alpha=0.25, linewidth=0)
    side.set(ylim=(0, 1.4), yticks=[])
    side.annotate("weight in the error of $s_L$", (0.06, 0.05), xycoords="axes fraction", color="#8a6d1f", fontsize=8.5)
    return figure


def speed_figure(data: xr.Dataset) -> Figure:
    """Draw error of the burning velocity and loss over the steps."""
    figure, ax = canvas(1, 1, 6.8, 3.6)
    step = data["step"].values
    error = np.abs(data["trace_s_L"].values / float(data["s_L_exact"]) - 1)
    ax.semilogy(step, np.maximum(error, 1e-12), color=COLOURS[1], label="relative error of $s_L$")
    if "loss" in data:
        ax.semilogy(step, data["loss"], color=COLOURS[0], label="loss")
    if "estimated_error" in data:
        estimate = abs(float(data["estimated_error"]))
        ax.plot(step[-1], estimate, "o", color=COLOURS[2], markersize=6, label="its estimate, without a reference")
    ax.set(xlabel=data.attrs["axis"], ylabel="")
    ax.legend()
    return figure


def fit_figure(outcome: FitOutcome) -> Figure:
    """Draw the data, the flame that was fitted, and the one that the fit began with."""
    from retrodict.cases.flame_simplified_setup import FlameSimplified, mixture_of
    from retrodict.solvers.flames.simplified import solve_simplified
    from retrodict.solvers.flames.simplified_model import with_parameters

    config = outcome.config
    assert isinstance(config, FlameSimplified)
    seen = outcome.problem.terms[0].fn
    figure, ax = canvas(1, 1, 6.8, 3.8)
    begin = mixture_of(config, guess=True)
    names = list(outcome.problem.space)
    found = with_parameters(begin, {k: outcome.result.data[k].values for k in names})
    for mixture, colour, style, label in (
        (begin, COLOURS[5], ":", "where the fit began"),
        (found, COLOURS[0], "-", "fitted"),
    ):
        flame = solve_simplified(mixture)
        flame.status.require(label)
        ax.plot(1e3 * flame.x, flame.T, style, color=colour, label=f"{label}, $s_L$ = {flame.speed:.3f} m/s")
    std = seen.observation.noise["T"].std
    place = 1e3 * np.asarray(seen.model.x)
    ax.errorbar(
        place, seen.observation.values["T"], 2 * std, fmt="o", color=COLOURS[1], markersize=4, label="data, 2 sd"
    )
    ax.set(xlabel="x in mm", ylabel="T in K")
    ax.legend(loc="lower right")
    return figure


def ellipse_figure(outcome: FitOutcome) -> Figure:
    """Draw the posterior of conductivity and activation energy."""
    from retrodict.cases.motion_figures import ellipse

    post = outcome.posterior
    assert post is not None
    scale = np.array([1e3, 1e-3])
    centre = post["estimate"].values * scale
    covariance = post["covariance"].values * np.outer(scale, scale)
    figure, ax = canvas(1, 1, 5.0, 3.8)
    for level, alpha in ((0.95, 0.18), (0.68, 0.32)) if np.isfinite(covariance).all() else ():
        ax.fill(*ellipse(centre, covariance, level), color=COLOURS[0], alpha=alpha, linewidth=0, label=f"{level:.0%}")
    ax.plot(*centre, "o", color=COLOURS[0], markersize=4, label="estimate")
    if outcome.problem.truth is not None:
        truth = np.array([float(outcome.problem.truth[k]) for k in outcome.problem.space]) * scale
        ax.plot(*truth, "x", color=COLOURS[1], markersize=7, markeredgewidth=2, label="truth")
    ax.set(xlabel="conductivity in mW/m/K", ylabel="activation energy in kJ/mol")
    ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.0, handletextpad=0.5)
    return figure
