"""An advisory lock on a run folder: one verb at a time writes in it, several may read it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retrodict.physics.errors import ConfigError, brief, expected
from retrodict.solvers.files import open_plain

__all__ = ["READ_ONLY", "locked", "shared"]

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Errors of a folder that may not be written."""

_LONGEST = 100


@contextmanager
def locked(path: Path, verb: str) -> Iterator[None]:
    """Hold a folder to write in it; the kernel lets it go when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The folder.
    verb : str
        What another process is told that we do.

    Raises
    ------
    ConfigError
        If another process holds the folder.
    DataError
        If ``.lock`` is a link or no plain file: what it leads to is left as it is.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp()), "fit"):
    ...     pass
    """
    handle = open_plain(path / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        _hold(handle, path, fcntl.LOCK_EX)
        with suppress(OSError):  # a full disk takes no name; then it is "another process" that holds the folder
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} ({verb})".encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):  # the name of a process that is gone does no harm
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a folder to read it: nobody writes meanwhile, and nothing is written, not even the lock.

    A folder without a lock, as one that was copied, or with one that may not be read, is read all the same: every file
    in it is under a checksum.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    ConfigError
        If another process writes in the folder.
    DataError
        If ``.lock`` is a link or no plain file.

    Examples
    --------
    >>> import tempfile
    >>> with shared(Path(tempfile.mkdtemp())):
    ...     pass
    """
    try:
        handle = open_plain(path / ".lock", os.O_RDONLY)
    except OSError as error:
        if error.errno != errno.ENOENT and error.errno not in READ_ONLY:
            raise
        yield
        return
    try:
        _hold(handle, path, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _hold(handle: int, path: Path, kind: int) -> None:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = brief(os.pread(handle, 4 * _LONGEST, 0).decode(errors="replace").strip(), _LONGEST)
        got = f"a folder in use by {holder or 'another process'}"
        raise ConfigError(expected(str(path), got, "a folder that is free")) from error
    # Whoever held it before may have removed the folder, and another have made it anew.
    if not os.path.samestat(os.fstat(handle), (path / ".lock").lstat()):
        raise ConfigError(expected(str(path), "a folder that was replaced just now", "a folder that is free"))
