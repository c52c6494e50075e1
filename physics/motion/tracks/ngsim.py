"""NGSIM vehicle trajectories: whitespace text of 18 columns, or CSV of 25 with a header.

Format: "Next Generation Simulation (NGSIM) Vehicle Trajectories and Supporting Data", U.S. Department of
Transportation. Lengths are feet; the position is that of the front centre; Local_Y runs along the road.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrodict.physics.motion.tracks.assembly import track_set
from retrodict.physics.motion.tracks.checks import Limits
from retrodict.physics.motion.tracks.damage import Damage
from retrodict.physics.motion.tracks.ngsim_lines import NUMBERS, Lines, read_lines
from retrodict.physics.motion.tracks.samples import Bodies, Origin, Samples
from retrodict.physics.motion.tracks.source import Source

__all__ = ["CATEGORIES", "FOOT", "read_ngsim"]

FOOT = 0.3048

CATEGORIES = {1: "motorcycle", 2: "car", 3: "truck"}


def read_ngsim(source: Source, damage: Damage) -> xr.Dataset:
    r"""Read vehicle trajectories.

    Parameters
    ----------
    source : Source
        Text of 18 columns, or CSV with a header (25 columns as published, in any order).
    damage : Damage
        Receives damaged lines, also those that come twice, as the published files have them.

    Returns
    -------
    xarray.Dataset
        Track set of front centres: x = Local_X, y = Local_Y [m], speed, acceleration; no heading. Time is Global_Time
        in seconds since 1970, from whole milliseconds. Vehicle ids are used again between locations and periods: a
        track is called ``location/vehicle/frames`` (its key is Location, Vehicle_ID, Total_Frames), and where even
        these coincide in two periods ``/2`` and so on is added.

    Raises
    ------
    DataError
        If a column is missing or no track is usable; at the first damaged line in the mode "raise".

    Examples
    --------
    >>> line = "2 {} 2 11188469802{}00 10 {} 0 0 15 5 2 40 0 2 0 0 0 0"
    >>> text = line.format(13, 0, 100) + "\n" + line.format(14, 1, 104)
    >>> tracks = read_ngsim(Source("a.txt", text.encode()), Damage("a.txt", "raise"))
    >>> tracks["y"].values.round(4)
    array([[30.48  , 31.6992]])
    """
    lines = read_lines(source, damage)
    table = np.array(lines.values, dtype=float).reshape(-1, len(NUMBERS))
    column = {name: table[:, i] for i, name in enumerate(NUMBERS)}
    track, names, good = _vehicles(lines, column, damage)
    bodies = _bodies(track, names, good, column, lines, damage)
    columns = {
        "x": column["local_x"] * FOOT,
        "y": column["local_y"] * FOOT,
        "speed": column["v_vel"] * FOOT,
        "acceleration": column["v_acc"] * FOOT,
    }
    record = np.array(lines.line, dtype=np.int64)
    samples = Samples(track, column["global_time"] / 1000, record, columns, {}, "line").take(good)
    origin = Origin("ngsim", source.name, source.sha256, "front-centre", 0.1)
    return track_set(samples, bodies, origin, damage, Limits(ordered=lines.ordered))


def _vehicles(
    lines: Lines, column: dict[str, NDArray[np.float64]], damage: Damage
) -> tuple[NDArray[np.int64], list[str], NDArray[np.bool_]]:
    """Tell vehicles apart; return the track of each row, the names of the tracks, and which rows are sound."""
    # Frames count 0.1 s: a vehicle keeps the difference of its clock and its frames, two periods do not share it.
    phase = column["global_time"] - 100 * column["frame_id"]
    periods: dict[tuple[str, float, float], Counter[float]] = defaultdict(Counter)
    keys = list(zip(lines.location, column["vehicle_id"].tolist(), column["total_frames"].tolist(), strict=True))
    for key, value in zip(keys, phase.tolist(), strict=True):
        periods[key][value] += 1
    track = np.zeros(phase.size, dtype=np.int64)
    good = np.ones(phase.size, dtype=bool)
    index: dict[tuple[tuple[str, float, float], float], int] = {}
    names: list[str] = []
    seen: Counter[tuple[str, float, float]] = Counter()
    for i, (key, value) in enumerate(zip(keys, phase.tolist(), strict=True)):
        location, vehicle, frames = key
        if column["v_class"][i] not in CATEGORIES:
            good[i] = False
            damage.add(f"line {lines.line[i]}", f"v_Class {column['v_class'][i]:.0f}", "1, 2 or 3")
        elif periods[key][value] == 1 and len(periods[key]) > 1:
            good[i] = False
            got = f"frame {column['frame_id'][i]:.0f} at {column['global_time'][i]:.0f} ms"
            damage.add(f"line {lines.line[i]}, vehicle {vehicle:.0f}", got, "the clock of the vehicle's other frames")
        elif (key, value) not in index:
            seen[key] += 1
            index[key, value] = len(names)
            suffix = f"/{seen[key]}" if seen[key] > 1 else ""
            names.append((f"{location}/" if location else "") + f"{vehicle:.0f}/{frames:.0f}{suffix}")
        track[i] = index.get((key, value), 0)
    return track, names, good


def _bodies(
    track: NDArray[np.int64],
    names: Sequence[str],
    good: NDArray[np.bool_],
    column: dict[str, NDArray[np.float64]],
    lines: Lines,
    damage: Damage,
) -> Bodies:
    """Return class and size of each vehicle, the commonest of its rows; unmark the rows that contradict."""
    traits = list(zip(*(column[name].tolist() for name in ("v_class", "v_length", "v_width")), strict=True))
    counts: list[Counter[tuple[float, ...]]] = [Counter() for _ in names]
    for i in np.flatnonzero(good).tolist():
        counts[track[i]][traits[i]] += 1
    chosen = [count.most_common(1)[0][0] for count in counts]
    for i in np.flatnonzero(good).tolist():
        if traits[i] != chosen[track[i]]:
            good[i] = False
            got = "class, length, width " + ", ".join(f"{value:g}" for value in traits[i])
            wanted = ", ".join(f"{value:g}" for value in chosen[track[i]]) + " as in the vehicle's other lines"
            damage.add(f"line {lines.line[i]}, track {names[track[i]]}", got, wanted)
    size = np.array(chosen).reshape(-1, 3) * FOOT
    return Bodies(names, [CATEGORIES[int(trait[0])] for trait in chosen], size[:, 1], size[:, 2])
