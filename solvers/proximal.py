"""Proximity operators of sparsity in a tight frame within bounds, by a dual that is kept warm.

    prox(z) = argmin_x 1/2 |x - z|^2 + s |W Psi' x|_1,   lower <= x <= upper,     Psi Psi' = 1

A dual point ``v`` with ``|v| <= s W`` gives ``x(v) = P(z - Psi v)``, ``P`` the projection onto the bounds, and exactly
the duality gap ``sum s W |a| - v a`` with ``a = Psi' x(v)``, which bounds ``1/2 |x(v) - prox(z)|^2``: the gap costs no
transform. The dual climbs by accelerated projected gradients of step one (Beck and Teboulle 2009) and forgets its
momentum where it points downhill (O'Donoghue and Candes 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SolverError, expected

__all__ = ["Dual", "Frame", "Prox", "SparseProx", "prox_nonnegative_l1"]

Reals = NDArray[Any]


def prox_nonnegative_l1(z: Reals, threshold: ArrayLike) -> Reals:
    """Return the minimiser of ``1/2 |x - z|^2 + |threshold x|_1`` over ``x >= 0``: ``max(z - threshold, 0)``.

    Parameters
    ----------
    z : ndarray
        Point.
    threshold : array_like
        Threshold of every entry, at least zero; broadcast to ``z``.

    Returns
    -------
    ndarray
        Minimiser, in single precision where ``z`` is, in double otherwise.

    Raises
    ------
    SolverError
        If a threshold is negative or not a number.

    Examples
    --------
    >>> prox_nonnegative_l1(np.array([3.0, 0.5, -2.0]), 1.0)
    array([2., 0., 0.])
    """
    kind = np.float32 if z.dtype == np.float32 else np.float64
    below = np.asarray(threshold, np.float64)
    if not np.all(below >= 0):
        raise SolverError(expected("prox_nonnegative_l1: threshold", below.min(), "at least zero everywhere"))
    return np.asarray(np.maximum(z - below.astype(kind), 0, dtype=kind))


class Frame(Protocol):
    """A tight frame, ``synthesise(analyse(x)) = x``, each the transpose of the other."""

    @property
    def coefficients(self) -> tuple[int, ...]:
        """Shape of the coefficients; the planes along the first axis are treated one after the other."""
        ...

    def analyse(self, x: Reals, out: Reals | None = None) -> Reals:
        """Return the coefficients of an image, in ``out`` if given."""
        ...

    def synthesise(self, a: Reals, out: Reals | None = None) -> Reals:
        """Return the image of coefficients, in ``out`` if given."""
        ...


class Dual(NamedTuple):
    """Where the dual stands: the next prox begins here.

    Parameters
    ----------
    v : ndarray, shape of the coefficients
        Dual point.
    step : float
        Step for which it was made; another step rescales it.
    """

    v: Reals
    step: float


class Prox(NamedTuple):
    """What a proximity operator returns.

    Parameters
    ----------
    x : ndarray
        Approximate minimiser; always within the bounds.
    dual : Dual
        Warm start of the next call.
    gap : float
        Duality gap of ``x``; ``|x - prox|^2 <= 2 gap``.
    iterations : int
        Pairs of synthesis and analysis.
    penalty : float
        ``|W Psi' x|_1``, which the last analysis gives for nothing.
    """

    x: Reals
    dual: Dual | None
    gap: float
    iterations: int
    penalty: float


@dataclass(frozen=True)
class SparseProx:
    """Proximity operator of ``|W Psi' x|_1`` within bounds.

    Parameters
    ----------
    frame : Frame
        For example `retrodict.physics.radio.wavelets.Dictionary`.
    weights : array_like
        ``W``, at least zero: a number, or an array that broadcasts to the coefficients.
    lower, upper : array_like, optional
        Bounds of ``x``: numbers or images. Where they are equal, ``x`` is held.
    tolerance : float, optional
        Stop where the duality gap is this fraction of the primal objective.
    max_iterations : int, optional
        Largest number of pairs of synthesis and analysis; from a warm dual 1 to 3 serve a forward-backward step.

    Raises
    ------
    SolverError
        If a weight is negative or not a number, a lower bound lies above its upper one, or a limit is out of range.

    Examples
    --------
    >>> from retrodict.physics.radio.wavelets import Dictionary
    >>> prox = SparseProx(Dictionary((8, 8), ("dirac",)), 1.0, tolerance=1e-12)
    >>> float(prox(np.full((8, 8), 3.0), 0.5).x.max())
    2.5
    """

    frame: Frame
    weights: Any = 1.0
    lower: Any = 0.0
    upper: Any = np.inf
    tolerance: float = 1e-4
    max_iterations: int = 200
    _cache: dict[np.dtype[Any], tuple[Reals, Reals, Reals]] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        weights, lower, upper = (np.asarray(v, np.float64) for v in (self.weights, self.lower, self.upper))
        if not (np.all(np.isfinite(weights)) and np.all(weights >= 0)):
            raise SolverError(expected("SparseProx.weights", weights.min(), "finite weights of at least zero"))
        if not np.all(lower <= upper):
            raise SolverError(expected("SparseProx", "a lower bound above the upper", "lower <= upper everywhere"))
        if self.max_iterations < 1 or not self.tolerance >= 0:
            got = f"tolerance {self.tolerance}, max_iterations {self.max_iterations}"
            raise SolverError(expected("SparseProx", got, "tolerance >= 0, max_iterations >= 1"))
        try:
            np.broadcast_to(weights, self.frame.coefficients)
            np.broadcast_to(lower, self.frame.coefficients[1:])
            np.broadcast_to(upper, self.frame.coefficients[1:])
        except ValueError:
            got = f"weights {weights.shape}, bounds {lower.shape} and {upper.shape}"
            raise SolverError(
                expected("SparseProx", got, f"shapes that broadcast to {self.frame.coefficients}")
            ) from None

    def penalty(self, x: Reals) -> float:
        """Return ``|W Psi' x|_1``."""
        a = self.frame.analyse(x)
        return float(np.sum(np.abs(a) * self._at(a.dtype)[0], dtype=np.float64))

    def __call__(
        self,
        z: Reals,
        step: float,
        dual: Dual | None = None,
        *,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Prox:
        """Return the minimiser of ``1/2 |x - z|^2 + step |W Psi' x|_1`` within the bounds.

        Parameters
        ----------
        z : ndarray
            Point.
        step : float
            At least zero.
        dual : Dual, optional
            From an earlier call; it is not changed.
        tolerance, max_iterations : optional
            For this call instead of the operator's own.

        Returns
        -------
        Prox
            Minimiser, dual, gap, iterations, penalty.

        Raises
        ------
        SolverError
            If the step is negative or not finite, or the point or the dual has another shape.
        """
        if z.shape != self.frame.coefficients[1:]:
            got = f"shape {z.shape}"
            raise SolverError(expected("SparseProx: z", got, f"shape {self.frame.coefficients[1:]}"))
        if not (np.isfinite(step) and step >= 0):
            raise SolverError(expected("SparseProx: step", step, "a finite number of at least zero"))
        z = np.ascontiguousarray(z, np.float32 if z.dtype == np.float32 else np.float64)
        weights, *bounds = self._at(z.dtype)
        ascent = _Ascent(self.frame, z, step, weights, (bounds[0], bounds[1]), self._warm(dual, step, weights, z.dtype))
        bar = self.tolerance if tolerance is None else tolerance
        limit = self.max_iterations if max_iterations is None else max_iterations
        count, gap, primal, norm = 0, np.inf, 0.0, 0.0
        while count < limit:
            count += 1
            gap, primal, norm = ascent.climb()
            if gap <= bar * primal:
                break
        return Prox(ascent.x, Dual(ascent.v, step), gap, count, norm / step if step > 0 else self.penalty(ascent.x))

    def _at(self, kind: np.dtype[Any]) -> tuple[Reals, Reals, Reals]:
        """Weights and bounds in a precision; weights keep a first axis."""
        if kind not in self._cache:
            weights, lower, upper = (np.asarray(v, kind) for v in (self.weights, self.lower, self.upper))
            weights = np.ascontiguousarray(np.broadcast_to(weights, self.frame.coefficients))
            self._cache[kind] = (weights, lower, upper)
        return self._cache[kind]

    def _warm(self, dual: Dual | None, step: float, weights: Reals, kind: np.dtype[Any]) -> Reals:
        """Return a copy of the dual, scaled to the step, inside its box."""
        if dual is None or step == 0 or dual.step == 0:
            return np.zeros(self.frame.coefficients, kind)
        if dual.v.shape != self.frame.coefficients:
            got = f"shape {dual.v.shape}"
            raise SolverError(expected("SparseProx: dual", got, f"shape {self.frame.coefficients}"))
        v = np.multiply(dual.v, step / dual.step, dtype=kind)
        box = weights * kind.type(step)
        return np.clip(v, -box, box, out=v)


class _Ascent:
    """Accelerated ascent of the dual; the first step has no momentum and needs no second copy."""

    def __init__(
        self, frame: Frame, z: Reals, step: float, weights: Reals, bounds: tuple[Reals, Reals], v: Reals
    ) -> None:
        self.frame, self.z, self.weights, self.bounds = frame, z, _lines(weights), bounds
        self.step = z.dtype.type(step)
        self.v, self.y, self.t = v, v, 1.0
        self.x, self.a = np.empty_like(z), np.empty_like(v)

    def climb(self) -> tuple[float, float, float]:
        """Evaluate ``x`` and its gap at the point reached, go one step; return gap, primal objective, norm."""
        from retrodict.solvers import proximal_kernels

        self.frame.synthesise(self.y, self.x)
        np.subtract(self.z, self.x, out=self.x)
        np.clip(self.x, *self.bounds, out=self.x)
        self.frame.analyse(self.x, self.a)
        a, v = _lines(self.a), _lines(self.v)
        t = 0.5 * (1 + (1 + 4 * self.t**2) ** 0.5)
        if self.y is self.v:
            gap, norm = proximal_kernels.climb(a, v, self.weights, self.step)
            self.y = self.v.copy()
        else:
            beta = self.z.dtype.type((self.t - 1) / t)
            gap, norm, turn = proximal_kernels.ascend(a, _lines(self.y), v, self.weights, self.step, beta)
            if turn < 0:
                t = 1.0
                self.y[...] = self.v
        self.t = t
        difference = (self.x - self.z).ravel()
        return max(float(gap), 0.0), 0.5 * float(difference @ difference) + float(norm), float(norm)


def _lines(a: Reals) -> Reals:
    """The same memory as rows."""
    return a.reshape(-1, a.shape[-1])
