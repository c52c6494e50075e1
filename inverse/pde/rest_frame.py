"""Systems in the frame of their uniform stream, where a carried field is smooth and the same for every stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retrodict.inverse.pde.pointwise import pointwise
from retrodict.physics.errors import SolverError, expected
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.system import key

__all__ = ["at_rest"]


def at_rest(system: QuasiLinear) -> QuasiLinear:
    """Return a system without its uniform stream: as seen from a frame that moves with it.

    Parameters
    ----------
    system : QuasiLinear
        Periodic in its one space coordinate.

    Returns
    -------
    QuasiLinear
        The same for every stream.

    Raises
    ------
    SolverError
        If space has more dimensions or is not periodic, or coefficients depend on the place: they would move too.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> at_rest(convection(50.0, 0.1)).values
    {'nu': 0.1}
    """
    if len(system.space) != 1 or system.boundary is not None:
        got = f"space {system.space}, {'other faces' if system.boundary is not None else 'periodic'}"
        raise SolverError(expected(f"at_rest({system.name})", got, "one periodic space coordinate"))
    rest = {k: v for k, v in system.values.items() if k not in system.streams.values()}
    still = replace(system, values=rest, streams={}, exact=None)
    if system.streams:
        rng, low = np.random.default_rng(0), system.coords["t"].bounds[0]
        values = {key(*k): rng.standard_normal(9) for k in still.derivatives}
        values.setdefault(key("u"), rng.standard_normal(9))
        places = [
            {"t": np.full(9, low), system.space[0]: rng.uniform(*system.coords[system.space[0]].bounds, 9)}
            for _ in "ab"
        ]
        here, there = (pointwise(still, values, at, rest).residual for at in places)
        if not np.allclose(here, there, rtol=1e-12, atol=1e-12):
            raise SolverError(expected(f"at_rest({system.name})", "coefficients that depend on x", "a uniform medium"))
    return still
