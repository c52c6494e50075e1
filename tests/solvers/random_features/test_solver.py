import math
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers
from retrodict.physics.pde.convection import convection, gaussian, variable_convection
from retrodict.physics.pde.quasilinear import QuasiLinear, conservative_diffusion, line, plane
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Derivatives, Dirichlet, Initial, Neumann, Periodic, nested_derivatives
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.trial import Trial
from retrodict.solvers.pinn.validation import validation_residual
from retrodict.solvers.random_features.affine import affine_parts, basis_derivatives, check_affine
from retrodict.solvers.random_features.series import Axis, Series
from retrodict.solvers.random_features.solver import LinearSolver, solve_linear
from retrodict.solvers.reference.marching import convection_diffusion_variable, diffusion_variable
from retrodict.solvers.reference.spectral import convection_diffusion

TURN = 2 * math.pi


def grid(nx=256, nt=100, length=TURN):
    t, x = np.meshgrid(np.linspace(0, 1, nt), length * np.arange(nx) / nx, indexing="ij")
    return {"t": t.ravel(), "x": x.ravel()}


def error(found, exact, at=None):
    at = at or grid(64, 21)
    u, e = found(at)["u"].numpy(), exact(at["x"], at["t"])
    return float(np.linalg.norm(u - e) / np.linalg.norm(e))


def wave(beta):
    return lambda x, t: np.sin(x - beta * t)


def periodic_gaussian(x):
    return sum(np.exp(-0.5 * ((x - math.pi + TURN * j) / (math.pi / 8)) ** 2) for j in (-1, 0, 1))


def torch_gaussian(at):
    return sum(gaussian(math.pi / 8, center=math.pi + TURN * j)(at) for j in (-1, 0, 1))


def test_convection_at_100_meets_the_bar_within_a_second():
    solve_linear(convection(10.0), features=50, tolerance=1.0)  # loads libraries
    began = time.process_time()
    found = solve_linear(convection(100.0))
    seconds = time.process_time() - began
    assert error(found, wave(100.0), grid()) < 1e-9
    assert seconds < 1.0


@pytest.mark.parametrize("features", [200, 400, pytest.param(800, marks=pytest.mark.slow)])
@pytest.mark.parametrize("windows", [16, 32, 64])
def test_the_result_is_insensitive_to_features_and_windows(features, windows):
    found = solve_linear(convection(100.0), features=features, windows=windows, tolerance=1e-6)
    assert len(found.pieces) == windows
    assert error(found, wave(100.0)) < 1e-7


@pytest.mark.parametrize("seed", [1, 2])
def test_the_result_is_insensitive_to_the_seed(seed):
    assert error(solve_linear(convection(50.0), seed=seed), wave(50.0)) < 1e-8


def test_more_features_converge():
    errors = [error(solve_linear(convection(30.0), features=m, windows=8), wave(30.0)) for m in (25, 50, 100, 200)]
    assert errors[1] < 0.1 * errors[0]
    assert errors[2] < 0.01 * errors[1]
    assert errors[3] < 1e-8


def test_tanh_features_do_it_too():
    assert error(solve_linear(convection(30.0), activation="tanh", tolerance=1e-6), wave(30.0)) < 1e-6


def test_the_seed_determines_the_result():
    a, b, c = (solve_linear(convection(10.0), features=100, windows=4, seed=s) for s in (3, 3, 4))
    assert all(np.array_equal(p.weights, q.weights) for p, q in zip(a.pieces, b.pieces, strict=True))
    assert not np.array_equal(a.pieces[0].weights, c.pieces[0].weights)


@pytest.mark.parametrize(("beta", "nu"), [(30.0, 0.1), (1.0, 0.1)])
def test_a_narrow_gaussian_is_carried_and_diffused(beta, nu):
    exact = convection_diffusion(periodic_gaussian, period=TURN, speed=beta, diffusivity=nu)
    found = solve_linear(convection(beta, nu, initial=torch_gaussian), tolerance=1e-6)
    assert error(found, exact) < 1e-7
    assert error(found, exact) < found.estimate < 1e-6


def test_a_speed_that_varies_in_space():
    exact = convection_diffusion_variable(np.sin, lambda x, _t: 1 + 0.5 * np.sin(x), period=TURN, modes=96)
    found = solve_linear(variable_convection(lambda _u, at, _p: 1 + 0.5 * torch.sin(at["x"])), tolerance=1e-7)
    assert error(found, exact) < 1e-7


def test_a_speed_that_varies_in_time_needs_its_own_matrix_in_every_window():
    exact = lambda x, t: np.sin(x - 5 * np.sin(3 * t) / 3)  # noqa: E731
    found = solve_linear(variable_convection(lambda _u, at, _p: 5 * torch.cos(3 * at["t"])), features=200)
    assert len(found.pieces) > 1
    assert error(found, exact) < 1e-7


