"""Many runs: grids, failures that do not spread, and going on; demo and doctor."""

from __future__ import annotations

import csv
import importlib
import json
import multiprocessing
import os
import pickle
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from retrodict.cases import members
from retrodict.cases.case import Case
from retrodict.cases.doctor import doctor, verify_manifest
from retrodict.cases.lock import locked
from retrodict.cases.members import Member, Row
from retrodict.cases.sweep import parse_grid, sweep
from retrodict.physics.errors import DataError
from retrodict.solvers.files import sha256
from retrodict.solvers.result import load_dataset, save_dataset

from .conftest import Cli

pytestmark = pytest.mark.usefixtures("no_figures")


def _sweep(cli: Cli, *words: str) -> tuple[int, list[dict[str, str]]]:
    done = cli("sweep", "cooling", "--out", "s", "--workers", "1", *words)
    rows = list(csv.DictReader(Path("s/sweep.csv").read_text().splitlines())) if Path("s/sweep.csv").exists() else []
    return done.exit_code, rows


def test_grids() -> None:
    grid = parse_grid(["a=1,2.5", "b=x, y", "c.d=[1, 2], [3]"])
    assert grid == {"a": [1, 2.5], "b": ["x", "y"], "c.d": [[1, 2], [3]]}


def test_a_sweep_fills_a_table_and_skips_what_is_done(cli: Cli) -> None:
    words = ("--grid", "rate=0.01,0.02", "--grid", "noise=0.1,0.5")
    code, rows = _sweep(cli, *words)
    assert code == 0
    assert [(r["rate"], r["noise"]) for r in rows] == [
        ("0.01", "0.1"),
        ("0.01", "0.5"),
        ("0.02", "0.1"),
        ("0.02", "0.5"),
    ]
    assert all(abs(float(r["fitted rate"]) / float(r["rate"]) - 1) < 0.1 for r in rows)
    assert load_dataset(Path("s/sweep.nc"))["fitted rate"].sizes == {"member": 4}
    assert 'href="0003/report.html"' in Path("s/index.html").read_text()
    before = {p: p.stat().st_mtime_ns for p in Path("s").glob("*/result.nc")}
    assert _sweep(cli, *words) == (0, rows)
    assert {p: p.stat().st_mtime_ns for p in Path("s").glob("*/result.nc")} == before
    assert _sweep(cli, "--grid", "rate=0.03")[0] == 2  # another grid has no place in this folder


def test_a_failing_member_is_recorded_and_the_others_go_on(cli: Cli) -> None:
    code, rows = _sweep(cli, "--grid", "max_steps=2,100")
    assert code == 1
    assert [r["status"] for r in rows] == ["max-steps", "ok"]
    assert "largest number of steps" in rows[0]["message"]


def test_a_damaged_member_is_recorded(cli: Cli) -> None:
    words = ("--grid", "rate=0.01,0.02")
    _sweep(cli, *words)
    Path("s/0000/result.nc").write_bytes(b"")
    code, rows = _sweep(cli, *words)
    assert code == 1
    assert [r["status"] for r in rows] == ["failed", "ok"]
    assert "has changed" in rows[0]["message"]


