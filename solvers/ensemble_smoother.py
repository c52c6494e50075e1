"""Ensemble smoother with multiple data assimilation (Emerick and Reynolds 2013, Computers & Geosciences 55, 3-15).

A sample of the prior is moved towards the data in a few steps, each a Kalman update with the covariances of the sample
itself and with noise inflated by ``a_i``, where ``sum 1 / a_i = 1``. For a linear model and Gaussian noise the result
is a sample of the posterior as the ensemble grows; no derivative is asked for. In whitened data a member's update is::

    x_j += A_x A_d' (A_d A_d' + a I)^-1 (d + sqrt(a) z_j - g(x_j)),   A = anomalies / sqrt(members - 1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array, Space
from retrodict.solvers.base import Metrics, Status

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EnsembleObjective", "EnsembleSmoother", "EnsembleState"]

Floats = NDArray[np.float64]
_METRICS = ("misfit", "spread", "failed", "remaining")


@runtime_checkable
class EnsembleObjective(Protocol):
    """A Gaussian prior and data with independent Gaussian noise; nothing is differentiated."""

    @property
    def name(self) -> str:
        """Identifies the problem in checkpoints."""
        ...

    @property
    def space(self) -> Space:
        """The unknowns with their bounds."""
        ...

    @property
    def mean(self) -> Floats:
        """Mean of the prior, packed, shape (n,)."""
        ...

    @property
    def factor(self) -> Floats:
        """Factor ``L`` of the prior covariance ``L L'``, shape (n, n)."""
        ...

    @property
    def observed(self) -> Floats:
        """Data in units of their standard deviations, shape (m,)."""
        ...

    def predicted(self, x: Floats) -> Floats:
        """Return what packed unknowns predict, in the same units; NaN where the model fails."""
        ...


@dataclass(frozen=True)
class EnsembleState:
    """An ensemble and how often it has been updated.

    Parameters
    ----------
    members : ndarray, shape (members, n)
        Packed unknowns.
    updates : int
        Updates so far.
    """

    members: Floats
    updates: int


