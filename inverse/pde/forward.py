"""The forward model: coefficients and initial field to samples of a field on a uniform stream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.pde.expansion import Expansion
from retrodict.inverse.pde.samples import Samples
from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.model import Operator
from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.spaces import Array, Space, Tree, Var
from retrodict.physics.system import key

__all__ = ["INITIAL", "SampledField"]

Floats = NDArray[np.float64]

INITIAL = "initial"
"""Name of the unknown initial field's coefficients."""


class SampledField:
    """Coefficients to the values at given places and times; differentiable.

    The field is solved in the frame of the stream c, where it does not depend on c. A sample at ``(x, t)`` is the value
    at ``x - c (t - t0)`` there, so that c enters through the place alone: its column is ``-(t - t0) v_y``.

    Parameters
    ----------
    system : QuasiLinear
        The equation, with the coefficients that are known.
    samples : Samples
        Places and times; the values are not read.
    unknown : sequence of str
        Coefficients that are parameters.
    expansion : Expansion, optional
        Solves the equation; may be shared between models. Made from the system unless given.
    bounds : Mapping of str to (float, float), optional
        Of unknown coefficients, in place of the system's.

    Raises
    ------
    SpaceError
        If an unknown is no coefficient, or there is nothing unknown.
    DataError
        If a sample is outside of the system's time.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> system = convection(3.0, 0.1)
    >>> at = Samples(np.array([1.0]), np.array([0.5]), np.zeros(1), 1.0)
    >>> model = SampledField(system, at, ["c", "nu"], Expansion(system, 60))
    >>> u = model.apply({"c": np.array(2.0), "nu": np.array(0.2)})["u"]
    >>> bool(abs(u.item() - np.exp(-0.1) * np.sin(1.0 - 2.0 * 0.5)) < 1e-4)
    True
    """

    def __init__(
        self,
        system: QuasiLinear,
        samples: Samples,
        unknown: Sequence[str],
        expansion: Expansion | None = None,
        *,
        bounds: dict[str, tuple[float, float]] | None = None,
    ) -> None:
        self.system, self.samples, self.unknown = system, samples.inside(system.coords), tuple(unknown)
        if strange := sorted(set(unknown) - set(system.params)):
            raise SpaceError(expected("unknown", strange, f"coefficients among {sorted(system.params)}"))
        self.expansion = Expansion(system) if expansion is None else expansion
        limits = {k: (bounds or {}).get(k, system.params[k].bounds) for k in unknown}
        variables = {k: Var(bounds=limits[k]) for k in unknown}
        if self.expansion.initial is not None:
            variables[INITIAL] = self.expansion.initial.var
        if not variables:
            raise SpaceError(expected("SampledField", "nothing unknown", "coefficients or an initial field"))
        self.domain = Space(variables)
        self.range = samples.observation().space
        self.stream = system.streams.get(self.expansion.coord)
        self.resting = tuple(k for k in unknown if k != self.stream)
        self._kept: tuple[bytes, Floats, Floats | None] | None = None

    def speed(self, params: Tree) -> float:
        """Return the uniform stream, 0 where the system has none."""
        return float(params.get(self.stream, self.system.values[self.stream])) if self.stream else 0.0

    def weights(self, params: Tree) -> Floats:
        """Return the weights of the solution; NaN where the solve failed."""
        return self.solved(params, slopes=False)[0]

    def solved(self, params: Tree, *, slopes: bool) -> tuple[Floats, Floats | None]:
        """Return weights and, if wanted, their derivative; the last point is remembered, for c does not change it."""
        mark = np.concatenate([np.ravel(params[k]) for k in self.domain if k != self.stream] or [np.zeros(0)]).tobytes()
        if self._kept is None or self._kept[0] != mark:
            self._kept = (mark, self.expansion.solve(self.coefficients(params), self.initial(params)), None)
        _, z, dz = self._kept
        if slopes and dz is None:
            dz = self.expansion.derivative(z, self.coefficients(params), self.initial(params), self.resting)
            self._kept = (mark, z, dz)
        return z, dz

    def coefficients(self, params: Tree) -> dict[str, float]:
        """Return all coefficients of the equation at rest."""
        known = {k: v for k, v in self.system.values.items() if k != self.stream}
        return {**known, **{k: float(params[k]) for k in self.resting}}

    def initial(self, params: Tree) -> Floats:
        """Return the coefficients of the unknown initial field, shape (L,); none where it is known."""
        return np.asarray(params[INITIAL], float) if INITIAL in self.domain else np.zeros(0)

    def places(self, params: Tree) -> dict[str, Floats]:
        """Return where the samples are in the frame of the stream."""
        since = self.system.coords["t"].bounds[0]
        return {
            self.expansion.coord: self.samples.x - self.speed(params) * (self.samples.t - since),
            "t": self.samples.t,
        }

    def apply(self, params: Tree) -> dict[str, Array]:
        """Return the samples without noise."""
        at = self.domain.check(params, "params")
        base, start, matrix = self.expansion.columns(self.places(at), [key("u")])
        return {"u": base[0] + start[0] @ self.initial(at) + matrix[0] @ self.weights(at)}

    def linearize(self, params: Tree) -> tuple[dict[str, Array], Operator]:
        """Return the samples and their derivative."""
        at = self.domain.check(params, "params")
        x = self.expansion.coord
        keys = [key("u"), key("u", x)] if self.stream in self.unknown else [key("u")]
        base, start, matrix = self.expansion.columns(self.places(at), keys)
        z, slopes = self.solved(at, slopes=True)
        assert slopes is not None
        values = base + start @ self.initial(at) + matrix @ z
        inner = matrix[0] @ slopes
        since = self.system.coords["t"].bounds[0]
        columns = {k: inner[:, i] for i, k in enumerate(self.resting)}
        if self.stream in self.unknown:
            columns[str(self.stream)] = -(self.samples.t - since) * values[1]
        rows = {k: columns[k][:, None] for k in self.unknown}
        if INITIAL in self.domain:
            rows[INITIAL] = start[0] + inner[:, len(self.resting) :]

        def forward(dx: Tree) -> dict[str, Array]:
            return {"u": np.sum([rows[k] @ np.ravel(dx[k]) for k in rows], axis=0)}

        def transpose(dy: Tree) -> dict[str, Array]:
            return {k: (rows[k].T @ dy["u"]).reshape(self.domain[k].shape) for k in rows}

        return {"u": values[0]}, Operator(self.domain, self.range, forward, transpose)

    def field(self, params: Tree, x: Floats, t: Floats) -> Floats:
        """Return the field at other places and times.

        Parameters
        ----------
        params : Tree
            In the domain.
        x, t : ndarray, shape (n,)
            In space, not in the frame of the stream.

        Returns
        -------
        ndarray, shape (n,)
            Values.
        """
        since = self.system.coords["t"].bounds[0]
        y = np.asarray(x, float) - self.speed(params) * (np.asarray(t, float) - since)
        return self.expansion.field(self.weights(params), y, np.asarray(t, float), self.initial(params))

    def residual(self, params: Tree) -> float:
        """Return the root mean square of the equation's residual on points that the solve never saw."""
        return self.expansion.residual(self.weights(params), self.coefficients(params), self.initial(params))
