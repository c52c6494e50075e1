import math

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, rotation
from retrodict.physics.pde.lagrangian import Lagrangian, crowded
from retrodict.physics.pde.quasilinear import QuasiLinear, line
from retrodict.physics.system import Initial, key, nested_derivatives
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.trial import Trial, separate_networks

SYSTEMS = {
    "convection": convection(5.0, 0.2),
    "interval": burgers_interval(0.1),
    "rotation": rotation(nu=0.01),
    "labels": Lagrangian(burgers(0.1, c=5.0)),
    "resting labels": Lagrangian(burgers(0.1), "rest", crowded(burgers(0.1))),
}
ORDERS = ("", "t", "x", "tx", "xx", "ttx", "txx", "ttxx")


def points(system, n=23, seed=0):
    rng = np.random.default_rng(seed)
    return {k: rng.uniform(*v.bounds, n) for k, v in system.coords.items()}


def small(system, **options):
    return Trial(system, separate_networks(system, 6, 2), **options)


def nested(trial, weights, at, wanted):
    tensors = {k: torch.from_numpy(v) for k, v in at.items()}
    return nested_derivatives(lambda c: trial.fields(weights, c), tensors, wanted)


def same(got, want):
    assert float((got - want.detach()).abs().max()) <= 1e-12 * float(want.detach().abs().max())