class EnsembleSmoother:
    """ES-MDA as a step-wise solver: one update a step, converged after the last.

    Parameters
    ----------
    objective : EnsembleObjective
        Prior, data and model.
    members : int, optional
        Size of the ensemble; the error of its mean is a deviation over the root of this.
    inflation : sequence of float, optional
        Factors ``a_i`` on the noise variance, one an update; their inverses must sum to 1. Four of 4 without it.
    seed : int, optional
        Of the prior sample and the perturbed data.

    Raises
    ------
    SolverError
        If there are fewer than three members, or the inverses of the inflations do not sum to 1.

    Notes
    -----
    A member for which the model fails is left out of the covariances and moved half-way to the mean of the others. If
    the model fails for most, the metrics are NaN. Members are kept within the bounds of the unknowns.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> from retrodict.solvers.iterate import iterate
    >>> class Weight:  # prior N(0, 1), datum 2 with deviation 1: the posterior is N(1, 1/2)
    ...     name, space, mean, factor = "weight", Space({"x": Var()}), np.zeros(1), np.eye(1)
    ...     observed = np.array([2.0])
    ...     def predicted(self, x): return x
    >>> bool(abs(float(iterate(EnsembleSmoother(Weight(), 2000), 9).data["x"]) - 1.0) < 0.05)
    True
    """

    method = "ensemble-smoother"

    def __init__(
        self,
        objective: EnsembleObjective,
        members: int = 100,
        inflation: Sequence[float] = (4.0, 4.0, 4.0, 4.0),
        seed: int = 0,
    ) -> None:
        if members < 3:
            raise SolverError(expected("EnsembleSmoother.members", members, "at least 3"))
        factors = np.asarray(inflation, float)
        if not factors.size or np.any(factors < 1) or abs(np.sum(1 / factors) - 1) > 1e-9:
            wanted = "numbers of at least 1 whose inverses sum to 1"
            raise SolverError(expected("EnsembleSmoother.inflation", list(inflation), wanted))
        self.objective, self.members, self.inflation, self.seed = objective, members, factors, seed
        self.lower, self.upper = objective.space.bounds()

    @property
    def name(self) -> str:
        """Method, problem, and what fixes the random numbers."""
        about = f"{self.members},{self.seed},{','.join(f'{a:g}' for a in self.inflation)}"
        return f"{self.method}:{self.objective.name}:{','.join(self.objective.space)}:{about}"

    def init(self) -> EnsembleState:
        """Return a sample of the prior."""
        z = self._rng(0).standard_normal((self.members, self.objective.mean.size))
        return EnsembleState(np.clip(self.objective.mean + z @ self.objective.factor.T, self.lower, self.upper), 0)

    def step(self, state: EnsembleState) -> tuple[EnsembleState, Metrics]:
        """Predict with every member and update all; a state after the last update rests."""
        data = np.stack([self.objective.predicted(x) for x in state.members])
        found = np.all(np.isfinite(data), axis=1)
        failed = float(np.sum(~found))
        if failed > 0.5 * self.members:
            return state, dict.fromkeys(_METRICS, np.nan)
        misfit = float(np.mean((data[found] - self.objective.observed) ** 2))
        new = state
        if state.updates < self.inflation.size:
            new = EnsembleState(self._updated(state, data, found), state.updates + 1)
        prior = np.sqrt(np.sum(self.objective.factor**2, axis=1))
        spread = float(np.mean(new.members.std(axis=0, ddof=1) / prior))
        remaining = float(self.inflation.size - new.updates)
        return new, dict(zip(_METRICS, (misfit, spread, failed, remaining), strict=True))

    def done(self, metrics: Metrics) -> Status | None:
        """Return ``converged`` after the last update."""
        return Status.CONVERGED if metrics["remaining"] == 0 else None

    def solution(self, state: EnsembleState) -> xr.Dataset:
        """Return the mean of the ensemble, and the members as ``<name>_members``."""
        space = self.objective.space
        made = space.to_dataset(space.unpack(state.members.mean(axis=0)))
        trees = [space.unpack(x) for x in state.members]
        for name, var in space.items():
            values = np.stack([np.asarray(t[name]) for t in trees])
            attrs = {"units": var.units, "long_name": f"ensemble of {var.long_name or name}"}
            made[f"{name}_members"] = (("member", *var.dims), values, attrs)
        return made

    def pack(self, state: EnsembleState) -> dict[str, Array]:
        """Return the state as arrays."""
        return {"members": state.members, "updates": np.asarray(state.updates)}

    def unpack(self, arrays: Mapping[str, Array]) -> EnsembleState:
        """Inverse of `pack`."""
        return EnsembleState(np.asarray(arrays["members"]), int(arrays["updates"]))

    def _rng(self, stage: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stage])

    def _updated(self, state: EnsembleState, data: Floats, found: NDArray[np.bool_]) -> Floats:
        """Return the members after an update; the smaller of the two equivalent systems is solved by eigenvectors."""
        a, x = float(self.inflation[state.updates]), state.members
        z = self._rng(1 + state.updates).standard_normal(data.shape)
        root = np.sqrt(np.sum(found) - 1)
        A_x = (x[found] - x[found].mean(axis=0)) / root
        A_d = (data[found] - data[found].mean(axis=0)) / root
        # A_d is (members, m): with its singular values s, A_d' (..)^-1 has s / (s^2 + a)
        left, s, right = np.linalg.svd(A_d, full_matrices=False)
        gain = (A_x.T @ left) * (s / (s**2 + a)) @ right
        innovation = self.objective.observed + np.sqrt(a) * z - data
        moved = x.copy()
        moved[found] += innovation[found] @ gain.T
        moved[~found] = 0.5 * (x[~found] + moved[found].mean(axis=0))
        return np.clip(moved, self.lower, self.upper)
