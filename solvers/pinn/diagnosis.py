"""Why a network does or does not learn an equation: widths, spectra and the loss around it, in one call.

The number of modes alone does not decide: convection of ``sin x`` needs two modes at every speed, and networks in space
still fail at high speed, because the residual they must remove lies along directions in which the loss hardly bends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.system import Key, PDESystem
from retrodict.solvers.pinn.landscape import landscape
from retrodict.solvers.pinn.loss import ResidualLoss
from retrodict.solvers.pinn.parts import equation_part
from retrodict.solvers.pinn.sampling import Sampling
from retrodict.solvers.pinn.spectrum import TangentSpectrum, tangent_spectrum
from retrodict.solvers.pinn.widths import label_snapshots, reference_solution, singular_decay, space_snapshots
from retrodict.solvers.pinn.windows import Piece, Window
from retrodict.solvers.reference.periodic import Solution

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SHARES", "STEPS", "diagnose", "field_error", "spectra", "widths"]

Floats = NDArray[np.float64]

SHARES = (0.5, 0.9, 0.99)
"""Shares of the squared residual for which conditions are given."""

STEPS = tuple(float(s) for s in np.logspace(0, 8, 33))
"""Numbers of steps of gradient descent for which losses are predicted."""


def diagnose(
    subject: Piece | QuasiLinear | Lagrangian,
    *,
    start: Floats | None = None,
    points: Mapping[str, Floats] | None = None,
    importance: Floats | None = None,
    scales: Mapping[str, float] | None = None,
    solution: Solution | None = None,
    snapshots: tuple[int, int] | None = (256, 101),
    grid: int = 51,
    products: int = 80,
    seed: int = 0,
) -> xr.Dataset:
    """Return what is known of a problem and of a network that was trained on it.

    Parameters
    ----------
    subject : Piece, QuasiLinear or Lagrangian
        A trained network, from `retrodict.solvers.pinn.trainer.Trainer.pieces`; or a system, for its widths only.
    start : ndarray, shape (n,), optional
        Weights before training; drawn from the seed unless given.
    points : Mapping of str to ndarray, optional
        Points of the loss, best those of training; drawn from the seed unless given.
    importance, scales : optional
        Weights of the points and factors of the equations, as in training.
    solution : Solution, optional
        ``u(x, t)`` of the system in space, time counted from the beginning; `reference_solution` unless given. Where
        there is none, the network's own fields stand in.
    snapshots : tuple of int or None, optional
        Points and times of the sets whose widths are taken; None leaves widths out.
    grid : int, optional
        Points along an axis of the landscape, odd.
    products : int, optional
        Of the Hessian and a vector for its eigenvalues; a fifth of it more, at least eight, for its trace.
    seed : int, optional
        Of all draws.

    Returns
    -------
    xarray.Dataset
        See `widths`, `spectra` and `retrodict.solvers.pinn.landscape.landscape`. Attributes: ``system``, ``frame``
        ("space" or "labels") and ``snapshots``, where they came from: "reference", "network" or "none".

    Raises
    ------
    SolverError
        If the subject is neither, or the system is of another kind.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> system = convection(50.0)
    >>> diagnose(system)["modes_needed"].sel(set="space").values.tolist()
    [2, 2, 2]
    >>> trial = Trial(system, separate_networks(system, 4, 1))
    >>> piece = Piece(trial, np.zeros(trial.size))
    >>> data = diagnose(piece, points={"t": np.linspace(0, 1, 32), "x": np.linspace(0, 6, 32)}, grid=5)
    >>> sorted(data.sizes)
    ['a', 'b', 'bar', 'direction', 'mode', 'pair', 'scale', 'set', 'share', 'step', 'when']
    """
    import xarray as xr

    piece = subject if isinstance(subject, Piece) else None
    system = _unwrapped(piece.trial.system) if piece is not None else subject
    if not isinstance(system, (QuasiLinear, Lagrangian)):
        raise SolverError(expected("diagnose", type(system).__name__, "a quasi-linear system, in space or on labels"))
    base = system.base if isinstance(system, Lagrangian) else system
    sets, source = _snapshots(base, piece, solution, snapshots)
    out = [singular_decay(sets)] if sets else []
    if piece is not None:
        trial, rng = piece.trial, np.random.default_rng(seed)
        at = Sampling(1024, 128).draw(trial.system.coords, rng) if points is None else points
        loss = ResidualLoss(trial, [equation_part(trial, at, points=importance, scales=scales)], piece.weights)
        out.append(spectra(loss, {"start": trial.draw(rng) if start is None else start, "trained": piece.weights}))
        out.append(landscape(loss, piece.weights, grid=grid, steps=products, probes=max(products // 5, 8), seed=seed))
    frame = "labels" if isinstance(system, Lagrangian) else "space"
    return xr.merge(out).assign_attrs(system=base.name, frame=frame, snapshots=source)


def _unwrapped(system: PDESystem) -> PDESystem:
    return system.system if isinstance(system, Window) else system


def widths(system: QuasiLinear, solution: Solution, points: int = 256, times: int = 101) -> xr.Dataset:
    """Return the singular decay of a solution in space and on labels.

    Parameters
    ----------
    system : QuasiLinear
        In space, of one dimension.
    solution : Solution
        ``u(x, t)``, time counted from the beginning.
    points, times : int, optional
        Size of the grid.

    Returns
    -------
    xarray.Dataset
        See `retrodict.solvers.pinn.widths.singular_decay`; the sets are ``space``, ``displacement`` and ``value``.

    Examples
    --------
    >>> from retrodict.physics.pde.burgers import burgers
    >>> system = burgers(0.1, c=50.0)
    >>> data = widths(system, reference_solution(system), 64, 33)
    >>> data["modes_needed"].sel(bar=1e-2).values.tolist()
    [7, 2, 2]
    """
    return singular_decay(_sets(system, solution, (points, times)))


def _sets(system: QuasiLinear, solution: Solution, size: tuple[int, int]) -> dict[str, Floats]:
    return {"space": space_snapshots(system, solution, *size), **label_snapshots(system, solution, *size)}


def _snapshots(
    base: QuasiLinear, piece: Piece | None, solution: Solution | None, size: tuple[int, int] | None
) -> tuple[dict[str, Floats], str]:
    """Return sets of snapshots and where they came from."""
    if size is None or len(base.space) != 1:
        return {}, "none"
    exact = solution or reference_solution(base)
    if exact is not None:
        return _sets(base, exact, size), "reference"
    if piece is None:
        return {}, "none"
    (x,), at = base.space, _grid(base, piece, size)
    moving = f"shift_{x}" in piece.trial.system.fields
    names = {"displacement": f"shift_{x}", "value": "u"} if moving else {"space": "u"}
    d = piece.trial.derivatives(piece.weights, at, [(v,) for v in names.values()])
    return {k: d[v].double().cpu().numpy().reshape(size) for k, v in names.items()}, "network"


def field_error(piece: Piece, solution: Solution | None = None, points: int = 128, times: int = 41) -> float:
    """Return the error of a field of one dimension, in the norm of space and time, relative to the field.

    Parameters
    ----------
    piece : Piece
        Of a quasi-linear system, in space or on labels.
    solution : Solution, optional
        ``u(x, t)`` in space, time counted from the beginning of the system's; `reference_solution` unless given.
    points, times : int, optional
        Size of the grid, within the window of the piece.

    Returns
    -------
    float
        On labels the points are where the network puts them, weighted by the volume J: no label need be looked for.

    Raises
    ------
    SolverError
        If there is no solution to compare with.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(np.pi), separate_networks(convection(np.pi), 4, 1))
    >>> round(field_error(Piece(trial, np.zeros(trial.size)), times=4001), 3)  # sin x that ought to move
    1.414
    """
    system = _unwrapped(piece.trial.system)
    base = system.base if isinstance(system, Lagrangian) else system
    exact = solution or (reference_solution(base) if isinstance(base, QuasiLinear) else None)
    if exact is None or not isinstance(base, QuasiLinear) or len(base.space) != 1:
        raise SolverError(expected("field_error", type(base).__name__, "a system of one dimension with a solution"))
    at, since = _grid(base, piece, (points, times)), base.coords["t"].bounds[0]
    (x,), place, volume = base.space, at[base.space[0]], np.ones(points * times)
    wanted: list[Key] = [("u",)]
    if isinstance(system, Lagrangian):
        wanted += [(f"shift_{x}",), (f"shift_{x}", x)]
    d = [v.double().cpu().numpy() for v in (piece.trial.derivatives(piece.weights, at, wanted)[k] for k in wanted)]
    if isinstance(system, Lagrangian):
        place = place + d[1] + system.stream.get(x, 0.0) * (at["t"] - since)
        volume = np.abs(1 + d[2])
    there = exact(place, at["t"] - since)
    return float(np.sqrt(np.sum(volume * (d[0] - there) ** 2) / np.sum(volume * there**2)))


def _grid(base: QuasiLinear, piece: Piece, size: tuple[int, int]) -> dict[str, Floats]:
    """Return equidistant points of a period and times of the window of a piece, flat."""
    (x,) = base.space
    (low, high), span = base.coords[x].bounds, piece.window
    mesh = np.meshgrid(np.linspace(low, high, size[0], endpoint=False), np.linspace(*span, size[1]), indexing="ij")
    return {x: mesh[0].ravel(), "t": mesh[1].ravel()}


def spectra(loss: ResidualLoss, weights: Mapping[str, Floats]) -> xr.Dataset:
    """Return the spectra of Gauss-Newton and of the tangent kernel at several weights.

    Parameters
    ----------
    loss : ResidualLoss
        Gives residuals and their derivative.
    weights : Mapping of str to ndarray
        When to packed weights.

    Returns
    -------
    xarray.Dataset
        Over ``when``: ``eigenvalue`` and ``energy`` over ``direction``, the loss that gradient descent leaves in the
        linear regime, ``descent``, over ``step``, ``effective_condition`` over ``share``, and ``condition``,
        ``effective_rank`` and ``unreachable``. See `retrodict.solvers.pinn.spectrum.TangentSpectrum`.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> trial = Trial(convection(2.0), separate_networks(convection(2.0), 4, 1))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], trial.draw(np.random.default_rng(0)))
    >>> spectra(loss, {"start": loss.start["weights"]})["eigenvalue"].shape
    (1, 9)
    """
    import xarray as xr

    found: list[TangentSpectrum] = [tangent_spectrum(loss, w) for w in weights.values()]
    scalars = {
        "condition": ([s.condition for s in found], "largest over smallest eigenvalue above round-off"),
        "effective_rank": ([s.effective_rank for s in found], "number of directions that share the curvature"),
        "unreachable": ([s.unreachable for s in found], "share of the residual that no change of weights reaches"),
    }
    lines = {
        "eigenvalue": ("direction", [s.eigenvalues for s in found], "eigenvalue of J'J and of JJ'"),
        "energy": ("direction", [s.energy for s in found], "share of the squared residual"),
        "descent": ("step", [s.descent(np.array(STEPS)) for s in found], "loss of gradient descent, linearised"),
        "effective_condition": (
            "share",
            [[s.effective_condition(q) for q in SHARES] for s in found],
            "condition of the directions that carry a share of the residual",
        ),
    }
    data = {k: (("when",), v, {"units": "1", "long_name": text}) for k, (v, text) in scalars.items()}
    wide = {k: (("when", dim), np.array(v), {"units": "1", "long_name": text}) for k, (dim, v, text) in lines.items()}
    coords = {
        "when": list(weights),
        "direction": 1 + np.arange(len(found[0].eigenvalues)),
        "step": ("step", np.array(STEPS), {"units": "1", "long_name": "steps of length 1 / largest eigenvalue"}),
        "share": list(SHARES),
    }
    return xr.Dataset({**data, **wide}, coords)
