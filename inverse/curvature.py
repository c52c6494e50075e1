"""Curvature of a negative log-posterior: its Hessian, or that of the terms of one kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.residuals import places
from retrodict.inverse.terms import Curved, GaussNewton, Misfit, Smooth
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Tree

__all__ = ["Leverage", "curvature", "inverted", "leverage"]

Floats = NDArray[np.float64]

# A direction whose information is below this fraction of the largest (in units of the unknowns' own scales) is
# indistinguishable from a null direction after the rounding of a Jacobian.
_NULL = 1e-11


def curvature(problem: InverseProblem, at: Tree, kind: str | None = None) -> Floats:
    """Return the Hessian of the negative log-posterior, or of the terms of one kind.

    Exact where a term offers it, ``J' J`` for Gauss-Newton terms, and central differences of the exact gradient
    otherwise.

    Parameters
    ----------
    problem : InverseProblem
        The terms.
    at : Tree
        Point in the problem's space.
    kind : str, optional
        ``"data"`` or ``"prior"``.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric; rows and columns as ``problem.space.labels()``.

    Examples
    --------
    >>> from retrodict.inverse.priors import GaussianPrior
    >>> from retrodict.inverse.terms import Term
    >>> from retrodict.physics.spaces import Space, Var
    >>> prior = Term("prior", GaussianPrior("x", 3.0, std=0.5), kind="prior")
    >>> curvature(InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(0.0)}), {"x": np.array(3.0)})
    array([[4.]])
    """
    space, labels = problem.space, problem.space.labels()
    total = np.zeros((space.size, space.size))
    for term in problem.terms:
        if kind not in (None, term.kind):
            continue
        alone = InverseProblem(space, (term,), at)
        if isinstance(term.fn, Curved):
            rows = [labels.index(label) for label in term.fn.space.labels()]
            total[np.ix_(rows, rows)] += term.weight * term.fn.hessian(at)
        elif isinstance(term.fn, GaussNewton):
            _, jac = alone.jacobian(at)
            total += jac.T @ jac
        elif isinstance(term.fn, Smooth):
            total += _differences(alone, space.pack(at))
        else:
            raise SolverError(expected("posterior", f"term {term.name!r}", "smooth terms"))
    return 0.5 * (total + total.T)


def _differences(problem: InverseProblem, x: Floats) -> Floats:
    """Central differences of the gradient; the cube root of the rounding unit balances the two errors."""
    space, rows = problem.space, []
    for j in range(x.size):
        h = np.cbrt(np.finfo(float).eps) * max(abs(x[j]), 1e-3)
        forth, back = x.copy(), x.copy()
        forth[j] += h
        back[j] -= h
        g = [space.pack(problem.gradient(space.unpack(v))) for v in (forth, back)]
        rows.append((g[0] - g[1]) / (forth[j] - back[j]))
    return np.stack(rows)


def inverted(information: Floats) -> tuple[Floats, Floats]:
    """Return the covariance of an information matrix, and its null directions in scaled unknowns, shape (n, k).

    The covariance is infinite along null directions: they are not hidden by a pseudo-inverse.

    Parameters
    ----------
    information : ndarray, shape (n, n)
        Symmetric and positive semidefinite.

    Examples
    --------
    >>> inverted(np.diag([4.0, 0.0]))[0]
    array([[0.25,  nan],
           [ nan,  inf]])
    """
    scale = np.sqrt(np.where(np.diag(information) > 0, np.diag(information), 1.0))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    lost = values <= _NULL * max(values.max(), 0.0)
    inverse = np.where(lost, 0.0, 1 / np.where(lost, 1.0, values))
    covariance = (vectors * inverse) @ vectors.T / np.outer(scale, scale)
    null = vectors[:, lost]
    involved = np.sum(null**2, axis=1) > 1e-6
    covariance[involved] = np.nan
    covariance[:, involved] = np.nan
    covariance[involved, involved] = np.inf
    return covariance, null


@dataclass(frozen=True)
class Leverage:
    """How the residuals of an estimate depend on the data.

    Parameters
    ----------
    residual : ndarray, shape (m,)
        Whitened residuals of all data terms.
    jacobian : ndarray, shape (m, n)
        Their derivative.
    share : ndarray, shape (m,)
        Diagonal of the hat matrix ``J (J' J + P)^-1 J'``, with the information ``P`` of the priors: how much of each
        datum the unknowns follow. ``m - share.sum()`` is the number of degrees of freedom that are left.
    places : dict of str to ndarray, shape (series, step)
        Rows of every observed variable ``term/variable`` as series; -1 where nothing is observed.
    """

    residual: Floats
    jacobian: Floats
    share: Floats
    places: dict[str, NDArray[np.int64]]


def leverage(problem: InverseProblem, at: Tree) -> Leverage:
    """Return residuals, Jacobian and leverage of all data terms that have a linearisation.

    Parameters
    ----------
    problem : InverseProblem
        The problem that was solved.
    at : Tree
        The estimate.

    Examples
    --------
    >>> from retrodict.inverse.noise import Gaussian
    >>> from retrodict.inverse.observation import Observation
    >>> from retrodict.inverse.terms import Term
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Space, Var
    >>> one, four = Space({"x": Var()}), Space({"y": Var(("i",), (4,))})
    >>> data = Observation(four, {"y": np.ones(4)}, {"y": Gaussian(1.0)})
    >>> term = Term("data", Misfit(TorchModel(one, four, lambda t: {"y": t["x"].expand(4)}), data))
    >>> leverage(InverseProblem(one, (term,), {"x": np.array(1.0)}), {"x": np.array(1.0)}).share
    array([0.25, 0.25, 0.25, 0.25])
    """
    residuals, rows, found, begin = [np.zeros(0)], [np.zeros((0, problem.space.size))], {}, 0
    for term in problem.terms:
        if term.kind != "data" or not isinstance(term.fn, GaussNewton):
            continue
        residual, jacobian = InverseProblem(problem.space, (term,), at).jacobian(at)
        if isinstance(term.fn, Misfit):
            for name, index in places(term.fn).items():
                found[f"{term.name}/{name}"] = np.where(index >= 0, index + begin, -1)
        residuals.append(residual)
        rows.append(jacobian)
        begin += residual.size
    J = np.concatenate(rows)
    scale = np.sqrt(np.maximum(np.sum(J**2, axis=0), 1e-300))
    scaled = J / scale
    information = scaled.T @ scaled + curvature(problem, at, "prior") / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(information) if J.size else (np.ones(0), np.zeros((0, 0)))
    kept = values > _NULL * values.max(initial=0.0)
    share = np.sum((scaled @ (vectors[:, kept] / np.sqrt(values[kept]))) ** 2, axis=1) if J.size else np.zeros(len(J))
    return Leverage(np.concatenate(residuals), J, np.minimum(share, 1.0), found)
