"""Priors: what is known about parameters before the data. Each is a Gauss-Newton term on one variable.

Hard bounds are not a term: they belong to the variable (`retrodict.physics.spaces.Var.bounds`) and the estimators
keep inside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.terms import GaussNewton, Linearization, Smooth
from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.spaces import Array, Tree

__all__ = ["GaussianPrior", "LogNormalPrior", "SmoothnessPrior"]

Floats = NDArray[np.float64]
_LOG_2PI = float(np.log(2 * np.pi))


class _OnOneVariable:
    """A prior on the variable ``name``: the others may be held without changing it."""

    name: str

    def hold(self, values: Tree) -> Smooth:
        """Return the prior itself, or a constant where its own variable is held."""
        return _Constant(self, values) if self.name in values else self  # type: ignore[arg-type, return-value]


@dataclass(frozen=True)
class _Constant:
    """A prior whose variable is held."""

    prior: GaussNewton
    values: Tree

    def value(self, x: Tree) -> float:
        return self.prior.value({**x, **self.values})

    def gradient(self, _x: Tree) -> dict[str, Array]:
        return {}

    def linearize(self, x: Tree) -> Linearization:
        residual = self.prior.linearize({**x, **self.values}).residual
        return Linearization(residual, lambda _dx: np.zeros_like(residual), lambda _r: {})


def _on(
    name: str, residual: Floats, matrix: Callable[[Floats], Floats], adjoint: Callable[[Floats], Floats]
) -> Linearization:
    return Linearization(
        residual.ravel(), lambda dx: matrix(np.asarray(dx[name], float)).ravel(), lambda r: {name: adjoint(r)}
    )


@dataclass(frozen=True)
class GaussianPrior(_OnOneVariable):
    """Gaussian prior on a variable.

    Parameters
    ----------
    name : str
        The variable.
    mean : float or array_like
        Mean, broadcast against the variable.
    std : float or array_like, optional
        Standard deviation of independent entries.
    covariance : array_like, shape (n, n), optional
        Covariance of the flattened variable, in place of ``std``.

    Raises
    ------
    SpaceError
        If not exactly one of std and covariance is given, or it is not positive (definite).

    Examples
    --------
    >>> GaussianPrior("x", 1.0, std=2.0).linearize({"x": np.array(5.0)}).residual
    array([2.])
    """

    name: str
    mean: Any
    std: Any = None
    covariance: Any = None

    def __post_init__(self) -> None:
        if (self.std is None) == (self.covariance is None):
            raise SpaceError(expected(f"GaussianPrior({self.name!r})", "both or neither", "one of std and covariance"))
        if self.std is not None and np.any(~(np.asarray(self.std, float) > 0)):
            raise SpaceError(expected(f"GaussianPrior({self.name!r}).std", self.std, "positive numbers"))
        factor = None
        if self.covariance is not None:
            try:
                factor = np.linalg.cholesky(np.asarray(self.covariance, float))
            except np.linalg.LinAlgError as error:
                where = f"GaussianPrior({self.name!r}).covariance"
                raise SpaceError(expected(where, "an indefinite matrix", "a positive definite one")) from error
        object.__setattr__(self, "_factor", factor)

    def _white(self, v: Floats) -> Floats:
        factor = getattr(self, "_factor", None)
        if factor is None:
            return np.asarray(v / np.asarray(self.std, float))
        return np.asarray(np.linalg.solve(factor, v.ravel()))

    def value(self, x: Tree) -> float:
        """Return the negative log-density, with all constants."""
        v = np.asarray(x[self.name], float)
        factor = getattr(self, "_factor", None)
        if factor is None:
            log_det = float(np.sum(np.log(np.broadcast_to(np.asarray(self.std, float), v.shape))))
        else:
            log_det = float(np.sum(np.log(np.diag(factor))))
        return float(0.5 * np.sum(self._white(v - self.mean) ** 2) + log_det + 0.5 * v.size * _LOG_2PI)

    def pulls(self, x: Tree) -> dict[str, Floats]:
        """Return how many of its standard deviations every entry lies from its mean."""
        std = self.std if self.covariance is None else np.sqrt(np.diag(np.asarray(self.covariance, float)))
        v = np.asarray(x[self.name], float)
        flat = np.broadcast_to(std, v.shape) if self.covariance is None else np.reshape(std, v.shape)
        return {self.name: np.asarray((v - self.mean) / flat)}

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return ``C^-1 (x - mean)``."""
        line = self.linearize(x)
        return line.transpose(line.residual)

    def linearize(self, x: Tree) -> Linearization:
        """Return the whitened deviation from the mean."""
        v = np.asarray(x[self.name], float)
        factor = getattr(self, "_factor", None)

        def adjoint(r: Floats) -> Floats:
            if factor is None:
                return np.asarray(r.reshape(v.shape) / np.asarray(self.std, float))
            return np.asarray(np.linalg.solve(factor.T, r)).reshape(v.shape)

        return _on(self.name, self._white(v - self.mean), self._white, adjoint)


