"""DeepXDE as a step-wise solver that owns its whole state."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Status
from retrodict.solvers.deepxde.engine import Engine, sample
from retrodict.solvers.deepxde.problem import DeepXDEProblem
from retrodict.solvers.deepxde.session import session

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DeepXDEState", "DeepXDETrainer"]


@dataclass(frozen=True, eq=False)
class DeepXDEState:
    """Where training stands.

    Parameters
    ----------
    iteration : int
        Iterations taken.
    arrays : Mapping of str to ndarray
        Weights, coefficients, points, and the optimiser's state.
    """

    iteration: int
    arrays: Mapping[str, Array]


class DeepXDETrainer:
    """DeepXDE as a step-wise solver; one step is ``setup.every`` iterations.

    Parameters
    ----------
    problem : DeepXDEProblem
        What to solve, and how.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.iterate import iterate
    >>> from retrodict.solvers.deepxde.problem import DeepXDESetup
    >>> setup = DeepXDESetup(width=4, depth=1, domain=20, boundary=8, initial=8, every=2)
    >>> result = iterate(DeepXDETrainer(DeepXDEProblem(convection(1.0), setup)), 3)
    >>> result.status.value, result.best["iteration"]
    ('max-steps', 6.0)
    """

    def __init__(self, problem: DeepXDEProblem) -> None:
        self.problem = problem
        self._engine: Engine | None = None
        self._live: DeepXDEState | None = None

    @property
    def name(self) -> str:
        """Method, system, size and seed."""
        return self.problem.name

    def _session(self, iteration: int) -> AbstractContextManager[Any]:
        setup = self.problem.setup
        # a seed for every step: Newton-CG draws as it goes, and its draws must not depend on where a run was resumed
        seed = int(np.random.SeedSequence([setup.seed, iteration]).generate_state(1)[0])
        return session(setup.precision, device=setup.device, seed=seed, nncg=setup.newton)

    def init(self) -> DeepXDEState:
        """Return the state with DeepXDE's own points and weights."""
        with self._session(0) as dde:
            engine = Engine(dde, self.problem, sample(dde, self.problem))
            engine.choose(self.problem.setup.method(0))
            return self._keep(engine, 0)

    def step(self, state: DeepXDEState) -> tuple[DeepXDEState, Metrics]:
        """Take iterations of the method at work; none crosses the switch from one to the next."""
        return self.advance(state, self.problem.setup.every)

    def advance(
        self, state: DeepXDEState, iterations: int, deadline: float | None = None
    ) -> tuple[DeepXDEState, dict[str, float]]:
        """Take a number of iterations, fewer where the method changes, stalls, or a deadline passes.

        Parameters
        ----------
        state : DeepXDEState
            Where to begin.
        iterations : int
            How many.
        deadline : float, optional
            By ``time.perf_counter``.

        Returns
        -------
        state : DeepXDEState
            Where it ended.
        metrics : dict of str to float
            The loss and its terms, unknown coefficients, iterations, and whether weights stood still.
        """
        setup = self.problem.setup
        left = setup.until_switch(state.iteration)
        engine = self._load(state)
        self._live = None  # until it is known where the engine stands
        # seeded after the engine was made, which draws too
        with self._session(state.iteration):
            engine.choose(setup.method(state.iteration))
            taken = engine.advance(iterations if left is None else min(left, iterations), deadline)
            terms = engine.losses()
            # one at least, or a method that finds no step would be asked for ever
            new = self._keep(engine, state.iteration + max(taken, 1))
        trained = [k for k in state.arrays if k.startswith(("net/", "unknown/"))]
        still = all(np.array_equal(state.arrays[k], new.arrays[k]) for k in trained)
        found = {f"unknown {k}": v for k, v in engine.coefficients().items()}
        loss = {"loss": sum(terms.values()), **terms}
        return new, {**loss, **found, "iteration": float(new.iteration), "still": float(still)}

    def done(self, metrics: Metrics) -> Status | None:
        """Return ``stalled`` where an optimiser finds no step, ``failed`` where Newton-CG cannot look for one."""
        if not metrics["still"]:
            return None
        return Status.FAILED if self.problem.setup.method(int(metrics["iteration"]) - 1) == "nncg" else Status.STALLED

    def solution(self, state: DeepXDEState) -> xr.Dataset:
        """Return the weights, and coefficients with their units."""
        import xarray as xr

        layers = {k.removeprefix("net/"): v for k, v in state.arrays.items() if k.startswith("net/")}
        data: dict[str, Any] = {
            name: ([f"{name}_{i}" for i in range(v.ndim)], v, {"units": "1"}) for name, v in layers.items()
        }
        for k in self.problem.unknown:
            data[k] = ((), state.arrays[f"unknown/{k}"], {"units": self.problem.system.params[k].units})
        return xr.Dataset(data)

    def predict(self, state: DeepXDEState, coords: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
        """Return the fields of a state at points.

        Parameters
        ----------
        state : DeepXDEState
            Whose fields.
        coords : Mapping of str to ndarray
            Points, each of shape (n,).

        Returns
        -------
        dict of str to ndarray
            Each of shape (n,).
        """
        engine = self._load(state)
        with self._session(state.iteration):
            return engine.predict(coords)

    def coefficients(self, state: DeepXDEState) -> dict[str, float]:
        """Return the unknown coefficients of a state."""
        return {k: float(state.arrays[f"unknown/{k}"]) for k in self.problem.unknown}

    def pack(self, state: DeepXDEState) -> dict[str, Array]:
        """Return the whole state as arrays."""
        return {"iteration": np.array(state.iteration), **state.arrays}

    def unpack(self, arrays: Mapping[str, Array]) -> DeepXDEState:
        """Inverse of `pack`."""
        return DeepXDEState(int(arrays["iteration"]), {k: v for k, v in arrays.items() if k != "iteration"})

    def _keep(self, engine: Engine, iteration: int) -> DeepXDEState:
        self._engine, self._live = engine, DeepXDEState(iteration, engine.pack())
        return self._live

    def _load(self, state: DeepXDEState) -> Engine:
        """Return the engine at a state; it is there already where the state is the last one made."""
        if self._engine is not None and self._live is state:
            return self._engine
        points = state.arrays["points"]
        with self._session(state.iteration) as dde:
            if self._engine is None or not np.array_equal(points, self._engine.points):
                self._engine = Engine(dde, self.problem, points)
            # the state of the method that made it, which the next step may replace
            self._engine.restore(state.arrays, self.problem.setup.method(max(state.iteration - 1, 0)))
        self._live = state
        return self._engine
