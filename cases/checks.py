"""Checks: one quantity, one independent reference, a comparator, a tolerance, a verdict.

A check never compares our output with our own stored output. A published number that is missed is reported as missed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.cases.comparators import Comparator, excess, max_abs, max_rel, rel_l2, shortfall
from retrodict.physics.errors import ConfigError, expected

__all__ = [
    "Analytic",
    "Check",
    "Comparator",
    "Invariant",
    "Published",
    "Reference",
    "SolverRun",
    "Verdict",
    "excess",
    "judge",
    "max_abs",
    "max_rel",
    "rel_l2",
    "shortfall",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """What a quantity is held against.

    Parameters
    ----------
    value : array_like or callable
        The number, or a function that computes it when the check runs.
    source : str
        Equation, solver with version, or publication.
    """

    value: ArrayLike | Callable[[], ArrayLike]
    source: str

    kind = "reference"


@dataclass(frozen=True)
class Analytic(Reference):
    """A closed form; ``source`` names the equation."""

    kind = "analytic"


@dataclass(frozen=True)
class SolverRun(Reference):
    """The output of an independent solver; ``source`` names it with its version."""

    kind = "reference solver"


@dataclass(frozen=True)
class Published(Reference):
    """A number from the literature; ``source`` cites it with table or equation."""

    kind = "published"


@dataclass(frozen=True)
class Invariant(Reference):
    """A value that a law prescribes, such as zero drift of mass; ``source`` names the law."""

    value: ArrayLike | Callable[[], ArrayLike] = 0.0
    source: str = "conservation"

    kind = "invariant"


@dataclass(frozen=True)
class Check:
    """One comparison of a quantity that we compute with a reference.

    Parameters
    ----------
    name : str
        What is compared, as a report shows it.
    quantity : callable
        Computes our value, a number or an array.
    reference : Reference
        `Analytic`, `SolverRun`, `Published` or `Invariant`.
    tolerance : float
        Largest error that passes.
    comparator : callable, optional
        ``(value, reference) -> error``.
    units : str, optional
        Units of value and reference.
    note : str, optional
        Shown beside the verdict, for example why a published number cannot be met.

    Raises
    ------
    ConfigError
        If the tolerance is not a finite number of at least zero.

    Examples
    --------
    >>> judge(Check("half", lambda: 0.5, Analytic(0.5, "1/2"), 1e-12)).passed
    True
    """

    name: str
    quantity: Callable[[], ArrayLike]
    reference: Reference
    tolerance: float
    comparator: Comparator = max_rel
    units: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ConfigError(expected(f"Check {self.name!r} tolerance", self.tolerance, "a finite number >= 0"))


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Parameters
    ----------
    name, kind, source, comparator, units : str
        As in the check and its reference.
    passed : bool
        Whether the error is a number of at most the tolerance.
    value, reference : float or None
        The two numbers; of arrays, the entries where they differ most; None where there is none.
    error : float or None
        What the comparator said.
    tolerance : float
        The bar.
    seconds, reference_seconds : float
        Wall-clock time of the quantity and of the reference.
    note : str
        Of the check, or why it failed.
    curves : tuple of ndarray or None
        Value and reference of a one-dimensional check, for a figure.
    """

    name: str
    kind: str
    source: str
    comparator: str
    units: str
    passed: bool
    value: float | None
    reference: float | None
    error: float | None
    tolerance: float
    seconds: float
    reference_seconds: float
    note: str = ""
    curves: tuple[Floats, Floats] | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON can hold it."""
        return {k: v for k, v in vars(self).items() if k != "curves"}


def judge(check: Check) -> Verdict:
    """Run a check. One that raises is a failed check with the message; NaN never passes.

    Parameters
    ----------
    check : Check
        What to run.

    Returns
    -------
    Verdict
        The verdict.

    Examples
    --------
    >>> print(judge(Check("broken", lambda: 1 / 0, Invariant(), 1.0)).note)
    ZeroDivisionError: division by zero
    """
    ours = theirs = math.nan
    pair: tuple[Floats, Floats] | None = None
    error, note, start = math.nan, check.note, time.perf_counter()
    try:
        value = np.asarray(check.quantity(), dtype=float)
        ours, start = time.perf_counter() - start, time.perf_counter()
        given = check.reference.value
        reference = np.asarray(given() if callable(given) else given, dtype=float)
        theirs = time.perf_counter() - start
        pair = _same_shape(value, reference)
        error = float(check.comparator(*pair))
    except Exception as problem:  # noqa: BLE001 - a check that raises is a failed check, not the end of the others
        note = "; ".join(filter(None, [f"{type(problem).__name__}: {problem}", check.note]))
    if pair is not None and math.isnan(error):
        note = "; ".join(filter(None, ["the comparison gave NaN", check.note]))
    value_at, reference_at = _worst(pair)
    curves = pair if pair is not None and pair[0].ndim == 1 and pair[0].size > 2 else None
    return Verdict(
        name=check.name,
        kind=check.reference.kind,
        source=check.reference.source,
        comparator=getattr(check.comparator, "__name__", "comparator").replace("_", " "),
        units=check.units,
        passed=bool(error <= check.tolerance),
        value=value_at,
        reference=reference_at,
        error=_finite(error),
        tolerance=check.tolerance,
        seconds=_finite(ours) or 0.0,
        reference_seconds=_finite(theirs) or 0.0,
        note=note,
        curves=curves,
    )


def _same_shape(value: Floats, reference: Floats) -> tuple[Floats, Floats]:
    if value.size == 0:
        raise ConfigError(expected("quantity", "an empty array", "at least one number"))
    if reference.ndim and reference.shape != value.shape:
        raise ConfigError(expected("quantity", f"shape {value.shape}", f"shape {reference.shape} of the reference"))
    return value, np.broadcast_to(reference, value.shape)


def _worst(pair: tuple[Floats, Floats] | None) -> tuple[float | None, float | None]:
    if pair is None:
        return None, None
    gap = np.abs(pair[0] - pair[1]).ravel()
    at = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
    return _finite(float(pair[0].ravel()[at])), _finite(float(pair[1].ravel()[at]))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
