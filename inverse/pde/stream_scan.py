"""A coarse scan over the velocity of a stream: the misfit has many minima, and no start is good for all of them.

The field in the frame of the stream does not depend on its velocity, so that one solve serves every velocity: it is
turned into harmonics of space with coefficients that are polynomials of time, and samples at ``x - c t`` cost a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.pde.forward import INITIAL, SampledField
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array, Tree
from retrodict.physics.system import key

__all__ = ["StreamScan", "scan_stream"]

Floats = NDArray[np.float64]

_TIMES, _NODES, _BLOCK, _MOST = 24, 128, 1 << 21, 100_000


@dataclass(frozen=True, eq=False)
class StreamScan:
    """The smallest misfit at every velocity of a grid.

    Parameters
    ----------
    speeds, chi2 : ndarray, shape (n,)
        Velocities, and the sum of squared residuals in standard deviations.
    points : tuple of Tree
        For each velocity, the best of the other unknowns that were tried.
    """

    speeds: Floats
    chi2: Floats
    points: tuple[Mapping[str, Array], ...]

    def minima(self, count: int) -> list[int]:
        """Return the places of the lowest local minima, ends included, the lowest first."""
        wide = np.concatenate([[np.inf], self.chi2, [np.inf]])
        inner = wide[1:-1]
        local = np.flatnonzero((inner <= wide[:-2]) & (inner < wide[2:]))
        return [int(i) for i in local[np.argsort(self.chi2[local], kind="stable")][:count]]


def scan_stream(
    model: SampledField,
    start: Tree,
    observed: Floats,
    between: tuple[float, float],
    *,
    trials: Mapping[str, Sequence[float]] | None = None,
) -> StreamScan:
    """Scan the velocity of the stream.

    Parameters
    ----------
    model : SampledField
        With the stream among its unknowns.
    start : Tree
        Other unknowns where nothing is tried; an unknown initial field of a linear equation is solved for.
    observed : ndarray, shape (n,)
        Values of the samples.
    between : tuple of float
        Lowest and highest velocity.
    trials : Mapping of str to sequence of float, optional
        Values of other coefficients to try; an eighth, once and eight times the start unless given.

    Returns
    -------
    StreamScan
        On a grid finer than any minimum is wide.

    Raises
    ------
    SolverError
        If the stream is not among the unknowns, no sample is later than the start of time, or the initial field of a
        nonlinear equation is unknown, or the field is zero or not finite, there are
        too many velocities to try, or none has a finite misfit.

    Examples
    --------
    >>> from retrodict.inverse.pde.expansion import Expansion
    >>> from retrodict.inverse.pde.samples import Samples
    >>> from retrodict.physics.pde.convection import convection
    >>> x, t, system = np.linspace(0, 6, 40), np.linspace(0, 1, 40), convection(1.0)
    >>> model = SampledField(system, Samples(x, t, np.zeros(40), 0.1), ["c"], Expansion(system, 40))
    >>> scan = scan_stream(model, {"c": np.array(1.0)}, np.sin(x - 30.0 * t), (0.0, 70.0))
    >>> abs(float(scan.speeds[scan.minima(1)[0]]) - 30.0) < 0.5
    True
    """
    name, at = model.stream, model.samples
    since = model.system.coords["t"].bounds[0]
    if name is None or name not in model.unknown or not between[0] < between[1]:
        raise SolverError(
            expected("scan_stream", f"unknown {model.unknown} in {between}", "an unknown stream, low < high")
        )
    elapsed = float((at.t - since).max())
    if elapsed <= 0:
        raise SolverError(
            expected("scan_stream", "samples at the initial time alone", "later ones: nothing else sees the stream")
        )
    if INITIAL in model.domain and not model.expansion.linear:
        raise SolverError(
            expected("scan_stream", "a nonlinear equation with an unknown initial field", "a known field")
        )
    options = {k: [float(start[k])] for k in model.resting}
    for k in model.resting:
        low, high = model.domain[k].bounds
        given = (trials or {}).get(k, [float(start[k]) * f for f in (0.125, 1.0, 8.0)])
        options[k] = sorted({min(max(float(v), low), high) for v in given})
    series = _Harmonised(model)
    best: StreamScan | None = None
    for values in product(*options.values()):
        tree = {
            **{k: np.asarray(v, float) for k, v in start.items()},
            **{k: np.array(v) for k, v in zip(options, values, strict=True)},
        }
        harmonics = series.of(tree)
        speeds = best.speeds if best else _grid(between, harmonics, series.wave, elapsed)
        found = _misfits(harmonics, series.wave, model, observed, speeds, tree)
        best = found if best is None else _better(best, found)
    assert best is not None
    if not np.isfinite(best.chi2).any():
        got = "misfits that are infinite at every velocity"
        raise SolverError(expected("scan_stream", got, "data within reach of their standard deviations"))
    return best


def _grid(between: tuple[float, float], harmonics: NDArray[np.complex128], wave: float, elapsed: float) -> Floats:
    """Return velocities so close that the highest harmonic that matters turns by half a radian from one to the next."""
    power = np.cumsum((np.abs(harmonics[:, 1:]) ** 2).sum((0, 2)))
    highest = 1 + int(np.searchsorted(power, 0.999 * power[-1])) if power.size and power[-1] > 0 else 1
    count = max(3, 1 + np.ceil((between[1] - between[0]) * 2 * wave * highest * elapsed))
    if count > _MOST:
        wanted = f"at most {_MOST}: a narrower range, or samples over a shorter time"
        raise SolverError(expected("scan_stream", f"{count:.3g} velocities to try", wanted))
    return np.linspace(*between, int(count))


class _Harmonised:
    """Fields of a model as harmonics of space at the times of its samples."""

    def __init__(self, model: SampledField) -> None:
        self.model = model
        coords = model.system.coords
        (t0, t1), (low, high) = coords["t"].bounds, coords[model.expansion.coord].bounds
        self.wave, self.low = 2 * np.pi / (high - low), low
        nodes = np.cos(np.pi * (np.arange(_TIMES) + 0.5) / _TIMES)
        times, places = 0.5 * (t0 + t1) + 0.5 * (t1 - t0) * nodes, low + (high - low) * np.arange(_NODES) / _NODES
        grid = {"t": np.repeat(times, _NODES), model.expansion.coord: np.tile(places, _TIMES)}
        self.columns = model.expansion.columns(grid, [key("u")])
        polynomials = np.polynomial.chebyshev.chebvander(nodes, _TIMES - 1)
        at = np.polynomial.chebyshev.chebvander(2 * (model.samples.t - t0) / (t1 - t0) - 1, _TIMES - 1)
        self.interpolate = at @ np.linalg.inv(polynomials)

    def of(self, tree: Tree) -> NDArray[np.complex128]:
        """Return the harmonics, shape (n, modes, 1 + L): of the known part, and for every initial coefficient."""
        base, start, matrix = self.columns
        count = start.shape[2]
        still = {**tree, INITIAL: np.zeros(count)} if count else tree
        z, slopes = self.model.solved(still, slopes=count > 0)
        known = base[0] + matrix[0] @ z
        fields = known[:, None]
        if count:
            assert slopes is not None
            fields = np.concatenate([fields, start[0] + matrix[0] @ slopes[:, len(self.model.resting) :]], axis=1)
        series = np.fft.rfft(fields.reshape(_TIMES, _NODES, -1), axis=1)[:, : _NODES // 2] * (2 / _NODES)
        series[:, 0] /= 2
        out = np.tensordot(self.interpolate, series, 1)
        size = np.abs(out).max((0, 2))
        if not (np.isfinite(size).all() and size.any()):
            raise SolverError(expected("scan_stream", f"a field of sizes up to {size.max():g}", "a finite one, not 0"))
        return np.asarray(out[:, : 1 + int(np.flatnonzero(size > 1e-5 * size.max())[-1])])


def _misfits(
    harmonics: NDArray[np.complex128], wave: float, model: SampledField, observed: Floats, speeds: Floats, tree: Tree
) -> StreamScan:
    n, modes, columns = harmonics.shape
    low, since = model.system.coords[model.expansion.coord].bounds[0], model.system.coords["t"].bounds[0]
    elapsed, k = model.samples.t - since, wave * np.arange(modes)
    at_zero = harmonics * np.exp(1j * np.multiply.outer(model.samples.x - low, k))[:, :, None]
    chi2, points = np.empty(len(speeds)), []
    size = max(1, _BLOCK // (n * modes))
    for i in range(0, len(speeds), size):
        turn = np.exp(-1j * speeds[i : i + size, None, None] * elapsed[:, None] * k)
        fields = np.einsum("cnk,nkl->cnl", turn, at_zero).real / model.samples.sigma[:, None]
        gap = observed / model.samples.sigma - fields[:, :, 0]
        best = np.zeros((len(gap), columns - 1))
        if columns > 1:
            free = fields[:, :, 1:]
            # equilibrated and kept regular: at some velocities the samples may miss a harmonic
            turned = np.swapaxes(free, 1, 2)
            normal = turned @ free
            ridge = 1e-10 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(columns - 1)
            best = np.linalg.solve(normal + ridge, turned @ gap[:, :, None])[:, :, 0]
            gap = gap - np.einsum("cnl,cl->cn", free, best)
        chi2[i : i + size] = (gap**2).sum(1)
        points += [{**tree, INITIAL: a} if columns > 1 else dict(tree) for a in best]
    named = tuple({**p, str(model.stream): np.array(c)} for p, c in zip(points, speeds, strict=True))
    return StreamScan(speeds, chi2, named)


def _better(one: StreamScan, other: StreamScan) -> StreamScan:
    wins = other.chi2 < one.chi2
    points = tuple(b if w else a for a, b, w in zip(one.points, other.points, wins, strict=True))
    return StreamScan(one.speeds, np.minimum(one.chi2, other.chi2), points)
