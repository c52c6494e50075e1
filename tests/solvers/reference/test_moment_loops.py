import math

import pytest
import torch

from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.state import Start
from retrodict.solvers.reference.moment_loops import cubature_loop, extended_kalman_loop


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def white(mean, std, steps, correlation=None):
    rho = None if correlation is None else values(correlation).expand(steps)
    return Inputs(values(*mean).expand(steps, 2), White(values(*std).expand(steps, 2), rho))


@pytest.mark.parametrize("curvature", [False, True])
@pytest.mark.parametrize("loop", [extended_kalman_loop, cubature_loop])
def test_straight_ahead_only_the_speed_is_uncertain(loop, curvature):
    # without turning noise the motion along the axis is linear: the closed form of accelerations
    steps, dt, std = 30, 0.1, 1.2
    moments = loop(
        Start(values(0, 0, 0, 10)), white((0.5, 0), (std, 0), steps), values(dt).expand(steps), curvature=curvature
    )
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    closed = dt**4 * std**2 * (t - 1) * t * (2 * t - 1) / 6
    # the cubature loop adds 1e-12 to what it decomposes
    torch.testing.assert_close(moments.covariance[:, 0, 0], closed, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(moments.mean[:, 0], 10 * dt * t + 0.5 * dt**2 * t * (t - 1) / 2, rtol=1e-9, atol=1e-9)
    assert moments.covariance[:, 1, 1].abs().max().item() < 1e-6


@pytest.mark.parametrize("curvature", [False, True])
def test_the_jacobian_of_the_loop_is_that_of_the_step(curvature):
    # one step from a Gaussian start: F P F' + G S G' with derivatives by automatic differentiation
    generator = torch.Generator().manual_seed(0)
    root = torch.randn((4, 4), generator=generator, dtype=torch.float64)
    state, P, h = values(1, 2, 0.6, 5), root @ root.T, 0.2
    inputs = white((0.3, 0.1), (0.5, 0.2), 2, 0.4)

    def positions(z):
        x, y, n, v = z[0], z[1], z[2], z[3]
        for t in range(2):
            a, w = z[4 + 2 * t], z[5 + 2 * t]
            turn = v * w if curvature else w
            x, y, n, v = x + h * v * torch.cos(n), y + h * v * torch.sin(n), n + h * turn, v + h * a
        return torch.stack([x, y])

    z = torch.cat([state, inputs.mean.flatten()])
    J = torch.autograd.functional.jacobian(positions, z)
    S = torch.tensor([[0.25, 0.04], [0.04, 0.04]], dtype=torch.float64)
    joint = torch.block_diag(P, S, S)
    moments = extended_kalman_loop(Start(state, P), inputs, values(h, h), curvature=curvature)
    torch.testing.assert_close(moments.covariance[-1], J @ joint @ J.T, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(moments.mean[-1], positions(z), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("curvature", [False, True])
def test_both_loops_agree_where_uncertainty_is_small(curvature):
    steps, dt = 20, values(0.1).expand(20)
    gaps = []
    for scale in (0.02, 0.01):
        start = Start(values(0, 0, 0.4, 6), scale**2 * torch.diag(values(1, 1, 0.1, 1)))
        inputs = white((0.2, 0.03), (scale, 0.1 * scale), steps, 0.5)
        first, second = (f(start, inputs, dt, curvature=curvature) for f in (extended_kalman_loop, cubature_loop))
        gaps.append((first.mean - second.mean)[-1].norm().item())
        torch.testing.assert_close(first.covariance, second.covariance, rtol=0, atol=scale**2 * 0.01)
    assert math.log2(gaps[0] / gaps[1]) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("loop", [extended_kalman_loop, cubature_loop])
def test_batches_and_gradients(loop):
    generator = torch.Generator().manual_seed(1)
    means = torch.randn((3, 4), generator=generator, dtype=torch.float64)
    std = 0.1 + torch.rand((3, 5, 2), generator=generator, dtype=torch.float64)
    P = torch.diag(values(0.1, 0.1, 0.02, 0.3))
    path, dt = torch.zeros(3, 5, 2, dtype=torch.float64), values(0.1).expand(5)
    together = loop(Start(means, P), Inputs(path, White(std)), dt)
    for i in range(3):
        alone = loop(Start(means[i], P), Inputs(path[i], White(std[i])), dt)
        torch.testing.assert_close(together.covariance[i], alone.covariance, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(together.mean[i], alone.mean, rtol=1e-12, atol=1e-13)

    def trace(s):
        return loop(Start(means[0], P), Inputs(path[0], White(s)), dt).covariance.diagonal(dim1=-2, dim2=-1)

    assert torch.autograd.gradcheck(trace, std[0].requires_grad_(), fast_mode=True)
