import math

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Solver, Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.eigenbasis import Factors, blocks_of
from retrodict.solvers.first_order import SOAP, Adam
from retrodict.solvers.iterate import iterate
from retrodict.solvers.schedules import Schedule

BOTH = [Adam, SOAP]
RNG = np.random.default_rng(7)
INPUTS, TARGETS = RNG.standard_normal((20, 3)), RNG.standard_normal((20, 2))
FIRST, SECOND = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))


class Network:
    """A network of one hidden layer, its matrices and vectors by name."""

    name = "network"
    space = Space(
        {
            "w": Var(("i", "j"), (3, 4)),
            "b": Var(("j",), (4,)),
            "v": Var(("j", "k"), (4, 2)),
            "c": Var(("k",), (2,)),
        }
    )
    start = {"w": FIRST, "b": np.zeros(4), "v": SECOND, "c": np.zeros(2)}  # noqa: RUF012

    def loss(self, w, b, v, c):
        return ((torch.tanh(torch.tensor(INPUTS) @ w + b) @ v + c - torch.tensor(TARGETS)) ** 2).mean()

    def value_and_gradient(self, x):
        leaves = [torch.tensor(x[k], requires_grad=True) for k in self.space]
        loss = self.loss(*leaves)
        loss.backward()
        return loss.item(), {k: leaf.grad.numpy() for k, leaf in zip(self.space, leaves, strict=True)}

    def value(self, x):
        return self.value_and_gradient(x)[0]

    def gradient(self, x):
        return self.value_and_gradient(x)[1]


class Flat(Network):
    """The same network with its weights in one vector."""

    space = Space({"weights": Var(("i",), (26,))})
    start = {"weights": Network.space.pack(Network.start)}  # noqa: RUF012
    blocks = {  # noqa: RUF012
        "weights": [
            (slice(0, 12), (3, 4)),
            (slice(12, 16), (4,)),
            (slice(16, 24), (4, 2)),
            (slice(24, None), (2,)),
        ]
    }

    def value_and_gradient(self, x):
        value, gradient = Network.value_and_gradient(NETWORK, Network.space.unpack(x["weights"]))
        return value, {"weights": Network.space.pack(gradient)}


NETWORK = Network()


def bowl(centre, bounds=(-np.inf, np.inf)):
    class Bowl:
        name = "bowl"
        space = Space({"x": Var(("i",), centre.shape, bounds=bounds)})
        start = {"x": np.zeros(centre.shape)}  # noqa: RUF012

        def value(self, x):
            return float(((x["x"] - centre) ** 2).sum())

        def gradient(self, x):
            return {"x": 2 * (x["x"] - centre)}

    return Bowl()


def peers_path(steps, scheduler=None, **options):
    leaves = [torch.tensor(Network.start[k], requires_grad=True) for k in Network.space]
    optimiser = torch.optim.Adam(leaves, **options)
    plan = scheduler(optimiser) if scheduler else None
    for _ in range(steps):
        optimiser.zero_grad()
        NETWORK.loss(*leaves).backward()
        optimiser.step()
        if plan:
            plan.step()
    return np.concatenate([leaf.detach().numpy().ravel() for leaf in leaves])


def path(solver, steps):
    state = solver.init()
    for _ in range(steps):
        state, _ = solver.step(state)
    return state


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.8)])
def test_adam_is_that_of_torch(amsgrad, betas):
    peer = peers_path(50, lr=0.03, betas=betas, amsgrad=amsgrad)
    ours = path(Adam(NETWORK, rate=0.03, betas=betas, amsgrad=amsgrad), 50).x
    np.testing.assert_allclose(ours, peer, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "scheduler"),
    [
        (
            Schedule(0.03, "exponential", steps=1, factor=0.95),
            lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=0.95),
        ),
        (
            Schedule(0.03, "cosine", steps=50, factor=0.1),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=50, eta_min=0.003),
        ),
        (
            Schedule(0.03, warmup=10),
            lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=9),
        ),
    ],
)
def test_schedules_are_those_of_torch(schedule, scheduler):
    peer = peers_path(50, scheduler, lr=0.03)
    np.testing.assert_allclose(path(Adam(NETWORK, rate=schedule), 50).x, peer, rtol=0, atol=1e-11)


