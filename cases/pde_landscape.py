"""Case ``pde-landscape``: why networks fail on fast streams, and labels do not: widths, spectra and loss landscapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import field_validator

from retrodict.cases.case import Case
from retrodict.cases.checks import Analytic, Check, Invariant, SolverRun, max_abs
from retrodict.cases.config import CaseConfig, setting
from retrodict.cases.origin import no_data
from retrodict.cases.pde_landscape_figures import (
    EQUATIONS,
    GAUSSIANS,
    decay_figure,
    explained_figure,
    spectra_figure,
    surface_figure,
)
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from retrodict.physics.pde.quasilinear import QuasiLinear
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.system import PDESystem
    from retrodict.solvers.pinn.loss import ResidualLoss
    from retrodict.solvers.pinn.trainer import Trainer

    Floats = NDArray[np.float64]

__all__ = ["Landscapes", "case"]

FRAMES = ("space", "labels")


class Landscapes(CaseConfig):
    """Settings of the case."""

    speeds: tuple[float, ...] = setting((0.0, 10.0, 30.0, 50.0), "1", "speeds c of the uniform stream", min_length=1)
    viscosity: float = setting(0.01, "1", "viscosity of Burgers' equation", ge=1e-08, le=1000)
    width: int = setting(16, "", "neurons of a hidden layer", ge=2, le=512)
    depth: int = setting(2, "", "hidden layers", ge=1, le=12)
    points: int = setting(1500, "", "collocation points, an eighth more where time begins", ge=32, le=100_000)
    steps: int = setting(1000, "", "steps of training", ge=1, le=1_000_000_000)
    grid: int = setting(51, "", "points along an axis of a landscape, odd", ge=5, le=1001)
    products: int = setting(80, "", "products of Hessian and vector for the eigenvalues", ge=10, le=10_000)
    snapshot_points: int = setting(256, "", "points of a snapshot", ge=16, le=10_000)
    snapshot_times: int = setting(101, "", "snapshots of a solution", ge=8, le=10_000)

    @field_validator("speeds", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


def _system(equation: str, c: float, viscosity: float) -> QuasiLinear:
    from retrodict.physics.pde.burgers import burgers
    from retrodict.physics.pde.convection import convection

    return convection(c) if equation == "convection" else burgers(viscosity, c=c)


def _trainer(config: Landscapes, system: PDESystem, steps: int) -> Trainer:
    from retrodict.solvers.pinn.plans import Stage, marching
    from retrodict.solvers.pinn.sampling import Sampling
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.trial import separate_networks

    legs = marching(system, system.coords["t"].bounds, [Stage("ssbroyden", steps)])
    sampling = Sampling(config.points, max(config.points // 8, 8))
    return Trainer(legs, lambda s: separate_networks(s, config.width, config.depth), sampling, seed=config.seed)


def _trained(config: Landscapes, equation: str, frame: str, c: float) -> xr.Dataset:
    """Train one network and diagnose it."""
    from retrodict.physics.pde.lagrangian import Lagrangian
    from retrodict.solvers.iterate import finished
    from retrodict.solvers.pinn.diagnosis import diagnose, field_error

    base = _system(equation, c, config.viscosity)
    trainer = _trainer(config, base if frame == "space" else Lagrangian(base), config.steps)
    # a budget, and networks that fail are what the case is about: the true error stands beside every landscape
    result, begin = finished(trainer, config.steps, Status.MAX_STEPS, Status.INVALID), trainer.init()
    (piece,) = trainer.pieces([result.data["weights_0"].values])
    options: dict[str, Any] = {"grid": config.grid, "products": config.products, "seed": config.seed}
    out = diagnose(piece, start=begin.weights, points=begin.points, snapshots=None, **options)
    numbers = {
        "error": (field_error(piece), "error of the field, relative"),
        "validation": (result.best["validation"], "root mean square residual on other points"),
        "unknowns": (float(piece.trial.size), "number of weights"),
    }
    return out.assign({k: ((), v, {"units": "1", "long_name": text}) for k, (v, text) in numbers.items()}).drop_attrs(
        deep=False
    )


def simulate(config: Landscapes, _seeds: Seeds) -> xr.Dataset:
    """Return widths, spectra and landscapes over equation, frame and speed.

    On labels the uniform stream is gone before training begins, so that one network serves every speed.
    """
    import xarray as xr

    rows: list[xr.Dataset] = []
    for equation in EQUATIONS:
        space = _stacked("c", config.speeds, [_trained(config, equation, "space", c) for c in config.speeds])
        labels = _trained(config, equation, "labels", config.speeds[-1])
        alike = _stacked("c", config.speeds, [labels] * len(config.speeds))
        rows.append(_stacked("frame", FRAMES, [space, alike]))
    networks = _stacked("equation", EQUATIONS, rows)
    out = xr.merge([networks, _widths(config)]).assign_attrs(viscosity=config.viscosity, steps=config.steps)
    return out.assign_coords(c=("c", list(config.speeds), {"units": "1", "long_name": "speed of the stream"}))


def _stacked(dim: str, values: Sequence[Any], parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return data along a new dimension, NaN where spectra are of several lengths."""
    import xarray as xr

    return xr.concat(parts, xr.Variable(dim, list(values)), join="outer")


