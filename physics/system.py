"""Contract of a PDE as residuals and conditions: what a PINN solves.

Equations and maps are different things. A `PDESystem` is what a network is trained on; a `ForwardModel` maps
parameters to data and is what an estimator inverts. A trained network is not a forward model of the parameters.

A system never differentiates. It is given values and derivatives of its fields at points, whoever computed them: Taylor
jets of a network, nested automatic differentiation, another library, or a grid. What it needs it declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, SpaceError, expected
from retrodict.physics.spaces import Space

__all__ = [
    "Condition",
    "Coords",
    "Derivatives",
    "Dirichlet",
    "Field",
    "Initial",
    "Interface",
    "Key",
    "Neumann",
    "PDESystem",
    "Periodic",
    "key",
    "nested_derivatives",
]

Key = tuple[str, ...]
"""A field and the coordinates it is differentiated by, sorted: ``("u",)``, ``("u", "t")``, ``("u", "x", "x")``."""

Coords = Mapping[str, Tensor]
Field = Callable[[Coords], Mapping[str, Tensor]]
Value = Callable[[Coords], Tensor]
Matched = Callable[["Derivatives", Coords, Mapping[str, Tensor]], Sequence[Tensor]]


def key(field: str, *coords: str) -> Key:
    """Return the key of a derivative; the order of differentiation does not matter.

    Parameters
    ----------
    field : str
        Name of the field.
    *coords : str
        Coordinates, in any order.

    Returns
    -------
    tuple of str
        The canonical key.

    Examples
    --------
    >>> key("u", "x", "t")
    ('u', 't', 'x')
    """
    return (field, *sorted(coords))


class Derivatives(Mapping[Key, Tensor]):
    """Values and derivatives of fields at points, each of shape (n,).

    Parameters
    ----------
    values : Mapping of Key to Tensor
        Canonical keys, see `key`.

    Examples
    --------
    >>> d = Derivatives({("u",): torch.zeros(2), ("u", "t", "x"): torch.ones(2)})
    >>> d["u", "x", "t"]
    tensor([1., 1.])
    """

    def __init__(self, values: Mapping[Key, Tensor]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str | Key) -> Tensor:
        wanted = (name,) if isinstance(name, str) else key(*name)
        try:
            return self._values[wanted]
        except KeyError:
            have = ", ".join(map(str, self._values))
            raise SpaceError(expected("derivative", wanted, f"one that the system declared: {have}")) from None

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def nested_derivatives(field: Field, coords: Coords, wanted: Sequence[Key]) -> Derivatives:
    """Differentiate any torch function by nested reverse mode: slow, and what every faster way is held against.

    Parameters
    ----------
    field : callable
        Coordinates, each of shape (n,), to fields, each of shape (n,), point by point.
    coords : Mapping of str to Tensor
        The points.
    wanted : sequence of Key
        What to compute.

    Returns
    -------
    Derivatives
        With a graph behind them where the field has one.

    Examples
    --------
    >>> x = torch.tensor([0.0, 1.0])
    >>> d = nested_derivatives(lambda c: {"u": c["x"] ** 3}, {"x": x}, [("u",), ("u", "x", "x")])
    >>> d["u", "x", "x"].detach()
    tensor([0., 6.])
    """
    points = {k: v.detach().clone().requires_grad_() for k, v in coords.items()}
    known: dict[Key, Tensor] = {(k,): v for k, v in field(points).items()}
    for target in sorted((key(*k) for k in wanted), key=len):
        for length in range(2, len(target) + 1):
            part = target[:length]
            if part not in known:
                known[part] = _slope(known[part[:-1]], points[part[-1]])
    return Derivatives({key(*k): known[key(*k)] for k in wanted})


def _slope(value: Tensor, coordinate: Tensor) -> Tensor:
    if not value.requires_grad:
        return torch.zeros_like(coordinate)
    slope = torch.autograd.grad(value.sum(), coordinate, create_graph=True, allow_unused=True)[0]
    return torch.zeros_like(coordinate) if slope is None else slope


@dataclass(frozen=True)
class Initial:
    """A field, and perhaps its rate, where time begins.

    Parameters
    ----------
    field : str
        Name of the field.
    value : callable
        Coordinates to values; must be differentiable by torch.
    rate : callable, optional
        Coordinates to the time derivative, where it is known.
    time : str, optional
        Name of the time coordinate.
    """

    field: str
    value: Value
    rate: Value | None = None
    time: str = "t"

    @property
    def name(self) -> str:
        """For messages and losses."""
        return f"initial {self.field}"

    @property
    def face(self) -> tuple[str, str]:
        """Coordinate and side on which the condition lives."""
        return self.time, "lower"

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """What the residual needs."""
        return (key(self.field),) if self.rate is None else (key(self.field), key(self.field, self.time))

    def residual(self, d: Derivatives, coords: Coords) -> Tensor:
        """Return value minus condition, and the rate's behind it where there is one."""
        gap = d[self.field] - self.value(coords)
        return gap if self.rate is None else torch.cat([gap, d[self.field, self.time] - self.rate(coords)])


