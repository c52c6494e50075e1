"""Case ``radio-extended``: an extended sky and the direction-dependent gains of all antennas from one observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.radio_checks import checks
from retrodict.cases.radio_figures import (
    convergence_figure,
    coverage_figure,
    gain_figure,
    image_figure,
    screen_figure,
    sky_figure,
)
from retrodict.cases.radio_setup import Observation, RadioSettings, observed, origin, problem, solver_of
from retrodict.cases.radio_uncertainty import uncertainty_figure, write_uncertainty

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.cases.fit import FitOutcome
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree
    from retrodict.solvers.radio.joint import JointSolver

__all__ = ["case", "files", "models", "simulate", "solver"]


def simulate(config: RadioSettings, _seeds: Seeds) -> xr.Dataset:
    """Return sky, dirty image, coverage, amplitudes and the gains of some antennas in the middle of the observation."""
    import xarray as xr

    from retrodict.physics.radio.visibilities import LIGHT

    seen = observed(config)
    grid, vis = seen.grid, seen.vis
    imager = seen.model().imager(seen.model().kernels.unit())
    dirty = imager.adjoint(vis.data) / vis.rows
    some = sorted({0, len(vis.antennas) // 3, 2 * len(vis.antennas) // 3, len(vis.antennas) - 1})
    x, y = np.meshgrid(grid.coordinates.astype(float), grid.coordinates.astype(float), indexing="ij")
    gains = seen.gains.values(vis.slots[1].size // 2, x.ravel(), y.ravel())[some].reshape(-1, *grid.shape)
    u, v = (vis.uvw[:, :2] * (vis.frequency / LIGHT)[:, None]).T
    data = {
        "sky": (("x", "y"), seen.sky, {"units": "Jy"}),
        "dirty": (("x", "y"), dirty, {"units": "Jy"}),
        "u": ("row", u, {"units": "1"}),
        "v": ("row", v, {"units": "1"}),
        "amplitude": ("row", np.abs(vis.data), {"units": "Jy"}),
        "gain_re": (("antenna", "x", "y"), gains.real, {"units": "1"}),
        "gain_im": (("antenna", "x", "y"), gains.imag, {"units": "1"}),
    }
    pixels = grid.coordinates * grid.cell
    coords = {
        "x": ("x", pixels, {"units": "rad", "long_name": "to the west"}),
        "y": ("y", pixels, {"units": "rad", "long_name": "to the north"}),
        "antenna": [vis.antennas[a] for a in some],
    }
    noise = float(np.sqrt(1 / vis.weight[0]))
    return xr.Dataset(data, coords, {"noise": noise, "rows": vis.rows, "telescope": vis.telescope})


def solver(_config: RadioSettings, seen: Observation) -> JointSolver:
    """Return the joint solver of the observation."""
    return solver_of(seen)


def files(outcome: FitOutcome) -> None:
    """Write what the data say of the gains, and the error of pixels where it is asked for."""
    write_uncertainty(outcome, solver_of(outcome.problem))


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return a small interferometer, whose derivative with respect to image and gains is tested."""
    from retrodict.physics.radio.arrays import array, cell_for, observe
    from retrodict.physics.radio.gains import TimeBasis
    from retrodict.physics.radio.interferometer import Interferometer
    from retrodict.physics.radio.visibilities import Grid

    rng = np.random.default_rng(3)
    vis = observe(array("vla-a"), declination=0.7, slots=3)
    vis = vis.select(np.flatnonzero((vis.antenna1 < 4) & (vis.antenna2 < 6)))
    basis = TimeBasis.spanning("dct", vis.slots[1], 2)
    model = Interferometer(vis, Grid(16, cell_for(vis)), size=3, basis=basis)
    turned = rng.standard_normal(model.kernels.shape) + 1j * rng.standard_normal(model.kernels.shape)
    at = {"image": rng.random((16, 16)), "gains": model.kernels.unit() + 0.1 * turned}
    return {"interferometer": (model, at)}


FIGURES = {
    "The sky, and what an uncalibrated telescope makes of it": sky_figure,
    "Coverage, and amplitudes over the length of the baselines": coverage_figure,
    "Gains of some antennas over the field": screen_figure,
}

FIT_FIGURES = {
    "Images of all methods on one scale, and their errors": image_figure,
    "Gains towards the brightest pixel": gain_figure,
    "Convergence: image, fitted slots, slots held out": convergence_figure,
    "What the data say of the gains, and what the sky can stand in for": uncertainty_figure,
}

case: Case[RadioSettings] = Case(
    name="radio-extended",
    system="radio",
    summary="Joint calibration of direction-dependent gains and imaging of an extended sky.",
    Config=RadioSettings,
    simulate=simulate,
    presets={
        "smoke": {"size": 64, "slots": 20, "support": 3, "max_steps": 150},
        "default": {},
        "paper": {"size": 256, "slots": 200},
    },
    problem=problem,
    solver=solver,
    files=files,
    checks=checks,
    figures=FIGURES,
    fit_figures=FIT_FIGURES,
    models=models,
    origin=origin,
)
