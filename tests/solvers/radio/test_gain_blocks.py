"""Calibration antenna by antenna: normal equations, step lengths, descent."""

import numpy as np
import pytest

from retrodict.solvers.radio.gain_blocks import GainBlocks, Quadratic
from retrodict.solvers.radio.gain_newton import Tangent

pytestmark = pytest.mark.slow


def misfit(scene, gains):
    return 0.5 * float(np.sum(scene.weight * np.abs(scene.predict(gains) - scene.data) ** 2))


def test_the_quadratic_of_an_antenna_is_the_misfit_as_its_gains_move(small):
    blocks, model = GainBlocks(small.model), small.model
    start = model.kernels.unit()
    at = model.kernels.at(start, model.times)
    rng = np.random.default_rng(1)
    for receptor in (0, 13, 26):
        found = blocks.quadratic(receptor, model.cube(small.sky), at, small.data, small.weight)
        moved = start.copy()
        moved[receptor] += 0.1 * (rng.standard_normal(start.shape[1:]) + 1j * rng.standard_normal(start.shape[1:]))
        change = found.value(moved[receptor].ravel()) - found.value(start[receptor].ravel())
        assert abs(change - (misfit(small, moved) - misfit(small, start))) < 1e-9 * misfit(small, start)


def test_the_normal_matrices_are_the_blocks_of_the_tangent(small):
    blocks, model = GainBlocks(small.model), small.model
    cube, gains = model.cube(small.sky), small.gains
    tangent = Tangent(model, small.sky, gains).blocks()
    at = model.kernels.at(gains, model.times)
    for receptor in (0, 26):
        gram = blocks.quadratic(receptor, cube, at, small.data, small.weight).gram
        assert np.abs(gram - tangent[receptor]).max() < 1e-12 * np.abs(gram).max()
        assert (
            np.abs(gram - gram.conj().T).max() == 0 or np.abs(gram - gram.conj().T).max() < 1e-12 * np.abs(gram).max()
        )


def test_gradient_steps_below_two_over_the_largest_eigenvalue_descend_and_longer_ones_do_not():
    rng = np.random.default_rng(2)
    a = rng.standard_normal((30, 12)) + 1j * rng.standard_normal((30, 12))
    block = Quadratic(a.conj().T @ a, a.conj().T @ rng.standard_normal(30))
    largest = block.largest()
    assert abs(largest - np.linalg.eigvalsh(block.gram)[-1]) < 1e-10 * largest
    top = np.linalg.eigh(block.gram)[1][:, -1]
    for factor, descends in ((1.9, True), (2.5, False)):
        u = block.minimiser(np.zeros(12), np.zeros(12)) + top
        values = [block.value(u)]
        for _ in range(10):
            u = u - factor / largest * block.gradient(u)
            values.append(block.value(u))
        assert (np.diff(values) <= 1e-12 * np.abs(values[:-1])).all() == descends


def test_a_sweep_descends_by_what_it_says(small):
    blocks, model = GainBlocks(small.model), small.model
    unit = model.kernels.unit()
    precision = np.full(unit.shape, 1 / 0.05**2)
    gains, cube = unit, model.cube(small.sky)
    for _ in range(3):
        before = misfit(small, gains) + 0.5 * np.sum(precision * np.abs(gains - unit) ** 2)
        gains, fell = blocks.sweep(cube, gains, small.data, small.weight, precision, unit)
        after = misfit(small, gains) + 0.5 * np.sum(precision * np.abs(gains - unit) ** 2)
        assert fell > 0
        assert abs(before - after - fell) < 1e-9 * before


def test_an_antenna_without_rows_is_not_constrained(small):
    from retrodict.physics.radio.interferometer import Interferometer

    vis = small.model.vis
    without = Interferometer(vis.select((vis.antenna1 != 5) & (vis.antenna2 != 5)), small.model.grid, size=1)
    assert np.flatnonzero(~GainBlocks(without).constrained).tolist() == [5]
