"""Whether an answer holds: the first thing that the terminal, the report and the tables say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from retrodict.solvers.result import load_dataset, save_dataset

from .conftest import Cli


@pytest.fixture
def wrong(cli: Cli, no_figures: None) -> Path:
    """Measurements of a body that does not cool exponentially: a second law is at work."""
    assert cli("run", "cooling", "--out", "made").exit_code == 0
    data = load_dataset(Path("made/result.nc"))
    late = xr.where(data["time"] > float(data["time"].mean()), 6.0, 0.0)
    save_dataset(data.assign(temperature=(data["temperature"] + late).assign_attrs(units="K")), Path("wrong.nc"))
    return Path("wrong.nc")


def test_a_fit_that_holds_says_so_first(cli: Cli, no_figures: None) -> None:
    done = cli("fit", "cooling", "--out", "f")
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("SIMULATED", "data:"))]
    assert lines[0].strip() == "assessment: holds"
    assert lines[1].strip().startswith("reduced chi-squared")
    page = Path("f/report.html").read_text()
    assert page.index('class="assessment good"') < page.index("<h2>")
    assert json.loads(Path("f/provenance.json").read_text())["assessment"]["word"] == "holds"


def test_wrong_data_are_a_misfit_on_the_terminal_in_the_report_and_in_the_intervals(cli: Cli, wrong: Path) -> None:
    done = cli("fit", "cooling", "--data", wrong, "--set", "noise=0.5", "--out", "f")
    assert done.exit_code == 0
    assert "assessment: misfit" in done.stdout
    assert "identified by the data" not in done.stdout
    post = load_dataset(Path("f/posterior.nc"))
    assert np.all(post["std"] > 1.5 * post["std_laplace"])
    page = Path("f/report.html").read_text()
    assert 'class="assessment bad"' in page
    assert "std of Laplace" in page
    assert "identified by the data" not in page
    # strict: a misfit is a failure, of fresh and of resumed runs and of sweeps
    assert cli("fit", "cooling", "--data", wrong, "--set", "noise=0.5", "--out", "g", "--strict").exit_code == 1
    sweep = (
        "sweep",
        "cooling",
        "--grid",
        "seed=1,2",
        "--data",
        wrong,
        "--set",
        "noise=0.5",
        "--workers",
        1,
        "--out",
        "s",
    )
    told = cli(*sweep)
    assert told.exit_code == 0
    assert told.stdout.count(" is misfit: reduced chi-squared") == 2
    assert "assessment" in Path("s/sweep.csv").read_text().splitlines()[0]
    assert load_dataset(Path("s/sweep.nc"))["assessment"].values.tolist() == ["misfit", "misfit"]
    assert Path("s/index.html").read_text().count(">misfit<") == 2
    again = cli(*sweep, "--strict")
    assert again.exit_code == 1


def test_compare_tells_assessments_apart(cli: Cli, wrong: Path) -> None:
    assert cli("fit", "cooling", "--out", "a").exit_code == 0
    assert cli("fit", "cooling", "--data", wrong, "--set", "noise=0.5", "--out", "b").exit_code == 0
    told = cli("compare", "a", "b")
    assert any("assessment" in line and "holds" in line and "misfit" in line for line in told.stdout.splitlines())


def test_a_run_that_had_ended_keeps_its_exit_code(cli: Cli, wrong: Path) -> None:
    assert cli("fit", "cooling", "--set", "max_steps=1", "--out", "short").exit_code == 1
    told = cli("resume", "short")
    assert told.exit_code == 1
    assert "the largest number of steps was reached" in told.stdout
    assert "status: max-steps" in told.stdout
    assert cli("fit", "cooling", "--data", wrong, "--set", "noise=0.5", "--out", "f").exit_code == 0
    assert cli("resume", "f").exit_code == 0
    assert cli("resume", "f", "--strict").exit_code == 1


def test_settings_over_a_group_and_reports_inside_a_run_are_refused(cli: Cli, no_figures: None) -> None:
    assert cli("sweep", "cooling", "--set", "seed=1", "--grid", "seed.x=1,2", "--out", "s").exit_code == 2
    assert cli("run", "cooling", "--set", "seed.x=1", "--set", "seed=1", "--out", "r").exit_code == 2
    assert cli("run", "cooling", "--out", "r").exit_code == 0
    assert cli("report", "r", "--out", "r/again.html").exit_code == 2
    assert not Path("r/again.html").exists()


def test_settings_of_the_user_in_the_folder_are_not_overwritten(cli: Cli, no_figures: None) -> None:
    assert cli("run", "cooling", "--out", "r").exit_code == 0
    Path("u").mkdir()
    Path("u/config.toml").write_text(Path("r/config.toml").read_text() + "# mine\n")
    assert cli("run", "cooling", "--config", "u/config.toml", "--out", "u").exit_code == 2
    assert Path("u/config.toml").read_text().endswith("# mine\n")
