"""Solutions on labels seen in space: labels are found to rounding, crossed ones are refused, streams leave no trace."""

import math

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers
from retrodict.physics.pde.convection import convection
from retrodict.physics.pde.lagrangian import Lagrangian, crowded
from retrodict.physics.pde.quasilinear import QuasiLinear, line, plane
from retrodict.physics.system import key, nested_derivatives
from retrodict.solvers.iterate import iterate
from retrodict.solvers.pinn.lagrangian import LabelSolution, relabelled, smallest_jacobian
from retrodict.solvers.pinn.plans import Leg, Stage, marching
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import Trial, separate_networks
from retrodict.solvers.pinn.windows import Piece, Window, evaluate

TURN = 2 * math.pi


def piece(system, span=None, start=None, size=0.1, seed=0):
    window = system if span is None else Window(system, *span, start)
    trial = Trial(window, separate_networks(window, 5, 1))
    return Piece(trial, size * np.random.default_rng(seed).standard_normal(trial.size))


def swirl(velocity=None):
    start = lambda at: torch.sin(at["x"]) * torch.cos(at["y"])  # noqa: E731
    moved = {"x": lambda _u, at, _p: 0.3 * torch.sin(at["y"]), "y": lambda u, _at, _p: 0.2 * u}
    return QuasiLinear(
        "swirl", plane(0.0, TURN), start, {"a": 5.0, "b": -3.0}, {"x": "a", "y": "b"}, velocity=velocity or moved
    )


SYSTEMS = {
    "burgers": Lagrangian(burgers(0.05, c=5.0, coords=line(TURN, start=-1.0, duration=0.6))),
    "late": Lagrangian(burgers(0.05, c=-5.0, coords=line(TURN, since=2.0, duration=0.6))),
    "rest": Lagrangian(burgers(0.05, c=5.0), "rest", crowded(burgers(0.05))),
    "own": Lagrangian(burgers(0.05, c=5.0), lambda u, at, _: {"x": 0.5 * u * torch.cos(at["x"]) ** 2}),
    "plane": Lagrangian(swirl()),
}


def points(system, n=60, seed=2):
    rng = np.random.default_rng(seed)
    return {k: rng.uniform(*v.bounds, n) for k, v in system.coords.items()}


def place(found, labels):
    """Return where labels are in the lab."""
    system = found.trial.system
    wanted = [key(f"shift_{x}") for x in system.space]
    d = found.trial.derivatives(found.weights, labels, wanted)
    since = system.coords["t"].bounds[0]
    return {
        x: labels[x] + d[f"shift_{x}"].numpy() + system.stream.get(x, 0.0) * (labels["t"] - since) for x in system.space
    }


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_label_at_a_point_is_at_that_point(name):
    system = SYSTEMS[name]
    found, at = piece(system), points(system)
    labels = LabelSolution([found]).labels(at)
    there = place(found, labels)
    for x in system.space:
        gap = (there[x] - at[x]) / system.period(x)
        np.testing.assert_allclose(gap - np.round(gap), 0, atol=1e-13)
    assert np.array_equal(labels["t"], at["t"])


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_field_at_a_point_is_that_of_its_label(name):
    system = SYSTEMS[name]
    found, labels = piece(system), points(system)
    at = {**place(found, labels), "t": labels["t"]}
    solution = LabelSolution([found])
    want = found.trial.derivatives(found.weights, labels, [key("u")])["u"].numpy()
    np.testing.assert_allclose(solution.fields(at)["u"], want, rtol=0, atol=1e-12)
    turns = {x: at[x] + 3 * system.period(x) for x in system.space}
    np.testing.assert_allclose(solution.fields({**at, **turns})["u"], want, rtol=0, atol=1e-11)


def test_labels_are_found_in_a_front_where_they_crowd():
    system = Lagrangian(burgers(0.0, coords=line(TURN, duration=1.0)))
    trial = Trial(system, separate_networks(system, 4, 1))
    exact = Piece(trial, np.zeros(trial.size))  # x = X + t sin X, w = sin X: inviscid Burgers to the last bit
    t = np.full(401, 0.999)
    label = np.linspace(math.pi - 1e-2, math.pi + 1e-2, 401)
    at = {"x": label + t * np.sin(label), "t": t}
    np.testing.assert_allclose(LabelSolution([exact]).fields(at)["u"], np.sin(label), atol=1e-10)
    assert smallest_jacobian(exact, 0.999) == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("when", [1.2, 1.9])
def test_crossed_labels_are_refused(when):
    system = Lagrangian(burgers(0.0, coords=line(TURN, duration=2.0)))
    trial = Trial(system, separate_networks(system, 4, 1))
    crossed = Piece(trial, np.zeros(trial.size))
    assert smallest_jacobian(crossed, when) == pytest.approx(1 - when, rel=1e-6)
    for x in (math.pi, 0.3):  # in the fold, and far from it: no point of such a time can be trusted
        with pytest.raises(SolverError, match="labels that have not crossed, J > 0"):
            LabelSolution([crossed]).fields({"x": np.array([x]), "t": np.array([when])})


def test_crossed_labels_are_refused_in_the_plane():
    push = {"x": lambda _u, at, _p: 3 * torch.sin(at["x"]), "y": lambda u, _at, _p: 0 * u}
    system = Lagrangian(swirl(push))
    trial = Trial(system, separate_networks(system, 4, 1))
    at = {"x": np.array([math.pi + 5.0 * 0.9]), "y": np.array([0.0]), "t": np.array([0.9])}
    with pytest.raises(SolverError, match="labels that have not crossed, J > 0"):
        LabelSolution([Piece(trial, np.zeros(trial.size))]).labels(at)


