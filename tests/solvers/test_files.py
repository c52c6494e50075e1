import math

import pytest

from retrodict.physics.errors import DataError
from retrodict.solvers.files import read_json, sha256, write_atomic, write_json, write_text


def test_a_writer_that_raises_leaves_the_old_file_and_no_part(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def half(path):
        path.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(target, half)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_new_file_appears_whole(tmp_path):
    target = tmp_path / "deep" / "er" / "a.txt"

    def write(path):
        path.write_text("new")
        assert not target.exists()
        assert path.parent == target.parent  # the same file system, or the rename would not be atomic

    write_atomic(target, write)
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o644


def test_json_round_trip_and_its_faults(tmp_path):
    path = tmp_path / "a.json"
    content = {"b": [1, 2.5, None, True], "a": {"é": "ü"}}
    write_json(path, content)
    assert read_json(path) == content
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"x": math.nan})
    assert read_json(path) == content
    path.write_bytes(b'{"a": ')
    with pytest.raises(DataError, match=r"a\.json: got damaged JSON .*expected a JSON file"):
        read_json(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="damaged JSON"):
        read_json(path)
    with pytest.raises(DataError, match="got no file"):
        read_json(tmp_path / "none.json")


def test_sha256_is_that_of_the_standard(tmp_path):
    write_text(tmp_path / "abc", "abc")  # the example of FIPS 180-4
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
