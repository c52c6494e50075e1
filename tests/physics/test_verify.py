import numpy as np
import pytest
import torch

from retrodict.physics.autograd import TorchModel
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Space, Var
from retrodict.physics.verify import dot_test, linearity_test, taylor_test

LINE = Space({"x": Var(("i",), (6,))})
COMPLEX = Space({"x": Var(("i",), (6,), "complex128")})
MATRIX = np.random.default_rng(0).standard_normal((6, 6))
GAIN = np.random.default_rng(1).standard_normal(6) + 1j * np.random.default_rng(2).standard_normal(6)


def dense(matrix, space):
    return Operator(space, space, lambda t: {"x": matrix @ t["x"]}, lambda t: {"x": matrix.conj().T @ t["x"]})


RIGHT = {
    "real": dense(MATRIX, LINE),
    "complex": dense(MATRIX + 1j * MATRIX.T, COMPLEX),
    # linear over the reals only: <g conj(x), y> = Re sum conj(g) x y = <x, g conj(y)>
    "conjugate": Operator(
        COMPLEX, COMPLEX, lambda t: {"x": GAIN * t["x"].conj()}, lambda t: {"x": GAIN * t["x"].conj()}
    ),
    "real part": Operator(COMPLEX, LINE, lambda t: {"x": t["x"].real}, lambda t: {"x": t["x"] + 0j}),
    "zero": Operator(LINE, LINE, lambda t: {"x": 0 * t["x"]}, lambda t: {"x": 0 * t["x"]}),
    "scalar": Operator(
        Space({"x": Var()}), Space({"x": Var()}), lambda t: {"x": 3 * t["x"]}, lambda t: {"x": 3 * t["x"]}
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_adjoints_pass(name):
    report = dot_test(RIGHT[name])
    assert report.passed, report
    assert str(report).startswith("dot test passed: ")


@pytest.mark.parametrize("name", [n for n in RIGHT if n != "zero"])
def test_an_adjoint_wrong_by_a_billionth_fails(name):
    op = RIGHT[name]
    wrong = Operator(op.domain, op.range, op.forward, lambda y: {k: v * (1 + 1e-9) for k, v in op.adjoint(y).items()})
    report = dot_test(wrong)
    assert not report.passed
    assert 1e-10 < report.error < 1e-8


def test_the_linear_adjoint_of_a_conjugation_fails():
    # the C-linear guess conj(g) y in place of g conj(y)
    wrong = Operator(COMPLEX, COMPLEX, RIGHT["conjugate"].forward, lambda t: {"x": GAIN.conj() * t["x"]})
    assert dot_test(wrong).error > 0.1


BLOCKS = Space({"small": Var(("i",), (3,)), "large": Var(("j",), (400,))})


def two_blocks(fault):
    """Two variables whose images differ by eight orders of magnitude; ``fault`` scales one of four adjoint blocks."""
    rng = np.random.default_rng(3)
    size = {"small": 1e-4, "large": 1e4}
    m = {(s, r): size[s] * rng.standard_normal((BLOCKS[r].size, BLOCKS[s].size)) for s in BLOCKS for r in BLOCKS}
    return Operator(
        BLOCKS,
        BLOCKS,
        lambda x: {r: sum(m[s, r] @ x[s] for s in BLOCKS) for r in BLOCKS},
        lambda y: {s: sum(m[s, r].T @ y[r] * fault.get((s, r), 1.0) for r in BLOCKS) for s in BLOCKS},
    )


@pytest.mark.parametrize("block", [(s, r) for s in BLOCKS for r in BLOCKS])
def test_the_wrong_block_is_named(block):
    assert dot_test(two_blocks({})).passed
    report = dot_test(two_blocks({block: 1 + 1e-9}))
    assert not report.passed
    assert report.worst == block
    assert f"FAILED at {block[0]} -> {block[1]}" in str(report)


@pytest.mark.parametrize("side", ["apply", "adjoint"])
@pytest.mark.parametrize("name", BLOCKS)
def test_nan_never_passes_wherever_it_arises(name, side):
    right = two_blocks({})
    # NaN in both variables of the answer, but only when the argument has the variable ``name``
    taint = lambda tree, out: {k: v * (np.nan if np.any(tree[name]) else 1.0) for k, v in out.items()}  # noqa: E731
    forward = (lambda x: taint(x, right.apply(x))) if side == "apply" else right.apply
    transpose = (lambda y: taint(y, right.adjoint(y))) if side == "adjoint" else right.adjoint
    report = dot_test(Operator(BLOCKS, BLOCKS, forward, transpose))
    assert not report.passed
    assert np.isnan(report.error)
    assert report.worst[0 if side == "apply" else 1] == name


def test_an_adjoint_of_a_zero_block_must_be_zero():
    op = Operator(LINE, LINE, lambda t: {"x": 0 * t["x"]}, lambda t: {"x": 1e-9 * t["x"]})
    assert not dot_test(op).passed


def test_single_precision_has_its_own_bar():
    space = Space({"x": Var(("i",), (50,), "float32")})
    m = np.random.default_rng(4).standard_normal((50, 50)).astype("float32")
    op = Operator(space, space, lambda t: {"x": m @ t["x"]}, lambda t: {"x": m.T @ t["x"]})
    assert not dot_test(op).passed
    assert dot_test(op, tolerance=1e-5).passed


def model(function, slope):
    """An elementwise model with a derivative that may be wrong."""

    class Elementwise:
        domain = range = LINE

        def apply(self, x):
            return {"x": function(x["x"])}

        def linearize(self, x):
            d = slope(x["x"])
            return self.apply(x), Operator(LINE, LINE, lambda t: {"x": d * t["x"]}, lambda t: {"x": d * t["x"]})

    return Elementwise()


AT = {"x": np.linspace(0.3, 1.2, 6)}


def test_right_derivative_has_rate_two():
    report = taylor_test(model(np.sin, np.cos), AT)
    assert report.passed
    assert not report.linear
    assert len(report.rates) == 3
    assert report.rates == pytest.approx([2, 2, 2], abs=0.05)
    assert str(report).startswith("Taylor test passed: rates 2.0")


@pytest.mark.parametrize("wrong", [lambda x: -np.cos(x), lambda x: np.cos(x) * 1.5, lambda x: 0 * x])
def test_wrong_derivative_has_rate_one(wrong):
    report = taylor_test(model(np.sin, wrong), AT)
    assert not report.passed
    assert report.rates == pytest.approx([1, 1, 1], abs=0.1)
    assert "FAILED" in str(report)


def test_a_kink_is_no_derivative():
    report = taylor_test(model(np.abs, np.sign), {"x": np.full(6, 1e-4)}, direction={"x": -np.ones(6)})
    assert not report.passed


def test_linear_models_are_said_to_be_linear():
    report = taylor_test(model(lambda x: 3 * x, lambda x: 3 + 0 * x), AT)
    assert report.linear
    assert report.passed
    assert "linear to rounding" in str(report)
    assert not taylor_test(model(lambda x: 3 * x, lambda x: 2 + 0 * x), AT).passed


def test_a_derivative_that_is_nan_fails():
    assert not taylor_test(model(np.sin, lambda x: np.nan * x), AT).passed
    assert not taylor_test(model(lambda x: 3 * x, lambda x: np.nan * x), AT).passed


def test_scales_bring_unequal_unknowns_into_range():
    domain = Space({"pressure": Var(units="Pa"), "fraction": Var()})
    law = TorchModel(domain, LINE, lambda t: {"x": torch.sin(t["fraction"] * t["pressure"] / 1e5).expand(6)})
    at = {"pressure": np.array(1e5), "fraction": np.array(0.4)}
    assert taylor_test(law, at, scales={"pressure": 1e5, "fraction": 0.4}).passed


def test_linearity_over_the_reals():
    assert linearity_test(RIGHT["conjugate"].apply, COMPLEX, COMPLEX) < 1e-14
    assert linearity_test(lambda t: {"x": np.abs(t["x"])}, COMPLEX, LINE) > 0.1
    assert linearity_test(lambda t: {"x": t["x"] + 1e-6}, LINE, LINE) > 1e-8
    assert linearity_test(lambda t: {"x": 0 * t["x"]}, LINE, LINE) == 0.0
