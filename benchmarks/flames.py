"""Laminar flames beside Cantera in one process: accuracy at equal points, cold starts, gradients, robustness.

    python benchmarks/flames.py                                  # all sections but the two below: some five minutes
    python benchmarks/flames.py --sections gri30 --rounds 3
    python benchmarks/flames.py --sections networks              # some fifteen minutes

Runs alternate between both codes, in one thread; times are medians with the smallest and the largest. Cantera solves
with its own defaults for automatic grids unless a section says otherwise; where points are equal, its criteria were
chosen so that it ends with about as many as ours. The first call of ours in a process is not timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import cantera as ct
import numpy as np
import torch

from retrodict.cases.data import bundled
from retrodict.cases.flame_network_inverse import case3_inverse_table
from retrodict.cases.flame_networks import speed_table
from retrodict.inverse.flames.simplified import compare_inversions
from retrodict.physics.flames.mechanism import Mechanism, load_mechanism
from retrodict.physics.flames.simplified import imposed_slope
from retrodict.solvers.flames.model import FlameModel
from retrodict.solvers.flames.premixed import FreeFlame
from retrodict.solvers.flames.simplified import solve_simplified
from retrodict.solvers.flames.simplified_network import NetworkPlan
from retrodict.solvers.flames.simplified_trained import network_flame
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.reference.cantera_flames import clear_cache, free_flame
from retrodict.solvers.reference.phase_plane import phase_plane

ONE_STEP = str(bundled("flames/1S_CH4_MP1.yaml"))
AIR = "O2:1, N2:3.76"
CONDITIONS = [(phi, 1.0, 298.0) for phi in (0.40, 0.42, 0.46, 0.50)] + [(0.40, 1.0, 450.0), (0.40, 1.0, 600.0)]
CONDITIONS += [(0.40, 1.2, 298.0), (0.50, 1.2, 298.0)]
LIMIT = 0.279669  # of the one-step flame at phi 0.8: first and second order extrapolate to it within 1e-6
ATM = 101325.0


def ours(mech: Mechanism, fuel: str, phi: float, points: int, **settings: Any) -> FlameSolution:
    """Solve a free flame in 300 K air from a cold start."""
    return FreeFlame(mech, np.asarray(mech.composition(fuel, AIR, phi)), 300.0, points=points, **settings).solve()


def cantera(mechanism: str, fuel: str, phi: float, refine: tuple[float, float, float], p: float = ATM) -> ct.FreeFlame:
    """Solve the same flame by Cantera from its own cold start."""
    gas = ct.Solution(mechanism)
    gas.TP = 300.0, p
    gas.set_equivalence_ratio(phi, fuel, AIR)
    flame = ct.FreeFlame(gas, width=0.03)
    flame.transport_model = "mixture-averaged"
    flame.set_refine_criteria(ratio=refine[0], slope=refine[1], curve=refine[2])
    flame.solve(loglevel=0, auto=False)
    return flame


def alternate(rounds: int, *runs: Callable[[], Any]) -> list[tuple[list[float], Any]]:
    """Time several runs in turn; return seconds and the last result of each."""
    kept: list[tuple[list[float], Any]] = [([], None) for _ in runs]
    for _ in range(rounds):
        for i, run in enumerate(runs):
            start = time.perf_counter()
            result = run()
            kept[i] = ([*kept[i][0], time.perf_counter() - start], result)
    return kept


def spread(values: list[float]) -> str:
    """Return the median with the smallest and the largest."""
    return f"{np.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


def ratio(above: list[float], below: list[float]) -> str:
    """Return the spread of the ratios of paired times."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def section_one_step(rounds: int) -> None:
    """Accuracy and time at about equal points."""
    mech = load_mechanism(ONE_STEP)
    ours(mech, "CH4", 0.8, 60)
    print("\none-step, phi 0.8, 1 atm: error of s_L against 0.279669, seconds from a cold start")
    for points, refine in ((68, (3, 0.06, 0.12)), (201, (2, 0.02, 0.03)), (401, (2, 0.0105, 0.0155))):
        (a, mine), (b, theirs) = alternate(
            rounds,
            lambda n=points: ours(mech, "CH4", 0.8, n),
            lambda r=refine: cantera(ONE_STEP, "CH4", 0.8, r),
        )
        mine_off = abs(float(mine.observables()["s_L"]) / LIMIT - 1)
        theirs_off = abs(theirs.velocity[0] / LIMIT - 1)
        print(
            f"  ours {points} points: {mine_off:.1e} in {spread(a)} s;  Cantera {len(theirs.grid)} points: "
            f"{theirs_off:.1e} in {spread(b)} s;  error ratio {theirs_off / mine_off:.0f}, time ratio {ratio(b, a)}"
        )


