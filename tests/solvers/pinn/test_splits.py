"""Parts trained together: the loss of pairs, the trainer with all that it composes, and solutions seen as one."""

import math

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, gaussian, rotation
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.physics.pde.quasilinear import line
from retrodict.physics.pde.splits import Split
from retrodict.physics.system import Interface, key
from retrodict.solvers.base import Status
from retrodict.solvers.deepxde.conditions import Axes
from retrodict.solvers.iterate import iterate
from retrodict.solvers.pinn.constraints import check_conditions, hard_and_soft
from retrodict.solvers.pinn.hessian import plain_loss
from retrodict.solvers.pinn.landscape import value_function
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.optimizers import METHODS
from retrodict.solvers.pinn.parts import Part, condition_part, equation_part, face_points
from retrodict.solvers.pinn.plans import Stage, curriculum, marching
from retrodict.solvers.pinn.sampling import Sampling, sobol
from retrodict.solvers.pinn.splits import SplitSolution
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import Trial, separate_networks
from retrodict.solvers.pinn.validation import soft_residual
from retrodict.solvers.pinn.windows import Piece
from retrodict.solvers.random_features.solver import LinearSolver
from retrodict.solvers.reference.burgers import cole_hopf
from retrodict.solvers.reference.spectral import convection_diffusion

TURN = 2 * math.pi
EDGES = (0.0, 2.5, TURN)
SYSTEMS = {
    "convection-diffusion": Split(convection(2.0, 0.1), EDGES),
    "residuals too": Split(burgers_interval(0.1), (-1.0, 0.2, 1.0), residuals_agree=True),
    "labels": Split(Lagrangian(burgers(0.1)), EDGES),
    "one part": Split(convection(2.0, 0.1), (0.0, TURN)),
    "twice": Split(Split(rotation(nu=0.1), (-1.0, 0.1, 1.0)), (-1.0, -0.2, 1.0), "y"),
}


def make(system, n=12, unknown=None, weighted=True, seed=0):
    trial, rng = Trial(system, separate_networks(system, 5, 2)), np.random.default_rng(seed)
    box = {k: v.bounds for k, v in system.coords.items()}
    parts = [equation_part(trial, sobol(box, n, rng))]
    for c in trial.soft:
        part = condition_part(c, face_points(c, box, lambda b: sobol(b, n, rng)), 3.0)
        points = rng.uniform(0.5, 2.0, n) if weighted else None
        parts.append(Part(part.name, part.coords, part.wanted, part.residual, 3.0, points, {c.name: 0.7}, part.stencil))
    return ResidualLoss(trial, parts, 0.5 * rng.standard_normal(trial.size), unknown=unknown)


