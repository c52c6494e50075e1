"""Whether the equation acts as a constraint: the same problem with the equation as a row of finite weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from retrodict.inverse.pde.coefficients import field_model, model_values
from retrodict.inverse.pde.forward import INITIAL
from retrodict.inverse.pde.pointwise import pointwise
from retrodict.inverse.problem import InverseProblem
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Tree
from retrodict.physics.system import key

__all__ = ["relaxed"]

Floats = NDArray[np.float64]


def relaxed(problem: InverseProblem, at: Tree, equation_std: float) -> tuple[Floats, Floats]:
    """Return estimate and standard deviations where the equation may be missed.

    All weights of the solution are unknown beside the coefficients, the equation counts among the data, and the weights
    are marginalised by an orthogonal projection of the joint Jacobian. As ``equation_std`` falls both must settle at
    those of the constrained problem; from there on the weight of the equation does not matter.

    Parameters
    ----------
    problem : InverseProblem
        Of `retrodict.inverse.pde.coefficients.coefficient_problem`, without a prior.
    at : Tree
        Its minimiser, from which one Gauss-Newton step of the relaxed problem is taken.
    equation_std : float
        Root mean square of the residual that costs as much as one sample off by one standard deviation.

    Returns
    -------
    tuple of ndarray
        Estimate and standard deviations, each of shape (n,), as ``problem.space.labels()``.

    Raises
    ------
    SolverError
        If the number is not positive.

    Examples
    --------
    >>> from retrodict.inverse.pde.expansion import Expansion
    >>> from retrodict.inverse.pde.coefficients import coefficient_problem
    >>> from retrodict.inverse.pde.samples import Samples
    >>> from retrodict.physics.pde.convection import convection
    >>> x, t = np.linspace(0, 6, 50), np.linspace(0, 1, 50) ** 2
    >>> seen = Samples(x, t, np.exp(-0.1 * t) * np.sin(x - 2 * t), 0.01)
    >>> system = convection(2.0, 0.1)
    >>> problem = coefficient_problem(system, seen, ["c", "nu"], expansion=Expansion(system, 120))
    >>> strict, strong = (relaxed(problem, problem.start, s)[1] for s in (1e-5, 1e-4))
    >>> bool(np.allclose(strict, strong, rtol=0.01))
    True
    """
    if not 0 < equation_std < np.inf:
        raise SolverError(expected("equation_std", equation_std, "a positive number"))
    model = field_model(problem)
    weights, rest, residual = _joint(problem, at, equation_std)
    norms = np.linalg.norm(weights, axis=0)
    basis = np.linalg.qr(weights / np.where(norms > 0, norms, 1.0)).Q
    # twice, for the first projection leaves rounding of the large rows
    for _ in range(2):
        rest, residual = rest - basis @ (basis.T @ rest), residual - basis @ (basis.T @ residual)
    scale = np.linalg.norm(rest, axis=0)
    q, triangle = np.linalg.qr(rest / scale)
    inverse = linalg.solve_triangular(triangle, np.eye(len(scale))) / scale[:, None]
    assert list(model.domain) == list(problem.space)
    return problem.space.pack(at) - inverse @ (q.T @ residual), np.asarray(np.linalg.norm(inverse, axis=1))


def _joint(problem: InverseProblem, at: Tree, equation_std: float) -> tuple[Floats, Floats, Floats]:
    """Return the joint Jacobian by the solution's weights, by the unknowns, and the residual: equation over data."""
    model = field_model(problem)
    expansion, samples, x = model.expansion, model.samples, model.expansion.coord
    z, a, scalars = model.weights(at), model.initial(at), model.coefficients(at)
    count = len(expansion.keys)
    point = pointwise(expansion.system, expansion.values(z, a), expansion.points, scalars, model.resting)
    factor = 1 / (equation_std * np.sqrt(len(point.residual)))
    equation = factor * np.einsum("kn,knm->nm", point.first[:count], expansion.matrix)
    base, start, matrix = expansion.columns(model.places(at), [key("u"), key("u", x)])
    u, slope = base + start @ a + matrix @ z
    white = 1 / samples.sigma[:, None]
    blocks = []
    for name in problem.space:
        if name == model.stream:
            since = model.system.coords["t"].bounds[0]
            above, below = np.zeros((len(equation), 1)), -((samples.t - since) * slope)[:, None]
        elif name == INITIAL:
            above, below = np.einsum("kn,knl->nl", point.first[:count], expansion.start), start[0]
        else:
            above, below = point.first[count + model.resting.index(name)][:, None], np.zeros((samples.count, 1))
        blocks.append(np.concatenate([factor * above, white * below]))
    gap = (u - model_values(problem)) / samples.sigma
    weights = np.concatenate([equation, white * matrix[0]])
    return weights, np.concatenate(blocks, axis=1), np.concatenate([factor * point.residual, gap])
