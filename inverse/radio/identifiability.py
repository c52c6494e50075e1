"""What an observation says of its gains: coefficient by coefficient, and along what the sky can stand in for.

A coefficient that the data determine has a posterior far narrower than its prior. A phase that all gains share leaves
every visibility as it is; a screen that they share can be moved into the sky: its modulus exactly, its phase because
only differences of phases are seen. Both are tried on the linearised model rather than asserted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.radio.gain_posterior import GainPosterior
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.radio.gain_newton import Prior
from retrodict.solvers.radio.gain_tangent import Tangent

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MODES", "identifiability"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

MODES = ("phase of all gains", "scale of all gains", "amplitude screen of all gains", "phase screen of all gains")
"""Directions that the data may leave open; the screens are the first harmonic along x, the same at all times."""

DENSE = 6000
"""Real unknowns up to which the gains of all receptors are taken as unknown together."""


def identifiability(
    model: Interferometer, image: Floats, gains: Complexes, prior: Prior, scale: float = 1.0
) -> xr.Dataset:
    """Return what the data say of the gains beside what their prior says.

    Parameters
    ----------
    model : Interferometer
        The rows that were fitted.
    image : ndarray, shape (N, N)
        The sky.
    gains : ndarray of complex, shape (receptor, term, S, S)
        Most probable gains.
    prior : Prior
        Of the gains.
    scale : float, optional
        Noise in units of what the weights say.

    Returns
    -------
    xarray.Dataset
        ``informed`` (receptor, term, kx, ky): one less posterior over prior variance, 0 where the data say nothing;
        ``effective``: its sum over the real unknowns, how many numbers the data determine; ``rows`` and ``slots``
        (receptor): rows, and time slots with a row, where slots without are filled in by the functions of time;
        ``seen`` (mode): change of the visibilities along each of `MODES` with the sky held, over that along as large a
        direction without pattern; ``left`` (mode): the same where the sky moves along. The attribute ``others`` tells
        whether the gains of other receptors were unknown or, beyond `DENSE` unknowns, held, which is kinder.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> vis = Visibilities(np.zeros((1, 3)), [1e9], [0.0], [0], [1], [1 + 0j], [4.0], [False])
    >>> sky = np.zeros((8, 8)); sky[4, 4] = 1.0
    >>> model = Interferometer(vis, Grid(8, 1e-3))
    >>> unit = model.kernels.unit()
    >>> found = identifiability(model, sky, unit, Prior.about(unit, 1e3))
    >>> round(float(found["effective"]), 3)  # four reals, one complex visibility
    2.0
    >>> found["seen"].sel(mode="phase of all gains").item() < 1e-9
    True
    """
    import xarray as xr

    line = Tangent(model, image, gains)
    dense = 2 * gains.size <= DENSE
    if dense:
        variance = GainPosterior.of(model, image, gains, prior, scale).covariance.diagonal().reshape(2, *gains.shape)
    else:
        held = line.preconditioner(scale, prior.precision).variance(gains.shape)
        variance = np.stack([held, held])
    informed = 1 - variance * prior.precision
    counts = [np.bincount(side, minlength=len(gains)) for side in (model.first, model.second)]
    present = np.zeros((len(gains), model.times.size), bool)
    present[model.first, model.slot] = present[model.second, model.slot] = True
    seen, left = _modes(model, line, image, gains)
    return xr.Dataset(
        {
            "informed": (("receptor", "term", "kx", "ky"), informed.mean(axis=0), {"units": "1"}),
            "effective": ((), float(informed.sum()), {"units": "1"}),
            "rows": ("receptor", counts[0] + counts[1], {"units": "1"}),
            "slots": ("receptor", present.sum(axis=1), {"units": "1"}),
            "seen": ("mode", seen, {"units": "1"}),
            "left": ("mode", left, {"units": "1"}),
        },
        {"mode": list(MODES)},
        {"others": "unknown" if dense else "held", "unknowns": 2 * gains.size},
    )


def _modes(model: Interferometer, line: Tangent, image: Floats, gains: Complexes) -> tuple[list[float], list[float]]:
    """Changes of the visibilities along the modes, over that along directions without pattern."""
    kernels, grid = model.kernels, model.grid
    rng = np.random.default_rng(0)

    def size(change: Complexes, delta: Complexes) -> float:
        return float(np.linalg.norm(model.root * change) / np.linalg.norm(delta))

    draws = [rng.standard_normal(gains.shape) + 1j * rng.standard_normal(gains.shape) for _ in range(4)]
    usual = float(np.mean([size(line.forward(d), d) for d in draws]))
    along = np.cos(2 * np.pi / kernels.padded * grid.coordinates)[:, None]
    shared = np.zeros_like(gains)  # the gains times that screen, as far as they have coefficients for it
    shared[:, :, 1:] += 0.5 * gains[:, :, :-1]
    shared[:, :, :-1] += 0.5 * gains[:, :, 1:]
    # a change of all gains by the fraction c changes the sky's part by minus 2 Re c
    directions = ((1j * gains, 0.0), (gains, -2.0), (shared, -2.0 * along), (1j * shared, 0.0))
    imager = model.imager(gains)
    seen, left = [], []
    for delta, fraction in directions:
        if not delta.any():  # gains without direction have no screens
            seen.append(0.0)
            left.append(0.0)
            continue
        change = line.forward(delta)
        seen.append(size(change, delta) / usual)
        left.append(size(change + imager.apply(fraction * image), delta) / usual)
    return seen, left
