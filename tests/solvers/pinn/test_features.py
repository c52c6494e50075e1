import math

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.quasilinear import line
from retrodict.physics.system import key, nested_derivatives
from retrodict.solvers.pinn.features import Features

BOX = {"t": (0.5, 2.0), "x": (-1.0, 2.0), "y": (0.0, 2 * math.pi)}


def points(n=17):
    rng = np.random.default_rng(0)
    return {k: torch.from_numpy(rng.uniform(*b, n)) for k, b in BOX.items()}


@pytest.mark.parametrize("harmonics", [{}, {"x": 1}, {"x": 3, "y": 2}])
@pytest.mark.parametrize("by", ["", "t", "x", "xx", "tx", "xxx", "yyyy", "xy", "tt"])
def test_derivatives_are_nested_derivatives(harmonics, by):
    features, at = Features(BOX, harmonics), points()
    got = features.derivative(at, tuple(by))
    assert got.shape == (17, features.size)

    def columns(c):
        return {str(i): column for i, column in enumerate(features(c).unbind(-1))}

    d = nested_derivatives(columns, at, [key(str(i), *by) for i in range(features.size)])
    for i in range(features.size):
        torch.testing.assert_close(got[:, i], d[key(str(i), *by)].detach(), rtol=1e-12, atol=1e-12)


def test_a_period_is_seen_once_with_all_derivatives():
    features, at = Features(BOX, {"x": 3}), points()
    for by in ((), ("x",), ("x", "x")):
        there = features.derivative({**at, "x": at["x"] + 3.0}, by)
        torch.testing.assert_close(features.derivative(at, by), there, rtol=0, atol=1e-11)
    plain = Features(BOX)
    assert (plain(at) - plain({**at, "x": at["x"] + 3.0})).abs().max() > 1


def test_other_coordinates_are_scaled_to_their_box():
    features = Features(BOX)
    edges = {k: torch.tensor(b, dtype=torch.float64) for k, b in BOX.items()}
    torch.testing.assert_close(features(edges), torch.tensor([[-1.0] * 3, [1.0] * 3], dtype=torch.float64))


def test_quarter_turns_are_exact():
    x = torch.tensor([0.0], dtype=torch.float64)
    features = Features({"x": (0.0, 2 * math.pi)}, {"x": 1})
    assert [features.derivative({"x": x}, ("x",) * k).tolist() for k in range(4)] == [
        [[1.0, 0.0]],
        [[-0.0, 1.0]],
        [[-1.0, -0.0]],
        [[0.0, -1.0]],
    ]


def test_the_box_is_that_of_the_system():
    assert Features.of(line(3.0, start=-1.0, since=0.5), {"x": 2}) == Features(
        {"t": (0.5, 1.5), "x": (-1.0, 2.0)}, {"x": 2}
    )


@pytest.mark.parametrize("harmonics", [{"z": 1}, {"x": 0}, {"x": -2}])
def test_harmonics_that_mean_nothing_are_refused(harmonics):
    with pytest.raises(SolverError, match="at least one harmonic"):
        Features(BOX, harmonics)
