"""Weights of a trained network and coefficients in one least squares: the equation as a row among the data.

The equation's residual counts in units of a standard deviation that stands for a constraint: so small that no weight of
the network can serve the data at the equation's cost. Nothing may then depend on it. The weights are marginalised by an
orthogonal projection of the joint Jacobian, never by inner products, whose rounding would take the constraint for data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.inverse.pde.rest_frame import at_rest
from retrodict.inverse.pde.samples import Samples
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.errors import SolverError, SpaceError, expected
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.spaces import Array, Space, Tree, Var
from retrodict.physics.system import key
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.parts import equation_part
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.trial import Trial, separate_networks

__all__ = ["AllAtOnce", "Marginal", "marginal_problem"]

Floats = NDArray[np.float64]

_WEIGHTS = "weights"


class AllAtOnce:
    """A least-squares objective over network weights, coefficients at rest and the velocity of the stream.

    The network lives in the frame of the stream; a sample at ``(x, t)`` reads it at ``x - c (t - t0)``.

    Parameters
    ----------
    system : QuasiLinear
        The equation, with a known initial field.
    samples : Samples
        The data.
    unknown : sequence of str
        Coefficients to find.
    start : Mapping of str to float, optional
        Where to begin; the system's coefficients unless given.
    width, depth : int, optional
        Of the network.
    equation_std : float, optional
        Root mean square of the equation's residual that costs as much as one sample off by one standard deviation.
    sampling : Sampling, optional
        Where the equation is asked for; 512 points and 64 more where time begins unless given.
    seed : int, optional
        Of weights and points.

    Raises
    ------
    SpaceError
        If an unknown is no coefficient of the system.
    SolverError
        If ``equation_std`` is not positive, or as `retrodict.inverse.pde.rest_frame.at_rest`.
    DataError
        If a sample is outside of the system's time.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> at = Samples(np.array([1.0, 2.0]), np.array([0.2, 0.5]), np.array([0.8, 0.9]), 0.1)
    >>> joint = AllAtOnce(convection(1.0, 0.1), at, ["c", "nu"], width=4, depth=1, sampling=Sampling(16, 4))
    >>> residual, jacobian = joint.jacobian(joint.start)
    >>> residual.shape, jacobian.shape, list(joint.space)  # 20 points of the equation and 2 samples
    ((22,), (22, 23), ['weights', 'c', 'nu'])
    """

    def __init__(
        self,
        system: QuasiLinear,
        samples: Samples,
        unknown: Sequence[str],
        *,
        start: Mapping[str, float] | None = None,
        width: int = 16,
        depth: int = 2,
        equation_std: float = 1e-4,
        sampling: Sampling | None = None,
        seed: int = 0,
    ) -> None:
        if strange := sorted(set(unknown) - set(system.params)):
            raise SpaceError(expected("unknown", strange, f"coefficients among {sorted(system.params)}"))
        if not 0 < equation_std < np.inf:
            raise SolverError(expected("equation_std", equation_std, "a positive number"))
        still = at_rest(system)
        self.system, self.samples, self.unknown = system, samples.inside(system.coords), tuple(unknown)
        (self.coord,) = still.space
        self.stream, self.factor = system.streams.get(self.coord), 1 / equation_std
        self.trial = Trial(still, separate_networks(still, width, depth))
        points = (sampling or Sampling(512, 64)).draw(still.coords, np.random.default_rng([seed, 1]))
        begin = {k: float((start or {}).get(k, system.values[k])) for k in unknown}
        weights = self.trial.draw(np.random.default_rng(seed))
        self.resting = tuple(k for k in unknown if k != self.stream)
        part = equation_part(self.trial, points)
        self.loss = ResidualLoss(self.trial, [part], weights, unknown={k: begin[k] for k in self.resting})
        coefficients = {k: Var(bounds=system.params[k].bounds) for k in unknown}
        self.space = Space({_WEIGHTS: Var(("weight",), (self.trial.size,)), **coefficients})
        self.start: Tree = {_WEIGHTS: weights, **{k: np.array(v) for k, v in begin.items()}}
        self.name = f"all-at-once:{system.name}"

    def _moved(self, x: Tree) -> dict[str, Floats]:
        speed = float(x.get(self.stream, self.system.values[self.stream])) if self.stream else 0.0
        (low, high), since = self.system.coords[self.coord].bounds, self.system.coords["t"].bounds[0]
        place = self.samples.x - speed * (self.samples.t - since)
        return {self.coord: low + np.mod(place - low, high - low), "t": self.samples.t}

    def _equation(self, x: Tree) -> dict[str, Array]:
        return {_WEIGHTS: x[_WEIGHTS], **{k: x[k] for k in self.resting}}

    def value(self, x: Tree) -> float:
        """Return half the sum of squares of equation and data."""
        u = self.trial.derivatives(x[_WEIGHTS], self._moved(x), [key("u")])["u"].numpy()
        gap = (u - self.samples.u) / self.samples.sigma
        return float(0.5 * gap @ gap + self.factor**2 * self.loss.value(self._equation(x)))

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return the gradient."""
        r, jacobian = self.jacobian(x)
        return self.space.unpack(jacobian.T @ r)

    def jacobian(self, x: Tree) -> tuple[Floats, Floats]:
        """Return the residuals of equation and data, and their derivative by everything unknown."""
        r, rows = self.loss.jacobian(self._equation(x))
        size, count = self.trial.size, self.samples.count
        places = {k: size + i for i, k in enumerate(self.unknown)}
        top = np.zeros((len(r), self.space.size))
        top[:, :size] = rows[:, :size]
        for i, k in enumerate(self.resting):
            top[:, places[k]] = rows[:, size + i]
        bottom = np.zeros((count, self.space.size))
        u, slope = self._data(x, bottom[:, :size])
        if self.stream in places:
            # the place of a sample in the frame moves with c
            since = self.system.coords["t"].bounds[0]
            bottom[:, places[str(self.stream)]] = -(self.samples.t - since) * slope
        gap = (u - self.samples.u) / self.samples.sigma
        return np.concatenate([self.factor * r, gap]), np.concatenate(
            [self.factor * top, bottom / self.samples.sigma[:, None]]
        )

    def _data(self, x: Tree, rows: Floats) -> tuple[Floats, Floats]:
        """Return field and slope at the samples, and fill in the field's derivative by the weights."""
        weights = self.trial.tensor(x[_WEIGHTS])
        prepared = self.trial.prepare(self._moved(x), [key("u"), key("u", self.coord)])
        parts = []
        for block in prepared.blocks:
            values, memory = prepared.forward(weights, block)
            bar = torch.zeros_like(values)
            bar[0] = 1.0
            into = values.new_zeros(values.shape[1], self.trial.size)
            prepared.jacobian(weights, block, memory, bar, into)
            rows[block] = into.numpy()
            parts.append(values)
        u, slope = torch.cat(parts, 1).numpy()
        return u, slope


