"""Verification of derivatives and adjoints: dot test, Taylor test, linearity test.

Every adjoint of the suite passes the dot test and every linearisation the Taylor test, from one table. The dot test's
residual is relative to ``|Ax| |y|``: an absolute tolerance, or one relative to a small inner product, lets an adjoint
that is wrong by 1e-7 pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from retrodict.physics.model import Differentiable, LinearOperator
from retrodict.physics.spaces import Array, Space, Tree

__all__ = ["DotReport", "TaylorReport", "dot_test", "linearity_test", "taylor_test"]


@dataclass(frozen=True)
class DotReport:
    """Result of a dot test.

    Parameters
    ----------
    error : float
        Largest ``|<Ax, y> - <x, A'y>| / (|Ax| |y|)`` over seeds and pairs of variables.
    tolerance : float
        The bar.
    worst : tuple of str
        Variable of the domain and variable of the range where the error is largest.
    """

    error: float
    tolerance: float
    worst: tuple[str, str]

    @property
    def passed(self) -> bool:
        """Whether the adjoint is right; a NaN is not."""
        return bool(self.error <= self.tolerance)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else f"FAILED at {self.worst[0]} -> {self.worst[1]}"
        return f"dot test {verdict}: {self.error:.2e} (tolerance {self.tolerance:.0e})"


def dot_test(operator: LinearOperator, *, seeds: int = 5, tolerance: float = 1e-13) -> DotReport:
    """Compare an operator with its adjoint, one pair of variables after the other.

    The argument is random in one variable of the domain and the weight in one of the range, so that an error in one
    block is not hidden behind a large one, and is named. Each weight is one part random, two parts the image itself:
    a purely random one is nearly orthogonal to ``Ax`` in many dimensions and dilutes an error of scale, and equal parts
    could cancel where a variable is a single number.

    Parameters
    ----------
    operator : LinearOperator
        What to test.
    seeds : int, optional
        Number of random trees.
    tolerance : float, optional
        1e-13 for float64, 1e-5 for float32, ten times the requested accuracy for a NUFFT.

    Returns
    -------
    DotReport
        The largest error and where.

    Examples
    --------
    >>> from retrodict.physics.model import Operator
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var(("i",), (5,))})
    >>> print(dot_test(Operator(line, line, lambda t: t, lambda t: {"x": t["x"] * (1 + 1e-9)})))  # doctest: +ELLIPSIS
    dot test FAILED at x -> x: ...e-... (tolerance 1e-13)
    """
    error, worst = 0.0, ("", "")
    domain, codomain = operator.domain, operator.range
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 7])
        x_full, y_full = domain.random(rng), codomain.random(rng)
        for source in (name for name, var in domain.items() if var.size):
            x = {**domain.zeros(), source: x_full[source]}
            ax = operator.apply(x)
            for sink in codomain:
                image = Space({sink: codomain[sink]})
                size = image.norm(ax)
                mixed = y_full[sink] if size == 0.0 else y_full[sink] / image.norm(y_full) + 2 * ax[sink] / size
                y = {**codomain.zeros(), sink: np.asarray(mixed, codomain[sink].dtype)}
                back = operator.adjoint(y)
                left, right = codomain.inner(ax, y), domain.inner(x, back)
                # A block that is zero must be zero in the adjoint too: there the scale is that of the whole image.
                scale = size * image.norm(y) or domain.norm(x) * image.norm(y)
                defect = abs(left - right) / scale
                if defect > error or (np.isnan(defect) and not np.isnan(error)):
                    error, worst = defect, (source, sink)
    return DotReport(error, tolerance, worst)


@dataclass(frozen=True)
class TaylorReport:
    """Result of a Taylor test.

    Parameters
    ----------
    rates : tuple of float
        Observed orders of the remainder over successive halvings; 2 for a right derivative.
    remainders : tuple of float
        Norm of ``F(x + h d) - F(x) - h F'(x) d`` at each step, relative to ``|F(x)|``.
    linear : bool
        Whether all remainders are at rounding level, as for a linear model; the rates then say nothing.
    """

    rates: tuple[float, ...]
    remainders: tuple[float, ...]
    linear: bool

    @property
    def passed(self) -> bool:
        """Whether every rate lies in [1.9, 2.1], or the model is linear to rounding."""
        return self.linear or all(1.9 <= r <= 2.1 for r in self.rates)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        detail = "linear to rounding" if self.linear else "rates " + ", ".join(f"{r:.3f}" for r in self.rates)
        return f"Taylor test {verdict}: {detail}"


def taylor_test(
    model: Differentiable,
    at: Tree,
    *,
    direction: Tree | None = None,
    scales: Mapping[str, float] | None = None,
    step: float = 1e-2,
    halvings: int = 3,
    seed: int = 0,
) -> TaylorReport:
    """Measure the order of the remainder of a linearisation.

    Parameters
    ----------
    model : Differentiable
        What to test.
    at : Tree
        Point of linearisation.
    direction : Tree, optional
        Direction; by default random, of unit size times ``scales``.
    scales : Mapping of str to float, optional
        Typical size of a change of each variable (default 1).
    step : float, optional
        First step length; then halved.
    halvings : int, optional
        Number of halvings.
    seed : int, optional
        Of the random direction.

    Returns
    -------
    TaylorReport
        Rates and remainders.

    Examples
    --------
    >>> from retrodict.physics.autograd import TorchModel
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> taylor_test(TorchModel(line, line, lambda t: {"x": t["x"].sin()}), {"x": np.array(1.0)}).passed
    True
    """
    if direction is None:
        raw = model.domain.random(np.random.default_rng(seed))
        direction = {k: v * (scales or {}).get(k, 1.0) for k, v in raw.items()}
    value, derivative = model.linearize(at)
    slope = derivative.apply(direction)
    size = model.range.norm(value) or 1.0
    remainders = []
    for k in range(halvings + 1):
        h = step * 0.5**k
        moved = model.apply(model.domain.axpy(h, direction, at))
        residual = {n: moved[n] - value[n] - h * slope[n] for n in model.range}
        remainders.append(model.range.norm(residual) / size)
    # rounding level of F, and small beside the predicted change: a large offset must not hide a wrong derivative
    change = model.range.norm(slope) * step / size
    linear = all(r <= 1e-13 and r <= 1e-3 * change * 0.5**k for k, r in enumerate(remainders))
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = tuple(float(np.log2(a / b)) if b > 0 else np.nan for a, b in itertools.pairwise(remainders))
    return TaylorReport(rates, tuple(remainders), linear)


def linearity_test(apply: Callable[[Tree], Tree], domain: Space, codomain: Space, *, seed: int = 0) -> float:
    """Return the defect of ``A(2a - 3b) = 2 Aa - 3 Ab`` relative to the size of the right-hand side.

    Parameters
    ----------
    apply : callable
        Tree to tree.
    domain, codomain : Space
        Its spaces.
    seed : int, optional
        Of the random trees.

    Returns
    -------
    float
        At rounding level (below 1e-12 in float64) if and only if the map is linear over the reals.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> linearity_test(lambda t: {"x": t["x"] + 1}, line, line) > 0.1
    True
    """
    rng = np.random.default_rng(seed)
    a, b = domain.random(rng), domain.random(rng)
    joint: dict[str, Array] = domain.axpy(2.0, a, {k: -3.0 * v for k, v in b.items()})
    left = apply(joint)
    right = codomain.axpy(2.0, apply(a), {k: -3.0 * v for k, v in apply(b).items()})
    return codomain.norm(codomain.axpy(-1.0, right, left)) / (codomain.norm(right) or 1.0)
