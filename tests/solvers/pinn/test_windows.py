import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection
from retrodict.physics.pde.lagrangian import Lagrangian, crowded
from retrodict.physics.pde.quasilinear import QuasiLinear, plane
from retrodict.physics.system import Derivatives, Initial, PDESystem, key, nested_derivatives
from retrodict.solvers.pinn.traces import periodic_polynomial
from retrodict.solvers.pinn.trial import Trial, separate_networks
from retrodict.solvers.pinn.windows import Piece, Window, continued, evaluate


def swirl():
    start = lambda at: torch.sin(at["x"]) * torch.cos(at["y"])  # noqa: E731
    return QuasiLinear("swirl", plane(0.0, 2 * math.pi), start, {"c": 1.0}, {"x": "c"})


SYSTEMS = {
    "convection": convection(3.0, 0.1),
    "interval": burgers_interval(0.1),
    "plane": swirl(),
    "labels": Lagrangian(burgers(0.1, c=5.0)),
    "resting labels": Lagrangian(burgers(0.1), "rest", crowded(burgers(0.1))),
}


def march(system, edges, seed=0, size=0.3):
    """Return pieces with random weights, each beginning where the one before ended."""
    rng, pieces = np.random.default_rng(seed), []
    for a, b in pairwise(edges):
        window = Window(system, a, b, continued(pieces[-1]) if pieces else None)
        trial = Trial(window, separate_networks(window, 5, 2))
        pieces.append(Piece(trial, size * rng.standard_normal(trial.size)))
    return pieces


def points(system, t, n=40):
    rng = np.random.default_rng(1)
    return {k: np.full(n, t) if k == "t" else rng.uniform(*v.bounds, n) for k, v in system.coords.items()}


@pytest.mark.parametrize("name", SYSTEMS)
def test_pieces_join_without_a_gap(name):
    system = SYSTEMS[name]
    pieces = march(system, [0.0, 0.3, 0.7, 1.0])
    space = [x for x in system.coords if x != "t"]
    wanted = [key(f, *by) for f in system.fields for by in ((), *((x,) for x in space), (space[0],) * 2)]
    for before, after in pairwise(pieces):
        at = points(system, after.window[0])
        left, right = (p.trial.derivatives(p.weights, at, wanted) for p in (before, after))
        for k in wanted:
            bar = 1e-13 * 100 ** (len(k) - 1)
            assert (left[k] - right[k]).abs().max() <= bar * (1 + left[k].abs().max()), k


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_window_is_the_system_on_less_time(name):
    system = SYSTEMS[name]
    window = Window(system, 0.25, 0.5)
    assert isinstance(window, PDESystem)
    assert window.coords["t"].bounds == (0.25, 0.5)
    assert {k: v.bounds for k, v in window.coords.items() if k != "t"} == {
        k: v.bounds for k, v in system.coords.items() if k != "t"
    }
    for part in ("fields", "params", "values", "derivatives", "prescribed", "exact"):
        assert getattr(window, part) == getattr(system, part) or part == "exact"
    at = {k: torch.rand(5, dtype=torch.float64) for k in system.coords}
    d = Derivatives({k: torch.rand(5, dtype=torch.float64) for k in system.derivatives})
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}
    one, two = (s.residuals(d, at, params) for s in (system, window))
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_a_start_replaces_initial_values_and_forgets_rates():
    system = SYSTEMS["labels"]
    value = lambda at: 0 * at["x"]  # noqa: E731
    window = Window(system, 0.5, 1.0, {"u": value, "shift_x": value})
    assert [c.name for c in window.conditions] == [c.name for c in system.conditions]
    for condition in window.conditions:
        if isinstance(condition, Initial):
            assert condition.value is value
            assert condition.rate is None
    assert [c.name for c in Window(system, 0.0, 1.0).conditions] == [c.name for c in system.conditions]
    assert any(c.rate is not None for c in Window(system, 0.0, 1.0).conditions if isinstance(c, Initial))


