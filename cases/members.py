"""Several runs as one piece of work: each in its own folder, a failure recorded, the others going on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrodict.cases.case import Case
from retrodict.cases.origin import NeedsDataError, stored, summary
from retrodict.cases.record import RunFolder, read_provenance
from retrodict.cases.registry import find
from retrodict.physics.errors import RetrodictError

__all__ = ["NEEDS_DATA", "Member", "MemberTable", "Row", "carry_out"]

NEEDS_DATA = "needs data"
"""Status of a member whose observation is the user's to bring."""


@dataclass(frozen=True)
class Member:
    """One run to be made.

    Parameters
    ----------
    label : str
        As a table shows it.
    verb : str
        ``run``, ``fit`` or ``validate``.
    case : str or Case
        What to run.
    folder : Path
        Where.
    options : Mapping
        Keywords of the verb.
    cells : Mapping
        Further columns of the table.
    """

    label: str
    verb: str
    case: str | Case[Any]
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    cells: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """How a member ended.

    Parameters
    ----------
    label, status, message : str
        For the table.
    ok : bool
        Whether it may be relied upon.
    seconds : float
        Wall-clock time.
    folder : str
        Its run folder; empty if none was made.
    cells : Mapping
        Further columns: the settings that vary, the estimates found.
    data : str, optional
        Where the observations came from, in a word; empty if no run was made.
    """

    label: str
    status: str
    ok: bool
    seconds: float
    message: str
    folder: str
    cells: Mapping[str, Any]
    data: str = ""

    @property
    def waits(self) -> bool:
        """Whether the run is neither good nor bad, for it waits for the user's data."""
        return self.status == NEEDS_DATA


@dataclass(frozen=True)
class MemberTable:
    """Outcome of a sweep, a demo or ``validate --all``.

    Parameters
    ----------
    folder, index : Path
        Where everything lies, and the page that links the reports.
    rows : tuple of Row
        One a member.
    """

    folder: Path
    index: Path
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether every member is, those left out that wait for the user's data."""
        return all(r.ok or r.waits for r in self.rows)


def carry_out(member: Member) -> Row:
    """Make one run; go on with it if its folder holds a stopped one; skip it if it is done.

    Whatever goes wrong is recorded in the row.

    Examples
    --------
    >>> carry_out(Member("a", "run", "no-such-case", Path("unused"))).ok
    False
    """
    try:
        _work(member)
    except NeedsDataError as error:
        return Row(member.label, NEEDS_DATA, False, 0.0, str(error), "", dict(member.cells))
    except RetrodictError as error:
        return _row(member, str(error))
    except Exception as error:  # noqa: BLE001 - one member must not end the others
        return _row(member, f"{type(error).__name__}: {error}")
    return _row(member)


def _work(member: Member) -> None:
    from retrodict.cases.fit import fit
    from retrodict.cases.resume import resume
    from retrodict.cases.run import run
    from retrodict.cases.validate import validate

    if (member.folder / "provenance.json").exists():
        found = member.case if isinstance(member.case, Case) else None
        resume(member.folder, case=found)
        return
    verbs: dict[str, Callable[..., Any]] = {"run": run, "fit": fit, "validate": validate}
    verbs[member.verb](find(member.case), out=member.folder, **member.options)


def _row(member: Member, message: str = "") -> Row:
    cells = dict(member.cells)
    try:
        folder = RunFolder(member.folder, read_provenance(member.folder))
    except RetrodictError as error:
        return Row(member.label, "failed", False, 0.0, message or str(error), "", cells)
    cells |= _estimates(member.folder) if member.verb == "fit" and cells else {}
    told = message or str(folder.provenance["message"])
    ok = folder.status == "ok" and not message
    status = folder.status if not message else "failed"
    seconds = float(folder.provenance["seconds"] or 0.0)
    data = summary(stored(folder.provenance))
    return Row(member.label, status, ok, seconds, "" if ok else told, str(member.folder), cells, data)


def _estimates(folder: Path) -> dict[str, float]:
    """Return the first few scalar estimates of a fit with their standard deviations, as columns."""
    from retrodict.solvers.result import load_dataset

    if not (folder / "posterior.nc").exists():
        return {}
    post = load_dataset(folder / "posterior.nc").isel(parameter=slice(0, 8))
    cells = {}
    for name, x, std in zip(post["parameter"].values, post["estimate"].values, post["std"].values, strict=True):
        cells[f"fitted {name}"] = float(x)
        if math.isfinite(std):
            cells[f"std {name}"] = float(std)
    return cells
