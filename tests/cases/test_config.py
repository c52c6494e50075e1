"""Settings: precedence, refusals that name the key, and TOML that reads back."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from retrodict.cases import registry
from retrodict.cases.case import Case
from retrodict.cases.config import (
    CaseConfig,
    Settings,
    config_hash,
    describe,
    parse_assignments,
    read_settings,
    resolve,
    setting,
)
from retrodict.cases.prepare import prepare
from retrodict.cases.sweep import parse_grid
from retrodict.cases.toml import setting_text, to_toml
from retrodict.physics.errors import ConfigError, DataError
from retrodict.solvers.files import read_json


class Grid(Settings):
    n: int = setting(10, "", "cells", ge=1)
    length: float = setting(1.0, "m", "extent", gt=0)


class Config(CaseConfig):
    rate: float = setting(0.1, "s-1", "decay rate", gt=0)
    shape: tuple[int, ...] = (1, 2)
    label: str | None = None
    grid: Grid = Grid()


CASE = Case(
    "toy", "tests", "A toy.", Config, lambda _c, _s: xr.Dataset(), {"smoke": {"rate": 0.2, "grid": {"n": 5}, "seed": 4}}
)


def test_precedence_preset_file_set_option(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("rate = 0.3\nshape = [7]\n[grid]\nlength = 2.0\n")
    _, config = prepare(CASE, preset="smoke", config=file, settings={"rate": 0.4}, seed=9)
    assert config.rate == 0.4  # --set over file over preset
    assert config.shape == (7,)  # file over default
    assert (config.grid.n, config.grid.length) == (5, 2.0)  # groups merge
    assert config.seed == 9  # option over all


def test_the_config_of_an_earlier_run_is_a_settings_file(tmp_path: Path) -> None:
    config = resolve(CASE, "smoke", ("--set", {"rate": 0.7}))
    file = tmp_path / "config.toml"
    file.write_text(to_toml({"retrodict": {"case": "toy"}, "settings": config.model_dump(mode="json")}))
    assert resolve(CASE, "paper", (str(file), read_settings(file, "toy"))) == config
    with pytest.raises(ConfigError, match="settings of case 'toy'"):
        read_settings(file, "another")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rat": 1.0}, "--set rat: got an unknown key.*did you mean 'rate'"),
        ({"grid": {"m": 1}}, r"--set grid\.m: got an unknown key.*did you mean 'n'"),
        ({"grid": {"lenght": 1}}, "did you mean 'length'"),
        ({"rate": "fast"}, "--set rate: got 'fast', expected a valid number"),
        ({"rate": -1.0}, "--set rate: got -1.0, expected greater than 0"),
        ({"rate": float("nan")}, "--set rate: got nan, expected a finite number"),
        ({"rate": True}, "--set rate: got True"),
        ({"seed": 1.5}, "--set seed: got 1.5, expected a valid integer"),
        ({"seed": "1"}, "--set seed: got '1', expected a valid integer"),
        ({"seed": -1}, "--set seed: got -1, expected greater than or equal to 0"),
        ({"grid": 3}, "--set grid: got 3"),
        ({"shape": [1.5]}, r"--set shape\.0: got 1.5"),
        ({"device": "tpu"}, "--set device: got 'tpu', expected one of cpu, cuda, cuda:N"),
    ],
)
def test_refusals_say_where_what_and_expected(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(CASE, "default", ("--set", settings))


def test_every_fault_is_named_with_its_layer() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(CASE, "default", ("my.toml", {"rate": "x"}), ("--set", {"sed": 1}))
    assert "my.toml rate" in str(caught.value)
    assert "--set sed" in str(caught.value)


def test_an_absent_device_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="one of the 0 CUDA devices"):
        prepare(CASE, device="cuda:3")


def test_unknown_preset_names_the_known() -> None:
    with pytest.raises(ConfigError, match="one of smoke, default, paper"):
        resolve(CASE, "fast")


@pytest.mark.parametrize("text", ["rate", "=1", "  =1"])
def test_assignments_need_key_and_value(text: str) -> None:
    with pytest.raises(ConfigError, match="key=value"):
        parse_assignments([text])


def test_a_value_cannot_be_a_group() -> None:
    with pytest.raises(ConfigError, match="to be a group"):
        parse_assignments(["grid=1", "grid.n=2"])


@pytest.mark.parametrize("content", [b"rate = ", b"\xff\xfe", b"[a\n"])
def test_files_that_are_not_toml(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not TOML"):
        read_settings(file, "toy")
    with pytest.raises(ConfigError, match="no readable file"):
        read_settings(tmp_path, "toy")


HEADED = '[retrodict]\ncase = "toy"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADED + "[setings]\nrate = 1.0\n", r"unknown key 'setings'.*did you mean 'settings'\?"),
        ("rate = 1.0\n" + HEADED + "[settings]\n", "unknown key 'rate', expected .* which holds all settings"),
        (HEADED + 'presett = "paper"\n[settings]\n', r"\[retrodict\]: got the unknown key 'presett'.*'preset'"),
        (HEADED + "settings = 3\n", "unknown key 'settings'"),
        (HEADED, r"\[settings\]: got no table"),
        (HEADED + "[settings]\nrate = 1.0\n[Settings]\n", "unknown key 'Settings'"),
    ],
)
def test_a_file_with_a_heading_loses_nothing_in_silence(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        prepare(CASE, config=file)


@pytest.mark.parametrize("depth", [250, 500, 100_000])
def test_nesting_beyond_all_measure_is_an_error_of_ours(tmp_path: Path, depth: int) -> None:
    file = tmp_path / "a.toml"
    for text in ("shape = " + "[" * depth + "]" * depth, "grid = " + "{a = " * depth + "1" + "}" * depth):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            prepare(CASE, config=file)
        assert len(str(caught.value)) < 5000
        with pytest.raises(ConfigError):
            prepare(CASE, settings=parse_assignments([text]))
        if depth > 1000:
            with pytest.raises(ConfigError, match="nested"):
                parse_grid([text])
    (tmp_path / "a.json").write_text("[" * depth + "]" * depth)
    if depth > 1000:
        with pytest.raises(DataError, match="nested too deeply"):
            read_json(tmp_path / "a.json")


def test_settings_are_frozen_and_described() -> None:
    config = resolve(CASE, "default")
    with pytest.raises(ValueError, match="frozen"):
        config.rate = 2.0  # type: ignore[misc]
    rows = {r["name"]: r for r in describe(config)}
    assert rows["grid.length"] == {"name": "grid.length", "value": 1.0, "units": "m", "help": "extent"}
    assert config_hash(config) == config_hash(resolve(CASE, "smoke", ("x", config.model_dump(mode="json"))))


leaves = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
tables = st.dictionaries(
    keys, leaves | st.lists(leaves, max_size=3) | st.dictionaries(keys, leaves, max_size=3), max_size=4
)


@given(leaves | st.lists(leaves, max_size=3))
def test_the_text_of_a_setting_gives_it_back(value: object) -> None:
    assert tomllib.loads(f"x = {setting_text(value)}")["x"] == value


def test_settings_from_python_are_shown_as_from_the_command_line() -> None:
    given = (np.float64(101325), np.int64(3), np.array([1.5]), Path("a/b"), None)
    assert [setting_text(v) for v in given] == ["101325.0", "3", "[1.5]", '"a/b"', "–"]


@given(tables)
def test_toml_reads_back(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_toml_has_no_word_for_an_object() -> None:
    with pytest.raises(ConfigError, match="a: got object"):
        to_toml({"a": object()})


@pytest.mark.parametrize("key", ["rate", "grid.length"])
@pytest.mark.parametrize("value", ["1e-300", "1e300"])
def test_a_number_whose_square_is_none_is_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"--set {key}: got {re.escape(repr(float(value)))}, expected 0 or"):
        resolve(CASE, "smoke", ("--set", parse_assignments([f"{key}={value}"])))


def test_a_whole_number_that_no_array_can_hold_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--set shape: got .*, expected a whole number of at most 9223372036854775807"
    ):
        resolve(CASE, "smoke", ("--set", parse_assignments([f"shape=[1, {10**30}]"])))


@pytest.mark.parametrize("name", [entry.name for entry in registry.entries()])
def test_every_number_has_limits_on_both_sides(name: str) -> None:
    for key, field in registry.find(name).Config.model_fields.items():
        if field.annotation in (int, float) and key != "seed":
            for sides in (("ge", "gt"), ("le", "lt")):
                assert any(hasattr(limit, side) for limit in field.metadata for side in sides), f"{name}: {key}"
