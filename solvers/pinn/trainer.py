"""Training as a step-wise solver: legs through time or coefficients, stages of optimisers, rounds of points.

A plan is a sequence of legs. A leg trains one system on one window of time by some stages and starts from the weights
of the leg before. Windows with hard continuity (time marching) are legs that are kept; a curriculum is legs on the same
window, of which the last is kept. Optimisers are the general ones of `retrodict.solvers`, each over a `ResidualLoss`.
Everything that a resumed run needs is in the state, points and curvature included: it equals an uninterrupted one to
the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.seeds import Seeds
from retrodict.physics.spaces import Array
from retrodict.physics.system import PDESystem
from retrodict.solvers.base import Metrics, Solver, Status
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.optimizers import optimizer
from retrodict.solvers.pinn.parts import Part, condition_part, equation_part, face_points
from retrodict.solvers.pinn.plans import Leg
from retrodict.solvers.pinn.sampling import Sampling, causal_weights, sobol
from retrodict.solvers.pinn.trial import Trial
from retrodict.solvers.pinn.validation import residual_rms, soft_residual, validation_residual
from retrodict.solvers.pinn.windows import Piece, Window, continued

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Trainer", "TrainingState"]

Floats = NDArray[np.float64]
Architecture = Callable[[PDESystem], Sequence[Network]]


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Where training stands.

    Parameters
    ----------
    leg, stage, step : int
        Place in the plan; step counts within the stage.
    weights : ndarray, shape (size,)
        Where the optimiser began with the points at hand.
    points : Mapping of str to ndarray
        Collocation points.
    importance : ndarray, shape (n,)
        Their weights.
    inner : object
        State of the optimiser.
    pieces : tuple of ndarray
        Weights of the kept legs.
    checks : ndarray, shape (legs, 2)
        Root mean square residual of the kept legs that are over: in training, and on points of its own.
    optimizer : Solver
        Over the loss at hand; rebuilt after a resume.
    """

    leg: int
    stage: int
    step: int
    weights: Floats
    points: Mapping[str, Floats]
    importance: Floats
    inner: Any
    pieces: tuple[Floats, ...]
    checks: Floats
    optimizer: Solver[Any]


