"""Recovery of a vehicle's inputs from its path: acceleration and yaw rate at every step, with their uncertainty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.model import path_model

__all__ = ["input_problem"]

Floats = NDArray[np.float64]


def input_problem(
    position: Floats,
    heading: Floats,
    time_step: float,
    *,
    position_noise: float,
    heading_noise: float,
    std: tuple[float, float],
    time_constant: tuple[float, float],
    mask: NDArray[np.bool_] | None = None,
    integrator: str = "midpoint",
) -> InverseProblem:
    """Return the problem of the start and the inputs of one track.

    The inputs' prior is an Ornstein-Uhlenbeck process, so that a step without data is bridged by what is known of
    driving, not by zero. Yaw rate and not curvature is the unknown: at standstill a curvature is unobservable.

    Parameters
    ----------
    position : ndarray, shape (T + 1, 2)
        Measured positions [m], the first at time zero.
    heading : ndarray, shape (T + 1,)
        Measured headings [rad], unwrapped.
    time_step : float
        Seconds.
    position_noise, heading_noise : float
        Standard deviations [m], [rad].
    std, time_constant : tuple of float
        Of acceleration [m/s2] and yaw rate [rad/s], and their correlation times [s].
    mask : ndarray of bool, shape (T + 1,), optional
        Samples that exist; the first must.
    integrator : str, optional
        Of the path.

    Returns
    -------
    InverseProblem
        Unknowns ``start`` (x, y, heading, speed) and ``inputs`` (T, 2).

    Raises
    ------
    DataError
        If shapes disagree, there are fewer than three samples, or the first is missing.

    Examples
    --------
    >>> t = 0.1 * np.arange(21)
    >>> path = np.stack([10 * t + 0.5 * t**2, 0 * t], 1)
    >>> noise = {"position_noise": 0.01, "heading_noise": 0.001, "std": (2.0, 0.1), "time_constant": (5.0, 5.0)}
    >>> problem = input_problem(path, 0 * t, 0.1, **noise)
    >>> from retrodict.inverse.estimators import estimate
    >>> round(float(estimate(problem).data["inputs"][10, 0]), 1)
    1.0
    """
    count = len(heading)
    seen = np.ones(count, bool) if mask is None else np.asarray(mask)
    if position.shape != (count, 2) or seen.shape != (count,) or seen.sum() < 3 or not seen[0]:
        got = f"positions {position.shape}, headings {heading.shape}, {int(seen.sum())} valid"
        raise DataError(
            expected("input_problem", got, "(T + 1, 2) and (T + 1,), three valid or more, the first among them")
        )
    steps = count - 1
    model = path_model("acceleration-yaw-rate", steps, time_step, integrator=integrator)
    values = {"position": position[1:], "heading": heading[1:]}
    noise = {"position": Gaussian(position_noise), "heading": Gaussian(heading_noise)}
    valid = {"position": np.repeat(seen[1:, None], 2, 1), "heading": seen[1:]}
    data = Observation(model.range, values, noise, valid)
    at = np.flatnonzero(seen)[:3]
    speed = float(np.linalg.norm(position[at[-1]] - position[0]) / (time_step * at[-1]))
    start = np.array([*position[0], heading[0], speed])
    gap = np.abs(np.subtract.outer(np.arange(steps), np.arange(steps))) * time_step
    covariance = np.zeros((steps, 2, steps, 2))
    for i in (0, 1):
        covariance[:, i, :, i] = std[i] ** 2 * np.exp(-gap / time_constant[i]) + 1e-9 * std[i] ** 2 * np.eye(steps)
    wide = np.array([position_noise, position_noise, heading_noise, 30.0])
    terms = (
        Term("track", Misfit(model, data)),
        Term("first sample", GaussianPrior("start", start, std=wide), kind="prior", blocks=("start",)),
        Term(
            "driving",
            GaussianPrior("inputs", np.zeros((steps, 2)), covariance=covariance.reshape(2 * steps, 2 * steps)),
            kind="prior",
            blocks=("inputs",),
        ),
    )
    return InverseProblem(model.domain, terms, {"start": start, "inputs": np.zeros((steps, 2))}, name="inputs")
