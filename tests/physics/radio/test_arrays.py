"""Antennas and baselines, against astropy, casacore and simple geometry."""

import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.arrays import (
    Array,
    array,
    casacore_uvw,
    cell_for,
    elevations,
    enu_to_itrf,
    hour_angles,
    itrf_to_enu,
    observe,
    uvw,
)
from retrodict.physics.radio.visibilities import LIGHT, Grid

DAY = 86400.0


def test_sites_agree_with_astropy():
    from astropy import units
    from astropy.coordinates import EarthLocation

    site = np.deg2rad([21.4439, -30.7111])
    want = EarthLocation.from_geodetic(21.4439 * units.deg, -30.7111 * units.deg, 1086.6 * units.m)
    np.testing.assert_allclose(
        enu_to_itrf([0, 0, 0], *site, 1086.6), [q.to_value("m") for q in want.geocentric], atol=1e-6
    )
    east = EarthLocation.from_geodetic((21.4439 + 1e-4) * units.deg, -30.7111 * units.deg, 1086.6 * units.m)
    step = itrf_to_enu([q.to_value("m") for q in east.geocentric], *site, 1086.6)
    assert step[0] == pytest.approx(9.57, abs=0.02)
    assert np.abs(step[1:]).max() < 1e-4


def test_local_coordinates_come_back():
    enu = np.random.default_rng(0).uniform(-8e3, 8e3, (64, 3))
    there = enu_to_itrf(enu, 0.4, -0.5, 1000.0)
    np.testing.assert_allclose(itrf_to_enu(there, 0.4, -0.5, 1000.0), enu, atol=1e-8)
    pairs = np.linalg.norm(enu[:-1] - enu[1:], axis=1)
    np.testing.assert_allclose(np.linalg.norm(there[:-1] - there[1:], axis=1), pairs, rtol=1e-12)


@pytest.mark.parametrize(("name", "longest"), [("vla-a", 36.4e3), ("meerkat", 7.7e3)])
def test_telescopes_have_their_published_extent_and_stand_on_the_ground(name, longest):
    told = array(name)
    gaps = np.linalg.norm(told.positions[:, None] - told.positions[None], axis=-1)
    assert gaps.max() == pytest.approx(longest, rel=0.03)
    local = itrf_to_enu(told.positions, told.longitude, told.latitude, 2124.0 if name == "vla-a" else 1086.6)
    assert np.abs(local[:, 2]).max() < 150


