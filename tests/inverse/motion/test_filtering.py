"""Filters and smoothers where the answer is known: linear Gaussian models, against four implementations."""

import math
import warnings

import numpy as np
import pytest
import simdkalman
import torch

from retrodict.inverse.motion.filtering import Measurement, Sensor, StateSpace, kalman_filter, smooth

with warnings.catch_warnings():
    # the peers still import modules that numpy and pandas have moved
    warnings.simplefilter("ignore")
    from filterpy.kalman import KalmanFilter
    from statsmodels.tsa.statespace.mlemodel import MLEModel

DT, STEPS = 0.5, 30
F = np.array([[1, DT, 0, 0], [0, 1, 0, 0], [0, 0, 1, DT], [0, 0, 0, 1]])
G = np.array([[DT**2 / 2, 0], [DT, 0], [0, DT**2 / 2], [0, DT]])
Q = np.array([[0.6, 0.2], [0.2, 0.9]])
H = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0]])
R = np.array([[0.4, 0.1], [0.1, 0.3]])
START, SPREAD = np.array([1.0, 2.0, -1.0, 0.5]), np.diag([2.0, 1.0, 3.0, 0.5])


def tensor(x):
    return torch.as_tensor(np.asarray(x), dtype=torch.float64)


MODEL = StateSpace(lambda x, w, _: x @ tensor(F).T + w @ tensor(G).T, tensor(Q))
SENSOR = Sensor(lambda x: x @ tensor(H).T, tensor(R))


def simulated(tracks, seed=0):
    """True states and measurements, drawn from the model itself; the first measurement sees the start."""
    rng = np.random.default_rng(seed)
    state = START + rng.normal(size=(tracks, 4)) @ np.sqrt(SPREAD)
    states, seen = [], []
    for k in range(STEPS):
        if k:
            state = state @ F.T + rng.multivariate_normal(np.zeros(2), Q, tracks) @ G.T
        states.append(state)
        seen.append(state @ H.T + rng.multivariate_normal(np.zeros(2), R, tracks))
    return np.stack(states), np.stack(seen)


def measurements(seen, valid=None):
    masks = [None] * len(seen) if valid is None else torch.as_tensor(valid)
    return [Measurement(DT * k, SENSOR, tensor(z), m) for k, (z, m) in enumerate(zip(seen, masks, strict=True))]


def filtered(seen, valid=None, **options):
    tracks = seen.shape[1]
    mean, spread = tensor(START).expand(tracks, 4), tensor(SPREAD).expand(tracks, 4, 4)
    return kalman_filter(MODEL, mean, spread, measurements(seen, valid), **options)


def close(ours, reference, tolerance=1e-10):
    np.testing.assert_allclose(ours.numpy(), reference, rtol=tolerance, atol=tolerance)


def statsmodels(seen):
    model = MLEModel(seen, k_states=4, k_posdef=2)
    ssm = model.ssm
    ssm["design"], ssm["obs_cov"], ssm["transition"], ssm["selection"], ssm["state_cov"] = H, R, F, G, Q
    ssm.initialize_known(START, SPREAD)
    # or the peer stops updating covariances once they change by less than 1e-19
    ssm.tolerance = 0
    return ssm.smooth()


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("method", ["sigma-point", "extended"])
def test_filter_smoother_and_likelihood_of_statsmodels(method, gaps):
    _, seen = simulated(3)
    valid = np.random.default_rng(1).random((STEPS, 3)) > (0.4 if gaps else -1)
    ours = filtered(np.where(valid[..., None], seen, 1e6), valid, method=method)
    smoothed = smooth(ours)
    for track in range(3):
        peer = statsmodels(np.where(valid[:, track, None], seen[:, track], np.nan))
        close(ours.mean[:, track], peer.filtered_state.T)
        close(ours.covariance[:, track], peer.filtered_state_cov.transpose(2, 0, 1))
        close(ours.predicted_mean[:, track], peer.predicted_state.T[:STEPS])
        close(smoothed.mean[:, track], peer.smoothed_state.T)
        close(smoothed.covariance[:, track], peer.smoothed_state_cov.transpose(2, 0, 1))
        assert ours.nll[track].item() == pytest.approx(-peer.llf, rel=1e-10)


def test_filter_and_smoother_of_simdkalman():
    _, seen = simulated(4, seed=2)
    peer = simdkalman.KalmanFilter(F, G @ Q @ G.T, H, R)
    result = peer.compute(
        seen.transpose(1, 0, 2), 0, initial_value=START, initial_covariance=SPREAD, filtered=True, smoothed=True
    )
    ours = filtered(seen)
    smoothed = smooth(ours)
    for own, other in ((ours, result.filtered), (smoothed, result.smoothed)):
        close(own.mean, other.states.mean.transpose(1, 0, 2), 1e-9)
        close(own.covariance, other.states.cov.transpose(1, 0, 2, 3), 1e-9)


