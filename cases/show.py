"""What the command line shows: tables on standard output, warnings on standard error, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from retrodict.cases.compare import Comparison
    from retrodict.cases.doctor import Finding
    from retrodict.cases.fit import FitOutcome
    from retrodict.cases.members import MemberTable
    from retrodict.cases.run import RunOutcome
    from retrodict.cases.validate import ValidateOutcome

__all__ = ["cases", "comparison", "ended", "findings", "outcome", "settings", "table"]


def cases(out: Console, err: Console) -> None:
    """Print every case; a broken plug-in goes to ``err`` with its error."""
    from retrodict.cases.registry import entries

    known = entries()
    grid = _grid("case", "system", "summary")
    for entry in known:
        if not entry.error:
            origin = "" if entry.origin == "retrodict" else f" [dim]({escape(entry.origin)})[/]"
            grid.add_row(f"[bold]{escape(entry.name)}[/]", escape(entry.system), escape(entry.summary) + origin)
    out.print(grid)
    for entry in known:
        if entry.error:
            text = f"warning: case {entry.name!r} of {entry.origin} cannot be used: {entry.error}"
            err.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def settings(out: Console, name: str) -> None:
    """Print the settings of a case, their values in every preset, units and meaning."""
    from retrodict.cases.case import PRESETS
    from retrodict.cases.config import describe, resolve
    from retrodict.cases.registry import find
    from retrodict.cases.toml import setting_text

    case = find(name)
    presets = list(dict.fromkeys([*PRESETS, *case.presets]))
    columns = {p: describe(resolve(case, p)) for p in presets}
    out.print(f"[bold]{escape(case.name)}[/] ({escape(case.system)}): {escape(case.summary)}")
    out.print(f"verbs: {', '.join(case.verbs)}", highlight=False)
    grid = _grid("setting", *presets, "units", "meaning")
    for rows in zip(*columns.values(), strict=True):
        values = [escape(setting_text(r["value"])) for r in rows]
        asked = "; with --data it has to be given" if rows[0]["name"] in case.Config.facts() else ""
        grid.add_row(rows[0]["name"], *values, escape(rows[0]["units"]), escape(rows[0]["help"] + asked))
    out.print(grid)


def outcome(
    out: Console, err: Console, done: RunOutcome | FitOutcome | ValidateOutcome, *, strict: bool = False
) -> int:
    """Print what a verb left, first its data and whether a fit holds; return the exit code.

    Parameters
    ----------
    out, err : Console
        Standard output, and standard error for warnings.
    done : RunOutcome, FitOutcome or ValidateOutcome
        What the verb returned.
    strict : bool, optional
        Whether a misfit is a failure.
    """
    from retrodict.cases.cli import FAILED, OK
    from retrodict.cases.origin import joined, stored
    from retrodict.cases.record import read_provenance

    for origin in joined(stored(read_provenance(done.folder))):
        style = "bold yellow" if origin.kind in ("simulated", "undeclared") else ""
        out.print(str(origin), style=style, markup=False, highlight=False, soft_wrap=True)
    held = getattr(done, "assessment", None)
    if held is not None:
        _assessment(out, held.word, held.reasons)
    _warn(err, done.warnings)
    verdicts = getattr(done, "verdicts", None)
    result = getattr(done, "result", None)
    if verdicts is not None:
        _verdicts(out, verdicts)
    if result is not None:
        _estimate(out, done)
        style = "green" if result.status.ok else "bold red"
        text = f"{result.status.value} after {result.steps} steps: {result.status.message}"
        (out if result.status.ok else err).print(text, style=style, markup=False, highlight=False)
    out.print(f"folder: {done.folder}", markup=False, highlight=False, soft_wrap=True)
    contradicted = strict and held is not None and held.word == "misfit"
    return OK if done.ok and not contradicted else FAILED


def ended(out: Console, folder: Path, *, strict: bool = False) -> int:
    """Print how the run of a folder had ended; return the exit code that it had.

    Parameters
    ----------
    out : Console
        Standard output.
    folder : Path
        A run folder.
    strict : bool, optional
        Whether a misfit is a failure.
    """
    from retrodict.cases.cli import FAILED, OK
    from retrodict.cases.record import read_provenance

    told = read_provenance(folder)
    held = told.get("assessment") or {"word": "", "reasons": []}
    if held["word"]:
        _assessment(out, held["word"], held["reasons"])
    out.print(f"status: {told['status']}", markup=False, highlight=False)
    return OK if told["status"] == "ok" and not (strict and held["word"] == "misfit") else FAILED


def table(out: Console, err: Console, members: MemberTable, *, strict: bool = False) -> int:
    """Print the members of a sweep, a demo or ``validate --all``; return the exit code.

    Parameters
    ----------
    out, err : Console
        Standard output, and standard error for failures.
    members : MemberTable
        The members.
    strict : bool, optional
        Whether a misfit is a failure.
    """
    from retrodict.cases.cli import FAILED, OK, USAGE
    from retrodict.cases.toml import setting_text

    columns = list(dict.fromkeys(k for m in members.rows for k in m.cells))
    grid = _grid("run", "data", *columns, "status", "assessment", "seconds", right=(*columns, "seconds"))
    for m in members.rows:
        status = f"[{'green' if m.ok else 'yellow' if m.waits else 'bold red'}]{escape(m.status)}[/]"
        cells = [_short(m.cells.get(c)) if c in m.found else escape(setting_text(m.cells.get(c))) for c in columns]
        held = f"[{_STYLES[m.assessment]}]{m.assessment}[/]" if m.assessment else "–"
        grid.add_row(escape(m.label), escape(m.data), *cells, status, held, f"{m.seconds:.1f}")
    out.print(grid)
    for m in members.rows:
        if not m.ok and m.message:
            style = "yellow" if m.waits else "red"
            err.print(f"{m.label}: {m.message}", style=style, markup=False, highlight=False, soft_wrap=True)
    for m in members.rows:
        if m.assessment not in ("", "holds"):
            why = f"{m.label} is {m.assessment}: {m.reasons}"
            out.print(why, style=_STYLES[m.assessment], markup=False, highlight=False, soft_wrap=True)
    out.print(f"report: {members.index}", markup=False, highlight=False, soft_wrap=True)
    if members.rows and all(m.waits for m in members.rows):
        return USAGE
    return OK if members.ok and (members.fits or not strict) else FAILED


def comparison(out: Console, found: Comparison) -> int:
    """Print how two runs differ; return the exit code."""
    from retrodict.cases.cli import FAILED, OK

    grid = _grid("what", "first", "second", "max abs", "max rel", "", right=("max abs", "max rel"))
    for row in found.rows:
        mark = "[green]=[/]" if row.equal else "[dim]info[/]" if row.informative else "[bold red]differs[/]"
        grid.add_row(
            escape(row.what), escape(row.first), escape(row.second), _short(row.absolute), _short(row.relative), mark
        )
    out.print(grid)
    out.print("equal" if found.equal else "the runs differ", style="green" if found.equal else "bold red")
    return OK if found.equal else FAILED


def findings(out: Console, found: Sequence[Finding]) -> int:
    """Print what the doctor found; return the exit code."""
    from retrodict.cases.cli import FAILED, OK

    grid = _grid("", "what", "found")
    for f in found:
        mark = "[green]ok[/]" if f.ok else "[bold red]broken[/]"
        grid.add_row(mark, escape(f.what), escape(f.detail))
    out.print(grid)
    return OK if all(f.ok for f in found) else FAILED


_STYLES = {"holds": "green", "weak": "yellow", "misfit": "bold red", "invalid": "bold red"}


def _assessment(out: Console, word: str, reasons: Sequence[str]) -> None:
    """Print whether an answer holds, and why, a reason a line."""
    out.print(f"assessment: {word}", style=_STYLES[word], highlight=False)
    for reason in reasons:
        out.print(f"  {reason}", markup=False, highlight=False)


def _grid(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table that folds on a narrow terminal: a name or a number that is cut says something else."""
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return grid


