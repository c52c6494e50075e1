"""The verb ``resume``: go on with a run that was stopped, as if it had never been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retrodict.cases.case import Case
from retrodict.cases.config import resolve
from retrodict.cases.environment import moved
from retrodict.cases.fit import FitOutcome, set_up, solve_into
from retrodict.cases.prepare import require_device
from retrodict.cases.record import recorded, reopen
from retrodict.cases.registry import find
from retrodict.cases.run import RunOutcome, simulate_into
from retrodict.cases.validate import ValidateOutcome, check_into
from retrodict.physics.errors import ConfigError, DataError, expected

__all__ = ["resume"]

# These ends are ends: there is nothing to go on with.
_FINAL = ("ok", "max-steps", "diverged", "invalid", "non-finite", "stalled")


def resume(path: Path, *, case: Case[Any] | None = None) -> FitOutcome | RunOutcome | ValidateOutcome | None:
    """Go on with the run in a folder, with its stored settings; the result equals that of an unstopped run bit by bit.

    This holds for the same number of threads on the same model of processor; elsewhere a note says that it may not.

    Parameters
    ----------
    path : Path
        A run folder.
    case : Case, optional
        The case, where it is not one that the registry knows.

    Returns
    -------
    FitOutcome, RunOutcome, ValidateOutcome or None
        None if the run had come to its end and nothing was left to do.

    Raises
    ------
    DataError
        If the folder is not a run folder, or a file has changed since.
    CheckpointError
        If every checkpoint is damaged.
    ConfigError
        If the folder is in use, or the case is no longer installed.

    Examples
    --------
    >>> resume(Path("no/such/run"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: no/such/run: got no provenance.json, expected a run folder
    """
    with reopen(path, "resume") as folder:
        verb = str(folder.provenance["verb"])
        if folder.status in _FINAL or (folder.status == "failed" and verb == "validate"):
            return None
        case = case or find(str(folder.provenance["case"]))
        try:
            # Every setting was stored, so that neither preset nor default of today has a say.
            config = resolve(case, "smoke", (str(path / "config.toml"), folder.settings()))
        except ConfigError as error:
            raise DataError(f"{path}: the stored settings do not fit case {case.name!r} of today: {error}") from error
        require_device(config.device)
        data = folder.data_file()
        folder.check_files(config.files())
        if verb not in ("run", "fit", "validate"):
            raise ConfigError(expected(str(path), f"a folder of verb {verb!r}", "one of run, fit or validate"))
        posed = set_up(case, config, data) if verb == "fit" else None
        # Nothing that was refused above has changed what the folder says of itself.
        with recorded(folder):
            if verb == "fit":  # the other verbs begin anew
                folder.warnings += moved(folder.provenance)
            folder.restart()
            if posed is not None:
                return solve_into(folder, case, config, *posed, resume=True)
            return simulate_into(folder, case, config) if verb == "run" else check_into(folder, case, config)
