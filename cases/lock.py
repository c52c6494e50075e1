"""An advisory lock on a run folder: one verb at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrodict.physics.errors import ConfigError, expected

__all__ = ["locked"]


@contextmanager
def locked(path: Path, verb: str) -> Iterator[None]:
    """Hold a folder; the kernel lets it go when the process ends, however it ends.

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

    Examples
    --------
    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp()), "fit"):
    ...     pass
    """
    with (path / ".lock").open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            raise ConfigError(expected(str(path), f"a folder in use by {holder}", "a folder that is free")) from error
        stream.truncate(0)
        stream.write(f"process {os.getpid()} ({verb})")
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
