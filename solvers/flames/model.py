"""A solved flame as a differentiable map from all its parameters to what is observed, by the implicit function theorem.

The state solves ``F(U, p) = 0``; observables are ``g(U, p)``. With the factors of Newton's last matrix ``J = dF/dU``::

    dg  = g_U dU + g_p dp,   J dU = -F_p dp            one solve for a direction in the parameters
    p^  = g_p' y - F_p' w,   J' w = g_U' y             one solve for all parameters

Nothing is differenced: ``F_p`` comes from forward and reverse differentiation of the residual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.equations import Params
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Array, Space, Tree, Var
from retrodict.solvers.base import Status
from retrodict.solvers.bordered import Factors
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.flames.system import FlameSystem, parameters_of
from retrodict.solvers.newton import NewtonSettings, solve_steady

__all__ = ["FlameModel"]

Floats = NDArray[np.float64]
_SETTINGS = NewtonSettings(relative=1e-11, attempts=6)


@dataclass(frozen=True)
class FlameModel:
    """Observables of a flame as a Differentiable function of all parameters, on the nodes of a solution.

    Parameters
    ----------
    base : FlameSolution
        A converged flame; its nodes are kept, its parameters are where every solve starts.
    observables : sequence of str
        Speeds (``"s_L"``, ``"Lambda"``, ``"m"``) or profiles (``"T"``, ``"u"``, ``"V"``, ``"Y"``, ``"rho"``).
    x : ndarray, shape (k,), optional
        Where profiles are observed, m, by a cubic spline through the nodes; all nodes without it.

    Raises
    ------
    SolverError
        If the base did not converge.
    SpaceError
        If an observable is unknown, or a position outside the domain.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.solvers.flames.premixed import FreeFlame
    >>> gas = load_mechanism("h2o2.yaml")
    >>> flame = FreeFlame(gas, gas.composition("H2", "O2:1, AR:3.76", 1.0), 300.0, 101325.0, points=60).solve()
    >>> model = FlameModel(flame, ["s_L"])
    >>> speed, slope = model.linearize(model.nominal())
    >>> rates = slope.adjoint({"s_L": np.array(1 / speed["s_L"])})
    >>> bool(abs(rates["ln_A"].sum() + rates["ln_A_low"].sum() - 0.5) < 0.1)
    True
    """

    base: FlameSolution
    observables: Sequence[str]
    x: Floats | None = None

    def __post_init__(self) -> None:
        known = self.base.required("FlameModel.base").observables()
        unknown = [n for n in self.observables if n not in known]
        if unknown or not self.observables:
            raise SpaceError(expected("FlameModel.observables", list(self.observables), f"names among {sorted(known)}"))
        nodes = self.base.equations.x.numpy()
        if self.x is not None and not (np.min(self.x) >= nodes[0] and np.max(self.x) <= nodes[-1]):
            raise SpaceError(expected("FlameModel.x", self.x, f"positions in [{nodes[0]}, {nodes[-1]}] m"))

    @cached_property
    def domain(self) -> Space:
        """All parameters of the mechanism and the conditions."""
        return parameters_of(self.base.equations)

    @cached_property
    def range(self) -> Space:
        """The observables, profiles over ``x``."""
        dataset = self.base.dataset()
        species = self.base.equations.mechanism.K
        points = self.base.equations.x.numel() if self.x is None else len(self.x)
        variables = {}
        for name in self.observables:
            dims = tuple(str(d) for d in dataset[name].dims)
            shape = tuple({"x": points, "species": species}[d] for d in dims)
            units, long_name = dataset[name].attrs["units"], dataset[name].attrs["long_name"]
            variables[name] = Var(dims, shape, units=units, long_name=long_name)
        return Space(variables)

    def nominal(self) -> dict[str, Array]:
        """Return the parameters of the base."""
        return {k: v.detach().numpy() for k, v in self.base.params.items()}

    def solve(self, params: Tree) -> FlameSolution:
        """Return the flame for other parameters on the same nodes; failure is a status."""
        tensors = {k: torch.as_tensor(v) for k, v in self.domain.check(params, "params").items()}
        system = FlameSystem(self.base.equations, tensors)
        ended = solve_steady(system, self.base.U, self.base.z, _SETTINGS)
        return replace(self.base, params=tensors, U=ended.U, z=ended.z, status=ended.status, reason=ended.reason)

    def apply(self, params: Tree) -> dict[str, Array]:
        """Return the observables; NaN where no flame was found.

        Raises
        ------
        SpaceError
            If the parameters do not belong to the domain.
        """
        return self._seen(self.solve(params))

    def linearize(self, params: Tree) -> tuple[dict[str, Array], Operator]:
        """Return the observables and their derivative by all parameters.

        A tangent may leave variables out: they rest. If no flame was found, data and derivative are NaN.

        Raises
        ------
        SpaceError
            If the parameters do not belong to the domain.
        """
        solved = self.solve(params)
        line = _Linearisation(self, solved)
        return self._seen(solved), Operator(self.domain, self.range, line.forward, line.transpose)

    def observe(self, params: Params, U: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Return the observables of a state, as tensors."""
        seen = self.base.equations.observables(params, U, z)
        weights = self._interpolation
        return {n: seen[n] if weights is None or seen[n].ndim == 0 else weights @ seen[n] for n in self.observables}

    @cached_property
    def _interpolation(self) -> Tensor | None:
        if self.x is None:
            return None
        nodes = self.base.equations.x.numpy()
        return torch.as_tensor(CubicSpline(nodes, np.eye(nodes.size))(self.x))

    def _seen(self, solved: FlameSolution) -> dict[str, Array]:
        if solved.status is not Status.CONVERGED:
            return {n: np.full(v.shape, np.nan) for n, v in self.range.items()}
        with torch.no_grad():
            seen = self.observe(solved.params, torch.as_tensor(solved.U), torch.as_tensor(solved.z))
        return {n: v.numpy() for n, v in seen.items()}


