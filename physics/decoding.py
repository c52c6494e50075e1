"""The border to decoders of foreign bytes: whatever they raise on a damaged file becomes a `DataError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrodict.physics.errors import DataError, RetrodictError, expected

__all__ = ["decoding"]


@contextmanager
def decoding(path: str | Path, wanted: str) -> Iterator[None]:
    """Turn whatever a decoder of foreign bytes raises in the block into a DataError.

    Parameters
    ----------
    path : str or Path
        The file, or a part of it.
    wanted : str
        What it should be, ``"a UVFITS file"``.

    Raises
    ------
    DataError
        In place of any other exception; those of Retrodict pass.

    Examples
    --------
    >>> with decoding("a.txt", "a number"):
    ...     float("1O")
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: a.txt: got a file that cannot be read (ValueError: could not convert string to float: '1O'), expected a number
    """  # noqa: E501 - a message has one line
    try:
        yield
    except RetrodictError:
        raise
    # damaged bytes make decoders raise anything, and all of it means damage
    except Exception as error:
        got = f"a file that cannot be read ({type(error).__name__}: {' '.join(str(error).split())})"
        raise DataError(expected(str(path), got, wanted)) from error
