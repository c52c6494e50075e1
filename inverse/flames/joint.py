"""Many flames, one set of unknowns: a Differentiable from handles to burning velocities and profiles of all flames.

Every flame is solved once from nothing, on nodes adapted to it, where the handles begin; from then on the nodes stay,
and every solve begins at that first solution, so that equal unknowns give equal data whatever was asked before.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from retrodict.inverse.flames.handles import Handle, moved
from retrodict.inverse.flames.observed import ObservedFlame, State
from retrodict.inverse.flames.profiles import Profile
from retrodict.physics.errors import DataError, SolverError, SpaceError, expected
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Array, Space, Tree, Var
from retrodict.solvers.base import Status
from retrodict.solvers.flames.conditions import RISE
from retrodict.solvers.flames.premixed import FreeFlame, burnt
from retrodict.solvers.flames.solution import FlameSolution

__all__ = ["JointFlames"]

_KEPT = 2


class JointFlames:
    """Handles to what is seen of several free flames; differentiable.

    The range has ``"<flame>/s_L"`` for every flame whose speed is seen and ``"<flame>/<quantity>"`` for its profiles.
    Derivatives of a flame are found by one forward solve a handle or one adjoint solve a datum, whichever are fewer.

    Parameters
    ----------
    flames : Mapping of str to FreeFlame
        All of one mechanism, whose parameters are nominal. Several names may share one flame object: it is solved once.
    handles : sequence of Handle
        The unknowns; zero is nominal.
    speeds : bool or collection of str, optional
        Whose burning velocity is seen: all (True), none, or those named.
    profiles : Mapping of str to sequence of Profile, optional
        Profiles by name of the flame.
    start : Tree, optional
        Values of the handles for which nodes are adapted; zero without it.

    Raises
    ------
    SpaceError
        If there is no flame or handle, names repeat or contain a slash, mechanisms differ, or nothing is seen.
    DataError
        If the mixture of a flame cannot burn, by name and before any work.
    SolverError
        If a flame is not found at the start, by name.

    Examples
    --------
    >>> from retrodict.inverse.flames.handles import rate
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> Y = np.asarray(gas.composition("H2", "O2:1, AR:3.76", 1.0))
    >>> flames = {"hot": FreeFlame(gas, Y, 400.0, 101325.0, points=50)}
    >>> model = JointFlames(flames, [rate(gas, "H + O2 <=> O + OH", "chain")])
    >>> y, op = model.linearize(model.domain.zeros())
    >>> bool(0 < op.apply({"chain": np.array(1.0)})["hot/s_L"] / y["hot/s_L"] < 1)
    True
    """

    def __init__(
        self,
        flames: Mapping[str, FreeFlame],
        handles: Sequence[Handle],
        speeds: bool | Sequence[str] = True,
        profiles: Mapping[str, Sequence[Profile]] | None = None,
        start: Tree | None = None,
    ) -> None:
        profiles = profiles or {}
        seen = list(flames) if speeds is True else list(speeds or ())
        _check_names(flames, [*seen, *profiles])
        self.flames, self.mechanism = dict(flames), _one_mechanism(flames)
        self.parts: dict[str, ObservedFlame] = {}
        self._set_handles(handles)
        first = self.domain.check(self.domain.zeros() if start is None else start, "start")
        bases = self._solved(first)
        self.parts = {
            name: ObservedFlame(bases[id(flame)], self.handles, name in seen, tuple(profiles.get(name, ())))
            for name, flame in flames.items()
        }
        self.range = Space({f"{n}/{k}": v for n, part in self.parts.items() for k, v in part.variables.items()})
        if not self.range:
            raise SpaceError(expected("JointFlames", "nothing seen of any flame", "speeds or profiles"))
        for name, part in self.parts.items():
            part.require(name)

    def _solved(self, at: Tree) -> dict[int, FlameSolution]:
        """Return the bases by identity of the flame, after checking that all can burn."""
        unique = {id(flame): (name, flame) for name, flame in reversed(list(self.flames.items()))}
        for name, flame in reversed(unique.values()):
            hot = burnt(self.mechanism, flame.T_in, flame.p, np.asarray(flame.Y_in))[0]
            if hot < flame.T_in + RISE:
                got = f"equilibrium at {hot:.0f} K from {flame.T_in:.0f} K"
                raise DataError(expected(f"flame {name!r}", got, "a mixture that can burn"))
        start = replace(self.mechanism, parameters=moved(self.mechanism, self.handles, at))
        bases: dict[int, FlameSolution] = {}
        for key, (name, flame) in reversed(unique.items()):
            bases[key] = solved = replace(flame, mechanism=start).solve()
            if solved.status is not Status.CONVERGED:
                got = f"no flame ({solved.status.value}: {solved.reason})"
                raise SolverError(expected(f"flame {name!r}", got, "a solution where the handles begin"))
        return bases

    def with_handles(self, handles: Sequence[Handle]) -> JointFlames:
        """Return the model of the same flames with other handles; no flame is solved anew.

        Raises
        ------
        SpaceError
            If there is no handle or names repeat.
        """
        made = copy(self)
        made._set_handles(handles)
        return made

    def _set_handles(self, handles: Sequence[Handle]) -> None:
        names = [h.name for h in handles]
        if not names or len(set(names)) != len(names):
            raise SpaceError(expected("JointFlames.handles", names, "at least one, with different names"))
        self.handles = tuple(handles)
        self.domain = Space({h.name: Var(units=h.units, bounds=h.bounds) for h in handles})
        self.parts = {n: replace(part, handles=self.handles) for n, part in self.parts.items()}
        self._points: dict[bytes, _Point] = {}

    def _at(self, params: Tree) -> _Point:
        """Return all flames at a point; the last points are remembered."""
        at = self.domain.check(params, "params")
        mark = self.domain.pack(at).tobytes()
        if mark not in self._points:
            tree = moved(self.mechanism, self.handles, at)
            solved: dict[Hashable, State] = {}
            for part in self.parts.values():  # names that share a flame share its solve
                if part.key not in solved:
                    solved[part.key] = part.solve(tree)
            while len(self._points) >= _KEPT:
                self._points.pop(next(iter(self._points)))
            self._points[mark] = _Point(self.parts, {n: solved[part.key] for n, part in self.parts.items()})
        return self._points[mark]

    def read(self, params: Tree, flame: str, profile: Profile) -> Array:
        """Return another profile of a flame whose profiles are seen, for example on more places.

        Parameters
        ----------
        params : Tree
            Values of the handles.
        flame : str
            Its name.
        profile : Profile
            Of a quantity that is seen.

        Returns
        -------
        ndarray, shape (k,)
            Values; NaN where there is no flame.

        Raises
        ------
        SpaceError
            If the quantity of that flame is not seen.
        """
        seen = [p.quantity for p in self.parts[flame].profiles] if flame in self.parts else []
        if profile.quantity not in seen:
            raise SpaceError(expected(f"profile of {flame!r}", profile.quantity, f"one that is seen: {seen}"))
        return self.parts[flame].read(self._at(params).states[flame], profile).values

    def apply(self, params: Tree) -> dict[str, Array]:
        """Return the data without noise; NaN for a flame that was not found.

        Raises
        ------
        SpaceError
            If the parameters do not belong to the domain.
        """
        states = self._at(params).states
        seen = {n: part.values(states[n]) for n, part in self.parts.items()}
        return {f"{n}/{k}": v for n, values in seen.items() for k, v in values.items()}

    def linearize(self, params: Tree) -> tuple[dict[str, Array], Operator]:
        """Return the data and their derivative by the handles.

        Raises
        ------
        SpaceError
            If the parameters do not belong to the domain.
        """
        point = self._at(params)

        def forward(dx: Tree) -> dict[str, Array]:
            return self.range.unpack(point.matrix @ self.domain.pack(dx))

        def transpose(dy: Tree) -> dict[str, Array]:
            return self.domain.unpack(point.matrix.T @ self.range.pack(dy))

        return self.apply(params), Operator(self.domain, self.range, forward, transpose)


@dataclass(frozen=True, eq=False)
class _Point:
    """All flames at one point, and the derivative once it is asked for."""

    parts: Mapping[str, ObservedFlame]
    states: Mapping[str, State]

    @cached_property
    def matrix(self) -> Array:
        return np.concatenate([part.jacobian(self.states[n]) for n, part in self.parts.items()])


def _check_names(flames: Mapping[str, FreeFlame], asked: Sequence[str]) -> None:
    if not flames:
        raise SpaceError(expected("JointFlames.flames", "none", "at least one"))
    if slashed := [n for n in flames if "/" in n]:
        raise SpaceError(expected("JointFlames.flames", slashed, "names without a slash"))
    if strange := sorted(set(asked) - set(flames)):
        raise SpaceError(expected("JointFlames: speeds or profiles", strange, f"names among {sorted(flames)}"))


def _one_mechanism(flames: Mapping[str, FreeFlame]) -> Mechanism:
    found = {id(f.mechanism): f.mechanism for f in flames.values()}
    if len(found) != 1:
        raise SpaceError(expected("JointFlames.flames", f"{len(found)} mechanisms", "flames of one mechanism object"))
    return next(iter(found.values()))
