"""Verdicts: what passes, what fails, and that neither NaN nor an exception passes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from retrodict.cases.checks import (
    Analytic,
    Check,
    Invariant,
    Published,
    SolverRun,
    excess,
    judge,
    max_abs,
    max_rel,
    rel_l2,
    shortfall,
)
from retrodict.cases.contracts import model_checks
from retrodict.physics.errors import ConfigError
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Space, Var

NAN = float("nan")


def test_a_check_passes_and_measures() -> None:
    reference = SolverRun(lambda: np.linspace(0, 1, 5), "a peer 1.0")
    verdict = judge(Check("ramp", lambda: np.linspace(0, 1, 5) + 1e-9, reference, 1e-8, max_abs, "m"))
    assert verdict.passed
    assert verdict.error == pytest.approx(1e-9)
    assert verdict.kind == "reference solver"
    assert verdict.curves is not None
    json.dumps(verdict.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "reference"),
    [(NAN, 1.0), (1.0, NAN), ([1.0, NAN], [1.0, 1.0]), (float("inf"), 1.0), (float("inf"), float("inf")), (0.0, 0.0)],
)
@pytest.mark.parametrize("comparator", [max_abs, max_rel, rel_l2, excess, shortfall])
def test_nan_never_passes(value: object, reference: object, comparator: object) -> None:
    with np.errstate(all="ignore"):
        verdict = judge(Check("x", lambda: value, Analytic(reference, "s"), 1.0, comparator))  # type: ignore[arg-type]
    if verdict.passed:  # zero against zero, or one-sided comparisons that infinity satisfies
        assert verdict.error == 0.0
        assert not np.isnan(np.asarray(value, float)).any()
        assert not np.isnan(np.asarray(reference, float)).any()


@pytest.mark.parametrize("broken", [lambda: 1 / 0, lambda: "words", list, lambda: np.ones(3)])
def test_what_raises_is_a_failed_check_with_its_message(broken: object) -> None:
    verdict = judge(Check("x", broken, Analytic(np.ones(2), "s"), 1.0, note="why"))  # type: ignore[arg-type]
    assert not verdict.passed
    assert verdict.error is None
    assert verdict.note.endswith("why")
    assert ":" in verdict.note


def test_a_reference_that_raises_fails_the_check() -> None:
    def gone() -> float:
        raise OSError("the peer is not installed")

    verdict = judge(Check("x", lambda: 1.0, SolverRun(gone, "peer"), 1.0))
    assert not verdict.passed
    assert "not installed" in verdict.note


def test_a_published_number_missed_keeps_both_numbers() -> None:
    verdict = judge(Check("ADE", lambda: 1.2, Published(1.0, "Table 2"), 0.01))
    assert (verdict.passed, verdict.value, verdict.reference, verdict.kind) == (False, 1.2, 1.0, "published")


def test_one_sided_comparators() -> None:
    assert judge(Check("at most", lambda: 0.9, Published(1.0, "s"), 0.0, excess)).passed
    assert not judge(Check("at most", lambda: 1.1, Published(1.0, "s"), 0.0, excess)).passed
    assert judge(Check("at least", lambda: 1.1, Published(1.0, "s"), 0.0, shortfall)).passed


@pytest.mark.parametrize("tolerance", [-1.0, NAN, float("inf")])
def test_tolerances_are_numbers(tolerance: float) -> None:
    with pytest.raises(ConfigError, match="tolerance"):
        Check("x", lambda: 0.0, Invariant(), tolerance)


class _Doubling:
    def __init__(self, slope: float, adjoint: float) -> None:
        self.domain = self.range = Space({"x": Var(("i",), (3,))})
        self.slope, self.back = slope, adjoint

    def apply(self, p):  # type: ignore[no-untyped-def]
        return {"x": np.sin(2 * p["x"])}

    def linearize(self, p):  # type: ignore[no-untyped-def]
        d = 2 * np.cos(2 * p["x"])
        forward = lambda t: {"x": self.slope * d * t["x"]}  # noqa: E731
        transpose = lambda t: {"x": self.back * d * t["x"]}  # noqa: E731
        return self.apply(p), Operator(self.domain, self.range, forward, transpose)


@pytest.mark.parametrize(
    ("slope", "adjoint", "passed"),
    [(1.0, 1.0, [True, True]), (1.0, 1 + 1e-9, [False, True]), (1.001, 1.001, [True, False])],
)
def test_contract_checks_catch_a_wrong_adjoint_and_a_wrong_derivative(
    slope: float, adjoint: float, passed: list[bool]
) -> None:
    checks = model_checks({"m": (_Doubling(slope, adjoint), {"x": np.array([0.1, 0.2, 0.3])})})
    assert [judge(c).passed for c in checks] == passed
