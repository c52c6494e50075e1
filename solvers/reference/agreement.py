"""How far a published reference solution is from ours: the reference is validated before anything is measured by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from retrodict.physics.errors import DataError, expected
from retrodict.solvers.reference.periodic import Array, Solution

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """Figures of one comparison.

    Parameters
    ----------
    field : str
        The variable compared.
    relative_l2 : float
        ``|file - ours| / |ours|`` over the whole grid.
    times : ndarray, shape (T,)
        Times of the file.
    relative_l2_at : ndarray, shape (T,)
        The same at every time; an absolute root mean square where ours is zero.
    max_abs : float
        The largest difference.
    x, t : float
        Where it is.
    """

    field: str
    relative_l2: float
    times: Array
    relative_l2_at: Array
    max_abs: float
    x: float
    t: float

    def agrees(self, claimed: float) -> bool:
        """Return whether the relative L2 difference is within the accuracy claimed.

        Examples
        --------
        >>> Agreement("u", 1e-2, np.zeros(1), np.zeros(1), 0.1, 0.0, 0.0).agrees(1e-3)
        False
        """
        return self.relative_l2 <= claimed

    def verdict(self, claimed: float) -> str:
        """Return one sentence with the figures.

        Parameters
        ----------
        claimed : float
            Relative L2 accuracy that the file claims or a measurement against it needs.

        Examples
        --------
        >>> Agreement("u", 1e-2, np.zeros(1), np.zeros(1), 0.1, 0.5, 0.4).verdict(1e-3)
        'u DISAGREES with the reference solution: relative L2 1.000e-02, above 1.0e-03; max 1.0e-01 at x = 0.5, t = 0.4'
        """
        word, side = ("agrees", "within") if self.agrees(claimed) else ("DISAGREES", "above")
        figures = f"relative L2 {self.relative_l2:.3e}, {side} {claimed:.1e}"
        place = f"max {self.max_abs:.1e} at x = {self.x:.6g}, t = {self.t:.6g}"
        return f"{self.field} {word} with the reference solution: {figures}; {place}"


def agreement(reference: xr.Dataset, solution: Solution, field: str | None = None, offset: float = 0.0) -> Agreement:
    """Compare a field of a file with a solution that can be evaluated anywhere.

    Parameters
    ----------
    reference : xarray.Dataset
        As `retrodict.physics.pde.reference_files.read_reference` returns it.
    solution : Solution
        ``u(x, t)``, trusted.
    field : str, optional
        The variable; not needed if there is one.
    offset : float, optional
        A drift that is not counted in the norm of the solution, which would flatter the relative error.

    Returns
    -------
    Agreement
        The figures.

    Raises
    ------
    DataError
        If there is no such field, or several and none is named.

    Examples
    --------
    >>> x, t = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    >>> file = xr.Dataset({"u": (("x", "t"), [[0.0, 1.0], [1.0, 2.5]])}, {"x": x, "t": t})
    >>> agreement(file, lambda x, t: x + t).max_abs
    0.5
    """
    names = [str(name) for name in reference.data_vars]
    if field is None and len(names) == 1:
        field = names[0]
    if field is None or field not in names:
        raise DataError(expected("agreement: field", field, f"one of {names}"))
    x, t = (np.asarray(reference[axis].values, dtype=np.float64) for axis in ("x", "t"))
    ours = solution(x[:, None], t)
    difference = reference[field].transpose("x", "t").values - ours
    size, error = np.linalg.norm(ours - offset, axis=0), np.linalg.norm(difference, axis=0)
    total = float(np.linalg.norm(size)) or np.sqrt(ours.size)
    i, j = np.unravel_index(int(np.abs(difference).argmax()), difference.shape)
    by_time = error / np.where(size > 0, size, np.sqrt(len(x)))
    worst = float(np.abs(difference[i, j]))
    return Agreement(field, float(np.linalg.norm(error) / total), t, by_time, worst, float(x[i]), float(t[j]))
