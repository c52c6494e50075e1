"""Balances of a flame at points where values, slopes and curvatures are known: no grid, no difference.

With the diffusive fluxes ``q = lambda T'`` and ``j_k = j*_k - Y_k sum_i j*_i``, ``j*_k = -rho (W_k/Wbar) D'_km X_k'``,
and the mass flux m::

    energy    m c_p T' - q' + (sum_k j_k c_p,k) T' + sum_k h_k W_k wdot_k
    species   m Y_k' + j_k' - W_k wdot_k

A flux is a function of the state and its slope, so its derivative is its directional derivative along slope and
curvature [Kee, Coltrin, Glarborg, Zhu, Chemically Reacting Flow, ch. 16].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.flames.kinetics import production
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.flames.mixture import (
    GAS_CONSTANT,
    concentrations,
    density,
    heat_capacity_mass,
    mean_weight,
    mole_fractions,
)
from retrodict.physics.flames.thermo import enthalpy, heat_capacity
from retrodict.physics.flames.transport import conductivity, mixture_diffusion, viscosity

__all__ = ["PointState", "along", "density_slope", "diffusive_fluxes", "energy_and_species", "shear_slope"]

Params = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class PointState:
    """Temperature and mass fractions with two derivatives at n points.

    Parameters
    ----------
    T, T1, T2 : Tensor, shape (n,)
        Temperature, K, slope and curvature by x in m.
    Y, Y1, Y2 : Tensor, shape (n, K)
        Mass fractions, slope and curvature.
    """

    T: Tensor
    T1: Tensor
    T2: Tensor
    Y: Tensor
    Y1: Tensor
    Y2: Tensor


def diffusive_fluxes(
    params: Params, mech: Mechanism, p: Tensor, T: Tensor, Y: Tensor, T1: Tensor, Y1: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the heat that conduction carries to lower x, and the corrected fluxes of the species.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism.
    mech : Mechanism
        Structure.
    p : Tensor
        Pressure, Pa.
    T, T1 : Tensor, shape (n,)
        Temperature and its slope.
    Y, Y1 : Tensor, shape (n, K)
        Mass fractions and their slopes.

    Returns
    -------
    tuple of Tensor
        ``lambda T'``, W/m2, (n,), and j, kg/m2/s, (n, K); their sum over the species is zero.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> Y, T = torch.full((1, 10), 0.1, dtype=torch.float64), torch.full((1,), 900.0, dtype=torch.float64)
    >>> _, j = diffusive_fluxes(mech.tensors(), mech, torch.tensor(1e5), T, Y, T, Y * torch.arange(10))
    >>> bool(j.sum().abs() < 1e-14 * j.abs().max())
    True
    """
    X, ratio = mole_fractions(mech, Y), mean_weight(mech, Y)[:, None] / mech.weights
    slope = ratio * Y1 - X * (ratio * Y1).sum(1, keepdim=True)
    raw = -mixture_diffusion(params, mech, T, p, Y) * slope
    return conductivity(params, mech, T, X) * T1, raw - Y * raw.sum(1, keepdim=True)


def energy_and_species(params: Params, mech: Mechanism, p: Tensor, m: Tensor, at: PointState) -> tuple[Tensor, Tensor]:
    """Return what the balances of energy and species leave over.

    Parameters
    ----------
    params : Mapping of str to Tensor
        Parameters of the mechanism.
    mech : Mechanism
        Structure.
    p : Tensor
        Pressure, Pa.
    m : Tensor
        Mass flux, kg/m2/s, a scalar or (n,).
    at : PointState
        Where.

    Returns
    -------
    tuple of Tensor
        Energy, W/m3, (n,); species, kg/m3/s, (n, K), whose sum is ``m (sum Y)'``.

    Examples
    --------
    Air at rest is in balance:

    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> Y, one = mech.mass_fractions("O2:1, N2:3.76")[None], torch.ones(1, dtype=torch.float64)
    >>> air = PointState(300 * one, 0 * one, 0 * one, Y, 0 * Y, 0 * Y)
    >>> energy, species = energy_and_species(mech.tensors(), mech, 1e5 * one[0], one[0], air)
    >>> bool(energy.abs() < 1e-6), bool(species.abs().max() < 1e-12)
    (True, True)
    """

    def fluxes(T: Tensor, Y: Tensor, T1: Tensor, Y1: Tensor) -> tuple[Tensor, Tensor]:
        return diffusive_fluxes(params, mech, p, T, Y, T1, Y1)

    (_, j), (heating, j1) = along(
        fluxes, (at.T, at.Y, at.T1, at.Y1), (at.T1, at.Y1, at.T2, at.Y2), _recorded(params, at)
    )
    wdot = production(params, mech, at.T, concentrations(mech, at.T, p, at.Y))
    molar = GAS_CONSTANT / mech.weights
    carried = (j * heat_capacity(params, mech, at.T) * molar).sum(1)
    released = (wdot * enthalpy(params, mech, at.T)).sum(1) * GAS_CONSTANT * at.T
    energy = (m * heat_capacity_mass(params, mech, at.T, at.Y) + carried) * at.T1 - heating + released
    flow = m if m.ndim == 0 else m[:, None]
    return energy, flow * at.Y1 + j1 - mech.weights * wdot


