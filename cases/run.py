"""The verb ``run``: solve the forward problem of a case and report it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.cases.case import Case
from retrodict.cases.config import CaseConfig
from retrodict.cases.origin import declared, require_data
from retrodict.cases.prepare import heading_of, prepare
from retrodict.cases.record import RunFolder, create
from retrodict.physics.errors import ConfigError, SolverError, expected
from retrodict.physics.seeds import Seeds

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RunOutcome", "run", "simulate_into"]


_FAILED = ("invalid", "diverged", "non-finite", "failed")


@dataclass(frozen=True)
class RunOutcome:
    """What ``run`` leaves.

    Parameters
    ----------
    folder : Path
        The run folder.
    data : xarray.Dataset
        What the case simulated.
    warnings : tuple of str
        What the case itself doubts (a line each in the attribute ``alarms`` of its dataset), figures that could not be
        drawn, and the like.
    """

    folder: Path
    data: xr.Dataset
    warnings: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether the case does not itself say, in the attribute ``status`` of its dataset, that it failed."""
        return self.data.attrs.get("status", "ok") not in _FAILED


def run(
    case: str | Case[Any],
    *,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    out: Path | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> RunOutcome:
    """Simulate a case into a new run folder.

    Parameters
    ----------
    case : str or Case
        Name, or the case itself.
    preset : str, optional
        ``"smoke"``, ``"default"`` or ``"paper"``.
    settings : Mapping, optional
        As ``--set``.
    config : Path, optional
        TOML file of settings.
    out : Path, optional
        New or empty folder.
    seed : int, optional
        Root of all random streams.
    device : str, optional
        Where torch computes.

    Returns
    -------
    RunOutcome
        Folder and dataset.

    Raises
    ------
    ConfigError
        If a setting or the folder is not valid, or the case simulates nothing.
    SolverError
        If the simulation gives numbers that are not finite.

    Examples
    --------
    >>> import tempfile, xarray as xr
    >>> case = Case("still", "examples", "Nothing moves.", CaseConfig, lambda c, s: xr.Dataset({"x": ("i", [1.0])}))
    >>> outcome = run(case, out=Path(tempfile.mkdtemp()))
    >>> sorted(p.name for p in outcome.folder.glob("*.nc"))
    ['result.nc']
    """
    found, frozen = prepare(case, preset=preset, settings=settings, config=config, seed=seed, device=device)
    require_data(found, "run", None)
    if found.simulate is None:
        raise ConfigError(expected("run", f"case {found.name!r}", f"one that simulates; it offers {found.verbs}"))
    heading = heading_of(found, "run", preset)
    with create(out, heading, frozen, origins=declared(found, frozen, "run", None)) as folder:
        return simulate_into(folder, found, frozen)


def simulate_into(folder: RunFolder, case: Case[Any], config: CaseConfig) -> RunOutcome:
    """Do the work of ``run`` in a folder that is held.

    Parameters
    ----------
    folder : RunFolder
        Where.
    case : Case
        What is simulated.
    config : CaseConfig
        The frozen settings.

    Returns
    -------
    RunOutcome
        Folder and dataset.

    Raises
    ------
    SolverError
        If the simulation gives an infinite number, or nothing but NaN in a variable. NaN in places may mean "absent"
        in the case's data and passes.
    """
    from retrodict.cases.plots import draw
    from retrodict.cases.report import write_report
    from retrodict.solvers.result import save_dataset

    assert case.simulate is not None
    data = case.simulate(config, Seeds(config.seed))
    folder.log.write("simulated")  # a folder that was removed meanwhile is told here, and not made again
    _check_finite(case, data)
    save_dataset(data.assign_attrs(provenance=json.dumps(folder.about)), folder.path / "result.nc")
    alarms = [line for line in str(data.attrs.get("alarms", "")).splitlines() if line]
    warnings = [*alarms, *draw(folder, {caption: partial(f, data) for caption, f in case.figures.items()})]
    outcome = RunOutcome(folder.path, data, tuple(warnings))
    folder.finish("ok" if outcome.ok else data.attrs["status"], alarms[0] if alarms else "")
    write_report(folder, warnings)
    return outcome


def _check_finite(case: Case[Any], data: xr.Dataset) -> None:
    import numpy as np

    for name, values in data.data_vars.items():
        if values.dtype.kind == "f" and values.size:
            if np.isinf(values.values).any():
                raise SolverError(expected(f"{case.name}: simulated {name}", "infinite values", "finite numbers"))
            if np.isnan(values.values).all():
                raise SolverError(expected(f"{case.name}: simulated {name}", "nothing but NaN", "finite numbers"))