def _widths(config: Landscapes) -> xr.Dataset:
    """Return the singular decay of every solution, exact ones, over equation and speed."""
    from retrodict.physics.pde.convection import convection, gaussian
    from retrodict.solvers.pinn.diagnosis import widths
    from retrodict.solvers.pinn.widths import reference_solution

    systems: dict[str, Any] = {
        "sine": lambda c: _system("convection", c, 0.0),
        **{k: (lambda c, s=s: convection(c, initial=gaussian(s))) for k, s in GAUSSIANS.items()},
        "burgers": lambda c: _system("burgers", c, config.viscosity),
    }
    rows: list[xr.Dataset] = []
    for make in systems.values():
        each = []
        for c in config.speeds:
            solution = reference_solution(make(c))
            assert solution is not None
            each.append(widths(make(c), solution, config.snapshot_points, config.snapshot_times))
        rows.append(_stacked("c", config.speeds, each))
    return _stacked("solution", list(systems), rows)


@lru_cache(maxsize=1)
def _tiny(viscosity: float) -> tuple[ResidualLoss, Floats]:
    """Return a loss on labels small enough for dense matrices, and weights that are no minimum."""
    from retrodict.physics.pde.lagrangian import Lagrangian
    from retrodict.solvers.pinn.loss import ResidualLoss
    from retrodict.solvers.pinn.parts import equation_part
    from retrodict.solvers.pinn.sampling import Sampling
    from retrodict.solvers.pinn.trial import Trial, separate_networks

    system = Lagrangian(_system("burgers", 10.0, viscosity))
    trial, rng = Trial(system, separate_networks(system, 4, 1)), np.random.default_rng(0)
    points = Sampling(48, 8).draw(system.coords, rng)
    weights = trial.draw(rng)
    return ResidualLoss(trial, [equation_part(trial, points)], weights), weights


@lru_cache(maxsize=1)
def _dense(viscosity: float) -> Floats:
    from retrodict.solvers.pinn.hessian import dense_hessian

    return dense_hessian(*_tiny(viscosity))


def _tail(equation: str, c: float, viscosity: float, which: str) -> Floats:
    """Return the first tails of one set of snapshots, on a small grid."""
    from retrodict.solvers.pinn.widths import label_snapshots, reference_solution, space_snapshots, tails

    system = _system(equation, c, viscosity)
    solution = reference_solution(system)
    assert solution is not None
    if which == "space":
        return tails(space_snapshots(system, solution, 64, 33))[:10]
    return tails(label_snapshots(system, solution, 64, 33)[which])[:10]


def _sine_tail(c: float) -> Floats:
    """Return the tails of sin(x - c t): the Gram matrix of its two modes is known."""
    t = np.linspace(0, 1, 33)
    gram = np.array([[np.sum(np.cos(c * t) ** 2), np.sum(np.sin(2 * c * t)) / 2], [0, np.sum(np.sin(c * t) ** 2)]])
    low, high = np.linalg.eigvalsh(gram, UPLO="U")
    return np.array([1.0, math.sqrt(low / (low + high)), *np.zeros(8)])


