import json

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.motion.tracks import DamagedRecordWarning, detect_format, read_tracks

# The first obstacle of USA_Lanker-1_1_T-1.xml (commonroad-scenarios, BSD-3-Clause), two of its states.
EXCERPT = b"""<?xml version="1.0" encoding="utf-8"?>
<commonRoad affiliation="TUM" benchmarkID="USA_Lanker-1_1_T-1" commonRoadVersion="2018b" timeStepSize="0.1">
   <obstacle id="1213">
      <role>dynamic</role>
      <type>car</type>
      <shape><rectangle><length>3.1699</length><width>2.0726</width></rectangle></shape>
      <initialState>
         <position><point><x>6.6928</x><y>14.2381</y></point></position>
         <orientation><exact>1.1332</exact></orientation>
         <time><exact>0</exact></time>
         <velocity><exact>9.6378</exact></velocity>
         <acceleration><exact>0.31699</exact></acceleration>
      </initialState>
      <trajectory>
         <state>
            <position><point><x>7.1255</x><y>15.1052</y></point></position>
            <orientation><exact>1.0983</exact></orientation>
            <time><exact>1</exact></time>
            <velocity><exact>9.6774</exact></velocity>
            <acceleration><exact>0.53035</exact></acceleration>
         </state>
      </trajectory>
   </obstacle>
</commonRoad>
"""


def scenario(files, *obstacles, version="2020a"):
    return files.scenario(version, [line for lines in obstacles for line in lines])


def with_first(files, old, new, **settings):
    """Return a file in which the first text `old` of an obstacle is replaced."""
    head, _, rest = files.commonroad(**settings).partition(b'id="30"')
    assert old in rest
    return head + b'id="30"' + rest.replace(old, new, 1)


@pytest.mark.parametrize("version", ["2018b", "2020a"])
def test_both_versions_give_the_true_values(files, written, version):
    tracks = read_tracks(written("a.xml", files.commonroad(version)))
    assert list(tracks["track"].values) == ["30", "31", "32"]
    for k in range(3):
        x, y, heading, speed = files.motion(k)
        track = tracks.isel(track=k)
        valid = track["valid"].values
        assert np.flatnonzero(valid)[0] == files.STARTS[k]
        assert valid.sum() == files.COUNT
        for name, truth in (("x", x), ("y", y), ("heading", heading), ("speed", speed)):
            np.testing.assert_allclose(track[name].values[valid], truth, atol=5.1e-5)
            assert np.isnan(track[name].values[~valid]).all()
    np.testing.assert_allclose(tracks["length"], files.LENGTHS)
    np.testing.assert_allclose(tracks["time"], 0.1 * np.arange(15), atol=1e-12)
    assert tracks.attrs["static_obstacles"] == 1
    assert (tracks.attrs["reference"], tracks.attrs["time_step"]) == ("box-centre", 0.1)
    assert tracks["speed"].attrs["units"] == "m s-1"


def test_missing_quantities_have_a_mask_of_their_own(files, written):
    tracks = read_tracks(written("a.xml", files.commonroad()))
    valid = tracks["valid"].values
    np.testing.assert_array_equal(tracks["acceleration_valid"].values, valid & (np.arange(3) == 0)[:, None])
    assert "speed_valid" not in tracks


def test_excerpt_of_a_published_file(written):
    path = written("lanker.xml", EXCERPT)
    assert detect_format(path) == "commonroad"
    tracks = read_tracks(path)
    assert float(tracks["acceleration"].sel(track="1213", time=0.1)) == 0.53035
    assert float(tracks["width"][0]) == 2.0726
    assert tracks["category"].values.tolist() == ["car"]


def test_intervals_give_mid_points_and_half_widths(files, written):
    wide = b"<velocity>\n<intervalStart>9.0</intervalStart>\n<intervalEnd>11.5</intervalEnd>\n</velocity>"
    tracks = read_tracks(written("a.xml", with_first(files, b"<velocity>\n<exact>10.0000</exact>\n</velocity>", wide)))
    assert float(tracks["speed"].sel(track="30", time=0.0)) == 10.25
    assert float(tracks["speed_halfwidth"].sel(track="30", time=0.0)) == 1.25
    assert np.isfinite(tracks["speed_halfwidth"]).sum() == 1
    assert "x_halfwidth" not in tracks


