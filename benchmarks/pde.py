"""Leaderboard of PDE networks: ours beside DeepXDE and PINA on one definition, at equal wall clock, on one thread.

    python benchmarks/pde.py --seconds 60 --seeds 1

Every problem is one `PDESystem`; ours and the peers are given the same object, the same grid and the same reference,
which is closed or a classical method that agrees with another one to 1e-9 or better (see tests/solvers/reference).
Errors are relative L2 in space and time, of the field less its uniform stream. Ours: SSBroyden over hard constraints,
in windows or on labels, as many steps as the budget allows, the time of set-up included. DeepXDE: 4 x 50 tanh, its
own soft conditions with weights 1, 100, 100; Adam in float32 at rate 1e-3 on 10 000 points; L-BFGS in float64 on
1000; Adam, then Nystroem Newton-CG; and L-BFGS with our hard constraints. PINA: the same network and points, Adam,
where it is installed.

Exit code 1 if a bar of ours is missed.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.pde.burgers import burgers
from retrodict.physics.pde.convection import convection, rotation
from retrodict.physics.pde.lagrangian import Lagrangian, crowded
from retrodict.physics.pde.lifting import Lift, lifted, spread_corners, spread_gaussian
from retrodict.physics.pde.quasilinear import QuasiLinear, line
from retrodict.physics.pde.reaction import allen_cahn, reaction
from retrodict.physics.system import PDESystem
from retrodict.solvers.deepxde.problem import DeepXDESetup
from retrodict.solvers.deepxde.training import train_with_deepxde
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.lagrangian import LabelSolution
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.plans import Stage, marching
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import separate_networks
from retrodict.solvers.pinn.windows import evaluate
from retrodict.solvers.reference import burgers as hopf
from retrodict.solvers.reference.chebyshev import allen_cahn_walls
from retrodict.solvers.reference.splitting import reaction_diffusion

Floats = NDArray[np.float64]
Grid = Mapping[str, Floats]
ADAM = DeepXDESetup(optimizer="adam", precision="float32", domain=10_000, boundary=200, initial=200)
LBFGS = DeepXDESetup(optimizer="l-bfgs")
PEERS = {
    "DeepXDE Adam": ADAM,
    "DeepXDE L-BFGS": LBFGS,
    "DeepXDE Adam, NNCG": DeepXDESetup(optimizer="adam+nncg", switch=500),
    "DeepXDE L-BFGS, hard": replace(LBFGS, hard=True),
}


@dataclass(frozen=True)
class Plan:
    """How ours solves a problem."""

    system: Any
    edges: tuple[float, ...]
    width: int
    depth: int
    points: int
    initial: int = 64
    grading: float = 1.0
    lift: Lift | None = None
    """What a smooth network cannot represent: taken off beforehand in closed form, added afterwards."""
    doubled: bool = False
    """Inputs are waves of twice the box: they tell walls apart."""


@dataclass(frozen=True)
class Problem:
    """One row of the leaderboard."""

    system: QuasiLinear
    plan: Plan
    reference: Callable[[Grid], Floats]
    bar: float
    share: float = 1.0
    """Budget of everyone on this row, in budgets."""


def _problems() -> dict[str, Problem]:
    sine = hopf.cole_hopf(np.sin, 0.01, period=2 * math.pi)
    interval = hopf.cole_hopf(lambda x: -np.sin(np.pi * x), 0.01 / math.pi, period=2, origin=-1)
    stream, unit = burgers(0.01, c=5.0), line(2.0, start=-1.0)
    long = burgers(0.01, c=5.0, coords=line(2 * math.pi, duration=3.0))
    still = burgers(0.01 / math.pi, initial=lambda at: -torch.sin(math.pi * at["x"]), coords=unit)
    bump = lambda x: np.exp(-0.5 * ((x - math.pi) / (math.pi / 4)) ** 2)  # noqa: E731
    strang = partial(reaction_diffusion, bump, 2.0, 5.0, period=2 * math.pi)
    walls = partial(allen_cahn_walls, lambda x: x**2 * np.cos(math.pi * x), 1e-3)
    table = {}
    for beta, count, bar in ((30.0, 6, 1e-5), (50.0, 10, 1e-4)):
        edges = tuple(float(e) for e in np.linspace(0, 1, count + 1))
        table[f"convection, beta = {beta:.0f}"] = Problem(
            convection(beta),
            Plan(convection(beta), edges, 20, 2, 1024),
            lambda g, beta=beta: np.sin(g["x"] - beta * g["t"]),
            bar,
        )
    table["Burgers on a stream, nu = 0.01, to the shock"] = Problem(
        stream, Plan(Lagrangian(stream), (0.0, 1.0), 16, 2, 1024), lambda g: sine(g["x"] - 5 * g["t"], g["t"]), 1e-5
    )
    table["the same beyond the shock, to t = 3"] = Problem(
        long,
        Plan(Lagrangian(long, "rest", crowded(long)), (0.0, 3.0), 20, 3, 2000, 128),
        lambda g: sine(g["x"] - 5 * g["t"], g["t"]),
        1e-3,
        2.0,
    )
    table["Burgers on [-1, 1], nu = 0.01 / pi"] = Problem(
        still,
        Plan(Lagrangian(still, "rest", crowded(still)), (0.0, 1.0), 20, 3, 2000, 128),
        lambda g: interval(g["x"], g["t"]),
        1e-5,
        2.0,
    )
    # without diffusion no point knows of another, and a period would put a kink where there is none
    logistic = replace(reaction(5.0), boundary=())
    table["reaction, rho = 5"] = Problem(
        logistic, Plan(logistic, (0.0, 1.0), 20, 2, 1024, grading=1.5), lambda g: _closed(logistic, g), 1e-5
    )
    mixed, kink = reaction(5.0, 2.0), spread_gaussian(math.pi / 4, 2.0, (0.0, 2 * math.pi))
    table["reaction-diffusion, rho = 5, nu = 2"] = Problem(
        mixed,
        Plan(lifted(mixed, kink), (0.0, 1.0), 20, 2, 1024, grading=1.5, lift=kink),
        lambda g: strang()(g["x"], g["t"]),
        1e-5,
    )
    fronts, corners = allen_cahn(1e-3), spread_corners((math.pi**2 - 2) * 1e-3, 1e-3, (-1.0, 1.0))
    table["Allen-Cahn, d = 1e-3, u = -1 on the walls"] = Problem(
        fronts,
        Plan(lifted(fronts, corners), (0.0, 1.0), 20, 3, 2000, 128, 1.5, corners, True),
        lambda g: walls()(g["x"], g["t"]),
        1e-5,
    )
    turning = rotation(nu=0.005, width=0.25)
    sixths = tuple(float(e) for e in np.linspace(0, 1, 7))
    table["a blob turned once in the plane, nu = 0.005"] = Problem(
        turning, Plan(turning, sixths, 20, 2, 1500, 200, 1.5), lambda g: _closed(turning, g), 3e-3, 2.0
    )
    return table


def _closed(system: QuasiLinear, grid: Grid) -> Floats:
    assert system.exact is not None
    return system.exact({k: torch.from_numpy(v) for k, v in grid.items()})["u"].numpy()


def grid_of(system: QuasiLinear) -> Grid:
    """Return 256 x 100 points; 48 x 48 x 21 of a plane."""
    (low, high), (since, until) = (system.coords[k].bounds for k in ("x", "t"))
    if "y" in system.coords:
        axis = np.linspace(low, high, 48)
        t, y, x = np.meshgrid(np.linspace(since, until, 21), axis, axis, indexing="ij")
        return {"x": x.ravel(), "y": y.ravel(), "t": t.ravel()}
    x, t = np.meshgrid(np.linspace(low, high, 256, endpoint=False), np.linspace(since, until, 100))
    return {"x": x.ravel(), "t": t.ravel()}


def _networks(system: PDESystem, plan: Plan) -> tuple[Network, ...]:
    if not plan.doubled:
        return separate_networks(system, plan.width, plan.depth)
    (low, high), middle = system.coords["x"].bounds, sum(system.coords["x"].bounds) / 2
    box = {k: v.bounds for k, v in system.coords.items()} | {"x": (middle + low - high, middle + high - low)}
    return (Network(("u",), Features(box, {"x": 1}), plan.width, plan.depth),)


def ours(problem: Problem, seconds: float, seed: int, grid: Grid) -> tuple[Floats, float, str]:
    """Return our field, the time it took and how it was made; the steps are chosen from the time of the first ones."""
    plan, began = problem.plan, time.perf_counter()

    def trainer(steps: int) -> Trainer:
        return Trainer(
            marching(plan.system, plan.edges, [Stage("ssbroyden", steps)]),
            partial(_networks, plan=plan),
            Sampling(plan.points, plan.initial, plan.grading),
            seed=seed,
        )

    trial = trainer(10_000)
    state, first = trial.init(), time.perf_counter()
    for _ in range(40):
        state, _ = trial.step(state)
    windows = len(plan.edges) - 1
    left = 0.94 * seconds - (time.perf_counter() - began)
    steps = max(10, int(left / windows / ((time.perf_counter() - first) / 40)))
    run = trainer(steps)
    state, metrics = run.init(), {"over": 0.0}
    while run.done(metrics) is None:
        state, metrics = run.step(state)
    pieces, spent = run.pieces_of(run.solution(state)), time.perf_counter() - began
    on_labels = isinstance(plan.system, Lagrangian)
    field = LabelSolution(pieces).fields(grid)["u"] if on_labels else evaluate(pieces, grid, [("u",)])["u"].numpy()
    if plan.lift is not None:
        field = field + plan.lift.part({k: torch.from_numpy(v) for k, v in grid.items()}).numpy()
    return field, spent, f"{windows} x {steps} steps, {run.done(metrics).value}"  # type: ignore[union-attr]


def theirs(problem: Problem, setup: DeepXDESetup, seconds: float, seed: int, grid: Grid) -> tuple[Floats, float, str]:
    """Return DeepXDE's field, the time of its training and its iterations."""
    began = time.perf_counter()
    found = train_with_deepxde(problem.system, replace(setup, seed=seed), seconds=seconds)
    spent = time.perf_counter() - began
    return found.predict(grid)["u"], spent, f"{int(found.history['iteration'][-1])} iterations, {found.status.value}"


