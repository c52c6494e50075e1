"""Spectra against dense matrices; products with the Hessian against finite differences and nested differentiation."""

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers
from retrodict.physics.pde.convection import convection
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.solvers.pinn.diagnosis import diagnose, field_error
from retrodict.solvers.pinn.hessian import dense_hessian, hessian_product, hutchinson_trace, lanczos, plain_loss
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.parts import equation_part
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.spectrum import TangentSpectrum, tangent_spectrum
from retrodict.solvers.pinn.trial import Trial, separate_networks
from retrodict.solvers.pinn.windows import Piece, Window

SYSTEMS = {
    "convection": convection(10.0),
    "burgers": burgers(0.05, c=3.0),
    "labels": Lagrangian(burgers(0.05, c=3.0)),
}


@pytest.fixture(scope="module", params=list(SYSTEMS))
def problem(request):
    system = SYSTEMS[request.param]
    trial, rng = Trial(system, separate_networks(system, 3, 1)), np.random.default_rng(5)
    points = Sampling(24, 6).draw(system.coords, rng)
    weights = trial.draw(rng)
    importance = rng.uniform(0.5, 2, len(points["t"]))
    part = equation_part(trial, points, points=importance, scales={"burgers": 0.7})
    return ResidualLoss(trial, [part], weights), weights


def test_spectrum_is_that_of_both_matrices(problem):
    loss, weights = problem
    r, jacobian = loss.jacobian(loss.start)
    found = tangent_spectrum(loss, weights)
    for matrix in (jacobian @ jacobian.T, jacobian.T @ jacobian):
        dense = np.linalg.eigvalsh(matrix)[::-1][: len(found.eigenvalues)]
        np.testing.assert_allclose(found.eigenvalues, dense, rtol=0, atol=1e-13 * dense[0])
    assert found.energy.sum() + found.unreachable == pytest.approx(1, abs=1e-12)
    best = np.linalg.lstsq(jacobian, r, rcond=None)[0]
    gap = r - jacobian @ best
    assert found.unreachable == pytest.approx(gap @ gap / (r @ r), abs=1e-9)


def test_gradient_descent_is_foretold(problem):
    loss, weights = problem
    r, jacobian = loss.jacobian(loss.start)
    found, first = tangent_spectrum(loss, weights), r @ r
    for step in range(1, 6):
        r = r - jacobian @ (jacobian.T @ r) / found.eigenvalues[0]
        assert found.descent(np.array([step]))[0] == pytest.approx(r @ r / first, rel=1e-11)


def test_numbers_of_a_known_spectrum():
    found = TangentSpectrum(np.array([1.0, 0.5, 1e-3, 1e-18]), np.array([0.6, 0.1, 0.25, 0.0]), 0.05)
    assert found.rank == 3
    assert found.condition == pytest.approx(1e3)
    assert [found.effective_condition(q) for q in (0.5, 0.65, 0.9)] == pytest.approx([1.0, 2.0, 1e3])
    assert found.effective_condition(0.99) == pytest.approx(1 / (4 * np.finfo(float).eps))
    assert found.effective_rank == pytest.approx(1.501**2 / 1.250001)
    assert found.descent(np.array([0.0, 1e9])) == pytest.approx([1.0, 0.05])


def test_plain_loss_is_the_loss_and_its_gradient(problem):
    loss, weights = problem
    w = torch.tensor(weights, requires_grad=True)
    value = plain_loss(loss, w)
    assert value.item() == pytest.approx(loss.value(loss.start), rel=1e-13)
    (slope,) = torch.autograd.grad(value, w)
    np.testing.assert_allclose(slope.numpy(), loss.gradient(loss.start)["weights"], rtol=1e-10, atol=1e-12)


def test_products_agree_with_the_dense_hessian(problem):
    loss, weights = problem
    dense = dense_hessian(loss, weights)
    # another way to the same matrix: differences of gradients that jets gave
    h, rows = 1e-5, []
    for e in np.eye(len(weights)):
        up, down = (loss.gradient({"weights": weights + s * h * e})["weights"] for s in (1, -1))
        rows.append((up - down) / (2 * h))
    scale = np.abs(dense).max()
    np.testing.assert_allclose(dense, np.stack(rows), rtol=0, atol=1e-7 * scale)
    v = np.random.default_rng(1).standard_normal(len(weights))
    product = hessian_product(loss, weights)
    np.testing.assert_allclose(product(v), dense @ v, rtol=0, atol=1e-9 * np.abs(dense @ v).max())
    np.testing.assert_allclose(product(1e-6 * v), 1e-6 * dense @ v, rtol=0, atol=1e-14 * scale)
    assert not product(np.zeros_like(v)).any()