def test_a_cosine_stays_at_its_end():
    schedule = Schedule(1.0, "cosine", steps=10, factor=0.2)
    assert schedule(0) == 1.0
    assert schedule(5) == pytest.approx(0.6)
    assert schedule(10) == schedule(1000) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "options", [{"rate": 0.0}, {"rate": np.nan}, {"steps": 0}, {"factor": 0.0}, {"factor": 1.5}, {"decay": "none"}]
)
def test_wrong_schedules_are_refused(options):
    with pytest.raises(SolverError, match="Schedule: got Schedule"):
        Schedule(**{"rate": 1.0, **options})


def soap_by_hand(steps, rate, beta, frequency, epsilon=1e-8):
    """SOAP of one matrix, with full Kronecker matrices in place of two-sided products."""
    w = np.array([[2.0, -1.0, 0.5], [1.0, 3.0, -2.0]])
    gradient = lambda w: np.array([[3.0, 0.5, 1.0], [0.2, 1.0, 2.0]]) * w + 0.1 * w**3  # noqa: E731
    g = gradient(w)
    left, right = g @ g.T, g.T @ g
    ql, qr = np.linalg.eigh(left)[1][:, ::-1], np.linalg.eigh(right)[1][:, ::-1]
    m, v = np.zeros(6), np.zeros((2, 3))
    for t in range(1, steps + 1):
        q = np.kron(ql, qr)
        m = beta * m + (1 - beta) * g.ravel()
        v = beta * v + (1 - beta) * (q.T @ g.ravel()).reshape(2, 3) ** 2
        n = (q.T @ m / (1 - beta**t)) / (np.sqrt(v.ravel() / (1 - beta**t)) + epsilon)
        w = w - rate * (q @ n).reshape(2, 3)
        g = gradient(w)
        left, right = beta * left + (1 - beta) * g @ g.T, beta * right + (1 - beta) * g.T @ g
        if t % frequency == 0:
            orders = [np.argsort(-np.diag(q.T @ p @ q), kind="stable") for q, p in ((ql, left), (qr, right))]
            v = v[orders[0]][:, orders[1]]
            ql, qr = (np.linalg.qr(p @ q[:, o])[0] for q, p, o in zip((ql, qr), (left, right), orders, strict=True))
    return w


class Matrix:
    name = "matrix"
    space = Space({"w": Var(("i", "j"), (2, 3))})
    start = {"w": np.array([[2.0, -1.0, 0.5], [1.0, 3.0, -2.0]])}  # noqa: RUF012
    weights = np.array([[3.0, 0.5, 1.0], [0.2, 1.0, 2.0]])

    def value(self, x):
        return float((0.5 * self.weights * x["w"] ** 2 + 0.025 * x["w"] ** 4).sum())

    def gradient(self, x):
        return {"w": self.weights * x["w"] + 0.1 * x["w"] ** 3}


@pytest.mark.parametrize("frequency", [1, 3, 100])
def test_soap_is_its_formula(frequency):
    ours = path(SOAP(Matrix(), rate=0.05, betas=(0.9, 0.9), frequency=frequency), 30).x
    np.testing.assert_allclose(ours, soap_by_hand(30, 0.05, 0.9, frequency).ravel(), atol=1e-10)


def test_soap_of_vectors_is_adam():
    centre = np.array([1.0, -2.0, 3.0])
    one = path(SOAP(bowl(centre), rate=0.1, betas=(0.9, 0.99)), 40)
    other = path(Adam(bowl(centre), rate=0.1, betas=(0.9, 0.99)), 40)
    np.testing.assert_array_equal(one.x, other.x)
    assert one.factors == ()


