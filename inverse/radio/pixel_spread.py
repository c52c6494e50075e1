"""Spread of the pixels of a joint solution: the observation is drawn again from it, and fitted again.

Image and gains predict the visibilities; with fresh noise they are an observation as the true one might have been, and
its fit is an image as ours might have been. Nothing is linearised: bounds, sparse prior and gains take part. What the
prior does to every image alike, and the screen that all gains share, are in no spread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.interferometer import Interferometer
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
    steps: int = 12,
    told: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Return the standard deviation of every pixel by fits to observations drawn anew.

    Parameters
    ----------
    solver : JointSolver
        What the solution was found by; its rows are in memory.
    solution : xarray.Dataset
        Image, gains and the spread of the gains, as the solver returns them.
    draws : int
        Observations; a standard deviation of ``n`` has an uncertainty of ``1 / sqrt(2 n)``.
    rng : numpy.random.Generator
        For the noise.
    steps : int
        Outer steps of a fit, which begins at the solution.
    told : callable, optional
        Called with the number of every draw that is done.

    Returns
    -------
    xarray.Dataset
        ``image_std`` [Jy] and ``image_mean`` [Jy], the mean of the fits; shape (N, N) each.

    Raises
    ------
    SolverError
        If there are fewer than two draws, no steps, or the rows are read in chunks.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> from retrodict.solvers.iterate import iterate
    >>> rng = np.random.default_rng(0)
    >>> uvw = np.append(rng.uniform(-60, 60, (400, 2)), np.zeros((400, 1)), axis=1)
    >>> vis = Visibilities(uvw, np.full(400, 1e9), np.zeros(400), np.zeros(400), np.ones(400),
    ...                    2 + 0.2 * rng.standard_normal((400, 2)) @ [1, 1j], np.full(400, 25.0), np.zeros(400, bool))
    >>> model = Interferometer(vis, Grid(16, 2e-3))
    >>> solver = JointSolver(model, fixed=model.kernels.unit(), bases=("dirac",))
    >>> found = pixel_spread(solver, iterate(solver, 20).data, 30, rng)
    >>> bool(0.005 < found["image_std"].values[8, 8] < 0.015)  # 0.2 / sqrt(400)
    True
    """
    import xarray as xr

    if draws < 2 or steps < 1:
        raise SolverError(expected("pixel_spread", f"{draws} draws of {steps} steps", "two draws or more, of one step"))
    parts = [solver.model] if solver.held_out is None else [solver.model, solver.held_out]
    if not all(isinstance(part, Interferometer) for part in parts):
        raise SolverError(expected("pixel_spread", "rows that are read in chunks", "rows in memory"))
    tree = solver.model.domain.from_dataset(solution)
    image, gains = tree["image"], tree["gains"]
    scale = Misfit(solver.model, gains).scale(image)
    total, square = np.zeros_like(image), np.zeros_like(image)
    for draw in range(draws):
        again = [_drawn(part, image, gains, scale, rng) for part in parts if isinstance(part, Interferometer)]
        one = replace(solver, model=again[0], held_out=again[1] if len(again) > 1 else None, truth=None)
        state = one.at(image, gains, solution["spread"].values)
        for _ in range(steps):
            state, _ = one.step(state)
        off = state.image - image
        total, square = total + off, square + off**2
        if told is not None:
            told(draw + 1)
    mean = total / draws
    std = np.sqrt(np.maximum(square - draws * mean**2, 0.0) / (draws - 1))
    data = {name: (("x", "y"), value, {"units": "Jy"}) for name, value in (("std", std), ("mean", image + mean))}
    coords = {k: solution[k] for k in ("x", "y")}
    return xr.Dataset({f"image_{k}": v for k, v in data.items()}, coords, {"draws": draws, "steps": steps})


def _drawn(
    part: Interferometer, image: Floats, gains: NDArray[np.complex128], scale: float, rng: np.random.Generator
) -> Interferometer:
    """The same rows with data that the solution predicts, and noise."""
    noise = rng.standard_normal((part.rows, 2)) @ np.array([1, 1j])
    return part.with_data(part.imager(gains).apply(image) + scale * noise / part.root)
