"""Gains of stations by alternating least squares (StEFCal), all intervals at once.

Salvini and Wijnholds (2014), A&A 571, A97: with the other ends held, the gain of a station is a ratio of two sums. The
mean with the iterate before it keeps the iteration from swinging.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["Calibration", "stefcal"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Gains of receptors over intervals: ``V = g_a conj(g_b) M``.

    Parameters
    ----------
    gains : ndarray of complex, shape (interval, receptor)
        One where nothing determines them.
    intervals : ndarray of int, shape (interval,)
        Labels, in order.
    converged : ndarray of bool, shape (interval,)
        Whether the last step changed the gains by less than the tolerance.
    constrained : ndarray of bool, shape (interval, receptor)
        Whether a receptor has a usable baseline.
    iterations : int
        Steps taken.

    Examples
    --------
    See `stefcal`.
    """

    gains: Complexes
    intervals: Ints
    converged: Mask
    constrained: Mask
    iterations: int

    def unconstrained(self, vis: Visibilities) -> dict[int, tuple[str, ...]]:
        """Return the names of the receptors without a usable baseline, by label of the interval."""
        names = vis.receptor_names
        rows = zip(self.intervals.tolist(), ~self.constrained, strict=True)
        return {label: tuple(n for n, b in zip(names, bad, strict=True) if b) for label, bad in rows if bad.any()}

    def factors(self, vis: Visibilities, interval: Ints) -> Complexes:
        """Return ``g_a conj(g_b)`` of every row, whose intervals have the labels given.

        Raises
        ------
        DataError
            If a label has no gains.
        """
        at = np.clip(np.searchsorted(self.intervals, interval), 0, self.intervals.size - 1)
        if (bad := self.intervals[at] != interval).any():
            raise DataError(expected("Calibration", f"interval {interval[bad][0]}", "intervals that were calibrated"))
        first, second = vis.receptors
        return np.asarray(self.gains[at, first] * self.gains[at, second].conj())

    def corrected(self, vis: Visibilities, interval: Ints) -> Visibilities:
        """Return data divided by the gains, and weights times their squared modulus."""
        from dataclasses import replace

        factor = self.factors(vis, interval)
        return replace(vis, data=vis.data / factor, weight=vis.weight * np.abs(factor) ** 2)


def stefcal(
    vis: Visibilities,
    model: Complexes,
    interval: Ints | None = None,
    *,
    phase_only: bool = False,
    reference: int = 0,
    prior: float | None = None,
    start: Complexes | None = None,
    tolerance: float = 1e-10,
    max_steps: int = 500,
) -> Calibration:
    """Return gains that carry model visibilities to data, least squares under the weights.

    Parameters
    ----------
    vis : Visibilities
        Data; flagged and weightless rows, and autocorrelations, do not take part.
    model : ndarray of complex, shape (row,)
        Visibilities of the sky through perfect stations.
    interval : ndarray of int, shape (row,), optional
        Label of the interval in which gains are constant; by default the time slot.
    phase_only : bool, optional
        Hold all amplitudes at one.
    reference : int, optional
        Antenna whose gain is real and positive; where it has no usable baseline, the first that has one.
    prior : float, optional
        Standard deviation of the amplitudes about one; without it they are free.
    start : ndarray of complex, shape (interval, receptor), optional
        By default one.
    tolerance : float, optional
        Largest change of a gain in the last step, relative to the largest gain.
    max_steps : int, optional
        Largest number of steps.

    Returns
    -------
    Calibration
        Gains; an interval that did not converge says so.

    Raises
    ------
    DataError
        If a shape does not fit, the model is not finite, or the reference is not an antenna.

    Examples
    --------
    >>> pairs = np.array([[0, 1], [0, 2], [1, 2]]).T
    >>> g = np.array([1.0, 2.0, 0.5j])
    >>> ones = np.ones(3)
    >>> vis = Visibilities(np.ones((3, 3)), ones, ones, *pairs, g[pairs[0]] * g[pairs[1]].conj(), ones, 0 * ones)
    >>> bool(np.abs(stefcal(vis, ones + 0j).gains - g).max() < 1e-6)
    True
    """
    label = vis.slots[0] if interval is None else np.asarray(interval, np.int64)
    _check(vis, model, label, reference, prior)
    intervals, at = np.unique(label, return_inverse=True)
    receptors = len(vis.antennas) * len(vis.feeds)
    shape = (intervals.size, receptors)
    used = ~vis.flag & (vis.antenna1 != vis.antenna2) & (vis.weight > 0)
    first, second = (at[used] * receptors + r[used] for r in vis.receptors)
    problem = _Sums(first, second, vis.data[used], model[used], vis.weight[used], shape[0] * receptors)
    gains = (
        np.ones(shape, np.complex128) if start is None else np.asarray(start, np.complex128).reshape(shape)
    ).ravel()
    strength = 0.0 if prior is None else prior**-2
    constrained = problem.constrained()
    gains = np.where(constrained, gains, 1.0)
    change, steps = np.full(shape[0], np.inf), 0
    while steps < max_steps and (change > tolerance).any():
        new = problem.step(gains, constrained, strength, phase_only)
        size = np.abs(gains).reshape(shape).max(axis=1)
        change = np.abs(new - gains).reshape(shape).max(axis=1) / size
        gains, steps = new, steps + 1
    found, seen = gains.reshape(shape), constrained.reshape(shape)
    return Calibration(
        _referred(found, seen, len(vis.antennas), reference), intervals, change <= tolerance, seen, steps
    )


