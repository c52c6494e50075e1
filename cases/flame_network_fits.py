"""What ``fit`` does in the cases of detailed flames: networks, with Newton's flames beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from retrodict.cases.config import HostConfig, setting
from retrodict.cases.flame_setup import BUNDLED, mechanism_of, mixtures, source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from retrodict.cases.fit import FitOutcome
    from retrodict.physics.flames.systems import FreeFlameSystem
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.flames.networks import FlameTrainer

__all__ = [
    "NetworkSettings",
    "counterflow_fit_figure",
    "counterflow_trainer",
    "premixed_fit_figure",
    "premixed_system",
    "premixed_trainer",
]

_SHOWN = 4  # species in a figure


class NetworkSettings(HostConfig):
    """Settings of the networks that ``fit`` trains.

    Examples
    --------
    >>> NetworkSettings().network
    'least-squares'
    """

    network: Literal["least-squares", "quasi-newton", "paper"] = setting(
        "least-squares", "", "training by fit: least-squares, quasi-newton, or the paper's plan with Adam"
    )
    network_steps: int = setting(150, "", "steps of the training by fit", ge=10, le=100_000)
    network_points: int = setting(120, "", "points of the equations in fit", ge=20, le=10_000)
    network_width: int = setting(12, "", "width of the networks of fit", ge=2, le=512)
    network_depth: int = setting(3, "", "depth of the networks of fit", ge=1, le=12)
    network_bar: float = setting(1e-3, "1", "scaled residual at which a training by fit has converged", gt=0)
    max_steps: int = setting(200_000, "", "largest number of steps of a fit", ge=1)


def premixed_system(config: Any, where: str) -> FreeFlameSystem:
    """Return the flame shown in detail as a network sees it: burnt gas imposed at the end of a short domain.

    Parameters
    ----------
    config : Premixed
        Settings of the case.
    where : str
        For messages.

    Raises
    ------
    ConfigError
        If the mixture cannot burn.
    """
    from retrodict.physics.errors import ConfigError, SpaceError
    from retrodict.physics.flames.systems import FreeFlameSystem
    from retrodict.solvers.flames.premixed import burnt

    mech = mechanism_of(source(config))
    Y = mixtures(config, config.T_in)[config.near(config.detail)]
    T_b, Y_b = burnt(mech, config.T_in, config.p, Y)
    anchor = (0.35 * config.network_length, 0.75 * config.T_in + 0.25 * T_b)
    try:
        return FreeFlameSystem(mech, Y, Y_b, config.T_in, T_b, config.p, config.network_length, anchor)
    except SpaceError as error:
        raise ConfigError(f"{where}: {error}") from error


def premixed_trainer(config: Any, seeds: Seeds, data: Path | None) -> FlameTrainer:
    """Return the training of the free flame shown in detail; its burning velocity is an unknown.

    Raises
    ------
    ConfigError
        If data are given: the case has none to fit.
    """
    from retrodict.physics.errors import ConfigError, expected
    from retrodict.solvers.flames.plans import free_flame_trainer

    if data is not None:
        raise ConfigError(expected("--data", data, "no data: flame-mechanism and flame-speeds fit rates to them"))
    small = config.network != "paper"
    return free_flame_trainer(
        premixed_system(config, "fit flame-premixed"),
        config.network,
        steps=config.network_steps,
        points=config.network_points,
        seed=seeds.root,
        width=config.network_width if small else None,
        depth=config.network_depth if small else None,
        tolerance=config.network_bar,
    )


def premixed_fit_figure(outcome: FitOutcome) -> Figure:
    """Draw the network's profiles on those of finite volumes on the same domain, and what is between them."""
    from retrodict.cases.flame_networks import same_domain
    from retrodict.cases.plots import canvas

    trainer, found = outcome.problem, outcome.result.data
    flame = same_domain(trainer.system.base, 801)
    x = flame.equations.x.numpy()
    fields = trainer.fields(found, x)
    ours, theirs = float(found["s_L"]), float(flame.observables()["s_L"])
    names: list[str] = ["T", *_largest(flame.U[:, 1:], trainer.system.base.mechanism.species)]
    column = {"T": 0} | {k: 1 + i for i, k in enumerate(trainer.system.base.mechanism.species)}
    figure, grid = canvas(1, 2, 9.6, 3.6)
    axes: Any = np.ravel(grid)
    for name in names:
        true = flame.U[:, column[name]]
        size = np.ptp(true)
        (line,) = axes[0].plot(1e3 * x, (true - true.min()) / size, linewidth=1, label=name)
        axes[0].plot(1e3 * x[::25], (fields[name][::25] - true.min()) / size, ".", color=line.get_color(), markersize=4)
        axes[1].semilogy(1e3 * x, np.abs(fields[name] - true) / size + 1e-9, linewidth=1, color=line.get_color())
    axes[0].set_title(
        f"s_L: network {ours:.6f}, finite volumes {theirs:.6f} m/s ({ours / theirs - 1:+.1e})", fontsize=9
    )
    axes[0].set_ylabel("share of the range; points: network")
    axes[1].set_ylabel("difference over range")
    axes[0].legend(fontsize=7)
    for ax in axes:
        ax.set_xlabel("x (mm)")
    return figure


