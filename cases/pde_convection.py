"""Case ``pde-convection``: the problem where networks fail, solved; with a bound that says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.case import Case
from retrodict.cases.checks import Analytic, Check, Invariant, excess, max_abs
from retrodict.cases.config import setting
from retrodict.cases.origin import no_data
from retrodict.cases.pde_race import race, race_figure
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

    from retrodict.physics.pde.quasilinear import QuasiLinear
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.windows import Piece

__all__ = ["Convection", "case"]

Floats = NDArray[np.float64]


_PEERS: tuple[tuple[str, Literal["adam", "l-bfgs"]], ...] = (
    ("DeepXDE, Adam", "adam"),
    ("DeepXDE, L-BFGS", "l-bfgs"),
)


class Convection(NetworkSettings):
    """Settings of the case."""

    speed: float = setting(30.0, "", "velocity c", ge=-100000, le=100000)
    diffusivity: float = setting(0.0, "", "nu", ge=0, le=1000)
    windows: int = setting(
        0, "", "time windows; 0 chooses one for every five radians that the wave turns", ge=0, le=1000
    )
    features: bool = setting(True, "", "solve by random features too")
    race_seconds: float = setting(8.0, "s", "let every optimiser solve the first window for so long", gt=0, le=1e06)
    peer_seconds: float = setting(
        0.0, "s", "train DeepXDE with Adam and with L-BFGS for so long beside it", ge=0, le=1e06
    )


def _system(config: Convection) -> QuasiLinear:
    from retrodict.physics.pde.convection import convection

    return convection(config.speed, config.diffusivity)


def _windows(config: Convection) -> int:
    return config.windows or max(1, round(abs(config.speed) / 5))


def _trainer(config: Convection, seed: int) -> Trainer:
    from retrodict.solvers.pinn.plans import Stage, marching
    from retrodict.solvers.pinn.sampling import Sampling
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.trial import separate_networks

    edges = [float(e) for e in np.linspace(0, 1, _windows(config) + 1)]
    return Trainer(
        marching(_system(config), edges, [Stage(config.method, config.steps)]),
        partial(separate_networks, width=config.width, depth=config.depth),
        Sampling(config.points, config.initial_points),
        seed=seed,
        tolerance=1e-2,
        device=config.device,
    )


def _race(config: Convection, seed: int) -> xr.Dataset:
    """Return the error of every optimiser on the first window over its training time."""
    from retrodict.solvers.pinn.optimizers import METHODS
    from retrodict.solvers.pinn.plans import Stage, marching
    from retrodict.solvers.pinn.sampling import Sampling
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.trial import separate_networks

    end = 1.0 / _windows(config)
    grid = space_time(config, (0.0, 2 * math.pi), (0.0, end))
    exact = _exact(config, grid)

    def trainer(method: str) -> Trainer:
        return Trainer(
            marching(_system(config), [0.0, end], [Stage(method, 1_000_000)]),
            partial(separate_networks, width=config.width, depth=config.depth),
            Sampling(config.points, config.initial_points),
            seed=seed,
        )

    trainers = {method: trainer(method) for method in METHODS}
    return race(trainers, config.race_seconds, lambda pieces: relative_error(_field(pieces, grid), exact))


def _grid(config: Convection) -> dict[str, Floats]:
    return space_time(config, (0.0, 2 * math.pi), (0.0, 1.0))


def _exact(config: Convection, grid: Mapping[str, Floats]) -> Floats:
    return np.asarray(np.exp(-config.diffusivity * grid["t"]) * np.sin(grid["x"] - config.speed * grid["t"]))


def _field(pieces: Sequence[Piece], grid: Mapping[str, Floats]) -> Floats:
    from retrodict.solvers.pinn.windows import evaluate

    flat = {k: v.ravel() for k, v in grid.items()}
    return evaluate(pieces, flat, [("u",)])["u"].double().cpu().numpy().reshape(grid["t"].shape)


def _by_features(config: Convection, grid: Mapping[str, Floats]) -> Floats:
    from retrodict.solvers.random_features.solver import solve_linear

    flat = {k: v.ravel() for k, v in grid.items()}
    return solve_linear(_system(config))(flat)["u"].double().cpu().numpy().reshape(grid["t"].shape)


def _peers(config: Convection, grid: Mapping[str, Floats]) -> tuple[dict[str, Floats], dict[str, Status]]:
    """Return fields by other programs, and how their trainings ended."""
    from retrodict.solvers.deepxde.problem import DeepXDESetup
    from retrodict.solvers.deepxde.training import train_with_deepxde

    flat, fields, ends = {k: v.ravel() for k, v in grid.items()}, {}, {}
    for name, optimizer in _PEERS:
        setup = DeepXDESetup(optimizer=optimizer, precision="float64", seed=config.seed)
        found = train_with_deepxde(_system(config), setup, seconds=config.peer_seconds)
        fields[name], ends[name] = found.predict(flat)["u"].reshape(grid["t"].shape), found.status
    return fields, ends


def simulate(config: Convection, seeds: Seeds) -> xr.Dataset:
    """Return the trained field, its error and its certified bound, beside random features and DeepXDE."""
    from retrodict.solvers.pinn.certificate import certify

    pieces, result = trained(_trainer(config, seeds.root), Status.INVALID)
    grid = _grid(config)
    fields = {"network": _field(pieces, grid)}
    beside: dict[str, Status] = {}
    if config.features:
        fields["random features"] = _by_features(config, grid)
    if config.peer_seconds:
        others, beside = _peers(config, grid)
        fields |= others
    bound = certify(pieces, training=(2 * result.best["loss"]) ** 0.5)
    data = field_dataset(grid, _exact(config, grid), fields, certificate=bound, result=result, beside=beside)
    return data.merge(_race(config, seeds.root))


def problem(config: Convection, seeds: Seeds, data: Path | None) -> Trainer:
    """Return the plan of the training: ``fit`` runs it with checkpoints."""
    from retrodict.physics.errors import ConfigError, expected

    if data is not None:
        raise ConfigError(expected("--data", data, "no data: pde-inverse fits coefficients to them"))
    return _trainer(config, seeds.root)


def checks(config: Convection, seeds: Seeds) -> Sequence[Check]:
    """Hold network, features and certificate against the closed solution."""
    grid, exact = _grid(config), _exact(config, _grid(config))

    @cache
    def solved() -> Any:
        return trained(_trainer(config, seeds.root))

    @cache
    def bound() -> xr.Dataset:
        from retrodict.solvers.pinn.certificate import certify

        return certify(solved()[0])

    def network_error() -> float:
        return relative_error(_field(solved()[0], grid), exact)

    wave = Analytic(0.0, "exp(-nu t) sin(x - c t)")
    fast = config.model_copy(update={"speed": 100.0, "diffusivity": 0.0})
    return [
        Check("network: relative error in space and time", network_error, wave, config.bar, max_abs, "1"),
        Check(
            "network: certified bound over true error",
            lambda: bound().attrs["relative_bound"] / network_error(),
            Analytic(20.0, "at most twenty times the error"),
            0.0,
            excess,
            "1",
        ),
        Check(
            "network: true error over certified bound",
            lambda: network_error() / bound().attrs["relative_bound"],
            Analytic(1.0, "a bound is never below the error"),
            0.0,
            excess,
            "1",
        ),
        Check(
            "random features, c = 100: relative error",
            lambda: relative_error(_by_features(fast, grid), _exact(fast, grid)),
            wave,
            1e-5,
            max_abs,
            "1",
        ),
        Check(
            "mean of the field is kept",
            lambda: float(np.abs(_field(solved()[0], grid).mean(1)).max()),
            Invariant(0.0),
            config.bar,
            max_abs,
            "1",
        ),
    ]


case: Case[Convection] = Case(
    name="pde-convection",
    system="pde",
    summary="Fast convection, where networks fail: windows, quasi-Newton steps, random features, a certified bound.",
    Config=Convection,
    simulate=simulate,
    presets={
        "smoke": {
            "speed": 6.0,
            "windows": 1,
            "width": 12,
            "points": 256,
            "initial_points": 32,
            "steps": 250,
            "x_count": 64,
            "t_count": 33,
            "bar": 1e-2,
            "race_seconds": 0.3,
        },
        "paper": {"speed": 50.0, "windows": 10, "steps": 1500, "peer_seconds": 60.0, "bar": 1e-4},
    },
    problem=problem,
    solver=lambda _config, trainer: trainer,
    checks=checks,
    figures={
        "Exact solution, and errors of the methods": field_figure,
        "Error over time, and the bound that needs no exact solution": bound_figure,
        "Training loss": loss_figure,
        "Time to error of all optimisers on the first window": race_figure,
    },
    fit_figures=training_figures(_exact, _field, _grid),
    origin=lambda _config, _verb: (no_data("networks are trained on the equation and its conditions alone"),),
)
