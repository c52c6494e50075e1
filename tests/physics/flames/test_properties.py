"""Every property against Cantera, species by species and reaction by reaction, at random states."""

import cantera as ct
import numpy as np
import pytest
import torch

from retrodict.physics.flames import kinetics, mixture, thermo, transport

PRESSURE = 2.3e5
FAST = ["one-step", "by-hand", "h2o2.yaml"]
SLOW = ["gri30.yaml", "gri30_highT.yaml", "ohn.yaml"]
NAMES = FAST + [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]


def states(mech, n=12, seed=0):
    """Temperatures in both ranges, and compositions from even to nearly pure."""
    rng = np.random.default_rng(seed)
    Y = rng.dirichlet(np.full(mech.K, 0.3), n).clip(1e-12)
    return torch.tensor(rng.uniform(300.0, 2900.0, n)), torch.tensor(Y / Y.sum(1, keepdims=True))


def cantera_at(gas, T, Y, read):
    """Stack what ``read`` takes from the gas at each state."""
    rows = []
    for t, y in zip(T.tolist(), Y.numpy(), strict=True):
        gas.set_unnormalized_mass_fractions(y)
        gas.TP = t, PRESSURE
        rows.append(read(gas))
    return torch.tensor(np.array(rows))


def close(ours, theirs, tolerance=1e-11):
    """Each entry relative to itself, or to the largest of its point where it cancels."""
    scale = theirs.abs() + 1e-300
    assert float(((ours - theirs).abs() / scale).max()) < tolerance


@pytest.fixture
def case(request, load, source_of):
    mech = load(request.param)
    gas = ct.Solution(source_of(request.param))
    gas.transport_model = "mixture-averaged"
    return mech, gas, mech.tensors(), *states(mech)


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_thermodynamics(case):
    mech, gas, params, T, Y = case
    close(thermo.heat_capacity(params, mech, T), cantera_at(gas, T, Y, lambda g: g.standard_cp_R))
    close(thermo.enthalpy(params, mech, T), cantera_at(gas, T, Y, lambda g: g.standard_enthalpies_RT), 1e-10)
    at_reference = cantera_at(gas, T, Y, lambda g: g.standard_entropies_R + np.log(g.P / g.reference_pressure))
    close(thermo.entropy(params, mech, T), at_reference)
    close(mixture.heat_capacity_mass(params, mech, T, Y), cantera_at(gas, T, Y, lambda g: g.cp_mass))
    close(mixture.density(mech, T, PRESSURE, Y), cantera_at(gas, T, Y, lambda g: g.density))
    close(mixture.concentrations(mech, T, PRESSURE, Y), cantera_at(gas, T, Y, lambda g: g.concentrations))
    assert ct.gas_constant == mixture.GAS_CONSTANT


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_transport(case):
    mech, gas, params, T, Y = case
    X = mixture.mole_fractions(mech, Y)
    close(transport.conductivity(params, mech, T, X), cantera_at(gas, T, Y, lambda g: g.thermal_conductivity))
    close(transport.viscosity(params, mech, T, X), cantera_at(gas, T, Y, lambda g: g.viscosity))
    flux = cantera_at(
        gas, T, Y, lambda g: g.density * g.molecular_weights / g.mean_molecular_weight * g.mix_diff_coeffs
    )
    close(transport.mixture_diffusion(params, mech, T, PRESSURE, Y), flux)


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_rate_constants(case):
    mech, gas, params, T, Y = case
    C = mixture.concentrations(mech, T, PRESSURE, Y)
    forward, reverse = kinetics.rate_constants(params, mech, T, C)
    M = cantera_at(gas, T, Y, lambda g: np.nan_to_num(g.third_body_concentrations, nan=1.0))
    # Cantera leaves colliders out of the constants of three-body reactions
    plain = torch.ones_like(M)
    rows = mech.reactions.body[mech.reactions.plain_body]
    plain[:, rows] = M[:, rows]
    close(forward, cantera_at(gas, T, Y, lambda g: g.forward_rate_constants) * plain)
    close(reverse, cantera_at(gas, T, Y, lambda g: g.reverse_rate_constants) * plain)


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_rates(case):
    mech, gas, params, T, Y = case
    C = mixture.concentrations(mech, T, PRESSURE, Y)
    ahead = cantera_at(gas, T, Y, lambda g: g.forward_rates_of_progress)
    back = cantera_at(gas, T, Y, lambda g: g.reverse_rates_of_progress)
    q = kinetics.rates_of_progress(params, mech, T, C)
    assert float(((q - ahead + back) / (ahead.abs() + back.abs() + 1e-300)).abs().max()) < 1e-11
    wdot = kinetics.production(params, mech, T, C)
    size = (ahead.abs() + back.abs()) @ mech.reactions.net.abs()
    theirs = cantera_at(gas, T, Y, lambda g: g.net_production_rates)
    assert float(((wdot - theirs) / (size + 1e-300)).abs().max()) < 1e-11
    assert float((wdot @ mech.atoms).abs().max() / size.max()) < 1e-12


