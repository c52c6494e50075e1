"""The inverse problem: coefficients, and perhaps an initial field, from samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.pde.expansion import Expansion
from retrodict.inverse.pde.forward import INITIAL, SampledField
from retrodict.inverse.pde.samples import Samples
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.spaces import Tree

__all__ = ["coefficient_problem", "field_model", "model_values"]

Floats = NDArray[np.float64]


def coefficient_problem(
    system: QuasiLinear,
    samples: Samples,
    unknown: Sequence[str],
    *,
    expansion: Expansion | None = None,
    bounds: dict[str, tuple[float, float]] | None = None,
    start: Mapping[str, float] | None = None,
    initial_std: float | Floats | None = None,
    truth: Tree | None = None,
) -> InverseProblem:
    """Return the problem of finding coefficients, and an initial field, from samples.

    Parameters
    ----------
    system : QuasiLinear
        The equation, with what is known of its coefficients.
    samples : Samples
        The data.
    unknown : sequence of str
        Coefficients to find.
    expansion : Expansion, optional
        Solves the equation; one with `Harmonics` makes the initial field unknown too.
    bounds : Mapping, optional
        Of coefficients.
    start : Mapping of str to float, optional
        Where to begin; the system's coefficients unless given.
    initial_std : float or ndarray, optional
        Standard deviation of a Gaussian prior about 0 on the initial field's coefficients; none unless given.
    truth : Tree, optional
        Of synthetic samples.

    Returns
    -------
    InverseProblem
        One misfit, whose model is a `SampledField`, and perhaps the prior.

    Raises
    ------
    SpaceError, DataError
        As `SampledField`.

    Examples
    --------
    >>> from retrodict.inverse.estimators import estimate
    >>> from retrodict.physics.pde.reaction import reaction
    >>> x, t = np.linspace(0, 6, 30), np.linspace(0, 1, 30)
    >>> grown = np.exp(-0.5 * ((x - np.pi) / (np.pi / 4)) ** 2) * np.exp(2 * t)
    >>> u = grown / (grown + 1 - grown * np.exp(-2 * t))
    >>> problem = coefficient_problem(reaction(1.0), Samples(x, t, u, 0.01), ["rho"])
    >>> round(float(estimate(problem).data["rho"]), 1)
    2.0
    """
    model = SampledField(system, samples, unknown, expansion, bounds=bounds)
    terms = [Term("samples", Misfit(model, samples.observation()))]
    begin = {k: np.array((start or {}).get(k, system.values[k])) for k in unknown}
    if INITIAL in model.domain:
        begin[INITIAL] = np.zeros(model.domain[INITIAL].shape)
        if initial_std is not None:
            prior = GaussianPrior(INITIAL, 0.0, std=initial_std)
            terms.append(Term("initial field", prior, blocks=(INITIAL,), kind="prior"))
    return InverseProblem(model.domain, tuple(terms), begin, truth, f"pde:{system.name}")


def field_model(problem: InverseProblem) -> SampledField:
    """Return the forward model of a problem of `coefficient_problem`.

    Parameters
    ----------
    problem : InverseProblem
        The problem.

    Returns
    -------
    SampledField
        Its model.

    Raises
    ------
    SolverError
        If it has none.

    Examples
    --------
    >>> from retrodict.physics.spaces import Space, Var
    >>> prior = Term("prior", GaussianPrior("x", 0.0, std=1.0))
    >>> field_model(InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(0.0)}))
    Traceback (most recent call last):
    retrodict.physics.errors.SolverError: problem: got terms ['prior'], expected a misfit of a SampledField
    """
    for term in problem.terms:
        if isinstance(term.fn, Misfit) and isinstance(term.fn.model, SampledField):
            return term.fn.model
    raise SolverError(expected("problem", f"terms {[t.name for t in problem.terms]}", "a misfit of a SampledField"))


def model_values(problem: InverseProblem) -> Floats:
    """Return the observed values of a problem of `coefficient_problem`, shape (n,).

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> seen = Samples(np.array([1.0]), np.array([0.5]), np.array([0.25]), 0.1)
    >>> model_values(coefficient_problem(convection(1.0), seen, ["c"], expansion=Expansion(convection(1.0), 8)))
    array([0.25])
    """
    for term in problem.terms:
        if isinstance(term.fn, Misfit):
            return np.asarray(term.fn.observation.values["u"], float)
    raise SolverError(expected("problem", "no misfit", "one of a SampledField"))
