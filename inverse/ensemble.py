"""What an ensemble method needs of an inverse problem: a forward model to run, Gaussian noise and a Gaussian prior."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.noise import Gaussian, Heteroscedastic, NoiseModel
from retrodict.inverse.observation import Observation
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.model import ForwardModel
from retrodict.physics.spaces import Space

__all__ = ["GaussianEnsemble"]

Floats = NDArray[np.float64]


class GaussianEnsemble:
    """Objective of `retrodict.solvers.ensemble_smoother.EnsembleSmoother`; the model is only ever applied.

    Parameters
    ----------
    model : ForwardModel
        Unknowns to data.
    observation : Observation
        With Gaussian noise. Noise that grows with the prediction is taken at the observed value.
    priors : sequence of GaussianPrior
        One on every unknown.
    name : str, optional
        Stored in checkpoints.

    Raises
    ------
    SolverError
        If noise is not Gaussian, or an unknown has no prior or two.

    Examples
    --------
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> data = Observation(line, {"x": np.array(3.0)}, {"x": Gaussian(0.5)})
    >>> made = GaussianEnsemble(TorchModel(line, line, lambda t: t), data, [GaussianPrior("x", 0.0, std=2.0)])
    >>> made.observed, made.factor, made.predicted(np.array([1.0]))
    (array([6.]), array([[2.]]), array([2.]))
    """

    def __init__(
        self, model: ForwardModel, observation: Observation, priors: Sequence[GaussianPrior], name: str = "problem"
    ) -> None:
        self.model, self.observation, self.priors, self.name = model, observation, tuple(priors), name
        self.space: Space = model.domain
        if sorted(p.name for p in priors) != sorted(self.space):
            got = f"priors on {sorted(p.name for p in priors)}"
            raise SolverError(expected("GaussianEnsemble", got, f"one Gaussian prior on each of {sorted(self.space)}"))
        self._std = {k: _deviation(k, observation.noise[k], observation.values[k]) for k in observation.space}

    @classmethod
    def of(cls, problem: InverseProblem) -> GaussianEnsemble:
        """Return the same problem for an ensemble.

        Raises
        ------
        SolverError
            If it is not one misfit with Gaussian priors.
        """
        misfits = [t.fn for t in problem.terms if isinstance(t.fn, Misfit) and t.weight == 1]
        priors = [t.fn for t in problem.terms if isinstance(t.fn, GaussianPrior) and t.weight == 1]
        if len(misfits) != 1 or len(priors) != len(problem.terms) - 1:
            got = ", ".join(f"{t.name} ({type(t.fn).__name__})" for t in problem.terms)
            raise SolverError(expected("GaussianEnsemble", got, "one Misfit and Gaussian priors, of weight 1"))
        return cls(misfits[0].model, misfits[0].observation, priors, problem.name)

    @cached_property
    def mean(self) -> Floats:
        """Mean of the prior, shape (n,)."""
        means = {p.name: np.broadcast_to(np.asarray(p.mean, float), self.space[p.name].shape) for p in self.priors}
        return self.space.pack(means)

    @cached_property
    def factor(self) -> Floats:
        """Factor of the prior covariance, shape (n, n)."""
        made, at = np.zeros((self.space.size, self.space.size)), 0
        priors = {p.name: p for p in self.priors}
        for name, var in self.space.items():
            prior, rows = priors[name], slice(at, at + var.size)
            if prior.covariance is not None:
                made[rows, rows] = np.linalg.cholesky(np.asarray(prior.covariance, float))
            else:
                made[rows, rows] = np.diag(np.broadcast_to(np.asarray(prior.std, float), var.shape).ravel())
            at += var.size
        return made

    @cached_property
    def observed(self) -> Floats:
        """Valid data in units of their standard deviations, shape (m,)."""
        obs = self.observation
        return np.concatenate([(obs.values[k] / self._std[k])[obs.mask[k]] for k in obs.space])

    def predicted(self, x: Floats) -> Floats:
        """Return the valid data that packed unknowns predict, in the same units."""
        data, obs = self.model.apply(self.space.unpack(x)), self.observation
        return np.concatenate([(np.asarray(data[k], float) / self._std[k])[obs.mask[k]] for k in obs.space])


def _deviation(name: str, noise: NoiseModel, values: Floats) -> Floats:
    if isinstance(noise, Gaussian):
        return np.broadcast_to(np.asarray(noise.std, float), values.shape)
    if isinstance(noise, Heteroscedastic):
        return noise.std(values)
    raise SolverError(expected(f"GaussianEnsemble: noise of {name!r}", type(noise).__name__, "Gaussian noise"))
