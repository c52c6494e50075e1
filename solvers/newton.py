"""Damped Newton with pseudo-time for two-point boundary value problems on a line.

Newton from a good start converges in a few steps; from a poor one it leaves the basin. Then the equations are marched
a while in pseudo-time, one implicit step at a time with a growing step (Kelley and Keyes, Convergence analysis of
pseudo-transient continuation, SIAM J. Numer. Anal. 35, 1998), and Newton tries again: the strategy of Grcar, Kee,
Smooke and Miller (1986) for flames. A Newton step is damped so that the next one, with the same factors, is shorter
(Deuflhard's natural monotonicity test); a step in time is kept only if its second correction shrinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.base import Status
from retrodict.solvers.bordered import BorderedBand, Factors

__all__ = ["NewtonSettings", "Steady", "SteadySystem", "Tolerances", "solve_steady"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tolerances:
    """Bounds, largest changes and smallest sizes of unknowns; arrays of shape (M,) for a node and (q,) for scalars.

    Parameters
    ----------
    lower, upper : ndarray, shape (M,)
        Admissible values of the unknowns of a node.
    change : ndarray, shape (M,)
        Largest change of them in one step.
    small : ndarray, shape (M,)
        Absolute tolerance.
    scalar_change : ndarray, shape (q,)
        Largest relative change of a scalar in one step.
    scalar_small : ndarray, shape (q,)
        Absolute tolerance of the scalars.
    """

    lower: Floats
    upper: Floats
    change: Floats
    small: Floats
    scalar_change: Floats
    scalar_small: Floats


class SteadySystem(Protocol):
    """What `solve_steady` asks of a problem; ``U`` has shape (n, M), ``z`` (q,)."""

    @property
    def tolerances(self) -> Tolerances:
        """Bounds and sizes of the unknowns."""
        ...

    def residual(self, U: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return what the equations leave over."""
        ...

    def linearised(self, U: Floats, z: Floats) -> tuple[Floats, Floats, BorderedBand]:
        """Return the residual and the Jacobian."""
        ...

    def inertia(self, U: Floats) -> Floats:
        """Return the factors of the rates of change, zero in algebraic rows, shape (n, M)."""
        ...


@dataclass(frozen=True)
class NewtonSettings:
    """How `solve_steady` proceeds.

    Parameters
    ----------
    relative : float
        Converged when a full step changes nothing by more than this relative to the largest value of the unknown.
    newton_steps : int
        Newton steps in one attempt.
    time_steps : int
        Pseudo-time steps between two attempts.
    attempts : int
        Attempts before giving up.
    first_dt : float
        First pseudo-time step, s.
    growth : float
        Factor from one pseudo-time step to the next while steps are not cut.

    Raises
    ------
    SolverError
        If a number is not positive, or ``growth`` not above one.

    Examples
    --------
    >>> NewtonSettings(attempts=3).time_steps
    15
    """

    relative: float = 1e-9
    newton_steps: int = 20
    time_steps: int = 15
    attempts: int = 12
    first_dt: float = 1e-5
    growth: float = 1.6

    def __post_init__(self) -> None:
        numbers = (self.relative, self.newton_steps, self.time_steps, self.attempts, self.first_dt, self.growth - 1)
        if not min(numbers) > 0:
            raise SolverError(expected("NewtonSettings", self, "positive numbers and growth > 1"))


@dataclass(frozen=True)
class Steady:
    """How a solve ended.

    Parameters
    ----------
    U : ndarray, shape (n, M)
        The last state.
    z : ndarray, shape (q,)
        The last scalars.
    status : Status
        ``CONVERGED``, ``NON_FINITE`` or ``FAILED``.
    reason : str
        A sentence for a report.
    newton_steps, time_steps : int
        Steps taken.
    """

    U: Floats
    z: Floats
    status: Status
    reason: str
    newton_steps: int
    time_steps: int