def density_slope(mech: Mechanism, p: Tensor, at: PointState) -> tuple[Tensor, Tensor]:
    """Return the density, kg/m3, and its derivative by x, both (n,).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> Y, T = mech.mass_fractions("N2:1")[None], torch.tensor([500.0], dtype=torch.float64)
    >>> rho, slope = density_slope(mech, torch.tensor(1e5), PointState(T, T, T, Y, 0 * Y, 0 * Y))
    >>> bool(torch.isclose(slope, -rho))  # rho ~ 1/T, T' = T
    True
    """
    W = mean_weight(mech, at.Y)
    rho = density(mech, at.T, p, at.Y)
    return rho, -rho * (at.T1 / at.T + W * (at.Y1 @ (1.0 / mech.weights)))


def shear_slope(params: Params, mech: Mechanism, at: PointState, V1: Tensor, V2: Tensor) -> Tensor:
    """Return ``(mu V')'``, (n,).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> Y, T = mech.mass_fractions("N2:1")[None], torch.tensor([300.0], dtype=torch.float64)
    >>> cold = PointState(T, 0 * T, 0 * T, Y, 0 * Y, 0 * Y)
    >>> round(1e5 * float(shear_slope(mech.tensors(), mech, cold, 0 * T, T / 300)), 2)
    1.81
    """

    def of(T: Tensor, Y: Tensor) -> tuple[Tensor, ...]:
        return (viscosity(params, mech, T, mole_fractions(mech, Y)),)

    (mu,), (slope,) = along(of, (at.T, at.Y), (at.T1, at.Y1), _recorded(params, at))
    return mu * V2 + slope * V1


def along(
    function: Callable[..., Sequence[Tensor]], at: Sequence[Tensor], direction: Sequence[Tensor], graph: bool = True
) -> tuple[list[Tensor], list[Tensor]]:
    """Return values and directional derivatives of a function.

    By differentiating the reverse pass by its own weights: torch's forward mode decomposes operations in Python and is
    several times slower on arrays as short as these.

    Parameters
    ----------
    function : callable
        Tensors to a sequence of tensors.
    at, direction : sequence of Tensor
        Arguments and their tangents.
    graph : bool, optional
        Whether results can be differentiated further.

    Returns
    -------
    tuple of list of Tensor
        Values and derivatives.

    Examples
    --------
    >>> x = torch.tensor(3.0)
    >>> [float(v[0].detach()) for v in along(lambda x: (x**2,), [x], [torch.tensor(0.5)])]
    [9.0, 3.0]
    """
    with torch.enable_grad():
        # views are nodes of their own, even where one tensor is passed twice
        inputs = [(v if v.requires_grad else v.detach().requires_grad_()).view_as(v) for v in at]
        values = list(function(*inputs))
        weights = [torch.ones_like(v, requires_grad=True) for v in values]
        back = torch.autograd.grad(values, inputs, weights, create_graph=True)
        slopes = torch.autograd.grad(back, weights, direction, create_graph=True, allow_unused=True)
    found = [torch.zeros_like(v) if s is None else s for v, s in zip(values, slopes, strict=True)]
    return (values, found) if graph else ([v.detach() for v in values], [s.detach() for s in found])


def _recorded(params: Params, at: PointState) -> bool:
    """Return whether anything that the fluxes depend on is differentiated."""
    tensors = (at.T, at.T1, at.T2, at.Y, at.Y1, at.Y2, *params.values())
    return torch.is_grad_enabled() and any(v.requires_grad for v in tensors)