RECTANGLE = (
    b"<rectangle><length>2.0</length><width>1.0</width><orientation>1.5707963267948966</orientation>"
    b"<center><x>0.1</x><y>0.2</y></center></rectangle>"
)
CIRCLE = b"<circle><radius>0.7</radius><center><x>0.1</x><y>0.2</y></center></circle>"
POLYGON = (
    b"<polygon><point><x>-0.9</x><y>-0.3</y></point><point><x>1.1</x><y>-0.3</y></point>"
    b"<point><x>1.1</x><y>0.7</y></point><point><x>-0.9</x><y>0.7</y></point></polygon>"
)


@pytest.mark.parametrize(("shape", "half"), [(RECTANGLE, (0.5, 1.0)), (CIRCLE, (0.7, 0.7)), (POLYGON, (1.0, 0.5))])
def test_a_position_may_be_a_shape(files, written, shape, half):
    point = b"<point>\n<x>0.0000</x>\n<y>0.0000</y>\n</point>"
    track = read_tracks(written("a.xml", with_first(files, point, shape))).sel(track="30", time=0.0)
    np.testing.assert_allclose((track["x"], track["y"]), (0.1, 0.2), atol=1e-12)
    np.testing.assert_allclose((track["x_halfwidth"], track["y_halfwidth"]), half, atol=1e-12)


def test_an_occupancy_set_gives_centres(files, written):
    body = files.obstacle("2020a", 0, files.states(0, 1))
    occupancy = f"<occupancy><shape>{CIRCLE.decode()}</shape><time><exact>1</exact></time></occupancy>"
    body = [line for line in body if "trajectory" not in line]
    body.insert(-1, f"<occupancySet>{occupancy}</occupancySet>")
    tracks = read_tracks(written("a.xml", scenario(files, body)))
    assert float(tracks["x"][0, 1]) == 0.1
    assert tracks["heading_valid"].values.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("shape", "size"), [(["<circle><radius>0.3</radius></circle>"], (0.6, 0.6)), ([POLYGON.decode()], (2.0, 1.0))]
)
def test_sizes_of_other_shapes(files, written, shape, size):
    body = files.obstacle("2020a", 0, files.states(0), "pedestrian", shape=shape)
    tracks = read_tracks(written("a.xml", scenario(files, body)))
    np.testing.assert_allclose((tracks["length"][0], tracks["width"][0]), size)


def test_headings_are_unwrapped(files, written):
    states = files.states(0, 3)
    for k, heading in enumerate((3.1, -3.1, -3.0)):
        states[k] = files.state(k, 0, heading, k, 10.0, tag="initialState" if k == 0 else "state")
    tracks = read_tracks(written("a.xml", scenario(files, files.obstacle("2020a", 0, states))))
    np.testing.assert_allclose(tracks["heading"][0], [3.1, 2 * np.pi - 3.1, 2 * np.pi - 3.0])


BAD = [
    (b"<exact>0.3000</exact>", b"<exact>30.000</exact>", "heading"),
    (b"<exact>0.3000</exact>", b"<exact>nan</exact>", "orientation"),
    (b"<exact>10.0000</exact>", b"<exact>120.0</exact>", "speed"),
    (b"<exact>10.0000</exact>", b"<exact>1e999</exact>", "velocity"),
    (b"<exact>10.0000</exact>", b"", "velocity"),
    (b"<exact>10.0000</exact>", b"<intervalStart>2</intervalStart><intervalEnd>1</intervalEnd>", "interval"),
    (b"<exact>10.0000</exact>", b"<exact>10</exact><exact>10</exact>", "velocity"),
    (b"<exact>10.0000</exact>", b"<exact><b/></exact>", "plain text"),
    (b"<time>\n<exact>0</exact>", b"<time>\n<exact>0.5</exact>", "whole number"),
    (b"<time>\n<exact>0</exact>", b"<time>\n<exact>-1</exact>", "time"),
    (b"<time>\n<exact>0</exact>", b"<time>\n<exact>1</exact>", "times that increase"),
    (b"<x>0.0000</x>", b"<x>40.0</x>", "jump"),
    (b"<x>0.0000</x>", b"<x>1e9</x>", "x"),
    (b"<x>0.0000</x>", b"", "<x>"),
    (b"<x>0.0000</x>", b"<x>0</x><x>0</x>", "2 elements"),
    (b"<point>\n<x>0.0000</x>\n<y>0.0000</y>\n</point>", b"", "position"),
    (b"<point>\n<x>0.0000</x>\n<y>0.0000</y>\n</point>", b"<circle><radius>0</radius></circle>", "positive radius"),
    (b"<point>\n<x>0.0000</x>\n<y>0.0000</y>\n</point>", b"<polygon><point/></polygon>", "three points"),
    (b"<point>\n<x>0.0000</x>\n<y>0.0000</y>\n</point>", POLYGON.replace(b"0.7", b"-0.3"), "area"),
]