def solve_steady(
    system: SteadySystem,
    U: Floats,
    z: Floats,
    settings: NewtonSettings | None = None,
    progress: Callable[[str], None] | None = None,
) -> Steady:
    """Find a zero of a system near a start.

    Parameters
    ----------
    system : SteadySystem
        The equations.
    U : ndarray, shape (n, M)
        Start of the nodal unknowns.
    z : ndarray, shape (q,)
        Start of the scalars.
    settings : NewtonSettings, optional
        Tolerances and numbers of steps.
    progress : callable, optional
        Told a line after every attempt.

    Returns
    -------
    Steady
        Failure is a status with a reason, not an exception.

    Examples
    --------
    >>> class Root:  # u^2 = 2 at every node
    ...     tolerances = Tolerances(*(np.array([v]) for v in (0.0, 9.0, 1.0, 1e-9)), np.zeros(0), np.zeros(0))
    ...     def residual(self, U, z): return U**2 - 2, z
    ...     def inertia(self, U): return np.ones_like(U)
    ...     def linearised(self, U, z):
    ...         none, d = np.zeros((3, 1, 1)), 2 * U[:, :, None]
    ...         band = BorderedBand(none, d, none, np.zeros((3, 1, 0)), np.zeros((0, 3, 1)), np.zeros((0, 0)))
    ...         return *self.residual(U, z), band
    >>> solve_steady(Root(), np.ones((3, 1)), np.zeros(0)).U.ravel().round(6).tolist()
    [1.414214, 1.414214, 1.414214]
    """
    settings = settings or NewtonSettings()
    search = _Search(system, settings, U.copy(), z.copy())
    dt = settings.first_dt
    reason = ""
    for attempt in range(settings.attempts):
        reason = search.newton()
        if progress is not None:
            progress(f"Newton attempt {attempt + 1}: {reason or 'converged'}")
        if not reason:
            return search.ended(Status.CONVERGED, "Newton's method converged.")
        dt = search.march(dt)
        if not (np.all(np.isfinite(search.U)) and np.all(np.isfinite(search.z))):
            return search.ended(Status.NON_FINITE, "The pseudo-time march met a number that is not finite.")
        if dt == 0:
            return search.ended(Status.FAILED, f"{reason}; pseudo-time steps shrank to nothing")
    return search.ended(Status.FAILED, f"{reason}, {settings.attempts} times with pseudo-time between")