@dataclass(frozen=True, eq=False)
class Marginal:
    """A quadratic about an estimate, all that is left of an objective whose other unknowns are integrated out.

    Parameters
    ----------
    space : Space
        The unknowns that are left.
    centre : Tree
        The estimate.
    information : ndarray, shape (n, n)
        Inverse covariance; singular where a direction is not determined.

    Examples
    --------
    >>> space = Space({"x": Var()})
    >>> Marginal(space, {"x": np.array(1.0)}, np.array([[4.0]])).value({"x": np.array(2.0)})
    2.0
    """

    space: Space
    centre: Tree
    information: Floats

    def _off(self, x: Tree) -> Floats:
        return self.space.pack(x) - self.space.pack(self.centre)

    def value(self, x: Tree) -> float:
        """Return half the squared distance in standard deviations."""
        off = self._off(x)
        return float(0.5 * off @ self.information @ off)

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return its gradient."""
        return self.space.unpack(self.information @ self._off(x))

    def hessian(self, _x: Tree) -> Floats:
        """Return the information."""
        return self.information


def marginal_problem(objective: AllAtOnce, at: Tree) -> InverseProblem:
    """Return the problem of the coefficients alone, the weights marginalised at an estimate.

    Parameters
    ----------
    objective : AllAtOnce
        What was minimised.
    at : Tree
        Its minimiser.

    Returns
    -------
    InverseProblem
        For `retrodict.inverse.posterior.posterior`, which says what is not determined.

    Examples
    --------
    >>> from retrodict.inverse.posterior import posterior
    >>> from retrodict.physics.pde.convection import convection
    >>> first = Samples(np.array([1.0, 2.0]), np.zeros(2), np.array([0.8, 0.9]), 0.1)
    >>> joint = AllAtOnce(convection(1.0, 0.1), first, ["c", "nu"], width=4, depth=1, sampling=Sampling(16, 4))
    >>> marginal = marginal_problem(joint, joint.start)
    >>> post = posterior(marginal, marginal.start)
    >>> str(post["verdict"].values[0])
    'not identifiable from these data'
    """
    _, jacobian = objective.jacobian(at)
    size = objective.trial.size
    weights, rest = jacobian[:, :size], jacobian[:, size:]
    norms = np.linalg.norm(weights, axis=0)
    basis, strength, _ = np.linalg.svd(weights / np.where(norms > 0, norms, 1.0), full_matrices=False)
    basis = basis[:, strength > 1e-13 * strength[0]]
    # twice, for the first projection leaves rounding of the large rows
    for _ in range(2):
        rest = rest - basis @ (basis.T @ rest)
    space = Space({k: objective.space[k] for k in objective.unknown})
    centre = {k: at[k] for k in objective.unknown}
    term = Term("samples", Marginal(space, centre, rest.T @ rest))
    return InverseProblem(space, (term,), centre, name=f"{objective.name}|{_WEIGHTS}")
