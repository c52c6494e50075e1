"""Where the data of a run come from: simulated, bundled with the suite, or given by the user."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from retrodict.cases.data import REFERENCE_DATA, bundled
from retrodict.physics.errors import ConfigError, DataError, expected

if TYPE_CHECKING:
    from retrodict.cases.case import Case
    from retrodict.cases.config import CaseConfig

__all__ = [
    "OBSERVATIONS",
    "DataOrigin",
    "NeedsDataError",
    "bundled_data",
    "declared",
    "file_origin",
    "joined",
    "mechanism_file",
    "no_data",
    "recorded",
    "require_data",
    "simulated",
    "stored",
    "summary",
]

OBSERVATIONS = "observations"
"""Role of the data that are fitted."""


@dataclass(frozen=True)
class DataOrigin:
    """Where one part of what a run used came from.

    Parameters
    ----------
    kind : str
        ``simulated``, ``bundled`` (with the suite, or with a library that it needs), ``given`` (by the user), ``none``
        (the run needs no data) or ``undeclared``.
    what : str
        The generator of simulated data, what a bundled file holds, or why no data are needed.
    role : str, optional
        ``observations``, or what else it is, mostly the setting that names the file.
    name : str, optional
        Name of the file.
    source, licence : str, optional
        Where a bundled file was taken from.
    sha256 : str, optional
        Of the file, or of all files of a folder.
    seed : int, optional
        Of the simulation.

    Raises
    ------
    DataError
        If a field is of another type.

    Examples
    --------
    >>> print(DataOrigin("simulated", "a Runge-Kutta integrator", seed=3))
    SIMULATED DATA (generator: a Runge-Kutta integrator, seed 3)
    """

    kind: Literal["simulated", "bundled", "given", "none", "undeclared"]
    what: str = ""
    role: str = OBSERVATIONS
    name: str = ""
    source: str = ""
    licence: str = ""
    sha256: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        texts = (self.kind, self.what, self.role, self.name, self.source, self.licence, self.sha256)
        if not all(isinstance(t, str) for t in texts) or not (self.seed is None or isinstance(self.seed, int)):
            raise DataError(
                expected("DataOrigin", f"fields {texts} and seed {self.seed!r}", "texts and a whole number")
            )

    def __str__(self) -> str:
        if self.kind == "simulated":
            given = f"; given as {self.name}, SHA-256 {self.sha256[:16]}" if self.name else ""
            return f"SIMULATED DATA (generator: {self.what}, seed {self.seed}{given})"
        if self.kind == "none":
            return f"no data: {self.what}"
        if self.kind == "undeclared":
            return "origin of the data not declared"
        digest = f"SHA-256 {self.sha256[:16]}" if self.sha256 else ""
        told = (self.name, self.source, self.licence, digest)
        return f"{self.role} {self.kind}: {', '.join(t for t in told if t)}"


class NeedsDataError(ConfigError):
    """A case of a real observation that is not bundled was asked to work without it."""


def simulated(generator: str, seed: int) -> DataOrigin:
    """Return the origin of simulated data.

    Examples
    --------
    >>> simulated("Monte Carlo", 0).kind
    'simulated'
    """
    return DataOrigin("simulated", generator, seed=seed)


def no_data(why: str) -> DataOrigin:
    """Return the origin of a run that needs no data.

    Examples
    --------
    >>> print(no_data("the equations alone are solved"))
    no data: the equations alone are solved
    """
    return DataOrigin("none", why)


def bundled_data(name: str, role: str = OBSERVATIONS) -> DataOrigin:
    """Return the origin of a bundled file, as ``SOURCES.md`` tells it.

    Parameters
    ----------
    name : str
        Relative to `REFERENCE_DATA`, with forward slashes.
    role : str, optional
        What it is used for.

    Raises
    ------
    DataError
        If the file has changed, or ``SOURCES.md`` says nothing of it.

    Examples
    --------
    >>> bundled_data("flames/1S_CH4_MP1.yaml", "mechanism").licence
    'MIT'
    """
    return file_origin(bundled(name), role)


def file_origin(path: Path, role: str, digest: str = "") -> DataOrigin:
    """Return the origin of a file that a run read: bundled with us or with Cantera, or else given by the user.

    Parameters
    ----------
    path : Path
        File or folder.
    role : str
        What it is used for.
    digest : str, optional
        Its SHA-256, where it is known.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mine.csv"
    >>> path.write_text("x")
    1
    >>> file_origin(path, "observations").kind
    'given'
    """
    from retrodict.cases.record import fingerprint

    digest = digest or fingerprint(path)
    where = path.resolve()
    if where.is_relative_to(REFERENCE_DATA.resolve()):
        name = where.relative_to(REFERENCE_DATA.resolve()).as_posix()
        what, source, licence = _sources(name)
        return DataOrigin("bundled", what, role, name, source, licence, digest)
    library = _library(where)
    if library:
        return DataOrigin("bundled", "", role, path.name, library, sha256=digest)
    # what a run has simulated stays simulated where it is given to another
    made = next((o for o in _stamped(where) if o.kind == "simulated"), DataOrigin("given"))
    return replace(made, role=role, name=path.name, sha256=digest)


def mechanism_file(source: str) -> Path:
    """Return the file of a mechanism: a path, or a name that comes with Cantera.

    Examples
    --------
    >>> mechanism_file("gri30.yaml").name
    'gri30.yaml'
    """
    import cantera as ct

    path = Path(source)
    places = [path, *(Path(folder) / source for folder in ct.get_data_directories())]
    return next((p for p in places if p.is_file()), path).absolute()


def require_data(case: Case[Any], verb: str, data: Path | None) -> None:
    """Refuse a case whose observation is the user's to bring, where none is given.

    Raises
    ------
    NeedsDataError
        Saying where the observation can be had.

    Examples
    --------
    >>> from retrodict.cases.registry import find
    >>> require_data(find("radio-3c391"), "fit", None)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    retrodict.cases.origin.NeedsDataError: fit radio-3c391: got no data, expected a fit with --data: ...
    """
    if case.needs_data and data is None:
        raise NeedsDataError(expected(f"{verb} {case.name}", "no data", f"a fit with --data: {case.needs_data}"))


def declared(case: Case[Any], config: CaseConfig, verb: str, data: Path | None) -> list[DataOrigin]:
    """Return what a case says of its own data; nothing where the user gives the data.

    Examples
    --------
    >>> from retrodict.cases.registry import find
    >>> case = find("motion-steering")
    >>> [o.kind for o in declared(case, case.Config(), "fit", None)]
    ['simulated']
    """
    if data is not None:
        return []
    if isinstance(case.origin, str):
        return [simulated(case.origin, config.seed)]
    return [DataOrigin("undeclared")] if case.origin is None else list(case.origin(config, verb))


def recorded(
    own: Sequence[DataOrigin], data: Mapping[str, str] | None, inputs: Mapping[str, Mapping[str, str]], folder: Path
) -> list[dict[str, Any]]:
    """Return the origins of a run as its provenance stores them.

    Parameters
    ----------
    own : sequence of DataOrigin
        From `declared`.
    data : Mapping or None
        ``name``, ``path`` relative to the run folder, and ``sha256`` of the user's data.
    inputs : Mapping
        ``path`` and ``sha256`` of the other files, by role.
    folder : Path
        The run folder.

    Examples
    --------
    >>> [o["kind"] for o in recorded([no_data("none is needed")], None, {}, Path())]
    ['none']
    """
    given = [file_origin(folder.resolve() / data["path"], OBSERVATIONS, data["sha256"])] if data else []
    others = [file_origin(Path(told["path"]), role, told["sha256"]) for role, told in inputs.items()]
    return [asdict(o) for o in (*given, *own, *others)]


def stored(provenance: Mapping[str, Any]) -> list[DataOrigin]:
    """Return the origins that a provenance holds; of a run of an earlier version nothing is known.

    Examples
    --------
    >>> stored({})[0].kind
    'undeclared'
    """
    return [DataOrigin(**o) for o in provenance.get("origins", [])] or [DataOrigin("undeclared")]


def joined(origins: Sequence[DataOrigin]) -> list[DataOrigin]:
    """Return the origins with the files of one source as one, for a heading; their checksums are left out there.

    Examples
    --------
    >>> flames = [bundled_data(f"flames/freely_prop_simple/p1.00_T298_phi0.42/{k}.npy") for k in ("x", "T")]
    >>> [o.name.count(".npy") for o in joined(flames)]
    [2]
    """
    groups: dict[DataOrigin, list[DataOrigin]] = {}
    for o in origins:
        groups.setdefault(replace(o, name="", sha256=""), []).append(o)
    several = ((key, [o.name for o in group], group) for key, group in groups.items())
    return [g[0] if len(g) == 1 else replace(key, name=", ".join(names)) for key, names, g in several]


def summary(origins: Sequence[DataOrigin]) -> str:
    """Return the kinds of the observations in a word, for a table.

    Examples
    --------
    >>> summary([simulated("Monte Carlo", 0), bundled_data("flames/1S_CH4_MP1.yaml", "mechanism")])
    'simulated'
    """
    return " + ".join(dict.fromkeys(o.kind for o in origins if o.role == OBSERVATIONS))


def _sources(name: str) -> tuple[str, str, str]:
    """Return what a bundled file holds, its origin and its licence, from the table of ``SOURCES.md``."""
    for line in (REFERENCE_DATA / "SOURCES.md").read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 4 and any(fnmatch(name, pattern) for pattern in re.findall(r"`([^`]+)`", cells[0])):
            what, source, licence = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"[`*]", "", c)) for c in cells[1:])
            return what, source, licence
    raise DataError(expected("SOURCES.md", f"no line for {name}", "origin and licence of every bundled file"))


def _stamped(path: Path) -> list[DataOrigin]:
    """Return the origins that a run of ours has stamped a NetCDF file with; none of any other file."""
    if path.suffix != ".nc":
        return []
    import netCDF4

    try:
        with netCDF4.Dataset(path) as file:
            told = json.loads(getattr(file, "provenance", "{}"))
    except (OSError, ValueError, TypeError):
        return []
    try:
        return stored(told) if isinstance(told, dict) else []
    except (TypeError, DataError):
        return []


def _library(path: Path) -> str:
    """Return Cantera and its version for one of its own files, else nothing."""
    if path.suffix not in (".yaml", ".yml"):
        return ""
    import cantera as ct

    own = Path(ct.__file__).resolve().parent
    return f"Cantera {ct.__version__}" if path.is_relative_to(own) else ""
