"""Figures: one style for all, the figures that every fit and validation has, files with captions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.tables import typeset_units
from retrodict.solvers.files import write_atomic, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from retrodict.cases.checks import Verdict
    from retrodict.cases.fit import FitOutcome
    from retrodict.cases.record import RunFolder

__all__ = ["COLOURS", "canvas", "check_figures", "draw", "fit_figures", "style"]

COLOURS = ("#2f5d8a", "#c8553d", "#4d8b6f", "#d9a441", "#7a5c99", "#5b6770")
"""Line colours in order: distinguishable in the common forms of colour blindness and in print."""

_STYLE: dict[str, Any] = {
    "figure.dpi": 150,
    "figure.facecolor": "#fdfdfb",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.1,
    "axes.facecolor": "#fdfdfb",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.labelcolor": "#2b2f36",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e5e1",
    "grid.linewidth": 0.7,
    "xtick.color": "#5b6068",
    "ytick.color": "#5b6068",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "font.size": 9.5,
    "savefig.facecolor": "#fdfdfb",
}


def canvas(rows: int = 1, columns: int = 1, width: float = 6.4, height: float = 3.6) -> tuple[Figure, Any]:
    """Return an empty figure and its axes, in the style of the reports; needs no display and is safe in threads.

    Parameters
    ----------
    rows, columns : int, optional
        Panels.
    width, height : float, optional
        Inches of the whole figure.

    Returns
    -------
    tuple
        The figure, and one axes or an array of axes of shape (rows, columns).

    Examples
    --------
    >>> figure, axes = canvas()
    >>> axes.plot([0, 1], [0, 1])  # doctest: +ELLIPSIS
    [<matplotlib.lines.Line2D ...>]
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(width, height))
        return figure, figure.subplots(rows, columns, squeeze=rows * columns == 1)


@contextmanager
def style() -> Iterator[None]:
    """Hold matplotlib's settings at those of the reports; `draw` does so while a figure is made and saved.

    Examples
    --------
    >>> import matplotlib
    >>> with style():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    """
    import matplotlib
    from cycler import cycler

    settings: Any = {**_STYLE, "axes.prop_cycle": cycler(color=COLOURS)}
    with matplotlib.rc_context(settings):
        yield


def draw(folder: RunFolder, figures: Mapping[str, Callable[[], Figure]]) -> list[str]:
    """Draw figures into ``figures/``, each with its caption.

    A figure that fails does not take the run's numbers with it.

    Parameters
    ----------
    folder : RunFolder
        Where.
    figures : Mapping of str to callable
        Caption to the function that draws.

    Returns
    -------
    list of str
        What failed.
    """
    target, captions, failures = folder.path / "figures", {}, []
    for number, (caption, make) in enumerate(figures.items(), 1):
        slug = re.sub(r"[^a-z0-9]+", "-", caption.lower()).strip("-")[:40]
        name = f"{number:02d}-{slug}.png"
        try:
            with style():
                figure = make()
                write_atomic(target / name, partial(figure.savefig, format="png", dpi=150))
        except Exception as error:  # noqa: BLE001 - see above
            failures.append(f"figure {caption!r} could not be drawn: {type(error).__name__}: {error}")
            folder.log.write("warning", text=failures[-1])
        else:
            captions[name] = caption
    write_text(target / "captions.json", json.dumps(captions, indent=1, ensure_ascii=False) + "\n")
    return failures


def fit_figures(outcome: FitOutcome) -> dict[str, Callable[[], Figure]]:
    """Return the figures that every fit has: history, and with a posterior correlations and, where known, pulls."""
    figures: dict[str, Callable[[], Figure]] = {}
    if outcome.result.history.data_vars:
        figures["Convergence: the metrics of the solver at every step"] = partial(_history, outcome)
    post = outcome.posterior
    if post is not None and {"correlation", "std"} <= set(post):
        if 2 <= post.sizes["parameter"] <= 60:
            figures["Correlations of the unknowns in the posterior"] = partial(_correlation, outcome)
        if "truth" in post and np.isfinite(post["std"]).any():
            figures["Estimate minus truth in standard deviations, with 68 and 95 % bands"] = partial(_pulls, outcome)
    return figures


def check_figures(verdicts: Sequence[Verdict]) -> dict[str, Callable[[], Figure]]:
    """Return one figure that places every error against its tolerance, and one for each curve that was compared."""
    figures: dict[str, Callable[[], Figure]] = {}
    shown = [v for v in verdicts if v.error is not None]
    if shown:
        figures["Errors relative to their tolerances"] = partial(_margins, shown)
    for verdict in verdicts:
        if verdict.curves is not None:
            figures[f"{verdict.name}: ours and {verdict.source}"] = partial(_curve, verdict)
    return figures