@dataclass(frozen=True)
class Periodic:
    """All fields and all their derivatives agree on both sides of a coordinate.

    Parameters
    ----------
    coord : str
        Name of the coordinate; its bounds in the system's coordinates are one period.
    """

    coord: str

    @property
    def name(self) -> str:
        """For messages and losses."""
        return f"periodic {self.coord}"


@dataclass(frozen=True)
class _OnFace:
    """What conditions on one side of a space coordinate share."""

    field: str
    coord: str
    side: str
    value: Value

    def __post_init__(self) -> None:
        if self.side not in ("lower", "upper"):
            raise SolverError(expected(f"{type(self).__name__}.side", repr(self.side), "'lower' or 'upper'"))

    @property
    def face(self) -> tuple[str, str]:
        """Coordinate and side on which the condition lives."""
        return self.coord, self.side


@dataclass(frozen=True)
class Dirichlet(_OnFace):
    """A field on one side of a coordinate.

    Parameters
    ----------
    field, coord : str
        Names.
    side : str
        ``"lower"`` or ``"upper"``.
    value : callable
        Coordinates to values.

    Raises
    ------
    SolverError
        If the side is neither.
    """

    @property
    def name(self) -> str:
        """For messages and losses."""
        return f"{self.field} at {self.side} {self.coord}"

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """What the residual needs."""
        return (key(self.field),)

    def residual(self, d: Derivatives, coords: Coords) -> Tensor:
        """Return value minus condition."""
        return d[self.field] - self.value(coords)


@dataclass(frozen=True)
class Neumann(_OnFace):
    """The derivative of a field along a coordinate, on one side of it.

    Parameters
    ----------
    field, coord : str
        Names.
    side : str
        ``"lower"`` or ``"upper"``.
    value : callable
        Coordinates to the derivative along ``coord`` (not along the outer normal).

    Raises
    ------
    SolverError
        If the side is neither.
    """

    @property
    def name(self) -> str:
        """For messages and losses."""
        return f"d{self.field}/d{self.coord} at {self.side} {self.coord}"

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """What the residual needs."""
        return (key(self.field, self.coord),)

    def residual(self, d: Derivatives, coords: Coords) -> Tensor:
        """Return derivative minus condition."""
        return d[self.field, self.coord] - self.value(coords)


@dataclass(frozen=True)
class Interface:
    """What holds on the upper side of a coordinate goes on at its lower side: parts of a domain on one box meet there.

    Parameters
    ----------
    name : str
        For messages and losses.
    coord : str
        Name of the coordinate.
    derivatives : tuple of Key
        What both sides need.
    upper, lower : callable
        ``(d, coords, params) -> sequence of Tensor of shape (n,)``: what the upper and the lower side have in common.

    Examples
    --------
    >>> meet = Interface("joint", "x", (("a",), ("b",)), lambda d, *_: [d["a"]], lambda d, *_: [d["b"]])
    >>> at = {"x": torch.tensor([1.0, 0.0])}  # one point on the upper side, its partner on the lower
    >>> meet.residual(Derivatives({("a",): torch.tensor([5.0, 0.0]), ("b",): torch.tensor([0.0, 2.0])}), at, {})
    tensor([3.])
    """

    name: str
    coord: str
    derivatives: tuple[Key, ...]
    upper: Matched
    lower: Matched

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that meet."""
        return tuple(dict.fromkeys(k[0] for k in self.derivatives))

    def residual(self, d: Derivatives, coords: Coords, params: Mapping[str, Tensor]) -> Tensor:
        """Return the jumps at n pairs: 2n points, those on the upper side first, their partners behind them."""
        half = len(coords[self.coord]) // 2
        above, below = (
            side(Derivatives({k: v[own] for k, v in d.items()}), {k: v[own] for k, v in coords.items()}, params)
            for side, own in ((self.upper, slice(0, half)), (self.lower, slice(half, None)))
        )
        return torch.cat([a - b for a, b in zip(above, below, strict=True)])


Condition = Initial | Periodic | Dirichlet | Neumann | Interface


@runtime_checkable
class PDESystem(Protocol):
    """Residuals and conditions of a system of partial differential equations on a box."""

    @property
    def coords(self) -> Space:
        """Coordinates with their units; the bounds are the box."""
        ...

    @property
    def fields(self) -> Space:
        """Unknown fields."""
        ...

    @property
    def params(self) -> Space:
        """Coefficients: scalars with units and bounds."""
        ...

    @property
    def values(self) -> Mapping[str, float]:
        """The coefficients as they are known; where an inverse problem starts for those that are not."""
        ...

    @property
    def derivatives(self) -> Sequence[Key]:
        """What the residuals need."""
        ...

    def residuals(self, d: Derivatives, coords: Coords, params: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the residual of every equation, each of shape (n,)."""
        ...

    @property
    def conditions(self) -> Sequence[Condition]:
        """Initial and boundary conditions."""
        ...

    @property
    def prescribed(self) -> Sequence[str]:
        """Fields that their conditions determine alone; the equations are satisfied for them."""
        ...

    @property
    def exact(self) -> Field | None:
        """Exact solution, where there is one."""
        ...
