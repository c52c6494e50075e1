import json

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.motion.tracks import DamagedRecordWarning, detect_format, read_tracks

# Two lines of the published form of trajectories-0750am-0805am.txt (U.S. Department of Transportation).
EXCERPT = b"""\
       2    13  437  1118846980200  16.467  35.381  6451137.641  1873344.962  14.5  4.9 2 40.00 0.00 2 0 0 0.00 0.00
       2    14  437  1118846980300  16.447  39.381  6451140.329  1873342.000  14.5  4.9 2 40.00 0.00 2 0 0 0.00 0.00
"""


def test_feet_become_metres(written):
    path = written("trajectories.txt", EXCERPT)
    assert detect_format(path) == "ngsim"
    tracks = read_tracks(path)
    assert tracks["track"].values.tolist() == ["2/437"]
    np.testing.assert_allclose(tracks["x"][0], [16.467 * 0.3048, 16.447 * 0.3048], rtol=1e-15)
    np.testing.assert_allclose(tracks["speed"][0], 12.192, rtol=1e-15)
    assert float(tracks["length"][0]) == pytest.approx(4.4196)
    assert tracks["time"].values.tolist() == [1118846980.2, 1118846980.3]
    assert (tracks.attrs["reference"], tracks["category"].values.tolist()) == ("front-centre", ["car"])
    assert "heading" not in tracks


@pytest.mark.parametrize("form", ["ngsim_text", "ngsim_csv"])
def test_true_values(files, written, form):
    tracks = read_tracks(written("a.txt", getattr(files, form)()))
    place = "us-101/" if form == "ngsim_csv" else ""
    for k in range(3):
        x, y, _, speed = files.motion(k)
        track = tracks.sel(track=f"{place}{2 + k}/12")
        valid = track["valid"].values
        for name, truth, error in (("x", x, 2e-4), ("y", y, 2e-4), ("speed", speed, 2e-3)):
            np.testing.assert_allclose(track[name].values[valid], truth, atol=error)
    np.testing.assert_allclose(tracks["width"].sortby("track"), files.WIDTHS, atol=0.016)


def test_ids_used_again_are_other_vehicles(files, written):
    lines = [files.CSV_HEADER]
    lines += files.ngsim_csv_lines(count=12)
    lines += files.ngsim_csv_lines(location="i-80", count=12)
    lines += files.ngsim_csv_lines(period=900_000, count=11)
    lines += files.ngsim_csv_lines(period=1_800_000, count=12)
    tracks = read_tracks(written("a.csv", "\n".join(lines).encode()))
    names = ["us-101/2/12", "i-80/2/12", "us-101/2/11", "us-101/2/12/2"]
    assert set(names) <= set(tracks["track"].values)
    assert tracks.sizes["track"] == 12
    assert tracks["valid"].sel(track=names).sum("time").values.tolist() == [12, 12, 11, 12]


def test_order_of_columns_case_and_grouped_digits(files, written):
    header = files.CSV_HEADER.split(",")
    order = np.random.default_rng(1).permutation(25)
    lines = [",".join(header[i].upper() for i in order)]
    for line in files.ngsim_csv_lines():
        fields = line.split(",")
        fields[3] = f'"{int(fields[3]):,}"'
        lines.append(",".join(fields[i] for i in order))
    plain = read_tracks(written("a.csv", files.ngsim_csv()))
    shuffled = read_tracks(written("b.csv", "\n".join(lines).encode()))
    assert shuffled.drop_attrs().equals(plain.sel(track=shuffled["track"]).drop_attrs())


def test_lines_that_come_twice_are_reported(files, written):
    lines = files.ngsim_csv_lines()
    path = written("a.csv", "\n".join([files.CSV_HEADER, *lines, lines[4]]).encode())
    with pytest.raises(DataError, match=r"a\.csv, line 38, track us-101/2/12: got a second state"):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match="1 damaged"):
        tracks = read_tracks(path, damaged="report")
    assert tracks.drop_attrs().equals(
        read_tracks(written("b.csv", files.ngsim_csv())).sel(track=tracks.track).drop_attrs()
    )


def change(row, column, value):
    fields = row.split()
    fields[column] = value
    return " ".join(fields)


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        (0, "2.5", "whole number for vehicle_id"),
        (3, "1118846980201", "clock"),
        (1, "99", "clock"),
        (4, "nan", "local_x"),
        (5, "1_0", "local_y"),
        (5, "500.0", "jump"),
        (8, "30.0", "class, length, width"),
        (10, "4", "v_Class 4"),
        (10, "3", "class, length, width"),
        (11, "400.0", "finite speed"),
        (12, "-999", "finite acceleration"),
        (17, "0 0", "19 fields"),
        (17, "", "17 fields"),
    ],
)
def test_a_damaged_line_is_raised_or_reported(files, written, column, value, word):
    rows = files.ngsim_rows()
    rows[5] = change(rows[5], column, value)
    path = written("a.txt", "\n".join(rows).encode())
    with pytest.raises(DataError, match=rf"a\.txt, line 6.*{word}"):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match="1 damaged"):
        tracks = read_tracks(path, damaged="report")
    assert int(tracks["valid"].sum()) == 3 * files.COUNT - 1
    assert word in json.dumps(json.loads(tracks.attrs["damaged"]))


def test_a_vehicle_without_a_size(files, written):
    rows = [change(row, 9, "0.0") if row.startswith("2 ") else row for row in files.ngsim_rows()]
    path = written("a.txt", "\n".join(rows).encode())
    with pytest.raises(DataError, match=r"track 2/12: got width 0\.0 m"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("Local_X", "Lokal_X", "no column local_x"),
        ("Local_X", "Local_Y", "local_x"),
        ("Global_Y", "Local_Y", "more than once"),
        ("Location", "Locus", "location"),
        ("Vehicle_ID", '"Vehicle_ID', "comma-separated"),
    ],
)
def test_a_wrong_header_is_refused(files, written, old, new, word):
    data = files.ngsim_csv().replace(old.encode(), new.encode(), 1)
    with pytest.raises(DataError, match=word):
        read_tracks(written("a.csv", data), damaged="report")


@pytest.mark.parametrize("place", ["", "us-102"])
def test_an_unknown_location_is_damage(files, written, place):
    data = files.ngsim_csv().replace(b"us-101\n", place.encode() + b"\n", 1)
    with pytest.raises(DataError, match="a Location of"):
        read_tracks(written("a.csv", data))


def test_text_in_the_wrong_order_is_damage(files, written):
    rows = files.ngsim_rows()
    rows[3], rows[7] = rows[7], rows[3]
    with pytest.raises(DataError, match="times that increase"):
        read_tracks(written("a.txt", "\n".join(rows).encode()))
