import dataclasses
import math

import pytest
import torch

from retrodict.inverse.motion.filtering import Measurement, Sensor, StateSpace, kalman_filter, smooth
from retrodict.inverse.motion.vehicles import constant_turn, lidar, pose_sensor, radar, relaxing_inputs
from retrodict.physics.errors import DataError, SolverError


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def track(tracks, steps, scale=1.0, seed=0):
    """A turning vehicle seen by a position and a bearing sensor in turn: measurements, states, start."""
    model = constant_turn(0.5 * scale, 0.3 * scale)
    sensors = [lidar(0.2 * scale), radar(0.3 * scale, 0.02 * scale, 0.3 * scale)]
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    start, spread = values(10, 5, 4, 0.6, 0.2), scale**2 * torch.diag(values(0.3, 0.3, 0.2, 0.01, 0.01))
    state = start + normal(tracks, 5) * spread.diagonal().sqrt()
    seen, states = [], []
    for k in range(steps):
        if k:
            state = model.transition(state, normal(tracks, 2) * model.noise.diagonal().sqrt(), values(0.1)[0])
        sensor = sensors[k % 2]
        noise = normal(tracks, sensor.noise.shape[0]) * sensor.noise.diagonal().sqrt()
        seen.append(Measurement(0.1 * k, sensor, sensor.observe(state) + noise))
        states.append(state)
    return model, start.expand(tracks, 5), spread.expand(tracks, 5, 5), seen, torch.stack(states)


def test_both_filters_agree_where_the_model_is_mildly_non_linear():
    gaps = []
    for scale in (0.2, 0.1):
        model, mean, spread, seen, _ = track(4, 30, scale)
        a, b = (kalman_filter(model, mean, spread, seen, method=m) for m in ("sigma-point", "extended"))
        gaps.append((a.mean - b.mean).abs().max().item())
        torch.testing.assert_close(a.covariance, b.covariance, rtol=0.1, atol=1e-3 * scale**2)
    assert gaps[1] < 0.35 * gaps[0]  # the difference of two means is of second order in the spread
    assert gaps[0] < 0.02


@pytest.mark.parametrize("method", ["sigma-point", "extended"])
def test_consistency_over_many_non_linear_tracks(method):
    model, mean, spread, seen, states = track(200, 30)
    ours = kalman_filter(model, mean, spread, seen, method=method)
    for run in (ours, smooth(ours)):
        gap = states - run.mean
        nees = torch.einsum("kbi,kbij,kbj->kb", gap, torch.linalg.inv(run.covariance), gap)
        assert nees.mean().item() == pytest.approx(5, abs=0.5)
        share = (nees[15] < 11.07).double().mean().item()
        assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 200)
    rmse = [(run.mean - states)[:-1, :, :2].norm(dim=-1).mean().item() for run in (ours, smooth(ours))]
    assert rmse[1] < rmse[0]


