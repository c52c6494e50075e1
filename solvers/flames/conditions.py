"""Conditions of a flame checked before any work, and as tensors for its equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.equations import Params

__all__ = ["RISE", "check_conditions", "conditions"]

RISE = 300.0
"""A mixture whose equilibrium is hotter by less, in K, is not taken to burn."""


def check_conditions(flame: Any, positive: Sequence[str], mixtures: Sequence[str]) -> None:
    """Check what all flames share, and turn mixtures that came as tensors into arrays.

    Parameters
    ----------
    flame : object
        A frozen dataclass with ``mechanism``, ``points``, ``scheme`` and what is named.
    positive : sequence of str
        Attributes that must be positive and finite.
    mixtures : sequence of str
        Attributes that must be mass fractions, shape (K,).

    Raises
    ------
    SpaceError
        If a number is out of range, or mass fractions do not sum to one.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> check_conditions(SimpleNamespace(points=5, p=1.0), ["p"], [])
    Traceback (most recent call last):
    retrodict.physics.errors.SpaceError: SimpleNamespace.points: got 5, expected at least 20
    """
    where = type(flame).__name__
    for name in positive:
        if not 0 < getattr(flame, name) < np.inf:
            raise SpaceError(expected(f"{where}.{name}", getattr(flame, name), "a positive number in SI units"))
    if flame.points < 20:
        raise SpaceError(expected(f"{where}.points", flame.points, "at least 20"))
    for name in mixtures:
        Y = np.asarray(getattr(flame, name), dtype=float)
        if Y.shape != (flame.mechanism.K,) or not np.all(Y >= 0) or abs(Y.sum() - 1) > 1e-6:
            raise SpaceError(expected(f"{where}.{name}", Y, f"{flame.mechanism.K} mass fractions with sum 1"))
        object.__setattr__(flame, name, Y)
    if flame.scheme not in ("central", "upwind"):
        raise SpaceError(expected(f"{where}.scheme", flame.scheme, "'central' or 'upwind'"))


def conditions(flame: Any, names: Sequence[str]) -> Params:
    """Return attributes of a flame as tensors in double precision.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> conditions(SimpleNamespace(p=101325.0), ["p"])
    {'p': tensor(101325., dtype=torch.float64)}
    """
    return {k: torch.as_tensor(np.asarray(getattr(flame, k), dtype=float)) for k in names}
