"""The measurement against sums pixel by pixel, and its symmetries."""

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.fourier_grid import FourierGrid
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer, exact_cube
from retrodict.physics.radio.visibilities import Grid

pytestmark = pytest.mark.slow  # compiled loops: seconds before the first number


def setting(size=32, kernel=3, terms=2, kind="dct", precision="double", antennas=7):
    vis = observe(array("vla-a"), declination=0.7, slots=5)
    vis = vis.select(vis.antenna2 < antennas)
    basis = TimeBasis.spanning(kind, vis.slots[1], terms)
    model = Interferometer(vis, Grid(size, cell_for(vis)), size=kernel, basis=basis, precision=precision)
    rng = np.random.default_rng(2)
    gains = 0.1 * (rng.standard_normal(model.kernels.shape) + 1j * rng.standard_normal(model.kernels.shape))
    image, border = np.zeros(model.grid.shape), size // 8
    image[border:-border, border:-border] = rng.random((size - 2 * border,) * 2)
    return model, image, model.kernels.unit() + gains


def summed(model, image, gains, rows):
    """The sum over pixels, gains in the image domain."""
    x, y = (v.ravel() for v in np.meshgrid(model.grid.coordinates, model.grid.coordinates, indexing="ij"))
    screens = model.kernels.screens(model.kernels.at(gains, model.times), x, y)
    uv = model.vis.uv(model.grid)
    first, second = screens[model.slot[rows], model.first[rows]], screens[model.slot[rows], model.second[rows]]
    phase = np.exp(-1j * (uv[rows, :1] * x + uv[rows, 1:] * y))
    return np.sum(image.ravel() * first * second.conj() * phase, axis=1)


@pytest.mark.parametrize("size", [32, 128])
@pytest.mark.parametrize(("kernel", "terms", "kind"), [(1, 1, "constant"), (3, 3, "fourier"), (5, 2, "dct")])
def test_three_routes_to_a_visibility_agree(size, kernel, terms, kind):
    model, image, gains = setting(size, kernel, terms, kind)
    rows = np.linspace(0, model.vis.rows - 1, 30).astype(int)
    direct = summed(model, image, gains, rows)
    scale = np.abs(direct).max()
    cube = model.seen(exact_cube(image, model.vis.uv(model.grid), model.kernels), gains)[rows]
    assert np.abs(cube - direct).max() < 1e-9 * scale
    assert np.abs(model.predict(image, gains)[rows] - direct).max() < 1e-5 * scale
    assert np.abs(model.imager(gains).apply(image)[rows] - direct).max() < 1e-5 * scale
    single = setting(size, kernel, terms, kind, "single")[0]
    assert np.abs(single.imager(gains).apply(image)[rows] - direct).max() < 1e-5 * scale


def test_either_antenna_predicts_the_same_visibility():
    model, image, gains = setting()
    h1, h2 = model.responses(model.cube(image), gains)
    at = model.kernels.at(gains, model.times)
    first, second = at[model.slot, model.first], at[model.slot, model.second]
    one, two = np.einsum("mij,mij->m", first, h1), np.einsum("mij,mij->m", second, h2)
    assert np.abs(one - two.conj()).max() < 1e-13 * np.abs(one).max()
    assert np.abs(one - model.seen(model.cube(image), gains)).max() < 1e-13 * np.abs(one).max()


def test_a_swapped_pair_is_the_conjugate():
    from dataclasses import replace

    model, image, gains = setting()
    vis = model.vis
    turned = replace(vis, uvw=-vis.uvw, antenna1=vis.antenna2, antenna2=vis.antenna1)
    swapped = Interferometer(turned, model.grid, size=3, basis=model.kernels.basis)
    ours, theirs = model.predict(image, gains), swapped.predict(image, gains)
    assert np.abs(theirs - ours.conj()).max() < 1e-11 * np.abs(ours).max()


