"""Whether a fit describes its data: chi-squared, whiteness and normality of the residuals, in numbers and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit
from retrodict.physics.spaces import Tree

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["diagnose", "ljung_box"]

Floats = NDArray[np.float64]


def ljung_box(series: Floats, lags: int = 10) -> tuple[float, float]:
    """Test a series for autocorrelation (Ljung and Box 1978).

    Parameters
    ----------
    series : ndarray, shape (n,)
        Residuals in order of time.
    lags : int, optional
        Number of lags; at most n - 1 are used.

    Returns
    -------
    tuple of float
        Statistic and p-value; a small p-value says that the residuals are not white.

    Examples
    --------
    >>> ljung_box(np.sin(np.arange(100.0)))[1] < 1e-6
    True
    """
    n = series.size
    lags = min(lags, n - 1)
    centred = series - series.mean()
    power = float(centred @ centred)
    if lags < 1 or power == 0.0:
        return 0.0, 1.0
    r = np.array([centred[k:] @ centred[:-k] for k in range(1, lags + 1)]) / power
    q = float(n * (n + 2) * np.sum(r**2 / (n - np.arange(1, lags + 1))))
    return q, float(stats.chi2.sf(q, lags))


def diagnose(problem: InverseProblem, at: Tree) -> xr.Dataset:
    """Examine the residuals of every data misfit at an estimate.

    Parameters
    ----------
    problem : InverseProblem
        The problem that was solved.
    at : Tree
        The estimate.

    Returns
    -------
    xarray.Dataset
        Over ``misfit`` (``term/variable``): ``chi2`` (sum of squared whitened residuals), ``count``,
        ``autocorrelation`` (lag 1 along dimension ``time``, else the last), ``whiteness_p``, ``normality_p`` and
        ``verdict``; attributes ``chi2``, ``degrees_of_freedom``, ``reduced_chi2`` and ``chi2_p`` for the whole,
        where the number of degrees of freedom counts data minus unknowns that data determine.

    Examples
    --------
    >>> from retrodict.inverse.noise import Gaussian
    >>> from retrodict.inverse.observation import Observation
    >>> from retrodict.inverse.terms import Term
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Space, Var
    >>> one, three = Space({"x": Var()}), Space({"y": Var(("i",), (3,))})
    >>> data = Observation(three, {"y": np.array([1.0, 2.0, 3.0])}, {"y": Gaussian(1.0)})
    >>> term = Term("data", Misfit(TorchModel(one, three, lambda t: {"y": t["x"].expand(3)}), data))
    >>> diagnose(InverseProblem(one, (term,), {"x": np.array(2.0)}), {"x": np.array(2.0)}).attrs["chi2"]
    2.0
    """
    import xarray as xr

    rows: list[tuple[str, float, int, float, float, float, str]] = []
    for term in problem.terms:
        if not isinstance(term.fn, Misfit):
            continue
        obs, f = term.fn.observation, term.fn.model.apply(at)
        for name in obs.space:
            mask = obs.mask[name]
            residual = obs.noise[name].whiten(obs.values[name], np.asarray(f[name], float), mask).residual
            dims = obs.space[name].dims
            if "time" in dims:
                # one series after the other, so that neighbours are neighbours in time
                residual = np.moveaxis(residual, dims.index("time"), -1)
                mask = np.moveaxis(mask, dims.index("time"), -1)
            rows.append((f"{term.name}/{name}", *_describe(residual, mask)))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    names = ("chi2", "count", "autocorrelation", "whiteness_p", "normality_p", "verdict")
    data = {
        n: ("misfit", np.array(c, dtype=object if n == "verdict" else float))
        for n, c in zip(names, columns[1:], strict=True)
    }
    chi2, count = float(sum(columns[1])), int(sum(columns[2]))
    _, jac = problem.jacobian(at, "data")
    dof = max(count - (int(np.linalg.matrix_rank(jac)) if jac.size else 0), 1)
    attrs = {
        "chi2": chi2,
        "degrees_of_freedom": dof,
        "reduced_chi2": chi2 / dof,
        "chi2_p": float(stats.chi2.sf(chi2, dof)),
    }
    return xr.Dataset(data, {"misfit": [r[0] for r in rows]}, attrs)


def _describe(residual: Floats, mask: NDArray[np.bool_]) -> tuple[float, int, float, float, float, str]:
    valid = residual[mask]
    count = int(mask.sum())
    chi2 = float(valid @ valid)
    _, whiteness = ljung_box(valid)
    centred = valid - valid.mean() if count else valid
    power = float(centred @ centred)
    lag = float(centred[1:] @ centred[:-1] / power) if count > 1 and power > 0 else 0.0
    normality = float(stats.normaltest(valid).pvalue) if count >= 20 and power > 0 else 1.0
    complaints = []
    if whiteness < 0.01:
        complaints.append(f"correlated in time (lag-1 {lag:+.2f})")
    if normality < 0.01:
        complaints.append("not normal")
    return chi2, count, lag, whiteness, normality, "; ".join(complaints) or "white and normal"
