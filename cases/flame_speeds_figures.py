"""Figures of the case ``flame-speeds``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.flame_figures import band, bars, corner
from retrodict.cases.motion_figures import DATA, MODEL, WHITE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome

__all__ = ["corner_figure", "data_figure", "moved_figure", "sensitivity_figure", "speed_figure"]

_SHOWN = 20


def data_figure(data: xr.Dataset) -> Figure:
    """Measured burning velocities and those of the mechanism."""
    from retrodict.cases.plots import canvas

    figure, ax = canvas(1, 1, 6.4, 3.8)
    x = data["abscissa"].values
    ax.errorbar(x, data["measured"], data["deviation"], fmt="o", color=DATA, markersize=4, capsize=2, label="measured")
    ax.plot(x, data["s_L"], "x", color=WHITE, label=f"mechanism, chi-squared {data.attrs['chi2']:.1f}")
    ax.set(xlabel=data["abscissa"].attrs["long_name"], ylabel="burning velocity (m/s)")
    ax.legend()
    return figure


def _points(outcome: FitOutcome) -> tuple[Any, str]:
    """Return where the points of a fit are shown: over the ratio in their names, else over their number."""
    from retrodict.inverse.flames.inference import model_of

    model, _ = model_of(outcome.problem)
    parts = [name.partition(" phi ")[2] for name in model.parts]
    if not all(parts):
        return 1.0 + np.arange(len(parts)), "point"
    return np.array(parts, float), "equivalence ratio"


def speed_figure(outcome: FitOutcome) -> Figure:
    """Data, and the burning velocities of prior and posterior with bands."""
    from retrodict.cases.plots import canvas
    from retrodict.inverse.flames.inference import model_of, predicted

    post = outcome.posterior
    assert post is not None
    problem = outcome.problem
    model, seen = model_of(problem)
    x, label = _points(outcome)
    order = np.argsort(x, kind="stable")
    names = [f"{n}/s_L" for n in model.parts]
    figure, ax = canvas(1, 1, 6.8, 4.2)
    runs = [("after", problem.space.from_dataset(outcome.result.data), post["covariance"].values, MODEL)]
    prior = post["prior_std"].values
    if np.isfinite(prior).all():
        runs.insert(0, ("before", problem.start, np.diag(prior**2), WHITE))
    for words, at, covariance, colour in runs:
        found = predicted(model, at, covariance)
        mean, std = (np.array([float(found[n][i]) for n in names])[order] for i in (0, 1))
        legend = f"{words}, chi-squared {post.attrs[f'chi2_{words}']:.1f}, two deviations"
        band(ax, x[order], mean, std, colour, legend)
    values = np.array([float(seen.values[n]) for n in names])
    spread = np.array([float(getattr(seen.noise[n], "std", np.nan)) for n in names])
    ax.errorbar(x, values, spread, fmt="o", color=DATA, markersize=4, capsize=2, label="measured")
    ax.set(xlabel=label, ylabel="burning velocity (m/s)")
    ax.legend()
    return figure


def moved_figure(outcome: FitOutcome) -> Figure:
    """Shift of ln k with its deviation before and after, and the ratio of the two, for the rates moved most."""
    from retrodict.cases.plots import canvas

    post = outcome.posterior
    assert post is not None
    mean, std, prior = (post[k].values for k in ("estimate", "std", "prior_std"))
    prior = np.where(np.isfinite(prior), prior, np.nan)
    order = np.argsort(np.where(np.isfinite(prior), post["reduction"].values, 0.0), kind="stable")[:_SHOWN]
    at = np.arange(order.size)
    figure, axes = canvas(1, 2, 9.6, 1.4 + 0.27 * order.size)
    left, right = np.ravel(axes)
    grey = "#b9bdc4"
    left.barh(at, 4 * prior[order], left=-2 * prior[order], height=0.7, color=grey, alpha=0.5, label="prior")
    left.errorbar(mean[order], at, xerr=2 * std[order], fmt="o", color=MODEL, markersize=4, label="posterior")
    left.axvline(0, color=DATA, linewidth=0.8)
    left.set_yticks(at, [str(p) for p in post["parameter"].values[order]])
    left.set(xlabel="change of ln k, two deviations", ylim=(order.size - 0.5, -0.5))
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    right.barh(at, 100 * (std / prior)[order], height=0.7, color=MODEL)
    right.axvline(100, color=DATA, linewidth=0.8)
    right.set(xlabel="posterior over prior deviation (%)", ylim=(order.size - 0.5, -0.5), xlim=(0, 105))
    right.set_yticks([])
    return figure


def sensitivity_figure(outcome: FitOutcome) -> Figure:
    """Logarithmic sensitivities to the strongest rates, of the first, middle and last point."""
    from retrodict.inverse.flames.inference import model_of

    problem = outcome.problem
    model, _ = model_of(problem)
    values, operator = model.linearize(problem.space.from_dataset(outcome.result.data))
    J = np.stack([model.range.pack(operator.apply(model.domain.unpack(u))) for u in np.eye(model.domain.size)], axis=1)
    J = J / model.range.pack(values)[:, None]
    rows = np.argsort(-np.abs(J).max(axis=0), kind="stable")[:15]
    x, label = _points(outcome)
    order = np.argsort(x, kind="stable")
    chosen = dict.fromkeys(int(order[i]) for i in (0, len(order) // 2, -1))
    shown = {f"{label} {x[i]:g}": J[i, rows] for i in chosen}
    return bars(shown, [list(model.domain)[r] for r in rows], "d ln s_L / d ln k")


def corner_figure(outcome: FitOutcome) -> Figure:
    """Joint posterior of the rates with the smallest share of the prior's deviation left."""
    post = outcome.posterior
    assert post is not None
    rows = np.sort(np.argsort(post["reduction"].values, kind="stable")[:4])
    return corner(post.isel(parameter=rows, parameter_=rows))
