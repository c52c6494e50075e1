"""Figures of the cases of detailed flames: profiles, speeds, sensitivities, convergence, strain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "bars_of",
    "convergence_figure",
    "counterflow_figure",
    "curvature_figure",
    "profile_figure",
    "speed_figure",
    "strain_figure",
]

_SHOWN = 6  # species in a figure, bars of reactions times two


def _largest(flame: xr.Dataset) -> list[str]:
    """Return the species that change most along a flame, the diluent last if at all."""
    change = np.ptp(flame["Y"].values, axis=0)
    order = np.argsort(-change)[:_SHOWN]
    return [str(flame["species"].values[k]) for k in order if change[k] > 0]


def _empty(why: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    from retrodict.cases.plots import canvas

    figure, ax = canvas(1, 1, 6.4, 1.2)
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, ha="center", va="center", transform=ax.transAxes)
    return figure


def _window(x: Any, T: Any) -> tuple[float, float]:
    """Return the part of the domain, in mm, where the temperature changes, with margins."""
    if np.ptp(T) < 1:
        return 1e3 * x[0], 1e3 * x[-1]
    rise = np.flatnonzero(np.abs(np.gradient(T, x)) > 2e-2 * np.abs(np.gradient(T, x)).max())
    a, b = x[rise[0]], x[rise[-1]]
    return 1e3 * max(x[0], a - 0.3 * (b - a)), 1e3 * min(x[-1], b + 0.3 * (b - a))


def _shift(data: xr.Dataset, flame: xr.Dataset) -> float:
    """Return by how much the reference must move for both to reach their half temperature at one place."""
    T, x = flame["T"].values, flame["x"].values
    half = (T[0] + T.max()) / 2
    ours = np.interp(half, T[: T.argmax() + 1], x[: T.argmax() + 1])
    T, x = data["reference_T"].values, data["reference_x"].values
    return float(ours - np.interp(half, T[: T.argmax() + 1], x[: T.argmax() + 1]))


def profile_figure(data: xr.Dataset) -> Figure:
    """Draw temperature, velocity and mass fractions of the flame shown in detail; Cantera as dots."""
    from retrodict.cases.plots import COLOURS, canvas

    flame = data.isel(phi=int(data.attrs["detail"]))
    figure, axes = canvas(2, 1, 7.0, 6.0)
    top, low = axes.ravel()
    x, shown = 1e3 * flame["x"].values, _largest(flame)
    right = top.twinx()
    top.plot(x, flame["T"].values, color=COLOURS[1], label="temperature")
    right.plot(x, flame["u"].values, color=COLOURS[0], label="velocity")
    for k, name in enumerate(shown):
        low.plot(x, flame["Y"].sel(species=name).values, color=COLOURS[k % len(COLOURS)], label=name)
    if "reference_x" in data:
        at = 1e3 * (data["reference_x"].values + _shift(data, flame))
        dots: Any = {"linestyle": "none", "marker": "o", "markersize": 2.6}
        top.plot(at, data["reference_T"].values, color=COLOURS[1], label="Cantera, refined, shifted", **dots)
        right.plot(at, data["reference_u"].values, color=COLOURS[0], **dots)
        for k, name in enumerate(shown):
            low.plot(at, data["reference_Y"].sel(species=name).values, color=COLOURS[k % len(COLOURS)], **dots)
    top.set(ylabel="temperature (K)", title=f"phi = {float(flame['phi']):g}")
    right.set(ylabel="velocity (m/s)")
    right.grid(visible=False)
    top.legend([*top.lines[:1], *right.lines[:1], *top.lines[1:]], ["temperature", "velocity", "Cantera, own nodes"])
    low.set(xlabel="x (mm)", ylabel="mass fraction")
    low.legend(ncols=3)
    for ax in (top, low):
        ax.set_xlim(*_window(flame["x"].values, flame["T"].values))
    return figure


def speed_figure(data: xr.Dataset) -> Figure:
    """Draw the burning velocity over equivalence ratio with references, and how far these are from the limit."""
    from retrodict.cases.plots import COLOURS, canvas

    if "s_L" not in data:
        return _empty("no flame was found")
    figure, axes = canvas(1, 2, 8.6, 3.6)
    ax, error = axes.ravel()
    phi = data["phi"].values
    limit = data["s_L_limit"].values if "s_L_limit" in data else data["s_L"].values
    ax.plot(phi, 100 * limit, "-", color=COLOURS[0], label="extrapolated")
    series = [("s_L", "our nodes", "o", 0), ("s_L_cantera", "Cantera, same nodes", "s", 1)]
    series.append(("s_L_authors", "Wu et al., Cantera, 501 nodes, 2.5 mm", "^", 2))
    for name, label, marker, colour in series:
        if name in data:
            style: Any = {"linestyle": "none", "marker": marker, "color": COLOURS[colour], "markersize": 5}
            ax.plot(phi, 100 * data[name].values, **style, label=label)
            off = np.abs(data[name].values / limit - 1)
            error.semilogy(phi, np.where(off > 0, off, np.nan), **style)
    ax.set(xlabel="equivalence ratio", ylabel="burning velocity (cm/s)")
    error.set(xlabel="equivalence ratio", ylabel="relative difference from the limit")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def bars_of(data: xr.Dataset) -> Figure:
    """Draw the sensitivities of the most important reactions, one bar an equivalence ratio (at most four)."""
    from retrodict.cases.flame_figures import bars

    if "sensitivity" not in data:
        return _empty("no flame was found")
    S = data["sensitivity"].values
    order = np.argsort(-np.nanmax(np.abs(S), axis=0))[: 2 * _SHOWN]
    chosen = np.unique(np.linspace(0, len(S) - 1, min(4, len(S))).round().astype(int))
    values = {f"phi = {float(data['phi'][k]):g}": S[k, order] for k in chosen}
    return bars(values, [str(data["equation"].values[r]) for r in order], "dln s_L / dln k")


def convergence_figure(data: xr.Dataset) -> Figure:
    """Draw the error of the burning velocity over the number of nodes, relative to the finest extrapolated value."""
    from retrodict.cases.plots import COLOURS, canvas

    if "convergence_limit" not in data:
        return _empty("no grids were asked for, or no flame was found")
    figure, ax = canvas(1, 1, 6.4, 4.0)
    nodes, best = data["convergence_nodes"].values, float(data["convergence_limit"].values[-1])
    labels = {
        "upwind": "first order",
        "cantera": "Cantera, same nodes",
        "central": "second order",
        "limit": "second order, extrapolated",
    }
    for k, (name, label) in enumerate(labels.items()):
        if f"convergence_{name}" in data:
            error = np.abs(data[f"convergence_{name}"].values / best - 1)
            shown = slice(None, -1) if name == "limit" else slice(None)  # the last one is what all are held against
            ax.loglog(nodes[shown], error[shown], "o--" if name == "cantera" else "o-", color=COLOURS[k], label=label)
    ax.set(xlabel="nodes", ylabel=f"relative error against {best:.6f} m/s")
    ax.set_xticks(nodes, [str(n) for n in nodes])
    ax.minorticks_off()
    ax.legend()
    return figure


def counterflow_figure(data: xr.Dataset) -> Figure:
    """Draw velocity, radial velocity, temperature and mass fractions of the flame shown in detail; Cantera as dots."""
    from retrodict.cases.plots import COLOURS, canvas

    flame = data.isel(phi=int(data.attrs["detail"]))
    figure, axes = canvas(2, 2, 9.0, 6.0)
    x, shown, dots = 1e3 * flame["x"].values, _largest(flame), {"linestyle": "none", "marker": "o", "markersize": 2.6}
    at = 1e3 * data["reference_x"].values if "reference_x" in data else None
    names = (("u", "axial velocity (m/s)"), ("V", "radial velocity over radius (1/s)"), ("T", "temperature (K)"))
    for ax, (name, label), colour in zip(axes.flat, names, COLOURS, strict=False):
        ax.plot(x, flame[name].values, color=colour, label="ours")
        if at is not None:
            ax.plot(at, data[f"reference_{name}"].values, color=colour, label="Cantera, refined", **dots)
        ax.set(ylabel=label)
        ax.legend()
    low = axes[1, 1]
    for k, name in enumerate(shown):
        low.plot(x, flame["Y"].sel(species=name).values, color=COLOURS[k], label=name)
        if at is not None:
            low.plot(at, data["reference_Y"].sel(species=name).values, color=COLOURS[k], **dots)
    low.set(ylabel="mass fraction")
    low.legend(ncols=2)
    axes[0, 0].set_title(f"phi = {float(flame['phi']):g}")
    for ax in axes[1]:
        ax.set_xlabel("x (mm)")
    return figure


def curvature_figure(data: xr.Dataset) -> Figure:
    """Draw the pressure curvature and the highest temperature over equivalence ratio with references."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, axes = canvas(1, 2, 8.6, 3.8)
    for ax, name, label in zip(
        axes.ravel(), ("Lambda", "T_max"), ("Lambda (Pa/m2)", "highest temperature (K)"), strict=True
    ):
        burning = data["burning"].values == 1
        ax.plot(data["phi"].values[burning], data[name].values[burning], "-", color=COLOURS[0], label="ours")
        if not burning.all():
            ax.plot(data["phi"].values[~burning], data[name].values[~burning], "x", color=COLOURS[3], label="no flame")
        for k, (who, text) in enumerate((("cantera", "Cantera, refined"), ("authors", "Wu et al., 501 even nodes")), 1):
            if f"{name}_{who}" in data:
                marker: Any = {"linestyle": "none", "marker": "os^"[k], "markersize": 5, "fillstyle": "none"}
                ax.plot(data["phi"].values, data[f"{name}_{who}"].values, color=COLOURS[k], label=text, **marker)
        ax.set(xlabel="equivalence ratio", ylabel=label)
    figure.legend(*axes.ravel()[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def strain_figure(data: xr.Dataset) -> Figure:
    """Draw the highest temperature over the mass flux of the left stream, up to extinction."""
    from retrodict.cases.plots import COLOURS, canvas

    if "sweep_flux" not in data:
        return _empty("no sweep was asked for, or no flame was found to begin with")
    figure, ax = canvas(1, 1, 6.4, 3.8)
    flux, T = data["sweep_flux"].values, data["sweep_T_max"].values
    ax.plot(flux, T, "o-", color=COLOURS[0], markersize=3, label="burning")
    if data.attrs["sweep_ended"] == "extinguished":
        ax.axvline(flux[-1], color=COLOURS[1], linestyle="--", linewidth=1, label=f"last flame: {flux[-1]:.3g} kg/m2/s")
    ax.set(xlabel="mass flux of the left stream (kg/m2/s)", ylabel="highest temperature (K)")
    ax.set_title(f"phi = {float(data['phi'][int(data.attrs['detail'])]):g}")
    ax.legend()
    return figure
