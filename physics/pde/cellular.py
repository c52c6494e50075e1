"""A blob in a periodic flow of cells, which stretches and folds but neither compresses nor thins."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from retrodict.physics.pde.quasilinear import Coefficient, Params, QuasiLinear, plane
from retrodict.physics.system import Coords, Derivatives

__all__ = ["cellular"]


def _no_growth(d: Derivatives, _coords: Coords, _params: Params) -> Tensor:
    """Return 0: a flow without divergence keeps the norm of an error and diffusion lowers it."""
    return torch.zeros_like(d["u"])


def cellular(
    strength: float = 1.0,
    nu: float = 0.02,
    *,
    drift: tuple[float, float] = (1.0, 0.5),
    center: tuple[float, float] = (math.pi, math.pi),
    width: float = 0.6,
    duration: float = 1.0,
) -> QuasiLinear:
    """Return convection and diffusion in ``(c_x + a sin y, c_y - a sin x)`` on the periodic square [0, 2 pi].

    Parameters
    ----------
    strength : float, optional
        Speed a of the cells.
    nu : float, optional
        Diffusivity.
    drift : tuple of float, optional
        Uniform velocity c.
    center, width : optional
        Of the blob where time begins: ``exp((cos(x - x0) + cos(y - y0) - 2) / width^2)``, a Gaussian made periodic.
    duration : float, optional
        End of time.

    Returns
    -------
    QuasiLinear
        The system. The velocity has no divergence, so that ``J = 1`` along labels.

    Examples
    --------
    >>> system = cellular()
    >>> system.values
    {'c_x': 1.0, 'c_y': 0.5, 'nu': 0.02}
    """

    def blob(at: Coords) -> Tensor:
        away = torch.cos(at["x"] - center[0]) + torch.cos(at["y"] - center[1]) - 2
        return torch.exp(away / width**2)

    def stream(sign: float, other: str) -> Coefficient:
        return lambda _u, at, _params: sign * strength * torch.sin(at[other])

    return QuasiLinear(
        "cells",
        plane(0.0, 2 * math.pi, duration=duration),
        blob,
        {"c_x": drift[0], "c_y": drift[1]} | ({"nu": nu} if nu else {}),
        streams={"x": "c_x", "y": "c_y"},
        velocity={"x": stream(1.0, "y"), "y": stream(-1.0, "x")},
        diffusivity=(lambda _u, _coords, params: params["nu"]) if nu else None,
        growth=_no_growth,
        bounds={"nu": (0.0, math.inf)},
    )