def relative(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("name", SYSTEMS)
def test_jacobian_of_pairs_is_that_of_finite_differences(name):
    system = SYSTEMS[name]
    loss = make(system, unknown=dict(list(system.values.items())[:1]))
    x = loss.space.pack(loss.start)
    r, jacobian = loss.jacobian(loss.start)
    value, gradient = loss.value_and_gradient(loss.start)
    assert value == pytest.approx(0.5 * r @ r, rel=1e-13)
    assert relative(jacobian.T @ r, loss.space.pack(gradient)) < 1e-12
    rng = np.random.default_rng(1)
    for _ in range(3):
        step = rng.standard_normal(len(x))
        ahead, behind = (loss.jacobian(loss.space.unpack(x + s * 1e-5 * step))[0] for s in (1, -1))
        assert relative(jacobian @ step, (ahead - behind) / 2e-5) < 1e-7
    pairs = sum(p.stencil == 2 for p in loss.parts)
    assert pairs == sum(isinstance(c, Interface) for c in system.conditions) > 0


@pytest.mark.parametrize("name", ["residuals too", "twice"])
def test_diagnoses_see_the_same_loss(name):
    loss = make(SYSTEMS[name])
    weights = torch.tensor(loss.start["weights"])
    value = loss.value(loss.start)
    assert float(plain_loss(loss, weights).detach()) == pytest.approx(value, rel=1e-12)
    assert value_function(loss)(loss.start["weights"]) == pytest.approx(value, rel=1e-12)


def test_a_jump_is_the_gap_between_neighbours():
    split = Split(convection(2.0), EDGES)
    trial, rng = Trial(split, separate_networks(split, 5, 2)), np.random.default_rng(0)
    (c,) = trial.soft
    box = {k: v.bounds for k, v in split.coords.items()}
    part = condition_part(c, face_points(c, box, lambda b: sobol(b, 8, rng)))
    weights = rng.standard_normal(trial.size)
    residual, _ = ResidualLoss(trial, [part], weights).jacobian({"weights": weights})
    t = part.coords["t"][:8]
    ends = {
        (k, s): trial.derivatives(weights, {"t": t, "x": np.full(8, s)}, [(f"u_{k}",)])[f"u_{k}"].numpy()
        for k in (0, 1)
        for s in (0.0, 1.0)
    }
    gaps = np.concatenate([ends[0, 1.0] - ends[1, 0.0], ends[1, 1.0] - ends[0, 0.0]])
    np.testing.assert_allclose(residual * math.sqrt(8), gaps, rtol=1e-12, atol=1e-14)
    dense = soft_residual(trial, weights)
    assert 0.3 < dense / math.sqrt(np.sum(residual**2)) < 3


def test_many_pairs_stay_together():
    loss = make(SYSTEMS["convection-diffusion"], 20_000, weighted=False)
    assert len(loss._prepared[0].blocks) > 1 == len(loss._prepared[1].blocks)


def test_pairs_that_do_not_pair_are_refused():
    split = SYSTEMS["convection-diffusion"]
    trial = Trial(split, separate_networks(split, 4, 1))
    (c,) = trial.soft
    part = condition_part(c, {"t": np.zeros(3), "x": np.zeros(3)})
    with pytest.raises(SolverError, match="multiple of 2"):
        ResidualLoss(trial, [part], np.zeros(trial.size))


def test_interfaces_are_soft_and_named_by_who_cannot_treat_them():
    split = SYSTEMS["convection-diffusion"]
    hard, soft = hard_and_soft(split)
    assert [c.name for c in hard] == ["initial u_0", "initial u_1"]
    assert [c.name for c in soft] == ["interfaces of x"]
    check_conditions(split)
    for refuse in (Axes, lambda system: LinearSolver(system, 20, windows=1).solve()):
        with pytest.raises(SolverError, match=r"interfaces of x: got an interface"):
            refuse(split)


@pytest.mark.parametrize("lost", ["field", "coord", "periodic"])
def test_an_interface_of_what_is_not_there_is_refused(lost):
    base = convection(1.0)
    field, coord = {"field": ("v", "x"), "coord": ("u", "y"), "periodic": ("u", "x")}[lost]
    meet = Interface("joint", coord, ((field,),), lambda d, *_: [d[field]], lambda d, *_: [d[field]])

    class Joined:
        coords, fields, conditions = base.coords, base.fields, (*base.conditions, meet)

    with pytest.raises(SolverError, match="joint"):
        check_conditions(Joined())


def test_solution_is_the_part_that_a_point_lies_in():
    split = Split(Split(rotation(nu=0.1), (-1.0, 0.1, 1.0)), (-1.0, -0.2, 1.0), "y")
    trial = Trial(split, separate_networks(split, 5, 2))
    weights = trial.draw(np.random.default_rng(0))
    solution = SplitSolution([Piece(trial, weights)])
    at = {"t": np.full(3, 0.4), "x": np.array([0.1, 0.55, -1.0]), "y": np.array([0.4, -0.2, 1.0])}
    wanted = [key("u"), key("u", "t"), key("u", "x"), key("u", "x", "y"), key("u", "y", "y")]
    d = solution.derivatives(at, wanted)
    own = [("u_0_1", 1.0, 0.5, 1.1, 1.2), ("u_1_0", 0.5, 1.0, 0.9, 0.8), ("u_0_1", 0.0, 1.0, 1.1, 1.2)]
    for i, (name, s, q, a, b) in enumerate(own):
        inner = {"t": np.array([0.4]), "x": np.array([s]), "y": np.array([q])}
        found = trial.derivatives(weights, inner, [(name, *k[1:]) for k in wanted])
        for k in wanted:
            scale = a ** k.count("x") * b ** k.count("y")
            assert float(d[k][i]) == pytest.approx(float(found[(name, *k[1:])]) / scale, rel=1e-9)
    np.testing.assert_array_equal(solution.fields(at)["u"], d["u"].numpy())


def test_solution_refuses_other_systems_and_other_places():
    system = convection(1.0)
    trial = Trial(system, separate_networks(system, 4, 1))
    with pytest.raises(SolverError, match="Split"):
        SplitSolution([Piece(trial, np.zeros(trial.size))])
    with pytest.raises(SolverError, match="at least one"):
        SplitSolution([])
    trial = Trial(Split(system, EDGES), separate_networks(Split(system, EDGES), 4, 1))
    with pytest.raises(SolverError, match="points in"):
        SplitSolution([Piece(trial, np.zeros(trial.size))]).fields({"t": np.zeros(1), "x": np.array([7.0])})


def trained(legs, sampling, width=10, **options):
    trainer = Trainer(legs, lambda s: separate_networks(s, width, 2), sampling, **options)
    result = iterate(trainer, 10_000)
    return SplitSolution(trainer.pieces_of(result.data)), result


def error(solution, truth, box):
    t, x = np.meshgrid(np.linspace(*box["t"].bounds, 21), np.linspace(*box["x"].bounds, 100), indexing="ij")
    u, v = solution.fields({"t": t.ravel(), "x": x.ravel()})["u"], truth(x.ravel(), t.ravel())
    return float(np.linalg.norm(u - v) / np.linalg.norm(v))


def wave(x, t):
    return np.exp(-0.1 * t) * np.sin(x - 2.0 * t)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_parts(method):
    split = Split(convection(2.0, 0.1, coords=line(TURN, duration=0.5)), EDGES)
    _, result = trained(marching(split, [0.0, 0.5], [Stage(method, 4)]), Sampling(48, 16), 5)
    loss = np.asarray(result.history["loss"])
    assert loss[-1] < loss[0]


@pytest.mark.parametrize("plan", ["windows", "curriculum", "causal"])
def test_parts_compose_with(plan):
    def split(c, nu=0.1):
        return Split(convection(c, nu, coords=line(TURN, duration=0.5)), EDGES)

    stage = Stage("levenberg-marquardt", 16)
    sampling = Sampling(64, 16, causal=0.1 if plan == "causal" else 0.0)
    legs = {
        "windows": marching(split(2.0), [0.0, 0.25, 0.5], [stage]),
        "curriculum": curriculum([split(1.0), split(2.0)], [stage]),
        "causal": marching(split(2.0), [0.0, 0.5], [Stage("levenberg-marquardt", 24, refresh=12)]),
    }[plan]
    solution, _ = trained(legs, sampling, 8)
    assert error(solution, wave, legs[0].system.base.coords) < 1e-2


def test_status_counts_the_gaps():
    split = Split(convection(2.0, 0.1, coords=line(TURN, duration=0.5)), EDGES)
    legs = marching(split, [0.0, 0.5], [Stage("levenberg-marquardt", 25)])
    # parts that hardly feel each other solve their equations, each with a field of its own
    _, loose = trained(legs, Sampling(96, 24), 8, soft_weight=1e-12, tolerance=2e-2)
    assert loose.status is not Status.CONVERGED


@pytest.mark.slow
@pytest.mark.parametrize("parts", [2, 4])
def test_convection_and_diffusion_in_parts(parts):
    def start(x):
        return np.exp(-0.5 * ((x - math.pi) / 0.5) ** 2)

    split = Split(convection(5.0, 0.05, initial=gaussian(0.5)), np.linspace(0.0, TURN, parts + 1).tolist())
    legs = marching(split, [0.0, 1.0], [Stage("ssbroyden", 3500)])
    solution, result = trained(legs, Sampling(448, 64), 20 if parts == 2 else 14)
    truth = convection_diffusion(start, period=TURN, speed=5.0, diffusivity=0.05)
    assert error(solution, truth, split.base.coords) < 1e-4
    assert result.status is Status.CONVERGED


@pytest.mark.slow
@pytest.mark.parametrize("windows", [1, 2])
def test_burgers_with_an_interface_in_the_shock(windows):
    system = burgers_interval(0.05)
    legs = marching(
        Split(system, (-1.0, 0.0, 1.0)), np.linspace(0, 1, windows + 1).tolist(), [Stage("ssbroyden", 1000)]
    )
    solution, result = trained(legs, Sampling(384, 64), 16)
    truth = cole_hopf(lambda x: -np.sin(math.pi * x), 0.05, period=2.0, origin=-1.0)
    assert error(solution, truth, system.coords) < 1e-4
    assert result.status is Status.CONVERGED