class Trainer:
    """Trains networks on a plan.

    Parameters
    ----------
    legs : sequence of Leg
        The plan.
    architecture : callable
        System to networks; all legs need as many weights.
    sampling : Sampling, optional
        How points are drawn.
    seed : int, optional
        Root of all randomness.
    scales : Mapping of str to float, optional
        Factors of equations in the loss.
    parts : callable, optional
        ``trial -> sequence of Part``: data and whatever else belongs in the loss.
    soft_weight : float, optional
        Of soft conditions.
    tolerance : float, optional
        Bar on the validation residual, root mean square, for ``converged``.
    dtype, device : optional
        Precision and place.

    Raises
    ------
    SolverError
        If the plan is empty, a method is unknown or its last leg is not kept, or a trial cannot be built.

    Notes
    -----
    The residual is validated on points of their own, dense near the start and the seams. Training residuals that are
    far below it mean that the network solves another problem: the status is ``invalid`` then.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.iterate import iterate
    >>> from retrodict.solvers.pinn.plans import Stage, marching
    >>> from retrodict.solvers.pinn.trial import separate_networks
    >>> legs = marching(convection(1.0), [0.0, 1.0], [Stage("ssbroyden", 60)])
    >>> trainer = Trainer(legs, lambda s: separate_networks(s, 8, 2), Sampling(256, 32), tolerance=1e-2)
    >>> iterate(trainer, 60).status.value
    'converged'
    """

    def __init__(
        self,
        legs: Sequence[Leg],
        architecture: Architecture,
        sampling: Sampling | None = None,
        *,
        seed: int = 0,
        scales: Mapping[str, float] | None = None,
        parts: Callable[[Trial], Sequence[Part]] | None = None,
        soft_weight: float = 1.0,
        tolerance: float = 1e-3,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
    ) -> None:
        if not legs or not legs[-1].kept or any(not leg.stages for leg in legs):
            raise SolverError(
                expected("Trainer.legs", f"{len(legs)} legs", "some, each with stages, the last one kept")
            )
        self.legs, self.architecture, self.seeds = tuple(legs), architecture, Seeds(seed)
        self.sampling = sampling or Sampling()
        self.scales, self.parts, self.soft_weight = dict(scales or {}), parts, soft_weight
        self.tolerance, self.dtype, self.device = tolerance, dtype, device
        self._trials: dict[int, tuple[tuple[bytes, ...], Trial]] = {}
        self._check_methods()

    def _check_methods(self) -> None:
        """Refuse unknown methods, and those that cannot treat the loss, before any work."""
        first = self.trial(0, ())
        few = replace(self.sampling, count=8, initial=0, adaptive=0.0)
        points = few.draw(first.system.coords, self.seeds.stream("probe points"))
        loss = self._loss(first, points, np.ones(8), first.draw(self.seeds.stream("probe")))
        for stage in (stage for leg in self.legs for stage in leg.stages):
            optimizer(stage.method, loss, stage.options)

    @property
    def name(self) -> str:
        """Method, systems and plan."""
        plan = ";".join(
            f"{leg.since:g}-{leg.until:g}:{_named(leg.system)}:" + "+".join(s.method for s in leg.stages)
            for leg in self.legs
        )
        nets = ",".join(f"{'+'.join(n.fields)}{n.depth}x{n.width}" for n in self.trial(0, ()).networks)
        return f"pinn:{plan}:{nets}:{self.sampling.count}+{self.sampling.initial}"

    def trial(self, leg: int, pieces: tuple[Floats, ...]) -> Trial:
        """Return the trial of a leg that follows the kept pieces so far."""
        mark = tuple(p.tobytes() for p in pieces)
        if leg not in self._trials or self._trials[leg][0] != mark:
            plan = self.legs[leg]
            start = None
            if pieces:
                last = self.pieces(pieces)[-1]
                start = (plan.start or continued)(last)
            window = Window(plan.system, plan.since, plan.until, start)
            trial = Trial(window, self.architecture(window), dtype=self.dtype, device=self.device)
            self._trials[leg] = (mark, trial)
        return self._trials[leg][1]

    def pieces(self, weights: Sequence[Floats]) -> tuple[Piece, ...]:
        """Return the solution so far, window by window.

        Parameters
        ----------
        weights : sequence of ndarray
            Of the kept legs: ``state.pieces``, or from `solution`.

        Returns
        -------
        tuple of Piece
            For `retrodict.solvers.pinn.windows.evaluate`.
        """
        kept = [i for i, leg in enumerate(self.legs) if leg.kept]
        done = tuple(weights)
        return tuple(Piece(self.trial(kept[k], done[:k]), w) for k, w in enumerate(done))

    def pieces_of(self, solution: xr.Dataset) -> tuple[Piece, ...]:
        """Return the pieces that a dataset from `solution` stands for."""
        count = sum(str(name).startswith("weights_") for name in solution.data_vars)
        return self.pieces([np.asarray(solution[f"weights_{k}"]) for k in range(count)])

    def init(self) -> TrainingState:
        """Return the state at the first points of the first leg."""
        trial = self.trial(0, ())
        return self._begin(0, 0, trial.draw(self.seeds.stream("init")), (), np.empty((0, 2)))

    def step(self, state: TrainingState) -> tuple[TrainingState, Metrics]:
        """Take one step of the optimiser at hand, with new points where they are due."""
        stage = self.legs[state.leg].stages[state.stage]
        if state.step and stage.refresh and state.step % stage.refresh == 0:
            state = self._refresh(state)
        inner, metrics = state.optimizer.step(state.inner)
        new = replace(state, inner=inner, step=state.step + 1)
        over = new.step >= stage.steps or state.optimizer.done(metrics) is not None
        out = {"loss": float(metrics["objective"]), "leg": float(state.leg), "stage": float(state.stage)}
        end = over and state.stage == len(self.legs[state.leg].stages) - 1
        if end and self.legs[state.leg].kept:
            new = replace(new, checks=np.vstack([state.checks, [(2 * out["loss"]) ** 0.5, self._validate(new)]]))
        last = end and state.leg == len(self.legs) - 1
        found = {"validation": float(new.checks[:, 1].max()), "suspect": float(self._suspect(new))} if last else {}
        out |= {"over": float(last), "validation": 0.0, "suspect": 0.0, **found}
        return (new if last or not over else self._advance(new)), out

    def done(self, metrics: Metrics) -> Status | None:
        """Return how training ended: by an independent residual, never by the loss."""
        if not metrics["over"]:
            return None
        if metrics["suspect"]:
            return Status.INVALID
        return Status.CONVERGED if metrics["validation"] <= self.tolerance else Status.MAX_STEPS

    def _suspect(self, state: TrainingState) -> bool:
        """Return whether a leg trained far below its own validation residual: then it solves another problem."""
        training, validation = state.checks.T
        return bool(np.any((validation > np.maximum(30 * training, self.tolerance)) & (training < self.tolerance)))

    def solution(self, state: TrainingState) -> xr.Dataset:
        """Return the weights of all pieces, that under way included."""
        import xarray as xr

        weights = (*state.pieces, self._weights(state))
        kept = [leg for leg in self.legs if leg.kept][: len(weights)]
        data = {f"weights_{k}": (f"weight_{k}", w, {"units": "1"}) for k, w in enumerate(weights)}
        ends = {k: ("piece", [float(getattr(x, k)) for x in kept], {"units": "1"}) for k in ("since", "until")}
        return xr.Dataset({**data, **ends})

    def pack(self, state: TrainingState) -> dict[str, Array]:
        """Return the whole state as arrays."""
        out: dict[str, Array] = {
            k: np.asarray(getattr(state, k)) for k in ("leg", "stage", "step", "weights", "importance", "checks")
        }
        out |= {f"points/{k}": v for k, v in state.points.items()} | {
            f"piece/{k}": w for k, w in enumerate(state.pieces)
        }
        return out | {f"inner/{k}": v for k, v in state.optimizer.pack(state.inner).items()}

    def unpack(self, arrays: Mapping[str, Array]) -> TrainingState:
        """Inverse of `pack`."""

        def under(prefix: str) -> dict[str, Array]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        leg, stage, step = (int(arrays[k]) for k in ("leg", "stage", "step"))
        pieces = tuple(v for _, v in sorted(under("piece/").items(), key=lambda kv: int(kv[0])))
        points, importance, weights = under("points/"), arrays["importance"], arrays["weights"]
        method = self._optimizer(leg, stage, pieces, points, importance, weights)
        inner, checks = method.unpack(under("inner/")), arrays["checks"]
        return TrainingState(leg, stage, step, weights, points, importance, inner, pieces, checks, method)

    def _weights(self, state: TrainingState) -> Floats:
        return np.array(state.optimizer.pack(state.inner)["x"][: self.trial(state.leg, state.pieces).size])

    def _begin(
        self, leg: int, stage: int, weights: Floats, pieces: tuple[Floats, ...], checks: Floats
    ) -> TrainingState:
        points, importance = self._points(self.trial(leg, pieces), weights, f"points {leg} {stage} 0")
        method = self._optimizer(leg, stage, pieces, points, importance, weights)
        return TrainingState(leg, stage, 0, weights, points, importance, method.init(), pieces, checks, method)

    def _advance(self, state: TrainingState) -> TrainingState:
        weights = self._weights(state)
        if state.stage + 1 < len(self.legs[state.leg].stages):
            return self._begin(state.leg, state.stage + 1, weights, state.pieces, state.checks)
        pieces = (*state.pieces, weights) if self.legs[state.leg].kept else state.pieces
        size = self.trial(state.leg + 1, pieces).size
        if size != weights.size:  # another architecture: nothing to go on from
            weights = self.trial(state.leg + 1, pieces).draw(self.seeds.stream(f"init {state.leg + 1}"))
        return self._begin(state.leg + 1, 0, weights, pieces, state.checks)

    def _refresh(self, state: TrainingState) -> TrainingState:
        """Draw new points; a method that can keeps its curvature, any other starts afresh."""
        weights, trial = self._weights(state), self.trial(state.leg, state.pieces)
        points, importance = self._points(trial, weights, f"points {state.leg} {state.stage} {state.step}")
        method = self._optimizer(state.leg, state.stage, state.pieces, points, importance, weights)
        inner = method.adopt(state.inner) if hasattr(method, "adopt") else method.init()
        return replace(state, weights=weights, points=points, importance=importance, inner=inner, optimizer=method)

    def _points(self, trial: Trial, weights: Floats, stream: str) -> tuple[dict[str, Floats], Floats]:
        def residual(at: Mapping[str, Floats]) -> Floats:
            return residual_rms(trial, weights, at, self.scales)

        rng = self.seeds.stream(stream)
        points = self.sampling.draw(trial.system.coords, rng, residual if self.sampling.adaptive else None)
        importance = np.ones(len(next(iter(points.values()))))
        if self.sampling.causal:
            span = trial.system.coords["t"].bounds
            importance = causal_weights(points["t"], residual(points), span, self.sampling.causal, self.sampling.bins)
        return points, importance

    def _optimizer(
        self,
        leg: int,
        stage: int,
        pieces: tuple[Floats, ...],
        points: Mapping[str, Floats],
        importance: Floats,
        weights: Floats,
    ) -> Solver[Any]:
        loss = self._loss(self.trial(leg, pieces), points, importance, weights)
        plan = self.legs[leg].stages[stage]
        return optimizer(plan.method, loss, plan.options)

    def _loss(self, trial: Trial, points: Mapping[str, Floats], importance: Floats, weights: Floats) -> ResidualLoss:
        parts = [equation_part(trial, points, points=importance, scales=self.scales)]
        box = {k: v.bounds for k, v in trial.system.coords.items()}
        for i, condition in enumerate(trial.soft):
            draw = partial(sobol, count=128, rng=self.seeds.stream(f"face {i}"))
            parts.append(condition_part(condition, face_points(condition, box, draw), self.soft_weight))
        parts += list(self.parts(trial)) if self.parts else []
        return ResidualLoss(trial, parts, weights)

    def _validate(self, state: TrainingState) -> float:
        """Return the validation residual of the leg at hand, or that of its soft conditions if it is larger."""
        trial, weights = self.trial(state.leg, state.pieces), self._weights(state)
        return max(validation_residual(trial, weights, self.scales), soft_residual(trial, weights))


def _named(system: PDESystem) -> str:
    """Return what tells a system from its like in the name of a checkpoint."""
    inner = getattr(system, "base", system)
    name = f"{type(system).__name__}/{getattr(inner, 'name', type(inner).__name__)}"
    return f"{name}({','.join(f'{k}={v:g}' for k, v in inner.values.items())})"
