"""All optimisers on one problem: the true error over the time they take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.windows import Piece

__all__ = ["race", "race_figure"]


def race(
    trainers: Mapping[str, Trainer], seconds: float, error: Callable[[tuple[Piece, ...]], float], marks: int = 24
) -> xr.Dataset:
    """Train by each optimiser for the same time and look at the error on the way.

    Parameters
    ----------
    trainers : Mapping of str to Trainer
        One a method, with more steps than there is time for.
    seconds : float
        Budget of each; the time of looking does not count.
    error : callable
        Pieces to error.
    marks : int, optional
        How often to look, equidistant on a logarithmic scale of time.

    Returns
    -------
    xarray.Dataset
        ``race_error`` and ``race_seconds`` over ``optimiser`` and ``mark``; the last mark is repeated where a method
        ended early.
    """
    import xarray as xr

    times, errors = np.empty((len(trainers), marks)), np.empty((len(trainers), marks))
    due = seconds * np.logspace(-2, 0, marks)
    for i, trainer in enumerate(trainers.values()):
        state, spent, over = trainer.init(), 0.0, False
        for j, until in enumerate(due):
            while spent < until and not over:
                began = time.perf_counter()
                state, metrics = trainer.step(state)
                spent += time.perf_counter() - began
                over = trainer.done(metrics) is not None
            times[i, j], errors[i, j] = spent, error(trainer.pieces_of(trainer.solution(state)))
    dims = ("optimiser", "mark")
    data = {
        "race_seconds": (dims, times, {"units": "s", "long_name": "training time"}),
        "race_error": (dims, errors, {"units": "1", "long_name": "relative error"}),
    }
    return xr.Dataset(data, {"optimiser": list(trainers)})


def race_figure(data: xr.Dataset) -> Figure:
    """Draw the error over time for every optimiser."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, ax = canvas(width=7.4, height=4.2)
    styles = ("-", "--")
    for k, name in enumerate(data["optimiser"].values):
        row = data.sel({"optimiser": name})
        colour, style = COLOURS[k % len(COLOURS)], styles[k // len(COLOURS)]
        ax.loglog(row["race_seconds"], row["race_error"], style, color=colour, label=str(name))
    ax.set(xlabel="training time (s), one thread", ylabel="relative error in space and time")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
