"""Setup of the case ``flame-premixed``: settings, flames, speeds, sensitivities, and Cantera on the same nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.config import setting
from retrodict.cases.flame_network_fits import NetworkSettings
from retrodict.cases.flame_setup import BUNDLED, FlameSettings, mechanism_of, source

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.solvers.flames.solution import FlameSolution

__all__ = ["PUBLISHED", "Premixed", "cantera_on", "like", "on_same_nodes", "rates", "solve", "speed"]

Floats = NDArray[np.float64]
PUBLISHED = {0.6: 0.166007, 0.8: 0.279834, 1.0: 0.381199, 1.2: 0.452854, 1.4: 0.497986, 1.6: 0.526343}
"""Burning velocities in m/s of Wu et al. (arXiv 2406.09071), Cantera on 501 nodes over 2.5 mm, by equivalence ratio."""


class Premixed(NetworkSettings, FlameSettings):
    """Settings of the case.

    Examples
    --------
    >>> Premixed().authors
    True
    """

    phi: tuple[float, ...] = setting((0.6, 0.8, 1.0, 1.2, 1.4, 1.6), "1", "equivalence ratios", min_length=1)
    T_in: float = setting(300.0, "K", "unburnt temperature", gt=200, lt=1500)
    width: float = setting(
        0.03, "m", "length of the domain; doubled while heat leaves at its left end", ge=1e-05, le=10
    )
    network_length: float = setting(2.5e-3, "m", "domain of the network of fit, burnt gas at its end", ge=1e-06, le=0.1)
    convergence: tuple[int, ...] = setting((61, 121, 241), "", "nodes of the flames of the convergence figure")
    others: bool = setting(False, "", "check h2o2 and gri30 too, which takes minutes")

    @property
    def authors(self) -> bool:
        """Whether these are the authors' conditions."""
        air = self.oxidizer.replace(" ", "") == "O2:1,N2:3.76" and self.fuel in ("CH4", "CH4:1")
        return self.mechanism == BUNDLED and air and self.p == 101325.0 and self.T_in == 300.0


def solve(
    config: Premixed,
    Y: Floats,
    *,
    points: int | None = None,
    scheme: Literal["central", "upwind"] | None = None,
    p: float | None = None,
) -> FlameSolution:
    """Return the flame of a mixture.

    Parameters
    ----------
    config : Premixed
        Settings.
    Y : ndarray, shape (K,)
        Mass fractions of the mixture.
    points, scheme, p : optional
        In place of the settings.
    """
    from retrodict.solvers.flames.premixed import FreeFlame

    mech, count = mechanism_of(source(config)), points or config.points
    flame = FreeFlame(mech, Y, config.T_in, p or config.p, config.width, count, scheme or config.scheme)
    return flame.solve()


def speed(flame: FlameSolution) -> tuple[float, float, float]:
    """Return the burning velocity on the nodes, its limit and the error on the nodes, m/s; NaN if there is no flame."""
    from retrodict.physics.errors import SolverError
    from retrodict.solvers.flames.error import extrapolated

    if not flame.status.ok:
        return np.nan, np.nan, np.nan
    try:
        found = extrapolated(flame)
    except SolverError:  # no flame on the halved nodes: the value stands without an estimate
        return float(flame.observables()["s_L"]), np.nan, np.nan
    return found.coarse, found.limit, found.error_coarse


def rates(flame: FlameSolution) -> tuple[Floats, float]:
    """Return ``dln s_L / dln k`` of all reactions, and the sum of the sensitivities to transport; NaN if failed.

    A rate with falloff counts with both its limits. Conductivities and diffusivities are all scaled together.
    """
    from retrodict.solvers.flames.model import FlameModel

    mech = flame.equations.mechanism
    if not flame.status.ok:
        return np.full(mech.R, np.nan), np.nan
    model = FlameModel(flame, ["s_L"])
    value, slope = model.linearize(model.nominal())
    found = slope.adjoint({"s_L": np.array(1 / value["s_L"])})
    by_rate = np.array(found["ln_A"])
    np.add.at(by_rate, mech.reactions.falloff.numpy(), found["ln_A_low"])
    return by_rate, float(found["ln_conductivity"].sum() + found["ln_diffusion"].sum())


def cantera_on(
    config: Premixed, flame: FlameSolution, phi: float, *, halved: int = 0, p: float | None = None
) -> xr.Dataset:
    """Return Cantera's flame on the nodes of ours, which it discretises upwind.

    Parameters
    ----------
    config : Premixed
        Settings.
    flame : FlameSolution
        Ours.
    phi : float
        Equivalence ratio.
    halved : int
        How often the cells are halved.
    p : float, optional
        Pressure in place of that of the settings, Pa.
    """
    from retrodict.physics.flames.premixed import PremixedEquations
    from retrodict.solvers.flames.grid import halved as finer
    from retrodict.solvers.reference.cantera_flames import free_flame

    assert isinstance(flame.equations, PremixedEquations)
    assert flame.equations.anchor is not None
    x, anchor = flame.equations.x.numpy(), flame.equations.anchor
    for _ in range(halved):
        x = finer(x)
    held = anchor.x, anchor.T
    mixed = source(config), config.fuel, config.oxidizer, phi, config.T_in, p or config.p
    return free_flame(*mixed, grid=x, anchor=held)


def on_same_nodes(config: Premixed, flame: FlameSolution, phi: float, *, halved: int = 0) -> float:
    """Return the burning velocity of Cantera on the nodes of our flame, m/s; NaN if it fails."""
    return float(cantera_on(config, flame, phi, halved=halved)["s_L"])


def like(config: Premixed, mechanism: str, fuel: str, phi: tuple[float, ...], width: float = 0.03) -> Premixed:
    """Return the settings for another mechanism, fuel, mixtures and width (m), at 300 K and one atmosphere.

    Examples
    --------
    >>> like(Premixed(), "h2o2.yaml", "H2", (1.0,)).fuel
    'H2'
    """
    changed = {"mechanism": mechanism, "fuel": fuel, "phi": phi, "T_in": 300.0, "p": 101325.0}
    return config.model_copy(update={**changed, "oxidizer": "O2:1, N2:3.76", "width": width})
