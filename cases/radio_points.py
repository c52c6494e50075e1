"""Case ``radio-points``: point sources over four decades behind direction-dependent gains."""

from __future__ import annotations

from typing import Literal

from retrodict.cases.case import Case
from retrodict.cases.config import setting
from retrodict.cases.radio_checks import checks
from retrodict.cases.radio_extended import FIGURES, FIT_FIGURES, files, models, simulate, solver
from retrodict.cases.radio_setup import RadioSettings, origin, problem

__all__ = ["RadioPoints", "case"]


class RadioPoints(RadioSettings):
    """Settings: the sky is a catalogue, the prior its sparsity in pixels."""

    sky: Literal["spiral", "remnant", "jet", "points"] = setting("points", "", "sky of our own making")
    snr: float = setting(60.0, "dB", "signal to noise of the visibilities", ge=-300, le=300)
    reweightings: int = setting(
        3, "", "how often a solve goes on with thresholds that spare what it has found", ge=0, le=1000
    )


case: Case[RadioPoints] = Case(
    name="radio-points",
    system="radio",
    summary="Joint calibration of direction-dependent gains and imaging of point sources.",
    Config=RadioPoints,
    simulate=simulate,
    presets={
        "smoke": {"size": 64, "slots": 20, "support": 3, "max_steps": 150},
        "default": {},
        "paper": {"size": 256, "slots": 200},
    },
    problem=problem,
    solver=solver,
    files=files,
    checks=checks,
    figures=FIGURES,
    fit_figures=FIT_FIGURES,
    models=models,
    origin=origin,
)
