"""Radio cases on files: formats that lead to the same fit, wrong files, and what the data lack is told."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError
from scipy.io import savemat

from retrodict.cases import radio_3c391
from retrodict.cases.fit import set_up
from retrodict.cases.prepare import prepare
from retrodict.cases.radio_file_figures import image_figure, share_figure
from retrodict.cases.radio_file_setup import RadioFileSettings, measured, solver_of
from retrodict.cases.radio_measurement_set import RadioMeasurementSet, problem
from retrodict.cases.radio_setup import RadioSettings, observed
from retrodict.cases.record import RunFolder
from retrodict.cases.verbs import fit, run
from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.fits_image import read_image, write_image
from retrodict.physics.radio.gain_table import read_gains
from retrodict.physics.radio.measurement_set import read_measurement_set, write_measurement_set
from retrodict.physics.radio.noise import noise_from_differences
from retrodict.physics.radio.simulation import simulate
from retrodict.physics.radio.unknowns import labelled
from retrodict.physics.radio.uvfits_writing import write_uvfits
from retrodict.physics.radio.visibilities import Grid
from retrodict.physics.radio.wide_field import WideField
from retrodict.physics.seeds import Seeds
from retrodict.solvers.iterate import iterate

SEEDS = Seeds(0)


@pytest.fixture(scope="module")
def vis():
    """Eight antennas, twelve slots, two scans, one source."""
    rows = observe(array("vla-a"), declination=0.7, slots=12, hours=(-1, 1))
    rows = rows.select((rows.antenna1 % 3 == 0) & (rows.antenna2 % 3 == 0) & (rows.antenna1 < 24))
    grid = Grid(32, cell_for(rows), rows.centre)
    sky = np.zeros(grid.shape)
    sky[20, 11] = 1.0
    seen, _ = simulate(rows, grid, sky, rng=np.random.default_rng(0), snr_db=30)
    return replace(seen, scan=seen.slots[0] // 6)


def test_a_sky_of_a_file_is_observed(tmp_path):
    sky = np.zeros((64, 64))
    sky[40, 10:12], sky[8, 50] = 2.0, -1.0
    write_image(tmp_path / "sky.fits", sky, Grid(64, 1e-5))
    settings = {"size": 32, "slots": 10, "support": 1, "terms": 1, "amplitude": 1e-6, "snr": 200.0}
    seen = observed(RadioSettings(sky_file=str(tmp_path / "sky.fits"), **settings))
    assert (seen.sky[20, 5], seen.sky.sum()) == (1.0, 1.0)
    phase = seen.vis.uv(seen.grid) @ (np.array([20, 5]) - 16)
    np.testing.assert_allclose(seen.vis.data, np.exp(-1j * phase), atol=1e-4)
    write_image(tmp_path / "dark.fits", np.minimum(sky, 0), Grid(64, 1e-5))
    with pytest.raises(DataError, match="no positive pixel"):
        observed(RadioSettings(sky_file=str(tmp_path / "dark.fits"), **settings))


def test_a_measurement_set_and_a_uvfits_file_are_the_same_observation(vis, tmp_path):
    config = RadioMeasurementSet(size=32)
    write_measurement_set(tmp_path / "a.ms", vis)
    write_uvfits(vis, tmp_path / "a.uvfits")
    one, two = (problem(config, SEEDS, tmp_path / name) for name in ("a.ms", "a.uvfits"))
    assert one.vis.rows == two.vis.rows == vis.rows
    order = [np.lexsort((m.vis.antenna2, m.vis.antenna1, m.vis.slots[0])) for m in (one, two)]
    np.testing.assert_allclose(one.vis.data[order[0]], two.vis.data[order[1]], rtol=1e-5)
    assert one.grid.cell == pytest.approx(two.grid.cell, rel=1e-6)


def test_matlab_files_are_read_with_flags_weights_and_scans(vis, tmp_path):
    flag = (np.arange(vis.rows) % 7 == 0).astype(np.uint8)
    savemat(tmp_path / "x_data.mat", {"y_I": vis.data, "flag": flag, "weights": np.full(vis.rows, 4, np.uint8)})
    about = {"uvw": vis.uvw, "time": vis.time, "ant1": vis.antenna1, "ant2": vis.antenna2, "scans": vis.scan}
    savemat(tmp_path / "x_msSpecs.mat", about)
    for path in (tmp_path, tmp_path / "x_data.mat"):
        found = radio_3c391.read(path, 1e9)
        np.testing.assert_array_equal(found.flag, flag == 1)
        np.testing.assert_array_equal(found.data, vis.data)
        np.testing.assert_array_equal(found.scan, vis.scan)
        assert (found.weight == 4).all()
    stated = {"frequency": 1.4, "dec": 40.0}
    for settings, told in (({}, ["frequency", "phase centre"]), (stated, [])):
        seen, _ = set_up(*prepare("radio-3c391", preset="smoke", settings=settings), tmp_path)
        assert seen.vis.rows == vis.rows - flag.sum()
        assert [n.split(":")[0] for n in seen.notes if "the files name no" in n] == [
            f"the files name no {what}" for what in told
        ]
    savemat(tmp_path / "x_msSpecs.mat", {k: v for k, v in about.items() if k != "uvw"})
    with pytest.raises(DataError, match="no variable uvw"):
        radio_3c391.read(tmp_path, 1e9)
    (tmp_path / "x_msSpecs.mat").unlink()
    with pytest.raises(DataError, match=r"0 files \*msSpecs\.mat"):
        radio_3c391.read(tmp_path, 1e9)


def test_what_the_data_lack_is_told(vis):
    lonely = replace(vis, flag=vis.flag | (vis.antenna1 == 3) | (vis.antenna2 == 3))
    notes = measured(lonely, RadioFileSettings(size=32)).notes
    assert any("rows used; left out" in n for n in notes)
    assert any("no row to fit for" in n and lonely.antennas[3] in n for n in notes)
    wide = replace(vis, uvw=vis.uvw * [1e-3, 1e-3, 30.0])
    seen = measured(wide, RadioFileSettings(size=32))
    assert any("w-term" in n for n in seen.notes)
    assert isinstance(seen.model(seen.held, 1), WideField)
    assert not isinstance(seen.model(seen.held, 3), WideField)
    assert not any("w-term" in n for n in measured(wide, RadioFileSettings(size=32, support=1)).notes)
    near = measured(vis, RadioFileSettings(size=32, support=1))
    assert not isinstance(near.model(near.held, 1), WideField)
    assert not any("wavelets" in n for n in near.notes)
    odd = measured(vis, RadioFileSettings(size=36)).notes
    assert any("36 pixels can be halved 2 times: wavelets have 2 levels, and 4 where" in n for n in odd)


def test_methods_are_judged_by_rows_that_gains_of_scans_speak_of(vis):
    slot = vis.slots[0]
    settings = RadioFileSettings(size=32, hold_every=4, support=1)
    one = measured(replace(vis, scan=slot // 4), settings)
    assert one.judged.any()
    np.testing.assert_array_equal(one.judged, one.held)
    # a scan of its own for one held slot: no gains of scans there, and no method is judged by it
    part = measured(replace(vis, scan=np.where(slot == 2, 99, slot // 4)), settings)
    np.testing.assert_array_equal(part.judged, part.held & (slot != 2))
    assert not any("gains of scans" in n for n in (*one.notes, *part.notes))
    single = measured(replace(vis, scan=slot), settings)
    np.testing.assert_array_equal(single.judged, single.held)
    assert any("gains of scans are not compared" in n for n in single.notes)


def test_blanks_and_flags_are_left_out_of_averages_and_told(vis):
    blank = vis.slots[0] % 2 == 1
    data = np.where(blank, 0, 2.0)
    part = replace(vis, data=data, weight=np.ones(vis.rows), flag=np.arange(vis.rows) == 0)
    step = np.diff(vis.slots[1]).min()
    seen = measured(part, RadioFileSettings(size=32, hold_every=3), 2.5 * step)
    np.testing.assert_allclose(seen.vis.data, 2)
    assert seen.vis.weight.sum() == np.count_nonzero(~blank) - 1
    assert any("1 flagged" in n and f"{np.count_nonzero(blank)} " in n for n in seen.notes)


@pytest.mark.parametrize("settings", [{"support": 4}, {"draws": 1}, {"reweightings": -1}])
@pytest.mark.parametrize("kind", [RadioFileSettings, RadioSettings])
def test_settings_that_make_no_sense_are_refused(kind, settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        kind(**settings)


def test_wrong_observations_are_refused_before_any_work(vis, tmp_path):
    with pytest.raises(DataError, match="flagged"):
        measured(replace(vis, flag=np.ones(vis.rows, bool)), RadioFileSettings(size=32))
    with pytest.raises(DataError, match=r"1\.4 to 1\.4 Hz, expected .*hertz"):
        measured(replace(vis, frequency=vis.frequency / 1e9), RadioFileSettings(size=32))
    with pytest.raises(DataError, match="weightless"):
        measured(replace(vis, weight=np.zeros(vis.rows)), RadioFileSettings(size=32))
    with pytest.raises(DataError, match="pixels smaller"):
        measured(vis, RadioFileSettings(size=32, cell=60.0))
    with pytest.raises(DataError, match="4 time slots"):
        measured(vis.select(vis.slots[0] < 4), RadioFileSettings(size=32))
    write_measurement_set(tmp_path / "a.ms", vis)
    with pytest.raises(DataError, match="CORRECTED_DATA"):
        problem(RadioMeasurementSet(column="CORRECTED_DATA"), SEEDS, tmp_path / "a.ms")
    with pytest.raises(ConfigError, match="window"):
        problem(RadioMeasurementSet(window=3), SEEDS, tmp_path / "a.ms")


def test_a_file_that_a_setting_names_is_verified_on_resume(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image("sky.fits", np.eye(64), Grid(64, 1e-5))
    small = {"size": 32, "slots": 10, "support": 1, "terms": 1, "sky_file": "sky.fits"}
    run("radio-extended", settings=small, out=Path("r"))
    folder = RunFolder(Path("r"), json.loads(Path("r/provenance.json").read_text()))
    made, sky = folder.provenance["origins"]
    assert (made["kind"], "the sky of sky_file" in made["what"]) == ("simulated", True)
    assert (sky["kind"], sky["role"], sky["name"]) == ("given", "sky_file", "sky.fits")
    monkeypatch.chdir("/")  # names are not of the folder that the run was started in
    folder.check_files()
    write_image(tmp_path / "sky.fits", 2 * np.eye(64), Grid(64, 1e-5), overwrite=True)
    with pytest.raises(DataError, match=r"sky_file .* a changed file"):
        folder.check_files()
    (tmp_path / "sky.fits").unlink()
    with pytest.raises(DataError, match="no file"):
        folder.check_files()


def test_a_known_part_is_held_within_its_bounds_and_must_lie_on_the_same_pixels(vis, tmp_path):
    sky = np.zeros((32, 32))
    sky[20, 11] = 1.2
    grid = Grid(32, cell_for(vis), vis.centre)
    given = RadioFileSettings(size=32, support=1, terms=1, known=str(tmp_path / "known.fits"), theta=0.1)
    write_image(given.known, sky, grid)
    solver = solver_of(measured(vis, given))
    image = iterate(solver, 30).data["image"].values
    assert 1.08 <= image[20, 11] <= 1.32  # 1 Jy is what there is
    write_image(given.known, sky, grid, unit="Jy/beam", overwrite=True)
    with pytest.raises(DataError, match="BUNIT: got Jy/beam"):
        measured(vis, given)
    write_image(given.known, -sky, grid, overwrite=True)
    with pytest.raises(DataError, match="none below zero"):
        measured(vis, given)
    for other in (replace(grid, cell=1.01 * grid.cell), replace(grid, centre=(grid.centre[0] + grid.cell, 0.7))):
        write_image(given.known, sky, other, overwrite=True)
        with pytest.raises(DataError, match="pixels of the observation"):
            measured(vis, given)


def fitted(vis):
    """A fit that found unit gains and one pixel of 0.7 Jy, where there is 1."""
    seen = measured(vis, RadioFileSettings(size=32, terms=1, compare=False))
    kernels = seen.model(~seen.held, seen.config.support).kernels
    image = np.zeros((32, 32))
    image[20, 11] = 0.7
    return SimpleNamespace(
        problem=seen, result=SimpleNamespace(data=labelled(seen.grid, kernels, image, kernels.unit()))
    )


def test_an_image_of_one_pixel_is_drawn_on_a_scale_of_its_own(vis):
    figure = image_figure(fitted(vis))
    (shown,) = figure.axes[0].images
    assert (shown.norm.vmin, shown.norm.vmax) == (0, 0.7)
    assert np.asarray(shown.get_array())[11, 20] == 0.7  # x to the right, y upwards
    plt.close(figure)


def test_the_noise_is_drawn_where_slots_follow_one_another(vis):
    for scans, count in ((vis.scan, 1), (vis.slots[0], 0)):
        outcome = fitted(replace(vis, scan=scans))
        figure = share_figure(outcome)
        (ax,), seen = figure.axes, outcome.problem
        found = [line.get_xdata()[0] for line in ax.lines if str(line.get_label()).startswith("noise")]
        assert len(found) == count
        # 0.3 Jy of 1 are left, which the axis has to hold beside the noise, 30 dB below the data
        (left,) = ax.lines[0].get_xdata()
        low, high = ax.get_xlim()
        assert left == pytest.approx(0.3, abs=0.02)
        assert low < left < high
        if found:
            power = seen.vis.weight @ np.abs(seen.vis.data) ** 2
            noise = noise_from_differences(seen.vis) * np.sqrt(2 * seen.vis.rows / power)
            assert found == [pytest.approx(noise)]
            assert low <= noise
        plt.close(figure)


@pytest.mark.slow
def test_a_fit_leaves_images_and_gains_that_other_programs_read(vis, tmp_path):
    write_measurement_set(tmp_path / "a.ms", vis)
    small = {"size": 32, "terms": 2, "compare": False, "max_steps": 100, "draws": 3}
    done = fit("radio-measurement-set", data=tmp_path / "a.ms", settings=small, out=tmp_path / "fit")
    assert done.ok
    (note,) = done.warnings  # no figure failed
    assert "no row to fit for vla-a-01" in note
    image, grid = read_image(tmp_path / "fit" / "image.fits")
    np.testing.assert_array_equal(image, done.result.data["image"].values)
    assert np.unravel_index(image.argmax(), image.shape) == (20, 11)
    assert grid.cell == pytest.approx(done.problem.grid.cell, rel=1e-9)
    table = read_gains(tmp_path / "fit" / "gains.zarr")
    np.testing.assert_array_equal(table.gains.real, done.result.data["gains_re"].values)
    assert table.receptors == vis.antennas
    residual, _ = read_image(tmp_path / "fit" / "residual.fits")
    assert np.abs(residual).max() < 0.02
    data, model, corrected = (
        read_measurement_set(tmp_path / "fit" / "calibrated.ms", column=f"{name}DATA").data
        for name in ("", "MODEL_", "CORRECTED_")
    )
    np.testing.assert_allclose(data, vis.data, rtol=1e-6)
    # gains are near one, and what the model leaves is in the corrected data as it was
    left = np.linalg.norm(data - model) / np.linalg.norm(data)
    assert 0.01 < left < 0.05
    assert np.linalg.norm(corrected - data) < 0.1 * np.linalg.norm(data)
    known = xr.load_dataset(tmp_path / "fit" / "identifiability.nc")
    assert known["receptor"].values.tolist() == list(vis.antennas)
    assert known["rows"].sel(receptor="vla-a-01") == 0
    spread = xr.load_dataset(tmp_path / "fit" / "pixel_spread.nc")
    assert spread.attrs["draws"] == 3
    assert 0 < spread["image_std"].values[20, 11] < 0.1


def test_noise_is_found_in_differences_of_neighbours(vis):
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(vis.rows) + 1j * rng.standard_normal(vis.rows)
    slow = replace(vis, data=np.ones(vis.rows) + 2 * noise / np.sqrt(vis.weight))
    turned = rng.random(vis.rows) < 0.5
    swapped = replace(
        slow,
        antenna1=np.where(turned, vis.antenna2, vis.antenna1),
        antenna2=np.where(turned, vis.antenna1, vis.antenna2),
        data=np.where(turned, slow.data.conj(), slow.data),
    )
    assert noise_from_differences(slow) == pytest.approx(2.0, rel=0.1)
    assert noise_from_differences(swapped) == pytest.approx(noise_from_differences(slow), rel=1e-12)
    with pytest.raises(DataError, match="no two rows"):
        noise_from_differences(vis.select(vis.slots[0] == 0))
