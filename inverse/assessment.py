"""Whether the answer of a fit holds: one word, and why. How a solver ended is another question (`Status`).

``holds``: nothing in the data contradicts the model, and no unknown was found that they leave open. ``weak``:
something is not identified, or the data cannot test the model. ``misfit``: the data contradict the model, its
noise or its priors. ``invalid``: the solver's own condition of validity fails, or there is no answer.

A misfit is decided by the size of the effect and only then by its probability: with many data any model is rejected by
a p-value, and with few a large effect may be chance. The thresholds are the constants of this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrodict.inverse.diagnostics import correlated
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FAMILY",
    "PROBABILITY",
    "PULL",
    "REDUCED",
    "TESTABLE",
    "Assessment",
    "assess",
    "contradictions",
    "oversized",
    "pulled",
]

REDUCED = (0.5, 1.5)
"""Reduced chi-squared of a model that describes its data, of the whole and of every block."""

PROBABILITY = 1e-3
"""A reduced chi-squared outside `REDUCED` counts where it is less probable than this under the model."""

PULL = 3.0
"""Distance of an unknown from its prior, in prior standard deviations, from which on the two disagree."""

FAMILY = 0.01
"""Such a pull counts where it is less probable than this among as many unknowns as have a prior."""

DISAGREEMENT = 2.0
"""Mean square by which parts of the data may pull the estimate apart, in units of the corrected covariance."""

TESTABLE = 10.0
"""Degrees of freedom below which a model error that matters would not be seen."""

_WORDS = ("invalid", "misfit", "weak", "holds")
_NO_ANSWER = (Status.INVALID, Status.DIVERGED, Status.NON_FINITE, Status.FAILED, Status.INTERRUPTED)


@dataclass(frozen=True)
class Assessment:
    """A word and its reasons.

    Parameters
    ----------
    word : str
        ``"holds"``, ``"weak"``, ``"misfit"`` or ``"invalid"``.
    reasons : tuple of str
        Why, the gravest first.

    Examples
    --------
    >>> print(Assessment("weak", ("the wheelbase is not identified",)))
    weak: the wheelbase is not identified
    """

    word: str
    reasons: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there is an answer at all."""
        return self.word != "invalid"

    def __str__(self) -> str:
        return f"{self.word}: {'; '.join(self.reasons)}" if self.reasons else self.word


def pulled(pulls: Mapping[str, float]) -> list[str]:
    """Return the unknowns that data have pulled away from their priors further than their number explains.

    Parameters
    ----------
    pulls : Mapping of str to float
        Distance from the prior in its standard deviations, of every unknown that has one.

    Examples
    --------
    >>> pulled({"rate of H + O2": 4.0, "rate of OH + H2": 0.4})
    ['rate of H + O2']
    """
    count = sum(math.isfinite(z) for z in pulls.values())

    def chance(z: float) -> float:
        return -math.expm1(count * math.log1p(-math.erfc(abs(z) / math.sqrt(2))))

    return [k for k, z in pulls.items() if math.isfinite(z) and abs(z) > PULL and chance(z) < FAMILY]


def contradictions(
    diagnostics: xr.Dataset | None,
    pulls: Mapping[str, float] | None = None,
    disagreement: tuple[float, float] = (math.nan, math.nan),
) -> list[str]:
    """Return in what the data contradict the model, a phrase each; empty where they do not.

    Parameters
    ----------
    diagnostics : xarray.Dataset or None
        As of `retrodict.inverse.diagnostics.examine_residuals`.
    pulls : Mapping of str to float, optional
        Of the unknowns that have a prior.
    disagreement : tuple of float, optional
        Of parts of the data, and its probability: of `retrodict.inverse.sandwich.Sandwich`.

    Examples
    --------
    >>> contradictions(None, {"rate": -4.0})
    ['rate lies -4.0 prior standard deviations from its prior']
    """
    found = []
    if diagnostics is not None:
        blocks = oversized(diagnostics)
        if _outside(diagnostics.attrs, PROBABILITY):
            found.append(f"{_reduced(diagnostics.attrs)}, expected {REDUCED[0]} to {REDUCED[1]}")
        elif blocks:
            (name, size), *others = blocks.items()
            rest = f" and {len(others)} more" if others else ""
            found.append(f"reduced chi-squared {size:.3g} of {name}{rest}")
    if far := pulled(pulls or {}):
        z = (pulls or {})[far[0]]
        rest = f", and {len(far) - 1} more" if len(far) > 1 else ""
        found.append(f"{far[0]} lies {z:+.1f} prior standard deviations from its prior{rest}")
    if disagreement[0] > DISAGREEMENT and disagreement[1] < PROBABILITY:
        found.append(
            f"quarters of the data disagree on the unknowns {math.sqrt(disagreement[0]):.1f} times as far as the "
            "corrected intervals allow"
        )
    return found


def oversized(diagnostics: xr.Dataset) -> dict[str, float]:
    """Return the blocks of data whose reduced chi-squared contradicts the model, with it.

    Parameters
    ----------
    diagnostics : xarray.Dataset
        As of `retrodict.inverse.diagnostics.examine_residuals`.

    Examples
    --------
    >>> import numpy as np
    >>> from retrodict.inverse.diagnostics import examine_residuals
    >>> from retrodict.inverse.residuals import Residuals
    >>> white = np.random.default_rng(0).standard_normal((1, 400))
    >>> list(oversized(examine_residuals([Residuals("speed", white), Residuals("range", 2 * white)])))
    ['range']
    """
    names = ("reduced_chi2", "chi2_p", "chi2_low_p")
    found = {}
    for i, block in enumerate(diagnostics["misfit"].values):
        numbers = {n: float(diagnostics[n].values[i]) for n in names}
        if _outside(numbers, PROBABILITY / diagnostics.sizes["misfit"]):
            found[str(block)] = numbers["reduced_chi2"]
    return found


