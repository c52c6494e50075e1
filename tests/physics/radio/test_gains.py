"""Functions of time and gains over the field against closed forms."""

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.radio.gains import Kernels, TimeBasis
from retrodict.physics.radio.interferometer import exact_cube

TIMES = np.linspace(100.0, 500.0, 2001)


@pytest.mark.parametrize(("kind", "terms"), [("constant", 1), ("dct", 4), ("fourier", 5), ("b-spline", 7)])
def test_a_basis_holds_the_steady_function_and_has_mean_square_near_one(kind, terms):
    basis = TimeBasis.spanning(kind, TIMES, terms)
    values = basis.at(TIMES)
    np.testing.assert_allclose(values @ basis.steady, 1.0, atol=1e-12)
    size = np.mean(np.abs(values) ** 2, axis=0)
    assert 0.1 < size.min() <= size.max() < 2.5
    assert np.linalg.matrix_rank(values) == terms


def test_cosines_may_differ_at_the_ends_and_the_exponentials_of_margin_one_may_not():
    ends = [TIMES[0], TIMES[-1]]
    free = TimeBasis.spanning("dct", TIMES, 2).at(ends)
    assert abs(free[0, 1] - free[1, 1]) > 2
    tied = TimeBasis("fourier", TIMES[0], TIMES[-1], 3, margin=1.0).at(ends)
    np.testing.assert_allclose(tied[0], tied[1], atol=1e-12)


def test_slots_are_known_only_where_they_are():
    basis = TimeBasis.spanning("slots", [1.0, 3.0, 7.0])
    np.testing.assert_array_equal(basis.at([7.0, 1.0]), [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(DataError, match="a time that is no slot"):
        basis.at([2.0])


@pytest.mark.parametrize(("kind", "terms"), [("constant", 2), ("fourier", 4), ("b-spline", 3), ("wavelet", 3)])
def test_wrong_bases_are_refused(kind, terms):
    with pytest.raises(DataError, match="TimeBasis"):
        TimeBasis(kind, 0.0, 1.0, terms)


def test_one_coefficient_is_a_ramp_of_unit_modulus():
    kernels = Kernels(3, 64, TimeBasis("constant"), 2)
    gains = np.zeros(kernels.shape, complex)
    gains[:, :, 2, 0] = 1.0  # k = (1, -1)
    x, y = np.array([0.0, 5.0, -7.0]), np.array([1.0, 2.0, 3.0])
    screens = kernels.screens(kernels.at(gains, [0.0]), x, y)
    np.testing.assert_allclose(screens[0, 0], np.exp(2j * np.pi / 64 * (x - y)), atol=1e-14)


def test_gains_of_a_wrong_shape_or_not_finite_are_refused():
    kernels = Kernels(3, 64, TimeBasis("constant"), 2)
    with pytest.raises(DataError, match=r"shape \(2, 1, 3, 3\)"):
        kernels.check(np.zeros((2, 1, 5, 5)))
    with pytest.raises(DataError, match="finite"):
        kernels.check(np.full(kernels.shape, np.nan))
    with pytest.raises(DataError, match="odd"):
        Kernels(4, 64, TimeBasis("constant"), 2)


def test_the_exact_cube_is_the_transform_at_shifted_frequencies():
    rng = np.random.default_rng(0)
    image, uv = rng.random((8, 8)), rng.uniform(-2, 2, (3, 2))
    cube = exact_cube(image, uv, Kernels(3, 24, TimeBasis("constant"), 2))
    n = np.arange(8) - 4
    for q in ((-2, -2), (0, 1), (2, -1)):
        u = uv - 2 * np.pi / 24 * np.array(q)
        direct = np.einsum("xy,mx,my->m", image, np.exp(-1j * u[:, :1] * n), np.exp(-1j * u[:, 1:] * n))
        np.testing.assert_allclose(cube[:, q[0] + 2, q[1] + 2], direct, rtol=1e-10)
