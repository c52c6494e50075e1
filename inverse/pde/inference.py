"""Coefficients and initial fields from samples: the problem, the search among its minima, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.estimators import estimate, solver_for
from retrodict.inverse.pde.coefficients import field_model, model_values
from retrodict.inverse.pde.forward import INITIAL, SampledField
from retrodict.inverse.pde.stream_scan import StreamScan, scan_stream
from retrodict.inverse.posterior import posterior
from retrodict.inverse.problem import InverseProblem
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Tree
from retrodict.solvers.base import Status
from retrodict.solvers.iterate import finished
from retrodict.solvers.result import Result

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Inference", "infer", "stream_posterior"]

Floats = NDArray[np.float64]

DECIDED = 9.0
"""Difference in chi-squared from which on another minimum no longer counts: three standard deviations."""

_OTHERS = 12


@dataclass(frozen=True, eq=False)
class Inference:
    """What samples say.

    Parameters
    ----------
    problem : InverseProblem
        What was solved; its start is where the best minimum was found from.
    result : Result
        The estimate.
    minima : tuple of Tree
        Distinct minima, the best first.
    gaps : ndarray, shape (minima,)
        How much larger chi-squared is there than at the best: twice the difference in the negative log-posterior.
    posterior : xarray.Dataset
        As `retrodict.inverse.posterior.posterior`; see `stream_posterior`.
    scan : StreamScan or None
        Where a stream was searched for.
    """

    problem: InverseProblem
    result: Result
    minima: tuple[Tree, ...]
    gaps: Floats
    posterior: xr.Dataset
    scan: StreamScan | None = None

    @property
    def estimate(self) -> Tree:
        """The best minimum."""
        return self.minima[0]


def infer(
    problem: InverseProblem,
    between: tuple[float, float] | None = None,
    *,
    candidates: int = 3,
    trials: Mapping[str, Sequence[float]] | None = None,
    max_steps: int = 100,
) -> Inference:
    """Solve a problem of coefficients without a good start.

    Parameters
    ----------
    problem : InverseProblem
        The problem.
    between : tuple of float, optional
        Lowest and highest velocity of an unknown stream: scanned, and the best minima refined. Without it the
        problem's start is trusted; only an initial field that begins as zero is first fitted there.
    candidates : int, optional
        Minima of the scan to refine.
    trials : Mapping, optional
        See `scan_stream`.
    max_steps : int, optional
        Of each refinement.

    Returns
    -------
    Inference
        Estimate, posterior, and the minima that compete.

    Raises
    ------
    SolverError
        As `scan_stream`; or if no refinement ends, or the best one not at a minimum.

    Examples
    --------
    >>> from retrodict.inverse.pde.coefficients import coefficient_problem
    >>> from retrodict.inverse.pde.expansion import Expansion
    >>> from retrodict.inverse.pde.samples import Samples
    >>> from retrodict.physics.pde.convection import convection
    >>> x, t, system = np.linspace(0, 30, 60) % 6.0, np.linspace(0, 1, 60), convection(1.0)
    >>> seen = Samples(x, t, np.sin(x - 41.0 * t), 0.01)
    >>> problem = coefficient_problem(system, seen, ["c"], expansion=Expansion(system, 40))
    >>> round(float(infer(problem, (0.0, 70.0)).estimate["c"]), 2)
    41.0
    """
    model, scan, begins = field_model(problem), None, [_begun(problem)]
    if between is not None:
        scan = scan_stream(model, problem.start, model_values(problem), between, trials=trials)
        begins = [_inside(problem, scan.points[i]) for i in scan.minima(candidates)]
    found = []
    for rank, begin in enumerate(begins):
        here = replace(problem, start=begin)
        # a minimum is reached in a few steps; the slope toward another one is not worth following
        result = estimate(here, max_steps=min(max_steps, _OTHERS) if rank else max_steps)
        at = here.space.from_dataset(result.data)
        value = problem.value(at)
        if np.isfinite(value):
            found.append((value, here, result, at))
    if not found:
        raise SolverError(expected("infer", "no start from which the equation could be solved", "one at least"))
    found.sort(key=lambda f: f[0])
    if not found[0][2].status.ok:  # among others it may have been given a few steps only
        here = replace(found[0][1], start=found[0][3])
        result = finished(solver_for(here), max_steps, Status.STALLED)
        at = here.space.from_dataset(result.data)
        found[0] = here.value(at), here, result, at
    kept: list[tuple[float, InverseProblem, Result, Tree]] = []
    for one in found:
        if not any(_same(model, one[3], other[3], scan) for other in kept):
            kept.append(one)
    gaps = 2 * np.array([f[0] - kept[0][0] for f in kept])
    minima = tuple(f[3] for f in kept)
    post = stream_posterior(kept[0][1], minima, gaps)
    return Inference(kept[0][1], kept[0][2], minima, gaps, post, scan)


def _begun(problem: InverseProblem) -> Tree:
    """Return the start, with an initial field of nothing but zeros replaced by the one that fits best there.

    Without a field a velocity has no effect, and a step from there goes anywhere.
    """
    model, start = field_model(problem), problem.start
    if INITIAL not in model.domain or np.any(start[INITIAL]) or not model.expansion.linear:
        return start
    residual, slope = problem.jacobian(start, "data")
    at = problem.space.labels().index(f"{INITIAL}[0]")
    columns = slope[:, at : at + model.domain[INITIAL].size]
    return {**start, INITIAL: np.linalg.lstsq(columns, -residual, rcond=1e-10)[0]}


def _inside(problem: InverseProblem, tree: Tree) -> dict[str, NDArray[np.float64]]:
    return {k: np.clip(np.asarray(tree[k], float), *v.bounds) for k, v in problem.space.items()}


def _same(model: SampledField, one: Tree, other: Tree, scan: StreamScan | None) -> bool:
    if scan is None or model.stream is None:
        return True
    return abs(float(one[model.stream]) - float(other[model.stream])) < 2 * float(scan.speeds[1] - scan.speeds[0])


def stream_posterior(problem: InverseProblem, minima: Sequence[Tree], gaps: Floats) -> xr.Dataset:
    """Return the posterior at the best minimum, and what another one does to it.

    Parameters
    ----------
    problem : InverseProblem
        Of `retrodict.inverse.pde.coefficients.coefficient_problem`.
    minima : sequence of Tree
        The best first.
    gaps : ndarray, shape (minima,)
        Their chi-squared less the best one.

    Returns
    -------
    xarray.Dataset
        As `retrodict.inverse.posterior.posterior`, with ``second_minimum`` over ``parameter`` and the attribute
        ``chi2_gap`` (infinite without a second one). Where the gap is below 9 the stream's verdict names the other
        velocity: intervals about one of two minima are not intervals of the posterior.

    Examples
    --------
    >>> from retrodict.inverse.pde.coefficients import coefficient_problem
    >>> from retrodict.inverse.pde.expansion import Expansion
    >>> from retrodict.inverse.pde.samples import Samples
    >>> from retrodict.physics.pde.convection import convection
    >>> seen = Samples(np.linspace(0, 6, 20), np.full(20, 1.0), np.sin(np.linspace(0, 6, 20) - 1.0), 0.01)
    >>> problem = coefficient_problem(convection(1.0), seen, ["c"], expansion=Expansion(convection(1.0), 40))
    >>> minima = [{"c": np.array(c)} for c in (1.0, 1.0 + 2 * np.pi)]
    >>> str(stream_posterior(problem, minima, np.array([0.0, 0.1]))["verdict"].values[0])
    'ambiguous: 7.283 fits as well (chi-squared larger by 0.1)'
    """
    model = field_model(problem)
    post = posterior(problem, minima[0])
    second = problem.space.pack(minima[1]) if len(minima) > 1 else np.full(problem.space.size, np.nan)
    gap = float(gaps[1]) if len(minima) > 1 else np.inf
    post["second_minimum"] = ("parameter", second)
    post.attrs["chi2_gap"] = gap
    if gap < DECIDED and model.stream is not None:
        words = post["verdict"].values.copy()
        at = problem.space.labels().index(model.stream)
        words[at] = f"ambiguous: {second[at]:.4g} fits as well (chi-squared larger by {gap:.2g})"
        post["verdict"] = ("parameter", words)
    return post
