"""Case ``pde-reaction``: logistic growth, with diffusion, and fronts of Allen-Cahn, held against classical solvers."""

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

    from retrodict.physics.pde.lifting import Lift
    from retrodict.physics.pde.quasilinear import QuasiLinear
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.system import PDESystem
    from retrodict.solvers.pinn.networks import Network
    from retrodict.solvers.pinn.trainer import Trainer
    from retrodict.solvers.pinn.windows import Piece

__all__ = ["Reaction", "case"]

Floats = NDArray[np.float64]


class Reaction(NetworkSettings):
    """Settings of the case."""

    equation: Literal["reaction", "reaction-diffusion", "allen-cahn", "allen-cahn-periodic"] = setting(
        "reaction-diffusion", "", "what reacts; Allen-Cahn has u = -1 on its walls, or is periodic"
    )
    rho: float = setting(5.0, "", "rate of the logistic growth", ge=1e-06, le=10000)
    nu: float = setting(2.0, "", "diffusivity of reaction-diffusion", ge=1e-08, le=10000)
    d: float = setting(1e-3, "", "diffusivity of Allen-Cahn", ge=1e-08, le=10000)
    windows: int = setting(1, "", "time windows of equal length", ge=1, le=1000)
    grading: float = setting(1.5, "", "exponent of times: above 1 points are denser where a window begins", ge=1, le=10)
    harmonics: int = setting(1, "", "sines and cosines of x among the inputs, each", ge=1, le=100)
    adaptive: float = setting(0.0, "", "share of the points that is drawn where residuals are large", ge=0, le=1)
    refresh: int = setting(0, "", "steps between two draws of points; 0 keeps them", ge=0, le=1_000_000_000)
    lift: bool = setting(True, "", "take off what is not smooth in the data, a kink or corners, in closed form")
    kinked: bool = setting(True, "", "train beside it with a kink left in the data, to show what it does")


def _system(config: Reaction) -> QuasiLinear:
    """Return the equation of the field itself."""
    from dataclasses import replace

    from retrodict.physics.pde.reaction import allen_cahn, reaction

    if config.equation == "reaction":
        # without diffusion no point knows of another, and a period would put a kink where there is none
        return replace(reaction(config.rho), boundary=())
    if config.equation == "reaction-diffusion":
        return reaction(config.rho, config.nu)
    return allen_cahn(config.d, walls=config.equation == "allen-cahn")


def _lift(config: Reaction) -> Lift | None:
    """Return what the kink at the seam of a period becomes, or the corners where walls hold what would move."""
    from retrodict.physics.pde.lifting import spread_corners, spread_gaussian, spread_kink

    if not config.lift:
        return None
    if config.equation == "reaction-diffusion":
        return spread_gaussian(math.pi / 4, config.nu, (0.0, 2 * math.pi))
    if config.equation == "allen-cahn-periodic":
        # u = -1 at the seam, where the reaction damps at rate 2 r
        return spread_kink(4.0, config.d, -10.0, (-1.0, 1.0))
    if config.equation == "allen-cahn":
        # u_xx of the initial field on the walls, where the reaction rests
        return spread_corners((math.pi**2 - 2) * config.d, config.d, (-1.0, 1.0))
    return None


def _networks(system: PDESystem, config: Reaction) -> tuple[Network, ...]:
    from retrodict.solvers.pinn.features import Features
    from retrodict.solvers.pinn.networks import Network
    from retrodict.solvers.pinn.trial import separate_networks

    if config.equation != "allen-cahn":
        return separate_networks(system, config.width, config.depth, harmonics=config.harmonics)
    # waves of twice the box: they tell the walls apart and leave the field free there
    box = {k: v.bounds for k, v in system.coords.items()} | {"x": (-2.0, 2.0)}
    return (Network(("u",), Features(box, {"x": config.harmonics}), config.width, config.depth),)


def _trainer(config: Reaction, seed: int) -> Trainer:
    from retrodict.physics.pde.lifting import lifted
    from retrodict.solvers.pinn.plans import Stage, marching
    from retrodict.solvers.pinn.sampling import Sampling
    from retrodict.solvers.pinn.trainer import Trainer

    system, lift = _system(config), _lift(config)
    edges = [float(e) for e in np.linspace(0, 1, config.windows + 1)]
    return Trainer(
        marching(
            system if lift is None else lifted(system, lift),
            edges,
            [Stage(config.method, config.steps, config.refresh)],
        ),
        partial(_networks, config=config),
        Sampling(config.points, config.initial_points, config.grading, config.adaptive),
        seed=seed,
        tolerance=1e-2,
        device=config.device,
    )