def _history(outcome: FitOutcome) -> Figure:
    history = outcome.result.history
    names = [str(n) for n in history.data_vars][:4]
    figure, axes = canvas(1, len(names), 3.2 * max(len(names), 2), 2.7)
    for ax, name in zip(np.atleast_1d(axes).ravel(), names, strict=True):
        values = history[name].values
        ax.plot(history["step"], values, marker="o" if values.size < 40 else "", markersize=3)
        positive = values[values > 0]
        if positive.size == values.size and positive.max() > 50 * positive.min():
            ax.set_yscale("log")
        ax.set(xlabel="step", title=name.replace("_", " "))
    return figure


def _correlation(outcome: FitOutcome) -> Figure:
    post = outcome.posterior
    assert post is not None
    labels = [str(p) for p in post["parameter"].values]
    n = len(labels)
    size = 2.4 + 0.42 * min(n, 14)
    figure, ax = canvas(1, 1, size + 1.0, size)
    image = ax.imshow(post["correlation"].values, cmap="RdBu_r", vmin=-1, vmax=1)
    ax.grid(visible=False)
    ax.set_xticks(range(n), labels, rotation=45, ha="right")
    ax.set_yticks(range(n), labels)
    if n <= 8:
        for i, j in np.ndindex(n, n):
            r = float(post["correlation"].values[i, j])
            colour = "white" if abs(r) > 0.6 else "#2b2f36"
            ax.text(j, i, f"{r:+.2f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=ax, shrink=0.8, label="correlation")
    return figure


def _pulls(outcome: FitOutcome) -> Figure:
    post = outcome.posterior
    assert post is not None
    labels = [str(p) for p in post["parameter"].values]
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = ((post["estimate"] - post["truth"]) / post["std"]).values
    figure, ax = canvas(1, 1, 5.4, 1.4 + 0.28 * min(len(labels), 40))
    at = np.arange(len(labels))
    ax.axvspan(-1.96, 1.96, color=COLOURS[0], alpha=0.10, lw=0)
    ax.axvspan(-1, 1, color=COLOURS[0], alpha=0.16, lw=0)
    ax.axvline(0, color="#8a8f98", lw=0.8)
    ax.plot(pull, at, "o", color=COLOURS[1], markersize=5)
    if len(labels) <= 40:
        ax.set_yticks(at, labels)
    reach = max(3.0, 1.1 * float(np.nanmax(np.abs(pull), initial=0.0)))
    ax.set(xlabel="(estimate - truth) / standard deviation", xlim=(-reach, reach), ylim=(len(labels) - 0.5, -0.5))
    return figure


def _margins(verdicts: Sequence[Verdict]) -> Figure:
    figure, ax = canvas(1, 1, 7.2, 1.2 + 0.3 * len(verdicts))
    floor = 1e-6
    for row, v in enumerate(verdicts):
        error = v.error or 0.0
        ratio = error / v.tolerance if v.tolerance > 0 else (0.0 if error == 0 else np.inf)
        shown = float(np.clip(ratio, floor, 1e6))
        colour = COLOURS[2] if v.passed else COLOURS[1]
        ax.plot([floor, shown], [row, row], color=colour, lw=2, alpha=0.45)
        ax.plot(shown, row, "o", color=colour, markersize=6)
    ax.axvline(1.0, color="#2b2f36", lw=1, ls="--")
    ax.text(1.0, -0.75, " tolerance", fontsize=8, va="center", color="#2b2f36")
    ax.set_yticks(range(len(verdicts)), [v.name[:48] for v in verdicts])
    ax.set(xscale="log", xlabel="error / tolerance", ylim=(len(verdicts) - 0.5, -1.1))
    return figure


def _curve(verdict: Verdict) -> Figure:
    assert verdict.curves is not None
    value, reference = verdict.curves
    figure, axes = canvas(1, 2, 7.6, 2.8)
    left, right = np.ravel(axes)
    left.plot(reference, color="#b9bdc4", lw=4.5, label=verdict.kind)
    left.plot(value, color=COLOURS[1], lw=1.3, label="ours")
    left.set(xlabel="index", ylabel=typeset_units(verdict.units))
    left.legend()
    right.plot(value - reference, color=COLOURS[0])
    right.set(xlabel="index", title="ours - reference")
    return figure
