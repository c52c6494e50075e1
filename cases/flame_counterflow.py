"""Case ``flame-counterflow``: premixed flames in opposed streams, over mixture and strain, up to extinction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.case import Case
from retrodict.cases.checks import Check, Invariant, Published, SolverRun, max_abs, rel_l2
from retrodict.cases.config import setting
from retrodict.cases.flame_network_fits import NetworkSettings, counterflow_fit_figure, counterflow_trainer
from retrodict.cases.flame_profiles import counterflow_figure, curvature_figure, strain_figure
from retrodict.cases.flame_setup import BUNDLED, FlameSettings, dataset, failures, mechanism_of, profiles, source
from retrodict.cases.origin import DataOrigin, no_data, simulated

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.flames.counterflow import CounterflowPremixedFlame
    from retrodict.solvers.flames.solution import FlameSolution

__all__ = ["Counterflow", "case"]

Floats = NDArray[np.float64]
_LAMBDA = {0.6: -10977.7, 0.7: -12263.8, 0.8: -13622.3, 0.9: -15110.7, 1.0: -16640.9, 1.1: -17519.6, 1.2: -18187.7}
_T_MAX = {0.6: 1594.0, 0.7: 1837.0, 0.8: 2010.0, 0.9: 2167.0, 1.0: 2310.0, 1.1: 2273.0, 1.2: 2237.0}
_SOURCE = "Wu et al., arXiv 2406.09071, reference files: Cantera on 501 even nodes"


class Counterflow(NetworkSettings, FlameSettings):
    """Settings of the case.

    Examples
    --------
    >>> Counterflow().authors
    True
    """

    phi: tuple[float, ...] = setting(tuple(sorted(_LAMBDA)), "1", "equivalence ratios", min_length=1)
    m_u: float = setting(1.0, "kg m-2 s-1", "mass flux of the left stream", ge=0.001, le=1e4)
    m_b: float = setting(1.0, "kg m-2 s-1", "mass flux of the right stream", ge=0.001, le=1e4)
    T_u: float = setting(300.0, "K", "temperature of the left stream", ge=0.001, lt=1500)
    T_b: float = setting(300.0, "K", "temperature of the right stream", ge=0.001, lt=3500)
    opposed: str = setting("N2:1", "", "mole amounts of the right stream")
    width: float = setting(0.02, "m", "distance of the nozzles", ge=1e-05, le=1)
    sweep: float = setting(
        30.0, "1", "raise both mass fluxes up to so many times, until extinction; 1: no sweep", ge=1, le=1000
    )
    noise: float = setting(0.01, "1", "relative noise of the data of fit", ge=0, le=0.2)
    network_width: int = setting(16, "", "width of the network of fit", ge=2, le=512)
    network_depth: int = setting(2, "", "depth of the network of fit", ge=1, le=12)
    network_points: int = setting(160, "", "points of the equations in fit", ge=20, le=10_000)
    network_bar: float = setting(
        2.0, "1", "scaled residual at which fit has converged; noise holds it near 1", ge=1e-12, le=1e06
    )
    extinction: bool = setting(True, "", "check too that phi 0.5 is extinguished where Cantera finds it so")

    @property
    def authors(self) -> bool:
        """Whether these are the authors' conditions."""
        air = self.oxidizer.replace(" ", "") == "O2:1,N2:3.76" and self.fuel in ("CH4", "CH4:1")
        streams = (self.m_u, self.m_b, self.T_u, self.T_b, self.width, self.p) == (
            1.0,
            1.0,
            300.0,
            300.0,
            0.02,
            101325.0,
        )
        return self.mechanism == BUNDLED and air and streams and self.opposed in ("N2", "N2:1")


def _streams(config: Counterflow) -> list[CounterflowPremixedFlame]:
    """Return the flames to be solved; whatever is wrong with the settings is told before any work."""
    from retrodict.cases.flame_setup import mixtures
    from retrodict.physics.errors import ConfigError, DataError
    from retrodict.solvers.flames.counterflow import CounterflowPremixedFlame

    mech, left = mechanism_of(source(config)), mixtures(config, config.T_u)
    try:
        right = mech.mass_fractions(config.opposed).numpy()
    except DataError as error:
        raise ConfigError(f"opposed: {error}") from error
    streams = {"m_u": config.m_u, "m_b": config.m_b, "T_u": config.T_u, "T_b": config.T_b, "p": config.p}
    made = {"width": config.width, "points": config.points, "scheme": config.scheme}
    return [CounterflowPremixedFlame(mech, Y, right, **streams, **made) for Y in left]  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def _solved(config: Counterflow) -> tuple[FlameSolution, ...]:
    from retrodict.solvers.callbacks import ProgressBar

    found: list[FlameSolution] = []
    with ProgressBar("flames", len(config.phi)) as bar:
        for number, flame in enumerate(_streams(config), 1):
            found.append(flame.solve())
            bar(number, {"phi": config.phi[number - 1]})
    return tuple(found)


