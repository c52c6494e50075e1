"""Closed-form Jacobians against automatic differentiation, and parameter derivatives both ways against differences."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian

from retrodict.physics.flames import kinetics, mixture, thermo, transport

PRESSURE = 1.7e5
NAMES = ["one-step", "by-hand", "h2o2.yaml", pytest.param("gri30.yaml", marks=pytest.mark.slow)]


def states(mech, n=5, seed=1):
    """Random states whose mass fractions do not sum to one; one entry negative, one zero, one point pure."""
    rng = np.random.default_rng(seed)
    Y = rng.dirichlet(np.full(mech.K, 0.4), n).clip(1e-9) * rng.uniform(0.9, 1.1, (n, 1))
    Y[0, 0], Y[1, 1], Y[2] = -1e-4, 0.0, np.eye(mech.K)[2]
    return torch.tensor(rng.uniform(400.0, 2400.0, n)), torch.tensor(Y)


def pointwise(f, x):
    """Derivatives of each point's values by its own arguments, from the whole of reverse mode."""
    full = jacobian(f, x)
    at = torch.arange(len(x))
    return full[at, :, at]


def rows_close(ours, theirs, tolerance=1e-10):
    """Each row relative to its own largest entry."""
    scale = theirs.abs().amax(-1, keepdim=True) + 1e-250
    assert float(((ours - theirs).abs() / scale).max()) < tolerance


@pytest.mark.parametrize("name", NAMES)
def test_production_jacobian(load, name):
    mech = load(name)
    params = mech.tensors()
    T, Y = states(mech)
    C = mixture.concentrations(mech, T, PRESSURE, Y)
    wdot, by_T, by_C = kinetics.production_jacobian(params, mech, T, C)
    assert torch.equal(wdot, kinetics.production(params, mech, T, C))
    rows_close(by_C, pointwise(lambda c: kinetics.production(params, mech, T, c), C))
    rows_close(by_T, pointwise(lambda t: kinetics.production(params, mech, t, C), T))


@pytest.mark.parametrize("name", NAMES)
def test_diffusion_jacobian(load, name):
    mech = load(name)
    params = mech.tensors()
    T, Y = states(mech)
    G, by_T, by_Y = transport.mixture_diffusion_jacobian(params, mech, T, PRESSURE, Y)
    assert torch.equal(G, transport.mixture_diffusion(params, mech, T, PRESSURE, Y))
    rows_close(by_T, pointwise(lambda t: transport.mixture_diffusion(params, mech, t, PRESSURE, Y), T))
    rows_close(by_Y, pointwise(lambda y: transport.mixture_diffusion(params, mech, T, PRESSURE, y), Y))


def everything(mech, T, Y):
    """One function of all parameters in which each has its part."""
    C, X = mixture.concentrations(mech, T, PRESSURE, Y), mixture.mole_fractions(mech, Y)
    nominal = kinetics.production(mech.tensors(), mech, T, C)

    def f(params):
        wdot = kinetics.production(params, mech, T, C)
        parts = [
            (wdot / (nominal.abs() + 1e-9 * nominal.abs().max())).sum(1),
            1e3 * transport.conductivity(params, mech, T, X),
            1e5 * transport.viscosity(params, mech, T, X),
            1e5 * transport.mixture_diffusion(params, mech, T, PRESSURE, Y).sum(1),
            1e-3 * mixture.heat_capacity_mass(params, mech, T, Y),
            thermo.entropy(params, mech, T).sum(1),
        ]
        return torch.cat(parts)

    return f


def directions(params, seed=2):
    rng = np.random.default_rng(seed)
    unit = {k: torch.tensor(rng.standard_normal(v.shape)) for k, v in params.items()}
    # each moves by a small part of its size
    return {k: 1e-4 * (v.abs() + (0.01 if k.startswith(("ln", "b")) else 0.0)) * unit[k] for k, v in params.items()}


