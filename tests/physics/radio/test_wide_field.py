"""The w-term: against sums pixel by pixel, its adjoint, and images of a wide field with it and without."""

from dataclasses import replace

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.screens import BandLimited, smooth_random
from retrodict.physics.radio.simulation import predict
from retrodict.physics.radio.visibilities import Grid
from retrodict.physics.radio.wide_field import WideField, largest_w_phase
from retrodict.physics.verify import dot_test, taylor_test
from retrodict.solvers.iterate import iterate
from retrodict.solvers.radio.joint import JointSolver

SIZE = 64


@pytest.fixture(scope="module")
def wide():
    """A short compact array sees a field of some degrees: phases of several radians at its corners."""
    vis = observe(array("vla-a"), declination=0.5, slots=6)
    vis = replace(vis, uvw=vis.uvw * 1e-3, frequency=np.full(vis.rows, 1.4e9))
    grid = Grid(SIZE, cell_for(vis), vis.centre)
    assert 1.0 < largest_w_phase(vis, grid) < 10.0
    rng = np.random.default_rng(4)
    sky = np.zeros(grid.shape)
    sky[tuple(rng.integers(4, SIZE - 4, (2, 12)))] = rng.uniform(0.2, 1.0, 12)
    sky[6, 8] = 1.5
    basis = TimeBasis.spanning("dct", vis.slots[1], 2)
    gains = smooth_random(rng, 27, 1, basis.at(vis.slots[1]), 0.2)
    seen = predict(vis, grid, sky, BandLimited(gains, basis.at(vis.slots[1]), 2 * SIZE), w=True)
    return WideField(vis, grid, basis=basis), sky, gains, seen


def test_visibilities_are_the_sum_over_pixels(wide):
    model, sky, gains, direct = wide
    scale = np.abs(direct).max()
    assert np.abs(model.predict(sky, gains) - direct).max() < 1e-6 * scale
    assert np.abs(model.imager(gains).apply(sky) - direct).max() < 1e-6 * scale
    flat = Interferometer(model.vis, model.grid, basis=model.kernels.basis)
    assert np.abs(flat.predict(sky, gains) - direct).max() > 0.1 * scale


def test_adjoint_and_derivative(wide):
    model, sky, gains, _ = wide
    at = {"image": sky, "gains": gains}
    assert dot_test(model.linearize(at)[1], tolerance=1e-13).passed
    assert taylor_test(model, at, halvings=3).passed


def test_sources_at_the_border_stay_where_they_are(wide):
    model, sky, _, _ = wide
    vis = model.vis
    rng = np.random.default_rng(1)
    clean = predict(vis, model.grid, sky, w=True)
    std = 1e-2 * np.sqrt(np.mean(np.abs(clean) ** 2))
    noise = std * (rng.standard_normal(vis.rows) + 1j * rng.standard_normal(vis.rows)) / np.sqrt(2)
    seen = replace(vis, data=clean + noise, weight=np.full(vis.rows, 2 / std**2))
    images = {}
    for name, kind in (("wide", WideField), ("flat", Interferometer)):
        part = kind(seen, model.grid)
        solver = JointSolver(part, fixed=part.kernels.unit(), bases=("dirac",))
        images[name] = iterate(solver, 40).data["image"].values
    assert abs(images["wide"][6, 8] - 1.5) < 0.03
    assert images["flat"][6, 8] < 0.75


def test_fields_that_cannot_be_gridded_are_refused(wide):
    vis = wide[0].vis
    with pytest.raises(DataError, match="32 or more"):
        WideField(vis, Grid(16, wide[0].grid.cell))
    with pytest.raises(DataError, match="horizon"):
        WideField(replace(vis, uvw=vis.uvw * 0.1), Grid(64, 0.03))
