"""The verbs from end to end on the example of the manual, through the command line."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from retrodict.cases import verbs
from retrodict.cases.case import Case
from retrodict.cases.checks import Analytic, Check, Published
from retrodict.cases.config import CaseConfig
from retrodict.cases.registry import find
from retrodict.physics.errors import ConfigError, DataError, SolverError
from retrodict.physics.seeds import Seeds
from retrodict.solvers.result import load_dataset, save_dataset

from .conftest import Cli


def test_run_leaves_a_whole_folder(cli: Cli) -> None:
    done = cli("run", "cooling", "--preset", "smoke", "--set", "rate=0.03", "--seed", "7", "--out", "r")
    assert done.exit_code == 0
    names = {"config.toml", "provenance.json", "log.jsonl", "result.nc", "report.html"}
    assert names <= {p.name for p in Path("r").iterdir()}
    stored = tomllib.loads(Path("r/config.toml").read_text())
    assert stored["retrodict"] == {**stored["retrodict"], "case": "cooling", "verb": "run", "preset": "smoke"}
    assert (stored["settings"]["rate"], stored["settings"]["seed"], stored["settings"]["noise"]) == (0.03, 7, 0.2)
    about = json.loads(Path("r/provenance.json").read_text())
    assert about["status"] == "ok"
    assert about["ended"] >= about["started"]
    assert set(about["files"]) >= names - {"provenance.json"}
    assert about["packages"]["numpy"] == np.__version__
    assert load_dataset(Path("r/result.nc"))["temperature"].attrs["units"] == "K"
    events = [json.loads(line)["event"] for line in Path("r/log.jsonl").read_text().splitlines()]
    assert (events[0], events[-1]) == ("start", "end")


def test_fit_recovers_the_truth_and_reports_it(cli: Cli, tmp_path: Path) -> None:
    done = cli("fit", "cooling", "--out", "f")
    assert done.exit_code == 0
    assert "identified by the data" in done.stdout
    post = load_dataset(Path("f/posterior.nc"))
    pull = np.abs((post["estimate"] - post["truth"]) / post["std"]).values
    assert np.all(pull < 4)
    page = Path("f/report.html").read_text()
    assert "Does the model describe the data?" in page
    assert "s⁻¹" in page
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r"(?:src|href)=\"(?!data:)", page), "the report must open offline"
    assert "http" not in page
    assert str(tmp_path) not in page
    assert json.loads(Path("f/provenance.json").read_text())["notes"] == []


def test_the_report_is_rebuilt_as_it_was(cli: Cli) -> None:
    cli("fit", "cooling", "--out", "f")
    before = Path("f/report.html").read_text()
    Path("f/report.html").write_text("spoiled")
    assert cli("report", "f").exit_code == 0
    assert Path("f/report.html").read_text() == before
    assert cli("report", "f").stderr == ""


def test_a_changed_figure_is_told_and_a_changed_result_refused(cli: Cli) -> None:
    cli("fit", "cooling", "--out", "f")
    figure = next(Path("f/figures").glob("*.png"))
    figure.write_bytes(figure.read_bytes() + b"\0")
    done = cli("report", "f")
    assert done.exit_code == 0
    assert f"figures/{figure.name} has changed" in done.stderr
    figure.write_bytes(b"no image")
    assert cli("report", "f").exit_code == 0
    assert Path("f/report.html").read_text().count("data:image/png;base64,") == 2
    for name in ("posterior.nc", "config.toml"):
        path = Path("f") / name
        raw = path.read_bytes()
        path.write_bytes(raw + b"\n")
        for words in (("report", "f"), ("compare", "f", "f"), ("resume", "f")):
            refused = cli(*words)
            assert refused.exit_code == 3
            assert name in refused.stderr
        path.write_bytes(raw)
    Path("f/history.nc").unlink()
    refused = cli("resume", "f")
    assert refused.exit_code == 3
    assert "history.nc: got a file that is missing" in refused.stderr


def test_validate_passes_and_judges_the_models(cli: Cli) -> None:
    done = cli("validate", "cooling", "--out", "v")
    assert done.exit_code == 0
    verdicts = json.loads(Path("v/verdicts.json").read_text())
    assert [v["name"] for v in verdicts] == ["temperature", "adjoint of body", "derivative of body"]
    assert "3 of 3 checks passed" in Path("v/report.html").read_text()


def _still(**changes: object) -> Case[CaseConfig]:
    plain = Case("still", "tests", "Nothing moves.", CaseConfig, lambda _c, _s: xr.Dataset({"x": ("i", [1.0])}))
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_failed_checks_are_reported_not_dropped(tmp_path: Path) -> None:
    checks = [
        Check("fine", lambda: 1.0, Analytic(1.0, "one"), 0.0),
        Check("missed <b>", lambda: 1.2, Published(1.0, "Table 2 & more"), 0.01),
        Check("broken", lambda: 1 / 0, Analytic(1.0, "one"), 0.0),
    ]
    done = verbs.validate(_still(checks=lambda _c, _s: checks), out=tmp_path / "v")
    assert not done.ok
    page = (tmp_path / "v" / "report.html").read_text()
    assert "missed &lt;b&gt;" in page  # and nothing of a name is taken as markup
    assert "Table 2 &amp; more" in page
    assert ">missed</span>" in page
    assert "ZeroDivisionError" in page
    assert json.loads((tmp_path / "v" / "provenance.json").read_text())["status"] == "failed"
    assert verbs.resume(tmp_path / "v") is None


def test_validation_without_a_check_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one check"):
        verbs.validate(_still(), out=tmp_path / "v")


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_simulation_that_is_not_finite_fails(tmp_path: Path, bad: float) -> None:
    case = _still(simulate=lambda _c, _s: xr.Dataset({"x": ("i", [bad, bad])}))
    with pytest.raises(SolverError, match="simulated x"):
        verbs.run(case, out=tmp_path / "r")
    about = json.loads((tmp_path / "r" / "provenance.json").read_text())
    assert about["status"] == "failed"
    assert "simulated x" in about["message"]


def test_a_figure_that_fails_does_not_take_the_numbers_with_it(tmp_path: Path) -> None:
    def broken(data: xr.Dataset) -> None:
        raise KeyError("no such variable")

    done = verbs.run(_still(figures={"A figure": broken}), out=tmp_path / "r")
    assert "no such variable" in done.warnings[0]
    assert "could not be drawn" in (tmp_path / "r" / "report.html").read_text()


def test_out_is_never_overwritten(cli: Cli) -> None:
    Path("taken").mkdir()
    Path("taken/note.txt").write_text("mine")
    Path("file").write_text("mine")
    for out in ("taken", "file"):
        for verb in ("run", "fit", "validate"):
            done = cli(verb, "cooling", "--out", out)
            assert done.exit_code == 2
            assert f"--out: got {out}, which is not empty" in done.stderr
    assert Path("taken/note.txt").read_text() == "mine"
    assert list(Path("taken").iterdir()) == [Path("taken/note.txt")]
    assert cli("demo", "--out", "taken").exit_code == 2
    assert cli("sweep", "cooling", "--grid", "rate=0.1", "--out", "taken").exit_code == 2
    Path("empty").mkdir()
    assert cli("run", "cooling", "--out", "empty").exit_code == 0
    assert cli("run", "cooling", "--out", "file/under").exit_code == 2


def test_a_signal_during_a_simulation_is_130_and_resume_starts_it_again(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, calls = find("cooling"), [0]
    simulate = case.simulate

    def interrupted(config: CaseConfig, seeds: Seeds) -> xr.Dataset:
        calls[0] += 1
        if calls[0] == 1:
            raise KeyboardInterrupt
        return simulate(config, seeds)

    monkeypatch.setitem(vars(case), "simulate", interrupted)
    assert cli("run", "cooling", "--out", "r").exit_code == 130
    assert json.loads(Path("r/provenance.json").read_text())["status"] == "interrupted"
    assert cli("resume", "r").exit_code == 0
    assert load_dataset(Path("r/result.nc"))["temperature"].size == 40


def test_the_default_folder_is_named_after_case_and_verb(cli: Cli) -> None:
    assert cli("run", "cooling").exit_code == 0
    assert cli("run", "cooling").exit_code == 0
    assert len(list(Path("runs").glob("cooling-run-2*"))) == 2


def test_a_folder_in_use_is_told(cli: Cli) -> None:
    cli("run", "cooling", "--out", "r")
    with Path("r/.lock").open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write("process 123 (fit)")
        stream.flush()
        for words in (("resume", "r"), ("report", "r"), ("compare", "r", "r")):
            done = cli(*words)
            assert done.exit_code == 2
            assert "in use by process 123 (fit)" in done.stderr
    assert cli("report", "r").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "coolin"), "did you mean 'cooling'"),
        (("run", "cooling", "--set", "rat=1"), "did you mean 'rate'"),
        (("run", "cooling", "--set", "rate=fast"), "--set rate: got 'fast'"),
        (("run", "cooling", "--set", "rate"), "key=value"),
        (("run", "cooling", "--preset", "quick"), "one of smoke, default, paper"),
        (("run", "cooling", "--config", "none.toml"), "no readable file"),
        (("run", "cooling", "--seed", "-1"), "seed: got -1"),
        (("run", "cooling", "--device", "gpu"), "one of cpu, cuda"),
        (("run", "cooling", "--seed", "x"), "valid integer"),
        (("run",), "Missing argument"),
        (("fly",), "No such command"),
        (("validate",), "name one CASE, or give --all"),
        (("validate", "cooling", "--all"), "name one CASE, or give --all"),
        (("validate", "--all", "--set", "rate=1"), "belong to one case"),
        (("sweep", "cooling"), "at least one --grid"),
        (("sweep", "cooling", "--grid", "rate"), "key=value,value"),
        (("sweep", "cooling", "--grid", "rate=1", "--grid", "rate=2"), "each key once"),
        (("sweep", "cooling", "--grid", "rate=0.1,-1"), "--set rate: got -1"),
        (("sweep", "cooling", "--grid", "rat=1,2"), "did you mean 'rate'"),
        (("sweep", "cooling", "--grid", "rate=1", "--verb", "fly"), "one of run, fit, validate"),
    ],
)
def test_wrong_usage_is_told_and_leaves_nothing(cli: Cli, words: tuple[str, ...], message: str) -> None:
    done = cli(*words)
    assert done.exit_code == 2
    assert message in re.sub(r"[│\s]+", " ", done.stderr)
    assert "Traceback" not in done.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize("verb", ["resume", "report"])
def test_folders_that_are_no_run(cli: Cli, verb: str) -> None:
    Path("empty").mkdir()
    for path in ("absent", "empty"):
        done = cli(verb, path)
        assert done.exit_code == 3
        assert "expected a run folder" in done.stderr
    assert list(Path("empty").iterdir()) == []


def _readings(path: Path, **changes: object) -> Path:
    time = np.linspace(0.0, 120.0, 40)
    values = np.asarray(changes.get("values", 50.0 * np.exp(-0.03 * time)))
    dims = str(changes.get("dims", "time"))
    array = xr.DataArray(values, dims=dims, attrs={"units": changes.get("units", "K")})
    dataset = xr.Dataset({str(changes.get("name", "temperature")): array})
    if changes.get("foreign"):
        dataset.to_netcdf(path, engine="netcdf4")
    else:
        save_dataset(dataset, path)
    return path


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("foreign", [False, True])
def test_fit_of_a_users_file_converts_units_and_remembers_it(cli: Cli, foreign: bool) -> None:
    time = np.linspace(0.0, 120.0, 40)
    file = _readings(Path("mine.nc"), values=5e4 * np.exp(-0.03 * time), units="mK", foreign=foreign)
    assert cli("fit", "cooling", "--data", file, "--set", "noise=0.5", "--out", "f").exit_code == 0
    post = load_dataset(Path("f/posterior.nc"))
    np.testing.assert_allclose(post["estimate"].values, [50.0, 0.03], rtol=1e-6)
    assert "truth" not in post
    data = json.loads(Path("f/provenance.json").read_text())["data"]
    assert data["name"] == "mine.nc"
    assert data["path"] == "../mine.nc"


def test_damaged_data_are_refused_before_any_work(cli: Cli) -> None:
    good = _readings(Path("good.nc")).read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 4
    cases = {"empty.nc": b"", "cut.nc": good[:900], "text.nc": b"temperature\n1\n2\n", "flipped.nc": bytes(flipped)}
    for name, raw in cases.items():
        Path(name).write_bytes(raw)
    hole = 50.0 * np.exp(-0.03 * np.linspace(0.0, 120.0, 40))
    hole[3] = np.nan
    files = [
        *map(Path, cases),
        Path("absent.nc"),
        Path(),
        _readings(Path("hole.nc"), values=hole),
        _readings(Path("units.nc"), units="m"),
        _readings(Path("dims.nc"), dims="place"),
        _readings(Path("name.nc"), name="warmth"),
        _readings(Path("length.nc"), values=np.ones(12)),
    ]
    for file in files:
        done = cli("fit", "cooling", "--data", file, "--set", "noise=0.5", "--out", "f")
        assert done.exit_code == 3, file
        assert "error: " in done.stderr
        assert not Path("f").exists()


def test_fit_needs_an_inverse_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'still' offers run, validate"):
        verbs.fit(_still(), out=tmp_path / "f")


def test_a_case_of_learning_needs_its_own_solver(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no solver"):
        verbs.fit(_still(problem=lambda _c, _s, _d: {"task": 1}), out=tmp_path / "f")
    with pytest.raises(KeyError):  # a fault of the case itself is not dressed as a fault of the user's data
        verbs.fit(_still(problem=lambda _c, _s, _d: {}["gone"]), out=tmp_path / "f")


@pytest.mark.usefixtures("no_figures")
def test_a_solve_that_does_not_converge_is_exit_one(cli: Cli) -> None:
    done = cli("fit", "cooling", "--set", "max_steps=2", "--out", "f")
    assert done.exit_code == 1
    assert "max-steps after 2 steps" in done.stderr
    assert "nothing to do" in cli("resume", "f").stdout
    assert "largest number of steps" in Path("f/report.html").read_text()


@pytest.mark.usefixtures("no_figures")
def test_compare_tells_what_differs(cli: Cli) -> None:
    for seed, out in ((0, "a"), (0, "b"), (1, "c")):
        cli("fit", "cooling", "--seed", seed, "--out", out)
    assert cli("compare", "a", "b").exit_code == 0
    differs = cli("compare", "a", "c")
    assert differs.exit_code == 1
    assert re.search(r"posterior.nc estimate .*differs", differs.stdout)
    assert re.search(r"setting seed .*differs", differs.stdout)
    cli("run", "cooling", "--out", "r")
    assert "absent" in cli("compare", "a", "r").stdout
    assert cli("compare", "a", "b", "--rtol", "-1").exit_code == 2
    close = cli("compare", "a", "c", "--rtol", "10")
    assert re.search(r"result.nc rate .*=", close.stdout)


@pytest.mark.usefixtures("no_figures")
def test_data_that_changed_or_went_is_told_on_resume(cli: Cli) -> None:
    file = _readings(Path("mine.nc"))
    cli("fit", "cooling", "--data", file, "--out", "f", "--set", "max_steps=3", "--set", "noise=0.5")
    about = json.loads(Path("f/provenance.json").read_text())
    from retrodict.cases.record import RunFolder

    folder = RunFolder(Path("f"), about)
    assert folder.data_file() is not None
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(DataError, match="a changed file"):
        folder.data_file()
    file.unlink()
    with pytest.raises(DataError, match="no file"):
        folder.data_file()


def test_names_of_verbs_are_those_of_the_manual(cli: Cli) -> None:
    text = cli("--help").stdout
    for verb in ("list", "run", "fit", "validate", "resume", "report", "compare", "sweep", "demo", "doctor"):
        assert re.search(rf"\b{verb}\b", text)
    assert "decay" not in text
    shown = cli("list", "cooling").stdout
    assert re.search(r"noise\s+0\.2\s+0\.5\s+0\.5\s+K", shown)
    assert find("cooling").verbs == ("run", "fit", "validate")


def test_settings_are_shown_to_the_last_digit(cli: Cli) -> None:
    assert cli("run", "cooling", "--set", "excess=101325", "--set", "rate=0.0123456789", "--out", "r").exit_code == 0
    page = Path("r/report.html").read_text()
    assert ">101325.0<" in page
    assert ">0.0123456789<" in page
    assert ">&#34;cpu&#34;<" in page
    cli("run", "cooling", "--out", "s")
    assert re.search(r"setting excess\s+101325\.0\s+60\.0", cli("compare", "r", "s").stdout)
    words = ("--verb", "run", "--grid", "excess=101325,60", "--workers", "1", "--out", "w")
    assert "101325" in cli("sweep", "cooling", *words).stdout
    assert ">101325<" in Path("w/index.html").read_text()


def _letters(text: str) -> list[str]:
    return sorted(re.sub(r"\s", "", text))


@pytest.mark.usefixtures("no_figures")
def test_tables_fold_on_a_narrow_terminal_and_lose_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("run", "cooling", "--out", "f")
    cli("run", "cooling", "--set", "rate=0.0123456789", "--out", "g")
    sweep = ("sweep", "cooling", "--verb", "run", "--grid", "rate=0.0123456789", "--workers", "1", "--out", "s")
    for words in (("list",), ("list", "cooling"), ("compare", "f", "g"), sweep):
        cli(*words)  # a sweep is made once and then shown
        monkeypatch.setenv("COLUMNS", "1000")
        wide = cli(*words).stdout
        monkeypatch.setenv("COLUMNS", "60")
        narrow = cli(*words).stdout
        assert max(map(len, narrow.splitlines())) <= 60
        assert "…" not in narrow
        assert _letters(narrow) == _letters(wide)
