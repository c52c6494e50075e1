"""The verb ``demo``: every case, every verb it offers, one page; and every case's checks alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from retrodict.cases.members import Member, MemberTable, Row, carry_out, claimed, tabulated
from retrodict.cases.registry import Entry, entries, load
from retrodict.cases.report import write_index
from retrodict.physics.errors import ConfigError, expected

__all__ = ["demo", "validate_all"]


def demo(*, out: Path | None = None, preset: str = "smoke") -> MemberTable:
    """Run, fit and validate every case, each in its own folder, and link the reports on one page.

    Parameters
    ----------
    out : Path, optional
        New or empty folder, or that of a demo of the same cases that was stopped.
    preset : str, optional
        For every case.

    Returns
    -------
    MemberTable
        One row a case and verb; a failure is recorded and the others go on.

    Raises
    ------
    ConfigError
        If the folder is not empty or there is no case.
    """
    folder = _folder(out, "demo")
    members: list[Member] = []
    for entry in _usable():
        for verb in load(entry.target).verbs:
            name = f"{entry.name}-{verb}"
            members.append(Member(f"{entry.name} {verb}", verb, entry.name, folder / name, {"preset": preset}))
    return _carry_out(folder, "demo", f"Every case at its {preset} preset.", members)


def validate_all(
    *, preset: str = "default", out: Path | None = None, seed: int | None = None, device: str | None = None
) -> MemberTable:
    """Validate every case.

    Parameters
    ----------
    preset, out, seed, device
        As in `retrodict.cases.validate.validate`.

    Returns
    -------
    MemberTable
        One row a case.

    Raises
    ------
    ConfigError
        If the folder is not empty or there is no case.
    """
    folder = _folder(out, "validate-all")
    options = {"preset": preset, "seed": seed, "device": device}
    members = [Member(e.name, "validate", e.name, folder / e.name, options) for e in _usable()]
    return _carry_out(folder, "validation", f"Every check of every case at its {preset} preset.", members)


def _usable() -> list[Entry]:
    found = [e for e in entries() if not e.error]
    if not found:
        raise ConfigError(expected("cases", "none", "at least one installed case"))
    return found


def _folder(out: Path | None, stem: str) -> Path:
    return out or Path("runs") / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"


def _carry_out(folder: Path, title: str, summary: str, members: Sequence[Member]) -> MemberTable:
    def work() -> list[Row]:
        from retrodict.solvers.callbacks import ProgressBar

        rows: list[Row] = []
        with ProgressBar(title, len(members), show=sys.stderr.isatty()) as bar:
            for number, member in enumerate(members, 1):
                rows.append(carry_out(member))
                bar(number, {})
        return rows

    def write(rows: Sequence[Row]) -> MemberTable:
        page = [
            {**vars(r), "waits": r.waits, "cells": {}, "link": f"{Path(r.folder).name}/report.html" if r.folder else ""}
            for r in rows
        ]
        index = write_index(folder / "index.html", title.capitalize(), summary, page)
        return MemberTable(folder, index, tuple(rows))

    with claimed(folder, f"{title}.json", {m.folder.name: m.options for m in members}):
        return tabulated(members, work, write)
