"""The band of an inferred initial field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.pde.coefficients import field_model
from retrodict.inverse.pde.forward import INITIAL
from retrodict.inverse.problem import InverseProblem
from retrodict.physics.errors import SolverError, expected

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["initial_band"]

Floats = NDArray[np.float64]


def initial_band(problem: InverseProblem, post: xr.Dataset, x: Floats) -> tuple[Floats, Floats]:
    """Return the inferred initial field and its standard deviation.

    Parameters
    ----------
    problem : InverseProblem
        With an unknown initial field.
    post : xarray.Dataset
        Its posterior.
    x : ndarray, shape (n,)
        Places.

    Returns
    -------
    tuple of ndarray
        Mean and standard deviation, each of shape (n,); infinite where a direction that enters is not determined.

    Raises
    ------
    SolverError
        If the initial field is known.

    Examples
    --------
    >>> from retrodict.inverse.pde.coefficients import coefficient_problem
    >>> from retrodict.inverse.pde.expansion import Expansion
    >>> from retrodict.inverse.pde.harmonics import Harmonics
    >>> from retrodict.inverse.pde.inference import infer
    >>> from retrodict.inverse.pde.samples import Samples
    >>> from retrodict.physics.pde.convection import convection
    >>> expansion = Expansion(convection(1.0), 40, initial=Harmonics(1, 2 * np.pi))
    >>> x = np.linspace(0, 6, 30)
    >>> seen = Samples(x, x / 6, np.sin(x - x / 6), 0.01)
    >>> problem = coefficient_problem(convection(1.0), seen, [], expansion=expansion)
    >>> found = infer(problem)
    >>> mean, std = initial_band(found.problem, found.posterior, np.array([np.pi / 2]))
    >>> bool(abs(mean.item() - 1.0) < 0.01), bool(std.item() < 0.01)
    (True, True)
    """
    initial = field_model(problem).expansion.initial
    if initial is None:
        raise SolverError(expected("initial_band", "a known initial field", "an unknown one"))
    at = problem.space.labels().index(f"{INITIAL}[0]")
    rows = slice(at, at + initial.size)
    functions = initial.values(x)
    covariance = post["covariance"].values[rows, rows]
    mean = functions @ post["estimate"].values[rows]
    if not np.isfinite(covariance).all():
        return mean, np.full(len(x), np.inf)
    return mean, np.sqrt(np.einsum("ni,ij,nj->n", functions, covariance, functions))
