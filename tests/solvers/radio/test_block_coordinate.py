"""Block-coordinate forward-backward: gradients, descent of one objective, boxes, and where it ends."""

from dataclasses import replace

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.visibilities import Grid, Visibilities
from retrodict.solvers.base import Status
from retrodict.solvers.iterate import iterate
from retrodict.solvers.radio.block_coordinate import BlockCoordinate
from retrodict.solvers.radio.copies_image import CopiesMisfit
from retrodict.solvers.radio.gain_copies import GainCopies, tie_strength
from retrodict.solvers.radio.gauge import signal_to_noise
from retrodict.solvers.radio.joint import JointSolver
from retrodict.solvers.radio.stefcal import stefcal

ANTENNAS, SIZE = 9, 32


def tracks(slots, rng):
    """Rows of a few antennas on a turning plane."""
    place = rng.uniform(-1, 1, (ANTENNAS, 2))
    a, b = np.triu_indices(ANTENNAS, 1)
    lines = place[a] - place[b]
    lines *= 0.9 * np.pi / np.abs(lines).max() / np.sqrt(2)
    angle = np.linspace(0, np.pi, slots, endpoint=False)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    uvw = np.zeros((slots, a.size, 3))
    uvw[..., :2] = np.einsum("ijt,mj->tmi", turn, lines)
    rows = slots * a.size
    wavelength, cell = 0.3, 1e-4
    uvw *= wavelength / (2 * np.pi * cell)
    time = np.repeat(np.arange(slots) * 60.0, a.size)
    first, second = np.tile(a, slots), np.tile(b, slots)
    frequency = np.full(rows, 299792458.0 / wavelength)
    vis = Visibilities(
        uvw.reshape(-1, 3), frequency, time, first, second, np.zeros(rows), np.ones(rows), np.zeros(rows, bool)
    )
    return vis, Grid(SIZE, cell)


def scene(size=3, slots=6, noise=0.01, amplitude=0.05, terms=1, seed=0):
    """Model with data, sky, gains."""
    rng = np.random.default_rng(seed)
    vis, grid = tracks(slots, rng)
    n = np.arange(SIZE) - SIZE // 2
    sky = np.zeros(grid.shape)
    for _ in range(8):
        x, y = rng.uniform(-9, 9, 2)
        sky += rng.random() * np.exp(-((n[:, None] - x) ** 2 + (n - y) ** 2) / (2 * rng.uniform(0.8, 2.0) ** 2))
    sky = np.where(sky > 1e-3, sky, 0.0)
    basis = TimeBasis.spanning("dct", vis.slots[1], terms)
    model = Interferometer(vis, grid, size=size, basis=basis)
    unit = model.kernels.unit()
    gains = unit + amplitude * (rng.standard_normal(unit.shape) + 1j * rng.standard_normal(unit.shape))
    clean = model.predict(sky, gains)
    sigma = noise * np.sqrt(np.mean(np.abs(clean) ** 2))
    data = clean + sigma * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    weight = rng.uniform(0.5, 2.0, vis.rows) / max(sigma, 1e-3) ** 2
    seen = replace(vis.with_data(data), weight=weight)
    return Interferometer(seen, grid, size=size, basis=basis), sky, gains


def copies_near(unit, rng, far=0.05):
    return [unit + far * (rng.standard_normal(unit.shape) + 1j * rng.standard_normal(unit.shape)) for _ in range(2)]


def test_the_gradient_of_a_block_is_that_of_the_whole_objective():
    model, sky, _ = scene(terms=2)
    copies = GainCopies(model, tie=3e3, pull=2e3)
    rng = np.random.default_rng(1)
    pair = copies_near(model.kernels.unit(), rng)
    cube, h = model.cube(sky), 1e-4
    for own in (0, 1):
        at = model.kernels.at(pair[1 - own], model.times)
        for receptor in (0, 4, ANTENNAS - 1):
            block = copies.block(receptor, cube, at, pair[1 - own])
            d = rng.standard_normal(pair[0][0].shape) + 1j * rng.standard_normal(pair[0][0].shape)
            values = []
            for sign in (1, -1):
                moved = [u.copy() for u in pair]
                moved[own][receptor] += sign * h * d
                values.append(copies.value(cube, *moved))
            # quadratic in one block: central differences are exact but for rounding
            slope = np.real(np.vdot(block.gradient(pair[own][receptor].ravel()), d.ravel()))
            assert abs((values[0] - values[1]) / (2 * h) - slope) < 1e-7 * abs(slope)


