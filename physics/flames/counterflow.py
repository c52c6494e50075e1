"""Two opposed streams in similarity form: a premixed stream from the left against another, often inert, from the right.

With ``v = r V(x)`` and ``Lambda = (1/r) dp/dr`` the flow needs the axis alone [Kee, Coltrin, Glarborg, Zhu, Chemically
Reacting Flow, ch. 7]::

    m' + 2 rho V = 0                       m = rho u, given at both ends: the second one determines Lambda
    m V' + rho V^2 + Lambda - (mu V')' = 0

with energy and species as in `retrodict.physics.flames.finite_volume`. Continuity lives on the cells, so that the mass
that leaves sideways is exactly the difference of what comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from retrodict.physics.flames.equations import Limits, Linearised, Params
from retrodict.physics.flames.finite_volume import Balances, Line, Scheme, balances, balances_jacobian
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.flames.mixture import density, heat_capacity_mass, mean_weight, mole_fractions
from retrodict.physics.flames.premixed import interpolated
from retrodict.physics.flames.transport import viscosity
from retrodict.physics.spaces import Space, Var

__all__ = ["CounterflowEquations"]


@dataclass(frozen=True)
class CounterflowEquations:
    """A counterflow flame on given nodes; unknowns of a node are ``m, V, T, Y_1 .. Y_K``, the scalar is ``Lambda``.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    x : Tensor, shape (n,)
        Nodes, m, increasing, from one nozzle to the other.
    scheme : {"upwind", "central"}
        Convection of first or second order.

    Raises
    ------
    SpaceError
        If the nodes do not increase.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> flame = CounterflowEquations(load_mechanism("h2o2.yaml"), torch.linspace(0, 0.02, 5))
    >>> flame.unknowns[:3], flame.scalars
    (('m', 'V', 'T'), ('Lambda',))
    """

    mechanism: Mechanism
    x: Tensor
    scheme: Scheme = "central"

    def __post_init__(self) -> None:
        Line(self.x)

    @cached_property
    def _line(self) -> Line:
        return Line(self.x)

    @property
    def unknowns(self) -> tuple[str, ...]:
        """``m``, ``V``, ``T`` and the species."""
        return ("m", "V", "T", *self.mechanism.species)

    @property
    def scalars(self) -> tuple[str, ...]:
        """``Lambda``."""
        return ("Lambda",)

    @property
    def conditions(self) -> Space:
        """Temperatures, mass fractions and mass fluxes of both streams (both positive), and the pressure."""
        K = self.mechanism.K
        variables = {"p": Var(units="Pa", bounds=(0.0, 1e9), long_name="pressure")}
        for side, name in (("u", "left"), ("b", "right")):
            variables[f"T_{side}"] = Var(units="K", bounds=(0.0, 6000.0), long_name=f"temperature of the {name} stream")
            variables[f"m_{side}"] = Var(
                units="kg/m2/s", bounds=(0.0, 1e6), long_name=f"mass flux of the {name} stream"
            )
            variables[f"Y_{side}"] = Var(
                ("species",), (K,), bounds=(0.0, 1.0), long_name=f"mass fractions of the {name} stream"
            )
        return Space(variables)

    @property
    def limits(self) -> Limits:
        """Temperatures from 200 to 6000 K, mass fractions from zero to one."""
        K = self.mechanism.K
        return Limits(
            lower=(-1e6, -1e6, 200.0, *(0.0,) * K),
            upper=(1e6, 1e6, 6000.0, *(1.0,) * K),
            change=(1e6, 1e6, 300.0, *(1.0,) * K),
            small=(1e-9, 1e-7, 1e-6, *(1e-11,) * K),
            scalar_change=(1e6,),
            scalar_small=(1e-5,),
        )

    @property
    def kept(self) -> float | None:
        """No node is special."""
        return None

    def residual(self, params: Params, U: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the equations leave over, ``F`` (n, 3 + K) and ``f`` (1,)."""
        m, T, Y = U[:, 0], U[:, 2], U[:, 3:]
        inner, face = balances(params, self.mechanism, self._line, params["p"], m[1:-1], T, Y, self.scheme)
        mu = viscosity(params, self.mechanism, face.T, mole_fractions(self.mechanism, face.Y))
        return self._assembled(params, U, z, inner, face.flux, mu)

    def linearised(self, params: Params, U: Tensor, z: Tensor) -> Linearised:
        """Return the residual with its derivatives by the state, in closed form."""
        m, T, Y = U[:, 0], U[:, 2], U[:, 3:]
        parts = balances_jacobian(params, self.mechanism, self._line, params["p"], m[1:-1], T, Y, self.scheme)
        mu, mu_slope = self._viscosity(params, parts.face.T, parts.face.Y)
        F, f = self._assembled(params, U, z, parts.value, parts.face.flux, mu)
        n, M = U.shape
        lower, diagonal, upper = (U.new_zeros(n, M, M) for _ in range(3))
        self._scalar_rows(U, parts, (lower, diagonal, upper))
        self._flow_rows(params, U, mu, mu_slope, (lower, diagonal, upper))
        columns, rows = U.new_zeros(n, M, 1), U.new_zeros(1, n, M)
        columns[1:-1, 1, 0] = 1
        rows[0, -1, 0] = 1
        return Linearised(F, f, lower, diagonal, upper, columns, rows, U.new_zeros(1, 1))

    def inertia(self, params: Params, U: Tensor) -> Tensor:
        """Return ``rho``, ``rho c_p`` and ``rho`` for V, T and Y at the inner nodes; continuity has no inertia."""
        mass = torch.zeros_like(U)
        T, Y = U[1:-1, 2], U[1:-1, 3:]
        rho = density(self.mechanism, T, params["p"], Y)
        mass[1:-1, 1] = rho
        mass[1:-1, 2] = rho * heat_capacity_mass(params, self.mechanism, T, Y)
        mass[1:-1, 3:] = rho[:, None]
        return mass

    def observables(self, params: Params, U: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Return ``Lambda`` (Pa/m2) and the profiles ``T``, ``Y`` (n, K), ``rho``, ``u`` and ``V``."""
        rho = density(self.mechanism, U[:, 2], params["p"], U[:, 3:])
        return {"Lambda": z[0], "T": U[:, 2], "Y": U[:, 3:], "rho": rho, "u": U[:, 0] / rho, "V": U[:, 1]}

    def on(self, x: Tensor, U: Tensor, scheme: Scheme) -> tuple[CounterflowEquations, Tensor]:
        """Return the flame on other nodes and the state interpolated."""
        return replace(self, x=x, scheme=scheme), interpolated(self.x, U, x)

    def _assembled(
        self, params: Params, U: Tensor, z: Tensor, inner: Tensor, flux: Tensor, mu: Tensor
    ) -> tuple[Tensor, Tensor]:
        m, V, T, Y, line = U[:, 0], U[:, 1], U[:, 2], U[:, 3:], self._line
        rho = density(self.mechanism, T, params["p"], Y)
        sideways = rho * V
        continuity = torch.cat([m[:1] - params["m_u"], (m[1:] - m[:-1]) / line.dx + sideways[1:] + sideways[:-1]])
        stress = mu * (V[1:] - V[:-1]) / line.dx
        radial = m[1:-1] * line.slope(V, m[1:-1], self.scheme) + sideways[1:-1] * V[1:-1] + z[0]
        momentum = torch.cat([V[:1], radial - (stress[1:] - stress[:-1]) / line.width, V[-1:]])
        left = torch.cat([(T[0] - params["T_u"])[None], m[0] * Y[0] - params["m_u"] * params["Y_u"] + flux[0]])
        right = torch.cat([(T[-1] - params["T_b"])[None], m[-1] * Y[-1] + params["m_b"] * params["Y_b"] + flux[-1]])
        scalars = torch.cat([left[None], inner, right[None]])
        return torch.cat([continuity[:, None], momentum[:, None], scalars], 1), (m[-1] + params["m_b"])[None]

    def _scalar_rows(self, U: Tensor, parts: Balances, blocks: tuple[Tensor, Tensor, Tensor]) -> None:
        lower, diagonal, upper = blocks
        lower[1:-1, 2:, 2:], diagonal[1:-1, 2:, 2:], upper[1:-1, 2:, 2:] = parts.lower, parts.diagonal, parts.upper
        diagonal[1:-1, 2:, 0] = parts.by_flux
        diagonal[0, 2, 2] = diagonal[-1, 2, 2] = 1
        diagonal[0, 3:, 2:], upper[0, 3:, 2:] = parts.flux_left[0], parts.flux_right[0]
        lower[-1, 3:, 2:], diagonal[-1, 3:, 2:] = parts.flux_left[-1], parts.flux_right[-1]
        for end in (0, -1):
            torch.diagonal(diagonal[end, 3:, 3:]).add_(U[end, 0])
            diagonal[end, 3:, 0] = U[end, 3:]

    def _flow_rows(
        self, params: Params, U: Tensor, mu: Tensor, mu_slope: Tensor, blocks: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        lower, diagonal, upper = blocks
        m, V, T, Y, line = U[:, 0], U[:, 1], U[:, 2], U[:, 3:], self._line
        rho = density(self.mechanism, T, params["p"], Y)
        weight = -mean_weight(self.mechanism, Y)[:, None] / self.mechanism.weights
        rho_slope = rho[:, None] * torch.cat([-1 / T[:, None], weight], 1)  # by T and Y

        diagonal[0, 0, 0] = 1
        diagonal[1:, 0, 0], lower[1:, 0, 0] = 1 / line.dx, -1 / line.dx
        diagonal[1:, 0, 1], lower[1:, 0, 1] = rho[1:], rho[:-1]
        diagonal[1:, 0, 2:] = rho_slope[1:] * V[1:, None]
        lower[1:, 0, 2:] = rho_slope[:-1] * V[:-1, None]

        diagonal[0, 1, 1] = diagonal[-1, 1, 1] = 1
        a, b = line.stencil(m[1:-1], self.scheme)
        inner, stiff, wide = m[1:-1], mu / line.dx, line.width
        diagonal[1:-1, 1, 0] = line.slope(V, inner, self.scheme)
        lower[1:-1, 1, 1] = -inner * a - stiff[:-1] / wide
        upper[1:-1, 1, 1] = inner * b - stiff[1:] / wide
        diagonal[1:-1, 1, 1] = inner * (a - b) + (stiff[1:] + stiff[:-1]) / wide + 2 * (rho * V)[1:-1]
        bend = mu_slope * (0.5 * (V[1:] - V[:-1]) / line.dx)[:, None]
        diagonal[1:-1, 1, 2:] = rho_slope[1:-1] * (V[1:-1] ** 2)[:, None] - (bend[1:] - bend[:-1]) / wide[:, None]
        lower[1:-1, 1, 2:] = bend[:-1] / wide[:, None]
        upper[1:-1, 1, 2:] = -bend[1:] / wide[:, None]

    def _viscosity(self, params: Params, T: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the viscosity of the faces and its derivative by ``(T, Y)``, shape (n - 1, 1 + K)."""
        with torch.enable_grad():
            Tf, Yf = T.detach().requires_grad_(), Y.detach().requires_grad_()
            mu = viscosity(params, self.mechanism, Tf, mole_fractions(self.mechanism, Yf))
            by_T, by_Y = torch.autograd.grad(mu.sum(), (Tf, Yf))
        return mu.detach(), torch.cat([by_T[:, None], by_Y], 1)
