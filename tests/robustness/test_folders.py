"""Run folders on full, read-only and removed disks, with links in them, and after kills at the very start."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

from retrodict.cases import verbs
from retrodict.cases.case import Case
from retrodict.cases.config import CaseConfig
from retrodict.cases.lock import locked, shared
from retrodict.cases.record import read_only, reopen, vacant
from retrodict.physics.errors import ConfigError, DataError, RetrodictError, reason
from retrodict.solvers import files
from retrodict.solvers.base import Status
from retrodict.solvers.files import append_line, open_plain, remove_parts, write_atomic, write_text
from retrodict.solvers.result import load_dataset


class Halve:
    """A method that halves a number, and does on the way what a test asks for."""

    name = "halve"

    def __init__(self, at: Callable[[float], object]) -> None:
        self.at = at

    def init(self) -> float:
        return 1.0

    def step(self, state: float) -> tuple[float, dict[str, float]]:
        self.at(state)
        return state / 2, {"size": state / 2}

    def done(self, metrics: dict[str, float]) -> Status | None:
        return Status.CONVERGED if metrics["size"] < 0.02 else None

    def solution(self, state: float) -> xr.Dataset:
        return xr.Dataset({"x": ("i", np.full(300, state))})

    def pack(self, state: float) -> dict[str, np.ndarray]:
        return {"x": np.array(state)}

    def unpack(self, arrays: dict[str, np.ndarray]) -> float:
        return float(arrays["x"])


def halving(at: Callable[[float], object] = lambda _x: None, **changes: Any) -> Case[Any]:
    plain = Case("halving", "tests", "Halves.", CaseConfig, lambda _c, _s: xr.Dataset({"x": ("i", np.ones(300))}))
    fitted = replace(plain, problem=lambda _c, _s, _d: {"x": 1.0}, solver=lambda _c, _p: Halve(at))
    return replace(fitted, **changes)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrodict.cases.plots.draw", lambda _folder, _figures: [])
    monkeypatch.setattr("retrodict.cases.record.environment", lambda: ABOUT)  # it asks git, at length
    monkeypatch.chdir(tmp_path)


ABOUT = {"retrodict": "0", "python": "3", "platform": "p", "packages": {}, "git": None, "command": ["retrodict"]}


def told(folder: str = "f") -> dict[str, Any]:
    return json.loads((Path(folder) / "provenance.json").read_text())  # type: ignore[no-any-return]


def bits(folder: str) -> dict[str, bytes]:
    return {
        f"{name}:{k}": v.values.tobytes()
        for name in ("result.nc", "history.nc")
        for k, v in load_dataset(Path(folder) / name).variables.items()
    }


def cli(case: Case[Any], monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """Call the command line with a case that it finds under every name; foreign exceptions come out."""
    from retrodict.cases.cli import app

    for module in ("prepare", "resume", "members"):
        monkeypatch.setattr(f"retrodict.cases.{module}.find", lambda _name: case)
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# the order of what reaches the disk


def test_a_file_is_synced_before_it_takes_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen = tmp_path / "a", []
    sync = os.fsync

    def watched(handle: int) -> None:
        mode = os.fstat(handle).st_mode
        seen.append(("folder" if stat.S_ISDIR(mode) else "file", target.exists(), os.fstat(handle).st_size > 0))
        sync(handle)

    monkeypatch.setattr(files.os, "fsync", watched)
    write_text(target, "whole")
    assert [s[:2] for s in seen] == [("file", False), ("folder", True)]
    assert seen[0][2], "synced before it was written"


# locks


def test_a_folder_is_written_by_one_and_read_by_many(tmp_path: Path) -> None:
    with locked(tmp_path, "fit"):
        assert (tmp_path / ".lock").read_text() == f"process {os.getpid()} (fit)"
        with pytest.raises(ConfigError, match=rf"in use by process {os.getpid()} \(fit\)"), locked(tmp_path, "resume"):
            pass
        with pytest.raises(ConfigError, match="in use"), shared(tmp_path):
            pass
    with shared(tmp_path), shared(tmp_path):
        with pytest.raises(ConfigError, match="in use by another process"), locked(tmp_path, "fit"):
            pass
        assert (tmp_path / ".lock").read_text() == ""


def test_a_folder_that_was_replaced_while_we_waited_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = fcntl.flock

    def replaced(handle: int, kind: int) -> None:
        (tmp_path / ".lock").unlink()
        (tmp_path / ".lock").touch()
        hold(handle, kind)

    monkeypatch.setattr("retrodict.cases.lock.fcntl.flock", replaced)
    with pytest.raises(ConfigError, match="replaced just now"), locked(tmp_path, "fit"):
        pass


def test_of_two_runs_into_one_folder_the_second_is_refused_even_if_it_looked_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both find the folder empty; one is done before the other takes the lock."""
    inner = locked
    first = threading.Event()

    def late(path: Path, verb: str) -> Any:
        if not first.is_set():
            first.set()
            verbs.run(halving(), out=Path("f"))
        return inner(path, verb)

    monkeypatch.setattr("retrodict.cases.record.locked", late)
    with pytest.raises(ConfigError, match="not empty"):
        verbs.fit(halving(), out=Path("f"))
    assert (told()["verb"], told()["status"]) == ("run", "ok")