def test_the_image_sees_the_same_objective_and_its_gradient():
    model, sky, _ = scene()
    rng = np.random.default_rng(2)
    pair = copies_near(model.kernels.unit(), rng)
    misfit, copies = CopiesMisfit(model, *pair), GainCopies(model, tie=0.0)
    value, gradient = misfit(sky)
    # the rows of the matrix and the cube read one and the same grid
    assert abs(value - copies.value(model.cube(sky), *pair)) < 1e-10 * value
    d = rng.standard_normal(sky.shape)
    slope = (misfit(sky + 1e-3 * d)[0] - misfit(sky - 1e-3 * d)[0]) / 2e-3
    assert abs(slope - np.vdot(gradient, d)) < 1e-8 * abs(slope)
    once = CopiesMisfit(model, *pair, both=False)(sky)[0]
    swapped = CopiesMisfit(model, *pair[::-1], both=False)(sky)[0]
    assert abs(0.5 * (once + swapped) - value) < 1e-12 * value
    assert abs(once - swapped) > 1e-3 * value


def test_copies_stand_at_their_own_end_of_a_baseline():
    model, sky, _ = scene()
    first, second = copies_near(model.kernels.unit(), np.random.default_rng(3))
    n = model.grid.coordinates
    x, y = (a.ravel() for a in np.meshgrid(n, n, indexing="ij"))
    d1, d2 = (model.kernels.screens(model.kernels.at(u, model.times), x, y) for u in (first, second))
    wave = np.exp(-1j * model.vis.uv(model.grid) @ np.array([x, y]))
    a, b, slot = model.vis.antenna1, model.vis.antenna2, model.slot
    brute = np.sum(sky.ravel() * d1[slot, a] * d2[slot, b].conj() * wave, axis=1)
    seen = model.imager(first, second=second).apply(sky)
    assert np.abs(seen - brute).max() < 1e-4 * np.abs(brute).max()
    swapped = model.imager(second, second=first).apply(sky)
    assert np.abs(swapped - brute).max() > 1e-2 * np.abs(brute).max()


def test_calibration_descends_by_what_it_says_within_the_boxes():
    model, sky, _ = scene(amplitude=0.1)
    unit, cube = model.kernels.unit(), model.cube(sky)
    copies = GainCopies(model, tie_strength(model, sky, unit), box=0.04, centre_box=0.02)
    found = copies.descend(cube, unit, unit, sweeps=3)
    fell = copies.value(cube, unit, unit) - copies.value(cube, found.first, found.second)
    assert found.rise <= 0 < fell
    assert abs(fell - found.fell) < 1e-9 * fell
    for gains in (found.first, found.second):
        d = gains - unit
        radius = np.full((3, 3), 0.04)
        radius[1, 1] = 0.02
        assert (np.maximum(np.abs(d.real), np.abs(d.imag)) <= radius + 1e-15).all()
        assert np.abs(d).max() > 0.04  # some sit on the walls


def test_steps_of_two_and_a_half_over_the_largest_eigenvalue_ascend():
    model, sky, _ = scene(size=1)
    unit, cube = model.kernels.unit(), model.cube(sky)
    good = GainCopies(model, 0.0).descend(cube, unit, unit, sweeps=2)
    bad = GainCopies(model, 0.0, relaxation=2.5).descend(cube, unit, unit, sweeps=2)
    assert good.rise <= 0 < bad.rise


