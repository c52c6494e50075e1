"""Whether a fit describes its data: chi-squared, whiteness and normality of the residuals, in numbers and words.

Every test reads standardised residuals, which are standard normal under the model whatever the noise is
(`retrodict.inverse.noise`), and none is made where it could not tell: a p-value that was not computed is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrodict.inverse.curvature import leverage
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.residuals import Residuals, residuals_of
from retrodict.inverse.terms import Curved
from retrodict.physics.spaces import Tree

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FEWEST", "LEVEL", "correlated", "diagnose", "examine_residuals", "ljung_box"]

Floats = NDArray[np.float64]

FEWEST = 20
"""Fewer residuals are not tested for whiteness or normality: no test of that size could tell."""

LEVEL = 0.01
"""Level of the tests of whiteness and normality."""

_LAGS = 10
_SHAPIRO = 5000  # largest sample for which Shapiro's p-value is calibrated


def ljung_box(series: Floats, lags: int = _LAGS) -> tuple[float, float]:
    """Test series for autocorrelation (Ljung and Box 1978), gaps and several series included.

    Parameters
    ----------
    series : ndarray, shape (n,) or (series, n)
        Residuals in order of time; NaN where there is none.
    lags : int, optional
        Number of lags; at most n - 1 are used.

    Returns
    -------
    tuple of float
        Statistic and p-value; a small p-value says that the residuals are not white. NaN where nothing can be said,
        for a constant series and for one without neighbours.

    Examples
    --------
    >>> ljung_box(np.sin(np.arange(100.0)))[1] < 1e-6
    True
    """
    products, pairs, power, count = _products(np.atleast_2d(series), lags)
    seen = pairs > 0
    if not seen.any() or power == 0.0:
        return np.nan, np.nan
    variance = power / count
    q = float((count + 2) / count * np.sum(products[seen] ** 2 / pairs[seen]) / variance**2)
    return q, float(stats.chi2.sf(q, int(seen.sum())))


def _products(series: Floats, lags: int) -> tuple[Floats, Floats, float, int]:
    """Return sums of products and numbers of pairs at lags 1, 2 ..., the sum of squares and the count."""
    valid = np.isfinite(series)
    count = int(valid.sum())
    if not count:
        return np.zeros(0), np.zeros(0), 0.0, 0
    x = np.where(valid, series - series[valid].mean(), 0.0)
    if np.allclose(x, 0.0, atol=1e-14 * max(1.0, float(np.abs(series[valid]).max()))):
        return np.zeros(0), np.zeros(0), 0.0, count
    steps = range(1, min(lags, series.shape[1] - 1) + 1)
    products = np.array([np.sum(x[:, k:] * x[:, :-k]) for k in steps])
    pairs = np.array([np.sum(valid[:, k:] & valid[:, :-k]) for k in steps], float)
    return products, pairs, float(np.sum(x**2)), count


def correlation_inflation(series: Floats) -> float:
    """Return by what factor autocorrelation multiplies the variance of a mean square: ``1 + 2 sum rho_k^2``.

    The sum ends where the correlations have sunk into their own noise (Politis and White 2004).

    Examples
    --------
    >>> correlation_inflation(np.random.default_rng(0).standard_normal((1, 500)))
    1.0
    """
    longest = series.shape[1] // 3
    products, pairs, power, count = _products(series, longest)
    if not products.size or power == 0.0:
        return 1.0
    rho = products / np.maximum(pairs, 1.0) * count / power
    last = noise_floor(rho, count)
    return float(1 + 2 * np.sum(rho[:last] ** 2))


def noise_floor(rho: Floats, count: int) -> int:
    """Return the lag from which on five correlations in a row are within their own noise (Politis and White 2004).

    Examples
    --------
    >>> noise_floor(np.array([0.9, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0]), 100)
    2
    """
    quiet = np.abs(rho) < 2 * np.sqrt(np.log10(max(count, 10)) / count)
    run = 5
    for k in range(max(rho.size - run + 1, 0)):
        if quiet[k : k + run].all():
            return k
    return int(rho.size)


def correlated(diagnostics: xr.Dataset) -> list[str]:
    """Return the blocks whose residuals are correlated, at `LEVEL` for all blocks together.

    Parameters
    ----------
    diagnostics : xarray.Dataset
        As of `examine_residuals`.

    Examples
    --------
    >>> told = examine_residuals([Residuals("y", np.sin(0.1 * np.arange(300.0))[None])])
    >>> correlated(told)
    ['y']
    """
    names, p = diagnostics["misfit"].values, diagnostics["whiteness_p"].values
    return [str(n) for n, v in zip(names, p, strict=True) if v < LEVEL / len(p)]


def diagnose(problem: InverseProblem, at: Tree) -> xr.Dataset | None:
    """Examine the residuals of every data misfit at an estimate.

    Parameters
    ----------
    problem : InverseProblem
        The problem that was solved.
    at : Tree
        The estimate.

    Returns
    -------
    xarray.Dataset or None
        As of `examine_residuals`; None where no term compares a model with data. The degrees of freedom are data less
        what the unknowns follow of them, by the hat matrix: priors leave more of them, and unknowns that data do not
        determine cost none.

    Examples
    --------
    >>> from retrodict.inverse.noise import Gaussian
    >>> from retrodict.inverse.observation import Observation
    >>> from retrodict.inverse.terms import Misfit, Term
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Space, Var
    >>> one, three = Space({"x": Var()}), Space({"y": Var(("i",), (3,))})
    >>> data = Observation(three, {"y": np.array([1.0, 2.0, 3.0])}, {"y": Gaussian(1.0)})
    >>> term = Term("data", Misfit(TorchModel(one, three, lambda t: {"y": t["x"].expand(3)}), data))
    >>> told = diagnose(InverseProblem(one, (term,), {"x": np.array(2.0)}), {"x": np.array(2.0)})
    >>> told.attrs["chi2"], told["verdict"].values[0]
    (2.0, 'too few residuals to test (3)')
    """
    found = residuals_of(problem, at)
    if not found:
        return None
    lever = leverage(problem, at)
    blocks = []
    for name, block in found.items():
        rows = lever.places.get(name)
        # a likelihood without a residual of every datum follows at most as many data as it has unknowns
        follows = _unknowns(problem, name, found) if rows is None else float(lever.share[rows[rows >= 0]].sum())
        blocks.append(Residuals(name, block.values, block.count - follows))
    return examine_residuals(blocks)


def _unknowns(problem: InverseProblem, name: str, found: Mapping[str, Residuals]) -> float:
    """Return the share of a block in the unknowns of its term."""
    term = next(t for t in problem.terms if name.startswith(f"{t.name}/"))
    own = term.fn.space.size if isinstance(term.fn, Curved) else problem.space.size
    total = sum(b.count for k, b in found.items() if k.startswith(f"{term.name}/"))
    count = found[name].count
    return min(own * count / max(total, 1), float(count))


def examine_residuals(blocks: Sequence[Residuals]) -> xr.Dataset | None:
    """Test standardised residuals.

    Parameters
    ----------
    blocks : sequence of Residuals
        One for each block of data.

    Returns
    -------
    xarray.Dataset or None
        Over ``misfit`` (the blocks): ``chi2`` (sum of squared standardised residuals), ``count``,
        ``degrees_of_freedom``, ``reduced_chi2``, ``chi2_p`` (probability of a larger one) and ``chi2_low_p`` (of a
        smaller one), both with the degrees of freedom that autocorrelation leaves; ``autocorrelation`` (lag 1),
        ``whiteness_p``, ``normality_p`` (NaN where not tested: with fewer than `FEWEST` residuals, and normality where
        they are correlated) and ``verdict``. The attributes ``chi2``, ``degrees_of_freedom``, ``reduced_chi2``,
        ``chi2_p`` and ``chi2_low_p`` are for the whole; ``normality_p`` is of all blocks together, where they are not
        correlated. None without any residual.

    Examples
    --------
    >>> white = np.random.default_rng(0).standard_normal((1, 400))
    >>> told = examine_residuals([Residuals("speed", white), Residuals("range", 2 * white)])
    >>> told["verdict"].values.tolist()
    ['white and normal', 'larger than the noise (reduced chi-squared 3.97)']
    """
    import xarray as xr

    blocks = [b for b in blocks if b.count]
    if not blocks:
        return None
    rows = [_describe(b) for b in blocks]
    numbers = {k: np.array([r[k] for r, _ in rows]) for k in rows[0][0]}
    columns = {k: ("misfit", v) for k, v in numbers.items()}
    columns["verdict"] = ("misfit", np.array([words for _, words in rows], dtype=object))
    # blocks whose residuals are correlated hold less information on their own size
    total, freedom = float(numbers["chi2"].sum()), float(numbers["degrees_of_freedom"].sum())
    whole = float(numbers["degrees_of_freedom"] @ numbers["inflation"]) / freedom if freedom > 0 else 1.0
    white = [b.valid for b, p in zip(blocks, numbers["whiteness_p"], strict=True) if not p < LEVEL]
    attrs = {"chi2": total, "degrees_of_freedom": freedom, **_chi2(total, freedom, whole)}
    attrs["normality_p"] = _normality(np.concatenate(white)) if white else np.nan
    return xr.Dataset(columns, {"misfit": [b.name for b in blocks]}, attrs)


def _chi2(chi2: float, degrees: float, inflation: float) -> dict[str, float]:
    """Return the reduced chi-squared and the probabilities of a larger and of a smaller one."""
    if degrees < 0.5:  # the unknowns follow the data: nothing is left to test
        return {"reduced_chi2": np.nan, "chi2_p": np.nan, "chi2_low_p": np.nan}
    left = degrees / inflation
    p = {"chi2_p": stats.chi2.sf, "chi2_low_p": stats.chi2.cdf}
    return {"reduced_chi2": chi2 / degrees, **{k: float(f(chi2 / inflation, left)) for k, f in p.items()}}


def _normality(residual: Floats) -> float:
    if residual.size < FEWEST or np.ptp(residual) == 0:
        return np.nan
    test = stats.shapiro if residual.size <= _SHAPIRO else stats.jarque_bera
    return float(test(residual).pvalue)


def _describe(block: Residuals) -> tuple[dict[str, float], str]:
    valid, count = block.valid, block.count
    degrees = max(float(count) if block.degrees is None else block.degrees, 0.0)
    products, pairs, power, _ = _products(block.values, _LAGS)
    seen = np.flatnonzero(pairs)  # the smallest lag that has neighbours: gaps may leave none at one
    lag = float(products[seen[0]] / pairs[seen[0]] * count / power) if seen.size and power > 0 else np.nan
    whiteness = ljung_box(block.values, min(_LAGS, count // 4))[1] if count >= FEWEST else np.nan
    correlated = whiteness < LEVEL
    inflation = correlation_inflation(block.values) if correlated else 1.0
    normality = np.nan if correlated else _normality(valid)
    chi2 = float(valid @ valid)
    size = _chi2(chi2, degrees, inflation)
    complaints = []
    if size["chi2_p"] < LEVEL:
        complaints.append(f"larger than the noise (reduced chi-squared {size['reduced_chi2']:.3g})")
    if size["chi2_low_p"] < LEVEL:
        complaints.append(f"smaller than the noise (reduced chi-squared {size['reduced_chi2']:.3g})")
    if correlated:
        complaints.append(f"correlated (lag-1 {lag:+.2f})")
    if normality < LEVEL:
        complaints.append("not normal")
    if count < FEWEST:
        complaints.append(f"too few residuals to test ({count})")
    numbers = {"chi2": chi2, "count": float(count), "degrees_of_freedom": degrees, **size, "inflation": inflation}
    numbers |= {"autocorrelation": lag, "whiteness_p": whiteness, "normality_p": normality}
    return numbers, "; ".join(complaints) or ("white and normal" if whiteness >= LEVEL else "of the size of the noise")
