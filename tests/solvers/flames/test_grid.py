"""Where nodes go."""

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.solvers.flames.grid import equidistributed, halved


def front(x, width=0.01):
    return np.tanh((x - 0.4) / width)[:, None]


def test_nodes_gather_at_the_front_and_sizes_change_gently():
    x = np.linspace(0, 1, 401)
    made = equidistributed(x, front(x), 81, keep=0.37)
    sizes = np.diff(made)
    assert (made[0], made[-1], made.size) == (0.0, 1.0, 81)
    assert 0.37 in made
    assert sizes.min() < 0.004 < 0.05 < sizes.max()
    assert 0.3 < made[np.argmin(sizes)] < 0.5
    assert np.max(sizes[1:] / sizes[:-1]) < 1.4
    assert np.max(sizes[:-1] / sizes[1:]) < 1.4


def test_interpolation_error_is_far_below_that_of_even_nodes():
    x = np.linspace(0, 1, 2001)
    errors = [
        np.abs(np.interp(x, nodes, front(nodes)[:, 0]) - front(x)[:, 0]).max()
        for nodes in (equidistributed(x, front(x), 61), np.linspace(0, 1, 61))
    ]
    assert errors[0] < errors[1] / 20


def test_nothing_to_resolve_gives_even_nodes():
    x = np.array([0.0, 0.1, 0.15, 0.9, 1.0])
    np.testing.assert_allclose(equidistributed(x, np.ones((5, 2)), 11), np.linspace(0, 1, 11), atol=1e-12)


def test_too_few_nodes_are_refused():
    with pytest.raises(SolverError, match="at least 5"):
        equidistributed(np.linspace(0, 1, 9), front(np.linspace(0, 1, 9)), 3)


def test_halved_nodes_contain_the_old_ones():
    x = np.cumsum(np.random.default_rng(0).uniform(0.1, 1, 9))
    finer = halved(x)
    np.testing.assert_array_equal(finer[::2], x)
    np.testing.assert_allclose(finer[1::2], (x[1:] + x[:-1]) / 2)
