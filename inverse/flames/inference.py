"""Mechanisms from flames: priors of uncertainty factors, what is not identifiable, posteriors, predictive bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.flames.handles import Handle
from retrodict.inverse.flames.joint import JointFlames
from retrodict.inverse.noise import Gaussian, Heteroscedastic, NoiseModel
from retrodict.inverse.observation import Observation
from retrodict.inverse.posterior import posterior
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.errors import DataError, SpaceError, expected
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.spaces import Space, Tree

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "flame_noise",
    "flame_posterior",
    "flame_problem",
    "model_of",
    "parameter_covariance",
    "predicted",
    "rate_deviation",
    "refuse_unidentifiable",
]

Floats = NDArray[np.float64]
_CORRELATED = 0.95
_FLOOR = 1e-9


def rate_deviation(factor: float) -> float:
    """Return the standard deviation of ln k for an uncertainty factor, ``ln f / 2``.

    The factor is read as the 95 % one of evaluations of kinetic data: k lies within ``k / f`` and ``k f`` with two
    standard deviations. A factor that its author means as one standard deviation must be squared first.

    Parameters
    ----------
    factor : float
        Above 1.

    Raises
    ------
    SpaceError
        If the factor is not above 1.

    Examples
    --------
    >>> round(rate_deviation(2.0), 4)
    0.3466
    """
    if not 1 < factor < np.inf:
        raise SpaceError(expected("uncertainty factor", factor, "a number above 1"))
    return 0.5 * float(np.log(factor))


def flame_noise(space: Space, *, relative: float = 0.0, absolute: float = 0.0) -> dict[str, NoiseModel]:
    """Return noise that is relative, absolute (in the units of the data) or both, for every variable.

    Relative noise follows the prediction: weighting by noisy values would favour low ones.

    Raises
    ------
    SpaceError
        If both are zero, or one is negative.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> flame_noise(Space({"a/s_L": Var()}), absolute=0.02)
    {'a/s_L': Gaussian(std=0.02)}
    """
    if not (relative >= 0 and absolute >= 0 and relative + absolute > 0):
        got = f"relative {relative}, absolute {absolute}"
        raise SpaceError(expected("flame_noise", got, "non-negative numbers, one of them positive"))
    model: NoiseModel = Heteroscedastic(absolute or _FLOOR, relative) if relative else Gaussian(absolute)
    return dict.fromkeys(space, model)


def flame_problem(
    model: JointFlames,
    observation: Observation,
    deviations: Mapping[str, float],
    start: Tree | None = None,
    truth: Tree | None = None,
    name: str = "flames",
) -> InverseProblem:
    """Return the problem of handles from data of flames.

    Parameters
    ----------
    model : JointFlames
        Handles to data.
    observation : Observation
        In the range of the model.
    deviations : Mapping of str to float
        Prior standard deviation by name of the handle, around zero; handles left out have no prior.
    start, truth : Tree, optional
        Where to begin, zero without it, and the true handles where they are known.
    name : str, optional
        Stored in checkpoints.

    Raises
    ------
    SpaceError
        If a name is no handle, or a deviation is not positive.

    Examples
    --------
    See `retrodict.inverse.flames.joint.JointFlames` for a model.

    >>> rate_deviation(4.0) == 2 * rate_deviation(2.0)
    True
    """
    if strange := sorted(set(deviations) - set(model.domain)):
        raise SpaceError(expected("deviations", strange, f"names among {sorted(model.domain)}"))
    priors = [Term(f"prior of {k}", GaussianPrior(k, 0.0, s), kind="prior") for k, s in deviations.items()]
    terms = (Term("flames", Misfit(model, observation)), *priors)
    return InverseProblem(model.domain, terms, start or model.domain.zeros(), truth, name)


def refuse_unidentifiable(problem: InverseProblem, at: Tree | None = None) -> None:
    """Refuse a problem with a direction that neither data nor priors determine, before it is solved.

    Parameters
    ----------
    problem : InverseProblem
        From `flame_problem`.
    at : Tree, optional
        Where the derivatives are taken; the start of the problem without it.

    Raises
    ------
    DataError
        Naming the handles that take part in such directions.
    """
    found = posterior(problem, problem.start if at is None else at, covariance="laplace")
    lost = [str(p) for p, s in zip(found["parameter"].values, found["std"].values, strict=True) if not np.isfinite(s)]
    if lost:
        words = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        got = f"a combination of {words} that neither data nor priors determine"
        raise DataError(expected("flames", got, "priors on them, fewer of them, or flames of other conditions"))


def flame_posterior(problem: InverseProblem, at: Tree) -> xr.Dataset:
    """Return the Laplace posterior with what the data added to the priors, and pairs of handles that are correlated.

    Parameters
    ----------
    problem : InverseProblem
        From `flame_problem`.
    at : Tree
        The estimate.

    Returns
    -------
    xarray.Dataset
        As from `retrodict.inverse.posterior.posterior`, with ``prior_std`` (infinite without a prior) and
        ``reduction``, posterior over prior standard deviation; verdicts and the attribute ``correlated`` name pairs
        with a correlation beyond 0.95; attributes ``chi2_before`` and ``chi2_after``.
    """
    found = posterior(problem, at)
    priors = {t.fn.name: float(t.fn.std) for t in problem.terms if isinstance(t.fn, GaussianPrior)}
    labels = [str(p) for p in found["parameter"].values]
    prior = np.array([priors.get(p, np.inf) for p in labels])
    found["prior_std"] = ("parameter", prior)
    found["reduction"] = ("parameter", np.where(np.isfinite(prior), found["std"].values / prior, 0.0))
    words, pairs = list(found["verdict"].values), []
    C = found["correlation"].values
    for i, j in zip(*np.triu_indices(len(labels), 1), strict=True):
        if abs(C[i, j]) > _CORRELATED:
            pairs.append(f"{labels[i]} with {labels[j]}: {C[i, j]:+.4f}")
            for a, b in ((i, j), (j, i)):
                if "correlation" not in str(words[a]):
                    words[a] = f"{words[a]}; correlation {C[i, j]:+.4f} with {labels[b]}"
    found["verdict"] = ("parameter", np.array(words, dtype=object))
    found.attrs |= {"correlated": "; ".join(pairs)}
    for when, point in (("before", problem.start), ("after", at)):
        found.attrs[f"chi2_{when}"] = _chi2(problem, point)
    return found


def model_of(problem: InverseProblem) -> tuple[JointFlames, Observation]:
    """Return the joint model and the data of a problem of flames.

    Raises
    ------
    SpaceError
        If it is none.
    """
    for term in problem.terms:
        if isinstance(term.fn, Misfit) and isinstance(term.fn.model, JointFlames):
            return term.fn.model, term.fn.observation
    raise SpaceError(expected("problem", problem.name, "a problem from flame_problem"))


def predicted(model: JointFlames, at: Tree, covariance: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Return what a model predicts and its standard deviation, by linear propagation of a covariance of the handles.

    Parameters
    ----------
    model : JointFlames
        Of the flames to predict; they need not be those of the data.
    at : Tree
        Handles.
    covariance : ndarray, shape (h, h)
        In the order of ``model.domain``.

    Returns
    -------
    dict
        Mean and standard deviation by variable of the range.
    """
    mean, operator = model.linearize(at)
    columns = [operator.apply(model.domain.unpack(row)) for row in np.eye(model.domain.size)]
    bands = {}
    for name, values in mean.items():
        J = np.stack([np.ravel(c[name]) for c in columns], axis=1)
        variance = np.einsum("mi,ij,mj->m", J, covariance, J)
        bands[name] = np.asarray(values), np.sqrt(np.maximum(variance, 0.0)).reshape(np.shape(values))
    return bands


