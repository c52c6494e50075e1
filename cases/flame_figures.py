"""What the figures of flame cases share: a corner plot, bars of sensitivities, bands of burning velocities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.motion_figures import DATA, MODEL, WHITE, ellipse

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["band", "bars", "corner"]

Floats = NDArray[np.float64]


def corner(post: xr.Dataset) -> Figure:
    """Draw a Gaussian posterior: densities on the diagonal, 68 and 95 % ellipses of all pairs below.

    Parameters
    ----------
    post : xarray.Dataset
        From `retrodict.inverse.posterior.posterior`; ``truth`` is marked where it is known.

    Returns
    -------
    Figure
        Of n by n panels.
    """
    from retrodict.cases.plots import canvas

    labels = [
        f"{p} ({u})" if u != "1" else str(p)
        for p, u in zip(post["parameter"].values, post["units"].values, strict=True)
    ]
    mean, C, n = post["estimate"].values, post["covariance"].values, len(labels)
    std = np.sqrt(np.diag(C))
    truth = post["truth"].values if "truth" in post else None
    figure, axes = canvas(n, n, 2.3 * n, 2.1 * n)
    for i, j in np.ndindex(n, n):
        ax: Any = axes if n == 1 else axes[i, j]
        if j > i:
            ax.set_visible(False)
            continue
        _panel(ax, mean, C, i, j)
        if truth is not None:
            ax.axvline(truth[j], color=WHITE, linewidth=0.8, linestyle="--")
            if i != j:
                ax.plot(truth[j], truth[i], "x", color=WHITE, markersize=5)
        ax.set_xlim(mean[j] - 4 * std[j], mean[j] + 4 * std[j])
        ax.locator_params(nbins=3)
        ax.tick_params(labelbottom=i == n - 1, labelleft=j == 0 and i > 0)
        if i == n - 1:
            ax.set_xlabel(labels[j])
        if j == 0 and i > 0:
            ax.set_ylabel(labels[i])
    return figure


def _panel(ax: Any, mean: Floats, C: Floats, i: int, j: int) -> None:
    """Draw one panel."""
    if i == j:
        s = float(np.sqrt(C[i, i]))
        x = np.linspace(mean[i] - 4 * s, mean[i] + 4 * s, 161)
        ax.fill_between(x, np.exp(-0.5 * ((x - mean[i]) / s) ** 2), color=MODEL, alpha=0.25, linewidth=0)
        ax.set_title(f"{mean[i]:.3g} ± {s:.2g}", fontsize=8.5)
        ax.set_yticks([])
        return
    for level, alpha in ((0.95, 0.2), (0.68, 0.3)):
        ax.fill(*ellipse(mean[[j, i]], C[np.ix_([j, i], [j, i])], level), color=MODEL, alpha=alpha, linewidth=0)
    ax.plot(mean[j], mean[i], "o", color=MODEL, markersize=3)
    s = float(np.sqrt(C[i, i]))
    ax.set_ylim(mean[i] - 4 * s, mean[i] + 4 * s)


def bars(values: Mapping[str, Floats], groups: Sequence[str], xlabel: str) -> Figure:
    """Draw horizontal bars, one group a row.

    Parameters
    ----------
    values : Mapping of str to ndarray
        Legend to one value a group.
    groups : sequence of str
        Rows from above.
    xlabel : str
        Of the values.

    Returns
    -------
    Figure
        Its height follows the number of rows.
    """
    from retrodict.cases.plots import COLOURS, canvas

    thick = 0.8 / len(values)
    figure, ax = canvas(1, 1, 7.4, 1.2 + 0.24 * len(groups) * max(1.0, 0.5 * len(values)))
    at = np.arange(len(groups), dtype=float)
    for k, (label, row) in enumerate(values.items()):
        colour = COLOURS[k % len(COLOURS)]
        ax.barh(at + (k - 0.5 * (len(values) - 1)) * thick, row, height=thick, color=colour, label=label)
    ax.axvline(0, color=DATA, linewidth=0.8)
    ax.set_yticks(at, groups)
    ax.set(xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5))
    ax.grid(visible=False, axis="y")
    if len(values) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(values), 4))
    return figure


def band(ax: Any, x: Floats, mean: Floats, std: Floats, colour: str, label: str) -> None:
    """Draw a curve with its band of two standard deviations.

    Parameters
    ----------
    ax : Axes
        Where.
    x, mean, std : ndarray
        Curve and deviation.
    colour, label : str
        As in Matplotlib.
    """
    ax.fill_between(x, mean - 2 * std, mean + 2 * std, color=colour, alpha=0.25, linewidth=0)
    ax.plot(x, mean, color=colour, linewidth=1.2, label=label)
