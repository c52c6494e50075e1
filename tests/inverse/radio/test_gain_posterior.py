"""Error bars of predictions: exact where the posterior is known, and covering what they say they cover."""

import numpy as np
import pytest

from retrodict.inverse.radio.gain_posterior import GainPosterior
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.screens import BandLimited
from retrodict.physics.radio.simulation import predict
from retrodict.physics.radio.visibilities import Grid
from retrodict.solvers.radio.gain_newton import GainNewton, Prior
from retrodict.solvers.radio.gain_tangent import Tangent

pytestmark = pytest.mark.slow

SPREAD = 0.05


@pytest.fixture(scope="module")
def scene():
    """Nine antennas, eight slots, a sky of blobs at 32 x 32."""
    rng = np.random.default_rng(0)
    vis = observe(array("vla-a"), declination=0.7, slots=8)
    vis = vis.select((vis.antenna1 % 3 == 0) & (vis.antenna2 % 3 == 0))
    grid = Grid(32, cell_for(vis))
    sky = np.zeros(grid.shape)
    sky[8:24, 8:24] = rng.random((16, 16)) ** 8
    basis = TimeBasis.spanning("dct", vis.slots[1], 2)
    return vis, grid, sky, basis


def modelled(scene, data, weight):
    from dataclasses import replace

    vis, grid, _, basis = scene
    return Interferometer(replace(vis, data=data, weight=weight), grid, size=3, basis=basis)


def test_deviations_are_those_of_draws_from_the_posterior(scene):
    vis, _, sky, _ = scene
    model = modelled(scene, vis.data, np.full(vis.rows, 10.0))
    unit = model.kernels.unit()
    posterior = GainPosterior.of(model, sky, unit, Prior.about(unit, SPREAD))
    root = np.linalg.cholesky(posterior.covariance)
    line, rng = Tangent(model, sky, unit), np.random.default_rng(1)
    draws = []
    for _ in range(1500):
        v = root @ rng.standard_normal(len(root))
        draws.append(line.forward((v[: unit.size] + 1j * v[unit.size :]).reshape(unit.shape)))
    found = posterior.deviations(model)
    np.testing.assert_allclose(np.std(np.real(draws), axis=0) / found.real, 1, atol=0.12)
    np.testing.assert_allclose(np.std(np.imag(draws), axis=0) / found.imag, 1, atol=0.12)


def test_intervals_cover_what_they_say_over_two_hundred_observations(scene):
    """Gains from the prior, data summed pixel by pixel, other slots than those fitted predicted too."""
    vis, grid, sky, basis = scene
    kernels = modelled(scene, vis.data, vis.weight).kernels
    unit, at = kernels.unit(), np.asarray(basis.at(vis.slots[1]), complex)
    prior = Prior.about(unit, SPREAD)
    fitted = vis.slots[0] != 4
    inside, rng = [], np.random.default_rng(2)
    for _ in range(200):
        true = unit + SPREAD * (rng.standard_normal(unit.shape) + 1j * rng.standard_normal(unit.shape))
        clean = predict(vis, grid, sky, BandLimited(true, at, 2 * grid.size))
        sigma = 0.02 * np.sqrt(np.mean(np.abs(clean) ** 2))
        noise = sigma * (rng.standard_normal(vis.rows) + 1j * rng.standard_normal(vis.rows))
        model = modelled(scene, clean + noise, np.full(vis.rows, sigma**-2.0))
        train = Interferometer(model.vis.select(fitted), grid, size=3, basis=basis)
        gains = unit
        for _ in range(4):
            gains = GainNewton(train, 1e-3, 300).step(sky, gains, prior, 1.0).gains
        spread = GainPosterior.of(train, sky, gains, prior).deviations(model)
        error = model.predict(sky, gains) - clean
        inside.append(np.concatenate([np.abs(error.real) / spread.real, np.abs(error.imag) / spread.imag]))
    ratio = np.array(inside)
    assert abs(np.mean(ratio < 1) - 0.683) < 0.05
    assert abs(np.mean(ratio < 1.96) - 0.95) < 0.03
