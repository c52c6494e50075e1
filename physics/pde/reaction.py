"""Reaction, reaction-diffusion and Allen-Cahn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from retrodict.physics.pde.convection import gaussian
from retrodict.physics.pde.quasilinear import Params, QuasiLinear, line
from retrodict.physics.spaces import Space
from retrodict.physics.system import Coords, Derivatives, Dirichlet, Value

__all__ = ["allen_cahn", "reaction"]


def reaction(rho: float, nu: float = 0.0, *, initial: Value | None = None, coords: Space | None = None) -> QuasiLinear:
    """Return ``u_t = nu u_xx + rho u (1 - u)`` on a period.

    Parameters
    ----------
    rho, nu : float
        Rate and diffusivity.
    initial : callable, optional
        Coordinates to the initial field; a Gaussian of width pi/4 at pi unless given.
    coords : Space, optional
        Box; [0, 2 pi] and t in [0, 1] unless given.

    Returns
    -------
    QuasiLinear
        The system; with its closed solution where nothing diffuses.

    Examples
    --------
    >>> reaction(5.0).exact({"t": torch.tensor([0.0]), "x": torch.tensor([math.pi])})["u"]
    tensor([1.])
    """
    start, box = initial or gaussian(math.pi / 4), line(2 * math.pi) if coords is None else coords
    since = box["t"].bounds[0]

    def logistic(at: Coords) -> dict[str, Tensor]:
        u0 = start(at)
        grown = u0 * torch.exp(rho * (at["t"] - since))
        return {"u": grown / (grown + 1 - u0)}

    def growth(d: Derivatives, _coords: Coords, params: Params) -> Tensor:
        # s(v) - s(u) = rho (v - u) (1 - v - u), and u >= 0 where it starts so
        return params["rho"].abs() * torch.where(params["rho"] > 0, 1 - d["u"], 1 + d["u"].abs())

    return QuasiLinear(
        "reaction",
        box,
        start,
        {"rho": rho, "nu": nu} if nu else {"rho": rho},
        diffusivity=(lambda _u, _coords, params: params["nu"]) if nu else None,
        source=lambda u, _coords, params: params["rho"] * u * (1 - u),
        growth=growth,
        exact=None if nu else logistic,
        bounds={"nu": (0.0, math.inf)},
    )


def allen_cahn(diffusivity: float = 1e-3, rate: float = 5.0, *, walls: bool = True) -> QuasiLinear:
    """Return ``u_t = d u_xx + r (u - u^3)`` on [-1, 1] for t in [0, 1], from ``x^2 cos(pi x)``.

    Two problems go by this name: d = 1e-3 with ``u = -1`` on both walls, of which tabulated solutions are in wide use,
    and d = 1e-4 on a period, on which many networks have been judged.

    Parameters
    ----------
    diffusivity, rate : float, optional
        d and r.
    walls : bool, optional
        Whether ``u = -1`` at both ends; periodic if not. The slope of the initial field jumps by 4 at the seam of the
        period then, so that a smooth network solves the problem only with that kink taken off, see
        `retrodict.physics.pde.lifting`.

    Returns
    -------
    QuasiLinear
        The system.

    Examples
    --------
    >>> [c.name for c in allen_cahn().conditions], [c.name for c in allen_cahn(1e-4, walls=False).conditions]
    (['initial u', 'u at lower x', 'u at upper x'], ['initial u', 'periodic x'])
    """

    def growth(d: Derivatives, _coords: Coords, params: Params) -> Tensor:
        # s(v) - s(u) = r (v - u) (1 - v^2 - u v - u^2), and v^2 + u v + u^2 >= 3 v^2 / 4
        return params["r"] * (1 - 0.75 * d["u"] ** 2)

    def pure(coords: Coords) -> Tensor:
        return -torch.ones_like(coords["x"])

    return QuasiLinear(
        "allen-cahn",
        line(2.0, start=-1.0),
        lambda at: at["x"] ** 2 * torch.cos(math.pi * at["x"]),
        {"d": diffusivity, "r": rate},
        diffusivity=lambda _u, _coords, params: params["d"],
        source=lambda u, _coords, params: params["r"] * (u - u**3),
        growth=growth,
        boundary=(Dirichlet("u", "x", "lower", pure), Dirichlet("u", "x", "upper", pure)) if walls else None,
        bounds={"d": (0.0, math.inf)},
    )
