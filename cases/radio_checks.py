"""Checks of the simulated radio cases: the model against sums pixel by pixel, symmetries, and the order of methods."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.checks import Analytic, Check, Invariant, SolverRun, max_abs, rel_l2, shortfall
from retrodict.cases.radio_setup import Observation, RadioSettings, compared, observed, sky_digest, solver_of
from retrodict.physics.seeds import Seeds

__all__ = ["checks"]

Array = NDArray[Any]


def checks(config: RadioSettings, _seeds: Seeds) -> Sequence[Check]:
    """Return the checks."""
    found = [
        Check(
            "visibilities of the gridded model",
            lambda: _parts(_modelled(observed(config))),
            SolverRun(lambda: _parts(_summed(observed(config))), "sum over the pixels with gains in the image domain"),
            2e-5,
            rel_l2,
            "Jy",
            note="gridding kernel of 6 cells, stored in single precision",
        ),
        Check(
            "closure phase of one source behind any gains",
            lambda: _closure(observed(config)),
            Analytic(0.0, "V_12 V_23 V_31 of one direction: gains enter as squares of moduli"),
            1e-4,
            max_abs,
            "rad",
        ),
        Check(
            "a phase that all antennas share",
            lambda: _common_phase(observed(config)),
            Invariant(source="V_ab holds D_a conj(D_b)"),
            1e-13,
            max_abs,
        ),
        Check(
            "joint image against gains without direction",
            lambda: np.array(_snr(config)["joint"] - _snr(config)["gains without direction"]),
            Analytic(1.0, "effects of direction are there to be seen: at least 1 dB"),
            0.0,
            shortfall,
            "dB",
        ),
    ]
    if config.sky == "points":
        if config.effects != "smooth":
            return found
        found.append(
            Check(
                "joint image against the sky times the screen that all antennas share",
                lambda: np.array(_up_to_gauge(config)),
                Analytic(30.0, "noise of 60 dB: all but the gauge is recovered"),
                0.0,
                shortfall,
                "dB",
                note="that screen cannot be told from the sky",
            )
        )
        return found
    found.append(
        Check(
            "gains without direction against no calibration",
            lambda: np.array(_snr(config)["gains without direction"] - _snr(config)["no calibration"]),
            Analytic(0.0, "calibration does not harm"),
            0.0,
            shortfall,
            "dB",
        )
    )
    if config.effects == "smooth":
        found.append(
            Check(
                "joint image, up to the screen that all antennas share, against true gains",
                lambda: np.array(_up_to_gauge(config) - _snr(config)["true gains"]),
                Analytic(0.0, "imaging with the true gains cannot be reached, only approached"),
                2.5,
                shortfall,
                "dB",
                note="that screen cannot be told from the sky",
            )
        )
    return found


@lru_cache(4)
def _joint(text: str, _digest: str) -> Array:
    from retrodict.solvers.iterate import finished

    config = RadioSettings.model_validate_json(text)
    return np.asarray(finished(solver_of(observed(config)), config.max_steps).data["image"].values)


def _up_to_gauge(config: RadioSettings) -> float:
    """Signal to noise of the joint image against the true sky times the mean of the true gains, squared."""
    from retrodict.solvers.radio.gauge import signal_to_noise

    image = _joint(config.model_dump_json(), sky_digest(config))
    return signal_to_noise(image, observed(config).sky_behind_screen)


def _snr(config: RadioSettings) -> dict[str, float]:
    from retrodict.solvers.radio.gauge import signal_to_noise

    sky = observed(config).sky
    ours = signal_to_noise(_joint(config.model_dump_json(), sky_digest(config)), sky)
    other = {name: signal_to_noise(image, sky) for name, image in compared(config).items()}
    return {**other, "joint": ours}


def _parts(v: Array) -> Array:
    return np.concatenate([v.real, v.imag])


def _few(seen: Observation) -> Array:
    return np.linspace(0, seen.vis.rows - 1, 200).astype(np.int64)


def _modelled(seen: Observation) -> Array:
    model = seen.model()
    gains = _truth(seen)
    return np.asarray(model.imager(gains).apply(seen.sky)[_few(seen)])


def _truth(seen: Observation) -> Array:
    """True coefficients, or some of the right shape where the effects are not band-limited."""
    if seen.coefficients is not None:
        return seen.coefficients
    kernels = seen.model().kernels
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(kernels.shape) + 1j * rng.standard_normal(kernels.shape)
    return kernels.unit() + 0.03 * noise


def _summed(seen: Observation) -> Array:
    from retrodict.physics.radio.screens import BandLimited
    from retrodict.physics.radio.simulation import predict

    model = seen.model()
    basis = np.asarray(model.kernels.basis.at(model.times), np.complex128)
    return predict(seen.vis, seen.grid, seen.sky, BandLimited(_truth(seen), basis, model.kernels.padded))[_few(seen)]


def _closure(seen: Observation) -> float:
    """Largest closure phase of the triangles of antennas 0, 1 and 2 for a source off the centre."""
    sky = np.zeros(seen.grid.shape)
    sky[seen.grid.size // 2 + 7, seen.grid.size // 2 - 11] = 1.0
    model = seen.model()
    v = model.predict(sky, _truth(seen))
    pair = {(a, b): v[(model.first == a) & (model.second == b)] for a, b in ((0, 1), (1, 2), (0, 2))}
    return float(np.abs(np.angle(pair[0, 1] * pair[1, 2] * pair[0, 2].conj())).max())


def _common_phase(seen: Observation) -> float:
    model, gains = seen.model(), _truth(seen)
    before, after = model.predict(seen.sky, gains), model.predict(seen.sky, np.exp(0.7j) * gains)
    return float(np.abs(after - before).max() / np.abs(before).max())