def pina(problem: Problem, seconds: float, seed: int, grid: Grid) -> tuple[Floats, float, str] | None:
    """Return PINA's field, or None where it is not installed, or space is not one period: what its adapter can say."""
    if "y" in problem.system.coords or problem.system.boundary is not None:
        return None
    try:
        from pina_peer import train_with_pina
    except ImportError:
        return None
    return train_with_pina(problem.system, seconds, seed, grid)


def row(name: str, problem: Problem, seconds: float, seed: int, only_ours: bool) -> float:
    """Print the errors of everyone on one problem and return ours."""
    seconds *= problem.share
    grid = grid_of(problem.system)
    truth = problem.reference(grid)
    contenders: dict[str, Callable[[], tuple[Floats, float, str] | None]] = {
        "ours": partial(ours, problem, seconds, seed, grid)
    }
    if not only_ours:
        for peer, setup in PEERS.items():
            contenders[peer] = partial(theirs, problem, setup, seconds, seed, grid)
        contenders["PINA Adam"] = partial(pina, problem, seconds, seed, grid)
    print(f"{name} (seed {seed}, bar {problem.bar:.0e})", flush=True)
    error = math.nan
    for who, solve in contenders.items():
        found = solve()
        if found is None:
            print(f"    {who:22s} not run: not installed, or not a periodic line")
            continue
        field, spent, how = found
        size = float(np.linalg.norm(field - truth) / np.linalg.norm(truth))
        error = size if who == "ours" else error
        print(f"    {who:22s} {size:9.2e}   {spent:6.1f} s   {how}", flush=True)
    return error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of each solve")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--problems", default="", help="only those whose name contains this")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, one thread, {chosen.seconds:.0f} s each")
    missed = []
    for name, problem in _problems().items():
        if chosen.problems.lower() in name.lower():
            for seed in range(chosen.seeds):
                error = row(name, problem, chosen.seconds, seed, chosen.ours)
                if not error <= problem.bar:
                    missed.append(f"{name}, seed {seed}: {error:.2e} > {problem.bar:.0e}")
    print("\n".join(f"MISSED {m}" for m in missed) or "all bars met")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
