"""Case ``radio-eht``: the shadow of the black hole of M87 from closures and self-calibration.

What is given is a disk, not its hole: disks of 58 to 80 micro-arcseconds end in rings of 41.5 to 43.1. Started from
Gaussians of 40 to 50, which the entropy then prefers too, imaging ends in another minimum of the same closure
chi-squared, with a ring off the centre and ghosts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.origin import OBSERVATIONS, DataOrigin, bundled_data, simulated
from retrodict.cases.radio_eht_checks import checks
from retrodict.cases.radio_eht_figures import (
    amplitude_figure,
    closure_figure,
    coverage_figure,
    gain_figure,
    image_figure,
    recovery_figure,
)
from retrodict.cases.radio_eht_setup import M87, RadioEHT, correlation, crescent, imaged, imager, observed

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.inverse.radio.closure_imaging import ClosureImager
    from retrodict.physics.seeds import Seeds

__all__ = ["case"]


def simulate(config: RadioEHT, seeds: Seeds) -> xr.Dataset:
    """Return a known crescent and its image from data simulated on the baselines of the observation."""
    import xarray as xr

    found = imaged(config.model_dump_json(), seeds.root)
    truth, grid = crescent(config), found.imager.grid
    agreement, shifted = correlation(found.image, truth)
    at = grid.coordinates * grid.cell
    flux, angle = {"units": "Jy"}, {"units": "rad"}
    return xr.Dataset(
        {"truth": (("x", "y"), truth, flux), "image": (("x", "y"), shifted, flux)},
        {"x": ("x", at, {**angle, "long_name": "west"}), "y": ("y", at, {**angle, "long_name": "north"})},
        {
            "correlation": agreement,
            "closure_phase_chi2": found.chi2[0],
            "closure_amplitude_chi2": found.chi2[1],
            "frequency": float(np.mean(found.imager.vis.frequency)),
            "status": found.status.value,
            **({} if found.status.ok else {"alarms": f"the image ended {found.status.value}: {found.status.message}"}),
        },
    )


def problem(config: RadioEHT, _seeds: Seeds, data: Path | None) -> ClosureImager:
    """Return the imager of the bundled data of M87 or of a user's UVFITS file."""
    return imager(config, observed(config, data))


def origin(config: RadioEHT, verb: str) -> Sequence[DataOrigin]:
    """Return where the visibilities come from: M87's are fitted; those of a crescent have their baselines and noise."""
    crescent_of = simulated("a crescent seen on the baselines and with the weights of M87's data", config.seed)
    seen = bundled_data(M87, "baselines and weights" if verb == "run" else OBSERVATIONS)
    return {"run": (crescent_of, seen), "fit": (seen,)}.get(verb, (seen, crescent_of))


case: Case[RadioEHT] = Case(
    name="radio-eht",
    system="radio",
    summary="The shadow of the black hole of M87: Event Horizon Telescope data, closures, self-calibration.",
    Config=RadioEHT,
    simulate=simulate,
    presets={"smoke": {"pixels": 40, "steps": 100}, "paper": {"pixels": 96, "steps": 400}},
    problem=problem,
    solver=lambda _config, found: found,
    checks=checks,
    figures={"A simulated crescent and its image through unknown gains of the stations": recovery_figure},
    fit_figures={
        "The image, the diameter of the ring, and the position angle of its bright side": image_figure,
        "Spatial frequencies that were measured": coverage_figure,
        "Amplitudes over the length of the baseline": amplitude_figure,
        "Closure phases over time": closure_figure,
        "Gains of the stations over time": gain_figure,
    },
    origin=origin,
)
