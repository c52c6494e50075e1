import numpy as np
import pytest

from retrodict.physics.errors import SpaceError
from retrodict.physics.model import (
    BlockLinear,
    Differentiable,
    ForwardModel,
    LinearOperator,
    Operator,
    StochasticModel,
    compose,
    restrict,
    stack,
)
from retrodict.physics.spaces import Space, Var
from retrodict.physics.verify import dot_test, linearity_test

A = Space({"x": Var(("i",), (3,)), "g": Var(dtype="complex128")})
B = Space({"y": Var(("j",), (4,))})
C = Space({"z": Var(("k",), (2,), "complex128"), "w": Var()})


def random_operator(domain, codomain, seed):
    matrix = np.random.default_rng(seed).standard_normal((codomain.size, domain.size))
    return Operator(
        domain,
        codomain,
        lambda x: codomain.unpack(matrix @ domain.pack(x)),
        lambda y: domain.unpack(matrix.T @ codomain.pack(y)),
    )


FIRST, SECOND, OTHER = random_operator(A, B, 0), random_operator(B, C, 1), random_operator(A, C, 2)


def test_product_is_one_after_the_other_and_its_adjoint_the_reverse():
    product = compose(SECOND, FIRST)
    x = A.random(np.random.default_rng(3))
    want = SECOND.apply(FIRST.apply(x))
    for name, value in product.apply(x).items():
        np.testing.assert_array_equal(value, want[name])
    assert (product.domain, product.range) == (A, C)
    assert dot_test(product).passed
    assert linearity_test(product.apply, A, C) < 1e-13


def test_product_of_unlike_spaces_is_refused():
    with pytest.raises(SpaceError, match=r"compose: got range Space\(y: .*expected the domain Space\(x: "):
        compose(FIRST, FIRST)


def test_stack_sums_the_adjoints():
    both = stack({"a": FIRST, "b": OTHER})
    assert list(both.range) == ["a/y", "b/z", "b/w"]
    y = both.range.random(np.random.default_rng(4))
    apart = [FIRST.adjoint({"y": y["a/y"]}), OTHER.adjoint({"z": y["b/z"], "w": y["b/w"]})]
    for name, value in both.adjoint(y).items():
        np.testing.assert_allclose(value, apart[0][name] + apart[1][name], rtol=1e-14)
    assert dot_test(both).passed


@pytest.mark.parametrize("operators", [{}, {"a": FIRST, "b": SECOND}])
def test_stack_needs_one_domain(operators):
    with pytest.raises(SpaceError, match="one or more operators with one domain"):
        stack(operators)


@pytest.mark.parametrize("names", [("x",), ("g",), ("g", "x")])
def test_restriction_holds_the_others_at_zero(names):
    part = restrict(FIRST, names)
    x = part.domain.random(np.random.default_rng(5))
    np.testing.assert_array_equal(part.apply(x)["y"], FIRST.apply(A.zeros() | x)["y"])
    assert tuple(part.domain) == names
    assert dot_test(part).passed


def test_restriction_to_unknown_names_is_refused():
    with pytest.raises(SpaceError, match=r"restrict: got \['q'\], expected names among \['g', 'x'\]"):
        restrict(FIRST, ("q", "x"))


def test_a_wrong_part_makes_the_whole_wrong():
    bad = Operator(B, C, SECOND.forward, lambda y: {"y": SECOND.adjoint(y)["y"] * (1 + 1e-9)})
    assert not dot_test(compose(bad, FIRST)).passed
    assert dot_test(stack({"good": SECOND, "bad": bad})).worst[1].startswith("bad/")


class Forward:
    domain, range = A, B

    def apply(self, params):
        return FIRST.apply(params)


class Smooth(Forward):
    def linearize(self, params):
        return FIRST.apply(params), FIRST


class Blocks(Smooth):
    def block(self, name, _params):
        return restrict(FIRST, (name,))


def test_a_capability_is_a_type():
    assert isinstance(FIRST, LinearOperator)
    assert not isinstance(FIRST, Differentiable)
    assert isinstance(Forward(), ForwardModel)
    assert not isinstance(Forward(), Differentiable)
    assert isinstance(Smooth(), Differentiable)
    assert not isinstance(Smooth(), BlockLinear)
    assert isinstance(Blocks(), BlockLinear)
    assert isinstance(Forward(), StochasticModel)  # a protocol sees names, not signatures


def test_blocks_sum_to_the_whole():
    x = A.random(np.random.default_rng(6))
    parts = [Blocks().block(n, x).apply({n: x[n]})["y"] for n in A]
    np.testing.assert_allclose(sum(parts), FIRST.apply(x)["y"], rtol=1e-13)