def test_sides_that_are_too_long_are_left_alone():
    state = path(SOAP(NETWORK, largest=3), 5)
    assert [f.left.shape for f in state.factors] == [(3, 3), (0, 0)]
    assert [f.right.shape for f in state.factors] == [(0, 0), (2, 2)]
    none = path(SOAP(NETWORK, rate=0.01, betas=(0.9, 0.99), largest=1), 20)
    np.testing.assert_allclose(none.x, path(Adam(NETWORK, rate=0.01, betas=(0.9, 0.99)), 20).x, atol=1e-13)


@pytest.mark.parametrize("one_sided", [False, True])
def test_views_of_a_vector_are_the_matrices_of_a_tree(one_sided):
    tree = path(SOAP(NETWORK, rate=0.01, frequency=2, one_sided=one_sided), 25)
    flat = path(SOAP(Flat(), rate=0.01, frequency=2, one_sided=one_sided, blocks=Flat.blocks), 25)
    np.testing.assert_allclose(flat.x, tree.x, atol=1e-10)
    assert len(flat.factors) == (4 if one_sided else 2)


def test_a_rotation_of_the_unknowns_does_not_matter_to_soap():
    turn = np.linalg.qr(RNG.standard_normal((2, 2)))[0]

    class Turned(Matrix):
        start = {"w": turn @ Matrix.start["w"]}  # noqa: RUF012

        def value(self, x):
            return super().value({"w": turn.T @ x["w"]})

        def gradient(self, x):
            return {"w": turn @ super().gradient({"w": turn.T @ x["w"]})["w"]}

    # a fresh basis in every step follows the rotation exactly
    plain, turned = (path(SOAP(f, rate=0.02, frequency=1), 40) for f in (Matrix(), Turned()))
    np.testing.assert_allclose(turned.x.reshape(2, 3), turn @ plain.x.reshape(2, 3), atol=1e-8)
    adam, other = (path(Adam(f, rate=0.02), 40) for f in (Matrix(), Turned()))
    assert np.abs(other.x.reshape(2, 3) - turn @ adam.x.reshape(2, 3)).max() > 1e-2


def test_soap_needs_fewer_steps_than_adam_where_unknowns_are_entangled():
    # a random mixture of rows and columns spoils Adam's diagonal
    a, b = (RNG.standard_normal((6, 6)) * np.logspace(0, -1.0, 6) for _ in range(2))

    class Mixed:
        name, space, start = "mixed", Space({"w": Var(("i", "j"), (6, 6))}), {"w": np.ones((6, 6))}

        def value(self, x):
            return float(0.5 * ((a @ x["w"] @ b.T) ** 2).sum())

        def gradient(self, x):
            return {"w": a.T @ (a @ x["w"] @ b.T) @ b}

    schedule = Schedule(0.1, "exponential", steps=200)
    soap = iterate(SOAP(Mixed(), rate=schedule, frequency=1), 400).best["objective"]
    adam = iterate(Adam(Mixed(), rate=schedule, betas=(0.95, 0.95)), 400).best["objective"]
    assert soap < 0.1 * adam


@pytest.mark.parametrize("method", BOTH)
def test_a_network_is_fitted(method):
    solver = method(NETWORK, rate=Schedule(0.03, "exponential", steps=300))
    assert isinstance(solver, Solver)
    result = iterate(solver, 300)
    assert result.status is Status.MAX_STEPS
    assert result.best["objective"] < 0.3 * NETWORK.value(Network.start)
    assert set(result.history) == {"objective", "gradient", "rate"}
    assert result.history["rate"].values[0] == 0.03


@pytest.mark.parametrize("method", BOTH)
def test_metrics_are_those_of_the_point_reached(method):
    solver = method(NETWORK)
    state, metrics = solver.step(solver.init())
    value, gradient = NETWORK.value_and_gradient(Network.space.unpack(state.x))
    assert metrics["objective"] == value
    assert metrics["gradient"] == max(np.abs(g).max() for g in gradient.values())


@pytest.mark.parametrize("method", BOTH)
def test_bounds_are_kept(method):
    result = iterate(method(bowl(np.array([2.0, -3.0, 0.25]), (-1.0, 1.0)), rate=0.05, tolerance=1e-3), 1000)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.data["x"], [1.0, -1.0, 0.25], atol=1e-3)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("at", [0, 3])
