"""Which cases there are: those of this folder, and those that other packages announce as ``retrodict.cases``."""

from __future__ import annotations

import ast
import difflib
import importlib
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from retrodict.cases.case import Case
from retrodict.physics.errors import ConfigError, expected

__all__ = ["GROUP", "Entry", "entries", "find", "load"]

GROUP = "retrodict.cases"
"""Entry-point group in which other packages announce their cases."""

# The one form a case file has at its top level; ruff writes the closing bracket at the start of a line.
_CASE = re.compile(r"^case\b[^\n=]*=\s*(Case(?:\[[^\n]*\])?\(.*?^\))", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """What is known of a case before it is asked to do anything.

    Parameters
    ----------
    name, system, summary : str
        As in `Case`; for a plug-in that fails to import, the summary is empty.
    target : str
        ``"module:attribute"``.
    origin : str
        Distribution that brings it, with its version.
    error : str
        Why it cannot be used; empty if it can.
    """

    name: str
    system: str
    summary: str
    target: str
    origin: str = "retrodict"
    error: str = ""


def entries() -> list[Entry]:
    """Return all cases, by system and name.

    The files of this folder are read, not imported, so that a case may import what it likes; plug-ins are imported,
    and one that fails is listed with its error.

    Examples
    --------
    >>> all(entry.name for entry in entries())
    True
    """
    found = [e for path in sorted(Path(__file__).parent.glob("*.py")) if (e := _read(path)) is not None]
    taken = {e.name for e in found}
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda p: p.name):
        entry = _announce(point)
        if entry.name in taken and not entry.error:
            error = f"the name {entry.name!r} is taken"
            entry = Entry(point.name, "plug-in", "", entry.target, entry.origin, error)
        found.append(entry)
        taken.add(entry.name)
    return sorted(found, key=lambda e: (bool(e.error), e.system, e.name))


def find(case: str | Case[Any]) -> Case[Any]:
    """Return a case by name; a `Case` is returned as it is.

    Raises
    ------
    ConfigError
        If no case has the name, or the plug-in that brings it fails.

    Examples
    --------
    >>> find("no-such-case")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    retrodict.physics.errors.ConfigError: case: got 'no-such-case', expected one of ...
    """
    if isinstance(case, Case):
        return case
    known = entries()
    for entry in known:
        if entry.name == case:
            if entry.error:
                raise ConfigError(f"case {case!r} of {entry.origin} cannot be used: {entry.error}")
            return load(entry.target)
    names = [e.name for e in known if not e.error]
    near = difflib.get_close_matches(case, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ConfigError(expected("case", repr(case), f"one of {', '.join(names) or 'none installed'}{hint}"))


def load(target: str) -> Case[Any]:
    """Import the case at ``module:attribute``.

    Raises
    ------
    ConfigError
        If there is no `Case` there.

    Examples
    --------
    >>> load("retrodict.cases.registry:GROUP")
    Traceback (most recent call last):
    retrodict.physics.errors.ConfigError: retrodict.cases.registry:GROUP: got str, expected a retrodict.cases.case.Case
    """
    module, _, name = target.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, Case):
        raise ConfigError(expected(target, type(found).__name__, "a retrodict.cases.case.Case"))
    return found


def _read(path: Path) -> Entry | None:
    match = _CASE.search(path.read_text(encoding="utf-8"))
    if match is None:
        return None
    call = ast.parse(match[1], mode="eval").body
    keywords = {k.arg: k.value for k in call.keywords} if isinstance(call, ast.Call) else {}
    head = [keywords.get(k) for k in ("name", "system", "summary")]
    target = f"retrodict.cases.{path.stem}:case"
    words = [str(n.value) for n in head if isinstance(n, ast.Constant)]
    if len(words) < 3:
        raise ConfigError(expected(target, "name, system and summary that are not literals", "literal keywords"))
    return Entry(words[0], words[1], words[2], target)


def _announce(point: metadata.EntryPoint) -> Entry:
    origin = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "unknown distribution"
    try:
        case = load(point.value)
    except Exception as error:  # noqa: BLE001 - whatever foreign code raises must not break the others
        reason = f"{type(error).__name__}: {error}"
        return Entry(point.name, "plug-in", "", point.value, origin, reason)
    if case.name != point.name:
        error_text = f"the entry point is named {point.name!r} and its case {case.name!r}"
        return Entry(point.name, "plug-in", "", point.value, origin, error_text)
    return Entry(case.name, case.system, case.summary, point.value, origin)
