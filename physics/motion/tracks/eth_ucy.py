"""ETH/UCY pedestrian text: four columns, frame, id, x and y [m], annotated at 2.5 Hz.

The format is that of the common preparation of the data of Pellegrini et al. (ICCV 2009) and Lerner et al.
(Eurographics 2007), as distributed with Trajectron++.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrodict.physics.motion.tracks.assembly import track_set
from retrodict.physics.motion.tracks.checks import Limits
from retrodict.physics.motion.tracks.damage import Damage, RecordError
from retrodict.physics.motion.tracks.literals import blank_separated, integer, number
from retrodict.physics.motion.tracks.samples import Bodies, Origin, SampleList, Samples
from retrodict.physics.motion.tracks.source import Source

__all__ = ["INTERVAL", "read_eth_ucy"]

INTERVAL = 0.4

# No one walks faster than the world record over 100 m.
_LIMITS = Limits(speed=15.0)


def read_eth_ucy(source: Source, damage: Damage) -> xr.Dataset:
    r"""Read a text file of pedestrian tracks.

    Parameters
    ----------
    source : Source
        Lines ``frame id x y`` separated by blanks or tabs; frames and ids may be written ``780`` or ``780.0``.
    damage : Damage
        Receives damaged lines.

    Returns
    -------
    xarray.Dataset
        Track set with x and y [m] of the annotated point. Time is the frame number times 0.4 s over the frame step,
        which is inferred: the commonest difference of consecutive frames of a pedestrian.

    Raises
    ------
    DataError
        If a line is damaged, or no track is usable.

    Examples
    --------
    >>> text = b"780 1.0 8.46 3.59\n790 1.0 9.57 3.79\n"
    >>> tracks = read_eth_ucy(Source("eth.txt", text), Damage("eth.txt", "raise"))
    >>> tracks["time"].values
    array([31.2, 31.6])
    """
    rows = SampleList("line")
    index: dict[int, int] = {}
    for line, text in source.lines(damage):
        try:
            fields = blank_separated(text, 4)
            frame, name = integer(fields[0], "frame"), integer(fields[1], "id")
            x, y = number(fields[2], "x"), number(fields[3], "y")
        except RecordError as error:
            damage.add(f"line {line}", error.got, error.wanted)
            continue
        rows.append(index.setdefault(name, len(index)), float(frame), line, x=x, y=y)
    samples = rows.finish(["x", "y"])
    bodies = Bodies([str(name) for name in index], ["pedestrian"] * len(index))
    step, keep = _grid(samples, bodies, damage)
    samples = samples.take(keep)
    timed = Samples(
        samples.track, samples.time * INTERVAL / step, samples.record, samples.columns, samples.missing, samples.unit
    )
    origin = Origin("eth-ucy", source.name, source.sha256, "point", INTERVAL, {"frame_step": step})
    return track_set(timed, bodies, origin, damage, _LIMITS)


def _grid(samples: Samples, bodies: Bodies, damage: Damage) -> tuple[int, NDArray[np.bool_]]:
    """Infer the frame step and mark the rows whose frame lies on its grid."""
    order = np.lexsort((samples.time, samples.track))
    gaps = np.diff(samples.time[order])[np.diff(samples.track[order]) == 0]
    if not np.any(gaps > 0):
        gaps = np.diff(np.unique(samples.time))
    counts = Counter(gaps[gaps > 0].tolist())
    step = int(max(counts, key=lambda gap: (counts[gap], -gap))) if counts else 10
    phase = samples.time % step
    commonest = Counter(phase.tolist()).most_common(1)
    keep = phase == commonest[0][0] if commonest else np.zeros(0, dtype=bool)
    for i in np.flatnonzero(~keep):
        place = samples.place(int(i), bodies)
        damage.add(place, f"frame {samples.time[i]:.0f}", f"a frame on the grid of step {step} of the other lines")
    return step, keep
