"""Bytes of one file with its name and checksum, read once and guarded in size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.tracks.damage import Damage

__all__ = ["MAX_BYTES", "Source"]

MAX_BYTES = 2**31


@dataclass(frozen=True)
class Source:
    """Contents of a file.

    Parameters
    ----------
    name : str
        File name without its folders: results must not depend on where a file lies.
    data : bytes
        All of its contents.

    Examples
    --------
    >>> source = Source("a.txt", b"0 1 2.0 3.0")
    >>> source.sha256[:8]
    '194bfa39'
    """

    name: str
    data: bytes

    @classmethod
    def load(cls, path: str | Path) -> Source:
        """Read a file.

        Parameters
        ----------
        path : str or Path
            A regular file of at most `MAX_BYTES` bytes.

        Returns
        -------
        Source
            Its contents.

        Raises
        ------
        DataError
            If the file is missing, unreadable, empty or too large.
        """
        path = Path(path)
        try:
            size = path.stat().st_size
            if not path.is_file():
                raise DataError(expected(path.name, "no regular file", "a file"))
            if size > MAX_BYTES:
                raise DataError(expected(path.name, f"{size} bytes", f"at most {MAX_BYTES} bytes; split the file"))
            data = path.read_bytes()
        except OSError as error:
            raise DataError(expected(path.name, f"{type(error).__name__}", "a readable file")) from error
        if not data:
            raise DataError(expected(path.name, "an empty file", "a file with tracks"))
        return cls(path.name, data)

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the contents."""
        return hashlib.sha256(self.data).hexdigest()

    def lines(self, damage: Damage) -> Iterator[tuple[int, str]]:
        """Yield the lines that are not blank, with their numbers from 1.

        Parameters
        ----------
        damage : Damage
            Receives the lines that are no UTF-8 text.

        Yields
        ------
        tuple of int and str
            Number and text of a line.
        """
        for number, raw in enumerate(self.data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            try:
                line = raw.decode("utf-8").strip("\r")
            except UnicodeDecodeError:
                damage.add(f"line {number}", raw[:40], "UTF-8 text")
                continue
            if line.strip(" \t\r"):
                yield number, line
