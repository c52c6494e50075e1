"""Which format a file has, told from its contents."""

from __future__ import annotations

import re
from collections import Counter

from retrodict.physics.motion.tracks.source import Source
from retrodict.physics.motion.tracks.tfrecord import is_tfrecord

__all__ = ["guess"]

_HEAD = 65536
_NUMERIC = re.compile(r"[ \t]*[-+.0-9]+[ \t]")


def guess(source: Source) -> str | None:
    """Tell the format of a file.

    Parameters
    ----------
    source : Source
        The file; its name counts only where the contents say nothing, as in a damaged binary file.

    Returns
    -------
    str or None
        Name of the format, or None where it is none of the known.

    Examples
    --------
    >>> guess(Source("a.txt", b"780 1.0 8.46 3.59"))
    'eth-ucy'
    >>> guess(Source("a.txt", b"no tracks at all")) is None
    True
    """
    head = source.data[:_HEAD]
    if head[:4] == b"PAR1":
        return "argoverse2"
    if is_tfrecord(head):
        return "waymo"
    if b"<commonRoad" in head:
        return "commonroad"
    text = [line for line in head.decode("utf-8", errors="replace").split("\n")[:40] if line.strip()]
    if text and (found := _by_lines(text)):
        return found
    return _by_name(source.name)


def _by_lines(lines: list[str]) -> str | None:
    first = lines[0].lower()
    if "vehicle_id" in first:
        return "ngsim"
    if first.lstrip("\ufeff").count("[") >= 2 and "," in first:
        return "drive-log"
    widths = Counter(len(line.split()) for line in lines if _NUMERIC.match(line))
    (width, _), *_ = widths.most_common(1) or [(0, 0)]
    return {18: "ngsim", 4: "eth-ucy"}.get(width)


def _by_name(name: str) -> str | None:
    name = name.lower()
    if name.endswith(".parquet"):
        return "argoverse2"
    return "waymo" if "tfrecord" in name else None