def section_same_grid(_: int, *, detailed: bool = False) -> None:
    """Both codes upwind on the same nodes."""
    print("\nsame nodes, upwind: s_L of ours and Cantera, relative difference")
    one_step = [(ONE_STEP, "CH4", phi) for phi in (0.6, 0.8, 1.2)]
    hydrogen = [("h2o2.yaml", "H2", phi) for phi in (0.6, 1.0, 2.0)]
    methane = [("gri30.yaml", "CH4", phi) for phi in (0.8, 1.0, 1.2)]
    for mechanism, fuel, phi in methane if detailed else one_step + hydrogen:
        solved = ours(load_mechanism(mechanism), fuel, phi, 120, scheme="upwind").required(mechanism)
        held = solved.equations.anchor  # type: ignore[attr-defined]
        nodes = solved.equations.x.numpy()
        other = free_flame(mechanism, fuel, AIR, phi, 300.0, ATM, grid=nodes, anchor=(held.x, held.T))
        speeds = float(solved.observables()["s_L"]), float(other["s_L"])
        print(f"  {mechanism[-14:]:>14} phi {phi}: {speeds[0]:.6f} {speeds[1]:.6f} {speeds[0] / speeds[1] - 1:+.1e}")


def gradient(model: FlameModel) -> tuple[float, dict[str, np.ndarray]]:
    """Solve on the model's nodes and differentiate ln s_L by everything; return the seconds of the derivative too."""
    value, op = model.linearize(model.nominal())
    start = time.perf_counter()
    found = op.adjoint({"s_L": np.array(1 / value["s_L"])})
    return time.perf_counter() - start, found


def sums(found: dict[str, np.ndarray]) -> tuple[float, float]:
    """Return the sums of the sensitivities to all rates and to all transport coefficients; exactly one half each."""
    rates = found["ln_A"].sum() + found["ln_A_low"].sum()
    return float(rates), float(found["ln_conductivity"].sum() + found["ln_diffusion"].sum())


def section_gradient(rounds: int) -> None:
    """One adjoint against differences of flames solved again, and against Cantera's adjoint."""
    print("\ngradients of ln s_L")
    for mechanism, fuel, phi, points in ((ONE_STEP, "CH4", 0.8, 461), ("h2o2.yaml", "H2", 1.0, 143)):
        model = FlameModel(ours(load_mechanism(mechanism), fuel, phi, points), ["s_L"])
        gradient(model)
        peer = cantera(mechanism, fuel, phi, (3, 0.06, 0.12))
        (_, (_, found)), (b, theirs) = alternate(
            rounds, lambda m=model: gradient(m), lambda p=peer: p.get_flame_speed_reaction_sensitivities()
        )
        a = [gradient(model)[0] for _ in range(rounds)]
        size = model.domain.size
        print(
            f"  {mechanism[-14:]}: all {size} parameters, {points} points: {spread(a)} s after the solve, "
            f"sums {sums(found)[0]:.6f} {sums(found)[1]:.6f};  Cantera's adjoint, {theirs.size} rates alone, "
            f"{len(peer.grid)} points: {spread(b)} s, sum {theirs.sum():.5f}"
        )
        if mechanism == "h2o2.yaml":
            differences(model, found, float(np.median(a)))


def differences(model: FlameModel, found: dict[str, np.ndarray], seconds: float) -> None:
    """Difference flames solved again, by every parameter that the speed depends on."""
    at = model.nominal()
    steps = {"ln_A": 1e-4, "ln_A_low": 1e-3, "b": 1e-5, "T_a": 1.0, "ln_conductivity": 1e-4, "ln_diffusion": 1e-4}
    start, worst, solves = time.perf_counter(), 0.0, 0
    for name, h in steps.items():
        largest = np.abs(found[name]).max()
        for index in np.ndindex(*np.shape(at[name])):
            speeds = []
            for sign in (1, -1):
                moved = np.array(at[name])
                moved[index] += sign * h
                speeds.append(float(model.apply({**at, name: moved})["s_L"]))
            slope = np.log(speeds[0] / speeds[1]) / (2 * h)
            solves += 2
            if abs(found[name][index]) > 0.01 * largest:
                worst = max(worst, abs(slope / found[name][index] - 1))
    taken = time.perf_counter() - start
    every = taken / solves * 2 * model.domain.size
    print(
        f"    differences by re-solving: {solves} solves in {taken:.1f} s, worst disagreement {worst:.1e} (of "
        f"sensitivities above 1 % of the largest of their kind); ratio {taken / seconds:.0f} for these "
        f"{solves // 2} parameters, {every / seconds:.0f} for all {model.domain.size}"
    )


def section_gri30(rounds: int) -> None:
    """The large mechanism: cold start beside Cantera, and the gradient."""
    mech = load_mechanism("gri30.yaml")
    ours(load_mechanism("h2o2.yaml"), "H2", 1.0, 60)
    (a, mine), (b, theirs) = alternate(
        rounds,
        lambda: ours(mech, "CH4", 1.0, 196),
        lambda: cantera("gri30.yaml", "CH4", 1.0, (3, 0.06, 0.12)),
    )
    print(f"\ngri30, phi 1, cold start: ours {len(mine.U)} points {spread(a)} s, s_L {mine.observables()['s_L']:.6f};")
    print(f"  Cantera {len(theirs.grid)} points {spread(b)} s, s_L {theirs.velocity[0]:.6f};  ratio {ratio(b, a)}")
    model = FlameModel(mine, ["s_L"])
    gradient(model)
    (c, (_, found)), (d, peer) = alternate(
        rounds, lambda: gradient(model), lambda: theirs.get_flame_speed_reaction_sensitivities()
    )
    taken = [gradient(model)[0] for _ in range(rounds)]
    print(
        f"  gradient by all {model.domain.size} parameters: {spread(taken)} s ({spread(c)} s with the solve on these "
        f"nodes), sums {sums(found)[0]:.6f} {sums(found)[1]:.6f};  Cantera's, {peer.size} rates: {spread(d)} s, "
        f"sum {peer.sum():.5f}"
    )
    section_same_grid(rounds, detailed=True)


