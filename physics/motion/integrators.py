"""Rules for the position within a step: where speed and heading are taken, and with what weight; sums over steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, expected

__all__ = ["INTEGRATORS", "Rule", "rule", "sum_before"]


@dataclass(frozen=True)
class Rule:
    """Quadrature of ``v exp(i heading)`` over a step with inputs held.

    Parameters
    ----------
    fractions, weights : tuple of float
        Nodes in units of the step, and their weights.
    curved : bool
        Whether the distance within a step includes the acceleration, ``v s + a s^2 / 2`` (else ``v s``).
    """

    fractions: tuple[float, ...]
    weights: tuple[float, ...]
    curved: bool


_OFFSET = 0.6**0.5 / 2

INTEGRATORS = {
    # position with the old speed and heading: what the paper does, first order
    "euler": Rule((0.0,), (1.0,), curved=False),
    # second order
    "midpoint": Rule((0.5,), (1.0,), curved=True),
    # three-point Gauss-Legendre: exact hold of the inputs to sixth order
    "hold": Rule((0.5 - _OFFSET, 0.5, 0.5 + _OFFSET), (5 / 18, 8 / 18, 5 / 18), curved=True),
}


def rule(name: str) -> Rule:
    """Return the rule of an integrator.

    Raises
    ------
    ConfigError
        If there is none of that name.

    Examples
    --------
    >>> rule("midpoint").fractions
    (0.5,)
    """
    if name not in INTEGRATORS:
        raise ConfigError(expected("integrator", repr(name), f"one of {sorted(INTEGRATORS)}"))
    return INTEGRATORS[name]


def sum_before(x: Tensor) -> Tensor:
    """Return, for each step of the last axis, the sum over the steps before it.

    Shifted and not subtracted: ``cumsum(x) - x`` would lose digits where one step outweighs those before it.

    Examples
    --------
    >>> sum_before(torch.tensor([1.0, 2.0, 4.0]))
    tensor([0., 1., 3.])
    """
    return torch.nn.functional.pad(torch.cumsum(x[..., :-1], -1), (1, 0))
