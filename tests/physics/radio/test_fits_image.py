"""Images written and read: the sky position of pixels against astropy, real-life headers, and wrong files."""

import re

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.fits_image import read_image, read_pixels, write_image
from retrodict.physics.radio.visibilities import Grid

GRID = Grid(32, 2e-5, (4.2, -0.6))


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal(GRID.shape)


@pytest.mark.parametrize("frequency", [None, 1.4e9])
def test_what_is_written_is_read(tmp_path, image, frequency):
    write_image(tmp_path / "a.fits", image, GRID, frequency=frequency, object_name="test")
    back, grid = read_image(tmp_path / "a.fits")
    np.testing.assert_array_equal(back, image)
    assert (grid.size, grid.cell) == (32, pytest.approx(2e-5, rel=1e-14))
    np.testing.assert_allclose(grid.centre, GRID.centre, rtol=1e-14)
    header = fits.getheader(tmp_path / "a.fits")
    assert (header["BUNIT"], header["OBJECT"], header["BITPIX"]) == ("Jy/pixel", "test", -64)
    assert [p.name for p in tmp_path.iterdir()] == ["a.fits"]


def test_pixels_are_where_astropy_says(tmp_path):
    x, y = 5, 27
    image = np.zeros(GRID.shape)
    image[x, y] = 1
    write_image(tmp_path / "a.fits", image, GRID)
    with fits.open(tmp_path / "a.fits") as parts:
        row, column = np.unravel_index(parts[0].data.argmax(), GRID.shape)
        sky = WCS(parts[0].header, fix=False).pixel_to_world(column, row)
    # direction cosines of the pixel: x is to the west
    east, north = -GRID.cell * GRID.coordinates[x], GRID.cell * GRID.coordinates[y]
    up, (ra, dec) = np.sqrt(1 - east**2 - north**2), GRID.centre
    there = np.arcsin(north * np.cos(dec) + up * np.sin(dec))
    along = ra + np.arctan2(east, up * np.cos(dec) - north * np.sin(dec))
    assert sky.separation(SkyCoord(along, there, unit="rad", frame="fk5")).rad < 1e-3 * GRID.cell
    assert sky.ra.rad > ra
    assert sky.dec.rad > dec


def header(**changes):
    found = {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL1": 10.0, "CRVAL2": 41.0, "CRPIX1": 17.0, "CRPIX2": 17.0}
    made = fits.Header()
    made.update({**found, "CDELT1": -1e-3, "CDELT2": 1e-3, **changes})
    return made


def test_another_reference_pixel_moves_the_centre(tmp_path, image):
    fits.writeto(tmp_path / "a.fits", image[None].astype(">f4"), header(CRPIX1=16.0, CRPIX2=16.0))
    back, grid = read_image(tmp_path / "a.fits")
    np.testing.assert_array_equal(back, image.T.astype(np.float32))
    assert np.rad2deg(grid.centre[1]) == pytest.approx(41 + 1e-3, abs=1e-7)
    assert np.rad2deg(grid.centre[0]) == pytest.approx(10 - 1e-3 / np.cos(np.deg2rad(41.001)), abs=1e-7)


def test_a_file_without_coordinates_needs_a_cell(tmp_path, image):
    fits.writeto(tmp_path / "a.fits", image)
    with pytest.raises(DataError, match="no coordinates"):
        read_image(tmp_path / "a.fits")
    assert read_image(tmp_path / "a.fits", cell=1e-5)[1] == Grid(32, 1e-5)
    with pytest.raises(ConfigError, match="cell"):
        read_image(tmp_path / "a.fits", cell=-1e-5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"CDELT1": 1e-3}, "pixels"),
        ({"CDELT1": -2e-3}, "pixels"),
        ({"PC1_2": 0.1, "PC2_1": -0.1}, "pixels"),
        ({"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"}, "right ascension"),
        ({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR"}, "CTYPE1"),
        ({"CTYPE1": "FREQ", "CTYPE2": "STOKES"}, "a.fits"),
    ],
)
def test_coordinates_that_cannot_be_used_are_named(tmp_path, image, changes, told):
    fits.writeto(tmp_path / "a.fits", image, header(**changes))
    with pytest.raises(DataError, match=told):
        read_image(tmp_path / "a.fits")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (np.zeros((32, 16)), "16 by 32 pixels"),
        (np.zeros((31, 31)), "even number"),
        (np.full((32, 32), np.nan), "1024 values"),
        (np.zeros((3, 32, 32)), r"\(3, 32, 32\)"),
    ],
)
def test_images_that_cannot_be_used_are_named(tmp_path, data, told):
    fits.writeto(tmp_path / "a.fits", data, header())
    with pytest.raises(DataError, match=told):
        read_image(tmp_path / "a.fits")


def test_wrong_files_and_arguments_are_named(tmp_path, image):
    with pytest.raises(DataError, match="nothing there"):
        read_image(tmp_path / "a.fits")
    (tmp_path / "a.fits").write_text("no image")
    with pytest.raises(DataError, match=r"a\.fits: got"):
        read_image(tmp_path / "a.fits")
    with pytest.raises(ConfigError, match="overwrite"):
        write_image(tmp_path / "a.fits", image, GRID)
    with pytest.raises(DataError, match="shape"):
        write_image(tmp_path / "b.fits", image[:16], GRID)
    with pytest.raises(DataError, match="finite"):
        write_image(tmp_path / "b.fits", np.full(GRID.shape, np.inf), GRID)
    with pytest.raises(ConfigError, match="frequency"):
        write_image(tmp_path / "b.fits", image, GRID, frequency=0.0)
    write_image(tmp_path / "a.fits", image, GRID, overwrite=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.fits")[0], image)


def test_pixels_are_added_up_with_or_without_coordinates(tmp_path, image):
    write_image(tmp_path / "a.fits", image, GRID)
    fits.writeto(tmp_path / "bare.fits", np.ascontiguousarray(image.T))
    coarse = read_pixels(tmp_path / "a.fits", 8)
    np.testing.assert_array_equal(coarse, read_pixels(tmp_path / "bare.fits", 8))
    assert coarse[1, 5] == pytest.approx(image[4:8, 20:24].sum())
    with pytest.raises(DataError, match="32 pixels along a side, expected a multiple of 12"):
        read_pixels(tmp_path / "a.fits", 12)


@pytest.mark.parametrize("card", [b"OBJECT  =  test", b"INSTRUME"])
def test_a_header_with_a_card_that_the_standard_forbids_is_read(tmp_path, image, card):
    write_image(tmp_path / "a.fits", image, GRID, object_name="test")
    raw = re.sub(rb"(CHECKSUM|DATASUM|ORIGIN  )= .{70}", b" " * 80, (tmp_path / "a.fits").read_bytes())
    at = raw.index(b"OBJECT  =")
    (tmp_path / "a.fits").write_bytes(raw[:at] + card.ljust(80) + raw[at + 80 :])
    np.testing.assert_array_equal(read_image(tmp_path / "a.fits")[0], image)