@pytest.mark.parametrize("activation", ["tanh", "sin"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_derivatives_are_nested_derivatives_of_the_fields(name, activation):
    system = SYSTEMS[name]
    trial = Trial(system, separate_networks(system, 6, 2, harmonics=2, activation=activation))
    weights = np.random.default_rng(1).standard_normal(trial.size)
    wanted = [key(f, *by) for f in system.fields for by in ORDERS]
    wanted += [key("u", "y", "y"), key("u", "x", "y")] if "y" in system.coords else []
    at = points(system)
    got, want = trial.derivatives(weights, at, wanted), nested(trial, weights, at, wanted)
    for k in wanted:
        same(got[k], want[k])


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_combination_is_the_sum_with_its_coefficients(name):
    system = SYSTEMS[name]
    trial = small(system)
    weights = torch.from_numpy(np.random.default_rng(1).standard_normal(trial.size))
    at = points(system)
    rng = np.random.default_rng(2)
    mixed = {key("u", *by): torch.from_numpy(rng.standard_normal(23)) for by in ("t", "xx", "tx")}
    prepared = trial.prepare(at, [key("u"), key("u", "x")], mixed)
    rows, memory = prepared.forward(weights, slice(0, 23))
    free = weights.clone().requires_grad_()
    d = nested(trial, free, at, [key("u"), key("u", "x"), *mixed])
    last = torch.stack([a * d[k] for k, a in mixed.items()]).sum(0)
    expected = torch.stack([d["u"], d["u", "x"], last])
    same(rows, expected)
    bar, into = torch.from_numpy(rng.standard_normal((3, 23))), torch.zeros(trial.size, dtype=torch.float64)
    prepared.gradient(weights, slice(0, 23), memory, bar, into)
    same(into, torch.autograd.grad((expected * bar).sum(), free)[0])


def test_blocks_cover_the_points_and_change_nothing():
    system = SYSTEMS["convection"]
    trial = Trial(system, separate_networks(system, 30, 1))
    at, weights = points(system, 9000), trial.draw(np.random.default_rng(0))
    prepared = trial.prepare(at, system.derivatives)
    assert len(prepared.blocks) > 3
    assert np.array_equal(np.concatenate([np.arange(9000)[b] for b in prepared.blocks]), np.arange(9000))
    whole = trial.derivatives(weights, at, system.derivatives)
    part = trial.derivatives(weights, {k: v[4000:4100] for k, v in at.items()}, system.derivatives)
    for k in system.derivatives:
        same(whole[k][4000:4100], part[k])


def test_one_network_of_two_fields_equals_its_parts():
    system = SYSTEMS["labels"]
    features = Features.of(system.coords, {"x": 1})
    joint = Trial(system, [Network(("u", "shift_x"), features, 5, 1)])
    weights = joint.draw(np.random.default_rng(3))
    at, wanted = points(system), [key("u", "x", "x"), key("shift_x", "t")]
    want = nested(joint, weights, at, wanted)
    for k, v in joint.derivatives(weights, at, wanted).items():
        same(v, want[k])


def test_prescribed_fields_have_no_network_and_all_their_derivatives():
    system = SYSTEMS["resting labels"]
    trial = small(system)
    assert [n.fields for n in trial.networks] == [("u",)]
    at = points(system)
    d = trial.derivatives(
        trial.draw(np.random.default_rng(0)), at, [key("shift_x", *by) for by in ("", "x", "t", "xx")]
    )
    x = at["x"]
    for by, value in (("", np.sin(x)), ("x", np.cos(x)), ("xx", -np.sin(x))):
        np.testing.assert_allclose(d["shift_x", *by].numpy(), 0.95 * value, rtol=1e-6, atol=1e-6)
    assert torch.all(d["shift_x", "t"] == 0)


def test_weights_of_several_networks_lie_behind_each_other():
    system = SYSTEMS["labels"]
    trial = small(system)
    assert [s.stop - s.start for s in trial.slices] == [n.size for n in trial.networks]
    assert trial.slices[-1].stop == trial.size == len(trial.draw(np.random.default_rng(0)))
    at, weights = points(system), trial.draw(np.random.default_rng(0))
    other = weights.copy()
    other[trial.slices[0]] += 1.0
    before, after = (trial.derivatives(w, at, [key("u"), key("shift_x")]) for w in (weights, other))
    assert torch.equal(before["u"], after["u"])
    assert not torch.equal(before["shift_x"], after["shift_x"])


def test_single_precision_is_close_to_double():
    system = SYSTEMS["convection"]
    pair = [small(system, dtype=dtype) for dtype in (torch.float32, torch.float64)]
    weights, at = pair[1].draw(np.random.default_rng(0)), points(system)
    single, double = (t.derivatives(weights, at, system.derivatives) for t in pair)
    assert single["u", "x", "x"].dtype is torch.float32
    for k in system.derivatives:
        assert (single[k].double() - double[k]).abs().max() < 1e-4


def test_keys_in_any_order_are_understood():
    trial, at = small(SYSTEMS["convection"]), points(SYSTEMS["convection"])
    d = trial.derivatives(trial.draw(np.random.default_rng(0)), at, [("u", "x", "t")])
    assert torch.equal(d["u", "t", "x"], d["u", "x", "t"])
    with pytest.raises(SpaceError, match="declared"):
        d["u", "x"]


def test_no_points_give_no_values():
    trial = small(SYSTEMS["convection"])
    d = trial.derivatives(np.zeros(trial.size), {"t": [], "x": []}, [key("u")])
    assert d["u"].shape == (0,)


PERIODIC = Features({"t": (0.0, 1.0), "x": (0.0, 2 * math.pi)}, {"x": 1})
PLAIN = Features({"t": (0.0, 1.0), "x": (0.0, 2 * math.pi)})


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([], r"got \[\], expected each of \['u'\] once"),
        ([Network(("u",), PERIODIC), Network(("u",), PERIODIC)], r"\['u', 'u'\]"),
        ([Network(("v",), PERIODIC)], r"\['v'\]"),
        ([Network(("u",), PLAIN)], r"inputs not periodic in \['x'\], expected harmonics"),
    ],
)
def test_networks_that_do_not_fit_are_refused(networks, message):
    with pytest.raises(SolverError, match=message):
        Trial(convection(1.0), networks)


def test_a_network_for_what_is_prescribed_is_refused():
    system = SYSTEMS["resting labels"]
    with pytest.raises(SolverError, match=r"expected each of \['u'\] once"):
        Trial(system, [Network(("u",), PERIODIC), Network(("shift_x",), PERIODIC)])


def test_data_that_do_not_repeat_are_refused_for_a_periodic_problem():
    system = QuasiLinear("bad", line(1.0), lambda at: torch.sin(at["x"]))
    with pytest.raises(
        SolverError, match=r"initial u: got a jump of 0.841 across the period of x, expected periodic data"
    ):
        small(system)


def test_initial_data_are_those_declared():
    system = SYSTEMS["labels"]
    assert {c.field for c in system.conditions if isinstance(c, Initial)} == {"u", "shift_x"}
    trial, at = small(system), points(system)
    at["t"] = np.zeros(23)
    d = trial.derivatives(np.ones(trial.size), at, [key("u"), key("shift_x"), key("shift_x", "t")])
    np.testing.assert_allclose(d["u"], np.sin(at["x"]), atol=1e-15)
    assert torch.all(d["shift_x"] == 0)
    np.testing.assert_allclose(d["shift_x", "t"], np.sin(at["x"]), atol=1e-15)
