import numpy as np
import pytest
from scipy import optimize, stats

from retrodict.inverse.priors import GaussianPrior, LogNormalPrior, SmoothnessPrior
from retrodict.inverse.terms import GaussNewton
from retrodict.physics.errors import SpaceError

RNG = np.random.default_rng(0)
ROOT = RNG.normal(size=(6, 6))
COVARIANCE = ROOT @ ROOT.T + np.eye(6)
PLANE = RNG.normal(size=(2, 3))
SERIES = np.exp(RNG.normal(size=7))
EACH = np.array([[0.5, 1.0, 2.0]])


def random_walk(x, std, order):
    d = np.diff(x, n=order, axis=-1)
    return stats.norm(0, np.broadcast_to(std, d.shape)).logpdf(d).sum()


PRIORS = {
    "scalar": (GaussianPrior("x", 1.0, std=2.0), np.array(0.3), lambda x: stats.norm(1, 2).logpdf(x)),
    "each": (GaussianPrior("x", PLANE + 1, std=EACH), PLANE, lambda x: stats.norm(PLANE + 1, EACH).logpdf(x).sum()),
    "dense": (
        GaussianPrior("x", 0.5, covariance=COVARIANCE),
        PLANE,
        lambda x: stats.multivariate_normal(np.full(6, 0.5), COVARIANCE).logpdf(x.ravel()),
    ),
    "log-normal": (
        LogNormalPrior("x", 2.0, 0.5),
        SERIES,
        lambda x: stats.lognorm(0.5, scale=2.0).logpdf(x).sum(),
    ),
    "walk": (SmoothnessPrior("x", 0.3), SERIES, lambda x: random_walk(x, 0.3, 1)),
    "walk of two rows": (SmoothnessPrior("x", EACH[:, :2]), PLANE, lambda x: random_walk(x, EACH[:, :2], 1)),
    "curvature": (SmoothnessPrior("x", 0.3, order=2), SERIES, lambda x: random_walk(x, 0.3, 2)),
    "curvature of two rows": (SmoothnessPrior("x", 0.3, order=2), PLANE, lambda x: random_walk(x, 0.3, 2)),
}


@pytest.mark.parametrize("name", PRIORS)
def test_value_is_the_log_density_of_scipy(name):
    prior, x, logpdf = PRIORS[name]
    assert isinstance(prior, GaussNewton)
    assert prior.value({"x": x, "other": 0.0}) == pytest.approx(-logpdf(x), rel=1e-12)


@pytest.mark.parametrize("name", PRIORS)
def test_gradient_is_the_slope_of_the_value(name):
    prior, x, _ = PRIORS[name]
    gradient, h = prior.gradient({"x": x, "other": 0.0}), 1e-6
    assert list(gradient) == ["x"]
    assert gradient["x"].shape == x.shape
    for index in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[index] = h
        slope = (prior.value({"x": x + step}) - prior.value({"x": x - step})) / (2 * h)
        assert gradient["x"][index] == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", PRIORS)
def test_linearisation_and_its_transpose_are_adjoint(name):
    prior, x, _ = PRIORS[name]
    line, rng = prior.linearize({"x": x}), np.random.default_rng(1)
    for _ in range(5):
        dx, r = rng.normal(size=x.shape), rng.normal(size=line.residual.shape)
        forward = line.forward({"x": dx})
        assert forward.shape == line.residual.shape
        defect = abs(forward @ r - np.vdot(dx, line.transpose(r)["x"]))
        assert defect <= 1e-13 * np.linalg.norm(forward) * np.linalg.norm(r)


@pytest.mark.parametrize("name", [n for n in PRIORS if n != "log-normal"])
def test_gaussian_curvature_is_exact(name):
    prior, x, _ = PRIORS[name]
    dx = np.random.default_rng(2).normal(size=x.shape)
    bend = prior.value({"x": x + dx}) + prior.value({"x": x - dx}) - 2 * prior.value({"x": x})
    forward = prior.linearize({"x": x}).forward({"x": dx})
    assert forward @ forward == pytest.approx(bend, rel=1e-9)


def test_log_normal_mode_and_completed_square():
    prior = LogNormalPrior("x", 2.0, 0.5)
    mode = optimize.minimize_scalar(lambda x: -stats.lognorm(0.5, scale=2.0).logpdf(x), (0.5, 3), tol=1e-12).x
    assert mode == pytest.approx(2 * np.exp(-0.25), rel=1e-6)
    assert prior.gradient({"x": np.array(2 * np.exp(-0.25))})["x"] == pytest.approx(0, abs=1e-12)
    # value minus half the squared residual does not depend on x
    rests = [
        prior.value({"x": np.array(x)}) - 0.5 * prior.linearize({"x": np.array(x)}).residual[0] ** 2 for x in (1, 9)
    ]
    assert rests[0] == pytest.approx(rests[1], rel=1e-12)


@pytest.mark.parametrize("x", [0.0, -1.0])
def test_log_normal_density_is_zero_where_nothing_is_positive(x):
    prior = LogNormalPrior("x", 2.0, 0.5)
    assert prior.value({"x": np.array([1.0, x])}) == np.inf
    with pytest.raises(SpaceError, match=rf"LogNormalPrior\('x'\): got {x}, expected a positive value"):
        prior.gradient({"x": np.array([1.0, x])})


@pytest.mark.parametrize("order", [1, 2])
def test_smoothness_says_nothing_about_what_it_cannot_see(order):
    prior, t = SmoothnessPrior("x", 0.1, order=order), np.arange(6.0)
    seen = prior.value({"x": SERIES[:6]})
    assert prior.value({"x": SERIES[:6] + 5}) == pytest.approx(seen, rel=1e-12)
    assert (prior.value({"x": SERIES[:6] + t}) == pytest.approx(seen, rel=1e-10)) == (order == 2)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: GaussianPrior("x", 0.0), r"GaussianPrior\('x'\): got both or neither, expected one of std and cov"),
        (lambda: GaussianPrior("x", 0.0, std=1.0, covariance=[[1.0]]), "both or neither"),
        (lambda: GaussianPrior("x", 0.0, std=[1.0, 0.0]), r"GaussianPrior\('x'\)\.std"),
        (lambda: GaussianPrior("x", 0.0, std=np.nan), r"GaussianPrior\('x'\)\.std: got nan, expected positive"),
        (lambda: GaussianPrior("x", 0.0, covariance=[[1, 2], [2, 1]]), "indefinite matrix"),
        (lambda: LogNormalPrior("x", 0.0, 1.0), r"LogNormalPrior\('x'\): got median 0\.0, log_std 1\.0"),
        (lambda: LogNormalPrior("x", 1.0, np.nan), "positive numbers"),
        (lambda: SmoothnessPrior("x", 1.0, order=3), "order 3, expected positive std and order 1 or 2"),
        (lambda: SmoothnessPrior("x", 0.0), "positive std"),
    ],
)
def test_priors_without_a_meaning_are_refused(make, match):
    with pytest.raises(SpaceError, match=match):
        make()
