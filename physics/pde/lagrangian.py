"""A system rewritten along moving labels: Lagrangian, Eulerian and everything between.

Fields become functions of a label X and of t; the label's position is ``x = X + shift(X, t)`` with deformation
``F = dx/dX`` and ``J = det F``. The chain rule turns label derivatives into those in space,

    grad_x w = F^-T grad_X w,  F^T (hess_x w) F = hess_X w - sum_k (dw/dx_k) hess_X x_k,  u_t = w_t - x_t . grad_x w,

and the *original* residual is evaluated with them, so that any pair (x, w) that satisfies it is a solution, whatever
moved the labels. Another equation, ``x_t = V``, moves them: with the velocity of the flow (Lagrangian), not at all
(Eulerian), or as the user likes (arbitrary Lagrangian-Eulerian). The residual in space is multiplied by J^2, so that it
stays bounded where labels run into a shock.

The published method (Mojgani, Balajewicz, Hassanzadeh, CMAME 404 (2023) 115810) takes second derivatives by the label
and leaves out the Jacobian; `LabelDiffusion` keeps that form to show its floor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.quasilinear import Params, QuasiLinear
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Condition, Coords, Derivatives, Initial, Key, Periodic, Value, key

__all__ = ["Frame", "LabelDiffusion", "Lagrangian", "crowded", "jacobian", "spatial_derivatives"]

Frame = Literal["flow", "rest"] | Callable[[Tensor, Coords, Params], Mapping[str, Tensor]]
"""What moves the labels: the flow, nothing, or ``(u, coords, params) -> {coordinate: velocity}``."""


def _shift(x: str) -> str:
    return f"shift_{x}"


def jacobian(d: Derivatives, space: tuple[str, ...]) -> Tensor:
    """Return the deformation ``F[i, a] = dx_i / dX_a`` of labels.

    Parameters
    ----------
    d : Derivatives
        With the first derivatives of every shift.
    space : tuple of str
        Space coordinates.

    Returns
    -------
    Tensor, shape (n, len(space), len(space))
        The deformation.

    Examples
    --------
    >>> jacobian(Derivatives({("shift_x", "x"): torch.tensor([0.5])}), ("x",))
    tensor([[[1.5000]]])
    """
    rows = [torch.stack([d[_shift(i), a] for a in space], -1) for i in space]
    return torch.stack(rows, -2) + torch.eye(len(space), dtype=rows[0].dtype, device=rows[0].device)


def spatial_derivatives(
    d: Derivatives, fields: tuple[str, ...], wanted: tuple[Key, ...], space: tuple[str, ...]
) -> Derivatives:
    """Turn derivatives by label and time along the label into derivatives in space and time at a point.

    Parameters
    ----------
    d : Derivatives
        Of the fields and the shifts by ``t`` and the labels.
    fields : tuple of str
        Fields to convert.
    wanted : tuple of Key
        Derivatives in space wanted, up to the second.
    space : tuple of str
        Space coordinates.

    Returns
    -------
    Derivatives
        Those wanted.

    Raises
    ------
    SolverError
        If a derivative mixes time with something else, or is of third order or more.
    """
    inverse = _inverse(jacobian(d, space))
    slopes = {
        f: _contract(inverse, [d[f, a] for a in space]) for f in fields if any(len(k) > 1 and k[0] == f for k in wanted)
    }
    out: dict[Key, Tensor] = {}
    for name, *by in wanted:
        if not by:
            out[name,] = d[name]
        elif by == ["t"]:
            carried = [d[_shift(x), "t"] * slopes[name][i] for i, x in enumerate(space)]
            out[name, "t"] = d[name, "t"] - sum(carried[1:], carried[0])
        elif len(by) == 1:
            out[name, by[0]] = slopes[name][space.index(by[0])]
        elif len(by) == 2 and "t" not in by:
            i, j = (space.index(b) for b in by)
            out[name, by[0], by[1]] = _bend(d, name, slopes[name], inverse, space, (i, j))
        else:
            raise SolverError(expected("derivative in a moving frame", (name, *by), "t alone, or up to two in space"))
    return Derivatives(out)


def _inverse(f: Tensor) -> Tensor:
    """Return ``G[a, i] = dX_a / dx_i``; small, so in closed form."""
    if f.shape[-1] == 1:
        return f.reciprocal()
    if f.shape[-1] == 2:
        (a, b), (c, e) = (f[..., 0, :].unbind(-1), f[..., 1, :].unbind(-1))
        det = a * e - b * c
        return torch.stack([torch.stack([e, -b], -1), torch.stack([-c, a], -1)], -2) / det[..., None, None]
    inverse: Tensor = torch.linalg.inv(f)
    return inverse


def _contract(inverse: Tensor, by_label: list[Tensor]) -> list[Tensor]:
    """Return ``w_{x_i} = sum_a G[a, i] w_{X_a}``."""
    if len(by_label) == 1:
        return [inverse[:, 0, 0] * by_label[0]]
    return list((inverse * torch.stack(by_label, -1)[:, :, None]).sum(1).unbind(-1))


def _bend(
    d: Derivatives, name: str, slope: list[Tensor], inverse: Tensor, space: tuple[str, ...], ij: tuple[int, int]
) -> Tensor:
    """Return a second derivative in space."""
    total = torch.zeros_like(slope[0])
    for a, label_a in enumerate(space):
        for b, label_b in enumerate(space):
            inner = d[name, label_a, label_b]
            for k, x in enumerate(space):
                inner = inner - slope[k] * d[_shift(x), label_a, label_b]
            total = total + inverse[:, a, ij[0]] * inverse[:, b, ij[1]] * inner
    return total


@dataclass(frozen=True)
class Lagrangian:
    """A quasi-linear system on labels, in the frame of its uniform stream.

    The stream is removed exactly before anything else: training is the same,
    to the last bit, for every uniform velocity.

    Parameters
    ----------
    base : QuasiLinear
        The system in space.
    frame : {"flow", "rest"} or callable, optional
        What moves the labels, beside the uniform stream.
    spread : Mapping of str to callable, optional
        Space coordinate to the shift of the labels where time begins, a periodic function of them; none unless given.
        See `crowded`.

    Raises
    ------
    SolverError
        If the base is not periodic in every space coordinate, the frame is unknown, or a spread is of no coordinate.

    Examples
    --------
    >>> from retrodict.physics.pde.burgers import burgers
    >>> list(Lagrangian(burgers(0.01, c=50.0)).fields)
    ['shift_x', 'u']
    """

    base: QuasiLinear
    frame: Frame = "flow"
    spread: Mapping[str, Value] = field(default_factory=dict)
    still: QuasiLinear = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not all(isinstance(c, (Periodic, Initial)) for c in self.base.conditions):
            raise SolverError(
                expected(f"Lagrangian({self.base.name})", "faces that are not periodic", "periodic space")
            )
        if not callable(self.frame) and self.frame not in ("flow", "rest"):
            raise SolverError(expected("Lagrangian.frame", repr(self.frame), "'flow', 'rest' or a function"))
        if strange := sorted(set(self.spread) - set(self.base.space)):
            raise SolverError(expected("Lagrangian.spread", strange, f"space coordinates among {self.base.space}"))
        object.__setattr__(self, "still", self.base.seen_from(self.stream))

    @property
    def stream(self) -> dict[str, float]:
        """Velocity of the frame in which the labels are counted."""
        return {x: self.base.values[c] for x, c in self.base.streams.items()}

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the space coordinates."""
        return self.base.space

    @property
    def coords(self) -> Space:
        """Time and labels: positions where time begins."""
        return self.base.coords

    @property
    def fields(self) -> Space:
        """The shift of each label in the moving frame, and the field."""
        return Space({**{_shift(x): Var() for x in self.space}, **dict(self.base.fields)})

    @property
    def params(self) -> Space:
        """Coefficients that are left when the stream is gone."""
        return self.still.params

    @property
    def values(self) -> Mapping[str, float]:
        """Their values."""
        return self.still.values

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """Everything up to second derivatives by label where the base diffuses, else first."""
        names = tuple(self.fields)
        first = [key(f, c) for f in names for c in ("t", *self.space)]
        pairs = [(a, b) for i, a in enumerate(self.space) for b in self.space[i:]] if self.still.diffusivity else []
        return (*(key(f) for f in names), *first, *(key(f, a, b) for f in names for a, b in pairs))

    def positions(self, d: Derivatives, coords: Coords) -> dict[str, Tensor]:
        """Return where the labels are, in the moving frame, with time."""
        return {**{x: coords[x] + d[_shift(x)] for x in self.space}, "t": coords["t"]}

    def _velocity(self, u: Tensor, where: Coords, params: Params) -> dict[str, Tensor]:
        if callable(self.frame):
            named = dict(self.frame(u, where, params))
        else:
            named = self.still.speed(u, where, params) if self.frame == "flow" else {}
        return {x: named.get(x, torch.zeros_like(u)) for x in self.space}

    def residuals(self, d: Derivatives, coords: Coords, params: Params) -> dict[str, Tensor]:
        """Return the motion of the labels and J^2 times the residual in space."""
        where = self.positions(d, coords)
        velocity = self._velocity(d["u"], where, params)
        out = {f"label {x}": d[_shift(x), "t"] - velocity[x] for x in self.space}
        volume = (
            torch.linalg.det(jacobian(d, self.space))
            if len(self.space) > 1
            else 1 + d[_shift(self.space[0]), self.space[0]]
        )
        there = spatial_derivatives(d, ("u",), self.still.derivatives, self.space)
        return {**out, self.base.name: volume**2 * self.still.residuals(there, where, params)[self.base.name]}

    @property
    def prescribed(self) -> tuple[str, ...]:
        """The shifts, where labels rest: they stay what they were."""
        return tuple(_shift(x) for x in self.space) if self.frame == "rest" else ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Labels start where they were put, with the velocity of the frame; the field is the initial one there."""
        fixed = {k: torch.tensor(v, dtype=torch.float64) for k, v in self.values.items()}

        def place(c: Coords) -> dict[str, Tensor]:
            return {**c, **{x: c[x] + shift(c) for x, shift in self.spread.items()}}

        def start(c: Coords) -> Tensor:
            return self.base.initial(place(c))

        def rate(x: str) -> Value:
            return lambda c: self._velocity(start(c), place(c), {k: v.to(c[x]) for k, v in fixed.items()})[x]

        def origin(x: str) -> Value:
            return self.spread.get(x, lambda c: torch.zeros_like(c[x]))

        shifts = tuple(Initial(_shift(x), origin(x), rate(x)) for x in self.space)
        return (*shifts, Initial("u", start), *(Periodic(x) for x in self.space))

    @property
    def exact(self) -> None:
        """No closed form on labels."""
        return None

    def period(self, x: str) -> float:
        """Return the length of the box along ``x``."""
        low, high = self.coords[x].bounds
        return high - low


def crowded(base: QuasiLinear, densest: float = 0.05, samples: int = 4096) -> dict[str, Value]:
    """Return a spread of labels that is dense where the flow will compress: where a shock will be.

    Labels are put where the flow of the initial field would carry them without diffusion until ``J = densest``. Where
    they then rest, a front that is ``densest`` as wide as its surroundings looks as smooth as these.

    Parameters
    ----------
    base : QuasiLinear
        On a periodic line.
    densest : float, optional
        Smallest J.
    samples : int, optional
        Points among which the largest compression is looked for.

    Returns
    -------
    dict of str to callable
        For `Lagrangian`.

    Raises
    ------
    SolverError
        If space has more than one dimension, ``densest`` is not in (0, 1), or the flow compresses nowhere.

    Examples
    --------
    >>> from retrodict.physics.pde.burgers import burgers
    >>> shift = crowded(burgers(0.01))["x"]
    >>> round(float(shift({"t": torch.zeros(1), "x": torch.tensor([torch.pi / 2])})), 6)
    0.95
    """
    if len(base.space) != 1 or not 0 < densest < 1:
        raise SolverError(expected("crowded", f"{len(base.space)} dimensions, densest {densest}", "one, in (0, 1)"))
    (x,) = base.space
    if x not in base.velocity:
        raise SolverError(expected("crowded", "a flow that compresses nowhere", "one that steepens"))
    still = base.seen_from({k: base.values[c] for k, c in base.streams.items()})
    since = base.coords["t"].bounds[0]
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in still.values.items()}

    def velocity(c: Coords) -> Tensor:
        at = {**c, "t": torch.full_like(c[x], since)}
        return still.speed(still.initial(at), at, {k: v.to(c[x]) for k, v in params.items()})[x]

    low, high = base.coords[x].bounds
    points = (low + (high - low) * torch.arange(samples, dtype=torch.float64) / samples).requires_grad_()
    slope = torch.autograd.grad(velocity({x: points}).sum(), points)[0]
    if not float(-slope.min()) > 0:
        raise SolverError(expected("crowded", "a flow that compresses nowhere", "one that steepens"))
    time = (1 - densest) / float(-slope.min())
    return {x: lambda c: time * velocity(c)}


@dataclass(frozen=True)
class LabelDiffusion(Lagrangian):
    """The published form: second derivatives by the label, no Jacobian. Wrong where labels stretch; kept to show it."""

    def residuals(self, d: Derivatives, coords: Coords, params: Params) -> dict[str, Tensor]:
        """Return ``x_t - f`` and ``w_t - g w_XX - s``."""
        where = self.positions(d, coords)
        velocity = self._velocity(d["u"], where, params)
        r = d["u", "t"]
        if self.still.diffusivity:
            bends = [d["u", x, x] for x in self.space]
            r = r - self.still.diffusivity(d["u"], where, params) * sum(bends[1:], bends[0])
        if self.still.source:
            r = r - self.still.source(d["u"], where, params)
        return {**{f"label {x}": d[_shift(x), "t"] - velocity[x] for x in self.space}, self.base.name: r}
