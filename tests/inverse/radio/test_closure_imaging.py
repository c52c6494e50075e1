"""Imaging by closures: its parts against sums and differences, its state, and a sky behind unknown gains."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from retrodict.inverse.radio import closure_imaging
from retrodict.inverse.radio.closure_imaging import ClosureImager
from retrodict.inverse.radio.image_priors import disk_image, entropy, total_variation
from retrodict.inverse.radio.sky_transform import SkyTransform
from retrodict.physics.errors import DataError
from retrodict.physics.radio.simulation import predict
from retrodict.physics.radio.visibilities import LIGHT, Grid, Visibilities
from retrodict.solvers.base import Solver, Status
from retrodict.solvers.iterate import iterate

GRID = Grid(24, 1e-10)


def observed(stations=7, slots=12, seed=0, noise=2e-3):
    """Two blobs seen by stations that a rotating field carries round, through gains of random phases."""
    rng = np.random.default_rng(seed)
    at = GRID.coordinates
    sky = sum(
        f * np.exp(-((at[:, None] - x) ** 2 + (at[None, :] - y) ** 2) / 6.0) for f, x, y in ((2.0, 3, 4), (1.0, -3, -2))
    )
    sky = sky / sky.sum()
    pairs = np.array(list(combinations(range(stations), 2)))
    place = rng.normal(size=(stations, 2))
    place *= 0.18 * LIGHT / 1e11 / GRID.cell / np.hypot(*place.T).max()
    turn = np.linspace(0, np.pi / 2, slots)
    u = np.stack([np.cos(turn)[:, None] * place[:, 0] - np.sin(turn)[:, None] * place[:, 1]], -1)
    v = np.stack([np.sin(turn)[:, None] * place[:, 0] + np.cos(turn)[:, None] * place[:, 1]], -1)
    where = np.concatenate([u, v, np.zeros_like(u)], axis=-1)
    uvw = (where[:, pairs[:, 1]] - where[:, pairs[:, 0]]).reshape(-1, 3)
    n, slot = len(uvw), np.repeat(np.arange(slots), len(pairs))
    first, second = np.tile(pairs, (slots, 1)).T
    weight, flag = np.full(n, noise**-2), np.zeros(n, bool)
    vis = Visibilities(uvw, np.full(n, 1e11), 60.0 * slot, first, second, np.ones(n), weight, flag)
    gains = np.exp(0.05 * rng.normal(size=(slots, stations)) + 1j * rng.uniform(-3, 3, (slots, stations)))
    data = predict(vis, GRID, sky) * gains[slot, first] * gains[slot, second].conj()
    return vis.with_data(data + noise * (rng.normal(size=n) + 1j * rng.normal(size=n))), sky


def imager(vis, **settings):
    return ClosureImager(vis, GRID, 1.0, 16 * GRID.cell, 2 * GRID.cell, gain_spread=0.1, **settings)


def test_the_transform_is_the_sum_written_out_and_its_adjoint():
    vis, _ = observed(slots=2)
    rng, transform = np.random.default_rng(1), SkyTransform(vis, GRID)
    image, values = rng.normal(size=GRID.shape), rng.normal(size=vis.rows) + 1j * rng.normal(size=vis.rows)
    x, y = np.meshgrid(GRID.coordinates, GRID.coordinates, indexing="ij")
    direct = [np.sum(image * np.exp(-1j * (u * x + v * y))) for u, v in vis.uv(GRID)]
    assert np.abs(transform.apply(image) - direct).max() < 1e-11
    assert np.vdot(values, direct).real == pytest.approx(np.sum(transform.adjoint(values) * image), rel=1e-12)


def test_gradients_are_those_of_differences():
    vis, sky = observed(slots=3)
    found, rng = imager(vis), np.random.default_rng(2)
    image, move = sky + 1e-3 * (0.5 + rng.random(GRID.shape)), 1e-3 * rng.normal(size=GRID.shape)
    factor, h = np.exp(1j * rng.normal(size=vis.rows)), 2e-4

    def slope(function):
        (up, _), (down, _), (_, gradient) = function(image + h * move), function(image - h * move), function(image)
        return (up - down) / (2 * h), np.sum(gradient * move)

    for function in (
        lambda i: found.objective(i, factor),
        found.objective,
        lambda i: entropy(i, 1e-4 + disk_image(24, 12.0, 1.0)),
        lambda i: total_variation(i, 1e-3),
    ):
        difference, gradient = slope(function)
        assert gradient == pytest.approx(difference, rel=1e-5)


def test_a_sky_is_found_through_unknown_phases_and_amplitudes():
    vis, sky = observed()
    found = imager(vis, smoothness=0.05, sameness=0.2, steps=120)
    result = iterate(found, 6)
    image = result.data["image"].values
    spectrum = np.fft.fft2(image - image.mean()).conj() * np.fft.fft2(sky - sky.mean())
    agreement = np.fft.ifft2(spectrum).real.max() / (image.size * image.std() * sky.std())
    assert result.status is Status.CONVERGED
    assert agreement > 0.95
    assert image.min() >= 0
    assert image.sum() == pytest.approx(1.0, abs=0.01)
    assert max(found.reduced_chi_squared(image)) < 1.5


def test_the_gains_of_a_solution_are_those_of_its_image():
    vis, _ = observed(slots=3)
    found = imager(vis, steps=20)
    state = found.step(found.init())[0]
    wanted = found.calibrate(state.image)
    data = found.solution(state)
    assert wanted.constrained.all()
    np.testing.assert_array_equal(data["gain"], np.abs(wanted.gains))
    np.testing.assert_array_equal(data["phase"], np.angle(wanted.gains))
    assert np.abs(data["phase"]).max() > 1


def test_the_state_packs_to_the_last_bit():
    vis, _ = observed(slots=3)
    found = imager(vis, steps=5)
    assert isinstance(found, Solver)
    state = found.step(found.step(found.init())[0])[0]
    back = found.unpack(found.pack(state))
    assert back.round == 2
    assert np.array_equal(back.image, state.image)
    assert np.array_equal(back.gains, state.gains)
    assert np.array_equal(found.step(back)[0].image, found.step(state)[0].image)


def test_rows_that_cannot_be_used_are_refused():
    vis, _ = observed(slots=1)
    with pytest.raises(DataError, match="1 unusable rows"):
        imager(vis.with_data(np.where(np.arange(vis.rows) == 0, 0, vis.data)))
    with pytest.raises(DataError, match="rounds"):
        imager(vis, rounds=0)


def test_a_search_that_breaks_down_has_not_converged(monkeypatch):
    vis, _ = observed(slots=3)
    broken = SimpleNamespace(minimize=lambda _, start, **__: SimpleNamespace(x=start, status=2))
    monkeypatch.setattr("scipy.optimize", broken)
    result = iterate(imager(vis, steps=20, tolerance=0.5), 6)
    assert result.status is Status.STALLED


def test_gains_that_have_not_converged_are_no_end(monkeypatch):
    vis, _ = observed(slots=3)
    monkeypatch.setattr(closure_imaging, "_CALIBRATION", 1)
    result = iterate(imager(vis, steps=20, tolerance=0.5), 6)
    assert result.status is Status.STALLED
    assert result.best["calibrated"] < 1
