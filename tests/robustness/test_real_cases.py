"""One case a system: a signal, or an inner solve that breaks down, through each of its verbs."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from retrodict.physics.seeds import Seeds
from retrodict.solvers import iterate as loop

pytestmark = pytest.mark.slow

CASES = ("motion-steering", "pde-convection", "flame-simplified", "radio-eht")
VERBS = ("run", "fit", "validate")


@pytest.fixture
def verb_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], tuple[Result, str]]]:
    """Call a verb of a case in this process; return what it printed, and the status in its folder."""
    from retrodict.cases.cli import app

    def call(verb: str, case: str) -> tuple[Result, str]:
        result = CliRunner().invoke(app, [verb, case, "--preset", "smoke", "--out", str(tmp_path / "r")])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert (tmp_path / "r" / "provenance.json").exists(), result.output
        return result, str(json.loads((tmp_path / "r" / "provenance.json").read_text())["status"])

    monkeypatch.setattr("retrodict.cases.plots.draw", lambda _folder, _figures: [])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield call
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_signal_is_130_and_interrupted(
    verb: str, case: str, verb_of: Callable[[str, str], tuple[Result, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = signal.SIGTERM if (VERBS.index(verb) + CASES.index(case)) % 2 else signal.SIGINT
    append, stream, sent = loop._History.append, Seeds.stream, []

    def step(self: object, metrics: dict[str, float]) -> None:
        append(self, metrics)  # type: ignore[arg-type]
        if not sent and metrics:
            sent.append("in a solve")
            signal.raise_signal(number)

    def draw(self: Seeds, name: str) -> np.random.Generator:
        sent.append("outside of any")
        signal.raise_signal(number)
        return stream(self, name)

    if (verb, case) == ("run", "motion-steering"):  # solves nothing
        monkeypatch.setattr(Seeds, "stream", draw)
    monkeypatch.setattr(loop._History, "append", step)
    done, status = verb_of(verb, case)
    assert len(sent) == 1, done.output
    assert (done.exit_code, status) == (130, "interrupted")
    assert "retrodict resume" in done.stderr
    assert "Traceback" not in done.stderr


# the simulation of a steering log solves nothing; that of forecasts fits the law of tracks
@pytest.mark.parametrize(
    ("verb", "case"),
    [(v, "motion-calibration" if (v, c) == ("run", "motion-steering") else c) for c in CASES for v in VERBS],
)
def test_a_solve_that_breaks_down_is_1_and_never_ok(
    verb: str, case: str, verb_of: Callable[[str, str], tuple[Result, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "math", SimpleNamespace(isfinite=lambda _: False))
    done, status = verb_of(verb, case)
    assert (done.exit_code, status) == (1, "non-finite" if verb == "fit" else "failed")
    assert "Traceback" not in done.stderr
