"""What cases of fields in the plane share: a grid, one dataset of several flows, its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Pair", "blob_figure", "error_figure", "label_figure", "plane_dataset", "square"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """A field and its reference on a grid of time and the plane.

    Parameters
    ----------
    grid : Mapping of str to ndarray
        From `square`.
    reference, field : ndarray, shape (t, y, x)
        What is right, and what was computed.
    """

    grid: Mapping[str, Floats]
    reference: Floats
    field: Floats


def square(count: int, times: int, box: tuple[float, float], *, periodic: bool = False) -> dict[str, Floats]:
    """Return a grid of a square and of t in [0, 1].

    Parameters
    ----------
    count, times : int
        Points along each axis and in time.
    box : tuple of float
        Bounds of both axes.
    periodic : bool, optional
        Whether the upper bound is the lower one again, and left out.

    Returns
    -------
    dict of str to ndarray
        ``t``, ``y`` and ``x``, each of shape (times, count, count).

    Examples
    --------
    >>> square(2, 3, (0.0, 1.0))["x"].shape
    (3, 2, 2)
    """
    axis = np.linspace(*box, count, endpoint=not periodic)
    t, y, x = np.meshgrid(np.linspace(0.0, 1.0, times), axis, axis, indexing="ij")
    return {"t": t, "y": y, "x": x}


def plane_dataset(
    pairs: Mapping[str, Pair],
    *,
    bounds: Mapping[str, xr.Dataset] | None = None,
    labels: Mapping[str, Floats] | None = None,
) -> xr.Dataset:
    """Return fields of several flows beside their references.

    Parameters
    ----------
    pairs : Mapping of str to Pair
        Flow to its field; all on grids of one shape.
    bounds : Mapping of str to xarray.Dataset, optional
        Flow to its certificate.
    labels : Mapping of str to ndarray, shape (t, row, column), optional
        ``label_x``, ``label_y`` and ``jacobian`` of the last flow.

    Returns
    -------
    xarray.Dataset
        ``field``, ``reference``, ``x``, ``y`` and ``error`` by flow, ``relative_error``, and what is given beside.

    Examples
    --------
    >>> grid = square(4, 2, (0.0, 1.0))
    >>> float(plane_dataset({"still": Pair(grid, grid["x"], 1.1 * grid["x"])})["relative_error"][0].round(12))
    0.1
    """
    import xarray as xr

    all_pairs = list(pairs.values())
    reference, field = (np.stack([getattr(p, k) for p in all_pairs]) for k in ("reference", "field"))
    size = np.maximum(np.sqrt((reference**2).sum((2, 3))), 1e-300)
    gap = np.sqrt(((field - reference) ** 2).sum((2, 3)))
    total = np.sqrt((gap**2).sum(1) / (size**2).sum(1))
    plane = ("flow", "t", "row", "column")
    data: dict[str, Any] = {
        "field": (plane, field, {"units": "1", "long_name": "field"}),
        "reference": (plane, reference, {"units": "1", "long_name": "reference"}),
        "error": (("flow", "t"), gap / size, {"units": "1", "long_name": "relative error"}),
        "relative_error": ("flow", total, {"units": "1", "long_name": "relative error in space and time"}),
        "x": (("flow", "column"), np.stack([p.grid["x"][0, 0] for p in all_pairs]), {"units": "1"}),
        "y": (("flow", "row"), np.stack([p.grid["y"][0, :, 0] for p in all_pairs]), {"units": "1"}),
    }
    attributes: dict[str, Any] = {}
    times = all_pairs[0].grid["t"][:, 0, 0]
    if bounds:
        rows = np.full((len(pairs), len(times)), np.nan)
        for i, flow in enumerate(pairs):
            if flow in bounds:  # at the node behind each time
                after = np.searchsorted(bounds[flow]["time"].values, times).clip(max=bounds[flow].sizes["time"] - 1)
                rows[i] = bounds[flow]["relative"].values[after]
                attributes |= {f"{flow}_certificate_{k}": v for k, v in bounds[flow].attrs.items()}
        data["bound"] = (("flow", "t"), rows, {"units": "1", "long_name": "certified bound"})
    for name, values in (labels or {}).items():
        data[name] = (("t", "label_row", "label_column"), values, {"units": "1"})
    coords = {"flow": list(pairs), "t": ("t", times, {"units": "1"})}
    return xr.Dataset(data, coords, attributes)


def blob_figure(data: xr.Dataset, flow: str) -> Figure:
    """Draw a field at several times: reference, what was computed, and the error on a logarithmic scale."""
    from matplotlib.colors import LogNorm

    from retrodict.cases.plots import canvas

    own = data.sel({"flow": flow})
    shown = np.unique(np.linspace(0, data.sizes["t"] - 1, 5).round().astype(int))
    figure, axes = canvas(3, len(shown), 2.05 * len(shown) + 1.2, 6.4)
    extent = tuple(float(own[k][i]) for k in ("x", "y") for i in (0, -1))
    kind: dict[str, Any] = {"extent": extent, "origin": "lower", "interpolation": "bilinear"}
    error = np.abs((own["field"] - own["reference"]).values)
    peak = float(own["reference"].max())
    high = max(float(error[shown].max()), 1e-12)
    images: list[Any] = []
    for column, i in enumerate(shown):
        rows = ((own["reference"][i], None), (own["field"][i], None), (np.maximum(error[i], 1e-4 * high), high))
        images = []
        for ax, (values, top) in zip(axes[:, column], rows, strict=True):
            norm: dict[str, Any] = {"norm": LogNorm(1e-4 * top, top)} if top else {"vmin": 0.0, "vmax": peak}
            images.append(ax.imshow(values, cmap="magma" if top else "YlGnBu_r", **norm, **kind))
            ax.grid(visible=False)
            ax.set(xticks=[], yticks=[])
        axes[0, column].set_title(f"t = {float(own['t'][i]):.2f}")
    for ax, name in zip(axes[:, 0], ("reference", "network", "|error|"), strict=True):
        ax.set_ylabel(name)
    figure.colorbar(images[0], ax=list(axes[:2].ravel()), shrink=0.7, label="u")
    figure.colorbar(images[2], ax=list(axes[2]), shrink=0.9, label="|error|")
    return figure


def label_figure(data: xr.Dataset) -> Figure:
    """Draw a grid of labels at several times over the field, coloured by the error of its area, J - 1."""
    from matplotlib.collections import LineCollection

    from retrodict.cases.plots import canvas

    own = data.isel(flow=-1)
    shown = np.unique(np.linspace(0, data.sizes["t"] - 1, 4).round().astype(int))
    figure, axes = canvas(1, len(shown), 3.0 * len(shown) + 0.9, 3.4)
    away = np.abs(own["jacobian"].values - 1)
    points: Any = None
    for ax, i in zip(np.ravel(axes), shown, strict=True):
        x, y = own["label_x"].values[i], own["label_y"].values[i]
        lines = [np.stack(pair, -1) for pair in zip(x, y, strict=True)]
        lines += [np.stack(pair, -1) for pair in zip(x.T, y.T, strict=True)]
        ax.add_collection(LineCollection(lines, colors="#2f5d8a", linewidths=0.5, alpha=0.75))
        points = ax.scatter(x, y, c=away[i], s=5, cmap="magma", vmin=0, vmax=float(away.max()), zorder=3)
        ax.set_aspect("equal")
        ax.autoscale()
        ax.grid(visible=False)
        ax.set(title=f"t = {float(own['t'][i]):.2f}", xlabel="x")
    np.ravel(axes)[0].set_ylabel("y")
    figure.colorbar(points, ax=list(np.ravel(axes)), shrink=0.85, label="|J - 1|")
    return figure


def error_figure(data: xr.Dataset) -> Figure:
    """Draw errors over time, and above each its certified bound."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, ax = canvas(width=6.8, height=3.8)
    names = [str(name) for name in data["flow"].values]
    for colour, name in zip(COLOURS, names, strict=False):
        curve = data["error"].sel({"flow": name})
        ax.semilogy(data["t"][1:], np.maximum(curve[1:], 1e-16), color=colour, label=name)
        if "bound" in data:
            bound = data["bound"].sel({"flow": name})
            ax.semilogy(data["t"][1:], bound[1:], "--", color=colour, label=f"{name}, certified bound")
    ax.set(xlabel="t", ylabel="error relative to the field at t")
    ax.legend()
    return figure
