"""Arrays at the border of scores and metrics: plain, finite and of the right shape, or an error that says why not."""

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import DataError, SpaceError, expected

__all__ = ["Floats", "Values", "draws_about", "finite_array", "mode_weights", "probabilities", "shaped_array"]

Floats: TypeAlias = NDArray[np.float64]
Values: TypeAlias = ArrayLike | torch.Tensor


def finite_array(name: str, value: Values) -> Floats:
    """Return numbers, or a tensor without its gradient, as an array of float64.

    Raises
    ------
    DataError
        A value is not finite.

    Examples
    --------
    >>> finite_array("mean", torch.ones(2, requires_grad=True))
    array([1., 1.])
    """
    plain: Any = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    array = np.asarray(plain, dtype=np.float64)
    if not np.isfinite(array).all():
        raise DataError(expected(name, "NaN or infinity", "finite values (select the unmasked entries first)"))
    return array


def shaped_array(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Return numbers as an array of float64 of one shape; they may be NaN.

    Raises
    ------
    SpaceError
        The shape is another.

    Examples
    --------
    >>> shaped_array("speed", [1, 2], (2,))
    array([1., 2.])
    """
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise SpaceError(expected(name, array.shape, shape))
    return array


def probabilities(name: str, value: Values) -> Floats:
    """Return numbers as a flat array of probabilities.

    Raises
    ------
    DataError
        A value is not finite or outside [0, 1], or there is none.

    Examples
    --------
    >>> probabilities("pit", [[0.5], [1.0]])
    array([0.5, 1. ])
    """
    array = finite_array(name, value).ravel()
    if array.size == 0 or array.min() < 0.0 or array.max() > 1.0:
        raise DataError(expected(name, f"{array.size} values outside [0, 1] or none", "probabilities in [0, 1]"))
    return array


def mode_weights(value: Values, modes: int) -> Floats:
    """Return the weights of ``modes`` modes along the last axis.

    Raises
    ------
    SpaceError, DataError
        Another number of modes; negative, or not summing to one.

    Examples
    --------
    >>> mode_weights([0.25, 0.75], 2)
    array([0.25, 0.75])
    """
    array = finite_array("weights", value)
    if array.shape[-1] != modes:
        raise SpaceError(expected("weights", array.shape, f"(..., {modes}), one weight a mode"))
    if (array < 0).any() or not np.allclose(array.sum(-1), 1.0, atol=1e-6):
        raise DataError(expected("weights", "negative or not summing to one", "probabilities of the modes"))
    return array


def draws_about(samples: Values, target: Values) -> tuple[Floats, Floats]:
    """Return samples of shape (n, ...) and a target of shape (...).

    Raises
    ------
    SpaceError, DataError
        Shapes do not fit or n < 2; a value is not finite.

    Examples
    --------
    >>> draws_about([0.0, 1.0], 0.5)[0]
    array([0., 1.])
    """
    draws, point = finite_array("samples", samples), finite_array("target", target)
    if draws.ndim == 0 or draws.shape[0] < 2 or draws.shape[1:] != point.shape:
        raise SpaceError(expected("samples", draws.shape, f"(n >= 2, *{point.shape})"))
    return draws, point
