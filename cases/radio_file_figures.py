"""Figures and files of the radio cases on files: images and residuals of all methods, held-out residuals, gains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.radio_file_setup import Imaged, Measured, solver_of
from retrodict.cases.radio_uncertainty import write_uncertainty
from retrodict.physics.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome

__all__ = ["files", "gain_figure", "image_figure", "residual_figure", "share_figure"]

Floats = NDArray[np.float64]

_ARCSEC = 180 * 3600 / np.pi


def image_figure(outcome: FitOutcome) -> Figure:
    """Draw the images of all methods on one scale."""
    from matplotlib.colors import PowerNorm

    methods = _methods(outcome)
    # the images of bright points would hide the rest: a gamma of one third, from nothing to almost the brightest
    joint = methods["joint"].image
    top = float(np.quantile(joint, 0.9995, method="higher")) or float(joint.max())
    return _panels(
        outcome,
        {n: m.image for n, m in methods.items()},
        {"cmap": "inferno", "norm": PowerNorm(1 / 3, 0, top)},
        "Jy/pixel",
    )


def residual_figure(outcome: FitOutcome) -> Figure:
    """Draw the dirty images of what each method leaves of the data, on one scale."""
    methods = _methods(outcome)
    top = max(float(np.quantile(np.abs(m.dirty_residual), 0.999)) for m in methods.values())
    style = {"cmap": "RdBu_r", "vmin": -top, "vmax": top}
    return _panels(outcome, {n: m.dirty_residual for n, m in methods.items()}, style, "Jy/beam")


def share_figure(outcome: FitOutcome) -> Figure:
    """Draw residuals of the slots fitted and of those held out, beside the noise."""
    from retrodict.cases.plots import COLOURS, canvas
    from retrodict.physics.radio.noise import noise_from_differences

    seen: Measured = outcome.problem
    methods, vis = _methods(outcome), seen.vis
    figure, ax = canvas(1, 1, 7.0, 0.9 + 0.55 * len(methods))
    place = np.arange(len(methods))[::-1]
    for shift, kind, colour in ((0.15, "fitted", COLOURS[0]), (-0.15, "held_out", COLOURS[1])):
        values = [float(getattr(m, kind)) for m in methods.values()]
        # points: the axis does not begin at zero, from which bars would have to
        ax.plot(values, place + shift, "o", ms=7, color=colour, label=f"slots {kind.replace('_', ' ')}")
        for y, value in zip(place + shift, values, strict=True):
            ax.text(value, y, f"   {value:.4f}", va="center", fontsize="small")
    try:
        floor = noise_from_differences(vis) * np.sqrt(2 * vis.rows / float(vis.weight @ np.abs(vis.data) ** 2))
    except DataError:  # no slot follows another within a scan
        floor = np.inf
    shares = [share for m in methods.values() for share in (m.fitted, m.held_out)]
    lowest, highest = min(shares), max(shares)
    if floor < highest:  # slots far apart differ by more than noise
        ax.axvline(floor, color="0.3", ls="--", lw=1, label=f"noise, from differences in time {floor:.4f}")
        lowest = min(floor, lowest)
    ax.set_xlim(max(0.0, lowest - 0.5 * (highest - lowest)), highest + 0.25 * (highest - lowest))
    ax.set_yticks(place, list(methods))
    ax.set_ylim(-0.6, len(methods) - 0.4)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("residual / data, roots of weighted mean squares")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=3, fontsize="small")
    return figure


def gain_figure(outcome: FitOutcome) -> Figure:
    """Draw gains of some antennas over time, towards the brightest pixel."""
    from retrodict.cases.plots import COLOURS, canvas

    seen: Measured = outcome.problem
    model = seen.model(~seen.held, seen.config.support)
    tree = model.domain.from_dataset(outcome.result.data)
    at = np.unravel_index(int(tree["image"].argmax()), seen.grid.shape)
    x, y = (seen.grid.coordinates[[i]].astype(float) for i in at)
    times = seen.vis.slots[1]
    found = model.kernels.screens(model.kernels.at(tree["gains"], times), x, y)[..., 0]
    figure, axes = canvas(2, 1, 7.0, 5.0)
    hours = (times - times[0]) / 3600
    used = np.unique(np.concatenate([model.first, model.second]))
    size = float(np.clip(120 / times.size, 2, 5))  # dots that are seen where slots are few, and do not merge where many
    for j, receptor in enumerate(used[np.linspace(0, used.size - 1, min(5, used.size)).astype(int)]):
        style: dict[str, Any] = {"color": COLOURS[j], "marker": "o", "ms": size, "mew": 0, "ls": "none"}
        name = seen.vis.receptor_names[receptor]
        axes[0, 0].plot(hours, np.abs(found[:, receptor]), label=name, **style)
        axes[1, 0].plot(hours, np.rad2deg(np.angle(found[:, receptor])), **style)
    axes[0, 0].set(ylabel="amplitude", title="towards the brightest pixel, at the slots of the data")
    axes[1, 0].set(xlabel="time from the first slot [h]", ylabel="phase [degree]")
    handles = axes[0, 0].get_legend_handles_labels()
    axes[1, 0].legend(
        *handles, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=5, fontsize="small", markerscale=5 / size
    )
    return figure


def files(outcome: FitOutcome) -> None:
    """Write image and dirty residual as FITS with sky coordinates, gains, calibrated data, and what is known how well.

    ``CORRECTED_DATA`` of ``calibrated.ms`` are the data with the effects that the model has taken out of its own part:
    one number for a visibility cannot correct it for all directions.
    """
    from retrodict.physics.radio.fits_image import write_image
    from retrodict.physics.radio.gain_table import write_gains
    from retrodict.physics.radio.measurement_set import write_measurement_set

    seen: Measured = outcome.problem
    model = seen.model(np.ones(seen.vis.rows, bool), seen.config.support)
    tree = model.domain.from_dataset(outcome.result.data)
    folder, fitted = outcome.folder, seen.vis.weight * ~seen.held
    modelled, plain = (model.imager(g).apply(tree["image"]) for g in (tree["gains"], model.kernels.unit()))
    left = seen.vis.data - modelled
    dirty = model.imager(model.kernels.unit(), fitted).adjoint(left) / fitted.sum()
    for name, image, unit in (("image", tree["image"], "Jy/pixel"), ("residual", dirty, "Jy/beam")):
        _fits(folder / f"{name}.fits", write_image, image, seen, unit)
    write_measurement_set(folder / "calibrated.ms", seen.vis, model=modelled, corrected=plain + left, overwrite=True)
    write_uncertainty(outcome, solver_of(seen))
    write_gains(folder / "gains.zarr", model.kernels, tree["gains"], seen.vis.receptor_names, overwrite=True)


def _fits(path: Path, write: Any, image: Floats, seen: Measured, unit: str) -> None:
    write(path, image, seen.grid, unit=unit, frequency=float(np.mean(seen.vis.frequency)), overwrite=True)


def _methods(outcome: FitOutcome) -> dict[str, Imaged]:
    seen: Measured = outcome.problem
    return {"joint": seen.imaged(outcome.result.data), **(seen.others if seen.config.compare else {})}


def _panels(outcome: FitOutcome, images: dict[str, Floats], style: dict[str, Any], unit: str) -> Figure:
    from retrodict.cases.plots import canvas

    seen: Measured = outcome.problem
    figure, axes = canvas(1, len(images), 3.0 * len(images) + 0.6, 3.2)
    axes = np.atleast_2d(axes)
    pixels = seen.grid.coordinates[[0, -1]] * seen.grid.cell * _ARCSEC
    extent = (*pixels, *pixels)
    for ax, (name, image) in zip(axes[0], images.items(), strict=True):
        shown = ax.imshow(image.T, origin="lower", extent=extent, **style)
        ax.set_title(name, fontsize="medium")
        ax.grid(visible=False)
    axes[0, 0].set(xlabel="west [arcsec]", ylabel="north [arcsec]")
    figure.colorbar(shown, ax=axes[0].tolist(), shrink=0.8, label=unit)
    return figure
