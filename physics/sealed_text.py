"""Text files whose first line, a comment, is the checksum of all others: other programs read them as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from retrodict.physics.errors import DataError, expected

__all__ = ["check_seal", "sealed"]

_SEAL = "# sha256 of all lines below: "


def sealed(text: str) -> str:
    r"""Return a text below a line with its checksum.

    Parameters
    ----------
    text : str
        In a format whose comments begin with ``#``, such as YAML.

    Examples
    --------
    >>> sealed("phases: []\n").splitlines()[1]
    'phases: []'
    """
    return f"{_SEAL}{_digest(text)}\n{text}"


def check_seal(text: str, path: str | Path) -> None:
    """Verify the checksum in the first line of a text; one without it, of other programs, passes.

    Parameters
    ----------
    text : str
        Content of a file.
    path : str or Path
        The file, for errors.

    Raises
    ------
    DataError
        If the content is not that of the checksum.

    Examples
    --------
    >>> check_seal(sealed("a: 1"), "ours.yaml")
    >>> check_seal(sealed("a: 1").replace("1", "2"), "ours.yaml")
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: ours.yaml: got content that does not match its checksum, expected the file as it was written (remove its first line if it was edited on purpose)
    """  # noqa: E501 - a message has one line
    first, _, rest = text.partition("\n")
    if first.startswith(_SEAL) and first.removeprefix(_SEAL) != _digest(rest):
        wanted = "the file as it was written (remove its first line if it was edited on purpose)"
        raise DataError(expected(str(path), "content that does not match its checksum", wanted))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
