"""Waymo Open Motion Dataset: scenarios as protocol buffers in TFRecord files, read without TensorFlow.

Format: ``scenario.proto`` of waymo-open-dataset. Scenario: timestamps_seconds 1, tracks 2, scenario_id 5,
sdc_track_index 6, current_time_index 10, tracks_to_predict 11. Track: id 1, object_type 2, states 3. ObjectState:
center_x, center_y 2 and 3 (double), length, width 5 and 6, heading 8, velocity_x, velocity_y 9 and 10 (float),
valid 11.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import xarray as xr

from retrodict.physics.motion.tracks.assembly import track_set
from retrodict.physics.motion.tracks.damage import Damage, RecordError
from retrodict.physics.motion.tracks.samples import Bodies, Origin, SampleList
from retrodict.physics.motion.tracks.source import Source
from retrodict.physics.motion.tracks.tfrecord import payloads
from retrodict.physics.motion.tracks.wire import Message, parse

__all__ = ["CATEGORIES", "read_waymo", "scenarios"]

CATEGORIES = {0: "unset", 1: "vehicle", 2: "pedestrian", 3: "cyclist", 4: "other"}

_DOUBLES = {2: "x", 3: "y"}
_FLOATS = {8: "heading", 9: "vx", 10: "vy"}
_NAMES = ["x", "y", "heading", "vx", "vy", "speed"]


@dataclass
class _Collection:
    """Rows and bodies of one scenario or several."""

    rows: SampleList = field(default_factory=lambda: SampleList("record"))
    ids: dict[str, str] = field(default_factory=dict)
    sizes: list[tuple[float, float]] = field(default_factory=list)
    scenarios: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    predicted: list[str] = field(default_factory=list)
    current: list[int] = field(default_factory=list)

    def dataset(self, source: Source, damage: Damage) -> xr.Dataset:
        size = np.array(self.sizes).reshape(-1, 2)
        bodies = Bodies(list(self.ids), list(self.ids.values()), size[:, 0], size[:, 1])
        extra = {
            "scenarios": json.dumps(self.scenarios),
            "own_vehicles": json.dumps(self.own),
            "tracks_to_predict": json.dumps(self.predicted),
            "current_time_index": json.dumps(self.current),
        }
        origin = Origin("waymo", source.name, source.sha256, "box-centre", 0.1, extra)
        return track_set(self.rows.finish(_NAMES), bodies, origin, damage)


def read_waymo(source: Source, damage: Damage) -> xr.Dataset:
    """Read all scenarios of a file into one track set.

    Parameters
    ----------
    source : Source
        The TFRecord file.
    damage : Damage
        Receives records with wrong checksums, damaged tracks and states.

    Returns
    -------
    xarray.Dataset
        Track set of box centres; a track is called ``scenario/id``; time counts from the start of its scenario.
        States that the format marks as not valid are not states. Length and width are the medians along the track.
        Where scenarios differ in their time stamps the union of times grows with their number: for whole shards use
        `scenarios`.

    Raises
    ------
    DataError
        If no track is usable; at the first damaged record in the mode "raise".

    Examples
    --------
    >>> from retrodict.physics.errors import DataError
    >>> try:
    ...     read_waymo(Source("a.tfrecord", bytes(12)), Damage("a.tfrecord", "raise"))
    ... except DataError as error:
    ...     print(error)
    a.tfrecord, record 0 at byte 0: got 12 bytes, expected a whole frame (truncated file)
    """
    collection = _Collection()
    for index, payload in payloads(source.data, damage):
        _add(collection, index, payload, damage)
    return collection.dataset(source, damage)


def scenarios(source: Source, damage: Damage) -> Iterator[xr.Dataset]:
    """Read the scenarios of a file one by one.

    Parameters
    ----------
    source : Source
        The TFRecord file.
    damage : Damage
        Receives what is damaged, scenarios without a usable track included; each track set lists what was found until
        then.

    Yields
    ------
    xarray.Dataset
        Track set of one scenario, as `read_waymo` gives it.

    Raises
    ------
    DataError
        At the first damaged record in the mode "raise".

    Examples
    --------
    >>> list(scenarios(Source("a.tfrecord", b""), Damage("a.tfrecord", "raise")))
    []
    """
    for index, payload in payloads(source.data, damage):
        collection = _Collection()
        _add(collection, index, payload, damage)
        if not collection.ids:
            damage.add(f"record {index}", "no usable track", "a scenario with a valid state")
            continue
        yield collection.dataset(source, damage)


def _add(collection: _Collection, index: int, payload: bytes, damage: Damage) -> None:
    try:
        scenario = parse(payload)
        name = _name(scenario, collection)
        times = _times(scenario)
    except RecordError as error:
        damage.add(f"record {index}", error.got, error.wanted)
        return
    collection.scenarios.append(name)
    collection.current.append(scenario.varints.get(10, [-1])[-1])
    tracks: list[str] = []
    for number, data in enumerate(scenario.chunks.get(2, [])):
        label = f"{name}/track number {number}"
        try:
            track = parse(data)
            label = f"{name}/{_integer(track, 1, 'track id')}"
            _track(collection, label, track, times, index, damage)
        except RecordError as error:
            damage.add(f"record {index}, track {label}", error.got, error.wanted)
        tracks.append(label)
    for field_number, labels in ((6, collection.own), (11, collection.predicted)):
        for at in _references(scenario, field_number, index, damage):
            if 0 <= at < len(tracks):
                labels.append(tracks[at])
            else:
                damage.add(f"record {index}, field {field_number}", f"track number {at}", f"below {len(tracks)}")


def _name(scenario: Message, collection: _Collection) -> str:
    name = scenario.text(5)
    if name in collection.scenarios:
        raise RecordError(f"scenario {name} again", "each scenario once")
    return name


def _references(scenario: Message, number: int, index: int, damage: Damage) -> list[int]:
    if number == 6:
        return scenario.varints.get(6, [])
    found = []
    for data in scenario.chunks.get(number, []):
        try:
            found.append(_integer(parse(data), 1, "track_index"))
        except RecordError as error:
            damage.add(f"record {index}, field {number}", error.got, error.wanted)
    return found


def _times(scenario: Message) -> list[float]:
    """Return the time stamps, written one by one or packed."""
    times = list(scenario.doubles.get(1, []))
    for chunk in scenario.chunks.get(1, []):
        if len(chunk) % 8:
            raise RecordError(f"{len(chunk)} bytes of packed time stamps", "a multiple of 8")
        times.extend(struct.unpack(f"<{len(chunk) // 8}d", chunk))
    if not times or not all(math.isfinite(t) for t in times) or any(b <= a for a, b in pairwise(times)):
        raise RecordError(f"{len(times)} time stamps that do not increase", "increasing timestamps_seconds")
    return times


def _track(collection: _Collection, label: str, track: Message, times: list[float], index: int, damage: Damage) -> None:
    kind = track.varints.get(2, [0])[-1]
    states = track.chunks.get(3, [])
    if kind not in CATEGORIES:
        raise RecordError(f"object_type {kind}", "0 to 4")
    if len(states) != len(times):
        raise RecordError(f"{len(states)} states", f"{len(times)}, one for each time stamp")
    if label in collection.ids:
        raise RecordError("the track id again", "each id once in a scenario")
    sizes: list[tuple[float, float]] = []
    at = len(collection.ids)
    for time, data in zip(times, states, strict=True):
        try:
            state = parse(data)
            if not state.varints.get(11, [0])[-1]:
                continue
            values, size = _state(state)
        except RecordError as error:
            damage.add(f"record {index}, track {label}, time {time:.6g} s", error.got, error.wanted)
            continue
        collection.rows.append(at, time, index, **values)
        sizes.append(size)
    if sizes:
        collection.ids[label] = CATEGORIES[kind]
        with np.errstate(over="ignore", invalid="ignore"):
            length, width = np.median(np.array(sizes), axis=0).tolist()
        collection.sizes.append((length, width))


def _state(state: Message) -> tuple[dict[str, float], tuple[float, float]]:
    values = {name: _value(state.doubles, number, name) for number, name in _DOUBLES.items()}
    values |= {name: _value(state.floats, number, name) for number, name in _FLOATS.items()}
    values["speed"] = math.hypot(values["vx"], values["vy"])
    return values, (_value(state.floats, 5, "length"), _value(state.floats, 6, "width"))


def _value(fields: dict[int, list[float]], number: int, name: str) -> float:
    # Proto2 stores every value that its writer set, zeros too: an absent one is no zero.
    if number not in fields:
        raise RecordError(f"no {name}", f"{name} in a state that is marked valid")
    return fields[number][-1]


def _integer(message: Message, number: int, name: str) -> int:
    if number not in message.varints:
        raise RecordError(f"no {name}", f"a whole number in field {number}")
    value = message.varints[number][-1]
    return value - 2**64 if value >= 2**63 else value
