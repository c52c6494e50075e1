"""Tables of a report: numbers rounded to what their uncertainty supports."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.inverse.diagnostics import LEVEL

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["diagnostics_table", "parameter_table", "rounded", "typeset_units", "variable_table"]


def rounded(value: float, std: float) -> tuple[str, str]:
    """Return a value and its standard deviation as text, to two digits of the standard deviation.

    Parameters
    ----------
    value, std : float
        In one unit.

    Returns
    -------
    tuple of str
        Value and standard deviation, with the same number of decimals.

    Examples
    --------
    >>> rounded(12.34567, 0.0345)
    ('12.346', '0.035')
    >>> rounded(6.0221e23, 4.5e19)
    ('6.02210e23', '0.00045e23')
    """
    if not (math.isfinite(std) and std > 0 and math.isfinite(value)):
        return f"{value:.6g}", "∞" if math.isinf(std) else f"{std:.2g}"
    largest = max(abs(value), std)
    exponent = math.floor(math.log10(largest))
    scientific = exponent >= 6 or exponent <= -4
    shift = exponent if scientific else 0
    decimals = max(0, 1 - math.floor(math.log10(std)) + shift)
    suffix = f"e{exponent}" if scientific else ""
    scale = 10.0**shift
    return f"{value / scale:.{decimals}f}{suffix}", f"{std / scale:.{decimals}f}{suffix}"


def parameter_table(posterior: xr.Dataset) -> list[dict[str, Any]]:
    """Return one row an unknown: estimate, standard deviation, intervals, truth, pull, verdict.

    Parameters
    ----------
    posterior : xarray.Dataset
        As `retrodict.inverse.posterior.posterior` gives it.

    Returns
    -------
    list of dict
        All values as text, but ``ok``: whether the verdict is without complaint.
    """
    rows = []
    for i, label in enumerate(posterior["parameter"].values):
        here = posterior.isel(parameter=i)
        x, std = float(here["estimate"]), float(here["std"])
        value, spread = rounded(x, std)
        row: dict[str, Any] = {"label": str(label), "estimate": value, "std": spread, "truth": "", "pull": ""}
        row["units"] = str(here["units"].values) if "units" in here.coords else ""
        laplace = float(here["std_laplace"]) if "std_laplace" in here else std
        # shown where the residuals have widened it
        row["laplace"] = rounded(x, laplace)[1] if math.isfinite(std) and std > 1.005 * laplace else ""
        for level in (68, 95):
            name = f"interval_{level}"
            ends = [rounded(float(v), std)[0] for v in here[name].values] if name in here else []
            row[name] = f"[{ends[0]}, {ends[1]}]" if ends and math.isfinite(std) else "unbounded"
        if "truth" in here:
            truth = float(here["truth"])
            row["truth"] = rounded(truth, std)[0]
            row["pull"] = f"{(x - truth) / std:+.2f}" if math.isfinite(std) and std > 0 else "–"
        row["verdict"] = str(here["verdict"].values) if "verdict" in here else ""
        row["ok"] = row["verdict"].startswith("identified") or not row["verdict"]
        rows.append(row)
    return rows


def diagnostics_table(diagnostics: xr.Dataset) -> dict[str, Any]:
    """Return chi-squared for the whole and one row a misfit.

    Parameters
    ----------
    diagnostics : xarray.Dataset
        As `retrodict.inverse.diagnostics.diagnose` gives it.

    Returns
    -------
    dict
        ``chi2``, ``degrees_of_freedom``, ``reduced_chi2``, ``chi2_p``, ``sentence`` and ``rows``.
    """
    names = ("chi2", "degrees_of_freedom", "reduced_chi2", "chi2_p")
    table: dict[str, Any] = {k: _scalar(diagnostics.attrs.get(k)) for k in names}
    columns = ("chi2", "count", "reduced_chi2", "autocorrelation", "whiteness_p", "normality_p", "verdict")
    table["rows"] = [
        {"misfit": str(m), **{c: _scalar(diagnostics[c].values[i]) for c in columns if c in diagnostics}}
        for i, m in enumerate(diagnostics["misfit"].values)
    ]
    table["sentence"] = _sentence(table["chi2_p"], _scalar(diagnostics.attrs.get("chi2_low_p")))
    return table


def variable_table(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """Return one row a variable: name, dimensions, units, smallest, mean, largest."""
    rows = []
    for name, values in dataset.data_vars.items():
        numeric = values.dtype.kind in "iuf" and values.size and np.isfinite(values.values).any()
        with np.errstate(all="ignore"):
            numbers = [f(values.values) for f in (np.nanmin, np.nanmean, np.nanmax)] if numeric else [None] * 3
        low, mean, high = (None if v is None else float(v) for v in numbers)
        rows.append(
            {
                "name": str(name),
                "long_name": str(values.attrs.get("long_name", "")),
                "dims": " × ".join(f"{d} {n}" for d, n in values.sizes.items()) or "scalar",
                "units": str(values.attrs.get("units", "")),
                "min": low,
                "mean": mean,
                "max": high,
            }
        )
    return rows


def typeset_units(text: str) -> str:
    """Write CF units as print does; pure numbers have none.

    Examples
    --------
    >>> typeset_units("kg m-2 s-1"), typeset_units("1")
    ('kg m⁻² s⁻¹', '')
    """
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "" if text == "1" else re.sub(r"(?<=[A-Za-z])-?\d+", lambda m: m[0].translate(raised), text)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def _sentence(p: float | None, low_p: float | None) -> str:
    if p is None or low_p is None:
        return "The unknowns follow the data: no degree of freedom is left to test the model with."
    if p < LEVEL:
        return "The residuals are larger than the noise model predicts: model or noise is not what was assumed."
    if low_p < LEVEL:
        return "The residuals are smaller than the noise model predicts: the noise is overestimated."
    return "The residuals have the size that the noise model predicts."
