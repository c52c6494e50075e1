"""Figures of the case ``pde-landscape``: decays, conditions, spectra and surfaces."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["EQUATIONS", "GAUSSIANS", "decay_figure", "explained_figure", "spectra_figure", "surface_figure"]


EQUATIONS = ("convection", "burgers")
GAUSSIANS = {"pi/4": math.pi / 4, "pi/32": math.pi / 32}
"""Widths of the Gaussians whose decay is shown beside the sine's."""
DARK = "#2b2f36"


def decay_figure(data: xr.Dataset) -> Figure:
    """Tails of the singular values over the number of modes."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, axes = canvas(1, 3, 11.0, 3.7)
    left, middle, right = np.ravel(axes)
    speeds, fastest = data["c"].values, float(data["c"].max())
    for colour, name in zip(COLOURS, ("sine", *GAUSSIANS), strict=False):
        line = data["tail"].sel(solution=name, c=fastest, set="space")
        label = "sin x" if name == "sine" else f"Gaussian, σ = {name.replace('pi', 'π')}"
        left.plot(line["mode"], line, color=colour, label=label)
    for colour, c in zip(COLOURS, speeds, strict=False):
        line = data["tail"].sel(solution="burgers", c=c, set="space")
        middle.plot(line["mode"], line, color=colour, label=f"c = {c:g}")
    for colour, name, label in zip(COLOURS, ("displacement", "value"), ("x − X", "u"), strict=False):
        line = data["tail"].sel(solution="burgers", set=name)
        for i, c in enumerate(speeds):
            right.plot(line["mode"], line.sel(c=c), color=colour, label=None if i else f"{label}, every c")
    left.set(title=f"Convection in space, c = {fastest:g}", ylabel="share that n modes leave")
    middle.set(title=f"Burgers in space, ν = {data.attrs['viscosity']:g}")
    right.set(title="Burgers on labels")
    for ax in (left, middle, right):
        for bar in data["bar"].values:
            ax.axhline(bar, color="#8a8f98", lw=0.7, ls=":")
        ax.set(yscale="log", ylim=(1e-8, 2), xlim=(0, 64), xlabel="modes n")
        ax.legend(loc="lower right" if ax is left else "upper right")
    return figure


def _runs(data: xr.Dataset, equation: str) -> list[tuple[str, xr.Dataset]]:
    """Return networks with their names: one a speed in space, one for all on labels."""
    space = data.sel(equation=equation, frame="space")
    runs = [(f"in space, c = {c:g}", space.sel(c=c)) for c in data["c"].values]
    return [*runs, ("on labels, every c", data.sel(equation=equation, frame="labels").isel(c=0))]


def explained_figure(data: xr.Dataset) -> Figure:
    """Modes, conditions and errors over the speed."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, axes = canvas(1, 3, 11.0, 3.7)
    left, middle, right = np.ravel(axes)
    at, names = np.arange(data.sizes["c"]), {"sine": "convection of sin x", "burgers": "Burgers"}
    for colour, equation, solution, size in zip(COLOURS, EQUATIONS, names, (4, 8), strict=False):
        needed = data["modes_needed"].sel(solution=solution, bar=1e-4)
        for frame, sets, style in (("space", "space", "o-"), ("labels", "value", "s--")):
            one = data.sel(equation=equation, frame=frame)
            look: dict[str, Any] = {
                "color": colour,
                "markersize": size,
                "linewidth": 0.4 * size,
                "zorder": 4 - size / 8,
            }
            label = f"{names[solution]}, {'in space' if frame == 'space' else 'on labels'}"
            left.plot(at, needed.sel(set=sets), style, label=label, **look)
            middle.plot(at, one["effective_condition"].sel(when="start", share=0.9), style, **look)
            right.plot(at, one["error"], style, **look)
    left.set(title="Modes of the exact solution", ylabel="modes that leave less than 1e-4")
    middle.set(title="Condition before training", ylabel="λ₁ / λₖ for 90 % of the residual", yscale="log")
    right.set(title=f"Error after {data.attrs['steps']} steps", ylabel="relative error of u", yscale="log")
    for ax in (left, middle, right):
        ax.set_xticks(at, [f"{c:g}" for c in data["c"].values])
        ax.set_xlabel("speed c of the stream")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def spectra_figure(data: xr.Dataset) -> Figure:
    """Spectra of Gauss-Newton and of the tangent kernel, and what gradient descent leaves."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, axes = canvas(2, 3, 11.0, 6.2)
    for row, equation in zip(axes, EQUATIONS, strict=True):
        runs, name = _runs(data, equation), equation.capitalize()
        for (label, one), colour in zip(runs, [*COLOURS[: len(runs) - 1], DARK], strict=False):
            style = "--" if colour == DARK else "-"
            for ax, when in zip(row, ("start", "trained"), strict=False):
                ax.plot(one["direction"], one["eigenvalue"].sel(when=when), color=colour, ls=style, label=label)
            row[2].plot(one["step"], one["descent"].sel(when="start"), color=colour, ls=style)
        for ax, when in zip(row, ("before", "after"), strict=False):
            ax.set(yscale="log", xscale="log", ylim=(1e-12, None), title=f"{name}, {when} training")
            ax.set(xlabel="k", ylabel="λₖ of JᵀJ and of JJᵀ")
        row[2].set(yscale="log", xscale="log", ylim=(1e-5, 1.5), title=f"{name}: gradient descent")
        row[2].set(xlabel="steps of length 1 / λ₁", ylabel="linearised loss / loss before")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def surface_figure(data: xr.Dataset, equation: str, scale: str = "unit") -> Figure:
    """Loss around trained weights, networks in space beside those on labels: one colour scale a row."""
    from retrodict.cases.plots import canvas

    runs = _runs(data, equation)
    figure, axes = canvas(2, len(runs), 2.25 * len(runs) + 1.0, 5.2)
    for row, name, label in zip(
        axes, ("log_ratio", "loss"), ("log₁₀ (loss / loss at the centre)", "log₁₀ loss"), strict=True
    ):
        heights = [one[name].sel(scale=scale).values.T for _, one in runs]
        heights = [np.log10(np.maximum(z, 1e-300)) for z in heights] if name == "loss" else heights
        low = 0.0 if name == "log_ratio" else float(np.floor(np.percentile(heights, 1)))
        colours: dict[str, Any] = {"vmin": low, "vmax": float(np.percentile(heights, 99.9)), "cmap": "viridis"}
        for ax, z, (title, one) in zip(row, heights, runs, strict=True):
            at = float(one["reach"].sel(scale=scale)) * one["a"].values
            ax.pcolormesh(at, at, z, shading="nearest", rasterized=True, **colours)
            ax.contour(at, at, z, levels=np.arange(-30, 30), colors="white", linewidths=0.5, linestyles="solid")
            ax.set(aspect="equal", title=title if name == "log_ratio" else "")
            ax.grid(visible=False)
        figure.colorbar(row[0].collections[0], ax=row, shrink=0.9, label=label)
        row[0].set_ylabel("step along v₂")
    for ax, (_, one) in zip(axes[1], runs, strict=True):
        center, bend, negative = (float(one[k]) for k in ("center", "lambda_1", "negative"))
        convex = float(one["convexity"].sel(scale=scale))
        text = f"centre {center:.0e}, λ₁ = {bend:.0e}\nconvex {convex:.0%}, |λmin|/λ₁ ≥ {negative:.0e}".replace(
            "0e+00", "0"
        )
        ax.set_xlabel(f"step along v₁\n{text}", fontsize=8.5)
    return figure
