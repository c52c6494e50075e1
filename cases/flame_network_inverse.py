"""Pressure gradient and activation energy of the counterflow flame from data: networks, Gauss-Newton, and both in turn.

A network learns profiles, Lambda and E_a all at once and needs no flame at its starting values; Gauss-Newton on the
solved flame is exact on its grid and fails where the flame of the starting values is extinguished. The hybrid hands the
network's estimate to Newton's method and lets the least squares of solved flames finish.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.cases.flame_network_data import CounterflowData, counterflow_data
from retrodict.cases.flame_networks import affordable_steps, error_table, trained_for
from retrodict.physics.flames.counterflow import CounterflowEquations
from retrodict.physics.flames.mixture import GAS_CONSTANT
from retrodict.physics.spaces import Array, Space, Tree, Var
from retrodict.solvers.base import Status
from retrodict.solvers.flames.counterflow import CounterflowPremixedFlame
from retrodict.solvers.flames.grid import equidistributed
from retrodict.solvers.flames.model import FlameModel
from retrodict.solvers.flames.networks import FlameTrainer
from retrodict.solvers.flames.plans import inverse_trainer
from retrodict.solvers.flames.refinement import solved_on
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.flames.system import FlameSystem
from retrodict.solvers.iterate import iterate
from retrodict.solvers.least_squares import LevenbergMarquardt
from retrodict.solvers.newton import solve_steady

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ActivationEnergyFit", "case3_inverse_table", "cold_start", "gauss_newton", "handed_over", "hybrid_table"]

Floats = NDArray[np.float64]
Row = dict[str, float]

_NAMES = ("Lambda", "E_a", "seconds", "solved")
_START = {"Lambda": -1e4, "E_a": 1e8}
_UNIT = 1e8
_OBSERVED = ("u", "V", "T", "Y")


@dataclass(frozen=True)
class ActivationEnergyFit:
    """Solved flames against data, over the activation energy in 1e8 J/kmol, as nonlinear least squares.

    Parameters
    ----------
    model : FlameModel
        Of ``u``, ``V``, ``T``, ``Y`` at the data's points.
    data : CounterflowData
        What was seen; every field is weighted by its largest value.
    begin : float
        Where to begin, J/kmol.
    """

    model: FlameModel
    data: CounterflowData
    begin: float
    name: str = "activation energy"

    @property
    def space(self) -> Space:
        """``E_a`` in 1e8 J/kmol."""
        return Space({"E_a": Var(units="1e8 J kmol-1", bounds=(0.0, 10.0))})

    @property
    def start(self) -> Tree:
        """Where to begin."""
        return {"E_a": np.asarray(self.begin / _UNIT)}

    def value(self, x: Tree) -> float:
        """Return half the sum of squares, NaN where there is no flame."""
        r = self._residual(self.model.apply(self.params(x)))
        return 0.5 * float(r @ r)

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return ``J' r``."""
        r, jac = self.jacobian(x)
        return {"E_a": np.asarray(float(jac[:, 0] @ r))}

    def jacobian(self, x: Tree) -> tuple[Floats, Floats]:
        """Return the residual and its derivative, by the implicit function theorem."""
        seen, slope = self.model.linearize(self.params(x))
        tangent = np.zeros(self.data.mechanism.R)
        tangent[0] = _UNIT / GAS_CONSTANT
        moved = self._stacked(slope.apply({"T_a": tangent}))
        return self._residual(seen), moved[:, None]

    def params(self, x: Tree) -> dict[str, Array]:
        """Return the parameters of the flame."""
        params = self.model.nominal()
        T_a = np.array(params["T_a"])
        T_a[0] = float(x["E_a"]) * _UNIT / GAS_CONSTANT
        return {**params, "T_a": T_a}

    def _stacked(self, seen: Tree) -> Floats:
        rows = {k: np.asarray(seen[k]) for k in ("u", "V", "T")}
        rows |= dict(zip(self.data.mechanism.species, np.asarray(seen["Y"]).T, strict=True))
        return np.concatenate([v / np.abs(self.data.values[k]).max() for k, v in rows.items()])

    def _residual(self, seen: Tree) -> Floats:
        data = {k: self.data.values[k] for k in ("u", "V", "T")}
        data["Y"] = np.stack([self.data.values[k] for k in self.data.mechanism.species], 1)
        return self._stacked(seen) - self._stacked(data)


