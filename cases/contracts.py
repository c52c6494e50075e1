"""Checks that every case gets for its models: adjoint against derivative, derivative against finite steps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from retrodict.cases.checks import Check, Invariant, max_abs
from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.model import Differentiable
from retrodict.physics.spaces import Tree

__all__ = ["model_checks"]


def model_checks(models: Mapping[str, tuple[Differentiable, Tree]]) -> list[Check]:
    """Return a dot test and a Taylor test for each model.

    Parameters
    ----------
    models : Mapping of str to tuple
        Name to model and the point at which to test it.

    Returns
    -------
    list of Check
        Two a model. The dot test's bar follows the types of the range: 1e-13 in double, 1e-5 in single precision.

    Examples
    --------
    >>> from retrodict.cases.checks import judge
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Space, Var
    >>> line = Space({"x": Var()})
    >>> sine = TorchModel(line, line, lambda t: {"x": t["x"].sin()})
    >>> [judge(c).passed for c in model_checks({"sine": (sine, {"x": np.array(1.0)})})]
    [True, True]
    """
    checks = []
    for name, (model, at) in models.items():
        single = any(np.dtype(v.dtype).itemsize // (2 if v.is_complex else 1) < 8 for v in model.range.values())
        dot = Invariant(0.0, "<A x, y> = <x, A' y>, relative to |A x| |y|")
        taylor = Invariant(0.0, "remainder of the linearisation falls with the square of the step")
        checks += [
            Check(f"adjoint of {name}", partial(_dot, model, at), dot, 1e-5 if single else 1e-13, max_abs),
            Check(f"derivative of {name}", partial(_taylor, model, at), taylor, 0.1, max_abs, note="|rate - 2|"),
        ]
    return checks


def _dot(model: Differentiable, at: Tree) -> float:
    from retrodict.physics.verify import dot_test

    _, operator = model.linearize(at)
    if operator.domain != model.domain or operator.range != model.range:
        raise SpaceError(expected("linearize", f"an operator of {operator.domain}", f"one of {model.domain}"))
    return dot_test(operator).error


def _taylor(model: Differentiable, at: Tree) -> float:
    from retrodict.physics.verify import taylor_test

    scales = {k: float(np.max(np.abs(v), initial=0.0)) or 1.0 for k, v in at.items()}
    report = taylor_test(model, at, scales=scales)
    return 0.0 if report.linear else float(np.max(np.abs(np.array(report.rates) - 2.0)))
