import json

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.motion.tracks import DamagedRecordWarning, detect_format, read_scenarios, read_tracks
from retrodict.physics.motion.tracks.tfrecord import masked_crc

FIRST = "637f20cafde22ff8"


def test_checksum_of_the_standard():
    # RFC 3720, B.4: CRC-32C of 32 zero bytes is aa 36 91 8a in the order sent.
    crc = 0x8A9136AA
    assert masked_crc(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_true_values(files, written):
    path = written("a.tfrecord-00000-of-01000", files.waymo())
    assert detect_format(path) == "waymo"
    tracks = read_tracks(path)
    assert list(tracks["track"].values) == [f"{FIRST}/30", f"{FIRST}/31", f"{FIRST}/32", "second/30"]
    for k in range(3):
        x, y, heading, speed = files.motion(k)
        track = tracks.isel(track=k)
        valid = track["valid"].values
        assert np.flatnonzero(valid).tolist() == list(range(files.STARTS[k], files.STARTS[k] + files.COUNT))
        np.testing.assert_array_equal(track["x"].values[valid], x)
        np.testing.assert_array_equal(track["y"].values[valid], y)
        np.testing.assert_allclose(track["heading"].values[valid], heading, rtol=1e-7)
        np.testing.assert_allclose(track["speed"].values[valid], speed, rtol=1e-6)
    np.testing.assert_allclose(tracks["length"], [*files.LENGTHS, files.LENGTHS[0]], rtol=1e-7)
    assert json.loads(tracks.attrs["tracks_to_predict"]) == [f"{FIRST}/32", "second/30"]
    assert json.loads(tracks.attrs["own_vehicles"]) == [f"{FIRST}/30", "second/30"]
    assert json.loads(tracks.attrs["current_time_index"]) == [5, 5]


def test_scenarios_one_by_one(files, written):
    path = written("a.tfrecord", files.waymo())
    first, second = read_scenarios(path)
    assert (first.sizes["track"], second.sizes["track"]) == (3, 1)
    assert json.loads(second.attrs["scenarios"]) == ["second"]


def test_a_wrong_checksum_of_a_payload_costs_that_record(files, written):
    data = bytearray(files.waymo())
    data[200] ^= 4
    path = written("a.tfrecord", bytes(data))
    with pytest.raises(DataError, match=r"a\.tfrecord, record 0 at byte 0: got checksum 0x"):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match="record 0"):
        tracks = read_tracks(path, damaged="report")
    assert list(tracks["track"].values) == ["second/30"]
    with pytest.warns(DamagedRecordWarning):
        assert len(list(read_scenarios(path, damaged="report"))) == 1


def test_a_wrong_checksum_of_a_length_costs_the_rest(files, written):
    first = files.frame(files.waymo_scenario())
    second = bytearray(files.frame(files.waymo_scenario("second")))
    second[0] ^= 1
    path = written("a.tfrecord", first + bytes(second) + files.frame(files.waymo_scenario("third")))
    with pytest.raises(DataError, match=r"record 1 .* of the length"):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match="of the length"):
        tracks = read_tracks(path, damaged="report")
    assert json.loads(tracks.attrs["scenarios"]) == [FIRST]


@pytest.mark.parametrize("lost", [1, 3, 100])
def test_a_truncated_file(files, written, lost):
    path = written("a.tfrecord", files.waymo()[:-lost])
    with pytest.raises(DataError, match=r"record 1 .*truncated"):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match="truncated"):
        assert read_tracks(path, damaged="report").sizes["track"] == 3


def test_a_cut_between_records_cannot_be_seen(files, written):
    whole = files.frame(files.waymo_scenario())
    assert read_tracks(written("a.tfrecord", whole)).sizes["track"] == 3


