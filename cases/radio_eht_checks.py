"""Checks of the case ``radio-eht``: the ring against the published one, closures, and a sky that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from retrodict.cases.checks import Analytic, Check, Invariant, Published, excess, max_abs
from retrodict.cases.radio_eht_setup import UAS, RadioEHT, correlation, crescent, imaged, ring

if TYPE_CHECKING:
    from retrodict.physics.seeds import Seeds

__all__ = ["checks"]


def _drift(settings: str) -> float:
    """Return the largest change of a closure phase of the data when they are divided by the gains of the image."""
    found = imaged(settings, None)
    vis = found.imager.vis
    corrected = found.imager.calibrate(found.image).corrected(vis, vis.slots[0])
    phases = found.imager.closures[0]
    gap = phases.values(corrected.data) - phases.values(vis.data)
    return float(np.abs(np.exp(1j * gap) - 1).max())


def checks(config: RadioEHT, seeds: Seeds) -> Sequence[Check]:
    """Hold ring, closures and the image of a known sky against what they should be."""
    settings, seed = config.model_dump_json(), seeds.root
    ring_source = "EHT Collaboration (2019), Astrophys. J. Lett. 875, L1, abstract: 42 +- 3 micro-arcseconds"
    south = "EHT Collaboration (2019), Astrophys. J. Lett. 875, L4, abstract: enhanced brightness in the south"
    bar = Analytic(2.0, "one for errors as stated; at most two")

    def measured(of: int | None) -> tuple[float, float]:
        found = imaged(settings, of)
        one = ring(found.image, found.imager.grid)
        return one.diameter / UAS, float(np.rad2deg(one.orientation))

    return [
        Check(
            "M87: diameter of the ring",
            lambda: measured(None)[0],
            Published(42.0, ring_source),
            3.0,
            max_abs,
            "uas",
            note="starts from a disk; from a Gaussian, another minimum of the same closure chi-squared",
        ),
        Check(
            "M87: position angle of the bright side",
            lambda: measured(None)[1],
            Published(180.0, south),
            60.0,
            max_abs,
            "degree",
        ),
        Check("M87: reduced chi-squared of closure phases", lambda: imaged(settings, None).chi2[0], bar, 0.0, excess),
        Check(
            "M87: reduced chi-squared of closure amplitudes", lambda: imaged(settings, None).chi2[1], bar, 0.0, excess
        ),
        Check(
            "M87: change of closure phases by self-calibration",
            lambda: _drift(settings),
            Invariant(0.0, "gains of stations cancel around triangles"),
            1e-9,
            max_abs,
            "rad",
        ),
        Check(
            "simulated crescent: normalised cross-correlation with the truth",
            lambda: correlation(imaged(settings, seed).image, crescent(config))[0],
            Analytic(1.0, "the sky that was simulated"),
            0.1,
            max_abs,
        ),
        Check(
            "simulated crescent: diameter",
            lambda: measured(seed)[0],
            Analytic(lambda: ring(crescent(config), imaged(settings, seed).imager.grid).diameter / UAS, "the truth's"),
            3.0,
            max_abs,
            "uas",
        ),
    ]