@pytest.fixture
def fragile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case[Any]:
    """A case whose runs with an odd seed end their process; for processes that are started afresh."""
    text = (
        "import os, signal, xarray as xr\n"
        "from retrodict.cases.case import Case\n"
        "from retrodict.cases.config import CaseConfig\n"
        "def simulate(config, seeds):\n"
        "    if config.seed % 2:\n"
        "        os.kill(os.getpid(), signal.SIGKILL) if config.seed > 1 else os._exit(7)\n"
        "    return xr.Dataset({'x': ('i', [1.0])})\n"
        "case = Case('fragile', 'tests', 'Dies.', CaseConfig, simulate)\n"
    )
    (tmp_path / "fragile.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return importlib.import_module("fragile").case  # type: ignore[no-any-return]


@pytest.mark.slow
def test_a_killed_process_costs_one_member(fragile: Case[Any]) -> None:
    done = sweep(fragile, {"seed": [0, 1, 3, 2]}, out=Path("s"), workers=2)
    assert [r.status for r in done.rows] == ["ok", "failed", "failed", "ok"]
    assert done.rows[1].message == "its process ended with exit code 7"
    assert done.rows[2].message == "killed by signal 9 (SIGKILL)"
    assert len(list(csv.DictReader(Path("s/sweep.csv").read_text().splitlines()))) == 4


def _dies(pipe: Connection) -> None:
    """Serve as a process of a sweep does, but die at the second run."""
    for number in range(3):
        pipe.recv_bytes()
        if number:
            os.kill(os.getpid(), signal.SIGKILL)
        row = Row("0", "ok", True, 0.0, "", "", {})
        pipe.send_bytes(pickle.dumps(row))


def test_every_run_is_given_once_and_those_of_dead_processes_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_serve", _dies)
    fork = multiprocessing.get_context("fork")  # at once, where a fresh process takes seconds
    monkeypatch.setattr(members.multiprocessing, "get_context", lambda _kind: fork)
    runs = [Member(str(k), "run", "cooling", Path("absent")) for k in range(5)]
    rows = members.carry_out_apart(runs, 2)
    assert [r.status for r in rows].count("failed") == 2
    assert {r.message for r in rows if not r.ok} == {"killed by signal 9 (SIGKILL)"}
    assert sum(r.ok for r in rows) == 3


def test_a_sweep_is_of_one_file_of_data_and_refuses_it_before_any_work(cli: Cli, tmp_path: Path) -> None:
    time = np.linspace(0.0, 120.0, 40)
    words = ("--grid", "noise=0.1,0.2", "--data", "mine.nc")

    def write(name: str, rate: float) -> None:
        save_dataset(xr.Dataset({name: ("time", 50 * np.exp(-rate * time), {"units": "K"})}), Path("mine.nc"))

    write("warmth", 0.03)
    assert _sweep(cli, *words)[0] == 3
    assert not Path("s").exists()
    assert _sweep(cli, *words, "--verb", "run")[0] == 2
    write("temperature", 0.03)
    assert _sweep(cli, *words)[0] == 0
    write("temperature", 0.04)
    assert _sweep(cli, *words)[0] == 2  # not the rows of the other file under the name of this one


def test_a_sweep_holds_its_folder(cli: Cli) -> None:
    words = ("--grid", "rate=0.01")
    assert _sweep(cli, *words)[0] == 0
    (Path("s") / ".sweep.csv.abcdefgh.part").write_text("half")
    with locked(Path("s"), "sweep"):
        assert _sweep(cli, *words)[0] == 2
    assert _sweep(cli, *words)[0] == 0
    assert not list(Path("s").glob("*.part"))


@pytest.mark.slow
def test_members_in_processes_equal_members_in_this_one(cli: Cli) -> None:
    words = ("sweep", "cooling", "--grid", "rate=0.01,0.02")
    assert cli(*words, "--out", "one", "--workers", "1").exit_code == 0
    assert cli(*words, "--out", "two", "--workers", "2").exit_code == 0
    assert cli("compare", "one/0001", "two/0001").exit_code == 0


def test_demo_and_validate_all_link_every_report(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from retrodict.cases import demo
    from retrodict.cases.registry import entries

    only = [e for e in entries() if e.name == "cooling"]
    monkeypatch.setattr(demo, "entries", lambda: only)
    assert cli("demo", "--out", "d").exit_code == 0
    page = Path("d/index.html").read_text()
    assert "3 of 3 ok" in page
    for verb in ("run", "fit", "validate"):
        assert f'href="cooling-{verb}/report.html"' in page
        assert Path(f"d/cooling-{verb}/report.html").exists()
    assert cli("validate", "--all", "--preset", "smoke", "--out", "v").exit_code == 0
    assert Path("v/cooling/verdicts.json").exists()


@pytest.mark.slow
def test_the_doctor_finds_nothing_here(cli: Cli) -> None:
    found = doctor()
    assert [f for f in found if not f.ok] == []
    assert {"python", "torch", "bundled data", "plug-in cooling"} <= {f.what for f in found}


def test_the_doctor_names_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from retrodict.cases import doctor as module

    monkeypatch.setattr(module, "_dependencies", lambda: ["no-such-library"])
    monkeypatch.setattr(module, "_torch", lambda: 1 / 0)
    broken = {f.what: f.detail for f in doctor() if not f.ok}
    assert "No module named" in broken["no-such-library"]
    assert broken["torch threads and devices"].startswith("ZeroDivisionError")


def test_bundled_data_are_held_to_their_manifest(tmp_path: Path) -> None:
    assert verify_manifest(tmp_path) == 0
    (tmp_path / "a.csv").write_text("1\n")
    with pytest.raises(DataError):
        verify_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"a.csv": sha256(tmp_path / "a.csv")}))
    (tmp_path / "SOURCES.md").write_text("where it came from")
    assert verify_manifest(tmp_path) == 1
    (tmp_path / "a.csv").write_text("2\n")
    with pytest.raises(DataError, match="a changed file"):
        verify_manifest(tmp_path)
    (tmp_path / "b.csv").write_text("2\n")
    with pytest.raises(DataError, match="on one side only"):
        verify_manifest(tmp_path)