def test_without_direction_and_with_the_sky_known_it_ends_where_stefcal_does():
    model, sky, _ = scene(size=1, slots=4, noise=0.05)
    unit, cube = model.kernels.unit(), model.cube(sky)
    copies = GainCopies(model, tie_strength(model, sky, unit, 0.1))
    found = copies.descend(cube, unit, unit, sweeps=400, tolerance=1e-12)
    seen = model.predict(sky, unit)
    theirs = stefcal(model.vis, seen, np.zeros(model.rows, np.int64), tolerance=1e-13, max_steps=2000).gains[0]
    for gains in (found.first, found.second):
        ours = gains[:, 0, 0, 0]
        phase = np.vdot(ours, theirs)
        assert np.abs(ours * phase / abs(phase) - theirs).max() < 1e-6
    assert np.abs(theirs - 1).max() > 0.02


def solver(scene_made, **options):
    model, sky, _ = scene_made
    start = np.maximum(sky + 0.02 * sky.max() * np.random.default_rng(5).standard_normal(sky.shape), 0)
    given = {
        "eta": 0.3 * np.sqrt(model.vis.weight.sum()),
        "tie": tie_strength(model, start, model.kernels.unit()),
        "box": 0.15,
        "truth": sky,
    } | options
    return BlockCoordinate(model, start, **given)


@pytest.mark.parametrize("accelerated", [False, True])
def test_every_block_descends(accelerated):
    made = scene(terms=1)
    found = solver(made, accelerated=accelerated, image_steps=15, bases=("db2", "dirac"))
    state, last = found.init(), np.inf
    for _ in range(3):
        state, metrics = found.step(state)
        assert metrics["calibration_descent"] <= 0
        assert metrics["image_descent"] <= 0
        assert found.done(metrics) is not Status.FAILED
        assert metrics["objective"] < last
        last = metrics["objective"]
    total = found.copies.value(made[0].cube(state.image), state.first, state.second) + found.prox.penalty(state.image)
    assert abs(total - last) < 1e-9 * last
    bright = found.bright_part > 0
    assert (state.image >= 0).all()
    assert (np.abs(state.image - found.bright_part)[bright] <= 0.5 * found.bright_part[bright] + 1e-12).all()


def test_a_rise_fails_and_a_small_fall_converges():
    found = solver(scene())
    fine = {"calibration_descent": -1e-3, "image_descent": 0.0, "decrease": 0.5}
    assert found.done(fine) is None
    assert found.done(fine | {"decrease": 1e-3}) is Status.CONVERGED
    assert found.done(fine | {"image_descent": 1e-6}) is Status.FAILED
    assert found.done(fine | {"calibration_descent": 1e-6}) is Status.FAILED


def test_a_packed_state_goes_on_to_the_last_bit():
    found = solver(scene(), image_steps=2, bases=("dirac",))
    state, _ = found.step(found.init())
    plain, packed = found.step(state)[0], found.step(found.unpack(found.pack(state)))[0]
    assert all(np.array_equal(v, vars(packed)[k]) for k, v in vars(plain).items())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"theta": 1.5}, "fractions"),
        ({"image_steps": 0}, "at least one"),
        ({"tie": -1.0}, "tie"),
        ({"eta": -1.0}, "weights"),
    ],
)
def test_wrong_settings_are_refused(options, match):
    with pytest.raises(SolverError, match=match):
        solver(scene(), **options)
    model, sky, _ = scene()
    with pytest.raises(SolverError, match="start_image"):
        BlockCoordinate(model, sky[:8], 1.0, 1.0, 0.1)
    with pytest.raises(SolverError, match="no positive pixel"):
        BlockCoordinate(model, 0 * sky, 1.0, 1.0, 0.1)


@pytest.mark.slow
def test_the_image_improves_on_the_one_without_calibration():
    model, sky, _ = made = scene(slots=20, seed=4)
    plain = Interferometer(model.vis, model.grid)
    start = iterate(JointSolver(plain, fixed=plain.kernels.unit()), 20).data["image"].values
    found = iterate(replace(solver(made), start_image=start), 30)
    assert found.status is Status.CONVERGED
    assert (found.history["calibration_descent"] <= 0).all()
    assert signal_to_noise(found.data["image"].values, sky) > signal_to_noise(start, sky) + 4
