"""Several runs as one piece of work: each in its own folder, a failure recorded, the others going on."""

from __future__ import annotations

import json
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from retrodict.cases.case import Case
from retrodict.cases.lock import locked
from retrodict.cases.origin import NeedsDataError, stored, summary
from retrodict.cases.record import RunFolder, read_provenance, vacant
from retrodict.cases.registry import find
from retrodict.cases.signals import terminable
from retrodict.physics.errors import ConfigError, RetrodictError, expected, reason
from retrodict.solvers.files import read_json, remove_parts, write_json

__all__ = [
    "NEEDS_DATA",
    "Member",
    "MemberTable",
    "Row",
    "carry_out",
    "carry_out_apart",
    "claimed",
    "lost",
    "tabulated",
]

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
    found : frozenset of str
        Those of the columns that are estimates, to be rounded; settings are shown to the last digit.
    assessment : str
        Whether the answer of a fit holds, in one word; empty for other verbs.
    reasons : str
        Why.
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
    found: frozenset[str] = frozenset()
    assessment: str = ""
    reasons: str = ""
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

    @property
    def fits(self) -> bool:
        """Whether no fit is contradicted by its data."""
        return all(r.assessment != "misfit" for r in self.rows)


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
    except Exception as error:  # noqa: BLE001 - one member must not end the others
        return _row(member, reason(error))
    return _row(member)


@contextmanager
def claimed(folder: Path, name: str, plan: Mapping[str, Any]) -> Iterator[None]:
    """Make the folder of several runs, or accept one begun with the same plan; hold it for the time of the work.

    Parameters
    ----------
    folder : Path
        Where.
    name : str
        Of the file that holds the plan.
    plan : Mapping
        What identifies the work.

    Raises
    ------
    ConfigError
        If the folder holds something else, or another process works in it.
    """
    plain = json.loads(json.dumps(plan, default=str))
    _require_own(folder, name, plain)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, Path(name).stem):
        _require_own(folder, name, plain)  # another may have come first
        remove_parts(folder)
        write_json(folder / name, plain)
        yield


def _require_own(folder: Path, name: str, plan: Any) -> None:
    stored = folder / name
    verb = stored.stem
    if stored.exists():
        if read_json(stored) != plan:
            wanted = f"the folder of this {verb}"
            raise ConfigError(expected("--out", f"{folder}, the folder of another {verb}", wanted))
    elif folder.exists() and not vacant(folder):
        raise ConfigError(expected("--out", f"{folder}, which is not empty", f"a new folder or that of this {verb}"))


def tabulated(
    members: Sequence[Member], work: Callable[[], Sequence[Row]], write: Callable[[Sequence[Row]], MemberTable]
) -> MemberTable:
    """Carry out members and write their table; after a signal that of all that were begun, before it has its way.

    Parameters
    ----------
    members : sequence of Member
        The runs.
    work : callable
        Makes them.
    write : callable
        Writes the table of their rows.

    Raises
    ------
    KeyboardInterrupt
        If a signal stopped the work; the same call goes on with it.
    """
    try:
        return write(work())
    except KeyboardInterrupt as error:
        table = write([_row(m) for m in members if (m.folder / "provenance.json").exists()])
        error.add_note(f"{len(table.rows)} of {len(members)} runs begun, see {table.index}")
        error.add_note(f"go on with the whole by the same command and --out {table.folder}")
        raise


def carry_out_apart(members: Sequence[Member], count: int) -> list[Row]:
    """Make runs in processes of their own, several at a time; one that is killed costs the member it was at, no other.

    Parameters
    ----------
    members : sequence of Member
        The runs. A case among them that is not in the registry is sent by value.
    count : int
        Processes at a time; each makes one run after the other.

    Returns
    -------
    list of Row
        In the order of the members.

    Examples
    --------
    >>> carry_out_apart([], 2)
    []
    """
    import cloudpickle

    context = multiprocessing.get_context("spawn")  # a fork would share locks of threads, and open NetCDF files
    waiting, rows = list(enumerate(members)), {}
    busy: dict[Connection, tuple[int, Any]] = {}

    def give(pipe: Connection, process: Any) -> None:
        """Send the next run to a process, or its end."""
        if not waiting:
            pipe.send_bytes(b"")
            pipe.close()
            process.join()
            return
        number, member = waiting.pop(0)
        busy[pipe] = number, process
        pipe.send_bytes(cloudpickle.dumps(member))

    def start() -> None:
        pipe, far = context.Pipe()
        process = context.Process(target=_serve, args=(far,), daemon=True)
        process.start()
        far.close()  # the process has its own end: when it dies, ours is told
        give(pipe, process)

    try:
        for _ in range(min(count, len(members))):
            start()
        while busy:
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                number, process = busy.pop(pipe)
                try:
                    rows[number] = cloudpickle.loads(pipe.recv_bytes())
                except (EOFError, OSError):
                    process.join()
                    rows[number] = lost(members[number], _end_of(process.exitcode))
                    pipe.close()
                    if waiting:
                        start()
                else:
                    give(pipe, process)
    finally:
        for _, process in busy.values():
            process.terminate()  # to a fit a signal like another: it leaves a checkpoint
            process.join()
    return [rows[number] for number in range(len(members))]


def lost(member: Member, message: str) -> Row:
    """Return the row of a run whose process has ended without one.

    Examples
    --------
    >>> lost(Member("a", "run", "cooling", Path("unused")), "killed by signal 9 (SIGKILL)").status
    'failed'
    """
    return _row(member, message)


def _serve(pipe: Connection) -> None:
    """Make the runs that come through a pipe, until it is closed or says so."""
    import cloudpickle

    # Ctrl-C reaches the processes of a terminal too: the one that started us alone heeds it, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while raw := pipe.recv_bytes():
            with terminable():
                row = carry_out(cloudpickle.loads(raw))
            pipe.send_bytes(cloudpickle.dumps(row))
    except (EOFError, BrokenPipeError):
        return  # whoever would read the rows has gone
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGTERM) from None  # the folder tells how the run ended


def _end_of(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    known = {s.value: f" ({s.name})" for s in signal.Signals}
    return f"killed by signal {-code}{known.get(-code, '')}"


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
    found = _estimates(member.folder) if member.verb == "fit" and cells else {}
    told = message or str(folder.provenance["message"])
    ok = folder.status == "ok" and not message
    status = folder.status if not message else "failed"
    seconds = float(folder.provenance["seconds"] or 0.0)
    told_of = folder.provenance.get("assessment") or {"word": "", "reasons": []}
    held = (str(told_of["word"]), "; ".join(told_of["reasons"]))
    return Row(
        member.label,
        status,
        ok,
        seconds,
        "" if ok else told,
        str(member.folder),
        cells | found,
        frozenset(found),
        *held,
        summary(stored(folder.provenance)),
    )


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
