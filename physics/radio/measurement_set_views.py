"""The rows, channels and correlations that a selection of a MeasurementSet means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.measurement_set_tables import BLOCK, MSDescription, describe, open_table

__all__ = ["MSView", "slot_starts", "view"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MSView:
    """Rows of one field and one spectral window in order of time, with the channels and correlations to use.

    Parameters
    ----------
    path : Path
        Of the set.
    rows : casacore.tables.table
        The rows; what is written to them is written to the set.
    about : MSDescription
        Of the set.
    field : int
        Field of the rows.
    frequency : ndarray, shape (channel,)
        Of the channels used [Hz].
    channels : slice
        The channels used: start, stop and step.
    feeds : tuple of str
        Names of the feeds.
    correlations : tuple of int
        Indices of the correlations used: one for each feed, or the two hands that ``"I"`` is the mean of.
    width : int
        Number of correlations that the rows have.
    """

    path: Path
    rows: Any
    about: MSDescription
    field: int
    frequency: Floats
    channels: slice
    feeds: tuple[str, ...]
    correlations: tuple[int, ...]
    width: int

    @property
    def averages(self) -> bool:
        """Whether the one feed is the mean of two hands."""
        return len(self.correlations) > len(self.feeds)


@contextmanager
def view(
    path: str | Path,
    *,
    field: int | None = None,
    window: int | None = None,
    channels: slice | None = None,
    feeds: str = "stokes-i",
    write: bool = False,
) -> Iterator[MSView]:
    """Open a selection of a MeasurementSet.

    Parameters
    ----------
    path : str or Path
        Of the set.
    field, window : int, optional
        Field and spectral window; not needed where the rows have only one.
    channels : slice, optional
        Channels of the window; by default all.
    feeds : str, optional
        ``"stokes-i"``: the correlation I, or the mean of two parallel hands; ``"parallel"``: a feed for each hand.
    write : bool, optional
        Whether to open the set for writing.

    Yields
    ------
    MSView
        The rows in order of time: those of the set, or, if times go back there, a sorted view of them.

    Raises
    ------
    ConfigError
        If the choice does not exist, or there is more than one field or window and none is chosen.
    DataError
        If the set is damaged or its frequencies are not positive numbers.

    Examples
    --------
    >>> with view("no.ms") as rows:
    ...     pass
    Traceback (most recent call last):
        ...
    retrodict.physics.errors.DataError: no.ms: got nothing there, expected a MeasurementSet (a folder)
    """
    path = Path(path)
    # an error of the caller, who computes what it writes, is not one of the set
    with nullcontext() if write else decoding(path, "a MeasurementSet"):
        yield from _view(path, field, window, channels, feeds, write)


def _view(
    path: Path, field: int | None, window: int | None, channels: slice | None, feeds: str, write: bool
) -> Iterator[MSView]:
    about = describe(path)
    chosen_field, kinds = _kinds(path, about, field, window)
    spectral, setup = about.data_descriptions[kinds[0]]
    names, used = _feeds(path, about.polarisations[setup], feeds)
    frequency = about.windows[spectral]
    if not (np.isfinite(frequency).all() and (frequency > 0).all()):
        got = f"{frequency[~(np.isfinite(frequency) & (frequency > 0))][0]:g} Hz in window {spectral}"
        raise DataError(expected(f"{path}::SPECTRAL_WINDOW.CHAN_FREQ", got, "positive frequencies"))
    cut = slice(*(channels or slice(None)).indices(frequency.size))
    if cut.step < 1 or not frequency[cut].size:
        raise ConfigError(expected("channels", channels, f"some of {frequency.size} channels, in rising order"))
    with open_table(path, write=write) as main:
        whole = {(chosen_field, k) for k in kinds} >= set(about.described)
        query = f"FIELD_ID == {chosen_field} && DATA_DESC_ID in {list(kinds)}"
        rows = main if whole else main.query(query)
        if not _ordered(rows):
            rows = main.query(query, sortlist="TIME, ANTENNA1, ANTENNA2")
        yield MSView(path, rows, about, chosen_field, frequency[cut], cut, names, used, len(about.polarisations[setup]))


def _kinds(path: Path, about: MSDescription, field: int | None, window: int | None) -> tuple[int, tuple[int, ...]]:
    if not about.described:
        raise DataError(expected(str(path), "no rows", "a MeasurementSet with rows"))
    for f, k in about.described:
        if not (0 <= f < len(about.fields) and 0 <= k < len(about.data_descriptions)):
            got, count = f"rows with FIELD_ID {f} and DATA_DESC_ID {k}", len(about.data_descriptions)
            raise DataError(expected(str(path), got, f"ids of {len(about.fields)} fields and {count} descriptions"))
    there = {(f, about.data_descriptions[k][0]) for f, k in about.described}
    fields = {f for f, w in there if window in (None, w)}
    windows = {w for f, w in there if field in (None, f)}
    for name, value, choices in (("field", field, fields), ("window", window, windows)):
        if (value is None and len(choices) > 1) or (value is not None and value not in choices):
            listed = ", ".join(_label(about, name, c) for c in sorted(choices)) or "no rows for this pair"
            raise ConfigError(expected(f"{path}: {name}", value, f"one of {listed}"))
    chosen, spectral = min(fields) if field is None else field, min(windows) if window is None else window
    kinds = tuple(sorted(k for f, k in about.described if f == chosen and about.data_descriptions[k][0] == spectral))
    setups = {about.polarisations[about.data_descriptions[k][1]] for k in kinds}
    if len(setups) > 1:
        raise DataError(
            expected(f"{path}: window {spectral}", f"correlations {sorted(setups)}", "the same in all rows")
        )
    return chosen, kinds


def _label(about: MSDescription, name: str, index: int) -> str:
    if name == "field":
        return f"{index} ({about.fields[index]})"
    frequency = about.windows[index]
    return f"{index} ({frequency.size} channels from {frequency[0] / 1e6:.6g} MHz)" if frequency.size else str(index)


def _feeds(path: Path, names: tuple[str, ...], feeds: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    pairs = [pair for pair in (("XX", "YY"), ("RR", "LL")) if set(pair) <= set(names)]
    hands = tuple(name for name in ("XX", "YY", "RR", "LL") if name in names)
    if feeds not in ("stokes-i", "parallel"):
        raise ConfigError(expected("feeds", repr(feeds), "'stokes-i' or 'parallel'"))
    if feeds == "parallel" and hands:
        return hands, tuple(names.index(hand) for hand in hands)
    if "I" in names:
        return ("I",), (names.index("I"),)
    if feeds == "stokes-i" and pairs:
        return ("I",), tuple(names.index(hand) for hand in pairs[0])
    wanted = "I, or both XX and YY, or both RR and LL" if feeds == "stokes-i" else "I, XX, YY, RR or LL"
    raise ConfigError(expected(f"{path}: feeds={feeds!r}", f"correlations {', '.join(names)}", wanted))


def _ordered(rows: Any) -> bool:
    last = -np.inf
    for start in range(0, rows.nrows(), BLOCK):
        time = rows.getcol("TIME", start, BLOCK)
        if time[0] < last or (np.diff(time) < 0).any():
            return False
        last = time[-1]
    return True


def slot_starts(rows: Any) -> list[int]:
    """Return the first row of each time slot, and the number of rows behind the last; times within 1 ms are one.

    Parameters
    ----------
    rows : casacore.tables.table
        Rows in order of time.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> times = np.array([1.0, 1.0, 2.0])
    >>> slot_starts(SimpleNamespace(nrows=lambda: 3, getcol=lambda name, start, rows: times[start : start + rows]))
    [0, 2, 3]
    """
    starts, last = [], np.nan
    for start in range(0, rows.nrows(), BLOCK):
        time = np.concatenate([[last], np.round(rows.getcol("TIME", start, BLOCK), 3)])
        starts += (start + np.flatnonzero(time[1:] != time[:-1])).tolist()
        last = time[-1]
    return [*starts, int(rows.nrows())]