class _Linearisation:
    """Derivative at one solved flame; the matrix is factored once, when it is first asked for."""

    def __init__(self, model: FlameModel, solved: FlameSolution) -> None:
        self.model, self.solved, self.system = model, solved, solved.system

    @cached_property
    def factors(self) -> Factors:
        return self.system.linearised(self.solved.U, self.solved.z)[2].factor()

    @cached_property
    def state(self) -> tuple[Tensor, Tensor]:
        return torch.as_tensor(self.solved.U), torch.as_tensor(self.solved.z)

    def forward(self, dp: Tree) -> dict[str, Array]:
        if self.solved.status is not Status.CONVERGED:
            return {n: np.full(v.shape, np.nan) for n, v in self.model.range.items()}
        F, f = self.system.along_parameters(self.solved.U, self.solved.z, dp)
        dU, dz = self.factors.solve(-F, -f, corrections=2)
        moving = {k: torch.as_tensor(np.asarray(v, dtype=float)) for k, v in dp.items()}

        def observe(chosen: Params, U: Tensor, z: Tensor) -> dict[str, Tensor]:
            return self.model.observe({**self.solved.params, **chosen}, U, z)

        at = ({k: self.solved.params[k] for k in moving}, *self.state)
        tangent = torch.func.jvp(observe, at, (moving, torch.as_tensor(dU), torch.as_tensor(dz)))[1]
        return {n: v.detach().numpy() for n, v in tangent.items()}

    def transpose(self, y: Mapping[str, Array]) -> dict[str, Array]:
        if self.solved.status is not Status.CONVERGED:
            return {n: np.full(v.shape, np.nan) for n, v in self.model.domain.items()}
        leaves = {k: v.detach().clone().requires_grad_() for k, v in self.solved.params.items()}
        U, z = (s.clone().requires_grad_() for s in self.state)
        seen = self.model.observe(leaves, U, z)
        cost = sum((torch.as_tensor(np.asarray(y[n], dtype=float)) * v).sum() for n, v in seen.items())
        assert isinstance(cost, Tensor)
        inputs = [U, z, *leaves.values()]
        slopes = torch.autograd.grad(cost, inputs, allow_unused=True)
        g_U, g_z, *g_p = (torch.zeros_like(i) if g is None else g for i, g in zip(inputs, slopes, strict=True))
        w, v = self.factors.solve_transposed(g_U.numpy(), g_z.numpy(), corrections=2)
        by_p = self.system.by_parameters(self.solved.U, self.solved.z, w, v)
        return {k: (g - by_p[k]).numpy() for k, g in zip(leaves, g_p, strict=True)}