@pytest.mark.parametrize("name", ["vla-a", "meerkat"])
def test_baselines_agree_with_casacore(name):
    from casacore.measures import measures

    told, centre = array(name), (1.0, 0.4)
    time = 51600.3 * DAY + np.array([0.0, 11000.0, 40000.0])
    measure = measures()
    measure.do_frame(measure.position("itrf", *[f"{v!r}m" for v in told.positions.mean(axis=0).tolist()]))
    last = [measure.measure(measure.epoch("utc", f"{t!r}s"), "last")["m0"]["value"] for t in time.tolist()]
    # the sidereal time of casacore belongs to the mean position, not to the meridian of the array
    mean = np.arctan2(*told.positions.mean(axis=0)[[1, 0]])
    hour = 2 * np.pi * (np.array(last) % 1) - centre[0] + told.longitude - mean
    ours, theirs = uvw(told, hour, centre[1]), casacore_uvw(told, time, centre)
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 1e-4
    turned = (hour_angles(told, time, centre[0]) - hour + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(turned).max() < 3e-4


def test_baselines_of_the_default_day_agree_with_casacore_in_coordinates_of_catalogues():
    told = array("vla-a")
    vis = observe(told, declination=0.7, right_ascension=2.0, slots=3)
    where = casacore_uvw(told, vis.slots[1], vis.centre, frame="J2000")
    theirs = (where[:, vis.antenna2[:351]] - where[:, vis.antenna1[:351]]).reshape(-1, 3)
    assert np.abs(vis.uvw - theirs).max() / np.abs(theirs).max() < 3e-4


def test_lengths_do_not_change():
    told = array("meerkat")
    where = uvw(told, np.linspace(-3, 3, 7), -0.6)
    want = np.linalg.norm(told.positions - told.positions[0], axis=1)
    np.testing.assert_allclose(np.linalg.norm(where, axis=-1)[:, 1:], np.tile(want[1:], (7, 1)), rtol=1e-12)


def test_axes_point_east_north_and_to_the_source():
    site, latitude = np.array([0.3, 0.6, 0.0]), 0.6
    ground = enu_to_itrf([[0, 0, 0], [100, 0, 0], [0, 100, 0], [0, 0, 100]], *site)
    zenith = uvw(Array("cross", ground, 0.3, latitude, 25.0), [0.0], latitude)[0]
    np.testing.assert_allclose(zenith[1:], 100 * np.eye(3), atol=1e-8)


def test_elevation_is_the_direction_along_which_the_delay_grows():
    told = Array("pair", enu_to_itrf([[0, 0, 0], [0, 0, 100]], 0.3, 0.6, 0.0), 0.3, 0.6, 25.0)
    hour = np.linspace(-3, 3, 9)
    np.testing.assert_allclose(uvw(told, hour, 0.2)[:, 1, 2], 100 * np.sin(elevations(told, hour, 0.2)), atol=1e-8)


def test_observation_has_the_times_of_its_hour_angles():
    told = array("vla-a")
    vis = observe(told, declination=0.7, right_ascension=1.3, slots=5, hours=(-4, 2), frequency=(1e9, 1.1e9))
    slot, times = vis.slots
    np.testing.assert_allclose(hour_angles(told, times, 1.3), np.deg2rad(15 * np.linspace(-4, 2, 5)), atol=1e-9)
    assert vis.rows == 5 * 2 * 351
    assert np.all(vis.antenna1 < vis.antenna2)
    where = uvw(told, np.deg2rad(15 * np.linspace(-4, 2, 5)), 0.7)
    np.testing.assert_allclose(vis.uvw, where[slot, vis.antenna2] - where[slot, vis.antenna1], atol=1e-8)


def test_integration_and_elevation_choose_slots():
    told = array("vla-a")
    vis = observe(told, declination=0.7, slots=10, hours=(-1, 1), integration=30.0)
    np.testing.assert_allclose(np.diff(vis.slots[1]), 30.0, atol=1e-4)
    high = observe(told, declination=0.1, slots=49, elevation=np.deg2rad(30))
    angles = elevations(told, hour_angles(told, high.slots[1], 0.0), 0.1)
    assert 0 < angles.size < 49
    assert angles.min() >= np.deg2rad(30) - 1e-9
    with pytest.raises(ConfigError, match="elevation"):
        observe(told, declination=-1.4, slots=4)


def test_fraction_draws_rows():
    vis = observe(array("meerkat"), declination=-0.5, slots=4, fraction=0.25, rng=np.random.default_rng(1))
    assert vis.rows == round(0.25 * 4 * 2016)
    assert len(np.unique(np.stack([vis.time, vis.antenna1, vis.antenna2]), axis=1).T) == vis.rows


def test_longest_baseline_meets_the_edge_of_the_grid():
    vis = observe(array("vla-a"), declination=0.7, slots=5)
    uv = vis.uv(Grid(64, cell_for(vis, 1.2)))
    assert np.hypot(*uv.T).max() == pytest.approx(np.pi / 1.2, rel=1e-12)
    assert cell_for(vis) * np.hypot(*vis.uvw[:, :2].T).max() * 1.4e9 / LIGHT == pytest.approx(1 / 2.4)


def test_random_arrays_repeat_and_fill_the_disc():
    one, two = (array("random", antennas=200, rng=np.random.default_rng(3), radius=1e3) for _ in range(2))
    np.testing.assert_array_equal(one.positions, two.positions)
    local = itrf_to_enu(one.positions, one.longitude, one.latitude, 2124.0)
    radius = np.hypot(local[:, 0], local[:, 1])
    assert radius.max() <= 1e3 + 1e-6
    assert np.mean(radius**2) == pytest.approx(0.5e6, rel=0.15)
    some = array("meerkat", antennas=10, rng=np.random.default_rng(3)).positions.tolist()
    assert all(row in array("meerkat").positions.tolist() for row in some)


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: array("alma"), ConfigError, "vla-a, meerkat, random"),
        (lambda: array("vla-a", antennas=28), ConfigError, "from 2 to 27"),
        (lambda: array("random", antennas=5), ConfigError, "rng"),
        (lambda: array("random"), ConfigError, "antennas"),
        (lambda: Array("one", np.zeros((1, 3)), 0, 0, 25), DataError, "positions"),
        (lambda: observe(array("vla-a"), declination=0.7, slots=2, fraction=0.5), ConfigError, "rng"),
        (lambda: cell_for(observe(array("vla-a"), declination=0.7, slots=1), 0.5), ConfigError, "oversampling"),
    ],
)
def test_wrong_settings_are_told(call, error, word):
    with pytest.raises(error, match=word):
        call()
