"""The simplified flame by a network, and its burning velocity with it.

The temperature and its slope at the cut hold for any weights, and so does the burnt temperature at the end: with
``T'(L) = 0`` in its place, slow flames that are still rising at the end solve everything exactly. The network begins at
a front of assumed shape, with the velocity that the global balance gives it; weights and velocity are then one least
squares. Quasi-Newton steps make that start, for Levenberg-Marquardt drives a few units into saturation there, and never
gets them back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.physics.flames.simplified_front import balanced_speed, front
from retrodict.physics.flames.simplified_system import SPEED, SimplifiedSystem
from retrodict.physics.seeds import Seeds
from retrodict.physics.spaces import Array
from retrodict.physics.system import Derivatives, key
from retrodict.solvers.base import Metrics, Solver, Status
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.optimizers import optimizer
from retrodict.solvers.pinn.parts import Part, equation_part
from retrodict.solvers.pinn.trial import Trial, separate_networks

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NetworkPlan", "NetworkSearch", "network_search", "profile_part"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NetworkPlan:
    """How a network is trained.

    Parameters
    ----------
    width, depth : int, optional
        Hidden layers.
    points : int, optional
        Equidistant points of the equation.
    warm_up : int, optional
        Quasi-Newton steps onto the front that it begins with.
    method : str, optional
        See `retrodict.solvers.pinn.optimizers`.
    options : Mapping, optional
        Of the method.
    steps : int, optional
        At most so many.
    target : float, optional
        Loss at which training has converged.
    start : float, optional
        Burning velocity in m/s to begin with.
    balanced : bool, optional
        Let the global balance over the front of assumed shape correct the start.
    seed : int, optional
        Of the weights.

    Raises
    ------
    SolverError
        If a number is out of range.
    """

    width: int = 16
    depth: int = 2
    points: int = 256
    warm_up: int = 150
    method: str = "levenberg-marquardt"
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 600
    target: float = 1e-11
    start: float = SPEED
    balanced: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.warm_up, self.steps) < 1 or self.points < 16:
            got = f"width {self.width}, depth {self.depth}, warm_up {self.warm_up}, steps {self.steps}"
            raise SolverError(expected("NetworkPlan", f"{got}, points {self.points}", "at least 1, and 16 points"))
        if not (math.isfinite(self.start) and self.start > 0 and self.target > 0):
            raise SolverError(expected("NetworkPlan", f"start {self.start}, target {self.target}", "positive numbers"))


@dataclass(frozen=True, eq=False)
class _SearchState:
    """The optimiser's state."""

    inner: Any


class NetworkSearch:
    """An optimiser over weights and coefficients that tells the coefficients with every step.

    Parameters
    ----------
    loss : ResidualLoss
        What to minimise.
    plan : NetworkPlan
        Method, options and target.
    """

    def __init__(self, loss: ResidualLoss, plan: NetworkPlan) -> None:
        self.loss, self.plan = loss, plan
        self.inner: Solver[Any] = optimizer(plan.method, loss, plan.options)

    @property
    def name(self) -> str:
        """Method, problem and network."""
        nets = ",".join(f"{n.depth}x{n.width}" for n in self.loss.trial.networks)
        return f"flame:{self.inner.name}:{nets}:{self.plan.points}:{self.plan.seed}"

    def init(self) -> _SearchState:
        """Return the state at the start of the loss."""
        return _SearchState(self.inner.init())

    def step(self, state: _SearchState) -> tuple[_SearchState, Metrics]:
        """Take a step of the optimiser."""
        inner, metrics = self.inner.step(state.inner)
        new = _SearchState(inner)
        stuck = float(self.inner.done(metrics) is not None)
        return new, {"loss": float(metrics["objective"]), **self.coefficients(new), "stuck": stuck}

    def done(self, metrics: Metrics) -> Status | None:
        """Return ``converged`` at the target, ``stalled`` where the optimiser ends above it."""
        if metrics["loss"] <= self.plan.target:
            return Status.CONVERGED
        return Status.STALLED if metrics["stuck"] else None

    def coefficients(self, state: _SearchState) -> dict[str, float]:
        """Return the unknown coefficients, in the units of the system."""
        x = self.inner.pack(state.inner)["x"]
        return {k: float(v) for k, v in zip(self.loss.unknown, x[self.loss.trial.size :], strict=True)}

    def solution(self, state: _SearchState) -> xr.Dataset:
        """Return weights and coefficients."""
        return self.inner.solution(state.inner)

    def pack(self, state: _SearchState) -> dict[str, Array]:
        """Return the whole state as arrays."""
        return self.inner.pack(state.inner)

    def unpack(self, arrays: Mapping[str, Array]) -> _SearchState:
        """Inverse of `pack`."""
        return _SearchState(self.inner.unpack(arrays))


