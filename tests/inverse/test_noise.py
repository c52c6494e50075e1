import numpy as np
import pytest
from scipy import stats

from retrodict.inverse.noise import Autocorrelated, Gaussian, Heteroscedastic, NoiseModel, Poisson, StudentT
from retrodict.physics.errors import DataError

RNG = np.random.default_rng(0)
TIMES = np.array([0.0, 0.1, 0.5, 0.6, 2.0, 7.0, 7.05, 7.1])
F = np.stack([np.linspace(-2, 3, 8), np.sin(TIMES)])
Y = F + RNG.normal(size=F.shape)
EACH = np.linspace(0.3, 1.5, 8)
MASK = np.array([[1, 1, 0, 1, 1, 0, 0, 1], [0, 0, 1, 1, 0, 1, 1, 1]], bool)
MODELS = {
    "gaussian": Gaussian(0.7),
    "gaussian each": Gaussian(EACH),
    "heteroscedastic": Heteroscedastic(0.5, 0.3),
    "student": StudentT(0.7, 4.0),
    "student each": StudentT(EACH, 2.5),
    "autocorrelated": Autocorrelated(0.8, 0.9, TIMES),
}


def logpdf(name, y, f, mask):
    """The log-density by scipy."""
    each = np.broadcast_to(EACH, y.shape)
    if name == "gaussian":
        return stats.norm(f, 0.7).logpdf(y)[mask].sum()
    if name == "gaussian each":
        return stats.norm(f, each).logpdf(y)[mask].sum()
    if name == "heteroscedastic":
        return stats.norm(f, np.sqrt(0.25 + (0.3 * f) ** 2)).logpdf(y)[mask].sum()
    if name == "student":
        return stats.t(4.0, f, 0.7).logpdf(y)[mask].sum()
    if name == "student each":
        return stats.t(2.5, f, each).logpdf(y)[mask].sum()
    dense = 0.64 * np.exp(-np.abs(TIMES[:, None] - TIMES) / 0.9)
    return sum(
        stats.multivariate_normal(f[i][m], dense[np.ix_(m, m)]).logpdf(y[i][m]) for i, m in enumerate(mask) if m.any()
    )


@pytest.mark.parametrize("mask", [np.ones_like(MASK), MASK, np.eye(2, 8, 3, dtype=bool)], ids=["all", "gaps", "one"])
@pytest.mark.parametrize("name", MODELS)
def test_likelihood_is_that_of_scipy(name, mask):
    assert isinstance(MODELS[name], NoiseModel)
    y = np.where(mask, Y, np.nan)  # what is masked must not be read
    assert MODELS[name].nll(y, F, mask) == pytest.approx(-logpdf(name, Y, F, mask), rel=1e-12, abs=1e-10)


@pytest.mark.parametrize("mask", [np.ones_like(MASK), MASK], ids=["all", "gaps"])
@pytest.mark.parametrize("name", MODELS)
def test_whitened_residual_gives_the_gradient(name, mask):
    model, y = MODELS[name], np.where(mask, Y, np.nan)
    white = model.whiten(y, F, mask)
    gradient, h = white.transpose(white.residual), 1e-6
    for index in np.ndindex(*F.shape):
        step = np.zeros_like(F)
        step[index] = h
        slope = (model.nll(y, F + step, mask) - model.nll(y, F - step, mask)) / (2 * h)
        assert gradient[index] == pytest.approx(slope, rel=1e-6, abs=1e-8)
        if not mask[index]:
            assert gradient[index] == white.residual[index] == 0.0


@pytest.mark.parametrize("mask", [np.ones_like(MASK), MASK], ids=["all", "gaps"])
@pytest.mark.parametrize("name", MODELS)
def test_whitening_and_its_transpose_are_adjoint_and_blind_to_the_mask(name, mask):
    white = MODELS[name].whiten(np.where(mask, Y, np.nan), F, mask)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        df, r = rng.normal(size=F.shape), rng.normal(size=F.shape)
        forward = white.forward(df)
        defect = abs(np.vdot(forward, r) - np.vdot(df, white.transpose(r)))
        assert defect <= 1e-14 * np.linalg.norm(forward) * np.linalg.norm(r)
        assert not forward[~mask].any()
        assert not white.transpose(r)[~mask].any()


@pytest.mark.parametrize("name", ["gaussian", "gaussian each", "autocorrelated"])
def test_gaussian_likelihood_is_half_the_squared_whitened_residual(name):
    model = MODELS[name]
    near, far = model.whiten(Y, F, MASK).residual, model.whiten(Y, F + 1, MASK).residual
    half = 0.5 * (np.sum(far**2) - np.sum(near**2))
    assert model.nll(Y, F + 1, MASK) - model.nll(Y, F, MASK) == pytest.approx(half, rel=1e-12)


