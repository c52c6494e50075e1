"""Closure quantities against sums written out, and against gains that they must not see."""

from itertools import combinations

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.radio.closures import closure_amplitudes, closure_phases
from retrodict.physics.radio.visibilities import Visibilities


def table(antennas=6, slots=3, seed=0, missing=()):
    """Random visibilities, some baselines turned round."""
    rng = np.random.default_rng(seed)
    pairs = [p for p in combinations(range(antennas), 2) if p not in missing]
    first, second = np.tile(np.array(pairs), (slots, 1)).T
    turned = rng.random(first.size) < 0.3
    first, second = np.where(turned, second, first), np.where(turned, first, second)
    n = first.size
    data = rng.normal(size=n) + 1j * rng.normal(size=n) + 3 * np.exp(1j * rng.uniform(-3, 3, n))
    time = np.repeat(np.arange(slots) * 10.0, len(pairs))
    weight = rng.uniform(1e3, 1e4, n)
    return Visibilities(rng.normal(size=(n, 3)), np.full(n, 1e9), time, first, second, data, weight, np.zeros(n, bool))


def lookup(vis, data, slot, a, b):
    at = np.flatnonzero(vis.slots[0] == slot)
    for r in at:
        if (vis.antenna1[r], vis.antenna2[r]) == (a, b):
            return data[r]
        if (vis.antenna1[r], vis.antenna2[r]) == (b, a):
            return np.conj(data[r])
    raise KeyError((a, b))


def gained(vis, seed=1):
    rng = np.random.default_rng(seed)
    shape = (vis.slots[1].size, len(vis.antennas))
    g = rng.uniform(0.2, 5, shape) * np.exp(1j * rng.uniform(-np.pi, np.pi, shape))
    slot = vis.slots[0]
    return vis.data * g[slot, vis.antenna1] * g[slot, vis.antenna2].conj()


def test_values_are_those_of_the_bispectrum_and_of_the_ratio_written_out():
    vis = table()
    phases, amplitudes = closure_phases(vis, minimal=False), closure_amplitudes(vis, minimal=False)
    assert phases.count == 3 * 20
    assert amplitudes.count == 3 * 3 * 15
    slot = vis.slots[0]
    for closure, value in zip(range(phases.count), phases.values(vis.data), strict=True):
        a, b, c = phases.antennas[closure]
        s = slot[phases.rows[closure, 0]]
        product = lookup(vis, vis.data, s, a, b) * lookup(vis, vis.data, s, b, c) * lookup(vis, vis.data, s, c, a)
        assert abs(np.exp(1j * value) - product / abs(product)) < 1e-12
    for closure, value in zip(range(amplitudes.count), amplitudes.values(vis.data), strict=True):
        a, b, c, d = amplitudes.antennas[closure]
        s = slot[amplitudes.rows[closure, 0]]
        ab, cd, ac, bd = (abs(lookup(vis, vis.data, s, *e)) for e in ((a, b), (c, d), (a, c), (b, d)))
        assert value == pytest.approx(np.log(ab * cd / (ac * bd)), abs=1e-12)


def test_no_gain_of_a_station_changes_them():
    vis = table()
    for closures in (closure_phases(vis), closure_amplitudes(vis), closure_phases(vis, minimal=False)):
        gap = closures.values(gained(vis)) - closures.values(vis.data)
        assert np.abs(np.exp(1j * gap) - 1 if closures.kind == "phase" else gap).max() < 1e-10


@pytest.mark.parametrize("missing", [(), ((0, 1), (2, 4))])
def test_a_minimal_set_is_independent_and_spans_all_others(missing):
    vis = table(slots=1, missing=missing)
    for build in (closure_phases, closure_amplitudes):
        some, every = build(vis).matrix.toarray(), build(vis, minimal=False).matrix.toarray()
        assert np.linalg.matrix_rank(some) == len(some) == np.linalg.matrix_rank(every)
        assert np.linalg.matrix_rank(np.vstack([some, every])) == len(some)
    if not missing:
        assert closure_phases(vis).count == 10
        assert closure_amplitudes(vis).count == 9


def test_gradients_are_those_of_finite_differences():
    vis, rng = table(), np.random.default_rng(3)
    for closures in (closure_phases(vis), closure_amplitudes(vis)):
        cotangent = rng.normal(size=closures.count)
        direction = rng.normal(size=vis.rows) + 1j * rng.normal(size=vis.rows)
        h = 1e-6
        gap = closures.values(vis.data + h * direction) - closures.values(vis.data - h * direction)
        slope = cotangent @ np.angle(np.exp(1j * gap)) if closures.kind == "phase" else cotangent @ gap
        gradient = closures.pull_back(vis.data, cotangent)
        assert slope / (2 * h) == pytest.approx(np.vdot(gradient, direction).real, rel=1e-7)


def test_deviations_and_covariance_are_those_of_drawn_noise():
    vis, rng = table(antennas=5, slots=1), np.random.default_rng(4)
    for closures in (closure_phases(vis), closure_amplitudes(vis)):
        draws, chi2 = [], []
        for _ in range(600):
            noise = (rng.normal(size=vis.rows) + 1j * rng.normal(size=vis.rows)) / np.sqrt(vis.weight)
            gap = closures.values(vis.data + noise) - closures.values(vis.data)
            draws.append(np.angle(np.exp(1j * gap)) if closures.kind == "phase" else gap)
            chi2.append(closures.chi_squared(vis.data + noise, vis.data, vis.weight))
        ratio = np.std(draws, axis=0) / closures.deviations(vis.data, vis.weight)
        assert np.abs(ratio - 1).max() < 0.13  # 600 draws: 3 % and the largest of ten
        assert np.mean(chi2) == pytest.approx(closures.count, rel=0.08)


def test_rows_that_cannot_be_used_are_refused():
    vis = table(slots=1)
    with pytest.raises(DataError, match="2 rows that are flagged"):
        closure_phases(vis.with_data(np.where(np.arange(vis.rows) < 2, 0, vis.data)))
    with pytest.raises(DataError, match="twice in a time slot"):
        closure_phases(vis.select(np.r_[0, np.arange(vis.rows)]))