def _burning(config: Counterflow) -> list[FlameSolution]:
    """Return the flames, of which all must have been found."""
    return [f.required(f"phi {phi:g}") for f, phi in zip(_solved(config), config.phi, strict=True)]


def _cantera(config: Counterflow, phi: float) -> xr.Dataset:
    from retrodict.solvers.reference.cantera_flames import counterflow_premixed

    return counterflow_premixed(
        source(config), config.fuel, config.oxidizer, phi, config.T_u, config.p, config.width,
        mdot_u=config.m_u, mdot_b=config.m_b, T_b=config.T_b, burnt=config.opposed,
        grid=101, refine=(3, 0.05, 0.05, 0.01),
    )  # fmt: skip


def simulate(config: Counterflow, _seeds: Seeds) -> xr.Dataset:
    """Return flames over equivalence ratio with Cantera beside them, and one of them over strain."""
    flames = _solved(config)
    variables = profiles(config, flames, ("u", "V", "T", "rho", "Y")) | _scalars(flames)
    if config.compare:
        variables |= _reference(config)
    swept, ended = _sweep(config, flames[config.near(config.detail)])
    return dataset(variables | swept, config, {**failures(config, flames), "sweep_ended": ended})


def _scalars(flames: Sequence[FlameSolution]) -> dict[str, Any]:
    about = {
        "Lambda": ("Pa/m2", "radial pressure gradient over radius", [float(f.z[0]) for f in flames]),
        "T_max": ("K", "highest temperature", [float(f.U[:, 2].max()) for f in flames]),
        "burning": ("1", "1 where a flame was found", [float(f.status.ok) for f in flames]),
    }
    return {k: ("phi", np.array(v), {"units": u, "long_name": n}) for k, (u, n, v) in about.items()}


def _reference(config: Counterflow) -> dict[str, Any]:
    sets = [_cantera(config, phi) for phi in config.phi]
    Lambda = [float(d["Lambda"]) if "T" in d else np.nan for d in sets]
    hottest = [float(d["T"].max()) if "T" in d else np.nan for d in sets]
    made: dict[str, Any] = {
        "Lambda_cantera": ("phi", np.array(Lambda), {"units": "Pa/m2", "long_name": "Lambda of Cantera, refined"}),
        "T_max_cantera": ("phi", np.array(hottest), {"units": "K", "long_name": "highest temperature of Cantera"}),
    }
    shown = sets[config.near(config.detail)]
    if "T" in shown:
        for name, units in (("x", "m"), ("T", "K"), ("u", "m/s"), ("V", "1/s")):
            made[f"reference_{name}"] = ("reference", shown[name].values, {"units": units, "long_name": "Cantera"})
        about = {"units": "1", "long_name": "mass fraction, Cantera"}
        made["reference_Y"] = (("reference", "species"), shown["Y"].values.T, about)
    if config.authors:
        for name, known, units in (("Lambda", _LAMBDA, "Pa/m2"), ("T_max", _T_MAX, "K")):
            values = np.array([known.get(round(phi, 3), np.nan) for phi in config.phi])
            made[f"{name}_authors"] = ("phi", values, {"units": units, "long_name": f"{name} of the authors"})
    return made


def _sweep(config: Counterflow, start: FlameSolution) -> tuple[dict[str, Any], str]:
    """Return fluxes and highest temperatures on the way to extinction, and how the way ended."""
    from retrodict.solvers.flames.strain import Strained, raised

    if config.sweep == 1 or not start.status.ok:
        return {}, "not begun"
    flame = _streams(config)[config.near(config.detail)]
    found = raised(flame, Strained(1.0, start), config.sweep, first_step=1.15)
    about = {
        "sweep_flux": ("kg m-2 s-1", "mass flux of the left stream", [config.m_u * s.factor for s in found]),
        "sweep_T_max": ("K", "highest temperature", [float(s.flame.U[:, 2].max()) for s in found]),
        "sweep_Lambda": ("Pa/m2", "radial pressure gradient over radius", [float(s.flame.z[0]) for s in found]),
    }
    made = {k: ("step", np.array(v), {"units": u, "long_name": n}) for k, (u, n, v) in about.items()}
    return made, "at its end" if found[-1].factor == config.sweep else "extinguished"