@dataclass(frozen=True, eq=False)
class _Sums:
    """The two sums of every gain."""

    first: Ints
    second: Ints
    data: Complexes
    model: Complexes
    weight: Floats
    size: int

    def constrained(self) -> Mask:
        energy = self.weight * np.abs(self.model) ** 2
        return np.asarray(np.bincount(self.first, energy, self.size) + np.bincount(self.second, energy, self.size) > 0)

    def step(self, gains: Complexes, constrained: Mask, strength: float, phase_only: bool) -> Complexes:
        """Return the mean of the gains and of what they would be with all others held."""
        z1, z2 = self.model * gains[self.second].conj(), (self.model * gains[self.first]).conj()
        top = self._sum(self.first, self.weight * self.data * z1.conj())
        top += self._sum(self.second, self.weight * self.data.conj() * z2.conj())
        if phase_only:
            mean = _phase(gains) + _phase(top)
            return np.where(constrained, _phase(mean), 1.0)
        bottom = np.bincount(self.first, self.weight * np.abs(z1) ** 2, self.size)
        bottom += np.bincount(self.second, self.weight * np.abs(z2) ** 2, self.size)
        new = (top + strength * _phase(gains)) / np.where(constrained, bottom + strength, 1.0)
        return np.where(constrained, 0.5 * (gains + new), 1.0)

    def _sum(self, index: Ints, values: Complexes) -> Complexes:
        return np.bincount(index, values.real, self.size) + 1j * np.bincount(index, values.imag, self.size)


def _phase(z: Complexes) -> Complexes:
    size = np.abs(z)
    return np.asarray(np.where(size > 0, z, 1.0) / np.where(size > 0, size, 1.0), np.complex128)


def _referred(gains: Complexes, constrained: Mask, antennas: int, reference: int) -> Complexes:
    """Return gains of which the reference's is real, feed by feed."""
    out = gains.copy()
    for begin in range(0, gains.shape[1], antennas):
        part, seen = gains[:, begin : begin + antennas], constrained[:, begin : begin + antennas]
        at = np.where(seen[:, reference], reference, np.argmax(seen, axis=1))
        turn = _phase(np.take_along_axis(part, at[:, None], axis=1))
        out[:, begin : begin + antennas] = np.where(seen, part * turn.conj(), 1.0)
    return out


def _check(vis: Visibilities, model: Complexes, label: Ints, reference: int, prior: float | None) -> None:
    for name, value in (("model", model), ("interval", label)):
        if value.shape != (vis.rows,):
            raise DataError(expected(f"stefcal: {name}", f"shape {value.shape}", f"shape ({vis.rows},)"))
    if not np.isfinite(model).all():
        raise DataError(expected("stefcal: model", "values that are not finite", "finite visibilities"))
    if not 0 <= reference < len(vis.antennas):
        raise DataError(expected("stefcal: reference", reference, f"an antenna below {len(vis.antennas)}"))
    if prior is not None and not prior > 0:
        raise DataError(expected("stefcal: prior", prior, "a positive standard deviation"))