def profile_part(
    system: SimplifiedSystem, x: Floats, T: Floats, *, weight: float = 1.0, std: float | Floats = 1.0
) -> Part:
    """Return temperatures at places as a part of a loss, in units of theta over ``std``.

    Parameters
    ----------
    system : SimplifiedSystem
        Whose units.
    x, T : ndarray, shape (n,)
        Places in m and temperatures in K.
    weight : float, optional
        Of the mean square.
    std : float or ndarray, optional
        Standard deviations, in units of theta.

    Returns
    -------
    Part
        For a `ResidualLoss`.

    Raises
    ------
    SolverError
        If places do not ascend, or are not as many as temperatures.

    Examples
    --------
    >>> system = SimplifiedSystem(SimplifiedMixture())
    >>> profile_part(system, np.array([7.5e-4]), np.array([300.0])).coords["z"]
    array([5.])
    """
    theta = (np.asarray(T, float) - system.mixture.inlet_temperature) / system.rise
    z = np.asarray(x, float) / system.thickness
    if z.ndim != 1 or z.shape != theta.shape or np.any(np.diff(z) <= 0):
        raise SolverError(
            expected("profile_part", f"places {z.shape}, T {theta.shape}", "ascending places, one T each")
        )
    order, size = torch.from_numpy(z), torch.as_tensor(np.broadcast_to(std, theta.shape).copy())
    wanted = torch.from_numpy(theta)

    def gap(d: Derivatives, at: Mapping[str, Tensor], _params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # a loss may ask for some of the points only
        mine = torch.searchsorted(order, at["z"])
        return {"profile": (d["theta"] - wanted[mine]) / size[mine]}

    return Part("profile", {"z": z}, (key("theta"),), gap, weight)


def network_search(
    mixture: SimplifiedMixture,
    plan: NetworkPlan,
    *,
    unknown: Mapping[str, float] | None = None,
    parts: Sequence[Part] = (),
) -> NetworkSearch:
    """Return a search for the flame, ready to be iterated: the network is on the front to begin with.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    plan : NetworkPlan
        How.
    unknown : Mapping of str to float, optional
        Other coefficients to find than s_L, and where to begin, in the units of `SimplifiedSystem.params`.
    parts : sequence of Part, optional
        Data.

    Returns
    -------
    NetworkSearch
        A `Solver`.

    Raises
    ------
    SolverError
        If a coefficient or the method is unknown.
    """
    s = balanced_speed(mixture, plan.start) if plan.balanced else plan.start
    mixture.check_subsonic(s)
    system = SimplifiedSystem(mixture, s)
    trial = Trial(system, separate_networks(system, plan.width, plan.depth))
    weights = trial.draw(Seeds(plan.seed).stream("init"))
    x = np.linspace(0.0, mixture.length, 100)
    onto = ResidualLoss(trial, [profile_part(system, x, front(mixture, s, x))], weights)
    method = optimizer("ssbroyden", onto, {})
    state = method.init()
    for _ in range(plan.warm_up):
        state, metrics = method.step(state)
        if method.done(metrics) is not None:
            break
    weights = np.array(method.pack(state)["x"])
    points = {"z": np.linspace(*system.coords["z"].bounds, plan.points)}
    loss = ResidualLoss(
        trial, [equation_part(trial, points), *parts], weights, unknown={"s_L": s, **(unknown or {})}, name="flame"
    )
    return NetworkSearch(loss, plan)
