import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError, UnitsError
from retrodict.physics.motion.tracks import DamagedRecordWarning, detect_format, read_tracks

# Rows of the GPS and IMU log 2014-02-14-002-Data.csv (balzer82/Kalman, CC BY-SA).
EXCERPT = b"""\
date,time,millis,ax,ay,az,rollrate,pitchrate,yawrate,roll,pitch,yaw,speed,course
140214,74852200,1392364131182.354,-0.6471,-0.2059,-10.6003,0.6857,-0.7428,0.8571,-0.5,0.76,130.6,0.0,0.0
140214,74852300,1392364131233.481,-0.9806,0.451,-10.3061,-0.5142,-0.6285,1.0857,-0.53,0.78,130.5799,52.96,126.42
140214,74852300,1392364131253.4958,-0.8237,0.4216,-10.6101,-0.5142,-0.0571,1.1428,-0.55,0.77,130.55,52.96,126.42
"""
COLUMNS = {"time": ("millis", "ms"), "speed": ("speed", "km/h"), "yaw_rate": ("yawrate", "deg/s")}


def test_true_values(files, written):
    path = written("log.csv", files.drive_log())
    assert detect_format(path) == "drive-log"
    log = read_tracks(path)
    _, _, heading, speed = files.motion(0, 36)
    np.testing.assert_allclose(log["speed"][0], speed, atol=2e-5)
    np.testing.assert_allclose(log["yaw_rate"][0], np.gradient(heading, 0.1), atol=1e-7)
    np.testing.assert_allclose(log["steering"][0], 0.03 + 0.001 * np.arange(36))
    assert log.attrs["time_step"] == pytest.approx(0.1)
    assert log["track"].values.tolist() == ["log"]
    assert "x" not in log


def test_excerpt_of_a_published_file_with_a_mapping(written):
    log = read_tracks(written("log.csv", EXCERPT), columns=COLUMNS)
    np.testing.assert_allclose(np.diff(log["time"]), [0.051127, 0.0200148], atol=1e-6)
    np.testing.assert_allclose(log["speed"][0], np.array([0.0, 52.96, 52.96]) / 3.6)
    np.testing.assert_allclose(log["yaw_rate"][0], np.radians([0.8571, 1.0857, 1.1428]))
    assert "steering" not in log


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("time[s],speed[km/h],steering[rad],yaw[deg]", "'yaw"),
        ("time[s],speed[km/h],steering[rad],x[m]", "no column yaw_rate"),
        ("time[s],speed[km/h],yaw_rate[deg/s],speed[m/s]", "speed twice"),
        ("time[s],speed[kg],yaw_rate[deg/s],steering[rad]", "'kg'"),
        ("time[s],speed[furlong/blink],yaw_rate[deg/s],steering[rad]", "'furlong/blink'"),
        ("time[s],speed[km/],yaw_rate[deg/s],steering[rad]", "'km/'"),
        ("time[s],speed[(km],yaw_rate[deg/s],steering[rad]", "quantity.unit"),
        ("time[s],speed,yaw_rate[deg/s],steering[rad]", "quantity.unit"),
        ('time[s],"speed[km/h],yaw_rate[deg/s],steering[rad]', "comma-separated"),
    ],
)
def test_a_wrong_header_is_refused(written, header, word):
    with pytest.raises(DataError, match=rf"log\.csv, .*{word}"):
        read_tracks(written("log.csv", f"{header}\n0,36,1,0\n1,36,1,0\n".encode()), "drive-log")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("0.2,,1,0", "number for speed"),
        ("0.2,nan,1,0", "number for speed"),
        ("0.2,500,1,0", "finite speed"),
        ("0.2,36,9999,0", "finite yaw_rate"),
        ("0.2,36,1,99", "finite steering"),
        ("0.1,36,1,0", "times that increase"),
        ("0.05,36,1,0", "times that increase"),
        ("0.2,36,1", "3 fields"),
        ('0.2,36,1,"0', "comma-separated"),
        ("0.2,1e308,1,0", "finite speed"),
    ],
)
def test_a_damaged_line_is_raised_or_reported(written, line, word):
    text = f"time[s],speed[km/h],yaw_rate[deg/s],steering[rad]\n0,36,1,0\n0.1,36,1,0\n{line}\n0.3,36,1,0\n0.4,36,1,0\n"
    path = written("log.csv", text.encode())
    with pytest.raises(DataError, match=word):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match="1 damaged"):
        assert int(read_tracks(path, damaged="report")["valid"].sum()) == 4


@pytest.mark.parametrize(
    ("columns", "error", "word"),
    [
        (COLUMNS | {"velocity": ("speed", "m/s")}, ConfigError, "velocity"),
        ({"time": ("millis", "ms")}, ConfigError, "no speed, yaw_rate"),
        (COLUMNS | {"steering": ("wheel", "rad")}, DataError, "0 columns 'wheel'"),
        (COLUMNS | {"speed": ("speed", "kg")}, UnitsError, "kg"),
    ],
)
def test_a_wrong_mapping_is_refused(written, columns, error, word):
    with pytest.raises(error, match=word):
        read_tracks(written("log.csv", EXCERPT), columns=columns)


def test_a_mapping_for_another_format_is_refused(written):
    with pytest.raises(ConfigError, match="drive-log"):
        read_tracks(written("log.csv", EXCERPT), "ngsim", columns=COLUMNS)


def test_positions_and_a_heading_are_read_where_the_log_has_them(written):
    header = "time[s],speed[m/s],yaw_rate[rad/s],x[km],y[m],heading[deg],acceleration[m/s^2]"
    text = f"{header}\n0,10,0,0,0,90,0\n1,10,0,0,10,90,0\n"
    log = read_tracks(written("log.csv", text.encode()))
    np.testing.assert_allclose(log["heading"][0], np.pi / 2)
    assert log["y"].values.tolist() == [[0.0, 10.0]]
