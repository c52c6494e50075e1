"""One quantity by two routes: cumulative sums, dense covariances, filters that march step by step, a peer's filter."""

import warnings

import numpy as np
import pytest
import torch

from retrodict.physics.motion.gaussian_path import accelerated_path, dense_moments
from retrodict.physics.motion.inputs import Autoregressive, Constant, Dense, Inputs, White
from retrodict.physics.motion.integrators import INTEGRATORS, rule
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import propagate
from retrodict.physics.motion.state import Start
from retrodict.solvers.reference.moment_loops import extended_kalman_loop

with warnings.catch_warnings():
    # the peer still imports a module that numpy has moved
    warnings.simplefilter("ignore")
    from filterpy.kalman import ExtendedKalmanFilter


def drawn(seed, *, batch=(), steps=25, certain=False, linked=True):
    """A start and white inputs with every correlation there is."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn((*batch, *shape), generator=generator, dtype=torch.float64)

    root = normal(4, 4) * torch.tensor([0.5, 0.5, 0.1, 0.6], dtype=torch.float64)[:, None]
    mean = normal(4) * torch.tensor([50.0, 50.0, 2.0, 8.0], dtype=torch.float64)
    start = Start(mean, None if certain else root @ root.mT)
    std = normal(steps, 2).abs() * torch.tensor([1.0, 0.4], dtype=torch.float64)
    path = normal(steps, 2) * torch.tensor([0.6, 0.2], dtype=torch.float64)
    dt = 0.05 + 0.1 * torch.rand(steps, generator=generator, dtype=torch.float64)
    return start, Inputs(path, White(std, torch.tanh(normal(steps)) if linked else None)), dt


def same(ours, reference, tolerance):
    size = reference.covariance.abs().max().item() + 1e-3
    torch.testing.assert_close(ours.displacement, reference.displacement, rtol=tolerance, atol=100 * tolerance)
    torch.testing.assert_close(ours.covariance, reference.covariance, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("lever", [0.0, 1.7, -0.6])
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_cumulative_sums_are_the_dense_double_sums(integrator, lever, exact, certain):
    for seed in range(3):
        start, inputs, dt = drawn(seed, certain=certain)
        scheme = rule(integrator)
        sums = propagate(
            "acceleration-yaw-rate", start, inputs, dt,
            mode="exact" if exact else "linear", integrator=integrator, lever=lever,
        )  # fmt: skip
        dense = dense_moments(start, accelerated_path(start, inputs, dt, scheme), exact=exact, lever=lever)
        same(sums, dense, 1e-10)
        for name in ("heading", "speed", "linear_bias"):
            torch.testing.assert_close(getattr(sums, name), getattr(dense, name), rtol=1e-11, atol=1e-12)


def as_dense(law, dt):
    first, cross, second = law.blocks(dt)
    steps = dt.numel()
    first, cross, second = (b.expand(steps, steps) for b in (first, cross, second))
    return Dense(torch.stack([torch.stack([first, cross]), torch.stack([cross.T, second])]))


@pytest.mark.parametrize("mode", ["exact", "linear"])
@pytest.mark.parametrize("formulation", ["velocity", "acceleration", "speed-heading", "acceleration-yaw-rate"])
def test_every_law_is_the_dense_law_with_its_covariance(formulation, mode):
    start, inputs, dt = drawn(7)
    values = torch.tensor([0.8, 0.2], dtype=torch.float64)
    laws = [
        inputs.law,
        Autoregressive(values, torch.tensor([0.7, 2.0], dtype=torch.float64)),
        Autoregressive(values, torch.tensor([0.7, 2.0], dtype=torch.float64), known_start=True),
        Constant(values, torch.tensor(-0.4, dtype=torch.float64)),
    ]
    for law in laws:
        own = propagate(formulation, start, Inputs(inputs.mean, law), dt, mode=mode)
        dense = propagate(formulation, start, Inputs(inputs.mean, as_dense(law, dt)), dt, mode=mode)
        same(own, dense, 1e-10)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize("curvature", [False, True])
def test_the_linear_form_is_the_extended_kalman_loop(curvature, batch):
    formulation = "acceleration-curvature" if curvature else "acceleration-yaw-rate"
    start, inputs, dt = drawn(11, batch=batch)
    if curvature:
        inputs = Inputs(0.1 * inputs.mean, White(0.1 * inputs.law.std, inputs.law.correlation))
    loop = extended_kalman_loop(start, inputs, dt, curvature=curvature)
    closed = propagate(formulation, start, inputs, dt, mode="linear", integrator="euler")
    same(closed, loop, 1e-12)


@pytest.mark.parametrize("lever", [0.0, 1.7])
@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("formulation", ["acceleration", "acceleration-yaw-rate", "acceleration-curvature"])
def test_the_linear_form_is_the_jacobian_of_the_path(formulation, integrator, lever):
    # J S J' with J by automatic differentiation of the deterministic path, for every law and a linked start
    start, inputs, dt = drawn(15, steps=8)
    if formulation == "acceleration":
        lever = 0.0
    scale = 0.1 if formulation == "acceleration-curvature" else 1.0
    mean = inputs.mean * torch.tensor([1.0, scale], dtype=torch.float64)
    std, tau = torch.tensor([0.8, 0.2 * scale], dtype=torch.float64), torch.tensor([0.7, 2.0], dtype=torch.float64)

    def positions(begin, path):
        return unroll(formulation, begin, path, dt, integrator=integrator, lever=lever)[:, :2]

    by_start, by_input = torch.autograd.functional.jacobian(positions, (start.mean, mean))
    by_input = by_input.mT.flatten(-2)  # channel by channel
    for law in (White(inputs.law.std * std, inputs.law.correlation), Autoregressive(std, tau), Constant(std)):
        a, cross, b = (x.expand(8, 8) for x in law.blocks(dt))
        joint = torch.cat([torch.cat([a, cross], 1), torch.cat([cross.T, b], 1)])
        expected = by_start @ start.covariance @ by_start.mT + by_input @ joint @ by_input.mT
        ours = propagate(formulation, start, Inputs(mean, law), dt, mode="linear", integrator=integrator, lever=lever)
        torch.testing.assert_close(ours.covariance, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_heading_and_speed_with_random_curvature_are_those_of_the_linear_form(integrator):
    for batch in ((), (3,)):
        start, inputs, dt = drawn(16, batch=batch, linked=False)
        exact, linear = (
            propagate("acceleration-curvature", start, inputs, dt, mode=mode, integrator=integrator)
            for mode in ("exact", "linear")
        )
        torch.testing.assert_close(exact.heading, linear.heading, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(exact.speed, linear.speed, rtol=1e-12, atol=1e-12)


class Driven(ExtendedKalmanFilter):
    """The peer with a non-linear step, set from outside."""

    def predict_x(self, u=0):
        del u
        self.x = self.to


def test_the_linear_form_is_the_peers_extended_kalman_filter():
    start, inputs, dt = drawn(12)
    x, P = start.mean.numpy().copy(), start.covariance.numpy().copy()
    peer = Driven(dim_x=4, dim_z=2, dim_u=2)
    peer.x, peer.P = x[:, None], P
    ours = propagate("acceleration-yaw-rate", start, inputs, dt, mode="linear", integrator="euler")
    a, cross, b = (v.numpy() for v in inputs.law.variances())
    for t, (h, (rate, turn)) in enumerate(zip(dt.tolist(), inputs.mean.tolist(), strict=True)):
        _, _, heading, speed = peer.x[:, 0]
        c, s = np.cos(heading), np.sin(heading)
        peer.F = np.array([[1, 0, -h * speed * s, h * c], [0, 1, h * speed * c, h * s], [0, 0, 1, 0], [0, 0, 0, 1]])
        gain = np.array([[0, 0], [0, 0], [0, h], [h, 0]])
        peer.Q = gain @ np.array([[a[t], cross[t]], [cross[t], b[t]]]) @ gain.T
        moved = peer.x + h * np.array([speed * c, speed * s, turn, rate])[:, None]
        peer.to = moved
        peer.predict()
        np.testing.assert_allclose(ours.mean[t].numpy(), peer.x[:2, 0], rtol=1e-12, atol=1e-10)
        np.testing.assert_allclose(ours.covariance[t].numpy(), peer.P[:2, :2], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("mode", ["exact", "linear", "diagonal"])
@pytest.mark.parametrize(
    "formulation",
    ["velocity", "acceleration", "speed-heading", "acceleration-yaw-rate", "acceleration-curvature"],
)
def test_a_batch_is_its_members_one_by_one(formulation, mode):
    start, inputs, dt = drawn(13, batch=(2, 3), steps=12, linked=False)
    if formulation == "acceleration-curvature":
        inputs = Inputs(0.1 * inputs.mean, White(0.1 * inputs.law.std))
    together = propagate(formulation, start, inputs, dt, mode=mode)
    for i in range(2):
        for j in range(3):
            alone = propagate(
                formulation, Start(start.mean[i, j], start.covariance[i, j]),
                Inputs(inputs.mean[i, j], White(inputs.law.std[i, j])), dt, mode=mode,
            )  # fmt: skip
            torch.testing.assert_close(together.displacement[i, j], alone.displacement, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(together.covariance[i, j], alone.covariance, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["exact", "linear", "diagonal"])
def test_one_start_serves_a_batch_of_inputs_and_the_other_way_round(mode):
    start, inputs, dt = drawn(14, steps=9)
    many = Inputs(inputs.mean + torch.linspace(0, 1, 5, dtype=torch.float64)[:, None, None], inputs.law)
    spread = propagate("acceleration-yaw-rate", start, many, dt, mode=mode)
    assert spread.displacement.shape == (5, 9, 2)
    again = propagate("acceleration-yaw-rate", start, Inputs(many.mean[3], many.law), dt, mode=mode)
    torch.testing.assert_close(spread.displacement[3], again.displacement, rtol=1e-12, atol=1e-12)
    starts = Start(start.mean.expand(4, 4) * torch.arange(1, 5, dtype=torch.float64)[:, None])
    moved = propagate("acceleration-yaw-rate", starts, inputs, dt, mode=mode)
    assert moved.displacement.shape == (4, 9, 2)
    alone = propagate("acceleration-yaw-rate", Start(starts.mean[2]), inputs, dt, mode=mode)
    torch.testing.assert_close(moved.covariance.expand(4, 9, 2, 2)[2], alone.covariance, rtol=1e-12, atol=1e-12)


def test_one_step_from_a_known_start_has_the_variance_of_that_step():
    std, tau, dt = torch.tensor([2.0, 0.3]).double(), torch.tensor([1.5, 0.7]).double(), torch.tensor([0.1]).double()
    first, cross, second = Autoregressive(std, tau, known_start=True).blocks(dt)
    expected = -(std**2) * torch.expm1(-2 * dt / tau)
    assert torch.allclose(torch.cat([first[0], second[0]]), expected, rtol=1e-12)
    assert torch.equal(cross, torch.zeros_like(cross))
