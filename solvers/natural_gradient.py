"""Energy natural gradient descent for mean square residuals."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.base import Metrics
from retrodict.solvers.least_squares import LeastSquaresMethod, LeastSquaresState
from retrodict.solvers.normal_equations import Form, Gram
from retrodict.solvers.objective import LeastSquaresObjective

__all__ = ["NaturalGradient"]

Floats = NDArray[np.float64]


class NaturalGradient(LeastSquaresMethod):
    """Energy natural gradient: the Gauss-Newton direction, with the best of the lengths 1, 1/2, 1/4 and so on.

    Parameters
    ----------
    objective : LeastSquaresObjective
        For example the mean square residual of a differential equation.
    tolerance : float, optional
        Bar on the cosine between residual and Jacobian, and on the relative step.
    scale : {"unit", "absolute"}, optional
        Whether predicted gains are judged against ``max(|value|, 1)``, or against the value alone, for objectives that
        fall over many decades.
    regularisation : float, optional
        Added to the eigenvalues of ``J' J``, relative to their mean over the smaller of the two spaces. Zero takes the
        pseudo-inverse, which costs about ten times as much.
    cutoff : float, optional
        Eigenvalues that the pseudo-inverse drops, relative to the largest.
    grid : int, optional
        Number of lengths tried.
    form : {"auto", "primal", "dual"}, optional
        Inner products of columns or of rows of the Jacobian; by default of whichever are fewer.

    Raises
    ------
    SolverError
        If the objective is not a least-squares objective or an option is out of range.

    Notes
    -----
    Müller and Zeinhofer (2023), Achieving high accuracy with PINNs via energy natural gradients, ICML. The dual form
    follows from the identity of Woodbury.

    Examples
    --------
    >>> from retrodict.physics.spaces import Space, Var
    >>> class Line:
    ...     name, space, start = "line", Space({"x": Var()}), {"x": np.array(4.0)}
    ...     def value(self, x): return float(0.5 * (x["x"] - 1) ** 2)
    ...     def gradient(self, x): return {"x": x["x"] - 1}
    ...     def jacobian(self, x): return np.atleast_1d(x["x"] - 1), np.ones((1, 1))
    >>> solver = NaturalGradient(Line())
    >>> solver.step(solver.init())[0].x
    array([1.])
    """

    method = "natural-gradient"

    def __init__(
        self,
        objective: LeastSquaresObjective,
        *,
        tolerance: float = 1e-8,
        scale: str = "unit",
        regularisation: float = 0.0,
        cutoff: float = 1e-14,
        grid: int = 20,
        form: Form = "auto",
    ) -> None:
        super().__init__(objective, tolerance=tolerance, scale=scale)
        if not (0 <= regularisation < np.inf and 0 <= cutoff < 1 and grid >= 1 and form in get_args(Form)):
            got = f"regularisation {regularisation}, cutoff {cutoff}, grid {grid}, form {form!r}"
            wanted = f"regularisation >= 0, 0 <= cutoff < 1, grid >= 1, form of {get_args(Form)}"
            raise SolverError(expected("NaturalGradient", got, wanted))
        self.regularisation, self.cutoff, self.grid = regularisation, cutoff, grid
        self.form: Form = form

    def step(self, state: LeastSquaresState) -> tuple[LeastSquaresState, Metrics]:
        """Linearise once and keep the best point of the grid."""
        r, jac, gradient, free, scale = self._linearize(state)
        if not np.all(np.isfinite(scale)) or not np.all(np.isfinite(r)):
            return self._nowhere(state)
        unit = np.where(scale[free] > 0, scale[free], 1.0)
        full = self._direction(jac[:, free] / unit, r) / unit
        points = [self._trial(state.x, free, 0.5**k * full) for k in range(self.grid)]
        values = [self._value(x) for x in points]
        best = int(np.argmin([v if np.isfinite(v) else np.inf for v in values]))
        predicted = max(float(-gradient @ (points[best] - state.x)), 0.0)
        if values[best] < state.value:
            new = LeastSquaresState(points[best], values[best], 0.5**best, 2.0, scale)
            return new, self._metrics(new, state, gradient * free, r, predicted)
        rest = LeastSquaresState(state.x, state.value, state.damping, 2.0, scale)
        promised = max(float(-gradient @ (points[0] - state.x)), 0.0)
        return rest, self._metrics(rest, state, gradient * free, r, promised)

    def _direction(self, jac: Floats, r: Floats) -> Floats:
        system = Gram(jac, r, self.form)
        if self.regularisation:
            found = system.solve(self.regularisation * system.trace() / max(min(jac.shape), 1))
            if found is not None:
                return found
        return system.pseudo_solve(self.cutoff)
