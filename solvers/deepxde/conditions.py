"""The box and the conditions of a `PDESystem` in DeepXDE's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import Dirichlet, Initial, Interface, Neumann, PDESystem, Periodic, Value
from retrodict.solvers.pinn.constraints import hard_and_soft

__all__ = ["Axes", "SoftCondition", "geometry_of", "soft_conditions"]

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Axes:
    """Order of the coordinates: DeepXDE wants time last.

    Parameters
    ----------
    system : PDESystem
        Whose coordinates.

    Raises
    ------
    SolverError
        If there is no space, more than three dimensions of it, a coordinate without bounds, a condition on a face that
        DeepXDE has no name for, or an interface.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import rotation
    >>> Axes(rotation()).names
    ('x', 'y', 't')
    """

    system: PDESystem

    def __post_init__(self) -> None:
        for name, var in self.system.coords.items():
            if not np.isfinite(var.bounds).all():
                raise SolverError(expected(f"DeepXDE: coordinate {name!r}", f"bounds {var.bounds}", "finite bounds"))
        if not 1 <= len(self.space) <= 3:
            raise SolverError(expected("DeepXDE", f"{len(self.space)} space coordinates {self.space}", "one to three"))
        for c in self.system.conditions:
            if isinstance(c, Interface):
                raise SolverError(expected(f"DeepXDE: {c.name}", "an interface", "a system that is not in parts"))
            where, fine = (c.time, (self.time,)) if isinstance(c, Initial) else (c.coord, self.space)
            if where not in fine:
                wanted = f"the start of one time, or faces of {self.space}"
                raise SolverError(expected(f"DeepXDE: {c.name}", f"a face of {where!r}", wanted))

    @property
    def time(self) -> str | None:
        """The time coordinate: that of the first initial condition, or ``t``, if there is one."""
        named = [c.time for c in self.system.conditions if isinstance(c, Initial)]
        return named[0] if named else "t" if "t" in self.system.coords else None

    @property
    def space(self) -> tuple[str, ...]:
        """The other coordinates."""
        return tuple(c for c in self.system.coords if c != self.time)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them in DeepXDE's order."""
        return self.space if self.time is None else (*self.space, self.time)

    def split(self, points: Any) -> dict[str, Any]:
        """Return the columns of points, shape (n, dim), by name."""
        return {name: points[:, i] for i, name in enumerate(self.names)}

    def join(self, coords: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return points, shape (n, dim), from columns by name."""
        if missing := [name for name in self.names if name not in coords]:
            raise SolverError(expected("coords", sorted(coords), f"arrays of {missing} too"))
        columns = [np.asarray(coords[name], dtype=np.float64) for name in self.names]
        if any(c.ndim != 1 or c.shape != columns[0].shape for c in columns):
            raise SolverError(expected("coords", [c.shape for c in columns], "one length, one axis"))
        return np.stack(columns, -1)

    def on_numpy(self, value: Value) -> Callable[[Floats], Floats]:
        """Return a condition's value as a function of points, shape (n, dim) to (n, 1)."""

        def at(points: Floats) -> Floats:
            values = value({k: torch.as_tensor(v) for k, v in self.split(points).items()})
            return np.asarray(values.detach().cpu())[:, None]

        return at


def geometry_of(dde: Any, axes: Axes) -> Any:
    """Return an interval, rectangle or cuboid, times the time domain where there is one.

    Parameters
    ----------
    dde : module
        From `retrodict.solvers.deepxde.session.session`.
    axes : Axes
        The box.

    Returns
    -------
    deepxde geometry
        Coordinates in the order of ``axes.names``.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.deepxde.session import session
    >>> with session("float64") as dde:
    ...     dim = geometry_of(dde, Axes(convection(1.0))).dim
    >>> dim
    2
    """
    low, high = (np.array([axes.system.coords[x].bounds[side] for x in axes.space]) for side in (0, 1))
    shape = dde.geometry
    if len(axes.space) == 1:
        space = shape.Interval(float(low[0]), float(high[0]))
    else:
        space = (shape.Rectangle if len(axes.space) == 2 else shape.Cuboid)(low, high)
    if axes.time is None:
        return space
    return shape.GeometryXTime(space, shape.TimeDomain(*axes.system.coords[axes.time].bounds))


@dataclass(frozen=True)
class SoftCondition:
    """A condition as a term of the loss.

    Parameters
    ----------
    name : str
        For losses.
    kind : str
        ``"initial"`` or ``"boundary"``.
    term : object
        DeepXDE's condition.
    """

    name: str
    kind: str
    term: Any


def soft_conditions(dde: Any, axes: Axes, geometry: Any, hard: bool) -> list[SoftCondition]:
    """Return DeepXDE's conditions for all that a system declares.

    Parameters
    ----------
    dde : module
        The library.
    axes : Axes
        Of the system.
    geometry : object
        From `geometry_of`.
    hard : bool
        Leave out what `retrodict.solvers.deepxde.fields.constrain` satisfies.

    Returns
    -------
    list of SoftCondition
        An initial rate is a condition of its own. A periodic coordinate gives one for the values of each field, and
        one for the slopes of those that are differentiated twice along it, which is what makes the problem well posed.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.deepxde.session import session
    >>> axes = Axes(convection(1.0, 0.1))
    >>> with session("float64") as dde:
    ...     soft = soft_conditions(dde, axes, geometry_of(dde, axes), hard=False)
    >>> [condition.name for condition in soft]
    ['initial u', 'periodic x: u', 'periodic x: du/dx']
    """
    out: list[SoftCondition] = []
    fields = list(axes.system.fields)
    for c in hard_and_soft(axes.system)[1] if hard else axes.system.conditions:
        if isinstance(c, Initial):
            out += _initial(dde, axes, geometry, fields, c)
        elif isinstance(c, Periodic):
            out += _periodic(dde, axes, geometry, fields, c)
        elif not isinstance(c, Interface):  # which the axes refuse
            out.append(SoftCondition(c.name, "boundary", _face(dde, axes, geometry, fields, c)))
    return out


def _initial(dde: Any, axes: Axes, geometry: Any, fields: list[str], c: Initial) -> list[SoftCondition]:
    i = fields.index(c.field)
    value = dde.icbc.IC(geometry, axes.on_numpy(c.value), lambda _x, on: on, component=i)
    out = [SoftCondition(c.name, "initial", value)]
    if (rate := c.rate) is not None:
        start = axes.system.coords[c.time].bounds[0]

        def gap(x: Tensor, y: Tensor, _points: object) -> Tensor:
            return dde.grad.jacobian(y, x, i=i, j=len(axes.space)) - rate(axes.split(x))[:, None]  # type: ignore[no-any-return]

        term = dde.icbc.OperatorBC(geometry, gap, lambda x, _on: bool(dde.utils.isclose(x[-1], start)))
        out.append(SoftCondition(f"initial rate of {c.field}", "initial", term))
    return out


def _periodic(dde: Any, axes: Axes, geometry: Any, fields: list[str], c: Periodic) -> list[SoftCondition]:
    j, edges = axes.space.index(c.coord), axes.system.coords[c.coord].bounds

    def on_seam(x: Floats, on: bool) -> bool:
        return bool(on and any(dde.utils.isclose(x[j], e) for e in edges))

    out = []
    for i, field in enumerate(fields):
        second = any(k[0] == field and k[1:].count(c.coord) > 1 for k in axes.system.derivatives)
        for order in range(2 if second else 1):
            term = dde.icbc.PeriodicBC(geometry, j, on_seam, derivative_order=order, component=i)
            name = f"{c.name}: {field}" if order == 0 else f"{c.name}: d{field}/d{c.coord}"
            out.append(SoftCondition(name, "boundary", term))
    return out


def _face(dde: Any, axes: Axes, geometry: Any, fields: list[str], c: Dirichlet | Neumann) -> Any:
    j = axes.space.index(c.coord)
    edge = axes.system.coords[c.coord].bounds[0 if c.side == "lower" else 1]
    others = [(k, e) for k, x in enumerate(axes.space) if x != c.coord for e in axes.system.coords[x].bounds]
    slope, sign = isinstance(c, Neumann), -1.0 if c.side == "lower" else 1.0

    def on_face(x: Floats, on: bool) -> bool:
        if not (on and dde.utils.isclose(x[j], edge)):
            return False
        # at an edge of the box its normal is a mean of two, and its slope of no use
        return not (slope and any(dde.utils.isclose(x[k], e) for k, e in others))

    value, i = axes.on_numpy(c.value), fields.index(c.field)
    if slope:
        return dde.icbc.NeumannBC(geometry, lambda x: sign * value(x), on_face, component=i)
    return dde.icbc.DirichletBC(geometry, value, on_face, component=i)