# links and other traps


def _trap(kind: str, path: Path, mine: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(mine)
    elif kind == "hard link":
        path.hardlink_to(mine)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mknod(path, 0o666 | stat.S_IFSOCK)


@pytest.fixture
def stopped(_here: None) -> Path:
    """A fit that was stopped, so that ``resume`` has something to do."""

    def stop(state: float) -> None:
        if state == 0.25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verbs.fit(halving(stop), out=Path("f"))
    return Path("f")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (n, k)
        for n in (".lock", "log.jsonl", "provenance.json", "config.toml")
        for k in ("link", "pipe", "socket", "folder")
    ]
    + [(".lock", "hard link"), ("log.jsonl", "hard link")],  # the others are replaced whole
)
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_there_changes(stopped: Path, name: str, kind: str) -> None:
    mine = Path("mine")
    mine.write_bytes((stopped / name).read_bytes() + b"my own words\n")
    before = mine.read_bytes()
    _trap(kind, stopped / name, mine)
    with pytest.raises(RetrodictError, match=re.escape(str(stopped))):
        verbs.resume(stopped, case=halving())
    for look in (lambda: verbs.report(stopped), lambda: verbs.compare(stopped, stopped)):
        if kind in ("hard link", "folder") and name == "log.jsonl":
            look()  # told as changed or missing; neither writes there
            continue
        with pytest.raises(DataError):
            look()
    assert mine.read_bytes() == before


@pytest.mark.parametrize("name", ["checkpoints", "figures", "report.html", "result.nc", "notes/deep"])
def test_links_anywhere_in_a_folder_are_refused(stopped: Path, name: str) -> None:
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    (stopped / name).parent.mkdir(exist_ok=True)
    _trap("link", stopped / name, elsewhere)
    for look in (
        lambda: verbs.report(stopped),
        lambda: verbs.compare(stopped, stopped),
        lambda: verbs.resume(stopped, case=halving()),
    ):
        with pytest.raises(DataError, match=rf"{name}: got a symbolic link"):
            look()
    assert list(elsewhere.iterdir()) == []


def test_a_file_changed_in_place_is_opened_without_following_or_truncating(tmp_path: Path) -> None:
    mine, link = tmp_path / "mine", tmp_path / "link"
    mine.write_text("mine")
    link.symlink_to(mine)
    with pytest.raises(DataError, match="a symbolic link"):
        append_line(link, "theirs")
    (tmp_path / "hard").hardlink_to(mine)
    with pytest.raises(DataError, match="a hard link"):
        open_plain(mine, os.O_RDWR)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none" / "a", os.O_RDWR | os.O_CREAT)
    assert mine.read_text() == "mine"


