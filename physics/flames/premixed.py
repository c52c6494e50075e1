"""Premixed flames: freely propagating, where the mass flux is an eigenvalue, and held by a burner, where it is given.

The inlet is on the left. Species enter by convection and diffusion together (``m Y + j = m Y_in``), all gradients
vanish on the right. A free flame may stand anywhere: the temperature of one node is held, its equation of energy
determines the mass flux, and so there is one unknown for it and Newton's matrix stays well conditioned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.equations import Limits, Linearised, Params
from retrodict.physics.flames.finite_volume import Balances, Line, Scheme, balances, balances_jacobian
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.flames.mixture import density, heat_capacity_mass
from retrodict.physics.spaces import Space, Var

__all__ = ["Anchor", "PremixedEquations", "interpolated"]


@dataclass(frozen=True)
class Anchor:
    """The node at which a free flame is held.

    Parameters
    ----------
    x : float
        Position, m.
    T : float
        Temperature there, K.
    """

    x: float
    T: float


@dataclass(frozen=True)
class PremixedEquations:
    """A premixed flame on given nodes; unknowns of a node are ``T, Y_1 .. Y_K``.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    x : Tensor, shape (n,)
        Nodes, m, increasing.
    scheme : {"upwind", "central"}
        Convection of first or second order.
    anchor : Anchor, optional
        With it the flame is free and its mass flux the scalar ``m``; without, ``m`` is a condition (a burner).

    Raises
    ------
    SpaceError
        If the nodes do not increase, or none inside them is where the anchor is.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> flame = PremixedEquations(load_mechanism("h2o2.yaml"), torch.linspace(0, 0.02, 5), anchor=Anchor(0.01, 600.0))
    >>> flame.scalars, list(flame.conditions)
    (('m',), ['T_in', 'p', 'Y_in'])
    """

    mechanism: Mechanism
    x: Tensor
    scheme: Scheme = "central"
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        Line(self.x)
        if self.anchor is not None and not 0 < self._held < self.x.numel() - 1:
            raise SpaceError(expected("PremixedEquations.anchor", self.anchor, "a position between the outer nodes"))

    @cached_property
    def _line(self) -> Line:
        return Line(self.x)

    @cached_property
    def _held(self) -> int:
        assert self.anchor is not None
        return int(torch.argmin((self.x - self.anchor.x).abs()))

    @property
    def unknowns(self) -> tuple[str, ...]:
        """``T`` and the species."""
        return ("T", *self.mechanism.species)

    @property
    def scalars(self) -> tuple[str, ...]:
        """``m`` where the flame is free."""
        return () if self.anchor is None else ("m",)

    @property
    def conditions(self) -> Space:
        """Inlet temperature, pressure, mass fractions, and the mass flux of a burner."""
        variables = {
            "T_in": Var(units="K", bounds=(0.0, 6000.0), long_name="inlet temperature"),
            "p": Var(units="Pa", bounds=(0.0, 1e9), long_name="pressure"),
            "Y_in": Var(("species",), (self.mechanism.K,), bounds=(0.0, 1.0), long_name="inlet mass fractions"),
        }
        if self.anchor is None:
            variables["m"] = Var(units="kg/m2/s", bounds=(0.0, 1e6), long_name="mass flux")
        return Space(variables)

    @property
    def limits(self) -> Limits:
        """Temperatures from 200 to 6000 K, mass fractions from zero to one."""
        K, free = self.mechanism.K, self.anchor is not None
        return Limits(
            lower=(200.0, *(0.0,) * K),
            upper=(6000.0, *(1.0,) * K),
            change=(300.0, *(1.0,) * K),
            small=(1e-6, *(1e-11,) * K),
            scalar_change=(0.5,) if free else (),
            scalar_small=(1e-9,) if free else (),
        )

    def residual(self, params: Params, U: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the equations leave over, ``F`` (n, 1 + K) and ``f`` (q,)."""
        m = self._mass_flux(params, z)
        inner, face = balances(params, self.mechanism, self._line, params["p"], m, U[:, 0], U[:, 1:], self.scheme)
        return self._bounded(params, U, m, inner, face.flux[0])

    def linearised(self, params: Params, U: Tensor, z: Tensor) -> Linearised:
        """Return the residual with its derivatives by the state, in closed form."""
        m = self._mass_flux(params, z)
        parts = balances_jacobian(params, self.mechanism, self._line, params["p"], m, U[:, 0], U[:, 1:], self.scheme)
        F, f = self._bounded(params, U, m, parts.value, parts.face.flux[0])
        return self._held_row(self._blocks(params, U, m, parts), F, f)

    def inertia(self, params: Params, U: Tensor) -> Tensor:
        """Return ``rho c_p`` and ``rho`` at the inner nodes, zero on the boundary and where the temperature is held."""
        mass = torch.zeros_like(U)
        T, Y = U[1:-1, 0], U[1:-1, 1:]
        rho = density(self.mechanism, T, params["p"], Y)
        mass[1:-1, 0] = rho * heat_capacity_mass(params, self.mechanism, T, Y)
        mass[1:-1, 1:] = rho[:, None]
        if self.anchor is not None:
            mass[self._held, 0] = 0
        return mass

    def observables(self, params: Params, U: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Return ``s_L`` (m/s), ``m``, and the profiles ``T``, ``Y`` (n, K), ``rho`` and ``u``."""
        m = self._mass_flux(params, z)
        inlet = density(self.mechanism, params["T_in"][None], params["p"], params["Y_in"][None])[0]
        rho = density(self.mechanism, U[:, 0], params["p"], U[:, 1:])
        return {"s_L": m / inlet, "m": m, "T": U[:, 0], "Y": U[:, 1:], "rho": rho, "u": m / rho}

    @property
    def kept(self) -> float | None:
        """Where the anchor is."""
        return None if self.anchor is None else self.anchor.x

    def on(self, x: Tensor, U: Tensor, scheme: Scheme) -> tuple[PremixedEquations, Tensor]:
        """Return the flame on other nodes and the state interpolated; the anchor keeps its place among the nodes.

        Raises
        ------
        SpaceError
            If no inner node is where the anchor is.
        """
        moved = interpolated(self.x, U, x)
        if self.anchor is None:
            return replace(self, x=x, scheme=scheme), moved
        near = int(torch.argmin((x - self.anchor.x).abs()))
        anchor = Anchor(float(x[near]), float(moved[near, 0]))
        return replace(self, x=x, scheme=scheme, anchor=anchor), moved

    def _mass_flux(self, params: Params, z: Tensor) -> Tensor:
        return params["m"] if self.anchor is None else z[0]

    def _bounded(self, params: Params, U: Tensor, m: Tensor, inner: Tensor, entering: Tensor) -> tuple[Tensor, Tensor]:
        """Put the boundary rows around the inner ones and move the held node's energy to the scalar."""
        left = torch.cat([(U[0, 0] - params["T_in"])[None], m * (U[0, 1:] - params["Y_in"]) + entering])
        F = torch.cat([left[None], inner, (U[-1] - U[-2])[None]])
        if self.anchor is None:
            return F, F.new_zeros(0)
        at = self._held
        held = torch.cat([(U[at, 0] - self.anchor.T)[None], F[at, 1:]])
        return torch.cat([F[:at], held[None], F[at + 1 :]]), F[at, :1]

    def _blocks(self, params: Params, U: Tensor, m: Tensor, parts: Balances) -> list[Tensor]:
        """Return lower, diagonal and upper blocks and the derivative by the mass flux, boundary rows included."""
        n, M = U.shape
        lower, diagonal, upper = (U.new_zeros(n, M, M) for _ in range(3))
        lower[1:-1], diagonal[1:-1], upper[1:-1] = parts.lower, parts.diagonal, parts.upper
        column = torch.cat([torch.zeros_like(U[:1]), parts.by_flux, torch.zeros_like(U[:1])])
        diagonal[0, 0, 0] = 1
        diagonal[0, 1:] = parts.flux_left[0]
        torch.diagonal(diagonal[0, 1:, 1:]).add_(m)
        upper[0, 1:] = parts.flux_right[0]
        column[0, 1:] = U[0, 1:] - params["Y_in"]
        torch.diagonal(diagonal[-1]).fill_(1)
        torch.diagonal(lower[-1]).fill_(-1)
        return [lower, diagonal, upper, column]

    def _held_row(self, blocks: list[Tensor], F: Tensor, f: Tensor) -> Linearised:
        lower, diagonal, upper, column = blocks
        n, M = F.shape
        if self.anchor is None:
            nothing = F.new_zeros(n, M, 0)
            return Linearised(F, f, lower, diagonal, upper, nothing, F.new_zeros(0, n, M), F.new_zeros(0, 0))
        at = self._held
        row = F.new_zeros(1, n, M)
        row[0, at - 1], row[0, at], row[0, at + 1] = lower[at, 0], diagonal[at, 0], upper[at, 0]
        corner = column[at, 0].clone()[None, None]
        lower[at, 0], diagonal[at, 0], upper[at, 0], column[at, 0] = 0, 0, 0, 0
        diagonal[at, 0, 0] = 1
        return Linearised(F, f, lower, diagonal, upper, column[:, :, None], row, corner)


def interpolated(x: Tensor, U: Tensor, to: Tensor) -> Tensor:
    """Interpolate nodal values linearly.

    Parameters
    ----------
    x : Tensor, shape (n,)
        Nodes, increasing.
    U : Tensor, shape (n, M)
        Values.
    to : Tensor, shape (n2,)
        Other nodes, inside the old ones.

    Returns
    -------
    Tensor, shape (n2, M)

    Examples
    --------
    >>> interpolated(torch.tensor([0.0, 1.0]), torch.tensor([[0.0], [2.0]]), torch.tensor([0.25]))
    tensor([[0.5000]])
    """
    right = torch.searchsorted(x, to).clamp(1, x.numel() - 1)
    share = ((to - x[right - 1]) / (x[right] - x[right - 1]))[:, None]
    return U[right - 1] * (1 - share) + U[right] * share