@pytest.mark.parametrize("span", [(0.5, 0.5), (0.6, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_windows_that_are_empty_or_leave_the_time_are_refused(span):
    with pytest.raises(SolverError, match=r"a window inside \[0.0, 1.0\]"):
        Window(convection(1.0), *span)


def test_every_time_is_of_the_piece_it_falls_in():
    pieces = march(SYSTEMS["convection"], [0.0, 0.3, 1.0])
    t = np.array([0.9, 0.0, 0.3, 0.31, 1.0, 0.1])
    at = {"t": t, "x": np.linspace(0, 6, 6)}
    got = evaluate(pieces, at, [key("u"), ("u", "x", "t")])
    for i, late in enumerate(t > 0.3):  # at a seam: the earlier window
        piece = pieces[int(late)]
        d = piece.trial.derivatives(
            piece.weights, {k: v[i : i + 1] for k, v in at.items()}, [key("u"), key("u", "t", "x")]
        )
        assert got["u"][i] == pytest.approx(float(d["u"]), rel=1e-13)
        assert got["u", "t", "x"][i] == pytest.approx(float(d["u", "t", "x"]), rel=1e-10)


@pytest.mark.parametrize("t", [-0.1, 1.1, 0.1])
def test_times_outside_all_windows_are_refused(t):
    system = SYSTEMS["convection"]
    pieces = march(system, [0.2, 0.5, 1.0])
    with pytest.raises(SolverError, match=r"expected times in \(0.2, 1.0\)"):
        evaluate(pieces, {"t": np.array([0.4, t]), "x": np.zeros(2)}, [key("u")])


@pytest.mark.parametrize("count", [1, 2, 7, 8, 33, 64])
def test_a_trigonometric_polynomial_meets_its_values(count):
    values = np.random.default_rng(count).standard_normal(count)
    f = periodic_polynomial(values, "x", (-1.0, 2.0))
    x = torch.as_tensor(-1.0 + 3.0 * np.arange(count) / count)
    np.testing.assert_allclose(f({"x": x}), values, rtol=0, atol=1e-13)
    np.testing.assert_allclose(f({"x": x + 3.0}), values, rtol=0, atol=1e-12)


def test_a_trigonometric_polynomial_is_exact_with_all_derivatives():
    def wave(c):
        return torch.exp(torch.sin(c["x"])) + torch.cos(3 * c["x"])

    grid = 2 * math.pi * np.arange(64) / 64
    f = periodic_polynomial(wave({"x": torch.as_tensor(grid)}).numpy(), "x", (0.0, 2 * math.pi))
    at = {"x": torch.linspace(0, 7, 50, dtype=torch.float64)}
    wanted = [key("u", *by) for by in ("", "x", "xx", "xxx")]
    one, two = (nested_derivatives(lambda c, g=g: {"u": g(c)}, at, wanted) for g in (f, wave))
    for k in wanted:
        torch.testing.assert_close(one[k], two[k], rtol=0, atol=1e-12 * 30 ** (len(k) - 1))


def test_rounding_is_left_out_of_a_trigonometric_polynomial():
    f = periodic_polynomial(np.sin(2 * np.pi * np.arange(256) / 256), "x", (0.0, 1.0))
    at = {"x": torch.linspace(0, 1, 9, dtype=torch.float64)}
    fourth = nested_derivatives(lambda c: {"u": f(c)}, at, [key("u", "x", "x", "x", "x")])["u", "x", "x", "x", "x"]
    turn = 2 * math.pi
    torch.testing.assert_close(fourth.detach(), turn**4 * torch.sin(turn * at["x"]), rtol=0, atol=1e-9)


def test_a_constant_is_carried_over():
    f = periodic_polynomial(np.full(16, 2.5), "x", (0.0, 1.0))
    assert torch.all(f({"x": torch.rand(5, dtype=torch.float64)}) == 2.5)
    nothing = periodic_polynomial(np.zeros(16), "x", (0.0, 1.0))
    assert torch.all(nothing({"x": torch.rand(5, dtype=torch.float64)}) == 0.0)