def counterflow_trainer(config: Any, seeds: Seeds, data: Path | None) -> FlameTrainer:
    """Return the training to data of Cantera's flame at the authors' conditions: Lambda and E_a are unknown.

    The search begins at an activation energy of 1e8 J/kmol, a fifth too high: there no flame burns, and methods that
    solve a flame at every step cannot begin.

    Raises
    ------
    ConfigError
        If data are given, or the mechanism is not the bundled one.
    """
    from retrodict.cases.flame_network_data import counterflow_data
    from retrodict.physics.errors import ConfigError, expected
    from retrodict.solvers.flames.plans import inverse_trainer

    if data is not None:
        raise ConfigError(expected("--data", data, "no data: the case makes its own with Cantera"))
    if config.mechanism != BUNDLED:
        raise ConfigError(expected("fit flame-counterflow: mechanism", config.mechanism, BUNDLED))
    seen = counterflow_data(config.noise, seeds.root, config.detail)
    small = config.network != "paper"
    return inverse_trainer(
        seen.system(-1e4, 1e8),
        seen.values,
        seen.x,
        config.network,
        steps=config.network_steps,
        points=config.network_points,
        seed=seeds.root,
        width=config.network_width if small else None,
        depth=config.network_depth if small else None,
        tolerance=config.network_bar,
    )


def counterflow_fit_figure(outcome: FitOutcome) -> Figure:
    """Draw the network on its data, with what it found and what Gauss-Newton finds from there."""
    from retrodict.cases.flame_network_data import counterflow_data
    from retrodict.cases.flame_network_inverse import gauss_newton, handed_over
    from retrodict.cases.plots import canvas

    trainer, found, config = outcome.problem, outcome.result.data, outcome.config
    seen = counterflow_data(config.noise, config.seed, config.detail)  # type: ignore[attr-defined]
    after = gauss_newton(seen, handed_over(trainer, found, seen))
    x = np.linspace(0, seen.x[-1], 401)
    fields = trainer.fields(found, x)
    species = _largest(np.stack([seen.values[k] for k in seen.mechanism.species], 1), seen.mechanism.species)
    figure, grid = canvas(1, 3, 11, 3.6)
    axes: Any = np.ravel(grid)
    for ax, names in zip(axes, (("u", "V"), ("T",), species), strict=True):
        for name in names:
            size = 1.0 if name == "T" else np.abs(seen.values[name]).max()
            (line,) = ax.plot(1e3 * x, fields[name] / size, linewidth=1, label=name)
            ax.plot(1e3 * seen.x, seen.values[name] / size, "o", color=line.get_color(), markersize=3)
        ax.set_xlabel("x (mm)")
        ax.legend(fontsize=7)
    axes[0].set_ylabel("over the largest value")
    axes[1].set_ylabel("T (K)")
    settled = "" if after["solved"] else ", which did not settle"
    rows: dict[str, Any] = {"network": found, f"Gauss-Newton from there{settled}": after}
    lines = [
        f"{who}: E_a {float(row['E_a']) / seen.E_a - 1:+.2%}, Lambda {float(row['Lambda']) / seen.Lambda - 1:+.2%}"
        for who, row in rows.items()
    ]
    figure.suptitle("deviation from the truth; " + "; ".join(lines), fontsize=9)
    return figure


def _largest(Y: Any, species: Any) -> list[str]:
    """Return the species that change most."""
    order = np.argsort(-np.ptp(Y, axis=0))[:_SHOWN]
    return [species[k] for k in order]
