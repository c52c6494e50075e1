"""Gains over the sky: sums written out, statistics of the draws, and the known shapes."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import j0

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.screens import (
    BandLimited,
    Ionosphere,
    Pointing,
    ionosphere_phase,
    pointing_errors,
    smooth_random,
)


def test_band_limited_gains_are_the_sum_of_their_definition():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((3, 2, 5, 5)) + 1j * rng.standard_normal((3, 2, 5, 5))
    basis = rng.standard_normal((4, 2))
    x, y = rng.uniform(-20, 20, (2, 7))
    seen = BandLimited(u, basis, 50).values(2, x, y)
    for r, n in ((0, 0), (2, 6), (1, 3)):
        want = sum(
            basis[2, p] * u[r, p, i, j] * np.exp(2j * np.pi / 50 * ((i - 2) * x[n] + (j - 2) * y[n]))
            for p in range(2)
            for i in range(5)
            for j in range(5)
        )
        assert abs(seen[r, n] - want) < 1e-13 * abs(want)


@pytest.mark.parametrize("terms", [1, 3])
def test_draws_have_their_mean_square_over_time_and_a_centre_about_one(terms):
    t = (np.arange(40) + 0.5) / 40
    basis = np.cos(np.pi * np.outer(t, np.arange(terms)))
    u = smooth_random(np.random.default_rng(1), 400, 3, basis, 0.05, 0.02)
    d = np.einsum("tp,rpab->trab", basis, u)
    off = np.delete(d.reshape(40, 400, 9), 4, axis=2)
    count = 400 * 8 * terms
    assert np.mean(off.real**2) == pytest.approx(0.05**2, rel=5 * np.sqrt(2 / count))
    assert np.mean(off.imag**2) == pytest.approx(0.05**2, rel=5 * np.sqrt(2 / count))
    centre = d[:, :, 1, 1]
    assert abs(centre.mean() - 1) < 5 * 0.02 * np.sqrt(2 / 400)
    assert np.mean((centre - 1).imag ** 2) == pytest.approx(0.02**2, rel=5 * np.sqrt(2 / (400 * terms)))


def test_complex_functions_of_time_combine_to_one_as_well():
    basis = np.exp(2j * np.pi * np.outer(np.arange(30) / 30, [-1, 0, 1]))
    u = smooth_random(np.random.default_rng(2), 4, 3, basis, 0.0)
    np.testing.assert_allclose(np.tensordot(basis, u, axes=(1, 1))[:, :, 1, 1], 1, atol=1e-14)


def test_beams_are_half_at_half_their_width_and_peak_where_they_point():
    beam = Pointing(np.array([[[3.0, -2.0], [0.0, 0.0]]]), 20.0, relative=False)
    x, y = np.array([3.0, 13.0, 3.0]), np.array([-2.0, -2.0, 8.0])
    np.testing.assert_allclose(np.abs(beam.values(0, x, y)[0]) ** 2, [1, 0.5, 0.5], rtol=1e-14)
    relative = Pointing(beam.offsets, 20.0, relative=True).values(0, x, y)
    np.testing.assert_allclose(relative, beam.values(0, x, y) / beam.values(0, x, y)[1], rtol=1e-13)


def test_beams_walk_as_far_as_asked():
    drawn = pointing_errors(np.random.default_rng(3), 2000, 12, width=50.0, error=2.0, drift=0.5).offsets
    assert drawn[0].std() == pytest.approx(2.0, rel=0.08)
    assert (drawn[-1] - drawn[0]).std() == pytest.approx(0.5, rel=0.08)
    assert (drawn[1] - drawn[0]).std() == pytest.approx(0.5 / np.sqrt(11), rel=0.08)


def test_ionosphere_has_its_rms_and_the_structure_function_of_kolmogorov():
    rng = np.random.default_rng(4)
    gaps = np.array([0.0, 4e3, 8e3])
    squares, phases = [], []
    for _ in range(300):
        stations = np.stack([gaps, np.zeros(3)], axis=-1)
        screen = ionosphere_phase(rng, stations, [0.0], rms=0.5, cell=1e-5, scales=(100.0, 1e6), waves=80)
        phase = screen.phase(0, np.zeros(1), np.zeros(1))[:, 0]
        phases.append(phase[0])
        squares.append((phase[1:] - phase[0]) ** 2)
    assert np.std(phases) == pytest.approx(0.5, rel=0.2)
    # the integral of the spectrum k^(-11/3) in the plane, between the two scales
    k = np.geomspace(2 * np.pi / 1e6, 2 * np.pi / 100, 20001)
    power = k ** (-11 / 3) * k
    want = [2 * 0.25 * trapezoid(power * (1 - j0(k * gap)), k) / trapezoid(power, k) for gap in gaps[1:]]
    assert np.log2(want[1] / want[0]) == pytest.approx(1.5, abs=0.1)
    np.testing.assert_allclose(np.mean(squares, axis=0), want, rtol=0.3)
    assert np.log2(np.divide(*np.mean(squares, axis=0)[::-1])) == pytest.approx(np.log2(want[1] / want[0]), abs=0.15)


def test_ionosphere_drifts_and_its_shift_on_the_sky_is_a_shift_on_the_ground():
    stations = np.array([[0.0, 0.0], [300e3 * 1e-3 * 5, -300e3 * 1e-3 * 2]])
    screen = ionosphere_phase(np.random.default_rng(5), stations, [0.0, 7.0], rms=1.0, cell=1e-3, height=300e3)
    # five pixels to the east and two to the south: the other antenna looks through the same place
    near = screen.phase(0, np.array([-5.0]), np.array([-2.0]))[0]
    np.testing.assert_allclose(near, screen.phase(0, np.zeros(1), np.zeros(1))[1], atol=1e-10)
    carried = Ionosphere(
        stations + screen.drift[1], screen.waves, screen.amplitudes, screen.phases, screen.drift, screen.scale
    )
    x, y = np.array([1.0, -4.0]), np.array([0.0, 2.0])
    np.testing.assert_allclose(carried.phase(1, x, y), screen.phase(0, x, y), atol=1e-10)
    assert np.linalg.norm(screen.drift[1]) == pytest.approx(350.0)


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda r: smooth_random(r, 2, 4, np.ones((3, 1))), ConfigError, "support"),
        (lambda r: smooth_random(r, 2, 3, np.arange(3.0)[:, None]), ConfigError, "basis"),
        (lambda _: BandLimited(np.ones((2, 1, 4, 4)), np.ones((3, 1)), 8), DataError, "coefficients"),
        (lambda _: BandLimited(np.ones((2, 1, 3, 3)), np.ones((3, 2)), 8), DataError, "basis"),
        (lambda _: BandLimited(np.ones((2, 1, 5, 5)), np.ones((3, 1)), 10), DataError, "size"),
        (lambda _: BandLimited(np.ones((1, 1, 3, 3)), np.ones((3, 1)), 8), DataError, "receptors"),
        (lambda r: pointing_errors(r, 2, 3, width=0.0, error=1.0), ConfigError, "width"),
        (lambda r: ionosphere_phase(r, np.zeros((2, 2)), [0.0], rms=1, cell=1, scales=(2, 1)), ConfigError, "scales"),
    ],
)
def test_wrong_settings_are_told(call, error, word):
    with pytest.raises(error, match=word):
        call(np.random.default_rng(0))
