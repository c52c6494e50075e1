"""Jets against nested differentiation, and the way back by hand against autograd, differences and complex steps."""

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.system import key, nested_derivatives
from retrodict.solvers.pinn.activations import ACTIVATIONS
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.jets import JetNetwork, closure, partitions
from retrodict.solvers.pinn.networks import Network

BOX = {"t": (0.0, 2.0), "x": (-1.0, 3.0), "y": (0.5, 1.0)}
INDICES = {
    "value": [()],
    "first": [("t",), ("x",)],
    "heat": [("t",), ("x", "x")],
    "mixed": [("t", "x"), ("x", "y"), ("y", "y")],
    "third": [("x", "x", "x"), ("t", "x", "y"), ("t", "t", "x")],
    "fourth": [("x", "x", "x", "x"), ("t", "t", "x", "y"), ("x", "x", "y", "y"), ("x", "x", "x", "y")],
}


def make(indices, activation, *, combined=(), harmonics=None, depth=3):
    features = Features(BOX, {"x": 2} if harmonics is None else harmonics)
    network = Network(("u", "v"), features, 7, depth, activation)
    rng = np.random.default_rng(1)
    weights = torch.from_numpy(network.draw(rng) + 0.3 * rng.standard_normal(network.size))
    coords = {k: torch.from_numpy(rng.uniform(*b, 11)) for k, b in BOX.items()}
    return JetNetwork(network, INDICES[indices], combined), weights, coords


def nested(network, weights, coords, indices):
    """Return values and derivatives of the plain network, shape (channels, n, fields)."""

    def fields(c):
        out = network(weights, network.features(c))
        return {name: out[:, i] for i, name in enumerate(network.fields)}

    d = nested_derivatives(fields, coords, [key(f, *i) for i in indices for f in network.fields])
    return torch.stack([torch.stack([d[key(f, *i)] for f in network.fields], -1) for i in indices])


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("indices", INDICES)
def test_jets_are_nested_derivatives(indices, activation):
    jets, weights, coords = make(indices, activation)
    values, _ = jets.forward(weights, jets.inputs(coords))
    expected = nested(jets.network, weights, coords, jets.indices)
    for got, want, index in zip(values, expected, jets.indices, strict=True):
        assert relative(got, want.detach()) < 1e-12, index


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("indices", INDICES)
def test_the_way_back_is_the_gradient_of_the_plain_network(indices, activation):
    jets, weights, coords = make(indices, activation)
    values, layers = jets.forward(weights, jets.inputs(coords))
    bar = torch.from_numpy(np.random.default_rng(2).standard_normal(values.shape))
    into = torch.zeros_like(weights)
    jets.gradient(weights, layers, bar, into)
    free = weights.clone().requires_grad_()
    plain = (nested(jets.network, free, coords, jets.indices) * bar).sum()
    assert relative(into, torch.autograd.grad(plain, free)[0]) < 1e-12


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("indices", ["heat", "third"])
def test_the_way_back_is_the_difference_quotient(indices, activation):
    jets, weights, coords = make(indices, activation)
    inputs = jets.inputs(coords)
    values, layers = jets.forward(weights, inputs)
    bar, into = torch.ones_like(values) / values.abs().mean(), torch.zeros_like(weights)
    jets.gradient(weights, layers, bar, into)
    for seed in range(3):
        v = torch.from_numpy(np.random.default_rng(seed).standard_normal(len(weights)))
        h = 1e-5 / float(v.norm())
        forth, back = (float((jets.forward(weights + s * h * v, inputs)[0] * bar).sum()) for s in (1, -1))
        assert abs((forth - back) / (2 * h) - float(into @ v)) < 1e-7 * float(into.norm() * v.norm())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("indices", INDICES)
def test_the_jacobian_is_adjoint_to_a_complex_step(indices, activation):
    jets, weights, coords = make(indices, activation)
    inputs, size, h = jets.inputs(coords), len(weights), 1e-30
    values, layers = jets.forward(weights, inputs)
    rng = np.random.default_rng(4)
    mix = torch.from_numpy(rng.standard_normal((len(values), values.shape[2])))
    cotangent = mix[:, None].expand_as(values).contiguous()
    rows = torch.zeros(values.shape[1], size, dtype=torch.float64)
    jets.jacobian(weights, layers, cotangent, rows)
    for _ in range(3):
        v, w = torch.from_numpy(rng.standard_normal(size)), torch.from_numpy(rng.standard_normal(len(rows)))
        stepped, _ = jets.forward(torch.complex(weights, h * v), inputs.to(torch.complex128))
        forward = (stepped.imag / h * mix[:, None]).sum((0, 2))
        transposed = torch.zeros_like(weights)
        jets.gradient(weights, layers, cotangent * w[None, :, None], transposed)
        bar = 1e-12 * float(forward.norm() * w.norm())
        assert abs(float(forward @ w - v @ transposed)) <= bar
        assert float((rows @ v - forward).abs().max()) <= 1e-12 * float(forward.norm())
        assert float((rows.T @ w - transposed).abs().max()) <= 1e-12 * float(transposed.norm())


