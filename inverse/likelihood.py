"""Maximum likelihood: a negative log-likelihood in torch as a term, and profile intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, stats
from torch import Tensor

from retrodict.inverse.estimators import solver_for
from retrodict.inverse.problem import InverseProblem
from retrodict.physics.autograd import to_numpy, to_tensors
from retrodict.physics.errors import SolverError, SpaceError, expected
from retrodict.physics.spaces import Array, Space, Tree
from retrodict.solvers.iterate import finished

__all__ = ["LogLikelihood", "normal_deviates", "profile_interval"]

# What the profile rises to where the likelihood has no value, such as at a variance of zero; finite for root finding.
_OUTSIDE = 1e6


@dataclass(frozen=True)
class LogLikelihood:
    """A negative log-likelihood written in torch: a smooth term with an exact Hessian.

    Parameters
    ----------
    space : Space
        The unknowns, all that the function reads.
    function : callable
        ``{name: Tensor} -> scalar Tensor``.
    standardised : callable, optional
        ``{name: Tensor} -> {variable: (dims, Tensor)}``: the data as independent standard normal numbers if the
        likelihood is right, such as the innovations of a filter; NaN where there is none. Without it, nothing tests the
        likelihood.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> nll = LogLikelihood(Space({"x": Var()}), lambda t: (t["x"] - 1) ** 2)
    >>> float(nll.gradient({"x": np.array(3.0)})["x"]), nll.hessian({"x": np.array(3.0)}).item()
    (4.0, 2.0)
    """

    space: Space
    function: Callable[[dict[str, Tensor]], Tensor]
    standardised: Callable[[dict[str, Tensor]], Mapping[str, tuple[tuple[str, ...], Tensor]]] | None = None

    def hold(self, values: Tree) -> LogLikelihood:
        """Return the likelihood of the other variables, with these held."""
        held = to_tensors(values, Space({k: v for k, v in self.space.items() if k in values}))
        rest = Space({k: v for k, v in self.space.items() if k not in held})
        seen = self.standardised
        standardised = None if seen is None else lambda t: seen({**t, **held})
        return LogLikelihood(rest, lambda t: self.function({**t, **held}), standardised)

    def residuals(self, x: Tree) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]:
        """Return the standardised data; empty where the likelihood was given none."""
        if self.standardised is None:
            return {}
        with torch.no_grad():
            seen = self.standardised(to_tensors(x, self.space))
        return {k: (dims, np.asarray(values.numpy(), float)) for k, (dims, values) in seen.items()}

    def value(self, x: Tree) -> float:
        """Return the negative log-likelihood."""
        with torch.no_grad():
            return float(self.function(to_tensors(x, self.space)))

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return its gradient."""
        point = {k: v.requires_grad_() for k, v in to_tensors(x, self.space).items()}
        grads = torch.autograd.grad(self.function(point), list(point.values()), materialize_grads=True)
        return to_numpy(dict(zip(point, grads, strict=True)))

    def hessian(self, x: Tree) -> NDArray[np.float64]:
        """Return its Hessian, shape (n, n), in the order of ``space.labels()``."""
        at = torch.as_tensor(self.space.pack(x))

        def packed(vector: Tensor) -> Tensor:
            tree, i = {}, 0
            for name, var in self.space.items():
                tree[name] = vector[i : i + var.size].reshape(var.shape)
                i += var.size
            return self.function(tree)

        return np.asarray(torch.autograd.functional.hessian(packed, at).numpy())


def normal_deviates(distance: Tensor, degrees: int) -> Tensor:
    """Return squared distances that follow a chi-squared law as standard normal deviates of the same probability.

    Parameters
    ----------
    distance : Tensor
        Squared distances in units of their covariance; NaN stays.
    degrees : int
        Degrees of freedom.

    Examples
    --------
    >>> normal_deviates(torch.tensor([1.386294], dtype=torch.float64), 2).abs().round(decimals=3).tolist()
    [0.0]
    """
    tail = np.clip(stats.chi2.sf(distance.numpy(), degrees), 1e-300, 1.0)
    small = stats.chi2.cdf(distance.numpy(), degrees)
    # of the smaller tail, for precision
    return torch.as_tensor(np.where(tail < 0.5, stats.norm.isf(tail), stats.norm.ppf(np.maximum(small, 1e-300))))


