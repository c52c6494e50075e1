from types import SimpleNamespace

import numpy as np
import pytest

from retrodict.inverse.estimators import estimate
from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.inverse.probing import probe
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.differences import Differenced
from retrodict.physics.errors import DataError, SolverError, SpaceError
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Space, Var

T = np.linspace(0, 2, 30)
DOMAIN = Space({"a": Var(bounds=(0.0, 10.0)), "k": Var(), "idle": Var()})
RANGE = Space({"y": Var(("time",), T.shape)})
START = {"a": np.array(2.0), "k": np.array(1e-3), "idle": np.array(0.0)}
SEEN = Observation(RANGE, {"y": 3 * np.exp(-T)}, {"y": Gaussian(0.1)})


class Decay:
    """A model whose parts can be replaced by wrong ones."""

    domain, range = DOMAIN, RANGE

    def __init__(self, columns=1.0, rows=1.0, **wrong):
        self.columns, self.rows, self.shift = columns, rows, 0.0
        vars(self).update(wrong)
        self.calls = 0

    def apply(self, p):
        self.calls += 1
        return {"y": p["a"] * np.exp(-p["k"] * T)}

    def linearize(self, p):
        e = np.exp(-p["k"] * T)
        J = np.stack([e, -T * p["a"] * e * self.columns, 0 * T], 1)
        forward = lambda d: {"y": J @ [d[k] for k in DOMAIN]}  # noqa: E731
        back = lambda r: dict(zip(DOMAIN, self.rows * (J.T @ r["y"]), strict=True))  # noqa: E731
        value = {"y": self.apply(p)["y"] + self.shift}
        return value, Operator(DOMAIN, RANGE, forward, back)


def problem(model, start=START):
    return InverseProblem(DOMAIN, (Term("data", Misfit(model, SEEN)),), start)


def test_a_right_model_passes_and_is_probed_once():
    model = Decay()
    probe(problem(model))
    calls = model.calls
    probe(problem(model))
    assert model.calls == calls + 1  # its data are examined at every start


@pytest.mark.parametrize("factor", [2.0, 0.5, -1.0, 0.0, 1.1])
def test_a_column_that_is_off_is_refused_and_named(factor):
    with pytest.raises(SolverError, match=r"term 'data': got a derivative .* times the differences of the data by .*k"):
        estimate(problem(Decay(columns=factor)))


def test_the_factor_is_told():
    with pytest.raises(SolverError, match=r"a derivative 2(\.00\d)? times the differences of the data by k"):
        probe(problem(Decay(columns=2.0)))


def test_a_start_at_a_bound_is_probed_inside_it():
    asked = []

    class Positive(Decay):
        def apply(self, p):
            asked.append(float(p["a"]))
            return super().apply(p)

    probe(problem(Positive(), {**START, "a": np.array(0.0)}))
    assert min(asked) >= 0


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"apply": lambda _p: {"z": T}}, r"data \['z'\], expected exactly \['y'\]"),
        ({"apply": lambda _p: T}, "data ndarray, expected exactly"),
        ({"apply": lambda _p: {"y": T[:-1]}}, r"shape \(29,\), expected float64 and shape \(30,\)"),
        ({"apply": lambda _p: {"y": T + 1j}}, "complex128 and shape"),
        ({"apply": lambda _p: {"y": np.full(30, np.nan)}}, "30 of 30 data 'y' that are not finite at the start"),
        ({"shift": 0.01}, "other data from linearize than from apply"),
        ({"apply": lambda p: p["no such unknown"]}, "got KeyError: 'no such unknown'"),
        ({"rows": 1.01}, "an adjoint that is off by"),
    ],
)
def test_what_a_model_returns_is_checked(wrong, match):
    with pytest.raises(SolverError, match=match):
        estimate(problem(Decay(**wrong)))


def test_a_gradient_that_is_not_that_of_the_value_is_refused():
    class Tilted:
        def value(self, x):
            return float((x["a"] - 1) ** 2)

        def gradient(self, x):
            return {"a": 3 * (x["a"] - 1)}

    made = InverseProblem(DOMAIN, (Term("tilted", Tilted()),), START)
    with pytest.raises(SolverError, match="term 'tilted': got a gradient that differences contradict by 33%"):
        estimate(made)


def test_a_model_without_derivatives_is_told_what_to_do():
    plain = SimpleNamespace(domain=DOMAIN, range=RANGE, apply=Decay().apply)
    with pytest.raises(SpaceError, match=r"a SimpleNamespace without linearize, expected a Differentiable model; Diff"):
        Misfit(plain, SEEN)
    exact, differenced = (estimate(problem(m).fix({"idle": np.array(0.0)})) for m in (Decay(), Differenced(plain)))
    for name in ("a", "k"):
        assert float(differenced.data[name]) == pytest.approx(float(exact.data[name]), rel=1e-6)


