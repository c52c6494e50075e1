"""Case ``pde-burgers``: a moving viscous shock by networks on labels, before it forms and beyond."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.case import Case
from retrodict.cases.checks import Analytic, Check, Invariant, Published, SolverRun, excess, max_abs, max_rel
from retrodict.cases.config import setting
from retrodict.cases.origin import no_data
from retrodict.cases.pde_training import (
    NetworkSettings,
    bound_figure,
    field_dataset,
    field_figure,
    loss_figure,
    relative_error,
    space_time,
    trained,
    training_figures,
)
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.physics.pde.lagrangian import Lagrangian
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.windows import Piece

__all__ = ["Burgers", "case"]

Floats = NDArray[np.float64]


class Burgers(NetworkSettings):
    """Settings of the case."""

    c: float = setting(5.0, "", "uniform stream on which the wave rides", ge=-10000, le=10000)
    nu: float = setting(0.01, "", "viscosity", ge=1e-08, le=1000)
    duration: float = setting(1.0, "", "end of time; without viscosity the shock forms at 1", ge=1e-06, le=1000)
    labels: Literal["flow", "crowded"] = setting(
        "flow",
        "",
        "flow: labels move with it, good until they run into the shock; crowded: they rest, dense at the shock",
    )
    densest: float = setting(0.05, "", "smallest spacing of crowded labels, relative to their mean", gt=0, lt=1)
    width: int = setting(16, "", "width of the hidden layers", ge=2, le=512)
    steps: int = setting(4000, "", "optimiser steps", ge=1, le=1_000_000_000)
    published: bool = setting(True, "", "train the published form too: no Jacobian")


def _labels(config: Burgers, *, published: bool = False) -> Lagrangian:
    from retrodict.physics.pde.burgers import burgers
    from retrodict.physics.pde.lagrangian import LabelDiffusion, Lagrangian, crowded
    from retrodict.physics.pde.quasilinear import line

    base = burgers(config.nu, c=config.c, coords=line(2 * math.pi, duration=config.duration))
    if published:
        return LabelDiffusion(base)
    return Lagrangian(base) if config.labels == "flow" else Lagrangian(base, "rest", crowded(base, config.densest))


def _trainer(config: Burgers, seed: int, *, published: bool = False) -> Trainer:
    from retrodict.solvers.pinn.plans import Stage, marching
    from retrodict.solvers.pinn.sampling import Sampling
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.trial import separate_networks

    system = _labels(config, published=published)
    return Trainer(
        marching(system, [0.0, config.duration], [Stage(config.method, config.steps)]),
        partial(separate_networks, width=config.width, depth=config.depth),
        Sampling(config.points, config.initial_points),
        seed=seed,
        tolerance=1e-2,
        device=config.device,
    )


def _grid(config: Burgers) -> dict[str, Floats]:
    return space_time(config, (0.0, 2 * math.pi), (0.0, config.duration))


def _reference(config: Burgers, grid: Mapping[str, Floats]) -> Floats:
    from retrodict.solvers.reference.burgers import cole_hopf

    return cole_hopf(np.sin, config.nu, period=2 * math.pi)(grid["x"] - config.c * grid["t"], grid["t"])


def _field(pieces: Sequence[Piece], grid: Mapping[str, Floats]) -> Floats:
    from retrodict.solvers.pinn.lagrangian import LabelSolution

    flat = {k: v.ravel() for k, v in grid.items()}
    return LabelSolution(pieces).fields(flat)["u"].reshape(grid["t"].shape)


def _published_limit(config: Burgers, grid: Mapping[str, Floats]) -> Floats:
    """Return what the published form converges to.

    ``w = e^(-nu t) sin X`` at ``x = X + c t + (1 - e^(-nu t)) / nu sin X``.
    """
    decay = np.exp(-config.nu * grid["t"])
    stretch = (1 - decay) / config.nu
    at = np.mod(grid["x"] - config.c * grid["t"], 2 * math.pi)
    label = at.copy()
    low, high = at - stretch, at + stretch
    for _ in range(80):  # x grows with X, so that halving finds the label
        gap = label + stretch * np.sin(label) - at
        low, high = np.where(gap < 0, label, low), np.where(gap > 0, label, high)
        label = np.where(gap == 0, label, 0.5 * (low + high))
    return np.asarray(decay * np.sin(label))


def simulate(config: Burgers, seeds: Seeds) -> xr.Dataset:
    """Return the field on labels, its certified bound, the paths of labels, and the published form beside it."""
    from retrodict.solvers.pinn.certificate import certify

    pieces, result = trained(_trainer(config, seeds.root), Status.INVALID)
    grid = _grid(config)
    fields, beside = {"Lagrangian, exact Jacobian": _field(pieces, grid)}, {}
    if config.published and config.duration <= 1:
        others, ended = trained(_trainer(config, seeds.root, published=True), Status.INVALID)
        fields["published form"], beside["published form"] = _field(others, grid), ended.status
    bound = certify(pieces, training=(2 * result.best["loss"]) ** 0.5)
    data = field_dataset(grid, _reference(config, grid), fields, certificate=bound, result=result, beside=beside)
    return data.assign(_paths(config, pieces, data["t"].values))


def _paths(config: Burgers, pieces: Sequence[Piece], times: Floats) -> dict[str, Any]:
    """Return positions and Jacobians of labels over time, in the laboratory."""
    from retrodict.solvers.pinn.windows import evaluate

    labels = np.linspace(0, 2 * math.pi, 49)
    place = {"t": np.repeat(times, len(labels)), "x": np.tile(labels, len(times))}
    d = evaluate(pieces, place, [("shift_x",), ("shift_x", "x")])
    shape = (len(times), len(labels))
    position = (place["x"] + d["shift_x"].double().cpu().numpy() + config.c * place["t"]).reshape(shape)
    crowding = 1 + d["shift_x", "x"].double().cpu().numpy().reshape(shape)
    return {
        "label": ("label", labels, {"units": "1"}),
        "path": (("t", "label"), position, {"units": "1", "long_name": "position of a label"}),
        "jacobian": (("t", "label"), crowding, {"units": "1", "long_name": "J = dx/dX"}),
    }


def problem(config: Burgers, seeds: Seeds, data: Path | None) -> Trainer:
    """Return the plan of the training: ``fit`` runs it with checkpoints."""
    from retrodict.physics.errors import ConfigError, expected

    if data is not None:
        raise ConfigError(expected("--data", data, "no data: pde-inverse fits coefficients to them"))
    return _trainer(config, seeds.root)


def _inviscid() -> float:
    """Return the largest error of the ansatz without viscosity, for zero weights: the networks have nothing to do."""
    from retrodict.physics.pde.burgers import burgers
    from retrodict.physics.pde.lagrangian import Lagrangian
    from retrodict.solvers.pinn.trial import Trial, separate_networks
    from retrodict.solvers.pinn.windows import Piece

    system = Lagrangian(burgers(0.0, c=5.0))
    trial = Trial(system, separate_networks(system, 4, 1))
    # where a label is after t is known exactly, and so is what it carries
    label, t = np.meshgrid(np.linspace(0, 2 * math.pi, 64, endpoint=False), np.linspace(0, 0.5, 6))
    ours = _field([Piece(trial, np.zeros(trial.size))], {"x": label + t * np.sin(label) + 5.0 * t, "t": t})
    return float(np.abs(ours - np.sin(label)).max())


def _flawed_file() -> float:
    """Return how far the Burgers file of a published benchmark is from the solution: check a reference first."""
    from retrodict.cases.data import bundled
    from retrodict.physics.pde.reference_files import read_reference
    from retrodict.solvers.reference.agreement import agreement
    from retrodict.solvers.reference.burgers import cole_hopf

    exact = cole_hopf(lambda x: -np.sin(np.pi * x), 0.01 / math.pi, period=2, origin=-1)
    return agreement(read_reference(bundled("pde/pinnacle_burgers1d.dat")), exact).relative_l2


def checks(config: Burgers, seeds: Seeds) -> Sequence[Check]:
    """Hold the field against Cole-Hopf, the stream against Galileo, and the published form against its floor."""
    grid = _grid(config)
    theirs = cache(lambda: _reference(config, grid))

    @cache
    def solved(c: float) -> tuple[tuple[Piece, ...], Any]:
        return trained(_trainer(config.model_copy(update={"c": c}), seeds.root))

    @cache
    def error(c: float, *, along: bool = False) -> float:
        # a shock between two points of a grid is seen better or worse; points that ride along see it alike for every c
        other, at = config.model_copy(update={"c": c}), grid
        if along:
            at = {"t": grid["t"], "x": grid["x"] + c * grid["t"]}
        return relative_error(_field(solved(c)[0], at), _reference(other, at))

    def bound_ratio() -> float:
        from retrodict.solvers.pinn.certificate import certify

        return error(config.c) / float(certify(solved(config.c)[0]).attrs["relative_bound"])

    def mass() -> float:
        return float(np.abs(_field(solved(config.c)[0], grid).mean(1)).max())

    hopf = SolverRun(0.0, "Cole-Hopf by quadrature")
    out = [
        Check("relative error in space and time", lambda: error(config.c), hopf, config.bar, max_abs, "1"),
        Check(
            "error at c over error at 0, at points that ride along",
            lambda: error(config.c, along=True) / error(0.0, along=True),
            Analytic(1.0, "Galileo"),
            0.01,
            max_abs,
            "1",
        ),
        Check(
            "true error over certified bound", bound_ratio, Analytic(1.0, "a bound is never below"), 0.0, excess, "1"
        ),
        Check("mean of the field is kept", mass, Invariant(0.0), 10 * config.bar, max_abs, "1"),
        Check(
            "largest value",
            lambda: float(np.abs(_field(solved(config.c)[0], grid)).max()),
            Analytic(1.0, "maximum principle"),
            config.bar,
            excess,
            "1",
        ),
        Check(
            "inviscid ansatz before the shock",
            _inviscid,
            Analytic(0.0, "u0 along characteristics"),
            1e-14,
            max_abs,
            "1",
        ),
    ]
    out.append(
        Check(
            "bundled benchmark file: distance from Cole-Hopf",
            _flawed_file,
            Published(1.33e-2, "the best error published on it: that of the file itself"),
            1e-2,
            max_rel,
            "1",
        )
    )
    if config.duration == 1.0 and config.nu == 0.01:
        out.append(
            Check(
                "published form, its limit: relative error",
                lambda: relative_error(_published_limit(config, grid), theirs()),
                Analytic(1.15e-2, "closed solution without the Jacobian"),
                0.05e-2,
                max_abs,
                "1",
            )
        )
    return out


def _path_figure(data: xr.Dataset) -> Figure:
    """Draw where labels go, coloured by how much they are crowded."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LogNorm

    from retrodict.cases.plots import COLOURS, canvas

    figure, axes = canvas(1, 2, 9.6, 3.9)
    ax, other = axes.ravel()
    crowding = np.maximum(data["jacobian"].values, 1e-6)
    norm = LogNorm(max(crowding.min(), 1e-4), crowding.max())
    for i in range(data.sizes["label"]):
        points = np.stack([data["path"].values[:, i], data["t"].values], -1)
        segments = list(np.stack([points[:-1], points[1:]], 1))
        line = LineCollection(segments, cmap="viridis_r", norm=norm, linewidths=1.1)
        line.set_array(crowding[:-1, i])
        ax.add_collection(line)
    ax.autoscale()
    figure.colorbar(line, ax=ax, shrink=0.85, label="J = dx/dX")
    ax.set(xlabel="x", ylabel="t", title="paths of labels")
    other.semilogy(data["t"], crowding.min(1), color=COLOURS[0])
    other.set(xlabel="t", ylabel="smallest J", title="labels run into the shock")
    return figure


case: Case[Burgers] = Case(
    name="pde-burgers",
    system="pde",
    summary="A viscous shock on a stream by networks on labels, with the exact Jacobian and without.",
    Config=Burgers,
    simulate=simulate,
    presets={
        "smoke": {
            "nu": 0.1,
            "width": 8,
            "points": 256,
            "initial_points": 32,
            "steps": 250,
            "x_count": 64,
            "t_count": 17,
            "bar": 2e-3,
        },
        "paper": {"c": 50.0, "steps": 6000, "points": 1500},
        "beyond": {
            "duration": 3.0,
            "labels": "crowded",
            "depth": 3,
            "width": 20,
            "points": 2000,
            "steps": 5000,
            "bar": 1e-3,
        },
    },
    problem=problem,
    solver=lambda _config, trainer: trainer,
    checks=checks,
    figures={
        "Cole-Hopf solution, and errors of the methods": field_figure,
        "Where labels go, and how they crowd": _path_figure,
        "Error over time, and the bound that needs no reference": bound_figure,
        "Training loss": loss_figure,
    },
    fit_figures=training_figures(_reference, _field, _grid),
    origin=lambda _config, _verb: (no_data("networks are trained on the equation and its conditions alone"),),
)
