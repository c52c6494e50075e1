"""Plans of training for flames: that of the paper, and one of least squares on values held at the ends.

The paper's (Wu et al. 2025, from the authors' code): modified perceptron of six layers of 64 with factored matrices,
ranges, Adam at 1e-3 falling by 0.95 every 1000 steps, a warm-up on a profile, 100 points redrawn every 10 steps. Ours:
a small perceptron behind `retrodict.solvers.flames.outputs.held`, Levenberg-Marquardt from the first step, scalars and
weights together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.systems import CounterflowSystem, FreeFlameSystem
from retrodict.physics.flames.thin_layer import HALF
from retrodict.solvers.flames.networks import FlameTrainer
from retrodict.solvers.flames.outputs import OutputMap
from retrodict.solvers.flames.phases import Fit, Phase
from retrodict.solvers.flames.raw_system import FlamePDE, RawSystem, held, ranges
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.gated import GatedTrial
from retrodict.solvers.pinn.networks import GatedNetwork, Network
from retrodict.solvers.pinn.trial import Trial
from retrodict.solvers.schedules import Schedule

__all__ = ["FlameMethod", "free_flame_trainer", "inverse_trainer", "trial_of", "z_profile"]

Floats = NDArray[np.float64]

FlameMethod = Literal["paper", "least-squares", "quasi-newton"]
"""The paper's plan, or small networks with held values by Levenberg-Marquardt or by SSBroyden."""

_SHARES = (5000.0, 1000.0, 30000.0)
_INVERSE_SHARES = (5000.0, 50000.0)
_FINISH = {"least-squares": "levenberg-marquardt", "quasi-newton": "ssbroyden"}


def trial_of(
    system: FlamePDE,
    method: FlameMethod,
    T: tuple[float, float] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
) -> Trial:
    """Return the networks of a method, before training.

    Parameters
    ----------
    system : FreeFlameSystem or CounterflowSystem
        The flame.
    method : {"paper", "least-squares", "quasi-newton"}
        Decides architecture and output map.
    T : (float, float), optional
        Range of temperatures of the paper's map, K: inlet to equilibrium in a free flame, 300 to 3000 otherwise.
    width, depth : int, optional
        Hidden layers and their width: 64 and 6 in the paper, 12 and 3 otherwise.

    Returns
    -------
    Trial
        Of a `RawSystem`.

    Raises
    ------
    SolverError
        If the method is unknown.
    """
    if method not in get_args(FlameMethod):
        raise SolverError(expected("method", repr(method), f"one of {get_args(FlameMethod)}"))
    output: OutputMap = held(system)
    if method == "paper":
        around = (system.T_in, system.T_b) if isinstance(system, FreeFlameSystem) else (300.0, 3000.0)
        output = ranges(system, T or around)
    raw = RawSystem(system, output)
    features = Features.of(raw.coords, {})
    if method == "paper":
        return GatedTrial(raw, [GatedNetwork(output.outputs, features, width or 64, depth or 6)])
    return Trial(raw, [Network(output.outputs, features, width or 12, depth or 3)])


def free_flame_trainer(
    system: FreeFlameSystem,
    method: FlameMethod = "least-squares",
    *,
    steps: int = 250,
    points: int | None = None,
    seed: int = 0,
    width: int | None = None,
    depth: int | None = None,
    tolerance: float = 1e-3,
) -> FlameTrainer:
    """Return the training of a free flame with its burning velocity.

    Parameters
    ----------
    system : FreeFlameSystem
        The flame.
    method : {"paper", "least-squares", "quasi-newton"}, optional
        How.
    steps : int, optional
        Of all phases together; the paper has 36000, of which the warm-up is a sixth.
    points : int, optional
        Collocation points: 100 redrawn in the paper, 120 evenly spread otherwise.
    seed : int, optional
        Root of all randomness.
    width, depth : int, optional
        See `trial_of`.
    tolerance : float, optional
        Scaled residual at which training has converged.

    Returns
    -------
    FlameTrainer
        A step-wise solver for `retrodict.solvers.iterate.iterate`.

    Raises
    ------
    SolverError
        If the method is unknown.
    """
    trial = trial_of(system, method, width=width, depth=depth)
    if method != "paper":
        phase = Phase(_FINISH[method], steps, {"equations": 1.0}, points=points or 120)
        return FlameTrainer(trial, [phase], unknown=["s_L"], seed=seed, tolerance=tolerance)
    fits = [*_conditions(system), z_profile(system)]
    physics = {"equations": 1.0, "lower": 1.0, "upper": 1.0, "anchor": 1.0}
    plans = ({"profile": 1.0}, {"profile": 1.0} | physics, physics)
    shares = [max(1, round(steps * share / sum(_SHARES))) for share in _SHARES]
    phases = [_adam(n, plan, points or 100) for n, plan in zip(shares, plans, strict=True)]
    return FlameTrainer(trial, phases, fits=fits, unknown=["s_L"], seed=seed, tolerance=tolerance)


