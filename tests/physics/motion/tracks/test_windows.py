import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.motion.tracks import read_tracks, windows


@pytest.fixture
def tracks(files, written):
    return read_tracks(written("a.xml", files.commonroad()))


def test_all_samples_are_valid_and_in_order(files, tracks):
    cut = windows(tracks, history=4, horizon=5, stride=1)
    assert cut.sizes == {"window": 3 * (files.COUNT - 8), "step": 9}
    assert cut["step"].values.tolist() == [-3, -2, -1, 0, 1, 2, 3, 4, 5]
    assert np.isfinite(cut["x"]).all()
    np.testing.assert_allclose(np.diff(cut["time"], axis=1), 0.1)
    second = cut.isel(window=1)
    np.testing.assert_allclose(second["x"], files.motion(0)[0][1:10], atol=5.1e-5)
    assert str(second["track"].values) == "30"
    assert second["length"] == files.LENGTHS[0]
    assert cut["acceleration_valid"].dtype == bool


def test_stride_and_no_window(tracks):
    assert windows(tracks, 4, 4, 4).sizes["window"] == 3 * 2
    assert windows(tracks, 10, 10).sizes == {"window": 0, "step": 20}


def test_a_window_spans_no_gap(written):
    text = "".join(f"{10 * k} 7 {0.3 * k} 1.0\n" for k in range(12) if k != 5)
    cut = windows(read_tracks(written("a.txt", text.encode())), 2, 2)
    np.testing.assert_allclose(cut["x"][:, 0], [0.0, 0.3, 1.8, 2.1, 2.4], atol=1e-12)


def test_a_log_without_positions(files, written):
    cut = windows(read_tracks(written("a.csv", files.drive_log())), 10, 5, 5)
    assert cut.sizes == {"window": 5, "step": 15}
    assert np.isfinite(cut["yaw_rate"]).all()


@pytest.mark.parametrize(
    "settings", [{"history": 0}, {"horizon": -1}, {"stride": 0}, {"history": 2.0}, {"stride": True}]
)
def test_wrong_lengths(tracks, settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        windows(tracks, **({"history": 2, "horizon": 2} | settings))


def test_something_else_than_tracks(tracks):
    with pytest.raises(DataError, match="a track set"):
        windows(tracks.drop_vars("valid"), 2, 2)
