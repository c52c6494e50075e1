"""Residuals of an equation at points, with first and second derivatives by what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.system import Derivatives, Key

__all__ = ["Pointwise", "pointwise"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pointwise:
    """A residual and its derivatives, point by point.

    Parameters
    ----------
    residual : ndarray, shape (n,)
        The residual.
    first : ndarray, shape (K + P, n)
        By the field's K derivatives, then by P coefficients.
    second : Mapping of (int, int) to ndarray
        Second derivatives that are not zero, both orders of a pair; empty unless asked for.
    """

    residual: Floats
    first: Floats
    second: Mapping[tuple[int, int], Floats]


def pointwise(
    system: QuasiLinear,
    values: Mapping[Key, Floats],
    coords: Mapping[str, Floats],
    params: Mapping[str, float],
    wrt: Sequence[str] = (),
    *,
    curved: bool = False,
) -> Pointwise:
    """Evaluate the residual of a system.

    Parameters
    ----------
    system : QuasiLinear
        The equation.
    values : Mapping of Key to ndarray
        What the equation needs of the field, each of shape (n,).
    coords : Mapping of str to ndarray
        Points, each of shape (n,).
    params : Mapping of str to float
        All coefficients.
    wrt : sequence of str, optional
        Coefficients to differentiate by.
    curved : bool, optional
        Whether second derivatives are wanted.

    Returns
    -------
    Pointwise
        Everything of shape (n,).

    Examples
    --------
    >>> from retrodict.physics.pde.reaction import reaction
    >>> values = {("u",): np.array([0.5]), ("u", "t"): np.array([1.0])}
    >>> found = pointwise(reaction(2.0), values, {"t": np.zeros(1), "x": np.zeros(1)}, {"rho": 2.0}, ["rho"])
    >>> found.residual.item(), found.first[:, 0].tolist()  # u_t - rho u (1 - u); by u, u_t, rho
    (0.5, [0.0, 1.0, -0.25])
    """
    first_of = next(iter(values.values()))
    # a coefficient with a value a point turns every derivative by it into one a point
    spread = {k: torch.full((len(first_of),), float(v), dtype=torch.float64) for k, v in params.items()}
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values.values()]
    leaves += [spread[k].requires_grad_() for k in wrt]
    d = Derivatives(dict(zip(values, leaves, strict=False)))
    at = {k: torch.from_numpy(np.asarray(v, float)) for k, v in coords.items()}
    residual = system.residuals(d, at, spread)[system.name]
    first = _slopes(residual, leaves, keep=curved)
    second: dict[tuple[int, int], Floats] = {}
    for i, slope in enumerate(first if curved else ()):
        for j, bend in enumerate(_slopes(slope, leaves, keep=True)):
            if bool((bend != 0).any()):
                second[i, j] = bend.detach().numpy()
    return Pointwise(residual.detach().numpy(), torch.stack([s.detach() for s in first]).numpy(), second)


def _slopes(value: Tensor, leaves: Sequence[Tensor], *, keep: bool) -> list[Tensor]:
    if not value.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(value.sum(), list(leaves), create_graph=keep, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]
