"""Exceptions of the whole suite: one root, one class per border that can be violated.

Every message says where, what came and what was expected. Failure of a *computation* is not an exception but a
`retrodict.solvers.base.Status`; exceptions are for wrong input and damaged files.
"""

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "RetrodictError",
    "SolverError",
    "SpaceError",
    "UnitsError",
    "brief",
    "expected",
    "reason",
    "refuse_unknown",
]

_LONGEST = 600


class RetrodictError(Exception):
    """Root of all exceptions raised on purpose by Retrodict."""


class SpaceError(RetrodictError, ValueError):
    """A tree of arrays does not belong to the space it was given to."""


class UnitsError(RetrodictError, ValueError):
    """A quantity has units that cannot be converted to the units expected."""


class DataError(RetrodictError, ValueError):
    """A file or an array of observations is damaged, incomplete or of the wrong kind."""


class CheckpointError(RetrodictError, ValueError):
    """A checkpoint is damaged, missing, or belongs to another solver."""


class ConfigError(RetrodictError, ValueError):
    """A setting is unknown, of the wrong type, out of range, or not supported in this combination."""


class SolverError(RetrodictError, RuntimeError):
    """A method was given a problem that it cannot treat."""


def expected(where: str, got: object, wanted: object) -> str:
    """Compose the one message form of the house: where, what came, what was expected.

    Parameters
    ----------
    where : str
        The argument, file and line, or variable at fault.
    got : object
        What came.
    wanted : object
        What was expected.

    Returns
    -------
    str
        The message.

    Examples
    --------
    >>> expected("time_step", -0.1, "a positive number of seconds")
    'time_step: got -0.1, expected a positive number of seconds'
    """
    return f"{brief(where)}: got {brief(got)}, expected {brief(wanted)}"


def brief(value: object, longest: int = _LONGEST) -> str:
    """Return a text of bounded length: what a file of a few bytes expands to must not fill a terminal or a log.

    Parameters
    ----------
    value : object
        Anything with a text.
    longest : int, optional
        Characters that are shown; of a longer text the beginning and the end stay.

    Returns
    -------
    str
        The text, or its two ends with the number of characters left out between them.

    Examples
    --------
    >>> brief("x" * 1000, 10)
    'xxxxxxxx [990 characters left out] xx'
    """
    text = f"{value}"  # a tensor without axes is shown as its number
    if len(text) <= longest:
        return text
    tail = longest // 5
    return f"{text[: longest - tail]} [{len(text) - longest} characters left out] {text[len(text) - tail :]}"


def reason(error: BaseException) -> str:
    """Return what went wrong as a user is told it: no class name where the words say enough, and of bounded length.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    str
        One or a few lines.

    Examples
    --------
    >>> reason(OSError(28, "No space left on device", "runs/a/result.nc"))
    'runs/a/result.nc: No space left on device'
    """
    if isinstance(error, RetrodictError):
        return brief(error, 10 * _LONGEST)
    if isinstance(error, OSError) and error.strerror:
        return brief(": ".join(str(part) for part in (error.filename, error.strerror) if part is not None))
    if isinstance(error, RecursionError):
        return "the input is nested too deeply to be read"
    if isinstance(error, MemoryError):
        return f"not enough memory{': ' if str(error) else ''}{brief(error)}"
    return brief(f"{type(error).__name__}: {error}")


def refuse_unknown(
    found: Iterable[object], known: Sequence[str], where: str, wanted: str, error: type[Exception]
) -> None:
    """Refuse keys of a user's file that nothing would read: a name with a slip of the pen must not count as absent.

    Parameters
    ----------
    found : iterable
        Keys that are there.
    known : sequence of str
        Those that are read, or may stand there.
    where, wanted : str
        As in `expected`.
    error : type
        What is raised.

    Raises
    ------
    error
        With a line for each unknown key, and the known one that is nearest.

    Examples
    --------
    >>> refuse_unknown(["presure"], ["pressure"], "a.yaml", "a field of a point", DataError)
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: a.yaml: got the unknown key 'presure', expected a field of a point; did you mean 'pressure'?
    """  # noqa: E501 - a message has one line
    lines = []
    for key in (str(k) for k in found if k not in known):
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        lines.append(expected(where, f"the unknown key {brief(key, 100)!r}", f"{wanted}{hint}"))
    if lines:
        raise error("\n".join(lines))
