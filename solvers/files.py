"""Files that are whole or absent: written to a temporary name, synced, then renamed; every byte under a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retrodict.physics.errors import DataError, expected

__all__ = ["read_json", "sha256", "write_atomic", "write_json", "write_text"]


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, sync it, and rename it into place.

    A reader, or a run after a power cut, sees the old file or the new one, never a part.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_atomic(target, lambda p: p.write_text("whole"))
    >>> target.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> write_text(target, "a")
    """
    write_atomic(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN is refused because JSON has none.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.json"
    >>> write_json(target, {"a": 1})
    >>> read_json(target)
    {'a': 1}
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False, sort_keys=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        If the file is missing or is not JSON.

    Examples
    --------
    >>> read_json(Path("no/such/file.json"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: no/such/file.json: got no file, expected a JSON file
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(expected(str(path), "no file", "a JSON file")) from error
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(expected(str(path), f"damaged JSON ({error})", "a JSON file")) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "empty"
    >>> write_text(target, "")
    >>> sha256(target)[:8]
    'e3b0c442'
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