def test_autocorrelated_whitening_inverts_the_dense_covariance():
    white = MODELS["autocorrelated"].whiten(Y[:1], F[:1], MASK[:1])
    rows = np.stack([white.forward(row[None]).ravel() for row in np.eye(8)], axis=1)
    keep = MASK[0]
    dense = 0.64 * np.exp(-np.abs(TIMES[keep][:, None] - TIMES[keep]) / 0.9)
    information = (rows.T @ rows)[np.ix_(keep, keep)]
    np.testing.assert_allclose(information @ dense, np.eye(keep.sum()), atol=1e-10)


def test_correlation_that_dies_within_a_step_is_white_noise():
    quick = Autocorrelated(0.8, 1e-4, np.arange(8.0))
    assert quick.nll(Y, F, MASK) == pytest.approx(Gaussian(0.8).nll(Y, F, MASK), rel=1e-14)


def test_student_noise_of_many_degrees_of_freedom_is_gaussian():
    assert StudentT(0.7, 1e7).nll(Y, F, MASK) == pytest.approx(Gaussian(0.7).nll(Y, F, MASK), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Gaussian(0.0), r"Gaussian\.std: got 0\.0, expected finite positive numbers"),
        (lambda: Gaussian([1.0, np.nan]), r"Gaussian\.std"),
        (lambda: Gaussian(np.inf), r"Gaussian\.std"),
        (lambda: Gaussian([]), r"Gaussian\.std"),
        (lambda: Heteroscedastic(1.0, 0.0), "Heteroscedastic: got"),
        (lambda: StudentT(-1.0, 3.0), r"StudentT\.scale"),
        (lambda: StudentT(1.0, 0.0), r"StudentT\.nu"),
        (lambda: Autocorrelated(0.0, 1.0, [0, 1]), r"Autocorrelated\.std"),
        (lambda: Autocorrelated(1.0, -1.0, [0, 1]), r"Autocorrelated\.time_scale"),
        (lambda: Autocorrelated(1.0, 1.0, [0, 0]), r"Autocorrelated\.times: got .*expected increasing finite times"),
        (lambda: Autocorrelated(1.0, 1.0, [1, 0]), r"Autocorrelated\.times"),
        (lambda: Autocorrelated(1.0, 1.0, [0, np.nan]), r"Autocorrelated\.times"),
        (lambda: MODELS["autocorrelated"].nll(Y[:, :7], F[:, :7], MASK[:, :7]), "got 8 times, expected 7"),
    ],
)
def test_noise_without_a_meaning_is_refused(make, match):
    with pytest.raises(DataError, match=match):
        make()


@pytest.mark.parametrize("name", [*MODELS, "poisson"])
def test_standardised_residuals_are_standard_normal_under_the_model_and_rise_with_the_prediction(name):
    rng = np.random.default_rng(5)
    model = Poisson() if name == "poisson" else MODELS[name]
    f = np.abs(np.broadcast_to(F, (400, *F.shape))) + 3.0
    y = model.sample(f, rng)
    mask = rng.random(f.shape) < 0.8
    z = model.standardise(np.where(mask, y, np.nan), f, mask)
    assert np.all(z[~mask] == 0)
    assert stats.kstest(z[mask], "norm").pvalue > 1e-3
    # far away, on either side, the sign is that of prediction less datum and nothing overflows
    far = np.ones((1, 8), bool)
    low, high = (model.standardise(np.full((1, 8), v), np.full((1, 8), 50.0), far)[0, 0] for v in (0.0, 900.0))
    assert np.isfinite([low, high]).all()
    assert low > 0 > high


def test_poisson_is_that_of_scipy():
    y, f = np.array([[0.0, 3.0, 7.0]]), np.array([[0.5, 4.0, 2.0]])
    every, model = np.ones_like(y, bool), Poisson()
    assert model.nll(y, f, every) == pytest.approx(-stats.poisson(f).logpmf(y).sum(), rel=1e-13)
    white = model.whiten(y, f, every)
    np.testing.assert_allclose(white.transpose(white.residual), 1 - y / f, rtol=1e-13)
    np.testing.assert_allclose(white.forward(np.ones_like(f)) ** 2, 1 / f, rtol=1e-13)
    assert model.nll(y, -f, every) == np.inf
    for wrong in (np.array([[0.5]]), np.array([[-1.0]])):
        with pytest.raises(DataError, match="expected whole numbers from zero on"):
            model.nll(wrong, np.ones((1, 1)), np.ones((1, 1), bool))
    with pytest.raises(DataError, match="positive expectations"):
        model.whiten(y, 0 * f, every)
