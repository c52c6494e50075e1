"""StEFCal: gains that were put in come out, noise with its law, and a fixed point of the normal equations."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.radio.visibilities import Visibilities
from retrodict.solvers.radio.stefcal import stefcal


def case(antennas=7, slots=4, seed=0, noise=0.0, spread=0.3, phase_only=False):
    """Return a table, its model, and the gains that lie between them, the reference's real."""
    rng = np.random.default_rng(seed)
    pairs = np.array(list(combinations(range(antennas), 2)))
    first, second = np.tile(pairs, (slots, 1)).T
    n = first.size
    slot = np.repeat(np.arange(slots), len(pairs))
    gains = np.exp(spread * rng.normal(size=(slots, antennas)) * (not phase_only))
    gains = gains * np.exp(1j * rng.normal(size=(slots, antennas)))
    gains *= np.exp(-1j * np.angle(gains[:, :1]))
    model = 1 + 0.3 * (rng.normal(size=n) + 1j * rng.normal(size=n))
    data = gains[slot, first] * gains[slot, second].conj() * model
    data = data + noise * (rng.normal(size=n) + 1j * rng.normal(size=n))
    weight = rng.uniform(0.5, 2, n) if noise == 0 else np.full(n, noise**-2)
    vis = Visibilities(np.ones((n, 3)), np.ones(n), 10.0 * slot, first, second, data, weight, np.zeros(n, bool))
    return vis, model, gains


def test_gains_come_back_in_every_interval():
    vis, model, gains = case()
    found = stefcal(vis, model, tolerance=1e-12)
    assert found.converged.all()
    assert np.abs(found.gains - gains).max() < 1e-9
    assert np.abs(found.corrected(vis, vis.slots[0]).data - model).max() < 1e-8


def test_phases_alone_and_another_reference():
    vis, model, gains = case(phase_only=True)
    found = stefcal(vis, model, phase_only=True, reference=3, tolerance=1e-12)
    assert np.abs(np.abs(found.gains) - 1).max() < 1e-12
    assert np.abs(found.gains - gains * np.exp(-1j * np.angle(gains[:, 3:4]))).max() < 1e-9


def test_a_fixed_point_satisfies_the_normal_equations():
    vis, model, _ = case(noise=0.05)
    g = stefcal(vis, model, tolerance=1e-13).gains[vis.slots[0]]
    at = np.arange(vis.rows)
    g1, g2 = g[at, vis.antenna1], g[at, vis.antenna2]
    residual = vis.data - g1 * g2.conj() * model
    for slot in range(4):
        for antenna in range(7):
            as_first = (vis.slots[0] == slot) & (vis.antenna1 == antenna)
            as_second = (vis.slots[0] == slot) & (vis.antenna2 == antenna)
            force = np.sum((vis.weight * residual * (model * g2.conj()).conj())[as_first])
            force += np.sum((vis.weight * residual.conj() * (g1 * model))[as_second])
            scale = np.sum((vis.weight * np.abs(model * vis.data))[as_first | as_second])
            assert abs(force) < 1e-10 * scale


def test_errors_have_the_covariance_of_least_squares_and_shrink_with_more_samples():
    errors = []
    for slots in (4, 64):
        vis, model, _ = case(slots=slots, noise=0.05, spread=0.0, phase_only=True, seed=2)
        rng = np.random.default_rng(9)
        vis = replace(vis, data=model + 0.05 * (rng.normal(size=vis.rows) + 1j * rng.normal(size=vis.rows)))
        found = stefcal(vis, model, np.zeros(vis.rows, np.int64))
        errors.append(np.sqrt(np.mean(np.abs(found.gains - 1) ** 2)))
    # sixteen times the samples, a quarter of the error; 13 real unknowns, so a fifth of uncertainty each
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.6)
    assert errors[1] == pytest.approx(0.05 * np.sqrt(2 / (6 * 64 * 1.18)), rel=0.6)


def test_flags_do_not_take_part_and_a_receptor_without_baselines_is_named():
    vis, model, gains = case()
    bad = (vis.slots[0] == 1) & ((vis.antenna1 == 5) | (vis.antenna2 == 5))
    found = stefcal(replace(vis, data=np.where(bad, 1e6, vis.data), flag=bad), model, tolerance=1e-12)
    assert found.unconstrained(vis) == {1: ("5",)}
    assert found.gains[1, 5] == 1
    seen = found.constrained
    assert np.abs(found.gains - gains)[seen].max() < 1e-9


def test_a_strong_prior_holds_amplitudes_and_a_weak_one_does_not():
    vis, model, _ = case(noise=0.01)
    held, free = (stefcal(vis, model, prior=p).gains for p in (1e-6, 1e6))
    assert np.abs(np.abs(held) - 1).max() < 1e-3
    assert np.abs(free - stefcal(vis, model).gains).max() < 1e-6


def test_an_interval_that_does_not_converge_says_so():
    vis, model, _ = case()
    assert not stefcal(vis, model, max_steps=2).converged.any()


def test_wrong_input_is_named():
    vis, model, _ = case()
    with pytest.raises(DataError, match="model"):
        stefcal(vis, model[1:])
    with pytest.raises(DataError, match="reference"):
        stefcal(vis, model, reference=7)
    with pytest.raises(DataError, match="prior"):
        stefcal(vis, model, prior=0.0)
    with pytest.raises(DataError, match="not finite"):
        stefcal(vis, np.full(vis.rows, np.nan + 0j))
    with pytest.raises(DataError, match="interval 9"):
        stefcal(vis, model).factors(vis, np.full(vis.rows, 9))
