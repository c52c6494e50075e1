"""The example plug-in of the manual, announced as an installed distribution would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "retrodict_cooling"

Cli = Callable[..., Result]


def announce(folder: Path, name: str, **points: str) -> None:
    """Write the metadata of a distribution with entry points."""
    info = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    lines = [f"{key} = {target}" for key, target in points.items()]
    (info / "entry_points.txt").write_text("[retrodict.cases]\n" + "\n".join(lines) + "\n")


@pytest.fixture
def cooling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install the example for one test; return the name of its case."""
    announce(tmp_path / "site", "retrodict-cooling", cooling="retrodict_cooling:case")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "cooling"


@pytest.fixture
def cli(cooling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in this process, in a fresh folder, with the example installed."""
    from retrodict.cases.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")

    def call(*words: object) -> Result:
        result = CliRunner().invoke(app, [str(w) for w in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out: they take most of the time of a small fit."""
    monkeypatch.setattr("retrodict.cases.plots.draw", lambda _folder, _figures: [])
