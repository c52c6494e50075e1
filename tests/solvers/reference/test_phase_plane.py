"""The exact burning velocity: against numbers of a separate program, a march in space, and laws."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from retrodict.physics.errors import SolverError
from retrodict.physics.flames.simplified import free_flame, imposed_slope
from retrodict.solvers.reference.phase_plane import Orbit, phase_plane

# phi, atm, T_in: forward shooting by bisection on "y = T'^2 / 2 reaches 0 before T_max", DOP853 at 1e-11, nine digits
TABLE = [
    (0.40, 1.0, 298.0, 0.267820482),
    (0.42, 1.0, 298.0, 0.292786112),
    (0.46, 1.0, 298.0, 0.343339500),
    (0.50, 1.0, 298.0, 0.394349910),
    (0.40, 1.0, 450.0, 0.458278801),
    (0.40, 1.0, 600.0, 0.690851130),
    (0.40, 1.2, 298.0, 0.258339214),
    (0.50, 1.2, 298.0, 0.380325984),
]
FREE = [(0.40, 0.2686508), (0.42, 0.2935941), (0.46, 0.3441087), (0.50, 0.3950867)]


def test_one_burning_velocity_of_the_table():
    phi, p, cold, exact = TABLE[1]
    assert phase_plane(imposed_slope(phi, p, cold)).speed == pytest.approx(exact, rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE)
def test_burning_velocities_of_the_table(row):
    assert phase_plane(imposed_slope(*row[:3])).speed == pytest.approx(row[3], rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("row", FREE)
def test_the_free_flame_is_faster_than_that_with_a_slope(row):
    free, cut = (phase_plane(make(row[0])).speed for make in (free_flame, imposed_slope))
    assert free == pytest.approx(row[1], abs=0.5e-7 + 1e-9)
    assert 1.6e-3 < 1 - cut / free < 3.2e-3


@pytest.mark.slow
def test_the_law_of_pressure_of_the_free_flame():
    high, low = (phase_plane(free_flame(0.4, p)).speed for p in (1.2, 1.0))
    assert high / low == pytest.approx(1.2**-0.2, rel=1e-5)


@pytest.mark.slow
def test_the_orbit_solves_the_equation_marched_in_space():
    orbit = phase_plane(imposed_slope(0.5))
    mixture, s = orbit.mixture, orbit.speed

    def march(_x, y):
        T = torch.tensor(y[0], dtype=torch.float64)
        heat = mixture.heat_release * float(mixture.rate(T, s))
        return [y[1], (mixture.mass_flux(s) * mixture.heat_capacity * y[1] - heat) / mixture.conductivity]

    # forwards the march is unstable: it is believed as far as the reaction zone
    x = np.linspace(0.0, 4e-4, 9)
    found = solve_ivp(march, (0.0, 4e-4), [298.0, 1e5], t_eval=x, method="DOP853", rtol=1e-11, atol=1e-8)
    assert np.allclose(found.y[0], orbit.temperature(x), rtol=2e-6)


@pytest.mark.slow
def test_profiles_are_smooth_and_have_units():
    data = phase_plane(imposed_slope(0.4)).to_dataset(np.linspace(0.0, 1.5e-3, 301))
    assert [data[k].attrs["units"] for k in ("s_L", "T", "u", "rho", "Y", "omega", "x")] == [
        "m s-1", "K", "m s-1", "kg m-3", "1", "kg m-3 s-1", "m",
    ]  # fmt: skip
    T = data["T"].values
    assert T[0] == 298.0
    assert np.all(np.diff(T) > 0)
    flux = data["rho"] * data["u"]
    assert float(flux.max() / flux.min()) - 1 < 1e-12
    # heat: what is carried and conducted through the cut and the end is what is burnt
    mixture, x = imposed_slope(0.4), data["x"].values
    m = mixture.mass_flux(float(data["s_L"])) * mixture.heat_capacity
    ends = np.gradient(T, x, edge_order=2)[[0, -1]]
    burnt = mixture.heat_release * np.trapezoid(data["omega"].values, x)
    assert m * (T[-1] - T[0]) - mixture.conductivity * (ends[1] - ends[0]) == pytest.approx(burnt, rel=1e-4)


@pytest.mark.slow
def test_hot_gas_has_no_free_flame():
    with pytest.raises(SolverError, match="cold boundary difficulty"):
        phase_plane(free_flame(0.4, 1.0, 600.0))


def test_places_must_be_where_the_flame_is():
    with pytest.raises(SolverError, match="x: got"):
        Orbit(imposed_slope(0.4), 0.267820482).temperature([-1e-6])
