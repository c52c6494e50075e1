"""The front door: moments of the positions for every formulation, mode, integrator and law of the inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, SpaceError, expected
from retrodict.physics.motion.curvature import linear_curvature_moments
from retrodict.physics.motion.diagonal import diagonal_moments
from retrodict.physics.motion.gaussian_path import accelerated_path, dense_moments, direct_path
from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.integrators import rule
from retrodict.physics.motion.messages import exact_curvature_moments
from retrodict.physics.motion.planar import acceleration_moments, velocity_moments
from retrodict.physics.motion.random_walk import white_moments
from retrodict.physics.motion.state import Moments, Start
from retrodict.physics.motion.steering import curvature_of_steering

__all__ = ["FORMULATIONS", "MODES", "propagate", "time_steps"]

FORMULATIONS = {
    "velocity": ("vx [m/s]", "vy [m/s]"),
    "acceleration": ("ax [m/s2]", "ay [m/s2]"),
    "speed-heading": ("speed [m/s]", "heading [rad]"),
    "acceleration-yaw-rate": ("acceleration [m/s2]", "yaw rate [rad/s]"),
    "acceleration-curvature": ("acceleration [m/s2]", "curvature [1/m]"),
    "acceleration-steering": ("acceleration [m/s2]", "road-wheel angle [rad]"),
}
MODES = ("exact", "linear", "diagonal")


def time_steps(time_step: float | Tensor, steps: int, like: Tensor) -> Tensor:
    """Return the steps [s] as a tensor of shape (T,).

    Raises
    ------
    SpaceError
        If there is another number of them, or one is not positive.

    Examples
    --------
    >>> time_steps(0.5, 2, torch.zeros(1))
    tensor([0.5000, 0.5000])
    """
    dt = torch.as_tensor(time_step, dtype=like.dtype, device=like.device)
    if dt.ndim == 0:
        dt = dt.expand(steps)
    if dt.shape != (steps,) or not bool((dt > 0).all()):
        raise SpaceError(expected("time_step", time_step, f"a positive number of seconds, or {steps} of them"))
    return dt


def propagate(
    formulation: str,
    start: Start,
    inputs: Inputs,
    time_step: float | Tensor,
    *,
    mode: str = "exact",
    integrator: str = "midpoint",
    lever: float = 0.0,
    wheelbase: float | None = None,
    steering_limit: float = 1.0,
) -> Moments:
    """Carry a Gaussian start and Gaussian inputs to the moments of the positions after every step.

    Convention: inputs of step t act from time t to t + 1; with ``euler`` the position moves with speed and heading at
    time t, ``p[t+1] = p[t] + dt v[t] exp(i heading[t])``.

    Parameters
    ----------
    formulation : str
        One of ``FORMULATIONS``: what the two channels of the inputs are.
    start : Start
        State at time zero, certain or Gaussian.
    inputs : Inputs
        Mean paths, shape (..., T, 2), and the law of the deviations.
    time_step : float or Tensor, shape (T,)
        Steps [s], equal or not.
    mode : str, optional
        ``exact``: closed-form moments of the kinematic equations (with steering: of the curvature that has the
        angle's first two moments). ``linear``: full covariance, sinusoids and products linearised about the mean.
        ``diagonal``: the recursion inferred for the published method, variances without cross-covariances, Euler
        steps.
    integrator : str, optional
        ``euler``, ``midpoint`` or ``hold``; plays no part where speed or velocity is the input.
    lever : float, optional
        Distance [m] of the reference point of the positions ahead of the rear axle: the wheelbase's part for a centre
        of gravity, half the length minus the rear overhang for a box centre. Polar formulations driven by
        acceleration only.
    wheelbase : float, optional
        Distance between the axles [m]; needed for steering.
    steering_limit : float, optional
        Largest road-wheel angle [rad].

    Returns
    -------
    Moments
        Mean and covariance of the positions, of heading and speed where the formulation has them, and a bound of the
        bias of linearisation where it holds.

    Raises
    ------
    ConfigError
        If a name is unknown or a combination has no meaning or no closed form.
    SpaceError
        If shapes or steps are wrong.

    Notes
    -----
    The four formulations follow Zheng et al. (2024), arXiv 2406.01431; exact and linear moments are ours.

    Examples
    --------
    Eight seconds at 10 m/s with an unknown yaw rate that holds: linearised, the mean never shortens.

    >>> from retrodict.physics.motion.inputs import Constant
    >>> start = Start(torch.tensor([0.0, 0.0, 0.0, 10.0]))
    >>> inputs = Inputs(torch.zeros(80, 2), Constant(torch.tensor([0.0, 0.1])))
    >>> for mode in ("exact", "linear"):
    ...     print(mode, round(float(propagate("acceleration-yaw-rate", start, inputs, 0.1, mode=mode).mean[-1, 0]), 1))
    exact 72.2
    linear 80.0
    """
    if formulation not in FORMULATIONS:
        raise ConfigError(expected("formulation", repr(formulation), f"one of {sorted(FORMULATIONS)}"))
    if mode not in MODES:
        raise ConfigError(expected("mode", repr(mode), f"one of {MODES}"))
    driven = formulation.startswith("acceleration-")
    if lever != 0.0 and (not driven or mode == "diagonal"):
        raise ConfigError(
            expected("lever", f"{lever} with {formulation}, {mode}", "0, or an exact or linear driven model")
        )
    scheme = rule(integrator)
    dt = time_steps(time_step, inputs.steps, inputs.mean)
    if formulation == "acceleration-steering":
        if wheelbase is None:
            raise ConfigError(expected("wheelbase", None, "the distance between the axles, for steering inputs"))
        inputs = _steered(inputs, wheelbase, steering_limit, exact=mode == "exact")
        formulation = "acceleration-curvature"
    if mode == "diagonal":
        return diagonal_moments(formulation, start, inputs, dt)
    if formulation == "velocity":
        return velocity_moments(start, inputs, dt)
    if formulation == "acceleration":
        return acceleration_moments(start, inputs, dt, scheme)
    exact = mode == "exact"
    if formulation == "speed-heading":
        return _given(start, inputs, dt, exact=exact)
    if formulation == "acceleration-curvature":
        moments = exact_curvature_moments if exact else linear_curvature_moments
        return moments(start, inputs, dt, scheme, lever=lever)
    if isinstance(inputs.law, White):
        return white_moments(start, inputs, dt, scheme, exact=exact, lever=lever)
    return dense_moments(start, accelerated_path(start, inputs, dt, scheme), exact=exact, lever=lever)


def _given(start: Start, inputs: Inputs, dt: Tensor, *, exact: bool) -> Moments:
    """Moments where speed and heading are the inputs; linearised, the product of two independent variables is kept."""
    path = direct_path(inputs, dt)
    moments = dense_moments(start, path, exact=exact)
    if exact:
        return moments
    c, n = torch.cos(inputs.mean[..., 1]), torch.sin(inputs.mean[..., 1])
    product = path.ends.w * path.ends.h * dt * dt
    rows = torch.stack([n * n * product, -c * n * product, -c * n * product, c * c * product], -1)
    extra = torch.cumsum(rows, -2).unflatten(-1, (2, 2))
    return Moments(
        moments.origin,
        moments.displacement,
        moments.covariance + extra,
        moments.heading,
        moments.speed,
        moments.linear_bias,
    )


def _steered(inputs: Inputs, wheelbase: float, limit: float, *, exact: bool) -> Inputs:
    """Return inputs of acceleration and curvature for acceleration and road-wheel angle."""
    if not isinstance(inputs.law, White):
        raise ConfigError(expected("steering inputs", type(inputs.law).__name__, "a White law; else give curvature"))
    std = inputs.law.std.expand(inputs.mean.shape)
    mean, spread = curvature_of_steering(inputs.mean[..., 1], std[..., 1], wheelbase, limit, exact=exact)
    law = White(torch.stack([std[..., 0], spread], -1), inputs.law.correlation)
    return Inputs(torch.stack([inputs.mean[..., 0], mean], -1), law)
