"""Kinematic models as Differentiable forward models over named, unit-carrying variables."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from retrodict.physics.autograd import TorchModel
from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import propagate, time_steps
from retrodict.physics.motion.state import Start
from retrodict.physics.spaces import Space, Var

__all__ = ["motion_model", "path_model"]


def motion_model(
    formulation: str,
    steps: int,
    time_step: float,
    *,
    mode: str = "exact",
    integrator: str = "midpoint",
    lever: float = 0.0,
    wheelbase: float | None = None,
    device: str = "cpu",
) -> TorchModel:
    """Return the model from a certain start and white inputs to the moments of the positions.

    Parameters
    ----------
    formulation, mode, integrator, lever, wheelbase
        As in `retrodict.physics.motion.moments.propagate`.
    steps : int
        Number of steps T.
    time_step : float
        Seconds.
    device : str, optional
        Where torch computes.

    Returns
    -------
    TorchModel
        From ``start`` (4,), ``inputs`` (T, 2) and ``std`` (T, 2) to ``mean`` (T, 2) [m] and ``covariance`` (T, 2, 2)
        [m2]. The units of the inputs' channels differ and are those of the formulation.

    Examples
    --------
    >>> model = motion_model("acceleration-yaw-rate", 10, 0.1)
    >>> import numpy as np
    >>> params = {"start": np.array([0.0, 0, 0, 10]), "inputs": np.zeros((10, 2)), "std": np.full((10, 2), 0.1)}
    >>> round(float(model.apply(params)["mean"][-1, 0]), 3)
    9.998
    """
    start = Var(("state",), (4,), long_name="x, y, heading, speed (or x, y, vx, vy)")
    inputs = Var(("time", "channel"), (steps, 2), long_name=f"mean inputs: {formulation}")
    spread = Var(("time", "channel"), (steps, 2), bounds=(0.0, math.inf), long_name="standard deviation of the inputs")
    domain = Space({"start": start, "inputs": inputs, "std": spread})
    position = Var(("time", "axis"), (steps, 2), units="m", long_name="mean position")
    covariance = Var(("time", "axis", "axis_"), (steps, 2, 2), units="m2", long_name="covariance of the position")

    def function(tree: dict[str, Tensor]) -> dict[str, Tensor]:
        law = White(tree["std"])
        moments = propagate(
            formulation,
            Start(tree["start"]),
            Inputs(tree["inputs"], law),
            time_step,
            mode=mode,
            integrator=integrator,
            lever=lever,
            wheelbase=wheelbase,
        )
        return {"mean": moments.mean, "covariance": moments.covariance}

    return TorchModel(domain, Space({"mean": position, "covariance": covariance}), function, device)


def path_model(
    formulation: str,
    steps: int,
    time_step: float,
    *,
    integrator: str = "midpoint",
    lever: float = 0.0,
    wheelbase: float | None = None,
    device: str = "cpu",
) -> TorchModel:
    """Return the deterministic model from a start and inputs to the path: what input recovery inverts.

    Parameters
    ----------
    formulation, steps, time_step, integrator, lever, wheelbase, device
        As in `motion_model`.

    Returns
    -------
    TorchModel
        From ``start`` (4,) and ``inputs`` (T, 2) to ``position`` (T, 2) [m] and ``heading`` (T,) [rad].

    Examples
    --------
    >>> model = path_model("acceleration-yaw-rate", 10, 0.1)
    >>> import numpy as np
    >>> out = model.apply({"start": np.array([0.0, 0, 0, 10]), "inputs": np.zeros((10, 2))})
    >>> round(float(out["position"][-1, 0]), 6)
    10.0
    """
    start = Var(("state",), (4,), long_name="x, y, heading, speed")
    inputs = Var(("time", "channel"), (steps, 2), long_name=f"inputs: {formulation}")
    position = Var(("time", "axis"), (steps, 2), units="m", long_name="position")
    heading = Var(("time",), (steps,), units="rad", long_name="heading")
    dt = time_steps(time_step, steps, torch.zeros((), dtype=torch.float64))

    def function(tree: dict[str, Tensor]) -> dict[str, Tensor]:
        states = unroll(
            formulation,
            tree["start"],
            tree["inputs"],
            dt.to(tree["inputs"].device),
            integrator=integrator,
            lever=lever,
            wheelbase=wheelbase,
        )
        return {"position": states[..., :2], "heading": states[..., 2]}

    return TorchModel(
        Space({"start": start, "inputs": inputs}), Space({"position": position, "heading": heading}), function, device
    )
