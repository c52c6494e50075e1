import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.motion.tracks import DamagedRecordWarning, detect_format, read_tracks

# The first lines of biwi_eth.txt (ETH walking pedestrians, free for research).
EXCERPT = (
    b"780\t1.0\t8.46\t3.59\n790\t1.0\t9.57\t3.79\n800\t1.0\t10.67\t3.99\n800\t2.0\t13.64\t5.8\n810\t1.0\t11.73\t4.32\n"
)


def test_excerpt_of_a_published_file(written):
    path = written("biwi_eth.txt", EXCERPT)
    assert detect_format(path) == "eth-ucy"
    tracks = read_tracks(path)
    assert tracks["track"].values.tolist() == ["1", "2"]
    np.testing.assert_allclose(tracks["time"], [31.2, 31.6, 32.0, 32.4])
    assert tracks["x"].sel(track="1").values.tolist() == [8.46, 9.57, 10.67, 11.73]
    assert tracks["valid"].sel(track="2").values.tolist() == [False, False, True, False]
    assert tracks.attrs["time_step"] == 0.4
    assert tracks.attrs["frame_step"] == 10
    assert tracks.attrs["reference"] == "point"


def test_true_values(files, written):
    tracks = read_tracks(written("a.txt", files.eth()))
    for k in range(3):
        track = tracks.sel(track=str(k + 1))
        np.testing.assert_allclose(track["x"].values[track["valid"].values], files.motion(k)[0], atol=6e-7)


@pytest.mark.parametrize("step", [6, 10, 12])
def test_the_frame_step_is_inferred(written, step):
    text = "".join(f"{3 + step * k} 7 {0.3 * k} 1.0\n" for k in range(5))
    tracks = read_tracks(written("a.txt", text.encode()))
    np.testing.assert_allclose(np.diff(tracks["time"]), 0.4)
    assert tracks.attrs["frame_step"] == step


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("790\t1.0\t9.57", "795\t1.0\t9.57", "frame on the grid"),
        ("790\t1.0\t9.57", "790.5\t1.0\t9.57", "whole number for frame"),
        ("790\t1.0\t9.57", "790\t1.5\t9.57", "whole number for id"),
        ("9.57", "nan", "number for x"),
        ("9.57", "9,57", "number for x"),
        ("9.57", "-99.57", "jump"),
        ("9.57", "1e12", "finite x"),
        ("9.57\t", "9.57", "3 fields"),
        ("9.57\t", "9.57\t1\t", "5 fields"),
        ("9.57", "9\xff57", "number for x"),
    ],
)
def test_a_damaged_line_is_raised_or_reported(written, old, new, word):
    more = b"".join(b"%d 2.0 %.2f 5.8\n" % (810 + 10 * k, 12.5 - k) for k in range(5))
    path = written("a.txt", EXCERPT.replace(old.encode(), new.encode(), 1) + more)
    with pytest.raises(DataError, match=rf"a\.txt, line 2.*{word}"):
        read_tracks(path)
    with pytest.warns(DamagedRecordWarning, match="1 damaged"):
        assert int(read_tracks(path, damaged="report")["valid"].sum()) == 9


def test_bytes_that_are_no_text(written):
    path = written("a.txt", EXCERPT.replace(b"9.57", b"9\xff57"))
    with pytest.raises(DataError, match="UTF-8"):
        read_tracks(path)


def test_line_ends_blank_lines_and_a_byte_order_mark(written):
    data = b"\xef\xbb\xbf" + EXCERPT.replace(b"\n", b"\r\n\r\n")
    assert read_tracks(written("a.txt", data)).drop_attrs().equals(read_tracks(written("b.txt", EXCERPT)).drop_attrs())


def test_one_late_frame_does_not_cost_the_track(written):
    text = "".join(f"{7800 if k == 2 else 10 * k} 7 {0.3 * k} 1.0\n" for k in range(8))
    with pytest.warns(DamagedRecordWarning, match="1 damaged"):
        tracks = read_tracks(written("a.txt", text.encode()), damaged="report")
    assert tracks["x"].values[0].tolist() == [0.3 * k for k in range(8) if k != 2]
