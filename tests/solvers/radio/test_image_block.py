"""The imaging block: thresholds from noise, and steps that descend."""

import numpy as np
import pytest

from retrodict.physics.radio.wavelets import Dictionary
from retrodict.solvers.forward_backward import lipschitz
from retrodict.solvers.proximal import SparseProx
from retrodict.solvers.radio.image_block import ImageBlock, noise_levels
from retrodict.solvers.radio.misfit import Misfit

pytestmark = pytest.mark.slow


def test_noise_levels_are_the_spread_of_noise_sent_through_the_adjoint(small):
    model, dictionary = small.model, Dictionary(small.model.grid.shape, ("db1", "db3", "dirac"), 2)
    levels = noise_levels(model.beam(), dictionary)
    imager, rng = model.whitened(model.kernels.unit()), np.random.default_rng(0)
    square = np.zeros(dictionary.coefficients)
    for _ in range(60):
        noise = rng.standard_normal(model.rows) + 1j * rng.standard_normal(model.rows)
        square += dictionary.analyse(imager.adjoint(noise)) ** 2 / 60
    # wavelets that wrap around an edge see noise that does not: the median of a subband is free of them
    band, ratio = dictionary.subbands, square / levels**2
    found = [float(np.median(ratio[band == k])) for k in range(band.max() + 1)]
    np.testing.assert_allclose(found, 1, atol=0.1)


def test_steps_descend_even_where_the_lipschitz_constant_is_too_small(small):
    misfit = Misfit(small.model, small.gains)
    largest, _ = lipschitz(misfit.normal, small.sky + 1.0, 20)
    dictionary = Dictionary(small.model.grid.shape)
    prox = SparseProx(dictionary, noise_levels(small.model.beam(), dictionary))
    start = np.zeros(small.model.grid.shape)
    good = ImageBlock(misfit, prox, largest).descend(start, 10, None)
    assert good.after < 0.05 * good.before
    bad = ImageBlock(misfit, prox, largest / 4).descend(start, 10, None)
    assert bad.after <= bad.before


def test_the_misfit_is_half_the_whitened_residual_and_its_gradient_is_its_slope(small):
    model, misfit = small.model, Misfit(small.model, small.gains)
    residual = model.root * (model.predict(small.sky, small.gains) - model.vis.data)
    assert misfit.value(small.sky) == pytest.approx(0.5 * np.sum(np.abs(residual) ** 2), rel=1e-9)
    rng = np.random.default_rng(1)
    change = rng.standard_normal(small.sky.shape)
    value, gradient = misfit(small.sky)
    central = (misfit.value(small.sky + change) - misfit.value(small.sky - change)) / 2
    assert np.vdot(gradient, change) == pytest.approx(central, rel=1e-9)
    assert value == misfit.value(small.sky)
