"""Case ``pde-rotation``: a blob turned as a solid in the plane, and one stirred by cells, on labels in the flow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.case import Case
from retrodict.cases.checks import Analytic, Check, Invariant, SolverRun, excess, max_abs
from retrodict.cases.config import setting
from retrodict.cases.origin import no_data
from retrodict.cases.pde_plane import Pair, blob_figure, error_figure, label_figure, plane_dataset, square
from retrodict.cases.pde_training import NetworkSettings, ending, relative_error, trained
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome
    from retrodict.physics.pde.quasilinear import QuasiLinear
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.windows import Piece

__all__ = ["Rotation", "case"]

Floats = NDArray[np.float64]
Flow = Literal["rotation", "cells"]
_FLOWS: tuple[Flow, ...] = ("rotation", "cells")


class Rotation(NetworkSettings):
    """Settings of the case."""

    rate: float = setting(2 * math.pi, "", "angular velocity: a turn in a unit of time", ge=-10000, le=10000)
    nu: float = setting(0.005, "", "diffusivity of the blob that turns", ge=0, le=1000)
    spot: float = setting(0.25, "", "standard deviation of the blob that turns", ge=0.001, le=100)
    windows: int = setting(6, "", "time windows of the blob that turns", ge=1, le=1000)
    strength: float = setting(1.0, "", "speed of the cells", ge=-10000, le=10000)
    drift: float = setting(
        1.0, "", "uniform velocity along x on which the blob crosses the cells; along y half of it", ge=-10000, le=10000
    )
    spread: float = setting(0.02, "", "diffusivity of the blob among the cells", ge=1e-08, le=1000)
    label_width: int = setting(16, "", "width of the hidden layers of the three networks on labels", ge=2, le=512)
    label_steps: int = setting(1500, "", "optimiser steps on labels", ge=1, le=1_000_000_000)
    frame: Literal["flow", "rest"] = setting("flow", "", "what moves the labels, beside the uniform velocity")
    flow: Literal["rotation", "cells"] = setting("rotation", "", "which of the two `fit` trains")
    certificate: bool = setting(True, "", "bound the errors from the residual")
    points: int = setting(1500, "", "collocation points of a window", ge=16, le=100_000)
    initial_points: int = setting(200, "", "more of them where a window begins", ge=0, le=100_000)
    steps: int = setting(900, "", "optimiser steps of a window", ge=1, le=1_000_000_000)
    bar: float = setting(3e-3, "", "what validate asks of the relative error in space and time", ge=1e-12, le=1)
    x_count: int = setting(48, "", "grid points along each axis", ge=8, le=1000)
    t_count: int = setting(21, "", "grid points in time", ge=3, le=1000)


def _system(config: Rotation, flow: Flow) -> QuasiLinear:
    from retrodict.physics.pde.cellular import cellular
    from retrodict.physics.pde.convection import rotation

    if flow == "rotation":
        return rotation(config.rate, config.nu, width=config.spot)
    return cellular(config.strength, config.spread, drift=(config.drift, 0.5 * config.drift))


def _trainer(config: Rotation, seed: int, flow: Flow) -> Trainer:
    from retrodict.physics.pde.lagrangian import Lagrangian
    from retrodict.solvers.pinn.plans import Stage, marching
    from retrodict.solvers.pinn.sampling import Sampling
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.trial import separate_networks

    base, turning = _system(config, flow), flow == "rotation"
    edges = [float(e) for e in np.linspace(0, 1, (config.windows if turning else 1) + 1)]
    stage = Stage(config.method, config.steps if turning else config.label_steps)
    return Trainer(
        marching(base if turning else Lagrangian(base, config.frame), edges, [stage]),
        partial(separate_networks, width=config.width if turning else config.label_width, depth=config.depth),
        Sampling(config.points, config.initial_points, 1.5 if turning else 1.0),
        seed=seed,
        tolerance=0.1,
        device=config.device,
    )


def _grid(config: Rotation, flow: Flow) -> dict[str, Floats]:
    low, high = _system(config, flow).coords["x"].bounds
    return square(config.x_count, config.t_count, (float(low), float(high)), periodic=flow == "cells")


def _reference(config: Rotation, flow: Flow, grid: Mapping[str, Floats]) -> Floats:
    from retrodict.solvers.reference.plane import moving_gaussian, stirred

    if flow == "rotation":
        blob = moving_gaussian(config.spot, start=(0.35, 0.0), diffusivity=config.nu, angular_velocity=config.rate)
        return blob(grid["x"], grid["y"], grid["t"])

    def start(x: Floats, y: Floats) -> Floats:
        return np.asarray(np.exp((np.cos(x - math.pi) + np.cos(y - math.pi) - 2) / 0.36))

    def velocity(x: Floats, y: Floats, _t: float) -> tuple[Floats, Floats]:
        return config.drift + config.strength * np.sin(y), 0.5 * config.drift - config.strength * np.sin(x)

    solve = stirred(start, velocity, period=2 * math.pi, diffusivity=config.spread, modes=96)
    return solve(grid["x"], grid["y"], grid["t"])


def _field(pieces: Sequence[Piece], grid: Mapping[str, Floats]) -> Floats:
    from retrodict.physics.pde.lagrangian import Lagrangian
    from retrodict.solvers.pinn.lagrangian import LabelSolution
    from retrodict.solvers.pinn.windows import Window, evaluate

    flat, window = {k: v.ravel() for k, v in grid.items()}, pieces[0].trial.system
    if isinstance(window, Window) and isinstance(window.system, Lagrangian):
        return LabelSolution(pieces).fields(flat)["u"].reshape(grid["t"].shape)
    return evaluate(pieces, flat, [("u",)])["u"].double().cpu().numpy().reshape(grid["t"].shape)


def _labels(config: Rotation, pieces: Sequence[Piece], times: Floats, count: int = 25) -> dict[str, Floats]:
    """Return positions and Jacobians of a grid of labels, in the laboratory, shape (times, count, count)."""
    import torch

    from retrodict.physics.pde.lagrangian import jacobian
    from retrodict.solvers.pinn.windows import evaluate

    axis = np.linspace(0, 2 * math.pi, count)
    t, y, x = np.meshgrid(times, axis, axis, indexing="ij")
    shifts, space = ("shift_x", "shift_y"), ("x", "y")
    wanted = [*((s,) for s in shifts), *((s, a) for s in shifts for a in space)]
    d = evaluate(pieces, {"t": t.ravel(), "x": x.ravel(), "y": y.ravel()}, wanted)
    moved = {s: d[s].double().cpu().numpy().reshape(t.shape) for s in shifts}
    return {
        "label_x": x + moved["shift_x"] + config.drift * t,
        "label_y": y + moved["shift_y"] + 0.5 * config.drift * t,
        "jacobian": torch.linalg.det(jacobian(d, space)).double().cpu().numpy().reshape(t.shape),
    }


def simulate(config: Rotation, seeds: Seeds) -> xr.Dataset:
    """Return both fields with their references, the labels that the cells deform, and the certified bounds."""
    from retrodict.solvers.pinn.certificate import certify

    pairs: dict[str, Pair] = {}
    solved = {flow: trained(_trainer(config, seeds.root, flow), Status.INVALID) for flow in _FLOWS}
    for flow in _FLOWS:
        pieces, grid = solved[flow][0], _grid(config, flow)
        pairs[flow] = Pair(grid, _reference(config, flow, grid), _field(pieces, grid))
    on_labels = solved["cells"][0]
    bounds: dict[str, xr.Dataset] = {}
    if config.certificate:
        bounds = {flow: certify(solved[flow][0], rounds=1) for flow in _FLOWS}
    data = plane_dataset(pairs, bounds=bounds, labels=_labels(config, on_labels, pairs["cells"].grid["t"][:, 0, 0]))
    ends = {flow: result for flow, (_, result) in solved.items()}
    alarms = [line for flow, r in ends.items() for line in ending(r.status, flow, r)]
    # the status of the whole is that of its worst part
    worst = max((r.status for r in ends.values()), key=[Status.CONVERGED, Status.MAX_STEPS, Status.INVALID].index)
    told = {"status": worst.value, **({"alarms": "\n".join(alarms)} if alarms else {})}
    return data.assign_attrs({f"seconds_{k}": r.timing["seconds"] for k, r in ends.items()}, **told)


def problem(config: Rotation, seeds: Seeds, data: Path | None) -> Trainer:
    """Return the plan of the training: ``fit`` runs it with checkpoints."""
    from retrodict.physics.errors import ConfigError, expected

    if data is not None:
        raise ConfigError(expected("--data", data, "no data: pde-inverse fits coefficients to them"))
    return _trainer(config, seeds.root, config.flow)


def checks(config: Rotation, seeds: Seeds) -> Sequence[Check]:
    """Hold both fields against references, the exact blob against another formula, and J and mass against laws."""
    grids = {flow: _grid(config, flow) for flow in _FLOWS}
    pieces = cache(lambda flow: trained(_trainer(config, seeds.root, flow))[0])
    ours = cache(lambda flow: _field(pieces(flow), grids[flow]))
    theirs = cache(lambda flow: _reference(config, flow, grids[flow]))

    def mass() -> float:
        total = ours("cells").mean((1, 2))
        return float(np.abs(total / total[0] - 1).max())

    def closed() -> Floats:
        import torch

        exact = _system(config, "rotation").exact
        assert exact is not None
        return exact({k: torch.as_tensor(v) for k, v in grids["rotation"].items()})["u"].numpy().ravel()[::7]

    def jacobians() -> Floats:
        return _labels(config, pieces("cells"), np.linspace(0, 1, 11))["jacobian"].ravel()

    sources = {
        "rotation": Analytic(0.0, "a Gaussian that turns and spreads"),
        "cells": SolverRun(0.0, "pseudo-spectral in both directions, DOP853"),
    }
    out = [
        Check(
            f"{flow}: relative error in space and time",
            partial(lambda flow: relative_error(ours(flow), theirs(flow)), flow),
            sources[flow],
            config.bar,
            max_abs,
            "1",
        )
        for flow in _FLOWS
    ]
    out += [
        Check(
            "closed solution of the system",
            closed,
            Analytic(lambda: theirs("rotation").ravel()[::7], "moving frame of the blob"),
            1e-13,
            max_abs,
            "1",
        ),
        Check("cells: mass is kept", mass, Invariant(0.0), config.bar, max_abs, "1"),
        Check(
            "cells: J is 1 on every label", jacobians, Invariant(1.0, "no divergence"), 10 * config.bar, max_abs, "1"
        ),
    ]
    if config.certificate:
        out += [
            Check(
                f"{flow}: true error over certified bound",
                partial(_ratio, flow, pieces, ours, theirs),
                Analytic(1.0, "a bound is never below"),
                0.0,
                excess,
                "1",
            )
            for flow in _FLOWS
        ]
    return out


def _ratio(flow: str, pieces: Any, ours: Any, theirs: Any) -> float:
    from retrodict.solvers.pinn.certificate import certify

    bound = float(certify(pieces(flow), rounds=1).attrs["relative_bound"])
    return relative_error(ours(flow), theirs(flow)) / bound


def _trained_figure(outcome: FitOutcome) -> Figure:
    """Draw what a resumable training left."""
    config: Any = outcome.config
    flow = config.flow
    grid = _grid(config, flow)
    pieces = outcome.problem.pieces_of(outcome.result.data)
    return blob_figure(plane_dataset({flow: Pair(grid, _reference(config, flow, grid), _field(pieces, grid))}), flow)


case: Case[Rotation] = Case(
    name="pde-rotation",
    system="pde",
    summary="Blobs in the plane: turned as a solid, by networks in space; stirred by cells, by networks on labels.",
    Config=Rotation,
    simulate=simulate,
    presets={
        "smoke": {
            "rate": 1.0,
            "windows": 1,
            "width": 12,
            "spot": 0.3,
            "label_width": 8,
            "points": 300,
            "initial_points": 60,
            "steps": 120,
            "label_steps": 120,
            "strength": 0.5,
            "spread": 0.1,
            "x_count": 24,
            "t_count": 5,
            "bar": 5e-2,
        },
        "paper": {"windows": 12, "steps": 1200, "points": 2000, "label_steps": 3000, "label_width": 20, "bar": 1e-3},
    },
    problem=problem,
    solver=lambda _config, trainer: trainer,
    checks=checks,
    figures={
        "A blob turned as a solid: exact, by networks, and the error": lambda data: blob_figure(data, "rotation"),
        "A blob stirred by cells: reference, on labels, and the error": lambda data: blob_figure(data, "cells"),
        "Labels follow the flow: a grid of them deforms and keeps its area": label_figure,
        "Error over time, and the bound that needs no reference": error_figure,
    },
    fit_figures={"What the training left": _trained_figure},
    origin=lambda _config, _verb: (no_data("networks are trained on the equation and its conditions alone"),),
)