def _verdicts(out: Console, verdicts: Sequence[Any]) -> None:
    numeric = ("ours", "reference", "error", "tolerance")
    grid = _grid("", "check", "against", *numeric, right=numeric)
    for v in verdicts:
        word = "passed" if v.passed else "missed" if v.kind == "published" and v.error is not None else "FAILED"
        style = "green" if v.passed else "bold red"
        numbers = [_short(x) for x in (v.value, v.reference, v.error, v.tolerance)]
        grid.add_row(f"[{style}]{word}[/]", escape(v.name), escape(v.kind), *numbers)
        if v.note and not v.passed:
            grid.add_row("", f"[dim]{escape(v.note)}[/]")
    out.print(grid)


def _estimate(out: Console, done: Any) -> None:
    if done.posterior is None:
        return
    from retrodict.cases.tables import parameter_table, typeset_units

    grid = _grid("unknown", "estimate", "units", "95 % interval", "what the data say")
    rows = parameter_table(done.posterior.isel(parameter=slice(0, 30)))
    for row in rows:
        value, units = f"{row['estimate']} ± {row['std']}", typeset_units(row["units"])
        grid.add_row(*(escape(t) for t in (row["label"], value, units, row["interval_95"], row["verdict"])))
    out.print(grid)
    rest = done.posterior.sizes["parameter"] - len(rows)
    if rest > 0:
        out.print(f"and {rest} more in posterior.nc", style="dim")


def _warn(err: Console, warnings: Sequence[str]) -> None:
    for text in warnings:
        err.print(f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _short(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
