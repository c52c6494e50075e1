"""Checks of the case ``flame-simplified``: three independent ways to one burning velocity, and a law of pressure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.checks import Analytic, Check, Published, SolverRun, max_abs, max_rel
from retrodict.cases.flame_simplified_setup import TABLE, FlameSimplified, mixture_of, plan_of

if TYPE_CHECKING:
    from retrodict.physics.flames.simplified import SimplifiedMixture
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.flames.simplified_trained import NetworkFlame

__all__ = ["checks"]

Floats = NDArray[np.float64]


@cache
def _phase_plane(count: int) -> Floats:
    from retrodict.physics.flames.simplified import imposed_slope
    from retrodict.solvers.reference.phase_plane import phase_plane

    return np.array([phase_plane(imposed_slope(*row[:3])).speed for row in TABLE[:count]])


@cache
def _newton(count: int) -> Floats:
    from retrodict.physics.flames.simplified import imposed_slope

    return np.array([_speed(imposed_slope(*row[:3])) for row in TABLE[:count]])


def _speed(mixture: SimplifiedMixture) -> float:
    """Return the burning velocity by Newton's method, which must have converged."""
    from retrodict.solvers.flames.simplified import solve_simplified

    found = solve_simplified(mixture)
    found.status.require("solve_simplified")
    return found.speed


def _pressure() -> float:
    from retrodict.physics.flames.simplified import free_flame

    high, low = (_speed(free_flame(0.4, p)) for p in (1.2, 1.0))
    return high / low


def _loss_of_heat() -> float:
    """Return the share of the free flame's burning velocity that the imposed slope takes."""
    from retrodict.physics.flames.simplified import free_flame, imposed_slope

    with_slope, free = (_speed(m) for m in (imposed_slope(0.4), free_flame(0.4)))
    return 1 - with_slope / free


def checks(config: FlameSimplified, _seeds: Seeds) -> Sequence[Check]:
    """Hold the phase plane, Newton and the network against each other and against published numbers.

    Parameters
    ----------
    config : FlameSimplified
        The settings.
    _seeds : Seeds
        Not needed.

    Returns
    -------
    sequence of Check
        Seven.

    Examples
    --------
    >>> from retrodict.physics.seeds import Seeds
    >>> len(checks(FlameSimplified(), Seeds(0)))
    7
    """
    count = config.conditions

    @cache
    def network() -> NetworkFlame:
        from retrodict.solvers.flames.simplified_trained import network_flame

        return network_flame(mixture_of(config), plan_of(config))

    @cache
    def exact() -> float:
        from retrodict.solvers.reference.phase_plane import phase_plane

        return phase_plane(mixture_of(config)).speed

    shot = SolverRun([row[3] for row in TABLE[:count]], "forward shooting by bisection, DOP853, a separate program")
    authors = Published(
        [row[4] for row in TABLE[:count]], "Wu et al. (2025), authors' files: Euler march, 10 000 points"
    )
    plane = SolverRun(exact, "phase plane, DOP853, relative tolerance 1e-12")
    true_error = SolverRun(lambda: network().speed / exact() - 1, "network against the phase plane")
    paper = [
        Check(f"phase plane: s_L of {count} flames", lambda: _phase_plane(count), shot, 1e-8, max_rel, "m s-1"),
        Check(
            f"Newton: s_L of {count} flames",
            lambda: _newton(count),
            SolverRun(lambda: _phase_plane(count), "phase plane"),
            1e-6,
            max_rel,
            "m s-1",
        ),
        Check(
            "authors' references against Newton",
            lambda: _newton(count),
            authors,
            1e-3,
            max_rel,
            "m s-1",
            "a march of first order: off by 4.5e-4 to 7.8e-4",
        ),
    ]
    law = Analytic(1.2**-0.2, "s_L ~ p^(n/2 - 1), n = 1.6, of the free flame without momentum")
    slope = Published(0.0031, "the slope at the cut is a loss of heat: 0.16 to 0.31 % of s_L (phi 0.4)")
    return [
        *paper,
        Check("network: s_L", lambda: network().speed, plane, config.bar, max_rel, "m s-1"),
        Check("network: error of s_L, estimated", lambda: network().error, true_error, 0.1 * config.bar, max_abs),
        Check("Newton: s_L at 1.2 atm over that at 1 atm", _pressure, law, 1e-5, max_rel),
        Check("Newton: s_L lost to the slope at the cut", _loss_of_heat, slope, 1e-4, max_abs),
    ]
