"""The loss around trained weights, along the directions in which it bends most.

The two leading unit eigenvectors of the Hessian span a plane through the weights; the loss is evaluated on grids in it.
The axes are the same for every network, so that surfaces of different networks can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.solvers.pinn.hessian import hessian_product, hutchinson_trace, lanczos
from retrodict.solvers.pinn.loss import ResidualLoss

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["convexity_ratio", "landscape", "surface", "value_function"]

Floats = NDArray[np.float64]


def value_function(loss: ResidualLoss) -> Callable[[Floats], float]:
    """Return a loss as a function of packed weights, without the cost of a gradient.

    Parameters
    ----------
    loss : ResidualLoss
        Without unknown coefficients.

    Returns
    -------
    callable
        Weights of shape (n,) to the loss.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.parts import equation_part
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(2.0), separate_networks(convection(2.0), 4, 1))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], trial.draw(np.random.default_rng(0)))
    >>> bool(np.isclose(value_function(loss)(loss.start["weights"]), loss.value(loss.start), rtol=1e-14))
    True
    """
    others = {k: v for k, v in loss.start.items() if k != "weights"}

    def value(weights: Floats) -> float:
        r = loss.residual({"weights": np.asarray(weights, float), **others})
        return 0.5 * float(r @ r)

    return value


def surface(value: Callable[[Floats], float], center: Floats, first: Floats, second: Floats, axis: Floats) -> Floats:
    """Return a function on a grid in a plane.

    Parameters
    ----------
    value : callable
        The function.
    center, first, second : ndarray, shape (n,)
        A point of the plane and two directions.
    axis : ndarray, shape (k,)
        Steps along both.

    Returns
    -------
    ndarray, shape (k, k)
        ``value(center + axis[i] first + axis[j] second)``.

    Examples
    --------
    >>> surface(lambda x: float(x @ x), np.zeros(2), np.eye(2)[0], np.eye(2)[1], np.array([0.0, 1.0])).tolist()
    [[0.0, 1.0], [1.0, 2.0]]
    """
    return np.array([[value(center + a * first + b * second) for b in axis] for a in axis])


def convexity_ratio(heights: Floats) -> float:
    """Return the share of inner grid points at which a surface is convex.

    A point counts where both eigenvalues of the 2 x 2 matrix of second differences of the surface itself, not of its
    logarithm, are positive. A quadratic bowl has ratio 1 in any grid.

    Parameters
    ----------
    heights : ndarray, shape (k, k)
        On a grid with equal steps along both axes, k at least 3.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> a, b = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9))
    >>> convexity_ratio(3 * a**2 + a * b + b**2), convexity_ratio(a**2 - b**2)
    (1.0, 0.0)
    """
    middle = heights[1:-1, 1:-1]
    aa = heights[2:, 1:-1] - 2 * middle + heights[:-2, 1:-1]
    bb = heights[1:-1, 2:] - 2 * middle + heights[1:-1, :-2]
    ab = (heights[2:, 2:] - heights[2:, :-2] - heights[:-2, 2:] + heights[:-2, :-2]) / 4
    return float(np.mean((aa + bb > 0) & (aa * bb > ab**2)))


def landscape(
    loss: ResidualLoss,
    weights: Floats,
    *,
    grid: int = 51,
    pairs: int = 10,
    steps: int = 80,
    probes: int = 16,
    seed: int = 0,
) -> xr.Dataset:
    """Return the loss around weights along the two leading eigenvectors of its Hessian, and what the Hessian says.

    Parameters
    ----------
    loss : ResidualLoss
        Without unknown coefficients.
    weights : ndarray, shape (n,)
        The centre, best where training ended.
    grid : int, optional
        Points along each axis, odd, so that the centre is one.
    pairs : int, optional
        Eigenvalues wanted.
    steps, probes : int, optional
        Products for the eigenvalues, and for the trace.
    seed : int, optional
        Of the first vector and of the probes.

    Returns
    -------
    xarray.Dataset
        ``loss`` over ``scale``, ``a`` and ``b``: "unit", steps up to 1 along the unit eigenvectors, and "curvature",
        up to ``5 / sqrt(lambda_1)``, with the largest step in ``reach``; ``log_ratio``, its decimal logarithm over the
        loss at the centre; ``convexity`` by scale, see `convexity_ratio`; ``hessian`` eigenvalues over ``pair``, with
        the bound ``hessian_error`` on their errors; scalars ``center``, ``lambda_1``, ``decay`` (``lambda_1`` over
        ``|lambda_10|``, or over the last that there is), ``negative`` (``|lambda_min| / lambda_1`` where ``lambda_min``
        is negative, else 0; at least so much, as few products bound it from one side), ``trace`` and ``trace_error``.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.parts import equation_part
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(2.0), separate_networks(convection(2.0), 4, 1))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], trial.draw(np.random.default_rng(0)))
    >>> data = landscape(loss, loss.start["weights"], grid=5, steps=20)
    >>> data["loss"].shape, float(data["log_ratio"].sel(scale="unit", a=0.0, b=0.0))
    ((2, 5, 5), 0.0)
    """
    import xarray as xr

    rng, at = np.random.default_rng(seed), np.asarray(weights, float)
    product = hessian_product(loss, at)
    found = lanczos(product, len(at), max(pairs, 2), rng, steps=steps)
    trace = hutchinson_trace(product, len(at), probes, rng)
    first, value = float(found.values[0]), value_function(loss)
    tiny, tenth = np.finfo(float).tiny, abs(float(found.values[min(9, len(found.values) - 1)]))
    reach = np.array([1.0, 5.0 / np.sqrt(max(first, tiny))])
    axis, center = np.linspace(-1.0, 1.0, grid), value(at)
    one, two = found.vectors[:, 0], found.vectors[:, 1]
    heights = np.stack([surface(value, at, one, two, r * axis) for r in reach])
    scalars = {
        "center": (center, "loss at the centre"),
        "lambda_1": (first, "largest eigenvalue of the Hessian"),
        "decay": (first / max(tenth, np.finfo(float).eps * first), "largest eigenvalue over the tenth, or the last"),
        "negative": (max(-found.smallest, 0.0) / first, "smallest eigenvalue, where negative, over the largest"),
        "trace": (trace.value, "trace of the Hessian"),
        "trace_error": (trace.standard_error, "standard error of the trace"),
    }
    ratio = np.log10(np.maximum(heights, tiny)) - np.log10(max(center, tiny))
    plane = ("scale", "a", "b")
    data = {
        "loss": (plane, heights, {"units": "1", "long_name": "loss"}),
        "log_ratio": (plane, ratio, {"units": "1", "long_name": "log10 of the loss over that at the centre"}),
        "reach": ("scale", reach, {"units": "1", "long_name": "step that a and b of one stand for"}),
        "convexity": ("scale", [convexity_ratio(h) for h in heights], {"units": "1", "long_name": "share convex"}),
        "hessian": ("pair", found.values, {"units": "1", "long_name": "eigenvalues of the Hessian"}),
        "hessian_error": ("pair", found.residuals, {"units": "1", "long_name": "bound on their errors"}),
        **{k: ((), v, {"units": "1", "long_name": text}) for k, (v, text) in scalars.items()},
    }
    coords = {"scale": ["unit", "curvature"], "a": axis, "b": axis, "pair": 1 + np.arange(len(found.values))}
    return xr.Dataset(data, coords)
