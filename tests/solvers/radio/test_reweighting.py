"""Reweighting: what has been found is spared, so that faint sources keep their flux and noise has none."""

import numpy as np
import pytest
from scipy.ndimage import label

from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.screens import BandLimited, smooth_random
from retrodict.physics.radio.simulation import simulate
from retrodict.physics.radio.visibilities import Grid
from retrodict.solvers.iterate import iterate
from retrodict.solvers.radio.gauge import regauged
from retrodict.solvers.radio.joint import JointSolver

pytestmark = pytest.mark.slow

FLUX = 1e-3


@pytest.fixture(scope="module")
def scene():
    """Eight bright sources and six of a thousandth of the brightest, unknown gains that vary by 5 %."""
    rng = np.random.default_rng(5)
    vis = observe(array("vla-a"), declination=0.7, slots=12)
    grid = Grid(64, cell_for(vis))
    at = np.argwhere(np.ones((8, 8)))[rng.permutation(64)[:14]] * 6 + 10
    sky = np.zeros(grid.shape)
    sky[tuple(at.T)] = np.concatenate([[1.0], rng.uniform(0.1, 0.5, 7), np.full(6, FLUX)])
    basis = TimeBasis.spanning("dct", vis.slots[1], 2)
    gains = smooth_random(rng, 27, 3, basis.at(vis.slots[1]), 0.05)
    seen, _ = simulate(vis, grid, sky, BandLimited(gains, basis.at(vis.slots[1]), 128), rng=rng, snr_db=50.0)
    held = seen.slots[0] % 6 == 3
    parts = [Interferometer(seen.select(w), grid, size=3, basis=basis, precision="single") for w in (~held, held)]
    _, screen = regauged(parts[0].kernels, grid, gains)
    return parts, sky, sky * screen, tuple(at[8:].T)


def test_faint_sources_keep_their_flux_and_nothing_false_appears(scene):
    parts, sky, truth, faint = scene
    shares, islands = [], []
    for rounds in (0, 3):
        solver = JointSolver(*parts, bases=("dirac",), steps=20, tolerance=1e-5, reweightings=rounds)
        result = iterate(solver, 200)
        image = result.data["image"].values
        shares.append(np.mean(image[faint] / truth[faint]))
        found, count = label(image > FLUX / 2, np.ones((3, 3)))
        islands.append(count - len(set(found[sky > 0]) - {0}))
        assert result.status.ok
        assert (image[faint] > FLUX / 2).all()
        assert result.history["round"].values[-1] == rounds
        assert (result.history["image_descent"] <= 1e-9).all()
    assert shares[1] > shares[0] + 0.03
    assert abs(shares[1] - 1) < 0.05
    assert islands[1] == 0