@pytest.mark.parametrize("method", ["sigma-point", "extended"])
@pytest.mark.parametrize("turn", [math.pi, -math.pi, 2 * math.pi])
def test_nothing_depends_on_where_angles_are_cut(method, turn):
    # the same track seen with all headings turned across the cut: same likelihood, states turned with it
    model = relaxing_inputs(values(0.5, 0.2), values(1.0, 1.0))
    sensor = pose_sensor(values(0.1)[0], values(0.05)[0])
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn((20, 3), generator=generator, dtype=torch.float64) * values(0.1, 0.1, 0.05)
    spread = torch.diag(values(0.1, 0.1, 0.01, 0.1, 0.25, 0.04))[None]

    def run(angle):
        c, s = math.cos(angle), math.sin(angle)
        R = values(c, -s, s, c).reshape(2, 2)
        seen = []
        for k, e in enumerate(noise):
            position = R @ (values(0.5 * k, 0.0) + e[:2])
            heading = math.remainder(angle + e[2].item(), 2 * math.pi)  # as a sensor reports it
            seen.append(Measurement(0.1 * k, sensor, torch.cat([position, values(heading)])[None]))
        return kalman_filter(model, values(0, 0, angle, 5, 0, 0)[None], spread, seen, method=method), R

    (plain, _), (turned, R) = run(0.0), run(turn)
    torch.testing.assert_close(turned.nll, plain.nll, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(turned.mean[..., :2], plain.mean[..., :2] @ R.T, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(turned.mean[..., 2], plain.mean[..., 2] + turn, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(turned.covariance[..., 2:, 2:], plain.covariance[..., 2:, 2:], rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(smooth(turned).mean[..., 3:], smooth(plain).mean[..., 3:], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("method", ["sigma-point", "extended"])
def test_the_smoother_takes_headings_cut_anywhere(method):
    # a track that turns through pi, with every filtered heading brought back into (-pi, pi] before smoothing
    model, mean, spread, seen, _ = track(2, 40, scale=0.3)
    seen = [m for m in seen if m.sensor.noise.shape[0] == 2]
    out = kalman_filter(model, mean, spread, seen, method=method)
    offset = math.pi - out.mean[10, 0, 3].item()
    whole, cut = (m.clone() for m in (out.mean, out.mean))
    whole[..., 3] += offset
    ahead = out.predicted_mean.clone()
    ahead[..., 3] += offset
    cut[..., 3] = torch.atan2(torch.sin(whole[..., 3]), torch.cos(whole[..., 3]))
    assert (cut - whole).abs().max().item() > 6
    first, again = (smooth(dataclasses.replace(out, mean=m, predicted_mean=ahead)) for m in (whole, cut))
    gap = torch.remainder(first.mean - again.mean + math.pi, 2 * math.pi) - math.pi
    assert gap.abs().max().item() < 1e-9
    torch.testing.assert_close(again.covariance, first.covariance, rtol=1e-12, atol=1e-14)


def test_a_bearing_across_the_negative_axis_is_a_small_innovation():
    # the radar sees the vehicle just above the axis, the filter believes it just below
    sensor = radar(0.3, 0.03, 0.3)
    mean, spread = values(-10, -0.05, 1, 0, 0)[None], 0.01 * torch.eye(5, dtype=torch.float64)[None]
    value = values(10, math.pi - 0.005, -1)[None]
    for method in ("sigma-point", "extended"):
        out = kalman_filter(constant_turn(1.0, 1.0), mean, spread, [Measurement(0.0, sensor, value)], method=method)
        assert out.innovations.item() < 1
        assert -0.1 < out.mean[0, 0, 1].item() < 0.1


@pytest.mark.parametrize("method", ["sigma-point", "extended"])
def test_the_gradient_of_the_likelihood_is_its_central_difference(method):
    _, mean, spread, seen, _ = track(3, 12)

    def loss(std):
        return kalman_filter(constant_turn(std[0], std[1]), mean, spread, seen, method=method).nll.sum()

    at = values(0.5, 0.3).requires_grad_()
    (ours,) = torch.autograd.grad(loss(at), at)
    for i in (0, 1):
        step = torch.zeros(2, dtype=torch.float64)
        step[i] = 1e-5
        with torch.no_grad():
            central = (loss(at + step) - loss(at - step)) / 2e-5
        assert ours[i].item() == pytest.approx(central.item(), rel=1e-7, abs=1e-7)


def test_unseen_tracks_only_predict():
    model, mean, spread, seen, _ = track(2, 6)
    blind = [Measurement(m.time, m.sensor, torch.nan_to_num(m.value * 0, 1e3), values(1, 0) > 0) for m in seen]
    sighted = [Measurement(m.time, m.sensor, m.value * 0 + 1e3, values(1, 0) > 0) for m in seen]
    out = kalman_filter(model, mean, spread, blind)
    assert bool(out.innovations[:, 1].isnan().all())
    assert bool(out.innovations[:, 0].isfinite().all())
    assert out.nll[1].item() == 0
    torch.testing.assert_close(out.mean[:, 1], out.predicted_mean[:, 1], rtol=0, atol=0)
    # what an unseen sensor reads does not matter
    torch.testing.assert_close(kalman_filter(model, mean, spread, sighted).mean[:, 1], out.mean[:, 1], rtol=0, atol=0)
    # smoothing cannot learn where nothing is seen
    torch.testing.assert_close(smooth(out).mean[:, 1], out.mean[:, 1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.002, 0.0024, 0.5, -0.5])
def test_constant_turn_is_its_circle_and_smooth_through_zero(rate):
    model, dt = constant_turn(1.0, 1.0), values(0.4)[0]
    state = values(1, 2, 5, 0.3, rate)
    moved = model.transition(state, values(0, 0), dt)
    n = 20_000
    headings = 0.3 + rate * 0.4 * (torch.arange(n, dtype=torch.float64) + 0.5) / n
    path = 5 * 0.4 / n * torch.stack([torch.cos(headings).sum(), torch.sin(headings).sum()])
    torch.testing.assert_close(moved[:2], state[:2] + path, rtol=0, atol=2e-11 if abs(rate) < 0.01 else 1e-8)
    leaf = state.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: model.transition(s, values(0.3, -0.2), dt), leaf)


LINEAR = StateSpace(lambda x, w, _: x + w, torch.eye(1, dtype=torch.float64))
SEE = Sensor(lambda x: x, torch.eye(1, dtype=torch.float64))
ZERO, ONE = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, 1, dtype=torch.float64)


@pytest.mark.parametrize(
    ("times", "options", "error", "message"),
    [
        ([], {}, DataError, "measurements: got 0 of them, expected one or more, in order of time"),
        ([1.0, 0.5], {}, DataError, "measurements: got 2 of them"),
        ([1.0], {"start_time": 2.0}, DataError, "start_time: got 2.0, expected no later than the first .* at 1.0"),
        ([1.0], {"method": "particle"}, SolverError, "method: got 'particle', expected 'sigma-point' or 'extended'"),
    ],
)
def test_refusals(times, options, error, message):
    seen = [Measurement(t, SEE, ZERO) for t in times]
    with pytest.raises(error, match=message):
        kalman_filter(LINEAR, ZERO, ONE, seen, **options)


def test_a_covariance_that_is_not_positive_definite_is_an_error_that_says_when():
    seen = [Measurement(0.0, SEE, ZERO), Measurement(3.5, SEE, ZERO)]
    with pytest.raises(SolverError, match="kalman_filter: got a covariance that is not positive definite at t = 0 s"):
        kalman_filter(LINEAR, ZERO, -3 * ONE, seen)
    # a certain state is singular: the jitter is what the message proposes
    certain = StateSpace(lambda x, w, _: x + 0 * w, 1e-12 * ONE[0])
    assert kalman_filter(certain, ZERO, 1e-9 * ONE, seen, jitter=1e-9).nll.isfinite().all()
