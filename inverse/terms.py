"""Terms: an inverse problem is a weighted sum of named terms, and what a term can do is its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.observation import Observation
from retrodict.physics.errors import SolverError, SpaceError, expected
from retrodict.physics.model import Differentiable, hold
from retrodict.physics.spaces import Array, Space, Tree

__all__ = [
    "Curved",
    "GaussNewton",
    "Holdable",
    "Linearization",
    "Misfit",
    "Proximable",
    "Pulled",
    "Residual",
    "Smooth",
    "Term",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Linearization:
    """A residual vector and its derivative at one point; the gradient of the term is ``J' r``, its curvature ``J' J``.

    Parameters
    ----------
    residual : ndarray, shape (m,)
        ``r``.
    forward : callable
        Tree of parameter changes to an array of shape (m,).
    transpose : callable
        Array of shape (m,) to a tree.
    """

    residual: Floats
    forward: Callable[[Tree], Floats]
    transpose: Callable[[Floats], dict[str, Array]]


@runtime_checkable
class Smooth(Protocol):
    """A function with a gradient."""

    def value(self, x: Tree) -> float:
        """Return the value at ``x``."""
        ...

    def gradient(self, x: Tree) -> Tree:
        """Return the gradient at ``x``; variables left out have zero gradient."""
        ...


@runtime_checkable
class GaussNewton(Smooth, Protocol):
    """A smooth function whose gradient is ``J' r`` and whose curvature is well described by ``J' J``."""

    def linearize(self, x: Tree) -> Linearization:
        """Return residual and derivative at ``x``."""
        ...


@runtime_checkable
class Curved(Smooth, Protocol):
    """A smooth function with an exact Hessian over the unknowns that it reads."""

    @property
    def space(self) -> Space:
        """The unknowns that it reads: some or all of the problem's."""
        ...

    def hessian(self, x: Tree) -> Floats:
        """Return the Hessian, rows and columns in the order of ``space.labels()``."""
        ...


@runtime_checkable
class Proximable(Protocol):
    """A function, perhaps not smooth, with a proximal operator."""

    def value(self, x: Tree) -> float:
        """Return the value at ``x``."""
        ...

    def prox(self, x: Tree, step: float) -> Tree:
        """Return ``argmin_u value(u) + |u - x|^2 / (2 step)``."""
        ...


@runtime_checkable
class Holdable(Smooth, Protocol):
    """A term that says itself what is left of it where some variables are held."""

    def hold(self, values: Tree) -> Smooth:
        """Return the term over the other variables; the values may name variables that it does not read."""
        ...


@runtime_checkable
class Pulled(Protocol):
    """A prior that says how far data have pulled an unknown away from it."""

    def pulls(self, x: Tree) -> Mapping[str, Floats]:
        """Return, for each unknown, its distance from what was expected in prior standard deviations."""
        ...


@runtime_checkable
class Residual(Protocol):
    """A term that compares a model with data, and so can be tested."""

    def residuals(self, x: Tree) -> Mapping[str, tuple[tuple[str, ...], Floats]]:
        """Return, for each observed variable, its dimensions and standardised residuals; NaN where not observed."""
        ...


@dataclass(frozen=True)
class Term:
    """A named, weighted part of an objective.

    Parameters
    ----------
    name : str
        For reports.
    fn : Smooth or Proximable
        The function.
    weight : float, optional
        Factor, 1 for a negative log-probability.
    blocks : tuple of str, optional
        Variables that it depends on; empty: all.
    kind : str, optional
        ``"data"`` or ``"prior"``; diagnostics keep them apart.

    Raises
    ------
    SpaceError
        If the weight is not a finite positive number or the kind unknown.
    """

    name: str
    fn: Smooth | Proximable
    weight: float = 1.0
    blocks: tuple[str, ...] = ()
    kind: str = "data"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.weight) and self.weight > 0):
            raise SpaceError(expected(f"Term {self.name!r} weight", self.weight, "a finite positive number"))
        if self.kind not in ("data", "prior"):
            raise SpaceError(expected(f"Term {self.name!r} kind", self.kind, "'data' or 'prior'"))