def damaged_states(files):
    x, y, heading, speed = (values[4] for values in files.motion(1))
    state = files.object_state(x, y, heading, speed, 1)
    wrapped = files.chunk(3, state)

    def other(**change):
        row = {"x": x, "y": y, "heading": heading, "speed": speed} | change
        return files.chunk(3, files.object_state(row["x"], row["y"], row["heading"], row["speed"], 1))

    yield wrapped, other(x=np.nan), "finite x"
    yield wrapped, other(x=x + 30), "jump"
    yield wrapped, other(heading=np.inf), "heading"
    yield wrapped, other(speed=1e9), "finite"
    yield wrapped, files.chunk(3, state[9:]), "no x"


@pytest.mark.parametrize("case", range(5))
def test_a_damaged_state_under_a_right_checksum(files, written, case):
    old, new, word = list(damaged_states(files))[case]
    path = written("a.tfrecord", files.frame(rebuilt(files, old, new)))
    with pytest.raises(DataError, match=word):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning):
        tracks = read_tracks(path, damaged="report")
    assert int(tracks["valid"].sum()) == 3 * files.COUNT - 1


def rebuilt(files, old, new):
    """Replace a state; the track around it has to know its new length."""
    payload = files.waymo_scenario(tracks=(1,))
    start = payload.index(files.key(2, 2), 9 * 15)
    body_start = start + len(files.key(2, 2)) + 2
    body = payload[body_start : payload.index(b"*\x10637f")]
    assert files.chunk(2, body) == payload[start : body_start + len(body)]
    whole = files.waymo_scenario()
    return whole.replace(files.chunk(2, body), files.chunk(2, body.replace(old, new)))


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        (lambda f: f.varint(2**63)[:-1], "varint"),
        (lambda f: f.key(3, 3), "wire type 3"),
        (lambda f: f.chunk(0, b""), "field number 0"),
        (lambda f: f.key(2, 2) + f.varint(100), "bytes of a field"),
        (lambda f: f.double(1, 0.0), "text in field 5"),
        (lambda f: f.double(1, 0.0) + f.chunk(5, b"\xff"), "text in field 5"),
        (lambda f: f.chunk(5, b"s"), "time stamps"),
        (lambda f: f.chunk(5, b"s") + f.double(1, 1.0) + f.double(1, 0.5), "increas"),
        (lambda f: f.chunk(5, b"s") + f.chunk(1, b"1234567"), "multiple of 8"),
        (lambda f: f.chunk(5, b"s") + f.double(1, 0.0) + f.chunk(2, b""), "no track id"),
        (lambda f: f.chunk(5, b"s") + f.double(1, 0.0) + f.chunk(2, f.integer(1, 7)), "0 states"),
        (
            lambda f: f.chunk(5, b"s") + f.double(1, 0.0) + f.chunk(2, f.integer(1, 7) + f.integer(2, 9)),
            "object_type 9",
        ),
        (lambda f: f.waymo_scenario(tracks=(1, 1)), "the track id again"),
        (lambda f: f.waymo_scenario(extra=f.integer(6, 77)), "track number 77"),
        (lambda f: f.waymo_scenario(extra=f.chunk(11, b"")), "no track_index"),
    ],
)
def test_a_damaged_message_under_a_right_checksum(files, written, payload, word):
    data = files.frame(payload(files)) + files.frame(files.waymo_scenario("good"))
    path = written("a.tfrecord", data)
    with pytest.raises(DataError, match=word):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match=word):
        tracks = read_tracks(path, damaged="report")
    assert "good/30" in tracks["track"].values


def test_a_scenario_twice(files, written):
    path = written("a.tfrecord", files.frame(files.waymo_scenario()) * 2)
    with pytest.raises(DataError, match=f"scenario {FIRST} again"):
        read_tracks(path)


def test_no_valid_state_at_all(files, written):
    path = written("a.tfrecord", files.frame(files.chunk(5, b"s") + files.double(1, 0.0)))
    with pytest.raises(DataError, match="no usable track"):
        read_tracks(path)
    with pytest.raises(DataError, match="no usable scenario"):
        list(read_scenarios(path, damaged="report"))
