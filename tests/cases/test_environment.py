"""Threads and processor: set once, recorded, and told where a run goes on with others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrodict.cases.environment import environment
from retrodict.cases.record import RunFolder, read_provenance

from .conftest import Cli

SOURCES = Path(__file__).resolve().parents[2] / "src"
ASK = "import retrodict.cases, os, torch; print(torch.get_num_threads(), os.environ['OMP_WAIT_POLICY'])"


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "1 PASSIVE"), ({"OMP_NUM_THREADS": "2"}, "2 PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "1 ACTIVE")],
)
def test_python_computes_on_one_thread_and_waits_asleep_unless_told(given: dict[str, str], found: str) -> None:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_", "OPENBLAS_"))}
    variables = {**plain, "PYTHONPATH": str(SOURCES), **given}
    done = subprocess.run([sys.executable, "-c", ASK], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split() == found.split()


def test_provenance_holds_threads_and_processor(cli: Cli) -> None:
    cli("run", "cooling", "--preset", "smoke", "--out", "r")
    told = read_provenance(Path("r"))
    assert told["threads"] == environment()["threads"]
    assert told["threads"]["torch"] >= 1
    assert told["processor"] == environment()["processor"] != ""


def _begun_elsewhere(path: Path, **where: object) -> None:
    folder = RunFolder(path, read_provenance(path))
    folder.provenance |= {"status": "interrupted", **where}
    folder.seal()


@pytest.mark.parametrize(
    ("where", "words"),
    [({"threads": {"torch": 7}}, "begun with threads torch=7, gone on"), ({"processor": "Z80"}, "processor Z80")],
)
def test_a_fit_that_goes_on_elsewhere_says_so_on_the_terminal_and_in_the_report(
    cli: Cli, no_figures: None, where: dict[str, object], words: str
) -> None:
    cli("fit", "cooling", "--preset", "smoke", "--out", "r")
    _begun_elsewhere(Path("r"), **where)
    told = cli("resume", "r")
    assert told.exit_code == 0
    assert words in told.stderr
    assert "not that of an unstopped run to the last bit" in told.stderr
    assert words in Path("r/report.html").read_text()


def test_a_fit_that_goes_on_where_it_began_says_nothing(cli: Cli, no_figures: None) -> None:
    cli("fit", "cooling", "--preset", "smoke", "--out", "r")
    _begun_elsewhere(Path("r"))
    assert "begun with" not in cli("resume", "r").stderr


def test_other_threads_are_shown_by_compare_and_are_no_difference(cli: Cli, no_figures: None) -> None:
    for name in ("a", "b"):
        cli("run", "cooling", "--preset", "smoke", "--out", name)
    _begun_elsewhere(Path("b"), status="ok", threads={"torch": 7})
    told = cli("compare", "a", "b")
    assert told.exit_code == 0
    assert "'torch': 7" in told.stdout
