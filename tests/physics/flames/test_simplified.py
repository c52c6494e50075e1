"""The simplified flame: closed forms against numbers worked out apart, refusals, and the system for networks."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from retrodict.physics.errors import ConfigError, SolverError
from retrodict.physics.flames.simplified import ATMOSPHERE, PARAMETERS, SimplifiedMixture, free_flame, imposed_slope
from retrodict.physics.flames.simplified_front import balanced_speed, front, z_profile
from retrodict.physics.flames.simplified_system import UNITS, SimplifiedSystem
from retrodict.physics.system import Derivatives, key, nested_derivatives

GAS = 8.3145 / 28.97e-3


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def test_continuity_momentum_and_the_gas_law_hold():
    mixture, s = SimplifiedMixture(phi=0.5, pressure=1.2 * ATMOSPHERE, inlet_temperature=350.0), 0.4
    T = tensor([350.0, 1200.0, 4000.0])
    u, rho = mixture.velocity(T, s), mixture.density(T, s)
    m = 1.2 * ATMOSPHERE / (GAS * 350.0) * s
    assert torch.allclose(rho * u, tensor([m] * 3), rtol=1e-14)
    p = rho * GAS * T
    assert torch.allclose(p + m * u, tensor([1.2 * ATMOSPHERE + m * s] * 3), rtol=1e-12)
    assert u[0] == pytest.approx(s, rel=1e-12)
    assert torch.all(u < torch.sqrt(GAS * T))  # subsonic


def test_rate_is_arrhenius_with_a_power_of_what_fuel_is_left():
    mixture, T, s = SimplifiedMixture(phi=0.4), 2500.0, 0.3
    c = s + GAS * 298.0 / s
    u = (c - math.sqrt(c * c - 4 * GAS * T)) / 2
    rho = 101325.0 / (GAS * 298.0) * s / u
    fuel = 0.4 / 4.4 + 1000.0 * (298.0 - T) / 5.0e7
    wanted = 1.4e8 * math.exp(-1.214172e5 / (8.3145 * T)) * (rho * fuel) ** 1.6
    assert float(mixture.rate(tensor(T), s)) == pytest.approx(wanted, rel=1e-9)
    assert float(mixture.rate(tensor(mixture.burnt_temperature + 50.0), s)) < 1e-30
    assert float(mixture.rate(torch.tensor(-200.0), s)) == 0.0  # in single precision too


def test_parameters_given_apart_are_those_of_another_mixture():
    mixture, T, s = imposed_slope(0.42), tensor([900.0, 3000.0]), 0.3
    other = replace(
        mixture, conductivity=0.03, activation_energy=1.3e5, prefactor=2e8, order=1.5, inlet_temperature=310.0,
        pressure=9e4, phi=0.45,
    )  # fmt: skip
    q = other.parameters
    assert set(q) == set(PARAMETERS)
    slopes = tensor([1e6, 2e6]), tensor([1e10, -2e10])
    assert torch.allclose(mixture.residual(T, *slopes, s, q), other.residual(T, *slopes, s), rtol=1e-12)


@pytest.mark.parametrize("name", ["lambda", "E_a", "ln_A", "n", "T_in", "p", "phi"])
def test_the_residual_differentiates_by_every_parameter(name):
    mixture, T, s = imposed_slope(0.42), tensor([1500.0, 4000.0]), 0.3
    slopes = tensor([3e6, 2e6]), tensor([1e10, -2e10])

    def at(value):
        return mixture.residual(T, *slopes, s, {name: value})

    q, h = tensor(mixture.parameters[name]), 1e-6 * mixture.parameters[name]
    slope = torch.autograd.functional.jacobian(at, q)
    assert torch.allclose(slope, (at(q + h) - at(q - h)) / (2 * h), rtol=1e-6)


def test_no_subsonic_root_is_nan_and_is_refused_by_name():
    mixture = SimplifiedMixture()
    fastest = math.sqrt(GAS * mixture.burnt_temperature) - math.sqrt(GAS * (mixture.burnt_temperature - 298.0))
    hot = tensor(mixture.burnt_temperature)
    assert torch.isfinite(mixture.velocity(hot, 0.999 * fastest))
    assert torch.isnan(mixture.velocity(hot, 1.001 * fastest))
    mixture.check_subsonic(0.999 * fastest)
    for speed in (1.001 * fastest, 0.0, -1.0):
        with pytest.raises(SolverError, match=r"s_L: got .* expected a positive velocity of at most"):
            mixture.check_subsonic(speed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inlet_temperature": -1.0}, "inlet_temperature: got -1.0, expected a positive number of kelvins"),
        ({"phi": 0.0}, "phi: got 0.0, expected an equivalence ratio above 0"),
        ({"phi": 11.0}, "phi: got 11.0, expected at most 10"),
        ({"pressure": math.nan}, "pressure: got nan"),
        ({"slope": 0.0}, "slope: got 0.0"),
    ],
)
def test_impossible_conditions_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        SimplifiedMixture(**change)


def test_the_system_is_the_equation_in_its_own_units():
    mixture = imposed_slope(0.46)
    system = SimplifiedSystem(mixture, 0.35)
    z = tensor([0.7, 3.0, 4.2])

    def field(at):
        return {"theta": torch.sigmoid(2 * (at["z"] - 3.5))}

    d = nested_derivatives(field, {"z": z}, system.derivatives)
    per = system.rise / system.thickness
    direct = mixture.residual(
        system.temperature(d["theta"]), per * d["theta", "z"], per / system.thickness * d["theta", "z", "z"], 0.35
    )
    size = mixture.mass_flux(0.4) * 1000.0 * per
    params = {k: tensor(v) for k, v in system.values.items()}
    assert torch.allclose(system.residuals(d, {"z": z}, params)["energy"], direct / size, rtol=1e-12)
    moved = {**params, "lambda": tensor(0.03 * UNITS["lambda"]), "E_a": tensor(1.3e5 * UNITS["E_a"])}
    other = SimplifiedSystem(replace(mixture, conductivity=0.03, activation_energy=1.3e5), 0.35)
    known = {k: tensor(v) for k, v in other.values.items()}
    assert torch.allclose(
        system.residuals(d, {"z": z}, moved)["energy"], other.residuals(d, {"z": z}, known)["energy"], rtol=1e-12
    )
    with pytest.raises(ConfigError, match=r"SimplifiedSystem.speed: got -1.0"):
        SimplifiedSystem(mixture, -1.0)


def test_the_cut_has_the_slope_of_the_mixture():
    system = SimplifiedSystem(imposed_slope())
    at = {"z": tensor([0.0])}
    neumann = system.conditions[1]
    d = Derivatives({key("theta", "z"): tensor([1e5 * 1.5e-4 / system.rise])})
    assert neumann.face == ("z", "lower")
    assert abs(float(neumann.residual(d, at))) < 1e-15


@pytest.mark.parametrize("conditions", [(0.4, 1.0, 298.0), (0.5, 1.2, 298.0), (0.4, 1.0, 600.0)])
def test_the_front_starts_at_the_cut_and_any_start_leads_to_one_speed(conditions):
    mixture = imposed_slope(*conditions)
    speeds = [balanced_speed(mixture, start) for start in (0.02, 0.1, 0.4, 4.0)]
    assert max(speeds) == pytest.approx(min(speeds), rel=1e-9)
    x = np.linspace(0.0, mixture.length, 200_001)
    T = front(mixture, speeds[0], x)
    assert T[0] == mixture.inlet_temperature
    assert (T[1] - T[0]) / x[1] == pytest.approx(mixture.slope, rel=1e-3)
    assert 0 < mixture.burnt_temperature - T[-1] < 20.0
    # its own balance of heat, by a quadrature over x
    rate = mixture.rate(torch.from_numpy(T), speeds[0]).numpy()
    heat = mixture.heat_release * np.trapezoid(rate, x) - mixture.conductivity * mixture.slope
    carried = mixture.mass_flux(speeds[0]) * mixture.heat_capacity * (mixture.burnt_temperature - T[0])
    assert heat == pytest.approx(carried, rel=5e-3)


def test_the_z_profile_is_straight_between_its_corners():
    mixture = free_flame(0.5)
    T = z_profile(mixture, mixture.length * np.array([0.0, 0.3, 0.4, 0.5, 1.0]))
    middle = (mixture.inlet_temperature + mixture.burnt_temperature) / 2
    assert np.allclose(T, [298.0, 298.0, middle, mixture.burnt_temperature, mixture.burnt_temperature])


def test_a_start_must_be_positive():
    with pytest.raises(ConfigError, match=r"s_L: got 0.0"):
        balanced_speed(SimplifiedMixture(), 0.0)
