"""The example case with a model that ends its own process: by which signal and at which call, the tests set."""

import dataclasses
import os
import signal

import retrodict_cooling as example

from retrodict.cases.case import Case
from retrodict.cases.config import setting
from retrodict.physics.spaces import Tree

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


def solver(config, posed):  # type: ignore[no-untyped-def]
    from retrodict.inverse.estimators import solver_for

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
