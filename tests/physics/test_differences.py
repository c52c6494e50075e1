from types import SimpleNamespace

import numpy as np
import pytest

from retrodict.physics.differences import Differenced
from retrodict.physics.errors import SpaceError
from retrodict.physics.spaces import Space, Var
from retrodict.physics.verify import dot_test

DOMAIN = Space({"x": Var(("i",), (2,), bounds=(0.0, 3.0)), "z": Var((), (), dtype="complex128")})
RANGE = Space({"y": Var(("j",), (3,))})


def apply(p):
    x, z = p["x"], p["z"]
    return {"y": np.array([x[0] ** 3, np.sin(x[1]) * z.real, np.exp(0.3 * z.imag) + x[0] * x[1]])}


MODEL = SimpleNamespace(domain=DOMAIN, range=RANGE, apply=apply)


@pytest.mark.parametrize("x", [[1.0, 2.0], [0.0, 3.0], [1e-9, 1.0]])
def test_the_derivative_is_right_inside_and_at_bounds(x):
    at = {"x": np.array(x), "z": np.array(0.5 + 2j)}
    value, slope = Differenced(MODEL).linearize(at)
    np.testing.assert_array_equal(value["y"], apply(at)["y"])
    d = {"x": np.array([0.3, -0.7]), "z": np.array(0.2 - 0.4j)}
    want = [
        3 * x[0] ** 2 * 0.3,
        np.cos(x[1]) * -0.7 * 0.5 + np.sin(x[1]) * 0.2,
        0.3 * -0.4 * np.exp(0.6) + 0.3 * x[1] - 0.7 * x[0],
    ]
    np.testing.assert_allclose(slope.apply(d)["y"], want, rtol=1e-7, atol=1e-8)
    assert dot_test(slope).passed


def test_no_point_beyond_a_bound_is_asked_for():
    asked = []

    def watched(p):
        asked.append(np.array(p["x"]))
        return apply(p)

    Differenced(SimpleNamespace(domain=DOMAIN, range=RANGE, apply=watched)).linearize(
        {"x": np.array([0.0, 3.0]), "z": np.array(1 + 0j)}
    )
    assert np.min(asked) >= 0
    assert np.max(asked) <= 3


@pytest.mark.parametrize("wrong", [{"accuracy": 0.0}, {"scales": {"no": 1.0}}, {"scales": {"x": -1.0}}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SpaceError, match="Differenced"):
        Differenced(MODEL, **wrong)
