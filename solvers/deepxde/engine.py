"""One DeepXDE model of one system: built from points, advanced by its own optimisers, and packed whole."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array
from retrodict.physics.system import Derivatives
from retrodict.solvers.deepxde.conditions import SoftCondition, geometry_of, soft_conditions
from retrodict.solvers.deepxde.fields import constrain, inputs_of, residual_of
from retrodict.solvers.deepxde.optimizers import as_array, pack_optimizer, unpack_optimizer

if TYPE_CHECKING:
    from retrodict.solvers.deepxde.problem import DeepXDEProblem

__all__ = ["Engine", "sample"]

NAMES = {"adam": "adam", "l-bfgs": "L-BFGS", "nncg": "NNCG"}


def sample(dde: Any, problem: DeepXDEProblem) -> Array:
    """Return collocation points drawn by DeepXDE, shape (n, dim), in its precision.

    Parameters
    ----------
    dde : module
        The library, within a seeded session.
    problem : DeepXDEProblem
        What to draw for.

    Returns
    -------
    ndarray
        Points inside, on faces and where time begins.
    """
    setup = problem.setup
    counts = {"num_domain": setup.domain, "num_boundary": setup.boundary}
    if problem.axes.time is not None:
        counts["num_initial"] = setup.initial
    data = _data(dde, problem, [], lambda _x, y: y, train_distribution=setup.distribution, **counts)
    return np.array(data.train_x_all)


def _data(dde: Any, problem: DeepXDEProblem, terms: list[Any], equations: Any, **points: Any) -> Any:
    axes = problem.axes
    kind = dde.data.PDE if axes.time is None else dde.data.TimePDE
    return kind(geometry_of(dde, axes), equations, terms, **points)


class Engine:
    """A model, its data, and the coefficients it trains.

    Parameters
    ----------
    dde : module
        The library, within a session; a seeded one where the starting weights count.
    problem : DeepXDEProblem
        What to solve.
    points : ndarray, shape (n, dim)
        Collocation points.

    Raises
    ------
    SolverError
        If a condition got no point.
    """

    def __init__(self, dde: Any, problem: DeepXDEProblem, points: Array) -> None:
        setup, axes = problem.setup, problem.axes
        self.problem, self.points, self.method, self._axes = problem, points, "", axes
        real = getattr(torch, setup.precision)
        self.unknown = {k: dde.Variable(float(v), dtype=real) for k, v in problem.unknown.items()}
        params = {k: torch.tensor(v, dtype=real) for k, v in axes.system.values.items()} | self.unknown
        self.terms = soft_conditions(dde, axes, geometry_of(dde, axes), setup.hard) + _observed(dde, problem)
        self.equations = _equation_names(problem)
        equations = residual_of(dde, axes, params, self.equations)
        self.data = _data(dde, problem, [t.term for t in self.terms], equations, anchors=points)
        for term, count in zip(self.terms, self.data.num_bcs, strict=True):
            if not count:
                wanted = "more of them: raise `initial` or `boundary`"
                raise SolverError(expected(f"DeepXDE: {term.name}", "no collocation point", wanted))
        inputs = inputs_of(axes).size if setup.hard else len(axes.names)
        widths = [inputs, *[setup.width] * setup.depth, len(axes.system.fields)]
        self.net = dde.nn.FNN(widths, "tanh", "Glorot normal")
        if setup.hard:
            constrain(self.net, axes)
        self.model = dde.Model(self.data, self.net)

    @property
    def names(self) -> tuple[str, ...]:
        """Terms of the loss, in DeepXDE's order."""
        return (*self.equations, *(t.name for t in self.terms))

    def choose(self, method: str) -> None:
        """Compile the model for a method, with a fresh optimiser; nothing happens if it is the one at work."""
        if method == self.method:
            return
        setup = self.problem.setup
        kinds = dict(zip(("equation", "initial", "boundary"), setup.weights, strict=True)) | {"data": setup.data_weight}
        order = ["equation"] * len(self.equations) + [t.kind for t in self.terms]
        weights = [setup.scale * kinds[k] for k in order]
        rate = {"lr": setup.rate} if method == "adam" else {}
        variables = list(self.unknown.values()) or None
        self.model.compile(
            NAMES[method], loss_weights=weights, external_trainable_variables=variables, verbose=0, **rate
        )
        if method == "l-bfgs":
            # with its own tolerances it stops as soon as the loss is small, and in single precision at once
            self.model.opt.param_groups[0].update(tolerance_grad=0.0, tolerance_change=0.0, history_size=setup.memory)
        self.method = method

    def advance(self, iterations: int, deadline: float | None = None) -> int:
        """Take iterations of the method at work.

        Parameters
        ----------
        iterations : int
            How many.
        deadline : float, optional
            By ``time.perf_counter``: none begins after it, except within one call of L-BFGS.

        Returns
        -------
        int
            How many were taken.
        """
        batch = self.data.train_next_batch()
        if self.method == "l-bfgs":
            group = self.model.opt.param_groups[0]
            # the bound on evaluations is shared by the line searches of a call: wide enough to cut none short
            group.update(max_iter=iterations, max_eval=2 * iterations + 25)
            before = self._lbfgs_count()
            self.model.train_step(*batch)
            return self._lbfgs_count() - before
        with warnings.catch_warnings():
            # its Newton-CG asks a loss with a graph for its number
            warnings.filterwarnings("ignore", "Converting a tensor with requires_grad=True", UserWarning)
            for i in range(iterations):
                if deadline is not None and i and time.perf_counter() >= deadline:
                    return i
                try:
                    self.model.train_step(*batch)
                except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
                    # its Newton-CG cannot factorise far from a minimum; weights are as they were
                    return i
        return iterations

    def _lbfgs_count(self) -> int:
        state = self.model.opt.state_dict()["state"]
        return int(state[0]["n_iter"]) if state else 0

    def losses(self) -> dict[str, float]:
        """Return the weighted terms of the loss as DeepXDE computes them, without `scale`."""
        values = self.model.outputs_losses_train(*self.data.train_next_batch())[1].detach().cpu()
        return dict(zip(self.names, (float(v) / self.problem.setup.scale for v in values), strict=True))

    def predict(self, coords: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
        """Return the fields at points, each of shape (n,)."""
        points = self._axes.join(coords)
        blocks = np.array_split(points, max(1, len(points) // 20_000 + 1))
        values = np.concatenate([np.asarray(self.model.predict(b), dtype=np.float64) for b in blocks])
        return {name: values[:, i] for i, name in enumerate(self._axes.system.fields)}

    def coefficients(self) -> dict[str, float]:
        """Return the unknown coefficients as they are."""
        return {k: float(v.detach()) for k, v in self.unknown.items()}

    def pack(self) -> dict[str, Array]:
        """Return weights, coefficients, points and the optimiser's state: all that training goes on from."""
        out = {f"net/{k}": as_array(v) for k, v in self.net.state_dict().items()}
        out |= {f"unknown/{k}": as_array(v) for k, v in self.unknown.items()}
        out |= {f"optimizer/{k}": v for k, v in pack_optimizer(self.model.opt).items()} if self.method else {}
        return out | {"points": self.points.copy()}

    def restore(self, arrays: Mapping[str, Array], method: str) -> None:
        """Take over what `pack` returned; the points must be those that the engine was built with."""
        self.method = ""
        self.choose(method)
        with torch.no_grad():
            for k, v in self.net.state_dict().items():
                v.copy_(torch.from_numpy(arrays[f"net/{k}"].copy()))
            for k, variable in self.unknown.items():
                variable.copy_(torch.from_numpy(arrays[f"unknown/{k}"].copy()))
        mine = {k.removeprefix("optimizer/"): v for k, v in arrays.items() if k.startswith("optimizer/")}
        unpack_optimizer(self.model.opt, mine)


def _equation_names(problem: DeepXDEProblem) -> tuple[str, ...]:
    """Return the names of the residuals, from one evaluation at one point."""
    system = problem.axes.system
    at = {k: torch.tensor([0.5 * sum(v.bounds)], dtype=torch.float64) for k, v in system.coords.items()}
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}
    d = Derivatives({k: torch.full((1,), 0.1, dtype=torch.float64) for k in system.derivatives})
    return tuple(system.residuals(d, at, params))


def _observed(dde: Any, problem: DeepXDEProblem) -> list[SoftCondition]:
    if problem.observations is None:
        return []
    points, out = problem.axes.join(problem.observations), []
    for i, name in enumerate(problem.axes.system.fields):
        if name in problem.observations:
            values = np.asarray(problem.observations[name], dtype=np.float64)[:, None]
            out.append(SoftCondition(f"observed {name}", "data", dde.icbc.PointSetBC(points, values, component=i)))
    return out
