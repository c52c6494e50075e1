import json

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.motion.tracks import DamagedRecordWarning, detect_format, read_tracks


def test_true_values(files, written):
    path = written("scenario.parquet", files.argoverse())
    assert detect_format(path) == "argoverse2"
    tracks = read_tracks(path)
    assert list(tracks["track"].values) == ["30", "31", "32"]
    for k in range(3):
        x, y, heading, speed = files.motion(k)
        track = tracks.isel(track=k, time=slice(files.STARTS[k], files.STARTS[k] + files.COUNT))
        truth = {"x": x, "y": y, "heading": heading, "speed": speed, "vx": speed * np.cos(heading)}
        for name, values in truth.items():
            np.testing.assert_allclose(track[name], values, rtol=1e-14, atol=1e-13)
    assert "length" not in tracks
    assert tracks.attrs["focal_track"] == "30"
    assert tracks.attrs["reference"] == "box-centre"
    assert tracks.attrs["observed_until"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("position_x", np.nan, "finite x"),
        ("position_x", 1e30, "finite x"),
        ("position_y", 90.0, "jump"),
        ("heading", np.inf, "finite heading"),
        ("heading", 8.0, "finite heading"),
        ("velocity_x", 150.0, "finite vx"),
        ("timestep", 110, "timestep"),
        ("timestep", -1, "timestep"),
        ("timestep", 6, "times that increase"),
        ("num_timestamps", 90, "num_timestamps"),
        ("city", "boston", "one city"),
        ("object_type", "spaceship", "object_type"),
        ("object_type", "bus", "as before in this track"),
    ],
)
def test_a_damaged_row_is_raised_or_reported(files, written, name, value, word):
    columns = files.argoverse_columns()
    columns[name][5] = value
    path = written("a.parquet", files.parquet(columns))
    with pytest.raises(DataError, match=rf"a\.parquet, row \d+, track 30: got .*{word}|{word}"):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning):
        tracks = read_tracks(path, damaged="report")
    assert int(tracks["valid"].sum()) == 3 * files.COUNT - 1
    assert len(json.loads(tracks.attrs["damaged"])) == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: c.pop("heading"), "0 columns heading"),
        (lambda c: c.update(heading=[str(v) for v in c["heading"]]), "column heading: got string"),
        (lambda c: c.update(timestep=[float(v) for v in c["timestep"]]), "column timestep: got double"),
        (lambda c: c.update(city=[None, *c["city"][1:]]), "1 nulls"),
        (lambda c: c.update(position_x=[None, *c["position_x"][1:]]), "1 nulls"),
        (lambda c: c.update(observed=[1 for _ in c["city"]]), "bool"),
        (lambda c: [v.clear() for v in c.values()], "0 rows|0 columns|null"),
    ],
)
@pytest.mark.parametrize("mode", ["raise", "report"])
def test_a_table_of_another_kind_is_refused(files, written, change, word, mode):
    columns = files.argoverse_columns()
    change(columns)
    with pytest.raises(DataError, match=word):
        read_tracks(written("a.parquet", files.parquet(columns)), damaged=mode)


def test_a_flipped_byte_of_data_is_caught_by_the_page_checksum(files, written):
    data = files.argoverse()
    at = data.index(np.float64(files.motion(1)[0][4]).tobytes())
    mutated = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(DataError, match="readable parquet table"):
        read_tracks(written("a.parquet", mutated))
