"""Profiles as measured: a quantity at places given from one end, or from where the flame has a reference temperature.

A free flame has no place of its own: measured profiles are aligned. Here the place ``x_ref`` where ``T = T_ref`` moves
with the solution, and so do the values: with cubic splines through the nodes, ``v(x) = w(x) q``::

    dv = w dq + v'(x) dx_ref,   dx_ref = -(w(x_ref) dT) / T'(x_ref)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from retrodict.physics.errors import SpaceError, expected

__all__ = ["Nodal", "Profile", "Seen"]

Floats = NDArray[np.float64]
_QUANTITIES = {"T": "K", "u": "m s-1", "rho": "kg m-3"}


@dataclass(frozen=True, eq=False)
class Profile:
    """What is measured along a flame, and where.

    Parameters
    ----------
    quantity : str
        ``"T"``, ``"u"``, ``"rho"``, or ``"Y:"`` and a species for its mass fraction.
    x : ndarray, shape (k,)
        Places, m. Beyond the ends of the domain the value at the end counts.
    T_ref : float, optional
        Temperature where ``x`` is zero, K; without it at the left end of the domain.

    Raises
    ------
    SpaceError
        If the quantity is unknown, or there is no place, or one that is not finite.

    Examples
    --------
    >>> Profile("T", np.array([-1e-3, 0.0, 1e-3]), T_ref=1000.0).units
    'K'
    """

    quantity: str
    x: Floats
    T_ref: float | None = None

    def __post_init__(self) -> None:
        if self.quantity not in _QUANTITIES and not self.quantity.startswith("Y:"):
            raise SpaceError(expected("Profile.quantity", repr(self.quantity), "'T', 'u', 'rho' or 'Y:species'"))
        x = np.asarray(self.x, float)
        if x.ndim != 1 or not x.size or not np.all(np.isfinite(x)):
            raise SpaceError(expected("Profile.x", self.x, "finite places in m"))
        if self.T_ref is not None and not 0 < self.T_ref < np.inf:
            raise SpaceError(expected("Profile.T_ref", self.T_ref, "a positive temperature in K"))
        object.__setattr__(self, "x", x)

    @property
    def observable(self) -> str:
        """Name of the nodal observable that is read."""
        return self.quantity.split(":")[0]

    @property
    def species(self) -> str:
        """Species of a mass fraction; empty for other quantities."""
        return self.quantity.partition(":")[2]

    @property
    def units(self) -> str:
        """Units of the values."""
        return _QUANTITIES.get(self.quantity, "1")


@dataclass(frozen=True, eq=False)
class Seen:
    """Values of a profile and the matrices of their derivative by nodal values.

    Parameters
    ----------
    values : ndarray, shape (k,)
        The profile.
    by_quantity, by_temperature : ndarray, shape (k, n)
        Derivatives by the nodal values of the quantity, and by nodal temperatures through the place of the flame.
    """

    values: Floats
    by_quantity: Floats
    by_temperature: Floats


class Nodal:
    """Reads profiles off nodal values.

    Parameters
    ----------
    nodes : ndarray, shape (n,)
        Increasing, m.

    Examples
    --------
    >>> nodes = np.linspace(0, 1, 41)
    >>> T = 1000 + 500 * np.tanh(8 * (nodes - 0.4))
    >>> seen = Nodal(nodes).read(Profile("T", np.array([0.0, 0.2]), T_ref=1000.0), T, T)
    >>> seen.values.round(0).tolist()
    [1000.0, 1461.0]
    """

    def __init__(self, nodes: Floats) -> None:
        self.nodes = nodes
        self._basis: Any = CubicSpline(nodes, np.eye(nodes.size))
        self._slopes: Any = self._basis.derivative()

    def place(self, T: Floats, T_ref: float) -> float:
        """Return where the temperature first reaches a value, NaN if nowhere."""
        at = np.flatnonzero((T[:-1] < T_ref) & (T[1:] >= T_ref))
        if not at.size:
            return float("nan")
        spline: Any = CubicSpline(self.nodes, T)
        low, high = float(self.nodes[at[0]]), float(self.nodes[at[0] + 1])
        return float(brentq(lambda x: float(spline(x)) - T_ref, low, high, xtol=1e-300, rtol=1e-15))

    def read(self, profile: Profile, q: Floats, T: Floats) -> Seen:
        """Return a profile of nodal values ``q`` in a flame of nodal temperatures ``T``; NaN where it has no place."""
        none = np.zeros((profile.x.size, self.nodes.size))
        shift = 0.0 if profile.T_ref is None else self.place(T, profile.T_ref)
        if np.isnan(shift):
            return Seen(np.full(profile.x.size, np.nan), none, none)
        x = shift + profile.x
        at = np.clip(x, self.nodes[0], self.nodes[-1])
        weights = self._basis(at)
        if profile.T_ref is None:
            return Seen(weights @ q, weights, none)
        slope = np.where(x == at, self._slopes(at) @ q, 0.0)
        moves = -self._basis(shift) / float(self._slopes(shift) @ T)
        return Seen(weights @ q, weights, np.outer(slope, moves))
