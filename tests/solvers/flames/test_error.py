"""The error estimate against a limit that two independent codes and both schemes share (one step, phi 0.8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from retrodict.cases.data import bundled
from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.flames.mechanism import load_mechanism
from retrodict.solvers.base import Status
from retrodict.solvers.flames.error import Extrapolation, extrapolated, on_halved
from retrodict.solvers.flames.premixed import FreeFlame
from retrodict.solvers.flames.solution import FlameSolution

LIMIT = 0.279669


@pytest.fixture(scope="module")
def flame() -> FlameSolution:
    return one_step(81, "central")


def one_step(points: int, scheme: Literal["central", "upwind"]) -> FlameSolution:
    mech = load_mechanism(bundled("flames/1S_CH4_MP1.yaml"))
    Y = mech.composition("CH4", "O2:1, N2:3.76", 0.8).numpy()
    return FreeFlame(mech, Y, 300.0, 101325.0, points=points, scheme=scheme).solve()


def test_the_limit_of_a_second_order_flame_on_few_nodes(flame: FlameSolution) -> None:
    found = extrapolated(flame)
    assert found.nodes == (81, 161)
    assert found.limit == pytest.approx(LIMIT, rel=1e-5)
    assert found.error_coarse == pytest.approx(found.coarse - LIMIT, rel=0.02)
    assert found.error_fine == pytest.approx(found.fine - LIMIT, rel=0.05)


@pytest.mark.slow
def test_both_schemes_have_one_limit() -> None:
    upwind = extrapolated(one_step(241, "upwind"))
    assert upwind.order == 1
    assert upwind.limit == pytest.approx(LIMIT, rel=1e-4)
    assert abs(upwind.coarse / LIMIT - 1) > 2e-3


def test_the_formula_removes_the_leading_term() -> None:
    for order in (1, 2):
        made = Extrapolation(3.0 + 0.1 * 1.0**order, 3.0 + 0.1 * 0.5**order, order, (11, 21))
        assert made.limit == pytest.approx(3.0, abs=1e-14)
        assert made.error_coarse == pytest.approx(0.1, abs=1e-14)


def test_profiles_and_unknown_names_are_refused(flame: FlameSolution) -> None:
    for name in ("T", "pressure"):
        with pytest.raises(SpaceError, match="one of"):
            extrapolated(flame, name)


def test_grids_that_are_not_nested_are_refused(flame: FlameSolution) -> None:
    with pytest.raises(SolverError, match="halved"):
        extrapolated(flame, finer=flame)


def test_a_flame_that_failed_has_no_error_estimate(flame: FlameSolution) -> None:
    failed = replace(flame, status=Status.FAILED, reason="for a test")
    with pytest.raises(SolverError, match="for a test"):
        on_halved(failed)
    assert np.isfinite(flame.U).all()


def test_a_flame_that_failed_is_refused_where_a_flame_is_needed(flame: FlameSolution) -> None:
    assert flame.required("here") is flame
    with pytest.raises(SolverError, match="here: got failed: out, expected a converged flame"):
        replace(flame, status=Status.FAILED, reason="out").required("here")
