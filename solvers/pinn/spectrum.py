"""How well a residual loss is conditioned: the spectrum of its tangent kernel and of Gauss-Newton.

With residuals r, half of whose sum of squares is the loss, and their derivative J by the weights, ``J' J`` is the
Gauss-Newton matrix and ``J J'`` the neural tangent kernel on the training points. Both have the squared singular values
of J, and decide what gradient descent can learn: in the linear regime the part of r along the k-th left singular vector
is multiplied by ``1 - rate s_k^2`` a step. The Hessian
adds ``sum_i r_i hess r_i``, see `retrodict.solvers.pinn.hessian`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.pinn.loss import ResidualLoss

__all__ = ["TangentSpectrum", "tangent_spectrum"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TangentSpectrum:
    """Eigenvalues of ``J' J`` and of ``J J'``, and the residual along the latter's eigenvectors.

    Parameters
    ----------
    eigenvalues : ndarray, shape (min(m, n),)
        Descending.
    energy : ndarray, shape (min(m, n),)
        Share of the squared residual along each eigenvector of ``J J'``.
    unreachable : float
        Share of the squared residual that no change of weights reaches to first order.

    Examples
    --------
    >>> flat = TangentSpectrum(np.array([4.0, 1.0]), np.array([0.5, 0.5]), 0.0)
    >>> flat.condition, flat.effective_condition(0.4), round(flat.effective_rank, 2)
    (4.0, 1.0, 1.47)
    """

    eigenvalues: Floats
    energy: Floats
    unreachable: float

    @property
    def rank(self) -> int:
        """Number of eigenvalues above round-off of the largest."""
        floor = len(self.eigenvalues) * np.finfo(float).eps * self.eigenvalues[0]
        return int(np.sum(self.eigenvalues > floor))

    @property
    def condition(self) -> float:
        """Largest over smallest eigenvalue above round-off."""
        return float(self.eigenvalues[0] / self.eigenvalues[max(self.rank, 1) - 1]) if self.rank else np.inf

    @property
    def effective_rank(self) -> float:
        """``(sum of eigenvalues)^2 / sum of their squares``: how many directions share the curvature."""
        total = float(np.sum(self.eigenvalues))
        return total**2 / float(np.sum(self.eigenvalues**2)) if total > 0 else 0.0

    def effective_condition(self, share: float = 0.9) -> float:
        """Return the largest over the smallest eigenvalue among the leading ones that carry a share of the residual.

        What gradient descent meets: the condition of directions that the residual has a part in.

        Parameters
        ----------
        share : float, optional
            Of the squared residual.

        Returns
        -------
        float
            At most ``1 / (k eps)``, of k eigenvalues, where they drown in round-off; that where the share is not
            reached before.
        """
        floor = len(self.eigenvalues) * np.finfo(float).eps
        within = np.flatnonzero(np.cumsum(self.energy) >= share)
        smallest = self.eigenvalues[within[0]] / self.eigenvalues[0] if len(within) else 0.0
        return float(1 / max(smallest, floor))

    def descent(self, steps: Floats) -> Floats:
        """Return the loss after steps of gradient descent, relative to where it stands, in the linear regime.

        Parameters
        ----------
        steps : ndarray, shape (k,)
            Numbers of steps, each of length ``1 / largest eigenvalue``.

        Returns
        -------
        ndarray, shape (k,)
            From 1 down to the unreachable share.
        """
        share = np.clip(1 - self.eigenvalues / self.eigenvalues[0], 0.0, 1.0)
        return np.asarray((share ** (2 * np.asarray(steps, float)[:, None])) @ self.energy + self.unreachable)


def tangent_spectrum(loss: ResidualLoss, weights: Floats) -> TangentSpectrum:
    """Return the spectrum of Gauss-Newton and of the tangent kernel at some weights.

    Parameters
    ----------
    loss : ResidualLoss
        Gives residuals and their derivative.
    weights : ndarray, shape (n,)
        Packed unknowns of the loss.

    Returns
    -------
    TangentSpectrum
        By a singular value decomposition of J, which keeps twice the digits that eigenvalues of ``J' J`` would.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.parts import equation_part
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(2.0), separate_networks(convection(2.0), 4, 1))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], trial.draw(np.random.default_rng(0)))
    >>> spectrum = tangent_spectrum(loss, loss.start["weights"])
    >>> r, J = loss.jacobian(loss.start)
    >>> bool(np.isclose(spectrum.eigenvalues.sum(), np.sum(J**2)))
    True
    """
    residual, jacobian = loss.jacobian(loss.space.unpack(np.asarray(weights, float)))
    left, s, _ = np.linalg.svd(jacobian, full_matrices=False)
    total = float(residual @ residual)
    if s[0] == 0:
        raise SolverError(expected("tangent_spectrum", "a zero derivative", "residuals that depend on weights"))
    energy = (left.T @ residual) ** 2 / total if total > 0 else np.zeros(len(s))
    return TangentSpectrum(s**2, energy, max(1.0 - float(energy.sum()), 0.0) if total > 0 else 0.0)
