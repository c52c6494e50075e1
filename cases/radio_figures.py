"""Figures of the simulated radio cases: sky and dirty image, coverage, images of all methods, gains, convergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.radio_setup import METHODS, Observation, compared

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome

__all__ = ["convergence_figure", "coverage_figure", "gain_figure", "image_figure", "screen_figure", "sky_figure"]

Floats = NDArray[np.float64]

_ARCSEC = 180 * 3600 / np.pi


def sky_figure(data: xr.Dataset) -> Figure:
    """Draw the sky beside its dirty image."""
    from retrodict.cases.plots import canvas

    figure, axes = canvas(1, 2, 8.4, 3.9)
    sky, dirty = data["sky"].values, data["dirty"].values
    extent = _extent(data["x"].values)
    _logarithmic(axes[0, 0], sky, sky.max(), extent, "sky [Jy/pixel]")
    top = float(np.abs(dirty).max())
    shown = axes[0, 1].imshow(dirty.T, origin="lower", extent=extent, cmap="RdBu_r", vmin=-top, vmax=top)
    axes[0, 1].set_title("dirty image, no calibration [Jy/beam]")
    figure.colorbar(shown, ax=axes[0, 1], shrink=0.8)
    _labels(axes.ravel())
    _quiet(figure)
    return figure


def coverage_figure(data: xr.Dataset) -> Figure:
    """Draw where the baselines went, and the visibilities over their length."""
    from retrodict.cases.plots import COLOURS, canvas

    figure, axes = canvas(1, 2, 8.4, 3.9)
    u, v = data["u"].values / 1e3, data["v"].values / 1e3
    every = max(1, u.size // 20000)
    for sign in (1, -1):
        axes[0, 0].plot(sign * u[::every], sign * v[::every], ",", color=COLOURS[0])
    axes[0, 0].set(xlabel="u [kilo-wavelength]", ylabel="v [kilo-wavelength]", aspect="equal")
    axes[0, 1].semilogy(np.hypot(u, v)[::every], data["amplitude"].values[::every], ",", color=COLOURS[0])
    axes[0, 1].axhline(data.attrs["noise"] * np.sqrt(np.pi / 2), color=COLOURS[1], label="mean of noise alone")
    axes[0, 1].set(xlabel="baseline [kilo-wavelength]", ylabel="amplitude [Jy]")
    axes[0, 1].legend()
    return figure


def screen_figure(data: xr.Dataset) -> Figure:
    """Draw the true gains of some antennas over the field."""
    from retrodict.cases.plots import canvas

    gains = data["gain_re"].values + 1j * data["gain_im"].values
    figure, axes = canvas(2, gains.shape[0], 2.6 * gains.shape[0], 4.8)
    extent = _extent(data["x"].values)
    _screens(figure, axes, gains, extent, [f"antenna {a}" for a in data["antenna"].values])
    _quiet(figure)
    return figure


def image_figure(outcome: FitOutcome) -> Figure:
    """Draw sky and images of all methods on one logarithmic scale, and what each got wrong on another."""
    from retrodict.cases.plots import canvas
    from retrodict.solvers.radio.gauge import signal_to_noise

    seen: Observation = outcome.problem
    images = {"joint": outcome.result.data["image"].values}
    if seen.config.compare:
        images |= compared(seen.config)
    names = [m for m in METHODS if m in images]
    figure, axes = canvas(2, len(names) + 1, 2.5 * (len(names) + 1), 5.2)
    extent = _extent(np.asarray(seen.grid.coordinates * seen.grid.cell, np.float64))
    top = float(seen.sky.max())
    shape = _grown if seen.config.sky == "points" else np.asarray
    _logarithmic(axes[0, 0], shape(seen.sky), top, extent, "sky")
    axes[1, 0].axis("off")
    for j, name in enumerate(names, 1):
        image = images[name]
        factor = float(np.vdot(image, seen.sky) / np.vdot(image, image))
        snr = signal_to_noise(image, seen.sky)
        shown = _logarithmic(axes[0, j], shape(factor * image), top, extent, f"{name}\n{snr:.1f} dB")
        error = shape(factor * image - seen.sky)
        limit = 0.05 * top
        wrong = axes[1, j].imshow(error.T, origin="lower", extent=extent, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axes[0].tolist(), shrink=0.8, label="Jy/pixel")
    figure.colorbar(wrong, ax=axes[1].tolist(), shrink=0.8, label="error [Jy/pixel]")
    _labels([axes[0, 0]])
    _quiet(figure)
    return figure


def gain_figure(outcome: FitOutcome) -> Figure:
    """Draw the gains of some antennas over time towards the brightest pixel, found and true."""
    from retrodict.cases.plots import COLOURS, canvas

    seen: Observation = outcome.problem
    found, times = _found(seen, outcome.result.data), seen.vis.slots[1]
    at = np.unravel_index(int(seen.sky.argmax()), seen.grid.shape)
    x, y = (seen.grid.coordinates[[i]].astype(float) for i in at)
    kernels = seen.model().kernels
    ours = kernels.screens(kernels.at(found, times), x, y)[..., 0]
    true = np.stack([seen.gains.values(t, x, y)[:, 0] for t in range(times.size)])
    # data leave one complex number for each direction open that all antennas share: compare without it
    common = np.sum(np.conj(ours) * true) / np.sum(np.abs(ours) ** 2)
    ours = ours * common
    figure, axes = canvas(2, 1, 7.0, 5.0)
    hours = (times - times.mean()) / 3600
    for j, antenna in enumerate(_some(ours.shape[1])):
        colour = COLOURS[j % len(COLOURS)]
        name = seen.vis.antennas[antenna]
        axes[0, 0].plot(hours, np.abs(true[:, antenna]), "--", color=colour)
        axes[0, 0].plot(hours, np.abs(ours[:, antenna]), color=colour, label=f"antenna {name}")
        axes[1, 0].plot(hours, np.rad2deg(np.angle(true[:, antenna])), "--", color=colour)
        axes[1, 0].plot(hours, np.rad2deg(np.angle(ours[:, antenna])), color=colour)
    axes[0, 0].set(ylabel="amplitude", title="towards the brightest pixel: found (solid), true (dashed)")
    axes[1, 0].legend(*axes[0, 0].get_legend_handles_labels(), ncols=4, fontsize="small")
    axes[1, 0].set(xlabel="time from transit [h]", ylabel="phase [degree]")
    return figure


def convergence_figure(outcome: FitOutcome) -> Figure:
    """Draw signal to noise, residuals and held-out residuals over the outer steps."""
    from retrodict.cases.plots import COLOURS, canvas

    history = outcome.result.history
    figure, axes = canvas(1, 2, 8.4, 3.2)
    step = history["step"].values
    axes[0, 0].plot(step, history["snr"].values, color=COLOURS[0])
    axes[0, 0].set(xlabel="outer step", ylabel="signal to noise of the image [dB]")
    axes[0, 1].semilogy(step, history["chi2"].values, color=COLOURS[0], label="fitted slots")
    axes[0, 1].semilogy(step, history["held_out"].values, color=COLOURS[1], label="slots held out")
    axes[0, 1].axhline(1.0, color="0.6", lw=0.8)
    axes[0, 1].set(xlabel="outer step", ylabel="mean square of residual / noise")
    axes[0, 1].legend()
    return figure


def _found(seen: Observation, data: xr.Dataset) -> NDArray[np.complex128]:
    return np.asarray(seen.model().domain.from_dataset(data)["gains"])


def _some(count: int) -> list[int]:
    return sorted({0, count // 3, 2 * count // 3, count - 1})


def _grown(image: Floats) -> Floats:
    """Return an image whose pixels cover their neighbours: a source of one pixel is hard to see."""
    from scipy.ndimage import maximum_filter, minimum_filter

    high, low = maximum_filter(image, 3), minimum_filter(image, 3)
    return np.asarray(np.where(high >= -low, high, low))


def _extent(x: Floats) -> tuple[float, float, float, float]:
    low, high = float(x[0]) * _ARCSEC, float(x[-1]) * _ARCSEC
    return (low, high, low, high)


def _logarithmic(ax: Any, image: Floats, top: float, extent: tuple[float, float, float, float], title: str) -> Any:
    from matplotlib.colors import LogNorm

    clipped = np.maximum(image, 1e-4 * top)
    shown = ax.imshow(clipped.T, origin="lower", extent=extent, cmap="inferno", norm=LogNorm(1e-4 * top, top))
    ax.set_title(title, fontsize="medium")
    return shown


def _screens(
    figure: Figure,
    axes: Any,
    gains: NDArray[np.complex128],
    extent: tuple[float, float, float, float],
    titles: list[str],
) -> None:
    amplitude, phase = np.abs(gains), np.rad2deg(np.angle(gains))
    spread = float(np.abs(amplitude - 1).max())
    turn = float(np.abs(phase).max())
    for j, title in enumerate(titles):
        one = axes[0, j].imshow(
            amplitude[j].T, origin="lower", extent=extent, cmap="PuOr", vmin=1 - spread, vmax=1 + spread
        )
        two = axes[1, j].imshow(phase[j].T, origin="lower", extent=extent, cmap="twilight", vmin=-turn, vmax=turn)
        axes[0, j].set_title(title, fontsize="medium")
    figure.colorbar(one, ax=axes[0].tolist(), shrink=0.8, label="amplitude")
    figure.colorbar(two, ax=axes[1].tolist(), shrink=0.8, label="phase [degree]")


def _quiet(figure: Figure) -> None:
    """Take the grid lines off pictures."""
    for ax in figure.axes:
        if ax.images:
            ax.grid(visible=False)


def _labels(axes: Any) -> None:
    for ax in axes:
        ax.set(xlabel="west [arcsec]", ylabel="north [arcsec]")
