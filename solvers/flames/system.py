"""A flame at given parameters as a system for `retrodict.solvers.newton`: the border between tensors and arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.flames.equations import FlameEquations, Params
from retrodict.physics.spaces import Space, Tree
from retrodict.solvers.bordered import BorderedBand
from retrodict.solvers.newton import Tolerances

__all__ = ["FlameSystem", "parameters_of"]

Floats = NDArray[np.float64]


def parameters_of(equations: FlameEquations) -> Space:
    """Return the space of all parameters of a flame: those of the mechanism and the conditions.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.physics.flames.premixed import PremixedEquations
    >>> space = parameters_of(PremixedEquations(load_mechanism("h2o2.yaml"), torch.linspace(0, 1, 4)))
    >>> {"ln_A", "T_in"} <= set(space)
    True
    """
    return Space({**equations.mechanism.domain, **equations.conditions})


@dataclass(frozen=True)
class FlameSystem:
    """Equations with their parameters.

    Parameters
    ----------
    equations : FlameEquations
        A flame on nodes.
    params : dict of str to Tensor
        Of the mechanism and the conditions.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.physics.flames.premixed import PremixedEquations
    >>> gas = load_mechanism("h2o2.yaml")
    >>> Y = torch.as_tensor(gas.composition("H2", "O2:1, N2:3.76", 1.0))
    >>> conditions = {"T_in": torch.tensor(300.0).double(), "p": torch.tensor(101325.0).double(), "Y_in": Y}
    >>> cold = PremixedEquations(gas, torch.linspace(0, 0.01, 4, dtype=torch.float64))
    >>> system = FlameSystem(cold, {**gas.tensors(), **conditions, "m": torch.tensor(0.5).double()})
    >>> U = torch.cat([torch.full((4, 1), 300.0).double(), Y.expand(4, -1)], 1).numpy()
    >>> bool(np.abs(system.residual(U, np.zeros(0))[0]).max() < 1e-9)
    True
    """

    equations: FlameEquations
    params: Params

    @property
    def tolerances(self) -> Tolerances:
        """Bounds and sizes of the unknowns."""
        limits = self.equations.limits
        names = ("lower", "upper", "change", "small", "scalar_change", "scalar_small")
        return Tolerances(*(np.array(getattr(limits, n)) for n in names))

    def residual(self, U: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return what the equations leave over."""
        with torch.no_grad():
            F, f = self.equations.residual(self.params, torch.as_tensor(U), torch.as_tensor(z))
        return F.numpy(), f.numpy()

    def linearised(self, U: Floats, z: Floats) -> tuple[Floats, Floats, BorderedBand]:
        """Return the residual and the Jacobian."""
        with torch.no_grad():
            at = self.equations.linearised(self.params, torch.as_tensor(U), torch.as_tensor(z))
        blocks = (at.lower, at.diagonal, at.upper, at.columns, at.rows, at.corner)
        return at.F.numpy(), at.f.numpy(), BorderedBand(*(b.numpy() for b in blocks))

    def inertia(self, U: Floats) -> Floats:
        """Return the factors of the rates of change."""
        with torch.no_grad():
            return np.asarray(self.equations.inertia(self.params, torch.as_tensor(U)).numpy())

    def by_parameters(self, U: Floats, z: Floats, left: Floats, left_scalars: Floats) -> dict[str, Tensor]:
        """Return ``left' dF/dp + left_scalars' df/dp`` for every parameter, by one reverse pass."""
        leaves = {k: v.detach().clone().requires_grad_() for k, v in self.params.items()}
        F, f = self.equations.residual(leaves, torch.as_tensor(U), torch.as_tensor(z))
        scalar = (F * torch.as_tensor(left)).sum() + (f * torch.as_tensor(left_scalars)).sum()
        return _gradients(scalar, leaves)

    def along_parameters(self, U: Floats, z: Floats, tangent: Tree) -> tuple[Floats, Floats]:
        """Return ``dF/dp v`` and ``df/dp v`` by one forward pass."""
        state = torch.as_tensor(U), torch.as_tensor(z)
        moving = {k: torch.as_tensor(np.asarray(v, dtype=float)) for k, v in tangent.items()}

        def of(chosen: Params) -> tuple[Tensor, Tensor]:
            return self.equations.residual({**self.params, **chosen}, *state)

        F, f = torch.func.jvp(of, ({k: self.params[k] for k in moving},), (moving,))[1]
        return F.detach().numpy(), f.detach().numpy()


def _gradients(scalar: Tensor, leaves: Params) -> dict[str, Tensor]:
    slopes = torch.autograd.grad(scalar, list(leaves.values()), allow_unused=True)
    return {k: torch.zeros_like(v) if g is None else g for (k, v), g in zip(leaves.items(), slopes, strict=True)}
