"""Shapes of CommonRoad: centre, extent and size of points, rectangles, circles and polygons."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.motion.tracks.damage import RecordError
from retrodict.physics.motion.tracks.literals import number
from retrodict.physics.motion.tracks.markup import Element

__all__ = ["Region", "region", "size"]


@dataclass(frozen=True)
class Region:
    """Where something is.

    Parameters
    ----------
    x, y : float
        Centre [m].
    half_x, half_y : float
        Largest distance from the centre along each axis [m], 0 for a point.

    Examples
    --------
    >>> Region(1.0, 2.0, 0.0, 0.0).half_x
    0.0
    """

    x: float
    y: float
    half_x: float
    half_y: float


def region(element: Element) -> Region:
    """Return centre and extent of a ``position`` or of the ``shape`` of an occupancy.

    Parameters
    ----------
    element : Element
        With one child ``point``, ``rectangle``, ``circle`` or ``polygon``.

    Returns
    -------
    Region
        Of a polygon the centre is that of its area.

    Raises
    ------
    RecordError
        If there is no such child, or its numbers are wrong.

    Examples
    --------
    >>> x, y = Element("x", {}, 1, "1"), Element("y", {}, 1, "2")
    >>> region(Element("position", {}, 1, children=[Element("point", {}, 1, children=[x, y])]))
    Region(x=1.0, y=2.0, half_x=0.0, half_y=0.0)
    """
    inside = _only(element, ("point", "rectangle", "circle", "polygon"))
    if inside.tag == "point":
        return Region(*_pair(inside), 0.0, 0.0)
    if inside.tag == "polygon":
        corners = _corners(inside)
        centre = _centroid(corners)
        half = np.abs(corners - centre).max(axis=0)
        return Region(float(centre[0]), float(centre[1]), float(half[0]), float(half[1]))
    centre_x, centre_y = (0.0, 0.0) if (middle := inside.find("center")) is None else _pair(middle)
    if inside.tag == "circle":
        radius = _positive(inside, "radius")
        return Region(centre_x, centre_y, radius, radius)
    length, width = _positive(inside, "length"), _positive(inside, "width")
    turn = inside.find("orientation")
    angle = number(turn.content(), "orientation") if turn is not None else 0.0
    c, s = abs(math.cos(angle)), abs(math.sin(angle))
    return Region(centre_x, centre_y, (c * length + s * width) / 2, (s * length + c * width) / 2)


def size(element: Element) -> tuple[float, float]:
    """Return length and width of an obstacle's ``shape``, in its own frame.

    Parameters
    ----------
    element : Element
        With one child ``rectangle``, ``circle`` or ``polygon``.

    Returns
    -------
    length, width : float
        [m]; of a circle the diameter twice, of a polygon its extents.

    Raises
    ------
    RecordError
        If there is no such child, or its numbers are wrong.

    Examples
    --------
    >>> circle = Element("circle", {}, 1, children=[Element("radius", {}, 1, "0.3")])
    >>> size(Element("shape", {}, 1, children=[circle]))
    (0.6, 0.6)
    """
    inside = _only(element, ("rectangle", "circle", "polygon"))
    if inside.tag == "rectangle":
        return _positive(inside, "length"), _positive(inside, "width")
    if inside.tag == "circle":
        diameter = 2 * _positive(inside, "radius")
        return diameter, diameter
    corners = _corners(inside)
    extent = corners.max(axis=0) - corners.min(axis=0)
    return float(extent[0]), float(extent[1])


def _only(element: Element, tags: tuple[str, ...]) -> Element:
    if len(element.children) != 1 or element.children[0].tag not in tags:
        got = ", ".join(f"<{child.tag}>" for child in element.children) or "nothing"
        raise RecordError(f"{got} in <{element.tag}>", "one of " + ", ".join(f"<{tag}>" for tag in tags))
    return element.children[0]


def _pair(element: Element) -> tuple[float, float]:
    return number(element.need("x").content(), "x"), number(element.need("y").content(), "y")


def _positive(element: Element, tag: str) -> float:
    value = number(element.need(tag).content(), tag)
    if value <= 0:
        raise RecordError(f"{tag} {value}", f"a positive {tag}")
    return value


def _corners(element: Element) -> NDArray[np.float64]:
    if len(element.children) < 3 or any(child.tag != "point" for child in element.children):
        raise RecordError(f"a polygon of {len(element.children)} elements", "three points or more")
    return np.array([_pair(point) for point in element.children])


def _centroid(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        # From the mean corner: the products of map coordinates would cancel.
        origin = corners.mean(axis=0)
        here = corners - origin
        following = np.roll(here, -1, axis=0)
        cross = here[:, 0] * following[:, 1] - following[:, 0] * here[:, 1]
        area = cross.sum() / 2
        if not 1e-12 < abs(area) < np.inf:
            raise RecordError(f"a polygon of area {area}", "a polygon with an area")
        centre: NDArray[np.float64] = origin + ((here + following) * cross[:, None]).sum(axis=0) / (6 * area)
    return centre