def test_conservative_diffusion():
    velocity, diffusivity = conservative_diffusion(lambda at: 0.3 + 0.2 * torch.cos(at["x"]))
    system = QuasiLinear(
        "spread", line(TURN), lambda at: torch.sin(at["x"]), velocity=velocity, diffusivity=diffusivity
    )
    exact = diffusion_variable(np.sin, lambda x, _t: 0.3 + 0.2 * np.cos(x), period=TURN, modes=64)
    assert error(solve_linear(system, features=300, tolerance=1e-6), exact) < 1e-6


def test_linear_decay():
    system = QuasiLinear(
        "decay",
        line(TURN),
        lambda at: 1 + torch.sin(at["x"]),
        {"c": 20.0, "r": 2.0},
        streams={"x": "c"},
        source=lambda u, _at, p: -p["r"] * u,
    )
    exact = convection_diffusion(lambda x: 1 + np.sin(x), period=TURN, speed=20.0, reaction=-2.0)
    assert error(solve_linear(system, features=200), exact) < 1e-8


def heat(left, right, k=3.0, nu=0.1):
    """u = exp(-nu k^2 t) cos k x on [0, 1], with the faces of either kind."""

    def exact(at):
        return torch.exp(-nu * k * k * at["t"]) * torch.cos(k * at["x"])

    def face(kind, side, x):
        if kind is Dirichlet:
            return Dirichlet("u", "x", side, lambda at: exact({**at, "x": torch.full_like(at["t"], x)}))
        return Neumann("u", "x", side, lambda at: -k * math.sin(k * x) * torch.exp(-nu * k * k * at["t"]))

    faces = (face(left, "lower", 0.0), face(right, "upper", 1.0))
    return QuasiLinear("heat", line(1.0), exact, {"nu": nu}, diffusivity=lambda _u, _at, p: p["nu"], boundary=faces)


@pytest.mark.parametrize("left", [Dirichlet, Neumann])
@pytest.mark.parametrize("right", [Dirichlet, Neumann])
def test_heat_on_an_interval_with_faces_that_change_in_time(left, right):
    found = solve_linear(heat(left, right), features=150)
    at = grid(40, 21, length=1.0)
    assert error(found, lambda x, t: np.exp(-0.9 * t) * np.cos(3 * x), at) < 1e-9


def test_two_coordinates():
    system = QuasiLinear(
        "plane",
        plane(0.0, TURN),
        lambda at: torch.sin(at["x"]) * torch.cos(at["y"]),
        {"a": 3.0, "b": 1.0},
        streams={"x": "a", "y": "b"},
    )
    found = solve_linear(system, features=200, windows=6, tolerance=1e-2)
    rng = np.random.default_rng(0)
    at = {"t": rng.uniform(0, 1, 500), "x": rng.uniform(0, TURN, 500), "y": rng.uniform(0, TURN, 500)}
    assert np.abs(found(at)["u"].numpy() - np.sin(at["x"] - 3 * at["t"]) * np.cos(at["y"] - at["t"])).max() < 1e-3


@dataclass(frozen=True)
class Waves:
    """p_t + c q_x = 0, q_t + c p_x = 0: two fields."""

    coords = line(TURN)
    fields = Space({"p": Var(), "q": Var()})
    params = Space({"c": Var()})
    values = {"c": 5.0}  # noqa: RUF012
    derivatives = (("p", "t"), ("q", "x"), ("q", "t"), ("p", "x"))
    conditions = (
        Initial("p", lambda at: torch.sin(at["x"])),
        Initial("q", lambda at: torch.zeros_like(at["x"])),
        Periodic("x"),
    )
    prescribed = ()
    exact = None

    def residuals(self, d, _coords, params):
        return {"mass": d["p", "t"] + params["c"] * d["q", "x"], "push": d["q", "t"] + params["c"] * d["p", "x"]}


def test_two_fields():
    found, at = solve_linear(Waves(), features=150, tolerance=1e-6), grid(32, 11)
    d = found(at)
    assert np.abs(d["p"].numpy() - np.sin(at["x"]) * np.cos(5 * at["t"])).max() < 1e-6
    assert np.abs(d["q"].numpy() + np.cos(at["x"]) * np.sin(5 * at["t"])).max() < 1e-6


def test_pieces_are_those_of_trained_networks():
    found = solve_linear(convection(10.0), features=100, windows=4)
    for piece in found.pieces:
        assert validation_residual(piece.trial, piece.weights) < 1e-3
    assert found.seams.max() < 1e-9
    at = {"t": np.zeros(5), "x": np.linspace(0, 6, 5)}
    assert np.array_equal(found(at)["u"].numpy(), np.sin(at["x"]))  # hard initial condition


