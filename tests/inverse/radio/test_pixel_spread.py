"""Spread of pixels by observations drawn anew: exact where the answer is known, and near what it says elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from retrodict.inverse.radio.pixel_spread import pixel_spread
from retrodict.physics.errors import SolverError
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.screens import BandLimited, smooth_random
from retrodict.physics.radio.simulation import simulate
from retrodict.physics.radio.streaming import Streamed, slices
from retrodict.physics.radio.visibilities import Grid, Visibilities
from retrodict.solvers.iterate import iterate
from retrodict.solvers.radio.gauge import regauged
from retrodict.solvers.radio.joint import JointSolver

pytestmark = pytest.mark.slow


def test_without_a_prior_it_is_that_of_least_squares_and_covers_the_truth():
    rng = np.random.default_rng(2)
    grid, rows = Grid(16, 2e-3), 3000
    reach = 0.5 / grid.cell * 299792458.0 / 1e9
    uvw = np.append(rng.uniform(-reach, reach, (rows, 2)), np.zeros((rows, 1)), axis=1)
    vis = Visibilities(
        uvw, np.full(rows, 1e9), np.zeros(rows), np.zeros(rows), np.ones(rows), np.zeros(rows), np.full(rows, 4.0),
        np.zeros(rows, bool),
    )  # fmt: skip
    model = Interferometer(vis, grid)
    imager, sky = model.imager(model.kernels.unit()), rng.uniform(1.0, 2.0, grid.shape)
    pixels = np.eye(256).reshape(-1, 16, 16)
    dense = np.array([imager.apply(p) for p in pixels]).T
    stacked = np.concatenate([dense.real, dense.imag])
    expected = np.sqrt(np.linalg.inv(4.0 * stacked.T @ stacked).diagonal()).reshape(16, 16)
    covered = []
    for _ in range(4):
        noise = 0.5 * rng.standard_normal((rows, 2)) @ [1, 1j]
        seen = model.with_data(dense @ sky.ravel() + noise)
        solver = JointSolver(seen, fixed=model.kernels.unit(), threshold=0.0, bases=("dirac",), tolerance=1e-7)
        found = iterate(solver, 200).data
        spread = pixel_spread(solver, found, 12, rng, max_steps=200)
        ratio = spread["image_std"].values / expected
        assert abs(np.sqrt(np.mean(ratio**2)) - 1) < 0.08
        assert np.abs(spread["image_bias"].values / expected).mean() < 0.4  # that of a mean of twelve is 0.23
        covered.append(np.abs(found["image"].values - sky) < spread["image_std"].values)
    assert abs(np.mean(covered) - 0.66) < 0.05  # Student's t of 11 degrees of freedom


def test_joint_errors_are_of_the_size_that_spread_and_bias_say():
    rng = np.random.default_rng(0)
    vis = observe(array("vla-a"), declination=0.7, slots=12)
    grid = Grid(48, cell_for(vis))
    n = np.arange(48) - 24
    x, y = np.meshgrid(n, n, indexing="ij")
    blobs = ((-8, 4, 2.5), (5, -6, 1.5), (6, 9, 3.0))
    sky = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * w**2)) for a, b, w in blobs)
    sky[sky < 1e-3] = 0
    basis = TimeBasis.spanning("dct", vis.slots[1], 2)
    gains = smooth_random(rng, 27, 3, basis.at(vis.slots[1]), 0.05)
    seen, _ = simulate(vis, grid, sky, BandLimited(gains, basis.at(vis.slots[1]), 96), rng=rng, snr_db=20.0)
    held = seen.slots[0] % 6 == 3
    parts = [Interferometer(seen.select(w), grid, size=3, basis=basis, precision="single") for w in (~held, held)]
    solver = JointSolver(*parts)
    found = iterate(solver, 100).data
    spread = pixel_spread(solver, found, 8, rng, max_steps=100)
    _, screen = regauged(parts[0].kernels, grid, gains)
    truth, image = sky * screen, found["image"].values
    error = np.abs(np.vdot(image, truth) / np.vdot(image, image) * image - truth)
    said = np.hypot(spread["image_std"].values, spread["image_bias"].values)
    bright = truth > 0.05 * truth.max()
    assert 0.5 < np.mean(error[bright] < said[bright]) < 0.85
    assert np.mean(error[bright] < 2 * said[bright]) > 0.8
    assert 0.5 < np.sqrt(np.mean(said[bright] ** 2) / np.mean(error[bright] ** 2)) < 1.5


def test_what_cannot_be_drawn_is_refused():
    vis = Visibilities(np.zeros((2, 3)), [1e9] * 2, [0.0, 9.0], [0, 0], [1, 1], [1, 2], [1, 1], [False] * 2)
    model = Interferometer(vis, Grid(8, 1e-3))
    solver = JointSolver(model)
    found = iterate(solver, 1).data
    with pytest.raises(SolverError, match="1 draws"):
        pixel_spread(solver, found, 1, np.random.default_rng(0))
    streamed = Streamed(slices(vis, 1), Grid(8, 1e-3))
    with pytest.raises(SolverError, match="in chunks"):
        pixel_spread(replace(solver, model=streamed), found, 2, np.random.default_rng(0))
