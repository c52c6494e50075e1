"""Exceptions of the whole suite: one root, one class per border that can be violated.

Every message says where, what came and what was expected. Failure of a *computation* is not an exception but a
`retrodict.solvers.base.Status`; exceptions are for wrong input and damaged files.
"""

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "RetrodictError",
    "SolverError",
    "SpaceError",
    "UnitsError",
    "expected",
]


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
    return f"{where}: got {got}, expected {wanted}"
