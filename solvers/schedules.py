"""Learning rates that change with the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from retrodict.physics.errors import SolverError, expected

__all__ = ["Decay", "Schedule"]

Decay = Literal["constant", "exponential", "cosine"]


@dataclass(frozen=True)
class Schedule:
    """A learning rate as a function of the step.

    Parameters
    ----------
    rate : float
        At the first step after the warm-up.
    decay : {"constant", "exponential", "cosine"}, optional
        Kind.
    steps : int, optional
        Steps over which the rate falls by ``factor``; an exponential one goes on, a cosine stays there.
    factor : float, optional
        Share of the rate that is left.
    warmup : int, optional
        Steps over which the rate rises linearly.

    Raises
    ------
    SolverError
        If a number is out of range or the kind unknown.

    Examples
    --------
    >>> Schedule(1e-2, "exponential", steps=100, factor=0.5)(200)
    0.0025
    """

    rate: float
    decay: Decay = "constant"
    steps: int = 1000
    factor: float = 0.1
    warmup: int = 0

    def __post_init__(self) -> None:
        sound = 0 < self.rate < math.inf and self.steps >= 1 and 0 < self.factor <= 1 and self.warmup >= 0
        if not sound or self.decay not in get_args(Decay):
            raise SolverError(
                expected("Schedule", self, f"rate > 0, decay of {get_args(Decay)}, steps >= 1, 0 < factor <= 1")
            )

    def __call__(self, step: int) -> float:
        """Return the rate of a step, counted from zero.

        Examples
        --------
        >>> Schedule(1.0, warmup=4)(0)
        0.25
        """
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        share = (step - self.warmup) / self.steps
        if self.decay == "exponential":
            return float(self.rate * self.factor**share)
        if self.decay == "cosine":
            return self.rate * (self.factor + (1 - self.factor) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))
        return self.rate
