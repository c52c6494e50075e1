import numpy as np
import pytest
import torch

from retrodict.inverse.noise import Gaussian, Heteroscedastic, StudentT
from retrodict.inverse.observation import Observation
from retrodict.inverse.terms import Curved, GaussNewton, Misfit, Proximable, Smooth, Term
from retrodict.physics.autograd import TorchModel
from retrodict.physics.errors import SpaceError
from retrodict.physics.spaces import Space, Var

DOMAIN = Space({"a": Var(("i",), (2,)), "b": Var()})
RANGE = Space({"u": Var(("t",), (3,)), "v": Var()})
MODEL = TorchModel(
    DOMAIN,
    RANGE,
    lambda t: {"u": torch.stack([t["a"][0], t["a"].prod(), t["b"] ** 2]), "v": torch.exp(t["b"]) * t["a"][1]},
)
AT = {"a": np.array([1.0, -2.0]), "b": np.array(0.4)}
VALUES = {"u": np.array([0.5, np.nan, 1.0]), "v": np.array(-2.0)}
MASK = {"u": np.array([True, False, True])}


def misfit(noise_u, noise_v):
    return Misfit(MODEL, Observation(RANGE, VALUES, {"u": noise_u, "v": noise_v}, MASK))


MISFITS = [misfit(Gaussian(0.5), StudentT(0.3, 3.0)), misfit(Heteroscedastic(0.4, 0.2), Gaussian(0.2))]


@pytest.mark.parametrize("term", MISFITS)
def test_gradient_is_the_slope_of_the_value(term):
    gradient, h = term.gradient(AT), 1e-6
    packed, slopes = DOMAIN.pack(AT), []
    for step in np.eye(3) * h:
        values = [term.value(DOMAIN.unpack(packed + sign * step)) for sign in (1, -1)]
        slopes.append((values[0] - values[1]) / (2 * h))
    np.testing.assert_allclose(DOMAIN.pack(gradient), slopes, rtol=1e-7)


@pytest.mark.parametrize("term", MISFITS)
def test_linearisation_and_transpose_are_adjoint_over_valid_values_only(term):
    line = term.linearize(AT)
    assert line.residual.shape == (3,)  # two of u, one of v
    rng = np.random.default_rng(0)
    for _ in range(5):
        dx, r = DOMAIN.random(rng), rng.normal(size=3)
        forward = line.forward(dx)
        defect = abs(forward @ r - DOMAIN.inner(dx, line.transpose(r)))
        assert defect <= 1e-14 * np.linalg.norm(forward) * np.linalg.norm(r)


def test_value_sums_the_variables():
    apart = Gaussian(0.5).nll(VALUES["u"], MODEL.apply(AT)["u"], MASK["u"])
    apart += StudentT(0.3, 3.0).nll(VALUES["v"], MODEL.apply(AT)["v"], np.array(True))
    assert MISFITS[0].value(AT) == pytest.approx(apart, rel=1e-15)


def test_observations_of_another_space_are_refused():
    other = Space({"u": Var(("t",), (3,), units="m"), "v": Var()})
    data = Observation(other, VALUES, {"u": Gaussian(1.0), "v": Gaussian(1.0)}, MASK)
    with pytest.raises(SpaceError, match=r"Misfit: got observation in Space\(u: .*\[m\].*expected the model's range"):
        Misfit(MODEL, data)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
def test_weights_are_positive_numbers(weight):
    with pytest.raises(SpaceError, match=r"Term 'data' weight: got .*expected a finite positive number"):
        Term("data", MISFITS[0], weight=weight)


def test_kinds_are_known():
    with pytest.raises(SpaceError, match="Term 'data' kind: got penalty, expected 'data' or 'prior'"):
        Term("data", MISFITS[0], kind="penalty")


def test_capabilities_are_told_apart_by_what_a_term_offers():
    class Shrink:
        def value(self, x):
            return float(np.abs(x["b"]))

        def prox(self, x, step):
            return x | {"b": np.sign(x["b"]) * np.maximum(np.abs(x["b"]) - step, 0)}

    assert isinstance(MISFITS[0], GaussNewton)
    assert isinstance(MISFITS[0], Smooth)
    assert not isinstance(MISFITS[0], Curved)
    assert isinstance(Shrink(), Proximable)
    assert not isinstance(Shrink(), Smooth)
