"""The verb ``fit``: infer the unknowns of a case from data, with uncertainty, diagnostics and checkpoints."""

from __future__ import annotations

import json
import warnings as python_warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.cases.case import Case
from retrodict.cases.config import CaseConfig
from retrodict.cases.origin import OBSERVATIONS, declared, require_data, stored
from retrodict.cases.prepare import heading_of, prepare
from retrodict.cases.record import RunFolder, create
from retrodict.physics.errors import ConfigError, DataError, RetrodictError, expected, reason
from retrodict.physics.seeds import Seeds

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.inverse.assessment import Assessment
    from retrodict.solvers.base import Solver
    from retrodict.solvers.result import Result

__all__ = ["FitOutcome", "fit", "set_up", "solve_into"]

# A dense covariance of this many unknowns takes 200 MB; larger problems bring their own `Case.posterior`.
_DENSE = 5000
_USABLE = ("converged", "max-steps", "stalled")


@dataclass(frozen=True)
class FitOutcome:
    """What ``fit`` leaves, and what the figures of a case are given.

    Parameters
    ----------
    folder : Path
        The run folder.
    config : CaseConfig
        The settings.
    problem : InverseProblem
        What was solved.
    result : Result
        Estimate, history, status.
    posterior, diagnostics : xarray.Dataset or None
        As `retrodict.inverse.posterior.posterior` and `retrodict.inverse.diagnostics.diagnose` give them; None where
        the solve failed or the problem has none.
    assessment : Assessment or None
        Whether the answer holds; None while the solve is under way, for the figures of a case.
    warnings : tuple of str
        What could be worked around.
    """

    folder: Path
    config: CaseConfig
    problem: Any
    result: Result
    posterior: xr.Dataset | None = None
    diagnostics: xr.Dataset | None = None
    assessment: Assessment | None = None
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the solve converged and its answer is valid."""
        return self.result.status.ok and (self.assessment is None or self.assessment.usable)


def fit(
    case: str | Case[Any],
    *,
    data: Path | None = None,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    out: Path | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> FitOutcome:
    """Fit a case to data in a new run folder.

    Parameters
    ----------
    case : str or Case
        Name, or the case itself.
    data : Path, optional
        The user's file; without it the case's own data.
    preset, settings, config, out, seed, device
        As in `retrodict.cases.run.run`.

    Returns
    -------
    FitOutcome
        Problem, result, posterior and diagnostics.

    Raises
    ------
    ConfigError
        If a setting or the folder is not valid, or the case has no inverse problem.
    DataError
        If the data are damaged, incomplete or of the wrong kind: before any work and before the folder is made.

    Examples
    --------
    >>> import xarray as xr
    >>> fit(Case("still", "examples", "Nothing moves.", CaseConfig, lambda config, seeds: xr.Dataset()))
    Traceback (most recent call last):
    retrodict.physics.errors.ConfigError: fit: got case 'still', expected a case with an inverse problem; 'still' offers run, validate
    """  # noqa: E501 - a message has one line
    found, frozen = prepare(case, preset=preset, settings=settings, config=config, seed=seed, device=device)
    require_data(found, "fit", data)
    problem, solver = set_up(found, frozen, data)
    heading = heading_of(found, "fit", preset)
    with create(out, heading, frozen, data, declared(found, frozen, "fit", data)) as folder:
        return solve_into(folder, found, frozen, problem, solver)


def set_up(case: Case[Any], config: CaseConfig, data: Path | None) -> tuple[Any, Solver[Any]]:
    """Build and check the inverse problem and its solver, before any work.

    Parameters
    ----------
    case : Case
        Whose problem.
    config : CaseConfig
        The frozen settings.
    data : Path or None
        The user's file; None for the case's own data.

    Returns
    -------
    tuple
        The problem and the solver.

    Raises
    ------
    ConfigError
        If the case has no inverse problem, or a fact about the user's data is not given.
    DataError
        If the data file is missing or refused.
    SolverError
        If the problem lacks a capability that the solver needs.
    """
    from retrodict.inverse.estimators import solver_for
    from retrodict.inverse.probing import probe
    from retrodict.inverse.problem import InverseProblem

    if case.problem is None:
        wanted = f"a case with an inverse problem; {case.name!r} offers {', '.join(case.verbs)}"
        raise ConfigError(expected("fit", f"case {case.name!r}", wanted))
    if data is not None and not data.exists():
        raise DataError(expected("--data", f"{data}, which does not exist", "a file of observations"))
    config.ask(data, *config.facts())
    try:
        problem = case.problem(config, Seeds(config.seed), data)
    except (OSError, ValueError, KeyError, EOFError, RecursionError) as error:
        # Whatever the reader of a user's file stumbles over is a fault of the file; a case's own data is not.
        if data is None or isinstance(error, (ConfigError, DataError)):
            raise
        raise DataError(f"{data}: {error if isinstance(error, RetrodictError) else reason(error)}") from error
    if isinstance(problem, InverseProblem):
        probe(problem)
    if case.solver is not None:
        return problem, case.solver(config, problem)
    if not isinstance(problem, InverseProblem):
        raise ConfigError(expected(f"case {case.name!r}", f"a {type(problem).__name__} and no solver", "a solver"))
    return problem, solver_for(problem)


def solve_into(
    folder: RunFolder, case: Case[Any], config: CaseConfig, problem: Any, solver: Solver[Any], *, resume: bool = False
) -> FitOutcome:
    """Do the work of ``fit`` in a folder that is held: solve, examine, assess, draw, report.

    Parameters
    ----------
    folder : RunFolder
        Where.
    case : Case
        What is fitted.
    config : CaseConfig
        The frozen settings.
    problem, solver
        From `set_up`.
    resume : bool, optional
        Whether to go on from the newest checkpoint.

    Returns
    -------
    FitOutcome
        Result, posterior, diagnostics and assessment.

    Raises
    ------
    CheckpointError
        If a resume finds only damaged checkpoints.
    Interrupted
        If a signal stopped the solve, once result and report are written.
    """
    from retrodict.cases.plots import draw, fit_figures
    from retrodict.cases.report import write_report
    from retrodict.inverse.assessment import assess
    from retrodict.inverse.problem import InverseProblem
    from retrodict.solvers.callbacks import ProgressBar
    from retrodict.solvers.checkpoint import CheckpointStore, CheckpointWarning
    from retrodict.solvers.iterate import Interrupted, iterate

    store = CheckpointStore(folder.path / "checkpoints", every=config.checkpoint_every)
    notes = [*folder.warnings, *getattr(problem, "notes", ())]
    if resume:
        notes += _damage(store, solver.name)
        folder.log.write("resume", solver=solver.name, warnings=notes)
    with python_warnings.catch_warnings(), ProgressBar(f"fit {case.name}", config.max_steps) as bar:
        python_warnings.simplefilter("ignore", CheckpointWarning)  # told above
        watchers = (folder.log, bar)
        stopped: Interrupted | None = None
        try:
            result = iterate(solver, config.max_steps, checkpoint=store, resume=resume, callbacks=watchers)
        except Interrupted as signalled:  # what there is by then is written before the signal has its way
            stopped, result = signalled, signalled.result
    folder.log.write("solved", status=result.status.value, steps=result.steps)
    result.save(folder.path, folder.about)
    post = diagnostics = None
    if result.status.value in _USABLE:
        post, diagnostics = _examine(folder, case, problem, result, notes)
    # a network that solves an equation fits no data: its own validation residual decides
    fitted = any(o.role == OBSERVATIONS and o.kind != "none" for o in stored(folder.provenance))
    examined = post is not None or not isinstance(problem, InverseProblem)
    verdict = assess(result.status, diagnostics, post, data=fitted, examined=examined)
    outcome = FitOutcome(folder.path, config, problem, result, post, diagnostics, verdict)
    usable = post is not None or (result.status.value in _USABLE and not isinstance(problem, InverseProblem))
    if usable and case.files is not None:
        case.files(outcome)
    own = {c: partial(f, outcome) for c, f in case.fit_figures.items()} if usable else {}
    notes += draw(folder, {**own, **fit_figures(outcome)})
    status = result.status.value if not result.status.ok else "ok" if verdict.usable else "invalid"
    folder.finish(status, result.status.message, assessment=verdict)
    write_report(folder, notes)
    if stopped is not None:
        raise stopped
    return replace(outcome, warnings=tuple(notes))


def _damage(store: Any, solver: str) -> list[str]:
    """Return what the store says of damaged checkpoints that are stepped over."""
    from retrodict.solvers.checkpoint import CheckpointWarning

    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always", CheckpointWarning)
        store.newest(solver)
    return [str(w.message) for w in caught if issubclass(w.category, CheckpointWarning)]


def _examine(
    folder: RunFolder, case: Case[Any], problem: Any, result: Result, notes: list[str]
) -> tuple[xr.Dataset | None, xr.Dataset | None]:
    """Compute and save posterior and diagnostics; what cannot be had is noted, for the estimate itself stands."""
    import numpy as np

    from retrodict.inverse.diagnostics import diagnose, examine_residuals
    from retrodict.inverse.posterior import posterior
    from retrodict.inverse.problem import InverseProblem
    from retrodict.inverse.residuals import Assessable
    from retrodict.solvers.result import save_dataset

    found: dict[str, xr.Dataset | None] = {}
    computed: dict[str, Callable[[], xr.Dataset | None]] = {}
    if isinstance(problem, InverseProblem):
        at = problem.space.from_dataset(result.data)
        large = problem.space.size > _DENSE
        if large and case.posterior is None:
            notes.append(f"no posterior: {problem.space.size} unknowns are more than a dense covariance can hold")
        else:
            computed["posterior"] = partial(case.posterior or posterior, problem, at)
        computed["diagnostics"] = partial(_tested, problem, at) if large else partial(diagnose, problem, at)
    elif isinstance(problem, Assessable):
        computed["diagnostics"] = lambda: examine_residuals(problem.residuals(result.data))
    for name, compute in computed.items():
        try:
            found[name] = dataset = compute()
        except (RetrodictError, np.linalg.LinAlgError) as error:
            notes.append(f"no {name}: {error}")
            continue
        if dataset is not None:
            save_dataset(dataset.assign_attrs(provenance=json.dumps(folder.about)), folder.path / f"{name}.nc")
    return found.get("posterior"), found.get("diagnostics")


def _tested(problem: Any, at: Any) -> xr.Dataset | None:
    """Return the diagnostics of a problem too large for its hat matrix: how many data it follows is not known."""
    from retrodict.inverse.diagnostics import examine_residuals
    from retrodict.inverse.residuals import residuals_of

    found = residuals_of(problem, at).values()
    return examine_residuals([replace(block, degrees=float("nan")) for block in found])
