"""Run folders: made once, locked while a verb works in them, every file under a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.cases.config import CaseConfig, config_hash, describe
from retrodict.cases.environment import environment
from retrodict.cases.lock import locked, shared
from retrodict.cases.origin import DataOrigin
from retrodict.cases.origin import recorded as recorded_origins
from retrodict.cases.toml import to_toml
from retrodict.physics.errors import ConfigError, DataError, RetrodictError, expected, reason
from retrodict.solvers.callbacks import JsonLog
from retrodict.solvers.files import is_part, read_json, refuse_links, remove_parts, sha256, write_json, write_text

if TYPE_CHECKING:
    from retrodict.inverse.assessment import Assessment

__all__ = ["RunFolder", "create", "fingerprint", "read_only", "read_provenance", "recorded", "reopen", "vacant"]

# Derived files are rebuilt from the others, the log grows, checkpoints carry their own checksums and are stepped over:
# a change to one of these is told, a change to any other file is an error.
_FORGIVEN = ("report.html", "log.jsonl", "figures/", "checkpoints/")

# What a start writes before any work, and the types of what every other reader takes for granted in the provenance.
_BARE = {".lock", "config.toml", "provenance.json", "log.jsonl"}
_HOLDER = re.compile(rb"(process \d+ \(\w+\))?")
_SHAPE: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("case", "system", "summary", "verb", "preset", "status", "message", "started", "retrodict"), str),
    **dict.fromkeys(("python", "platform", "config_sha256"), str),
    **dict.fromkeys(("files", "packages"), dict),
    **dict.fromkeys(("settings", "command"), list),
    "data": (dict, type(None)),
    "git": (str, type(None)),
    "seed": int,
    "began": (int, float),
    "seconds": (int, float, type(None)),
}


@dataclass
class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path : Path
        Where.
    provenance : dict
        Content of ``provenance.json``.
    warnings : list of str
        What was found amiss on opening and can be worked around.
    """

    path: Path
    provenance: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

    @property
    def log(self) -> JsonLog:
        """The run's log."""
        return JsonLog(self.path / "log.jsonl")

    @property
    def status(self) -> str:
        """``running``, ``ok``, ``failed``, ``interrupted``, or a solver's status."""
        return str(self.provenance["status"])

    @property
    def about(self) -> dict[str, Any]:
        """What every dataset of the run is stamped with: what it is and where its data came from."""
        told = ("case", "system", "verb", "preset", "seed", "config_sha256", "retrodict", "origins")
        return {k: self.provenance[k] for k in told if k in self.provenance}

    def settings(self) -> dict[str, Any]:
        """Return the stored settings, as TOML gives them."""
        path = self.path / "config.toml"
        try:
            return dict(tomllib.loads(path.read_text(encoding="utf-8"))["settings"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(expected(str(path), f"damaged settings ({reason(error)})", "those of a run")) from error

    def data_file(self) -> Path | None:
        """Return the data file that the run was given, verified.

        Raises
        ------
        DataError
            If it is gone or has changed.
        """
        data = self.provenance["data"]
        if data is None:
            return None
        path = Path(os.path.normpath(self.path.resolve() / data["path"]))
        if not path.exists() or fingerprint(path) != data["sha256"]:
            got = "a changed file" if path.exists() else "no file"
            raise DataError(expected(f"data {data['name']}", got, "the file that the run was started with"))
        return path

    def check_files(self, files: Mapping[str, Path] | None = None) -> None:
        """Verify the files that the settings name.

        Parameters
        ----------
        files : Mapping, optional
            Where they are today, by setting: what is bundled may be installed elsewhere than when the run began.

        Raises
        ------
        DataError
            If one is gone or has changed.
        """
        for name, told in self.provenance.get("inputs", {}).items():
            path = (files or {}).get(name, Path(told["path"]))
            if not path.exists() or fingerprint(path) != told["sha256"]:
                got = "a changed file" if path.exists() else "no file"
                raise DataError(expected(f"{name} {path}", got, "the file that the run was started with"))

    def restart(self) -> None:
        """Record that a verb works in the folder again; if it is killed, nothing that it rewrote is held against it."""
        self.provenance |= {"status": "running", "message": "", "assessment": None}
        self.seal()

    def finish(self, status: str, message: str = "", assessment: Assessment | None = None) -> None:
        """Record how the verb ended, whether its answer holds, and the checksum of every file."""
        self.log.write("end", status=status, message=message)
        self._conclude(status, message, assessment)

    def fail(self, error: BaseException, status: str, message: str, trace: str = "") -> None:
        """Record how the verb failed, as far as the disk takes it; what it does not take is noted on the error."""
        details = {"status": status, "message": message} | ({"traceback": trace} if trace else {})
        steps: dict[str, Callable[[], None]] = {
            "the log": partial(self.log.write, "end", **details),
            f"the status {status!r}": partial(self._conclude, status, message),
        }
        for what, write in steps.items():
            try:
                write()
            except (OSError, DataError) as second:
                error.add_note(f"{self.path}: {what} could not be written ({reason(second)})")

    def _conclude(self, status: str, message: str, assessment: Assessment | None = None) -> None:
        ended = time.time()
        if assessment is not None:
            self.provenance["assessment"] = {"word": assessment.word, "reasons": list(assessment.reasons)}
        self.provenance |= {"status": status, "message": message, "ended": _stamp(ended)}
        self.provenance["seconds"] = round(ended - self.provenance["began"], 3)
        self.seal()

    def seal(self) -> None:
        """Write ``provenance.json`` with the checksum of every other file, and one over itself.

        While a verb works, only the settings are under a checksum: everything else is about to be written anew.
        """
        files = sorted(p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith("."))
        names = {p.relative_to(self.path).as_posix(): p for p in files} if self.status != "running" else {}
        names.pop("provenance.json", None)
        names["config.toml"] = self.path / "config.toml"  # without it the folder was removed, and is not made again
        self.provenance["files"] = {n: sha256(p) for n, p in names.items()}
        self.provenance.pop("sha256", None)
        self.provenance["sha256"] = _digest(self.provenance)
        write_json(self.path / "provenance.json", self.provenance)

    def verify(self) -> None:
        """Compare every file with its checksum; collect what can be worked around in ``warnings``.

        Raises
        ------
        DataError
            If a file that cannot be rebuilt is missing or has changed.
        """
        for name, digest in self.provenance["files"].items():
            path = self.path / name
            if path.is_file() and sha256(path) == digest:
                continue
            problem = "has changed since the run" if path.is_file() else "is missing"
            if not name.startswith(_FORGIVEN):
                raise DataError(expected(str(path), f"a file that {problem}", "the file that the run wrote"))
            self.warnings.append(f"{name} {problem}")


@contextmanager
def create(
    out: Path | None,
    heading: Mapping[str, str],
    config: CaseConfig,
    data: Path | None = None,
    origins: Sequence[DataOrigin] = (),
) -> Iterator[RunFolder]:
    """Make a run folder and hold it for the time of a verb.

    Parameters
    ----------
    out : Path or None
        Where; must not exist or be empty. By default ``runs/<case>-<verb>-<time>``.
    heading : Mapping of str to str
        ``case``, ``verb``, ``preset``, ``origin``.
    config : CaseConfig
        The frozen settings, written to ``config.toml``.
    data : Path, optional
        The user's data file.
    origins : sequence of DataOrigin, optional
        Of the case's own data; those of all files are recorded without it.

    Yields
    ------
    RunFolder
        Locked; if the block raises, the failure is recorded.

    Raises
    ------
    ConfigError
        If the folder is not empty, cannot be written, or is in use.
    """
    began = time.time()
    provenance: dict[str, Any] = {
        "format": 1,
        **heading,
        "seed": config.seed,
        "config_sha256": config_hash(config),
        "settings": describe(config),
        "status": "running",
        "message": "",
        "assessment": None,
        "began": began,
        "started": _stamp(began),
        "ended": None,
        "seconds": None,
        "data": None,
        "inputs": {n: {"path": str(p), "sha256": fingerprint(p)} for n, p in config.files().items() if p.exists()},
        **environment(),
    }
    given = None if data is None else {"name": data.name, "sha256": fingerprint(data)}
    text = to_toml({"retrodict": dict(heading), "settings": config.model_dump(mode="json")}).lstrip()
    path, made = _fresh(out, f"{heading['case']}-{heading['verb']}")
    with locked(path, heading["verb"]):
        _require_vacant(path)  # another run may have come first
        remove_parts(path)
        folder = RunFolder(path, provenance)
        if data is not None and given is not None:
            provenance["data"] = given | {"path": os.path.relpath(data.resolve(), path.resolve())}
        provenance["origins"] = recorded_origins(origins, provenance["data"], provenance["inputs"], path)
        try:
            write_text(path / "config.toml", text)
            folder.seal()
            folder.log.write("start", **heading, command=provenance["command"])
        except OSError:
            _discard(path, made)
            raise
        try:
            with recorded(folder):
                yield folder
        except (ConfigError, DataError):
            # What was refused before it had left anything must not stand in the way of the command put right.
            if {p.name for p in path.iterdir()} <= _BARE:
                _discard(path, made)
            raise


@contextmanager
def reopen(path: Path, verb: str) -> Iterator[RunFolder]:
    """Open a run folder to write in it, verify it, and hold it for the time of a verb.

    Raises
    ------
    DataError
        If it is not a run folder, a file of it is damaged, or a name in it is a link: someone else may have made it.
    ConfigError
        If another process works in it.
    OSError
        If it cannot be written.
    """
    _require_run(path)
    with locked(path, verb):
        refuse_links(path)
        remove_parts(path)
        yield _verified(path)


@contextmanager
def read_only(path: Path) -> Iterator[RunFolder]:
    """Open a run folder to read it, verify it, and keep others from writing there meanwhile; it is left as it is.

    Raises
    ------
    DataError, ConfigError
        As `reopen`.
    """
    _require_run(path)
    with shared(path):
        refuse_links(path)
        yield _verified(path)


@contextmanager
def recorded(folder: RunFolder) -> Iterator[None]:
    """Record in a folder how a block failed; the error itself goes on."""
    try:
        yield
    except KeyboardInterrupt as error:
        if folder.status != "interrupted":  # as a fit has recorded it, which writes more
            folder.fail(error, "interrupted", str(error) or "stopped by a signal")
        error.add_note(f"go on with: retrodict resume {folder.path}")
        raise
    except RetrodictError as error:
        folder.fail(error, "failed", reason(error))
        raise
    except Exception as error:
        folder.fail(error, "failed", reason(error), traceback.format_exc())
        raise


def vacant(path: Path) -> bool:
    """Return whether a folder is empty, but for what a run leaves that is killed before it has begun.

    Examples
    --------
    >>> import tempfile
    >>> vacant(Path(tempfile.mkdtemp()))
    True
    """
    if not path.is_dir():
        return False
    # a run takes its lock before it writes: settings without one are somebody's own file
    there = {p.name for p in path.iterdir()}
    return all(_abandoned(p) for p in path.iterdir()) and ("config.toml" not in there or ".lock" in there)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files of a folder.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.write_text("")
    0
    >>> fingerprint(path) == sha256(path)
    True
    """
    if not path.is_dir():
        return sha256(path)
    total = hashlib.sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{part.relative_to(path).as_posix()}\0{sha256(part)}\n".encode())
    return total.hexdigest()


def read_provenance(folder: Path) -> dict[str, Any]:
    """Read and verify ``provenance.json`` of a run folder.

    Raises
    ------
    DataError
        If it is missing or has changed.

    Examples
    --------
    >>> read_provenance(Path("no"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: no/provenance.json: got no file, expected a JSON file
    """
    path = folder / "provenance.json"
    content = read_json(path)
    if not isinstance(content, dict) or content.get("sha256") != _digest(content):
        raise DataError(expected(str(path), "content that does not match its checksum", "the file that the run wrote"))
    wrong = [k for k, kind in _SHAPE.items() if not isinstance(content.get(k), kind)]
    if wrong:
        raise DataError(expected(f"{path}: {wrong[0]}", repr(content.get(wrong[0])), "what a run writes there"))
    return content


def _digest(content: Mapping[str, Any]) -> str:
    rest = {k: v for k, v in content.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))


def _require_run(path: Path) -> None:
    if not (path / "provenance.json").is_file():
        raise DataError(expected(str(path), "no provenance.json", "a run folder"))


def _verified(path: Path) -> RunFolder:
    folder = RunFolder(path, read_provenance(path))
    folder.verify()
    return folder


def _fresh(out: Path | None, stem: str) -> tuple[Path, bool]:
    """Return a folder that a run may take, and whether it was made for it."""
    try:
        if out is None:
            base = Path("runs") / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
            out, n = base, 1
            while out.exists():
                out, n = base.with_name(f"{base.name}-{n}"), n + 1
        made = not out.exists()
        if not made:
            _require_vacant(out)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(expected("--out", f"{out} ({error.strerror})", "a folder that can be written")) from error
    return out, made


def _require_vacant(path: Path) -> None:
    if not vacant(path):
        raise ConfigError(expected("--out", f"{path}, which is not empty", "a new or an empty folder"))


def _abandoned(path: Path) -> bool:
    """Return whether a file is of a run that was killed before its provenance was written."""
    if is_part(path):
        return True
    if path.is_symlink() or not path.is_file() or path.name not in (".lock", "config.toml"):
        return False
    raw = path.read_bytes()
    return bool(_HOLDER.fullmatch(raw)) if path.name == ".lock" else raw.startswith(b"[retrodict]\n")


def _discard(path: Path, made: bool) -> None:
    for name in _BARE - {".lock"}:
        (path / name).unlink(missing_ok=True)
    if made:
        shutil.rmtree(path)
