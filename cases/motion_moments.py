"""Case ``motion-moments``: closed-form moments of stochastic trajectories against Monte Carlo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import field_validator

from retrodict.cases.case import Case
from retrodict.cases.checks import Analytic, Check, SolverRun, max_abs
from retrodict.cases.config import CaseConfig, setting

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.model import Differentiable
    from retrodict.physics.motion.inputs import Inputs, Law
    from retrodict.physics.motion.state import Start
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree
    from retrodict.solvers.reference.monte_carlo import SampledMoments

__all__ = ["Moments", "case"]

STEP, STEPS = 0.1, 80

# name: formulation, law, start (heading, speed), its standard deviations, mean inputs, their standard deviations
SETTINGS = {
    "A white": ("acceleration-yaw-rate", "white", (0.3, 10.0), (0.0, 0.0), (0.0, 0.0), (1.0, 0.1)),
    "B white, turning wildly": ("acceleration-yaw-rate", "white", (0.3, 10.0), (0.0, 0.0), (0.0, 0.0), (1.0, 0.5)),
    "C turn": ("acceleration-yaw-rate", "white", (0.0, 8.0), (0.05, 0.5), (0.2, 0.2), (1.0, 0.3)),
    "D constant unknown": ("acceleration-yaw-rate", "constant", (0.3, 10.0), (0.02, 0.3), (0.0, 0.0), (0.5, 0.05)),
    "E constant unknown, turn": ("acceleration-yaw-rate", "constant", (0.0, 10.0), (0.02, 0.3), (0.0, 0.1), (0.5, 0.1)),
    "F autoregressive": ("acceleration-yaw-rate", "ar", (0.0, 10.0), (0.02, 0.3), (0.0, 0.05), (1.0, 0.1)),
    "G curvature": ("acceleration-curvature", "white", (0.0, 8.0), (0.0, 1.0), (0.0, 0.05), (2.0, 0.06)),
}


class Moments(CaseConfig):
    """Settings of the case."""

    samples: int = setting(32768, "", "Monte Carlo paths a setting", ge=256, le=1_000_000)
    observed: int = setting(400, "", "end points from which fit infers the inputs' spread", ge=20, le=1_000_000)
    heading: float = setting(
        0.3, "rad", "heading at the start of the paths that fit sees end", of_data=True, ge=-7, le=7
    )
    speed: float = setting(10.0, "m s-1", "speed at their start, at the origin", of_data=True, ge=0, le=100)
    duration: float = setting(
        8.0, "s", f"time from their start to their end, in steps of {STEP:g} s", of_data=True, ge=STEP, le=60
    )

    @field_validator("duration")
    @classmethod
    def _whole(cls, value: float) -> float:
        if abs(value / STEP - round(value / STEP)) > 1e-6:
            raise ValueError(f"a multiple of {STEP:g} s")
        return value


def _settings(name: str) -> tuple[str, Start, Inputs]:
    """Return formulation, start and inputs of one setting."""
    import torch

    from retrodict.physics.motion.inputs import Autoregressive, Constant, Inputs, White, decay_to_time_constant
    from retrodict.physics.motion.state import Start

    formulation, kind, begin, spread, mean, std = SETTINGS[name]
    f64 = partial(torch.tensor, dtype=torch.float64)
    start = Start(f64([0.0, 0.0, *begin]), torch.diag(f64([0.0, 0.0, *spread])) ** 2)
    laws: dict[str, Any] = {
        "white": lambda: White(f64(std).expand(STEPS, 2)),
        "constant": lambda: Constant(f64(std)),
        "ar": lambda: Autoregressive(f64(std), decay_to_time_constant(f64([0.95, 0.95]), STEP)),
    }
    law: Law = laws[kind]()
    return formulation, start, Inputs(f64(mean).expand(STEPS, 2), law)


def _sampled(name: str, samples: int, seed: int) -> SampledMoments:
    from retrodict.solvers.reference.monte_carlo import sample_moments

    formulation, start, inputs = _settings(name)
    return sample_moments(formulation, start, inputs, STEP, samples, seed=seed)


def _closed(name: str, mode: str) -> tuple[torch.Tensor, torch.Tensor]:
    from retrodict.physics.motion.moments import propagate

    formulation, start, inputs = _settings(name)
    out = propagate(formulation, start, inputs, STEP, mode=mode, integrator="euler")
    return out.mean, out.covariance


def _coverage(name: str, mode: str, samples: int, seed: int) -> float:
    """Return the share of sampled end points inside the nominal 90 % ellipse."""
    import torch
    from scipy import stats

    from retrodict.solvers.reference.monte_carlo import sample_paths

    formulation, start, inputs = _settings(name)
    mean, covariance = _closed(name, mode)
    root, inside, count = torch.linalg.inv(covariance[-1]), 0, 0
    for states in sample_paths(formulation, start, inputs, STEP, samples, seed=seed):
        gap = states[:, -1, :2] - mean[-1]
        inside += int((torch.einsum("ni,ij,nj->n", gap, root, gap) <= stats.chi2.ppf(0.9, 2)).sum())
        count += len(gap)
    return inside / count


def simulate(config: Moments, _seeds: Seeds) -> xr.Dataset:
    """Return mean, covariance and coverage of every setting and mode, beside Monte Carlo."""
    import xarray as xr

    modes, names = ("exact", "linear", "diagonal"), list(SETTINGS)
    mean, covariance = np.empty((len(names), 3, STEPS, 2)), np.empty((len(names), 3, STEPS, 2, 2))
    covered = np.empty((len(names), 3))
    sampled = []
    for i, name in enumerate(names):
        for j, mode in enumerate(modes):
            m, c = _closed(name, mode)
            mean[i, j], covariance[i, j] = m.numpy(), c.numpy()
            covered[i, j] = _coverage(name, mode, min(config.samples, 16384), config.seed)
        sampled.append(_sampled(name, config.samples, config.seed))
    step = STEP * np.arange(1, STEPS + 1)
    xy = ("setting", "mode", "time", "axis")
    data = {
        "mean": (xy, mean, {"units": "m", "long_name": "mean position"}),
        "covariance": ((*xy, "axis_"), covariance, {"units": "m2"}),
        "coverage": (
            ("setting", "mode"),
            covered,
            {"units": "1", "long_name": "share inside the nominal 90 % ellipse at 8 s"},
        ),
        "sampled_mean": (("setting", "time", "axis"), np.stack([s.mean for s in sampled]), {"units": "m"}),
        "sampled_covariance": (
            ("setting", "time", "axis", "axis_"),
            np.stack([s.covariance for s in sampled]),
            {"units": "m2"},
        ),
    }
    coords = {
        "setting": names,
        "mode": list(modes),
        "time": ("time", step, {"units": "s"}),
        "axis": ["x", "y"],
        "axis_": ["x", "y"],
    }
    return xr.Dataset(data, coords, {"samples": config.samples})


def problem(config: Moments, seeds: Seeds, data: Path | None) -> InverseProblem:
    """Infer the spread of acceleration and yaw rate from end points of trajectories."""
    import torch

    from retrodict.cases.data import open_data
    from retrodict.inverse.likelihood import LogLikelihood
    from retrodict.inverse.problem import InverseProblem
    from retrodict.inverse.terms import Term
    from retrodict.physics.errors import DataError, expected
    from retrodict.physics.motion.inputs import Inputs, White
    from retrodict.physics.motion.moments import propagate
    from retrodict.physics.motion.state import Start
    from retrodict.physics.spaces import Space, Var
    from retrodict.solvers.reference.monte_carlo import sample_paths

    f64, steps = partial(torch.tensor, dtype=torch.float64), round(config.duration / STEP)
    formulation, _, _, _, mean, std = SETTINGS["A white"]
    start = Start(f64([0.0, 0.0, config.heading, config.speed]))
    inputs = Inputs(f64(mean).expand(steps, 2), White(f64(std).expand(steps, 2)))
    if data is None:
        seed = int(seeds.stream("data").integers(2**31))
        ends = next(sample_paths(formulation, start, inputs, STEP, config.observed, seed=seed, chunk=config.observed))[
            :, -1, :2
        ]
    else:
        table = open_data(data)
        if "position" not in table or table["position"].dims[-1:] != ("axis",) or table["position"].ndim != 2:
            raise DataError(expected(str(data), list(table.data_vars), "positions at the end, dims (sample, axis) [m]"))
        ends = torch.tensor(np.asarray(table["position"], float))
    space = Space(
        {
            "acceleration_std": Var(units="m s-2", bounds=(1e-3, 10.0)),
            "yaw_rate_std": Var(units="rad s-1", bounds=(1e-4, 1.0)),
        }
    )

    def law(tree: dict[str, torch.Tensor]) -> torch.distributions.MultivariateNormal:
        std = torch.stack([tree["acceleration_std"], tree["yaw_rate_std"]]).expand(steps, 2)
        out = propagate(formulation, start, Inputs(inputs.mean, White(std)), STEP, integrator="euler")
        return torch.distributions.MultivariateNormal(out.mean[-1], out.covariance[-1], validate_args=False)

    def nll(tree: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.as_tensor(-law(tree).log_prob(ends).sum())

    def whitened(tree: dict[str, torch.Tensor]) -> dict[str, tuple[tuple[str, ...], torch.Tensor]]:
        normal = law(tree)
        left = torch.linalg.solve_triangular(normal.scale_tril, (ends - normal.mean).T, upper=False)
        return {"position": (("axis", "sample"), left)}

    truth = None if data else {"acceleration_std": np.array(1.0), "yaw_rate_std": np.array(0.1)}
    begin = {"acceleration_std": np.array(0.5), "yaw_rate_std": np.array(0.2)}
    return InverseProblem(
        space, [Term("end points", LogLikelihood(space, nll, whitened))], begin, truth, "motion-moments"
    )


def checks(config: Moments, _seeds: Seeds) -> Sequence[Check]:
    """Hold the closed forms against Monte Carlo, and against each other where there is an analytic answer."""
    out = []
    for name in SETTINGS:
        run = partial(_sampled, name, config.samples, config.seed)
        source = f"{config.samples} scrambled Sobol paths"

        def pull(run: Any = run, name: str = name) -> float:
            sampled = run()
            return float(
                ((_closed(name, "exact")[0] - sampled.mean).abs() / sampled.standard_error.clamp(min=1e-9)).max()
            )

        def spread(run: Any = run, name: str = name) -> float:
            reference = run().covariance[-1]
            return float(((_closed(name, "exact")[1][-1] - reference).norm()) / reference.norm())

        out.append(Check(f"{name}: mean in standard errors", pull, SolverRun(0.0, source), 4.0, max_abs, "1"))
        out.append(
            Check(
                f"{name}: covariance, relative Frobenius",
                spread,
                SolverRun(0.0, source),
                3 / config.samples**0.5,
                max_abs,
                "1",
            )
        )
    out.append(
        Check(
            "overconfidence of the diagonal recursion",
            _overconfidence,
            Analytic(((2 * STEPS - 1) / 3) ** 0.5, "sqrt((2T-1)/3), white accelerations"),
            1e-9,
        )
    )
    out.append(Check("|E p|, white yaw noise", partial(_yaw_noise, 0), _yaw_reference(0), 1e-12, units="m"))
    out.append(Check("E|p|^2, white yaw noise", partial(_yaw_noise, 1), _yaw_reference(1), 1e-12, units="m2"))
    return out


def _overconfidence() -> float:
    import torch

    from retrodict.physics.motion.inputs import Inputs, White
    from retrodict.physics.motion.moments import propagate
    from retrodict.physics.motion.state import Start

    inputs = Inputs(torch.zeros(STEPS, 2, dtype=torch.float64), White(torch.ones(STEPS, 2, dtype=torch.float64)))
    start = Start(torch.zeros(4, dtype=torch.float64))
    full, diagonal = (
        propagate("acceleration", start, inputs, STEP, mode=mode, integrator="euler").covariance[-1, 0, 0]
        for mode in ("exact", "diagonal")
    )
    return float((full / diagonal).sqrt())


def _yaw_noise(which: int) -> float:
    import torch

    from retrodict.physics.motion.inputs import Inputs, White
    from retrodict.physics.motion.moments import propagate
    from retrodict.physics.motion.state import Start

    zero = torch.zeros(STEPS, 2, dtype=torch.float64)
    inputs = Inputs(zero, White(zero + torch.tensor([0.0, 0.8], dtype=torch.float64)))
    out = propagate(
        "acceleration-yaw-rate",
        Start(torch.tensor([0.0, 0.0, 0.0, 7.0], dtype=torch.float64)),
        inputs,
        STEP,
        integrator="euler",
    )
    mean = float(out.mean[-1].norm())
    return mean if which == 0 else float(out.covariance[-1].trace()) + mean**2


def _yaw_reference(which: int) -> Analytic:
    v, t = 7.0, STEPS
    q = float(np.exp(-((0.8 * STEP) ** 2) / 2))
    if which == 0:
        return Analytic(v * STEP * (1 - q**t) / (1 - q), "v dt (1 - q^T)/(1 - q), q = exp(-(s dt)^2/2)")
    value = (v * STEP) ** 2 * (t * (1 + q) / (1 - q) - 2 * q * (1 - q**t) / (1 - q) ** 2)
    return Analytic(value, "v^2 dt^2 [T (1+q)/(1-q) - 2q (1-q^T)/(1-q)^2]")


def _ellipses(data: xr.Dataset) -> Figure:
    """Mean path and 90 % ellipse at 8 s of every mode, over the sampled moments."""
    from retrodict.cases.motion_figures import ellipse
    from retrodict.cases.plots import canvas

    names = [str(n) for n in data["setting"].values]
    figure, axes = canvas(2, 4, 11.0, 5.6)
    for ax, name in zip(axes.flat, names, strict=False):
        one = data.sel(setting=name)
        for mode, colour, style in (
            ("diagonal", "#9a9a9a", ":"),
            ("linear", "#d1495b", "--"),
            ("exact", "#00798c", "-"),
        ):
            part = one.sel(mode=mode)
            ax.plot(part["mean"][:, 0], part["mean"][:, 1], color=colour, linestyle=style, linewidth=1.2)
            ax.plot(
                *ellipse(part["mean"].values[-1], part["covariance"].values[-1], 0.9),
                color=colour,
                linestyle=style,
                label=mode,
            )
        ax.plot(
            *ellipse(one["sampled_mean"].values[-1], one["sampled_covariance"].values[-1], 0.9),
            color="#edae49",
            linewidth=3,
            alpha=0.6,
            label="Monte Carlo",
            zorder=0,
        )
        ax.set_title(name)
        ax.set_aspect("equal", adjustable="datalim")
    axes.flat[0].set_ylabel("y (m)")
    axes.flat[4].set_ylabel("y (m)")
    last = axes.flat[len(names)]
    last.axis("off")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    last.legend(handles, labels, loc="center", title="90 % ellipses at 8 s, axes in m")
    return figure


def _covered(data: xr.Dataset) -> Figure:
    """Coverage of the nominal 90 % ellipses at 8 s."""
    from retrodict.cases.plots import canvas

    figure, ax = canvas(1, 1, 7.2, 3.4)
    at = np.arange(data.sizes["setting"])
    for k, (mode, colour) in enumerate((("exact", "#00798c"), ("linear", "#d1495b"), ("diagonal", "#9a9a9a"))):
        ax.bar(at + 0.27 * (k - 1), 100 * data["coverage"].sel(mode=mode), 0.25, color=colour, label=mode)
    ax.axhline(90, color="#222222", linewidth=1)
    ax.set_xticks(
        at, [str(n).replace(", ", ",\n").replace("constant ", "constant\n") for n in data["setting"].values], fontsize=7
    )
    ax.set_ylabel("paths inside (%)")
    ax.set_ylim(0, 118)
    ax.legend(ncols=3, loc="upper center")
    return figure


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return every formulation in every mode for the dot and Taylor tests."""
    from retrodict.physics.motion.model import motion_model
    from retrodict.physics.motion.moments import FORMULATIONS, MODES

    rng = np.random.default_rng(0)
    out: dict[str, tuple[Differentiable, Tree]] = {}
    for formulation in FORMULATIONS:
        scale = np.array([0.3, {"acceleration-steering": 1.0, "acceleration-curvature": 0.2}.get(formulation, 0.3)])
        point = {
            "start": np.array([1.0, -2.0, 0.4, 8.0]),
            "inputs": rng.standard_normal((8, 2)) * 0.3 * scale,
            "std": rng.uniform(0.1, 0.3, (8, 2)) * scale,
        }
        for mode in MODES:
            model = motion_model(formulation, 8, 0.2, mode=mode, wheelbase=2.7)
            out[f"{formulation}, {mode}"] = (model, point)
    return out


case: Case[Moments] = Case(
    name="motion-moments",
    system="motion",
    summary="Exact, linear and diagonal moments of stochastic trajectories against Monte Carlo.",
    Config=Moments,
    simulate=simulate,
    presets={"smoke": {"samples": 4096}, "paper": {"samples": 131072, "observed": 2000}},
    problem=problem,
    checks=checks,
    figures={
        "Mean path and 90 % ellipse at 8 s, each mode over Monte Carlo": _ellipses,
        "Paths inside the nominal 90 % ellipse at 8 s": _covered,
    },
    models=models,
    origin="Monte Carlo paths of known inputs",
)
