"""Catalogues, points in levels, and drawn skies: flux, places, sparsity and dynamic range."""

import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.sky import Catalogue, jet, point_sky, remnant, spiral


def test_sources_on_pixels_become_an_image():
    image = Catalogue([-2, 1, 1], [0, 3, 3], [1.0, 2.0, 0.5]).image(8)
    assert image[2, 4] == 1.0
    assert image[5, 7] == 2.5
    assert np.count_nonzero(image) == 2


@pytest.mark.parametrize(("x", "y"), [(0.5, 0.0), (4.0, 0.0), (0.0, -5.0)])
def test_sources_between_pixels_or_outside_are_refused(x, y):
    with pytest.raises(DataError, match="a source at"):
        Catalogue([x], [y], [1.0]).image(8)


def test_columns_must_agree():
    with pytest.raises(DataError, match="Catalogue"):
        Catalogue([0.0, 1.0], [0.0], [1.0])


def test_points_come_in_levels_and_do_not_touch():
    sky = point_sky(np.random.default_rng(0), counts=(40, 30, 20), extent=30)
    flux = np.split(sky.flux, [40, 70])
    for level, members in zip((1.0, 1e-2, 1e-4), flux, strict=True):
        assert members.mean() == pytest.approx(level, rel=4 * 0.1 / np.sqrt(20))
        assert 0.05 < members.std() / level < 0.15
    gaps = np.maximum(*(np.abs(c[:, None] - c[None]) for c in (sky.x, sky.y))) + 99 * np.eye(90)
    assert gaps.min() >= 2
    assert max(np.abs(sky.x).max(), np.abs(sky.y).max()) <= 30
    assert sky.image(64).sum() == pytest.approx(sky.flux.sum(), rel=1e-14)


def test_points_off_the_grid_are_between_pixels():
    sky = point_sky(np.random.default_rng(0), on_grid=False, extent=20.0)
    assert np.abs(sky.x - np.round(sky.x)).max() > 0.3
    assert np.abs(sky.x).max() <= 20


def test_a_crowded_square_is_told():
    with pytest.raises(ConfigError, match="room for"):
        point_sky(np.random.default_rng(0), extent=2)
    with pytest.raises(ConfigError, match="levels"):
        point_sky(np.random.default_rng(0), counts=(1, 2))


@pytest.mark.parametrize("draw", [spiral, remnant, jet])
@pytest.mark.parametrize("seed", [0, 1])
def test_extended_skies_are_positive_wide_in_range_and_repeat(draw, seed):
    size = 128
    image = draw(size, np.random.default_rng(seed))
    np.testing.assert_array_equal(image, draw(size, np.random.default_rng(seed)))
    assert image.min() == 0
    assert image.max() == 1
    assert not image[:8].any()
    assert not image[-8:].any()
    assert not image[:, :8].any()
    assert not image[:, -8:].any()
    bright, faint = (image > 0.1).mean(), (image > 1e-4).mean()
    assert 0.0005 < bright < 0.08
    assert 0.1 < faint < 0.6
    values = np.sort(image.ravel())[::-1]
    half = np.searchsorted(np.cumsum(values), values.sum() / 2) / values.size
    assert half < 0.08


def test_extended_skies_differ_from_draw_to_draw_and_refuse_odd_sizes():
    rng = np.random.default_rng(0)
    one, two = spiral(64, rng), spiral(64, rng)
    assert np.linalg.norm(one - two) > 0.5 * np.linalg.norm(one)
    with pytest.raises(ConfigError, match="size"):
        jet(33, rng)
