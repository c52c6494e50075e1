"""Models probed once, before any work: what they return, and whether their derivatives are those of what they return.

A Jacobian with one column off by a factor of two still leads an optimiser to the minimum, and halves a standard
deviation on the way. One directional derivative against differences tells.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import GaussNewton, Linearization, Misfit, Smooth, Term
from retrodict.physics.differences import typical_sizes
from retrodict.physics.errors import RetrodictError, SolverError, expected
from retrodict.physics.spaces import Array, Space, Tree, Var

__all__ = ["probe"]

Floats = NDArray[np.float64]

_STEPS = (1e-2, 1e-4, 1e-6, 1e-8)  # relative; a right derivative agrees at one of them, a wrong one at none
_AGREES = 0.01
_SIDES = 0.05
_QUIET = 1e-3  # least weight of a variable in the direction, so that rounding does not swallow it

_probed: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def probe(problem: InverseProblem) -> None:
    """Examine every term of a problem at its start; the derivatives of a model are examined once.

    Parameters
    ----------
    problem : InverseProblem
        The problem that is about to be solved.

    Raises
    ------
    SolverError
        If a model returns other names, shapes or types than its range, or numbers that are not finite where data are
        valid; if its linearisation is not that of what it returns, or its adjoint not that of its derivative; if a
        term's gradient is not that of its value; or if a model raises an exception of another library.

    Examples
    --------
    >>> from retrodict.inverse.noise import Gaussian
    >>> from retrodict.inverse.observation import Observation
    >>> from retrodict.physics.model import Operator
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> class Twice:
    ...     domain = range = line
    ...     def apply(self, p): return {"x": 2 * p["x"]}
    ...     def linearize(self, p):
    ...         return self.apply(p), Operator(line, line, lambda d: {"x": 4 * d["x"]}, lambda d: {"x": 4 * d["x"]})
    >>> data = Observation(line, {"x": np.array(2.0)}, {"x": Gaussian(1.0)})
    >>> probe(InverseProblem(line, (Term("data", Misfit(Twice(), data)),), {"x": np.array(1.0)}))
    Traceback (most recent call last):
    retrodict.physics.errors.SolverError: term 'data': got a derivative 2 times the differences of the data by x, expected the derivative of what the model returns
    """  # noqa: E501 - a message has one line
    for term in problem.terms:
        what = term.fn.model if isinstance(term.fn, Misfit) else term.fn
        known = _probed.get(id(what)) is what
        try:
            if known and isinstance(term.fn, Misfit):  # its data are examined at every start
                _data(term, term.fn, problem.start)
            elif not known:
                _examine(term, problem.space, problem.start)
        except RetrodictError:
            raise
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            raise SolverError(
                expected(f"term {term.name!r}", got, "a model that can be evaluated at the start")
            ) from error
        try:
            _probed[id(what)] = what
        except TypeError:  # an object that cannot be remembered is probed again
            continue


def _examine(term: Term, space: Space, start: Tree) -> None:
    if isinstance(term.fn, Misfit):
        _model(term, term.fn, {k: np.asarray(start[k]) for k in term.fn.model.domain})
    elif isinstance(term.fn, Smooth):
        _function(term, term.fn, space, start)


def _data(term: Term, misfit: Misfit, start: Tree) -> dict[str, Array]:
    """Return the data that a model predicts at a point, examined."""
    own = {k: np.asarray(start[k]) for k in misfit.model.domain}
    return _checked(f"term {term.name!r}", misfit.model.range, misfit.model.apply(own), misfit.observation.mask)


def _model(term: Term, misfit: Misfit, start: Tree) -> None:
    """Examine a forward model: its data, its derivative, its adjoint."""
    where, model, obs = f"term {term.name!r}", misfit.model, misfit.observation
    at = _inside(model.domain, start)
    value = _data(term, misfit, at)
    again, slope = model.linearize(at)
    again = _checked(where, model.range, again, obs.mask)

    maps = {k: obs.noise[k].whiten(obs.values[k], np.asarray(value[k], float), obs.mask[k]) for k in obs.space}

    def white(change: Mapping[str, Array]) -> Floats:
        # a model may say nothing of what was not observed
        seen = {k: np.where(obs.mask[k], np.asarray(change[k], float), 0.0) for k in obs.space}
        return np.concatenate([np.ravel(maps[k].forward(seen[k])) for k in obs.space])

    size = float(np.linalg.norm(white(value)))
    if np.linalg.norm(white({k: again[k] - value[k] for k in value})) > 1e-6 * max(size, 1e-300):
        raise SolverError(expected(where, "other data from linearize than from apply", "one model"))
    heard, unheard = _directions(model.domain, at, lambda d: float(np.linalg.norm(white(slope.apply(d)))))

    for direction in (heard, unheard):

        def sides(h: float, direction: Tree = direction) -> tuple[Floats, Floats]:
            there, back = (model.apply(model.domain.axpy(s * h, direction, at)) for s in (1, -1))
            forth = {k: (np.asarray(there[k]) - np.asarray(value[k])) / h for k in value}
            return white(forth), white({k: (np.asarray(value[k]) - np.asarray(back[k])) / h for k in value})

        columns = {
            k: white(slope.apply({**model.domain.zeros(), k: v})) for k, v in direction.items() if np.any(v != 0)
        }
        if columns:
            _agree(where, columns, white(slope.apply(direction)), sides, size)
    image = {k: np.where(obs.mask[k], np.asarray(v), 0.0) for k, v in slope.apply(heard).items()}
    forth = model.range.inner(image, image)
    back = model.domain.inner(heard, slope.adjoint(image))
    if not abs(forth - back) <= 1e-6 * abs(forth):
        got = f"an adjoint that is off by {abs(forth - back) / max(abs(forth), 1e-300):.1e}"
        raise SolverError(expected(where, got, "the adjoint of the derivative"))


def _agree(
    where: str,
    columns: Mapping[str, Floats],
    claimed: Floats,
    sides: Callable[[float], tuple[Floats, Floats]],
    size: float,
) -> None:
    """Refuse a derivative that differences contradict, and name the variable at fault.

    Differences are evidence where those to either side agree and those of two steps do: a model with a kink at the
    start, one that returns steps or noise, and one whose scale the steps miss are not judged.
    """
    before: Floats | None = None
    for h in _STEPS:
        with np.errstate(all="ignore"):
            forth, back = sides(h)
            found = 0.5 * (forth + back)
        largest = max(float(np.linalg.norm(found)), float(np.linalg.norm(claimed)))
        if not np.isfinite(largest):
            continue
        if largest * h <= 1e-13 * size or np.linalg.norm(found - claimed) <= _AGREES * largest:
            return  # it agrees, or nothing changes that rounding would let through
        if np.linalg.norm(forth - back) > _SIDES * max(np.linalg.norm(forth), np.linalg.norm(back)):
            continue
        if before is not None and np.linalg.norm(found - before) <= _AGREES * np.linalg.norm(found):
            worst, ratio = _culprit(columns, claimed - found)
            got = f"a derivative {ratio:.3g} times the differences of the data by {worst}"
            raise SolverError(expected(where, got, "the derivative of what the model returns"))
        before = found


def _culprit(columns: Mapping[str, Floats], gap: Floats) -> tuple[str, float]:
    """Return the variable whose column explains most of the gap, and by what factor it is off."""
    if not any(np.any(column) for column in columns.values()):
        return ", ".join(columns), 0.0
    least, best = np.inf, ("its parameters", np.nan)
    for name, column in columns.items():
        power = float(column @ column)
        share = float(column @ gap) / power if power > 0 else 1.0
        rest = float(np.linalg.norm(gap - share * column))
        if rest < least and share != 1.0:
            least, best = rest, (name, 1 / (1 - share))
    return best


def _function(term: Term, fn: Smooth, space: Space, start: Tree) -> None:
    """Examine a term that is no misfit: its gradient along one direction."""
    where, at = f"term {term.name!r}", _inside(space, start)
    value = fn.value(at)
    if not np.isfinite(value):
        return  # a likelihood may have no value at the start; the solver says so
    gradient = {**space.zeros(), **fn.gradient(at)}
    strange = [k for k in space if np.shape(gradient[k]) != space[k].shape]
    if strange:
        got = f"a gradient by {strange[0]!r} of shape {np.shape(gradient[strange[0]])}"
        raise SolverError(expected(where, got, f"shape {space[strange[0]].shape}"))
    if isinstance(fn, GaussNewton):
        line = fn.linearize(at)
        if line.residual.ndim != 1 or not np.isfinite(line.residual).all():
            raise SolverError(expected(where, f"residuals of shape {line.residual.shape}", "finite numbers in one row"))
        _linearised(where, space, gradient, line)
    sizes = typical_sizes(space, at)
    direction = {k: np.where(np.real(gradient[k]) < 0, -1.0, 1.0) * sizes[k] for k in space}
    claimed = sum(float(np.sum(np.real(np.conj(gradient[k]) * direction[k]))) for k in space)
    best = np.inf
    for h in _STEPS:
        there, back = (fn.value(space.axpy(s * h, direction, at)) for s in (1, -1))
        found = (there - back) / (2 * h)
        largest = max(abs(found), abs(claimed))
        if largest * h <= 1e-12 * max(abs(value), 1.0) or not np.isfinite(found):
            return
        best = min(best, abs(found - claimed) / largest)
        if best <= _AGREES:
            return
    raise SolverError(expected(where, f"a gradient that differences contradict by {best:.0%}", "that of its value"))


def _linearised(where: str, space: Space, gradient: Tree, line: Linearization) -> None:
    """Refuse a linearisation whose two halves do not belong together, or not to the gradient."""
    turned = {**space.zeros(), **line.transpose(line.residual)}
    gap = space.norm({k: np.asarray(turned[k]) - np.asarray(gradient[k]) for k in space})
    d = space.random(np.random.default_rng(7))
    forth = float(line.forward(d) @ line.residual)
    back = space.inner(d, turned)
    scale = float(np.linalg.norm(line.forward(d)) * np.linalg.norm(line.residual))
    if gap > 1e-6 * max(space.norm(gradient), 1e-300) or abs(forth - back) > 1e-6 * max(scale, 1e-300):
        raise SolverError(expected(where, "a linearisation that is not that of its gradient", "J' r and its adjoint"))


def _checked(where: str, space: Space, data: Any, mask: Mapping[str, NDArray[np.bool_]]) -> dict[str, Array]:
    """Return the data of a model as arrays of its range."""
    if not isinstance(data, Mapping) or set(data) != set(space):
        got = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
        raise SolverError(expected(where, f"data {got}", f"exactly {sorted(space)}"))
    arrays = {}
    for name, var in space.items():
        array = np.asarray(data[name])
        kinds = "iufc" if var.is_complex else "iuf"
        if array.shape != var.shape or array.dtype.kind not in kinds:
            got = f"data {name!r} of {array.dtype} and shape {array.shape}"
            raise SolverError(expected(where, got, f"{var.dtype} and shape {var.shape}"))
        bad = mask[name] & ~np.isfinite(array)
        if bad.any():
            got = f"{int(bad.sum())} of {int(mask[name].sum())} data {name!r} that are not finite at the start"
            raise SolverError(expected(where, got, "finite numbers"))
        arrays[name] = array
    return arrays


def _inside(space: Space, start: Tree) -> dict[str, Array]:
    """Return the start, moved off bounds that a step of the differences would cross."""
    sizes, at = typical_sizes(space, start), {}
    for name, var in space.items():
        low, high = var.bounds
        room = np.minimum(2 * _STEPS[0] * sizes[name], 0.25 * (high - low))
        value = np.asarray(start[name])
        at[name] = value if np.iscomplexobj(value) else np.clip(value, low + room, high - room)
    return at


def _directions(
    space: Space, at: Tree, influence: Callable[[Tree], float]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return two directions of random signs: of the variables that the derivative feels, and of those it does not.

    Along the first every variable changes the data by as much, within limits, so that each is examined.
    """
    rng, sizes = np.random.default_rng(7), typical_sizes(space, at)

    def signs(var: Var) -> Array:
        real = rng.choice([-1.0, 1.0], size=var.shape)
        return np.asarray(real + 1j * rng.choice([-1.0, 1.0], size=var.shape) if var.is_complex else real)

    parts = {k: np.asarray(sizes[k] * signs(var)) for k, var in space.items()}
    felt = {k: influence({**space.zeros(), k: part}) for k, part in parts.items()}
    least = min((v for v in felt.values() if v > 0), default=1.0)
    heard = {k: part * max(least / felt[k], _QUIET) if felt[k] > 0 else 0 * part for k, part in parts.items()}
    return heard, {k: 0 * part if felt[k] > 0 else part for k, part in parts.items()}
