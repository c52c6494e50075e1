"""Case ``radio-measurement-set``: image and gains of a MeasurementSet or a UVFITS file, judged by slots held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from retrodict.cases.case import Case
from retrodict.cases.config import setting
from retrodict.cases.radio_extended import FIGURES, models
from retrodict.cases.radio_extended import simulate as simulate_sky
from retrodict.cases.radio_file_checks import checks
from retrodict.cases.radio_file_figures import files, gain_figure, image_figure, residual_figure, share_figure
from retrodict.cases.radio_file_setup import (
    STAND_IN,
    Measured,
    RadioFileSettings,
    measured,
    simulated,
    solver_of,
    stand_in,
)
from retrodict.cases.radio_uncertainty import uncertainty_figure
from retrodict.physics.errors import ConfigError, expected

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.physics.radio.visibilities import Visibilities
    from retrodict.physics.seeds import Seeds

__all__ = ["FIT_FIGURES", "RadioMeasurementSet", "case", "simulate"]


class RadioMeasurementSet(RadioFileSettings):
    """Settings: which part of the set, and what is made of it."""

    column: str = setting("DATA", "", "column of visibilities of a MeasurementSet")
    field: int = setting(-1, "", "field; -1: the only one", ge=-1, le=1_000_000)
    window: int = setting(-1, "", "spectral window; -1: the only one", ge=-1, le=1_000_000)
    feeds: Literal["stokes-i", "parallel"] = setting("stokes-i", "", "mean of the parallel hands, or gains for each")
    average: float = setting(0.0, "s", "average over so long, within scans; 0: not", ge=0, le=1e06)


def simulate(config: RadioFileSettings, seeds: Seeds) -> xr.Dataset:
    """Return the observation that is simulated where no file is given."""
    return simulate_sky(simulated(config, seeds.root), seeds)


def read(config: RadioMeasurementSet, data: Path) -> Visibilities:
    """Return the visibilities of a file.

    Raises
    ------
    ConfigError
        If a part is chosen of a file that has no parts.
    DataError
        As the readers do.
    """
    from retrodict.physics.radio.measurement_set import read_measurement_set
    from retrodict.physics.radio.uvfits import read_uvfits

    if data.is_file():
        for name in ("column", "field", "window"):
            if getattr(config, name) != RadioMeasurementSet.model_fields[name].default:
                wanted = "no such choice: a UVFITS file has one column, field and window"
                raise ConfigError(expected(name, getattr(config, name), wanted))
        return read_uvfits(data, feeds=config.feeds)
    return read_measurement_set(
        data,
        column=config.column,
        field=None if config.field < 0 else config.field,
        window=None if config.window < 0 else config.window,
        feeds=config.feeds,
    )


def problem(config: RadioMeasurementSet, seeds: Seeds, data: Path | None) -> Measured:
    """Return the observation of a file; without one, a simulated observation, written as a MeasurementSet and read."""
    if data is None:
        return stand_in(config, seeds.root)
    return measured(read(config, data), config, config.average)


FIT_FIGURES = {
    "Images of all methods on one scale": image_figure,
    "What they leave of the slots that were fitted, as dirty images": residual_figure,
    "What they leave of the data, and the noise": share_figure,
    "Gains of some antennas": gain_figure,
    "What the data say of the gains, and what the sky can stand in for": uncertainty_figure,
}

case: Case[RadioMeasurementSet] = Case(
    name="radio-measurement-set",
    system="radio",
    summary="Joint calibration and imaging of a MeasurementSet or a UVFITS file: FITS images, gains, slots held out.",
    Config=RadioMeasurementSet,
    simulate=simulate,
    presets={"smoke": {"size": 64, "max_steps": 60, "terms": 3}},
    problem=problem,
    solver=lambda _config, seen: solver_of(seen),
    files=files,
    checks=checks,
    figures=FIGURES,
    fit_figures=FIT_FIGURES,
    models=models,
    origin=STAND_IN,
)
