"""A folder that was written beside its place, put there: what stood there stays until the new one does."""

from __future__ import annotations

from pathlib import Path

__all__ = ["put_in_place"]


def put_in_place(new: Path, path: Path, aside: Path) -> None:
    """Move a folder to its place.

    Parameters
    ----------
    new : Path
        The folder.
    path : Path
        Its place, empty or taken.
    aside : Path
        Where what stands in its place goes; it comes back if the move fails, Ctrl-C included. All three are of one file
        system.

    Examples
    --------
    >>> import tempfile
    >>> beside = Path(tempfile.mkdtemp())
    >>> for name in ("new", "place"):
    ...     (beside / name).mkdir()
    >>> put_in_place(beside / "new", beside / "place", beside / "old")
    >>> sorted(p.name for p in beside.iterdir())
    ['old', 'place']
    """
    try:
        if path.exists():
            path.rename(aside)
        new.rename(path)
    except BaseException:
        if aside.exists() and not path.exists():
            aside.rename(path)
        raise
