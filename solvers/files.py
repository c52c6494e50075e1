"""Files that are whole or absent: written to a temporary name, synced, then renamed; every byte under a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from retrodict.physics.errors import DataError, expected, reason

__all__ = [
    "append_line",
    "is_part",
    "open_plain",
    "read_json",
    "refuse_links",
    "remove_parts",
    "sha256",
    "write_atomic",
    "write_json",
    "write_text",
]

# What `tempfile` makes of the prefix and suffix that `write_atomic`, and the writers of folders in `physics`, give it.
_PART = re.compile(r"\..+\.[a-z0-9_]{8}\.part")


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
    except BaseException as error:
        with suppress(OSError):  # the error that came first is the one to tell; what stays is removed at the next start
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error  # the user knows the file by its own name
        raise


def is_part(path: Path) -> bool:
    """Return whether a path is what a killed write left: a file or folder, not a link, with a name of the scheme.

    Examples
    --------
    >>> is_part(Path("notes.part"))
    False
    """
    return bool(_PART.fullmatch(path.name)) and not path.is_symlink()


def remove_parts(folder: Path) -> None:
    """Remove what killed writes left in a folder that is held, so that no other write is under way in it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".result.nc.abcd_123.part").touch()
    >>> remove_parts(folder)
    >>> list(folder.iterdir())
    []
    """
    for path in [p for p in _tree(folder) if is_part(p)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have gone with a folder


def refuse_links(folder: Path) -> None:
    """Refuse a folder in which a name leads elsewhere: someone else may have made it, and we are about to write there.

    Raises
    ------
    DataError
        If anything in it is a symbolic link, a pipe, a socket or a device.

    Examples
    --------
    >>> import tempfile
    >>> refuse_links(Path(tempfile.mkdtemp()))
    """
    for path in _tree(folder):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise DataError(expected(str(path), _kind(mode), "a plain file or a folder"))


def open_plain(path: Path, flags: int) -> int:
    """Open a file that is changed in place: a plain file with one name, never what a link leads to.

    Parameters
    ----------
    path : Path
        The file.
    flags : int
        As for `os.open`; must not hold ``O_TRUNC``, for what is found is looked at first.

    Returns
    -------
    int
        A file descriptor, which the caller closes.

    Raises
    ------
    DataError
        If it is a symbolic link, has a second name (a hard link), or is no plain file.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> os.close(open_plain(Path(tempfile.mkdtemp()) / "log", os.O_WRONLY | os.O_CREAT))
    """
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        try:
            mode = path.lstat().st_mode
        except OSError:
            raise error from None
        if stat.S_ISREG(mode):
            raise
        raise DataError(expected(str(path), _kind(mode), "a plain file")) from error
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return handle
    os.close(handle)
    got = "a file that has another name too (a hard link)" if stat.S_ISREG(found.st_mode) else _kind(found.st_mode)
    raise DataError(expected(str(path), got, "a plain file"))


def append_line(path: Path, line: str) -> None:
    r"""Append a line to a file, whole or not at all.

    Raises
    ------
    DataError
        If the file is a link or no plain file.
    OSError
        If the disk does not take it; the file is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log"
    >>> append_line(path, "first")
    >>> path.read_text()
    'first\n'
    """
    raw = line.encode() + b"\n"
    handle = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        before = os.fstat(handle).st_size
        try:
            # What is left over from a short write is tried again, which tells why it was short.
            done = os.write(handle, raw)
            while done < len(raw):
                done += os.write(handle, raw[done:])
        except OSError as error:
            os.ftruncate(handle, before)
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(handle)


def _tree(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder, links themselves and not what they lead to."""

    def stop(error: OSError) -> None:
        raise error

    for here, folders, files in os.walk(folder, onerror=stop):
        for name in (*folders, *files):
            yield Path(here) / name


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"))
    return next((name for test, name in kinds if test(mode)), "a socket or a device")


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
    except (ValueError, RecursionError, OSError) as error:
        raise DataError(expected(str(path), f"damaged JSON ({reason(error)})", "a JSON file")) from error


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
