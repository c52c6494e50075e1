"""Counterflow flames against Cantera's, the law of mass, and extinction told apart from failure."""

from __future__ import annotations

import numpy as np
import pytest

from retrodict.cases.data import bundled
from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.flames.mechanism import load_mechanism
from retrodict.solvers.base import Status
from retrodict.solvers.flames.counterflow import CounterflowPremixedFlame, heat_released
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.flames.strain import Strained, raised
from retrodict.solvers.reference.cantera_flames import counterflow_premixed

FILE = str(bundled("flames/1S_CH4_MP1.yaml"))
# Cantera 3.2.0, 1 kg/m2/s of CH4/air against nitrogen, 20 mm, refined (3, 0.05, 0.05, 0.01) from 101 even nodes
LAMBDA = {0.6: -10968.6, 0.7: -12239.4, 0.8: -13595.2, 0.9: -15077.4, 1.0: -16611.5, 1.1: -17456.0, 1.2: -18134.9}
T_MAX = {0.6: 1590.2, 0.7: 1835.1, 0.8: 2012.1, 0.9: 2171.6, 1.0: 2319.5, 1.1: 2285.9, 1.2: 2252.1}


def opposed(phi: float, flux: float = 1.0, points: int = 120) -> CounterflowPremixedFlame:
    mech = load_mechanism(FILE)
    left, right = mech.composition("CH4", "O2:1, N2:3.76", phi).numpy(), mech.mass_fractions("N2:1").numpy()
    return CounterflowPremixedFlame(mech, left, right, flux, flux, points=points)


@pytest.fixture(scope="module")
def lean() -> FlameSolution:
    return opposed(0.6).solve()


def test_the_leanest_flame_burns_as_in_cantera(lean: FlameSolution) -> None:
    assert lean.status is Status.CONVERGED
    assert float(lean.z[0]) == pytest.approx(LAMBDA[0.6], rel=1e-2)
    assert lean.U[:, 2].max() == pytest.approx(T_MAX[0.6], rel=1e-2)


def test_what_comes_in_leaves_sideways(lean: FlameSolution) -> None:
    seen = lean.observables()
    sideways = np.trapezoid(2 * seen["rho"] * seen["V"], lean.equations.x.numpy())
    entering = seen["rho"][0] * seen["u"][0] - seen["rho"][-1] * seen["u"][-1]
    assert sideways == pytest.approx(entering, rel=1e-13)
    assert entering == pytest.approx(2.0, rel=1e-12)


def test_more_strain_cools_a_lean_flame(lean: FlameSolution) -> None:
    found = raised(opposed(0.6), Strained(1.0, lean), 1.1)
    assert found[-1].factor == 1.1
    assert found[-1].flame.U[:, 2].max() < lean.U[:, 2].max() - 20
    assert float(found[-1].flame.params["m_u"]) == pytest.approx(1.1)


@pytest.mark.slow
@pytest.mark.parametrize("phi", sorted(LAMBDA))
def test_seven_flames_against_refined_cantera(phi: float) -> None:
    solved = opposed(phi, points=200).solve()
    assert solved.status is Status.CONVERGED, solved.reason
    live = counterflow_premixed(
        FILE, "CH4", "O2:1, N2:3.76", phi, width=0.02, mdot_u=1.0, mdot_b=1.0, T_b=300.0, burnt="N2:1",
        grid=101, refine=(3, 0.05, 0.05, 0.01),
    )  # fmt: skip
    assert float(live["Lambda"]) == pytest.approx(LAMBDA[phi], rel=2e-3)
    assert float(solved.z[0]) == pytest.approx(float(live["Lambda"]), rel=1e-2)
    assert solved.U[:, 2].max() == pytest.approx(float(live["T"].max()), rel=1e-2)


@pytest.mark.slow
def test_extinction_lies_where_cantera_finds_it() -> None:
    # Cantera burns at 0.5 and not at 0.52 kg/m2/s
    assert opposed(0.5, 0.45).solve().status is Status.CONVERGED
    out = opposed(0.5, 1.0).solve()
    assert out.status is Status.FAILED
    assert out.reason.startswith("Extinguished")
    fraction = float(out.reason.split("up to ")[1].split(" of")[0])
    assert 0.49 < fraction < 0.52
    assert heat_released(out) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.5, 1.0])
def test_hydrogen_against_nitrogen_burns(phi: float) -> None:
    mech = load_mechanism("h2o2.yaml")
    left, right = mech.composition("H2", "O2:1, N2:3.76", phi).numpy(), mech.mass_fractions("N2:1").numpy()
    solved = CounterflowPremixedFlame(mech, left, right, 3.0, 3.0, points=150).solve()
    assert solved.status is Status.CONVERGED, solved.reason
    assert heat_released(solved) > 0.1


@pytest.mark.slow
def test_twins_are_mirror_images() -> None:
    mech = load_mechanism(FILE)
    Y = mech.composition("CH4", "O2:1, N2:3.76", 0.7).numpy()
    solved = CounterflowPremixedFlame(mech, Y, Y, 1.0, 1.0, points=201).solve()
    assert solved.status is Status.CONVERGED
    x, T = solved.equations.x.numpy(), solved.U[:, 2]
    assert np.abs(T - np.interp(0.02 - x, x, T)).max() < 25


@pytest.mark.parametrize("change", [{"m_u": 0.0}, {"T_b": -1.0}, {"width": float("nan")}, {"points": 5}])
def test_wrong_conditions_are_refused(change: dict[str, float]) -> None:
    from dataclasses import replace

    with pytest.raises(SpaceError, match=next(iter(change))):
        replace(opposed(0.8), **change)  # type: ignore[arg-type]


def test_wrong_schemes_and_steps_are_refused(lean: FlameSolution) -> None:
    from dataclasses import replace

    with pytest.raises(SpaceError, match="scheme"):
        replace(opposed(0.8), scheme="upward")  # type: ignore[arg-type]
    with pytest.raises(SolverError, match="steps"):
        raised(opposed(0.6), Strained(1.0, lean), 2.0, first_step=0.9)
