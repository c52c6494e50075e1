"""What the cases of PDE networks share: settings, a grid, one dataset of field, error and bound, its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.config import CaseConfig, setting
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.windows import Piece
    from retrodict.solvers.result import Result

__all__ = [
    "Method",
    "NetworkSettings",
    "bound_figure",
    "ending",
    "field_dataset",
    "field_figure",
    "loss_figure",
    "relative_error",
    "space_time",
    "trained",
    "training_figures",
]

Floats = NDArray[np.float64]


Method = Literal["adam", "soap", "l-bfgs", "ssbroyden", "levenberg-marquardt", "gauss-newton", "natural-gradient"]
"""Optimisers by name, see `retrodict.solvers.pinn.optimizers`."""


class NetworkSettings(CaseConfig):
    """Settings of every case that trains networks."""

    width: int = setting(20, "", "width of the hidden layers", ge=2, le=512)
    depth: int = setting(2, "", "hidden layers", ge=1, le=12)
    points: int = setting(1024, "", "collocation points of a window", ge=16, le=100_000)
    initial_points: int = setting(64, "", "more of them where a window begins", ge=0, le=100_000)
    steps: int = setting(1300, "", "optimiser steps of a window", ge=1, le=1_000_000_000)
    method: Method = setting("ssbroyden", "", "optimiser")
    max_steps: int = setting(1_000_000, "", "largest number of steps of a fit", ge=1, le=1_000_000_000)
    checkpoint_every: int = setting(200, "", "steps between two checkpoints", ge=1, le=1_000_000_000)
    bar: float = setting(1e-5, "", "what validate asks of the relative error in space and time", ge=1e-12, le=1)
    x_count: int = setting(256, "", "grid points in space", ge=8, le=100_000)
    t_count: int = setting(100, "", "grid points in time", ge=2, le=10_000)


def trained(trainer: Trainer, *also: Status) -> tuple[tuple[Piece, ...], Result]:
    """Run a plan to its end, with a progress bar on a terminal.

    Parameters
    ----------
    trainer : Trainer
        The plan; its steps are a budget.
    *also : Status
        Ends for which the caller vouches beside those of a budget: ``Status.INVALID`` where the dataset tells of it.

    Returns
    -------
    tuple
        The pieces of the solution, and the result with its history.

    Raises
    ------
    SolverError
        If training ended in another way.
    """
    from retrodict.solvers.callbacks import ProgressBar
    from retrodict.solvers.iterate import finished

    total = sum(stage.steps for leg in trainer.legs for stage in leg.stages)
    with ProgressBar("train", total) as bar:
        result = finished(trainer, total, Status.MAX_STEPS, *also, callbacks=(bar,))
    return trainer.pieces_of(result.data), result


def space_time(config: NetworkSettings, x: tuple[float, float], t: tuple[float, float]) -> dict[str, Floats]:
    """Return a periodic grid of space and all of time.

    Parameters
    ----------
    config : NetworkSettings
        Numbers of points.
    x, t : tuple of float
        Bounds; the upper one of x is left out, as it is the lower one again.

    Returns
    -------
    dict of str to ndarray
        ``x`` and ``t``, each of shape (t_count, x_count).

    Examples
    --------
    >>> grid = space_time(NetworkSettings(x_count=8, t_count=2), (0.0, 8.0), (0.0, 1.0))
    >>> grid["x"][0].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    """
    axis = np.linspace(*x, config.x_count, endpoint=False)
    places, times = np.meshgrid(axis, np.linspace(*t, config.t_count))
    return {"x": places, "t": times}


def relative_error(values: Floats, reference: Floats) -> float:
    """Return the relative error in the norm of L2 over a grid.

    Examples
    --------
    >>> relative_error(np.array([1.0, 1.1]), np.array([1.0, 1.0])).__round__(4)
    0.0707
    """
    return float(np.linalg.norm(values - reference) / np.linalg.norm(reference))


def field_dataset(
    grid: Mapping[str, Floats],
    reference: Floats,
    fields: Mapping[str, Floats],
    *,
    certificate: xr.Dataset | None = None,
    result: Result | None = None,
    beside: Mapping[str, Status] | None = None,
) -> xr.Dataset:
    """Return fields of several methods beside the reference.

    Parameters
    ----------
    grid : Mapping of str to ndarray
        From `space_time`.
    reference : ndarray, shape (t, x)
        Exact or reference field.
    fields : Mapping of str to ndarray
        Method to field, shape (t, x).
    certificate : xarray.Dataset, optional
        Of the first method.
    result : Result, optional
        Of its training.
    beside : Mapping of str to Status, optional
        How the trainings of other methods ended.

    Returns
    -------
    xarray.Dataset
        ``field``, ``reference``, ``error`` by method and time, ``relative_error`` by method, ``bound``, ``loss``.
    """
    import xarray as xr

    names, stack = list(fields), np.stack(list(fields.values()))
    size = np.maximum(np.linalg.norm(reference, axis=-1), 1e-300)
    total = [relative_error(f, reference) for f in stack]
    data: dict[str, Any] = {
        "field": (("method", "t", "x"), stack, {"units": "1", "long_name": "field"}),
        "reference": (("t", "x"), reference, {"units": "1", "long_name": "reference"}),
        "error": (
            ("method", "t"),
            np.linalg.norm(stack - reference, axis=-1) / size,
            {"units": "1", "long_name": "relative error"},
        ),
        "relative_error": ("method", total, {"units": "1", "long_name": "relative error in space and time"}),
    }
    if certificate is not None:
        # one kept time in a hundred draws the curve
        kept = np.unique(np.linspace(0, certificate.sizes["time"] - 1, 400).astype(int))
        data["bound"] = (
            "bound_t",
            certificate["relative"].values[kept],
            {"units": "1", "long_name": "certified bound"},
        )
        data["bound_t"] = ("bound_t", certificate["time"].values[kept], {"units": "1"})
    if result is not None:
        data["loss"] = ("step", result.history["loss"].values, {"units": "1", "long_name": "training loss"})
    attributes = {} if certificate is None else {f"certificate_{k}": v for k, v in certificate.attrs.items()}
    if result is not None:
        attributes |= {
            "status": result.status.value,
            "validation_residual": result.best["validation"],
            "seconds": result.timing["seconds"],
        }
    if alarms := _alarms(certificate, result, beside or {}):
        attributes["alarms"] = alarms
    return xr.Dataset(
        data,
        {"method": names, "t": ("t", grid["t"][:, 0], {"units": "1"}), "x": ("x", grid["x"][0], {"units": "1"})},
        attributes,
    )


def ending(status: Status, method: str = "", result: Result | None = None) -> list[str]:
    """Return a line on a training that did not converge, for the attribute ``alarms`` of a dataset.

    Parameters
    ----------
    status : Status
        How it ended.
    method : str, optional
        What was trained, where there are several.
    result : Result, optional
        Of a network whose residual was validated.

    Examples
    --------
    >>> ending(Status.CONVERGED), ending(Status.FAILED, "peer")
    ([], ['peer: training ended failed: The method gave up; see the log.'])
    """
    if status.ok:
        return []
    told = f"training ended {status.value}: {status.message}"
    residual = "" if result is None else f" Validation residual {result.best['validation']:.2g}."
    return [f"{method}: {told}{residual}" if method else f"{told}{residual}"]


def _alarms(certificate: xr.Dataset | None, result: Result | None, beside: Mapping[str, Status]) -> str:
    """Return what a reader must know before believing the field, a line each."""
    lines = [] if result is None else ending(result.status, result=result)
    for method, status in beside.items():
        # trained to compare with, by a budget of steps
        lines += ending(status, method) if status is not Status.MAX_STEPS else []
    if certificate is not None and certificate.attrs["verdict"] != "valid":
        bound = certificate.attrs["relative_bound"]
        lines.append(f"the certified bound on the error is {bound:.2g} of the field: it certifies nothing here")
    if certificate is not None and certificate.attrs["alarm"]:
        lines.append("false convergence: the residual between the training points is far larger than on them")
    return "\n".join(lines)


def field_figure(data: xr.Dataset) -> Figure:
    """Draw the reference and, for every method, its error over space and time on one logarithmic scale."""
    from matplotlib.colors import LogNorm

    from retrodict.cases.plots import canvas

    methods = [str(m) for m in data["method"].values]
    figure, axes = canvas(1, 1 + len(methods), 3.3 * (1 + len(methods)) + 0.6, 3.5)
    axes = np.atleast_1d(axes).ravel()
    peak = float(np.abs(data["reference"]).max())
    extent = (float(data["x"][0]), float(data["x"][-1]), float(data["t"][0]), float(data["t"][-1]))
    kind: dict[str, Any] = {"extent": extent, "origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    shown = axes[0].imshow(data["reference"], cmap="RdBu_r", vmin=-peak, vmax=peak, **kind)
    figure.colorbar(shown, ax=axes[0], shrink=0.85, label="u")
    axes[0].set(title="reference", xlabel="x", ylabel="t")
    errors = np.abs((data["field"] - data["reference"]).values)
    low = max(1e-14 * peak, min(np.quantile(e[e > 0], 0.05) if (e > 0).any() else peak for e in errors))
    norm = LogNorm(low, max(float(errors.max()), 10 * low))
    for ax, name, error in zip(axes[1:], methods, errors, strict=True):
        image = ax.imshow(np.maximum(error, low), cmap="magma", norm=norm, **kind)
        ax.set(title=f"{name}\n{float(data['relative_error'].sel({'method': name})):.1e}", xlabel="x")
        ax.grid(visible=False)
    axes[0].grid(visible=False)
    figure.colorbar(image, ax=list(axes[1:]), shrink=0.85, label="|error|")
    return figure


def bound_figure(data: xr.Dataset) -> Figure:
    """Draw errors over time, and the certified bound above that of the first method."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, ax = canvas(width=6.8, height=3.8)
    for colour, name in zip(COLOURS, data["method"].values, strict=False):
        curve = data["error"].sel({"method": name})
        ax.semilogy(data["t"][1:], np.maximum(curve[1:], 1e-16), color=colour, label=str(name))
    if "bound" in data:
        finite = np.isfinite(data["bound"].values) & (data["bound"] > 0) & (data["bound_t"] >= data["t"][1])
        ax.semilogy(
            data["bound_t"][finite],
            data["bound"][finite],
            "--",
            color=COLOURS[0],
            label="certified bound, from the residual alone",
        )
    ax.set(xlabel="t", ylabel="error relative to the field at t")
    ax.legend()
    return figure


