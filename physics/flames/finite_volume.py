"""Balances of energy and species on a line of nodes, and their derivatives by the nodal state.

Diffusive fluxes live on the faces midway between two nodes, with properties of the mean of both states; the control
volume of a node ends at its faces. Energy and species [Kee, Coltrin, Glarborg, Zhu, Chemically Reacting Flow, ch. 16]::

    m c_p T' - (lambda T')' + (sum_k j_k c_p,k) T' + sum_k H_k wdot_k = 0
    m Y_k'   + j_k'  - W_k wdot_k                                    = 0
    j_k = j*_k - Y_k sum_i j*_i,   j*_k = -rho (W_k/Wbar) D'_k X_k'

``m`` is the mass flux rho u (kg/m2/s), ``H_k`` the molar enthalpy. Convection is first-order upwind or the second-order
difference of the face means, which conserves elements to round-off. All derivatives are closed forms: the chemistry is
local to a node and transport to a face, so that a Jacobian costs little more than a residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.kinetics import production, production_jacobian
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.flames.mixture import GAS_CONSTANT, concentrations, mean_weight, mole_fractions
from retrodict.physics.flames.thermo import enthalpy, heat_capacity, heat_capacity_slope
from retrodict.physics.flames.transport import conductivity, mixture_diffusion, mixture_diffusion_jacobian

__all__ = ["Balances", "Faces", "Line", "Scheme", "balances", "balances_jacobian", "faces"]

Scheme = Literal["upwind", "central"]
Params = dict[str, Tensor]


class Line:
    """Nodes on a line.

    Parameters
    ----------
    x : Tensor, shape (n,)
        Positions in m, increasing.

    Raises
    ------
    SpaceError
        If there are fewer than three nodes, or they do not increase.

    Examples
    --------
    >>> Line(torch.tensor([0.0, 1.0, 3.0])).width
    tensor([1.5000])
    """

    def __init__(self, x: Tensor) -> None:
        if x.ndim != 1 or x.numel() < 3 or not bool(torch.all(x[1:] > x[:-1])):
            raise SpaceError(expected("Line", f"{x.numel()} nodes", "three or more that increase"))
        self.x = x
        self.dx = x[1:] - x[:-1]
        self.width = (x[2:] - x[:-2]) / 2

    def slope(self, values: Tensor, m: Tensor, scheme: Scheme) -> Tensor:
        """Return the derivative that convection with the mass flux ``m`` sees at the inner nodes."""
        a, b = self.stencil(m, scheme)
        back, ahead = values[1:-1] - values[:-2], values[2:] - values[1:-1]
        if values.ndim > 1:
            a, b = a[:, None], b[:, None]
        return a * back + b * ahead

    def stencil(self, m: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
        """Return the weights of the backward and the forward difference, each of shape (n - 2,)."""
        if scheme == "central":
            half = 0.5 / self.width
            return half, half
        forward = (m > 0).to(self.x.dtype).expand(self.width.shape)
        return forward / self.dx[:-1], (1 - forward) / self.dx[1:]


@dataclass(frozen=True)
class Faces:
    """What the faces know: mean state, properties and fluxes.

    Parameters
    ----------
    T : Tensor, shape (n - 1,)
        Temperature, K.
    Y : Tensor, shape (n - 1, K)
        Mass fractions.
    conductance : Tensor, shape (n - 1, K)
        ``rho (W_k / Wbar) D'_k``, kg/m/s.
    conductivity : Tensor, shape (n - 1,)
        W/m/K.
    slope : Tensor, shape (n - 1, K)
        ``X_k'``, 1/m.
    drift : Tensor, shape (n - 1,)
        ``sum_k j*_k``, kg/m2/s.
    carried : Tensor, shape (n - 1, K)
        The mass fractions by which the drift is corrected.
    flux : Tensor, shape (n - 1, K)
        ``j_k``, kg/m2/s.
    heat : Tensor, shape (n - 1,)
        ``-lambda T'``, W/m2.
    """

    T: Tensor
    Y: Tensor
    conductance: Tensor
    conductivity: Tensor
    slope: Tensor
    drift: Tensor
    carried: Tensor
    flux: Tensor
    heat: Tensor


def faces(params: Params, mech: Mechanism, line: Line, p: Tensor, T: Tensor, Y: Tensor, scheme: Scheme) -> Faces:
    """Return the state and the fluxes on all faces.

    Parameters
    ----------
    params : dict of str to Tensor
        Of the mechanism.
    mech : Mechanism
        The mechanism.
    line : Line
        The nodes.
    p : Tensor
        Pressure, Pa.
    T, Y : Tensor, shapes (n,) and (n, K)
        Nodal temperature and mass fractions.
    scheme : {"upwind", "central"}
        Decides which mass fractions the correction flux carries: those of the left node, or of the mean.

    Returns
    -------
    Faces
    """
    Tf, Yf = (T[1:] + T[:-1]) / 2, (Y[1:] + Y[:-1]) / 2
    X = mole_fractions(mech, Y)
    G = mixture_diffusion(params, mech, Tf, p, Yf)
    lam = conductivity(params, mech, Tf, mole_fractions(mech, Yf))
    slope = (X[1:] - X[:-1]) / line.dx[:, None]
    drift = -(G * slope).sum(1)
    carried = Yf if scheme == "central" else Y[:-1]
    flux = -G * slope - carried * drift[:, None]
    return Faces(Tf, Yf, G, lam, slope, drift, carried, flux, -lam * (T[1:] - T[:-1]) / line.dx)


def balances(
    params: Params, mech: Mechanism, line: Line, p: Tensor, m: Tensor, T: Tensor, Y: Tensor, scheme: Scheme
) -> tuple[Tensor, Faces]:
    """Return what the balances of energy and species leave over at the inner nodes, and the faces.

    Parameters
    ----------
    params, mech, line, p, T, Y, scheme
        As in `faces`.
    m : Tensor, shape () or (n - 2,)
        Mass flux at the inner nodes, kg/m2/s.

    Returns
    -------
    Tensor, shape (n - 2, 1 + K)
        Energy (W/m3) in the first column, then the species (kg/m3/s).
    Faces
        As from `faces`.
    """
    face = faces(params, mech, line, p, T, Y, scheme)
    Ti, Yi = T[1:-1], Y[1:-1]
    wdot = production(params, mech, Ti, concentrations(mech, Ti, p, Yi))
    cp = heat_capacity(params, mech, Ti) * (GAS_CONSTANT / mech.weights)
    H = enthalpy(params, mech, Ti) * (GAS_CONSTANT * Ti)[:, None]
    carried = m * (cp * Yi).sum(1) + (cp * (face.flux[1:] + face.flux[:-1])).sum(1) / 2
    slopes = line.slope(T, m, scheme), line.slope(Y, m, scheme)
    return _left_over(mech, line, m.expand(Ti.shape), carried, slopes, face, H, wdot), face


def _left_over(
    mech: Mechanism,
    line: Line,
    m: Tensor,
    carried: Tensor,
    slopes: tuple[Tensor, Tensor],
    face: Faces,
    H: Tensor,
    wdot: Tensor,
) -> Tensor:
    """Put both balances together; ``carried`` is the heat capacity that all fluxes carry, W/m2/K."""
    energy = carried * slopes[0] + (face.heat[1:] - face.heat[:-1]) / line.width + (H * wdot).sum(1)
    spread = (face.flux[1:] - face.flux[:-1]) / line.width[:, None]
    return torch.cat([energy[:, None], m[:, None] * slopes[1] + spread - mech.weights * wdot], 1)


@dataclass(frozen=True)
class Balances:
    """The balances at the inner nodes with their derivatives by ``(T, Y_1 .. Y_K)`` of three nodes.

    Parameters
    ----------
    value : Tensor, shape (n - 2, 1 + K)
        As from `balances`.
    face : Faces
        As from `faces`.
    lower, diagonal, upper : Tensor, shape (n - 2, 1 + K, 1 + K)
        Derivatives by the state on the left, of the node itself, on the right.
    by_flux : Tensor, shape (n - 2, 1 + K)
        Derivatives by the mass flux of the node.
    flux_left, flux_right : Tensor, shape (n - 1, K, 1 + K)
        Derivatives of the species fluxes on the faces by the states on either side.
    """

    value: Tensor
    face: Faces
    lower: Tensor
    diagonal: Tensor
    upper: Tensor
    by_flux: Tensor
    flux_left: Tensor
    flux_right: Tensor


def balances_jacobian(
    params: Params, mech: Mechanism, line: Line, p: Tensor, m: Tensor, T: Tensor, Y: Tensor, scheme: Scheme
) -> Balances:
    """Return the balances of `balances` with their derivatives.

    Parameters
    ----------
    params, mech, line, p, m, T, Y, scheme
        As in `balances`.

    Returns
    -------
    Balances
    """
    face = faces(params, mech, line, p, T, Y, scheme)
    flux_left, flux_right = _flux_derivatives(params, mech, line, p, Y, face, scheme)
    heat_left, heat_right = _heat_derivatives(params, mech, line, T, face)
    wide = line.width[:, None, None]
    Ti, Yi = T[1:-1], Y[1:-1]
    a, b = line.stencil(m, scheme)
    mass = m.expand(Ti.shape)

    weights, cp = mech.weights, heat_capacity(params, mech, Ti) * (GAS_CONSTANT / mech.weights)
    dcp = heat_capacity_slope(params, mech, Ti) * (GAS_CONSTANT / mech.weights)
    H = enthalpy(params, mech, Ti) * (GAS_CONSTANT * Ti)[:, None]
    wdot, by_T, by_Y = _production_by_state(params, mech, p, Ti, Yi)
    mean_flux = (face.flux[1:] + face.flux[:-1]) / 2
    mixed = (cp * Yi).sum(1)
    carried = mass * mixed + (cp * mean_flux).sum(1)
    slope_T, slope_Y = line.slope(T, m, scheme), line.slope(Y, m, scheme)

    # energy, by way of the fluxes: (sum_k j_k c_p,k) T' and the heat through both faces
    weight = (cp * (slope_T / 2)[:, None])[:, None, :]
    lower = weight @ flux_left[:-1] - heat_left[:-1, None] / wide
    middle = weight @ (flux_right[:-1] + flux_left[1:]) + (heat_left[1:] - heat_right[:-1])[:, None] / wide
    upper = weight @ flux_right[1:] + heat_right[1:, None] / wide
    lower[:, 0, 0] -= carried * a
    middle[:, 0, 0] += carried * (a - b) + (dcp * (mass[:, None] * Yi + mean_flux)).sum(1) * slope_T
    upper[:, 0, 0] += carried * b
    middle[:, 0, 0] += (cp * weights * wdot).sum(1) + (H * by_T).sum(1)
    middle[:, 0, 1:] += (mass * slope_T)[:, None] * cp + (H[:, None, :] @ by_Y)[:, 0]

    below = -flux_left[:-1] / wide
    here = (flux_left[1:] - flux_right[:-1]) / wide
    above = flux_right[1:] / wide
    torch.diagonal(below[:, :, 1:], dim1=1, dim2=2).sub_((mass * a)[:, None])
    torch.diagonal(here[:, :, 1:], dim1=1, dim2=2).add_((mass * (a - b))[:, None])
    torch.diagonal(above[:, :, 1:], dim1=1, dim2=2).add_((mass * b)[:, None])
    here[:, :, 0] -= weights * by_T
    here[:, :, 1:] -= weights[:, None] * by_Y

    return Balances(
        _left_over(mech, line, mass, carried, (slope_T, slope_Y), face, H, wdot),
        face,
        torch.cat([lower, below], 1),
        torch.cat([middle, here], 1),
        torch.cat([upper, above], 1),
        torch.cat([(mixed * slope_T)[:, None], slope_Y], 1),
        flux_left,
        flux_right,
    )


def _production_by_state(
    params: Params, mech: Mechanism, p: Tensor, T: Tensor, Y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return wdot (n, K), its derivative by T at fixed Y and p (n, K), and by Y (n, K, K)."""
    C = concentrations(mech, T, p, Y)
    wdot, by_T, by_C = production_jacobian(params, mech, T, C)
    Wbar = mean_weight(mech, Y)
    along = (by_C @ C[:, :, None])[:, :, 0]  # all concentrations grow together
    density_by_weight = (p * Wbar / (GAS_CONSTANT * T))[:, None] / mech.weights
    by_Y = by_C * density_by_weight[:, None, :] - along[:, :, None] * (Wbar[:, None] / mech.weights)[:, None, :]
    return wdot, by_T - along / T[:, None], by_Y