def test_numbers_that_are_not_finite_end_the_solve(method, at):
    class Bad(Network):
        calls = 0

        def value_and_gradient(self, x):
            self.calls += 1
            value, gradient = super().value_and_gradient(x)
            return (np.nan, {k: np.nan * g for k, g in gradient.items()}) if self.calls > at else (value, gradient)

    result = iterate(method(Bad(), frequency=1) if method is SOAP else method(Bad()), 10)
    assert result.status is Status.NON_FINITE
    assert result.steps == max(at - 1, 0)
    assert all(np.isfinite(v).all() for v in result.data.values())


@pytest.mark.parametrize("make", [lambda: Adam(NETWORK, amsgrad=True), lambda: SOAP(NETWORK, frequency=3)])
@pytest.mark.parametrize("stop", [1, 6, 8])
def test_resumed_equals_uninterrupted(make, stop, tmp_path):
    whole, store = iterate(make(), 20), CheckpointStore(tmp_path, every=2)
    iterate(make(), stop, checkpoint=store)
    resumed = iterate(make(), 20, checkpoint=store, resume=True)
    assert resumed.data.identical(whole.data)
    assert resumed.history.identical(whole.history)


def test_complex_unknowns_take_the_steps_of_adam():
    space = Space({"g": Var(("i", "j"), (2, 2), "complex128"), "w": Var(("i", "j"), (2, 2))})
    blocks = blocks_of(space, {}, one_sided=True)
    assert [b.part for b in blocks] == [slice(8, 12)]


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ({"other": []}, r"blocks: got \['other'\]"),
        ({"weights": [(slice(0, 12), (3, 5))]}, r"blocks\['weights'\]: got slice"),
        ({"weights": [(slice(0, 24, 2), (3, 4))]}, r"blocks\['weights'\]: got slice"),
        ({"weights": [(slice(0, 8), (2, 2, 2))]}, r"blocks\['weights'\]: got slice"),
        ({"weights": [(slice(20, 40), (4, 5))]}, r"blocks\['weights'\]: got slice"),
        ({"weights": [(slice(0, 6), (2, 3)), (slice(5, 9), (2, 2))]}, "parts that overlap"),
    ],
)
def test_views_that_do_not_fit_are_refused(views, words):
    with pytest.raises(SolverError, match=words):
        SOAP(Flat(), blocks=views)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize(
    "options", [{"betas": (1.0, 0.9)}, {"betas": (0.9, -0.1)}, {"epsilon": 0.0}, {"tolerance": math.nan}]
)
def test_wrong_options_are_refused(method, options):
    with pytest.raises(SolverError, match=f"{method.__name__}: got betas"):
        method(NETWORK, **options)


@pytest.mark.parametrize("options", [{"frequency": 0}, {"largest": 0}])
def test_wrong_options_of_soap_are_refused(options):
    with pytest.raises(SolverError, match="SOAP: got frequency"):
        SOAP(NETWORK, **options)


@pytest.mark.parametrize("method", BOTH)
def test_an_objective_without_a_gradient_is_refused(method):
    with pytest.raises(SolverError, match=f"{method.__name__}: got object, expected an objective with a gradient"):
        method(object())


def test_a_basis_follows_the_eigenvectors():
    rng = np.random.default_rng(4)  # its own: how fast the basis turns depends on the gap of the eigenvalues
    g = rng.standard_normal((5, 3))
    factors, square = Factors.first(rng.standard_normal((5, 3)), 10), np.ones((5, 3))
    for _ in range(60):
        factors, square = factors.learn(g, 0.5).turn(square)
    left = factors.right_basis.T @ factors.right @ factors.right_basis
    off = left - np.diag(np.diag(left))
    assert np.abs(off).max() < 1e-10 * np.abs(left).max()
    assert (np.diff(np.diag(left)) < 0).all()
    for basis in (factors.left_basis, factors.right_basis):
        np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=1e-13)
