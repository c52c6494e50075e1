"""An upper bound on the error of a network, from its residual alone.

For ``e = v - u`` the equation gives ``d|e|/dt <= G(t) |e| + |r(t)|`` in the norm of L2, where G comes with the system:
0 for uniform convection and diffusion, half the largest compression for Burgers, the steepest source for reactions.
Hence

    |e(t)| <= exp(int_0^t G) ( |e(0)| + sum of jumps at seams + int_0^t exp(-int_0^s G) |r(s)| ds )

with every earlier contribution carried along. The integrals are taken by quadratures of their own, refined where the
residual is large, down to a millionth of each window at its start: the loss of training plays no part. A slope that
jumps at the seam of a period, where no quadrature looks, is accounted for where something diffuses. Before a shock
the bound is sharp; long after one it is useless, as G is then the compression in the shock.

Where coefficients are uniform, Fourier modes evolve on their own and the residual is integrated mode by mode with its
sign (Duhamel): contributions that cancel are not added up, and the bound is close to the error itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.lagrangian import Lagrangian, jacobian, spatial_derivatives
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.system import Initial, Periodic, key
from retrodict.solvers.pinn.duhamel import duhamel_bound
from retrodict.solvers.pinn.windows import Piece, Window

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["certify"]

Floats = NDArray[np.float64]
_NODES, _GAUSS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True)
class _Sheet:
    """Norms at one set of times, each of shape (times,)."""

    residual: Floats
    growth: Floats
    field: Floats


def certify(
    pieces: Sequence[Piece], *, accuracy: float = 0.02, training: float | None = None, rounds: int = 8
) -> xr.Dataset:
    """Bound the error of a solution in pieces.

    Parameters
    ----------
    pieces : sequence of Piece
        In space or on labels, each following the one before.
    accuracy : float, optional
        Share of the bound to which its quadrature is refined; what is left of it is added.
    training : float, optional
        Root mean square residual that training reported, for the alarm.
    rounds : int, optional
        Times that intervals and points of space may be halved.

    Returns
    -------
    xarray.Dataset
        Over ``time``: ``bound`` on the norm of the error, ``relative`` to the norm of the field, ``residual``,
        ``growth``; attributes ``relative_bound`` (root mean square over time), ``quadrature`` (its relative error),
        ``verdict`` (``valid`` where the bound is below the field itself, else ``invalid``) and ``alarm``: whether the
        residual is ten times larger than training said.

    Raises
    ------
    SolverError
        If the system states no growth, conditions are not all hard, the first piece does not begin where the system
        does, or a piece does not begin where the one before ends.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> system = convection(1.0)
    >>> trial = Trial(system, separate_networks(system, 4, 1))
    >>> frozen = certify([Piece(trial, np.zeros(trial.size))])  # u = sin x for ever, so |e(1)| is 2 sin(1/2) sqrt(pi)
    >>> round(float(frozen["bound"][-1] / np.sqrt(np.pi)), 3)
    0.966
    """
    import xarray as xr

    if not pieces:
        raise SolverError(expected("certify", "no piece", "a solution"))
    _check_windows(pieces)
    times, weights, sheets, jumps, leftover = [], [], [], [], 0.0
    for i, piece in enumerate(pieces):
        t, w, sheet, rest = _integrate(piece, accuracy, rounds)
        times.append(t)
        weights.append(w)
        sheets.append(sheet)
        jumps.append(_jump(pieces[i - 1], piece) if i else _initial_error(piece))
        leftover += rest
    t = np.concatenate(times)
    w = np.concatenate(weights)
    residual, growth, field = (np.concatenate([getattr(s, k) for s in sheets]) for k in ("residual", "growth", "field"))
    logarithm = np.concatenate([[0.0], np.cumsum(w * growth)])
    middle = 0.5 * (logarithm[1:] + logarithm[:-1])
    first = np.concatenate([[0], np.cumsum([len(x) for x in times])[:-1]])
    # a node stands for an interval of its own; the largest factor in it bounds the rest
    at_once, steady = _kinks(pieces)
    sources = w * (residual + steady) * np.exp(-np.minimum(logarithm[1:], logarithm[:-1]))
    sources[first] += np.array(jumps) * np.exp(-logarithm[first])
    sources[0] += at_once
    with np.errstate(over="ignore", invalid="ignore"):
        bound = np.exp(np.maximum(logarithm[1:], middle)) * np.cumsum(sources) * (1 + leftover)
        if all(_is_uniform(piece) for piece in pieces):
            bound = np.minimum(bound, _from_modes(pieces, t, w * residual, rounds) + at_once + steady * np.cumsum(w))
        mean = float(np.sqrt(np.sum(w * bound**2) / np.sum(w * field**2)))
    measure = float(np.sqrt(_volume(pieces[0])))
    size = float(np.sqrt(np.sum(w * residual**2) / np.sum(w)) / measure)
    attributes = {
        "relative_bound": mean,
        "quadrature": leftover,
        "verdict": "valid" if np.isfinite(mean) and mean < 1 and leftover < 0.5 else "invalid",
        "alarm": int(training is not None and size > 10 * training + 1e-14),
    }
    data = {
        "bound": ("time", bound, {"long_name": "bound on the norm of the error", "units": "1"}),
        "relative": ("time", bound / np.maximum(field, 1e-300), {"long_name": "relative to the field", "units": "1"}),
        "residual": ("time", residual, {"long_name": "norm of the residual", "units": "1"}),
        "growth": ("time", growth, {"long_name": "rate at which errors can grow", "units": "1"}),
    }
    return xr.Dataset(data, {"time": ("time", t, {"units": "1"})}, attributes)


def _base(piece: Piece) -> tuple[QuasiLinear, Lagrangian | None]:
    """Return the system in space, and the one on labels if there is one."""
    system = piece.trial.system
    system = system.system if isinstance(system, Window) else system
    if isinstance(system, Lagrangian):
        return system.still, system
    if not isinstance(system, QuasiLinear):
        raise SolverError(expected("certify", type(system).__name__, "a quasi-linear system, in space or on labels"))
    return system, None


def _from_modes(pieces: Sequence[Piece], t: Floats, steps: Floats, rounds: int) -> Floats:
    """Return the bound by modes at the time before, and by norms from there on."""
    times, bound = duhamel_bound(pieces, rounds=min(rounds, 6))
    times, bound = np.concatenate([[t[0]], times]), np.concatenate([[0.0], bound])
    total = np.concatenate([[0.0], np.cumsum(steps)])
    before = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 1)
    since = total[np.searchsorted(t, times[before], side="left")]
    return np.asarray(bound[before] + total[1:] - since)


def _is_uniform(piece: Piece) -> bool:
    base, labels = _base(piece)
    return base.uniform and labels is None and len(base.space) == 1 and Periodic(base.space[0]) in base.conditions


def _volume(piece: Piece) -> float:
    base, _ = _base(piece)
    return float(np.prod([base.coords[x].bounds[1] - base.coords[x].bounds[0] for x in base.space]))


def _integrate(piece: Piece, accuracy: float, rounds: int) -> tuple[Floats, Floats, _Sheet, float]:
    """Return nodes, weights and norms on a window, and the relative error left."""
    low, high = piece.window
    line = len(_base(piece)[0].space) == 1
    graded, even = (np.arange(-20, -3), 15) if line else (np.arange(-20, -3, 3), 8)
    edges = low + (high - low) * np.concatenate([[0.0], 2.0**graded, np.linspace(0.125, 1.0, even)])
    count, error = 128 if line else 24, np.inf
    t, w, sheet = _nodes(piece, edges, count)
    for _ in range(rounds):
        finer = np.sort(np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1])]))
        fine_t, fine_w, fine = _nodes(piece, finer, count)
        coarse_sum = (w * sheet.residual).reshape(len(edges) - 1, -1).sum(1)
        fine_sum = (fine_w * fine.residual).reshape(len(edges) - 1, -1).sum(1)
        denser = _norms(piece, fine_t[:: max(1, len(fine_t) // 64)], 2 * count)
        again = fine.residual[:: max(1, len(fine_t) // 64)]
        in_space = float(np.abs(denser.residual - again).max() / max(denser.residual.max(), 1e-300))
        in_time = float(np.abs(fine_sum - coarse_sum).sum() / max(fine_sum.sum(), 1e-300))
        t, w, sheet, error = fine_t, fine_w, fine, in_space + in_time
        if error <= accuracy or fine_sum.sum() < 1e-15:
            break
        if in_time > 0.5 * accuracy:
            # only intervals that still matter are halved
            rough = np.abs(fine_sum - coarse_sum) > 0.1 * accuracy * fine_sum.sum() / len(fine_sum)
            edges = np.sort(np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1])[rough]]))
        if in_space > 0.5 * accuracy:
            count *= 2
        t, w, sheet = _nodes(piece, edges, count)
    return t, w, sheet, error


def _nodes(piece: Piece, edges: Floats, count: int) -> tuple[Floats, Floats, _Sheet]:
    half, middle = 0.5 * np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
    t = (middle[:, None] + half[:, None] * _NODES).ravel()
    w = (half[:, None] * _GAUSS).ravel()
    return t, w, _norms(piece, t, count)


def _norms(piece: Piece, t: Floats, count: int) -> _Sheet:
    """Return norms over space at times; labels carry their volume J."""
    base, labels = _base(piece)
    axes, weights = zip(*(_axis(base, x, count) for x in base.space), strict=True)
    mesh = [m.ravel() for m in np.meshgrid(*axes, indexing="ij")]
    volume = np.prod(np.stack([m.ravel() for m in np.meshgrid(*weights, indexing="ij")]), 0)
    per = max(1, 40_000 // len(volume))
    rows = [_rows(piece, base, labels, t[i : i + per], mesh, volume) for i in range(0, len(t), per)]
    return _Sheet(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _rows(
    piece: Piece, base: QuasiLinear, labels: Lagrangian | None, t: Floats, mesh: Sequence[Floats], volume: Floats
) -> tuple[Floats, Floats, Floats]:
    shape = (len(t), len(volume))
    coords = {"t": np.repeat(t, shape[1]), **{x: np.tile(m, shape[0]) for x, m in zip(base.space, mesh, strict=True)}}
    trial = piece.trial
    params = {k: trial.tensor(v) for k, v in base.values.items()}
    if base.growth is None:
        raise SolverError(expected(f"certify {base.name}", "no growth", "a system that states how errors grow"))
    wanted = tuple(dict.fromkeys((*base.derivatives, *base.growth_derivatives, key("u"))))
    if labels is None:
        d = trial.derivatives(piece.weights, coords, wanted)
        place: Mapping[str, torch.Tensor] = {k: trial.tensor(coords[k]) for k in base.coords}
        density = torch.ones_like(d["u"])
    else:
        on_labels = trial.derivatives(piece.weights, coords, labels.derivatives)
        place = labels.positions(on_labels, {k: trial.tensor(coords[k]) for k in base.coords})
        density = torch.linalg.det(jacobian(on_labels, base.space))
        if bool((density <= 0).any()):
            raise SolverError(
                expected("certify", f"J = {float(density.min()):.3g}", "labels that have not crossed, J > 0")
            )
        d = spatial_derivatives(on_labels, ("u",), wanted, base.space)
    r = base.residuals(d, place, params)[base.name].detach()
    growth = base.growth(d, place, params).detach().expand_as(r)
    weight = density.detach().double().cpu().numpy().reshape(shape) * volume

    def norm(values: torch.Tensor) -> Floats:
        return np.asarray(np.sqrt(np.sum(weight * values.detach().double().cpu().numpy().reshape(shape) ** 2, 1)))

    return norm(r), growth.double().cpu().numpy().reshape(shape).max(1), norm(d["u"])


def _axis(base: QuasiLinear, x: str, count: int) -> tuple[Floats, Floats]:
    """Return points and weights: equidistant on a period, Gauss-Legendre between walls."""
    low, high = base.coords[x].bounds
    if any(isinstance(c, Periodic) and c.coord == x for c in base.conditions):
        return low + (high - low) * (np.arange(count) + 0.5) / count, np.full(count, (high - low) / count)
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return low + (high - low) * 0.5 * (1 + nodes), 0.5 * (high - low) * weights


def _initial_error(piece: Piece) -> float:
    """Return the error where time begins: none, for a hard condition."""
    hard = {c.field for c in piece.trial.system.conditions if isinstance(c, Initial)}
    if "u" not in hard:
        raise SolverError(expected("certify", "no initial condition on u", "a hard one"))
    return 0.0


def _check_windows(pieces: Sequence[Piece]) -> None:
    """Refuse pieces between which, or on whose faces, an error would go unseen."""
    first = pieces[0].trial.system
    own = isinstance(first, Window) and first.start is not None
    ends = [_base(pieces[0])[0].coords["t"].bounds[0], *(p.window[1] for p in pieces)]
    if own or any(abs(p.window[0] - end) > 1e-12 * (1 + abs(end)) for p, end in zip(pieces, ends, strict=False)):
        spans = f"windows {[p.window for p in pieces]}" + (" and a start of its own" if own else "")
        raise SolverError(expected("certify", spans, "windows that follow each other from the system's start"))
    if soft := [c.name for p in pieces for c in p.trial.soft]:
        raise SolverError(expected("certify", f"soft conditions {soft}", "hard ones, which leave no error"))


def _kinks(pieces: Sequence[Piece]) -> tuple[float, float]:
    """Return what slopes that jump at the seam of a period add: to the error at once, and to its rate.

    Where something diffuses, a jump j of the slope is a residual in one point that no quadrature sees. It enters as
    ``g j |e(seam)|``, of which ``|e(seam)|^2 <= |e|^2 / L + 2 |e| |e_x|`` and the dissipation ``g |e_x|^2`` leave
    ``|e|' <= g j / sqrt(L) + 3/4 g j^(4/3) |e|^(-1/3)``; for ``|e| >= j (g T)^(3/4)`` that is a constant.
    """
    base, _ = _base(pieces[0])
    if base.diffusivity is None:
        return 0.0, 0.0
    duration, at_once, steady = pieces[-1].window[1] - pieces[0].window[0], 0.0, 0.0
    for x in (c.coord for c in base.conditions if isinstance(c, Periodic)):
        low, high = base.coords[x].bounds
        jump, spread = np.max([_kink(piece, x) for piece in pieces], 0)
        start = jump * (spread * duration) ** 0.75
        at_once += start
        steady += 0.75 * start / duration + spread * jump / np.sqrt(high - low)
    return float(at_once), float(steady)


def _kink(piece: Piece, x: str) -> tuple[float, float]:
    """Return the largest jump of the slope across the seam of ``x``, and the largest diffusivity there."""
    base, labels = _base(piece)
    assert base.diffusivity is not None
    others = [c for c in base.space if c != x]
    axes, weights = zip(*(_axis(base, c, 32) for c in others), strict=True) if others else ((), ())
    low, high = piece.window
    times = low + (high - low) * np.concatenate([[0.0], np.logspace(-6, 0, 40)])
    mesh = np.meshgrid(times, *axes, indexing="ij")
    measure = np.ones(1)
    for weight in weights:
        measure = np.outer(measure, weight).ravel()
    face = dict(zip(("t", *others), (m.ravel() for m in mesh), strict=True))
    params = {k: piece.trial.tensor(v) for k, v in base.values.items()}
    slopes, spread = [], 0.0
    for edge in base.coords[x].bounds:
        coords = {**face, x: np.full(len(face["t"]), edge)}
        place: Mapping[str, torch.Tensor] = {k: piece.trial.tensor(coords[k]) for k in base.coords}
        if labels is None:
            d = piece.trial.derivatives(piece.weights, coords, [key("u"), key("u", x)])
        else:
            on_labels = piece.trial.derivatives(piece.weights, coords, labels.derivatives)
            place = labels.positions(on_labels, place)
            d = spatial_derivatives(on_labels, ("u",), (key("u"), key("u", x)), base.space)
        slopes.append(d["u", x].double().cpu().numpy())
        spread = max(spread, float(torch.as_tensor(base.diffusivity(d["u"], place, params)).detach().max()))
    jumps = (slopes[1] - slopes[0]).reshape(len(times), -1)
    return float(np.sqrt(np.sum(measure * jumps**2, -1).max())), spread


def _jump(before: Piece, after: Piece) -> float:
    """Return the norm of the jump at a seam, in space."""
    base, labels = _base(after)
    seam = after.window[0]
    axes, weights = zip(*(_axis(base, x, 512 if len(base.space) == 1 else 64) for x in base.space), strict=True)
    mesh = dict(zip(base.space, (m.ravel() for m in np.meshgrid(*axes, indexing="ij")), strict=True))
    volume = np.prod(np.stack([m.ravel() for m in np.meshgrid(*weights, indexing="ij")]), 0)
    shifts = [] if labels is None else [key(f"shift_{x}") for x in base.space]
    slopes = [] if labels is None else [key(f"shift_{x}", a) for x in base.space for a in base.space]
    coords = {**mesh, "t": np.full(len(volume), seam)}
    pair = [p.trial.derivatives(p.weights, coords, [key("u"), *shifts, *slopes]) for p in (before, after)]
    if any(bool((pair[0][k] - pair[1][k]).abs().max() > 1e-12) for k in shifts):
        from retrodict.solvers.pinn.lagrangian import LabelSolution

        space = {**mesh, "t": np.full(len(volume), seam)}
        values = [LabelSolution([p]).in_frame(space) for p in (before, after)]
    else:
        values = [d["u"].double().cpu().numpy() for d in pair]
        if labels is not None:
            volume = volume * torch.linalg.det(jacobian(pair[0], base.space)).abs().double().cpu().numpy()
    return float(np.sqrt(np.sum(volume * (values[0] - values[1]) ** 2)))
