"""The shape of every step-wise solver: a frozen object; its state is opaque and packs into plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Metrics", "Solver", "Status", "packed", "unpacked"]

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

    def require(self, where: str, *also: Status) -> None:
        """Refuse an end for which nobody vouches.

        Parameters
        ----------
        where : str
            What was solved.
        *also : Status
            Ends that will do, beside convergence.

        Raises
        ------
        SolverError
            If it is another one.

        Examples
        --------
        >>> Status.MAX_STEPS.require("training", Status.MAX_STEPS)
        >>> Status.DIVERGED.require("training", Status.MAX_STEPS)
        Traceback (most recent call last):
        retrodict.physics.errors.SolverError: training: got status diverged (The iterates grew without bound.), expected one of converged, max-steps
        """  # noqa: E501 - a message has one line
        if not self.ok and self not in also:
            wanted = ", ".join(s.value for s in (Status.CONVERGED, *also))
            got = f"status {self.value} ({self.message})"
            raise SolverError(expected(where, got, f"one of {wanted}" if also else wanted))


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


def packed(state: object) -> dict[str, Array]:
    """Return a state whose fields are arrays and numbers as arrays.

    Parameters
    ----------
    state : object
        For example a frozen dataclass.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> packed(SimpleNamespace(x=np.zeros(2), step=3))
    {'x': array([0., 0.]), 'step': array(3)}
    """
    return {name: np.asarray(value) for name, value in vars(state).items()}


def unpacked(kind: Callable[..., S], arrays: Mapping[str, Array]) -> S:
    """Return the state that `packed` made arrays of; those without an axis become numbers.

    Parameters
    ----------
    kind : callable
        Makes the state from its fields.
    arrays : Mapping
        Of `packed`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> unpacked(SimpleNamespace, {"x": np.zeros(2), "step": np.array(3)})
    namespace(x=array([0., 0.]), step=3)
    """
    return kind(**{name: np.array(value) if value.ndim else value.item() for name, value in arrays.items()})