def test_noise_without_its_methods_is_refused():
    with pytest.raises(DataError, match=r"noise\['y'\]: got SimpleNamespace, expected a noise model with nll"):
        Observation(RANGE, {"y": T}, {"y": SimpleNamespace(nll=None)})


class Scaled(Decay):
    """``function`` of one unknown at some times, with its exact slope."""

    domain = Space({"x": Var()})

    def __init__(self, function, slope, wrong=1.0):
        super().__init__()
        self.function, self.slope, self.wrong = function, slope, wrong

    def apply(self, p):
        return {"y": self.function(p["x"]) + 0 * T}

    def linearize(self, p):
        row = self.wrong * self.slope(p["x"]) + 0 * T
        op = Operator(self.domain, RANGE, lambda d: {"y": row * d["x"]}, lambda r: {"x": row @ r["y"]})
        return self.apply(p), op


@pytest.mark.parametrize(
    ("function", "slope", "start"),
    [
        (lambda x: np.exp(-1e12 * x), lambda x: -1e12 * np.exp(-1e12 * x), 0.0),
        (lambda x: np.sin(1e10 * x), lambda x: 1e10 * np.cos(1e10 * x), 0.0),
        (lambda x: np.maximum(x - 1, 0), lambda x: float(x >= 1), 1.0),
        (lambda x: np.round(x, 3), lambda _x: 1.0, 0.7),
        (lambda x: 1e12 * x**2, lambda x: 2e12 * x, 1e-9),
    ],
)
def test_what_differences_cannot_judge_is_not_refused(function, slope, start):
    model = Scaled(function, slope)
    probe(InverseProblem(model.domain, (Term("data", Misfit(model, SEEN)),), {"x": np.array(start)}))
    if start not in (0.0, 1.0, 0.7):
        wrong = Scaled(function, slope, 2.0)
        with pytest.raises(SolverError, match="a derivative 2"):
            probe(InverseProblem(model.domain, (Term("data", Misfit(wrong, SEEN)),), {"x": np.array(start)}))


def test_a_model_may_say_nothing_of_what_was_not_observed():
    mask = T > 0.5

    class Partial(Decay):
        def apply(self, p):
            return {"y": np.where(mask, super().apply(p)["y"], np.nan)}

    seen = Observation(RANGE, {"y": 3 * np.exp(-T)}, {"y": Gaussian(0.1)}, {"y": mask})
    probe(InverseProblem(DOMAIN, (Term("data", Misfit(Partial(), seen)),), START))


def test_the_data_are_examined_at_every_start():
    class Logarithm(Decay):
        def apply(self, p):
            with np.errstate(invalid="ignore"):
                return {"y": np.log(p["k"]) + p["a"] * T}

        def linearize(self, p):
            J = np.stack([T, 0 * T + 1 / p["k"], 0 * T], 1)
            back = lambda r: dict(zip(DOMAIN, J.T @ r["y"], strict=True))  # noqa: E731
            return self.apply(p), Operator(DOMAIN, RANGE, lambda d: {"y": J @ [d[k] for k in DOMAIN]}, back)

    model = Logarithm()
    probe(problem(model))
    with pytest.raises(SolverError, match="not finite at the start"):
        probe(problem(model, {**START, "k": np.array(-1.0)}))


def test_the_imaginary_column_of_a_complex_unknown_is_examined():
    domain = Space({"z": Var((), (), "complex128")})

    class Turned:
        range = RANGE

        def __init__(self, wrong):
            self.domain, self.wrong = domain, wrong

        def apply(self, p):
            return {"y": p["z"].real * T + 2 * p["z"].imag * T}

        def linearize(self, p):
            row = 2 * self.wrong * T
            back = lambda r: {"z": np.asarray(T @ r["y"] + 1j * (row @ r["y"]))}  # noqa: E731
            forward = lambda d: {"y": d["z"].real * T + d["z"].imag * row}  # noqa: E731
            return self.apply(p), Operator(domain, RANGE, forward, back)

    start = {"z": np.array(1.0 + 0.5j)}
    probe(InverseProblem(domain, (Term("data", Misfit(Turned(1.0), SEEN)),), start))
    with pytest.raises(SolverError, match="times the differences"):
        probe(InverseProblem(domain, (Term("data", Misfit(Turned(2.0), SEEN)),), start))


def test_the_halves_of_a_linearisation_belong_together():
    from retrodict.inverse.terms import Linearization

    class Doubled:
        def value(self, x):
            return 0.5 * float(x["a"]) ** 2

        def gradient(self, x):
            return {"a": x["a"]}

        def linearize(self, x):
            return Linearization(
                np.array([float(x["a"])]), lambda d: 2 * np.array([float(d["a"])]), lambda r: {"a": np.asarray(r[0])}
            )

    with pytest.raises(SolverError, match="a linearisation that is not that of its gradient"):
        probe(InverseProblem(DOMAIN, (Term("doubled", Doubled()),), START))
