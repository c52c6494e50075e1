"""Observations larger than memory: an interferometer whose rows are read chunk by chunk.

Everything that calibration and imaging ask of the data is a sum over rows. `Streamed.total` forms it one chunk at a
time, by dask, in the order of the chunks: the sums are those of all rows in memory, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.gains import BasisKind, Kernels, TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.visibilities import Grid, Visibilities

__all__ = ["Streamed", "slices", "stream_measurement_set"]

Floats = NDArray[np.float64]
Read = Callable[[], Visibilities]
T = TypeVar("T", bound=tuple[Any, ...])


class Streamed:
    """Sky and gains to the visibilities of an observation that is read in chunks, each time that it is needed.

    Parameters
    ----------
    reads : sequence of callable
        Each returns the rows of a chunk with their data; a time slot may not be spread over two of them.
    grid : Grid
        The image.
    size : int
        ``S``, coefficients of a gain along an axis.
    basis : {"constant", "dct", "fourier", "b-spline"}
        Functions of time, over the whole observation.
    terms : int
        How many.
    precision : {"double", "single"}
        Of the rows of an imager.
    keep : callable, optional
        From the times of a chunk's rows to a mask of those that take part, for example to hold slots out.
    workers : int, optional
        Chunks in memory, and at work, at a time.

    Raises
    ------
    DataError
        If no chunk has rows that can be used, antennas or feeds differ between chunks, or pixels are too coarse.

    Examples
    --------
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [2 + 0j], [1.0], [False])
    >>> both = Streamed([lambda: one, lambda: one], Grid(16, 2e-3))
    >>> both.total(lambda part: (float(part.vis.data.real.sum()), part.rows))
    (4.0, 2)
    """

    def __init__(
        self,
        reads: Sequence[Read],
        grid: Grid,
        *,
        size: int = 1,
        basis: BasisKind = "constant",
        terms: int = 1,
        precision: str = "double",
        keep: Callable[[Floats], NDArray[np.bool_]] | None = None,
        workers: int = 1,
    ) -> None:
        self.grid, self.workers = grid, workers
        self._reads, self._keep, self._precision = tuple(reads), keep, precision
        rows, times, names = 0, list[Floats](), set[tuple[tuple[str, ...], tuple[str, ...]]]()
        for read in self._reads:
            if (vis := _good(read())) is not None:
                rows += vis.rows if keep is None else int(np.count_nonzero(keep(vis.time)))
                names.add((vis.antennas, vis.feeds))
                times.append(vis.slots[1])
        if not rows:
            raise DataError(expected("Streamed", "no row that can be used", "at least one"))
        if len(names) > 1:
            got = " and ".join(f"{len(a)} antennas with feeds {f}" for a, f in sorted(names))
            raise DataError(expected("Streamed", got, "the same antennas and feeds in every chunk"))
        antennas, feeds = names.pop()
        # functions of time span all slots, those that are held out too: gains of one part predict the other
        spanning = TimeBasis.spanning(basis, np.concatenate(times), terms)
        self.rows = rows
        self.kernels = Kernels(size, 2 * grid.size, spanning, len(antennas) * len(feeds))

    def _usable(self, read: Read) -> Visibilities | None:
        vis = _good(read())
        if vis is None or self._keep is None:
            return vis
        kept = self._keep(vis.time)
        return vis.select(kept) if kept.any() else None

    def total(self, act: Callable[[Interferometer], T]) -> T:
        """Return the sum of a tuple of numbers and arrays over the chunks.

        Parameters
        ----------
        act : callable
            From the interferometer of a chunk to a tuple of numbers and arrays.

        Returns
        -------
        tuple
            Their sums.
        """
        import dask

        library: Any = dask  # its annotations do not export what its manual does

        def of(read: Read) -> T | None:
            vis = self._usable(read)
            if vis is None:
                return None
            k = self.kernels
            return act(Interferometer(vis, self.grid, size=k.size, basis=k.basis, precision=self._precision))

        found: T | None = None
        for first in range(0, len(self._reads), self.workers):
            tasks = [library.delayed(of)(read) for read in self._reads[first : first + self.workers]]
            for part in library.compute(*tasks, scheduler="threads", num_workers=self.workers):
                if part is not None:
                    found = part if found is None else _added(found, part)
        assert found is not None, "there is a row, it was counted"
        return found


def slices(vis: Visibilities, rows: int) -> list[Read]:
    """Return reads of a table in memory, in chunks of whole time slots.

    Parameters
    ----------
    vis : Visibilities
        The table.
    rows : int
        Rows of a chunk, at most; a slot with more is a chunk of its own.

    Examples
    --------
    >>> two = Visibilities(np.ones((2, 3)), [1e9] * 2, [0, 9], [0, 0], [1, 1], [1, 2], [1, 1], [0, 0])
    >>> [read().data.real.tolist() for read in slices(two, 1)]
    [[1.0], [2.0]]
    """
    slot = vis.slots[0]
    counts = np.bincount(slot)
    chunk, filled, number = np.zeros(counts.size, np.int64), 0, 0
    for t, count in enumerate(counts):
        if filled and filled + count > rows:
            filled, number = 0, number + 1
        chunk[t], filled = number, filled + int(count)
    of = chunk[slot]
    return [partial(lambda k: vis.select(of == k), k) for k in range(number + 1)]


def stream_measurement_set(path: str | Path, rows: int, **choice: Any) -> list[Read]:
    """Return reads of a MeasurementSet, in chunks of whole time slots.

    Parameters
    ----------
    path : str or Path
        Of the set.
    rows : int
        Rows of its main table in a chunk, at most.
    **choice
        Column, field, window, channels and feeds, as `read_measurement_set` takes them.

    Raises
    ------
    ConfigError, DataError
        As for `read_measurement_set`.
    """
    from threading import Lock

    from retrodict.physics.radio.measurement_set import ranges, read_measurement_set

    lock = Lock()  # casacore's tables are not for two threads

    def read(start: int, count: int) -> Visibilities:
        with lock:
            return read_measurement_set(path, start=start, rows=count, **choice)

    where = {k: v for k, v in choice.items() if k != "column"}
    return [partial(read, *at) for at in ranges(path, rows, **where)]


def _good(vis: Visibilities) -> Visibilities | None:
    """Return the rows that can be used; None where there are none, as in a chunk that is flagged as a whole."""
    used = ~np.any(list(vis.unusable().values()), axis=0)
    return vis.select(used) if used.any() else None


def _added(a: T, b: T) -> T:
    return tuple(x + y for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