@dataclass(frozen=True)
class Misfit:
    """Negative log-likelihood of an observation under a forward model.

    Parameters
    ----------
    model : Differentiable
        Parameters to data.
    observation : Observation
        In the range of the model.

    Raises
    ------
    SpaceError
        If the model has no derivative, or the observation lives in another space than the model's range.

    Examples
    --------
    >>> from retrodict.inverse.noise import Gaussian
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Space, Var
    >>> line = Space({"x": Var()})
    >>> data = Observation(line, {"x": np.array(2.0)}, {"x": Gaussian(1.0)})
    >>> misfit = Misfit(TorchModel(line, line, lambda t: {"x": 2 * t["x"]}), data)
    >>> float(misfit.gradient({"x": np.array(0.0)})["x"])
    -4.0
    """

    model: Differentiable
    observation: Observation

    def __post_init__(self) -> None:
        if not isinstance(self.model, Differentiable):
            wanted = "a Differentiable model; Differenced(model) of retrodict.physics.differences makes one of any"
            raise SpaceError(expected("Misfit", f"a {type(self.model).__name__} without linearize", wanted))
        if self.model.range != self.observation.space:
            got, want = self.observation.space, self.model.range
            raise SpaceError(expected("Misfit", f"observation in {got}", f"the model's range {want}"))

    def value(self, x: Tree) -> float:
        """Return the negative log-likelihood, with all constants."""
        f = self.model.apply(x)
        obs = self.observation
        return sum(obs.noise[k].nll(obs.values[k], np.asarray(f[k], float), obs.mask[k]) for k in obs.space)

    def hold(self, values: Tree) -> Misfit:
        """Return the misfit of the model with some variables held."""
        return Misfit(hold(self.model, values), self.observation)

    def residuals(self, x: Tree) -> dict[str, tuple[tuple[str, ...], Floats]]:
        """Return the standardised residuals of every variable, NaN where nothing valid was observed.

        Raises
        ------
        SolverError
            If the model predicts no finite number where something was observed.
        """
        f, obs, found = self.model.apply(x), self.observation, {}
        for k, var in obs.space.items():
            standard = obs.noise[k].standardise(obs.values[k], np.asarray(f[k], float), obs.mask[k])
            lost = int(np.sum(obs.mask[k] & ~np.isfinite(standard)))
            if lost:
                got = f"{lost} of {int(obs.mask[k].sum())} predictions {k!r} that are not finite"
                raise SolverError(expected("residuals", got, "a finite prediction of every valid datum"))
            found[k] = var.dims, np.where(obs.mask[k], standard, np.nan)
        return found

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return the gradient by the model's adjoint."""
        line = self.linearize(x)
        return line.transpose(line.residual)

    def linearize(self, x: Tree) -> Linearization:
        """Return the whitened residual of the valid values and its derivative."""
        f, jacobian = self.model.linearize(x)
        obs, space = self.observation, self.observation.space
        white = {k: obs.noise[k].whiten(obs.values[k], np.asarray(f[k], float), obs.mask[k]) for k in space}

        def compress(tree: Tree) -> Floats:
            return np.concatenate([np.asarray(tree[k], float)[obs.mask[k]] for k in space])

        def expand(vector: Floats) -> dict[str, Array]:
            tree, at = {}, 0
            for k, var in space.items():
                n = int(obs.mask[k].sum())
                tree[k] = np.zeros(var.shape)
                tree[k][obs.mask[k]] = vector[at : at + n]
                at += n
            return tree

        def forward(dx: Tree) -> Floats:
            df = jacobian.apply(dx)
            return compress({k: white[k].forward(np.asarray(df[k], float)) for k in space})

        def transpose(r: Floats) -> dict[str, Array]:
            tree = expand(r)
            return dict(jacobian.adjoint({k: white[k].transpose(tree[k]) for k in space}))

        return Linearization(compress({k: w.residual for k, w in white.items()}), forward, transpose)
