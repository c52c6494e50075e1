"""Small problems with known answers."""

import numpy as np
import pytest
import torch

from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.autograd import TorchModel
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Space, Var


def _linear_problem(matrix, data, noise=None, priors=(), names="abcdefgh", bounds=None, truth=None, start=None):
    """``data = matrix @ unknowns + noise`` over named scalars."""
    matrix = np.asarray(matrix, float)
    names = names[: matrix.shape[1]]
    limits = bounds or {}
    domain = Space({k: Var(bounds=limits.get(k, (-np.inf, np.inf)), units="m") for k in names})
    codomain = Space({"y": Var(("i",), (len(matrix),))})
    weight = torch.as_tensor(matrix)
    model = TorchModel(domain, codomain, lambda t: {"y": weight @ torch.stack([t[k] for k in names])})
    seen = Observation(codomain, {"y": np.asarray(data, float)}, {"y": noise or Gaussian(1.0)})
    at = start or dict.fromkeys(names, 0.0)
    return InverseProblem(domain, (Term("data", Misfit(model, seen)), *priors), at, truth)


TIME = np.linspace(0.0, 3.0, 25)


class Decay:
    """``amplitude exp(-rate time)``, in numpy because hundreds of fits are made."""

    domain = Space({"amplitude": Var(units="V", bounds=(0.0, 100.0)), "rate": Var(units="s-1", bounds=(0.0, 10.0))})
    range = Space({"y": Var(("time",), TIME.shape, units="V")})

    def apply(self, x):
        return {"y": x["amplitude"] * np.exp(-x["rate"] * TIME)}

    def linearize(self, x):
        y = self.apply(x)["y"]
        rows = {"amplitude": np.exp(-x["rate"] * TIME), "rate": -TIME * y}
        forward = lambda d: {"y": sum(d[k] * rows[k] for k in rows)}  # noqa: E731
        return {"y": y}, Operator(self.domain, self.range, forward, lambda r: {k: rows[k] @ r["y"] for k in rows})


DECAY = Decay()


def _decay_problem(y, noise, start=(3.0, 1.5), priors=(), mask=None):
    seen = Observation(DECAY.range, {"y": y}, {"y": noise}, {} if mask is None else {"y": mask})
    at = {"amplitude": start[0], "rate": start[1]}
    return InverseProblem(DECAY.domain, (Term("data", Misfit(DECAY, seen)), *priors), at)


@pytest.fixture(scope="session")
def linear_problem():
    return _linear_problem


@pytest.fixture(scope="session")
def decay():
    return DECAY


@pytest.fixture(scope="session")
def decay_problem():
    return _decay_problem
