"""Figures of the case ``radio-eht``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.motion_figures import DATA, MODEL, WHITE
from retrodict.cases.plots import COLOURS, canvas
from retrodict.cases.radio_eht_setup import UAS, ring

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome

__all__ = [
    "amplitude_figure",
    "closure_figure",
    "coverage_figure",
    "gain_figure",
    "image_figure",
    "recovery_figure",
]

Floats = NDArray[np.float64]

_BOLTZMANN = 1.380649e-23


def _kelvin(image: Floats, cell: float, frequency: float) -> Floats:
    """Return the brightness temperature of pixels [1e9 K]."""
    from retrodict.physics.radio.visibilities import LIGHT

    return np.asarray(1e-35 * image * LIGHT**2 / (2 * _BOLTZMANN * frequency**2 * cell**2))


def _show(ax: Any, image: Floats, cell: float, top: float) -> Any:
    """Draw an image, north up and east to the left, with a bar of 50 micro-arcseconds."""
    half = len(image) // 2
    edge = (half + 0.5) * cell / UAS
    # the first pixel is the one farthest to the east
    extent = (edge, edge - len(image) * cell / UAS, -edge, len(image) * cell / UAS - edge)
    shown = ax.imshow(image.T, origin="lower", cmap="afmhot", extent=extent, vmin=0, vmax=top, interpolation="bicubic")
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    low = -0.88 * edge
    ax.plot([25, -25], [low, low], color="white", linewidth=2)
    ax.text(0, 0.95 * low, "50 µas", color="white", ha="center", va="bottom", fontsize=9)
    return shown


def recovery_figure(data: xr.Dataset) -> Figure:
    """Truth and image side by side."""
    cell = float(data["x"][1] - data["x"][0])
    images = [_kelvin(data[k].values, cell, data.attrs["frequency"]) for k in ("truth", "image")]
    figure, axes = canvas(1, 2, 8.0, 3.7)
    titles = ("truth", f"image, cross-correlation {data.attrs['correlation']:.3f}")
    shown = [_show(ax, i, cell, max(k.max() for k in images)) for ax, i in zip(np.ravel(axes), images, strict=True)]
    for ax, title in zip(np.ravel(axes), titles, strict=True):
        ax.set_title(title)
    figure.colorbar(shown[0], ax=axes, label=r"brightness temperature ($10^9$ K)", shrink=0.85)
    return figure


def image_figure(outcome: FitOutcome) -> Figure:
    """The image with its ring."""
    grid, vis = outcome.problem.grid, outcome.problem.vis
    image = outcome.result.data["image"].values
    one = ring(image, grid)
    kelvin = _kelvin(image, grid.cell, float(np.mean(vis.frequency)))
    figure, ax = canvas(1, 1, 5.6, 4.7)
    shown = _show(ax, kelvin, grid.cell, kelvin.max())
    angle = np.linspace(0, 2 * np.pi, 200)
    east, north, radius = -one.centre[0] / UAS, one.centre[1] / UAS, one.diameter / UAS / 2
    line = {"color": "white", "linewidth": 1.0, "linestyle": "--"}
    ax.plot(east + radius * np.sin(angle), north + radius * np.cos(angle), **line)
    sine, cosine = np.sin(one.orientation), np.cos(one.orientation)
    reach = radius * np.array([1.45, 1.85])
    ax.plot(east + reach * sine, north + reach * cosine, color="white", linewidth=1.2)
    degrees = np.rad2deg(one.orientation)
    ax.set_title(f"diameter {2 * radius:.1f} µas, width {one.width / UAS:.1f} µas, bright side at {degrees:.0f}°")
    ax.text(0.96, 0.93, "N up, E left", color="white", ha="right", fontsize=8.5, transform=ax.transAxes)
    figure.colorbar(shown, ax=ax, label=r"brightness temperature ($10^9$ K)", shrink=0.85)
    return figure


def coverage_figure(outcome: FitOutcome) -> Figure:
    """Spatial frequencies of both orders of every baseline, coloured by signal to noise."""
    vis = outcome.problem.vis
    u, v = _frequencies(vis)
    signal = np.log10(np.abs(vis.data) * np.sqrt(vis.weight))
    figure, ax = canvas(1, 1, 5.4, 4.4)
    both = np.concatenate([u, -u]), np.concatenate([v, -v])
    shown = ax.scatter(*both, c=np.tile(signal, 2), s=12, cmap="viridis", zorder=3)
    reach = 1.15 * max(float(np.hypot(u, v).max()), 1e-9 / (25 * UAS))
    for scale in (25.0, 50.0):
        ring_at = 1e-9 / (scale * UAS)
        angle = np.linspace(0, 2 * np.pi, 200)
        ax.plot(ring_at * np.cos(angle), ring_at * np.sin(angle), color="#8a8f98", linewidth=0.8, linestyle=":")
        ax.text(0, ring_at, f"{scale:g} µas", fontsize=8, ha="center", va="bottom", color="#5b6068")
    ax.set(xlabel=r"$u$ (G$\lambda$)", ylabel=r"$v$ (G$\lambda$)", xlim=(reach, -reach), ylim=(-reach, reach))
    ax.set_aspect("equal")
    figure.colorbar(shown, ax=ax, label="signal to noise, decimal logarithm")
    return figure


def _frequencies(vis: Any) -> tuple[Floats, Floats]:
    """Return u and v in thousands of millions of wavelengths."""
    from retrodict.physics.radio.visibilities import LIGHT

    u, v = 1e-9 * vis.uvw[:, :2].T * vis.frequency / LIGHT
    return u, v


def amplitude_figure(outcome: FitOutcome) -> Figure:
    """Amplitudes as observed and divided by the gains, and those of the image."""
    found, image = outcome.problem, outcome.result.data["image"].values
    vis = found.vis
    length = np.hypot(*_frequencies(vis))
    factor = found.calibrate(image).factors(vis, vis.slots[0])
    figure, ax = canvas(1, 1, 6.8, 4.0)
    error = 1 / np.sqrt(found.weight)
    kind = {"fmt": "o", "markersize": 3.5, "linewidth": 0.9}
    ax.errorbar(length, np.abs(vis.data), error, color="#b9bdc4", label="as observed", **kind)
    ax.errorbar(length, np.abs(vis.data / factor), error / np.abs(factor), color=DATA, label="self-calibrated", **kind)
    ax.plot(length, np.abs(found.transform.apply(image)), "x", color=WHITE, markersize=5, zorder=4, label="image")
    ax.set(xlabel=r"length of the baseline (G$\lambda$)", ylabel="amplitude (Jy)", yscale="log")
    ax.legend()
    return figure


def closure_figure(outcome: FitOutcome) -> Figure:
    """Closure phases of the six triangles that were seen most often with the largest signal."""
    from retrodict.physics.radio.closures import closure_phases

    found, image = outcome.problem, outcome.result.data["image"].values
    vis = found.vis
    every = closure_phases(vis, minimal=False)
    values, model = (np.rad2deg(every.values(v)) for v in (vis.data, found.transform.apply(image)))
    spread = np.rad2deg(every.deviations(vis.data, found.weight))
    # a triangle is named in the order in which its phases add up: the other way round they have the other sign
    kinds, of, count = np.unique(every.antennas, axis=0, return_inverse=True, return_counts=True)
    moved = np.array([np.abs(values[of == k]).mean() for k in range(len(kinds))])
    chosen = np.lexsort((-moved, -np.minimum(count, np.sort(count)[-min(6, count.size)])))[:6]
    hours = (vis.time[every.rows[:, 0]] / 3600) % 24
    figure, axes = canvas(2, 3, 9.6, 4.8)
    for ax, kind in zip(np.ravel(axes), chosen, strict=False):
        at = np.flatnonzero(of == kind)
        at = at[np.argsort(hours[at])]
        ax.errorbar(hours[at], values[at], spread[at], fmt="o", color=DATA, markersize=3.5, linewidth=1, label="data")
        ax.plot(hours[at], model[at], color=MODEL, marker="x", markersize=4, label="image")
        ax.set_title(" - ".join(vis.antennas[a] for a in kinds[kind]))
    for ax in np.ravel(axes)[-3:]:
        ax.set_xlabel("time (h, UT)")
    for ax in np.ravel(axes)[::3]:
        ax.set_ylabel("closure phase (°)")
    np.ravel(axes)[0].legend()
    return figure


def gain_figure(outcome: FitOutcome) -> Figure:
    """Amplitudes and phases of the gains."""
    data = outcome.result.data
    hours = (data["time"].values / 3600) % 24
    figure, axes = canvas(1, 2, 9.6, 3.8)
    left, right = np.ravel(axes)
    for number, station in enumerate(data["station"].values):
        one = data.sel(station=station)
        if np.isfinite(one["gain"]).any():
            kind = {"marker": "o" if number < 6 else "s", "markersize": 3.5, "linewidth": 1.0}
            colour = COLOURS[number % len(COLOURS)]
            left.plot(hours, one["gain"], color=colour, label=str(station), **kind)
            right.plot(hours, np.rad2deg(one["phase"]), color=colour, linestyle="", marker=kind["marker"], markersize=4)
    left.axhline(1, color="#8a8f98", linewidth=0.8)
    left.set(xlabel="time (h, UT)", ylabel="amplitude of the gain")
    left.legend(ncols=2)
    right.set(xlabel="time (h, UT)", ylabel="phase of the gain (°)", ylim=(-190, 190), yticks=[-180, -90, 0, 90, 180])
    return figure