def checks(config: Counterflow, _seeds: Seeds) -> Sequence[Check]:
    """Hold curvature, temperature, profiles and extinction against refined Cantera, and mass against its law."""
    _streams(config)
    known = [phi for phi in config.phi if config.authors and round(phi, 3) in _LAMBDA]
    cantera = "Cantera, refined (3, 0.05, 0.05, 0.01)"

    def ours(name: str) -> Floats:
        return np.asarray(_scalars(_burning(config))[name][1])

    def lost_mass() -> float:
        return max(_lost_mass(f) for f in _burning(config))

    def share() -> float:
        return max(float(np.abs(f.U[:, 3:].sum(1) - 1).max()) for f in _burning(config))

    found = [
        Check(
            "Lambda",
            lambda: ours("Lambda"),
            SolverRun(lambda: _cantera_scalars(config)[0], cantera),
            1e-2,
            _each,
            "Pa/m2",
        ),
        Check(
            "highest temperature",
            lambda: ours("T_max"),
            SolverRun(lambda: _cantera_scalars(config)[1], cantera),
            1e-2,
            _each,
            "K",
        ),
        Check(
            "mass through the sides",
            lost_mass,
            Invariant(0.0, "what comes in leaves: int 2 rho V dx"),
            1e-12,
            max_abs,
            "1",
        ),
        Check("sum of the mass fractions", share, Invariant(0.0, "mass"), 1e-11, max_abs, "1"),
        *_profile_checks(config, cantera),
    ]
    for name, table, units in (("Lambda", _LAMBDA, "Pa/m2"), ("T_max", _T_MAX, "K")):
        if known:
            value = Published([table[round(phi, 3)] for phi in known], _SOURCE)
            note = "the authors' upwind flames on even nodes are thickened"
            found.append(
                Check(
                    f"{name} of the authors",
                    partial(_at, config, name, known),
                    value,
                    2e-2,
                    _each,
                    units,
                    note,
                )
            )
    if config.extinction:
        found.append(_extinction())
    return found


def _each(value: Floats, reference: Floats) -> float:
    """Return the largest error relative to the reference's own entry."""
    return float(np.max(np.abs(value / reference - 1)))


def _at(config: Counterflow, name: str, wanted: Sequence[float]) -> Floats:
    values = np.asarray(_scalars(_burning(config))[name][1])
    return np.array([values[config.phi.index(phi)] for phi in wanted])


def _cantera_scalars(config: Counterflow) -> tuple[Floats, Floats]:
    made = _reference(config)
    return made["Lambda_cantera"][1], made["T_max_cantera"][1]


def _lost_mass(flame: FlameSolution) -> float:
    """Return the difference of the mass that leaves sideways and that which comes in, relative to the latter."""
    x, seen = flame.equations.x.numpy(), flame.observables()
    sideways = float(np.trapezoid(2 * seen["rho"] * seen["V"], x))
    entering = float(flame.U[0, 0] - flame.U[-1, 0])
    return abs(sideways - entering) / entering


def _profile_checks(config: Counterflow, cantera: str) -> list[Check]:
    """Check the profiles of the flame shown in detail at Cantera's nodes."""
    at = config.near(config.detail)

    def ours(name: str) -> Floats:
        flame, x = _burning(config)[at], _cantera(config, config.phi[at])["x"].values
        return np.asarray(np.interp(x, flame.equations.x.numpy(), flame.observables()[name]))

    def theirs(name: str) -> Floats:
        return np.asarray(_cantera(config, config.phi[at])[name].values)

    return [
        Check(
            f"profile of {name}, phi {config.phi[at]:g}",
            partial(ours, name),
            SolverRun(partial(theirs, name), cantera),
            2e-2,
            rel_l2,
            units,
        )
        for name, units in (("T", "K"), ("u", "m/s"), ("V", "1/s"))
    ]


def _extinction() -> Check:
    """Check which lean flames burn at two mass fluxes."""
    pairs = [Counterflow(phi=(0.5,), m_u=m, m_b=m, points=120, scheme="central") for m in (0.4, 1.0)]

    def ours() -> Floats:
        return np.array([float(_solved(c)[0].status.ok) for c in pairs])

    def theirs() -> Floats:
        return np.array([float(_cantera(c, 0.5).attrs["burning"]) for c in pairs])

    name = "one step, phi 0.5, 0.4 and 1 kg/m2/s: which burns"
    return Check(name, ours, SolverRun(theirs, "Cantera, refined"), 0.0, max_abs, "1")


def origin(config: Counterflow, verb: str) -> Sequence[DataOrigin]:
    """Return where the profiles come from that fit and some checks see; a run solves flames and needs none."""
    if verb == "run":
        return (no_data("flames are solved from the mechanism alone"),)
    return (simulated("Cantera's counterflow flame at 16 points, with relative noise", config.seed),)


case: Case[Counterflow] = Case(
    name="flame-counterflow",
    system="flames",
    summary="Premixed flames in opposed streams: profiles, pressure curvature, strain up to extinction.",
    Config=Counterflow,
    simulate=simulate,
    presets={
        "smoke": {
            "phi": (0.6, 0.8),
            "points": 120,
            "sweep": 1.5,
            "extinction": False,
            "network_steps": 40,
            "network_points": 80,
            "network_width": 10,
            "network_depth": 2,
        },
        "paper": {"points": 501},
    },
    problem=counterflow_trainer,
    solver=lambda _config, trainer: trainer,
    checks=checks,
    figures={
        "Profiles of the flame shown in detail, and Cantera": counterflow_figure,
        "Pressure curvature and highest temperature over equivalence ratio": curvature_figure,
        "Highest temperature over strain, up to extinction": strain_figure,
    },
    fit_figures={"Network on the data, and Gauss-Newton from there": counterflow_fit_figure},
    origin=origin,
)
