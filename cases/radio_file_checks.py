"""Checks of the radio cases on files, on simulated observations: the format, and slots that no fit has seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from retrodict.cases.checks import Analytic, Check, Invariant, max_abs, shortfall
from retrodict.cases.radio_file_setup import Measured, RadioFileSettings, simulated, solver_of, stand_in, written
from retrodict.cases.radio_setup import observed
from retrodict.physics.seeds import Seeds

__all__ = ["checks"]


def checks(config: RadioFileSettings, seeds: Seeds) -> Sequence[Check]:
    """Return the checks."""
    text, seed = config.model_dump_json(), seeds.root
    kind = type(config)
    return [
        Check(
            "visibilities that went through a MeasurementSet",
            lambda: _roundtrip(config, seed),
            Invariant(source="data and weights are stored in single precision"),
            1e-6,
            max_abs,
        ),
        Check(
            "held out: joint below gains without direction",
            lambda: _gap(kind, text, seed, "gains without direction"),
            Analytic(0.0, "effects of direction were simulated"),
            0.0,
            shortfall,
        ),
        Check(
            "held out: joint below gains of scans",
            lambda: _gap(kind, text, seed, "gains of scans"),
            Analytic(0.0, "effects of direction were simulated"),
            0.0,
            shortfall,
        ),
        Check(
            "held out: gains without direction below no calibration",
            lambda: _others_gap(kind, text, seed),
            Analytic(0.0, "gains were simulated"),
            0.0,
            shortfall,
        ),
    ]


@cache
def _fitted(kind: type[RadioFileSettings], text: str, seed: int) -> tuple[Measured, Any]:
    from retrodict.solvers.iterate import finished

    config = kind.model_validate_json(text)
    seen = stand_in(config, seed)
    return seen, finished(solver_of(seen), config.max_steps).data


def _gap(kind: type[RadioFileSettings], text: str, seed: int, name: str) -> float:
    seen, data = _fitted(kind, text, seed)
    return seen.others[name].held_out - seen.imaged(data).held_out


def _others_gap(kind: type[RadioFileSettings], text: str, seed: int) -> float:
    others = _fitted(kind, text, seed)[0].others
    return others["no calibration"].held_out - others["gains without direction"].held_out


def _roundtrip(config: RadioFileSettings, seed: int) -> float:
    """Largest change of a visibility over the largest visibility."""
    before, after = observed(simulated(config, seed)).vis, written(config, seed)
    order = [np.lexsort((v.antenna2, v.antenna1, v.slots[0])) for v in (before, after)]
    gap = np.abs(before.data[order[0]] - after.data[order[1]])
    return float(gap.max() / np.abs(before.data).max())