@dataclass(frozen=True)
class LogNormalPrior(_OnOneVariable):
    """Log-normal prior on a positive variable.

    The density is taken over ``x`` itself, so its mode is ``median exp(-log_std^2)``: completing the square in
    ``(log x - log median)^2 / (2 s^2) + log x`` gives a residual that Gauss-Newton treats exactly.

    Parameters
    ----------
    name : str
        The variable.
    median : float
        Median.
    log_std : float
        Standard deviation of the natural logarithm; ``log(f)`` for an uncertainty factor ``f``.

    Raises
    ------
    SpaceError
        If median or log_std is not positive, or the gradient is taken at a value that is not.

    Examples
    --------
    >>> prior = LogNormalPrior("x", 2.0, 0.5)
    >>> bool(abs(prior.gradient({"x": np.array(2.0 * np.exp(-0.25))})["x"]) < 1e-12)
    True
    """

    name: str
    median: float
    log_std: float

    def __post_init__(self) -> None:
        if not (self.median > 0 and self.log_std > 0):
            got = f"median {self.median}, log_std {self.log_std}"
            raise SpaceError(expected(f"LogNormalPrior({self.name!r})", got, "positive numbers"))

    def _positive(self, x: Tree) -> Floats:
        v = np.asarray(x[self.name], float)
        if np.any(v <= 0):
            raise SpaceError(expected(f"LogNormalPrior({self.name!r})", v.min(), "a positive value; give Var.bounds"))
        return v

    def value(self, x: Tree) -> float:
        """Return the negative log-density over ``x``, with all constants; infinite where a value is not positive."""
        v = np.asarray(x[self.name], float)
        if np.any(v <= 0):
            return np.inf
        z = np.log(v / self.median) / self.log_std
        return float(np.sum(0.5 * z**2 + np.log(v * self.log_std) + 0.5 * _LOG_2PI))

    def pulls(self, x: Tree) -> dict[str, Floats]:
        """Return how many of its standard deviations the logarithm of every entry lies from that of the median."""
        return {self.name: np.log(self._positive(x) / self.median) / self.log_std}

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return the gradient."""
        line = self.linearize(x)
        return line.transpose(line.residual)

    def linearize(self, x: Tree) -> Linearization:
        """Return the completed square and its derivative."""
        v = self._positive(x)
        residual = np.log(v / self.median) / self.log_std + self.log_std
        slope = 1 / (v * self.log_std)
        return _on(self.name, residual, lambda d: slope * d, lambda r: slope * r.reshape(v.shape))


@dataclass(frozen=True)
class SmoothnessPrior(_OnOneVariable):
    """Gaussian prior on differences along the last axis: a random walk (order 1) or its integral (order 2).

    It says nothing about the level (order 1) or the level and slope (order 2), so it needs data or another prior.

    Parameters
    ----------
    name : str
        The variable, with at least ``order + 1`` entries along its last axis.
    std : float or array_like
        Standard deviation of one difference, broadcast against the differences.
    order : int, optional
        1 or 2.

    Raises
    ------
    SpaceError
        If std is not positive or the order is another number.

    Examples
    --------
    >>> SmoothnessPrior("x", 1.0).linearize({"x": np.array([0.0, 2.0, 2.0])}).residual
    array([2., 0.])
    """

    name: str
    std: Any
    order: int = 1

    def __post_init__(self) -> None:
        if self.order not in (1, 2) or np.any(~(np.asarray(self.std, float) > 0)):
            got = f"std {self.std}, order {self.order}"
            raise SpaceError(expected(f"SmoothnessPrior({self.name!r})", got, "positive std and order 1 or 2"))

    def _white(self, v: Floats) -> Floats:
        return np.asarray(np.diff(v, n=self.order, axis=-1) / np.asarray(self.std, float))

    def value(self, x: Tree) -> float:
        """Return the negative log-density of the differences, with all constants."""
        z = self._white(np.asarray(x[self.name], float))
        log_std = np.log(np.broadcast_to(np.asarray(self.std, float), z.shape))
        return float(np.sum(0.5 * z**2 + log_std + 0.5 * _LOG_2PI))

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return the gradient."""
        line = self.linearize(x)
        return line.transpose(line.residual)

    def linearize(self, x: Tree) -> Linearization:
        """Return the differences in units of their standard deviation."""
        v = np.asarray(x[self.name], float)
        shape = (*v.shape[:-1], v.shape[-1] - self.order)

        def adjoint(r: Floats) -> Floats:
            scaled = r.reshape(shape) / np.asarray(self.std, float)
            for _ in range(self.order):
                pad = [(0, 0)] * (v.ndim - 1) + [(1, 1)]
                scaled = -np.diff(np.pad(scaled, pad), axis=-1)
            return np.asarray(scaled)

        return _on(self.name, self._white(v), self._white, adjoint)
