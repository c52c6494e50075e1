"""Flames solved by Cantera, as references: freely propagating, burner-stabilised, premixed counterflow.

Plain functions that return Datasets with units. Solved flames are kept in the process, by all settings and the SHA-256
of the mechanism file (files that it includes are not seen); each call returns its own copy. A flame that Cantera fails
to solve is a Dataset without profiles, with ``attrs["status"] == "failed"`` and a reason, not an exception.
Cantera discretises upwind, first order: burning velocities on different grids must not be compared.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from retrodict.physics.errors import ConfigError, expected
from retrodict.solvers.reference.cantera_changes import Factors, Multipliers, Parameters, positive
from retrodict.solvers.reference.cantera_gas import Composition, burnt_gas, gas
from retrodict.solvers.reference.cantera_numerics import USUAL, Grid, Refine, anchor_of, numerics_of, tight
from retrodict.solvers.reference.cantera_solve import (
    Burner,
    Counterflow,
    Free,
    attempt,
    solve_burner,
    solve_counterflow,
    solve_free,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Mixture", "burner_flame", "clear_cache", "counterflow_premixed", "free_flame", "sensitivities"]


class Mixture(TypedDict, total=False):
    """Further settings of the gas, see `retrodict.solvers.reference.cantera_gas.gas`."""

    X: Composition
    Y: Composition
    transport_model: str
    parameters: Parameters
    multipliers: Multipliers
    transport_factors: Factors


def free_flame(
    mechanism: str | Path,
    fuel: Composition | None = None,
    oxidizer: Composition | None = None,
    phi: float | None = None,
    T_in: float = 300.0,
    p: float = 101325.0,
    width: float | None = None,
    *,
    grid: Grid | None = None,
    refine: Refine | None = None,
    anchor: tuple[float, float] | None = None,
    tolerances: tuple[float, float] | None = None,
    **mixture: Unpack[Mixture],
) -> xr.Dataset:
    """Solve a freely propagating adiabatic flame.

    Parameters
    ----------
    mechanism : str or Path
        Cantera YAML: a path, or the name of a file that comes with Cantera.
    fuel, oxidizer : Composition, optional
        Molar compositions, mixed by ``phi``; or give ``X`` or ``Y`` of the mixture instead of the three.
    phi : float, optional
        Equivalence ratio.
    T_in, p : float, optional
        Unburnt temperature [K] and pressure [Pa].
    width : float, optional
        Domain [m]; Cantera widens it where it cuts the flame. Not with an array as ``grid``.
    grid : int or array_like, optional
        Points [m], or the number of uniform ones over ``width``. Without ``refine`` the flame is solved on exactly
        these points; with it they are the start.
    refine : sequence of 3 or 4 floats, optional
        Ratio, slope, curve and prune; (3, 0.06, 0.12, 0) if there is no grid.
    anchor : (float, float), optional
        Point of a fixed grid [m] and its temperature [K], which fix the translation. The point at 35 % of the grid's
        points with ``0.75 T_in + 0.25 T_eq`` unless told.
    tolerances : (float, float), optional
        Relative and absolute; (1e-9, 1e-13) on a fixed grid, Cantera's (1e-4, 1e-9) otherwise. With Cantera's,
        burning velocities are converged to about 1e-4.
    **mixture
        ``X``, ``Y``, ``transport_model``, ``parameters``, ``multipliers``, ``transport_factors`` as in
        `retrodict.solvers.reference.cantera_gas.gas`.

    Returns
    -------
    xarray.Dataset
        ``T``, ``u``, ``density`` over ``x``, ``Y`` over species and ``x``, scalar ``s_L`` [m/s]; attributes with the
        settings (JSON), Cantera's version, ``status``, ``reason``, ``wall_time`` [s], ``anchor_x`` [m], ``anchor_T``
        [K], ``temperature_rise`` [K] above the hotter inlet, ``heat_released`` over what the unburnt stream can
        release, ``burning``, 1 if that is above 0.01, and ``edge_slopes``, the temperature gradient at both ends
        relative to the largest, small if the domain is wide enough. Where the solve failed, only ``s_L`` as NaN.

    Raises
    ------
    SpaceError, DataError, ConfigError
        If the mixture, the mechanism or a setting is wrong; before any work.

    Examples
    --------
    >>> flame = free_flame("h2o2.yaml", "H2", "O2:1, N2:3.76", 1.0, width=0.02, refine=(3, 0.3, 0.5))
    >>> flame.attrs["status"], 2.0 < float(flame["s_L"]) < 3.0
    ('converged', True)
    """
    numerics = numerics_of(width, grid, refine, tolerances or tight(grid, refine))
    unburnt = gas(mechanism, fuel, oxidizer, phi, T_in, p, **mixture)
    return _solved(Free(unburnt, numerics, anchor_of(anchor, numerics, unburnt.T))).copy(deep=True)


def burner_flame(
    mechanism: str | Path,
    fuel: Composition | None = None,
    oxidizer: Composition | None = None,
    phi: float | None = None,
    T_in: float = 300.0,
    p: float = 101325.0,
    width: float | None = None,
    *,
    mdot: float,
    grid: Grid | None = None,
    refine: Refine | None = None,
    tolerances: tuple[float, float] | None = None,
    **mixture: Unpack[Mixture],
) -> xr.Dataset:
    """Solve a burner-stabilised flame of a given mass flux.

    Parameters
    ----------
    mechanism, fuel, oxidizer, phi, T_in, p, width, grid, refine, tolerances, **mixture
        As in `free_flame`; the tolerances are Cantera's unless told.
    mdot : float
        Mass flux [kg m-2 s-1].

    Returns
    -------
    xarray.Dataset
        As from `free_flame`, with the scalar ``mass_flux`` in place of ``s_L``. ``burning`` is 0 if the flame was blown
        off.

    Raises
    ------
    SpaceError, DataError, ConfigError
        If the mixture, the mechanism or a setting is wrong; before any work.

    Examples
    --------
    >>> burner_flame("h2o2.yaml", "H2", "O2", 1.0, width=0.02, mdot=-1.0)
    Traceback (most recent call last):
    retrodict.physics.errors.SpaceError: mdot: got -1.0, expected a finite positive number
    """
    flux = positive("mdot", mdot)
    numerics = numerics_of(width, grid, refine, tolerances)
    unburnt = gas(mechanism, fuel, oxidizer, phi, T_in, p, **mixture)
    return _solved(Burner(unburnt, numerics, flux)).copy(deep=True)


def counterflow_premixed(
    mechanism: str | Path,
    fuel: Composition | None = None,
    oxidizer: Composition | None = None,
    phi: float | None = None,
    T_u: float = 300.0,
    p: float = 101325.0,
    width: float | None = None,
    *,
    mdot_u: float,
    mdot_b: float,
    T_b: float | None = None,
    burnt: Composition | None = None,
    grid: Grid | None = None,
    refine: Refine | None = None,
    tolerances: tuple[float, float] | None = None,
    **mixture: Unpack[Mixture],
) -> xr.Dataset:
    """Solve a premixed flame in the flow of two opposed jets, in similarity form.

    Parameters
    ----------
    mechanism, fuel, oxidizer, phi, p, width, **mixture
        As in `free_flame`.
    T_u : float, optional
        Temperature of the unburnt jet [K].
    mdot_u, mdot_b : float
        Mass fluxes of the unburnt and the opposed jet [kg m-2 s-1].
    grid, refine : optional
        As in `free_flame`, but from 101 uniform points if there is no grid.
    tolerances : optional
        Cantera's unless told, on every grid.
    T_b, burnt : float and Composition, optional
        Temperature [K] and molar composition of the opposed jet; without both, the unburnt gas in equilibrium.

    Returns
    -------
    xarray.Dataset
        As from `free_flame`, with ``V`` [1/s] and the scalar ``Lambda`` [Pa/m2], the radial pressure gradient over the
        radius, in place of ``s_L``. ``burning`` is 0 where the flame is extinguished.

    Raises
    ------
    SpaceError, DataError, ConfigError
        If the mixture, the mechanism or a setting is wrong; before any work.

    Examples
    --------
    >>> counterflow_premixed("h2o2.yaml", "H2", "O2", 1.0, width=0.02, mdot_u=1.0, mdot_b=1.0, T_b=300.0)
    Traceback (most recent call last):
    retrodict.physics.errors.ConfigError: opposed jet: got one of T_b and burnt, expected both, or none for equilibrium
    """
    fluxes = positive("mdot_u", mdot_u), positive("mdot_b", mdot_b)
    if grid is None:
        # from Cantera's own five points the flame goes out
        grid, refine = 101, refine or USUAL
    numerics = numerics_of(width, grid, refine, tolerances)
    if (T_b is None) != (burnt is None):
        raise ConfigError(expected("opposed jet", "one of T_b and burnt", "both, or none for equilibrium"))
    unburnt = gas(mechanism, fuel, oxidizer, phi, T_u, p, **mixture)
    opposed = None if burnt is None or T_b is None else burnt_gas(unburnt, burnt, positive("T_b", T_b))
    return _solved(Counterflow(unburnt, numerics, *fluxes, opposed)).copy(deep=True)


def sensitivities(
    mechanism: str | Path,
    fuel: Composition | None = None,
    oxidizer: Composition | None = None,
    phi: float | None = None,
    T_in: float = 300.0,
    p: float = 101325.0,
    width: float | None = None,
    *,
    grid: Grid | None = None,
    refine: Refine | None = None,
    anchor: tuple[float, float] | None = None,
    tolerances: tuple[float, float] | None = None,
    **mixture: Unpack[Mixture],
) -> xr.Dataset:
    """Return Cantera's adjoint sensitivities of the burning velocity to the rates, ``dln s_L / dln k_i``.

    Cantera perturbs the residual by one-sided differences. With fractional orders the result gets worse as the grid
    gets finer: for the one-step mechanism of CERFACS, where theory wants 0.5, it is 0.503 on 68 points and 0.471 on
    201.

    Parameters
    ----------
    mechanism, fuel, oxidizer, phi, T_in, p, width, grid, refine, anchor, tolerances, **mixture
        As in `free_flame`.

    Returns
    -------
    xarray.Dataset
        ``sensitivity`` and ``equation`` over ``reaction``, scalar ``s_L``; ``attrs["adjoint_time"]`` [s] beside those
        of `free_flame`. Times are those of the first call with these settings.

    Raises
    ------
    SpaceError, DataError, ConfigError
        If the mixture, the mechanism or a setting is wrong; before any work.

    Examples
    --------
    >>> found = sensitivities("h2o2.yaml", "H2", "O2:1, N2:3.76", 1.0, width=0.02, refine=(3, 0.3, 0.5))
    >>> bool(abs(float(found["sensitivity"].sum()) - 0.5) < 0.05)
    True
    """
    numerics = numerics_of(width, grid, refine, tolerances or tight(grid, refine))
    unburnt = gas(mechanism, fuel, oxidizer, phi, T_in, p, **mixture)
    return _differentiated(Free(unburnt, numerics, anchor_of(anchor, numerics, unburnt.T))).copy(deep=True)


def clear_cache() -> None:
    """Forget all solved flames.

    Examples
    --------
    >>> clear_cache()
    """
    _solved.cache_clear()
    _differentiated.cache_clear()


@lru_cache(maxsize=256)
def _solved(config: Free | Burner | Counterflow) -> xr.Dataset:
    if isinstance(config, Free):
        return attempt(config, lambda: solve_free(config), "s_L")[1]
    if isinstance(config, Burner):
        return attempt(config, lambda: solve_burner(config), "mass_flux")[1]
    return attempt(config, lambda: solve_counterflow(config), "Lambda")[1]


@lru_cache(maxsize=256)
def _differentiated(config: Free) -> xr.Dataset:
    flame, data = attempt(config, lambda: solve_free(config), "s_L")
    if flame is None:
        return data
    base = dict(config.gas.changes.multipliers)

    def perturb(sim: Any, index: int, step: float) -> None:
        sim.gas.set_multiplier(base.get(index, 1.0) * (1 + step), index)

    start = time.perf_counter()
    weight = np.zeros(sum(domain.n_components * domain.n_points for domain in flame.domains))
    weight[flame.inlet.n_components + flame.flame.component_index("velocity")] = 1.0
    found = flame.solve_adjoint(perturb, flame.gas.n_reactions, weight) / float(data["s_L"])
    spent = time.perf_counter() - start
    equations = [reaction.equation for reaction in flame.gas.reactions()]
    out = data[["s_L"]].assign(
        sensitivity=("reaction", found, {"units": "1", "long_name": "dln s_L / dln k"}),
        equation=("reaction", equations),
    )
    return out.assign_attrs(adjoint_time=spent)
