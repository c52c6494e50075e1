"""The imaging block: thresholds from noise, and steps that descend."""

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.physics.radio.wavelets import Dictionary
from retrodict.solvers.forward_backward import fista, lipschitz
from retrodict.solvers.proximal import SparseProx
from retrodict.solvers.radio.image_block import ImageBlock
from retrodict.solvers.radio.minor_cycle import MinorCycle
from retrodict.solvers.radio.misfit import Misfit
from retrodict.solvers.radio.sparsity import Sparsity, noise_levels

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


def test_thresholds_fall_where_the_sky_stands_above_the_noise(small):
    """Limits: a few deviations of the noise without a sky, the Laplace distribution of its coefficients with one."""
    dictionary = Dictionary(small.model.grid.shape)
    prior = Sparsity(dictionary, noise_levels(small.model.beam(), dictionary), 3.0)
    band, size = dictionary.subbands, np.abs(dictionary.analyse(small.sky))
    mean = (np.bincount(band.ravel(), size.ravel()) / np.bincount(band.ravel()))[band]
    np.testing.assert_allclose(prior.thresholds(1e9, small.sky), 3e9 * prior.levels, rtol=1e-3)
    seen = prior.levels > 1e-6 * prior.levels.max()
    bayes = (1e-9**2 / (9 * mean))[seen]
    np.testing.assert_allclose(prior.thresholds(1e-9, small.sky)[seen], bayes, rtol=1e-3)
    spared = prior.sparing(1e-3, small.sky)
    assert spared[0].ravel()[size[0].argmax()] < spared[0].ravel()[size[0].argmin()]


def test_a_minor_cycle_with_the_true_curvature_finds_the_minimum(small):
    """Gains of one: the beam is the second derivative. The reference takes accelerated forward-backward steps."""
    model = small.model
    misfit = Misfit(model.with_data(model.predict(small.sky, model.kernels.unit())), model.kernels.unit())
    dictionary = Dictionary(model.grid.shape)
    prox = SparseProx(dictionary, 1e-3 * noise_levels(model.beam(), dictionary))
    largest, _ = lipschitz(misfit.normal, small.sky + 1.0, 20)
    slow = fista(misfit, lambda z, s, d=None, /: prox(z, s, d), np.zeros_like(small.sky), largest, 3000)
    block, start, dual = ImageBlock(misfit, prox, MinorCycle(model.beam())), np.zeros_like(small.sky), None
    for _ in range(6):
        found = block.descend(start, 100, dual)
        assert found.after <= found.before
        start, dual = found.image, found.dual
    assert -1e-9 < (found.after - slow.values[-1]) / misfit.value(np.zeros_like(small.sky)) < 1e-6


def test_steps_descend_where_the_beam_says_too_little(small):
    misfit = Misfit(small.model, small.gains)
    dictionary, beam = Dictionary(small.model.grid.shape), small.model.beam()
    prox = SparseProx(dictionary, noise_levels(beam, dictionary))
    start = np.zeros(small.model.grid.shape)
    good = ImageBlock(misfit, prox, MinorCycle(beam)).descend(start, 30, None)
    assert good.after < 0.05 * good.before
    for part in (4, 30):
        bad = ImageBlock(misfit, prox, MinorCycle(beam / part)).descend(start, 30, None)
        assert bad.after < bad.before


def test_a_cycle_that_goes_twice_as_far_as_it_should_ends_half_way(small):
    """A whole step still descends a little; taken again and again it would turn back and forth."""
    misfit = Misfit(small.model, small.gains)
    dictionary, beam = Dictionary(small.model.grid.shape), small.model.beam()
    prox = SparseProx(dictionary, noise_levels(beam, dictionary))
    start, cycle = np.zeros(small.model.grid.shape), MinorCycle(beam / 1.7)
    found = ImageBlock(misfit, prox, cycle).descend(start, 60, None)
    whole = cycle.descend(start, misfit(start)[1], prox, 60).x
    values = [misfit.value(t * whole) + prox.penalty(t * whole) for t in (0.3, 0.45, 0.6, 1.0)]
    assert values[-1] < found.before
    assert found.after < 0.3 * values[-1]
    assert found.after <= 1.02 * min(values)


def test_a_beam_without_weight_is_refused():
    with pytest.raises(SolverError, match="curvature"):
        MinorCycle(np.zeros((8, 8)))


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


def test_an_image_changed_in_place_is_seen(small):
    misfit = Misfit(small.model, small.model.kernels.unit())
    image = small.sky.copy()
    value, gradient = misfit(image)
    image *= 2
    again = Misfit(small.model, small.model.kernels.unit())
    assert misfit.value(image) == again.value(image) != value
    np.testing.assert_array_equal(misfit(image)[1], again(image)[1])
    assert not np.array_equal(misfit(image)[1], gradient)
