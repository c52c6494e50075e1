"""What the radio cases tell of uncertainty: what the data say of the gains, and errors of pixels if asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.physics.seeds import Seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome
    from retrodict.solvers.radio.joint import JointSolver

__all__ = ["uncertainty_figure", "write_uncertainty"]

_ARCSEC = 180 * 3600 / np.pi


def write_uncertainty(outcome: FitOutcome, solver: JointSolver) -> None:
    """Write ``identifiability.nc``, and ``pixel_spread.nc`` where the settings ask for draws."""
    from retrodict.inverse.radio.identifiability import identifiability
    from retrodict.inverse.radio.pixel_spread import pixel_spread
    from retrodict.physics.radio.interferometer import Interferometer
    from retrodict.solvers.callbacks import ProgressBar
    from retrodict.solvers.radio.misfit import Misfit
    from retrodict.solvers.result import save_dataset

    model, data = solver.model, outcome.result.data
    assert isinstance(model, Interferometer), "the cases hold their rows in memory"
    tree = model.domain.from_dataset(data)
    image, gains = tree["image"], tree["gains"]
    scale = Misfit(model, gains).scale(image)
    found = identifiability(model, image, gains, solver.prior(data["spread"].values), scale)
    save_dataset(found.assign_coords(receptor=model.vis.receptor_names), outcome.folder / "identifiability.nc")
    config: Any = outcome.config
    if config.draws:
        rng = Seeds(config.seed).stream("draws")
        with ProgressBar("observations drawn anew", config.draws) as bar:
            spread = pixel_spread(solver, data, config.draws, rng, max_steps=config.max_steps, told=bar)
        save_dataset(spread, outcome.folder / "pixel_spread.nc")


def uncertainty_figure(outcome: FitOutcome) -> Figure:
    """Draw what the data say of the gains of every antenna, what the sky can stand in for, and errors of pixels."""
    import xarray as xr

    from retrodict.cases.plots import COLOURS, canvas

    found = xr.load_dataset(outcome.folder / "identifiability.nc")
    path = outcome.folder / "pixel_spread.nc"
    drawn = path.exists()
    figure, axes = canvas(1, 3 if drawn else 2, 11.6 if drawn else 8.4, 4.2)
    figure.set_layout_engine("constrained")
    grid = found["informed"].mean(["kx", "ky"]).values
    shown = axes[0, 0].imshow(grid.T, aspect="auto", origin="lower", cmap="viridis", vmin=0, vmax=1)
    some = np.unique(np.linspace(0, found.sizes["receptor"] - 1, 12).astype(int))
    axes[0, 0].set_xticks(some, [str(found["receptor"].values[r]) for r in some], rotation=90, fontsize="small")
    axes[0, 0].set_yticks(range(grid.shape[1]))
    axes[0, 0].set(xlabel="receptor", ylabel="function of time")
    total, known = found.attrs["unknowns"], float(found["effective"])
    others = "" if found.attrs["others"] == "unknown" else ",\nother receptors held"
    axes[0, 0].set_title(f"{known:.0f} of {total} numbers determined{others}", fontsize="small")
    axes[0, 0].grid(visible=False)
    figure.colorbar(shown, ax=axes[0, 0], label="1 - posterior / prior variance", shrink=0.9)
    place = np.arange(found.sizes["mode"])[::-1]
    for shift, name, colour, label in (
        (0.17, "seen", COLOURS[0], "sky held"),
        (-0.17, "left", COLOURS[1], "sky moves along"),
    ):
        axes[0, 1].barh(place + shift, found[name].values, 0.32, color=colour, label=label)
        for y, value in zip(place + shift, found[name].values, strict=True):
            axes[0, 1].text(value, y, f" {value:.2g}", va="center", fontsize="small")
    axes[0, 1].set_yticks(place, [m.replace(" of all", "\nof all") for m in found["mode"].values.tolist()])
    axes[0, 1].grid(visible=False, axis="y")
    axes[0, 1].margins(x=0.2)
    axes[0, 1].set_title("change of the data (without pattern: 1)", fontsize="small")
    axes[0, 1].legend(fontsize="small")
    if drawn:
        spread = xr.load_dataset(path)
        error = np.hypot(spread["image_std"].values, spread["image_bias"].values)
        low, high = spread["x"].values[[0, -1]] * _ARCSEC
        shown = axes[0, 2].imshow(error.T, origin="lower", extent=(low, high, low, high), cmap="magma")
        axes[0, 2].set(xlabel="west [arcsec]", ylabel="north [arcsec]")
        axes[0, 2].set_title(f"error of pixels, {spread.attrs['draws']} draws", fontsize="small")
        axes[0, 2].grid(visible=False)
        figure.colorbar(shown, ax=axes[0, 2], label="root of spread and bias squared [Jy/pixel]", shrink=0.9)
    return figure
