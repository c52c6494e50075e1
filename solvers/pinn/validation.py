"""Residuals on points that training never saw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.parts import condition_part, face_points
from retrodict.solvers.pinn.trial import Trial

__all__ = ["residual_rms", "soft_residual", "validation_points", "validation_residual"]

Floats = NDArray[np.float64]


def residual_rms(
    trial: Trial, weights: Floats, coords: Mapping[str, Floats], scales: Mapping[str, float] | None = None
) -> Floats:
    """Return the size of all equations' residuals at points.

    Parameters
    ----------
    trial : Trial
        What to evaluate.
    weights : ndarray, shape (size,)
        Its weights.
    coords : Mapping of str to ndarray
        Points, each of shape (n,).
    scales : Mapping of str to float, optional
        Factors of equations.

    Returns
    -------
    ndarray, shape (n,)
        Root of the sum of squares over equations.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import separate_networks
    >>> trial = Trial(convection(1.0), separate_networks(convection(1.0), 4, 1))
    >>> weights = np.zeros(trial.size)  # u = sin x for all times, so the residual is cos x
    >>> residual_rms(trial, weights, {"t": np.array([0.3]), "x": np.array([0.0])}).round(12)
    array([1.])
    """
    system = trial.system
    d = trial.derivatives(weights, coords, system.derivatives)
    params = {k: trial.tensor(v) for k, v in system.values.items()}
    rows = system.residuals(d, {k: trial.tensor(coords[k]) for k in system.coords}, params)
    factors = scales or {}
    total = sum((r * factors.get(name, 1.0)) ** 2 for name, r in rows.items())
    return np.sqrt(np.asarray(total.detach().double().cpu()))  # type: ignore[union-attr]


def validation_points(bounds: Mapping[str, tuple[float, float]], count: int = 4096) -> dict[str, Floats]:
    """Return points of a box by a rank-one lattice, half of them crowded toward the start of time.

    Independent of any random stream: training cannot have seen them. The crowd reaches down to a millionth of the
    window, so that a jump between the start and the first training point is seen.

    Parameters
    ----------
    bounds : Mapping of str to (float, float)
        The box.
    count : int, optional
        Number of points.

    Returns
    -------
    dict of str to ndarray
        Each of shape (count,).

    Examples
    --------
    >>> float(validation_points({"t": (0.0, 1.0)})["t"].min()) < 1e-5
    True
    """
    i = np.arange(count)
    # generalised golden ratio (Roberts 2018): the root of g^(d+1) = g + 1
    golden = 2.0
    for _ in range(40):
        golden = (1 + golden) ** (1 / (len(bounds) + 1))
    out = {}
    for k, (name, (low, high)) in enumerate(bounds.items()):
        share = (0.5 + (i + 1) * golden ** -(k + 1.0)) % 1.0
        if name == "t":
            share = np.where(i % 2 == 0, share, 10 ** (-6 * (1 - share)) - 1e-6 * (1 - share))
        out[name] = low + (high - low) * share
    return out


def validation_residual(trial: Trial, weights: Floats, scales: Mapping[str, float] | None = None) -> float:
    """Return the root mean square residual on points that training never saw.

    The mean is over time on a logarithmic and a linear scale at once, so that a thin layer at the start counts.

    Parameters
    ----------
    trial : Trial
        What to evaluate.
    weights : ndarray, shape (size,)
        Its weights.
    scales : Mapping of str to float, optional
        Factors of equations.

    Returns
    -------
    float
        The residual.
    """
    points = validation_points({k: v.bounds for k, v in trial.system.coords.items()})
    return float(np.sqrt(np.mean(residual_rms(trial, weights, points, scales) ** 2)))


def soft_residual(trial: Trial, weights: Floats) -> float:
    """Return the root mean square by which soft conditions fail on points that training never saw.

    Parameters
    ----------
    trial : Trial
        What to evaluate.
    weights : ndarray, shape (size,)
        Its weights.

    Returns
    -------
    float
        Root of the sum of the conditions' mean squares; 0 where all conditions are hard.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import separate_networks
    >>> trial = Trial(convection(1.0), separate_networks(convection(1.0), 4, 1))
    >>> soft_residual(trial, np.zeros(trial.size))
    0.0
    """
    box = {k: v.bounds for k, v in trial.system.coords.items()}
    parts = [condition_part(c, face_points(c, box, validation_points)) for c in trial.soft]
    if not parts:
        return 0.0
    loss = ResidualLoss(trial, parts, weights)
    return float(np.sqrt(2 * loss.value(loss.start)))