def test_at_a_perfect_fit_the_hessian_is_gauss_newton():
    trial = Trial(convection(0.0), separate_networks(convection(0.0), 3, 1))
    weights = trial.draw(np.random.default_rng(0))
    weights[-4:] = 0.0  # u stays sin x, which is the solution
    points = Sampling(24, 0).draw(trial.system.coords, np.random.default_rng(0))
    loss = ResidualLoss(trial, [equation_part(trial, points)], weights)
    _, jacobian = loss.jacobian(loss.start)
    assert loss.value(loss.start) < 1e-30
    np.testing.assert_allclose(dense_hessian(loss, weights), jacobian.T @ jacobian, rtol=0, atol=1e-12)


def test_leading_pairs_and_trace(problem):
    loss, weights = problem
    dense = dense_hessian(loss, weights)
    values = np.linalg.eigvalsh(dense)
    found = lanczos(hessian_product(loss, weights), len(weights), 3, np.random.default_rng(0))
    np.testing.assert_allclose(found.values, values[:-4:-1], rtol=1e-8)
    assert found.smallest == pytest.approx(values[0], abs=1e-8 * values[-1])
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(dense @ found.vectors, found.vectors * found.values, atol=1e-7 * values[-1])
    trace = hutchinson_trace(lambda v: dense @ v, len(weights), 400, np.random.default_rng(0))
    assert abs(trace.value - np.trace(dense)) < 4 * trace.standard_error
    off = dense - np.diag(np.diag(dense))
    assert trace.standard_error == pytest.approx(np.sqrt(2 * np.sum(off**2) / 400), rel=0.25)


def test_few_steps_bound_their_errors():
    values = np.linspace(0, 1, 200) ** 8
    found = lanczos(lambda v: values * v, 200, 5, np.random.default_rng(0), steps=12)
    for value, error in zip(found.values, found.residuals, strict=True):
        assert np.abs(values - value).min() <= error + 1e-14
    assert found.residuals[-1] > 1e-8
    assert found.smallest >= 0


def test_an_invariant_subspace_ends_the_search():
    found = lanczos(lambda v: 2.0 * v, 50, 3, np.random.default_rng(0))
    assert found.values == pytest.approx([2.0])
    assert found.residuals == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda loss, w: hessian_product(loss, w, method="guess"), "'difference' or 'nested'"),
        (lambda *_: hutchinson_trace(lambda v: v, 3, 1, np.random.default_rng(0)), "at least two"),
        (lambda *_: diagnose(object()), "quasi-linear"),
    ],
)
def test_refusals(problem, call, words):
    with pytest.raises(SolverError, match=words):
        call(*problem)


def test_unknown_coefficients_are_refused():
    trial = Trial(convection(2.0), separate_networks(convection(2.0), 2, 1))
    points = Sampling(8, 0).draw(trial.system.coords, np.random.default_rng(0))
    loss = ResidualLoss(trial, [equation_part(trial, points)], np.zeros(trial.size), unknown={"c": 1.0})
    with pytest.raises(SolverError, match="unknowns"):
        plain_loss(loss, torch.zeros(trial.size))


def test_conditions_worsen_with_speed_and_widths_do_not():
    space = []
    for c in (1.0, 30.0):
        trial = Trial(convection(c), separate_networks(convection(c), 8, 2))
        piece = Piece(trial, trial.draw(np.random.default_rng(0)))
        space.append(diagnose(piece, start=piece.weights, snapshots=(64, 33), grid=5, products=10))
    assert [d["modes_needed"].sel(set="space").values.tolist() for d in space] == [[2, 2, 2]] * 2
    slow, fast = (float(d["effective_condition"].sel(when="start", share=0.9)) for d in space)
    assert fast > 1e3 * slow


def test_a_diagnosis_falls_back_on_the_networks_own_fields():
    system = Lagrangian(burgers(0.1, c=2.0))
    unknown = Lagrangian(
        type(system.base)("unheard of", system.coords, system.base.initial, velocity=system.base.velocity)
    )
    trial = Trial(Window(unknown, 0.0, 0.5), separate_networks(unknown, 3, 1))
    data = diagnose(Piece(trial, np.zeros(trial.size)), snapshots=(16, 8), grid=5, products=10)
    assert (data.attrs["snapshots"], data.attrs["frame"]) == ("network", "labels")
    # the ansatz alone is the inviscid solution: one mode each
    assert data["modes_needed"].sel(bar=1e-6).values.tolist() == [1, 1]
    assert diagnose(unknown.base).attrs["snapshots"] == "none"


def test_error_on_labels_is_that_of_the_field_in_space():
    system = Lagrangian(burgers(0.0, c=7.0))
    trial = Trial(Window(system, 0.0, 0.5), separate_networks(system, 3, 1))
    assert field_error(Piece(trial, np.zeros(trial.size))) < 1e-8  # inviscid: exact for zero weights
    still = Trial(Lagrangian(type(system.base)("other", system.coords, system.base.initial)), trial.networks)
    with pytest.raises(SolverError, match="with a solution"):
        field_error(Piece(still, np.zeros(still.size)))
