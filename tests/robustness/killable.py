"""The example case with a model that ends its own process: by which signal and at which call, the tests set."""

import dataclasses
import os
import signal

import numpy as np
import retrodict_cooling as example

from retrodict.cases.case import Case
from retrodict.cases.config import setting
from retrodict.physics.spaces import Space, Tree
from retrodict.solvers.first_order import SOAP, Adam
from retrodict.solvers.least_squares import LevenbergMarquardt
from retrodict.solvers.natural_gradient import NaturalGradient
from retrodict.solvers.quasi_newton import SSBroyden
from retrodict.solvers.schedules import Schedule

CALLS = 0


class Killable(example.Body):
    """A body whose n-th evaluation is its last; with ``RETRODICT_TEST_SIGNAL`` unset, an ordinary one."""

    def linearize(self, x: Tree):  # type: ignore[no-untyped-def]
        """Count, perhaps die, or linearise."""
        global CALLS
        CALLS += 1
        name, _, at = os.environ.get("RETRODICT_TEST_SIGNAL", ":0").partition(":")
        if int(at) == CALLS:
            os.kill(os.getpid(), signal.Signals[name])
        return super().linearize(x)


class Config(example.Cooling):
    """The settings of the example, and which method solves it."""

    method: str = setting("levenberg-marquardt")


def problem(config, seeds, data):  # type: ignore[no-untyped-def]
    from retrodict.inverse.terms import Misfit

    plain = example.problem(config, seeds, data)
    (term,) = plain.terms
    misfit = Misfit(Killable(), term.fn.observation)
    return dataclasses.replace(plain, terms=(dataclasses.replace(term, fn=misfit),))


class Unbounded:
    """A problem whose bounds are left out of account."""

    def __init__(self, posed) -> None:  # type: ignore[no-untyped-def]
        free = {k: dataclasses.replace(v, bounds=(-np.inf, np.inf)) for k, v in posed.space.items()}
        self.space, self.start, self.name = Space(free), posed.start, posed.name
        self.value, self.gradient = posed.value, posed.gradient


OTHERS = {
    "ssbroyden": lambda posed: SSBroyden(Unbounded(posed), tolerance=1e-6),
    # where first-order methods stop matters less than that they stop: gradients begin at half a million
    "adam": lambda posed: Adam(posed, rate=Schedule(0.01, "exponential", steps=1000), amsgrad=True, tolerance=1e4),
    "soap": lambda posed: SOAP(posed, rate=0.01, frequency=2, one_sided=True, tolerance=1e4),
    "natural-gradient": lambda posed: NaturalGradient(posed, regularisation=0.3),
    "levenberg-marquardt-cholesky": lambda posed: LevenbergMarquardt(posed, damping=100.0, factorisation="cholesky"),
}


def solver(config, posed):  # type: ignore[no-untyped-def]
    from retrodict.inverse.estimators import solver_for

    if config.method in OTHERS:
        return OTHERS[config.method](posed)
    return solver_for(posed, config.method, tolerance=1e-6 if config.method == "l-bfgs" else 1e-8)


case = Case(
    name="killable",
    system="tests",
    summary="A fit that is killed.",
    Config=Config,
    simulate=example.simulate,
    problem=problem,
    solver=solver,
)
