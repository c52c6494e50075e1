"""The Hessian of a residual loss: its product with a vector, the whole of it, its leading eigenpairs and its trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Tree
from retrodict.physics.system import nested_derivatives
from retrodict.solvers.pinn.loss import ResidualLoss

__all__ = [
    "Eigenpairs",
    "TraceEstimate",
    "dense_hessian",
    "hessian_product",
    "hutchinson_trace",
    "lanczos",
    "plain_loss",
]

Floats = NDArray[np.float64]
Product = Callable[[Floats], Floats]
"""A symmetric matrix as what it does to a vector of shape (n,)."""


def _tree(loss: ResidualLoss, weights: Floats) -> Tree:
    return loss.space.unpack(np.asarray(weights, float))


def plain_loss(loss: ResidualLoss, weights: Tensor) -> Tensor:
    """Return the loss by plain torch from fields and nested derivatives: slow, but differentiable any number of times.

    Parameters
    ----------
    loss : ResidualLoss
        Without unknown coefficients.
    weights : Tensor, shape (n,)
        Weights of the trial.

    Returns
    -------
    Tensor
        A scalar with a graph behind it.

    Raises
    ------
    SolverError
        If the loss has unknown coefficients.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.parts import equation_part
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(2.0), separate_networks(convection(2.0), 4, 1))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], trial.draw(np.random.default_rng(0)))
    >>> weights = torch.tensor(loss.start["weights"], requires_grad=True)
    >>> bool(np.isclose(plain_loss(loss, weights).item(), loss.value(loss.start)))
    True
    """
    if loss.unknown:
        raise SolverError(expected("plain_loss", f"unknowns {sorted(loss.unknown)}", "known coefficients"))
    trial, total = loss.trial, weights.new_zeros(())
    params = {k: trial.tensor(v) for k, v in trial.system.values.items()}
    for part in loss.parts:
        coords = {k: trial.tensor(part.coords[k]) for k in trial.system.coords}
        d = nested_derivatives(lambda c: trial.fields(weights, c), coords, part.wanted)
        count = len(next(iter(coords.values()))) // part.stencil
        share = trial.tensor(np.ones(count) if part.points is None else part.points) * (part.weight / count)
        for name, r in part.residual(d, coords, params).items():
            total = total + 0.5 * part.scales.get(name, 1.0) ** 2 * (share * r.view(-1, count) ** 2).sum()
    return total


def hessian_product(
    loss: ResidualLoss, weights: Floats, *, method: Literal["difference", "nested"] = "difference", step: float = 3e-5
) -> Product:
    """Return the Hessian of a loss as a function of a vector.

    Parameters
    ----------
    loss : ResidualLoss
        What to differentiate twice.
    weights : ndarray, shape (n,)
        Where.
    method : {"difference", "nested"}, optional
        Fourth-order central differences of the exact gradient, four gradients a product, or nested automatic
        differentiation, exact and many times slower.
    step : float, optional
        Length of a difference. On labels that crowd, a loss turns over distances of 1e-3: long steps are wrong first.

    Returns
    -------
    callable
        Vector to product, both of shape (n,).

    Raises
    ------
    SolverError
        If the method is unknown.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.parts import equation_part
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(2.0), separate_networks(convection(2.0), 4, 1))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], trial.draw(np.random.default_rng(0)))
    >>> at, v = loss.start["weights"], np.ones(trial.size)
    >>> pair = [hessian_product(loss, at, method=m)(v) for m in ("difference", "nested")]
    >>> bool(np.allclose(*pair, rtol=1e-8, atol=1e-10))
    True
    """
    at = np.asarray(weights, float)
    if method == "nested":
        return _nested(loss, at)
    if method != "difference":
        raise SolverError(expected("hessian_product", repr(method), "'difference' or 'nested'"))

    def gradient(x: Floats) -> Floats:
        return np.asarray(loss.space.pack(loss.gradient(_tree(loss, x))), dtype=np.float64)

    def product(v: Floats) -> Floats:
        size = float(np.linalg.norm(v))
        if size == 0:
            return np.zeros_like(at)
        h = step / size
        near, far = (gradient(at + k * h * v) - gradient(at - k * h * v) for k in (1, 2))
        return np.asarray((8 * near - far) / (12 * h))

    return product


def _nested(loss: ResidualLoss, at: Floats) -> Product:
    weights = loss.trial.tensor(at).clone().requires_grad_()
    (slope,) = torch.autograd.grad(plain_loss(loss, weights), weights, create_graph=True)

    def product(v: Floats) -> Floats:
        (out,) = torch.autograd.grad(slope @ loss.trial.tensor(v), weights, retain_graph=True)
        return np.asarray(out.double().cpu().numpy(), dtype=np.float64)

    return product


def dense_hessian(loss: ResidualLoss, weights: Floats) -> Floats:
    """Return the Hessian by nested automatic differentiation: for networks small enough, to hold estimates against.

    Parameters
    ----------
    loss : ResidualLoss
        Without unknown coefficients.
    weights : ndarray, shape (n,)
        Where.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric to round-off.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.parts import equation_part
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(2.0), separate_networks(convection(2.0), 2, 1))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], trial.draw(np.random.default_rng(0)))
    >>> h = dense_hessian(loss, loss.start["weights"])
    >>> h.shape, bool(np.allclose(h, h.T, rtol=0, atol=1e-13))
    ((11, 11), True)
    """
    product = _nested(loss, np.asarray(weights, float))
    return np.stack([product(e) for e in np.eye(len(weights))])


@dataclass(frozen=True)
class TraceEstimate:
    """A trace by random probes.

    Parameters
    ----------
    value, standard_error : float
        Mean of the probes, and its standard error.

    Examples
    --------
    >>> TraceEstimate(3.0, 0.1).value
    3.0
    """

    value: float
    standard_error: float


def hutchinson_trace(product: Product, size: int, probes: int, rng: np.random.Generator) -> TraceEstimate:
    """Return the trace of a symmetric matrix from products with vectors of random signs.

    Parameters
    ----------
    product : callable
        The matrix.
    size, probes : int
        Its size, and the number of products.
    rng : numpy.random.Generator
        Source of signs.

    Returns
    -------
    TraceEstimate
        Unbiased; its variance is twice the squared Frobenius norm off the diagonal, over the number of probes.

    Examples
    --------
    >>> hutchinson_trace(lambda v: np.array([1.0, 2.0]) * v, 2, 4, np.random.default_rng(0))
    TraceEstimate(value=3.0, standard_error=0.0)
    """
    if probes < 2:
        raise SolverError(expected("hutchinson_trace: probes", probes, "at least two"))
    signs = rng.integers(0, 2, (probes, size)) * 2.0 - 1.0
    each = np.array([v @ product(v) for v in signs])
    return TraceEstimate(float(each.mean()), float(each.std(ddof=1) / np.sqrt(probes)))


@dataclass(frozen=True)
class Eigenpairs:
    """Approximate eigenpairs of a symmetric matrix.

    Parameters
    ----------
    values : ndarray, shape (k,)
        The largest, descending.
    vectors : ndarray, shape (n, k)
        Unit vectors.
    residuals : ndarray, shape (k,)
        ``|A v - value v|``: an eigenvalue lies within this distance of each value.
    smallest : float
        Smallest Ritz value; the smallest eigenvalue is at most this.

    Examples
    --------
    >>> Eigenpairs(np.array([2.0]), np.array([[1.0]]), np.zeros(1), 2.0).smallest
    2.0
    """

    values: Floats
    vectors: Floats
    residuals: Floats
    smallest: float


def lanczos(product: Product, size: int, count: int, rng: np.random.Generator, *, steps: int = 80) -> Eigenpairs:
    """Return the largest eigenvalues of a symmetric matrix by Lanczos' method, orthogonalised in full.

    Parameters
    ----------
    product : callable
        The matrix.
    size, count : int
        Its size, and the number of pairs wanted.
    rng : numpy.random.Generator
        Source of the first vector.
    steps : int, optional
        Products at most; as many as the size are exact.

    Returns
    -------
    Eigenpairs
        As many as wanted, or as there are.

    Examples
    --------
    >>> pairs = lanczos(lambda v: np.arange(5.0) * v, 5, 2, np.random.default_rng(0))
    >>> pairs.values.round(12), round(pairs.smallest, 12) + 0.0
    (array([4., 3.]), 0.0)
    """
    basis = np.zeros((size, min(steps, size)))
    alpha, beta = [], []
    v = rng.standard_normal(size)
    v /= np.linalg.norm(v)
    for k in range(basis.shape[1]):
        basis[:, k] = v
        w = product(v)
        alpha.append(float(v @ w))
        for _ in range(2):  # twice is enough for orthogonality to round-off
            w = w - basis[:, : k + 1] @ (basis[:, : k + 1].T @ w)
        beta.append(float(np.linalg.norm(w)))
        if beta[-1] <= 1e-12 * max(np.abs(alpha)):
            break
        v = w / beta[-1]
    done = len(alpha)
    ritz, inner = np.linalg.eigh(np.diag(alpha) + np.diag(beta[: done - 1], 1) + np.diag(beta[: done - 1], -1))
    top = np.argsort(ritz)[::-1][:count]
    leftover = 0.0 if done == size else beta[-1]
    return Eigenpairs(ritz[top], basis[:, :done] @ inner[:, top], np.abs(leftover * inner[-1, top]), float(ritz[0]))
