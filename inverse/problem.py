"""Inverse problems: unknowns, a sum of terms, a start, and where known the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.terms import GaussNewton, Holdable, Smooth, Term
from retrodict.physics.errors import SolverError, SpaceError, expected
from retrodict.physics.spaces import Array, Space, Tree

__all__ = ["InverseProblem"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class InverseProblem:
    """A sum of terms over named unknowns.

    Parameters
    ----------
    space : Space
        The unknowns, with units and bounds.
    terms : sequence of Term
        Data misfits and priors; their weighted sum is a negative log-posterior.
    start : Tree
        Where estimators begin; inside the bounds.
    truth : Tree, optional
        The true unknowns of a synthetic problem, for reports.
    name : str, optional
        Stored in checkpoints.

    Raises
    ------
    SpaceError
        If there is no term, a name repeats, a block is unknown, or start or truth are not in the space.

    Examples
    --------
    >>> from retrodict.inverse.priors import GaussianPrior
    >>> from retrodict.physics.spaces import Var
    >>> prior = Term("prior", GaussianPrior("x", 3.0, std=2.0), kind="prior")
    >>> problem = InverseProblem(Space({"x": Var()}), (prior,), {"x": np.array(1.0)})
    >>> float(problem.gradient(problem.start)["x"])
    -0.5
    """

    space: Space
    terms: Sequence[Term]
    start: Tree
    truth: Tree | None = None
    name: str = "problem"

    def __post_init__(self) -> None:
        names = [t.name for t in self.terms]
        if not names or len(set(names)) != len(names):
            raise SpaceError(expected("InverseProblem.terms", names, "one or more terms with different names"))
        for term in self.terms:
            unknown = set(term.blocks) - set(self.space)
            if unknown:
                raise SpaceError(
                    expected(f"Term {term.name!r} blocks", sorted(unknown), f"names among {sorted(self.space)}")
                )
        object.__setattr__(self, "start", self.space.check(self.start, "start"))
        if self.truth is not None:
            object.__setattr__(self, "truth", self.space.check(self.truth, "truth"))

    def require(self, capability: type, who: str) -> None:
        """Refuse, before any work, a method whose needs a term does not meet.

        Raises
        ------
        SolverError
            Naming the term and the capability that it lacks.
        """
        for term in self.terms:
            if not isinstance(term.fn, capability):
                got = f"term {term.name!r} of type {type(term.fn).__name__}"
                raise SolverError(expected(who, got, f"terms that are {capability.__name__}"))

    def value(self, x: Tree) -> float:
        """Return the negative log-posterior."""
        return float(sum(t.weight * t.fn.value(x) for t in self.terms))

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return its gradient.

        Raises
        ------
        SolverError
            If a term is not smooth.
        """
        total = self.space.zeros()
        for term in self.terms:
            if not isinstance(term.fn, Smooth):
                raise SolverError(expected("gradient", f"term {term.name!r}", "a smooth term"))
            for name, part in term.fn.gradient(x).items():
                total[name] = total[name] + term.weight * part
        return total

    def jacobian(self, x: Tree, kind: str | None = None) -> tuple[Floats, Floats]:
        """Return the stacked residual, shape (m,), and its dense derivative, shape (m, n), of all Gauss-Newton terms.

        Each block is assembled from whichever side is smaller: columns by the derivative, rows by its adjoint.

        Parameters
        ----------
        x : Tree
            Where.
        kind : str, optional
            Only the terms of this kind.
        """
        n = self.space.size
        residuals, blocks = [np.zeros(0)], [np.zeros((0, n))]
        for term in self.terms:
            if kind not in (None, term.kind) or not isinstance(term.fn, GaussNewton):
                continue
            line = term.fn.linearize(x)
            m, root = line.residual.size, np.sqrt(term.weight)
            if n <= m:
                unit = np.eye(n)
                matrix = np.stack([line.forward(self.space.unpack(unit[j])) for j in range(n)], axis=1)
            else:
                unit = np.eye(m)
                zero = self.space.zeros()
                matrix = np.stack([self.space.pack({**zero, **line.transpose(unit[i])}) for i in range(m)])
            residuals.append(root * line.residual)
            blocks.append(root * matrix)
        return np.concatenate(residuals), np.concatenate(blocks)

    def fix(self, values: Mapping[str, Array]) -> InverseProblem:
        """Return the problem over the other variables, with these held.

        Raises
        ------
        SpaceError
            If a name is unknown or none is left.
        """
        unknown = set(values) - set(self.space)
        rest = [k for k in self.space if k not in values]
        if unknown or not rest:
            raise SpaceError(expected("fix", sorted(values), f"some but not all of {sorted(self.space)}"))
        space = Space({k: self.space[k] for k in rest})
        terms = tuple(Term(t.name, _held(t.fn, values), t.weight, (), t.kind) for t in self.terms)
        return InverseProblem(space, terms, {k: self.start[k] for k in rest}, name=f"{self.name}|{','.join(values)}")


@dataclass(frozen=True)
class _Held:
    """A smooth function with some variables held."""

    fn: Smooth
    values: Mapping[str, Array]

    def value(self, x: Tree) -> float:
        return self.fn.value({**x, **self.values})

    def gradient(self, x: Tree) -> dict[str, Array]:
        return self._free(self.fn.gradient({**x, **self.values}))

    def _free(self, tree: Tree) -> dict[str, Array]:
        return {k: v for k, v in tree.items() if k not in self.values}


@dataclass(frozen=True)
class _HeldGaussNewton(_Held):
    """The same for a Gauss-Newton term: the held variables do not move."""

    def linearize(self, x: Tree) -> object:
        from retrodict.inverse.terms import Linearization

        if not isinstance(self.fn, GaussNewton):
            raise SolverError(expected("fix", type(self.fn).__name__, "a Gauss-Newton term"))
        line = self.fn.linearize({**x, **self.values})
        still = {k: np.zeros_like(np.asarray(v, float)) for k, v in self.values.items()}
        return Linearization(
            line.residual, lambda dx: line.forward({**dx, **still}), lambda r: self._free(line.transpose(r))
        )


def _held(fn: object, values: Mapping[str, Array]) -> Smooth:
    if isinstance(fn, Holdable):
        return fn.hold(values)
    if isinstance(fn, GaussNewton):
        return _HeldGaussNewton(fn, values)
    if isinstance(fn, Smooth):
        return _Held(fn, values)
    raise SolverError(expected("fix", type(fn).__name__, "a smooth term"))
