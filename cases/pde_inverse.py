"""Case ``pde-inverse``: velocity and diffusivity of a stream, and its initial field, from noisy samples at points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.motion_figures import DATA, MODEL, WHITE, ellipse
from retrodict.cases.pde_inverse_checks import checks
from retrodict.cases.pde_inverse_setup import PdeInverse, bump, draw, posed, search, system_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["case"]


def simulate(config: PdeInverse, seeds: Seeds) -> xr.Dataset:
    """Return synthetic samples."""
    return draw(config, seeds.stream("data"), config.velocity, config.diffusivity).to_dataset()


def problem(config: PdeInverse, seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the problem of the synthetic samples or of a user's, beginning at the best velocity of a coarse scan."""
    from dataclasses import replace

    from retrodict.inverse.pde.coefficients import field_model, model_values
    from retrodict.inverse.pde.forward import INITIAL
    from retrodict.inverse.pde.samples import Samples, read_samples
    from retrodict.inverse.pde.stream_scan import scan_stream
    from retrodict.physics.errors import DataError, expected

    if data is None:
        samples = Samples.of(simulate(config, seeds))
    else:
        samples = read_samples(data, config.noise if config.given("noise") else None)
        config.ask(data, *(() if config.unknown_harmonics else ("width",)))
    if not (samples.t > 0).any():
        raise DataError(expected(samples.where, "samples at t = 0 alone", "later ones: c and nu are not identifiable"))
    truth = (config.velocity, config.diffusivity) if data is None else None
    found = posed(config, samples, config.unknown_harmonics, truth)
    if samples.count <= found.space.size:
        wanted = f"more than {found.space.size}, the number of unknowns"
        raise DataError(expected(samples.where, f"{samples.count} samples", wanted))
    scan = scan_stream(field_model(found), found.start, model_values(found), (0.0, config.highest))
    best = dict(scan.points[scan.minima(1)[0]])
    names = [k for k in found.space if k != INITIAL]
    start = {**best, **{k: np.clip(best[k], *found.space[k].bounds) for k in names}}
    return replace(found, start=start)


def posterior(found: InverseProblem, at: Tree) -> xr.Dataset:
    """Return the posterior at the estimate, with the velocity that fits second best."""
    from retrodict.inverse.pde.inference import stream_posterior

    other = search(found)
    post = stream_posterior(found, (at, *other.minima[1:]), other.gaps)
    assert other.scan is not None
    post["chi2"] = ("speed", other.scan.chi2)
    return post.assign_coords(speed=("speed", other.scan.speeds))


def _samples_figure(data: xr.Dataset) -> Figure:
    """Samples over space and time."""
    from retrodict.cases.plots import canvas

    figure, ax = canvas(1, 1, 6.4, 3.6)
    dots = ax.scatter(data["t"], data["x"], c=data["u"], s=14, cmap="viridis")
    ax.set(xlabel="t", ylabel="x")
    figure.colorbar(dots, ax=ax, label="u")
    return figure


def _field_figure(outcome: FitOutcome) -> Figure:
    """Samples on the fitted field."""
    from retrodict.cases.plots import canvas
    from retrodict.inverse.pde.coefficients import field_model

    model = field_model(outcome.problem)
    (t0, t1), (low, high) = model.system.coords["t"].bounds, model.system.coords["x"].bounds
    t, x = np.meshgrid(np.linspace(t0, t1, 161), np.linspace(low, high, 121))
    at = outcome.problem.space.from_dataset(outcome.result.data)
    u = model.field(at, x.ravel(), t.ravel()).reshape(x.shape)
    figure, ax = canvas(1, 1, 6.4, 3.6)
    ax.grid(visible=False)
    image = ax.pcolormesh(t, x, u, cmap="viridis", shading="auto", rasterized=True)
    seen = model.samples
    place = low + np.mod(seen.x - low, high - low)
    ax.scatter(seen.t, place, c=seen.u, s=14, cmap="viridis", edgecolor="white", linewidth=0.4, norm=image.norm)
    ax.set(xlabel="t", ylabel="x")
    figure.colorbar(image, ax=ax, label="u")
    return figure


def _scan_figure(outcome: FitOutcome) -> Figure:
    """Misfit over velocity."""
    from retrodict.cases.plots import canvas

    post = outcome.posterior
    assert post is not None
    figure, ax = canvas(1, 1, 7.0, 3.2)
    ax.plot(post["speed"], post["chi2"], color=MODEL, linewidth=1, label="scan")
    best, second = (float(post[k].sel(parameter="c")) for k in ("estimate", "second_minimum"))
    ax.axvline(best, color=DATA, linewidth=0.8, linestyle="--", label=f"c = {best:.3f}")
    if np.isfinite(second):
        gap = f"second, {post.attrs['chi2_gap']:.3g} above"
        ax.axvline(second, color=WHITE, linewidth=0.8, linestyle=":", label=gap)
    ax.set(xlabel="c", ylabel="chi-squared", yscale="log")
    ax.legend()
    return figure


