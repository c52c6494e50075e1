import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrodict.physics.errors import SpaceError
from retrodict.physics.spaces import Space, Var

DTYPES = ("float64", "float32", "complex128", "complex64")


@st.composite
def spaces(draw):
    variables = {}
    for name in draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True)):
        shape = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
        variables[name] = Var(tuple(f"{name}{i}" for i in range(len(shape))), shape, draw(st.sampled_from(DTYPES)))
    return Space(variables)


@settings(max_examples=60, deadline=None)
@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_pack_and_unpack_are_inverse_and_keep_the_inner_product(space, seed):
    rng = np.random.default_rng(seed)
    a, b = space.random(rng), space.random(rng)
    packed = space.pack(a)
    assert packed.shape == (space.size,)
    assert packed.dtype == np.float64
    back = space.unpack(packed)
    for name, var in space.items():
        assert back[name].dtype == np.dtype(var.dtype)
        np.testing.assert_array_equal(back[name], a[name])
    assert packed @ space.pack(b) == pytest.approx(space.inner(a, b), rel=1e-12, abs=1e-12)
    assert np.linalg.norm(packed) == pytest.approx(space.norm(a), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_labels_name_the_entries_of_pack(space, seed):
    tree = space.random(np.random.default_rng(seed))
    labels, packed = space.labels(), space.pack(tree)
    assert len(labels) == len(set(labels)) == space.size
    for label, value in zip(labels, packed, strict=True):
        plain, _, part = label.partition(".")
        name, _, index = plain.rstrip("]").partition("[")
        entry = tree[name][tuple(int(i) for i in index.split(",")) if index else ()]
        assert value == (entry.imag if part == "im" else entry.real)


@settings(max_examples=30, deadline=None)
@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_datasets_round_trip(space, seed):
    tree = space.random(np.random.default_rng(seed))
    back = space.from_dataset(space.to_dataset(tree))
    for name in space:
        np.testing.assert_array_equal(back[name], tree[name])


def test_inner_product_of_complex_numbers_is_real_and_sees_the_phase():
    space = Space({"g": Var(("i",), (2,), "complex128")})
    a, b = {"g": np.array([1.0, 2j])}, {"g": np.array([1j, 2j])}
    assert space.inner(a, b) == 4.0
    assert space.inner(b, a) == 4.0
    assert space.inner(a, {"g": 1j * a["g"]}) == 0.0
    assert space.size == 4


def test_single_precision_is_accumulated_in_double():
    n = 100_000
    space = Space({"x": Var(("i",), (n,), "float32")})
    tree = {"x": np.full(n, 0.1, "float32")}
    assert space.inner(tree, tree) == pytest.approx(n * float(np.float32(0.1)) ** 2, rel=1e-12)


def test_axpy_and_zeros():
    space = Space({"x": Var(("i",), (2,), "float32"), "g": Var(dtype="complex64")})
    out = space.axpy(2.0, {"x": np.array([1, 2]), "g": np.array(1j)}, {"x": np.array([3, 4]), "g": np.array(1.0)})
    np.testing.assert_array_equal(out["x"], [5, 8])
    assert (out["g"], out["g"].dtype, out["x"].dtype) == (1 + 2j, np.complex64, np.float32)
    assert space.norm(space.zeros()) == 0.0


def test_random_complex_numbers_have_unit_variance_in_each_part():
    g = Space({"g": Var(("i",), (20_000,), "complex128")}).random(np.random.default_rng(0))["g"]
    for part in (g.real, g.imag):
        assert abs(part.var() - 1) < 4 * np.sqrt(2 / 20_000)
    assert abs(np.mean(g.real * g.imag)) < 4 / np.sqrt(20_000)


def test_bounds_follow_the_packing():
    space = Space({"a": Var(("i",), (2,), bounds=(0.0, 1.0)), "g": Var(dtype="complex128"), "b": Var(bounds=(-1, 5))})
    lower, upper = space.bounds()
    np.testing.assert_array_equal(lower, [0, 0, -np.inf, -np.inf, -1])
    np.testing.assert_array_equal(upper, [1, 1, np.inf, np.inf, 5])


def test_equality_is_by_names_order_and_variables():
    a, b = Var(units="m"), Var(units="s")
    assert Space({"a": a, "b": b}) == Space({"a": Var(units="m"), "b": Var(units="s")})
    assert Space({"a": a, "b": b}) != Space({"b": b, "a": a})
    assert Space({"a": a}) != Space({"a": b})
    with pytest.raises(TypeError, match="unhashable"):
        hash(Space({"a": a}))


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (1.0, 1.0), (np.nan, 1.0)])
def test_empty_bounds_are_refused(bounds):
    with pytest.raises(SpaceError, match=r"Var\.bounds: got .*expected lower < upper"):
        Var(bounds=bounds)


def test_dims_and_shape_must_agree():
    with pytest.raises(SpaceError, match="one name an axis"):
        Var(("time",), (2, 3))


GOOD = {"x": np.array([1.0, 2.0]), "n": np.array(0.5)}
SPACE = Space({"x": Var(("time",), (2,), units="m"), "n": Var(bounds=(0.0, 1.0), units="1")})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"x": None}, r"params: got names \['n'\], expected exactly \['n', 'x'\]"),
        ({"y": np.zeros(2)}, r"params: got names \['n', 'x', 'y'\]"),
        ({"x": np.zeros(3)}, r"params\['x'\]: got shape \(3,\), expected \(2,\) = \('time',\)"),
        ({"x": np.array([1.0, np.nan])}, r"params\['x'\]: got 1 non-finite values, expected finite numbers"),
        ({"x": np.array([np.inf, -np.inf])}, "got 2 non-finite values"),
        ({"x": np.array([1.0, 2j])}, r"params\['x'\]: got dtype complex128, expected float64"),
        ({"x": np.array(["1", "2"])}, r"params\['x'\]: got dtype <U1"),
        ({"x": np.array([None, 1.0])}, r"params\['x'\]: got dtype object"),
        ({"n": np.array(1.5)}, r"params\['n'\]: got 1\.5, expected values in \[0, 1\] 1"),
        ({"n": np.array(-0.25)}, r"params\['n'\]: got -0\.25, expected values in \[0, 1\]"),
    ],
)
def test_check_names_each_fault(changes, match):
    tree = {k: v for k, v in (GOOD | changes).items() if v is not None}
    with pytest.raises(SpaceError, match=match):
        SPACE.check(tree, "params")


def test_check_converts_without_touching_its_argument():
    x = np.array([1, 2])
    out = SPACE.check({"x": x, "n": 1}, "params")
    assert out["x"].dtype == np.float64
    out["x"][0] = 9
    assert x[0] == 1


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_bounds_are_closed(edge):
    assert SPACE.check({"x": [1, 2], "n": edge}, "params")["n"] == edge