def section_starts(_: int) -> None:
    """Cold starts over mixtures and pressures."""
    clear_cache()
    one_step, hydrogen = load_mechanism(ONE_STEP), load_mechanism("h2o2.yaml")
    runs = [(one_step, "CH4", phi, p) for p in (1, 2, 5, 10, 20) for phi in np.linspace(0.6, 1.6, 11)]
    runs += [(hydrogen, "H2", phi, 1) for phi in np.linspace(0.5, 3, 26)]
    failures, seconds = [], []
    for mech, fuel, phi, p in runs:
        start = time.perf_counter()
        solved = ours(mech, fuel, float(phi), 200, p=p * ATM)
        seconds.append(time.perf_counter() - start)
        if not solved.status.ok:
            failures.append(f"    {fuel} phi {phi:.2f}, {p} atm: {solved.status.value}, {solved.reason}")
    print(f"\ncold starts: {len(runs) - len(failures)} of {len(runs)} solved, {spread(seconds)} s each")
    print("\n".join(failures), end="\n" if failures else "")


def section_simplified(_: int) -> None:
    """The one-equation flame: Newton and network against the phase plane."""
    print(
        "\none equation (Case 1): s_L in m/s by the phase plane; relative errors of Newton and of networks, five seeds"
    )
    for phi, p, T_in in CONDITIONS:
        mixture = imposed_slope(phi, p, T_in)
        (a, orbit), (b, newton) = alternate(1, lambda m=mixture: phase_plane(m), lambda m=mixture: solve_simplified(m))
        flames = [network_flame(mixture, NetworkPlan(seed=seed)) for seed in range(5)]
        errors = [abs(f.speed / orbit.speed - 1) for f in flames]
        seconds, off = spread([f.seconds for f in flames]), newton.speed / orbit.speed - 1
        print(
            f"  phi {phi} {p} atm {T_in} K: {orbit.speed:.9f} m/s ({a[0]:.1f} s); Newton {off:+.0e} ({b[0]:.2f} s); "
            f"networks {min(errors):.0e} to {max(errors):.0e} in {seconds} s"
        )


def section_networks(_: int) -> None:
    """Networks on the one-step flame, and inversions beside Gauss-Newton."""
    own = speed_table(60.0, (0, 1, 2, 3, 4), ("least-squares",), deepxde=False)
    others = speed_table(60.0, (0,), ("quasi-newton", "paper"), reference=float(own["reference"]))
    print(f"\none-step flame on 2.5 mm (Case 2), reference {float(own['reference']):.7f} m/s: error of s_L (seconds)")
    for table in (own, others):
        for method in table["method"].values:
            row = table.sel({"method": method})
            cells = [f"{float(e):+.1e} ({float(t):.0f})" for e, t in zip(row["error"], row["seconds"], strict=True)]
            print(f"  {method}: {', '.join(cells)}")
    print("\nCase 1 inverted, T at 10 points, 1 % noise: relative errors (seconds)")
    for seed in range(3):
        table = compare_inversions(imposed_slope(0.46), seed=seed)
        for method in table["method"].values:
            row = table.sel({"method": method})
            cells = [f"{k} {float(row['error'].sel(parameter=k)):+.3f}" for k in table["parameter"].values]
            print(f"  seed {seed}, {method}: {', '.join(cells)} ({float(row['seconds']):.1f} s)")
    for noise in (0.0, 0.01):
        table = case3_inverse_table(40.0, (0,), noise)
        print(f"\nCase 3 inverted, 16 points, noise {noise:g}: errors of E_a and Lambda (seconds)")
        for method in table["method"].values:
            row = table.sel({"method": method, "seed": 0})
            e, lam = float(row["E_a error"]), float(row["Lambda error"])
            lost = "" if float(row["solved"]) else ", failed"
            print(f"  {method}: {e:+.2%} {lam:+.2%} ({float(row['seconds']):.0f} s{lost})")


SECTIONS = {
    "one-step": section_one_step,
    "same-grid": section_same_grid,
    "gradient": section_gradient,
    "starts": section_starts,
    "simplified": section_simplified,
    "networks": section_networks,
    "gri30": section_gri30,
}


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=[s for s in SECTIONS if s not in ("networks", "gri30")]
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of alternation (gri30: use 3)")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, cantera {ct.__version__}, one thread")
    for name in chosen.sections:
        SECTIONS[name](chosen.rounds)


if __name__ == "__main__":
    main()
