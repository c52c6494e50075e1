"""How a reference flame is solved by Cantera, on a given grid or with refinement, and put into a Dataset."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.solvers.base import Status
from retrodict.solvers.reference.cantera_changes import reason
from retrodict.solvers.reference.cantera_gas import Gas
from retrodict.solvers.reference.cantera_numerics import Numerics

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Burner",
    "Counterflow",
    "Free",
    "attempt",
    "solve_burner",
    "solve_counterflow",
    "solve_free",
]

# of the heat that the unburnt stream could release; an extinguished flame releases almost none
_BURNING = 0.01
_LEAST_RISE = 10.0
_COARSE = (3.0, 0.1, 0.2, 0.0)


@dataclass(frozen=True)
class Free:
    """A freely propagating flame: its gas, numerics, and the anchor as index and temperature [K]."""

    gas: Gas
    numerics: Numerics
    anchor: tuple[int, float] | None = None


@dataclass(frozen=True)
class Burner:
    """A burner-stabilised flame: its gas, numerics, and mass flux [kg m-2 s-1]."""

    gas: Gas
    numerics: Numerics
    mdot: float


@dataclass(frozen=True)
class Counterflow:
    """A premixed counterflow flame: both gases, numerics, and mass fluxes [kg m-2 s-1]."""

    gas: Gas
    numerics: Numerics
    mdot_u: float
    mdot_b: float
    opposed: Gas | None


def attempt(config: Free | Burner | Counterflow, solve: Callable[[], Any], eigenvalue: str) -> tuple[Any, xr.Dataset]:
    """Run a solve and describe how it ended.

    Parameters
    ----------
    config : Free, Burner or Counterflow
        What is solved; stored as JSON.
    solve : callable
        Returns a solved Cantera flame.
    eigenvalue : str
        Name of the scalar of the flame, NaN where the solve failed.

    Returns
    -------
    tuple
        Cantera's flame, or None, and the Dataset.
    """
    import cantera as ct
    import xarray as xr

    start = time.perf_counter()
    try:
        flame, status, why = solve(), Status.CONVERGED, Status.CONVERGED.message
        data = _dataset(flame, config, eigenvalue)
    except ct.CanteraError as error:
        flame, status, why = None, Status.FAILED, reason(error)
        data = xr.Dataset({eigenvalue: ((), np.nan, {"units": _UNITS[eigenvalue]})})
    settings = asdict(config)
    settings["gas"]["path"] = Path(config.gas.path).name
    about = {
        "status": status.value,
        "reason": why,
        "wall_time": time.perf_counter() - start,
        "cantera": ct.__version__,
        "kind": type(config).__name__.lower(),
        "mechanism": settings["gas"]["path"],
        "mechanism_sha256": config.gas.digest,
        "settings": json.dumps(settings),
    }
    return flame, data.assign_attrs(data.attrs | about)


def solve_free(config: Free) -> Any:
    """Return Cantera's freely propagating flame.

    Raises
    ------
    cantera.CanteraError
        If it does not converge.
    """
    import cantera as ct

    numerics, made = config.numerics, config.gas.solution()
    made.equilibrate("HP")
    if made.T - config.gas.T < _LEAST_RISE:
        raise ct.CanteraError(f"the mixture in equilibrium is {made.T - config.gas.T:.3g} K hotter: nothing burns")
    if numerics.points is not None and numerics.refine is None:
        return _on_grid(config)
    flame = ct.FreeFlame(config.gas.solution(), **numerics.place)
    if numerics.points is not None:
        flame.set_initial_guess()
    numerics.run(flame, auto=numerics.points is None)
    return flame


def solve_burner(config: Burner) -> Any:
    """Return Cantera's burner-stabilised flame.

    Raises
    ------
    cantera.CanteraError
        If it does not converge.
    """
    import cantera as ct

    flame = ct.BurnerFlame(config.gas.solution(), **config.numerics.place)
    flame.burner.mdot = config.mdot
    flame.set_initial_guess()
    config.numerics.run(flame, auto=config.numerics.points is None)
    return flame


def solve_counterflow(config: Counterflow) -> Any:
    """Return Cantera's premixed counterflow flame.

    Raises
    ------
    cantera.CanteraError
        If it does not converge.
    """
    import cantera as ct

    flame = ct.CounterflowPremixedFlame(config.gas.solution(), **config.numerics.place)
    flame.reactants.mdot, flame.products.mdot = config.mdot_u, config.mdot_b
    if config.opposed is not None:
        flame.products.T, flame.products.X = config.opposed.T, dict(config.opposed.composition)
    flame.set_initial_guess(equilibrate=config.opposed is None)
    config.numerics.run(flame)
    return flame


def _on_grid(config: Free) -> Any:
    """Solve on exactly the points given, from a ramp, and if that fails from a refined flame."""
    import cantera as ct

    try:
        return _from(config, None)
    except ct.CanteraError:
        start = Numerics(config.numerics.width, None, _COARSE, None)
        return _from(config, solve_free(Free(config.gas, start)))


def _from(config: Free, start: Any) -> Any:
    import cantera as ct

    x = np.array(config.numerics.points)
    made = config.gas.solution()
    flame = ct.FreeFlame(made, grid=x)
    # without this `solve` would put its own guess over ours; that of FreeFlame itself may insert a point
    ct.FlameBase.set_initial_guess(flame)
    cold, speed = (made.T, made.Y), made.density
    made.equilibrate("HP")
    hot = made.T, made.Y
    index, T_fix = config.anchor or (round(0.35 * (len(x) - 1)), 0.75 * cold[0] + 0.25 * hot[0])
    if start is None:
        # in the index, not in x: a graded grid has its points where the flame shall be
        share = (T_fix - cold[0]) / (hot[0] - cold[0])
        ramp = np.clip(share + (np.arange(len(x)) - index) / (0.2 * len(x)), 0.0, 1.0)
        T, Y = ((1 - r) * a + r * b for r, a, b in ((ramp, cold[0], hot[0]), (ramp[:, None], cold[1], hot[1])))
        u = speed * T / cold[0]
    else:
        rising = int(np.argmax(start.T)) + 1
        moved = x - x[index] + np.interp(T_fix, start.T[:rising], start.grid[:rising])
        T, u, *Y_k = (np.interp(moved, start.grid, v) for v in (start.T, start.velocity, *start.Y))
        Y = np.stack(Y_k, 1)
    T[index] = T_fix
    share = (x - x[0]) / (x[-1] - x[0])
    made.TPY = cold[0], config.gas.p, cold[1]
    flame.inlet.mdot = made.density * u[0]
    for name, values in {"velocity": u, "T": T, **dict(zip(made.species_names, Y.T, strict=True))}.items():
        flame.flame.set_profile(name, share, values)
    flame.fixed_temperature = T_fix
    config.numerics.run(flame)
    if len(flame.grid) != len(x) or not np.isclose(flame.fixed_temperature_location, x[index], rtol=1e-9, atol=0.0):
        raise ct.CanteraError(f"the anchor went to {flame.fixed_temperature_location} m, away from {x[index]} m")
    return flame


_UNITS = {"s_L": "m s-1", "mass_flux": "kg m-2 s-1", "Lambda": "Pa m-2"}


def _dataset(flame: Any, config: Free | Burner | Counterflow, eigenvalue: str) -> xr.Dataset:
    import xarray as xr

    x, T = np.array(flame.grid), np.array(flame.T)
    line = {"T": (T, "K"), "u": (flame.velocity, "m s-1"), "density": (flame.density, "kg m-3")}
    scalar = {
        "s_L": lambda: flame.velocity[0],
        "mass_flux": lambda: flame.velocity[0] * flame.density[0],
        "Lambda": lambda: flame.L[0],
    }[eigenvalue]()
    if eigenvalue == "Lambda":
        line["V"] = (flame.spread_rate, "s-1")
    variables: dict[str, Any] = {k: ("x", np.array(v), {"units": unit}) for k, (v, unit) in line.items()}
    variables["Y"] = (("species", "x"), np.array(flame.Y), {"units": "1", "long_name": "mass fraction"})
    variables[eigenvalue] = ((), float(scalar), {"units": _UNITS[eigenvalue]})
    slope = np.abs(np.diff(T) / np.diff(x))
    released = _heat_released(flame, config.gas)
    attrs: dict[str, Any] = {
        "burning": int(released > _BURNING),
        "heat_released": released,
        "temperature_rise": float(T.max() - max(T[0], T[-1] if eigenvalue == "Lambda" else T[0])),
        "edge_slopes": slope[[0, -1]] / max(float(slope.max()), np.finfo(float).tiny),
    }
    if eigenvalue == "s_L":
        attrs |= {"anchor_x": flame.fixed_temperature_location, "anchor_T": flame.fixed_temperature}
    return xr.Dataset(variables, {"x": ("x", x, {"units": "m"}), "species": list(flame.gas.species_names)}, attrs)


def _heat_released(flame: Any, unburnt: Gas) -> float:
    """Return the heat released over that which the unburnt stream can release at most."""
    made = unburnt.solution()
    made.equilibrate("HP")
    hot = made.enthalpy_mass
    made.TP = unburnt.T, unburnt.p
    available = float(flame.velocity[0] * flame.density[0]) * (hot - made.enthalpy_mass)
    heat = float(np.trapezoid(flame.heat_release_rate, flame.grid))
    return heat / available if available > 0 else 0.0