def test_a_damaged_provenance_with_a_right_checksum_is_an_error_of_ours(stopped: Path) -> None:
    from retrodict.cases.record import _digest

    for key in ("status", "settings", "files", "seconds", "command"):
        about = {**told(), key: {"deep": 1} if key != "files" else 3}
        about["sha256"] = _digest(about)
        kept = (stopped / "provenance.json").read_bytes()
        (stopped / "provenance.json").write_text(json.dumps(about))
        with pytest.raises(DataError, match=rf"provenance\.json: {key}: got"):
            verbs.report(stopped)
        (stopped / "provenance.json").write_bytes(kept)


# disks that take nothing


class Disk:
    """A disk that is full, or read-only, from the n-th write on, for good or once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSPC) -> None:
        self.left, self.once, self.number = 10**9, False, number
        sync, write = os.fsync, os.write
        monkeypatch.setattr(files.os, "fsync", lambda handle: self.take(sync, handle))
        monkeypatch.setattr(files.os, "write", lambda handle, raw: self.take(write, handle, raw))

    def take(self, call: Callable[..., Any], *words: Any) -> Any:
        self.left -= 1
        if self.left < 0 and not (self.once and self.left < -1):
            raise OSError(self.number, os.strerror(self.number))
        return call(*words)


@pytest.mark.parametrize(
    ("number", "once"), [(errno.ENOSPC, True), (errno.ENOSPC, False), (errno.EROFS, False), (errno.EIO, True)]
)
def test_whatever_write_fails_the_reason_is_told_and_the_resumed_run_is_bit_equal(
    monkeypatch: pytest.MonkeyPatch, number: int, once: bool
) -> None:
    verbs.fit(halving(), out=Path("whole"))
    disk = Disk(monkeypatch, number)
    words = os.strerror(number)
    failures = 0
    for at in range(0, 60, 9):
        disk.left, disk.once = at, once
        out = f"f{at}"
        try:
            verbs.fit(halving(), out=Path(out))
        except OSError as error:
            caught = error
        else:
            assert disk.left >= 0
            break
        finally:
            disk.left = 10**9
        failures += 1
        notes = getattr(caught, "__notes__", [])
        assert caught.errno == number
        assert words in reason(caught)
        assert not list(Path(out).rglob("*.part"))
        if not (Path(out) / "provenance.json").exists():
            assert not Path(out).exists() or vacant(Path(out))
            verbs.fit(halving(), out=Path(out))
        else:
            status = told(out)["status"]
            assert status == "failed" or any("status 'failed' could not be written" in n for n in notes)
            assert words in told(out)["message"] or notes
            verbs.resume(Path(out), case=halving())
        assert bits(out) == bits("whole")
        assert told(out)["status"] == "ok"
        for line in (Path(out) / "log.jsonl").read_text().splitlines():
            json.loads(line)  # no line is torn
    assert failures >= 3


def test_a_line_that_fits_in_part_only_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "log", os.write
    append_line(path, "first")

    def short(handle: int, raw: bytes) -> int:
        if len(raw) < 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, raw[:5])

    monkeypatch.setattr(files.os, "write", short)
    with pytest.raises(OSError, match="No space left on device") as caught:
        append_line(path, "the second line")
    assert caught.value.filename == str(path)
    assert path.read_text() == "first\n"
    monkeypatch.setattr(files.os, "write", lambda handle, raw: write(handle, raw[:5]))
    append_line(path, "the second line")
    assert path.read_text() == "first\nthe second line\n"


def test_the_command_line_tells_a_full_disk_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    disk.left = 8
    done = cli(halving(), monkeypatch, "fit", "halving", "--out", "f")
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: f/")
    assert lines[0].endswith("No space left on device")
    assert "f: the status 'failed' could not be written" in done.stderr
    assert len(lines) <= 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "gone"), "gone: No such file or directory"),
    ],
)
def test_errors_of_the_machine_are_one_line_and_exit_one(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(_c: object, _s: object) -> xr.Dataset:
        raise error

    done = cli(halving(simulate=fail), monkeypatch, "run", "halving", "--out", "f")
    assert done.exit_code == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert told()["status"] == "failed"
    assert said in told()["message"]


def test_a_broken_log_and_status_do_not_hide_what_broke_first(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)

    def fail(_c: object, _s: object) -> xr.Dataset:
        disk.left = 0
        raise ZeroDivisionError("the first fault")

    with pytest.raises(ZeroDivisionError, match="the first fault") as caught:
        verbs.run(halving(simulate=fail), out=Path("f"))
    assert [re.sub(r"^f: ", "", n).split(" could")[0] for n in caught.value.__notes__] == [
        "the log",
        "the status 'failed'",
    ]


@pytest.mark.parametrize("verb", ["run", "fit"])
def test_a_folder_removed_while_it_is_worked_in_is_told_and_not_made_again(verb: str) -> None:
    def remove(*_: object) -> xr.Dataset:
        shutil.rmtree("f", ignore_errors=True)
        return xr.Dataset({"x": ("i", np.ones(3))})

    case = halving(remove, simulate=remove)
    with pytest.raises(FileNotFoundError) as caught:
        getattr(verbs, verb)(case, out=Path("f"))
    assert "could not be written" in caught.value.__notes__[-1]
    assert not Path("f").exists()


def test_a_failed_write_keeps_its_own_error_where_the_part_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(_self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def full(path: Path) -> None:
        monkeypatch.setattr(Path, "unlink", stuck)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomic(tmp_path / "a", full)
    assert caught.value.filename == str(tmp_path / "a")


# folders that may only be read


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let nothing be written from now on, as a read-only mount does; the superuser is not held by permissions."""
    plain = os.open

    def guarded(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and "/f" in f"/{path}":
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return plain(path, flags, *rest, **named)

    return lambda: monkeypatch.setattr(files.os, "open", guarded)


def test_a_folder_that_may_only_be_read_is_compared_and_reported_elsewhere(
    monkeypatch: pytest.MonkeyPatch, frozen: Callable[[], None]
) -> None:
    case = halving()
    verbs.fit(case, out=Path("f"))
    verbs.fit(case, out=Path("g"))
    before = {p: p.stat().st_mtime_ns for p in Path("f").rglob("*")}
    frozen()
    assert cli(case, monkeypatch, "compare", "f", "g").exit_code == 0
    refused = cli(case, monkeypatch, "report", "f")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines() == [
        "error: f/.lock: Read-only file system",
        "f may not be written; `retrodict report DIR --out FILE.html` leaves it as it is",
    ]
    assert cli(case, monkeypatch, "report", "f", "--out", "page.html").exit_code == 0
    assert Path("page.html").read_text() == Path("f/report.html").read_text()
    assert cli(case, monkeypatch, "report", "f", "--out", "page.html").exit_code == 2
    assert {p: p.stat().st_mtime_ns for p in Path("f").rglob("*")} == before
    Path("f/.lock").unlink()
    assert cli(case, monkeypatch, "compare", "f", "g").exit_code == 0
    assert not Path("f/.lock").exists()


# starts that were killed, and what killed writes leave


@pytest.fixture
def remains() -> Path:
    out = Path("f")
    out.mkdir()
    (out / ".lock").write_text("process 123 (fit)")
    (out / "config.toml").write_text('[retrodict]\ncase = "halving"\n')
    (out / ".provenance.json.ab_12xyz.part").write_text("{")
    return out


def test_a_run_killed_before_its_provenance_is_written_counts_as_empty(remains: Path) -> None:
    assert vacant(remains)
    assert verbs.fit(halving(), out=remains).ok
    assert not list(remains.rglob("*.part"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".lock", "a lock of another program"),
        ("config.toml", "[build]\n"),
        (".notes.part", "mine"),
        ("notes.txt", "mine"),
        (".gitignore", ""),
    ],
)
def test_what_is_not_ours_is_not_taken_for_remains(remains: Path, name: str, text: str) -> None:
    (remains / name).write_text(text)
    with pytest.raises(ConfigError, match="not empty"):
        verbs.fit(halving(), out=remains)
    assert (remains / name).read_text() == text


