"""UVFITS: what was written is read, the sign of the sky, and the public data of M87."""

import re
from dataclasses import replace
from importlib import resources
from itertools import combinations

import numpy as np
import pytest
from astropy.io import fits

from retrodict.physics.errors import DataError
from retrodict.physics.radio.uvfits import read_uvfits
from retrodict.physics.radio.uvfits_writing import write_uvfits
from retrodict.physics.radio.visibilities import LIGHT, Grid, Visibilities

M87 = "reference_data/radio/SR1_M87_2017_101_lo_hops_netcal_StokesI.uvfits"


def table(feeds=("I",), frequencies=(1.4e9, 1.5e9)):
    """Every cell of three times, six baselines, two frequencies and the feeds, in the order of the file."""
    rng = np.random.default_rng(5)
    cells = [
        (57850 * 86400 + 10.0 * t, a, b, f, k)
        for t in range(3)
        for a, b in combinations(range(4), 2)
        for f in frequencies
        for k in range(len(feeds))
    ]
    time, first, second, frequency, feed = np.array(cells).T
    n = len(cells)
    xyz = rng.normal(size=(4, 3)) * 1e3
    return Visibilities(
        xyz[second.astype(int)] - xyz[first.astype(int)],
        frequency,
        time,
        first,
        second,
        rng.normal(size=n) + 1j * rng.normal(size=n),
        rng.uniform(1, 2, n),
        np.arange(n) % 7 == 3,
        feed,
        feeds=feeds,
        antennas=("Aa", "Bb", "Cc", "Dd"),
        positions=xyz,
        centre=(1.0, 0.3),
        telescope="TEST",
    )


@pytest.mark.parametrize("feeds", [("I",), ("RR", "LL"), ("XX", "YY")])
def test_a_table_comes_back(tmp_path, feeds):
    vis = table(feeds)
    write_uvfits(vis, tmp_path / "a.uvfits")
    back = read_uvfits(tmp_path / "a.uvfits", feeds="parallel" if len(feeds) == 2 else "stokes-i")
    assert np.array_equal(back.flag, vis.flag)
    for name in ("antenna1", "antenna2", "feed", "frequency"):
        assert np.array_equal(getattr(back, name), getattr(vis, name))
    assert np.abs(back.time - vis.time).max() < 5e-3
    good = ~vis.flag
    assert np.allclose(back.data[good], vis.data[good], rtol=1e-6)
    assert np.allclose(back.weight[good], vis.weight[good], rtol=1e-6)
    assert np.allclose(back.uvw, vis.uvw, rtol=1e-6)
    assert np.allclose(back.positions, vis.positions, rtol=1e-12)
    assert (back.antennas, back.feeds, back.telescope) == (vis.antennas, vis.feeds, "TEST")
    assert back.centre == pytest.approx(vis.centre, abs=1e-12)


def test_stokes_i_is_half_the_sum_of_the_hands_and_one_hand_where_the_other_is_flagged(tmp_path):
    vis = table(("RR", "LL"))
    write_uvfits(vis, tmp_path / "a.uvfits")
    one = read_uvfits(tmp_path / "a.uvfits")
    data, weight, good = vis.data.reshape(-1, 2), vis.weight.reshape(-1, 2), ~vis.flag.reshape(-1, 2)
    both = good.all(axis=1)
    assert np.allclose(one.data[both], data[both].mean(axis=1), rtol=1e-6)
    assert np.allclose(one.weight[both], 4 / (1 / weight[both]).sum(axis=1), rtol=1e-6)
    alone = good[:, 0] & ~good[:, 1]
    assert alone.any()
    assert np.allclose(one.data[alone], data[alone, 0], rtol=1e-6)


