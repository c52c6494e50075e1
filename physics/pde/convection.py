"""Linear convection and diffusion on a line and in the plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from retrodict.physics.pde.quasilinear import Coefficient, Params, QuasiLinear, line, plane
from retrodict.physics.spaces import Space
from retrodict.physics.system import Coords, Derivatives, Value

__all__ = ["convection", "gaussian", "rotation", "variable_convection"]


def _no_growth(d: Derivatives, _coords: Coords, _params: Params) -> Tensor:
    """Return 0: uniform convection keeps the norm of an error and diffusion lowers it."""
    return torch.zeros_like(d["u"])


def gaussian(width: float, *, center: float = math.pi, coord: str = "x") -> Value:
    """Return ``exp(-(x - center)^2 / (2 width^2))``.

    Parameters
    ----------
    width, center : float
        Standard deviation and mean.
    coord : str, optional
        Coordinate that it is a function of.

    Returns
    -------
    callable
        Coordinates to values.

    Examples
    --------
    >>> gaussian(1.0)({"x": torch.tensor([math.pi])})
    tensor([1.])
    """
    return lambda coords: torch.exp(-0.5 * ((coords[coord] - center) / width) ** 2)


def convection(c: float, nu: float = 0.0, *, initial: Value | None = None, coords: Space | None = None) -> QuasiLinear:
    """Return ``u_t + c u_x = nu u_xx`` on a period.

    Parameters
    ----------
    c, nu : float
        Velocity and diffusivity.
    initial : callable, optional
        Coordinates to the initial field; ``sin x`` unless given, which has a closed solution.
    coords : Space, optional
        Box; [0, 2 pi] and t in [0, 1] unless given.

    Returns
    -------
    QuasiLinear
        The system.

    Examples
    --------
    >>> system = convection(30.0)
    >>> system.exact({"t": torch.tensor([0.0]), "x": torch.tensor([math.pi / 2])})["u"]
    tensor([1.])
    """

    box = line(2 * math.pi) if coords is None else coords
    since = box["t"].bounds[0]

    def wave(at: Coords) -> dict[str, Tensor]:
        t = at["t"] - since
        return {"u": torch.exp(-nu * t) * torch.sin(at["x"] - c * t)}

    return QuasiLinear(
        "convection",
        box,
        initial or (lambda at: torch.sin(at["x"])),
        {"c": c, "nu": nu} if nu else {"c": c},
        streams={"x": "c"},
        diffusivity=(lambda _u, _coords, params: params["nu"]) if nu else None,
        growth=_no_growth,
        uniform=True,
        exact=wave if initial is None else None,
        bounds={"nu": (0.0, math.inf)},
    )


def variable_convection(
    velocity: Coefficient,
    diffusivity: Coefficient | None = None,
    *,
    source: Coefficient | None = None,
    initial: Value | None = None,
    coords: Space | None = None,
) -> QuasiLinear:
    """Return ``u_t + f(x, t, u) u_x = g(x, t, u) u_xx + s(x, t, u)`` on a period.

    Parameters
    ----------
    velocity, diffusivity, source : callable
        ``(u, coords, params) -> Tensor``. For ``(k u_x)_x`` see
        `retrodict.physics.pde.quasilinear.conservative_diffusion`.
    initial : callable, optional
        Coordinates to the initial field; ``sin x`` unless given.
    coords : Space, optional
        Box; [0, 2 pi] and t in [0, 1] unless given.

    Returns
    -------
    QuasiLinear
        The system; without an error bound, since nothing is known of the coefficients.

    Examples
    --------
    >>> system = variable_convection(lambda u, at, _: 1 + 0.5 * torch.sin(at["x"]))
    >>> len(system.derivatives)
    3
    """
    return QuasiLinear(
        "variable convection",
        line(2 * math.pi) if coords is None else coords,
        initial or (lambda at: torch.sin(at["x"])),
        velocity={"x": velocity},
        diffusivity=diffusivity,
        source=source,
    )


def rotation(
    rate: float = 2 * math.pi,
    nu: float = 0.0,
    *,
    drift: tuple[float, float] = (0.0, 0.0),
    center: tuple[float, float] = (0.35, 0.0),
    width: float = 0.12,
    half: float = 1.0,
    duration: float = 1.0,
) -> QuasiLinear:
    """Return a Gaussian blob turned about the origin and carried by a uniform stream, with diffusion, in a square.

    Parameters
    ----------
    rate : float, optional
        Angular velocity.
    nu : float, optional
        Diffusivity.
    drift : tuple of float, optional
        Uniform velocity along x and y.
    center, width : optional
        Of the blob where time begins.
    half : float, optional
        Half of the square's side; the blob must stay clear of the faces.
    duration : float, optional
        End of time.

    Returns
    -------
    QuasiLinear
        With its exact solution on the whole plane; rotation is no periodic velocity, so faces carry the exact values.

    Examples
    --------
    >>> sorted(rotation().velocity)
    ['x', 'y']
    """
    from retrodict.physics.system import Dirichlet

    def blob(at: Coords) -> dict[str, Tensor]:
        cos, sin = torch.cos(rate * at["t"]), torch.sin(rate * at["t"])
        x0, y0 = _carried(center, drift, rate, at["t"], cos, sin)
        spread = width**2 + 2 * nu * at["t"]
        return {"u": width**2 / spread * torch.exp(-0.5 * ((at["x"] - x0) ** 2 + (at["y"] - y0) ** 2) / spread)}

    def stream(sign: float, other: str, steady: float) -> Coefficient:
        return lambda _u, at, _params: steady + sign * rate * at[other]

    faces = tuple(Dirichlet("u", x, side, lambda at: blob(at)["u"]) for x in ("x", "y") for side in ("lower", "upper"))
    return QuasiLinear(
        "rotation",
        plane(-half, half, duration=duration),
        lambda at: blob({**at, "t": torch.zeros_like(at["t"])})["u"],
        {"nu": nu} if nu else {},
        velocity={"x": stream(-1.0, "y", drift[0]), "y": stream(1.0, "x", drift[1])},
        diffusivity=(lambda _u, _coords, params: params["nu"]) if nu else None,
        growth=_no_growth,
        boundary=faces,
        exact=blob,
        bounds={"nu": (0.0, math.inf)},
    )


def _carried(
    center: tuple[float, float], drift: tuple[float, float], rate: float, t: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor]:
    """Return where the blob's centre is: rotation about the point that stands still, or a line without rotation."""
    if rate == 0.0:
        return center[0] + drift[0] * t, center[1] + drift[1] * t
    still = (-drift[1] / rate, drift[0] / rate)
    x, y = center[0] - still[0], center[1] - still[1]
    return still[0] + cos * x - sin * y, still[1] + sin * x + cos * y