def test_the_way_back_adds_to_what_is_there():
    jets, weights, coords = make("heat", "tanh")
    values, layers = jets.forward(weights, jets.inputs(coords))
    once, twice = torch.zeros_like(weights), torch.zeros_like(weights)
    jets.gradient(weights, layers, values, once)
    for _ in range(2):
        jets.gradient(weights, layers, values, twice)
    torch.testing.assert_close(twice, 2 * once, rtol=1e-14, atol=0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("combined", [[("t",), ("x", "x")], [("x", "x"), ("y", "y"), ("x", "y")], [("x", "x", "y")]])
def test_a_combination_is_the_sum_with_its_coefficients(activation, combined):
    jets, weights, coords = make("first", activation, combined=combined)
    rng = np.random.default_rng(5)
    factors = torch.from_numpy(rng.standard_normal((len(combined), 11)))
    inputs = jets.inputs(coords, factors)
    values, layers = jets.forward(weights, inputs, factors)
    assert len(values) == jets.channels == len(jets.indices) + 1
    free = weights.clone().requires_grad_()
    apart = nested(jets.network, free, coords, [*jets.indices, *map(tuple, combined)])
    last = (factors[:, :, None] * apart[len(jets.indices) :]).sum(0)
    expected = torch.cat([apart[: len(jets.indices)], last[None]])
    assert relative(values, expected.detach()) < 1e-12
    bar, into = torch.from_numpy(rng.standard_normal(values.shape)), torch.zeros_like(weights)
    jets.gradient(weights, layers, bar, into, factors)
    assert relative(into, torch.autograd.grad((expected * bar).sum(), free)[0]) < 1e-12
    rows = torch.zeros(11, len(weights), dtype=torch.float64)
    jets.jacobian(weights, layers, bar, rows, factors)
    assert relative(rows.sum(0), into) < 1e-12


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_any_depth(depth):
    jets, weights, coords = make("mixed", "tanh", depth=depth)
    values, _ = jets.forward(weights, jets.inputs(coords))
    assert relative(values, nested(jets.network, weights, coords, jets.indices).detach()) < 1e-12


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_and_their_derivatives(activation):
    act, z = ACTIVATIONS[activation], torch.linspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    slope = act.plain(z)
    for got in act.derivatives(z.detach(), 5):
        torch.testing.assert_close(got, slope.detach(), rtol=1e-12, atol=1e-12)
        slope = torch.autograd.grad(slope.sum(), z, create_graph=True)[0]


@pytest.mark.parametrize(
    ("index", "counts"),
    [
        (("x",), {(("x",),): 1}),
        (("x", "x"), {(("x", "x"),): 1, (("x",), ("x",)): 1}),
        (("t", "x"), {(("t", "x"),): 1, (("t",), ("x",)): 1}),
        (("t", "x", "x"), {(("t", "x", "x"),): 1, (("t",), ("x", "x")): 1, (("t", "x"), ("x",)): 2}),
    ],
)
def test_partitions_count_every_way(index, counts):
    found = partitions(index)
    assert counts.items() <= found.items()
    assert sum(found.values()) == (1, 2, 5)[len(index) - 1]


def test_partitions_of_four_are_fifteen():
    found = partitions(("x",) * 4)
    assert sum(found.values()) == 15
    assert found[("x", "x"), ("x", "x")] == 3
    assert found[("x",), ("x",), ("x", "x")] == 6


def test_closure_holds_every_part_once():
    parts = closure([("x", "t", "x")])
    assert parts == ((), ("t",), ("x",), ("t", "x"), ("x", "x"), ("t", "x", "x"))


def test_single_precision_stays_single():
    jets, weights, coords = make("heat", "tanh")
    single = {k: v.float() for k, v in coords.items()}
    values, _ = jets.forward(weights.float(), jets.inputs(single))
    double, _ = jets.forward(weights, jets.inputs(coords))
    assert values.dtype is torch.float32
    assert relative(values.double(), double) < 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width 0"),
        ({"depth": 0}, "depth 0"),
        ({"fields": ()}, "at least one"),
        ({"activation": "relu"}, "relu"),
    ],
)
def test_networks_that_are_none_are_refused(changes, message):
    with pytest.raises(SolverError, match=message):
        Network(**{"fields": ("u",), "features": Features(BOX), **changes})


def test_weights_are_drawn_layer_by_layer_and_views_share_memory():
    network = Network(("u",), Features(BOX), 400, 2)
    weights = torch.from_numpy(network.draw(np.random.default_rng(0)))
    first, second, last = network.split(weights)
    assert [tuple(m.shape) for m, _ in (first, second, last)] == [(400, 3), (400, 400), (1, 400)]
    assert sum(m.numel() + b.numel() for m, b in (first, second, last)) == network.size
    assert all(torch.all(b == 0) for _, b in (first, second, last))
    assert float(second[0].std()) == pytest.approx(np.sqrt(2 / 800), rel=0.01)
    last[1][0] = 3.0
    assert weights[-1] == 3.0
