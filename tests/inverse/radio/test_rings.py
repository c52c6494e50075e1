"""Measures of rings that were drawn."""

import numpy as np
import pytest

from retrodict.inverse.radio.rings import ring_of
from retrodict.physics.errors import DataError
from retrodict.physics.radio.visibilities import Grid


def drawn(radius, width, towards, contrast, centre, grid):
    """A Gaussian ring; ``towards`` is a position angle, from north to east."""
    x, y = np.meshgrid(grid.coordinates, grid.coordinates, indexing="ij")
    x, y = x - centre[0], y - centre[1]
    along = 1 + contrast * np.cos(np.arctan2(-x, y) - towards)
    return along * np.exp(-4 * np.log(2) * ((np.hypot(x, y) - radius) / width) ** 2)


@pytest.mark.parametrize("towards", [np.pi, 0.5 * np.pi, 0.3])
def test_a_drawn_ring_is_measured(towards):
    grid = Grid(64, 2.0)
    image = drawn(10.0, 5.0, towards, 0.4, (3.3, -2.1), grid)
    ring = ring_of(image, grid, (8.0, 40.0))
    assert ring.diameter == pytest.approx(40.0, rel=0.02)
    assert ring.spread < 0.6
    assert ring.width == pytest.approx(10.0, rel=0.03)
    assert ring.centre == pytest.approx((6.6, -4.2), abs=0.6)
    assert ring.asymmetry == pytest.approx(0.2, abs=0.02)
    assert abs(np.exp(1j * ring.orientation) - np.exp(1j * towards)) < 0.1


def test_an_image_without_light_and_radii_out_of_it_are_refused():
    grid = Grid(32, 1.0)
    with pytest.raises(DataError, match="image"):
        ring_of(np.zeros((32, 32)), grid, (2.0, 10.0))
    with pytest.raises(DataError, match="radii"):
        ring_of(np.ones((32, 32)), grid, (2.0, 20.0))
