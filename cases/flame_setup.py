"""What the cases of detailed flames share: settings, mechanism and mixtures checked at first, profiles as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.config import HostConfig, setting
from retrodict.cases.origin import mechanism_file

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.physics.flames.mechanism import Mechanism
    from retrodict.solvers.flames.solution import FlameSolution

__all__ = [
    "BUNDLED",
    "FlameSettings",
    "dataset",
    "failures",
    "finite",
    "mechanism_of",
    "mixtures",
    "profiles",
    "source",
]

Floats = NDArray[np.float64]
BUNDLED = "1S_CH4_MP1"
"""The one-step mechanism of CERFACS for methane, which comes with the suite."""


class FlameSettings(HostConfig):
    """Settings of every case of detailed flames.

    Examples
    --------
    >>> FlameSettings(phi=(1.0,)).near(0.7)
    0
    """

    mechanism: str = setting(BUNDLED, "", f"Cantera YAML: a path, a file of Cantera's such as h2o2.yaml, or {BUNDLED}")
    fuel: str = setting("CH4", "", "mole amounts of the fuel, as CH4:1, H2:0.2")
    oxidizer: str = setting("O2:1, N2:3.76", "", "mole amounts of the oxidizer")
    phi: tuple[float, ...] = setting((0.6, 0.8, 1.0, 1.2), "1", "equivalence ratios", min_length=1)
    p: float = setting(101325.0, "Pa", "pressure", ge=1, le=1e8)
    points: int = setting(201, "", "nodes of a flame", ge=30, le=5000)
    scheme: Literal["central", "upwind"] = setting(
        "central", "", "convection of second or first order: central, upwind"
    )
    detail: float = setting(
        0.8, "1", "the flame of the equivalence ratio nearest to this is shown in detail", ge=0.001, le=100
    )
    compare: bool = setting(True, "", "solve the flames with Cantera too")

    def files(self) -> dict[str, Path]:
        """Return the files of the settings, the mechanism among them."""
        return {**super().files(), "mechanism": mechanism_file(source(self))}

    def near(self, phi: float) -> int:
        """Return the number of the flame with the equivalence ratio nearest to one."""
        return int(np.argmin(np.abs(np.array(self.phi) - phi)))


def source(config: FlameSettings) -> str:
    """Return the mechanism's file as Cantera finds it.

    Examples
    --------
    >>> source(FlameSettings(mechanism="h2o2.yaml"))
    'h2o2.yaml'
    """
    from retrodict.cases.data import bundled

    return str(bundled(f"flames/{BUNDLED}.yaml")) if config.mechanism == BUNDLED else config.mechanism


@lru_cache(maxsize=8)
def mechanism_of(path: str) -> Mechanism:
    """Return the mechanism of a file; the same object at every call.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a species has no transport data.

    Examples
    --------
    >>> mechanism_of("h2o2.yaml").K
    10
    """
    from retrodict.physics.errors import ConfigError, DataError
    from retrodict.physics.flames.mechanism import load_mechanism

    try:
        return load_mechanism(path)
    except DataError as error:
        raise ConfigError(f"mechanism: {error}") from error


def mixtures(config: FlameSettings, T: float) -> Floats:
    """Return the mass fractions of all mixtures, each of which can burn, shape (phi, species).

    Parameters
    ----------
    config : FlameSettings
        The settings.
    T : float
        Unburnt temperature, K.

    Raises
    ------
    ConfigError
        If a species is unknown, an equivalence ratio not positive, or the equilibrium of a mixture is not hot.

    Examples
    --------
    >>> mixtures(FlameSettings(phi=(0.8, 1.2)), 300.0).shape
    (2, 5)
    """
    from retrodict.physics.errors import ConfigError, DataError, expected
    from retrodict.solvers.flames.conditions import RISE
    from retrodict.solvers.flames.premixed import burnt

    mech, found = mechanism_of(source(config)), []
    for phi in config.phi:
        try:
            Y = mech.composition(config.fuel, config.oxidizer, phi).numpy()
        except DataError as error:
            raise ConfigError(f"mixture: {error}") from error
        hot, _ = burnt(mech, T, config.p, Y)
        if hot < T + RISE:
            got = f"an equilibrium of {hot:.0f} K from {T:.0f} K"
            raise ConfigError(expected(f"phi = {phi:g}", got, "a mixture that can burn"))
        found.append(Y)
    return np.stack(found)


def profiles(config: FlameSettings, flames: Sequence[FlameSolution], names: Sequence[str]) -> dict[str, Any]:
    """Return profiles of all flames over their own nodes, as the variables of a Dataset.

    Parameters
    ----------
    config : FlameSettings
        The settings.
    flames : sequence of FlameSolution
        One an equivalence ratio; one that failed on a coarse grid is interpolated to ``points`` nodes.
    names : sequence of str
        Profiles, such as ``"T"`` and ``"Y"``.

    Returns
    -------
    dict
        Name to ``(dims, values, attrs)``, with the nodes as ``x``.
    """
    made: dict[str, Any] = {}
    sets = [f.dataset() for f in flames]
    for name in ("x", *names):
        rows = []
        for data in sets:
            values = data[name].values
            n, at = len(values), np.linspace(0, len(values) - 1, config.points)
            columns = [np.interp(at, np.arange(n), c) for c in values.reshape(n, -1).T]
            rows.append(np.stack(columns, 1).reshape(config.points, *values.shape[1:]))
        dims = ("phi", "node", "species")[: np.ndim(rows[0]) + 1]
        made[name] = (dims, np.stack(rows), dict(sets[0][name].attrs))
    return made


def failures(config: FlameSettings, flames: Sequence[FlameSolution]) -> Mapping[str, str]:
    """Return the attributes ``status`` and ``alarms`` of a set of flames; extinction is an alarm, but no failure.

    Examples
    --------
    >>> failures(FlameSettings(), [])["status"]
    'ok'
    """
    lost = [(phi, f) for phi, f in zip(config.phi, flames, strict=False) if not f.status.ok]
    failed = any(not f.reason.startswith("Extinguished") for _, f in lost)
    lines = "\n".join(f"phi = {phi:g}: {f.reason}" for phi, f in lost)
    return {"status": "failed" if failed else "ok", "alarms": lines}


def finite(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that hold at least one number: of a flame that failed there may be none.

    Examples
    --------
    >>> list(finite({"a": ("x", np.array([np.nan]), {}), "b": ("x", np.array([1.0]), {})}))
    ['b']
    """
    arrays = {k: np.asarray(v[1]) for k, v in variables.items()}
    return {k: variables[k] for k, a in arrays.items() if a.size and not (a.dtype.kind == "f" and np.isnan(a).all())}


def dataset(variables: Mapping[str, Any], config: FlameSettings, attrs: Mapping[str, Any]) -> xr.Dataset:
    """Return a Dataset over equivalence ratio and species with what holds numbers.

    Parameters
    ----------
    variables : Mapping
        Name to ``(dims, values, attrs)``.
    config : FlameSettings
        The settings.
    attrs : Mapping
        Attributes of the Dataset.
    """
    import xarray as xr

    coords = {
        "phi": ("phi", np.array(config.phi), {"units": "1", "long_name": "equivalence ratio"}),
        "species": ("species", list(mechanism_of(source(config)).species)),
    }
    attrs = {"mechanism": config.mechanism, "detail": config.near(config.detail), **attrs}
    return xr.Dataset(finite(variables), coords, attrs)
