"""How far a value is from its reference, as one number; NaN stays NaN, so that it never passes a check."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparator", "excess", "max_abs", "max_rel", "rel_l2", "shortfall"]

Floats = NDArray[np.float64]
Comparator = Callable[[Floats, Floats], float]
"""``(value, reference) -> error``; a check passes where the error is at most its tolerance."""


def max_abs(value: Floats, reference: Floats) -> float:
    """Return ``max |value - reference|``.

    Examples
    --------
    >>> max_abs(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    0.5
    """
    return float(np.max(np.abs(value - reference)))


def max_rel(value: Floats, reference: Floats) -> float:
    """Return ``max |value - reference| / max |reference|``.

    Examples
    --------
    >>> max_rel(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    0.2
    """
    return float(np.max(np.abs(value - reference)) / np.max(np.abs(reference)))


def rel_l2(value: Floats, reference: Floats) -> float:
    """Return ``|value - reference| / |reference|`` in the Euclidean norm.

    Examples
    --------
    >>> rel_l2(np.array([3.0, 4.0]), np.array([3.0, 4.5])) < 0.1
    True
    """
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


def excess(value: Floats, reference: Floats) -> float:
    """Return by how much the value exceeds the reference: for "at most".

    Examples
    --------
    >>> excess(np.array(1.0), np.array(1.5))
    0.0
    """
    return float(np.max(np.maximum(value - reference, 0.0))) if not np.isnan(value - reference).any() else math.nan


def shortfall(value: Floats, reference: Floats) -> float:
    """Return by how much the value falls short of the reference: for "at least".

    Examples
    --------
    >>> shortfall(np.array(1.0), np.array(1.5))
    0.5
    """
    return excess(reference, value)