@pytest.mark.parametrize("name", ["by-hand", "h2o2.yaml"])
def test_gradient_by_every_parameter_is_that_of_differences(load, name):
    mech = load(name)
    params, T, Y = mech.tensors(), *states(mech)
    f, steps = everything(mech, T, Y.clamp(min=1e-3)), directions(params)
    w = torch.linspace(-1.0, 1.0, len(f(params)), dtype=torch.float64)
    leaves = {k: v.clone().requires_grad_() for k, v in params.items()}
    gradient = dict(zip(leaves, torch.autograd.grad(f(leaves) @ w, list(leaves.values())), strict=True))
    for key, step in steps.items():
        moved = [float(f({**params, key: params[key] + h * step}) @ w) for h in (1.0, -1.0, 2.0, -2.0)]
        slope = (8 * (moved[0] - moved[1]) - (moved[2] - moved[3])) / 12
        size = float((gradient[key] * step).norm())
        assert float((gradient[key] * step).sum()) == pytest.approx(slope, rel=1e-7, abs=1e-7 * size + 1e-10), key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["by-hand", "h2o2.yaml", "gri30.yaml"])
def test_forward_mode_is_the_transpose_of_reverse_mode(load, name):
    mech = load(name)
    params, T, Y = mech.tensors(), *states(mech)
    f, steps = everything(mech, T, Y.clamp(min=1e-3)), directions(params)
    value, forward = torch.func.jvp(f, (params,), (steps,))
    assert torch.allclose(value, f(params), rtol=1e-12, atol=0)
    w = torch.linspace(-1.0, 1.0, len(value), dtype=torch.float64)
    leaves = {k: v.clone().requires_grad_() for k, v in params.items()}
    for key, g in zip(leaves, torch.autograd.grad(f(leaves) @ w, list(leaves.values())), strict=True):
        only = torch.func.jvp(lambda v, key=key: f({**params, key: v}), (params[key],), (steps[key],))[1]
        size = float((g * steps[key]).norm() + (only * w).norm())
        assert float((g * steps[key]).sum()) == pytest.approx(float(only @ w), rel=1e-11, abs=1e-13 * size), key
        forward = forward - only
    assert float(forward.abs().max()) < 1e-11 * float(value.abs().max())


def test_derivative_by_order_is_q_times_log_of_concentration(load):
    mech, params = load("by-hand"), load("by-hand").tensors()
    T, C = torch.tensor([1400.0], dtype=torch.float64), torch.full((1, mech.K), 2e-3, dtype=torch.float64)
    C[0, mech.species.index("CO")] = 5e-3
    ahead = kinetics.rate_constants(params, mech, T, C)[0] * (C.log() @ _orders(mech).T).exp()
    for equation, name in (("HO2 + OH => H2O + O2", "HO2"), ("H2 + O <=> H + OH", "H2"), ("2 CO + O2 => 2 CO2", "H2O")):
        r, k = mech.equations.index(equation), mech.species.index(name)
        order = params["order"].clone().requires_grad_()
        q = kinetics.rates_of_progress({**params, "order": order}, mech, T, C)[0, r]
        slot = mech.reactions.order_species[r].tolist().index(k)
        slope = torch.autograd.grad(q, order)[0]
        assert float(slope[r, slot]) == pytest.approx(float(ahead[0, r] * C[0, k].log()), rel=1e-12)
        assert int(slope.ne(0).sum()) == int((mech.reactions.order_species[r] < mech.K).sum())


def _orders(mech):
    orders = torch.zeros(mech.R, mech.K + 1, dtype=torch.float64)
    return orders.scatter_add(1, mech.reactions.order_species, torch.tensor(mech.parameters["order"]))[:, :-1]


def test_other_orders_act_without_being_tracked(load):
    mech, params = load("h2o2.yaml"), load("h2o2.yaml").tensors()
    T, C = torch.tensor([1400.0], dtype=torch.float64), torch.full((1, mech.K), 2e-3, dtype=torch.float64)
    more = {**params, "order": params["order"] + 0.1 * (mech.reactions.order_species < mech.K).double()}
    before, after = (kinetics.rates_of_progress(p, mech, T, C) for p in (params, more))
    kf, kr = kinetics.rate_constants(params, mech, T, C)
    total = torch.tensor(
        [[(mech.reactions.order_species[r] < mech.K).sum() for r in range(mech.R)]], dtype=torch.float64
    )
    ahead = kf * (C.log() @ _orders(mech).T).exp()
    change = ahead * (C[0, 0] ** (0.1 * total) - 1)
    assert float(((after - before - change).abs() / (ahead + before.abs())).max()) < 1e-13
    assert torch.equal(kr, kinetics.rate_constants(more, mech, T, C)[1])
    rows_close(
        kinetics.production_jacobian(more, mech, T, C)[2],
        pointwise(lambda c: kinetics.production(more, mech, T, c), C),
    )
