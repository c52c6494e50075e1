"""A forecast from a Gaussian state of six against a simulation that shares nothing with it but the equations."""

import math

import pytest
import torch

from retrodict.physics.motion.forecast import forecast, relaxing_path
from retrodict.physics.motion.gaussian_path import accelerated_path
from retrodict.physics.motion.inputs import Autoregressive, Inputs
from retrodict.physics.motion.integrators import rule
from retrodict.physics.motion.state import Start

STD, TAU = (0.9, 0.12), (0.8, 2.0)


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def state(seed, certain=False):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn((6, 6), generator=generator, dtype=torch.float64)
    root = root * values(0.4, 0.4, 0.08, 0.5, 0.4, 0.06)[:, None]
    return values(20, -5, 0.6, 8, 0.7, 0.15), (0.0 if certain else 1.0) * root @ root.T


def simulate(mean, covariance, steps, dt, integrator, lever, draws=2**12):
    """Positions by drawing the start and letting both inputs relax, step by step."""
    engine = torch.quasirandom.SobolEngine(6 + 2 * steps, scramble=True, seed=3)
    normal = torch.special.ndtri(engine.draw(draws, dtype=torch.float64).clamp(1e-12, 1 - 1e-12))
    values_, vectors = torch.linalg.eigh(covariance)
    now = mean + normal[:, :6] @ (vectors * values_.clamp(min=0).sqrt()).T
    x, y, heading, v, a, w = now.unbind(-1)
    first = heading
    out = []
    for t in range(steps):
        for i in (0, 1):
            keep = math.exp(-dt / TAU[i])
            kick = STD[i] * math.sqrt(1 - keep**2) * normal[:, 6 + 2 * t + i]
            if i == 0:
                a = keep * a + kick
            else:
                w = keep * w + kick
        substeps = 1 if integrator != "hold" else 4
        h = dt / substeps
        for _ in range(substeps):
            half = 0.0 if integrator == "euler" else 0.5 * h
            speed, angle = v + half * a, heading + half * w
            x, y = x + h * speed * torch.cos(angle), y + h * speed * torch.sin(angle)
            heading, v = heading + h * w, v + h * a
        ahead = torch.stack([torch.cos(heading) - torch.cos(first), torch.sin(heading) - torch.sin(first)], -1)
        out.append(torch.stack([x, y], -1) + lever * ahead)
    paths = torch.stack(out, 1)
    return paths.mean(0), torch.stack([torch.cov(p.T) for p in paths.unbind(1)]), paths.std(0) / draws**0.5


@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize(("integrator", "lever"), [("euler", 0.0), ("midpoint", 0.0), ("midpoint", 1.4), ("hold", 1.4)])
def test_forecast_against_simulation(integrator, lever, certain):
    mean, covariance = state(1, certain)
    sampled, spread, error = simulate(mean, covariance, 20, 0.2, integrator, lever)
    ours = forecast(mean, covariance, values(*STD), values(*TAU), 20, 0.2, integrator=integrator, lever=lever)
    assert bool(((ours.mean - sampled).abs() <= error + 1e-12).all())
    size = torch.linalg.matrix_norm(spread)
    assert bool((torch.linalg.matrix_norm(ours.covariance - spread) <= 0.01 * size + 1e-9).all())
    linear = forecast(
        mean, covariance, values(*STD), values(*TAU), 20, 0.2, integrator=integrator, lever=lever, exact=False
    )
    assert torch.linalg.matrix_norm(linear.covariance - spread)[-1].item() > 0.012 * size[-1].item()


def test_a_certain_present_is_the_autoregressive_law_with_a_known_start():
    mean, covariance = state(2, certain=True)
    dt = torch.full((12,), 0.1, dtype=torch.float64)
    elapsed = torch.cumsum(dt, 0)
    path = torch.stack([mean[4 + i] * torch.exp(-elapsed / TAU[i]) for i in (0, 1)], -1)
    law = Autoregressive(values(*STD), values(*TAU), known_start=True)
    known = accelerated_path(Start(mean[:4]), Inputs(path, law), dt, rule("midpoint"))
    ours = relaxing_path(mean, covariance, values(*STD), values(*TAU), dt)
    for name in ("m", "n", "V", "H", "C", "H_end", "C_end"):
        torch.testing.assert_close(getattr(ours, name), getattr(known, name), rtol=1e-12, atol=1e-14)


def test_batches_of_states():
    means, covariances = zip(*(state(seed) for seed in range(3)), strict=True)
    together = forecast(torch.stack(means), torch.stack(covariances), values(*STD), values(*TAU), 6, 0.2, lever=1.0)
    for i in range(3):
        alone = forecast(means[i], covariances[i], values(*STD), values(*TAU), 6, 0.2, lever=1.0)
        torch.testing.assert_close(together.mean[i], alone.mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(together.covariance[i], alone.covariance, rtol=1e-12, atol=1e-12)
