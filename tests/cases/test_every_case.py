"""What every case of the registry promises, plug-ins included."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrodict.cases.case import PRESETS
from retrodict.cases.checks import judge
from retrodict.cases.config import describe, resolve
from retrodict.cases.contracts import model_checks
from retrodict.cases.members import Member, carry_out
from retrodict.cases.registry import entries, load
from retrodict.cases.verbs import fit, run, validate

CASES = [e.name for e in entries() if not e.error]
TARGETS = {e.name: e.target for e in entries()}


@pytest.mark.parametrize("name", CASES)
def test_presets_resolve_and_settings_are_explained(name: str) -> None:
    case = load(TARGETS[name])
    for preset in PRESETS:
        config = resolve(case, preset)
    assert all(row["help"] for row in describe(config))


@pytest.mark.slow  # at every commit the table of contracts holds the same models to one seed
@pytest.mark.parametrize("name", CASES)
def test_adjoints_and_derivatives(name: str) -> None:
    verdicts = [judge(c) for c in model_checks(load(TARGETS[name]).models())]
    assert [f"{v.name}: {v.error} {v.note}" for v in verdicts if not v.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_verb_works_at_the_smoke_preset_with_all_its_figures(name: str, tmp_path: Path) -> None:
    case = load(TARGETS[name])
    if case.needs_data:
        assert carry_out(Member(name, "fit", case, tmp_path / "fit", {"preset": "smoke"})).waits
        return
    done = [run(case, preset="smoke", out=tmp_path / "run"), validate(case, preset="smoke", out=tmp_path / "validate")]
    if case.problem is not None:
        done.append(fit(case, preset="smoke", out=tmp_path / "fit"))
    for outcome in done:
        assert outcome.ok, outcome.folder.name
        assert outcome.warnings == (), outcome.folder.name
