"""Training of networks that solve flames, as a step-wise solver.

A phase names the terms it minimises, ``"equations"`` and fits, with their weights: a warm-up fits a profile, then
equations join, then the profile leaves. Points are drawn anew as the phase asks; Adam keeps its memory through that.
The best weights of the last phase are kept. Unknown scalars (burning velocity, pressure gradient, activation energy)
are trained with the weights, by every method, those of least squares included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.thin_layer import UNITS
from retrodict.physics.seeds import Seeds
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Solver, Status
from retrodict.solvers.first_order import FirstOrderState
from retrodict.solvers.flames.phases import Fit, Phase
from retrodict.solvers.flames.raw_system import RawSystem
from retrodict.solvers.objective import evaluate
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.optimizers import optimizer
from retrodict.solvers.pinn.parts import equation_part
from retrodict.solvers.pinn.trial import Trial

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FlameTrainer", "FlameTrainingState"]

Floats = NDArray[np.float64]
_SI = {"s_L": "m s-1", "Lambda": "Pa m-2", "E_a": "J kmol-1"}


@dataclass(frozen=True, eq=False)
class FlameTrainingState:
    """Where training stands.

    Parameters
    ----------
    phase, step : int
        Place in the plan; step counts within the phase.
    start : ndarray, shape (n,)
        Weights and scalars where the optimiser began with the points at hand.
    points : ndarray
        Collocation points.
    inner : object
        State of the optimiser.
    best : ndarray, shape (n,)
        Weights and scalars of the smallest loss of the last phase.
    least : float
        That loss.
    optimizer : Solver
        Over the loss at hand; rebuilt after a resume.
    """

    phase: int
    step: int
    start: Floats
    points: Floats
    inner: Any
    best: Floats
    least: float
    optimizer: Solver[Any]


class FlameTrainer:
    """Trains a network on a flame.

    Parameters
    ----------
    trial : Trial
        Of a `RawSystem`.
    phases : sequence of Phase
        The plan.
    fits : sequence of Fit, optional
        Data, conditions, profiles.
    unknown : sequence of str, optional
        Coefficients of the system that are found; they start from its values.
    seed : int, optional
        Root of all randomness.
    tolerance : float, optional
        Bar on the root mean square of the scaled residuals, on points of their own, for ``converged``.

    Raises
    ------
    SolverError
        If the plan is empty, a term, a method or a coefficient is unknown.
    """

    def __init__(
        self,
        trial: Trial,
        phases: Sequence[Phase],
        *,
        fits: Sequence[Fit] = (),
        unknown: Sequence[str] = (),
        seed: int = 0,
        tolerance: float = 1e-3,
    ) -> None:
        if not isinstance(trial.system, RawSystem):
            raise SolverError(expected("FlameTrainer.trial", type(trial.system).__name__, "one of a RawSystem"))
        self.trial, self.system, self.phases = trial, trial.system, tuple(phases)
        self.fits, self.unknown = {f.name: f for f in fits}, tuple(unknown)
        self.seeds, self.tolerance = Seeds(seed), tolerance
        used = {name for phase in self.phases for name in phase.weights}
        strange = sorted(used - {"equations", *self.fits})
        if not self.phases or strange:
            got = strange or "no phase"
            raise SolverError(expected("FlameTrainer.phases", got, f"terms among equations, {sorted(self.fits)}"))
        if strange := sorted(set(self.unknown) - set(self.system.params)):
            raise SolverError(expected("FlameTrainer.unknown", strange, f"some of {list(self.system.params)}"))

    @property
    def name(self) -> str:
        """System, networks and plan."""
        plan = "+".join(f"{p.method}({','.join(f'{k}={w:g}' for k, w in p.weights.items())})" for p in self.phases)
        nets = ",".join(f"{type(n).__name__}{n.depth}x{n.width}" for n in self.trial.networks)
        return f"flame-network:{self.system.name}:{nets}:{','.join(self.unknown)}:{plan}"

    def init(self) -> FlameTrainingState:
        """Return the state at the first points of the first phase."""
        scalars = [float(self.system.values[k]) for k in self.unknown]
        x = np.concatenate([self.trial.draw(self.seeds.stream("init")), scalars])
        return self._begin(0, x)

    def step(self, state: FlameTrainingState) -> tuple[FlameTrainingState, Metrics]:
        """Take one step of the optimiser at hand, with new points where they are due."""
        phase = self.phases[state.phase]
        if state.step and phase.refresh and state.step % phase.refresh == 0:
            state = self._refreshed(state)
        inner, found = state.optimizer.step(state.inner)
        new = replace(state, inner=inner, step=state.step + 1)
        loss, last = float(found["objective"]), state.phase == len(self.phases) - 1
        over = new.step >= phase.steps or state.optimizer.done(found) is not None
        # on points that change, the smallest loss of all steps would be that of the luckiest points
        if last and (over or not phase.refresh or new.step % 100 == 0) and loss < new.least:
            new = replace(new, best=_packed(new), least=loss)
        out = {"loss": loss, "phase": float(state.phase), **self.scalars(_packed(new))}
        end = over and last
        out |= {"over": float(end), "validation": self.validation(new.best) if end else 0.0}
        return (self._begin(state.phase + 1, _packed(new)) if over and not last else new), out

    def done(self, metrics: Metrics) -> Status | None:
        """Return how training ended: by a residual on points of its own, never by the loss."""
        if not metrics["over"]:
            return None
        return Status.CONVERGED if metrics["validation"] <= self.tolerance else Status.MAX_STEPS

    def solution(self, state: FlameTrainingState) -> xr.Dataset:
        """Return the best weights and the scalars, SI."""
        import xarray as xr

        x = state.best if np.isfinite(state.least) else _packed(state)
        data: dict[str, Any] = {"weights": ("weight", x[: self.trial.size], {"units": "1"})}
        data |= {k: ((), v, {"units": _SI[k]}) for k, v in self.scalars(x).items()}
        return xr.Dataset(data)

    def scalars(self, x: Floats) -> dict[str, float]:
        """Return the unknown scalars of packed weights and scalars, SI."""
        return {k: float(v) / UNITS[k] for k, v in zip(self.unknown, x[self.trial.size :], strict=True)}

    def fields(self, solution: xr.Dataset, x: Floats) -> dict[str, Floats]:
        """Return the fields of a dataset from `solution`, SI.

        Parameters
        ----------
        solution : Dataset
            From `solution`.
        x : ndarray, shape (n,)
            Positions, m.

        Returns
        -------
        dict of str to ndarray
            Each of shape (n,).
        """
        z = torch.as_tensor(self.system.base.coordinate(x))
        with torch.no_grad():
            raw = self.trial.fields(np.asarray(solution["weights"]), {"z": z})
            found = self.system.values_of(raw, z)
        return {k: np.asarray(v.numpy()) / self.system.base.scales[k] for k, v in found.items()}

    def validation(self, x: Floats, count: int = 401) -> float:
        """Return the root mean square over points and equations of the scaled residuals of packed unknowns."""
        inside = self._even(count)
        loss = ResidualLoss(self.trial, [equation_part(self.trial, {"z": inside})], x[: self.trial.size])
        values = dict(zip(self.unknown, x[self.trial.size :], strict=True))
        loss = ResidualLoss(self.trial, loss.parts, x[: self.trial.size], unknown=values)
        found = loss.residual(loss.start)
        return float(np.sqrt(np.sum(found**2) * count / found.size))

    def pack(self, state: FlameTrainingState) -> dict[str, Array]:
        """Return the whole state as arrays."""
        names = ("phase", "step", "start", "points", "best", "least")
        out: dict[str, Array] = {k: np.asarray(getattr(state, k)) for k in names}
        return out | {f"inner/{k}": v for k, v in state.optimizer.pack(state.inner).items()}

    def unpack(self, arrays: Mapping[str, Array]) -> FlameTrainingState:
        """Inverse of `pack`."""
        phase, start, points = int(arrays["phase"]), arrays["start"], arrays["points"]
        method = self._optimizer(phase, start, points)
        inner = method.unpack({k.removeprefix("inner/"): v for k, v in arrays.items() if k.startswith("inner/")})
        step, least = int(arrays["step"]), float(arrays["least"])
        return FlameTrainingState(phase, step, start, points, inner, arrays["best"], least, method)

    def _begin(self, phase: int, x: Floats) -> FlameTrainingState:
        points = self._points(phase, 0)
        method = self._optimizer(phase, x, points)
        return FlameTrainingState(phase, 0, x, points, method.init(), x, np.inf, method)

    def _refreshed(self, state: FlameTrainingState) -> FlameTrainingState:
        """Draw new points; Adam and quasi-Newton methods keep what they have learnt, any other starts afresh."""
        x, points = _packed(state), self._points(state.phase, state.step)
        method = self._optimizer(state.phase, x, points)
        inner: Any
        if (adopt := getattr(method, "adopt", None)) is not None:
            inner = adopt(state.inner)
        elif isinstance(state.inner, FirstOrderState):
            value, gradient = evaluate(method.objective, x)  # type: ignore[attr-defined]
            inner = replace(state.inner, value=value, gradient=gradient)
        else:
            inner = method.init()
        return replace(state, start=x, points=points, inner=inner, optimizer=method)

    def _points(self, phase: int, step: int) -> Floats:
        plan = self.phases[phase]
        if not plan.refresh:
            return self._even(plan.points)
        low, high = self.system.coords["z"].bounds
        return np.sort(self.seeds.stream(f"points {phase} {step}").uniform(low, high, plan.points))

    def _even(self, count: int) -> Floats:
        low, high = self.system.coords["z"].bounds
        return low + (high - low) * (np.arange(count) + 0.5) / count

    def _optimizer(self, phase: int, x: Floats, points: Floats) -> Solver[Any]:
        plan, size = self.phases[phase], self.trial.size
        parts = []
        for name, weight in plan.weights.items():
            if name == "equations":
                parts.append(replace(equation_part(self.trial, {"z": points}), weight=weight))
            else:
                parts.append(self.fits[name].part(self.system, weight))
        unknown = dict(zip(self.unknown, map(float, x[size:]), strict=True))
        return optimizer(plan.method, ResidualLoss(self.trial, parts, x[:size], unknown=unknown), plan.options)


def _packed(state: FlameTrainingState) -> Floats:
    return np.array(state.inner.x)
