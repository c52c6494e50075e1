"""Taking off a known part of a solution: what is left is smooth where the solution is not.

Where the slope of periodic initial data jumps at the seam, diffusion rounds the kink at once, on every scale of time. A
smooth network beside those data keeps the kink for ever: its residual vanishes wherever it is asked for, and it solves
an equation with a source in one point. The kink's own evolution has a closed form; with it taken off, the rest is
smooth. So it is where walls hold a field at once that the equation would move: a corner in space and time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.quasilinear import Params, QuasiLinear
from retrodict.physics.system import Coords, Derivatives, Dirichlet, Neumann, Value

__all__ = ["Lift", "Lifted", "lifted", "spread_corners", "spread_gaussian", "spread_kink"]

_SOON = 1e-12
"""Time that stands for the limit of zero in the closed forms."""


@dataclass(frozen=True)
class Lift:
    """A known part of a solution.

    Parameters
    ----------
    part : callable
        Coordinates to the part h.
    rest : callable
        Coordinates to what h leaves of the linear equation, ``h_t + c . grad h - g lap h``.
    """

    part: Value
    rest: Value


@dataclass(frozen=True)
class Lifted(QuasiLinear):
    """The equation of ``u - h``; see `lifted`.

    Parameters
    ----------
    lift : Lift
        The part h, which a solution lacks.

    Examples
    --------
    >>> from retrodict.physics.pde.reaction import allen_cahn
    >>> lifted(allen_cahn(1e-4, walls=False), spread_kink(4.0, 1e-4, -10.0, (-1.0, 1.0))).name
    'allen-cahn'
    """

    lift: Lift | None = None


def lifted(system: QuasiLinear, lift: Lift) -> Lifted:
    """Return the equation of ``u - h``.

    Parameters
    ----------
    system : QuasiLinear
        Whose velocity and diffusivity do not depend on u.
    lift : Lift
        The part h; its ``rest`` must be that of the system's own stream and diffusivity.

    Returns
    -------
    Lifted
        The same physics: its residual is that of u, and so is the growth of its errors.

    Raises
    ------
    SolverError
        If a slope is prescribed on a face.

    Examples
    --------
    >>> from retrodict.physics.pde.reaction import reaction
    >>> system = lifted(reaction(5.0, 2.0), spread_gaussian(math.pi / 4, 2.0, (0.0, 2 * math.pi)))
    >>> at = {"t": torch.zeros(1, dtype=torch.float64), "x": torch.ones(1, dtype=torch.float64)}
    >>> bool(system.initial(at).abs() < 1e-12)  # all of the initial field is in h
    True
    """
    source, growth, exact, initial = system.source, system.growth, system.exact, system.initial
    since = system.coords["t"].bounds[0]

    def produced(u: Tensor, coords: Coords, params: Params) -> Tensor:
        own = source(u + lift.part(coords), coords, params) if source else torch.zeros_like(u)
        return own - lift.rest(coords)

    def grown(d: Derivatives, coords: Coords, params: Params) -> Tensor:
        assert growth is not None
        return growth(Derivatives({**d, ("u",): d["u"] + lift.part(coords)}), coords, params)

    def less(face: Dirichlet) -> Dirichlet:
        return replace(face, value=lambda coords: face.value(coords) - lift.part(coords))

    def start(coords: Coords) -> Tensor:
        return initial(coords) - lift.part({**coords, "t": torch.full_like(coords["t"], since)})

    if strange := [c.name for c in system.boundary or () if isinstance(c, Neumann)]:
        raise SolverError(expected("lifted", strange, "faces that are periodic or hold a value"))
    own = {f.name: getattr(system, f.name) for f in fields(QuasiLinear)}
    changed = {
        "initial": start,
        "source": produced,
        "growth": grown if growth else None,
        "exact": None if exact is None else (lambda coords: {"u": exact(coords)["u"] - lift.part(coords)}),
        "boundary": system.boundary and tuple(less(c) if isinstance(c, Dirichlet) else c for c in system.boundary),
        "uniform": False,
    }
    return Lifted(**(own | changed), lift=lift)


def spread_gaussian(width: float, diffusivity: float, box: tuple[float, float], *, images: int = 6) -> Lift:
    """Return a Gaussian in the middle of a period, cut where the period ends, as diffusion alone would spread it.

    Parameters
    ----------
    width : float
        Standard deviation where time begins, at t = 0.
    diffusivity : float
        nu.
    box : tuple of float
        The period.
    images : int, optional
        Periods on either side whose pieces are summed.

    Returns
    -------
    Lift
        ``h_t = nu h_xx`` exactly, so that nothing is left.

    Examples
    --------
    >>> lift = spread_gaussian(0.1, 1.0, (0.0, 1.0))
    >>> x = torch.arange(64, dtype=torch.float64) / 64
    >>> mean = lift.part({"x": x, "t": torch.full_like(x, 0.5)})  # diffusion has evened it out
    >>> bool((mean - 0.1 * math.sqrt(2 * math.pi)).abs().max() < 1e-4)
    True
    """
    low, high = box
    centre, length = 0.5 * (low + high), high - low

    def part(coords: Coords) -> Tensor:
        x, spread = coords["x"], 2 * diffusivity * coords["t"].clamp(min=_SOON)
        total = width**2 + spread
        # where the pieces of the initial field that reach x come from: a Gaussian again
        narrow = torch.sqrt(2 * width**2 * spread / total)
        out = torch.zeros_like(x)
        for k in range(-images, images + 1):
            away = x - centre - k * length
            origin = away * width**2 / total
            share = torch.erf((0.5 * length - origin) / narrow) + torch.erf((0.5 * length + origin) / narrow)
            out = out + 0.5 * share * torch.exp(-0.5 * away**2 / total)
        return width / torch.sqrt(total) * out

    return Lift(part, lambda coords: torch.zeros_like(coords["x"]))


def spread_kink(jump: float, diffusivity: float, rate: float, box: tuple[float, float]) -> Lift:
    """Return a kink at the seam of a period as diffusion spreads and a reaction damps it.

    Parameters
    ----------
    jump : float
        Slope behind the seam less that before it, where time begins, at t = 0.
    diffusivity, rate : float
        ``h_t = d h_xx + rate h``, up to a constant; the seam must be the only place that the kink reaches.
    box : tuple of float
        The period.

    Returns
    -------
    Lift
        A parabola with that kink, which is rounded over ``sqrt(4 d t)``.

    Examples
    --------
    >>> lift = spread_kink(4.0, 1e-4, -10.0, (-1.0, 1.0))
    >>> x = torch.tensor([-1.0, -1.0 + 1e-5], dtype=torch.float64)
    >>> h = lift.part({"x": x, "t": torch.zeros_like(x)})
    >>> round(float(h[1] - h[0]) / 1e-5, 2)  # half the jump on either side
    2.0
    """
    low, high = box
    length = high - low

    def part(coords: Coords) -> Tensor:
        share = (coords["x"] - low) / length
        # distance to the seam with a sign that does not matter
        away = length * torch.minimum(share, 1 - share)
        wide = torch.sqrt(4 * diffusivity * coords["t"].clamp(min=_SOON))
        ratio = away / wide
        rounded = wide / math.sqrt(math.pi) * torch.exp(-(ratio**2)) - away * torch.erfc(ratio)
        parabola = -length * (share**2 - share + 1 / 6)
        return 0.5 * jump * torch.exp(rate * coords["t"]) * (parabola + rounded)

    def rest(coords: Coords) -> Tensor:
        grown = 0.5 * jump * torch.exp(rate * coords["t"])
        return rate * part(coords) + grown * 2 * diffusivity / length

    return Lift(part, rest)


def spread_corners(speed: float, diffusivity: float, box: tuple[float, float]) -> Lift:
    """Return the layers on two walls that hold a field still which the equation would move at once.

    Parameters
    ----------
    speed : float
        ``u_t`` that the equation gives the initial field on both walls, at t = 0.
    diffusivity : float
        d; the layers must not meet.
    box : tuple of float
        The walls.

    Returns
    -------
    Lift
        ``h_t = d h_xx`` from zero, with ``-speed t`` on the walls.

    Examples
    --------
    >>> lift = spread_corners(2.0, 1e-3, (-1.0, 1.0))
    >>> lift.part({"x": torch.tensor([-1.0, 0.0, 1.0]), "t": torch.full((3,), 0.5)}).abs().tolist()
    [1.0, 0.0, 1.0]
    """
    low, high = box

    def layer(away: Tensor, t: Tensor) -> Tensor:
        # four times the second integral of the complementary error function
        z = away / torch.sqrt(4 * diffusivity * t.clamp(min=_SOON))
        return (1 + 2 * z**2) * torch.erfc(z) - 2 / math.sqrt(math.pi) * z * torch.exp(-(z**2))

    def part(coords: Coords) -> Tensor:
        x, t = coords["x"], coords["t"]
        return -speed * t * (layer(x - low, t) + layer(high - x, t))

    return Lift(part, lambda coords: torch.zeros_like(coords["x"]))
