"""Limits of YAML: a few lines can stand for more than a computer holds or a parser nests, and are refused before."""

from __future__ import annotations

import re
from pathlib import Path

from retrodict.physics.errors import DataError, expected

__all__ = ["check_yaml"]

_ALIAS = re.compile(r"(?:^|[\s\[{,:?-])\*[^\s\[\]{},*]", re.MULTILINE)
_BRACKET = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|\#[^\n]*)|([\[{])|([\]}])""")  # the first skips strings and comments
_DEEPEST, _TIMES, _NODES = 100, 100, 1_000_000


def check_yaml(text: str, path: str | Path) -> None:
    r"""Refuse a text with brackets a hundred deep, or whose aliases, written out, would make it far larger.

    Honest files repeat a block by its name (the composition of all datapoints, say), which makes them some tens of
    times longer. The count follows the events of the parser and writes nothing out. A text without aliases is not
    parsed.

    Parameters
    ----------
    text : str
        YAML.
    path : str or Path
        Where it is from, for errors.

    Raises
    ------
    DataError
        If brackets are nested more than a hundred deep; if the text would have more than a hundred times the nodes that
        stand in it, or more than a million; if an alias stands inside what it names.
    ruamel.yaml.error.YAMLError
        If a text with aliases is no YAML.

    Examples
    --------
    >>> check_yaml("a: &a [1, 2]\nb: *a", "good.yaml")
    >>> check_yaml("a: &a [1, *a]", "endless.yaml")
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: endless.yaml: got the alias *a, expected the name of a block above it
    """
    depth = 0
    for mark in _BRACKET.finditer(text):
        depth = max(0, depth + bool(mark[1]) - bool(mark[2]))
        if depth > _DEEPEST:
            line = 1 + text.count("\n", 0, mark.start())
            raise DataError(expected(f"{path}:{line}", f"brackets {depth} deep", f"at most {_DEEPEST}"))
    if not _ALIAS.search(text):
        return
    from ruamel.yaml import YAML
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

    sizes: dict[str, int] = {}
    within: list[tuple[str | None, int]] = [(None, 0)]  # names and nodes of the blocks that are open
    stand = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, CollectionStartEvent):
            within.append((event.anchor, 1))
            stand += 1
            continue
        if isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise DataError(expected(str(path), f"the alias *{event.anchor}", "the name of a block above it"))
            name, nodes = None, sizes[event.anchor]
            stand += 1
        elif isinstance(event, ScalarEvent):
            name, nodes = event.anchor, 1
            stand += 1
        elif isinstance(event, CollectionEndEvent):
            name, nodes = within.pop()
        else:
            continue
        if name is not None:
            sizes[name] = nodes
        outer, before = within.pop()
        within.append((outer, before + nodes))
    total = within[0][1]
    if total > min(_TIMES * stand, _NODES):
        got = f"aliases that turn {stand} entries into {total:.3g}"
        raise DataError(expected(str(path), got, f"at most {_TIMES} times the entries, and at most {_NODES}"))
