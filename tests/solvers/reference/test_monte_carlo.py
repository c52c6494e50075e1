import math

import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.motion.inputs import Autoregressive, Constant, Dense, Inputs, White
from retrodict.physics.motion.state import Start
from retrodict.solvers.reference.monte_carlo import Setting, sample_many, sample_moments, sample_paths


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def walk(law, steps=6):
    return Inputs(values(1.0, -0.5).expand(steps, 2), law)


LAWS = [
    White(values(1.0, 0.3).expand(6, 2)),
    White(values(1.0, 0.3).expand(6, 2), values(0.7).expand(6)),
    Autoregressive(values(1.0, 0.3), values(0.2, 1.0), known_start=True),
    Constant(values(1.0, 0.3), values(-0.6)[0]),
]


@pytest.mark.parametrize("law", LAWS)
def test_sampled_inputs_have_the_covariance_of_their_law(law):
    # with velocities as inputs, differences of the positions are the inputs themselves
    dt = torch.linspace(0.1, 0.3, 6, dtype=torch.float64)
    paths = next(sample_paths("velocity", Start(torch.zeros(4, dtype=torch.float64)), walk(law), dt, 8192))
    moved = torch.diff(paths[..., :2], dim=1, prepend=torch.zeros(8192, 1, 2, dtype=torch.float64)) / dt[:, None]
    torch.testing.assert_close(moved, paths[..., 2:], rtol=1e-12, atol=1e-11)
    first, cross, second = (b.expand(6, 6) for b in law.blocks(dt))
    target = torch.cat([torch.cat([first, cross], 1), torch.cat([cross.T, second], 1)])
    flat = moved.mT.flatten(1)
    torch.testing.assert_close(torch.cov(flat.T), target, rtol=0, atol=0.02)
    torch.testing.assert_close(flat.mean(0), values(1, -0.5).repeat_interleave(6), rtol=0, atol=2e-3)


def test_the_start_is_sampled_with_its_covariance():
    root = torch.randn((4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = Start(values(5, 6, 0.1, 2), root @ root.T)
    still = Inputs(torch.zeros(1, 2, dtype=torch.float64), White(torch.zeros(1, 2, dtype=torch.float64)))
    paths = next(sample_paths("acceleration", start, still, 1e-9, 8192))[:, 0]
    torch.testing.assert_close(torch.cov(paths.T), start.covariance, rtol=0.01, atol=0.01)
    torch.testing.assert_close(paths.mean(0), start.mean, rtol=0, atol=0.01)


def test_moments_are_those_of_the_paths_in_any_chunks():
    start = Start(values(1e5, 0, 0.3, 5), torch.diag(values(0.1, 0.2, 0.01, 0.3)))
    inputs = walk(Autoregressive(values(1.0, 0.3), values(0.5, 1.0)))
    arguments = ("acceleration-yaw-rate", start, inputs, 0.1, 1000)
    paths = torch.cat(list(sample_paths(*arguments, chunk=300, seed=2)))
    assert paths.shape == (1000, 6, 4)
    moments = sample_moments(*arguments, chunk=128, seed=2)
    assert moments.samples == 1000
    torch.testing.assert_close(moments.mean, paths[..., :2].mean(0), rtol=1e-14, atol=1e-9)
    covariance = torch.stack([torch.cov(p.T) for p in paths[..., :2].unbind(1)])
    torch.testing.assert_close(moments.covariance, covariance, rtol=1e-9, atol=1e-9)
    spread = paths[..., :2].std(0) / math.sqrt(1000)
    torch.testing.assert_close(moments.standard_error, spread, rtol=1e-9, atol=1e-12)


def test_many_settings_share_the_points_and_single_precision_suffices():
    start = Start(values(1e6, -1e6, 0.3, 5), torch.diag(values(0.1, 0.2, 0.01, 0.3)))
    settings = [
        Setting("acceleration-yaw-rate", start, walk(law, steps), 0.1, "midpoint", lever=0.7)
        for law, steps in ((LAWS[2], 6), (LAWS[3], 9), (LAWS[0], 6))
    ]
    together = sample_many(settings, 2048, seed=1)
    quick = sample_many(settings, 2048, seed=1, dtype=torch.float32)
    for setting, ours, half in zip(settings, together, quick, strict=True):
        # fewer dimensions are drawn from another sequence: the same law, other points
        alone = sample_many([setting], 2048, seed=1)[0]
        torch.testing.assert_close(ours.mean, alone.mean, rtol=0, atol=0.02)
        torch.testing.assert_close(ours.covariance, alone.covariance, rtol=0.05, atol=0.02)
        torch.testing.assert_close(half.mean, ours.mean, rtol=0, atol=1e-5)
        torch.testing.assert_close(half.covariance, ours.covariance, rtol=1e-4, atol=1e-5)


def test_quasi_random_points_beat_the_error_of_independent_ones():
    inputs = Inputs(torch.zeros(40, 2, dtype=torch.float64), White(values(1.0, 0.2).expand(40, 2)))
    start = Start(values(0, 0, 0.3, 10))
    big = sample_moments("acceleration-yaw-rate", start, inputs, 0.1, 2**15, seed=0)
    for seed in (1, 2, 3):
        small = sample_moments("acceleration-yaw-rate", start, inputs, 0.1, 2**10, seed=seed)
        ratio = (small.mean - big.mean)[1:].abs() / small.standard_error[1:]
        assert ratio.max().item() < 0.3


def test_substeps_leave_a_planar_path_where_it_was():
    inputs = walk(White(values(1.0, 0.3).expand(6, 2)))
    start = Start(values(0, 0, 1, 2))
    whole, divided = (
        sample_moments("acceleration", start, inputs, 0.1, 256, integrator="midpoint", substeps=n) for n in (1, 4)
    )
    torch.testing.assert_close(divided.mean, whole.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(divided.covariance, whole.covariance, rtol=1e-11, atol=1e-12)


def test_a_certain_setting_has_no_spread():
    inputs = walk(Dense(torch.zeros(2, 2, 6, 6, dtype=torch.float64)))
    moments = sample_moments("acceleration-curvature", Start(values(0, 0, 0, 1)), inputs, 0.1, 64)
    assert moments.covariance.abs().max().item() < 1e-20
    assert moments.standard_error.max().item() < 1e-10


def test_refusals():
    inputs = walk(LAWS[0])
    batched = Start(torch.zeros(2, 4))
    with pytest.raises(SolverError, match=r"Setting: got start \(2, 4\), inputs \(6, 2\), expected one start"):
        sample_moments("velocity", batched, inputs, 0.1, 8)
    with pytest.raises(SolverError, match=r"Setting.substeps: got 0, expected a positive number"):
        Setting("velocity", Start(torch.zeros(4)), inputs, 0.1, substeps=0)
    with pytest.raises(SolverError, match=r"samples: got 0 in chunks of 8192, expected positive numbers"):
        next(sample_paths("velocity", Start(torch.zeros(4)), inputs, 0.1, 0))
