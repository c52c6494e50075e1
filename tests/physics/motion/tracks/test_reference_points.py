import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.motion.tracks import REAR_AXLE_FRACTION, read_tracks, to_reference


@pytest.fixture
def tracks(files, written):
    return read_tracks(written("a.xml", files.commonroad()))


def along(tracks, moved):
    """Return how far ahead and how far left the points moved, shape (tracks, time)."""
    dx, dy = moved["x"] - tracks["x"], moved["y"] - tracks["y"]
    c, s = np.cos(tracks["heading"]), np.sin(tracks["heading"])
    return (c * dx + s * dy).values[tracks["valid"].values], (c * dy - s * dx).values[tracks["valid"].values]


@pytest.mark.parametrize(
    ("target", "lever", "share"), [("front-centre", None, 0.5), ("rear-axle", None, -REAR_AXLE_FRACTION)]
)
def test_shift_along_the_heading(tracks, target, lever, share):
    moved = to_reference(tracks, target, lever)
    ahead, left = along(tracks, moved)
    truth = np.broadcast_to(share * tracks["length"].values[:, None], tracks["valid"].shape)[tracks["valid"].values]
    np.testing.assert_allclose(ahead, truth, atol=1e-12)
    np.testing.assert_allclose(left, 0.0, atol=1e-12)
    assert moved.attrs["reference"] == target
    assert moved.attrs["velocity_reference"] == "box-centre"
    assert moved["x"].attrs == tracks["x"].attrs
    assert moved["valid"].identical(tracks["valid"])


def test_levers_of_each_track(tracks):
    ahead, _ = along(tracks, to_reference(tracks, "rear-axle", np.array([1.0, 2.0, 3.0])))
    np.testing.assert_allclose(np.unique(ahead.round(9)), [-3.0, -2.0, -1.0])


@pytest.mark.parametrize(
    "way", [("rear-axle", "front-centre", "box-centre"), ("front-centre", "rear-axle", "box-centre")]
)
def test_there_and_back(tracks, way):
    moved = tracks
    for target in way:
        moved = to_reference(moved, target, 1.4)
    for name in ("x", "y"):
        np.testing.assert_allclose(moved[name], tracks[name], atol=1e-12)
    assert to_reference(tracks, "box-centre").identical(tracks)


def test_a_state_without_a_heading_is_dropped(tracks):
    tracks["heading"][0, 2] = np.nan
    moved = to_reference(tracks, "front-centre")
    assert not moved["valid"][0, 2]
    assert int(moved["valid"].sum()) == int(tracks["valid"].sum()) - 1


@pytest.mark.parametrize(
    ("change", "target", "lever", "error", "word"),
    [
        (lambda t: t, "roof", None, ConfigError, "'roof'"),
        (lambda t: t, "rear-axle", 0.0, ConfigError, "rear_axle_to_centre"),
        (lambda t: t, "rear-axle", np.ones(5), ConfigError, "rear_axle_to_centre"),
        (lambda t: t.assign_attrs(reference="point"), "rear-axle", 1.4, DataError, "'point'"),
        (lambda t: t.drop_vars("heading"), "rear-axle", 1.4, DataError, "no heading"),
        (lambda t: t.drop_vars("length"), "front-centre", 1.4, DataError, "no length"),
    ],
)
def test_wrong_requests(tracks, change, target, lever, error, word):
    with pytest.raises(error, match=word):
        to_reference(change(tracks), target, lever)
