"""Estimates: which method fits a problem, and the call that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrodict.inverse import terms
from retrodict.inverse.probing import probe
from retrodict.inverse.problem import InverseProblem
from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.base import Solver
from retrodict.solvers.callbacks import Callback
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.gradient import LBFGS
from retrodict.solvers.iterate import iterate
from retrodict.solvers.least_squares import GaussNewton, LevenbergMarquardt
from retrodict.solvers.result import Result

__all__ = ["LBFGS", "METHODS", "GaussNewton", "LevenbergMarquardt", "estimate", "solver_for"]

METHODS = ("auto", "levenberg-marquardt", "gauss-newton", "l-bfgs")


def solver_for(problem: InverseProblem, method: str = "auto", tolerance: float = 1e-8) -> Solver[Any]:
    """Return the step-wise solver of a method, after checking that every term offers what the method needs.

    Parameters
    ----------
    problem : InverseProblem
        What to solve.
    method : str, optional
        One of ``METHODS``. ``"auto"``: Levenberg-Marquardt where all terms have a linearisation, else L-BFGS.
    tolerance : float, optional
        Of the solver.

    Raises
    ------
    SolverError
        If the method is unknown or a term lacks the capability it needs.

    Examples
    --------
    >>> import numpy as np
    >>> from retrodict.inverse.priors import GaussianPrior
    >>> from retrodict.physics.spaces import Space, Var
    >>> prior = terms.Term("prior", GaussianPrior("x", 3.0, std=1.0))
    >>> solver_for(InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(0.0)})).name
    'levenberg-marquardt:problem:x'
    """
    if method not in METHODS:
        raise SolverError(expected("method", method, f"one of {METHODS}"))
    linear = all(isinstance(t.fn, terms.GaussNewton) for t in problem.terms)
    if method == "l-bfgs" or (method == "auto" and not linear):
        problem.require(terms.Smooth, "l-bfgs")
        return LBFGS(problem, tolerance=tolerance)
    problem.require(terms.GaussNewton, method)
    kind = GaussNewton if method == "gauss-newton" else LevenbergMarquardt
    return kind(problem, tolerance=tolerance)


def estimate(
    problem: InverseProblem,
    method: str | Solver[Any] = "auto",
    *,
    max_steps: int = 200,
    checkpoint: CheckpointStore | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Find the unknowns that minimise the negative log-posterior.

    Parameters
    ----------
    problem : InverseProblem
        What to solve.
    method : str or Solver, optional
        One of ``METHODS``, or a solver that was set up for this problem.
    max_steps, checkpoint, resume, callbacks
        As in `retrodict.solvers.iterate.iterate`.

    Returns
    -------
    Result
        ``data`` holds the estimate in the problem's space.

    Raises
    ------
    SolverError
        If the problem lacks a capability that the method needs, or a model is not what it claims to be
        (`retrodict.inverse.probing.probe`).

    Examples
    --------
    >>> import numpy as np
    >>> from retrodict.inverse.priors import GaussianPrior
    >>> from retrodict.physics.spaces import Space, Var
    >>> prior = terms.Term("prior", GaussianPrior("x", 3.0, std=1.0))
    >>> problem = InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(0.0)})
    >>> round(float(estimate(problem).data["x"]), 6)
    3.0
    """
    probe(problem)
    solver = solver_for(problem, method) if isinstance(method, str) else method
    return iterate(solver, max_steps, checkpoint=checkpoint, resume=resume, callbacks=callbacks)
