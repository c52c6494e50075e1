"""Calibration block: gains of one receptor after the other, each by its exact regularised normal equations.

With everything but one receptor's gains held, its visibilities are linear in them, and the normal matrix of all its
``S^2 P`` coefficients is ``sum_t (b_t^H b_t) kron (H_t^H W H_t)``: formed once, it is solved exactly, which no number
of gradient steps betters. Both orders of a pair enter a receptor's equations; each row counts once in the objective.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from retrodict.physics.radio.interferometer import Interferometer

__all__ = ["GainBlocks", "Quadratic"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True)
class Quadratic:
    """``u' G u / 2 - Re(m' u)``, the part of the data misfit that depends on one receptor's gains ``u``.

    Parameters
    ----------
    gram : ndarray of complex, shape (n, n)
        ``G``, Hermitian; ``n = P S^2``, terms outermost.
    moment : ndarray of complex, shape (n,)
        ``m``.

    Examples
    --------
    >>> Quadratic(np.eye(1) + 0j, np.ones(1) + 0j).value(np.ones(1) + 0j)
    -0.5
    """

    gram: Complexes
    moment: Complexes

    def value(self, u: Complexes) -> float:
        """Return the value at ``u``."""
        return float(np.real(np.vdot(u, 0.5 * (self.gram @ u) - self.moment)))

    def gradient(self, u: Complexes) -> Complexes:
        """Return the gradient with respect to ``<a, b> = Re(a' b)``."""
        return np.asarray(self.gram @ u - self.moment)

    def minimiser(self, precision: Floats, centre: Complexes) -> Complexes:
        """Return the minimiser of the value plus ``sum precision |u - centre|^2 / 2``.

        Parameters
        ----------
        precision : ndarray, shape (n,)
            Positive, at least where the data leave a direction open.
        centre : ndarray of complex, shape (n,)
            Mean of the prior.
        """
        matrix = self.gram + np.diag(precision)
        return np.asarray(cho_solve(cho_factor(matrix, lower=True), self.moment + precision * centre))

    def largest(self) -> float:
        """Return the largest eigenvalue, the Lipschitz constant of the gradient."""
        from scipy.linalg import eigvalsh

        last = self.gram.shape[0] - 1
        return float(eigvalsh(self.gram, subset_by_index=[last, last])[0])


@dataclass(frozen=True)
class GainBlocks:
    """The rows of an observation, arranged by receptor.

    Parameters
    ----------
    model : Interferometer
        The measurement.

    Examples
    --------
    See `retrodict.solvers.radio.joint.JointSolver`.
    """

    model: Interferometer
    members: tuple[tuple[Ints, NDArray[np.bool_], Ints, Ints], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        first, second, slot = self.model.first, self.model.second, self.model.slot
        rows = np.concatenate([np.arange(first.size)] * 2)
        who, leads = np.concatenate([first, second]), np.repeat([True, False], first.size)
        order = np.lexsort((rows, who))
        edges = np.searchsorted(who[order], np.arange(self.model.kernels.receptors + 1))
        members = []
        for low, high in pairwise(edges):
            at = order[low:high]
            m, lead = rows[at], leads[at]
            members.append((m, lead, np.where(lead, second[m], first[m]), slot[m]))
        object.__setattr__(self, "members", tuple(members))

    @property
    def constrained(self) -> NDArray[np.bool_]:
        """Whether a receptor takes part in any row, shape (receptor,)."""
        return np.array([m[0].size > 0 for m in self.members])

    def quadratic(self, receptor: int, cube: Complexes, at: Complexes, data: Complexes, weight: Floats) -> Quadratic:
        """Return the normal equations of one receptor.

        Parameters
        ----------
        receptor : int
            Whose.
        cube : ndarray of complex, shape (row, 2 S - 1, 2 S - 1)
            Visibility cube of the sky.
        at : ndarray of complex, shape (slot, receptor, S, S)
            Kernels of all receptors.
        data : ndarray of complex, shape (row,)
            Visibilities.
        weight : ndarray, shape (row,)
            Inverse variance of the real and of the imaginary part.
        """
        from retrodict.physics.radio.kernels import accumulate

        rows, leading, other, slot = self.members[receptor]
        slots, n = at.shape[0], at.shape[2] ** 2
        gram = np.zeros((slots, n, n), np.complex128)
        moment = np.zeros((slots, n), np.complex128)
        accumulate(cube, rows, leading, other, slot, at, data, weight, gram, moment)
        basis = self.model.functions
        terms = basis.shape[1]
        pairs = (basis.conj()[:, :, None] * basis[:, None, :]).reshape(slots, terms**2)
        lower = (pairs.T @ gram.reshape(slots, n * n)).reshape(terms, terms, n, n)
        # only the lower triangle of each slot was summed: the rest is its conjugate with the two terms exchanged
        strict = np.tril(np.ones((n, n)), -1)
        full = lower + (lower * strict).transpose(1, 0, 3, 2).conj()
        matrix = full.transpose(0, 2, 1, 3).reshape(terms * n, terms * n)
        return Quadratic(matrix, (basis.conj().T @ moment).ravel())

    def sweep(
        self,
        cube: Complexes,
        gains: Complexes,
        data: Complexes,
        weight: Floats,
        precision: Floats,
        centre: Complexes,
    ) -> tuple[Complexes, float]:
        """Solve for every receptor once, each with the newest gains of the others.

        Parameters
        ----------
        cube, data, weight
            As in `quadratic`.
        gains : ndarray of complex, shape (receptor, term, S, S)
            Where to begin.
        precision : ndarray, shape (receptor, term, S, S)
            Inverse variance of the real and of the imaginary part of a coefficient, a priori.
        centre : ndarray of complex, shape (receptor, term, S, S)
            Mean a priori.

        Returns
        -------
        ndarray of complex, shape (receptor, term, S, S)
            New gains.
        float
            By how much the objective fell; every block's share is at least zero up to rounding.
        """
        gains = gains.copy()
        at = self.model.kernels.at(gains, self.model.times)
        fell = 0.0
        for r in range(gains.shape[0]):
            p, c, old = precision[r].ravel(), centre[r].ravel(), gains[r].ravel()
            block = self.quadratic(r, cube, at, data, weight)
            new = block.minimiser(p, c)
            fell += block.value(old) - block.value(new)
            fell += 0.5 * float(np.sum(p * (np.abs(old - c) ** 2 - np.abs(new - c) ** 2)))
            gains[r] = new.reshape(gains.shape[1:])
            at[:, r] = np.einsum("tp,pij->tij", self.model.functions, gains[r])
        return gains, fell
