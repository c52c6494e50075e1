"""A free flame between two imposed states: temperature and mass fractions are given at both ends of a short domain.

What networks are trained on [Wu et al. 2025]; it differs from `PremixedEquations` at the ends alone, by what has not
burnt at the outlet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.equations import Params
from retrodict.physics.flames.finite_volume import Balances
from retrodict.physics.flames.premixed import PremixedEquations

__all__ = ["ImposedEnds"]


@dataclass(frozen=True)
class ImposedEnds(PremixedEquations):
    """A free flame whose burnt state is imposed at the right end, and mass fractions, not fluxes, at the left.

    Parameters
    ----------
    mechanism, x, scheme, anchor
        As of `PremixedEquations`; the anchor is needed.
    burnt : sequence of float, length 1 + K
        Temperature, K, and mass fractions at the right end.

    Raises
    ------
    SpaceError
        If the burnt state or the anchor is missing.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> ImposedEnds(load_mechanism("h2o2.yaml"), torch.linspace(0, 0.02, 5))
    Traceback (most recent call last):
    retrodict.physics.errors.SpaceError: ImposedEnds.burnt: got 0 values, expected 11 and an anchor
    """

    burnt: Sequence[float] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.burnt) != 1 + self.mechanism.K or self.anchor is None:
            raise SpaceError(
                expected("ImposedEnds.burnt", f"{len(self.burnt)} values", f"{1 + self.mechanism.K} and an anchor")
            )

    def _bounded(self, params: Params, U: Tensor, m: Tensor, inner: Tensor, entering: Tensor) -> tuple[Tensor, Tensor]:
        F, f = super()._bounded(params, U, m, inner, entering)
        left = U[0] - torch.cat([params["T_in"][None], params["Y_in"]])
        right = U[-1] - torch.tensor(self.burnt, dtype=U.dtype)
        return torch.cat([left[None], F[1:-1], right[None]]), f

    def _blocks(self, params: Params, U: Tensor, m: Tensor, parts: Balances) -> list[Tensor]:
        lower, diagonal, upper, column = super()._blocks(params, U, m, parts)
        for end in (0, -1):
            lower[end], upper[end], column[end] = 0, 0, 0
            diagonal[end] = torch.eye(U.shape[1], dtype=U.dtype)
        return [lower, diagonal, upper, column]
