"""What data say of gains: nothing where there are none, nothing along what the sky can stand in for."""

import numpy as np
import pytest

from retrodict.inverse.radio import identifiability as module
from retrodict.inverse.radio.gain_posterior import GainPosterior
from retrodict.inverse.radio.identifiability import identifiability
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.visibilities import Grid
from retrodict.solvers.radio.gain_newton import Prior

pytestmark = pytest.mark.slow

LONELY = 4


@pytest.fixture(scope="module")
def scene():
    """Seven antennas and a sky of blobs; one antenna has no row, another none in the first half."""
    rng = np.random.default_rng(0)
    vis = observe(array("vla-a"), declination=0.7, slots=8)
    vis = vis.select(vis.antenna2 < 7)
    grid = Grid(32, cell_for(vis))
    of = [(vis.antenna1 == a) | (vis.antenna2 == a) for a in range(7)]
    vis = vis.select(~of[LONELY] & ~(of[2] & (vis.slots[0] < 4)))
    sky = np.zeros(grid.shape)
    sky[8:24, 8:24] = rng.random((16, 16)) ** 8
    model = Interferometer(vis, grid, size=3, basis=TimeBasis.spanning("dct", vis.slots[1], 2))
    unit = model.kernels.unit()
    noise = rng.standard_normal(unit.shape) + 1j * rng.standard_normal(unit.shape)
    return model, sky, unit, unit + 0.03 * noise


def test_an_antenna_without_rows_is_left_to_the_prior(scene):
    model, sky, unit, gains = scene
    found = identifiability(model, sky, gains, Prior.about(unit, 0.05), 0.1)
    assert found["rows"].values[LONELY] == found["slots"].values[LONELY] == 0
    assert found["slots"].values[2] == 4
    assert found["slots"].values[0] == 8
    np.testing.assert_allclose(found["informed"].values[LONELY], 0, atol=1e-9)
    others = np.delete(found["informed"].mean(["term", "kx", "ky"]).values[:7], LONELY)
    assert others.min() > 0.05
    assert others.argmin() == 2
    assert 0 < found["effective"] < 2 * gains[:6].size


def test_more_noise_says_less_and_other_receptors_held_say_more(scene, monkeypatch):
    model, sky, unit, gains = scene
    prior = Prior.about(unit, 0.05)
    clear, dim = (identifiability(model, sky, gains, prior, s) for s in (0.1, 1.0))
    assert (clear["informed"] >= dim["informed"] - 1e-12).all()
    assert clear["effective"] > 1.5 * dim["effective"]
    expected = (
        1 - GainPosterior.of(model, sky, gains, prior, 0.1).covariance.diagonal().reshape(2, *unit.shape) / 0.0025
    )
    np.testing.assert_allclose(clear["informed"], expected.mean(axis=0), atol=1e-9)
    monkeypatch.setattr(module, "DENSE", 10)
    held = identifiability(model, sky, gains, prior, 0.1)
    assert held.attrs["others"] == "held"
    assert (held["informed"] >= clear["informed"] - 1e-9).all()
    assert held["effective"] > clear["effective"]


def test_the_sky_stands_in_for_what_all_gains_share(scene):
    model, sky, unit, gains = scene
    plain = identifiability(model, sky, unit, Prior.about(unit, 0.05))
    seen, left = (dict(zip(plain["mode"].values.tolist(), plain[n].values, strict=True)) for n in ("seen", "left"))
    assert seen["phase of all gains"] < 1e-12
    assert min(seen["scale of all gains"], seen["amplitude screen of all gains"]) > 0.5
    assert max(left.values()) < 1e-6
    # gains that differ have no coefficients for all of what a screen makes of them
    turned = identifiability(model, sky, gains, Prior.about(unit, 0.05))
    assert turned["left"].values[:2].max() < 1e-6
    assert 0 < turned["left"].values[2] < 0.3 * turned["seen"].values[2]
