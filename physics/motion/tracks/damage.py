"""Bookkeeping of damaged records: raised at once, or dropped and reported, never skipped in silence."""

from __future__ import annotations

import json
import warnings
from typing import Literal

from retrodict.physics.errors import ConfigError, DataError, expected

__all__ = ["Damage", "DamagedRecordWarning", "Mode", "RecordError"]

Mode = Literal["raise", "report"]


class DamagedRecordWarning(UserWarning):
    """Records of a file were damaged and left out; the track set lists them in ``attrs["damaged"]``.

    Examples
    --------
    >>> issubclass(DamagedRecordWarning, UserWarning)
    True
    """


class RecordError(Exception):
    """One record cannot be read; the reader that knows its place turns this into an entry of `Damage`.

    Parameters
    ----------
    got : object
        What came.
    wanted : str
        What was expected.

    Examples
    --------
    >>> RecordError("1.2.3", "a number").wanted
    'a number'
    """

    def __init__(self, got: object, wanted: str) -> None:
        super().__init__(f"got {got}, expected {wanted}")
        self.got = got
        self.wanted = wanted


class Damage:
    """Collect the damaged records of one file.

    Parameters
    ----------
    file : str
        Name of the file, for messages.
    mode : {"raise", "report"}
        ``"raise"``: the first damaged record raises. ``"report"``: damaged records are listed.

    Attributes
    ----------
    reports : list of dict
        Entries with the keys ``place``, ``got`` and ``expected``.

    Raises
    ------
    ConfigError
        If the mode is neither of the two.

    Examples
    --------
    >>> damage = Damage("a.txt", "report")
    >>> damage.add("line 3", "nan", "a finite number")
    >>> damage.to_json()
    '[{"place": "line 3", "got": "nan", "expected": "a finite number"}]'
    """

    def __init__(self, file: str, mode: Mode) -> None:
        if mode not in ("raise", "report"):
            raise ConfigError(expected("damaged", repr(mode), "'raise' or 'report'"))
        self.file = file
        self.mode: Mode = mode
        self.reports: list[dict[str, str]] = []

    def add(self, place: str, got: object, wanted: str) -> None:
        """Report one damaged record.

        Parameters
        ----------
        place : str
            Where in the file: line, row, obstacle.
        got : object
            What came; long text is shortened.
        wanted : str
            What was expected.

        Raises
        ------
        DataError
            In mode ``"raise"``.
        """
        shown = str(got)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        if self.mode == "raise":
            raise DataError(expected(f"{self.file}, {place}", shown, wanted))
        self.reports.append({"place": place, "got": shown, "expected": wanted})

    def to_json(self) -> str:
        """Return the list of reports as one JSON string, as NetCDF attributes need it."""
        return json.dumps(self.reports)

    def warn(self) -> None:
        """Issue one `DamagedRecordWarning` if anything was reported."""
        if self.reports:
            first = self.reports[0]
            message = (
                f"{self.file}: {len(self.reports)} damaged record(s) left out; the first: "
                f"{expected(first['place'], first['got'], first['expected'])}"
            )
            warnings.warn(message, DamagedRecordWarning, stacklevel=3)
