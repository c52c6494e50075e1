"""The verb ``validate``: hold a case against its references."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.cases.case import Case
from retrodict.cases.checks import Verdict, judge
from retrodict.cases.config import CaseConfig
from retrodict.cases.contracts import model_checks
from retrodict.cases.origin import declared, require_data
from retrodict.cases.prepare import heading_of, prepare
from retrodict.cases.record import RunFolder, create
from retrodict.physics.errors import ConfigError, expected
from retrodict.physics.seeds import Seeds
from retrodict.solvers.files import write_json

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ValidateOutcome", "check_into", "validate"]


@dataclass(frozen=True)
class ValidateOutcome:
    """What ``validate`` leaves.

    Parameters
    ----------
    folder : Path
        The run folder.
    verdicts : tuple of Verdict
        One a check.
    warnings : tuple of str
        What could be worked around.
    """

    folder: Path
    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(v.passed for v in self.verdicts)


def validate(
    case: str | Case[Any],
    *,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    out: Path | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> ValidateOutcome:
    """Run every check of a case, and the dot and Taylor tests of its models, in a new run folder.

    Parameters
    ----------
    case : str or Case
        Name, or the case itself.
    preset, settings, config, out, seed, device
        As in `retrodict.cases.run.run`.

    Returns
    -------
    ValidateOutcome
        The verdicts; a failed check is a verdict, not an exception.

    Raises
    ------
    ConfigError
        If a setting or the folder is not valid, or the case has no check at all.

    Examples
    --------
    >>> import tempfile, xarray as xr
    >>> from retrodict.cases.checks import Analytic, Check
    >>> case = Case("still", "examples", "Nothing moves.", CaseConfig, lambda config, seeds: xr.Dataset(),
    ...             checks=lambda config, seeds: [Check("speed", lambda: 1.0, Analytic(1.0, "v = 1"), 0.0)])
    >>> validate(case, out=Path(tempfile.mkdtemp())).ok
    True
    """
    found, frozen = prepare(case, preset=preset, settings=settings, config=config, seed=seed, device=device)
    require_data(found, "validate", None)
    heading = heading_of(found, "validate", preset)
    with create(out, heading, frozen, origins=declared(found, frozen, "validate", None)) as folder:
        return check_into(folder, found, frozen)


def check_into(folder: RunFolder, case: Case[Any], config: CaseConfig) -> ValidateOutcome:
    """Do the work of ``validate`` in a folder that is held.

    Raises
    ------
    ConfigError
        If the case has no check: a case that nothing can refute is not validated.
    """
    from retrodict.cases.plots import check_figures, draw
    from retrodict.cases.report import write_report
    from retrodict.solvers.callbacks import ProgressBar
    from retrodict.solvers.result import save_dataset

    checks = [*case.checks(config, Seeds(config.seed)), *model_checks(case.models())]
    if not checks:
        raise ConfigError(expected("validate", f"case {case.name!r} without a check", "at least one check or model"))
    verdicts = []
    with ProgressBar(f"validate {case.name}", len(checks)) as bar:
        for number, check in enumerate(checks, 1):
            verdict = judge(check)
            verdicts.append(verdict)
            folder.log.write("check", **verdict.to_json())
            bar(number, {})
    write_json(folder.path / "verdicts.json", [v.to_json() for v in verdicts])
    curves = _curves(verdicts).assign_attrs(provenance=json.dumps(folder.about))
    save_dataset(curves, folder.path / "result.nc")
    notes = draw(folder, check_figures(verdicts))
    failed = [v.name for v in verdicts if not v.passed]
    folder.finish("failed" if failed else "ok", f"failed: {', '.join(failed)}" if failed else "")
    write_report(folder, notes)
    return ValidateOutcome(folder.path, tuple(verdicts), tuple(notes))


def _curves(verdicts: Sequence[Verdict]) -> xr.Dataset:
    """Return value, reference and error of every check, and the curves of one-dimensional checks."""
    import numpy as np
    import xarray as xr

    names = [v.name for v in verdicts]
    columns = {
        k: ("check", np.array([getattr(v, k) for v in verdicts], dtype=float)) for k in ("value", "reference", "error")
    }
    data: dict[str, Any] = dict(columns)
    for number, verdict in enumerate(verdicts):
        if verdict.curves is not None:
            attrs = {"units": verdict.units, "check": verdict.name}
            for kind, values in zip(("value", "reference"), verdict.curves, strict=True):
                data[f"check_{number}_{kind}"] = (f"index_{number}", values, attrs)
    return xr.Dataset(data, {"check": names})
