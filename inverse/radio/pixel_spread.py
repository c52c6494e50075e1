"""Spread of the pixels of a joint solution: the observation is drawn again from it, and fitted again.

Image and gains predict the visibilities; with fresh noise they are an observation as the true one might have been, and
its fit, from nothing, is an image as ours might have been (the parametric bootstrap). Nothing is linearised: bounds,
sparse prior, gains and the end of the solve take part. By how much the fits miss, in the mean, the image that their
observations were drawn from is the bias of the method there. The screen that all gains share is in neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.base import Metrics, Status
from retrodict.solvers.iterate import finished
from retrodict.solvers.radio.joint import JointSolver
from retrodict.solvers.radio.misfit import Misfit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["pixel_spread"]

Floats = NDArray[np.float64]


def pixel_spread(
    solver: JointSolver,
    solution: xr.Dataset,
    draws: int,
    rng: np.random.Generator,
    *,
    max_steps: int = 150,
    told: Callable[[int, Metrics], None] | None = None,
) -> xr.Dataset:
    """Return spread and bias of every pixel by fits to observations drawn anew.

    Parameters
    ----------
    solver : JointSolver
        What the solution was found by; its rows are in memory.
    solution : xarray.Dataset
        Image and gains as the solver returns them.
    draws : int
        Observations; a standard deviation of ``n`` has an uncertainty of ``1 / sqrt(2 n)``.
    rng : numpy.random.Generator
        For the noise.
    max_steps : int
        Largest number of outer steps of a fit.
    told : callable, optional
        Called after every draw with its number and the metrics of its last step.

    Returns
    -------
    xarray.Dataset
        ``image_std``, standard deviation over the fits, and ``image_bias``, their mean less the image they were drawn
        from [Jy]; shape (N, N) each.

    Raises
    ------
    SolverError
        If there are fewer than two draws, the rows are read in chunks, or a fit fails or is interrupted.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> rng = np.random.default_rng(0)
    >>> uvw = np.append(rng.uniform(-60, 60, (400, 2)), np.zeros((400, 1)), axis=1)
    >>> vis = Visibilities(uvw, np.full(400, 1e9), np.zeros(400), np.zeros(400), np.ones(400),
    ...                    2 + 0.2 * rng.standard_normal((400, 2)) @ [1, 1j], np.full(400, 25.0), np.zeros(400, bool))
    >>> model = Interferometer(vis, Grid(16, 2e-3))
    >>> solver = JointSolver(model, fixed=model.kernels.unit(), bases=("dirac",))
    >>> found = pixel_spread(solver, finished(solver, 20).data, 30, rng)
    >>> bool(0.005 < found["image_std"].values[8, 8] < 0.015)  # 0.2 / sqrt(400)
    True
    """
    import xarray as xr

    if draws < 2:
        raise SolverError(expected("pixel_spread", f"{draws} draws", "two or more"))
    train, held = solver.model, solver.held_out
    if not (isinstance(train, Interferometer) and (held is None or isinstance(held, Interferometer))):
        raise SolverError(expected("pixel_spread", "rows that are read in chunks", "rows in memory"))
    tree = train.domain.from_dataset(solution)
    image, gains = tree["image"], tree["gains"]
    scale = Misfit(train, gains).scale(image)
    total, square = np.zeros_like(image), np.zeros_like(image)
    for draw in range(1, draws + 1):
        again = _drawn(train, image, gains, scale, rng)
        other = None if held is None else _drawn(held, image, gains, scale, rng)
        # the spread is that of the solve as it was made, its budget of steps included
        found = finished(replace(solver, model=again, held_out=other, truth=None), max_steps, Status.MAX_STEPS)
        off = found.data["image"].values - image
        total, square = total + off, square + off**2
        if told is not None:
            told(draw, found.best)
    bias = total / draws
    std = np.sqrt(np.maximum(square - draws * bias**2, 0.0) / (draws - 1))
    data = {f"image_{name}": (("x", "y"), value, {"units": "Jy"}) for name, value in (("std", std), ("bias", bias))}
    return xr.Dataset(data, {k: solution[k] for k in ("x", "y")}, {"draws": draws})


def _drawn(
    part: Interferometer, image: Floats, gains: NDArray[np.complex128], scale: float, rng: np.random.Generator
) -> Interferometer:
    """The same rows with data that the solution predicts, and noise."""
    noise = rng.standard_normal((part.rows, 2)) @ np.array([1, 1j])
    return part.with_data(part.imager(gains).apply(image) + scale * noise / part.root)
