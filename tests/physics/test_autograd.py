import numpy as np
import pytest
import torch

from retrodict.physics.autograd import TorchModel, to_numpy, to_tensors
from retrodict.physics.errors import SpaceError
from retrodict.physics.model import Differentiable
from retrodict.physics.spaces import Space, Var
from retrodict.physics.verify import dot_test, linearity_test, taylor_test

DOMAIN = Space({"a": Var(("i",), (3,), bounds=(0.0, 10.0)), "b": Var(units="s")})
RANGE = Space({"y": Var(("i",), (3,)), "s": Var()})
AT = {"a": np.array([0.5, 1.0, 2.0]), "b": np.array(0.7)}
MODEL = TorchModel(
    DOMAIN, RANGE, lambda t: {"y": torch.sin(t["a"]) * torch.exp(-t["b"]), "s": (t["a"] ** 2).sum() * t["b"]}
)


def test_values_and_derivatives_are_those_of_calculus():
    assert isinstance(MODEL, Differentiable)
    value, op = MODEL.linearize(AT)
    a, b = AT["a"], 0.7
    np.testing.assert_allclose(value["y"], np.sin(a) * np.exp(-b), rtol=1e-15)
    np.testing.assert_array_equal(value["y"], MODEL.apply(AT)["y"])
    tangent = op.apply({"a": np.array([1.0, 0.0, -1.0]), "b": np.array(2.0)})
    want = np.cos(a) * np.exp(-b) * [1, 0, -1] - 2 * np.sin(a) * np.exp(-b)
    np.testing.assert_allclose(tangent["y"], want, rtol=1e-14)
    assert tangent["s"] == pytest.approx(2 * b * (a[0] - a[2]) + 2 * (a**2).sum(), rel=1e-14)
    back = op.adjoint({"y": np.zeros(3), "s": np.array(1.0)})
    np.testing.assert_allclose(back["a"], 2 * b * a, rtol=1e-14)
    assert back["b"] == pytest.approx((a**2).sum(), rel=1e-14)
    assert dot_test(op).passed
    assert taylor_test(MODEL, AT).passed
    assert linearity_test(op.apply, DOMAIN, RANGE) < 1e-14


def test_the_adjoint_can_be_taken_more_than_once():
    _, op = MODEL.linearize(AT)
    y = RANGE.random(np.random.default_rng(0))
    once, twice = op.adjoint(y), op.adjoint(y)
    for name in DOMAIN:
        np.testing.assert_array_equal(once[name], twice[name])


def test_variables_without_influence_have_zero_derivative():
    model = TorchModel(DOMAIN, Space({"s": Var()}), lambda t: {"s": t["b"] ** 2})
    _, op = model.linearize(AT)
    np.testing.assert_array_equal(op.adjoint({"s": np.array(1.0)})["a"], np.zeros(3))
    assert op.apply({"a": np.ones(3), "b": np.array(0.0)})["s"] == 0.0
    assert dot_test(op).passed


def test_complex_models_are_differentiated_over_the_reals():
    gains = Space({"g": Var(("i",), (4,), "complex128")})
    visibility = Space({"v": Var(("i", "j"), (4, 4), "complex128")})
    model = TorchModel(gains, visibility, lambda t: {"v": t["g"][:, None] * t["g"].conj()[None, :]})
    at = gains.random(np.random.default_rng(1))
    _, op = model.linearize(at)
    assert dot_test(op).passed
    assert taylor_test(model, at).passed
    # g -> i g is a phase that visibilities do not see
    assert visibility.norm(op.apply({"g": 1j * at["g"]})) < 1e-14


def test_single_precision_spaces_compute_in_single_precision():
    space = Space({"x": Var(("i",), (5,), "float32")})
    model = TorchModel(space, space, lambda t: {"x": torch.tanh(t["x"])})
    value, op = model.linearize({"x": np.linspace(0, 1, 5)})
    assert value["x"].dtype == np.float32
    assert op.apply({"x": np.ones(5)})["x"].dtype == np.float32
    assert 1e-13 < dot_test(op).error < 1e-6


@pytest.mark.parametrize("call", ["apply", "linearize"])
@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"a": np.zeros(4)}, r"params\['a'\]: got shape \(4,\)"),
        ({"a": np.full(3, -1.0)}, "got -1.0, expected values in"),
    ],
)
def test_wrong_parameters_are_refused_before_torch(call, changes, match):
    with pytest.raises(SpaceError, match=match):
        getattr(MODEL, call)(AT | changes)


def test_tensors_and_arrays():
    tensors = to_tensors({"x": [1, 2], "unused": 0}, Space({"x": Var(("i",), (2,), "float32")}))
    assert list(tensors) == ["x"]
    assert tensors["x"].dtype == torch.float32
    leaf = torch.ones(2, requires_grad=True)
    np.testing.assert_array_equal(to_numpy({"x": 2 * leaf})["x"], [2.0, 2.0])


@pytest.mark.parametrize("call", ["apply", "linearize"])
@pytest.mark.parametrize(
    ("function", "match"),
    [
        # a float64 scalar times a float32 vector is a float32 vector in torch
        (
            lambda t: {"y": t["b"] * torch.ones(3), "s": t["b"]},
            r"range\['y'\]: got torch\.float32 .*expected torch\.float64",
        ),
        (
            lambda t: {"y": t["a"], "s": t["a"]},
            r"range\['s'\]: got torch\.float64 of shape \(3,\), expected .*shape \(\)",
        ),
        (lambda t: {"y": t["a"]}, r"TorchModel: got a function that returns \['y'\], expected \['s', 'y'\]"),
    ],
)
def test_a_function_that_leaves_the_range_is_refused(call, function, match):
    with pytest.raises(SpaceError, match=match):
        getattr(TorchModel(DOMAIN, RANGE, function), call)(AT)