def test_pure_species_has_finite_positive_diffusion(load):
    mech = load("h2o2.yaml")
    T, Y = torch.full((2,), 300.0, dtype=torch.float64), torch.zeros(2, mech.K, dtype=torch.float64)
    Y[:, mech.species.index("N2")] = torch.tensor([1.0, 1.0 + 2.3e-16])
    G = transport.mixture_diffusion(mech.tensors(), mech, T, PRESSURE, Y)
    gas = mech.gas()
    gas.TPX = 300.0, PRESSURE, "N2:1"
    others = [k for k, name in enumerate(mech.species) if name != "N2"]
    theirs = gas.density * gas.molecular_weights / gas.mean_molecular_weight * gas.mix_diff_coeffs
    close(G[:1, others], torch.tensor(theirs)[None, others])
    self_diffusion = gas.density * gas.binary_diff_coeffs[9, others]
    assert mech.species[9] == "N2"
    assert bool((G[:, 9] > self_diffusion.min() * 0.01).all() and (G[:, 9] < self_diffusion.max() * 2).all())


def test_one_species_diffuses_into_itself(load):
    argon = load("h2o2.yaml").restricted(["Ar"])
    one = torch.ones(1, 1, dtype=torch.float64)
    G = transport.mixture_diffusion(argon.tensors(), argon, 400.0 * one[0], PRESSURE, one)
    gas = argon.gas()
    gas.TP = 400.0, PRESSURE
    # Cantera fits anew over argon's own temperatures
    assert float(G) == pytest.approx(gas.density * gas.binary_diff_coeffs[0, 0], rel=1e-3)
    assert kinetics.production(argon.tensors(), argon, 400.0 * one[0], one).tolist() == [[0.0]]


def test_orders_hold_at_zero_and_below(load):
    mech, params = load("by-hand"), load("by-hand").tensors()
    T = torch.full((2,), 1500.0, dtype=torch.float64)
    C = torch.full((2, mech.K), 1e-3, dtype=torch.float64)
    C[0, mech.species.index("OH")] = -1e-9
    C[1, mech.species.index("O2")] = 0.0
    q = kinetics.rates_of_progress(params, mech, T, C)
    assert bool(torch.isfinite(q).all())
    at = mech.equations.index("H2 + O <=> H + OH")
    kf, kr = kinetics.rate_constants(params, mech, T, C)
    assert float(q[0, at]) == pytest.approx(float(kf[0, at] * 1e-6 - kr[0, at] * 1e-3 * -1e-9), rel=1e-14)
    # no rate of a fractional or negative order is left where its reactant is
    assert float(q[1, mech.equations.index("2 CO + O2 => 2 CO2")]) == 0.0
    C[:, mech.species.index("CH4")] = torch.tensor([0.0, -1e-25])
    C[:, mech.species.index("O2")] = 1e-3
    burnt = kinetics.rates_of_progress(params, mech, T, C)[:, mech.equations.index("CH4 + 1.5 O2 => CO + 2 H2O")]
    assert float(burnt[0]) == 0.0
    assert float(burnt[1]) < 0.0
