"""The front door of the track readers and their registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import xarray as xr

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.motion.tracks.argoverse import read_argoverse
from retrodict.physics.motion.tracks.commonroad import read_commonroad
from retrodict.physics.motion.tracks.damage import Damage, Mode
from retrodict.physics.motion.tracks.detection import guess
from retrodict.physics.motion.tracks.drive_log import read_drive_log
from retrodict.physics.motion.tracks.eth_ucy import read_eth_ucy
from retrodict.physics.motion.tracks.ngsim import read_ngsim
from retrodict.physics.motion.tracks.source import Source
from retrodict.physics.motion.tracks.waymo import read_waymo, scenarios

__all__ = ["FORMATS", "Reader", "detect_format", "read_scenarios", "read_tracks"]

Reader = Callable[[Source, Damage], xr.Dataset]

FORMATS: Mapping[str, Reader] = {
    "argoverse2": read_argoverse,
    "commonroad": read_commonroad,
    "drive-log": read_drive_log,
    "eth-ucy": read_eth_ucy,
    "ngsim": read_ngsim,
    "waymo": read_waymo,
}


def detect_format(path: str | Path) -> str:
    """Tell the format of a file from its contents.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str
        A key of `FORMATS`.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or is of no known format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "people.txt"
    ...     _ = file.write_text("0 1 2.0 3.0")
    ...     detect_format(file)
    'eth-ucy'
    """
    source = Source.load(path)
    return _known(source, guess(source))


def read_tracks(
    path: str | Path,
    format: str | None = None,  # noqa: A002 (the field's word; the built-in is of no use here)
    *,
    damaged: Mode = "raise",
    columns: Mapping[str, tuple[str, str]] | None = None,
) -> xr.Dataset:
    r"""Read recorded motion from any of the known formats.

    Parameters
    ----------
    path : str or Path
        The file.
    format : str, optional
        A key of `FORMATS`. Default: told from the contents.
    damaged : {"raise", "report"}, optional
        What happens at a damaged record: an exception, or the record is left out, listed in ``attrs["damaged"]`` (a
        JSON list of place, got, expected), and one `DamagedRecordWarning` is issued for the file.
    columns : mapping of str to (str, str), optional
        Only for ``"drive-log"``, and then its format need not be named: title and unit of the column of each
        quantity, see `read_drive_log`.

    Returns
    -------
    xarray.Dataset
        Track set: dimensions (track, time), with coordinates ``track`` (id) and ``time`` [s], the union of all times.
        ``valid`` (bool) says where a track has a state. Of ``x``, ``y`` [m], ``heading`` [rad, unwrapped], ``speed``,
        ``vx``, ``vy`` [m s-1], ``acceleration`` [m s-2], ``yaw_rate`` [rad s-1] and ``steering`` [rad] it has what the
        format has, and ``<name>_valid`` where some states lack the quantity; per track ``category``, and ``length``
        and ``width`` [m] where the format has them; for intervals ``<name>_halfwidth``. Attributes: format, source,
        sha256, reference, time_step [s], damaged.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, of no known format or without a usable track; at the first damaged
        record where ``damaged="raise"``. The message says file, place, what came and what was expected.
    ConfigError
        If an argument is unknown, or ``columns`` is given for another format.
    UnitsError
        If a unit in ``columns`` is wrong.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "people.txt"
    ...     _ = file.write_text("0 1 2.0 3.0\n10 1 2.5 3.0\n")
    ...     tracks = read_tracks(file)
    >>> tracks["x"].sel(track="1").values
    array([2. , 2.5])
    """
    damage = Damage(Path(path).name, damaged)
    if format is not None and format not in FORMATS:
        raise DataError(expected(f"{Path(path).name}, format", repr(format), "one of " + ", ".join(FORMATS)))
    if columns is not None and format not in (None, "drive-log"):
        raise ConfigError(expected("columns", f"a mapping for format {format!r}", "format 'drive-log'"))
    source = Source.load(path)
    if columns is not None:
        tracks = read_drive_log(source, damage, columns)
    else:
        tracks = FORMATS[format or _known(source, guess(source))](source, damage)
    damage.warn()
    return tracks


def read_scenarios(path: str | Path, *, damaged: Mode = "raise") -> Iterator[xr.Dataset]:
    """Read the scenarios of a Waymo file one by one, each on its own times.

    Parameters
    ----------
    path : str or Path
        The TFRecord file.
    damaged : {"raise", "report"}, optional
        As in `read_tracks`; the one warning comes after the last scenario, and each track set lists what was found
        until then.

    Yields
    ------
    xarray.Dataset
        Track set of one scenario.

    Raises
    ------
    DataError
        As `read_tracks`; also if no scenario is usable.

    Examples
    --------
    >>> next(read_scenarios("no-such-file.tfrecord"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: no-such-file.tfrecord: got FileNotFoundError, expected a readable file
    """
    damage = Damage(Path(path).name, damaged)
    count = 0
    for tracks in scenarios(Source.load(path), damage):
        count += 1
        yield tracks
    if count == 0:
        raise DataError(expected(damage.file, f"no usable scenario ({len(damage.reports)} damaged records)", "one"))
    damage.warn()


def _known(source: Source, name: str | None) -> str:
    if name is None:
        raise DataError(expected(source.name, "an unknown format", "one of " + ", ".join(FORMATS)))
    return name
