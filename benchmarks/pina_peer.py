"""A quasi-linear system on a line through PINA: its problem, conditions, network and trainer."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation import Equation
from pina.model import FeedForward
from pina.operator import grad
from pina.optim import TorchOptimizer
from pina.problem import SpatialProblem, TimeDependentProblem
from pina.solver import PhysicsInformedSingleModelSolver

from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.system import Derivatives

__all__ = ["train_with_pina"]


class _Deadline(Callback):
    """Stops training when the time is up."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.until = seconds, 0.0

    def on_train_start(self, *_: Any) -> None:
        self.until = time.perf_counter() + self.seconds

    def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
        trainer.should_stop = time.perf_counter() > self.until


def _derivatives(system: QuasiLinear, inputs: LabelTensor, outputs: LabelTensor) -> Derivatives:
    """Return what a system needs by PINA's own gradients."""
    found: dict[tuple[str, ...], Any] = {("u",): outputs}
    for wanted in sorted(system.derivatives, key=len):
        for length in range(2, len(wanted) + 1):
            if wanted[:length] not in found:
                slope = grad(found[wanted[: length - 1]], inputs, d=[wanted[length - 1]])
                slope.labels = ["".join(wanted[:length])]
                found[wanted[:length]] = slope
    return Derivatives({k: _plain(found[k]) for k in system.derivatives})


def _plain(values: LabelTensor) -> torch.Tensor:
    return values.as_subclass(torch.Tensor)[:, 0]


def _problem(system: QuasiLinear) -> Any:
    (low, high), (since, until) = (system.coords[k].bounds for k in ("x", "t"))
    params = {k: torch.tensor(v) for k, v in system.values.items()}

    def equation(inputs: LabelTensor, outputs: LabelTensor) -> torch.Tensor:
        at = {k: _plain(inputs.extract([k])) for k in ("t", "x")}
        return system.residuals(_derivatives(system, inputs, outputs), at, params)[system.name][:, None]

    def initial(inputs: LabelTensor, outputs: LabelTensor) -> torch.Tensor:
        at = {k: _plain(inputs.extract([k])) for k in ("t", "x")}
        return _plain(outputs)[:, None] - system.initial(at)[:, None]

    class Problem(SpatialProblem, TimeDependentProblem):
        output_variables = ["u"]  # noqa: RUF012 - PINA's form
        spatial_domain = CartesianDomain({"x": [low, high]})
        temporal_domain = CartesianDomain({"t": [since, until]})
        domains = {  # noqa: RUF012
            "inside": CartesianDomain({"x": [low, high], "t": [since, until]}),
            "start": CartesianDomain({"x": [low, high], "t": since}),
        }
        conditions = {  # noqa: RUF012
            "inside": Condition(domain="inside", equation=Equation(equation)),
            "start": Condition(domain="start", equation=Equation(initial)),
        }

    return Problem()


class _Periodic(torch.nn.Module):
    """PINA's network behind periodic inputs: it has no periodic condition."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.turn = low, 2 * np.pi / (high - low)
        self.net = FeedForward(3, 1, inner_size=50, n_layers=4, func=torch.nn.Tanh)

    def forward(self, inputs: LabelTensor) -> LabelTensor:
        angle = self.turn * (_plain(inputs.extract(["x"])) - self.low)
        t = _plain(inputs.extract(["t"]))
        return LabelTensor(self.net(torch.stack([torch.cos(angle), torch.sin(angle), t], -1)), ["u"])


def train_with_pina(
    system: QuasiLinear, seconds: float, seed: int, grid: Mapping[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], float, str]:
    """Return PINA's field on a grid, the time of its training and its epochs."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(seed)
    problem = _problem(system)
    problem.discretise_domain(10_000, mode="random", domains=["inside"])
    problem.discretise_domain(200, mode="random", domains=["start"])
    model = _Periodic(*system.coords["x"].bounds)
    solver = PhysicsInformedSingleModelSolver(problem, model, optimizer=TorchOptimizer(torch.optim.Adam, lr=1e-3))
    quiet = dict.fromkeys(("enable_progress_bar", "logger", "enable_checkpointing", "enable_model_summary"), False)
    trainer = Trainer(
        solver, max_epochs=1_000_000, accelerator="cpu", callbacks=[_Deadline(seconds)], train_size=1.0, **quiet
    )
    began = time.perf_counter()
    trainer.train()
    spent = time.perf_counter() - began
    points = torch.tensor(np.stack([grid["x"], grid["t"]], -1), dtype=torch.float32)
    with torch.no_grad():
        field = _plain(model(LabelTensor(points, ["x", "t"]))).double().numpy()
    return field, spent, f"{trainer.current_epoch} epochs"
