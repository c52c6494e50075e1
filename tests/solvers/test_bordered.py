"""A bordered band against the dense matrix that it stands for."""

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.solvers.bordered import BorderedBand


def band(n, m, q, seed=0):
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=(n, m, m)) for _ in range(3)]
    return BorderedBand(*blocks, rng.normal(size=(n, m, q)), rng.normal(size=(q, n, m)), rng.normal(size=(q, q)))


def dense(matrix):
    n, m, _ = matrix.diagonal.shape
    q = matrix.corner.shape[0]
    full = np.zeros((n * m + q, n * m + q))
    for i in range(n):
        rows = slice(i * m, (i + 1) * m)
        full[rows, rows] = matrix.diagonal[i]
        if i:
            full[rows, (i - 1) * m : i * m] = matrix.lower[i]
        if i < n - 1:
            full[rows, (i + 1) * m : (i + 2) * m] = matrix.upper[i]
    full[: n * m, n * m :] = matrix.columns.reshape(n * m, q)
    full[n * m :, : n * m] = matrix.rows.reshape(q, n * m)
    full[n * m :, n * m :] = matrix.corner
    return full


@pytest.mark.parametrize(("n", "m", "q"), [(3, 1, 0), (3, 1, 1), (7, 4, 0), (7, 4, 1), (9, 3, 2)])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_solutions_of_both_systems_equal_the_dense_ones(n, m, q, columns):
    matrix = band(n, m, q)
    rng = np.random.default_rng(1)
    right, scalars = rng.normal(size=(n, m, *columns)), rng.normal(size=(q, *columns))
    stacked = np.concatenate([right.reshape(n * m, *columns), scalars])
    factors, full = matrix.factor(), dense(matrix)
    for solve, product, of in (
        (factors.solve, matrix.apply, full),
        (factors.solve_transposed, matrix.apply_transposed, full.T),
    ):
        dU, dz = solve(right, scalars, corrections=1)
        wanted = np.linalg.solve(of, stacked)
        np.testing.assert_allclose(np.concatenate([dU.reshape(n * m, *columns), dz]), wanted, rtol=1e-9)
        back = product(dU, dz)
        np.testing.assert_allclose(np.concatenate([back[0].reshape(n * m, *columns), back[1]]), stacked, atol=1e-11)


def test_corrections_recover_digits_that_a_bad_band_loses():
    """The border makes the whole regular where the band alone is nearly singular."""
    matrix = band(20, 2, 1)
    singular = matrix.diagonal.copy()
    singular[0] *= 1e-9
    matrix = BorderedBand(matrix.lower, singular, matrix.upper * 1e-9, matrix.columns, matrix.rows, matrix.corner)
    truth = np.random.default_rng(2).normal(size=41)
    right = dense(matrix) @ truth
    errors = []
    for corrections in (0, 2):
        dU, dz = matrix.factor().solve(right[:40].reshape(20, 2), right[40:], corrections=corrections)
        back = matrix.apply(dU, dz)
        errors.append(np.abs(np.concatenate([back[0].ravel(), back[1]]) - right).max())
    assert errors[1] <= errors[0]
    assert errors[1] < 1e-12 * np.abs(right).max()


def test_mass_is_added_to_the_diagonal_alone():
    matrix = band(4, 3, 1)
    mass = np.arange(12.0).reshape(4, 3)
    wanted = dense(matrix) + np.diag(np.append(mass.ravel(), 0.0))
    np.testing.assert_array_equal(dense(matrix.shifted(mass)), wanted)


def test_singular_matrices_and_wrong_shapes_are_told():
    matrix = band(4, 2, 0)
    zero = np.zeros_like(matrix.diagonal)
    with pytest.raises(np.linalg.LinAlgError, match="singular at node 0"):
        BorderedBand(zero, zero, zero, matrix.columns, matrix.rows, matrix.corner).factor()
    with pytest.raises(SolverError, match=r"BorderedBand: .*got|BorderedBand"):
        BorderedBand(matrix.lower[1:], matrix.diagonal, matrix.upper, matrix.columns, matrix.rows, matrix.corner)