def loss_figure(data: xr.Dataset) -> Figure:
    """Draw the training loss over steps; windows show as jumps."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, ax = canvas()
    ax.semilogy(np.arange(1, data.sizes["step"] + 1), data["loss"], color=COLOURS[0], linewidth=1.0)
    ax.set(xlabel="step", ylabel="loss: half the mean square residual")
    return figure


def training_figures(
    reference: Callable[[Any, Mapping[str, Floats]], Floats],
    field: Callable[[Sequence[Piece], Mapping[str, Floats]], Floats],
    grid: Callable[[Any], Mapping[str, Floats]],
) -> Mapping[str, Callable[[FitOutcome], Figure]]:
    """Return the figures of a resumable training: field and error of what it left.

    Parameters
    ----------
    reference : callable
        ``(config, grid) -> ndarray``.
    field : callable
        ``(pieces, grid) -> ndarray``.
    grid : callable
        ``config -> grid``.

    Returns
    -------
    Mapping
        For ``Case.fit_figures``.
    """

    def draw(outcome: FitOutcome) -> Figure:
        points = grid(outcome.config)
        pieces = outcome.problem.pieces_of(outcome.result.data)
        data = field_dataset(points, reference(outcome.config, points), {"network": field(pieces, points)})
        return field_figure(data)

    return {"Field of the reference, and error of the trained network": draw}
