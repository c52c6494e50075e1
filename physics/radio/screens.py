"""Direction-dependent gains: band-limited ones, and ones of the kinds that nature makes, which are not band-limited.

Every object has ``values(slot, x, y)``, the complex gains of all receptors in directions given in pixels, ``x`` to the
west and ``y`` to the north. A receptor is a feed of an antenna, ``feed * antennas + antenna``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.disturbances import Ionosphere, Pointing, ionosphere_phase, pointing_errors
from retrodict.physics.radio.gains import Kernels, TimeBasis

__all__ = [
    "BandLimited",
    "Gains",
    "Ionosphere",
    "Pointing",
    "ionosphere_phase",
    "pointing_errors",
    "smooth_random",
]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class Gains(Protocol):
    """What a simulation asks of gains.

    Examples
    --------
    >>> gains: Gains = BandLimited(np.ones((2, 1, 1, 1)), np.ones((1, 1)), 64)
    >>> gains.values(0, np.zeros(3), np.zeros(3)).shape
    (2, 3)
    """

    def values(self, slot: int, x: Floats, y: Floats) -> Complexes:
        """Return gains, shape (receptor, point), at points given in pixels; slot k is the k-th time of the table."""
        ...


@dataclass(frozen=True)
class BandLimited:
    """Gains with few coefficients: ``D(n) = sum_k d[k] exp(2 pi i k . n / padded)``, ``d = sum_p basis[t, p] U[p]``.

    Parameters
    ----------
    coefficients : ndarray, shape (receptor, term, support, support)
        ``U``; the last axes are the frequencies in x and in y, from ``-(support - 1) / 2``.
    basis : ndarray, shape (slot, term)
        Functions of time.
    padded : int
        Pixels over which the lowest frequency makes one turn; twice the size of the image by custom.

    Raises
    ------
    DataError
        If the shapes do not fit, there are fewer than two receptors, or the support is even or not below half of
        ``padded``.

    Examples
    --------
    >>> gains = BandLimited(np.ones((2, 1, 1, 1)), np.ones((4, 1)), 64)
    >>> gains.values(3, np.zeros(1), np.zeros(1)).real.tolist()
    [[1.0], [1.0]]
    """

    coefficients: Complexes
    basis: Floats | Complexes
    padded: int

    def __post_init__(self) -> None:
        shape, terms = np.shape(self.coefficients), np.shape(self.basis)
        if len(shape) != 4 or shape[2] != shape[3] or shape[2] % 2 == 0:
            raise DataError(expected("BandLimited.coefficients", shape, "(receptor, term, support, support), odd"))
        if len(terms) != 2 or terms[1] != shape[1]:
            raise DataError(expected("BandLimited.basis", terms, f"shape (slot, {shape[1]})"))
        _ = self.kernels

    @property
    def kernels(self) -> Kernels:
        """Shape of the coefficients of one slot, time already summed over."""
        receptors, _, support, _ = np.shape(self.coefficients)
        return Kernels(support, self.padded, TimeBasis("constant"), receptors)

    def values(self, slot: int, x: Floats, y: Floats) -> Complexes:
        """Return gains, shape (receptor, point)."""
        now = np.tensordot(self.basis[slot], self.coefficients, axes=(0, 1))
        return self.kernels.screens(now, x, y)


def smooth_random(
    rng: np.random.Generator,
    receptors: int,
    support: int,
    basis: Floats | Complexes,
    amplitude: float = 0.05,
    centre: float | None = None,
) -> Complexes:
    """Draw coefficients of band-limited gains around one.

    Off the centre, real and imaginary parts are normal with standard deviation ``amplitude``; the central coefficient
    is one plus a normal number of standard deviation ``centre``. With several functions of time, every one has an
    equal share of the variance, such that the mean square over time is that of a single one.

    Parameters
    ----------
    rng : Generator
        Where the numbers come from.
    receptors, support : int
        Sizes; the support is odd.
    basis : ndarray, shape (slot, term)
        Functions of time; the constant one must be among their combinations.
    amplitude, centre : float, optional
        Standard deviations; that of the centre is the amplitude unless given.

    Returns
    -------
    ndarray of complex, shape (receptor, term, support, support)
        Coefficients.

    Raises
    ------
    ConfigError
        If the support is even, or a function of time vanishes everywhere, or they do not combine to one.

    Examples
    --------
    >>> smooth_random(np.random.default_rng(0), 27, 5, np.ones((60, 1))).shape
    (27, 1, 5, 5)
    """
    if support < 1 or support % 2 == 0:
        raise ConfigError(expected("support", support, "an odd number of coefficients"))
    size = np.sqrt(np.mean(np.abs(basis) ** 2, axis=0))
    mean = np.linalg.lstsq(basis, np.ones(len(basis)), rcond=None)[0]
    if not np.all(size > 0) or not np.allclose(basis @ mean, 1, atol=1e-8):
        raise ConfigError(expected("basis", f"rms {size}", "functions that do not vanish and combine to one"))
    shape = (receptors, basis.shape[1], support, support)
    scale = np.full((support, support), amplitude)
    scale[support // 2, support // 2] = amplitude if centre is None else centre
    out = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * scale
    out /= (size * np.sqrt(size.size))[:, None, None]
    out[..., support // 2, support // 2] += mean
    return np.asarray(out, np.complex128)
