"""Shampoo's eigenbasis of a block of unknowns: where SOAP keeps the mean squares of the gradient.

A block is a part of the packed unknowns seen as a matrix, such as the weights of one layer. Running means of ``G G'``
and ``G' G`` have slowly turning eigenvectors, which one step of subspace iteration follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Space

__all__ = ["Block", "Factors", "Views", "blocks_of"]

Floats = NDArray[np.float64]
Views = Mapping[str, Sequence[tuple[slice, tuple[int, ...]]]]


@dataclass(frozen=True)
class Block:
    """A part of the packed unknowns, seen as a matrix.

    Parameters
    ----------
    part : slice
        Where it lies.
    shape : tuple of int
        Rows and columns.

    Examples
    --------
    >>> Block(slice(1, 5), (2, 2)).of(np.arange(6.0))
    array([[1., 2.],
           [3., 4.]])
    """

    part: slice
    shape: tuple[int, int]

    def of(self, vector: Floats) -> Floats:
        """Return the block of a packed vector, as a view.

        Examples
        --------
        >>> Block(slice(0, 2), (1, 2)).of(np.ones(3)).shape
        (1, 2)
        """
        return vector[self.part].reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Factors:
    """Preconditioner of one block; a side that is left alone has arrays of size zero.

    Parameters
    ----------
    left, right : ndarray, shape (rows, rows) and (columns, columns)
        Running means of ``G G'`` and ``G' G``.
    left_basis, right_basis : ndarray
        Their eigenvectors, as far as followed.
    """

    left: Floats
    right: Floats
    left_basis: Floats
    right_basis: Floats

    @classmethod
    def first(cls, gradient: Floats, largest: int) -> Factors:
        """Return the preconditioner of a first gradient, for sides of at least two and at most ``largest``.

        Examples
        --------
        >>> Factors.first(np.ones((3, 1)), 100).left.shape
        (3, 3)
        """
        empty = np.zeros((0, 0))
        rows, columns = (1 < n <= largest for n in gradient.shape)
        left, right = gradient @ gradient.T if rows else empty, gradient.T @ gradient if columns else empty
        return cls(left, right, *(np.linalg.eigh(side)[1][:, ::-1].copy() for side in (left, right)))

    def into(self, matrix: Floats) -> Floats:
        """Return a matrix in the eigenbasis.

        Examples
        --------
        >>> Factors.first(np.ones((2, 1)), 9).into(np.ones((2, 1))).round(12).shape
        (2, 1)
        """
        found = self.left_basis.T @ matrix if self.left_basis.size else matrix
        return found @ self.right_basis if self.right_basis.size else found

    def back(self, matrix: Floats) -> Floats:
        """Inverse of `into`.

        Examples
        --------
        >>> factors = Factors.first(np.array([[1.0, 2.0], [0.0, 1.0]]), 9)
        >>> np.round(factors.back(factors.into(np.eye(2))), 12) + 0
        array([[1., 0.],
               [0., 1.]])
        """
        found = self.left_basis @ matrix if self.left_basis.size else matrix
        return found @ self.right_basis.T if self.right_basis.size else found

    def learn(self, gradient: Floats, memory: float) -> Factors:
        """Return the preconditioner after one more gradient, with the basis it had.

        Examples
        --------
        >>> Factors.first(np.eye(2), 9).learn(np.zeros((2, 2)), 0.5).left
        array([[0.5, 0. ],
               [0. , 0.5]])
        """
        left, right = self.left, self.right
        if left.size:
            left = memory * left + (1 - memory) * (gradient @ gradient.T)
        if right.size:
            right = memory * right + (1 - memory) * (gradient.T @ gradient)
        return Factors(left, right, self.left_basis, self.right_basis)

    def turn(self, square: Floats) -> tuple[Factors, Floats]:
        """Return the preconditioner with its bases renewed, and the mean squares in the new order of the basis.

        Examples
        --------
        >>> factors, square = Factors.first(np.diag([1.0, 2.0]), 9).turn(np.eye(2))
        >>> np.abs(factors.left_basis)
        array([[0., 1.],
               [1., 0.]])
        """
        left, rows = _iterate(self.left, self.left_basis)
        right, columns = _iterate(self.right, self.right_basis)
        square = square[rows] if rows.size else square
        square = square[:, columns] if columns.size else square
        return Factors(self.left, self.right, left, right), square


def blocks_of(space: Space, views: Views, *, one_sided: bool) -> tuple[Block, ...]:
    """Return the blocks of a space: its matrices, and the views declared of other variables.

    Parameters
    ----------
    space : Space
        The unknowns.
    views : Mapping of str to sequence of (slice, shape)
        Matrices and vectors inside a variable, by its name; what no view covers has no preconditioner.
    one_sided : bool
        Whether vectors become blocks of one column.

    Raises
    ------
    SolverError
        If a view names no variable, does not fit, or overlaps another.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> space = Space({"weights": Var(("i",), (7,))})
    >>> blocks_of(space, {"weights": [(slice(0, 6), (2, 3)), (slice(6, 7), (1,))]}, one_sided=False)
    (Block(part=slice(0, 6, None), shape=(2, 3)),)
    """
    if unknown := sorted(set(views) - set(space)):
        raise SolverError(expected("blocks", unknown, f"names of {list(space)}"))
    found, at = [], 0
    for name, var in space.items():
        whole: Sequence[tuple[slice, tuple[int, ...]]] = [] if var.is_complex else [(slice(0, var.size), var.shape)]
        taken = np.zeros(var.size, dtype=int)
        for part, shape in views.get(name, whole):
            begin, end, stride = part.indices(var.size)
            if stride != 1 or end - begin != int(np.prod(shape)) or len(shape) > 2 or var.is_complex:
                raise SolverError(
                    expected(f"blocks[{name!r}]", f"{part} as {shape}", f"parts of its {var.size} real entries")
                )
            taken[begin:end] += 1
            if len(shape) == 2 or (len(shape) == 1 and one_sided):
                found.append(Block(slice(at + begin, at + end), (shape[0], shape[1] if len(shape) == 2 else 1)))
        if np.any(taken > 1):
            raise SolverError(expected(f"blocks[{name!r}]", "parts that overlap", "parts apart from each other"))
        at += var.size * (2 if var.is_complex else 1)
    return tuple(found)


def _iterate(matrix: Floats, basis: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return a basis after one subspace iteration, and the order of the old one, largest eigenvalue first."""
    if not matrix.size:
        return basis, np.zeros(0, dtype=np.intp)
    turned = matrix @ basis
    order = np.argsort(-np.sum(basis * turned, axis=0), kind="stable")
    return np.linalg.qr(turned[:, order])[0], order
