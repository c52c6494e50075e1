"""Contracts of forward models and linear operators, and the operators built from others.

A capability is a type, never a method that raises NotImplementedError: an estimator asks for the type it needs and a
problem that cannot offer it is refused before any work. The Jacobian-vector product of a model is ``op.apply`` of its
linearisation, the vector-Jacobian product ``op.adjoint``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.spaces import Array, Space, Tree

__all__ = [
    "BlockLinear",
    "Differentiable",
    "ForwardModel",
    "LinearOperator",
    "Operator",
    "StochasticModel",
    "compose",
    "hold",
    "restrict",
    "stack",
]


@runtime_checkable
class LinearOperator(Protocol):
    """A linear map between two spaces with its adjoint with respect to `Space.inner`."""

    @property
    def domain(self) -> Space:
        """Space of the argument."""
        ...

    @property
    def range(self) -> Space:
        """Space of the result."""
        ...

    def apply(self, x: Tree) -> Tree:
        """Return ``A x``."""
        ...

    def adjoint(self, y: Tree) -> Tree:
        """Return ``A' y``."""
        ...


@runtime_checkable
class ForwardModel(Protocol):
    """Parameters to data: pure, deterministic, free of noise."""

    @property
    def domain(self) -> Space:
        """Space of the parameters."""
        ...

    @property
    def range(self) -> Space:
        """Space of the data."""
        ...

    def apply(self, params: Tree) -> Tree:
        """Return the data that the parameters cause."""
        ...


@runtime_checkable
class Differentiable(ForwardModel, Protocol):
    """A forward model with a linearisation."""

    def linearize(self, params: Tree) -> tuple[Tree, LinearOperator]:
        """Return the data and the derivative at ``params``."""
        ...


@runtime_checkable
class BlockLinear(Differentiable, Protocol):
    """A model that is linear in one named block while the others rest."""

    def block(self, name: str, params: Tree) -> LinearOperator:
        """Return the linear map of block ``name`` with the others fixed at ``params``."""
        ...


@runtime_checkable
class StochasticModel(Protocol):
    """A device or simulation whose output is drawn: noisy, drifting, never Differentiable."""

    @property
    def domain(self) -> Space:
        """Space of the parameters."""
        ...

    @property
    def range(self) -> Space:
        """Space of the data."""
        ...

    def apply(self, params: Tree, rng: np.random.Generator) -> Tree:
        """Return one draw of the data."""
        ...


@dataclass(frozen=True)
class Operator:
    """A linear operator from two functions.

    Parameters
    ----------
    domain, range : Space
        The two spaces.
    forward, transpose : callable
        Tree to tree: ``A x`` and ``A' y``.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var(("i",), (2,))})
    >>> double = Operator(line, line, lambda t: {"x": 2 * t["x"]}, lambda t: {"x": 2 * t["x"]})
    >>> double.apply({"x": np.ones(2)})["x"]
    array([2., 2.])
    """

    domain: Space
    range: Space
    forward: Callable[[Tree], Tree]
    transpose: Callable[[Tree], Tree]

    def apply(self, x: Tree) -> Tree:
        """Return ``A x``."""
        return self.forward(x)

    def adjoint(self, y: Tree) -> Tree:
        """Return ``A' y``."""
        return self.transpose(y)


def compose(outer: LinearOperator, inner: LinearOperator) -> Operator:
    """Return the product ``outer inner``.

    Raises
    ------
    SpaceError
        If the range of ``inner`` is not the domain of ``outer``.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> half = Operator(line, line, lambda t: {"x": t["x"] / 2}, lambda t: {"x": t["x"] / 2})
    >>> float(compose(half, half).apply({"x": np.array(8.0)})["x"])
    2.0
    """
    if outer.domain != inner.range:
        raise SpaceError(
            expected("compose", f"range {inner.range}", f"the domain {outer.domain} of the outer operator")
        )
    return Operator(
        inner.domain, outer.range, lambda x: outer.apply(inner.apply(x)), lambda y: inner.adjoint(outer.adjoint(y))
    )


@dataclass(frozen=True)
class _Held:
    """A forward model with some variables held."""

    model: Differentiable
    values: Tree

    @property
    def domain(self) -> Space:
        return Space({k: v for k, v in self.model.domain.items() if k not in self.values})

    @property
    def range(self) -> Space:
        return self.model.range

    def apply(self, params: Tree) -> Tree:
        return self.model.apply({**params, **self.values})

    def linearize(self, params: Tree) -> tuple[Tree, LinearOperator]:
        value, slope = self.model.linearize({**params, **self.values})
        return value, restrict(slope, tuple(self.domain))


def hold(model: Differentiable, values: Tree) -> Differentiable:
    """Return a model of the other variables, with these held; values of variables that it does not read are left out.

    Parameters
    ----------
    model : Differentiable
        The model.
    values : Tree
        Of the variables that are held.

    Examples
    --------
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Var
    >>> plane = Space({"x": Var(), "y": Var()})
    >>> product = TorchModel(plane, Space({"z": Var()}), lambda t: {"z": t["x"] * t["y"]})
    >>> float(hold(product, {"y": np.array(2.0)}).apply({"x": np.array(3.0)})["z"])
    6.0
    """
    own = {k: v for k, v in values.items() if k in model.domain}
    return _Held(model, own) if own else model


def stack(operators: Mapping[str, LinearOperator]) -> Operator:
    """Return the operator that applies several operators with one domain side by side.

    Variables of operator ``key`` are named ``key/variable`` in the joint range.

    Parameters
    ----------
    operators : Mapping of str to LinearOperator
        At least one; all with the same domain.

    Raises
    ------
    SpaceError
        If there is none, or the domains differ.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> one = Operator(line, line, lambda t: t, lambda t: t)
    >>> sorted(stack({"a": one, "b": one}).range)
    ['a/x', 'b/x']
    """
    domains = [op.domain for op in operators.values()]
    if not domains or any(d != domains[0] for d in domains):
        raise SpaceError(expected("stack", f"domains {domains}", "one or more operators with one domain"))
    domain = domains[0]
    joint = Space({f"{k}/{n}": v for k, op in operators.items() for n, v in op.range.items()})

    def forward(x: Tree) -> Tree:
        return {f"{k}/{n}": v for k, op in operators.items() for n, v in op.apply(x).items()}

    def transpose(y: Tree) -> Tree:
        total: dict[str, Array] = domain.zeros()
        for key, op in operators.items():
            total = domain.axpy(1.0, op.adjoint({n: y[f"{key}/{n}"] for n in op.range}), total)
        return total

    return Operator(domain, joint, forward, transpose)


def restrict(operator: LinearOperator, names: tuple[str, ...]) -> Operator:
    """Return the operator on some variables of its domain, the others being zero.

    Raises
    ------
    SpaceError
        If a name is not in the domain.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> plane = Space({"x": Var(), "y": Var()})
    >>> list(restrict(Operator(plane, plane, lambda t: t, lambda t: t), ("y",)).domain)
    ['y']
    """
    unknown = set(names) - set(operator.domain)
    if unknown:
        raise SpaceError(expected("restrict", sorted(unknown), f"names among {sorted(operator.domain)}"))
    domain = Space({n: operator.domain[n] for n in names})

    def forward(x: Tree) -> Tree:
        return operator.apply({**operator.domain.zeros(), **x})

    def transpose(y: Tree) -> Tree:
        full = operator.adjoint(y)
        return {n: full[n] for n in names}

    return Operator(domain, operator.range, forward, transpose)
