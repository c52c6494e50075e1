"""Normal equations of all gains: the matrix against the linearised model, and chunks against rows in memory."""

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.physics.radio.streaming import Streamed, slices
from retrodict.solvers.iterate import iterate
from retrodict.solvers.radio import gain_normal
from retrodict.solvers.radio.gain_newton import GainNewton, Prior
from retrodict.solvers.radio.gain_normal import NormalEquations, joined, parted
from retrodict.solvers.radio.gain_tangent import Tangent
from retrodict.solvers.radio.joint import JointSolver

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def normal(small):
    return NormalEquations.of(small.model, small.sky, small.gains)


def test_the_matrix_is_that_of_the_linearised_model(small, normal):
    line = Tangent(small.model, small.sky, small.gains)
    rng = np.random.default_rng(0)
    z = rng.standard_normal(small.gains.shape) + 1j * rng.standard_normal(small.gains.shape)
    through = line.adjoint(small.weight * line.forward(z))
    found = joined(normal.matrix() @ parted(z)).reshape(z.shape)
    assert np.abs(found - through).max() < 1e-11 * np.abs(through).max()
    matrix = normal.matrix()
    assert np.abs(matrix - matrix.T).max() < 1e-15 * np.abs(matrix).max()


def test_value_and_gradient_are_those_of_the_misfit(small, normal):
    def misfit(gains):
        return 0.5 * np.sum(small.weight * np.abs(small.predict(gains) - small.data) ** 2)

    assert normal.value == pytest.approx(misfit(small.gains), rel=1e-12)
    rng = np.random.default_rng(1)
    z = rng.standard_normal(small.gains.shape) + 1j * rng.standard_normal(small.gains.shape)
    at = {k: misfit(small.gains + 0.01 * k * z) for k in (-2, -1, 1, 2)}
    # exact for the quartic that the misfit is
    slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / 0.12
    assert np.real(np.vdot(normal.gradient, z)) == pytest.approx(slope, rel=1e-6)


def test_chunks_take_the_step_that_exact_conjugate_gradients_take(small):
    unit, prior = small.model.kernels.unit(), Prior.about(small.model.kernels.unit(), 0.1)
    exact = GainNewton(small.model, 1e-10, 2000).step(small.sky, unit, prior)
    whole = Streamed(slices(small.model.vis, 700), small.model.grid, size=3, basis="dct", terms=2)
    chunked = GainNewton(whole).step(small.sky, unit, prior)
    assert np.abs(chunked.gains - exact.gains).max() < 1e-7 * np.abs(exact.gains - unit).max()
    assert chunked.after == pytest.approx(exact.after, rel=1e-9)


def test_a_joint_solve_in_chunks_is_that_in_one(small):
    vis, times = small.model.vis, small.model.vis.slots[1]

    def solved(rows):
        parts = [
            Streamed(
                slices(vis, rows),
                small.model.grid,
                size=3,
                basis="dct",
                terms=2,
                keep=lambda t, out=out: (np.searchsorted(times, t) % 6 == 3) == out,
            )
            for out in (False, True)
        ]
        return iterate(JointSolver(*parts), 4).data

    one, many = solved(10**9), solved(800)
    for name in one:
        np.testing.assert_allclose(many[name], one[name], atol=1e-10 * float(np.abs(one[name]).max()))


def test_more_unknowns_than_a_matrix_holds_are_refused(small, monkeypatch):
    monkeypatch.setattr(gain_normal, "LARGEST", 100)
    with pytest.raises(SolverError, match="972 real unknowns"):
        NormalEquations.of(small.model, small.sky, small.gains)
