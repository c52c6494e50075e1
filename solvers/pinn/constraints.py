"""Conditions that a trial solution satisfies for any weights, built from their declarations.

A field is ``u = A + B N``: A satisfies every hard condition and B vanishes where one holds, so that the network N is
free. A grows face by face: each condition adds what is missing on its face, spread into the box; with data that agree
where faces meet, later faces do not disturb earlier ones (the Boolean sum of Gordon and Hall 1973). Periodicity is kept
by the inputs of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Space
from retrodict.physics.system import (
    Condition,
    Coords,
    Dirichlet,
    Initial,
    Interface,
    Neumann,
    PDESystem,
    Periodic,
    Value,
)

__all__ = ["Ansatz", "check_conditions", "hard_and_soft", "periodic_coords"]


def hard_and_soft(system: PDESystem) -> tuple[tuple[Condition, ...], tuple[Neumann | Interface, ...]]:
    """Return the conditions that an ansatz can satisfy exactly, and those that must enter the loss.

    Parameters
    ----------
    system : PDESystem
        Whose conditions to sort.

    Returns
    -------
    tuple
        Initial, Dirichlet and periodic conditions, and Neumann ones where the field itself is given on the same face;
        the other Neumann conditions, and interfaces.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> hard, soft = hard_and_soft(convection(1.0))
    >>> [condition.name for condition in hard], soft
    (['initial u', 'periodic x'], ())
    """
    conditions = tuple(system.conditions)  # once: a system may make them anew
    given = {(c.field, *c.face) for c in conditions if isinstance(c, Dirichlet)}
    soft = tuple(
        c
        for c in conditions
        if isinstance(c, Interface) or (isinstance(c, Neumann) and (c.field, *c.face) not in given)
    )
    return tuple(c for c in conditions if not any(c is s for s in soft)), soft


def periodic_coords(conditions: Sequence[Condition]) -> tuple[str, ...]:
    """Return the coordinates that are declared periodic.

    Parameters
    ----------
    conditions : sequence of Condition
        Where to look.

    Returns
    -------
    tuple of str
        Their names.

    Examples
    --------
    >>> periodic_coords([Periodic("x")])
    ('x',)
    """
    return tuple(c.coord for c in conditions if isinstance(c, Periodic))


@dataclass(frozen=True)
class Ansatz:
    """The parts A and B of one field.

    Parameters
    ----------
    field : str
        Its name.
    coords : Space
        The box.
    conditions : tuple of Condition
        Hard conditions, of any field.

    Examples
    --------
    >>> from retrodict.physics.pde.burgers import burgers_interval
    >>> system = burgers_interval()
    >>> ansatz = Ansatz("u", system.coords, system.conditions)
    >>> at = {"t": torch.tensor([0.5, 0.0]), "x": torch.tensor([1.0, 0.5])}
    >>> ansatz.factor(at).tolist()  # on a face, and where time begins
    [0.0, 0.0]
    >>> round(float(ansatz.base(at)[1]), 6)
    -1.0
    """

    field: str
    coords: Space
    conditions: tuple[Condition, ...]

    @property
    def _faces(self) -> dict[str, dict[str, Value]]:
        faces: dict[str, dict[str, Value]] = {}
        for c in self.conditions:
            if isinstance(c, Dirichlet) and c.field == self.field:
                faces.setdefault(c.coord, {})[c.side] = c.value
        return faces

    @property
    def _slopes(self) -> dict[tuple[str, str], Value]:
        """Slopes on faces where the field is given too."""
        given = self._faces
        neumann = [c for c in self.conditions if isinstance(c, Neumann) and c.field == self.field]
        return {c.face: c.value for c in neumann if c.side in given.get(c.coord, {})}

    @property
    def _start(self) -> Initial | None:
        return next((c for c in self.conditions if isinstance(c, Initial) and c.field == self.field), None)

    def _on(self, coords: Coords, coord: str, side: str) -> dict[str, Tensor]:
        at = self.coords[coord].bounds[0 if side == "lower" else 1]
        return {**coords, coord: torch.full_like(coords[coord], at)}

    def base(self, coords: Coords) -> Tensor:
        """Return A, shape (n,): every hard condition holds for it.

        Parameters
        ----------
        coords : Mapping of str to Tensor
            Points, each of shape (n,).

        Returns
        -------
        Tensor
            Values, differentiable by torch.
        """
        return self._built(coords, list(self._faces.items()), self._start)

    def _built(self, coords: Coords, faces: list[tuple[str, dict[str, Value]]], start: Initial | None) -> Tensor:
        if start is not None:
            under = self._on(coords, start.time, "lower")
            a = self._built(coords, faces, None) + start.value(under)
            if faces:
                a = a - self._built(under, faces, None)
            if start.rate is None:
                return a
            missing = start.rate(under) - self._rate(under, faces, start.time)
            return a + (coords[start.time] - under[start.time]) * missing
        if not faces:
            return torch.zeros_like(next(iter(coords.values())))
        (coord, sides), rest = faces[-1], faces[:-1]
        a = self._built(coords, rest, None)
        low, high = self.coords[coord].bounds
        share = (coords[coord] - low) / (high - low)
        for side, value in sides.items():
            on = self._on(coords, coord, side)
            blend = torch.ones_like(share) if len(sides) == 1 else (1 - share if side == "lower" else share)
            a = a + blend * (value(on) - self._built(on, rest, None))
        return a + self._bent(coords, coord, sides, rest)

    def _bent(
        self, coords: Coords, coord: str, sides: dict[str, Value], rest: list[tuple[str, dict[str, Value]]]
    ) -> Tensor:
        """Return what brings the slopes on the faces of a coordinate to those given, and is zero on the faces."""
        low, high = self.coords[coord].bounds
        share, total = (coords[coord] - low) / (high - low), torch.zeros_like(coords[coord])
        wanted = {side: self._slopes[coord, side] for side in sides if (coord, side) in self._slopes}
        for side, slope in wanted.items():
            on = self._on(coords, coord, side)
            missing = slope(on) - self._without(on, coord, sides, rest)
            near, far = (share, 1 - share) if side == "lower" else (1 - share, share)
            sign = 1.0 if side == "lower" else -1.0
            # no value on either face, slope 1 on its own, none on the other if that has one to keep
            bump = sign * near * (far**2 if len(wanted) == 2 else far if len(sides) == 2 else 1.0)
            total = total + (high - low) * bump * missing
        return total

    def _without(
        self, on: Coords, coord: str, sides: dict[str, Value], rest: list[tuple[str, dict[str, Value]]]
    ) -> Tensor:
        """Return the slope on a face of what has the right values there: `_built` before it is bent."""
        low, high = self.coords[coord].bounds
        across = torch.zeros_like(on[coord])
        if len(sides) == 2:
            ends = [self._on(on, coord, side) for side in ("upper", "lower")]
            gaps = [
                sides[side](end) - self._built(end, rest, None)
                for side, end in zip(("upper", "lower"), ends, strict=True)
            ]
            across = (gaps[0] - gaps[1]) / (high - low)
        return self._rate(on, rest, coord) + across

    def _rate(self, under: Coords, faces: list[tuple[str, dict[str, Value]]], coord: str) -> Tensor:
        """Return the derivative of the faces' part along a coordinate."""
        with torch.enable_grad():
            t = under[coord].detach().clone().requires_grad_()
            return _slope(self._built({**under, coord: t}, faces, None), t)

    def factor(self, coords: Coords) -> Tensor:
        """Return B, shape (n,): zero on the faces of the conditions, positive inside.

        Parameters
        ----------
        coords : Mapping of str to Tensor
            Points, each of shape (n,).

        Returns
        -------
        Tensor
            Values, differentiable by torch.
        """
        b = torch.ones_like(next(iter(coords.values())))
        for coord, sides in self._faces.items():
            low, high = self.coords[coord].bounds
            share = (coords[coord] - low) / (high - low)
            below, above = (2 if (coord, side) in self._slopes else 1 for side in ("lower", "upper"))
            b = b * (share**below if "lower" in sides else 1.0) * ((1 - share) ** above if "upper" in sides else 1.0)
            b = b * 4 if len(sides) == 2 else b
        if (start := self._start) is not None:
            since = coords[start.time] - self.coords[start.time].bounds[0]
            b = b * since if start.rate is None else b * since**2
        return b


