"""Residuals at points: they vanish on flames solved another way, conserve mass, and are scaled as declared."""

import numpy as np
import pytest
import torch
from scipy.interpolate import make_interp_spline

from retrodict.physics.errors import SpaceError
from retrodict.physics.flames.imposed import ImposedEnds
from retrodict.physics.flames.mixture import heat_capacity_mass
from retrodict.physics.flames.premixed import Anchor
from retrodict.physics.flames.strong_form import PointState, along, diffusive_fluxes, energy_and_species
from retrodict.physics.flames.systems import CounterflowSystem, FreeFlameSystem
from retrodict.physics.system import Derivatives, PDESystem

P = torch.tensor(101325.0, dtype=torch.float64)


def random_state(mech, n=7, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: torch.as_tensor(rng.normal(size=shape))  # noqa: E731
    Y = torch.as_tensor(rng.dirichlet(np.ones(mech.K), n))
    T = torch.as_tensor(rng.uniform(400, 2200, n))
    return PointState(T, 1e5 * draw(n), 1e9 * draw(n), Y, 1e3 * draw(n, mech.K), 1e7 * draw(n, mech.K))


def free_system(mech, **changes):
    Y = np.asarray(mech.composition("CH4", "O2:1, N2:3.76", 0.8))
    hot = np.asarray(mech.mass_fractions("N2:0.73, CO2:0.08, H2O:0.15, O2:0.04"))
    given = {"T_in": 300.0, "T_b": 2000.0, "p": 101325.0, "length": 2.5e-3, "anchor": (8.75e-4, 729.0)}
    return FreeFlameSystem(mech, Y, hot, **{**given, **changes})


@pytest.mark.slow  # forward mode takes seconds to load
def test_directional_derivatives_equal_forward_mode(load):
    mech = load("one-step")
    at, params = random_state(mech), mech.tensors()
    flux = lambda *v: diffusive_fluxes(params, mech, P, *v)  # noqa: E731
    arguments, direction = (at.T, at.Y, at.T1, at.Y1), (at.T1, at.Y1, at.T2, at.Y2)
    wanted = torch.func.jvp(flux, arguments, direction)
    for mine, theirs in zip(along(flux, arguments, direction), wanted, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert torch.allclose(a.detach(), b, rtol=1e-12, atol=1e-12 * float(b.abs().max()))


@pytest.mark.parametrize("name", ["one-step", "by-hand"])
def test_species_residuals_sum_to_nothing(load, name):
    """Reactions and corrected fluxes conserve mass."""
    mech = load(name)
    at, m = random_state(mech), torch.tensor(0.3, dtype=torch.float64)
    slopes = [v - at.Y * v.sum(1, keepdim=True) for v in (at.Y1, at.Y2)]
    level = PointState(at.T, at.T1, at.T2, at.Y, *slopes)
    _, species = energy_and_species(mech.tensors(), mech, P, m, level)
    assert float(species.sum(1).abs().max()) < 1e-12 * float(species.abs().max())


def test_what_is_not_differentiated_carries_no_graph_and_what_is_does(load):
    mech = load("one-step")
    at, m = random_state(mech), torch.tensor(0.3, dtype=torch.float64)
    assert not energy_and_species(mech.tensors(), mech, P, m, at)[0].requires_grad
    moving = {**mech.tensors(), "ln_conductivity": mech.tensors()["ln_conductivity"].requires_grad_()}
    assert energy_and_species(moving, mech, P, m, at)[0].requires_grad


def test_a_cold_slope_gives_the_convection_of_scaled_variables(load):
    """Where nothing reacts or bends, the residuals are m c_p/1000 T#' and m Y#'."""
    mech = load("one-step")
    system = free_system(mech, speed=0.3)
    low, scales = system.ends[0], system.scales
    small = 1e-6
    values = {}
    for name in scales:
        slope = small if name in ("T", "O2") else -small * scales["N2"] / scales["O2"] if name == "N2" else 0.0
        values |= {(name,): torch.tensor([low[name] * scales[name]], dtype=torch.float64)}
        values |= {(name, "z"): torch.tensor([slope], dtype=torch.float64), (name, "z", "z"): torch.zeros(1).double()}
    params = {"s_L": torch.tensor(0.3, dtype=torch.float64)}
    found = system.residuals(Derivatives(values), {"z": torch.zeros(1)}, params)
    m = 0.3 * system.unburnt_density
    c_p = float(
        heat_capacity_mass(mech.tensors(), mech, torch.tensor([300.0]).double(), torch.as_tensor(system.Y_in)[None])
    )
    reacting = float(found["CH4"] / (m * small))  # the frozen reaction at 300 K
    assert abs(reacting) < 1e-3
    assert float(found["energy"]) == pytest.approx(m * c_p / 1000 * small, rel=1e-3)
    assert float(found["O2"]) == pytest.approx(m * small, rel=1e-3)


def splines(system, x, fields, z):
    d = {}
    for name, values in fields.items():
        spline = make_interp_spline(system.coordinate(x), values * system.scales[name], 5)
        d |= {(name, *("z",) * order): torch.as_tensor(spline(z, order)) for order in range(3)}
    return Derivatives(d)


def worst(system, d, z):
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}
    return {k: float(v.abs().max()) for k, v in system.residuals(d, {"z": torch.as_tensor(z)}, params).items()}


def test_residuals_vanish_on_a_free_flame_by_finite_volumes(load):
    from retrodict.solvers.flames.premixed import FreeFlame, burnt

    mech, z, found = load("one-step"), np.linspace(-1.9, 1.9, 1001), []
    Y = np.asarray(mech.composition("CH4", "O2:1, N2:3.76", 0.8))
    T_b, Y_b = burnt(mech, 300.0, 101325.0, Y)
    for points in (400, 800):
        solved = FreeFlame(mech, Y, 300.0, 101325.0, width=0.015, points=points).solve()
        x, seen = solved.equations.x.numpy(), solved.observables()
        anchor = (0.35 * x[-1], 0.75 * 300 + 0.25 * T_b)
        system = FreeFlameSystem(mech, Y, Y_b, 300.0, T_b, 101325.0, x[-1], anchor, float(seen["s_L"]))
        d = splines(system, x, {"T": seen["T"], **dict(zip(mech.species, seen["Y"].T, strict=True))}, z)
        found.append(worst(system, d, z))
    assert isinstance(system, PDESystem)
    size = float(seen["s_L"]) * system.unburnt_density * float(d["T", "z"].abs().max())  # what is convected
    for name in ("energy", "O2", "H2O", "CH4", "CO2"):
        assert found[1][name] < 1e-3 * size, name
        assert found[1][name] < 0.4 * found[0][name], name  # of second order


@pytest.mark.slow
def test_residuals_vanish_on_a_counterflow_flame_by_finite_volumes(load):
    from retrodict.solvers.flames.counterflow import CounterflowPremixedFlame

    mech, z, found = load("one-step"), np.linspace(-1.9, 1.9, 2001), []
    Y, inert = (np.asarray(v) for v in (mech.composition("CH4", "O2:1, N2:3.76", 0.8), mech.mass_fractions("N2:1")))
    for points in (600, 1200):
        solved = CounterflowPremixedFlame(mech, Y, inert, 1.0, 1.0, points=points).solve()
        x, seen = solved.equations.x.numpy(), solved.observables()
        fields = {**{k: seen[k] for k in ("u", "V", "T")}, **dict(zip(mech.species, seen["Y"].T, strict=True))}
        sizes = {k: float(np.abs(v).max()) for k, v in fields.items()}
        given = (Y, inert, 1.0, 1.0, 300.0, 300.0, 101325.0, 0.02, sizes, float(seen["Lambda"]))
        system = CounterflowSystem(mech, *given)
        found.append(worst(system, splines(system, x, fields, z), z))
    assert isinstance(system, PDESystem)
    for name in system.residuals(
        splines(system, x, fields, z), {}, {k: torch.tensor(v).double() for k, v in system.values.items()}
    ):
        assert found[1][name] < 0.03, name  # terms are of order ten
        assert found[1][name] < 0.45 * found[0][name], name


def test_ends_are_what_conditions_state(load):
    system = free_system(load("one-step"))
    box = {"z": torch.tensor([0.0])}
    values = {(c.field, c.side): float(c.value(box)) for c in system.conditions}
    assert values["T", "lower"] == pytest.approx(300 * 5 / 2000)
    assert values["T", "upper"] == 5.0
    assert len(values) == 2 * (1 + system.mechanism.K)


@pytest.mark.parametrize("changes", [{"T_b": 200.0}, {"anchor": (3e-3, 729.0)}, {"anchor": (1e-3, 100.0)}, {"p": -1.0}])
def test_wrong_conditions_are_refused(load, changes):
    with pytest.raises(SpaceError):
        free_system(load("one-step"), **changes)


def test_imposed_ends_have_their_exact_jacobian(load):
    mech = load("one-step")
    x = torch.linspace(0, 2.5e-3, 9, dtype=torch.float64)
    Y, hot = mech.composition("CH4", "O2:1, N2:3.76", 0.8), mech.mass_fractions("N2:0.73, CO2:0.08, H2O:0.15, O2:0.04")
    flame = ImposedEnds(mech, x, "central", Anchor(float(x[3]), 900.0), (2000.0, *hot.tolist()))
    share = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    cold, warm = (torch.cat([torch.tensor([T]).double(), v]) for T, v in ((310.0, 0.99 * Y), (1900.0, 0.98 * hot)))
    U, z = cold * (1 - share) + warm * share, torch.tensor([0.3], dtype=torch.float64)
    given = {"T_in": torch.tensor(300.0).double(), "p": P, "Y_in": Y}
    params = {**mech.tensors(), **given}
    at = flame.linearised(params, U, z)
    exact = torch.func.jacrev(lambda u: flame.residual(params, u, z)[0])(U)
    for i in range(9):
        for j, block in ((i - 1, at.lower[i]), (i, at.diagonal[i]), (i + 1, at.upper[i])):
            if 0 <= j < 9:
                assert torch.allclose(block, exact[i, :, j], rtol=1e-9, atol=1e-9 * float(exact[i].abs().max()))
    assert torch.equal(at.F[0], U[0] - torch.cat([given["T_in"][None], Y]))
    assert torch.equal(at.F[-1], U[-1] - torch.cat([torch.tensor([2000.0]).double(), hot]))
