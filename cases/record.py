"""Run folders: made once, locked while a verb works in them, every file under a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import time
import tomllib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrodict.cases.config import CaseConfig, config_hash, describe
from retrodict.cases.environment import environment
from retrodict.cases.lock import locked
from retrodict.cases.origin import DataOrigin, recorded
from retrodict.cases.toml import to_toml
from retrodict.physics.errors import ConfigError, DataError, RetrodictError, expected
from retrodict.solvers.callbacks import JsonLog
from retrodict.solvers.files import read_json, sha256, write_json, write_text

__all__ = ["RunFolder", "create", "fingerprint", "read_provenance", "reopen"]

# Derived files are rebuilt from the others, the log grows, checkpoints carry their own checksums and are stepped over:
# a change to one of these is told, a change to any other file is an error.
_FORGIVEN = ("report.html", "log.jsonl", "figures/", "checkpoints/")


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
        return dict(tomllib.loads((self.path / "config.toml").read_text(encoding="utf-8"))["settings"])

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
        self.provenance |= {"status": "running", "message": ""}
        self.seal()

    def finish(self, status: str, message: str = "") -> None:
        """Record how the verb ended, and the checksum of every file."""
        ended = time.time()
        self.provenance |= {"status": status, "message": message, "ended": _stamp(ended)}
        self.provenance["seconds"] = round(ended - self.provenance["began"], 3)
        self.log.write("end", status=status, message=message)
        self.seal()

    def seal(self) -> None:
        """Write ``provenance.json`` with the checksum of every other file, and one over itself.

        While a verb works, only the settings are under a checksum: everything else is about to be written anew.
        """
        files = sorted(p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith("."))
        names = {p.relative_to(self.path).as_posix(): p for p in files}
        names.pop("provenance.json", None)
        if self.status == "running":
            names = {"config.toml": self.path / "config.toml"}
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
    path = _fresh(out, f"{heading['case']}-{heading['verb']}")
    with locked(path, heading["verb"]):
        tables = {"retrodict": dict(heading), "settings": config.model_dump(mode="json")}
        write_text(path / "config.toml", to_toml(tables).lstrip())
        began = time.time()
        provenance: dict[str, Any] = {
            "format": 1,
            **heading,
            "seed": config.seed,
            "config_sha256": config_hash(config),
            "settings": describe(config),
            "status": "running",
            "message": "",
            "began": began,
            "started": _stamp(began),
            "ended": None,
            "seconds": None,
            "data": None,
            "inputs": {n: {"path": str(p), "sha256": fingerprint(p)} for n, p in config.files().items() if p.exists()},
            **environment(),
        }
        if data is not None:
            relative = os.path.relpath(data.resolve(), path.resolve())
            provenance["data"] = {"name": data.name, "path": relative, "sha256": fingerprint(data)}
        provenance["origins"] = recorded(origins, provenance["data"], provenance["inputs"], path)
        folder = RunFolder(path, provenance)
        folder.log.write("start", **heading, command=provenance["command"])
        folder.seal()
        with _recorded(folder):
            yield folder


@contextmanager
def reopen(path: Path, verb: str) -> Iterator[RunFolder]:
    """Open a run folder, verify it, and hold it for the time of a verb.

    Raises
    ------
    DataError
        If it is not a run folder, or a file of it is damaged.
    ConfigError
        If another process works in it.
    """
    if not (path / "provenance.json").is_file():
        raise DataError(expected(str(path), "no provenance.json", "a run folder"))
    with locked(path, verb):
        folder = RunFolder(path, read_provenance(path))
        folder.verify()
        if verb != "resume":
            yield folder
            return
        with _recorded(folder):
            yield folder


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
    return content


def _digest(content: Mapping[str, Any]) -> str:
    rest = {k: v for k, v in content.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))


def _fresh(out: Path | None, stem: str) -> Path:
    try:
        if out is None:
            base = Path("runs") / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
            out, n = base, 1
            while out.exists():
                out, n = base.with_name(f"{base.name}-{n}"), n + 1
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(expected("--out", f"{out}, which is not empty", "a new or an empty folder"))
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(expected("--out", f"{out} ({error.strerror})", "a folder that can be written")) from error
    return out


@contextmanager
def _recorded(folder: RunFolder) -> Iterator[None]:
    """Record in the folder how a block failed."""
    try:
        yield
    except KeyboardInterrupt:
        folder.finish("interrupted", "stopped by a signal")
        raise
    except RetrodictError as error:
        folder.finish("failed", str(error))
        raise
    except Exception as error:
        folder.log.write("traceback", text=traceback.format_exc())
        folder.finish("failed", f"{type(error).__name__}: {error}")
        raise