def test_filter_and_smoother_of_filterpy():
    _, seen = simulated(1, seed=3)
    peer = KalmanFilter(dim_x=4, dim_z=2)
    peer.x, peer.P, peer.F, peer.H, peer.Q, peer.R = START.copy(), SPREAD.copy(), F, H, G @ Q @ G.T, R
    means, spreads = [], []
    for k in range(STEPS):
        if k:
            peer.predict()
        peer.update(seen[k, 0])
        means.append(peer.x.copy())
        spreads.append(peer.P.copy())
    ours = filtered(seen)
    close(ours.mean[:, 0], np.array(means))
    close(ours.covariance[:, 0], np.array(spreads))
    back_means, back_spreads, _, _ = peer.rts_smoother(np.array(means), np.array(spreads))
    smoothed = smooth(ours)
    close(smoothed.mean[:, 0], back_means, 1e-9)
    close(smoothed.covariance[:, 0], back_spreads, 1e-9)


@pytest.mark.parametrize("spread", [None, 3.0, 7.5])
def test_sigma_points_are_exact_for_linear_models(spread):
    _, seen = simulated(2, seed=4)
    ours, reference = filtered(seen, spread=spread), filtered(seen, method="extended")
    for name in ("mean", "covariance", "predicted_mean", "predicted_covariance", "cross", "nll", "innovations"):
        close(getattr(ours, name), getattr(reference, name).numpy())
    close(smooth(ours).mean, smooth(reference).mean.numpy())


def test_several_sensors_at_one_time_are_one_sensor_of_all():
    _, seen = simulated(2, seed=5)
    split = [Sensor(lambda x, i=i: x[..., i : i + 1], tensor([[0.3 + 0.1 * (i == 0)]])) for i in (0, 2)]
    joint = Sensor(SENSOR.observe, torch.diag(tensor([0.4, 0.3])))
    apart, together = [], []
    for k, z in enumerate(seen):
        apart += [Measurement(DT * k, split[i], tensor(z[:, i : i + 1])) for i in (0, 1)]
        together.append(Measurement(DT * k, joint, tensor(z)))
    mean, spread = tensor(START).expand(2, 4), tensor(SPREAD).expand(2, 4, 4)
    one, two = (kalman_filter(MODEL, mean, spread, seq) for seq in (together, apart))
    close(two.mean[1::2], one.mean.numpy())
    close(two.covariance[1::2], one.covariance.numpy())
    close(two.nll, one.nll.numpy())
    back, again = smooth(one), smooth(two)
    for part in (0, 1):
        close(again.mean[part::2], back.mean.numpy())
        close(again.covariance[part::2], back.covariance.numpy())


def test_a_start_before_the_first_measurement_is_predicted():
    _, seen = simulated(1, seed=6)
    begin = filtered(seen, start_time=-DT)
    F_, Q_ = tensor(F), tensor(G @ Q @ G.T)
    close(begin.predicted_mean[0, 0], (F_ @ tensor(START)).numpy())
    close(begin.predicted_covariance[0, 0], (F_ @ tensor(SPREAD) @ F_.T + Q_).numpy())


@pytest.mark.parametrize("method", ["sigma-point", "extended"])
def test_consistency_over_many_tracks(method):
    tracks = 200
    states, seen = simulated(tracks, seed=7)
    ours = filtered(seen, method=method)
    smoothed = smooth(ours)
    bands = {}
    for name, run in (("filter", ours), ("smoother", smoothed)):
        gap = tensor(states) - run.mean
        nees = torch.einsum("kbi,kbij,kbj->kb", gap, torch.linalg.inv(run.covariance), gap)
        # chi-squared with four degrees of freedom: the mean over independent tracks, at every time
        bands[name] = nees.mean(1)
        assert bands[name].mean().item() == pytest.approx(4, abs=0.25)
        # 95 % of single values below 9.488, counted at one time so that the counts are independent
        share = (nees[STEPS // 2] < 9.488).double().mean().item()
        assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / tracks)
    assert bool((bands["filter"] - 4).abs().max() < 4.5 * math.sqrt(8 / tracks))
    assert ours.innovations.mean().item() == pytest.approx(2, abs=0.1)
    # the past learns from the future; the last time has none
    traces = [run.covariance.diagonal(dim1=-2, dim2=-1) for run in (ours, smoothed)]
    assert bool((traces[1][:-1] < traces[0][:-1]).all())
    close(smoothed.mean[-1], ours.mean[-1].numpy())
    errors = [(run.mean - tensor(states))[:-1].norm(dim=-1).mean().item() for run in (ours, smoothed)]
    assert errors[1] < 0.9 * errors[0]
