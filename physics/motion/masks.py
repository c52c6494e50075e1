"""Masks of trajectories: which steps count."""

import torch
from torch import Tensor

from retrodict.physics.errors import DataError, SpaceError, expected

__all__ = ["checked_mask", "masked_mean"]


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of the unmasked entries; masked ones carry neither value nor gradient, even if they are not finite.

    Parameters
    ----------
    values : Tensor, shape (...)
    mask : Tensor of bool, shape (...), optional
        True where an entry counts.

    Returns
    -------
    Tensor, shape ()

    Raises
    ------
    SpaceError
        The mask is not boolean or has another shape.
    DataError
        Nothing is unmasked.

    Examples
    --------
    >>> masked_mean(torch.tensor([1.0, torch.nan, 3.0]), torch.tensor([True, False, True]))
    tensor(2.)
    """
    mask = checked_mask(mask, values.shape, values)
    return values[mask].mean()


def checked_mask(mask: Tensor | None, shape: torch.Size, like: Tensor) -> Tensor:
    """Return a mask of a shape after checking it; all True, on the device of ``like``, where none is given.

    Raises
    ------
    SpaceError
        The mask is not boolean or has another shape.
    DataError
        Nothing is unmasked.

    Examples
    --------
    >>> checked_mask(None, torch.Size([2]), torch.zeros(1))
    tensor([True, True])
    """
    if mask is None:
        return torch.ones(shape, dtype=torch.bool, device=like.device)
    if mask.dtype != torch.bool or mask.shape != shape:
        raise SpaceError(expected("mask", f"{mask.dtype} {tuple(mask.shape)}", f"torch.bool {tuple(shape)}"))
    if not bool(mask.any()):
        raise DataError(expected("mask", "every step masked", "at least one step that counts"))
    return mask
