"""Burgers' equation, viscous and inviscid, on a uniform stream."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from retrodict.physics.pde.quasilinear import Params, QuasiLinear, line
from retrodict.physics.spaces import Space
from retrodict.physics.system import Coords, Derivatives, Dirichlet, Value, key

__all__ = ["burgers", "burgers_interval", "sine"]


def _growth(d: Derivatives, _coords: Coords, _params: Params) -> Tensor:
    """Return ``max(-u_x, 0) / 2``: for ``e = v - u``, ``<e, (e v)_x - e e_x> = <e^2, v_x> / 2``."""
    return 0.5 * (-d["u", "x"]).clamp(min=0.0)


def sine(coords: Coords) -> Tensor:
    """Return ``sin x``."""
    return torch.sin(coords["x"])


def burgers(nu: float = 0.01, *, c: float = 0.0, initial: Value = sine, coords: Space | None = None) -> QuasiLinear:
    """Return ``u_t + (c + u) u_x = nu u_xx`` on a period; ``u`` is what rides on the uniform stream c.

    Parameters
    ----------
    nu : float, optional
        Viscosity; 0 is inviscid.
    c : float, optional
        Uniform stream. The velocity is ``c + u``, so an error relative to u is one relative to the velocity less c.
    initial : callable, optional
        Coordinates to the initial field; ``sin x`` unless given.
    coords : Space, optional
        Box; [0, 2 pi] and t in [0, 1] unless given.

    Returns
    -------
    QuasiLinear
        The system.

    Notes
    -----
    The shock of ``sin x`` forms at t = 1 without viscosity.

    Examples
    --------
    >>> burgers(0.01, c=5.0).values
    {'c': 5.0, 'nu': 0.01}
    """
    return QuasiLinear(
        "burgers",
        line(2 * math.pi) if coords is None else coords,
        initial,
        {"c": c, "nu": nu} if nu else {"c": c},
        streams={"x": "c"},
        velocity={"x": lambda u, _coords, _params: u},
        diffusivity=(lambda _u, _coords, params: params["nu"]) if nu else None,
        growth=_growth,
        growth_derivatives=(key("u", "x"),),
        bounds={"nu": (0.0, math.inf)},
    )


def burgers_interval(nu: float = 0.01 / math.pi, *, duration: float = 1.0) -> QuasiLinear:
    """Return the benchmark on [-1, 1]: ``u(x, 0) = -sin(pi x)``, zero at both ends.

    Parameters
    ----------
    nu : float, optional
        Viscosity.
    duration : float, optional
        End of time.

    Returns
    -------
    QuasiLinear
        The system; u is odd about the ends, so it is periodic too, but is posed with its Dirichlet conditions.

    Examples
    --------
    >>> [condition.name for condition in burgers_interval().conditions]
    ['initial u', 'u at lower x', 'u at upper x']
    """

    def still(coords: Coords) -> Tensor:
        return torch.zeros_like(coords["x"])

    return QuasiLinear(
        "burgers",
        line(2.0, start=-1.0, duration=duration),
        lambda coords: -torch.sin(math.pi * coords["x"]),
        {"nu": nu},
        velocity={"x": lambda u, _coords, _params: u},
        diffusivity=lambda _u, _coords, params: params["nu"],
        growth=_growth,
        growth_derivatives=(key("u", "x"),),
        boundary=(Dirichlet("u", "x", "lower", still), Dirichlet("u", "x", "upper", still)),
        bounds={"nu": (0.0, math.inf)},
    )
