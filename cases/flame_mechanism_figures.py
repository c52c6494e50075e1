"""Figures of the case ``flame-mechanism``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrodict.cases.flame_figures import band, bars, corner
from retrodict.cases.flame_mechanism_setup import ACTIVATION, FlameMechanism, conditions, flame_of, handles, mechanism
from retrodict.cases.motion_figures import WHITE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome

__all__ = ["corner_figure", "data_figure", "profile_figure", "sensitivity_figure", "speed_figure"]


def data_figure(data: xr.Dataset) -> Figure:
    """Synthetic data: burning velocities over phi, temperature profiles over the place."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, axes = canvas(1, 2, 9.6, 3.6)
    left, right = np.ravel(axes)
    for k, p in enumerate(np.unique(data["pressure"].values)):
        one = data.isel(flame=data["pressure"].values == p)
        colour = COLOURS[k % len(COLOURS)]
        left.plot(one["phi"], 100 * one["s_L"], "o", color=colour, label=f"{p:g} atm")
        for i in range(one.sizes["flame"] if "T" in one else 0):
            right.plot(1e3 * one["x"][i], one["T"][i], "o-", color=colour, markersize=3, linewidth=0.7)
    left.set(xlabel="equivalence ratio", ylabel="burning velocity (cm/s)")
    left.legend()
    right.set(xlabel="place from the reference temperature (mm)", ylabel="temperature (K)")
    return figure


def corner_figure(outcome: FitOutcome) -> Figure:
    """Joint posterior."""
    assert outcome.posterior is not None
    return corner(outcome.posterior)


def speed_figure(outcome: FitOutcome) -> Figure:
    """Burning velocities over phi: data, the start, the fit with its band."""
    from retrodict.cases.plots import COLOURS, canvas
    from retrodict.inverse.flames.inference import model_of, predicted
    from retrodict.inverse.flames.joint import JointFlames

    assert isinstance(outcome.config, FlameMechanism)
    assert outcome.posterior is not None
    config, problem = outcome.config, outcome.problem
    model, seen = model_of(problem)
    at = problem.space.from_dataset(outcome.result.data)
    low, high = min(config.phis), max(config.phis)
    phis = np.linspace(max(low - 0.1, 0.5), high + 0.1, config.band)
    figure, ax = canvas(1, 1, 6.4, 3.8)
    for k, p in enumerate(config.pressures):
        colour = COLOURS[k % len(COLOURS)]
        flames = {f"{phi:g}": flame_of(config, float(phi), p) for phi in phis}
        fine = JointFlames(flames, handles(config), start=at)
        found = predicted(fine, at, outcome.posterior["covariance"].values)
        mean, std = (100 * np.array([found[f"{n}/s_L"][i] for n in flames]) for i in (0, 1))
        band(ax, phis, mean, std, colour, f"{p:g} atm, two deviations")
        names = {n: phi for n, (phi, other) in conditions(config).items() if other == p}
        values = np.array([float(seen.values[f"{n}/s_L"]) for n in names])
        spread = 100 * config.noise * values
        ax.errorbar(list(names.values()), 100 * values, spread, fmt="o", color=colour, markersize=4, capsize=2)
        before = model.apply(problem.start)
        ax.plot(list(names.values()), [100 * float(before[f"{n}/s_L"]) for n in names], "x", color=WHITE)
    ax.plot([], [], "x", color=WHITE, label="start")
    ax.set(xlabel="equivalence ratio", ylabel="burning velocity (cm/s)")
    ax.legend()
    return figure


def profile_figure(outcome: FitOutcome) -> Figure:
    """Temperature profiles: data, the start, the fit."""
    from retrodict.cases.plots import COLOURS, canvas
    from retrodict.inverse.flames.inference import model_of
    from retrodict.inverse.flames.profiles import Profile

    problem = outcome.problem
    model, seen = model_of(problem)
    after = problem.space.from_dataset(outcome.result.data)
    names = [n for n, part in model.parts.items() if part.profiles]
    figure, axes = canvas(1, max(len(names), 1), 2.7 * max(len(names), 2), 2.9)
    for k, (ax, name) in enumerate(zip(np.ravel(axes), names, strict=False)):
        own = model.parts[name].profiles[0]
        fine = Profile("T", np.linspace(own.x[0], own.x[-1], 121), own.T_ref)
        ax.plot(1e3 * fine.x, model.read(problem.start, name, fine), ":", color=WHITE, label="start")
        ax.plot(1e3 * fine.x, model.read(after, name, fine), color=COLOURS[0], label="fit")
        ax.plot(1e3 * own.x, seen.values[f"{name}/T"], "o", color=COLOURS[5], markersize=3, label="data")
        ax.set(title=name, xlabel="place (mm)")
        if k == 0:
            ax.set_ylabel("temperature (K)")
            ax.legend()
    return figure


def sensitivity_figure(outcome: FitOutcome) -> Figure:
    """Logarithmic sensitivities of the burning velocities to the four unknowns at the estimate."""
    from retrodict.inverse.flames.inference import model_of

    problem = outcome.problem
    model, _ = model_of(problem)
    at = problem.space.from_dataset(outcome.result.data)
    values, operator = model.linearize(at)
    names, rows = list(model.parts), {}
    for handle in model.domain:
        unit = {k: np.array(float(k == handle)) for k in model.domain}
        moved = operator.apply(unit)
        size = float(mechanism().parameters["T_a"][0]) if handle == ACTIVATION else 1.0
        label = "ln E_a" if handle == ACTIVATION else handle
        rows[label] = np.array([size * float(moved[f"{n}/s_L"]) / float(values[f"{n}/s_L"]) for n in names])
    return bars(rows, names, "change of ln s_L for a unit change")
