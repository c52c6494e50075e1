"""How many modes a solution needs: singular values of its snapshots, in space and on labels.

The Kolmogorov n-width of a set of snapshots is the error of its best linear space of n dimensions. What can be computed
of it is the tail of the singular values,

    tail_n = sqrt(sum_{k > n} s_k^2 / sum_k s_k^2),

the root mean square of what the best n modes leave. On labels there are two sets: the displacements ``x - X`` of the
labels, in the frame of the uniform stream, and the values carried along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.solvers.reference.periodic import Profile, Solution, elementwise

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "BARS",
    "characteristics",
    "label_snapshots",
    "modes_needed",
    "reference_solution",
    "singular_decay",
    "space_snapshots",
    "tails",
]

Floats = NDArray[np.float64]

BARS = (1e-2, 1e-4, 1e-6)
"""Tails for which modes are counted."""


def tails(snapshots: Floats) -> Floats:
    """Return what the best n modes leave of a set of snapshots, for every n.

    Parameters
    ----------
    snapshots : ndarray, shape (points, times)
        One column a snapshot.

    Returns
    -------
    ndarray, shape (min(points, times) + 1,)
        From 1 at n = 0 to 0; zeros where all snapshots vanish.

    Raises
    ------
    SolverError
        If the snapshots are no matrix of finite numbers.

    Examples
    --------
    >>> tails(np.diag([4.0, 3.0])).round(3)
    array([1. , 0.6, 0. ])
    """
    if snapshots.ndim != 2 or 0 in snapshots.shape or not np.isfinite(snapshots).all():
        raise SolverError(expected("snapshots", f"shape {snapshots.shape}", "a matrix of finite numbers"))
    s = np.linalg.svd(snapshots, compute_uv=False)
    if s[0] == 0:
        return np.zeros(len(s) + 1)
    energy = (s / s[0]) ** 2
    # from the small end, so that small tails keep their digits
    rest = np.append(np.cumsum(energy[::-1])[::-1], 0.0)
    return np.asarray(np.sqrt(rest / rest[0]))


def modes_needed(snapshots: Floats, bars: Sequence[float] = BARS) -> tuple[int, ...]:
    """Return how many modes bring the tail below each bar.

    Parameters
    ----------
    snapshots : ndarray, shape (points, times)
        One column a snapshot.
    bars : sequence of float, optional
        Positive bars.

    Returns
    -------
    tuple of int
        The smallest n with ``tail_n < bar``.

    Examples
    --------
    A wave that travels is a sum of two modes, however fast it is:

    >>> x, t = np.linspace(0, 6, 50)[:, None], np.linspace(0, 1, 40)
    >>> modes_needed(np.sin(x - 50 * t))
    (2, 2, 2)
    """
    rest = tails(snapshots)
    return tuple(int(np.argmax(rest < bar)) for bar in bars)


def singular_decay(sets: Mapping[str, Floats], modes: int = 64, bars: Sequence[float] = BARS) -> xr.Dataset:
    """Return tails and numbers of modes of several sets of snapshots.

    Parameters
    ----------
    sets : Mapping of str to ndarray
        Name to snapshots, shape (points, times).
    modes : int, optional
        Number of modes up to which tails are given.
    bars : sequence of float, optional
        Tails for which modes are counted.

    Returns
    -------
    xarray.Dataset
        ``tail`` over ``set`` and ``mode``, NaN beyond the rank that the sizes allow, and ``modes_needed`` over ``set``
        and ``bar``.

    Examples
    --------
    >>> data = singular_decay({"a": np.eye(3)}, modes=4)
    >>> data["modes_needed"].values.tolist(), data["tail"].values.round(2).tolist()
    ([[3, 3, 3]], [[1.0, 0.82, 0.58, 0.0, nan]])
    """
    import xarray as xr

    rows, counts = np.full((len(sets), modes + 1), np.nan), np.zeros((len(sets), len(bars)), int)
    for i, snapshots in enumerate(sets.values()):
        rest = tails(snapshots)
        rows[i, : len(rest)] = rest[: modes + 1]
        counts[i] = [int(np.argmax(rest < bar)) for bar in bars]
    data = {
        "tail": (("set", "mode"), rows, {"units": "1", "long_name": "share that the best n modes leave"}),
        "modes_needed": (("set", "bar"), counts, {"units": "1", "long_name": "modes that bring the tail below a bar"}),
    }
    coords = {"set": list(sets), "mode": np.arange(modes + 1), "bar": ("bar", list(bars), {"units": "1"})}
    return xr.Dataset(data, coords)


def reference_solution(system: QuasiLinear) -> Solution | None:
    """Return the exact field of a system on a period of one dimension, where the suite has it.

    Parameters
    ----------
    system : QuasiLinear
        In space.

    Returns
    -------
    Solution or None
        ``u(x, t)`` with times counted from the beginning of the system's: its own closed form, Cole-Hopf for Burgers'
        equation with viscosity, characteristics without, a Fourier series for convection and diffusion.

    Examples
    --------
    >>> from retrodict.physics.pde.burgers import burgers
    >>> u = reference_solution(burgers(0.1, c=50.0))
    >>> u is not None and bool(abs(u(np.pi + 25.0, 0.5)) < 1e-12)  # the front rides on the stream
    True
    """
    from retrodict.solvers.reference.burgers import cole_hopf, inviscid
    from retrodict.solvers.reference.spectral import convection_diffusion

    if system.boundary is not None or len(system.space) != 1:
        return None
    (x,) = system.space
    low, high = system.coords[x].bounds
    speed, nu = system.values.get("c", 0.0), system.values.get("nu", 0.0)
    if system.exact is not None:
        return _closed(system)
    start = _initial(system)
    if system.name == "convection":
        return convection_diffusion(start, period=high - low, origin=low, speed=speed, diffusivity=nu)
    if system.name != "burgers":
        return None
    if nu:
        solve = cole_hopf(start, nu, period=high - low, origin=low)
    else:
        solve = inviscid(start, period=high - low, origin=low)
    return elementwise("burgers", lambda at, t: solve(at - speed * t, t))


def _initial(system: QuasiLinear) -> Profile:
    (x,) = system.space
    since = system.coords["t"].bounds[0]

    def profile(at: Floats) -> Floats:
        flat = torch.as_tensor(np.asarray(at, float).ravel())
        values = system.initial({x: flat, "t": torch.full_like(flat, since)})
        return np.asarray(values.detach().numpy().reshape(np.shape(at)), dtype=np.float64)

    return profile


def _closed(system: QuasiLinear) -> Solution:
    (x,) = system.space
    since, exact = system.coords["t"].bounds[0], system.exact
    assert exact is not None

    def solve(at: Floats, t: Floats) -> Floats:
        values = exact({x: torch.as_tensor(at), "t": torch.as_tensor(since + t)})["u"]
        return np.asarray(values.detach().numpy(), dtype=np.float64)

    return elementwise(system.name, solve)


def _axes(system: QuasiLinear, points: int, times: int) -> tuple[Floats, Floats]:
    """Return equidistant points of a period, and times since the beginning."""
    (x,) = system.space
    (low, high), (since, until) = system.coords[x].bounds, system.coords["t"].bounds
    return low + (high - low) * np.arange(points) / points, np.linspace(0.0, until - since, times)


def space_snapshots(system: QuasiLinear, solution: Solution, points: int = 256, times: int = 101) -> Floats:
    """Return snapshots of the field in space.

    Parameters
    ----------
    system : QuasiLinear
        Gives box and duration.
    solution : Solution
        ``u(x, t)``, time counted from the beginning.
    points, times : int, optional
        Size of the grid.

    Returns
    -------
    ndarray, shape (points, times)
        The field, without the uniform stream it rides on.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> system = convection(50.0)
    >>> modes_needed(space_snapshots(system, reference_solution(system), 64, 32))
    (2, 2, 2)
    """
    x, t = _axes(system, points, times)
    return solution(x[:, None], t)


def characteristics(velocity: Solution, labels: Floats, times: Floats, *, tolerance: float = 1e-10) -> Floats:
    """Return the paths of labels, ``dx/dt = velocity(x, t)``, by an explicit method of order eight.

    Parameters
    ----------
    velocity : Solution
        Velocity at points and times.
    labels : ndarray, shape (points,)
        Positions at the first of the times.
    times : ndarray, shape (times,)
        Ascending.
    tolerance : float, optional
        Relative and absolute bar on the error of a step.

    Returns
    -------
    ndarray, shape (points, times)
        Positions, not wrapped.

    Raises
    ------
    SolverError
        If the integration stops before the last time.

    Examples
    --------
    >>> paths = characteristics(lambda x, t: np.sin(x), np.array([1.0]), np.array([0.0, 1.0]))
    >>> exact = 2 * np.arctan(np.e * np.tan(0.5))
    >>> bool(abs(paths[0, 1] - exact) < 1e-9)
    True
    """
    from scipy.integrate import solve_ivp

    span = (float(times[0]), float(times[-1]))
    run = solve_ivp(
        lambda t, x: velocity(x, t), span, labels, method="DOP853", t_eval=times, rtol=tolerance, atol=tolerance
    )
    if not run.success or run.y.shape[1] != len(times):
        raise SolverError(expected("characteristics", run.message, "paths up to the last time"))
    return np.asarray(run.y, dtype=np.float64)


def label_snapshots(system: QuasiLinear, solution: Solution, points: int = 256, times: int = 101) -> dict[str, Floats]:
    """Return snapshots on labels that move with the flow, in the frame of the uniform stream.

    Parameters
    ----------
    system : QuasiLinear
        Gives the velocity of the flow.
    solution : Solution
        ``u(x, t)``, time counted from the beginning.
    points, times : int, optional
        Size of the grid.

    Returns
    -------
    dict of str to ndarray
        ``displacement`` and ``value``, each of shape (points, times).

    Examples
    --------
    Nothing moves in the frame of a uniform stream, and the field is what it was:

    >>> from retrodict.physics.pde.convection import convection
    >>> system = convection(50.0)
    >>> sets = label_snapshots(system, reference_solution(system), 64, 32)
    >>> float(abs(sets["displacement"]).max()), modes_needed(sets["value"])
    (0.0, (1, 1, 1))
    """
    (x,) = system.space
    labels, t = _axes(system, points, times)
    since = system.coords["t"].bounds[0]
    moving = Lagrangian(system)
    still, stream = moving.still, moving.stream.get(x, 0.0)
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in still.values.items()}

    def velocity(at: Floats, time: Floats) -> Floats:
        u = torch.as_tensor(solution(at + stream * time, time))
        where = {x: torch.as_tensor(at), "t": torch.as_tensor(since + np.broadcast_to(time, at.shape).copy())}
        speed = still.speed(u, where, params).get(x, torch.zeros_like(u))
        return np.asarray(speed.detach().numpy(), dtype=np.float64)

    paths = characteristics(elementwise("velocity", velocity), labels, t)
    values = solution(paths + stream * t, t)
    return {"displacement": paths - labels[:, None], "value": values}