def cold_start(data: CounterflowData, E_a: float, points: int = 200) -> FlameSolution:
    """Return the flame of an activation energy from its conditions alone.

    Parameters
    ----------
    data : CounterflowData
        Conditions.
    E_a : float
        J/kmol.
    points : int, optional
        Nodes.

    Returns
    -------
    FlameSolution
        Failed, with the reason, where the flame is extinguished.
    """
    parameters = {**data.mechanism.parameters, "T_a": np.array([E_a / GAS_CONSTANT])}
    mechanism = replace(data.mechanism, parameters=parameters)
    return CounterflowPremixedFlame(mechanism, data.Y_u, data.Y_b, 1.0, 1.0, points=points).solve()


def handed_over(trainer: FlameTrainer, solution: xr.Dataset, data: CounterflowData, points: int = 200) -> FlameSolution:
    """Return the flame that Newton's method finds from a network's profiles, Lambda and E_a.

    Parameters
    ----------
    trainer : FlameTrainer
        Whose network.
    solution : Dataset
        Its solution.
    data : CounterflowData
        Conditions.
    points : int, optional
        Nodes, placed by the network's profiles.

    Returns
    -------
    FlameSolution
        With a status.
    """
    species = data.mechanism.species

    def state(x: Floats) -> Floats:
        found = trainer.fields(solution, x)
        Y = np.clip(np.stack([found[k] for k in species], 1), 0, None)
        Y /= Y.sum(1, keepdims=True)
        T = np.clip(found["T"], 250.0, None)
        rho = 101325.0 / (GAS_CONSTANT * T * (Y @ (1 / data.mechanism.weights.numpy())))
        return np.column_stack([rho * found["u"], found["V"], T, Y])

    even = np.linspace(0, 0.02, 801)
    x = equidistributed(even, state(even), points)
    given = {"p": 101325.0, "T_u": 300.0, "T_b": 300.0, "m_u": 1.0, "m_b": 1.0, "Y_u": data.Y_u, "Y_b": data.Y_b}
    given["T_a"] = np.array([float(solution["E_a"]) / GAS_CONSTANT])
    params = {**data.mechanism.tensors(), **{k: torch.as_tensor(np.asarray(v, float)) for k, v in given.items()}}
    equations = CounterflowEquations(data.mechanism, torch.as_tensor(x), "central")
    ended = solve_steady(FlameSystem(equations, params), state(x), np.array([float(solution["Lambda"])]))
    status, reason = ended.status, ended.reason
    if status is Status.CONVERGED and ended.U[:, 2].max() < 800:
        status, reason = Status.FAILED, "Newton's method went to the extinguished flow."
    return FlameSolution(equations, params, ended.U, ended.z, status, reason, ended.newton_steps, ended.time_steps)


def gauss_newton(data: CounterflowData, start: FlameSolution, rounds: int = 8) -> Row:
    """Return Lambda and E_a by least squares of solved flames, from one of them; NaN where that one failed.

    The method is Levenberg-Marquardt, which is Gauss-Newton near the answer. Nodes follow the flame: after every round
    they are placed anew, until that changes the answer no more; ``solved`` is zero where it goes on changing.
    """
    began = time.perf_counter()
    row = {"Lambda": np.nan, "E_a": np.nan, "solved": 0.0}
    flame, before = start, np.inf
    for _ in range(rounds):
        if flame.status is not Status.CONVERGED:
            break
        begin = float(flame.params["T_a"][0]) * GAS_CONSTANT
        model = FlameModel(flame, _OBSERVED, data.x)
        fit = ActivationEnergyFit(model, data, begin)
        result = iterate(LevenbergMarquardt(fit, tolerance=1e-6, scale="absolute"), 30)
        found = float(result.data["E_a"]) * _UNIT
        flame = model.solve(fit.params({"E_a": np.asarray(found / _UNIT)}))
        settled = abs(found / before - 1) < 1e-4 and result.status is Status.CONVERGED
        row, before = {"Lambda": float(flame.z[0]), "E_a": found, "solved": float(settled)}, found
        if settled:
            break
        flame = _placed_anew(flame)
    return {**row, "seconds": time.perf_counter() - began}


def _placed_anew(flame: FlameSolution) -> FlameSolution:
    """Return the flame on as many nodes, where its profiles now want them."""
    if flame.status is not Status.CONVERGED:
        return flame
    nodes = flame.equations.x.numpy()
    placed = solved_on(flame, equidistributed(nodes, flame.U, nodes.size))
    return replace(placed, status=Status.FAILED) if placed.U[:, 2].max() < 800 else placed


