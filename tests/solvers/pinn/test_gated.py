"""Gated networks with factored matrices: identities, derivatives, ways back."""

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers_interval
from retrodict.physics.system import nested_derivatives
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.gated import GatedJets, GatedTrial
from retrodict.solvers.pinn.networks import GatedNetwork

BOX = Features({"t": (0.0, 1.0), "x": (-1.0, 2.0)})
WANTED = [("x", "x"), ("t",), ("t", "x")]


def network(**options):
    return GatedNetwork(("u", "v"), BOX, 6, 3, **options)


def drawn(net, seed=0):
    weights = torch.from_numpy(net.draw(np.random.default_rng(seed)))
    return weights + 0.1 * torch.from_numpy(np.random.default_rng(seed + 1).normal(size=net.size))  # biases, too


def points(n=9):
    rng = np.random.default_rng(3)
    return {"t": torch.from_numpy(rng.uniform(0, 1, n)), "x": torch.from_numpy(rng.uniform(-1, 2, n))}


def test_factors_are_a_plain_network_of_the_products():
    net, plain = network(), network(factored=False)
    weights = drawn(net)
    parts = [torch.cat([matrix.flatten(), bias]) for matrix, bias in net.split(weights)]
    inputs = BOX(points())
    assert torch.allclose(net(weights, inputs), plain(torch.cat(parts), inputs), rtol=1e-14, atol=1e-15)
    factors = weights[-sum(n for n, _ in net.layers) :]
    views = plain.split(weights[: plain.size])
    for e, (matrix, _), (product, _) in zip(
        torch.split(factors, [n for n, _ in net.layers]), views, net.split(weights), strict=True
    ):
        assert torch.equal(product, torch.diag(e) @ matrix)


def test_factors_start_lognormal_and_products_with_glorots_variance():
    net = GatedNetwork(("u",), BOX, 64, 6)
    weights = torch.from_numpy(net.draw(np.random.default_rng(0)))
    logs = weights[-sum(n for n, _ in net.layers) :].log()
    assert float(logs.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(logs.std()) == pytest.approx(0.1, abs=0.02)
    hidden = net.split(weights)[4][0]
    assert float(hidden.std()) == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert all(not bias.any() for _, bias in net.split(weights))


def test_equal_gates_pass_the_encoding_whatever_the_hidden_layers_are():
    net = network(factored=False)
    weights = drawn(net).clone()
    gate = 6 * (BOX.size + 1)
    weights[gate : 2 * gate] = weights[:gate]
    (first, shift), *_, (last, bias) = net.split(weights)
    inputs = BOX(points())
    wanted = torch.tanh(inputs @ first.T + shift) @ last.T + bias
    assert torch.allclose(net(weights, inputs), wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("factored", [True, False])
def test_jets_equal_nested_derivatives(factored):
    net, at = network(factored=factored), points()
    weights, jets = drawn(net), GatedJets(net, WANTED)
    values, _ = jets.forward(weights, jets.inputs(at))
    for i, field in enumerate(net.fields):
        wanted = [(field, *index) for index in jets.indices]
        exact = nested_derivatives(lambda c, i=i, f=field: {f: net(weights, BOX(c))[:, i]}, at, wanted)
        for channel, index in enumerate(wanted):
            assert torch.allclose(values[channel, :, i], exact[index].detach(), rtol=1e-11, atol=1e-12), index


def test_ways_back_equal_differentiation_of_nested_derivatives():
    net, at = network(), points(5)
    weights, jets = drawn(net).requires_grad_(), GatedJets(net, WANTED)
    values, layers = jets.forward(weights, jets.inputs(at))
    cotangent = torch.from_numpy(np.random.default_rng(5).normal(size=tuple(values.shape)))
    rows = []
    for n in range(5):
        here, total = {k: v[n : n + 1] for k, v in at.items()}, 0.0
        for i, field in enumerate(net.fields):
            wanted = [(field, *index) for index in jets.indices]
            exact = nested_derivatives(lambda c, i=i, f=field: {f: net(weights, BOX(c))[:, i]}, here, wanted)
            total = total + sum(cotangent[c, n, i] * exact[k][0] for c, k in enumerate(wanted))
        rows.append(torch.autograd.grad(total, weights)[0])
    by_point, whole = torch.zeros(5, net.size).double(), torch.zeros(net.size).double()
    jets.jacobian(weights, layers, cotangent, by_point)
    jets.gradient(weights, layers, cotangent, whole)
    assert torch.allclose(by_point, torch.stack(rows), rtol=1e-10, atol=1e-11)
    assert torch.allclose(whole, by_point.sum(0), rtol=1e-11, atol=1e-12)


def test_a_gated_trial_keeps_hard_conditions_and_has_its_derivatives():
    system = burgers_interval()
    nets = [GatedNetwork(("u",), Features.of(system.coords, {}), 5, 2)]
    trial = GatedTrial(system, nets)
    at = {"t": np.linspace(0.1, 0.9, 6), "x": np.linspace(-0.8, 0.8, 6)}
    start = trial.draw(np.random.default_rng(0))
    with pytest.raises(SolverError, match="combined derivatives"):
        trial.prepare(at, [("u",)], {("u", "x", "x"): torch.ones(6).double()})
    d = trial.derivatives(start, at, system.derivatives)
    field = lambda c: trial.fields(start, c)  # noqa: E731
    exact = nested_derivatives(field, {k: torch.from_numpy(v) for k, v in at.items()}, system.derivatives)
    for k in system.derivatives:
        assert torch.allclose(d[k], exact[k].detach(), rtol=1e-10, atol=1e-11), k
    edge = trial.fields(start, {"t": torch.tensor([0.5]).double(), "x": torch.tensor([1.0]).double()})
    assert float(edge["u"].abs()) < 1e-14