def test_a_solver_serves_other_coefficients_smoothly():
    solver, at = LinearSolver(convection(20.0), 200, windows=8), grid(16, 5)
    high, low = (solver.solve({"c": 20.0 + h})(at)["u"].numpy() for h in (1e-4, -1e-4))
    slope = -at["t"] * np.cos(at["x"] - 20.0 * at["t"])
    assert np.abs((high - low) / 2e-4 - slope).max() < 1e-4
    assert error(solver.solve(), wave(20.0)) < 1e-8
    assert solver.solve({"c": 20.0001}).pieces[0].trial.system.values["c"] == 20.0001


def test_the_estimate_tells_a_failure():
    found = solve_linear(convection(100.0), features=60, windows=2)
    assert found.estimate > 0.1
    assert error(found, wave(100.0)) < found.estimate


def test_what_is_not_linear_is_refused_by_name():
    with pytest.raises(SolverError, match=r"burgers.*not affine in u"):
        solve_linear(burgers(0.1))
    weak = QuasiLinear("weak", line(TURN), lambda at: torch.sin(at["x"]), source=lambda u, _at, _p: 1e4 + 1e-3 * u**2)
    with pytest.raises(SolverError, match="weak"):
        check_affine(weak, {})
    sourced = QuasiLinear("sourced", line(TURN), lambda at: torch.sin(at["x"]), source=lambda u, _at, _p: 1e4 + u)
    check_affine(sourced, {})


def test_what_is_asked_wrongly_is_refused():
    with pytest.raises(SolverError, match="numbers above zero"):
        solve_linear(convection(1.0), features=0)
    with pytest.raises(SolverError, match="coefficients among"):
        LinearSolver(convection(1.0), 50).solve({"k": 1.0})
    with pytest.raises(SolverError, match="not finite"):
        solve_linear(convection(math.inf), features=20, windows=2)


def test_parts_give_the_residual_back():
    system = convection(3.0, 0.2)
    rng = np.random.default_rng(0)
    at = {"t": rng.uniform(0, 1, 6), "x": rng.uniform(0, 6, 6)}
    d = rng.standard_normal((len(system.derivatives), 6))
    part = affine_parts(system.residuals, system.derivatives, at, system.values)
    want = system.residuals(
        Derivatives(dict(zip(system.derivatives, torch.from_numpy(d), strict=True))),
        {k: torch.from_numpy(v) for k, v in at.items()},
        {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()},
    )["convection"]
    assert np.allclose(part(d)[0], want, rtol=1e-13)


def test_derivatives_of_the_basis_are_those_of_the_trial():
    system = heat(Dirichlet, Dirichlet)
    features = Features({"t": (0.0, 1.0), "x": (0.0, 1.0)})
    network = Network(("u",), features, 7, 1, "sin")
    trial, rng = Trial(system, [network]), np.random.default_rng(0)
    weights = torch.from_numpy(rng.standard_normal(network.size))
    at = {"t": rng.uniform(0, 1, 5), "x": rng.uniform(0, 1, 5)}
    wanted = [("u",), ("u", "t"), ("u", "t", "x"), ("u", "x", "x")]
    basis = basis_derivatives(network, weights, trial.ansatz, at, wanted)
    points = {k: torch.from_numpy(v) for k, v in at.items()}
    (last, bias) = network.split(weights)[-1]

    def free(coords):
        return {"u": trial.ansatz["u"].factor(coords) * network(weights, features(coords))[:, 0]}

    want = nested_derivatives(free, points, wanted)
    c = np.concatenate([last.numpy()[0], bias.numpy()])
    for k, b in zip(wanted, basis, strict=True):
        assert np.allclose(b @ c, want[k].detach(), rtol=1e-11, atol=1e-12)


def test_series_of_two_coordinates():
    series = Series({"x": Axis(0.0, TURN, 4, True), "y": Axis(-1.0, 2.0, 5, False)})
    f = lambda at: torch.sin(2 * at["x"]) * at["y"] ** 3 + 1  # noqa: E731
    nodes = {k: torch.from_numpy(v) for k, v in series.nodes.items()}
    coefficients = series.project(f(nodes).numpy())
    at = {"x": torch.tensor([0.3, 4.0]).double(), "y": torch.tensor([-0.9, 1.7]).double()}
    assert torch.allclose(series.function(coefficients)(at), f(at), atol=1e-12)
    assert series.reach(coefficients) == {"x": 2, "y": 3}


def test_slopes_of_a_periodic_series():
    series, rng = Series({"x": Axis(1.0, 3.0, 3, True)}), np.random.default_rng(0)
    c, x = rng.standard_normal(7), rng.uniform(1, 3, 4)
    at = {"x": torch.from_numpy(x)}
    d = nested_derivatives(lambda p: {"u": series.function(c)(p)}, at, [("u", "x"), ("u", "x", "x")])
    for order in (1, 2):
        got = series.slopes({"x": x}, ["x"] * order) @ c
        assert np.allclose(got, d["u", *["x"] * order].detach(), rtol=1e-11)
