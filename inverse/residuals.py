"""Residuals as every diagnostic reads them: standard normal numbers under the model, as series in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Residual
from retrodict.physics.errors import DataError, expected
from retrodict.physics.spaces import Tree

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Assessable", "Residuals", "as_series", "places", "residuals_of"]

Floats = NDArray[np.float64]


@runtime_checkable
class Assessable(Protocol):
    """What the assessment of a fit asks of a problem that is no `InverseProblem`: the residuals of its solution."""

    def residuals(self, solution: xr.Dataset) -> Sequence[Residuals]:
        """Return the standardised residuals of each block of data at a solution; none where no data are fitted."""
        ...


@dataclass(frozen=True)
class Residuals:
    """Residuals of one block of data, data less prediction or the reverse, as standard normal deviates.

    Parameters
    ----------
    name : str
        The block, for reports.
    values : array_like, shape (series, step)
        Standardised residuals: independent standard normal numbers if model and noise are right. Neighbours in a row
        are neighbours in time; NaN where nothing is observed, flagged data included.
    degrees : float, optional
        Degrees of freedom that are left to the block: its values less the unknowns that it determines. By default the
        number of values, which is right for data that were held out.

    Raises
    ------
    DataError
        If a residual is infinite or the array is not two-dimensional.

    Examples
    --------
    >>> Residuals("speed", [[0.3, np.nan, -1.2]]).count
    2
    """

    name: str
    values: Any
    degrees: float | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values, float)
        if values.ndim != 2 or np.isinf(values).any():
            got = f"{values.ndim} dimensions, {int(np.isinf(values).sum())} infinite values"
            raise DataError(expected(f"Residuals {self.name!r}", got, "finite numbers of shape (series, step)"))
        object.__setattr__(self, "values", values)

    @property
    def valid(self) -> Floats:
        """The residuals of what was observed, one series after the other."""
        return np.asarray(self.values[np.isfinite(self.values)])

    @property
    def count(self) -> int:
        """How many there are."""
        return int(np.isfinite(self.values).sum())


def as_series(values: ArrayLike, dims: Sequence[str]) -> NDArray[Any]:
    """Return an array as series, shape (series, step): along ``time`` where there is such a dimension, else the last.

    Parameters
    ----------
    values : array_like
        Of any shape.
    dims : sequence of str
        Names of its dimensions.

    Examples
    --------
    >>> as_series(np.arange(6).reshape(3, 2), ("time", "station"))
    array([[0, 2, 4],
           [1, 3, 5]])
    """
    array = np.asarray(values)
    if array.ndim == 0:
        return array.reshape(1, 1)
    moved = np.moveaxis(array, dims.index("time") if "time" in dims else -1, -1)
    return moved.reshape(-1, moved.shape[-1])


def residuals_of(problem: InverseProblem, at: Tree) -> dict[str, Residuals]:
    """Return the standardised residuals of every term that has some, by ``term/variable``.

    Parameters
    ----------
    problem : InverseProblem
        The problem that was solved.
    at : Tree
        The estimate.

    Examples
    --------
    >>> from retrodict.inverse.priors import GaussianPrior
    >>> from retrodict.inverse.terms import Term
    >>> from retrodict.physics.spaces import Space, Var
    >>> prior = Term("prior", GaussianPrior("x", 3.0, std=0.5), kind="prior")
    >>> residuals_of(InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(3.0)}), {"x": np.array(3.0)})
    {}
    """
    found: dict[str, Residuals] = {}
    for term in problem.terms:
        if term.kind != "data" or not isinstance(term.fn, Residual):
            continue
        seen: Mapping[str, tuple[tuple[str, ...], Floats]] = term.fn.residuals(at)
        # a weight says that the noise is another; of a composite likelihood it is none of the noise
        scale = np.sqrt(term.weight) if isinstance(term.fn, Misfit) else 1.0
        for name, (dims, values) in seen.items():
            found[f"{term.name}/{name}"] = Residuals(f"{term.name}/{name}", scale * as_series(values, dims))
    return found


def places(misfit: Misfit) -> dict[str, NDArray[np.int64]]:
    """Return, for each variable as series, the place of every value in the residual vector of a misfit; -1 for none.

    Examples
    --------
    See `retrodict.inverse.curvature.leverage`.
    """
    obs, begin = misfit.observation, 0
    found: dict[str, NDArray[np.int64]] = {}
    for name, var in obs.space.items():
        mask = obs.mask[name]
        rows = np.full(mask.shape, -1)
        count = int(mask.sum())
        rows[mask] = np.arange(begin, begin + count)
        begin += count
        found[name] = as_series(rows, var.dims)
    return found
