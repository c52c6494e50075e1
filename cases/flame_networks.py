"""Networks on detailed flames beside classical methods, as tables: what the flame cases and benchmarks show.

Two problems: the freely propagating flame (`speed_table`), whose burning velocity is an eigenvalue, and the inverse
counterflow flame (`case3_inverse_table`, `hybrid_table`), whose pressure gradient and activation energy follow from
profiles at 16 points. Data are Cantera's, on a grid and with a scheme of their own. Times are of one thread, set-up
included; no row is left out because it is bad.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.cases.flame_network_data import free_flame, one_step
from retrodict.physics.flames.imposed import ImposedEnds
from retrodict.physics.flames.premixed import Anchor, PremixedEquations
from retrodict.physics.flames.systems import FreeFlameSystem
from retrodict.physics.flames.thin_layer import UNITS
from retrodict.solvers.deepxde.problem import DeepXDEProblem, DeepXDESetup
from retrodict.solvers.flames.networks import FlameTrainer
from retrodict.solvers.flames.plans import FlameMethod, free_flame_trainer
from retrodict.solvers.flames.premixed import FreeFlame
from retrodict.solvers.flames.raw_system import RawSystem, held
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.flames.system import FlameSystem
from retrodict.solvers.newton import solve_steady

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Trained", "affordable_steps", "error_table", "same_domain", "speed_table", "trained_for"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """A training that was given some seconds.

    Parameters
    ----------
    solution : Dataset
        Best weights, and scalars, SI.
    seconds : float
        What it took.
    steps : int
        Optimiser steps.
    finished : bool
        Whether the plan came to its end.
    residual : float
        Root mean square of the scaled residuals on points of their own.
    """

    solution: xr.Dataset
    seconds: float
    steps: int
    finished: bool
    residual: float


def same_domain(system: FreeFlameSystem, points: int = 801, *, imposed: bool = True) -> FlameSolution:
    """Return the flame by finite volumes on the domain of a network, with its anchor, on even nodes.

    Parameters
    ----------
    system : FreeFlameSystem
        Domain, conditions and anchor.
    points : int, optional
        Even nodes.
    imposed : bool, optional
        Impose both ends as the network does; else fluxes of species at the inlet and no slopes at the outlet.

    Returns
    -------
    FlameSolution

    Raises
    ------
    SolverError
        If it did not converge.
    """
    flame = FreeFlame(system.mechanism, system.Y_in, system.T_in, system.p, points=200)
    wide = flame.solve().required("same_domain, wide")
    x, (at, T_fix) = wide.equations.x.numpy(), system.anchor
    nodes = np.linspace(0, system.length, points)
    rising = int(np.argmax(wide.U[:, 0])) + 1
    moved = np.clip(nodes - at + np.interp(T_fix, wide.U[:rising, 0], x[:rising]), x[0], x[-1])
    U = np.stack([np.interp(moved, x, column) for column in wide.U.T], 1)
    grid, anchor = torch.as_tensor(nodes), Anchor(at, T_fix)
    equations = PremixedEquations(system.mechanism, grid, "central", anchor)
    if imposed:
        hot = (system.T_b, *map(float, system.Y_b))
        equations = ImposedEnds(system.mechanism, grid, "central", anchor, hot)
    ended = solve_steady(FlameSystem(equations, wide.params), U, wide.z)
    found = FlameSolution(equations, wide.params, ended.U, ended.z, ended.status, ended.reason)
    return found.required("same_domain")


def trained_for(trainer: FlameTrainer, seconds: float) -> Trained:
    """Train until the plan ends or the time is over."""
    began, state, steps, over = time.perf_counter(), trainer.init(), 0, False
    while not over and time.perf_counter() - began < seconds:
        state, metrics = trainer.step(state)
        steps, over = steps + 1, trainer.done(metrics) is not None
    spent = time.perf_counter() - began
    solution = trainer.solution(state)
    x = np.concatenate([solution["weights"], [float(solution[k]) * UNITS[k] for k in trainer.unknown]])
    return Trained(solution, spent, steps, over, trainer.validation(x))


def speed_table(
    seconds: float = 60.0,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    methods: Sequence[FlameMethod] = ("least-squares", "quasi-newton", "paper"),
    *,
    deepxde: bool = True,
    reference: float | None = None,
) -> xr.Dataset:
    """Return errors of the burning velocity of the one-step flame at phi 0.8 by method and seed.

    Parameters
    ----------
    seconds : float, optional
        Of every training.
    seeds : sequence of int, optional
        Starting weights.
    methods : sequence of str, optional
        See `retrodict.solvers.flames.plans`.
    deepxde : bool, optional
        Show DeepXDE on the same system behind held values, too, with Adam and then L-BFGS.
    reference : float, optional
        Burning velocity, m/s; by finite volumes on the same domain unless given.

    Returns
    -------
    Dataset
        ``s_L``, ``error`` (relative, signed), ``residual``, ``seconds``, ``steps`` over ``method`` and ``seed``, and
        ``reference``.
    """
    system = free_flame(one_step())
    truth = reference or float(same_domain(system, 1601).observables()["s_L"])
    names = [*methods, *(["deepxde"] if deepxde else [])]
    rows = {name: [_speed(system, name, seconds, seed) for seed in seeds] for name in names}
    return error_table(rows, seeds, ("s_L", "residual", "seconds", "steps"), {"s_L": truth})


def _speed(system: FreeFlameSystem, method: str, seconds: float, seed: int) -> dict[str, float]:
    if method == "deepxde":
        return _by_deepxde(system, seconds, seed)
    chosen: FlameMethod = method  # type: ignore[assignment]
    steps = 100_000
    if method == "paper":  # its phases are shares of the whole, which must fit the time
        steps = affordable_steps(free_flame_trainer(system, "paper", steps=36, seed=seed), seconds)
    run = trained_for(free_flame_trainer(system, chosen, steps=steps, seed=seed), seconds)
    found = {"residual": run.residual, "seconds": run.seconds, "steps": float(run.steps)}
    return {"s_L": float(run.solution["s_L"]), **found}


def affordable_steps(trainer: FlameTrainer, seconds: float) -> int:
    """Return how many steps of Adam fit, from the last phase of a short plan."""
    state, warm, counted = trainer.init(), 10, 20
    for _ in range(warm):
        state, _ = trainer.step(state)
    began = time.perf_counter()
    for _ in range(counted):
        state, _ = trainer.step(state)
    return max(36, int(0.9 * seconds * counted / (time.perf_counter() - began)))


def _by_deepxde(system: FreeFlameSystem, seconds: float, seed: int) -> dict[str, float]:
    from retrodict.solvers.deepxde.trainer import DeepXDETrainer

    setup = DeepXDESetup("adam+l-bfgs", width=64, depth=6, domain=120, boundary=2, every=10, seed=seed, switch=1000)
    trainer = DeepXDETrainer(DeepXDEProblem(RawSystem(system, held(system)), setup, {"s_L": system.speed}))
    began = time.perf_counter()
    state = trainer.init()
    steps, loss = 0.0, np.nan
    while (left := seconds - (time.perf_counter() - began)) > 0:
        # half of the time for each method, whatever a step takes
        switching = left < 0.5 * seconds and state.iteration < setup.switch
        if switching:
            setup = replace(setup, switch=state.iteration)
            trainer = DeepXDETrainer(replace(trainer.problem, setup=setup))
        state, metrics = trainer.step(state)
        steps, loss = metrics["iteration"], metrics["loss"]
        if trainer.done(metrics) is not None:
            break
    spent = time.perf_counter() - began
    found = trainer.coefficients(state)["s_L"] / UNITS["s_L"]
    return {"s_L": found, "residual": float(np.sqrt(loss / 6)), "seconds": spent, "steps": steps}


def error_table(
    rows: Mapping[str, Sequence[Mapping[str, float]]],
    seeds: Sequence[int],
    names: Sequence[str],
    truth: Mapping[str, float],
) -> xr.Dataset:
    """Return numbers over method and seed, with signed relative errors of what has a truth."""
    import xarray as xr

    units = {"s_L": "m s-1", "Lambda": "Pa m-2", "E_a": "J kmol-1", "seconds": "s"}
    stacked = {n: np.array([[row[n] for row in found] for found in rows.values()]) for n in names}
    errors = {("error" if len(truth) == 1 else f"{k} error"): stacked[k] / v - 1 for k, v in truth.items()}
    data = {k: (("method", "seed"), v, {"units": units.get(k, "1")}) for k, v in {**stacked, **errors}.items()}
    known = {(f"true {k}" if len(truth) > 1 else "reference"): ((), v, {"units": units[k]}) for k, v in truth.items()}
    return xr.Dataset({**data, **known}, {"method": list(rows), "seed": list(seeds)})
