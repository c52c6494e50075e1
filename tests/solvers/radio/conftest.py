"""A small observation that the tests of calibration share."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.screens import BandLimited, smooth_random
from retrodict.physics.radio.simulation import simulate
from retrodict.physics.radio.visibilities import Grid


@dataclass(frozen=True)
class Scene:
    """Truth and measurement."""

    model: Interferometer
    sky: np.ndarray
    gains: np.ndarray
    clean: np.ndarray

    @property
    def data(self):
        return self.model.vis.data

    @property
    def weight(self):
        return self.model.vis.weight

    def screens(self, gains):
        """Gains for the simulation, which sums over pixels."""
        basis = self.model.kernels.basis.at(self.model.times)
        return BandLimited(gains, basis, self.model.kernels.padded)

    def predict(self, gains):
        return self.model.predict(self.sky, gains)


def blobs(size, rng, count=12):
    """Round sources of several widths: positive, extended, empty at the border."""
    n = np.arange(size) - size // 2
    x, y = np.meshgrid(n, n, indexing="ij")
    image = np.zeros((size, size))
    for _ in range(count):
        at, width = rng.uniform(-0.35 * size, 0.35 * size, 2), rng.uniform(0.7, 3.0)
        image += rng.random() * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * width**2))
    return np.where(image > 1e-3, image, 0.0)


def scene(*, size=48, kernel=3, terms=2, slots=12, snr_db=40.0, amplitude=0.05, seed=0, precision="double"):
    rng = np.random.default_rng(seed)
    vis = observe(array("vla-a"), declination=0.7, slots=slots)
    grid = Grid(size, cell_for(vis))
    basis = TimeBasis.spanning("dct", vis.slots[1], terms)
    gains = smooth_random(rng, 27, kernel, basis.at(vis.slots[1]), amplitude)
    sky = blobs(size, rng)
    noise = {} if snr_db is None else {"rng": rng, "snr_db": snr_db}
    seen, clean = simulate(vis, grid, sky, BandLimited(gains, basis.at(vis.slots[1]), 2 * size), **noise)
    if snr_db is None:
        seen = replace(seen, weight=np.full(seen.rows, 1.0))
    model = Interferometer(seen, grid, size=kernel, basis=basis, precision=precision)
    return Scene(model, sky, gains, clean)


@pytest.fixture
def make_scene():
    """The function that makes scenes."""
    return scene


@pytest.fixture(scope="session")
def small():
    """The usual scene; nothing in it is changed."""
    return scene()