def _grid(config: Reaction) -> dict[str, Floats]:
    box = _system(config).coords["x"].bounds
    return space_time(config, (float(box[0]), float(box[1])), (0.0, 1.0))


def _bump(x: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * ((x - math.pi) / (math.pi / 4)) ** 2))


def _fronts(x: Floats) -> Floats:
    return np.asarray(x**2 * np.cos(math.pi * x))


def _reference(config: Reaction, grid: Mapping[str, Floats]) -> Floats:
    from retrodict.solvers.reference import marching
    from retrodict.solvers.reference.chebyshev import allen_cahn_walls
    from retrodict.solvers.reference.splitting import reaction, reaction_diffusion

    x, t = grid["x"], grid["t"]
    if config.equation == "reaction":
        return reaction(_bump, config.rho, period=2 * math.pi)(x, t)
    if config.equation == "reaction-diffusion":
        return reaction_diffusion(_bump, config.nu, config.rho, period=2 * math.pi)(x, t)
    if config.equation == "allen-cahn":
        return allen_cahn_walls(_fronts, config.d)(x, t)
    return marching.allen_cahn(_fronts, config.d)(x, t)


def _field(pieces: Sequence[Piece], grid: Mapping[str, Floats]) -> Floats:
    import torch

    from retrodict.physics.pde.lifting import Lifted
    from retrodict.solvers.pinn.windows import Window, evaluate

    flat, system = {k: v.ravel() for k, v in grid.items()}, pieces[0].trial.system
    values = evaluate(pieces, flat, [("u",)])["u"].double().cpu()
    if isinstance(system, Window) and isinstance(system.system, Lifted) and system.system.lift is not None:
        values = values + system.system.lift.part({k: torch.as_tensor(v) for k, v in flat.items()})
    return values.numpy().reshape(grid["t"].shape)


def _certified(config: Reaction, pieces: Sequence[Piece], loss: float | None = None) -> xr.Dataset:
    """Return the bound on the error, relative to the whole field where only a part of it was trained."""
    from retrodict.solvers.pinn.certificate import certify

    bound = certify(pieces, training=None if loss is None else (2 * loss) ** 0.5)
    if _lift(config) is None:
        return bound
    grid = _grid(config)
    box = _system(config).coords["x"].bounds
    times, size = grid["t"][:, 0], np.sqrt((box[1] - box[0]) * np.mean(_field(pieces, grid) ** 2, 1))
    at, own = bound["time"].values, bound["bound"].values
    field = np.interp(at, times, size)
    whole = float(np.sqrt(np.trapezoid(own**2, at) / np.trapezoid(field**2, at)))
    verdict = "valid" if np.isfinite(whole) and whole < 1 and bound.attrs["quadrature"] < 0.5 else "invalid"
    return bound.assign(relative=("time", own / field, bound["relative"].attrs)).assign_attrs(
        relative_bound=whole, verdict=verdict
    )


def simulate(config: Reaction, seeds: Seeds) -> xr.Dataset:
    """Return the trained field, its error and its certified bound; and what a kink left in the data would do."""

    pieces, result = trained(_trainer(config, seeds.root), Status.INVALID)
    grid = _grid(config)
    fields, beside = {"network": _field(pieces, grid)}, {}
    if config.kinked and _lift(config) is not None:
        left = config.model_copy(update={"lift": False})
        name = "kink or corners left in the data"
        others, ended = trained(_trainer(left, seeds.root), Status.INVALID)
        fields[name], beside[name] = _field(others, grid), ended.status
    bound = _certified(config, pieces, result.best["loss"])
    return field_dataset(grid, _reference(config, grid), fields, certificate=bound, result=result, beside=beside)


def problem(config: Reaction, seeds: Seeds, data: Path | None) -> Trainer:
    """Return the plan of the training: ``fit`` runs it with checkpoints."""
    from retrodict.physics.errors import ConfigError, expected

    if data is not None:
        raise ConfigError(expected("--data", data, "no data: pde-inverse fits coefficients to them"))
    return _trainer(config, seeds.root)


def _truth(config: Reaction) -> Analytic | SolverRun:
    if config.equation == "reaction":
        return Analytic(0.0, "logistic growth in closed form")
    source = {
        "reaction-diffusion": "Strang splitting with Fourier series, extrapolated twice",
        "allen-cahn": "Strang splitting with Chebyshev polynomials, extrapolated twice",
        "allen-cahn-periodic": "pseudo-spectral marching by DOP853",
    }
    return SolverRun(0.0, source[config.equation])


