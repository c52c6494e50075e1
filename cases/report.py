"""Reports: one self-contained HTML file a run, built from what lies in the run folder and from nothing else."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.cases.lock import READ_ONLY
from retrodict.cases.origin import joined, stored
from retrodict.cases.record import RunFolder, read_only, reopen
from retrodict.cases.tables import diagnostics_table, parameter_table, typeset_units, variable_table
from retrodict.cases.toml import setting_text
from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.solvers.files import read_json, write_text
from retrodict.solvers.result import load_dataset

if TYPE_CHECKING:
    import jinja2

_STYLES = {"holds": "good", "weak": "warn", "misfit": "bad", "invalid": "bad"}
_MEANINGS = {
    "holds": "Nothing in the data contradicts the model, and no unknown was found that they leave open.",
    "weak": "Something is not identified, or the data cannot test the model.",
    "misfit": "The data contradict the model, its noise or its priors.",
    "invalid": "There is no valid answer.",
}
_PNG = b"\x89PNG\r\n\x1a\n"

__all__ = ["report", "write_index", "write_report"]


def report(path: Path, out: Path | None = None) -> tuple[Path, list[str]]:
    """Rebuild the report of a run folder.

    Parameters
    ----------
    path : Path
        A run folder.
    out : Path, optional
        A new HTML file elsewhere: the folder is then read and left as it is, so that one which may not be written has
        its report too.

    Returns
    -------
    tuple
        The HTML file, and what was found changed and could be worked around.

    Raises
    ------
    DataError
        If the folder is not a run folder or a file that the report shows has changed since the run.
    ConfigError
        If ``out`` exists, or another process works in the folder.
    OSError
        If the report cannot be written.

    Examples
    --------
    >>> report(Path("no/such/run"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: no/such/run: got no provenance.json, expected a run folder
    """
    if out is not None:
        if out.exists() or out.is_symlink():
            raise ConfigError(expected("--out", f"{out}, which exists", "a new file"))
        if out.resolve().is_relative_to(path.resolve()):
            raise ConfigError(expected("--out", f"{out}, which lies in the run folder", "a file outside of it"))
        with read_only(path) as folder:
            notes = _notes(folder)
            write_text(out, _page(folder, notes))
            return out, notes
    try:
        with reopen(path, "report") as folder:
            notes = _notes(folder)
            return write_report(folder, notes), notes
    except OSError as error:
        if error.errno in READ_ONLY:
            error.add_note(f"{path} may not be written; `retrodict report DIR --out FILE.html` leaves it as it is")
        raise


def write_report(folder: RunFolder, notes: Sequence[str] = ()) -> Path:
    """Write ``report.html`` into a folder that is held, and seal it.

    Parameters
    ----------
    folder : RunFolder
        The run.
    notes : sequence of str, optional
        Warnings to show.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If a file that the report shows is damaged.
    """
    page = _page(folder, notes)
    write_text(folder.path / "report.html", page)
    folder.seal()
    return folder.path / "report.html"


def write_index(path: Path, title: str, summary: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a page that links the reports of several runs.

    Parameters
    ----------
    path : Path
        The HTML file.
    title, summary : str
        Heading, and a sentence.
    rows : sequence of Mapping
        Each with ``label``, ``data``, ``status``, ``ok``, ``waits`` (for data), ``seconds``, ``message``, ``link``
        (relative, or empty), ``assessment`` and ``reasons`` (empty where there is none), and ``cells``, a mapping of
        further columns.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> row = {"label": "a", "data": "simulated", "status": "ok", "ok": True, "waits": False, "seconds": 1.0}
    >>> row |= {"message": "", "link": "", "cells": {}, "assessment": "holds", "reasons": ""}
    >>> write_index(Path(tempfile.mkdtemp()) / "index.html", "Demo", "One run.", [row]).name
    'index.html'
    """
    columns = list(dict.fromkeys(k for row in rows for k in row["cells"]))
    context = {"title": title, "summary": summary, "rows": rows, "columns": columns}
    write_text(path, _templates().get_template("index.html.j2").render(context))
    return path


def _notes(folder: RunFolder) -> list[str]:
    """Return what was found amiss, but for the report itself, which is about to be written anew."""
    return [w for w in folder.warnings if not w.startswith("report.html")]


def _page(folder: RunFolder, notes: Sequence[str]) -> str:
    """Return the page of a run, and keep the notes in its provenance."""
    path = folder.path
    kept = [*folder.provenance.get("notes", []), *notes]
    folder.provenance["notes"] = list(dict.fromkeys(kept))
    verb = folder.provenance["verb"]
    found: dict[str, Any] = {"parameters": None, "diagnostics": None, "variables": None, "verdicts": None}
    found["widened"] = ""
    if (path / "posterior.nc").exists():
        posterior = load_dataset(path / "posterior.nc")
        found |= {"parameters": parameter_table(posterior), "widened": posterior.attrs.get("widened", "")}
    if (path / "diagnostics.nc").exists():
        found["diagnostics"] = diagnostics_table(load_dataset(path / "diagnostics.nc"))
    if (path / "result.nc").exists() and verb != "validate":
        found["variables"] = variable_table(load_dataset(path / "result.nc"))
    if (path / "verdicts.json").exists():
        found["verdicts"] = read_json(path / "verdicts.json")
    history = load_dataset(path / "history.nc") if (path / "history.nc").exists() else None
    context = {
        "p": folder.provenance,
        "origins": stored(folder.provenance),
        "joined": joined(stored(folder.provenance)),
        "command": _command(folder.provenance["command"]),
        "steps": history.sizes.get("step", 0) if history is not None else None,
        "figures": _figures(path / "figures"),
        **found,
    }
    return _templates().get_template("run.html.j2").render(context)


def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("retrodict.cases", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"assessments": _STYLES, "meanings": _MEANINGS}
    environment.filters["number"] = _number
    environment.filters["setting"] = setting_text
    environment.filters["duration"] = _duration
    environment.filters["units"] = typeset_units
    return environment


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)  # a count has no digits to spare
    text = f"{value:.5g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−", 1 if value < 0 else 0)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 0.001:
        return "< 1 ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min"


def _figures(folder: Path) -> list[dict[str, Any]]:
    if not (folder / "captions.json").exists():
        return []
    captions = read_json(folder / "captions.json")
    if not isinstance(captions, dict):
        raise DataError(expected(str(folder / "captions.json"), type(captions).__name__, "file names with captions"))
    shown = []
    for name, caption in captions.items():
        path = folder / Path(name).name
        if path.is_file():
            raw = path.read_bytes()
            if raw[:8] != _PNG:
                continue  # damaged since the run, which `reopen` has told
            width, height = int.from_bytes(raw[16:20]), int.from_bytes(raw[20:24])
            png = base64.b64encode(raw).decode("ascii")
            # At 150 dots an inch, 96 of the page's pixels are 150 of the file's.
            shown.append(
                {"caption": caption, "png": png, "width": round(0.64 * width), "wide": width > max(900, 1.9 * height)}
            )
    return shown


def _command(words: Sequence[str]) -> str:
    """Return the command line without the folders of the machine."""

    def short(word: str) -> str:
        name, equals, value = word.partition("=")
        if value.startswith("/"):
            return f"{name}{equals}{Path(value).name}"
        return Path(word).name if word.startswith("/") else word

    return shlex.join(short(w) for w in words)