@pytest.mark.parametrize("name", ["burgers", "own", "plane"])
def test_derivatives_in_space_are_those_of_the_composed_field(name):
    system = SYSTEMS[name]
    found, at = piece(system), points(system, 5)
    solution, space = LabelSolution([found]), system.space
    wanted = [key("u"), *(key("u", x) for x in space), key("u", space[-1], space[-1])]
    d = solution.derivatives(at, wanted)
    h = 1e-3 * system.period(space[-1])
    steps = [solution.fields({**at, space[-1]: at[space[-1]] + k * h})["u"] for k in (-2, -1, 0, 1, 2)]
    first = (steps[0] - 8 * steps[1] + 8 * steps[3] - steps[4]) / (12 * h)
    second = (-steps[0] + 16 * steps[1] - 30 * steps[2] + 16 * steps[3] - steps[4]) / (12 * h * h)
    np.testing.assert_allclose(d["u", space[-1]], first, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(d["u", space[-1], space[-1]], second, rtol=1e-4, atol=1e-4)


def test_the_frame_of_the_stream_is_that_in_which_labels_are_counted():
    system = SYSTEMS["late"]
    found, at = piece(system), points(system)
    lab = {**at, "x": at["x"] - 5.0 * (at["t"] - 2.0)}
    solution = LabelSolution([found])
    np.testing.assert_allclose(solution.in_frame(at), solution.fields(lab)["u"], rtol=0, atol=1e-12)


def test_new_labels_are_the_positions_then_and_carry_the_field():
    system = SYSTEMS["burgers"]
    first = piece(system, (0.0, 0.3), size=0.2)
    start = relabelled(first, 128)
    at = {"x": np.linspace(-1, 5, 40), "t": np.full(40, 0.3)}
    tensors = {k: torch.as_tensor(v) for k, v in at.items()}
    assert torch.all(start["shift_x"](tensors) == 0)
    frame = LabelSolution([first]).in_frame(at)
    np.testing.assert_allclose(start["u"](tensors).numpy(), frame, rtol=0, atol=1e-9)
    second = piece(system, (0.3, 0.6), start, size=0.2, seed=1)
    both = LabelSolution([first, second])
    lab = {**at, "t": at["t"] + np.where(np.arange(40) % 2, 0.0, 1e-9)}
    left, right = both.fields({**lab, "t": at["t"]})["u"], both.fields({**lab, "t": at["t"] + 1e-10})["u"]
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-8)
    d = nested_derivatives(lambda c: {"u": start["u"](c)}, tensors, [key("u", "x")])["u", "x"]
    want = LabelSolution([first]).derivatives({**at, "x": at["x"] + 5.0 * 0.3}, [key("u", "x")])["u", "x"]
    np.testing.assert_allclose(d.detach(), want, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["burgers", "convection"])
def test_training_is_the_same_to_the_last_bit_for_every_stream(name):
    def weights(c):
        base = burgers(0.05, c=c) if name == "burgers" else convection(c, 0.1)
        legs = [
            Leg(
                Lagrangian(base), a, b, (Stage("ssbroyden", 4, refresh=2), Stage("levenberg-marquardt", 2)), True, start
            )
            for a, b, start in ((0.0, 0.4, None), (0.4, 0.8, relabelled))
        ]
        result = iterate(Trainer(legs, lambda s: separate_networks(s, 5, 1), Sampling(32, 8, adaptive=0.5)), 20)
        return [result.data[k].values.tobytes() for k in ("weights_0", "weights_1")] + [result.history["loss"].values]

    still, slow, fast = (weights(c) for c in (0.0, 5.0, 50.0))
    for other in (slow, fast):
        assert other[:2] == still[:2]
        assert np.array_equal(other[2], still[2])


def test_an_error_does_not_know_the_stream():
    legs = lambda c: marching(Lagrangian(burgers(0.1, c=c)), [0.0, 0.5], [Stage("ssbroyden", 8)])  # noqa: E731
    fields = []
    for c in (0.0, 50.0):
        trainer = Trainer(legs(c), lambda s: separate_networks(s, 5, 1), Sampling(64, 8))
        solution = LabelSolution(trainer.pieces_of(iterate(trainer, 8).data))
        t = np.full(64, 0.5)
        fields.append(solution.fields({"x": np.linspace(0, TURN, 64) + c * t, "t": t})["u"])
    np.testing.assert_allclose(fields[0], fields[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelSolution([]), "no piece"),
        (lambda: LabelSolution([piece(convection(1.0))]), "QuasiLinear, expected a solution of a Lagrangian system"),
        (lambda: relabelled(piece(SYSTEMS["plane"])), "2 dimensions of space, expected one"),
        (lambda: smallest_jacobian(piece(convection(1.0)), 0.0), "expected a solution of a Lagrangian system"),
        (
            lambda: LabelSolution([piece(SYSTEMS["burgers"])]).fields({"x": np.zeros(1), "t": np.array([0.7])}),
            "expected times in",
        ),
    ],
)
def test_what_is_not_on_labels_is_refused(make, message):
    with pytest.raises(SolverError, match=message):
        make()


def test_the_smallest_jacobian_is_a_determinant():
    found = piece(SYSTEMS["plane"], size=0.3)
    n, t = 64, 0.7
    grid = TURN * np.arange(n) / n
    mesh = [m.ravel() for m in np.meshgrid(grid, grid, indexing="ij")]
    labels = {"x": mesh[0], "y": mesh[1], "t": np.full(n * n, t)}
    d = evaluate([found], labels, [key(f"shift_{i}", a) for i in "xy" for a in "xy"])
    det = (1 + d["shift_x", "x"]) * (1 + d["shift_y", "y"]) - d["shift_x", "y"] * d["shift_y", "x"]
    assert smallest_jacobian(found, t, n * n) == pytest.approx(float(det.min()), rel=1e-12)
