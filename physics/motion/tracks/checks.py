"""Plausibility of parsed rows, the same for every format: ranges, order, duplicates, jumps."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.motion.tracks.damage import Damage
from retrodict.physics.motion.tracks.samples import Bodies, Samples

__all__ = ["LONGEST_BURST", "MAX_LOST", "MAX_SPAN", "Limits", "check"]

LONGEST_BURST = 64
"""Wrong states in a row that are told apart from a jump of the whole track."""

MAX_LOST = 0.2
"""Share of states beyond which a track with jumps is left out as a whole."""

MAX_SPAN = 1.0
"""Longest step [s] that is compared with the recorded speeds."""

_ALLOWED = "a step that its duration and the recorded speeds allow"


@dataclass(frozen=True)
class Limits:
    """Ranges beyond which a record counts as damaged.

    They are far outside of what traffic does, so that no honest record is lost; they catch slipped digits, wrong
    units and exchanged columns, not measurement noise.

    Parameters
    ----------
    position : float
        Largest coordinate [m]; map projections reach 1e7 m.
    speed : float
        Largest speed [m/s], recorded or from two positions.
    heading : float
        Largest absolute heading [rad].
    acceleration, yaw_rate, steering : float
        Largest absolute values [m/s2, rad/s, rad]; a steering wheel turns through some 10 rad.
    size : float
        Largest length or width [m].
    speed_ratio, speed_margin, slack : float
        A step and what the recorded speeds say may differ by this share of the shorter one, this speed [m/s] and this
        distance [m]. In recordings of Argoverse 2 and NGSIM they differed by up to 0.58 m in 0.1 s, where this allows
        1.7 m.
    ordered : bool
        Whether the format lists the states of a track in order of time.

    Examples
    --------
    >>> Limits(speed=15.0).speed
    15.0
    """

    position: float = 1e8
    speed: float = 100.0
    heading: float = 2.001 * np.pi
    acceleration: float = 100.0
    yaw_rate: float = 20.0
    steering: float = 20.0
    size: float = 100.0
    speed_ratio: float = 0.5
    speed_margin: float = 5.0
    slack: float = 1.0
    ordered: bool = True


_BOUND = {
    "x": "position",
    "y": "position",
    "heading": "heading",
    "speed": "speed",
    "vx": "speed",
    "vy": "speed",
    "acceleration": "acceleration",
    "yaw_rate": "yaw_rate",
    "steering": "steering",
}


def check(samples: Samples, bodies: Bodies, damage: Damage, limits: Limits) -> Samples:
    """Drop damaged rows and tracks, reporting each, and sort the rest.

    Parameters
    ----------
    samples : Samples
        Rows in the order of the file.
    bodies : Bodies
        Their bodies.
    damage : Damage
        Receives what is found; raises at the first in its mode "raise".
    limits : Limits
        Ranges.

    Returns
    -------
    Samples
        Sorted by track and time, every value within its range, no time twice in a track.

    Raises
    ------
    DataError
        In the mode "raise" of ``damage``.

    Examples
    --------
    >>> from retrodict.physics.motion.tracks.samples import SampleList
    >>> rows = SampleList("line")
    >>> rows.append(0, 0.0, 1, x=1.0, y=0.0)
    >>> rows.append(0, 0.1, 2, x=float("nan"), y=0.0)
    >>> damage = Damage("a.txt", "report")
    >>> check(rows.finish(["x", "y"]), Bodies(["7"], ["car"]), damage, Limits()).track.size
    1
    >>> damage.reports[0]["place"]
    'line 2, track 7'
    """
    samples = _sizes(samples, bodies, damage, limits)
    samples = _ranges(samples, bodies, damage, limits)
    samples = _order(samples, bodies, damage, limits)
    return _steps(samples, bodies, damage, limits)


def _sizes(samples: Samples, bodies: Bodies, damage: Damage, limits: Limits) -> Samples:
    bad = np.zeros(len(bodies.ids), dtype=bool)
    for name, values in (("length", bodies.length), ("width", bodies.width)):
        if values is None:
            continue
        for i in np.flatnonzero(~((values > 0) & (values <= limits.size)) & ~bad).tolist():
            bad[i] = True
            place = f"track {bodies.ids[i]}"
            damage.add(place, f"{name} {values[i]} m", f"a {name} above 0 and at most {limits.size:g} m")
    return samples.take(~bad[samples.track]) if bad.any() else samples


def _ranges(samples: Samples, bodies: Bodies, damage: Damage, limits: Limits) -> Samples:
    bad = np.zeros(samples.track.shape, dtype=bool)
    todo = [("time", samples.time, 1e11, np.ones_like(bad))]
    for name, values in samples.columns.items():
        bound = float(getattr(limits, _BOUND[name.removesuffix("_halfwidth")])) if name != "time_halfwidth" else 1e11
        todo.append((name, values, bound, samples.has(name)))
    for name, values, bound, carried in todo:
        for i in np.flatnonzero(carried & ~bad & ~(np.abs(values) <= bound)):
            bad[i] = True
            damage.add(samples.place(int(i), bodies), f"{name} {values[i]}", f"a finite {name}, at most {bound:g} (SI)")
    return samples.take(~bad) if bad.any() else samples


def _order(samples: Samples, bodies: Bodies, damage: Damage, limits: Limits) -> Samples:
    order = np.argsort(samples.track, kind="stable")
    if limits.ordered:
        bad = np.zeros(samples.track.shape, dtype=bool)
        for i in _backward(samples.track[order], samples.time[order]):
            row = order[i]
            bad[row] = True
            wanted = "times that increase along the track, each once"
            damage.add(samples.place(int(row), bodies), f"time {samples.time[row]:.6g} s", wanted)
        order = order[~bad[order]]
    samples = samples.take(order)
    samples = samples.take(np.lexsort((samples.record, samples.time, samples.track)))
    twice = np.zeros(samples.track.shape, dtype=bool)
    twice[1:] = (np.diff(samples.track) == 0) & (np.diff(samples.time) == 0)
    for i in np.flatnonzero(twice).tolist():
        got = f"a second state at time {samples.time[i]:.6g} s"
        damage.add(samples.place(i, bodies), got, "one state for each track and time")
    return samples.take(~twice) if twice.any() else samples


def _backward(track: NDArray[np.int64], time: NDArray[np.float64]) -> list[int]:
    """Return the rows outside of a longest increasing run of times in their track: the fewest to blame."""
    wrong = (np.diff(track) == 0) & (np.diff(time) <= 0)
    rows: list[int] = []
    for name in np.unique(track[1:][wrong]):
        own = np.flatnonzero(track == name)
        ends: list[float] = []
        tails: list[int] = []
        before = np.full(own.size, -1)
        for i, now in enumerate(time[own].tolist()):
            at = bisect_left(ends, now)
            before[i] = tails[at - 1] if at else -1
            ends[at : at + 1] = [now]
            tails[at : at + 1] = [i]
        good: set[int] = set()
        last = tails[-1]
        while last >= 0:
            good.add(last)
            last = int(before[last])
        rows.extend(int(own[i]) for i in range(own.size) if i not in good)
    return rows


def _steps(samples: Samples, bodies: Bodies, damage: Damage, limits: Limits) -> Samples:
    if not {"x", "y"} <= set(samples.columns):
        return samples
    rows = np.arange(samples.track.size)
    same = np.diff(samples.track) == 0
    wrong = same & ~_compatible(samples, rows[:-1], rows[1:], limits)
    keep = np.ones(samples.track.shape, dtype=bool)
    for track in np.unique(samples.track[1:][wrong]).tolist():
        own = rows[samples.track == track]
        chain = _longest_chain(samples, own, limits)
        lost = np.setdiff1d(own, chain)
        if lost.size > max(1, MAX_LOST * own.size):
            at = int(own[0]) + int(np.flatnonzero(wrong[own[:-1]])[0]) + 1
            damage.add(samples.place(at, bodies), "a jump that splits the track: left out as a whole", _ALLOWED)
            keep[own] = False
            continue
        for row in lost.tolist():
            x, y = samples.columns["x"][row], samples.columns["y"][row]
            damage.add(samples.place(row, bodies), f"a jump to or from ({x:.6g}, {y:.6g}) m", _ALLOWED)
            keep[row] = False
    return samples.take(keep)


def _longest_chain(samples: Samples, own: NDArray[np.int64], limits: Limits) -> NDArray[np.int64]:
    """Return the most rows of a track of which each can be reached from the one before it."""
    best = np.ones(own.size, dtype=np.int64)
    before = np.full(own.size, -1)
    for i in range(1, own.size):
        # The latest first, so that of equal chains the densest is taken.
        earlier = np.arange(i - 1, max(-1, i - 1 - LONGEST_BURST), -1)
        reach = np.where(_compatible(samples, own[earlier], own[[i]], limits), best[earlier], 0)
        at = int(np.argmax(reach))
        if reach[at] > 0:
            best[i], before[i] = reach[at] + 1, earlier[at]
    chain = []
    last = int(np.argmax(best))
    while last >= 0:
        chain.append(own[last])
        last = int(before[last])
    return np.array(chain[::-1])


def _compatible(
    samples: Samples, first: NDArray[np.int64], second: NDArray[np.int64], limits: Limits
) -> NDArray[np.bool_]:
    """Return whether a plausible motion leads from one row to the other, both of the same track."""
    x, y = samples.columns["x"], samples.columns["y"]
    span = np.abs(samples.time[second] - samples.time[first])
    distance = np.hypot(x[second] - x[first], y[second] - y[first])
    good = distance <= limits.speed * span + 1e-6
    if "speed" in samples.columns:
        speed, carried = np.abs(samples.columns["speed"]), samples.has("speed")
        travelled = (speed[first] + speed[second]) / 2 * span
        allowed = limits.speed_ratio * np.minimum(travelled, distance) + limits.speed_margin * span + limits.slack
        # Across a gap the speeds at its ends say too little.
        told = carried[first] & carried[second] & (span <= MAX_SPAN)
        good &= ~(told & ~(np.abs(distance - travelled) <= allowed))
    return np.asarray(good)