def _other_reference(config: Reaction, grid: Mapping[str, Floats]) -> Floats:
    """Return the field at the last time by a solver that shares nothing with the reference."""
    from retrodict.solvers.reference.marching import Equation, march

    rate, nu = config.rho, config.nu
    equation = Equation(lambda k: -nu * k**2, source=lambda u, *_: rate * u * (1 - u))
    solve = march(equation, _bump, period=2 * math.pi, modes=96, unresolved=1e-6)
    return solve(grid["x"][-1], grid["t"][-1])


def checks(config: Reaction, seeds: Seeds) -> Sequence[Check]:
    """Hold the field against a classical solver, its certificate, its bounds and its symmetry."""
    grid = _grid(config)
    theirs = cache(lambda: _reference(config, grid))
    pieces = cache(lambda: trained(_trainer(config, seeds.root))[0])
    ours = cache(lambda: _field(pieces(), grid))

    def mirrored() -> float:
        u = ours()[:, 1:]  # the first point is the seam or a wall
        return float(np.abs(u - u[:, ::-1]).max())

    def outside() -> float:
        low = -1.0 if config.equation.startswith("allen") else 0.0
        return float(np.maximum(ours() - 1.0, low - ours()).max())

    def bound_ratio() -> float:
        return relative_error(ours(), theirs()) / float(_certified(config, pieces()).attrs["relative_bound"])

    out = [
        Check(
            "relative error in space and time",
            lambda: relative_error(ours(), theirs()),
            _truth(config),
            config.bar,
            max_abs,
            "1",
        ),
        Check(
            "true error over certified bound", bound_ratio, Analytic(1.0, "a bound is never below"), 0.0, excess, "1"
        ),
        Check(
            "the field leaves its bounds by", outside, Analytic(0.0, "maximum principle"), 10 * config.bar, excess, "1"
        ),
        Check("the field differs from its mirror image by", mirrored, Invariant(0.0), 100 * config.bar, max_abs, "1"),
    ]
    if config.equation == "reaction-diffusion":
        other = SolverRun(lambda: _other_reference(config, grid), "pseudo-spectral marching by DOP853")
        out.append(Check("reference at the last time", lambda: theirs()[-1], other, 1e-8, max_abs, "1"))
    return out


def _profile_figure(data: xr.Dataset) -> Figure:
    """Draw profiles at several times: the reference as a broad line, the network on it."""
    from matplotlib import colormaps

    from retrodict.cases.plots import canvas

    figure, ax = canvas(width=6.8, height=3.8)
    shown = np.linspace(0, data.sizes["t"] - 1, 6).round().astype(int)
    colours = colormaps["viridis"](np.linspace(0.0, 0.88, len(shown)))
    field = data["field"].isel(method=0)
    for i, colour in zip(shown, colours, strict=True):
        ax.plot(data["x"], data["reference"][i], color=colour, lw=4.5, alpha=0.35, solid_capstyle="round")
        ax.plot(data["x"], field[i], color=colour, lw=1.2, label=f"{float(data['t'][i]):.2f}")
    ax.legend(title="t", loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.set(xlabel="x", ylabel="u", title="reference (broad) and network (fine)")
    return figure


_FRONTS: dict[str, Any] = {
    "equation": "allen-cahn",
    "depth": 3,
    "harmonics": 2,
    "points": 2048,
    "grading": 1.0,
    "steps": 4500,
    "kinked": False,
}

case: Case[Reaction] = Case(
    name="pde-reaction",
    system="pde",
    summary="Logistic growth, reaction with diffusion, and the fronts of Allen-Cahn by networks, with a bound.",
    Config=Reaction,
    simulate=simulate,
    presets={
        "smoke": {
            "width": 14,
            "points": 512,
            "steps": 350,
            "x_count": 64,
            "t_count": 17,
            "bar": 2e-3,
        },
        "reaction": {"equation": "reaction", "steps": 5000},
        "allen-cahn": _FRONTS,
        "allen-cahn-periodic": _FRONTS
        | {
            "equation": "allen-cahn-periodic",
            "d": 1e-4,
            "windows": 4,
            "steps": 1500,
            "grading": 1.5,
            "adaptive": 0.5,
            "refresh": 300,
            "bar": 1e-4,
        },
        "paper": {"equation": "reaction", "rho": 10.0, "depth": 3, "points": 1500, "steps": 6000, "bar": 1e-4},
    },
    problem=problem,
    solver=lambda _config, trainer: trainer,
    checks=checks,
    figures={
        "Reference, and errors of the networks": field_figure,
        "Profiles over time": _profile_figure,
        "Error over time, and the bound that needs no reference": bound_figure,
        "Training loss": loss_figure,
    },
    fit_figures=training_figures(_reference, _field, _grid),
    origin=lambda _config, _verb: (no_data("networks are trained on the equation and its conditions alone"),),
)
