"""Burgers along labels on uniform streams, and the published form at its floor, on one thread.

    python benchmarks/streams.py

Errors are relative L2 on 256 x 100 points of the field less its stream, in space and time and at t = 1, against
Cole-Hopf; "riding" are the same with every row of points carried along by the stream. Exit code 1 if a bar is missed:
1e-5 in space and time and 1e-4 at t = 1 for nu = 0.01, 2e-6 for nu = 0.1, one per cent of spread between streams at
riding points.
"""

from __future__ import annotations

import math
import sys
import time
from functools import partial

import numpy as np
import torch

from retrodict.physics.pde.burgers import burgers
from retrodict.physics.pde.lagrangian import LabelDiffusion, Lagrangian
from retrodict.solvers.pinn.lagrangian import LabelSolution
from retrodict.solvers.pinn.plans import Stage, marching
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.trainer import Trainer
from retrodict.solvers.pinn.trial import separate_networks
from retrodict.solvers.reference.burgers import cole_hopf

X, T = np.meshgrid(np.linspace(0, 2 * math.pi, 256, endpoint=False), np.linspace(0, 1, 100))


def solve(form: type[Lagrangian], nu: float, c: float, steps: int) -> dict[str, float]:
    """Return errors, loss and time of one training."""
    began = time.perf_counter()
    plan = marching(form(burgers(nu, c=c)), [0.0, 1.0], [Stage("ssbroyden", steps)])
    trainer = Trainer(plan, partial(separate_networks, width=16, depth=2), Sampling(1024, 64))
    state, metrics = trainer.init(), {"over": 0.0}
    while trainer.done(metrics) is None:
        state, metrics = trainer.step(state)
    spent = time.perf_counter() - began
    solution, exact = (
        LabelSolution(trainer.pieces_of(trainer.solution(state))),
        cole_hopf(np.sin, nu, period=2 * math.pi),
    )

    def errors(x: np.ndarray) -> tuple[float, float]:
        ours = solution.fields({"x": x.ravel(), "t": T.ravel()})["u"].reshape(T.shape)
        truth = exact(x - c * T, T)
        gap = np.linalg.norm(ours - truth, axis=1)
        size = np.linalg.norm(truth, axis=1)
        return float(np.linalg.norm(gap) / np.linalg.norm(size)), float(gap[-1] / size[-1])

    everywhere, last = errors(X)
    riding, _ = errors(X + c * T)
    return {"error": everywhere, "at 1": last, "riding": riding, "loss": metrics["loss"], "seconds": spent}


def main() -> int:
    """Run the benchmark."""
    torch.set_num_threads(1)
    missed, riding = [], []
    for c in (0.0, 5.0, 50.0):
        found = solve(Lagrangian, 0.01, c, 5500)
        print(f"nu = 0.01, c = {c:g}: " + ", ".join(f"{k} {v:.3g}" for k, v in found.items()), flush=True)
        riding.append(found["riding"])
        missed += [f"c = {c:g}"] if found["error"] > 1e-5 or found["at 1"] > 1e-4 else []
    missed += ["spread"] if max(riding) / min(riding) > 1.01 else []
    for form, nu, steps, bar in ((Lagrangian, 0.1, 3000, 2e-6), (LabelDiffusion, 0.01, 5000, 1.3e-2)):
        found = solve(form, nu, 5.0, steps)
        print(f"{form.__name__}, nu = {nu:g}: " + ", ".join(f"{k} {v:.3g}" for k, v in found.items()), flush=True)
        missed += [f"{form.__name__}, nu = {nu:g}"] if found["error"] > bar else []
    print("\n".join(f"MISSED {m}" for m in missed) or "all bars met")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
