"""A system on parts of its domain, side by side along a coordinate: a field of its own in each (XPINN).

Every part is seen on one box in which the coordinate runs over [0, 1], ``x = x_k + s (x_{k+1} - x_k)``, so that the
parts are fields of one system on one set of points, and whatever trains a system trains them together. Derivatives by s
become those by x by the chain rule, and the *original* residual is evaluated with them. Where parts meet, an
`Interface` demands what a solution of the whole has there.

Time is not split here: parts of time follow each other, and each begins exactly where the last one ended. That is what
`retrodict.solvers.pinn.trainer.marching` does, of a system in parts as of any other.

Jagtap and Karniadakis (2020), Commun. Comput. Phys. 28(5), 2002-2041.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Space
from retrodict.physics.system import (
    Condition,
    Coords,
    Derivatives,
    Field,
    Initial,
    Interface,
    Key,
    Neumann,
    PDESystem,
    Periodic,
    Value,
    key,
)

__all__ = ["Split"]

Params = Mapping[str, Tensor]
Matched = Callable[[Derivatives, Coords, Params], Sequence[Tensor]]


@dataclass(frozen=True)
class Split:
    """A system in parts along a coordinate of space.

    Fields are named by their part: ``u_0``, ``u_1``, .. A part of a part is allowed: split along x, then along y.

    Parameters
    ----------
    base : PDESystem
        The whole.
    edges : sequence of float
        Lower end, interfaces and upper end.
    coord : str, optional
        What is split.
    residuals_agree : bool, optional
        Demand at interfaces that residuals agree too, as XPINN does. A field agrees with its neighbour in any case, and
        so do its derivatives below the highest order in the equations; more is not needed.

    Raises
    ------
    SolverError
        If the coordinate is time or none of the system, has been split before, or the edges do not ascend from one end
        of the box to the other.

    Examples
    --------
    >>> import math
    >>> from retrodict.physics.pde.convection import convection
    >>> split = Split(convection(5.0, 0.1), [0.0, 2.0, 2 * math.pi])
    >>> list(split.fields), split.coords["x"].bounds
    (['u_0', 'u_1'], (0.0, 1.0))
    >>> [condition.name for condition in split.conditions]
    ['initial u_0', 'initial u_1', 'interfaces of x']
    """

    base: PDESystem
    edges: Sequence[float]
    coord: str = "x"
    residuals_agree: bool = False

    def __post_init__(self) -> None:
        starts = [c.time for c in self.base.conditions if isinstance(c, Initial)]
        if self.coord not in self.base.coords or self.coord in ("t", *starts):
            fine = [c for c in self.base.coords if c not in ("t", *starts)]
            raise SolverError(expected("Split.coord", repr(self.coord), f"a coordinate of space among {fine}"))
        if any(isinstance(c, Interface) and c.coord == self.coord for c in self.base.conditions):
            raise SolverError(expected("Split", f"{self.coord} split twice", "all edges at once"))
        low, high = self.base.coords[self.coord].bounds
        ascend = all(a < b for a, b in pairwise(self.edges))
        if len(self.edges) < 2 or not ascend or (self.edges[0], self.edges[-1]) != (low, high):
            raise SolverError(expected("Split.edges", list(self.edges), f"numbers that ascend from {low} to {high}"))

    @property
    def count(self) -> int:
        """Number of parts."""
        return len(self.edges) - 1

    @property
    def coords(self) -> Space:
        """The base's, but from 0 to 1 along the coordinate that is split."""
        one = replace(self.base.coords[self.coord], units="1", bounds=(0.0, 1.0))
        return Space({k: one if k == self.coord else v for k, v in self.base.coords.items()})

    @property
    def fields(self) -> Space:
        """Those of the base in every part, part by part."""
        return Space({_name(f, k): v for k in range(self.count) for f, v in self.base.fields.items()})

    @property
    def params(self) -> Space:
        """As the base's."""
        return self.base.params

    @property
    def values(self) -> Mapping[str, float]:
        """As the base's."""
        return self.base.values

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """Those of the base in every part."""
        return tuple(self.inner_key(d, k) for k in range(self.count) for d in self.base.derivatives)

    @property
    def prescribed(self) -> tuple[str, ...]:
        """Those of the base in every part."""
        return tuple(_name(f, k) for k in range(self.count) for f in self.base.prescribed)

    @property
    def exact(self) -> Field | None:
        """The base's, part by part, where it has one."""
        if (whole := self.base.exact) is None:
            return None

        def parts(coords: Coords) -> dict[str, Tensor]:
            found = [whole(self.position(coords, k)) for k in range(self.count)]
            return {_name(f, k): v for k, fields in enumerate(found) for f, v in fields.items()}

        return parts

    def width(self, part: int) -> float:
        """Return the length of a part along the coordinate that is split."""
        return self.edges[part + 1] - self.edges[part]

    def position(self, coords: Coords, part: int) -> dict[str, Tensor]:
        """Return where points of the box are if they belong to a part.

        Parameters
        ----------
        coords : Mapping of str to Tensor
            Points of the box, each of shape (n,).
        part : int
            Number of the part.

        Returns
        -------
        dict of str to Tensor
            Coordinates of the base.
        """
        return {**coords, self.coord: self.edges[part] + coords[self.coord] * self.width(part)}

    def inside(self, d: Derivatives, part: int) -> Derivatives:
        """Return the derivatives of the base's fields in a part by the base's coordinates.

        Parameters
        ----------
        d : Derivatives
            Of the fields of all parts by the coordinates of the box.
        part : int
            Number of the part.

        Returns
        -------
        Derivatives
            All that are there.
        """
        own = {_name(f, part): f for f in self.base.fields}
        width = self.width(part)
        return Derivatives({(own[f], *by): v / width ** by.count(self.coord) for (f, *by), v in d.items() if f in own})

    def residuals(self, d: Derivatives, coords: Coords, params: Params) -> dict[str, Tensor]:
        """Return the base's residuals in every part, each of shape (n,)."""
        found = [self.base.residuals(self.inside(d, k), self.position(coords, k), params) for k in range(self.count)]
        return {_name(name, k): r for k, rows in enumerate(found) for name, r in rows.items()}

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The base's in every part that they touch, and what joins the parts."""
        inherited = [own for c in self.base.conditions for k in range(self.count) for own in self._inherited(c, k)]
        return (*inherited, *self._joined())

    def _inherited(self, c: Condition, part: int) -> Iterator[Condition]:
        """Yield a condition of the base as one of a part, unless the part lies away from its face."""
        if isinstance(c, Periodic):
            if c.coord != self.coord and part == 0:  # of all fields at once
                yield c
        elif isinstance(c, Interface):
            yield self._interface(c, part)
        elif isinstance(c, Initial):
            rate = None if c.rate is None else self._moved(c.rate, part)
            yield replace(c, field=_name(c.field, part), value=self._moved(c.value, part), rate=rate)
        elif c.coord != self.coord or part == (0 if c.side == "lower" else self.count - 1):
            scale = self.width(part) if isinstance(c, Neumann) and c.coord == self.coord else 1.0
            yield replace(c, field=_name(c.field, part), value=self._moved(c.value, part, scale))

    def _moved(self, value: Value, part: int, scale: float = 1.0) -> Value:
        return lambda coords: scale * value(self.position(coords, part))

    def _interface(self, c: Interface, part: int) -> Interface:
        """Return an interface of the base, along another coordinate, in a part."""

        def within(side: Matched) -> Matched:
            return lambda d, coords, params: side(self.inside(d, part), self.position(coords, part), params)

        wanted = tuple(self.inner_key(d, part) for d in c.derivatives)
        return Interface(f"{c.name}, {part}", c.coord, wanted, within(c.upper), within(c.lower))

    def _joined(self) -> tuple[Interface, ...]:
        """Return what holds where parts meet: all of it at once, on the same points."""
        pairs, orders = self.neighbours, self.continuous
        if not pairs or not orders:
            return ()
        parts = sorted({k for pair in pairs for k in pair})
        needed: list[Key] = [(f, *[self.coord] * m) for f, m in orders]
        needed += list(self.base.derivatives) if self.residuals_agree else []
        wanted = tuple(dict.fromkeys(self.inner_key(name, k) for k in parts for name in needed))

        def side(i: int) -> Matched:
            def quantities(d: Derivatives, coords: Coords, params: Params) -> list[Tensor]:
                out = []
                for pair in pairs:
                    here, length = self.inside(d, pair[i]), 0.5 * (self.width(pair[0]) + self.width(pair[1]))
                    out += [length**m * here[(f, *[self.coord] * m)] for f, m in orders]
                    if self.residuals_agree:
                        out += self.base.residuals(here, self.position(coords, pair[i]), params).values()
                return out

            return quantities

        return (Interface(f"interfaces of {self.coord}", self.coord, wanted, side(0), side(1)),)

    @property
    def neighbours(self) -> tuple[tuple[int, int], ...]:
        """Parts that meet, the lower one first; around a period the last one meets the first."""
        last = self.count if Periodic(self.coord) in self.base.conditions else self.count - 1
        return tuple((k, (k + 1) % self.count) for k in range(last))

    @property
    def continuous(self) -> tuple[tuple[str, int], ...]:
        """Fields of the base, and orders of their derivatives that are continuous: those below the highest one."""
        orders: list[tuple[str, int]] = []
        for f in self.base.fields:
            if f not in self.base.prescribed:
                highest = max((d[1:].count(self.coord) for d in self.base.derivatives if d[0] == f), default=0)
                orders += [(f, m) for m in range(highest)]
        return tuple(orders)

    def inner_key(self, name: Key, part: int) -> Key:
        """Return the key, in a part, of what a key of the base names, but for a power of the width."""
        return key(_name(name[0], part), *name[1:])


def _name(name: str, part: int) -> str:
    return f"{name}_{part}"
