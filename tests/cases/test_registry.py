"""The registry: what it lists without importing, and plug-ins that are broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrodict.cases.registry import entries, find, load
from retrodict.physics.errors import ConfigError

from .conftest import EXAMPLE, ROOT, Cli, announce

HEAVY = ("torch", "xarray", "scipy", "matplotlib", "pandas", "dask", "jinja2", "netCDF4", "cantera", "casacore")


def _heavy_after(*words: str, path: str = "") -> list[str]:
    code = (
        "import sys\nfrom retrodict.cases.cli import app\n"
        f"try:\n    app({list(words)!r})\nexcept SystemExit:\n    pass\n"
        f"print('heavy', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), path])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True, timeout=60
    )
    return done.stdout.splitlines()[-1].split()[1:]


def test_help_and_list_import_nothing_heavy(tmp_path: Path) -> None:
    announce(tmp_path, "retrodict-cooling", cooling="retrodict_cooling:case")
    assert _heavy_after("--help") == []
    assert _heavy_after("list", path=os.pathsep.join([str(tmp_path), str(EXAMPLE)])) == []


def test_heads_read_from_source_are_those_of_the_cases() -> None:
    for entry in entries():
        if entry.origin == "retrodict":
            case = load(entry.target)
            assert (case.name, case.system, case.summary) == (entry.name, entry.system, entry.summary)
            assert entry.target.endswith(":case")


def test_a_plug_in_is_found_by_its_entry_point(cooling: str) -> None:
    entry = next(e for e in entries() if e.name == cooling)
    assert entry.origin == "retrodict-cooling 0.1.0"
    assert find(cooling).name == "cooling"
    assert find(find(cooling)) is find(cooling)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise SystemError('boom')", "SystemError: boom"),
        ("case = 3", "got int, expected a retrodict.cases.case.Case"),
        ("x = 1", "got NoneType"),
        ("case = (", "SyntaxError"),
        ("from retrodict_cooling import case", "the entry point is named 'broken' and its case 'cooling'"),
    ],
)
def test_a_broken_plug_in_is_named_and_the_others_work(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "broken_plugin.py").write_text(source)
    announce(tmp_path / "bad", "retrodict-broken", broken="broken_plugin:case")
    monkeypatch.syspath_prepend(str(tmp_path / "bad"))
    monkeypatch.delitem(sys.modules, "broken_plugin", raising=False)
    shown = cli("list")
    assert shown.exit_code == 0
    assert "cooling" in shown.stdout
    assert "retrodict-broken 0.1.0" in shown.stderr
    assert message in shown.stderr
    used = cli("run", "broken")
    assert used.exit_code == 2
    assert "cannot be used" in used.stderr
    monkeypatch.delitem(sys.modules, "broken_plugin", raising=False)


def test_a_name_that_is_taken_is_refused(cooling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path / "twin", "retrodict-twin", cooling="retrodict_cooling:case")
    monkeypatch.syspath_prepend(str(tmp_path / "twin"))
    found = [e for e in entries() if e.name == cooling]
    assert sorted(bool(e.error) for e in found) == [False, True]


def test_an_unknown_case_names_the_nearest(cooling: str) -> None:
    with pytest.raises(ConfigError, match="did you mean 'cooling'"):
        find("coolin")
