"""Discretised flames: closed-form Jacobians against automatic differentiation, identities, and exact solutions."""

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SpaceError
from retrodict.physics.flames.counterflow import CounterflowEquations
from retrodict.physics.flames.finite_volume import Line, balances, faces
from retrodict.physics.flames.mechanism import load_mechanism
from retrodict.physics.flames.premixed import Anchor, PremixedEquations, interpolated

NODES = 7


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def state(mech, n=NODES):
    """Random mass fractions between hot and cold: no term of any balance vanishes."""
    rng = np.random.default_rng(3)
    Y = rng.uniform(0.01, 1, (n, mech.K))
    T = torch.linspace(400, 2000, n, dtype=torch.float64)
    return T, torch.as_tensor(Y / Y.sum(1, keepdims=True))


def flames(mech, x, scheme):
    yield PremixedEquations(mech, x, scheme, Anchor(float(x[3]), 700.0))
    yield PremixedEquations(mech, x, scheme)
    yield CounterflowEquations(mech, x, scheme)


def point(equations, mech):
    T, Y = state(mech)
    params = mech.tensors() | {"T_in": number(310.0), "p": number(1e5), "Y_in": Y[1], "m": number(0.4)}
    if isinstance(equations, CounterflowEquations):
        flow = [torch.linspace(1, -0.9, NODES), 50 + 20 * torch.sin(torch.arange(NODES))]
        U = torch.cat([torch.stack(flow, 1).double(), T[:, None], Y], 1)
        sides = {"T_u": number(310.0), "T_b": number(330.0), "Y_u": Y[1], "Y_b": Y[2]}
        return params | sides | {"m_u": number(1.0), "m_b": number(0.9)}, U, number([-1e4])
    return params, torch.cat([T[:, None], Y], 1), number([0.4] * len(equations.scalars))


def blocks_against_autograd(equations, mech):
    params, U, z = point(equations, mech)
    with torch.no_grad():
        line = equations.linearised(params, U, z)
    F, f = equations.residual(params, U, z)
    torch.testing.assert_close(line.F, F, rtol=1e-13, atol=0)
    torch.testing.assert_close(line.f, f, rtol=1e-13, atol=0)
    full = torch.autograd.functional.jacobian(lambda u: equations.residual(params, u, z)[0], U)
    made = torch.zeros_like(full)
    for i in range(NODES):
        made[i, :, i] = line.diagonal[i]
        if i:
            made[i, :, i - 1] = line.lower[i]
        if i < NODES - 1:
            made[i, :, i + 1] = line.upper[i]
    size = full.abs().amax(dim=(2, 3), keepdim=True)
    assert float(((made - full).abs() / size).max()) < 1e-12
    if z.numel():
        by_z = torch.autograd.functional.jacobian(lambda s: equations.residual(params, U, s), z)
        torch.testing.assert_close(line.columns, by_z[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(line.corner, by_z[1], rtol=1e-12, atol=1e-12)
        rows = torch.autograd.functional.jacobian(lambda u: equations.residual(params, u, z)[1], U)
        torch.testing.assert_close(line.rows, rows, rtol=1e-12, atol=1e-12 * float(rows.abs().max()))


@pytest.mark.parametrize("scheme", ["upwind", "central"])
def test_jacobians_equal_automatic_differentiation(scheme):
    mech = load_mechanism("h2o2.yaml")
    x = 0.01 * torch.linspace(0, 1, NODES, dtype=torch.float64) ** 1.5
    for equations in flames(mech, x, scheme):
        blocks_against_autograd(equations, mech)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["upwind", "central"])
def test_jacobians_of_a_large_mechanism_equal_automatic_differentiation(scheme):
    mech = load_mechanism("gri30.yaml")
    x = 0.01 * torch.linspace(0, 1, NODES, dtype=torch.float64) ** 1.5
    for equations in flames(mech, x, scheme):
        blocks_against_autograd(equations, mech)


@pytest.mark.parametrize("scheme", ["upwind", "central"])
def test_fluxes_sum_to_zero_and_species_balances_to_the_convection_of_one(scheme):
    mech = load_mechanism("h2o2.yaml")
    T, Y = state(mech)
    line = Line(torch.linspace(0, 0.01, NODES, dtype=torch.float64))
    value, face = balances(mech.tensors(), mech, line, number(1e5), number(0.4), T, Y, scheme)
    size = face.flux.abs().sum(1)
    assert float((face.flux.sum(1).abs() / size).max()) < 1e-13
    assert float((value[:, 1:].sum(1).abs() / value[:, 1:].abs().sum(1)).max()) < 1e-12


def test_elements_are_conserved_from_face_to_face_by_the_central_scheme():
    """m Y + j of an element on two faces differ by the residuals of its species between them, and nothing else."""
    mech = load_mechanism("h2o2.yaml")
    T, Y = state(mech)
    x = 0.01 * torch.linspace(0, 1, NODES, dtype=torch.float64) ** 1.5
    line, m = Line(x), number(0.4)
    value, face = balances(mech.tensors(), mech, line, number(1e5), m, T, Y, "central")
    share = mech.atoms / mech.weights[:, None]
    crossing = (m * face.Y + face.flux) @ share
    left_over = (value[:, 1:] * line.width[:, None]) @ share
    rounding = 1e-13 * float((value[:, 1:].abs() * line.width[:, None]).max())
    torch.testing.assert_close(crossing[1:] - crossing[:-1], left_over, rtol=1e-10, atol=rounding)


@pytest.mark.parametrize(("scheme", "order"), [("upwind", 1.0), ("central", 2.0)])
def test_the_slope_of_convection_has_its_order(scheme, order):
    errors = []
    for n in (101, 201):
        line = Line(torch.linspace(0, 1, n, dtype=torch.float64))
        slope = line.slope(torch.sin(3 * line.x), number(1.0), scheme)
        errors.append(float((slope - 3 * torch.cos(3 * line.x[1:-1])).abs().max()))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


def test_upwind_differences_look_against_the_flow():
    line = Line(torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64))
    values = torch.tensor([0.0, 1.0, 9.0], dtype=torch.float64)
    assert float(line.slope(values, number([0.5]), "upwind")) == 1.0
    assert float(line.slope(values, number([-0.5]), "upwind")) == 4.0