class _Search:
    """The moving state of `solve_steady`."""

    def __init__(self, system: SteadySystem, settings: NewtonSettings, U: Floats, z: Floats) -> None:
        self.system, self.settings, self.limits = system, settings, system.tolerances
        self.U, self.z = U, z
        self.newton_steps = self.time_steps = 0

    def ended(self, status: Status, reason: str) -> Steady:
        return Steady(self.U, self.z, status, reason, self.newton_steps, self.time_steps)

    def newton(self) -> str:
        """Take Newton steps; return an empty string when converged, or why not. On failure the state is restored."""
        U, z = self.U, self.z
        for _ in range(self.settings.newton_steps):
            step = self._direction(U, z)
            if step is None:
                return "the Jacobian is singular or not finite"
            factors, dU, dz, size = step
            if not np.isfinite(size):
                return "a Newton step is not finite"
            self.newton_steps += 1
            longest = self._longest(U, z, dU, dz)
            if size < 1 and longest == 1:
                self.U, self.z = U + dU, z + dz
                return ""
            moved = self._damped(factors, U, z, (dU, dz), size, longest)
            if moved is None:
                return "damping found no shorter next step"
            U, z = moved
        return f"no convergence in {self.settings.newton_steps} Newton steps"

    def march(self, dt: float) -> float:
        """Take pseudo-time steps, starting with ``dt``; return the next step, zero if even tiny ones fail."""
        taken = 0
        while taken < self.settings.time_steps:
            if dt < 1e-10 * self.settings.first_dt:
                return 0.0
            contraction = self._implicit_step(dt)
            if contraction > 0.3:
                dt /= 4
                continue
            taken += 1
            self.time_steps += 1
            dt *= self.settings.growth if contraction < 0.1 else 1.0
        return dt

    def _implicit_step(self, dt: float) -> float:
        """Try one step of implicit Euler with two corrections; return how much the second shrank, and keep it if so."""
        rate = self.system.inertia(self.U) / dt
        step = self._direction(self.U, self.z, rate)
        if step is None or not np.isfinite(step[3]) or self._marched(step[1]) < 1:
            return np.inf
        factors, dU, dz, size = step
        U, z = self._moved(dU, dz)
        if np.any(self.U + dU < self.limits.lower - 1e-4 * self.limits.change):
            return np.inf
        F, f = self.system.residual(U, z)
        if not (np.all(np.isfinite(F)) and np.all(np.isfinite(f))):
            return np.inf
        dU2, dz2 = factors.solve(-F - rate * (U - self.U), -f)
        contraction = self._size(U, z, dU2, dz2, rough=True) / self._size(U, z, dU, dz, rough=True)
        if contraction <= 0.3 or size < 1:
            self.U, self.z = self._moved(U + dU2 - self.U, z + dz2 - self.z)
            return min(contraction, 0.3)
        return contraction

    def _moved(self, dU: Floats, dz: Floats) -> tuple[Floats, Floats]:
        """Return the state after a step in pseudo-time, within bounds; scalars have no inertia and may lag behind."""
        far = self.limits.scalar_change * np.abs(self.z)
        return np.clip(self.U + dU, self.limits.lower, self.limits.upper), self.z + np.clip(dz, -far, far)

    def _direction(
        self, U: Floats, z: Floats, rate: Floats | None = None
    ) -> tuple[Factors, Floats, Floats, float] | None:
        F, f, matrix = self.system.linearised(U, z)
        if rate is not None:
            matrix = matrix.shifted(rate)
        try:
            factors = matrix.factor()
            dU, dz = factors.solve(-F, -f)
        except np.linalg.LinAlgError:
            return None
        return factors, dU, dz, self._size(U, z, dU, dz)

    def _size(self, U: Floats, z: Floats, dU: Floats, dz: Floats, *, rough: bool = False) -> float:
        """Return the step in units of the tolerance: the largest root mean square over the nodes of any unknown.

        A rough size leaves out scalars and traces.
        """
        largest = np.abs(U).max(axis=0)
        if rough:
            return float(np.sqrt(np.mean((dU / (largest + 1e-5)) ** 2, axis=0)).max()) + 1e-300
        scale = self.settings.relative * largest + self.limits.small
        worst = np.sqrt(np.mean((dU / scale) ** 2, axis=0)).max()
        if z.size:
            worst = max(worst, np.max(np.abs(dz) / (self.settings.relative * np.abs(z) + self.limits.scalar_small)))
        return float(worst)

    def _marched(self, dU: Floats) -> float:
        """Return the largest share of a step, at most one, within the largest changes of the nodal unknowns."""
        with np.errstate(divide="ignore"):
            return min(1.0, float(np.min(self.limits.change / np.abs(dU))))

    def _longest(self, U: Floats, z: Floats, dU: Floats, dz: Floats) -> float:
        """Return the largest share of a step, at most one, that stays within bounds and largest changes."""
        limits = self.limits
        with np.errstate(divide="ignore", invalid="ignore"):
            slack = 1e-5 * limits.change
            room = (np.where(dU < 0, U - limits.lower, limits.upper - U) + slack) / np.abs(dU)
            shares = [room, limits.scalar_change * np.abs(z) / np.abs(dz)]
        return min(self._marched(dU), *(float(np.nanmin(s)) for s in shares if s.size))

    def _damped(
        self, factors: Factors, U: Floats, z: Floats, step: tuple[Floats, Floats], size: float, longest: float
    ) -> tuple[Floats, Floats] | None:
        share = longest
        if share < 1e-4:
            return None
        for _ in range(6):
            tried = U + share * step[0], z + share * step[1]
            F, f = self.system.residual(*tried)
            if np.all(np.isfinite(F)):
                dU, dz = factors.solve(-F, -f)
                next_size = self._size(*tried, dU, dz)
                if next_size < size or next_size < 1:
                    return tried
            share /= 2
        return None
