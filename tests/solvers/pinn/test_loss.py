"""The loss against plain automatic differentiation of the whole, for every system; bad input is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, rotation, variable_convection
from retrodict.physics.pde.lagrangian import LabelDiffusion, Lagrangian, crowded
from retrodict.physics.pde.quasilinear import QuasiLinear, conservative_diffusion, plane
from retrodict.physics.pde.reaction import allen_cahn, reaction
from retrodict.physics.system import Dirichlet, Neumann, key, nested_derivatives
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.optimizers import METHODS, optimizer
from retrodict.solvers.pinn.parts import Part, condition_part, equation_part
from retrodict.solvers.pinn.trial import Trial, separate_networks

_VELOCITY, _DIFFUSIVITY = conservative_diffusion(lambda at: 1.5 + torch.sin(at["x"]))


def sloped():
    faces = (
        Dirichlet("u", "x", "lower", lambda at: torch.sin(at["t"])),
        Neumann("u", "x", "upper", lambda at: torch.cos(at["t"])),
    )
    return replace(burgers_interval(0.1), initial=lambda at: (at["x"] + 1) * torch.cos(at["x"]), boundary=faces)


SYSTEMS = {
    "convection": convection(5.0),
    "convection-diffusion": convection(5.0, 0.2),
    "burgers": burgers(0.1, c=3.0),
    "interval": burgers_interval(0.1),
    "reaction-diffusion": reaction(5.0, 0.3),
    "allen-cahn": allen_cahn(1e-2),
    "variable": variable_convection(
        lambda u, at, _: torch.sin(at["x"]) * u,
        lambda u, at, _: 1 + u**2 * at["t"],
        source=lambda u, at, _: u * at["t"],
    ),
    "conservative": variable_convection(_VELOCITY["x"], _DIFFUSIVITY),
    "rotation": rotation(nu=0.02),
    "plane": QuasiLinear(
        "plane",
        plane(0.0, 2 * math.pi),
        lambda at: torch.sin(at["x"]) * torch.cos(at["y"]),
        {"a": 1.0, "k": 0.3},
        {"y": "a"},
        velocity={"x": lambda u, _at, _p: u},
        diffusivity=lambda _u, at, p: p["k"] * (2 + torch.cos(at["y"])),
    ),
    "labels": Lagrangian(burgers(0.1, c=3.0)),
    "published": LabelDiffusion(burgers(0.1)),
    "resting labels": Lagrangian(burgers(0.1), "rest", crowded(burgers(0.1))),
    "sloped": sloped(),
}
UNKNOWN = {
    "convection": {"c": 2.0},
    "convection-diffusion": {"nu": 0.1, "c": 4.0},
    "burgers": {"nu": 0.05},
    "plane": {"a": 0.4, "k": 0.2},
    "labels": {"nu": 0.2},
}


def make(name, n=13, unknown=None, dtype=torch.float64):
    """Return a loss with weighted points, scaled equations, soft conditions and data."""
    system = SYSTEMS[name]
    trial, rng = Trial(system, separate_networks(system, 5, 2), dtype=dtype), np.random.default_rng(3)
    draw = lambda: {k: rng.uniform(*v.bounds, n) for k, v in system.coords.items()}  # noqa: E731
    scales = {} if name == "convection" else {getattr(system, "base", system).name: 0.7}
    parts = [equation_part(trial, draw(), points=rng.uniform(0, 2, n), scales=scales)]
    for condition in trial.soft:
        coord, side = condition.face
        parts.append(
            condition_part(condition, {**draw(), coord: np.full(n, system.coords[coord].bounds[side == "upper"])}, 3.0)
        )
    measured = trial.tensor(rng.standard_normal(n))
    seen = lambda d, _at, _p: {"data": d["u"] * torch.exp(d["u", "x"]) - measured[: len(d["u"])]}  # noqa: E731
    parts.append(Part("data", draw(), (key("u"), key("u", "x")), seen, 2.0))
    start = 0.5 * rng.standard_normal(trial.size)
    return ResidualLoss(trial, parts, start, unknown=unknown)


def plain(loss, packed):
    """Return all weighted residuals by nested differentiation, with a graph to the packed unknowns."""
    trial, size = loss.trial, loss.trial.size
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in trial.system.values.items()}
    params |= {k: packed[size + i] for i, k in enumerate(loss.unknown)}
    rows = []
    for part in loss.parts:
        at = {k: torch.as_tensor(v) for k, v in part.coords.items()}
        n = len(next(iter(at.values())))
        d = nested_derivatives(lambda c: trial.fields(packed[:size], c), at, part.wanted)
        points = torch.ones(n, dtype=torch.float64) if part.points is None else torch.as_tensor(part.points)
        for name, r in part.residual(d, at, params).items():
            rows.append(torch.sqrt(part.weight * points / n) * part.scales.get(name, 1.0) * r)
    return torch.cat(rows)


def relative(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


CASES = [(name, None) for name in SYSTEMS] + list(UNKNOWN.items())


@pytest.mark.parametrize(("name", "unknown"), CASES)
def test_value_gradient_and_jacobian_are_those_of_the_plain_loss(name, unknown):
    loss = make(name, unknown=unknown)
    x = torch.from_numpy(loss.space.pack(loss.start)).requires_grad_()
    r = plain(loss, x)
    half = 0.5 * (r @ r)
    value, gradient = loss.value_and_gradient(loss.start)
    assert value == pytest.approx(float(half.detach()), rel=1e-12)
    expected = torch.autograd.grad(half, x, retain_graph=True)[0].numpy()
    assert relative(loss.space.pack(gradient), expected) < 1e-12
    residual, jacobian = loss.jacobian(loss.start)
    assert relative(residual, r.detach().numpy()) < 1e-12
    rows = np.stack([torch.autograd.grad(p, x, retain_graph=True)[0].numpy() for p in r])
    assert relative(jacobian, rows) < 1e-12


@pytest.mark.parametrize(("name", "unknown"), CASES)
def test_the_gradient_is_the_difference_quotient(name, unknown):
    loss = make(name, unknown=unknown)
    x = loss.space.pack(loss.start)
    slope = loss.space.pack(loss.gradient(loss.start))
    for seed in range(2):
        v = np.random.default_rng(seed).standard_normal(x.size)
        h = 1e-4 / np.linalg.norm(v)
        f = [loss.value(loss.space.unpack(x + s * h * v)) for s in (-2, -1, 1, 2)]
        quotient = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)
        assert abs(quotient - slope @ v) < 1e-7 * np.linalg.norm(slope) * np.linalg.norm(v)


@pytest.mark.parametrize(("name", "unknown"), [*CASES[::4], *UNKNOWN.items()])
def test_the_jacobian_passes_the_dot_test_against_forward_mode(name, unknown):
    loss = make(name, unknown=unknown)
    x = torch.from_numpy(loss.space.pack(loss.start)).requires_grad_()
    r = plain(loss, x)
    _, jacobian = loss.jacobian(loss.start)
    dummy = torch.zeros_like(r, requires_grad=True)
    (back,) = torch.autograd.grad(r, x, dummy, create_graph=True)
    rng = np.random.default_rng(0)
    for _ in range(3):
        v, w = torch.from_numpy(rng.standard_normal(x.numel())), torch.from_numpy(rng.standard_normal(r.numel()))
        (forward,) = torch.autograd.grad(back, dummy, v, retain_graph=True)
        transposed = jacobian.T @ w.numpy()
        bar = 1e-12 * float(forward.norm() * w.norm())
        assert abs(float(forward @ w) - float(v.numpy() @ transposed)) <= bar


@pytest.mark.parametrize("name", ["burgers", "labels", "sloped"])
def test_half_the_squared_residual_is_the_value(name):
    loss = make(name)
    r, jacobian = loss.jacobian(loss.start)
    assert 0.5 * r @ r == pytest.approx(loss.value(loss.start), rel=1e-13)
    np.testing.assert_allclose(jacobian.T @ r, loss.space.pack(loss.gradient(loss.start)), rtol=1e-9, atol=1e-13)


def test_blocks_change_nothing():
    few, many = (make("burgers", n) for n in (13, 20000))
    assert len(many._prepared[0].blocks) > 1
    assert len(few._prepared[0].blocks) == 1
    x = torch.from_numpy(many.space.pack(many.start))
    at = {k: np.concatenate([v, v]) for k, v in many.parts[0].coords.items()}
    points = np.concatenate([many.parts[0].points] * 2)
    part = replace(many.parts[0], coords=at, points=points)
    doubled = ResidualLoss(many.trial, [part], x.numpy())
    single = ResidualLoss(many.trial, [many.parts[0]], x.numpy())
    assert doubled.value(doubled.start) == pytest.approx(single.value(single.start), rel=1e-12)
    np.testing.assert_allclose(
        doubled.gradient(doubled.start)["weights"], single.gradient(single.start)["weights"], rtol=1e-9, atol=1e-13
    )


def test_a_point_is_evaluated_once():
    loss = make("burgers")
    loss.value(loss.start)
    first = loss.gradient(loss.start)
    first["weights"][:] = 0.0  # what is handed out is nobody else's
    assert np.abs(loss.gradient(loss.start)["weights"]).max() > 0
    assert loss.evaluations == 1
    loss.value({"weights": loss.start["weights"] + 1e-9})
    assert loss.evaluations == 2


def test_weights_of_points_and_of_parts_and_scales_multiply_squares():
    system = SYSTEMS["burgers"]
    trial = Trial(system, separate_networks(system, 5, 1))
    rng = np.random.default_rng(0)
    at, start = {k: rng.uniform(*v.bounds, 8) for k, v in system.coords.items()}, trial.draw(rng)

    def value(**changes):
        loss = ResidualLoss(trial, [replace(equation_part(trial, at), **changes)], start)
        return loss.value(loss.start)

    base = value()
    assert value(weight=3.0) == pytest.approx(3 * base)
    assert value(points=np.full(8, 5.0)) == pytest.approx(5 * base)
    assert value(scales={"burgers": 2.0}) == pytest.approx(4 * base)
    half = np.repeat([1.0, 0.0], 4)
    rest = ResidualLoss(trial, [equation_part(trial, {k: v[:4] for k, v in at.items()})], start)
    assert value(points=half) == pytest.approx(0.5 * rest.value(rest.start))


def test_coefficients_that_are_unknown_are_not_taken_for_granted():
    loss = make("burgers", unknown={"nu": 0.05})
    other = {**loss.start, "nu": np.asarray(0.2)}
    x = torch.from_numpy(loss.space.pack(other))
    r = plain(loss, x)
    assert loss.value(other) == pytest.approx(float(0.5 * (r @ r).detach()), rel=1e-12)
    assert loss.value(other) != pytest.approx(loss.value(loss.start), rel=1e-3)


SMALL = convection(1.0)
TRIAL = Trial(SMALL, separate_networks(SMALL, 4, 1))
START = TRIAL.draw(np.random.default_rng(0))
AT = {"t": np.linspace(0, 1, 5), "x": np.linspace(0, 6, 5)}


@pytest.mark.parametrize(
    ("make_loss", "message"),
    [
        (lambda: ResidualLoss(TRIAL, [], START), "0 parts"),
        (lambda: ResidualLoss(TRIAL, [equation_part(TRIAL, AT)], START[:-1]), rf"start \({TRIAL.size - 1},\)"),
        (
            lambda: ResidualLoss(TRIAL, [equation_part(TRIAL, AT)], START, unknown={"speed": 1.0}),
            r"unknown: got \['speed'\], expected coefficients among \['c'\]",
        ),
        (
            lambda: ResidualLoss(TRIAL, [equation_part(TRIAL, {**AT, "x": np.array([0, 1, np.nan, 3, 4])})], START),
            "points of equations: got some that are not finite",
        ),
        (
            lambda: ResidualLoss(TRIAL, [equation_part(TRIAL, {**AT, "t": np.array([0, 1, np.inf, 3, 4])})], START),
            "points of equations: got some that are not finite",
        ),
        (
            lambda: ResidualLoss(TRIAL, [equation_part(TRIAL, AT, points=-np.ones(5))], START),
            "weights of equations",
        ),
        (
            lambda: ResidualLoss(TRIAL, [equation_part(TRIAL, AT, points=np.full(5, np.nan))], START),
            "weights of equations",
        ),
        (lambda: ResidualLoss(TRIAL, [equation_part(TRIAL, AT, points=np.ones(4))], START), r"\(4,\), expected \(5,\)"),
    ],
)
def test_input_that_means_nothing_is_refused(make_loss, message):
    with pytest.raises(SolverError, match=message):
        make_loss()


def test_a_loss_that_ignores_a_condition_is_refused():
    system = SYSTEMS["sloped"]
    trial = Trial(system, separate_networks(system, 4, 1))
    at = {"t": np.linspace(0, 1, 5), "x": np.linspace(-1, 1, 5)}
    start = trial.draw(np.random.default_rng(0))
    with pytest.raises(SolverError, match=r"expected one for every soft condition: \['du/dx at upper x'\]"):
        ResidualLoss(trial, [equation_part(trial, at)], start)


@pytest.mark.parametrize("method", METHODS)
def test_single_precision_is_for_first_order_methods_only(method):
    trial = Trial(SMALL, separate_networks(SMALL, 4, 1), dtype=torch.float32)
    loss = ResidualLoss(trial, [equation_part(trial, AT)], START)
    if method in ("adam", "soap"):
        solver = optimizer(method, loss, {})
        _, metrics = solver.step(solver.init())
        assert math.isfinite(metrics["objective"])
    else:
        with pytest.raises(SolverError, match=f"{method} in float32.*expected float64"):
            optimizer(method, loss, {})


def test_an_unknown_method_is_refused():
    with pytest.raises(SolverError, match="'bfgs', expected one of adam, soap"):
        optimizer("bfgs", ResidualLoss(TRIAL, [equation_part(TRIAL, AT)], START), {})


def test_single_precision_gives_the_same_loss_but_for_rounding():
    single, double = (make("burgers", dtype=dtype) for dtype in (torch.float32, torch.float64))
    assert single.precision == "float32"
    assert single.value(single.start) == pytest.approx(double.value(double.start), rel=1e-3)
