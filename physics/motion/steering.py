"""From steering angle to curvature: ``kappa = tan(delta) / L``, with the uncertainty it deserves.

The tangent of a Gaussian has no mean: its poles carry mass. The angle is therefore cut off at the steering limit of
the vehicle before its moments are taken.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, expected

__all__ = ["curvature_of_steering"]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)


def curvature_of_steering(
    mean: Tensor, std: Tensor, wheelbase: float, limit: float, *, exact: bool = True
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the curvature of a Gaussian steering angle.

    Parameters
    ----------
    mean, std : Tensor, shape (...)
        Of the road-wheel angle [rad].
    wheelbase : float
        Distance L between the axles [m].
    limit : float
        Largest angle [rad], below pi/2; angles beyond are moved to it.
    exact : bool, optional
        9-point Gauss-Hermite quadrature of the limited angle; else linearised about the mean.

    Returns
    -------
    tuple of Tensor
        Mean and standard deviation [1/m].

    Raises
    ------
    ConfigError
        If the wheelbase is not positive or the limit not in (0, pi/2).

    Examples
    --------
    >>> k, s = curvature_of_steering(torch.tensor(0.3), torch.tensor(0.0), 2.5, 0.6)
    >>> round(float(k), 5), float(s)
    (0.12373, 0.0)
    """
    if not (wheelbase > 0 and math.isfinite(wheelbase)):
        raise ConfigError(expected("wheelbase", wheelbase, "a positive number of metres"))
    if not 0 < limit < math.pi / 2:
        raise ConfigError(expected("steering limit", limit, "an angle in (0, pi/2) rad"))
    if not exact:
        centre = mean.clamp(-limit, limit)
        return torch.tan(centre) / wheelbase, std / torch.cos(centre) ** 2 / wheelbase
    nodes, weights = (mean.new_tensor(v) for v in (_NODES, _WEIGHTS / _WEIGHTS.sum()))
    curvature = torch.tan((mean[..., None] + std[..., None] * nodes).clamp(-limit, limit)) / wheelbase
    centre = (weights * curvature).sum(-1)
    variance = torch.where(std > 0, (weights * (curvature - centre[..., None]) ** 2).sum(-1), 0.0)
    # the root has no derivative at zero; a certain angle has a certain curvature
    safe = torch.where(variance > 0, variance, torch.ones_like(variance))
    return centre, torch.where(variance > 0, torch.sqrt(safe), torch.zeros_like(variance))
