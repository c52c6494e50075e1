"""Parts of a loss: residuals of equations and conditions on points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from retrodict.physics.spaces import Array
from retrodict.physics.system import Derivatives, Dirichlet, Initial, Interface, Key, Neumann
from retrodict.solvers.pinn.trial import Trial

__all__ = ["Part", "Residual", "condition_part", "equation_part", "face_points"]

Residual = Callable[[Derivatives, Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]
Box = Mapping[str, tuple[float, float]]
Points = Callable[[Box], Mapping[str, Array]]


@dataclass(frozen=True)
class Part:
    """Residuals on a set of points.

    Parameters
    ----------
    name : str
        For messages and histories.
    coords : Mapping of str to ndarray
        Points, each of shape (n,).
    wanted : tuple of Key
        Derivatives that the residual needs.
    residual : callable
        ``(d, coords, params) -> {name: Tensor of shape (n,)}``, point by point; see ``stencil``.
    weight : float, optional
        Of the mean square in the loss.
    points : ndarray, shape (n / stencil,), optional
        Weights of the points; ones unless given.
    scales : Mapping of str to float, optional
        Factors of residuals by name; 1 unless given.
    stencil : int, optional
        How many points a residual couples: each has shape (m,), ``m = n / stencil``, and the i-th entry depends on the
        points i, i + m, i + 2 m, ..
    """

    name: str
    coords: Mapping[str, Array]
    wanted: tuple[Key, ...]
    residual: Residual
    weight: float = 1.0
    points: Array | None = None
    scales: Mapping[str, float] = field(default_factory=dict)
    stencil: int = 1


def equation_part(
    trial: Trial, coords: Mapping[str, Array], *, points: Array | None = None, scales: Mapping[str, float] | None = None
) -> Part:
    """Return the residuals of a system's equations.

    Parameters
    ----------
    trial : Trial
        Whose system.
    coords : Mapping of str to ndarray
        Points, each of shape (n,).
    points : ndarray, shape (n,), optional
        Weights of the points.
    scales : Mapping of str to float, optional
        Factors of equations; 1 unless given.

    Returns
    -------
    Part
        For a `ResidualLoss`.
    """
    system = trial.system
    return Part("equations", coords, tuple(system.derivatives), system.residuals, 1.0, points, scales or {})


def face_points(condition: Initial | Dirichlet | Neumann | Interface, box: Box, points: Points) -> dict[str, Array]:
    """Return points of the face of a condition, or pairs on both faces of an interface, for `condition_part`.

    Parameters
    ----------
    condition : Initial, Dirichlet, Neumann or Interface
        Where.
    box : Mapping of str to (float, float)
        Bounds of the coordinates.
    points : callable
        Box to points in it, each of shape (n,); a coordinate of no width is constant.

    Returns
    -------
    dict of str to ndarray
        Each of shape (n,); of an interface (2n,), the upper face first.

    Examples
    --------
    >>> from retrodict.physics.system import key
    >>> meet = Interface("joint", "x", (key("u"),), lambda d, *_: [d["u"]], lambda d, *_: [d["u"]])
    >>> face_points(meet, {"x": (0.0, 1.0)}, lambda box: {k: np.full(2, v[0]) for k, v in box.items()})["x"]
    array([1., 1., 0., 0.])
    """
    coord, side = (condition.coord, "both") if isinstance(condition, Interface) else condition.face
    low, high = box[coord]
    found = points({**box, coord: (low, low) if side == "lower" else (high, high)})
    if side == "both":
        found = {k: np.concatenate([v, np.full_like(v, low) if k == coord else v]) for k, v in found.items()}
    return dict(found)


def condition_part(
    condition: Initial | Dirichlet | Neumann | Interface, coords: Mapping[str, Array], weight: float = 1.0
) -> Part:
    """Return a condition as a residual on points of its face.

    Parameters
    ----------
    condition : Initial, Dirichlet, Neumann or Interface
        What should hold.
    coords : Mapping of str to ndarray
        Points of the face, each of shape (n,); of an interface pairs, see `face_points`.
    weight : float, optional
        Of its mean square.

    Returns
    -------
    Part
        For a `ResidualLoss`.
    """

    def residual(d: Derivatives, at: Mapping[str, Tensor], params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if isinstance(condition, Interface):
            return {condition.name: condition.residual(d, at, params)}
        return {condition.name: condition.residual(d, at)}

    stencil = 2 if isinstance(condition, Interface) else 1
    return Part(condition.name, coords, condition.derivatives, residual, weight, stencil=stencil)
