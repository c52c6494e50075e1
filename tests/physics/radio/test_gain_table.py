"""Gain tables: nothing of the meaning of the coefficients is lost, and what is no table is refused."""

import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.gain_table import read_gains, write_gains
from retrodict.physics.radio.gains import Kernels, TimeBasis

BASES = (
    TimeBasis("constant", 3.0, 9.0),
    TimeBasis("dct", 4.9e9 + 1 / 3, 4.9e9 + 7e3, 3),
    TimeBasis("fourier", 0.0, 10.0, 3, margin=1.5),
    TimeBasis("b-spline", 0.0, 10.0, 5),
    TimeBasis("slots", 0.0, 2.5, 3, (0.0, 1.1, 2.5)),
)
NAMES = ["ea01/XX", "ea02/XX", "ea01/YY", "ea02/YY"]


def drawn(basis):
    kernels = Kernels(3, 32, basis, 4)
    rng = np.random.default_rng(0)
    return kernels, rng.standard_normal(kernels.shape) + 1j * rng.standard_normal(kernels.shape)


@pytest.mark.parametrize("basis", BASES, ids=lambda b: b.kind)
def test_tables_come_back_to_the_last_bit(tmp_path, basis):
    kernels, gains = drawn(basis)
    write_gains(tmp_path / "gains.zarr", kernels, gains, NAMES)
    found = read_gains(tmp_path / "gains.zarr")
    assert found.kernels == kernels
    assert found.receptors == tuple(NAMES)
    np.testing.assert_array_equal(found.gains, gains)


def test_a_table_gives_way_only_where_it_may(tmp_path):
    path = tmp_path / "gains.zarr"
    kernels, gains = drawn(BASES[1])
    write_gains(path, kernels, gains, NAMES)
    with pytest.raises(ConfigError, match="overwrite=True"):
        write_gains(path, kernels, 2 * gains, NAMES)
    write_gains(path, kernels, 2 * gains, NAMES, overwrite=True)
    np.testing.assert_array_equal(read_gains(path).gains, 2 * gains)
    assert [p.name for p in tmp_path.iterdir()] == ["gains.zarr"]
    (tmp_path / "notes").mkdir()
    with pytest.raises(ConfigError, match="something that is there"):
        write_gains(tmp_path / "notes", kernels, gains, NAMES, overwrite=True)


def test_a_flipped_bit_in_the_numbers_is_found(tmp_path):
    path = tmp_path / "gains.zarr"
    kernels, gains = drawn(BASES[1])
    write_gains(path, kernels, gains, NAMES)
    (chunk,) = (p for p in (path / "re" / "c").rglob("*") if p.is_file())
    whole, rng = chunk.read_bytes(), np.random.default_rng(0)
    for bit in rng.integers(8 * len(whole), size=30):
        hurt = bytearray(whole)
        hurt[bit // 8] ^= 1 << (bit % 8)
        chunk.write_bytes(hurt)
        with pytest.raises(DataError, match=r"gains\.zarr"):
            read_gains(path)


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        ('"padded": 32', '"padded": 48'),
        ("49000070", "49000080"),
        ('"terms\\": 3', '"terms\\": 4'),
        ("ea01/XX", "ea03/XX"),
    ],
)
def test_a_changed_attribute_is_found(tmp_path, written, changed):
    kernels, gains = drawn(BASES[1])
    write_gains(tmp_path / "gains.zarr", kernels, gains, NAMES)
    about = tmp_path / "gains.zarr" / "zarr.json"
    text = about.read_text()
    about.write_text(text.replace(written, changed, 1))
    assert about.read_text() != text
    with pytest.raises(DataError, match=r"gains\.zarr"):
        read_gains(tmp_path / "gains.zarr")


def test_what_is_no_table_is_refused(tmp_path):
    kernels, gains = drawn(BASES[1])
    with pytest.raises(DataError, match="no gain table"):
        read_gains(tmp_path)
    with pytest.raises(DataError, match="2 names"):
        write_gains(tmp_path / "a.zarr", kernels, gains, NAMES[:2])
    with pytest.raises(DataError, match="gains"):
        write_gains(tmp_path / "a.zarr", kernels, gains[:2], NAMES)
    write_gains(tmp_path / "b.zarr", kernels, gains, NAMES)
    (tmp_path / "b.zarr" / "zarr.json").write_text((tmp_path / "b.zarr" / "zarr.json").read_text().replace("dct", "no"))
    with pytest.raises(DataError, match=r"b\.zarr"):
        read_gains(tmp_path / "b.zarr")


def test_a_table_that_is_interrupted_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "gains.zarr"
    kernels, gains = drawn(BASES[1])
    write_gains(path, kernels, gains, NAMES)
    rename = type(path).rename

    def interrupted(self, target):
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_gains(path, kernels, 2 * gains, NAMES, overwrite=True)
    np.testing.assert_array_equal(read_gains(path).gains, gains)
    assert [p.name for p in tmp_path.iterdir()] == ["gains.zarr"]