def _flux_derivatives(
    params: Params, mech: Mechanism, line: Line, p: Tensor, Y: Tensor, face: Faces, scheme: Scheme
) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the corrected fluxes by ``(T, Y)`` on the left and on the right."""
    _, by_T, by_Y = mixture_diffusion_jacobian(params, mech, face.T, p, face.Y)
    common = torch.cat([by_T[:, :, None], by_Y], 2) * (-0.5 * face.slope)[:, :, None]
    stiff = face.conductance / line.dx[:, None]
    by_node = _mole_fractions_by_mass(mech, Y)
    left, right = common.clone(), common
    left[:, :, 1:] += stiff[:, :, None] * by_node[:-1]
    right[:, :, 1:] -= stiff[:, :, None] * by_node[1:]
    shares = (0.5, 0.5) if scheme == "central" else (1.0, 0.0)
    for side, share in ((left, shares[0]), (right, shares[1])):
        side -= face.carried[:, :, None] * side.sum(1, keepdim=True)
        torch.diagonal(side[:, :, 1:], dim1=1, dim2=2).sub_(share * face.drift[:, None])
    return left, right


def _mole_fractions_by_mass(mech: Mechanism, Y: Tensor) -> Tensor:
    """Return dX_k/dY_j, shape (n, K, K), for mass fractions whose sum is free."""
    ratio = mean_weight(mech, Y)[:, None] / mech.weights
    return torch.diag_embed(ratio) - (Y * ratio)[:, :, None] * ratio[:, None, :]


def _heat_derivatives(params: Params, mech: Mechanism, line: Line, T: Tensor, face: Faces) -> tuple[Tensor, Tensor]:
    """Return the derivatives of ``-lambda T'`` by ``(T, Y)`` on the left and on the right, each (n - 1, 1 + K)."""
    with torch.enable_grad():
        Tf, Yf = face.T.detach().requires_grad_(), face.Y.detach().requires_grad_()
        lam = conductivity(params, mech, Tf, mole_fractions(mech, Yf))
        by_T, by_Y = torch.autograd.grad(lam.sum(), (Tf, Yf))
    slope = (T[1:] - T[:-1]) / line.dx
    common = torch.cat([by_T[:, None], by_Y], 1) * (-0.5 * slope)[:, None]
    stiff = face.conductivity / line.dx
    left, right = common.clone(), common
    left[:, 0] += stiff
    right[:, 0] -= stiff
    return left, right
