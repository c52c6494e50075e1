"""Activations and their derivatives, each from the ones before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ACTIVATIONS", "Activation"]


@dataclass(frozen=True)
class Activation:
    """A smooth function and its derivatives.

    Parameters
    ----------
    plain : callable
        The function.
    derivatives : callable
        ``(z, order) -> [value, first, ..., of that order]``.
    """

    plain: Callable[[Tensor], Tensor]
    derivatives: Callable[[Tensor, int], list[Tensor]]


def _tanh(z: Tensor, order: int) -> list[Tensor]:
    s = torch.tanh(z)
    out = [s]
    if order >= 1:
        out.append(torch.addcmul(s.new_ones(()), s, s, value=-1.0))
    # with q = 1 - s^2: q' = -2 s q, and every higher derivative is a polynomial of q times q or q'
    if order >= 2:
        out.append(torch.mul(s, out[1]).mul_(-2.0))
    if order >= 3:
        out.append(torch.mul(out[1], -6.0).add_(4.0).mul_(out[1]))
    if order >= 4:
        out.append((4.0 - 12.0 * out[1]).mul_(out[2]))
    if order >= 5:
        out.append((4.0 - 12.0 * out[1]).mul_(out[3]).addcmul_(out[2], out[2], value=-12.0))
    return out


def _sine(z: Tensor, order: int) -> list[Tensor]:
    s, c = torch.sin(z), torch.cos(z)
    return [(s, c, -s, -c)[k % 4] for k in range(order + 1)]


ACTIVATIONS = {"tanh": Activation(torch.tanh, _tanh), "sin": Activation(torch.sin, _sine)}