def profile_interval(
    problem: InverseProblem, at: Tree, name: str, *, level: float = 0.95, max_steps: int = 200
) -> tuple[float, float]:
    """Return the likelihood-ratio interval of one scalar unknown, the others re-optimised at every value.

    Where the Laplace interval assumes a parabola, this one follows the likelihood: it is invariant to how the unknown
    is parametrised, and one-sided where the data leave it open (an end is then the bound, or infinite).

    Parameters
    ----------
    problem : InverseProblem
        The problem that was solved.
    at : Tree
        Its minimiser.
    name : str
        A scalar unknown.
    level : float, optional
        Confidence.
    max_steps : int, optional
        Of each inner estimate.

    Returns
    -------
    tuple of float
        Lower and upper end.

    Raises
    ------
    SpaceError
        If the unknown is not a scalar of the problem, or the level not in (0, 1).
    SolverError
        If ``at`` is not a minimum: a better value is found on the way. If an inner estimate does not converge: a
        profile that lies too high would narrow the interval.

    Examples
    --------
    >>> from retrodict.inverse.terms import Term
    >>> from retrodict.physics.spaces import Var
    >>> space = Space({"x": Var()})
    >>> term = Term("nll", LogLikelihood(space, lambda t: 0.5 * (t["x"] - 1) ** 2))
    >>> problem = InverseProblem(space, (term,), {"x": np.array(1.0)})
    >>> [round(v, 3) for v in profile_interval(problem, {"x": np.array(1.0)}, "x")]
    [-0.96, 2.96]
    """
    if name not in problem.space or problem.space[name].shape != () or problem.space[name].is_complex:
        raise SpaceError(expected("profile_interval", name, f"a real scalar among {sorted(problem.space)}"))
    if not 0 < level < 1:
        raise SpaceError(expected("level", level, "a number in (0, 1)"))
    best, centre = problem.value(at), float(at[name])
    bar = 0.5 * stats.chi2.ppf(level, 1)
    warm = {k: np.asarray(v) for k, v in at.items() if k != name}

    def excess(value: float) -> float:
        nonlocal warm
        at_value = problem.value({**warm, name: np.asarray(value)})
        if not np.isfinite(at_value):
            return _OUTSIDE
        if not warm:
            return at_value - best - bar
        held = problem.fix({name: np.asarray(value)})
        inner = InverseProblem(held.space, held.terms, warm, name=held.name)
        result = finished(solver_for(inner), max_steps)
        warm = inner.space.from_dataset(result.data)
        found = inner.value(warm) - best
        if found < -0.01:
            raise SolverError(
                expected("profile_interval", f"a value lower by {-found:.3g} at {name}={value:g}", "a minimum")
            )
        return found - bar

    ends = []
    for sign, bound in ((-1, problem.space[name].bounds[0]), (1, problem.space[name].bounds[1])):
        warm = {k: np.asarray(v) for k, v in at.items() if k != name}
        inside, step = centre, sign * max(1e-3 * abs(centre), 1e-6)
        outside = None
        for _ in range(60):
            trial = float(np.clip(centre + step, min(bound, centre), max(bound, centre)))
            if excess(trial) > 0:
                outside = trial
                break
            inside = trial
            if trial == bound:
                break
            step *= 2
        if outside is None:
            ends.append(bound)
            continue
        ends.append(float(optimize.brentq(excess, inside, outside, xtol=1e-6 * max(abs(centre), 1e-6), rtol=1e-6)))
    return ends[0], ends[1]