def _ellipse_figure(outcome: FitOutcome) -> Figure:
    """Posterior of c and nu."""
    from retrodict.cases.plots import canvas

    post = outcome.posterior
    assert post is not None
    centre, covariance = post["estimate"].values[:2], post["covariance"].values[:2, :2]
    figure, ax = canvas(1, 1, 4.6, 3.6)
    for level in (0.68, 0.95) if np.isfinite(covariance).all() else ():
        ax.plot(*ellipse(centre, covariance, level), color=MODEL, linewidth=1.2, label=f"{level:.0%}")
    ax.plot(*centre, "o", color=MODEL, markersize=4)
    if "truth" in post:
        ax.plot(*post["truth"].values[:2], "x", color=WHITE, label="truth")
    ax.set(xlabel="c", ylabel="nu")
    ax.ticklabel_format(useOffset=False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _initial_figure(outcome: FitOutcome) -> Figure:
    """Initial field with its band, inferred together with c and nu from the same samples."""
    from retrodict.cases.plots import canvas
    from retrodict.inverse.pde.coefficients import field_model
    from retrodict.inverse.pde.inference import infer
    from retrodict.inverse.pde.initial_field import initial_band

    assert isinstance(outcome.config, PdeInverse)
    config = outcome.config
    free = posed(config, field_model(outcome.problem).samples, config.unknown_harmonics or 8)
    start = {k: np.asarray(outcome.result.data[k], float) for k in ("c", "nu")}
    found = infer(type(free)(free.space, free.terms, {**free.start, **start}, name=free.name))
    x = np.linspace(0, config.period, 241)
    mean, std = initial_band(found.problem, found.posterior, x)
    figure, ax = canvas(1, 1, 6.4, 3.2)
    if np.isfinite(std).all():
        ax.fill_between(x, mean - 2 * std, mean + 2 * std, color=MODEL, alpha=0.3, linewidth=0, label="two deviations")
    ax.plot(x, mean, color=MODEL, label="inferred")
    if outcome.problem.truth is not None:
        ax.plot(x, bump(config, x), color=DATA, linewidth=0.9, linestyle="--", label="truth")
    ax.set(xlabel="x", ylabel="u at t = 0")
    ax.legend()
    return figure


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return the forward models of a linear and a nonlinear equation."""
    from retrodict.inverse.pde.expansion import Expansion
    from retrodict.inverse.pde.forward import INITIAL, SampledField
    from retrodict.inverse.pde.harmonics import Harmonics
    from retrodict.inverse.pde.samples import Samples
    from retrodict.physics.pde.burgers import burgers

    rng, point = np.random.default_rng(0), {"c": np.array(3.0), "nu": np.array(0.1)}
    at = Samples(rng.uniform(0, 6, 30), rng.uniform(0, 1, 30), np.zeros(30), 0.01)
    start, config = Harmonics(3, 2 * math.pi), PdeInverse()
    free = Expansion(system_of(config), 80, initial=start)
    linear = SampledField(system_of(config), at, ["c", "nu"], free)
    steep = SampledField(burgers(0.1), at, ["c", "nu"], Expansion(burgers(0.1), 80))
    field = start.project(lambda x: bump(config, x))
    return {"convection-diffusion": (linear, {**point, INITIAL: field}), "Burgers": (steep, point)}


case: Case[PdeInverse] = Case(
    name="pde-inverse",
    system="pde",
    summary="Velocity, diffusivity and initial field of a stream from noisy samples, without a good start.",
    Config=PdeInverse,
    simulate=simulate,
    presets={
        "smoke": {"fits": 4, "features": 250, "training": 0},
        "default": {},
        "paper": {"fits": 100, "training": 400},
    },
    problem=problem,
    posterior=posterior,
    checks=checks,
    figures={"Samples over space and time": _samples_figure},
    fit_figures={
        "Samples on the fitted field": _field_figure,
        "Chi-squared over the velocity of the stream": _scan_figure,
        "Posterior of velocity and diffusivity": _ellipse_figure,
        "Initial field inferred with velocity and diffusivity": _initial_figure,
    },
    models=models,
    origin="the sum of Fourier modes at random points, with noise",
)