def test_gauges_leave_visibilities():
    model, image, gains = setting()
    before = model.predict(image, gains)
    scale = np.abs(before).max()
    assert np.abs(model.predict(image, np.exp(0.7j) * gains) - before).max() < 1e-13 * scale
    assert np.abs(model.predict(image / 1.7**2, 1.7 * gains) - before).max() < 1e-13 * scale
    # a ramp common to all antennas moves every coefficient by one: D_a conj(D_b) has no room for it
    wide = setting(kernel=5)[0]
    padded, moved = np.zeros(wide.kernels.shape, complex), np.zeros(wide.kernels.shape, complex)
    padded[..., 1:4, 1:4], moved[..., 2:5, 0:3] = gains, gains
    assert np.abs(wide.predict(image, moved) - wide.predict(image, padded)).max() < 1e-12 * scale


def test_ramps_of_single_antennas_shift_the_frequency():
    model, image, _ = setting(kernel=5, terms=1, kind="constant")
    rng = np.random.default_rng(4)
    shift = rng.integers(-2, 3, (model.kernels.receptors, 2))
    gains = np.zeros(model.kernels.shape, complex)
    gains[np.arange(len(shift)), 0, shift[:, 0] + 2, shift[:, 1] + 2] = 1.0
    u = model.vis.uv(model.grid) - 2 * np.pi / model.kernels.padded * (shift[model.first] - shift[model.second])
    n = model.grid.coordinates
    direct = np.einsum("xy,mx,my->m", image, np.exp(-1j * u[:, :1] * n), np.exp(-1j * u[:, 1:] * n), optimize=True)
    exact = model.seen(exact_cube(image, model.vis.uv(model.grid), model.kernels), gains)
    assert np.abs(exact - direct).max() < 1e-9 * np.abs(direct).max()


@pytest.mark.parametrize(("precision", "bar"), [("double", 1e-12), ("single", 1e-5)])
def test_the_imager_and_its_adjoint_belong_together(precision, bar):
    model, image, gains = setting(precision=precision)
    rng = np.random.default_rng(5)
    imager = model.imager(gains, rng.random(model.vis.rows))
    seen = imager.apply(image)
    values = seen + 0.3 * (rng.standard_normal(seen.size) + 1j * rng.standard_normal(seen.size)) * np.abs(seen).mean()
    left, right = np.real(np.vdot(seen, values)), np.vdot(image, imager.adjoint(values))
    assert abs(left - right) < bar * abs(left)


def test_two_feeds_have_gains_of_their_own():
    vis = observe(array("vla-a"), declination=0.7, slots=2, feeds=("XX", "YY"))
    vis = vis.select(vis.antenna2 < 4)
    model = Interferometer(vis, Grid(16, cell_for(vis)), size=1)
    assert model.kernels.receptors == 2 * len(vis.antennas)
    sky = np.zeros((16, 16))
    sky[8, 8] = 1.0
    gains = model.kernels.unit()
    gains[len(vis.antennas) :] *= 2.0
    np.testing.assert_allclose(model.predict(sky, gains), np.where(vis.feed == 1, 4.0, 1.0), rtol=1e-5)


def test_pixels_too_coarse_for_the_baselines_are_refused():
    with pytest.raises(DataError, match=r"pixels smaller by 0\.785"):
        FourierGrid(np.array([[4.0, 0.0]]), 16)


def test_rows_with_other_weights_are_whitened_anew():
    from dataclasses import replace

    model, image, gains = setting()
    before = model.whitened(gains).apply(image)
    weight = np.linspace(1, 5, model.rows)
    other = model.with_rows(replace(model.vis, weight=weight, data=model.vis.data + 1))
    np.testing.assert_allclose(other.whitened(gains).apply(image), np.sqrt(weight / model.vis.weight) * before)
    np.testing.assert_allclose(other.target, np.sqrt(weight) * (model.vis.data + 1))
    # the same weights: what was tabulated serves on
    assert model.with_data(0 * model.vis.data).whitened(gains) is model.whitened(gains)
    np.testing.assert_array_equal(model.whitened(gains).apply(image), before)


def test_gains_changed_in_place_are_seen():
    model, image, gains = setting()
    before = model.whitened(gains).apply(image)
    gains *= 2
    np.testing.assert_allclose(model.whitened(gains).apply(image), 4 * before)
