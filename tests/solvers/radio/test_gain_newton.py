"""Gauss-Newton calibration: descent, noise, and what exact data give."""

import numpy as np
import pytest

from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.simulation import predict
from retrodict.solvers.radio.gain_blocks import GainBlocks
from retrodict.solvers.radio.gain_newton import GainNewton, Prior
from retrodict.solvers.radio.gain_tangent import Tangent

pytestmark = pytest.mark.slow


def solved(scene, steps=12, spread=0.1, tolerance=1e-3, model=None):
    model = model or scene.model
    newton = GainNewton(model, tolerance, 200)
    gains, values = model.kernels.unit(), []
    prior = Prior.about(gains, spread)
    for _ in range(steps):
        found = newton.step(scene.sky, gains, prior, 1.0)
        values.append((found.before, found.after))
        gains = found.gains
    return gains, values, model.predict(scene.sky, gains)


def test_the_derivative_is_that_of_the_model_and_has_its_adjoint(small):
    model = small.model
    tangent = Tangent(model, small.sky, small.gains)
    rng = np.random.default_rng(3)
    delta = rng.standard_normal(small.gains.shape) + 1j * rng.standard_normal(small.gains.shape)
    h = 1e-4
    central = (small.predict(small.gains + h * delta) - small.predict(small.gains - h * delta)) / (2 * h)
    forward = tangent.forward(delta)
    # the model is quadratic: central differences are exact up to rounding
    assert np.abs(forward - central).max() < 1e-9 * np.abs(forward).max()
    values = rng.standard_normal(forward.size) + 1j * rng.standard_normal(forward.size) + forward
    left, right = np.real(np.vdot(forward, values)), np.real(np.vdot(delta, tangent.adjoint(values)))
    assert abs(left - right) < 1e-12 * abs(left)


def test_every_step_descends_and_the_objective_is_what_it_says(small):
    gains, values, seen = solved(small, 6)
    before, after = np.array(values).T
    assert (after <= before * (1 + 1e-12)).all()
    np.testing.assert_allclose(after[:-1], before[1:], rtol=1e-9)
    pull = np.sum(np.abs(gains - small.model.kernels.unit()) ** 2) / 0.1**2
    misfit = np.sum(small.weight * np.abs(seen - small.data) ** 2)
    np.testing.assert_allclose(after[-1], 0.5 * (misfit + pull), rtol=1e-9)


def test_newton_reaches_the_noise_while_sweeps_creep(small):
    _, _, seen = solved(small, 5)
    chi2 = np.sum(small.weight * np.abs(seen - small.data) ** 2) / (2 * small.data.size)
    assert 0.5 < chi2 < 1.1
    blocks, unit = GainBlocks(small.model), small.model.kernels.unit()
    swept = unit
    for _ in range(5):
        swept, _ = blocks.sweep(
            small.model.cube(small.sky), swept, small.data, small.weight, np.full(unit.shape, 100.0), unit
        )
    left = np.sum(small.weight * np.abs(small.predict(swept) - small.data) ** 2) / (2 * small.data.size)
    assert left > 2 * chi2


def test_exact_data_are_explained(make_scene):
    scene = make_scene(snr_db=None)
    gains, _, seen = solved(scene, 25, spread=1e3, tolerance=1e-8)
    # the data are summed pixel by pixel, the model grids
    assert np.linalg.norm(seen - scene.clean) < 1e-6 * np.linalg.norm(scene.clean)
    # predictions on the true sky are what gains can be compared by: coefficients are nearly collinear
    exact = predict(scene.model.vis, scene.model.grid, scene.sky, scene.screens(gains))
    common = np.vdot(exact, scene.clean) / np.vdot(exact, exact)
    assert np.linalg.norm(common * exact - scene.clean) < 1e-4 * np.linalg.norm(scene.clean)


def test_errors_of_predictions_are_those_of_least_squares(make_scene):
    """With the sky known, ``n`` real unknowns take ``n`` of the noise: |V(U) - V|^2 / sigma^2 is n on average."""
    scene = make_scene(kernel=1, terms=1, slots=10, snr_db=20.0)
    gains, _, seen = solved(scene, 8, spread=1e3, tolerance=1e-6)
    chi2 = np.sum(scene.weight * np.abs(seen - scene.clean) ** 2)
    unknown = 2 * gains.size - 1  # a phase that all share is not seen
    assert abs(chi2 / unknown - 1) < 4 * np.sqrt(2 / unknown)


def test_errors_fall_with_the_root_of_time(make_scene):
    errors = []
    slots = np.array([20, 40, 80, 160, 320])
    for count in slots:
        scene = make_scene(kernel=1, terms=1, slots=int(count), snr_db=20.0, seed=3)
        _, _, seen = solved(scene, 8, spread=1e3, tolerance=1e-6)
        errors.append(np.sqrt(np.mean(np.abs(seen - scene.clean) ** 2 * scene.weight)))
    slope = np.polyfit(np.log(slots), np.log(errors), 1)[0]
    assert abs(slope + 0.5) < 0.1


def test_one_coefficient_is_the_fixed_point_of_ordinary_calibration(small):
    """S = 1: at the solution every gain is the weighted mean that StEFCal iterates to."""
    model = Interferometer(small.model.vis, small.model.grid, size=1, basis=TimeBasis("constant"))
    gains, _, _ = solved(small, 15, spread=1e4, tolerance=1e-9, model=model)
    g = gains[:, 0, 0, 0]
    sky = model.predict(small.sky, model.kernels.unit())
    top, bottom = np.zeros(g.size, complex), np.zeros(g.size)
    for a, b, y, m in (
        (model.first, model.second, small.data, sky),
        (model.second, model.first, small.data.conj(), sky.conj()),
    ):
        z = m * g[b].conj()
        np.add.at(top, a, small.weight * y * z.conj())
        np.add.at(bottom, a, small.weight * np.abs(z) ** 2)
    assert np.abs(g - top / bottom).max() < 1e-6
