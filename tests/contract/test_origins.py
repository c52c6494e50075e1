"""Every case of the suite says where its data come from, or that it needs the user's."""

import json

import pytest

from retrodict.cases.config import resolve
from retrodict.cases.data import REFERENCE_DATA
from retrodict.cases.origin import bundled_data, declared
from retrodict.cases.registry import entries, load

CASES = {e.name: e.target for e in entries() if e.origin == "retrodict"}
# an observation that bears a name may not be replaced by a simulation
REAL = {
    "flame-speeds": "bundled",
    "motion-calibration": "bundled",
    "motion-tracks": "bundled",
    "radio-eht": "bundled",
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_declares_its_data_for_every_verb(name):
    case = load(CASES[name])
    if case.needs_data:
        assert case.origin is None
        assert case.verbs == ("fit",)
        return
    config = resolve(case, "smoke", ("test", {"seed": 7}))
    for verb in case.verbs:
        told = declared(case, config, verb, None)
        assert {o.kind for o in told} <= {"simulated", "bundled", "none"}
        assert told, verb
        for origin in told:
            assert origin.what
            assert origin.seed == (7 if origin.kind == "simulated" else None)
            assert bool(origin.sha256) == (origin.kind == "bundled")
    if "fit" in case.verbs:
        kinds = {o.kind for o in declared(case, config, "fit", None)}
        assert kinds == {REAL[name]} if name in REAL else "bundled" not in kinds


def test_every_bundled_file_has_a_source_and_a_licence():
    names = json.loads((REFERENCE_DATA / "manifest.json").read_text())
    for name, digest in names.items():
        told = bundled_data(name)
        assert (told.kind, told.name, told.sha256) == ("bundled", name, digest)
        assert told.what
        assert told.source
        assert not told.source.startswith("same")
        assert any(word in told.licence for word in ("MIT", "BSD", "CC BY", "PDDL"))
        assert "http" not in f"{told}"


@pytest.mark.parametrize("name", CASES)
def test_no_preset_states_a_fact_of_a_users_data(name):
    case = load(CASES[name])
    for preset in case.presets:
        assert not any(resolve(case, preset).given(fact) for fact in case.Config.facts())
