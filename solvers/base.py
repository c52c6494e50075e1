"""The shape of every step-wise solver: a frozen object; its state is opaque and packs into plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from retrodict.physics.spaces import Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Metrics", "Solver", "Status"]

Metrics = Mapping[str, float]
S = TypeVar("S")


class Status(Enum):
    """How a solve ended. Failure is a value; each carries the sentence that a report shows."""

    CONVERGED = "converged"
    MAX_STEPS = "max-steps"
    DIVERGED = "diverged"
    INVALID = "invalid"
    NON_FINITE = "non-finite"
    STALLED = "stalled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def message(self) -> str:
        """The status in a sentence."""
        return _MESSAGES[self]

    @property
    def ok(self) -> bool:
        """Whether the solution may be used as it is."""
        return self is Status.CONVERGED


_MESSAGES = {
    Status.CONVERGED: "The stopping criterion was met.",
    Status.MAX_STEPS: "The largest number of steps was reached before the stopping criterion.",
    Status.DIVERGED: "The iterates grew without bound.",
    Status.INVALID: "The criterion was met, but an independent residual is far larger: another problem was solved.",
    Status.NON_FINITE: "A metric became NaN or infinite; the state before it was kept.",
    Status.STALLED: "No further progress was possible at this precision, and the stopping criterion was not met.",
    Status.INTERRUPTED: "A signal stopped the solve; a checkpoint was written where a store was given.",
    Status.FAILED: "The method gave up; see the log.",
}


@runtime_checkable
class Solver(Protocol[S]):
    """A step-wise method.

    ``pack`` and ``unpack`` are inverse to each other to the last bit, so that a resumed run equals an uninterrupted
    one. ``name`` is stored in checkpoints: a checkpoint of another solver is refused.
    """

    @property
    def name(self) -> str:
        """Name of the method and whatever identifies the problem that it was set up for."""
        ...

    def init(self) -> S:
        """Return the state before the first step."""
        ...

    def step(self, state: S) -> tuple[S, Metrics]:
        """Return the next state and the metrics of the step."""
        ...

    def done(self, metrics: Metrics) -> Status | None:
        """Return how the solve ended, or None to go on."""
        ...

    def solution(self, state: S) -> xr.Dataset:
        """Return the solution that a state stands for, with units."""
        ...

    def pack(self, state: S) -> dict[str, Array]:
        """Return the whole state as plain arrays."""
        ...

    def unpack(self, arrays: Mapping[str, Array]) -> S:
        """Inverse of `pack`."""
        ...