def inverse_trainer(
    system: CounterflowSystem,
    data: Mapping[str, Floats],
    x: Floats,
    method: FlameMethod = "least-squares",
    *,
    steps: int = 250,
    points: int | None = None,
    seed: int = 0,
    data_weight: float = 100.0,
    width: int | None = None,
    depth: int | None = None,
    tolerance: float = 1e-3,
) -> FlameTrainer:
    """Return the training of a counterflow flame to data, with pressure gradient and activation energy.

    Parameters
    ----------
    system : CounterflowSystem
        The flame; its coefficients are where the search begins.
    data : Mapping of str to ndarray, shape (k,)
        ``u``, ``V``, ``T`` and species, SI.
    x : ndarray, shape (k,)
        Where, m.
    method : {"paper", "least-squares", "quasi-newton"}, optional
        How.
    steps : int, optional
        Of both phases together; the paper has 55000, of which the fit to the data alone takes 5000.
    points : int, optional
        Collocation points: 100 redrawn in the paper, 160 evenly spread otherwise.
    seed : int, optional
        Root of all randomness.
    data_weight : float, optional
        Of the data beside the equations.
    width, depth : int, optional
        See `trial_of`; 16 and 2 where not of the paper.
    tolerance : float, optional
        Scaled residual at which training has converged.

    Returns
    -------
    FlameTrainer
        A step-wise solver for `retrodict.solvers.iterate.iterate`.

    Raises
    ------
    SolverError
        If the method or a field is unknown.
    """
    if strange := sorted(set(data) - set(system.scales)):
        raise SolverError(expected("inverse_trainer.data", strange, f"some of {list(system.scales)}"))
    both, unknown = {"equations": 1.0, "data": data_weight}, ["Lambda", "E_a"]
    fit = Fit("data", system.coordinate(x), {k: np.asarray(v) * system.scales[k] for k, v in data.items()})
    if method == "paper":
        trial = trial_of(system, method, width=width, depth=depth)
        shares = [max(1, round(steps * share / sum(_INVERSE_SHARES))) for share in _INVERSE_SHARES]
        plans = zip(shares, ({"data": 1.0}, both), strict=True)
        phases = [_adam(n, plan, points or 100) for n, plan in plans]
        return FlameTrainer(trial, phases, fits=[fit], unknown=unknown, seed=seed, tolerance=tolerance)
    trial = trial_of(system, method, width=width or 16, depth=depth or 2)
    first = Phase("levenberg-marquardt", 30, {"data": 1.0})
    last = Phase(_FINISH[method], steps, both, points=points or 160)
    return FlameTrainer(trial, [first, last], fits=[fit], unknown=unknown, seed=seed, tolerance=tolerance)


def z_profile(system: FreeFlameSystem, count: int = 501) -> Fit:
    """Return the profile of the paper's warm-up: unburnt to 0.3, a line to 0.5, burnt behind.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> Y = np.asarray(gas.composition("H2", "O2:1, N2:3.76", 1.0))
    >>> flame = FreeFlameSystem(gas, Y, Y, 300.0, 2400.0, 1e5, 2e-3, (7e-4, 800.0))
    >>> (z_profile(flame, 11).values["T"] / flame.scales["T"]).round().tolist()[2:7]
    [300.0, 300.0, 1350.0, 2400.0, 2400.0]
    """
    share = np.linspace(0, 1, count)
    burnt = np.clip((share - 0.3) / 0.2, 0, 1)
    low, high = system.ends
    values = {k: system.scales[k] * (low[k] * (1 - burnt) + high[k] * burnt) for k in system.scales}
    return Fit("profile", HALF * (2 * share - 1), values)


def _conditions(system: FreeFlameSystem) -> list[Fit]:
    """Return the soft conditions of the paper: both ends and the anchor."""
    fits = []
    for name, at, values in zip(("lower", "upper"), (-HALF, HALF), system.ends, strict=True):
        fits.append(Fit(name, np.array([at]), {k: np.array([v * system.scales[k]]) for k, v in values.items()}))
    z, T = system.anchored
    return [*fits, Fit("anchor", np.array([z]), {"T": np.array([T])})]


def _adam(steps: int, weights: Mapping[str, float], points: int) -> Phase:
    rate = Schedule(1e-3, "exponential", steps=1000, factor=0.95)
    return Phase("adam", steps, weights, refresh=10, points=points, options={"rate": rate})