def check_conditions(system: PDESystem, tolerance: float = 1e-9) -> None:
    """Refuse data that no field can satisfy.

    Parameters
    ----------
    system : PDESystem
        Whose conditions to look at.
    tolerance : float, optional
        Largest disagreement, relative to the data.

    Raises
    ------
    SolverError
        If data of a periodic system differ at the ends of the period, initial and boundary data disagree where they
        meet, data are not finite, a coordinate is bounded by conditions and periodic at once, or a condition is stated
        twice or on what the system has not.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> check_conditions(convection(1.0, initial=lambda at: at["x"]))
    Traceback (most recent call last):
        ...
    retrodict.physics.errors.SolverError: initial u: got a jump of 6.28 across the period of x, expected periodic data
    """
    _check_names(system)
    periodic = periodic_coords(system.conditions)
    faces = [c for c in system.conditions if isinstance(c, (Dirichlet, Neumann, Interface))]
    if clash := [c.name for c in faces if c.coord in periodic]:
        raise SolverError(expected("conditions", clash, f"none on a periodic coordinate ({', '.join(periodic)})"))
    for condition in system.conditions:
        if not isinstance(condition, (Periodic, Interface)):
            _check_data(system, condition, periodic, tolerance)


def _check_names(system: PDESystem) -> None:
    """Refuse what an ansatz or a loss would pass over without a word."""
    seen = set()
    for c in system.conditions:
        coord = c.time if isinstance(c, Initial) else c.coord
        if coord not in system.coords:
            raise SolverError(expected(c.name, f"coordinate {coord!r}", f"one of {list(system.coords)}"))
        fields = () if isinstance(c, Periodic) else c.fields if isinstance(c, Interface) else (c.field,)
        for field in fields:
            if field not in system.fields:
                raise SolverError(expected(c.name, f"field {field!r}", f"one of {list(system.fields)}"))
        if c.name in seen:
            raise SolverError(expected("conditions", f"{c.name!r} twice", "each condition once"))
        seen.add(c.name)


