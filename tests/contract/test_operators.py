"""Every way to make a linear operator, under the dot test; a new one fails the build until it is here."""

import numpy as np
import pytest

from retrodict.physics.autograd import TorchModel
from retrodict.physics.model import LinearOperator, Operator, compose, restrict, stack
from retrodict.physics.spaces import Space, Var
from retrodict.physics.verify import dot_test, linearity_test

A = Space({"x": Var(("i",), (3,)), "g": Var(("i",), (2,), "complex128")})
B = Space({"y": Var(("j",), (4,)), "s": Var()})


def dense(domain, codomain, seed):
    matrix = np.random.default_rng(seed).standard_normal((codomain.size, domain.size))
    return Operator(
        domain,
        codomain,
        lambda x: codomain.unpack(matrix @ domain.pack(x)),
        lambda y: domain.unpack(matrix.T @ codomain.pack(y)),
    )


def derivative():
    model = TorchModel(A, B, lambda t: {"y": (t["g"].abs() ** 2).sum().expand(4), "s": t["x"].prod()})
    return model.linearize(A.random(np.random.default_rng(3)))[1]


TABLE = {
    "Operator": (Operator, dense(A, B, 0)),
    "compose": (compose, compose(dense(B, A, 1), dense(A, B, 0))),
    "stack": (stack, stack({"a": dense(A, B, 0), "b": dense(A, A, 1)})),
    "restrict": (restrict, restrict(dense(A, B, 0), ("g",))),
    "derivative": (TorchModel, derivative()),
}


@pytest.mark.parametrize("name", TABLE)
def test_operators_are_linear_and_adjoint(name):
    _, op = TABLE[name]
    assert isinstance(op, LinearOperator)
    report = dot_test(op)
    assert report.passed, report
    assert linearity_test(op.apply, op.domain, op.range) < 1e-12
    assert linearity_test(op.adjoint, op.range, op.domain) < 1e-12


def test_no_operator_is_missing(public, returns, offers):
    things = public("retrodict.physics", "retrodict.inverse.motion")
    made = {
        name
        for name, thing in things.items()
        if (returns(thing, "Operator") or offers(thing, "domain", "range", "apply", "adjoint"))
        and thing not in {maker for maker, _ in TABLE.values()}
    }
    assert not made, f"not in the table: {sorted(made)}"