def _marched_tail(viscosity: float) -> Floats:
    from retrodict.solvers.pinn.widths import tails
    from retrodict.solvers.reference.marching import burgers

    u = burgers(np.sin, viscosity, period=2 * np.pi, modes=256)
    x, t = 2 * np.pi * np.arange(64) / 64, np.linspace(0, 1, 33)
    return tails(u(x[:, None] - 5.0 * t, t))[:10]


def _inviscid_modes(which: str) -> int:
    """Return how many modes leave 1e-6 before the shock."""
    from retrodict.physics.pde.burgers import burgers
    from retrodict.physics.pde.quasilinear import line
    from retrodict.solvers.pinn.widths import label_snapshots, modes_needed, reference_solution

    system = burgers(0.0, c=50.0, coords=line(2 * math.pi, duration=0.9))
    solution = reference_solution(system)
    assert solution is not None
    return modes_needed(label_snapshots(system, solution, 64, 33)[which])[-1]


def _training_gap(config: Landscapes) -> float:
    """Return the largest difference of weights between two trainings on labels, at speeds 0 and 50."""
    from retrodict.physics.pde.lagrangian import Lagrangian
    from retrodict.solvers.iterate import finished

    small = config.model_copy(update={"width": 6, "depth": 1, "points": 64})
    trainers = [_trainer(small, Lagrangian(_system("burgers", c, config.viscosity)), 8) for c in (0.0, 50.0)]
    # eight steps of both, wherever they lead
    ends = [finished(t, 8, Status.MAX_STEPS, Status.INVALID).data["weights_0"].values for t in trainers]
    return float(np.abs(ends[0] - ends[1]).max())


def _grams(viscosity: float) -> float:
    """Return the largest difference of eigenvalues by singular values, of J'J and of JJ', relative to the first."""
    from retrodict.solvers.pinn.spectrum import tangent_spectrum

    loss, weights = _tiny(viscosity)
    _, jacobian = loss.jacobian(loss.space.unpack(weights))
    ours, count = tangent_spectrum(loss, weights).eigenvalues, min(jacobian.shape)
    dense = [np.linalg.eigvalsh(m)[::-1][:count] for m in (jacobian.T @ jacobian, jacobian @ jacobian.T)]
    return float(max(np.abs(ours - each).max() for each in dense) / ours[0])


def _descent(viscosity: float, predicted: bool) -> Floats:
    """Return losses of gradient descent on the linearised residual, predicted or step by step."""
    from retrodict.solvers.pinn.spectrum import tangent_spectrum

    loss, weights = _tiny(viscosity)
    if predicted:
        return tangent_spectrum(loss, weights).descent(np.arange(1.0, 41.0))
    r, jacobian = loss.jacobian(loss.space.unpack(weights))
    kernel, begin, out = jacobian @ jacobian.T, float(r @ r), []
    kernel = kernel / np.linalg.norm(kernel, 2)
    for _ in range(40):
        r = r - kernel @ r
        out.append(float(r @ r) / begin)
    return np.array(out)


def _leading(viscosity: float) -> float:
    from retrodict.solvers.pinn.hessian import hessian_product, lanczos

    loss, weights = _tiny(viscosity)
    found = lanczos(hessian_product(loss, weights), len(weights), 3, np.random.default_rng(1), steps=40)
    return float(found.values[0])


def _bend(viscosity: float) -> float:
    """Return the second difference of the loss along the leading eigenvector."""
    from retrodict.solvers.pinn.landscape import surface, value_function

    loss, weights = _tiny(viscosity)
    first = np.linalg.eigh(_dense(viscosity))[1][:, -1]
    h = 3e-3
    line = surface(value_function(loss), weights, first, np.zeros_like(first), h * np.arange(-2.0, 3.0))[:, 0]
    return float(line @ np.array([-1, 16, -30, 16, -1]) / (12 * h**2))


