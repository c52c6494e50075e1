"""Residuals that are affine in the fields, taken apart: coefficients of every derivative, and the rest.

Residuals act point by point, so that one evaluation with a single derivative set to one yields its coefficient
everywhere. Nothing is assumed of the system but linearity, and that is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import Derivatives, Field, Key, PDESystem, Value, nested_derivatives
from retrodict.solvers.pinn.constraints import Ansatz
from retrodict.solvers.pinn.jets import JetNetwork, closure
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.parts import Residual

__all__ = ["Affine", "affine_parts", "basis_derivatives", "check_affine"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """A residual ``sum_k a_k d_k + s`` at points.

    Parameters
    ----------
    coefficients : ndarray, shape (residuals, keys, n)
        The a.
    rest : ndarray, shape (residuals, n)
        The s.
    """

    coefficients: Floats
    rest: Floats

    def __call__(self, derivatives: Floats) -> Floats:
        """Return the residuals, shape (residuals, n), of derivatives of shape (keys, n)."""
        return np.asarray(np.einsum("ekn,kn->en", self.coefficients, derivatives) + self.rest)

    def same_matrix(self, other: Affine) -> bool:
        """Tell whether the coefficients agree to rounding."""
        a, b = self.coefficients, other.coefficients
        return bool(np.abs(a - b).max(initial=0.0) <= 1e-13 * np.abs(a).max(initial=0.0))

    def same(self, other: Affine) -> bool:
        """Tell whether coefficients and rest agree to rounding."""
        gap = np.abs(self.rest - other.rest).max(initial=0.0)
        return self.same_matrix(other) and bool(gap <= 1e-14 * np.abs(self.rest).max(initial=0.0))


def affine_parts(
    residual: Residual, wanted: Sequence[Key], coords: Mapping[str, Floats], values: Mapping[str, float]
) -> Affine:
    """Return the coefficients of an affine residual at points.

    Parameters
    ----------
    residual : callable
        ``(d, coords, params) -> {name: Tensor of shape (n,)}``, affine in ``d``.
    wanted : sequence of Key
        Derivatives that it needs.
    coords : Mapping of str to ndarray
        Points, each of shape (n,).
    values : Mapping of str to float
        Coefficients of the system.

    Returns
    -------
    Affine
        At those points.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> system = convection(3.0)
    >>> at = {"t": np.zeros(1), "x": np.zeros(1)}
    >>> affine_parts(system.residuals, system.derivatives, at, system.values).coefficients.ravel().tolist()
    [0.0, 1.0, 3.0]
    """
    count = len(next(iter(coords.values())))
    rest = _evaluated(residual, wanted, np.zeros((len(wanted), count)), coords, values)
    parts = []
    for i in range(len(wanted)):
        unit = np.zeros((len(wanted), count))
        unit[i] = 1.0
        parts.append(_evaluated(residual, wanted, unit, coords, values) - rest)
    return Affine(np.stack(parts, 1), rest)


def _evaluated(
    residual: Residual, wanted: Sequence[Key], d: Floats, coords: Mapping[str, Floats], values: Mapping[str, float]
) -> Floats:
    at = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in coords.items()}
    rows = residual(Derivatives(dict(zip(wanted, torch.from_numpy(d), strict=True))), at, _params(values))
    return np.stack([r.detach().numpy() for r in rows.values()])


def _params(values: Mapping[str, float]) -> dict[str, Tensor]:
    return {k: torch.tensor(v, dtype=torch.float64) for k, v in values.items()}


def check_affine(system: PDESystem, values: Mapping[str, float], *, seed: int = 0) -> None:
    """Refuse a system whose residual is not affine in its fields.

    Parameters
    ----------
    system : PDESystem
        What to test, at random points with random fields, small and large.
    values : Mapping of str to float
        Its coefficients.
    seed : int, optional
        Of the random numbers.

    Raises
    ------
    SolverError
        If an equation is not affine or not finite.

    Examples
    --------
    >>> from retrodict.physics.pde.burgers import burgers
    >>> check_affine(burgers(0.1), burgers(0.1).values)
    Traceback (most recent call last):
        ...
    retrodict.physics.errors.SolverError: burgers: got a residual that is not affine in u, expected a linear system
    """
    rng, count, wanted = np.random.default_rng(seed), 32, tuple(system.derivatives)
    coords = {k: rng.uniform(*v.bounds, count) for k, v in system.coords.items()}

    def rows(d: Floats) -> Floats:
        return _evaluated(system.residuals, wanted, d, coords, values)

    zeros = Derivatives({k: torch.zeros(count, dtype=torch.float64) for k in wanted})
    at = {k: torch.from_numpy(v) for k, v in coords.items()}
    names = list(system.residuals(zeros, at, _params(values)))
    for size in (1e-2, 1.0, 1e2):
        a, b = size * rng.standard_normal((2, len(wanted), count))
        share = rng.uniform(-2.0, 2.0)
        mixed, ra, rb = rows(share * a + (1 - share) * b), rows(a), rows(b)
        if not np.isfinite([mixed, ra, rb]).all():
            raise SolverError(expected(", ".join(names), "a residual that is not finite", "numbers for any fields"))
        gap = np.abs(mixed - share * ra - (1 - share) * rb).max(1)
        # a source that is much larger than the fields must not hide what they do
        allowed = 1e-9 * (np.abs(ra - rows(0 * a)).max(1) + 1e-6 * np.abs(ra).max(1))
        if bad := [n for n, g, limit in zip(names, gap, allowed, strict=True) if not g <= limit]:
            got = f"a residual that is not affine in {', '.join(system.fields)}"
            raise SolverError(expected(", ".join(bad), got, "a linear system"))


def basis_derivatives(
    network: Network, weights: Tensor, ansatz: Mapping[str, Ansatz], coords: Mapping[str, Floats], wanted: Sequence[Key]
) -> Floats:
    """Return derivatives of ``B phi_j`` at points for all hidden units of one layer, and for a constant behind them.

    Parameters
    ----------
    network : Network
        Of one hidden layer.
    weights : Tensor, shape (size,)
        Its weights; those of the last layer do not matter.
    ansatz : Mapping of str to Ansatz
        Gives B by field.
    coords : Mapping of str to ndarray
        Points, each of shape (n,).
    wanted : sequence of Key
        Derivatives wanted.

    Returns
    -------
    ndarray, shape (keys, n, width + 1)
        By the product rule.
    """
    at = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in coords.items()}
    jets = JetNetwork(network, [k[1:] for k in wanted])
    _, layers = jets.forward(weights, jets.inputs(at))
    hidden = layers[-1].inputs
    constant = torch.zeros_like(hidden[:, :, :1])
    constant[0] = 1.0
    phi = torch.cat([hidden, constant], -1)
    channel = {index: i for i, index in enumerate(jets.indices)}
    out = phi.new_zeros(len(wanted), *phi.shape[1:])
    for name in {k[0] for k in wanted}:
        parts = [("B", *p) for p in closure([k[1:] for k in wanted if k[0] == name])]
        factor = nested_derivatives(_alone(ansatz[name].factor), at, parts)
        for i, index in ((i, k[1:]) for i, k in enumerate(wanted) if k[0] == name):
            for part in closure([index]):
                b = factor[("B", *part)].detach()
                if bool((b != 0).any()):
                    count = prod(comb(index.count(c), part.count(c)) for c in set(index))
                    out[i].addcmul_(phi[channel[_without(index, part)]], count * b[:, None])
    return out.numpy()


def _alone(factor: Value) -> Field:
    return lambda coords: {"B": factor(coords)}


def _without(index: tuple[str, ...], part: tuple[str, ...]) -> tuple[str, ...]:
    rest = list(index)
    for coord in part:
        rest.remove(coord)
    return tuple(rest)