def _outside(numbers: Mapping[str, Any], probability: float) -> bool:
    reduced = float(numbers["reduced_chi2"])
    above = reduced > REDUCED[1] and float(numbers["chi2_p"]) < probability
    return above or (reduced < REDUCED[0] and float(numbers["chi2_low_p"]) < probability)


def assess(
    status: Status,
    diagnostics: xr.Dataset | None = None,
    posterior: xr.Dataset | None = None,
    *,
    data: bool = True,
    examined: bool = True,
) -> Assessment:
    """Return whether the answer of a solve holds.

    Parameters
    ----------
    status : Status
        How the solver ended.
    diagnostics : xarray.Dataset, optional
        As of `retrodict.inverse.diagnostics.examine_residuals`.
    posterior : xarray.Dataset, optional
        As of `retrodict.inverse.posterior.posterior`.
    data : bool, optional
        Whether data are fitted at all; a network that solves an equation fits none, and its own residual decides.
    examined : bool, optional
        Whether the identifiability of the unknowns was examined, where the problem allows it at all.

    Returns
    -------
    Assessment
        The gravest word that applies.

    Examples
    --------
    >>> assess(Status.CONVERGED, data=False).word
    'holds'
    """
    grave: dict[str, list[str]] = {word: [] for word in _WORDS}
    if status in _NO_ANSWER:
        grave["invalid"].append(_phrase(status.message))
    elif not status.ok:
        grave["weak"].append(_phrase(status.message))
    grave["misfit"] += contradictions(diagnostics, *_from_posterior(posterior))
    if diagnostics is not None:
        grave["weak"] += _untestable(diagnostics)
        grave["holds"] += _size(diagnostics)
    elif data:
        grave["weak"].append("no residuals to test the model with")
    else:
        grave["holds"].append("no data are fitted; the solver's own condition of validity decides")
    if not examined:
        grave["weak"].append("it was not examined whether the unknowns are identified")
    if posterior is not None:
        grave["weak"] += _unidentified(posterior)
        grave["holds"] += [str(posterior.attrs["widened"])] if posterior.attrs.get("widened") else []
    if grave["misfit"] and grave["misfit"][0].startswith("reduced chi-squared"):
        grave["holds"] = [r for r in grave["holds"] if not r.startswith("reduced chi-squared")]
    word = next(w for w in _WORDS if grave[w] or w == "holds")
    return Assessment(word, tuple(r for w in _WORDS[_WORDS.index(word) :] for r in grave[w]))


def _phrase(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _from_posterior(posterior: xr.Dataset | None) -> tuple[dict[str, float], tuple[float, float]]:
    if posterior is None or "prior_pull" not in posterior:
        return {}, (math.nan, math.nan)
    names = [str(p) for p in posterior["parameter"].values]
    apart = tuple(float(posterior.attrs.get(k, math.nan)) for k in ("disagreement", "disagreement_p"))
    return dict(zip(names, posterior["prior_pull"].values.tolist(), strict=True)), (apart[0], apart[1])


def _untestable(diagnostics: xr.Dataset) -> list[str]:
    degrees = float(diagnostics.attrs["degrees_of_freedom"])
    if degrees >= TESTABLE:
        return []
    if math.isnan(degrees):
        return ["the degrees of freedom are not known, so that the size of the residuals tests nothing"]
    count = int(diagnostics["count"].sum())
    values = "1 value leaves" if count == 1 else f"{count} values leave"
    return [f"model error cannot be tested with these data ({values} {degrees:.2g} degrees of freedom)"]


def _reduced(numbers: Mapping[Any, Any]) -> str:
    size, degrees = float(numbers["reduced_chi2"]), float(numbers["degrees_of_freedom"])
    return f"reduced chi-squared {size:.3g} with {degrees:.4g} degrees of freedom"


def _size(diagnostics: xr.Dataset) -> list[str]:
    reduced = float(diagnostics.attrs["reduced_chi2"])
    if math.isnan(reduced):
        return []
    told = [_reduced(diagnostics.attrs)]
    if blocks := correlated(diagnostics):
        told.append(f"residuals of {', '.join(blocks[:3])} are correlated")
    return told


def _unidentified(posterior: xr.Dataset) -> list[str]:
    if "verdict" not in posterior:
        return []
    names, words = posterior["parameter"].values, [str(v) for v in posterior["verdict"].values]
    kinds = {
        "not identifiable": "not identifiable",
        "at its bound": "at a bound",
        "ambiguous": "ambiguous",
        "weakly identified": "weakly identified",
        "determined by the prior": "determined by the prior alone",
        "determined mostly by the prior": "determined mostly by the prior",
    }
    told = []
    for start, phrase in kinds.items():
        some = [str(n) for n, w in zip(names, words, strict=True) if w.startswith(start)]
        if some:
            rest = f" and {len(some) - 3} more" if len(some) > 3 else ""
            told.append(f"{', '.join(some[:3])}{rest} {'is' if len(some) == 1 else 'are'} {phrase}")
    return told