def case3_inverse_table(
    seconds: float = 60.0, seeds: Sequence[int] = (0, 1, 2), noise: float = 0.0, *, E_a: float = _START["E_a"]
) -> xr.Dataset:
    """Return errors of Lambda and E_a from 16 points of u, V, T and Y by networks and by Gauss-Newton.

    Parameters
    ----------
    seconds : float, optional
        Of every training; Gauss-Newton takes what it takes.
    seeds : sequence of int, optional
        Of starting weights and noise together.
    noise : float, optional
        Relative.
    E_a : float, optional
        Where all begin, J/kmol; the paper's start unless given, Lambda begins at -1e4 Pa/m2.

    Returns
    -------
    Dataset
        ``Lambda``, ``E_a``, their relative errors, ``seconds``, ``solved`` over ``method`` and ``seed``. Networks are
        ``least-squares`` and ``paper``; ``gauss-newton`` begins at ``E_a``, ``gauss-newton, 10 % off`` where a flame
        exists.
    """
    rows: dict[str, list[Row]] = {}
    data = counterflow_data()
    for seed in seeds:
        data = counterflow_data(noise, seed)
        found = {
            "least-squares": _network(data, "least-squares", seconds, seed, E_a)[0],
            "paper": _network(data, "paper", seconds, seed, E_a)[0],
            "gauss-newton": _alone(data, E_a),
            "gauss-newton, 10 % off": _alone(data, 1.1 * data.E_a),
        }
        for name, row in found.items():
            rows.setdefault(name, []).append(row)
    return error_table(rows, seeds, _NAMES, {"Lambda": data.Lambda, "E_a": data.E_a})


def hybrid_table(
    factors: Sequence[float] = (0.75, 1.25),
    seeds: Sequence[int] = (0, 1, 2),
    seconds: float = 15.0,
    noise: float = 0.01,
) -> dict[float, xr.Dataset]:
    """Return what comes of starts that are wrong by a factor: Gauss-Newton alone, the network, and both in turn.

    Parameters
    ----------
    factors : sequence of float, optional
        Of the true activation energy.
    seeds : sequence of int, optional
        Of starting weights and noise.
    seconds : float, optional
        Of the network.
    noise : float, optional
        Relative.

    Returns
    -------
    dict of float to Dataset
        As from `case3_inverse_table`, by factor; the hybrid's seconds include the network's.
    """
    tables = {}
    for factor in factors:
        rows: dict[str, list[Row]] = {"gauss-newton": [], "network": [], "hybrid": []}
        data = counterflow_data()
        for seed in seeds:
            data = counterflow_data(noise, seed)
            rows["gauss-newton"].append(_alone(data, factor * data.E_a))
            network, finish = _network(data, "least-squares", seconds, seed, factor * data.E_a)
            rows["network"].append(network)
            rows["hybrid"].append(finish())
        tables[factor] = error_table(rows, seeds, _NAMES, {"Lambda": data.Lambda, "E_a": data.E_a})
    return tables


def _alone(data: CounterflowData, E_a: float) -> Row:
    began = time.perf_counter()
    return {**gauss_newton(data, cold_start(data, E_a)), "seconds": time.perf_counter() - began}


def _network(
    data: CounterflowData, method: str, seconds: float, seed: int, E_a: float
) -> tuple[Row, Callable[[], Row]]:
    """Return the network's row, and how to finish from it."""
    began = time.perf_counter()
    system, ours = data.system(_START["Lambda"], E_a), method != "paper"
    if ours:
        trainer = inverse_trainer(system, data.values, data.x, "least-squares", steps=100_000, seed=seed)
    else:
        short = inverse_trainer(system, data.values, data.x, "paper", steps=33, seed=seed)
        steps = affordable_steps(short, seconds)
        trainer = inverse_trainer(system, data.values, data.x, "paper", steps=steps, seed=seed)
    run = trained_for(trainer, seconds - (time.perf_counter() - began))
    row = {k: float(run.solution[k]) for k in ("Lambda", "E_a")}
    row |= {"seconds": time.perf_counter() - began, "solved": 1.0}

    def finish() -> Row:
        since = time.perf_counter()
        both = gauss_newton(data, handed_over(trainer, run.solution, data))
        return {**both, "seconds": row["seconds"] + time.perf_counter() - since}

    return row, finish
