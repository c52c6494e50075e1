"""A case study: one object that gives a system its command line, run folders, checks, reports and contract tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from retrodict.cases.config import CaseConfig
from retrodict.physics.errors import ConfigError, expected

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from retrodict.cases.checks import Check
    from retrodict.cases.fit import FitOutcome
    from retrodict.cases.origin import DataOrigin
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree
    from retrodict.solvers.base import Solver

__all__ = ["PRESETS", "Case"]

PRESETS = ("smoke", "default", "paper")
"""Presets that every case has: seconds, minutes, and the numbers of the literature."""

C = TypeVar("C", bound=CaseConfig)


def _nothing() -> Mapping[str, tuple[Differentiable, Tree]]:
    return {}


def _no_checks(_config: Any, _seeds: Seeds) -> Sequence[Check]:
    return ()


@dataclass(frozen=True)
class Case(Generic[C]):
    """A runnable case study.

    Import heavy libraries inside the functions: the module of a case is imported by ``retrodict list``.

    Parameters
    ----------
    name : str
        As typed on the command line: lower case, digits, ``-`` and ``_``.
    system : str
        What it belongs to, for example ``"motion"``.
    summary : str
        One sentence.
    Config : type of CaseConfig
        The settings.
    simulate : callable or None
        ``(config, seeds) -> xarray.Dataset``: solve the forward problem. None for a case of an observation alone.
    presets : Mapping, optional
        Settings that differ from the defaults, for each of ``PRESETS``; a preset left out changes nothing.
    problem : callable, optional
        ``(config, seeds, data) -> InverseProblem``; ``data`` is the file a user gave, or None for the case's own data.
        Raises for bad data, before any work. A case of learning may return what its ``solver`` understands instead;
        posterior and diagnostics are then left out.
    solver : callable, optional
        ``(config, problem) -> Solver``; by default `retrodict.inverse.estimators.solver_for` chooses.
    checks : callable, optional
        ``(config, seeds) -> sequence of Check``. Checks of the derivatives of ``models`` are added to them.
    figures : Mapping of str to callable, optional
        Caption to ``dataset -> Figure``, drawn by ``run``.
    fit_figures : Mapping of str to callable, optional
        Caption to ``FitOutcome -> Figure``, drawn by ``fit`` beside the figures that every fit has.
    models : callable, optional
        ``() -> {name: (Differentiable, point)}``: what the dot test and the Taylor test verify.
    posterior : callable, optional
        ``(problem, estimate) -> xarray.Dataset | None`` in place of `retrodict.inverse.posterior.posterior`, for
        problems with more unknowns than a dense covariance can hold.
    files : callable, optional
        ``FitOutcome -> None``: writes further files of a usable fit into its folder.
    origin : str or callable, optional
        Where the observations come from that a verb works on where the user gives none: the generator of simulated
        ones, in words, or ``(config, verb) -> sequence of DataOrigin``. Files of the user and of settings are recorded
        without it; a case that leaves it out is shown with "origin of the data not declared".
    needs_data : str, optional
        Where the observation can be had, for a case that has no data of its own; every verb then asks for ``--data``.

    Raises
    ------
    ConfigError
        If the name cannot be a folder name or the summary is empty.

    Examples
    --------
    >>> import xarray as xr
    >>> case = Case("still", "examples", "Nothing moves.", CaseConfig, lambda config, seeds: xr.Dataset())
    >>> case.verbs
    ('run', 'validate')
    """

    name: str
    system: str
    summary: str
    Config: type[C]
    simulate: Callable[[C, Seeds], xr.Dataset] | None
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: Callable[[C, Seeds, Path | None], Any] | None = None
    solver: Callable[[C, Any], Solver[Any]] | None = None
    checks: Callable[[C, Seeds], Sequence[Check]] = _no_checks
    figures: Mapping[str, Callable[[xr.Dataset], Figure]] = field(default_factory=dict)
    fit_figures: Mapping[str, Callable[[FitOutcome], Figure]] = field(default_factory=dict)
    models: Callable[[], Mapping[str, tuple[Differentiable, Tree]]] = _nothing
    posterior: Callable[[Any, Tree], xr.Dataset | None] | None = None
    files: Callable[[FitOutcome], None] | None = None
    origin: str | Callable[[C, str], Sequence[DataOrigin]] | None = None
    needs_data: str = ""

    def __post_init__(self) -> None:
        plain = self.name.replace("-", "").replace("_", "")
        if not (plain.isalnum() and plain.isascii() and self.name == self.name.lower()):
            raise ConfigError(expected("Case.name", repr(self.name), "lower-case letters, digits, '-' and '_'"))
        if not self.summary.strip():
            raise ConfigError(expected(f"Case {self.name!r} summary", repr(self.summary), "one sentence"))

    @property
    def verbs(self) -> tuple[str, ...]:
        """The verbs that the case offers."""
        offered = {
            "run": self.simulate is not None,
            "fit": self.problem is not None,
            "validate": not self.needs_data,
        }
        return tuple(verb for verb, there in offered.items() if there)

    def preset(self, name: str) -> Mapping[str, Any]:
        """Return the settings of a preset.

        Raises
        ------
        ConfigError
            If there is no such preset.
        """
        if name not in PRESETS and name not in self.presets:
            known = ", ".join(dict.fromkeys([*PRESETS, *self.presets]))
            raise ConfigError(expected("preset", repr(name), f"one of {known}"))
        return self.presets.get(name, {})
