"""Free flames against Cantera on equal nodes, and laws that hold for any mechanism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrodict.cases.data import bundled
from retrodict.physics.errors import SpaceError
from retrodict.physics.flames.mechanism import load_mechanism
from retrodict.physics.flames.premixed import PremixedEquations
from retrodict.solvers.base import Status
from retrodict.solvers.flames.error import extrapolated
from retrodict.solvers.flames.model import FlameModel
from retrodict.solvers.flames.premixed import FreeFlame, burnt
from retrodict.solvers.reference.cantera_flames import free_flame

ONE_STEP = str(bundled("flames/1S_CH4_MP1.yaml"))
AIR = "O2:1, N2:3.76"


def flame(file: str, fuel: str, phi: float) -> FreeFlame:
    mech = load_mechanism(file)
    return FreeFlame(mech, mech.composition(fuel, AIR, phi).numpy(), 300.0, 101325.0)


def same_nodes(file: str, fuel: str, phi: float, points: int) -> tuple[float, float]:
    """Return our burning velocity and Cantera's, both upwind on our nodes."""
    solved = replace(flame(file, fuel, phi), points=points, scheme="upwind").solve()
    assert solved.status is Status.CONVERGED, solved.reason
    equations = solved.equations
    assert isinstance(equations, PremixedEquations)
    assert equations.anchor is not None
    at = equations.anchor.x, equations.anchor.T
    theirs = free_flame(file, fuel, AIR, phi, 300.0, 101325.0, grid=equations.x.numpy(), anchor=at)
    return float(solved.observables()["s_L"]), float(theirs["s_L"])


def test_one_step_on_cantera_s_grid() -> None:
    ours, theirs = same_nodes(ONE_STEP, "CH4", 0.8, 101)
    assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "fuel", "phi"),
    [*(("h2o2.yaml", "H2", p) for p in (0.6, 1.0, 2.0)), ("gri30.yaml", "CH4", 1.0)],
)
def test_detailed_mechanisms_on_cantera_s_grid(file: str, fuel: str, phi: float) -> None:
    ours, theirs = same_nodes(file, fuel, phi, 161)
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_pressure_law_of_one_step() -> None:
    one = replace(flame(ONE_STEP, "CH4", 0.8), points=81)
    speeds = [extrapolated(replace(one, p=p).solve()).limit for p in (101325.0, 5 * 101325.0)]
    assert speeds[1] / speeds[0] == pytest.approx(5**-0.25, rel=1e-3)


@pytest.mark.slow
def test_rates_and_transport_contribute_a_half_each() -> None:
    solved = replace(flame(ONE_STEP, "CH4", 0.8), points=461).solve()
    model = FlameModel(solved, ["s_L"])
    value, slope = model.linearize(model.nominal())
    found = slope.adjoint({"s_L": np.array(1 / value["s_L"])})
    assert found["ln_A"].sum() == pytest.approx(0.5, abs=1e-4)
    assert found["ln_conductivity"].sum() + found["ln_diffusion"].sum() == pytest.approx(0.5, abs=1e-4)


def test_burnt_gas_is_in_equilibrium() -> None:
    one = replace(flame(ONE_STEP, "CH4", 1.0), points=61)
    solved = one.solve()
    T, _ = burnt(one.mechanism, one.T_in, one.p, one.Y_in)
    assert solved.U[-1, 0] == pytest.approx(T, rel=1e-3)
    assert np.abs(solved.U[:, 1:].sum(1) - 1).max() < 1e-12


def test_a_mixture_that_cannot_burn_names_its_equilibrium() -> None:
    with pytest.raises(SpaceError, match="579 K from 300 K"):
        flame(ONE_STEP, "CH4", 0.1).solve()


def test_a_domain_too_short_is_a_status_with_a_reason() -> None:
    solved = replace(flame(ONE_STEP, "CH4", 0.8), width=1e-5).solve()
    assert solved.status is not Status.CONVERGED
    assert "nodes" in solved.reason
