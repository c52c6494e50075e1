"""Posteriors: covariance, correlations, intervals, and what the data do and do not determine, in words.

The covariance is Laplace's where the residuals are what the noise model says. Where they are correlated it is widened
to the sandwich by blocks, and where they are larger to their size; both are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrodict.inverse.assessment import contradictions, oversized, pulled
from retrodict.inverse.curvature import curvature, inverted, leverage
from retrodict.inverse.diagnostics import correlated, diagnose
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.sandwich import Sandwich, sandwich
from retrodict.inverse.terms import Pulled
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Tree

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["COVARIANCES", "posterior", "verdicts"]

Floats = NDArray[np.float64]

COVARIANCES = ("auto", "laplace", "sandwich")
"""Ways to a covariance: ``auto`` takes Laplace's and widens it where the residuals ask for it."""


def posterior(problem: InverseProblem, at: Tree, *, covariance: str = "auto") -> xr.Dataset:
    """Return the Gaussian approximation of the posterior at an estimate.

    A direction that neither data nor prior determine has infinite standard deviation in every unknown that takes part
    in it; it is not hidden by a pseudo-inverse.

    Laplace's covariance trusts the noise model. Where the residuals are correlated the standard deviations are widened
    to those of the sandwich by blocks (`retrodict.inverse.sandwich`), and where they are larger than the noise, to
    their size (Birge 1932); they are never narrowed.

    Parameters
    ----------
    problem : InverseProblem
        The problem that was solved.
    at : Tree
        Its minimiser, in the problem's space.
    covariance : str, optional
        One of `COVARIANCES`.

    Returns
    -------
    xarray.Dataset
        Over ``parameter``: ``estimate``, ``std``, ``covariance`` and ``correlation`` (with ``parameter_``),
        ``interval_68`` and ``interval_95`` (with ``bound``), ``std_laplace`` and, where it could be had,
        ``std_sandwich``, ``data_share`` (fraction of the information that comes from data), ``prior_pull`` (distance
        from the prior in its standard deviations, NaN without one), ``verdict`` (words), ``at_bound``, ``truth`` where
        known; ``units`` as a coordinate. The attribute ``method`` says which covariance it is, ``widened`` in words by
        how much, ``disagreement`` and ``disagreement_p`` whether quarters of the data agree.

    Raises
    ------
    SolverError
        If a term is not smooth, or the sandwich is asked for and the data are too few for it.

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

    if covariance not in COVARIANCES:
        raise SolverError(expected("covariance", repr(covariance), f"one of {COVARIANCES}"))
    space, labels = problem.space, problem.space.labels()
    x = space.pack(at)
    information, prior = curvature(problem, at), curvature(problem, at, "prior")
    laplace, null = inverted(information)
    pull = _prior_pulls(problem, at)
    wide = _widening(problem, at, covariance, information, prior, dict(zip(labels, pull.tolist(), strict=True)))
    C = laplace * np.outer(wide.factor, wide.factor)
    std = np.sqrt(np.diag(C))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(np.isfinite(std[:, None] * std), C / np.outer(std, std), np.nan)
        share = np.where(np.diag(information) > 0, 1 - np.diag(prior) / np.diag(information), 0.0)
    np.fill_diagonal(correlation, 1.0)
    lower, upper = space.bounds()
    at_bound = (x <= lower) | (x >= upper)
    words = verdicts(labels, x, std, correlation, share, at_bound, null)
    far = set(pulled(dict(zip(labels, pull.tolist(), strict=True))))
    pairs = zip(words, labels, pull, strict=True)
    words = [_contradicted(w, z if name in far else 0.0, bool(wide.misfit)) for w, name, z in pairs]
    data = {
        "estimate": ("parameter", x),
        "std": ("parameter", std),
        "std_laplace": ("parameter", np.sqrt(np.diag(laplace))),
        "covariance": (("parameter", "parameter_"), C),
        "correlation": (("parameter", "parameter_"), correlation),
        "data_share": ("parameter", share),
        "prior_pull": ("parameter", pull),
        "at_bound": ("parameter", at_bound),
        "verdict": ("parameter", np.array(words, dtype=object)),
    }
    if wide.sandwich is not None:
        data["std_sandwich"] = ("parameter", np.sqrt(np.diag(wide.sandwich.covariance)))
    for level in (68, 95):
        z = stats.t.ppf(0.5 + level / 200, wide.freedom)
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
    attrs = {"condition": float(scaled.max() / max(scaled.min(), 1e-300)), "method": wide.method, "widened": wide.words}
    if wide.sandwich is not None:
        attrs |= {"window": wide.sandwich.window, "freedom": wide.sandwich.freedom}
        attrs |= {"disagreement": wide.sandwich.disagreement, "disagreement_p": wide.sandwich.disagreement_p}
    return xr.Dataset(data, coords, attrs)


@dataclass(frozen=True)
class _Widening:
    """Factors on Laplace's standard deviations, and why."""

    factor: Floats
    method: str = "Laplace"
    words: str = ""
    misfit: tuple[str, ...] = ()
    sandwich: Sandwich | None = None

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the intervals: infinite where the noise is trusted."""
        return self.sandwich.freedom if self.sandwich is not None else math.inf


def _widening(
    problem: InverseProblem, at: Tree, kind: str, information: Floats, prior: Floats, pulls: dict[str, float]
) -> _Widening:
    """Return by how much the residuals widen the standard deviations of Laplace."""
    told = diagnose(problem, at) if kind != "laplace" else None
    one = np.ones(problem.space.size)
    if told is None:
        if kind == "sandwich":
            raise SolverError(expected("sandwich", "no residuals", "a term that compares a model with data"))
        return _Widening(one, misfit=tuple(contradictions(None, pulls)))
    blocks = correlated(told)
    found, why = None, ""
    if blocks or kind == "sandwich":
        lever = leverage(problem, at)
        if lost := [b for b in blocks if b not in lever.places]:
            why = f"{lost[0]} has no residual of every datum"
        elif not np.isfinite(inverted(information)[0]).all():
            why = "an unknown is not identified"
        else:
            found = sandwich(lever, information, prior)
            why = "" if found is not None else "the record is too short to measure how far it reaches"
    if kind == "sandwich" and found is None:
        raise SolverError(expected("sandwich", why, "a longer record of residuals that identifies every unknown"))
    apart = (found.disagreement, found.disagreement_p) if found is not None else (math.nan, math.nan)
    misfit = tuple(contradictions(told, pulls, apart))
    if found is not None:
        laplace = np.linalg.inv(information)
        ratio = np.sqrt(np.diag(found.covariance) / np.diag(laplace))
        # NaN where quarters were not compared
        factor = np.maximum(ratio * (math.sqrt(apart[0]) if misfit and apart[0] > 1 else 1.0), 1.0)
        return _Widening(factor, "sandwich by blocks", _words(factor, "for correlated residuals"), misfit, found)
    sizes = [float(told.attrs["reduced_chi2"]), *oversized(told).values()]
    scale, reason = (max([1.0, *(v for v in sizes if v > 1)]), "for the size of the residuals") if misfit else (1.0, "")
    if blocks:
        # without the sandwich: neighbours as in an autoregression of first order
        for lag, size in told[["autocorrelation", "reduced_chi2"]].sel(misfit=blocks).to_array().values.T:
            rho = min(max(float(lag), 0.0), 0.99)
            scale = max(scale, float(size) * (1 + rho) / (1 - rho)) if math.isfinite(size) else scale
        reason = f"for correlated residuals, as an autoregression would ask, for {why}"
    factor = one * math.sqrt(scale)
    method = "Laplace, widened" if scale > 1 else "Laplace"
    return _Widening(factor, method, _words(factor, reason), misfit)


def _words(factor: Floats, why: str) -> str:
    """Say by how much intervals were widened; empty where they were not."""
    low, high = float(factor.min()), float(factor.max())
    if high < 1.005:
        return ""
    times = f"{low:.2g} to {high:.2g}" if high > 1.1 * low else f"{high:.2g}"
    return f"intervals widened {times} times {why}"


def _prior_pulls(problem: InverseProblem, at: Tree) -> Floats:
    """Return the distance of every unknown from its prior, in its standard deviations; NaN without a prior."""
    pulls = {k: np.full(v.shape, np.nan) for k, v in problem.space.items()}
    for term in problem.terms:
        if term.kind == "prior" and isinstance(term.fn, Pulled):
            for name, values in term.fn.pulls(at).items():
                pulls[name] = np.broadcast_to(np.asarray(values, float), problem.space[name].shape)
    parts = [np.repeat(pulls[k].ravel(), 2 if v.is_complex else 1) for k, v in problem.space.items()]
    return np.concatenate(parts)


def _contradicted(words: str, pull: float, misfit: bool) -> str:
    """Return the verdict on an unknown where the data contradict the model, its noise or the unknown's prior."""
    plain = words.startswith(("identified", "determined", "weakly"))
    if pull and plain:
        return f"pulled {pull:+.1f} standard deviations away from its prior: data and prior disagree"
    if misfit and words.startswith("identified"):
        return "determined, but by a model that does not describe the data"
    return words


def _scaled_eigenvalues(information: Floats) -> Floats:
    scale = np.sqrt(np.where(np.diag(information) > 0, np.diag(information), 1.0))
    return np.asarray(np.linalg.eigvalsh(information / np.outer(scale, scale)))


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
