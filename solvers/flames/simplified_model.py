"""The simplified flame as a differentiable map: burning velocity and temperatures of every parameter.

At a solution ``F(U, q) = 0`` the implicit function theorem gives ``dU/dq = -F_U^-1 F_q``: one factorised matrix for all
parameters. Data are extrapolated from two grids, and so are derivatives: they are those of the numbers returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.simplified import PARAMETERS, SimplifiedMixture
from retrodict.physics.flames.simplified_front import balanced_speed, front
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Array, Space, Tree, Var
from retrodict.solvers.flames.simplified import discrete_residual, grid_flame, solve_bordered

__all__ = ["SimplifiedFlame", "with_parameters"]

Floats = NDArray[np.float64]


def with_parameters(mixture: SimplifiedMixture, q: Tree) -> SimplifiedMixture:
    """Return a mixture with other values of some of `PARAMETERS`.

    Examples
    --------
    >>> with_parameters(SimplifiedMixture(), {"phi": np.array(0.5)}).phi
    0.5
    """
    fields = {
        "lambda": "conductivity",
        "E_a": "activation_energy",
        "ln_A": "prefactor",
        "n": "order",
        "T_in": "inlet_temperature",
        "p": "pressure",
        "phi": "phi",
        "slope": "slope",
    }
    values = {fields[k]: float(np.exp(v)) if k == "ln_A" else float(v) for k, v in q.items()}
    return replace(mixture, **values)


@dataclass(frozen=True)
class SimplifiedFlame:
    """Parameters to burning velocity ``s_L`` and temperatures ``T`` at places.

    Parameters
    ----------
    mixture : SimplifiedMixture
        What is not among the parameters stays as it is here.
    x : array_like, optional
        Places in m within the domain; none unless given.
    parameters : sequence of str, optional
        Some of `PARAMETERS`; all unless given.
    speed : bool, optional
        Whether s_L is among the data.
    cells : int, optional
        Of the coarser grid.

    Raises
    ------
    SpaceError
        If a parameter is unknown, a place outside of the domain, or nothing is left to return.

    Notes
    -----
    Where no flame is found the data are NaN: an optimiser steps back from there.

    Examples
    --------
    >>> flame = SimplifiedFlame(SimplifiedMixture(), parameters=("ln_A",))
    >>> data, slope = flame.linearize({"ln_A": np.log(1.4e8)})
    >>> round(float(data["s_L"]), 7)
    0.2678205
    >>> relative = slope.apply({"ln_A": np.array(1.0)})["s_L"] / data["s_L"]
    >>> round(float(relative), 2)  # of a free flame exactly one half
    0.5
    """

    mixture: SimplifiedMixture
    x: ArrayLike = ()
    parameters: Sequence[str] = tuple(PARAMETERS)
    speed: bool = True
    cells: int = 400
    _places: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at = np.atleast_1d(np.asarray(self.x, float))
        if strange := sorted(set(self.parameters) - set(PARAMETERS)):
            raise SpaceError(expected("SimplifiedFlame.parameters", strange, f"some of {', '.join(PARAMETERS)}"))
        if at.ndim != 1 or not np.all((at >= 0) & (at <= self.mixture.length)):
            raise SpaceError(expected("SimplifiedFlame.x", at, f"places in [0, {self.mixture.length:g}] m"))
        if not self.parameters or not (self.speed or at.size):
            got = f"parameters {tuple(self.parameters)}, {at.size} places, speed {self.speed}"
            raise SpaceError(expected("SimplifiedFlame", got, "parameters, and s_L or places"))
        object.__setattr__(self, "_places", at)

    @property
    def domain(self) -> Space:
        """The parameters, with units and bounds."""
        entries = {k: PARAMETERS[k] for k in self.parameters}
        return Space({k: Var(units=u, bounds=(low, high), long_name=n) for k, (u, n, low, high) in entries.items()})

    @property
    def range(self) -> Space:
        """``s_L`` in m/s and ``T`` in K, shape (x,)."""
        speed = {"s_L": Var(units="m s-1", long_name="burning velocity")} if self.speed else {}
        size = self._places.size
        return Space({**speed, **({"T": Var(("x",), (size,), units="K", long_name="temperature")} if size else {})})

    def apply(self, params: Tree) -> dict[str, Array]:
        """Return the data.

        Raises
        ------
        SpaceError
            If the parameters do not belong to the domain.
        """
        return self._evaluate(params, slopes=False)[0]

    def linearize(self, params: Tree) -> tuple[dict[str, Array], Operator]:
        """Return the data and their derivative; errors as in `apply`."""
        data, matrix = self._evaluate(params, slopes=True)
        domain, image = self.domain, self.range
        return data, Operator(
            domain,
            image,
            lambda dq: image.unpack(matrix @ domain.pack(dq)),
            lambda y: domain.unpack(matrix.T @ image.pack(y)),
        )

    def _evaluate(self, params: Tree, *, slopes: bool) -> tuple[dict[str, Array], Floats]:
        mixture = with_parameters(self.mixture, self.domain.check(params, "params"))
        s = balanced_speed(mixture)
        T = front(mixture, s, np.linspace(0.0, mixture.length, self.cells + 1))
        data, matrix = np.zeros(self.range.size), np.zeros((self.range.size, self.domain.size))
        for k, share in ((1, -1 / 3), (2, 4 / 3)):
            if k == 2:
                T = np.interp(np.linspace(0, 1, 2 * self.cells + 1), np.linspace(0, 1, self.cells + 1), T)
            found = grid_flame(mixture, T, s)
            if not found.status.ok:
                return self.range.unpack(np.full(len(data), np.nan)), np.full_like(matrix, np.nan)
            T, s = found.T, found.speed
            data += share * self._observed(T, np.array(s))
            if slopes:
                matrix += share * self._observed(*self._moved(mixture, T, s))
        return self.range.unpack(data), matrix

    def _moved(self, mixture: SimplifiedMixture, T: Floats, s_L: float) -> tuple[Floats, Floats]:
        """Return how temperatures, shape (cells + 1, k), and s_L, shape (k,), move with the parameters."""
        count = len(T)
        known = {k: torch.tensor(mixture.parameters[k], dtype=torch.float64) for k in self.parameters}
        # every equation has parameters of its own, so that one reverse pass differentiates all of them
        q = {k: v.expand(count if k != "slope" else 1).clone().requires_grad_() for k, v in known.items()}
        given = {k: v[0] if k == "slope" else v for k, v in q.items()}
        cold, speed = torch.tensor(T[:1]).requires_grad_(), torch.tensor(s_L, dtype=torch.float64)
        r = discrete_residual(mixture, torch.cat([cold, torch.from_numpy(T[1:])]), speed, given)
        by_own = torch.autograd.grad(r.sum(), list(q.values()), retain_graph=True)
        columns = {k: np.zeros(count) for k in self.parameters}
        for name, slopes in zip(q, by_own, strict=True):
            columns[name][: len(slopes)] = slopes.numpy()
        if "T_in" in columns:
            for i in (0, 1):
                columns["T_in"][i] += float(torch.autograd.grad(r[i], cold, retain_graph=True)[0])
        moved, faster = solve_bordered(mixture, T, s_L, -np.stack(list(columns.values()), 1))
        first = np.array([[1.0 if k == "T_in" else 0.0 for k in self.parameters]])
        return np.concatenate([first, moved]), faster

    def _observed(self, T: Floats, s_L: Floats) -> Floats:
        """Return the data of temperatures on a grid: a linear map, cubic between the points."""
        count = len(T) - 1
        place = self._places / self.mixture.length * count
        base = np.clip(np.floor(place).astype(int) - 1, 0, max(count - 3, 0))
        u = place - base
        weights = (
            -(u - 1) * (u - 2) * (u - 3) / 6,
            u * (u - 2) * (u - 3) / 2,
            -u * (u - 1) * (u - 3) / 2,
            u * (u - 1) * (u - 2) / 6,
        )
        values = sum((w.reshape(-1, *[1] * (T.ndim - 1)) * T[base + i] for i, w in enumerate(weights)), np.float64(0.0))
        head = [s_L[None]] if self.speed else []
        return np.concatenate([*head, np.broadcast_to(values, (len(place), *T.shape[1:]))])
