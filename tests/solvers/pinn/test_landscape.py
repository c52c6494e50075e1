"""Landscapes: values against the loss, surfaces of known shape, the plane against the Hessian."""

import numpy as np
import pytest

from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.solvers.iterate import iterate
from retrodict.solvers.pinn.hessian import dense_hessian
from retrodict.solvers.pinn.landscape import convexity_ratio, landscape, surface, value_function
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.parts import Part, equation_part
from retrodict.solvers.pinn.plans import Stage, marching
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import Trial, separate_networks


def make(system, width=4, count=24):
    trial, rng = Trial(system, separate_networks(system, width, 1)), np.random.default_rng(3)
    points = Sampling(count, 6).draw(system.coords, rng)
    weights = trial.draw(rng)
    part = equation_part(trial, points, points=rng.uniform(0.5, 2, len(points["t"])), scales={"burgers": 0.3})
    data = Part("data", {k: v[:5] for k, v in points.items()}, (("u",),), lambda d, _c, _p: {"u": d["u"] - 0.3}, 2.5)
    return ResidualLoss(trial, [part, data], weights), weights


@pytest.mark.parametrize("system", [convection(3.0), Lagrangian(burgers(0.1)), burgers_interval(0.1)])
def test_values_are_those_of_the_loss(system):
    loss, weights = make(system)
    value, rng = value_function(loss), np.random.default_rng(0)
    for _ in range(3):
        at = weights + 0.3 * rng.standard_normal(len(weights))
        assert value(at) == pytest.approx(loss.value({"weights": at}), rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "ratio"),
    [
        (lambda a, b: a**2 + 0.1 * b**2 + 0.6 * a * b, 1.0),
        (lambda a, b: a**2 + 0.1 * b**2 + 0.7 * a * b, 0.0),
        (lambda a, b: -(a**2) - b**2, 0.0),
        (lambda a, b: a * b, 0.0),
        (lambda a, b: a**4 - a**2 + b**2, 1 - 0.41),
    ],
)
def test_convexity_of_known_surfaces(shape, ratio):
    a, b = np.meshgrid(np.linspace(-1, 1, 401), np.linspace(-1, 1, 401), indexing="ij")
    # the quartic bends down where 12 a^2 < 2
    assert convexity_ratio(shape(a, b)) == pytest.approx(ratio, abs=0.01)


def test_axes_of_a_surface():
    line = np.array([0.0, 1.0, 2.0])
    grid = surface(lambda x: float(x[0] + 10 * x[1]), np.array([5.0, 0.0]), np.eye(2)[0], np.eye(2)[1], line)
    assert grid.tolist() == [[5.0, 15.0, 25.0], [6.0, 16.0, 26.0], [7.0, 17.0, 27.0]]


def test_the_plane_is_that_of_the_leading_eigenvectors():
    loss, weights = make(Lagrangian(burgers(0.1)), 3)
    data = landscape(loss, weights, grid=7, pairs=12, probes=24)
    values = np.linalg.eigvalsh(dense_hessian(loss, weights))[::-1]
    np.testing.assert_allclose(data["hessian"], values[:12], rtol=1e-7, atol=1e-9 * values[0])
    assert float(data["decay"]) == pytest.approx(values[0] / abs(values[9]), rel=1e-5)
    assert float(data["negative"]) == pytest.approx(max(-values[-1], 0) / values[0], abs=1e-8)
    assert abs(float(data["trace"]) - values.sum()) < 4 * float(data["trace_error"])
    assert float(data["reach"].sel(scale="curvature")) == pytest.approx(5 / np.sqrt(values[0]), rel=1e-9)
    assert float(data["center"]) == pytest.approx(loss.value(loss.start), rel=1e-12)
    assert float(data["log_ratio"].sel(scale="unit", a=0, b=0)) == 0.0
    np.testing.assert_allclose(10 ** data["log_ratio"] * data["center"], data["loss"], rtol=1e-12)


def test_bends_of_the_surface_are_the_eigenvalues():
    loss, weights = make(convection(3.0), 3)
    values, vectors = np.linalg.eigh(dense_hessian(loss, weights))
    axis = 2e-3 * np.arange(-1.0, 2.0)
    heights = surface(value_function(loss), weights, vectors[:, -1], vectors[:, -2], axis)
    middle = heights[1, 1]
    bends = [(x[0] + x[2] - 2 * middle) / axis[2] ** 2 for x in (heights[:, 1], heights[1, :])]
    assert bends == pytest.approx(values[:-3:-1], rel=1e-4)
    cross = (heights[2, 2] - heights[2, 0] - heights[0, 2] + heights[0, 0]) / (4 * axis[2] ** 2)
    assert abs(cross) < 1e-4 * values[-1]


def test_a_trained_network_sits_in_a_bowl():
    system = Lagrangian(burgers(0.1, c=50.0))
    legs = marching(system, [0.0, 1.0], [Stage("ssbroyden", 40)])
    trainer = Trainer(legs, lambda s: separate_networks(s, 6, 1), Sampling(96, 16))
    begin, weights = trainer.init(), iterate(trainer, 40).data["weights_0"].values
    trial = trainer.trial(0, ())
    loss = ResidualLoss(trial, [equation_part(trial, begin.points)], weights)
    data = landscape(loss, weights, grid=7, steps=20, probes=4)
    assert float(data["log_ratio"].sel(scale="unit").min()) >= 0.0
    assert float(data["negative"]) < 0.05
    edge = float(data["loss"].sel(scale="curvature", a=1.0, b=0.0))
    assert 1.25 < edge < 125  # lambda_1 a^2 / 2 with a = 5 / sqrt(lambda_1) is 12.5, far from quadratic