def _trace_pull(viscosity: float) -> float:
    """Return the distance of the estimated trace from the exact one in standard errors."""
    from retrodict.solvers.pinn.hessian import hessian_product, hutchinson_trace

    loss, weights = _tiny(viscosity)
    found = hutchinson_trace(hessian_product(loss, weights), len(weights), 40, np.random.default_rng(2))
    return (found.value - float(np.trace(_dense(viscosity)))) / found.standard_error


def checks(config: Landscapes, _seeds: Seeds) -> Sequence[Check]:
    """Hold widths against closed forms and an independent solver, spectra against dense matrices."""
    nu = config.viscosity
    waves = Analytic(_sine_tail(50.0), "Gram matrix of sin x and cos x, the two modes of sin(x - c t)")
    marched = SolverRun(partial(_marched_tail, 0.1), "pseudo-spectral marching, 256 modes")
    labels = Analytic(1, "w = u0(X), x = X + t u0(X) without viscosity")
    galilei = Invariant(0.0, "Galilean invariance")
    same = Invariant(0.0, "J'J and JJ' share their non-zero eigenvalues")
    steps = SolverRun(partial(_descent, nu, predicted=False), "gradient descent on the linearised residual")
    leading = SolverRun(lambda: float(np.linalg.eigvalsh(_dense(nu))[-1]), "dense Hessian, nested differentiation")
    trace = SolverRun(0.0, "trace of the dense Hessian, nested differentiation")
    wave, front = partial(_tail, "convection", 50.0, nu, "space"), partial(_tail, "burgers", 5.0, 0.1, "space")
    out = [
        Check("tails of sin(x - 50 t)", wave, waves, 1e-10, max_abs),
        Check("tails of Burgers in space, nu = 0.1, c = 5", front, marched, 1e-9, max_abs),
        Check("spectra of Gauss-Newton and tangent kernel", partial(_grams, nu), same, 1e-12, max_abs),
        Check("gradient descent by the spectrum", partial(_descent, nu, predicted=True), steps, 1e-10),
        Check("leading eigenvalue of the Hessian by Lanczos", partial(_leading, nu), leading, 1e-8),
        Check("trace of the Hessian in standard errors", partial(_trace_pull, nu), trace, 4.0, max_abs),
        Check("bend of the loss along the leading eigenvector", partial(_bend, nu), leading, 1e-6),
        Check("weights trained on labels at c = 50 and 0", partial(_training_gap, config), galilei, 0.0, max_abs),
    ]
    for which in ("displacement", "value"):
        modes, gap = partial(_inviscid_modes, which), partial(_stream_gap, which)
        out.append(Check(f"inviscid Burgers on labels: modes, {which}", modes, labels, 0.0, max_abs))
        out.append(Check(f"tails on labels at c = 50 and 0, {which}", gap, galilei, 1e-9, max_abs))
    return out


def _stream_gap(which: str) -> float:
    """Return the largest difference of tails at speeds 50 and 0."""
    return float(np.abs(_tail("burgers", 50.0, 0.1, which) - _tail("burgers", 0.0, 0.1, which)).max())


case: Case[Landscapes] = Case(
    name="pde-landscape",
    system="pde",
    summary="Why networks fail on fast streams and labels do not: widths, spectra and loss landscapes.",
    Config=Landscapes,
    simulate=simulate,
    presets={
        "smoke": {
            "speeds": (0.0, 30.0),
            "width": 8,
            "points": 160,
            "steps": 60,
            "grid": 11,
            "products": 24,
            "snapshot_points": 64,
            "snapshot_times": 33,
        },
        "paper": {"width": 20, "points": 4000, "steps": 4000},
    },
    checks=checks,
    figures={
        "Singular values: what the best n modes leave of the exact solutions": decay_figure,
        "Modes of the solution, condition before training and error after it, over the speed": explained_figure,
        "Spectra of Gauss-Newton and of the tangent kernel": spectra_figure,
        "Burgers: loss along the two leading eigenvectors of the Hessian": partial(surface_figure, equation="burgers"),
        "Convection: loss along the two leading eigenvectors of the Hessian": partial(
            surface_figure, equation="convection"
        ),
    },
    origin=lambda _config, _verb: (no_data("the losses of networks on equations are drawn"),),
)
