import json

import numpy as np
import pytest
import xarray as xr

from retrodict.physics.errors import DataError
from retrodict.solvers.base import Status
from retrodict.solvers.iterate import iterate
from retrodict.solvers.result import Result, is_sealed, load_dataset, save_dataset

DATASET = xr.Dataset(
    {
        "x": (("time", "axis"), np.arange(6.0).reshape(3, 2), {"units": "m", "flag": True}),
        "n": ((), 3),
        "name": ("axis", np.array(["east", "north"], dtype=object)),
        "empty": ("none", np.zeros(0)),
        "f": ("time", np.array([1.5, np.nan, -0.0], "float32")),
    },
    {"time": [0.0, 0.5, 1.0]},
    {"note": "ü", "count": 3, "ratio": 0.5, "on": False, "nothing": None, "config": {"a": [1, None]}, "list": [1, "b"]},
)


def test_dataset_round_trip_with_attributes_that_netcdf_cannot_hold(tmp_path):
    path = tmp_path / "a.nc"
    save_dataset(DATASET, path)
    back = load_dataset(path)
    for name in DATASET.variables:
        np.testing.assert_array_equal(back[name].values, DATASET[name].values)
    assert back["f"].dtype == np.float32
    assert back["x"].attrs["units"] == "m"
    assert json.loads(back["x"].attrs["flag"]) is True
    attrs = back.attrs
    assert (attrs["note"], attrs["count"], attrs["ratio"]) == ("ü", 3, 0.5)
    read = {k: json.loads(attrs[k]) for k in ("on", "nothing", "config", "list")}
    assert read == {"on": False, "nothing": None, "config": {"a": [1, None]}, "list": [1, "b"]}


def test_saving_leaves_the_dataset_alone(tmp_path):
    before = DATASET.copy(deep=True)
    save_dataset(DATASET, tmp_path / "a.nc")
    assert DATASET.identical(before)
    assert DATASET["x"].attrs["flag"] is True


def test_result_round_trip(halve, tmp_path):
    result = iterate(halve(below=0.1), 10)
    result.save(tmp_path, {"version": "1", "seed": None})
    back = Result.load(tmp_path)
    assert back.status is Status.CONVERGED
    assert (back.steps, back.best, back.timing) == (result.steps, result.best, result.timing)
    assert back.history.equals(result.history)
    assert back.data["s"].identical(result.data["s"])
    assert json.loads(back.data.attrs["provenance"]) == {"version": "1", "seed": None}


def test_every_flipped_bit_of_a_result_is_found(halve, tmp_path):
    iterate(halve(below=0.1), 10).save(tmp_path)
    path, rng = tmp_path / "result.nc", np.random.default_rng(0)
    whole = path.read_bytes()
    for spot in {0, len(whole) - 1, len(whole) - 33, *rng.integers(0, len(whole), 100).tolist()}:
        raw = bytearray(whole)
        raw[spot] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(raw))
        with pytest.raises(DataError, match=r"result\.nc: got bytes that do not match their checksum"):
            load_dataset(path)
    for cut in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="expected an undamaged Retrodict file"):
            Result.load(tmp_path)


def test_other_programs_read_the_file(tmp_path):
    save_dataset(DATASET[["x"]], tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="netcdf4") as other:
        np.testing.assert_array_equal(other["x"].values, DATASET["x"].values)


def test_files_of_other_programs_are_known_and_refused(tmp_path):
    DATASET[["n"]].drop_attrs().to_netcdf(tmp_path / "other.nc", engine="netcdf4")
    save_dataset(DATASET[["n"]], tmp_path / "ours.nc")
    assert is_sealed(tmp_path / "ours.nc")
    assert not is_sealed(tmp_path / "other.nc")
    assert not is_sealed(tmp_path)
    with pytest.raises(DataError, match="checksum"):
        load_dataset(tmp_path / "other.nc")


def test_a_dataset_that_is_no_result_is_refused(tmp_path):
    save_dataset(DATASET, tmp_path / "result.nc")
    with pytest.raises(DataError, match=r"result\.nc: got no readable status .*expected a Retrodict result"):
        Result.load(tmp_path)
    stamped = DATASET.assign_attrs(retrodict_result=json.dumps({"status": "splendid"}))
    save_dataset(stamped, tmp_path / "result.nc")
    with pytest.raises(DataError, match="splendid"):
        Result.load(tmp_path)


def test_a_failed_write_leaves_the_old_result(tmp_path, monkeypatch):
    save_dataset(DATASET, tmp_path / "a.nc")
    monkeypatch.setattr(xr.Dataset, "dump_to_store", lambda *_a, **_k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_dataset(DATASET[["n"]], tmp_path / "a.nc")
    assert set(load_dataset(tmp_path / "a.nc").variables) == set(DATASET.variables)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]
