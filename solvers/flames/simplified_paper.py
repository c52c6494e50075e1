"""The simplified flame as the paper trains it: soft conditions, a range kept by a sigmoid, Adam, the residual over s_L.

Kept beside `retrodict.solvers.flames.simplified_network` for comparison: 3 hidden layers of 64, 1000 steps onto a
profile of straight lines, 30 000 steps at a rate of 1e-3 that falls by 5 % every 1000; nothing is asked for at the end
of the domain. Residuals and conditions are in units in which z and theta run to 10 and 5.

Source: Wu et al. (2025), Combustion and Flame, 113964, and the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.physics.flames.simplified_front import z_profile
from retrodict.physics.flames.simplified_system import SPEED, SimplifiedSystem
from retrodict.physics.seeds import Seeds
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Coords, Derivatives, Key, key
from retrodict.solvers.flames.simplified_network import NetworkPlan, NetworkSearch
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.optimizers import optimizer
from retrodict.solvers.pinn.parts import Part, equation_part
from retrodict.solvers.pinn.trial import Trial, separate_networks
from retrodict.solvers.schedules import Schedule

__all__ = ["RangedSystem", "paper_search"]

Floats = NDArray[np.float64]
_TOP = 5.0


@dataclass(frozen=True)
class RangedSystem:
    """A `SimplifiedSystem` for ``theta = sigmoid(logit)``: no temperature leaves [T_in, T_max]; no condition is hard.

    Parameters
    ----------
    inner : SimplifiedSystem
        The equation.

    Examples
    --------
    >>> system = RangedSystem(SimplifiedSystem(SimplifiedMixture()))
    >>> zero = torch.zeros(1)
    >>> d = system.rise({("logit",): zero, ("logit", "z"): zero + 1.0, ("logit", "z", "z"): zero})
    >>> float(d["theta"]), float(d["theta", "z"])
    (0.5, 0.25)
    """

    inner: SimplifiedSystem
    name: str = field(default="simplified flame in its range", init=False)

    @property
    def coords(self) -> Space:
        """``z`` in [0, 10]."""
        return self.inner.coords

    @property
    def fields(self) -> Space:
        """``logit``."""
        return Space({"logit": Var(long_name="logit of the temperature rise")})

    @property
    def params(self) -> Space:
        """As those of the equation."""
        return self.inner.params

    @property
    def values(self) -> dict[str, float]:
        """As those of the equation."""
        return self.inner.values

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """What the residual needs."""
        return key("logit"), key("logit", "z"), key("logit", "z", "z")

    @property
    def conditions(self) -> tuple[()]:
        """None: those of the paper are in its loss."""
        return ()

    @property
    def prescribed(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def exact(self) -> None:
        """None."""
        return

    def rise(self, d: Mapping[Key, Tensor] | Derivatives) -> Derivatives:
        """Return theta and its derivatives from those of the logit, as far as they are given."""
        theta = torch.sigmoid(d[key("logit")])
        slope = theta * (1 - theta)
        out, given = {key("theta"): theta}, set(d)
        if key("logit", "z") in given:
            first = d[key("logit", "z")]
            out[key("theta", "z")] = slope * first
            if key("logit", "z", "z") in given:
                bend = slope * (1 - 2 * theta) * first**2 + slope * d[key("logit", "z", "z")]
                out[key("theta", "z", "z")] = bend
        return Derivatives(out)

    def residuals(self, d: Derivatives, coords: Coords, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the paper's residual, over s_L and with theta up to 5, shape (n,)."""
        found = self.inner.residuals(self.rise(d), coords, params)["energy"]
        return {"energy": _TOP * SPEED * found / params["s_L"]}


def paper_search(
    mixture: SimplifiedMixture,
    *,
    start: float = SPEED,
    steps: int = 30_000,
    warm_up: int = 1000,
    points: int = 1001,
    width: int = 64,
    depth: int = 3,
    seed: int = 0,
) -> NetworkSearch:
    """Return the training of the paper, ready to be iterated for ``steps`` steps.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    start : float, optional
        Burning velocity in m/s: 0.4 in the paper, where 0.1 tends to flash back.
    steps, warm_up : int, optional
        Of Adam, on the equation and before it on the profile of straight lines.
    points : int, optional
        Of the equation, a Hammersley set; in one dimension equidistant.
    width, depth : int, optional
        Hidden layers.
    seed : int, optional
        Of the weights.

    Returns
    -------
    NetworkSearch
        A `Solver`; unlike the paper's, in double precision.

    Raises
    ------
    SolverError
        If a number is out of range.

    Examples
    --------
    >>> search = paper_search(SimplifiedMixture(), warm_up=2, width=4, depth=1)
    >>> _, metrics = search.step(search.init())
    >>> sorted(metrics)
    ['loss', 's_L', 'stuck']
    """
    if min(steps, warm_up, points) < 1:
        got = f"steps {steps}, warm_up {warm_up}, points {points}"
        raise SolverError(expected("paper_search", got, "at least 1 of each"))
    mixture.check_subsonic(start)
    system = RangedSystem(SimplifiedSystem(mixture, start))
    trial = Trial(system, separate_networks(system, width, depth))
    weights = trial.draw(Seeds(seed).stream("init"))
    rate = {"rate": Schedule(1e-3, "exponential", steps=1000, factor=0.95)}
    onto = ResidualLoss(trial, [_profile(system, np.linspace(0.0, mixture.length, 100))], weights)
    method = optimizer("adam", onto, {"rate": 1e-3})
    state = method.init()
    for _ in range(warm_up):
        state, _ = method.step(state)
    weights = np.array(method.pack(state)["x"])
    equation = equation_part(trial, {"z": np.linspace(*system.coords["z"].bounds, points)})
    loss = ResidualLoss(trial, [equation, *_cut(system)], weights, unknown={"s_L": start}, name="flame, paper")
    plan = NetworkPlan(width, depth, points, warm_up, "adam", rate, steps, 1e-300, start, False, seed)
    return NetworkSearch(loss, plan)


def _profile(system: RangedSystem, x: Floats) -> Part:
    inner = system.inner
    theta = (z_profile(inner.mixture, x) - inner.mixture.inlet_temperature) / inner.rise
    order, wanted = torch.from_numpy(x / inner.thickness), torch.from_numpy(theta)

    def gap(d: Derivatives, at: Mapping[str, Tensor], _params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"profile": _TOP * (system.rise(d)["theta"] - wanted[torch.searchsorted(order, at["z"])])}

    return Part("profile", {"z": x / inner.thickness}, (key("logit"),), gap)


def _cut(system: RangedSystem) -> tuple[Part, Part]:
    """Return temperature and slope at the cut as parts of the loss."""

    def value(d: Derivatives, _at: Mapping[str, Tensor], _params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"T": _TOP * system.rise(d)["theta"]}

    def slope(d: Derivatives, _at: Mapping[str, Tensor], _params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"slope": _TOP * (system.rise(d)["theta", "z"] - system.inner.cut_slope)}

    at = {"z": np.zeros(1)}
    return Part("T", at, (key("logit"),), value), Part("slope", at, (key("logit"), key("logit", "z")), slope)
