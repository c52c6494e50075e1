"""Case ``radio-3c391``: the supernova remnant 3C391 observed by the VLA, image and gains judged by slots held out.

The data are those of NRAO's tutorial as the authors of Dabbech et al. (2021, MNRAS 506, 4855) dumped them, two MATLAB
files of one channel; they are not ours to copy, so that ``--data`` names the folder or the file of visibilities.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.config import setting
from retrodict.cases.origin import NeedsDataError
from retrodict.cases.radio_extended import models
from retrodict.cases.radio_file_figures import files
from retrodict.cases.radio_file_setup import Measured, RadioFileSettings, measured, solver_of
from retrodict.cases.radio_measurement_set import FIT_FIGURES
from retrodict.physics.errors import DataError, expected

if TYPE_CHECKING:
    from retrodict.physics.radio.visibilities import Visibilities
    from retrodict.physics.seeds import Seeds

__all__ = ["Radio3C391", "case", "read"]


class Radio3C391(RadioFileSettings):
    """Settings: pixels that hold the remnant, gains of the antennas."""

    cell: float = setting(5.0, "arcsec", "side of a pixel; 0: from the longest baseline", ge=0, le=3600)
    frequency: float = setting(4.536, "GHz", "of the channel", ge=0.001, le=10000)
    ra: float = setting(0.0, "degree", "right ascension of the phase centre, which the files do not tell", ge=0, lt=360)
    dec: float = setting(0.0, "degree", "its declination", ge=-90, le=90)


def read(path: Path, frequency: float, centre: tuple[float, float] = (0.0, 0.0)) -> Visibilities:
    """Return the visibilities of the MATLAB files ``*data.mat`` and, beside it, ``*msSpecs.mat``.

    Parameters
    ----------
    path : Path
        The folder, or the file of visibilities.
    frequency : float
        Of the channel [Hz].
    centre : tuple of float, optional
        Right ascension and declination of the phase centre [rad].

    Raises
    ------
    DataError
        If a file or a variable is missing, or lengths disagree.
    """
    from scipy.io import loadmat

    from retrodict.physics.radio.visibilities import Visibilities

    folder = path if path.is_dir() else path.parent
    tables: dict[str, Any] = {}
    for kind, names in _VARIABLES.items():
        found = [path] if path.is_file() and path.name.endswith(f"{kind}.mat") else sorted(folder.glob(f"*{kind}.mat"))
        if len(found) != 1:
            got = f"{len(found)} files *{kind}.mat"
            raise DataError(expected(str(folder), got, f"one, with the variables {', '.join(names)}"))
        table = loadmat(found[0])
        if missing := [n for n in names if n not in table]:
            raise DataError(expected(found[0].name, f"no variable {missing[0]}", f"the variables {', '.join(names)}"))
        tables |= {n: np.squeeze(table[n]) for n in names}
    rows = tables["y_I"].size
    data = np.where(np.isfinite(tables["y_I"]), tables["y_I"], 0)
    return Visibilities(
        tables["uvw"],
        np.full(rows, frequency),
        tables["time"],
        tables["ant1"],
        tables["ant2"],
        data,
        tables["weights"],
        tables["flag"] != 0,
        scan=tables["scans"],
        centre=centre,
        telescope="VLA",
    )


_WHERE = (
    "the folder with *data.mat and *msSpecs.mat of one channel, as in data/3c391/ch1 of "
    "https://github.com/basp-group/SARA-CALIB-realdata; they are not ours to copy"
)
_VARIABLES = {"data": ("y_I", "flag", "weights"), "msSpecs": ("uvw", "time", "ant1", "ant2", "scans")}


def problem(config: Radio3C391, _seeds: Seeds, data: Path | None) -> Measured:
    """Return the observation of the files; nothing is simulated under the name of a real one."""
    if data is None:
        raise NeedsDataError(expected("radio-3c391", "no data", f"a fit with --data: {_WHERE}"))
    notes = []
    if not config.given("frequency"):
        notes.append(f"the files name no frequency: {config.frequency:g} GHz is that of the tutorial's channel 1")
    centre = (float(np.deg2rad(config.ra)), float(np.deg2rad(config.dec)))
    seen = measured(read(data, 1e9 * config.frequency, centre), config)
    if not any(centre):
        notes.append("the files name no phase centre: sky coordinates are as if it were at 0, 0; set ra and dec")
    return replace(seen, notes=(*seen.notes, *notes))


case: Case[Radio3C391] = Case(
    name="radio-3c391",
    system="radio",
    summary="The supernova remnant 3C391 seen by the VLA: image and gains, judged by slots held out of both.",
    Config=Radio3C391,
    simulate=None,
    presets={"smoke": {"size": 64, "cell": 0.0, "max_steps": 60, "terms": 3}, "paper": {"size": 512, "cell": 2.5}},
    problem=problem,
    solver=lambda _config, seen: solver_of(seen),
    files=files,
    fit_figures=FIT_FIGURES,
    models=models,
    needs_data=_WHERE,
)
