"""Widths: the table of a method's developers, closed forms, independence of the stream."""

import math

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, gaussian, rotation, variable_convection
from retrodict.physics.pde.quasilinear import line
from retrodict.solvers.pinn.widths import (
    characteristics,
    label_snapshots,
    modes_needed,
    reference_solution,
    singular_decay,
    space_snapshots,
    tails,
)


def in_space(system, *size):
    return space_snapshots(system, reference_solution(system), *size)


def test_tails_are_those_of_the_best_approximation():
    a = np.random.default_rng(0).standard_normal((9, 6))
    left, s, right = np.linalg.svd(a, full_matrices=False)
    for n in range(7):
        gap = a - (left[:, :n] * s[:n]) @ right[:n]
        assert tails(a)[n] == pytest.approx(np.linalg.norm(gap) / np.linalg.norm(a), abs=1e-15)


def test_small_tails_keep_their_digits():
    assert tails(np.diag([1.0, 1e-7, 1e-12]))[1:3] == pytest.approx([1e-7, 1e-12], rel=1e-4)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((0, 2)), np.array([[np.nan]])])
def test_snapshots_must_be_a_matrix_of_numbers(bad):
    with pytest.raises(SolverError, match="snapshots"):
        tails(bad)


def test_vanishing_snapshots_need_no_mode():
    assert modes_needed(np.zeros((4, 3))) == (0, 0, 0)


def test_decay_of_sets_of_several_sizes():
    data = singular_decay({"a": np.eye(2), "b": np.ones((5, 4))}, modes=3)
    assert data["modes_needed"].values.tolist() == [[2, 2, 2], [1, 1, 1]]
    assert np.isnan(data["tail"].sel(set="a", mode=3))
    assert data["tail"].sel(set="b", mode=3) < 1e-15


@pytest.mark.parametrize("c", [1.0, 10.0, 30.0, 50.0])
def test_a_wave_has_two_modes_at_every_speed(c):
    assert modes_needed(in_space(convection(c))) == (2, 2, 2)


@pytest.mark.parametrize(
    ("width", "c", "modes"),
    [
        (math.pi / 4, 1.0, (3, 5, 31)),
        (math.pi / 4, 10.0, (7, 11, 87)),
        (math.pi / 4, 50.0, (7, 11, 91)),
        (math.pi / 32, 1.0, (11, 17, 22)),
        (math.pi / 32, 10.0, (56, 74, 87)),
        (math.pi / 32, 50.0, (56, 83, 99)),
    ],
)
def test_a_narrow_pulse_has_many(width, c, modes):
    assert modes_needed(in_space(convection(c, initial=gaussian(width)))) == modes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nu", "c", "modes"),
    [
        (0.1, 0.0, (3, 5, 8)),
        (0.1, 5.0, (9, 19, 30)),
        (0.1, 50.0, (12, 26, 42)),
        (0.01, 0.0, (3, 7, 11)),
        (0.01, 5.0, (13, 34, 49)),
        (0.01, 50.0, (22, 47, 61)),
    ],
)
def test_burgers_in_space(nu, c, modes):
    assert modes_needed(in_space(burgers(nu, c=c))) == modes


@pytest.mark.slow
@pytest.mark.parametrize("c", [0.0, 5.0, 50.0])
def test_burgers_on_labels(c):
    system = burgers(0.01, c=c)
    sets = label_snapshots(system, reference_solution(system))
    assert {k: modes_needed(v) for k, v in sets.items()} == {"displacement": (1, 3, 5), "value": (2, 4, 7)}


def test_labels_do_not_see_the_stream():
    still, moving = (burgers(0.1, c=c) for c in (0.0, 50.0))
    a, b = (label_snapshots(s, reference_solution(s), 32, 9) for s in (still, moving))
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=1e-12)


def test_without_viscosity_labels_need_one_mode():
    system = burgers(0.0, c=3.0, coords=line(2 * math.pi, duration=0.9))
    sets = label_snapshots(system, reference_solution(system), 64, 10)
    x, t = 2 * np.pi * np.arange(64) / 64, np.linspace(0, 0.9, 10)
    np.testing.assert_allclose(sets["displacement"], t * np.sin(x)[:, None], rtol=0, atol=1e-9)
    np.testing.assert_allclose(sets["value"], np.sin(x)[:, None] + 0 * t, rtol=0, atol=1e-8)


def test_labels_in_a_velocity_of_space():
    def velocity(_u, at, _params):
        return torch.sin(at["x"])

    system = variable_convection(velocity)
    labels = np.linspace(0, 2 * np.pi, 16, endpoint=False)

    def solution(x, t):
        return np.sin(2 * np.arctan(np.exp(-t) * np.tan(np.asarray(x) / 2)))

    sets = label_snapshots(system, solution, 16, 5)
    np.testing.assert_allclose(sets["value"], np.sin(labels)[:, None] + np.zeros(5), rtol=0, atol=1e-9)


def test_characteristics_that_end_early_are_refused():
    with pytest.raises(SolverError, match="characteristics"):
        characteristics(lambda x, _t: x**2, np.array([1.0]), np.array([0.0, 2.0]))


def test_time_is_counted_from_the_beginning():
    late = convection(2.0, initial=gaussian(0.5), coords=line(2 * math.pi, since=3.0))
    early = convection(2.0, initial=gaussian(0.5))
    np.testing.assert_allclose(in_space(late, 16, 4), in_space(early, 16, 4), rtol=0, atol=1e-15)


@pytest.mark.parametrize("system", [burgers_interval(), rotation(), variable_convection(lambda u, _at, _p: u)])
def test_no_solution_is_made_up(system):
    assert reference_solution(system) is None