def test_the_subarray_and_more_than_255_antennas_in_the_number_of_a_baseline(tmp_path):
    path = tmp_path / "a.uvfits"
    write_uvfits(table(), path)
    with fits.open(path, mode="update") as tables:
        codes = tables[0].data.field("BASELINE")
        first, second = codes // 256, codes % 256
        # the same pairs, counted in 2048, and one of subarray 2
        codes[:] = np.where(np.arange(codes.size) % 2 == 0, 2048 * first + second + 65536, codes + 0.01)
    back = read_uvfits(path)
    assert np.array_equal(back.antenna1, table().antenna1)
    assert np.array_equal(back.antenna2, table().antenna2)


def test_the_public_data_of_m87():
    vis = read_uvfits(str(resources.files("retrodict.cases") / M87))
    assert (vis.rows, vis.flag.sum(), vis.slots[1].size) == (7447, 0, 781)
    assert vis.antennas == ("AA", "AP", "AZ", "JC", "LM", "PV", "SM", "SR")
    assert np.unique(vis.frequency).tolist() == [227070703125.0]
    # coordinates are those of antenna 1 less antenna 2 seen from the source, precession to first order
    day = vis.time / 86400 + 2400000.5 - 2451545.0
    year, (ra, dec) = day / 365.25, vis.centre
    ra, dec = (
        ra + np.deg2rad((46.1244 + 20.0431 * np.sin(ra) * np.tan(dec)) / 3600) * year,
        dec + np.deg2rad(20.0431 / 3600) * np.cos(ra) * year,
    )
    hour = np.deg2rad((280.46061837 + 360.98564736629 * day) % 360) - ra
    x, y, z = (vis.positions[vis.antenna1] - vis.positions[vis.antenna2]).T
    u = np.sin(hour) * x + np.cos(hour) * y
    v = -np.sin(dec) * np.cos(hour) * x + np.sin(dec) * np.sin(hour) * y + np.cos(dec) * z
    assert np.abs(np.stack([u, v], 1) - vis.uvw[:, :2]).max() < 3e-3 * np.abs(vis.uvw).max()
    assert np.abs(vis.uvw[:, :2]).max() / (LIGHT / 227070703125.0) == pytest.approx(8e9, rel=0.1)


def test_a_point_to_the_east_and_north_keeps_its_place_through_a_file(tmp_path):
    vis, grid, at = table(frequencies=(1.4e9,)), Grid(32, 1e-6), np.array([-5, 3])  # x is to the west
    east, north = -at[0] * grid.cell, at[1] * grid.cell
    u, v = (vis.uvw[:, :2] * vis.frequency[:, None] / LIGHT).T
    point = replace(vis, data=np.exp(2j * np.pi * (u * east + v * north)), flag=np.zeros(vis.rows, bool))
    write_uvfits(point, tmp_path / "a.uvfits")
    back = read_uvfits(tmp_path / "a.uvfits")
    assert np.abs(back.data - np.exp(-1j * back.uv(grid) @ at)).max() < 1e-5


def test_what_is_wrong_with_a_file_is_named(tmp_path):
    path = tmp_path / "a.uvfits"
    path.write_bytes(b"no header" * 1000)
    with pytest.raises(DataError, match=r"cannot be read .*No SIMPLE card"):
        read_uvfits(path)
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(path, overwrite=True)
    with pytest.raises(DataError, match="no random groups"):
        read_uvfits(path)
    write_uvfits(table(), path)
    whole = re.sub(rb"(CHECKSUM|DATASUM|ORIGIN  )= .{70}", b" " * 80, path.read_bytes())
    path.write_bytes(whole.replace(b"'VV---SIN'", b"'VX---SIN'"))
    with pytest.raises(DataError, match="VV, in seconds"):
        read_uvfits(path)
    path.write_bytes(whole.replace(b"'AIPS AN '", b"'AIPS XX '"))
    with pytest.raises(DataError, match="AIPS AN"):
        read_uvfits(path)
    path.write_bytes(whole)
    with pytest.raises(DataError, match="RR and LL"):
        read_uvfits(path, feeds="parallel")
    with pytest.raises(DataError, match="two rows of one cell"):
        write_uvfits(table().select(np.r_[0, 0, 1]), path)
