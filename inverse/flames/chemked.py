"""Measured burning velocities in ChemKED files (Weber and Niemeyer 2018, Int. J. Chem. Kinet. 50, 135).

A ChemKED file is YAML whose numbers are strings with units. Properties that all datapoints share may stand in
``common-properties``. The standard deviation of a value is its ``evaluated-standard-deviation``, absolute or relative;
an ``uncertainty`` has no agreed meaning there (bounds, several deviations) and is never taken for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from retrodict.inverse.flames.burning_velocities import BurningVelocities, BurningVelocity
from retrodict.inverse.flames.quantities import amount, quantity
from retrodict.physics.decoding import decoding
from retrodict.physics.errors import DataError, expected, refuse_unknown
from retrodict.physics.sealed_text import check_seal, sealed
from retrodict.physics.yaml_limits import check_yaml
from retrodict.solvers.files import sha256, write_text

__all__ = ["read_chemked", "write_chemked"]

_EXPERIMENT = "laminar burning velocity measurement"
_VELOCITY = "laminar-burning-velocity"
_DEVIATION = "evaluated-standard-deviation"
_KINDS: Mapping[str, tuple[Literal["mole", "mass"], float]] = {
    "mole fraction": ("mole", 1.0),
    "mole percent": ("mole", 100.0),
    "mass fraction": ("mass", 1.0),
}

_FIELDS = (
    *("file-authors", "file-version", "chemked-version", "file-type", "reference", "experiment-type", "apparatus"),
    *("common-properties", "datapoints", "comment"),
)
_SPREADS = tuple(
    f"{stem}{end}"
    for stem in (_DEVIATION, "uncertainty", "upper-uncertainty", "lower-uncertainty")
    for end in ("", "-type", "-sourcetype", "-method")
)
_PROPERTIES = ("composition", "temperature", "pressure", _VELOCITY, "equivalence-ratio", "comment", *_SPREADS)
_SPECIES = ("species-name", "InChI", "SMILES", "atomic-composition", "amount")


def read_chemked(path: Path, *, default_deviation: str | None = None) -> BurningVelocities:
    """Read the burning velocities of a ChemKED file.

    Parameters
    ----------
    path : Path
        YAML with ``experiment-type: laminar burning velocity measurement``.
    default_deviation : str, optional
        Standard deviation of points that state none: ``"2 cm/s"``, or relative, ``"5 %"``.

    Returns
    -------
    BurningVelocities
        In SI units.

    Raises
    ------
    DataError
        If the file is missing or not YAML, its aliases would make it far larger, it is of another experiment, has no
        datapoint, or a datapoint lacks a field, has a composition that does not sum to 1, a number that is not finite
        and positive, or no standard deviation while no default is given. The message names file, datapoint and field.
    UnitsError
        If units are missing or of another dimension.

    Examples
    --------
    >>> read_chemked(Path("none.yaml"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: none.yaml: got no readable file, expected a ChemKED file
    """
    content = _load(path)
    kind = content.get("experiment-type")
    if kind != _EXPERIMENT:
        raise DataError(expected(f"{path}: experiment-type", repr(kind), repr(_EXPERIMENT)))
    points = content.get("datapoints")
    if not isinstance(points, list) or not points:
        raise DataError(expected(f"{path}: datapoints", repr(points), "a list of at least one"))
    common = content.get("common-properties") or {}
    if not isinstance(common, dict):
        raise DataError(expected(f"{path}: common-properties", repr(common), "a mapping"))
    refuse_unknown(content, _FIELDS, str(path), "a field of a ChemKED file", DataError)
    refuse_unknown(common, _PROPERTIES, f"{path}: common-properties", "a property of datapoints", DataError)
    read = tuple(_point(p, common, f"{path}: datapoints[{i}]", default_deviation) for i, p in enumerate(points))
    reference, apparatus = (_mapping(content, k) for k in ("reference", "apparatus"))
    cited = [reference.get(k) for k in ("journal", "volume", "year", "pages")]
    return BurningVelocities(
        read,
        str(apparatus.get("kind", "")),
        ", ".join(str(c) for c in cited if c is not None),
        str(reference.get("doi", "")),
        path.name,
        sha256(path),
    )


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def _load(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(expected(str(path), "no readable file", "a ChemKED file")) from error
    with decoding(path, "a ChemKED file, which is YAML"):
        text = raw.decode()
        check_seal(text, path)
        check_yaml(text, path)
        content = YAML(typ="safe", pure=True).load(text)
    if not isinstance(content, dict):
        raise DataError(expected(str(path), f"YAML of a {type(content).__name__}", "a ChemKED file"))
    return content


def _point(point: Any, common: Mapping[str, Any], where: str, default: str | None) -> BurningVelocity:
    if not isinstance(point, dict):
        raise DataError(expected(where, repr(point), "a mapping"))
    refuse_unknown(point, _PROPERTIES, where, "a property of datapoints", DataError)
    fields = {**common, **point}
    for name in ("composition", "temperature", "pressure", _VELOCITY):
        if fields.get(name) is None:
            raise DataError(expected(f"{where}.{name}", "nothing, there nor in common-properties", "a value"))
    fractions, basis = _composition(fields["composition"], f"{where}.composition")
    value = quantity(fields[_VELOCITY], "m/s", f"{where}.{_VELOCITY}")
    ratio = fields.get("equivalence-ratio")
    return BurningVelocity(
        fractions,
        quantity(fields["temperature"], "K", f"{where}.temperature"),
        quantity(fields["pressure"], "Pa", f"{where}.pressure"),
        value,
        _deviation((fields[_VELOCITY], common.get(_VELOCITY), common), value, f"{where}.{_VELOCITY}", default),
        basis,
        None if ratio is None else quantity(ratio, "1", f"{where}.equivalence-ratio"),
        where,
    )


def _composition(raw: Any, where: str) -> tuple[dict[str, float], Literal["mole", "mass"]]:
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise DataError(expected(f"{where}.kind", repr(kind), f"one of {sorted(_KINDS)}"))
    basis, whole = _KINDS[kind]
    refuse_unknown(raw, ("kind", "species"), where, "'kind' and 'species'", DataError)
    fractions: dict[str, float] = {}
    species = raw.get("species")
    for k, entry in enumerate(species if isinstance(species, list) else ()):
        at = f"{where}.species[{k}]"
        name = entry.get("species-name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name in fractions:
            raise DataError(expected(f"{at}.species-name", repr(name), "a name, each once"))
        refuse_unknown(entry, _SPECIES, at, "a field of a species", DataError)
        fractions[name] = amount(entry.get("amount"), f"{at}.amount") / whole
    if not fractions:
        raise DataError(expected(f"{where}.species", repr(species), "a list of at least one"))
    return fractions, basis


def _deviation(places: Sequence[Any], value: float, where: str, default: str | None) -> float:
    for place in places:
        for item in place if isinstance(place, list) else [place]:
            if not isinstance(item, dict):
                continue
            refuse_unknown(item, _PROPERTIES + _SPREADS, where, "a word on the spread of a value", DataError)
            if _DEVIATION in item:
                kind = item.get(f"{_DEVIATION}-type")
                if kind not in ("absolute", "relative"):
                    raise DataError(expected(f"{where}.{_DEVIATION}-type", repr(kind), "'absolute' or 'relative'"))
                return _spread(item[_DEVIATION], kind == "relative", value, f"{where}.{_DEVIATION}")
    if default is None:
        raise DataError(expected(f"{where}.{_DEVIATION}", "nothing", "a standard deviation, or a default for all"))
    units = default.split(maxsplit=1)[1:]
    return _spread(default, units in ([], ["%"], ["percent"]), value, "default_deviation")


def _spread(raw: Any, relative: bool, value: float, where: str) -> float:
    if relative:
        return quantity(raw, "1", where) * value
    return quantity(raw, "m/s", where)


def write_chemked(data: BurningVelocities, path: Path) -> None:
    """Write burning velocities as a ChemKED file, atomically and in SI units, below a line with its checksum.

    Reading it back gives the same numbers to the last bit.

    Parameters
    ----------
    data : BurningVelocities
        Points and where they are from.
    path : Path
        An existing file is replaced.

    Examples
    --------
    >>> import tempfile
    >>> point = BurningVelocity({"CH4": 0.1, "O2": 0.9}, 300.0, 1e5, 0.4, 0.02)
    >>> path = Path(tempfile.mkdtemp()) / "methane.yaml"
    >>> write_chemked(BurningVelocities((point,)), path)
    >>> read_chemked(path).points[0].value
    0.4
    """
    from ruamel.yaml import YAML

    content = {
        "experiment-type": _EXPERIMENT,
        "reference": {"doi": data.doi, "detail": data.reference},
        "apparatus": {"kind": data.apparatus},
        "datapoints": [_written(p) for p in data.points],
    }
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    text = StringIO()
    yaml.dump(content, text)
    write_text(path, sealed(text.getvalue()))


def _written(point: BurningVelocity) -> dict[str, Any]:
    species = [{"species-name": k, "amount": [v]} for k, v in point.composition.items()]
    deviation = {_DEVIATION: f"{float(point.deviation)!r} m/s", f"{_DEVIATION}-type": "absolute"}
    written = {
        "composition": {"kind": f"{point.basis} fraction", "species": species},
        "temperature": [f"{float(point.temperature)!r} K"],
        "pressure": [f"{float(point.pressure)!r} Pa"],
        _VELOCITY: [f"{float(point.value)!r} m/s", deviation],
    }
    if point.equivalence_ratio is not None:
        written["equivalence-ratio"] = [f"{float(point.equivalence_ratio)!r} dimensionless"]
    return written
