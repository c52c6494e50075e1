"""Cost of a training step by jets against DeepXDE and a plain torch loop, on one thread, and the memory it takes.

    python benchmarks/jets.py --rounds 15

Convection-diffusion on 10 000 points with a 4 x 50 tanh network, periodic inputs and a hard initial condition on all
sides, so that everyone's loss is the residual alone; full batch, Adam. First order leaves out the diffusion.
Interleaved rounds in one process; medians, and ratios round by round with their quartiles. The memory of a step is
the growth of the peak resident size over that before the first step, in a process of its own.

Bars: second order in float32 at least 1.4 x faster than DeepXDE, peak memory at most a fifth. Exit code 1 if one is
missed.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

os.environ["DDE_BACKEND"] = "pytorch"

import numpy as np
import torch

from retrodict.physics.pde.convection import convection
from retrodict.solvers.first_order import Adam
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.parts import equation_part
from retrodict.solvers.pinn.sampling import sobol
from retrodict.solvers.pinn.trial import Trial, separate_networks

POINTS, WIDTH, DEPTH, SPEED, NU = 10_000, 50, 4, 30.0, 0.1
WHO = ("jets", "DeepXDE", "torch")


def points() -> dict[str, np.ndarray]:
    """Return collocation points."""
    return sobol({"t": (0.0, 1.0), "x": (0.0, 2 * math.pi)}, POINTS, np.random.default_rng(0))


def jets(dtype: torch.dtype, order: int) -> Callable[[], None]:
    """Return one step of ours."""
    system = convection(SPEED, NU if order == 2 else 0.0)
    trial = Trial(system, separate_networks(system, WIDTH, DEPTH), dtype=dtype)
    loss = ResidualLoss(trial, [equation_part(trial, points())], trial.draw(np.random.default_rng(0)))
    solver = Adam(loss)
    state = solver.init()

    def step() -> None:
        nonlocal state
        state, _ = solver.step(state)

    return step


def deepxde(dtype: torch.dtype, order: int) -> Callable[[], None]:
    """Return one step of DeepXDE."""
    import deepxde as dde

    dde.config.set_default_float("float32" if dtype is torch.float32 else "float64")
    at = points()
    anchors = np.stack([at["x"], at["t"]], -1)

    def equation(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        r = dde.grad.jacobian(u, x, i=0, j=1) + SPEED * dde.grad.jacobian(u, x, i=0, j=0)
        return r - NU * dde.grad.hessian(u, x, i=0, j=0) if order == 2 else r

    geometry = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 2 * math.pi), dde.geometry.TimeDomain(0, 1))
    data = dde.data.TimePDE(geometry, equation, [], num_domain=0, anchors=anchors)
    net = dde.nn.FNN([3] + [WIDTH] * DEPTH + [1], "tanh", "Glorot normal")
    net.apply_feature_transform(lambda x: torch.cat([torch.cos(x[:, :1]), torch.sin(x[:, :1]), 2 * x[:, 1:] - 1], -1))
    net.apply_output_transform(lambda x, y: torch.sin(x[:, :1]) + x[:, 1:] * y)
    model = dde.Model(data, net)
    model.compile("adam", lr=1e-3, verbose=0)
    batch = data.train_next_batch()
    return lambda: model.train_step(*batch)


def plain(dtype: torch.dtype, order: int) -> Callable[[], None]:
    """Return one step of a loop that a user of torch would write."""
    at = {k: torch.as_tensor(v, dtype=dtype) for k, v in points().items()}
    sizes = [3] + [WIDTH] * DEPTH + [1]
    layers = [torch.nn.Linear(a, b, dtype=dtype) for a, b in pairwise(sizes)]
    net = torch.nn.Sequential(*[m for layer in layers for m in (layer, torch.nn.Tanh())][:-1])
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, t = (at[k].requires_grad_() for k in ("x", "t"))

    def step() -> None:
        optimizer.zero_grad()
        inputs = torch.stack([torch.cos(x), torch.sin(x), 2 * t - 1], -1)
        u = torch.sin(x) + t * net(inputs)[:, 0]
        u_t, u_x = torch.autograd.grad(u.sum(), (t, x), create_graph=True)
        r = u_t + SPEED * u_x
        if order == 2:
            r = r - NU * torch.autograd.grad(u_x.sum(), x, create_graph=True)[0]
        r.square().mean().backward()
        optimizer.step()

    return step


STEPS = dict(zip(WHO, (jets, deepxde, plain), strict=True))


def quartiles(values: list[float]) -> str:
    """Return median and quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def timings(rounds: int, dtype: torch.dtype, order: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return medians in milliseconds, and ratios to ours round by round."""
    steps = {who: make(dtype, order) for who, make in STEPS.items()}
    for step in steps.values():
        step(), step()
    taken: dict[str, list[float]] = {who: [] for who in WHO}
    for i in range(rounds):
        for who in WHO[i % 3 :] + WHO[: i % 3]:
            began = time.perf_counter()
            steps[who]()
            taken[who].append(1e3 * (time.perf_counter() - began))
    ratios = {w: [a / b for a, b in zip(taken[w], taken["jets"], strict=True)] for w in WHO[1:]}
    return {who: float(np.median(v)) for who, v in taken.items()}, ratios


def memory(who: str, precision: str, order: int) -> float:
    """Return the growth of the peak by steps, in MB, of a fresh process."""
    command = [sys.executable, __file__, "--memory", who, "--precision", precision, "--order", str(order)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def status(name: str) -> float:
    """Return an entry of the process status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def measure(who: str, dtype: torch.dtype, order: int) -> None:
    """Print the growth of the peak resident size by three steps; the first warms libraries up on few points."""
    global POINTS
    many, POINTS = POINTS, 16
    STEPS[who](dtype, order)()
    POINTS = many
    step = STEPS[who](dtype, order)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    for _ in range(3):
        step()
    print(status("VmHWM") - before)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", choices=WHO)
    parser.add_argument("--precision", choices=("float32", "float64"), default="float32")
    parser.add_argument("--order", type=int, choices=(1, 2), default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if arguments.memory:
        measure(arguments.memory, getattr(torch, arguments.precision), arguments.order)
        return 0
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread, {POINTS} points, {DEPTH} x {WIDTH}")
    missed = []
    for precision in ("float32", "float64"):
        for order in (2, 1):
            ms, ratios = timings(arguments.rounds, getattr(torch, precision), order)
            print(f"{precision}, order {order}: " + ", ".join(f"{k} {v:.1f} ms" for k, v in ms.items()))
            for who, values in ratios.items():
                print(f"    {who} / jets: {quartiles(values)}")
            if (precision, order) == ("float32", 2) and np.median(ratios["DeepXDE"]) < 1.4:
                missed.append(f"speed: {np.median(ratios['DeepXDE']):.2f} < 1.4")
    grown = {who: memory(who, "float32", 2) for who in WHO}
    print("peak memory of a step, float32, order 2: " + ", ".join(f"{k} {v:.1f} MB" for k, v in grown.items()))
    if grown["jets"] > grown["DeepXDE"] / 5:
        missed.append(f"memory: {grown['jets']:.1f} MB > {grown['DeepXDE'] / 5:.1f} MB")
    print("\n".join(f"MISSED {m}" for m in missed) or "all bars met")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