def _slope(value: Tensor, coordinate: Tensor) -> Tensor:
    if not value.requires_grad:
        return torch.zeros_like(coordinate)
    found = torch.autograd.grad(value.sum(), coordinate, create_graph=True, allow_unused=True)[0]
    return torch.zeros_like(coordinate) if found is None else found


def _check_data(
    system: PDESystem, condition: Initial | Dirichlet | Neumann, periodic: tuple[str, ...], tolerance: float
) -> None:
    coord, side = condition.face
    edge = system.coords[coord].bounds[0 if side == "lower" else 1]
    free = [c for c in system.coords if c != coord]
    axes = [torch.linspace(*system.coords[c].bounds, 65 if len(free) < 2 else 17, dtype=torch.float64) for c in free]
    mesh = torch.meshgrid(*axes, indexing="ij") if axes else ()
    flat = {c: m.flatten() for c, m in zip(free, mesh, strict=True)}
    count = len(next(iter(flat.values()))) if flat else 1
    face = {c: flat.get(c, torch.full((count,), edge, dtype=torch.float64)) for c in system.coords}
    for value in _data(condition):
        data = value(face).detach()
        if not bool(torch.isfinite(data).all()):
            raise SolverError(expected(condition.name, "data that are not finite", "numbers"))
        scale = float(data.abs().max()) or 1.0
        for c in periodic:
            if c == coord:
                continue
            low, high = (_at(system.coords, face, c, s) for s in (0, 1))
            jump = float((value(high) - value(low)).detach().abs().max())
            if jump > max(tolerance * scale, 1e-13):
                raise SolverError(
                    expected(condition.name, f"a jump of {jump:.3g} across the period of {c}", "periodic data")
                )
    if not isinstance(condition, Neumann):
        for other in system.conditions:
            if isinstance(other, Dirichlet) and other.field == condition.field and other.coord != coord:
                corner = _at(system.coords, face, other.coord, 0 if other.side == "lower" else 1)
                for value, meets in zip(_data(condition), (other.value, _rate_of(other.value, coord)), strict=False):
                    pair = value(corner).detach(), meets(corner).detach()
                    gap, scale = float((pair[0] - pair[1]).abs().max()), float(value(face).detach().abs().max()) or 1.0
                    if gap > 1e-3 * scale:
                        where = f"{condition.name} and {other.name}"
                        raise SolverError(expected(where, f"a gap of {gap:.3g} where they meet", "data that agree"))


def _data(condition: Initial | Dirichlet | Neumann) -> tuple[Value, ...]:
    """Return the value of a condition, and the rate behind it where there is one."""
    rate = condition.rate if isinstance(condition, Initial) else None
    return (condition.value,) if rate is None else (condition.value, rate)


def _rate_of(value: Value, time: str) -> Value:
    def rate(coords: Coords) -> Tensor:
        t = coords[time].detach().clone().requires_grad_()
        return _slope(value({**coords, time: t}), t)

    return rate


def _at(coords: Space, face: Mapping[str, Tensor], coord: str, side: int) -> dict[str, Tensor]:
    return {**face, coord: torch.full_like(face[coord], coords[coord].bounds[side])}