def test_a_kill_at_any_moment_of_the_start_leaves_a_folder_to_begin_again_or_to_resume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that dies runs no clean-up: the folder is copied at every write, as the kill would leave it."""
    taken: list[Path] = []
    sync = os.fsync

    def watched(handle: int) -> None:
        copy = Path(f"killed{len(taken)}")
        shutil.copytree("f", copy)
        taken.append(copy)
        sync(handle)

    monkeypatch.setattr(files.os, "fsync", watched)
    verbs.run(halving(), out=Path("f"))
    monkeypatch.setattr(files.os, "fsync", sync)
    assert len(taken) > 5
    begun = 0
    for copy in taken:
        if vacant(copy):
            verbs.run(halving(), out=copy)
        else:
            begun += 1
            verbs.resume(copy, case=halving())
        assert told(str(copy))["status"] == "ok"
        assert not list(copy.rglob("*.part"))
    assert 0 < begun < len(taken)


def test_only_parts_of_our_own_scheme_are_removed(tmp_path: Path) -> None:
    ours = [".a.nc.abcdefgh.part", "checkpoints/.step-1.ckpt.a_c1efgh.part"]
    theirs = [
        "a.part",
        ".a.part",
        ".a.nc.ABCDEFGH.part",
        ".a.nc.abcdefg.part",
        ".a.nc.abcdefgh.part2",
        "x/download.part",
    ]
    for name in (*ours, *theirs):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    (tmp_path / ".set.ms.abcdefgh.part").mkdir()
    (tmp_path / ".set.ms.abcdefgh.part" / ".b.abcdefgh.part").touch()
    (tmp_path / ".link.abcdefgh.part").symlink_to(tmp_path)
    remove_parts(tmp_path)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_symlink() or not p.is_dir()}
    assert left == {*theirs, ".link.abcdefgh.part"}


# refusals


@pytest.mark.parametrize("kind", [ConfigError, DataError])
@pytest.mark.parametrize("there", [True, False])
def test_a_refused_run_leaves_no_folder_in_the_way(kind: type[Exception], there: bool) -> None:
    def refuse(_c: object, _s: object) -> xr.Dataset:
        raise kind("no such combination")

    if there:
        Path("f").mkdir()
    with pytest.raises(kind):
        verbs.run(halving(simulate=refuse), out=Path("f"))
    assert Path("f").exists() == there
    assert verbs.run(halving(), out=Path("f")).ok


def test_a_refusal_after_work_keeps_what_was_done() -> None:
    def refuse(outcome: object) -> None:
        raise ConfigError("no place for the export")

    with pytest.raises(ConfigError):
        verbs.fit(halving(files=refuse), out=Path("f"))
    assert (told()["status"], told()["message"]) == ("failed", "no place for the export")
    assert Path("f/checkpoints").is_dir()


def test_a_refused_resume_leaves_the_folder_as_it_was(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_device: str) -> None:
        raise ConfigError("no such device")

    before = (stopped / "provenance.json").read_bytes()
    monkeypatch.setattr("retrodict.cases.resume.require_device", absent)
    with pytest.raises(ConfigError, match="no such device"):
        verbs.resume(stopped, case=halving())
    assert (stopped / "provenance.json").read_bytes() == before


def test_reading_and_writing_are_two_ways_of_opening(stopped: Path) -> None:
    with read_only(stopped) as one, read_only(stopped) as two:
        assert one.provenance == two.provenance
        with pytest.raises(ConfigError, match="in use"), reopen(stopped, "report"):
            pass
