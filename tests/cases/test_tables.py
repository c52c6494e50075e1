"""Tables of a report: rounding loses less than a tenth of a standard deviation; odd posteriors still make a table."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from retrodict.cases.tables import diagnostics_table, parameter_table, rounded, variable_table

numbers = st.floats(-1e50, 1e50, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-50)
positive = st.floats(1e-50, 1e50)


@given(numbers, positive)
def test_rounding_keeps_what_the_uncertainty_supports(value: float, std: float) -> None:
    text, spread = rounded(value, std)
    assert abs(float(text) - value) <= 0.1 * std + 1e-14 * abs(value)
    assert abs(float(spread) - std) <= 0.1 * std


def test_what_nothing_determines_is_unbounded() -> None:
    n = np.array([1.0, 2.0])
    post = xr.Dataset(
        {
            "estimate": ("parameter", n),
            "std": ("parameter", np.array([0.1, np.inf])),
            "interval_68": (("parameter", "bound"), np.zeros((2, 2))),
            "interval_95": (("parameter", "bound"), np.zeros((2, 2))),
            "verdict": ("parameter", np.array(["identified by the data", "not identifiable from these data"], object)),
            "truth": ("parameter", n),
        },
        {"parameter": ["a", "b"]},
    )
    rows = parameter_table(post)
    assert rows[1]["interval_95"] == "unbounded"
    assert (rows[1]["std"], rows[1]["pull"]) == ("∞", "–")
    assert [r["ok"] for r in rows] == [True, False]


def test_variables_of_every_kind_are_listed() -> None:
    data = xr.Dataset(
        {
            "empty": ("i", np.zeros(0)),
            "words": ("j", np.array(["a", "b"], object)),
            "holes": ("j", [1.0, np.nan]),
            "count": ("j", [1, 3]),
            "flag": ("j", [True, False]),
        }
    )
    rows = {r["name"]: r for r in variable_table(data)}
    assert rows["empty"]["mean"] is None
    assert rows["words"]["max"] is None
    assert rows["holes"]["mean"] == 1.0
    assert rows["count"]["max"] == 3.0


def test_diagnostics_speak() -> None:
    columns = ("chi2", "count", "autocorrelation", "whiteness_p", "normality_p")
    data = {c: ("misfit", [1.0]) for c in columns} | {"verdict": ("misfit", np.array(["fine"], object))}
    for p, word in ((0.5, "predicts."), (1e-9, "larger"), (1 - 1e-9, "smaller")):
        attrs = {"chi2": 1.0, "degrees_of_freedom": 1, "reduced_chi2": 1.0, "chi2_p": p, "chi2_low_p": 1 - p}
        assert word in diagnostics_table(xr.Dataset(data, {"misfit": ["a"]}, attrs))["sentence"]
