"""Laplace posterior: covariance, correlations, intervals, and what the data do and do not determine, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Curved, GaussNewton, Smooth
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Tree

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["curvature", "posterior", "verdicts"]

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


def posterior(problem: InverseProblem, at: Tree) -> xr.Dataset:
    """Return the Laplace approximation of the posterior at an estimate.

    A direction that neither data nor prior determine has infinite standard deviation in every unknown that takes part
    in it; it is not hidden by a pseudo-inverse.

    Parameters
    ----------
    problem : InverseProblem
        The problem that was solved.
    at : Tree
        Its minimiser, in the problem's space.

    Returns
    -------
    xarray.Dataset
        Over ``parameter``: ``estimate``, ``std``, ``covariance`` and ``correlation`` (with ``parameter_``),
        ``interval_68`` and ``interval_95`` (with ``bound``), ``data_share`` (fraction of the information that comes
        from data), ``verdict`` (words), ``at_bound``, ``truth`` where known; ``units`` as a coordinate.

    Examples
    --------
    >>> from retrodict.inverse.priors import GaussianPrior
    >>> from retrodict.inverse.terms import Term
    >>> from retrodict.physics.spaces import Space, Var
    >>> prior = Term("prior", GaussianPrior("x", 3.0, std=0.5), kind="prior")
    >>> post = posterior(InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(3.0)}), {"x": np.array(3.0)})
    >>> float(post["std"][0]), str(post["verdict"].values[0])
    (0.5, 'determined by the prior alone')
    """
    import xarray as xr

    space, labels = problem.space, problem.space.labels()
    x = space.pack(at)
    information, prior = curvature(problem, at), curvature(problem, at, "prior")
    covariance, null = _invert(information)
    std = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(np.isfinite(std[:, None] * std), covariance / np.outer(std, std), np.nan)
        share = np.where(np.diag(information) > 0, 1 - np.diag(prior) / np.diag(information), 0.0)
    np.fill_diagonal(correlation, 1.0)
    lower, upper = space.bounds()
    at_bound = (x <= lower) | (x >= upper)
    words = verdicts(labels, x, std, correlation, share, at_bound, null)
    data = {
        "estimate": ("parameter", x),
        "std": ("parameter", std),
        "covariance": (("parameter", "parameter_"), covariance),
        "correlation": (("parameter", "parameter_"), correlation),
        "data_share": ("parameter", share),
        "at_bound": ("parameter", at_bound),
        "verdict": ("parameter", np.array(words, dtype=object)),
    }
    for level in (68, 95):
        z = stats.norm.ppf(0.5 + level / 200)
        data[f"interval_{level}"] = (("parameter", "bound"), np.stack([x - z * std, x + z * std], axis=1))
    if problem.truth is not None:
        data["truth"] = ("parameter", space.pack(problem.truth))
    units = [var.units for var in space.values() for _ in range(var.size * (2 if var.is_complex else 1))]
    coords = {
        "parameter": labels,
        "parameter_": labels,
        "bound": ["lower", "upper"],
        "units": ("parameter", np.array(units, dtype=object)),
    }
    scaled = _scaled_eigenvalues(information)
    attrs = {"condition": float(scaled.max() / max(scaled.min(), 1e-300)), "method": "Laplace"}
    return xr.Dataset(data, coords, attrs)


def _scaled_eigenvalues(information: Floats) -> Floats:
    scale = np.sqrt(np.where(np.diag(information) > 0, np.diag(information), 1.0))
    return np.asarray(np.linalg.eigvalsh(information / np.outer(scale, scale)))


def _invert(information: Floats) -> tuple[Floats, Floats]:
    """Return covariance (infinite along null directions) and the null directions, shape (n, k), in scaled unknowns."""
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


def verdicts(
    labels: Sequence[str],
    x: Floats,
    std: Floats,
    correlation: Floats,
    share: Floats,
    at_bound: NDArray[np.bool_],
    null: Floats,
) -> list[str]:
    """Say of each unknown how well it is determined.

    Parameters
    ----------
    labels : sequence of str
        Names.
    x, std, share, at_bound : ndarray, shape (n,)
        Estimate, standard deviation, share of the information that comes from data, and whether at a bound.
    correlation : ndarray, shape (n, n)
        Correlations.
    null : ndarray, shape (n, k)
        Directions that nothing determines.

    Returns
    -------
    list of str
        One sentence an unknown.

    Examples
    --------
    >>> one = np.ones(1)
    >>> verdicts(["L"], one, 0.01 * one, np.eye(1), one, np.array([False]), np.zeros((1, 0)))
    ['identified by the data']
    """
    words = []
    for i in range(len(labels)):
        shared = np.abs(null @ null[i])  # row of the projector onto the null space: unrelated directions do not mix
        partners = [labels[int(j)] for j in np.flatnonzero(shared > 1e-6) if j != i]
        others = np.abs(np.where(np.arange(len(labels)) == i, 0.0, correlation[i]))
        if np.isinf(std[i]):
            joint = f"; only a combination with {', '.join(partners[:3])} is" if partners else ""
            words.append(f"not identifiable from these data{joint}")
        elif at_bound[i]:
            words.append("at its bound: the interval is one-sided and not the one given")
        elif share[i] <= 1e-9:
            words.append("determined by the prior alone")
        elif share[i] < 0.5:
            words.append(f"determined mostly by the prior ({share[i]:.0%} of the information comes from data)")
        elif np.nanmax(others, initial=0.0) > 0.99:
            j = int(np.nanargmax(others))
            words.append(f"weakly identified: correlation {correlation[i, j]:+.4f} with {labels[int(j)]}")
        elif std[i] > abs(x[i]):
            words.append("identified, but compatible with zero within one standard deviation")
        else:
            words.append("identified by the data")
    return words
