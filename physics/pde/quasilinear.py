"""Scalar transport with diffusion and sources, in any number of dimensions: what the named equations are made of.

    u_t + sum_i (c_i + f_i(x, t, u)) u_{x_i} = g(x, t, u) sum_i u_{x_i x_i} + s(x, t, u)

The uniform stream ``c`` stands apart from ``f``: a frame that moves with it removes it exactly, to the last bit, which
no subtraction of rounded numbers would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import (
    Condition,
    Coords,
    Derivatives,
    Dirichlet,
    Field,
    Initial,
    Key,
    Neumann,
    Periodic,
    Value,
    key,
)

__all__ = ["Coefficient", "QuasiLinear", "conservative_diffusion", "line", "plane"]

Params = Mapping[str, Tensor]
Coefficient = Callable[[Tensor, Coords, Params], Tensor]
"""``(u, coords, params) -> Tensor`` of shape (n,)."""


def line(length: float, *, start: float = 0.0, duration: float = 1.0, since: float = 0.0) -> Space:
    """Return the coordinates t and x of an interval.

    Parameters
    ----------
    length, start : float
        Length and lower end of the interval.
    duration, since : float, optional
        Length and beginning of the time window.

    Returns
    -------
    Space
        Coordinates with their bounds.

    Examples
    --------
    >>> line(2.0)["x"].bounds
    (0.0, 2.0)
    """
    t, x = Var(bounds=(since, since + duration)), Var(bounds=(start, start + length))
    return Space({"t": t, "x": x})


def plane(low: float, high: float, *, duration: float = 1.0) -> Space:
    """Return the coordinates t, x and y of a square.

    Parameters
    ----------
    low, high : float
        Bounds of x and of y.
    duration : float, optional
        Length of the time window, which begins at 0.

    Returns
    -------
    Space
        Coordinates with their bounds.

    Examples
    --------
    >>> list(plane(-1.0, 1.0))
    ['t', 'x', 'y']
    """
    return Space({"t": Var(bounds=(0.0, duration)), "x": Var(bounds=(low, high)), "y": Var(bounds=(low, high))})


@dataclass(frozen=True)
class QuasiLinear:
    """One scalar field that is carried, diffused and produced.

    Parameters
    ----------
    name : str
        Name of the equation.
    coords : Space
        ``t`` and the space coordinates; the bounds are the box.
    initial : callable
        Coordinates to the field where time begins.
    values : Mapping of str to float
        Coefficients. Those in ``streams`` are the uniform stream.
    streams : Mapping of str to str, optional
        Space coordinate to the name of its uniform velocity.
    velocity : Mapping of str to Coefficient, optional
        Space coordinate to the rest of its velocity.
    diffusivity, source : Coefficient, optional
        As in the equation.
    growth : callable, optional
        ``(d, coords, params) -> Tensor``: the pointwise bound G with ``d|e|/dt <= max_x G |e| + |r|`` for the error e
        of a field whose residual is r, in the norm of L2. What an error certificate needs.
    growth_derivatives : tuple of Key, optional
        What ``growth`` needs.
    uniform : bool, optional
        Whether stream and diffusivity are numbers and there is nothing else, so that Fourier modes evolve on their own.
    boundary : tuple of Condition, optional
        Conditions on the faces of space; periodic in all of them unless given.
    exact : callable, optional
        Exact solution.
    bounds : Mapping of str to (float, float), optional
        Admissible values of coefficients.

    Raises
    ------
    SolverError
        If a stream or velocity names no space coordinate, or a stream has no value or shares its coefficient.

    Examples
    --------
    >>> system = QuasiLinear("carry", line(1.0), lambda c: c["x"] * 0, {"c": 2.0}, streams={"x": "c"})
    >>> d = Derivatives({("u",): torch.zeros(1), ("u", "t"): torch.ones(1), ("u", "x"): torch.ones(1)})
    >>> system.residuals(d, {}, {"c": torch.tensor(2.0)})["carry"]
    tensor([3.])
    """

    name: str
    coords: Space
    initial: Value
    values: Mapping[str, float] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)
    velocity: Mapping[str, Coefficient] = field(default_factory=dict)
    diffusivity: Coefficient | None = None
    source: Coefficient | None = None
    growth: Callable[[Derivatives, Coords, Params], Tensor] | None = None
    growth_derivatives: tuple[Key, ...] = ()
    uniform: bool = False
    boundary: tuple[Dirichlet | Neumann | Periodic, ...] | None = None
    exact: Field | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for where, names in (("streams", self.streams), ("velocity", self.velocity)):
            if strange := sorted(set(names) - set(self.space)):
                raise SolverError(expected(f"{self.name}.{where}", strange, f"space coordinates among {self.space}"))
        if missing := sorted(set(self.streams.values()) - set(self.values)):
            raise SolverError(expected(f"{self.name}.values", sorted(self.values), f"a value of {missing}"))
        if len(set(self.streams.values())) < len(self.streams):
            raise SolverError(
                expected(f"{self.name}.streams", dict(self.streams), "a coefficient of its own for each stream")
            )

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the space coordinates."""
        return tuple(c for c in self.coords if c != "t")

    @property
    def fields(self) -> Space:
        """The field ``u``."""
        return Space({"u": Var()})

    @property
    def params(self) -> Space:
        """Coefficients with their admissible values."""
        return Space({k: Var(bounds=self.bounds.get(k, (-torch.inf, torch.inf))) for k in self.values})

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """What the residual needs."""
        carried = [key("u", x) for x in self.space if x in self.streams or x in self.velocity]
        spread = [key("u", x, x) for x in self.space] if self.diffusivity else []
        return (key("u"), key("u", "t"), *carried, *spread)

    @property
    def prescribed(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The initial field and what holds on the faces."""
        faces = tuple(Periodic(x) for x in self.space) if self.boundary is None else self.boundary
        return (Initial("u", self.initial), *faces)

    def speed(self, u: Tensor, coords: Coords, params: Params) -> dict[str, Tensor]:
        """Return the velocity along each space coordinate that has one, shape (n,)."""
        out = {}
        for x in self.space:
            parts = [params[self.streams[x]]] if x in self.streams else []
            parts += [self.velocity[x](u, coords, params)] if x in self.velocity else []
            if parts:
                out[x] = torch.as_tensor(sum(parts[1:], parts[0])).expand_as(u)
        return out

    def residuals(self, d: Derivatives, coords: Coords, params: Params) -> dict[str, Tensor]:
        """Return left minus right side of the equation, shape (n,)."""
        u = d["u"]
        r = d["u", "t"]
        for x, speed in self.speed(u, coords, params).items():
            r = r + speed * d["u", x]
        if self.diffusivity:
            bend = d["u", self.space[0], self.space[0]]
            for x in self.space[1:]:
                bend = bend + d["u", x, x]
            r = r - self.diffusivity(u, coords, params) * bend
        if self.source:
            r = r - self.source(u, coords, params)
        return {self.name: r}

    def seen_from(self, frame: Mapping[str, float]) -> QuasiLinear:
        """Return the equation in coordinates that move uniformly.

        Coefficients, data on faces and exact solution are functions of ``x + V (t - t0)`` there; a stream that equals
        the frame's velocity is gone without a trace.

        Parameters
        ----------
        frame : Mapping of str to float
            Space coordinate to the velocity of the frame.

        Returns
        -------
        QuasiLinear
            The same physics; only periodic space admits a moving frame.

        Raises
        ------
        SolverError
            If a coordinate that moves is not periodic.
        """
        moving = {x: v for x, v in frame.items() if v != 0.0}
        if not moving:
            return self
        periodic = (
            set(self.space) if self.boundary is None else {b.coord for b in self.boundary if isinstance(b, Periodic)}
        )
        if strange := sorted(set(moving) - periodic):
            raise SolverError(expected(f"{self.name}.seen_from", strange, "coordinates that are periodic"))
        since = self.coords["t"].bounds[0]

        def rest(coords: Coords) -> dict[str, Tensor]:
            return {k: v + moving[k] * (coords["t"] - since) if k in moving else v for k, v in coords.items()}

        def moved(c: Coefficient) -> Coefficient:
            return lambda u, coords, params: c(u, rest(coords), params)

        def face(c: Dirichlet | Neumann | Periodic) -> Dirichlet | Neumann | Periodic:
            return c if isinstance(c, Periodic) else replace(c, value=lambda coords: c.value(rest(coords)))

        exact, growth, values = self.exact, self.growth, dict(self.values)
        velocity = {x: moved(f) for x, f in self.velocity.items()}
        for x, v in moving.items():
            if x in self.streams:
                values[self.streams[x]] -= v
            else:
                inner = velocity.get(x)
                velocity[x] = _less(inner, v)
        kept = {x: c for x, c in self.streams.items() if values[c] != 0.0}
        return replace(
            self,
            uniform=self.uniform and not velocity,
            values={k: v for k, v in values.items() if k in kept.values() or k not in self.streams.values()},
            streams=kept,
            velocity=velocity,
            diffusivity=self.diffusivity and moved(self.diffusivity),
            source=self.source and moved(self.source),
            growth=growth and (lambda d, coords, params: growth(d, rest(coords), params)),
            boundary=self.boundary and tuple(face(c) for c in self.boundary),
            exact=exact and (lambda coords: exact(rest(coords))),
        )


def _less(velocity: Coefficient | None, frame: float) -> Coefficient:
    """Return a velocity less that of the frame."""
    return lambda u, coords, params: (velocity(u, coords, params) if velocity else torch.zeros_like(u)) - frame


def conservative_diffusion(
    conductivity: Value, space: tuple[str, ...] = ("x",)
) -> tuple[dict[str, Coefficient], Coefficient]:
    """Return the velocity and diffusivity that write ``div(k grad u)`` as ``k lap u + grad k . grad u``.

    Parameters
    ----------
    conductivity : callable
        Coordinates to k, differentiable by torch.
    space : tuple of str, optional
        Space coordinates.

    Returns
    -------
    tuple
        Velocities by coordinate, ``-dk/dx``, and the diffusivity k.

    Examples
    --------
    >>> f, g = conservative_diffusion(lambda c: c["x"] ** 2)
    >>> x = torch.tensor([3.0])
    >>> f["x"](x, {"x": x}, {}), g(x, {"x": x}, {})
    (tensor([-6.]), tensor([9.]))
    """

    def slope(x: str) -> Coefficient:
        def minus_slope(_u: Tensor, coords: Coords, _params: Params) -> Tensor:
            with torch.enable_grad():
                if coords[x].requires_grad:
                    k = conductivity(coords)
                    return -torch.autograd.grad(k.sum(), coords[x], create_graph=True)[0]
                own = {**coords, x: coords[x].detach().requires_grad_()}
                return -torch.autograd.grad(conductivity(own).sum(), own[x])[0]

        return minus_slope

    return {x: slope(x) for x in space}, lambda _u, coords, _params: conductivity(coords)
