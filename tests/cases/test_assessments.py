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
