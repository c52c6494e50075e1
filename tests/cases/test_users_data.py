"""Facts about simulated data are no facts about a user's file: they are asked for, or read from the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from retrodict.cases.config import resolve
from retrodict.cases.data import bundled
from retrodict.cases.fit import set_up
from retrodict.cases.motion_calibration import Calibration
from retrodict.cases.motion_steering import Steering, simulate
from retrodict.cases.pde_inverse_setup import PdeInverse, draw
from retrodict.cases.prepare import prepare
from retrodict.cases.radio_eht_setup import M87
from retrodict.cases.registry import find
from retrodict.inverse.motion import calibration
from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.motion import tracks
from retrodict.physics.seeds import Seeds
from retrodict.solvers.result import save_dataset


def log_file(folder: Path) -> Path:
    data = simulate(Steering(duration=20.0), Seeds(0)).isel(track=0)
    lines = ["time[s],speed[m/s],yaw_rate[rad/s],steering[rad]"]
    lines += [
        ",".join(repr(float(v)) for v in row)
        for row in zip(data["time"], data["speed"], data["yaw_rate"], data["steering"], strict=True)
    ]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    return folder / "log.csv"


def samples_file(folder: Path) -> Path:
    seen = draw(PdeInverse(samples=20), np.random.default_rng(0), 20.0, 0.1)
    lines = [f"{x},{t},{u}" for x, t, u in zip(seen.x, seen.t, seen.u, strict=True)]
    (folder / "samples.csv").write_text("\n".join(["x,t,u", *lines]) + "\n")
    return folder / "samples.csv"


def ends_file(folder: Path) -> Path:
    ends = np.random.default_rng(0).normal([60.0, 20.0], 5.0, (50, 2))
    save_dataset(xr.Dataset({"position": (("sample", "axis"), ends, {"units": "m"})}), folder / "ends.nc")
    return folder / "ends.nc"


def flame_file(folder: Path) -> Path:
    (folder / "flame.csv").write_text("x,T\n2e-4,700\n5e-4,1200\n9e-4,1500\n1.2e-3,1550\n")
    return folder / "flame.csv"


def flames_file(folder: Path) -> Path:
    data = {"s_L": ("flame", [0.3, 0.1], {"units": "m s-1"})}
    save_dataset(xr.Dataset(data, {"flame": ["phi 0.8, 1 atm", "phi 0.8, 5 atm"]}), folder / "flames.nc")
    return folder / "flames.nc"


def m87_file(_folder: Path) -> Path:
    return bundled(M87)


ASKED = {
    "motion-steering": (log_file, ("yaw_rate_noise", "steering_noise")),
    "motion-moments": (ends_file, ("heading", "speed", "duration")),
    "pde-inverse": (samples_file, ("highest", "period", "duration")),
    "flame-simplified": (flame_file, ("phi", "atmospheres", "inlet_temperature", "slope", "length")),
    "flame-mechanism": (flames_file, ("temperature", "aligned", "noise")),
    "radio-eht": (m87_file, ("field", "flux", "disk", "blur", "systematic", "gain_spread", "shortest")),
    "cooling": (ends_file, ("noise",)),
}


@pytest.mark.usefixtures("cooling")
@pytest.mark.parametrize("name", ASKED)
def test_facts_are_asked_for_by_name_with_every_preset(name: str, tmp_path: Path) -> None:
    make, facts = ASKED[name]
    case, file = find(name), make(tmp_path)
    for preset in ("smoke", "default"):
        with pytest.raises(ConfigError, match="no value of ") as told:
            set_up(*prepare(case, preset=preset), file)
        assert str(file) in str(told.value)
        assert [n for n in case.Config.model_fields if f"{n} (" in str(told.value)] == list(facts)
    # one that is given is asked no more
    value = getattr(resolve(case, "default"), facts[-1])
    with pytest.raises((ConfigError, DataError)) as told:
        set_up(*prepare(case, settings={facts[-1]: value}), file)
    assert f"{facts[-1]} (" not in str(told.value)


def test_a_log_is_fitted_with_the_noise_that_was_given(tmp_path: Path) -> None:
    file = log_file(tmp_path)
    given = {"yaw_rate_noise": 0.02, "steering_noise": 0.004}
    wide, _ = set_up(*prepare("motion-steering", settings=given), file)
    narrow, _ = set_up(*prepare("motion-steering", settings={k: v / 2 for k, v in given.items()}), file)
    at = {"wheelbase": np.array(2.9), "understeer": np.array(0.0), "delay": np.array(0.0), "bias": np.array(0.0)}
    for name, slope in wide.gradient(at).items():
        np.testing.assert_allclose(narrow.gradient(at)[name], 4 * slope, rtol=1e-9)


@pytest.mark.parametrize(("step", "samples"), [(0.1, [10, 30, 50]), (0.04, [25, 75, 125])])
def test_horizons_are_seconds_at_any_sample_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float, samples: list[int]
) -> None:
    asked = []
    monkeypatch.setattr(calibration, "forecast_problem", lambda _t, _g, horizons, **_: asked.append(horizons))
    monkeypatch.setattr(tracks, "read_tracks", lambda _path: track_set(step))
    find("motion-calibration").problem(Calibration(), Seeds(0), tmp_path / "mine.csv")  # type: ignore[misc]
    assert asked == [samples]


def track_set(step: float) -> xr.Dataset:
    one = (("track", "time"), np.ones((1, 30)))
    data = dict.fromkeys(("x", "y", "heading", "speed"), one) | {"valid": (one[0], np.ones((1, 30), bool))}
    return xr.Dataset(data, {"track": ["a"], "time": step * np.arange(30)})


STATED = {"period": 6.283185307179586, "duration": 1.0, "highest": 70.0, "features": 50}


def test_noise_and_initial_field_of_samples_are_asked_for_where_the_file_or_the_settings_say_nothing(
    tmp_path: Path,
) -> None:
    file = samples_file(tmp_path)
    with pytest.raises(DataError, match="a column sigma, or the noise given"):
        set_up(*prepare("pde-inverse", settings={**STATED, "width": 0.5}), file)
    with pytest.raises(ConfigError, match="no value of width"):
        set_up(*prepare("pde-inverse", settings={**STATED, "noise": 0.01}), file)
    set_up(*prepare("pde-inverse", settings={**STATED, "noise": 0.01, "width": 0.5}), file)
    set_up(*prepare("pde-inverse", settings={**STATED, "noise": 0.01, "unknown_harmonics": 2}), file)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([f"{lines[0]},sigma", *(f"{line},0.01" for line in lines[1:])]) + "\n")
    set_up(*prepare("pde-inverse", settings={**STATED, "width": 0.5}), file)


def test_the_noise_of_temperatures_is_asked_for_where_the_file_has_none(tmp_path: Path) -> None:
    file = flame_file(tmp_path)
    told = {"phi": 0.42, "atmospheres": 1.0, "inlet_temperature": 298.0, "slope": 1e5, "length": 1.5e-3}
    with pytest.raises(DataError, match=r"a column std \(K\), or the noise given"):
        set_up(*prepare("flame-simplified", settings=told), file)


def test_another_heading_of_end_points_is_another_likelihood(tmp_path: Path) -> None:
    file = ends_file(tmp_path)
    told = {"heading": 0.3, "speed": 8.0, "duration": 0.8}
    problems = [
        set_up(*prepare("motion-moments", settings={**told, **change}), file)[0]
        for change in ({}, {"heading": 0.5}, {"speed": 10.0}, {"duration": 0.6})
    ]
    at = {"acceleration_std": np.array(1.0), "yaw_rate_std": np.array(0.1)}
    assert len({round(p.value(at), 6) for p in problems}) == 4
    with pytest.raises(ConfigError, match=r"a multiple of 0.1 s"):
        prepare("motion-moments", settings={**told, "duration": 0.65})


def test_the_same_samples_in_other_units_pose_the_same_problem(tmp_path: Path) -> None:
    seen = draw(PdeInverse(samples=20), np.random.default_rng(0), 20.0, 0.1)
    found = []
    for length, time in ((1.0, 1.0), (100.0, 0.1)):
        lines = [f"{length * x},{time * t},{u}" for x, t, u in zip(seen.x, seen.t, seen.u, strict=True)]
        file = tmp_path / f"{length}.csv"
        file.write_text("\n".join(["x,t,u", *lines]) + "\n")
        units = {"period": 2 * np.pi * length, "duration": time, "highest": 70.0 * length / time}
        settings = {**units, "noise": 0.01, "width": 0.5, "features": 50}
        posed, _ = set_up(*prepare("pde-inverse", settings=settings), file)
        assert posed.space["nu"].bounds[1] == pytest.approx(length**2 / time)
        found.append([float(posed.start["c"]) / length * time, float(posed.start["nu"]) / length**2 * time])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