@pytest.mark.parametrize(("old", "new", "word"), BAD)
def test_a_damaged_state_is_raised_or_reported(files, written, old, new, word):
    path = written("a.xml", with_first(files, old, new))
    with pytest.raises(DataError, match=r"(?s)^a\.xml, line \d+, (obstacle|track) 30: got .*, expected ") as caught:
        read_tracks(path)
    assert word in str(caught.value)
    with pytest.warns(DamagedRecordWarning, match="1 damaged"):
        tracks = read_tracks(path, damaged="report")
    assert int(tracks["valid"].sum()) == 3 * files.COUNT - 1
    (report,) = json.loads(tracks.attrs["damaged"])
    assert "30" in report["place"]


BAD_OBSTACLES = [
    (b"<type>car</type>", b"<type>cab</type>", "cab"),
    (b"<length>4.5</length>", b"<length>-4.5</length>", "length"),
    (b"<length>4.5</length>", b"<length>450</length>", "length"),
    (b"<width>1.8</width>", b"", "width"),
    (b"<trajectory>", b"<trajectory><stat/>", "<stat>"),
]


@pytest.mark.parametrize(("old", "new", "word"), BAD_OBSTACLES)
def test_a_damaged_obstacle_is_raised_or_reported(files, written, old, new, word):
    path = written("a.xml", with_first(files, old, new))
    with pytest.raises(DataError, match=word):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning):
        tracks = read_tracks(path, damaged="report")
    assert list(tracks["track"].values) == ["31", "32"]


def test_an_id_twice_and_a_wrong_role(files, written):
    body = files.obstacle("2020a", 0, files.states(0))
    with pytest.raises(DataError, match="id '30'"):
        read_tracks(written("a.xml", scenario(files, body, body)))
    path = written("b.xml", files.commonroad("2018b").replace(b"<role>dynamic", b"<role>dynamit", 1))
    with pytest.raises(DataError, match="dynamit"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda data: data.replace(b"2020a", b"2017a"), "2018b or 2020a"),
        (lambda data: data.replace(b'timeStepSize="0.1"', b'timeStepSize="-0.1"'), "timeStepSize"),
        (lambda data: data.replace(b'timeStepSize="0.1"', b""), "timeStepSize"),
        (lambda data: data.replace(b"</obstacle>", b"").replace(b"</dynamicObstacle>", b"", 1), "mismatched tag"),
        (lambda data: data[: len(data) // 2], "no element|unclosed"),
        (lambda data: data.replace(b"<commonRoad", b"<commonRaod").replace(b"</commonRoad", b"</commonRaod"), "root"),
        (lambda data: data.replace(b"car", b"\xff\xfe\xfd"), "not well-formed"),
    ],
)
@pytest.mark.parametrize("mode", ["raise", "report"])
def test_a_file_that_is_no_scenario_is_refused(files, written, change, word, mode):
    with pytest.raises(DataError, match=word):
        read_tracks(written("a.xml", change(files.commonroad())), "commonroad", damaged=mode)


def test_a_scenario_without_moving_obstacles_is_refused(files, written):
    with pytest.raises(DataError, match="no usable track"):
        read_tracks(written("a.xml", files.scenario("2020a", [])), damaged="report")


def test_entities_are_refused_before_they_expand(files, written):
    laughs = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE commonRoad [<!ENTITY l0 "ha">{laughs}]>'
    data = files.commonroad().replace(b'<?xml version="1.0" encoding="utf-8"?>', bomb.encode())
    data = data.replace(b"car", b"&l11;")
    with pytest.raises(DataError, match="document type"):
        read_tracks(written("a.xml", data))


def test_a_file_entity_is_refused(files, written):
    bad = b'<!DOCTYPE commonRoad [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    data = files.commonroad().replace(b'<?xml version="1.0" encoding="utf-8"?>', bad).replace(b"car", b"&e;")
    with pytest.raises(DataError, match="document type"):
        read_tracks(written("a.xml", data))