def parameter_covariance(
    mechanism: Mechanism, handles: Sequence[Handle], covariance: Floats
) -> tuple[list[str], Floats]:
    """Return labels and covariance of all parameters that handles move, as `write_mechanism` wants them.

    Parameters
    ----------
    mechanism : Mechanism
        Whose parameters.
    handles : sequence of Handle
        Directions.
    covariance : ndarray, shape (h, h)
        Of the handles, in their order.

    Returns
    -------
    tuple
        Labels such as ``"ln_A[0]"`` and the covariance, of rank h at most.

    Examples
    --------
    >>> from retrodict.inverse.flames.handles import activation
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> parameter_covariance(gas, [activation(gas, 2, 1000.0)], np.array([[1e6]]))[0]
    ['ln_A[2]', 'T_a[2]']
    """
    zero = mechanism.domain.zeros()
    D = np.stack([mechanism.domain.pack({**zero, **h.direction}) for h in handles], axis=1)
    rows = np.flatnonzero(np.any(D != 0, axis=1))
    labels = mechanism.domain.labels()
    full = D[rows] @ covariance @ D[rows].T
    return [labels[r] for r in rows], 0.5 * (full + full.T)


def _chi2(problem: InverseProblem, at: Tree) -> float:
    """Return the sum of squared residuals of the data in their standard deviations at a point."""
    model, obs = model_of(problem)
    seen, total = model.apply(at), 0.0
    for name in obs.space:
        noise, mask = obs.noise[name], obs.mask[name]
        f = np.asarray(seen[name], float)
        std = noise.std(f) if isinstance(noise, Heteroscedastic) else getattr(noise, "std", np.nan)
        total += float(np.sum((((f - obs.values[name]) / np.asarray(std, float)) ** 2)[mask]))
    return total
