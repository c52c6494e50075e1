"""CommonRoad scenarios, XML of the versions 2018b and 2020a.

Format: CommonRoad documentation of the XML format, versions 2018b and 2020a (Technical University of Munich).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import xarray as xr

from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.tracks.assembly import track_set
from retrodict.physics.motion.tracks.damage import Damage, RecordError
from retrodict.physics.motion.tracks.literals import integer, number
from retrodict.physics.motion.tracks.markup import Element, read_elements
from retrodict.physics.motion.tracks.samples import Bodies, Origin, SampleList
from retrodict.physics.motion.tracks.shapes import region, size
from retrodict.physics.motion.tracks.source import Source

__all__ = ["CATEGORIES", "VERSIONS", "read_commonroad"]

VERSIONS = ("2018b", "2020a")

CATEGORIES = frozenset(
    (
        "unknown",
        "car",
        "truck",
        "bus",
        "motorcycle",
        "bicycle",
        "pedestrian",
        "priorityVehicle",
        "parkedVehicle",
        "constructionZone",
        "train",
        "taxi",
        "roadBoundary",
        "building",
        "pillar",
        "median_strip",
        "medianStrip",
    )
)

_QUANTITIES = {
    "orientation": "heading",
    "velocity": "speed",
    "acceleration": "acceleration",
    "yawRate": "yaw_rate",
    "steeringAngle": "steering",
}

_KEPT = ["x", "y", *_QUANTITIES.values()]


def read_commonroad(source: Source, damage: Damage) -> xr.Dataset:
    """Read the dynamic obstacles of a scenario.

    Parameters
    ----------
    source : Source
        The document.
    damage : Damage
        Receives damaged states and obstacles.

    Returns
    -------
    xarray.Dataset
        Track set of box centres. Intervals give their mid-point and a variable ``<name>_halfwidth``; so do positions
        that are shapes. Attribute ``static_obstacles`` counts what stands still, ``other_obstacles`` environment and
        phantom obstacles; both are left out.

    Raises
    ------
    DataError
        If the document is not well-formed, has a document type, is of another version, or has no usable track; at
        the first damaged state or obstacle in the mode "raise".

    Examples
    --------
    >>> state = (
    ...     "<position><point><x>{0}</x><y>0</y></point></position><orientation><exact>0</exact></orientation>"
    ...     "<time><exact>{0}</exact></time><velocity><exact>10</exact></velocity>"
    ... )
    >>> text = (
    ...     '<commonRoad commonRoadVersion="2020a" benchmarkID="T" timeStepSize="0.1"><dynamicObstacle id="1">'
    ...     "<type>car</type><shape><rectangle><length>4</length><width>2</width></rectangle></shape>"
    ...     f"<initialState>{state.format(0)}</initialState><trajectory><state>{state.format(1)}</state></trajectory>"
    ...     "</dynamicObstacle></commonRoad>"
    ... )
    >>> tracks = read_commonroad(Source("t.xml", text.encode()), Damage("t.xml", "raise"))
    >>> tracks["x"].values
    array([[0., 1.]])
    """
    tags = ("obstacle", "dynamicObstacle", "staticObstacle", "environmentObstacle", "phantomObstacle")
    top, obstacles = read_elements(source.data, "commonRoad", tags, source.name)
    step = _header(top, source.name)
    rows = SampleList("line")
    found: dict[str, tuple[str, float, float]] = {}
    counts = {"static_obstacles": 0, "other_obstacles": 0}
    for obstacle in obstacles:
        name = obstacle.attributes.get("id", "")
        try:
            kind = _kind(obstacle)
            if kind is not None:
                counts[kind] += 1
                continue
            body, states = _body(obstacle, found), list(_states(obstacle))
        except RecordError as error:
            damage.add(f"line {obstacle.line}, obstacle {name}", error.got, error.wanted)
            continue
        found[name] = body
        _append(rows, len(found) - 1, name, states, step, damage)
    samples = rows.finish([*_KEPT, *(f"{name}_halfwidth" for name in (*_KEPT, "time"))])
    category, length, width = zip(*found.values(), strict=True) if found else ((), (), ())
    bodies = Bodies(list(found), category, np.array(length), np.array(width))
    extra: dict[str, str | float | int] = {"benchmark": top.attributes.get("benchmarkID", ""), **counts}
    origin = Origin("commonroad", source.name, source.sha256, "box-centre", step, extra)
    return track_set(samples, bodies, origin, damage)


def _header(top: Element, file: str) -> float:
    version = top.attributes.get("commonRoadVersion")
    if version not in VERSIONS:
        raise DataError(expected(f"{file}, commonRoadVersion", repr(version), " or ".join(VERSIONS)))
    try:
        step = number(top.attributes.get("timeStepSize", ""), "timeStepSize")
    except RecordError as error:
        raise DataError(expected(f"{file}, timeStepSize", error.got, error.wanted)) from error
    if not 0 < step <= 100:
        raise DataError(expected(f"{file}, timeStepSize", step, "between 0 and 100 s"))
    return step


def _kind(obstacle: Element) -> str | None:
    """Return the counter of an obstacle that is left out, None for one with a trajectory."""
    if obstacle.tag == "obstacle":
        role = obstacle.need("role").content()
        if role not in ("dynamic", "static"):
            raise RecordError(f"role {role!r}", "dynamic or static")
        return "static_obstacles" if role == "static" else None
    if obstacle.tag == "dynamicObstacle":
        return None
    return "static_obstacles" if obstacle.tag == "staticObstacle" else "other_obstacles"


def _body(obstacle: Element, found: Collection[str]) -> tuple[str, float, float]:
    name = obstacle.attributes.get("id", "")
    if name in found or not name:
        raise RecordError(f"id {name!r}", "an id of its own for each obstacle")
    category = obstacle.need("type").content()
    if category not in CATEGORIES:
        raise RecordError(f"type {category!r}", "one of " + ", ".join(sorted(CATEGORIES)))
    return (category, *size(obstacle.need("shape")))


def _append(rows: SampleList, track: int, name: str, states: Sequence[Element], step: float, damage: Damage) -> None:
    for element in states:
        try:
            time, values = _state(element, step)
        except RecordError as error:
            damage.add(f"line {element.line}, obstacle {name}", error.got, error.wanted)
            continue
        rows.append(track, time, element.line, **values)


def _states(obstacle: Element) -> Iterator[Element]:
    yield obstacle.need("initialState")
    for group, member in (("trajectory", "state"), ("occupancySet", "occupancy")):
        found = obstacle.find(group)
        for element in found.children if found is not None else ():
            if element.tag != member:
                raise RecordError(f"<{element.tag}> in <{group}>", f"<{member}>")
            yield element


def _state(element: Element, step: float) -> tuple[float, dict[str, float]]:
    """Return time [s] and quantities of a state; half-widths only where there is an interval."""
    place = region(element.need("shape" if element.tag == "occupancy" else "position"))
    values = {"x": place.x, "y": place.y}
    if place.half_x > 0:
        values.update(x_halfwidth=place.half_x, y_halfwidth=place.half_y)
    count, spread = _interval(element.need("time"), whole=True)
    if count < 0:
        raise RecordError(f"time {count}", "a time step from 0 on")
    if spread > 0:
        values["time_halfwidth"] = spread * step
    for tag, name in _QUANTITIES.items():
        child = element.find(tag)
        if child is None:
            continue
        values[name], spread = _interval(child)
        if spread > 0:
            values[f"{name}_halfwidth"] = spread
    return count * step, values


def _interval(element: Element, whole: bool = False) -> tuple[float, float]:
    """Return mid-point and half-width of ``exact`` or of ``intervalStart`` and ``intervalEnd``."""
    read = integer if whole else number
    tags = sorted(child.tag for child in element.children)
    if tags == ["exact"]:
        return float(read(element.children[0].content(), element.tag)), 0.0
    if tags != ["intervalEnd", "intervalStart"]:
        raise RecordError(f"{tags} in <{element.tag}>", "<exact>, or <intervalStart> and <intervalEnd>")
    low = read(element.need("intervalStart").content(), element.tag)
    high = read(element.need("intervalEnd").content(), element.tag)
    if low > high:
        raise RecordError(f"an interval from {low} to {high} in <{element.tag}>", "a start not above the end")
    return low + (high - low) / 2, (high - low) / 2
