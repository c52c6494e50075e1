"""One flame as an experiment sees it: its speed, its profiles, and their derivatives by the handles."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.flames.handles import Handle
from retrodict.inverse.flames.profiles import Nodal, Profile, Seen
from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.model import LinearOperator
from retrodict.physics.spaces import Array, Tree, Var
from retrodict.solvers.base import Status
from retrodict.solvers.flames.model import FlameModel
from retrodict.solvers.flames.solution import FlameSolution

__all__ = ["ObservedFlame", "State"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class State:
    """A flame at some parameters: nodal observables, and their derivative by all parameters.

    Parameters
    ----------
    nodal : Mapping of str to ndarray
        Speed and profiles on the nodes; NaN where there is no flame.
    operator : LinearOperator
        Their derivative.
    """

    nodal: Mapping[str, Array]
    operator: LinearOperator

    @property
    def found(self) -> bool:
        """Whether there is a flame."""
        return bool(np.isfinite(self.nodal["s_L"]))


@dataclass(frozen=True, eq=False)
class ObservedFlame:
    """What is seen of one flame.

    Parameters
    ----------
    base : FlameSolution
        Where every solve begins.
    handles : sequence of Handle
        The unknowns.
    speed : bool
        Whether the burning velocity is seen.
    profiles : sequence of Profile
        Profiles that are seen, of different quantities.

    Raises
    ------
    SpaceError
        If a quantity is seen twice, or a species is unknown.

    Examples
    --------
    >>> from retrodict.inverse.flames.handles import rate
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.solvers.flames.premixed import FreeFlame
    >>> gas = load_mechanism("h2o2.yaml")
    >>> base = FreeFlame(gas, np.asarray(gas.composition("H2", "O2:1, AR:3.76", 1.0)), points=40).solve()
    >>> list(ObservedFlame(base, [rate(gas, 0)], True, [Profile("T", np.array([0.01]))]).variables)
    ['s_L', 'T']
    """

    base: FlameSolution
    handles: Sequence[Handle]
    speed: bool
    profiles: Sequence[Profile]

    def __post_init__(self) -> None:
        quantities = [p.quantity for p in self.profiles]
        if len(set(quantities)) != len(quantities):
            raise SpaceError(expected("profiles", quantities, "different quantities"))
        for profile in self.profiles:
            if profile.species and profile.species not in self.base.equations.mechanism.species:
                known = ", ".join(self.base.equations.mechanism.species)
                raise SpaceError(expected("Profile.quantity", repr(profile.quantity), f"a species among {known}"))

    @cached_property
    def variables(self) -> dict[str, Var]:
        """What is seen, with units."""
        speed = {"s_L": Var(units="m s-1", long_name="burning velocity")} if self.speed else {}
        return speed | {p.quantity: Var(("x",), (p.x.size,), units=p.units) for p in self.profiles}

    @property
    def key(self) -> Hashable:
        """Equal where one solve serves two names."""
        return id(self.base), tuple(self._model.observables)

    @cached_property
    def _model(self) -> FlameModel:
        read = ["s_L", *(["T"] if self.profiles else []), *(p.observable for p in self.profiles)]
        return FlameModel(self.base, list(dict.fromkeys(read)))

    @cached_property
    def _nodal(self) -> Nodal:
        return Nodal(self.base.equations.x.numpy())

    def solve(self, parameters: Tree) -> State:
        """Return the flame at parameters of the mechanism, by way of half-way if need be."""
        nominal = self._model.nominal()
        target = {**nominal, **parameters}
        state = State(*self._model.linearize(target))
        if state.found:
            return state
        half = {k: 0.5 * (np.asarray(v) + nominal[k]) for k, v in target.items()}
        between = self._model.solve(half)
        if between.status is not Status.CONVERGED:
            return state
        # the solution on the way is only where the solve begins
        return State(*replace(self._model, base=between).linearize(target))

    def values(self, state: State) -> dict[str, Array]:
        """Return what is seen."""
        speed = {"s_L": np.asarray(state.nodal["s_L"])} if self.speed else {}
        return speed | {p.quantity: self.read(state, p).values for p in self.profiles}

    def jacobian(self, state: State) -> Floats:
        """Return the derivative of everything seen by the handles, shape (m, h); NaN where there is no flame."""
        size = sum(v.size for v in self.variables.values())
        if not state.found:
            return np.full((size, len(self.handles)), np.nan)
        seen = [self.read(state, p) for p in self.profiles]
        if len(self.handles) <= size:
            return np.stack([self._forward(state, seen, h) for h in self.handles], axis=1)
        return np.stack([self._project(state, row) for row in self._rows(state, seen)])

    def require(self, name: str) -> None:
        """Refuse profiles that have no place in the flame where the handles begin.

        Raises
        ------
        SpaceError
            Naming the flame.
        """
        T = self.base.observables()["T"]
        for p in self.profiles:
            if p.T_ref is not None and np.isnan(self._nodal.place(T, p.T_ref)):
                got = f"T_ref {p.T_ref:g} K of {p.quantity!r}"
                raise SpaceError(expected(f"flame {name!r}", got, f"one between {T.min():.0f} and {T.max():.0f} K"))
            if p.T_ref is None and not (p.x.min() >= self._nodal.nodes[0] and p.x.max() <= self._nodal.nodes[-1]):
                got = f"places of {p.quantity!r} from {p.x.min():g} to {p.x.max():g} m"
                raise SpaceError(expected(f"flame {name!r}", got, f"places in [0, {self._nodal.nodes[-1]:g}] m"))

    def _column(self, profile: Profile, nodal: Mapping[str, Array]) -> Floats:
        values = np.asarray(nodal[profile.observable])
        if not profile.species:
            return values
        return values[:, self.base.equations.mechanism.species.index(profile.species)]

    def read(self, state: State, profile: Profile) -> Seen:
        """Return a profile of a quantity that is seen, with its derivatives by the nodal values."""
        return self._nodal.read(profile, self._column(profile, state.nodal), np.asarray(state.nodal["T"]))

    def _forward(self, state: State, seen: Sequence[Seen], handle: Handle) -> Floats:
        moves = state.operator.apply(handle.direction)
        parts = [np.ravel(moves["s_L"])] if self.speed else []
        for profile, read in zip(self.profiles, seen, strict=True):
            parts.append(read.by_quantity @ self._column(profile, moves) + read.by_temperature @ moves["T"])
        return np.concatenate(parts)

    def _rows(self, state: State, seen: Sequence[Seen]) -> list[dict[str, Array]]:
        """Return what every datum weighs of the nodal observables."""
        rows = []
        zero = {k: np.zeros_like(np.asarray(v)) for k, v in state.nodal.items()}
        if self.speed:
            rows.append({**zero, "s_L": np.ones_like(zero["s_L"])})
        for profile, read in zip(self.profiles, seen, strict=True):
            for w, w_T in zip(read.by_quantity, read.by_temperature, strict=True):
                row = {k: v.copy() for k, v in zero.items()}
                self._column(profile, row)[:] += w
                row["T"] += w_T
                rows.append(row)
        return rows

    def _project(self, state: State, row: Mapping[str, Array]) -> Floats:
        slopes = state.operator.adjoint(row)
        return np.array([sum(np.vdot(d, slopes[k]) for k, d in h.direction.items()) for h in self.handles])
