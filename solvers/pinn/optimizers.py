"""The optimisers of the suite by name, over a loss of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.base import Solver
from retrodict.solvers.pinn.loss import ResidualLoss

__all__ = ["METHODS", "optimizer"]


def _adam(loss: ResidualLoss, **options: Any) -> Solver[Any]:
    from retrodict.solvers.first_order import Adam

    return Adam(loss, **options)


def _soap(loss: ResidualLoss, **options: Any) -> Solver[Any]:
    from retrodict.solvers.first_order import SOAP

    return SOAP(loss, **{"blocks": {"weights": loss.trial.matrices}, **options})


def _lbfgs(loss: ResidualLoss, **options: Any) -> Solver[Any]:
    from retrodict.solvers.gradient import LBFGS

    return LBFGS(loss, **{"memory": 100, "tolerance": 1e-12, **options})


def _ssbroyden(loss: ResidualLoss, **options: Any) -> Solver[Any]:
    from retrodict.solvers.quasi_newton import SSBroyden

    return SSBroyden(loss, **options)


def _levenberg_marquardt(loss: ResidualLoss, **options: Any) -> Solver[Any]:
    from retrodict.solvers.least_squares import LevenbergMarquardt

    return LevenbergMarquardt(
        loss, **{"factorisation": "cholesky", "damping": 1.0, "tolerance": 1e-12, "scale": "absolute", **options}
    )


def _gauss_newton(loss: ResidualLoss, **options: Any) -> Solver[Any]:
    from retrodict.solvers.least_squares import GaussNewton

    return GaussNewton(loss, **{"tolerance": 1e-12, "scale": "absolute", "cutoff": 1e-6, **options})


def _natural_gradient(loss: ResidualLoss, **options: Any) -> Solver[Any]:
    from retrodict.solvers.natural_gradient import NaturalGradient

    return NaturalGradient(loss, **{"tolerance": 1e-12, "scale": "absolute", "regularisation": 1e-6, **options})


METHODS: Mapping[str, Callable[..., Solver[Any]]] = {
    "adam": _adam,
    "soap": _soap,
    "l-bfgs": _lbfgs,
    "ssbroyden": _ssbroyden,
    "levenberg-marquardt": _levenberg_marquardt,
    "gauss-newton": _gauss_newton,
    "natural-gradient": _natural_gradient,
}


def optimizer(method: str, loss: ResidualLoss, options: Mapping[str, Any]) -> Solver[Any]:
    """Return an optimiser over a loss.

    Parameters
    ----------
    method : str
        One of ``METHODS``.
    loss : ResidualLoss
        What to minimise.
    options : Mapping
        Of the method.

    Returns
    -------
    Solver
        From the weights of the loss.

    Raises
    ------
    SolverError
        If the method is unknown, or needs double precision and the loss is in single.

    Examples
    --------
    >>> sorted(METHODS)[:3]
    ['adam', 'gauss-newton', 'l-bfgs']
    """
    if method not in METHODS:
        raise SolverError(expected("method", repr(method), f"one of {', '.join(METHODS)}"))
    if loss.precision != "float64" and method not in ("adam", "soap"):
        raise SolverError(
            expected(
                f"{method} in {loss.precision}",
                "single precision",
                "float64: second-order steps stop helping near 1e-4",
            )
        )
    return METHODS[method](loss, **options)
