"""The equation as a row of finite weight, with frozen features and with a trained network."""

import numpy as np
import pytest

from retrodict.inverse.pde.all_at_once import AllAtOnce, marginal_problem
from retrodict.inverse.pde.coefficients import coefficient_problem
from retrodict.inverse.pde.inference import infer
from retrodict.inverse.pde.relaxation import relaxed
from retrodict.inverse.posterior import posterior
from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.pde.reaction import reaction
from retrodict.solvers.iterate import iterate
from retrodict.solvers.least_squares import LevenbergMarquardt
from retrodict.solvers.pinn.sampling import Sampling


@pytest.fixture(scope="module")
def found(stream, solver, stream_samples):
    bounds = {"c": (0.0, 70.0), "nu": (0.0, 1.0)}
    samples = stream_samples(2, 27.0, 0.03)
    start = {"c": 26.9, "nu": 0.02}
    return infer(coefficient_problem(stream, samples, ["c", "nu"], expansion=solver, bounds=bounds, start=start))


def test_the_weight_does_not_matter_over_two_decades(found):
    centre, std = (found.posterior[k].values for k in ("estimate", "std"))
    for weight in (1e-4, 1e-5, 1e-6):
        estimate, spread = relaxed(found.problem, found.estimate, weight)
        assert np.all(np.abs(estimate - centre) < 0.1 * std), weight
        assert np.all(np.abs(spread / std - 1) < 0.02), weight


def test_a_loose_equation_leaves_less_to_know(found):
    _, spread = relaxed(found.problem, found.estimate, 1e-2)
    assert np.all(spread > 3 * found.posterior["std"].values)
    with pytest.raises(SolverError, match="equation_std"):
        relaxed(found.problem, found.estimate, 0.0)


def test_jacobian_against_differences(stream, stream_samples, bump_torch):
    samples = stream_samples(0, 5.0, 0.05, count=7)
    for system, unknown in ((stream, ["nu", "c"]), (reaction(2.0, 0.1, initial=bump_torch), ["rho", "nu"])):
        joint = AllAtOnce(system, samples, unknown, width=5, depth=2, equation_std=0.1, sampling=Sampling(12, 4))
        x = joint.space.pack(joint.start)
        r, jacobian = joint.jacobian(joint.start)
        assert np.isclose(joint.value(joint.start), 0.5 * r @ r)
        assert np.allclose(joint.space.pack(joint.gradient(joint.start)), jacobian.T @ r)
        for j in (0, 7, len(x) - 3, len(x) - 2, len(x) - 1):
            h = 1e-5 * max(1.0, abs(x[j]))
            rows = []
            for s in (h, -h):
                moved = x.copy()
                moved[j] += s
                rows.append(joint.jacobian(joint.space.unpack(moved))[0])
            assert np.allclose((rows[0] - rows[1]) / (2 * h), jacobian[:, j], rtol=1e-5, atol=1e-5), j


def test_a_trained_network_finds_the_same_posterior(found, stream, stream_samples):
    samples, start = stream_samples(2, 27.0, 0.03), {"c": 26.9, "nu": 0.02}
    sampling = Sampling(400, 40, grading=1.5)
    joint = AllAtOnce(
        stream, samples, ["c", "nu"], start=start, width=40, depth=1, equation_std=1e-4, sampling=sampling
    )
    result = iterate(LevenbergMarquardt(joint, damping=1.0, factorisation="cholesky"), 130)
    at = joint.space.from_dataset(result.data)
    marginal = marginal_problem(joint, at)
    post, std = posterior(marginal, marginal.start), found.posterior["std"].values
    assert np.all(np.abs(post["estimate"].values - found.posterior["estimate"].values) < 0.3 * std)
    assert np.all(np.abs(post["std"].values / std - 1) < 0.1)


def test_what_cannot_be_posed_is_refused(stream, stream_samples):
    samples = stream_samples(0, 5.0, 0.05, count=7)
    with pytest.raises(SpaceError, match="coefficients among"):
        AllAtOnce(stream, samples, ["rho"])
    with pytest.raises(SolverError, match="equation_std"):
        AllAtOnce(stream, samples, ["c"], equation_std=0.0)