def test_conduction_through_inert_gas_carries_the_heat_of_cantera():
    """Between two nodes: lambda of the mean state times the slope, lambda by Cantera."""
    mech = load_mechanism("h2o2.yaml")
    gas = mech.gas()
    gas.TPX = 450.0, 1e5, "N2:0.5, AR:0.5"
    Y = torch.as_tensor(gas.Y.copy()).expand(3, -1)
    T = torch.tensor([400.0, 500.0, 700.0], dtype=torch.float64)
    line = Line(torch.tensor([0.0, 0.01, 0.02], dtype=torch.float64))
    face = faces(mech.tensors(), mech, line, number(1e5), T, Y, "central")
    assert float(face.heat[0]) == pytest.approx(-gas.thermal_conductivity * 1e4, rel=1e-12)
    assert float(face.flux.abs().max()) < 1e-18


def test_wrong_nodes_and_anchors_are_refused():
    mech = load_mechanism("h2o2.yaml")
    with pytest.raises(SpaceError, match="three or more that increase"):
        Line(torch.tensor([0.0, 1.0, 1.0]))
    with pytest.raises(SpaceError, match=r"PremixedEquations\.anchor"):
        PremixedEquations(mech, torch.linspace(0, 1, 5), anchor=Anchor(0.0, 500.0))


def test_a_flame_moved_to_other_nodes_is_interpolated_and_held_at_its_anchor():
    mech = load_mechanism("h2o2.yaml")
    x = torch.linspace(0, 1, 5, dtype=torch.float64)
    U = torch.linspace(300, 1500, 5, dtype=torch.float64)[:, None].expand(5, 1 + mech.K)
    flame = PremixedEquations(mech, x, "upwind", Anchor(0.5, 900.0))
    finer = torch.linspace(0, 1, 9, dtype=torch.float64)
    moved, state_there = flame.on(finer, U, "central")
    assert (moved.scheme, moved.anchor) == ("central", Anchor(0.5, 900.0))
    torch.testing.assert_close(state_there[:, 0], torch.linspace(300, 1500, 9, dtype=torch.float64))
    torch.testing.assert_close(interpolated(x, U, x), U.contiguous())
