import hashlib
import json

import numpy as np
import pytest
import xarray as xr

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.motion.tracks import FORMATS, assembly, detect_format, read_tracks, source

WRITERS = {
    "argoverse2": "argoverse",
    "commonroad": "commonroad",
    "drive-log": "drive_log",
    "eth-ucy": "eth",
    "ngsim": "ngsim_csv",
    "waymo": "waymo",
}


def test_every_format_has_a_synthetic_file():
    assert sorted(WRITERS) == sorted(FORMATS)


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_the_common_result(files, written, form):
    data = getattr(files, WRITERS[form])()
    path = written("some.file", data)
    assert detect_format(path) == form
    tracks = read_tracks(path)
    assert tracks.identical(read_tracks(str(path), form))
    assert set(tracks.dims) == {"track", "time"}
    assert tracks["valid"].dtype == bool
    assert (np.diff(tracks["time"]) > 0).all()
    assert tracks.attrs["format"] == form
    assert tracks.attrs["source"] == "some.file"
    assert tracks.attrs["sha256"] == hashlib.sha256(data).hexdigest()
    assert json.loads(tracks.attrs["damaged"]) == []
    assert tracks.attrs["time_step"] > 0
    for name, variable in tracks.data_vars.items():
        assert "long_name" in variable.attrs or name == "category"
        if variable.dtype == float:
            assert variable.attrs["units"]
        if variable.dtype == float and variable.dims == ("track", "time") and f"{name}_valid" not in tracks:
            np.testing.assert_array_equal(np.isfinite(variable), tracks["valid"])


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_a_track_set_survives_netcdf(files, written, form, tmp_path):
    tracks = read_tracks(written("some.file", getattr(files, WRITERS[form])()))
    tracks.to_netcdf(tmp_path / "tracks.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "tracks.nc", engine="netcdf4", decode_timedelta=False) as again:
        for name in tracks.variables:
            np.testing.assert_array_equal(again[name].values, tracks[name].values)
        assert again.attrs == tracks.attrs


@pytest.mark.parametrize("form", [None, *sorted(WRITERS)])
@pytest.mark.parametrize("mode", ["raise", "report"])
@pytest.mark.parametrize("data", [b"", b"\n\n", b"\x00" * 100, b"hello world\n"])
def test_a_file_without_tracks_is_refused(written, form, mode, data):
    with pytest.raises(DataError, match=r"a\.bin"):
        read_tracks(written("a.bin", data), form, damaged=mode)


def test_an_unknown_format_is_named(written):
    path = written("a.bin", b"hello")
    with pytest.raises(DataError, match="argoverse2, commonroad, drive-log, eth-ucy, ngsim, waymo"):
        detect_format(path)
    with pytest.raises(DataError, match=r"'nuscenes'.*argoverse2"):
        read_tracks(path, "nuscenes")


def test_wrong_arguments(written, tmp_path):
    path = written("a.txt", b"0 1 2 3\n")
    with pytest.raises(ConfigError, match="'ignore'"):
        read_tracks(path, damaged="ignore")
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_tracks(tmp_path / "none.txt")
    with pytest.raises(DataError, match="regular file"):
        read_tracks(tmp_path)


def test_huge_files_and_huge_grids_are_refused(files, written, monkeypatch):
    path = written("a.txt", files.eth())
    monkeypatch.setattr(source, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="at most 10 bytes"):
        read_tracks(path)
    monkeypatch.undo()
    monkeypatch.setattr(assembly, "MAX_CELLS", 40)
    with pytest.raises(DataError, match="3 tracks on 15 distinct times"):
        read_tracks(path)


def test_long_text_is_shortened_in_messages(written):
    with pytest.raises(DataError) as caught:
        read_tracks(written("a.txt", b"0 1 2 3\n10 1 " + b"9" * 5000 + b"x 3\n"))
    assert len(str(caught.value)) < 250
