"""Where data come from: on the terminal, in the report, in provenance and NetCDF; cases that need the user's data."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import Result

from retrodict.cases import demo as demo_module
from retrodict.cases.case import Case
from retrodict.cases.config import CaseConfig, FileName, setting
from retrodict.cases.data import bundled
from retrodict.cases.members import NEEDS_DATA, Member, carry_out
from retrodict.cases.origin import NeedsDataError, bundled_data, file_origin, mechanism_file, stored, summary
from retrodict.cases.record import read_provenance
from retrodict.cases.registry import Entry, find
from retrodict.cases.verbs import compare, fit, report, resume, run, validate
from retrodict.physics.errors import DataError
from retrodict.solvers.files import sha256
from retrodict.solvers.result import load_dataset, save_dataset

Cli = Callable[..., Result]

MECHANISM = "flames/1S_CH4_MP1.yaml"


class Still(CaseConfig):
    table: FileName = setting("", "", "a file")


def still(**changes: object) -> Case[Still]:
    plain = Case("still", "tests", "Nothing moves.", Still, lambda _c, _s: xr.Dataset({"x": ("i", [1.0])}))
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def readings(path: Path) -> Path:
    warmth = xr.DataArray(50.0 * np.exp(-0.03 * np.linspace(0.0, 120.0, 40)), dims="time", attrs={"units": "K"})
    save_dataset(xr.Dataset({"temperature": warmth}), path)
    return path


def origins(folder: Path) -> list[dict[str, object]]:
    return list(json.loads((folder / "provenance.json").read_text())["origins"])


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("verb", ["run", "fit", "validate"])
def test_simulated_data_are_the_first_thing_seen(cli: Cli, verb: str) -> None:
    done = cli(verb, "cooling", "--seed", "5", "--out", "f")
    assert done.stdout.startswith("SIMULATED DATA (generator: RK45, seed 5)\n")
    page = Path("f/report.html").read_text()
    assert re.search(r'<div class="banner">SIMULATED DATA <small>generator: RK45, seed 5</small>', page)
    assert page.index("SIMULATED DATA") < page.index("How fast a body cools")
    (told,) = origins(Path("f"))
    assert (told["kind"], told["what"], told["seed"]) == ("simulated", "RK45", 5)
    for path in Path("f").glob("*.nc"):
        if path.name != "history.nc":
            assert json.loads(load_dataset(path).attrs["provenance"])["origins"] == [told], path


@pytest.mark.usefixtures("no_figures")
def test_a_users_file_is_named_with_its_hash_and_is_not_called_simulated(cli: Cli, tmp_path: Path) -> None:
    file = readings(Path("mine.nc"))
    done = cli("fit", "cooling", "--data", file, "--set", "noise=0.5", "--out", "f")
    assert done.stdout.startswith(f"observations given: mine.nc, SHA-256 {sha256(file)[:16]}\n")
    page = Path("f/report.html").read_text()
    assert "SIMULATED" not in page
    assert "Observations, given: <b>mine.nc</b>" in page
    assert sha256(file) in page
    assert str(tmp_path) not in page
    (told,) = origins(Path("f"))
    assert (told["kind"], told["name"], told["sha256"]) == ("given", "mine.nc", sha256(file))
    cli("fit", "cooling", "--out", "own")
    (row,) = (r for r in compare(Path("f"), Path("own")).rows if r.what == "data")
    assert not row.equal
    assert "mine.nc" in row.first
    assert "SIMULATED" in row.second


@pytest.mark.usefixtures("no_figures")
def test_a_resumed_fit_of_a_users_file_keeps_what_was_given(cli: Cli) -> None:
    from retrodict.cases.record import RunFolder

    file = readings(Path("mine.nc"))
    cli("fit", "cooling", "--data", file, "--set", "noise=0.5", "--out", "f")
    before = origins(Path("f"))
    folder = RunFolder(Path("f"), read_provenance(Path("f")))
    folder.finish("interrupted", "stopped by a signal")
    done = cli("resume", "f")
    assert done.exit_code == 0
    assert done.stdout.startswith("observations given: mine.nc")
    assert origins(Path("f")) == before


def test_what_a_run_of_ours_has_simulated_stays_simulated_where_it_is_given_back(tmp_path: Path) -> None:
    made = run(still(origin="a pendulum"), seed=3, out=tmp_path / "r")
    told = file_origin(made.folder / "result.nc", "observations")
    assert told.kind == "simulated"
    assert (told.what, told.seed, told.name) == ("a pendulum", 3, "result.nc")
    assert told.sha256 == sha256(made.folder / "result.nc")
    assert str(told).startswith("SIMULATED DATA (generator: a pendulum, seed 3; given as result.nc, SHA-256 ")
    for text in ("field notes", "[1]", '{"origins": [{"colour": 1}]}'):
        xr.Dataset(attrs={"provenance": text}).to_netcdf(tmp_path / "other.nc", engine="netcdf4")
        assert file_origin(tmp_path / "other.nc", "observations").kind == "given"


def test_bundled_and_given_files_of_settings_are_listed_beside_simulated_observations(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("1\n")
    case = still(origin=lambda _config, _verb: [bundled_data(MECHANISM, "sky")])
    done = run(case, settings={"table": str(table)}, out=tmp_path / "r")
    ours, given = origins(done.folder)
    assert (ours["kind"], ours["role"], ours["licence"]) == ("bundled", "sky", "MIT")
    assert "CAME-THU/FlamePINN-1D" in str(ours["source"])
    assert (given["kind"], given["role"], given["name"]) == ("given", "table", "table.csv")
    page = (done.folder / "report.html").read_text()
    assert "Sky, bundled: <b>flames/1S_CH4_MP1.yaml</b>" in page
    assert "Table, given: <b>table.csv</b>" in page


def test_mechanisms_of_cantera_are_bundled_with_it_and_others_are_given(tmp_path: Path) -> None:
    config = find("flame-speeds").Config()
    told = file_origin(config.files()["mechanism"], "mechanism")
    assert (told.kind, told.name) == ("bundled", "gri30.yaml")
    assert told.source.startswith("Cantera ")
    mine = tmp_path / "mine.yaml"
    mine.write_bytes(mechanism_file("h2o2.yaml").read_bytes())
    config = find("flame-premixed").Config(mechanism=str(mine))
    assert file_origin(config.files()["mechanism"], "mechanism").kind == "given"
    ours = find("flame-premixed").Config()
    assert file_origin(ours.files()["mechanism"], "mechanism").name == MECHANISM


def test_a_bundled_file_may_be_installed_elsewhere_when_a_run_is_resumed(tmp_path: Path) -> None:
    from retrodict.cases.record import RunFolder

    ours = bundled(MECHANISM)
    moved, other = tmp_path / "1S_CH4_MP1.yaml", tmp_path / "other.yaml"
    moved.write_bytes(ours.read_bytes())
    other.write_bytes(ours.read_bytes() + b"#\n")
    gone = {"path": "/elsewhere/1S_CH4_MP1.yaml", "sha256": sha256(ours)}
    folder = RunFolder(tmp_path, {"inputs": {"mechanism": gone}})
    folder.check_files({"mechanism": moved})
    with pytest.raises(DataError, match="a changed file"):
        folder.check_files({"mechanism": other})
    with pytest.raises(DataError, match="no file"):
        folder.check_files()


def test_a_case_that_declares_nothing_is_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from retrodict.cases import show

    done = run(still(), out=tmp_path / "r")
    show.outcome(Console(), Console(stderr=True), done)
    assert capsys.readouterr().out.startswith("origin of the data not declared\n")
    assert "Origin of the data not declared" in (done.folder / "report.html").read_text()
    assert summary(stored(read_provenance(done.folder))) == "undeclared"


def test_folders_of_earlier_versions_are_still_reported(tmp_path: Path) -> None:
    from retrodict.cases.record import RunFolder

    done = run(still(origin="a pendulum"), out=tmp_path / "r")
    folder = RunFolder(done.folder, read_provenance(done.folder))
    del folder.provenance["origins"]
    folder.seal()
    assert "Origin of the data not declared" in report(done.folder)[0].read_text()
    assert resume(done.folder, case=still()) is None


WAITING = still(needs_data="at the observatory", simulate=None, problem=lambda _c, _s, _d: None)


@pytest.mark.parametrize("verb", [run, fit, validate])
def test_a_case_without_its_data_is_refused_and_leaves_nothing(tmp_path: Path, verb: Callable[..., object]) -> None:
    with pytest.raises(NeedsDataError, match=r"still: got no data, expected a fit with --data: at the observatory"):
        verb(WAITING, out=tmp_path / "f")
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("verb", ["run", "fit", "validate"])
def test_3c391_is_not_simulated(cli: Cli, verb: str) -> None:
    done = cli(verb, "radio-3c391", "--out", "f")
    assert done.exit_code == 2
    assert "--data" in done.stderr
    assert "https://github.com/basp-group/SARA-CALIB-realdata" in done.stderr
    assert not Path("f").exists()


def test_tables_list_what_waits_as_neither_ok_nor_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = [Entry(n, "tests", "A case.", n) for n in ("still", "waiting")]
    known = {"still": still(origin="a pendulum"), "waiting": WAITING}
    monkeypatch.setattr(demo_module, "entries", lambda: only)
    monkeypatch.setattr(demo_module, "load", known.__getitem__)
    monkeypatch.setattr("retrodict.cases.members.find", known.__getitem__)
    table = demo_module.demo(out=tmp_path / "d")
    rows = {r.label: r for r in table.rows}
    assert (rows["still run"].data, rows["still run"].ok) == ("simulated", True)
    assert (rows["waiting fit"].status, rows["waiting fit"].ok) == (NEEDS_DATA, False)
    assert rows["waiting fit"].waits
    page = (tmp_path / "d" / "index.html").read_text()
    assert '<span class="badge warn">1 waiting for data</span>' in page
    assert "<td>simulated</td>" in page


def test_a_sweep_waits_for_data_too(cli: Cli) -> None:
    swept = cli("sweep", "radio-3c391", "--grid", "seed=1,2", "--workers", "1", "--out", "s")
    assert swept.exit_code == 2  # nothing was done: it is neither right nor wrong, but asked for wrongly
    assert swept.stdout.count(NEEDS_DATA) == 2


def test_validate_all_is_not_failed_by_what_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo_module, "entries", lambda: [Entry("radio-3c391", "radio", "A case.", "x")])
    table = demo_module.validate_all(out=tmp_path / "v")
    assert table.ok
    assert [r.status for r in table.rows] == [NEEDS_DATA]
    assert not carry_out(Member("a", "fly", WAITING, tmp_path / "f")).waits


def test_a_file_whose_stamp_is_not_of_ours_is_a_file_of_the_user(tmp_path: Path) -> None:
    for number, stamp in enumerate(('{"origins": [{"kind": "simulated", "what": ["x"]}]}', '{"origins": 3}', "[")):
        path = tmp_path / f"{number}.nc"
        xr.Dataset({"a": ("i", [1.0])}, attrs={"provenance": stamp}).to_netcdf(path)
        assert file_origin(path, "observations", "0").kind == "given"
