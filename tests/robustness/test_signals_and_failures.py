"""A signal, or an inner solve that fails, ends every verb with 130 or 1, and the folder says so: never ``ok``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = ("SIGINT", "SIGTERM")
VERBS = ("run", "fit", "validate")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Announce the stoppable case, alone, to this process and to those that it starts."""
    from retrodict.cases import demo
    from retrodict.cases.registry import entries

    info = tmp_path / "site" / "retrodict_stoppable-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: retrodict-stoppable\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[retrodict.cases]\nstoppable = stoppable:case\n")
    folders = [str(ROOT / "src"), str(Path(__file__).parent), str(tmp_path / "site")]
    for folder in folders[1:]:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    monkeypatch.setattr("retrodict.cases.plots.draw", lambda _folder, _figures: [])
    monkeypatch.setattr(demo, "entries", lambda: [e for e in entries() if e.name == "stoppable"])
    monkeypatch.chdir(tmp_path)
    # a process that was started in the background of a script ignores Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield tmp_path
    signal.signal(signal.SIGINT, before)


def _here(*words: str) -> Result:
    from retrodict.cases.cli import app

    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _status(folder: str) -> str:
    return str(json.loads(Path(folder, "provenance.json").read_text())["status"])


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("at", ["solve", "outside"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_signal_is_130_and_resume_ends_the_run(site: Path, verb: str, at: str, name: str) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    stopped = _here(verb, "stoppable", "--out", "r", "--set", f"signal={name}", "--set", f"at={at}")
    assert (stopped.exit_code, _status("r")) == (130, "interrupted")
    assert "retrodict resume r" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not Path("r/verdicts.json").exists()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert _here("resume", "r").exit_code == 0
    assert _status("r") == "ok"


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_during_a_resume_is_130(site: Path, name: str) -> None:
    assert _here("run", "stoppable", "--out", "r", "--set", f"signal={name}").exit_code == 130
    Path("sent").unlink()
    assert _here("resume", "r").exit_code == 130
    assert _status("r") == "interrupted"


@pytest.mark.parametrize("name", SIGNALS)
def test_an_interrupted_check_is_no_failed_check(site: Path, name: str) -> None:
    _here("validate", "stoppable", "--out", "r", "--set", f"signal={name}")
    told = [json.loads(line) for line in Path("r/log.jsonl").read_text().splitlines()]
    assert [t["name"] for t in told if t["event"] == "check"] == ["before"]


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_signal_ends_the_whole_sweep_which_can_be_gone_on_with(site: Path, verb: str, name: str) -> None:
    words = ("sweep", "stoppable", "--verb", verb, "--grid", "max_steps=8,9,10", "--out", "s", "--workers", "1")
    stopped = _here(*words, "--set", f"signal={name}")
    assert stopped.exit_code == 130
    assert "1 of 3 runs begun" in stopped.stderr
    assert "--out s" in stopped.stderr
    assert [p.parent.name for p in Path("s").glob("*/provenance.json")] == ["0000"]
    assert Path("s/sweep.csv").read_text().splitlines()[1].startswith("0000,8,interrupted")
    assert Path("s/index.html").exists()
    assert _here(*words, "--set", f"signal={name}").exit_code == 0
    assert [_status(f"s/000{i}") for i in range(3)] == ["ok"] * 3


@pytest.mark.parametrize("words", [("demo",), ("validate", "--all")])
def test_a_signal_ends_the_whole_demo_which_can_be_gone_on_with(
    site: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import stoppable

    monkeypatch.setitem(vars(stoppable.case), "presets", {"smoke": {"signal": "SIGTERM"}})
    command = (*words, "--preset", "smoke", "--out", "d")
    stopped = _here(*command)
    assert stopped.exit_code == 130
    assert "runs begun" in stopped.stderr
    assert "interrupted" in Path("d/index.html").read_text()
    assert _here(*command).exit_code == 0
    assert {_status(str(p.parent)) for p in Path("d").glob("*/provenance.json")} == {"ok"}
    assert _here(*words, "--preset", "default", "--out", "d").exit_code == 2


def test_a_signal_before_any_run_leaves_a_table_without_rows(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_member: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("retrodict.cases.sweep.carry_out", stop)
    words = ("sweep", "stoppable", "--grid", "max_steps=8,9", "--out", "s", "--workers", "1")
    assert _here(*words).exit_code == 130
    assert Path("s/sweep.csv").read_text().splitlines() == ["member,status,assessment,seconds,message"]


@pytest.mark.parametrize("ends", ["diverged", "non-finite", "failed", "stalled", "invalid"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_failing_solve_is_1_and_never_ok(site: Path, verb: str, ends: str) -> None:
    done = _here(verb, "stoppable", "--out", "r", "--set", f"ends={ends}")
    assert done.exit_code == 1
    assert _status("r") == (ends if verb == "fit" else "failed")
    assert ends in done.stdout + done.stderr + Path("r/report.html").read_text() if verb != "run" else done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_solve_that_needs_more_steps_is_1(site: Path, verb: str) -> None:
    assert _here(verb, "stoppable", "--out", "r", "--set", "max_steps=2").exit_code == 1
    assert _status("r") == ("max-steps" if verb == "fit" else "failed")


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGNALS)
def test_a_sweep_in_processes_ends_its_workers(site: Path, name: str) -> None:
    words = ("sweep", "stoppable", "--verb", "run", "--grid", "seed=1,2,3", "--out", "s", "--workers", "2")
    process = _started(*words, "--set", "pause=5")
    _wait_for(lambda: len(list(Path("s").glob("*/provenance.json"))) == 2, process)
    # Ctrl-C on a terminal reaches every process of the group; `kill` and batch systems the first alone
    os.killpg(process.pid, signal.SIGINT) if name == "SIGINT" else process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert [_status(str(p.parent)) for p in Path("s").glob("*/provenance.json")] == ["interrupted"] * 2
    assert [line.split(",")[2] for line in Path("s/sweep.csv").read_text().splitlines()[1:]] == ["interrupted"] * 2


def _started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "retrodict", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_for(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until a process has come so far; one that ends before, or never comes so far, is a failure."""
    for _ in range(1200):
        if reached():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate())
