"""A run that is killed, interrupted or damaged goes on and gives the same bits as one that never stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.result import load_dataset

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "retrodict_cooling"
METHODS = (
    "levenberg-marquardt",
    "levenberg-marquardt-cholesky",
    "gauss-newton",
    "natural-gradient",
    "l-bfgs",
    "ssbroyden",
    "adam",
    "soap",
)
OFTEN = ("levenberg-marquardt", "ssbroyden")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Announce the killable case to this process and to those that it starts."""
    info = tmp_path / "site" / "retrodict_killable-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: retrodict-killable\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[retrodict.cases]\nkillable = killable:case\n")
    folders = [str(ROOT / "src"), str(EXAMPLE), str(Path(__file__).parent), str(tmp_path / "site")]
    for folder in folders[1:]:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    monkeypatch.setenv("RETRODICT_TEST_SIGNAL", ":0")
    monkeypatch.setattr("retrodict.cases.plots.draw", lambda _folder, _figures: [])  # nine tenths of the time
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _here(*words: str, at: str = ":0") -> Result:
    """Call the command line in this process: much faster, and good for every signal but SIGKILL."""
    import killable

    from retrodict.cases.cli import app

    killable.CALLS = 0
    os.environ["RETRODICT_TEST_SIGNAL"] = at
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _process(*words: str, at: str = ":0") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RETRODICT_TEST_SIGNAL": at}
    command = [sys.executable, "-m", "retrodict", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def _bits(folder: str) -> dict[str, bytes]:
    """Return every array of a run, and the status it ended with."""
    found = {}
    for name in ("result.nc", "history.nc", "posterior.nc", "diagnostics.nc"):
        dataset = load_dataset(Path(folder) / name)
        found |= {f"{name}:{k}": np.ascontiguousarray(v.values.astype(v.dtype)).tobytes() for k, v in numeric(dataset)}
    about = json.loads((Path(folder) / "provenance.json").read_text())
    return {**found, "status": about["status"].encode()}


def numeric(dataset):  # type: ignore[no-untyped-def]
    return [(k, v) for k, v in dataset.variables.items() if v.dtype.kind in "iufb"]


# two of them at every commit, all with the slow tests
@pytest.mark.parametrize("method", [m if m in OFTEN else pytest.param(m, marks=pytest.mark.slow) for m in METHODS])
def test_killed_at_three_random_calls_and_resumed_is_bit_equal(site: Path, method: str) -> None:
    fit = ("fit", "killable", "--set", f"method={method}")
    assert _here(*fit, "--out", "whole").exit_code == 0
    steps = load_dataset(Path("whole/history.nc")).sizes["step"]
    assert steps >= 6, "too few steps to be killed in three times"
    rng = np.random.default_rng(len(method))
    for leg in range(3):
        # A leg makes at most as many steps as calls: even three long legs end before the solve does.
        at = f"SIGKILL:{rng.integers(2, max(3, steps // 3))}"
        killed = _process(*(fit if leg == 0 else ("resume",)), *(("--out",) if leg == 0 else ()), "torn", at=at)
        assert killed.returncode == -9, killed.stderr
    assert json.loads(Path("torn/provenance.json").read_text())["status"] == "running"
    resumed = _here("resume", "torn")
    assert resumed.exit_code == 0
    assert resumed.stderr == ""
    assert _bits("torn") == _bits("whole")
    assert "nothing to do" in _here("resume", "torn").stdout
    assert _here("compare", "torn", "whole").exit_code == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_gives_130_a_checkpoint_and_a_run_to_resume(site: Path, name: str) -> None:
    assert _here("fit", "killable", "--out", "whole").exit_code == 0
    if name == "SIGINT":
        process = _process("fit", "killable", "--out", "torn", at=f"{name}:3")
        code, stderr = process.returncode, process.stderr
    else:
        result = _here("fit", "killable", "--out", "torn", at=f"{name}:3")
        code, stderr = result.exit_code, result.stderr
    assert code == 130
    assert "retrodict resume torn" in stderr
    assert "Traceback" not in stderr
    assert json.loads(Path("torn/provenance.json").read_text())["status"] == "interrupted"
    assert list(Path("torn/checkpoints").glob("*.ckpt"))
    assert "interrupted" in Path("torn/report.html").read_text()
    assert _here("resume", "torn").exit_code == 0
    assert _bits("torn") == _bits("whole")


@pytest.mark.parametrize("after", ["SIGKILL", "SIGINT"])
def test_a_flipped_bit_in_the_newest_checkpoint_is_told_and_stepped_over(site: Path, after: str) -> None:
    assert _here("fit", "killable", "--out", "whole").exit_code == 0
    (_process if after == "SIGKILL" else _here)("fit", "killable", "--out", "torn", at=f"{after}:5")
    newest = CheckpointStore(Path("torn/checkpoints")).paths()[0]
    raw = bytearray(newest.read_bytes())
    raw[len(raw) // 2] ^= 8
    newest.write_bytes(bytes(raw))
    resumed = _here("resume", "torn")
    assert resumed.exit_code == 0
    assert newest.name in resumed.stderr
    assert "the one before is used" in resumed.stderr
    events = [json.loads(line) for line in Path("torn/log.jsonl").read_text().splitlines()]
    told = next(e for e in events if e["event"] == "resume")["warnings"]
    assert any(newest.name in text for text in told)
    assert "the one before is used" in Path("torn/report.html").read_text()
    assert _bits("torn") == _bits("whole")


def test_checkpoints_that_are_all_damaged_are_exit_three(site: Path) -> None:
    _process("fit", "killable", "--out", "torn", at="SIGKILL:5")
    for path in Path("torn/checkpoints").glob("*.ckpt"):
        path.write_bytes(b"")
    refused = _here("resume", "torn")
    assert refused.exit_code == 3
    assert "damaged checkpoints" in refused.stderr


def test_killed_before_the_first_checkpoint_starts_again(site: Path) -> None:
    assert _here("fit", "killable", "--out", "whole").exit_code == 0
    assert _process("fit", "killable", "--out", "torn", at="SIGKILL:2").returncode == -9
    assert not list(Path("torn").glob("checkpoints/*"))
    assert _here("resume", "torn").exit_code == 0
    assert _bits("torn") == _bits("whole")


def test_the_stored_settings_win_over_todays_defaults(site: Path) -> None:
    import killable

    from retrodict.cases.config import setting

    assert _here("fit", "killable", "--out", "whole").exit_code == 0
    _here("fit", "killable", "--out", "torn", at="SIGINT:3")

    class Config(killable.Config):
        noise: float = setting(50.0, "K", "another default", gt=0)

    object.__setattr__(killable.case, "Config", Config)
    try:
        assert _here("resume", "torn").exit_code == 0
    finally:
        object.__setattr__(killable.case, "Config", killable.Config)
    assert _bits("torn") == _bits("whole")


def test_interrupted_then_killed_on_resume_holds_nothing_against_the_run(site: Path) -> None:
    assert _here("fit", "killable", "--out", "whole").exit_code == 0
    assert _here("fit", "killable", "--out", "torn", at="SIGINT:3").exit_code == 130
    assert _process("resume", "torn", at="SIGKILL:4").returncode == -9
    # A kill between the result and its seal leaves a result that no checksum knows.
    Path("torn/result.nc").write_bytes(Path("torn/result.nc").read_bytes()[:100])
    resumed = _here("resume", "torn")
    assert (resumed.exit_code, resumed.stderr) == (0, "")
    assert _bits("torn") == _bits("whole")
