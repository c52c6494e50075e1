import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.convection import gaussian
from retrodict.physics.pde.lifting import lifted, spread_corners, spread_gaussian, spread_kink
from retrodict.physics.pde.reaction import allen_cahn, reaction
from retrodict.physics.system import Neumann, nested_derivatives
from retrodict.solvers.reference.spectral import convection_diffusion

TURN = 2 * math.pi
CASES = [
    (spread_gaussian(math.pi / 4, 2.0, (0.0, TURN)), 2.0, (0.0, TURN)),
    (spread_kink(4.0, 1e-4, -10.0, (-1.0, 1.0)), 1e-4, (-1.0, 1.0)),
]


def points(low, high, count=200):
    rng = np.random.default_rng(0)
    x = torch.as_tensor(low + (high - low) * rng.random(count))
    return {"t": torch.as_tensor(0.01 + 0.99 * rng.random(count)), "x": x}


@pytest.mark.parametrize(("lift", "nu", "box"), CASES)
def test_the_rest_is_what_the_linear_equation_leaves(lift, nu, box):
    at = points(*box)
    d = nested_derivatives(lambda c: {"h": lift.part(c)}, at, [("h", "t"), ("h", "x", "x")])
    rest = lift.rest(at)
    gap = (d["h", "t"] - nu * d["h", "x", "x"] - rest).detach()
    assert float(gap.abs().max()) < 1e-10 * max(1.0, float(rest.detach().abs().max()))


@pytest.mark.parametrize(("lift", "nu", "box"), CASES)
def test_parts_are_periodic_with_their_slopes(lift, nu, box):
    t = torch.linspace(0.01, 1.0, 7, dtype=torch.float64)
    ends = [
        nested_derivatives(lambda c: {"h": lift.part(c)}, {"t": t, "x": torch.full_like(t, x)}, [("h",), ("h", "x")])
        for x in (box[0] + 1e-12, box[1] - 1e-12)
    ]
    for k in (("h",), ("h", "x")):
        np.testing.assert_allclose(ends[0][k].detach(), ends[1][k].detach(), rtol=0, atol=1e-8)


def test_the_gaussian_spreads_as_its_fourier_series():
    width, nu = math.pi / 4, 2.0
    lift = spread_gaussian(width, nu, (0.0, TURN))
    series = convection_diffusion(
        lambda x: np.exp(-0.5 * ((x - math.pi) / width) ** 2), period=TURN, diffusivity=nu, samples=1 << 17
    )
    at = points(0.0, TURN, 50)
    np.testing.assert_allclose(lift.part(at).numpy(), series(at["x"].numpy(), at["t"].numpy()), rtol=0, atol=1e-11)
    x = torch.linspace(0.1, 6.1, 20, dtype=torch.float64)
    np.testing.assert_allclose(lift.part({"x": x, "t": 0 * x}), gaussian(width)({"x": x}), rtol=0, atol=1e-10)


def test_corners_leave_a_field_that_agrees_with_its_walls():
    speed = (math.pi**2 - 2) * 1e-3
    lift = spread_corners(speed, 1e-3, (-1.0, 1.0))
    at = points(-1.0, 1.0)
    d = nested_derivatives(lambda c: {"h": lift.part(c)}, at, [("h", "t"), ("h", "x", "x")])
    assert float((d["h", "t"] - 1e-3 * d["h", "x", "x"]).detach().abs().max()) < 1e-12
    system = lifted(allen_cahn(), lift)
    t = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)
    for wall in system.boundary or ():
        x = torch.full_like(t, -1.0 if wall.side == "lower" else 1.0)
        np.testing.assert_allclose(wall.value({"x": x, "t": t}), -1 + speed * t, rtol=0, atol=1e-14)


def test_a_prescribed_slope_cannot_be_lifted():
    slope = Neumann("u", "x", "lower", lambda c: 0 * c["x"])
    with pytest.raises(SolverError, match="hold a value"):
        lifted(replace(allen_cahn(), boundary=(slope,)), CASES[1][0])


def test_what_is_left_of_the_fronts_has_no_kink():
    system = lifted(allen_cahn(1e-4, walls=False), spread_kink(4.0, 1e-4, -10.0, (-1.0, 1.0)))
    # the closed form stands at 1e-12 for zero, which rounds the kink over 1e-8
    away = 1e-5
    x = torch.tensor([-1.0, -1.0 + away, 1.0 - away, 1.0], dtype=torch.float64)
    u = system.initial({"x": x, "t": 0 * x})
    slopes = float(u[1] - u[0]) / away, float(u[3] - u[2]) / away
    assert abs(slopes[0] - slopes[1]) < 5e-3
    assert abs(slopes[0]) < 5e-3


@pytest.mark.parametrize("walls", [True, False])
def test_a_lifted_system_has_the_residual_and_the_growth_of_the_whole(walls):
    base = allen_cahn(1e-4, walls=False) if walls else reaction(5.0, 2.0)
    lift, nu, box = CASES[1 if walls else 0]
    system, at = lifted(base, lift), points(*box)
    wanted = base.derivatives
    rest = nested_derivatives(lambda c: {"u": torch.sin(3 * c["x"]) * c["t"]}, at, wanted)
    whole = nested_derivatives(lambda c: {"u": torch.sin(3 * c["x"]) * c["t"] + lift.part(c)}, at, wanted)
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in base.values.items()}
    ours, theirs = system.residuals(rest, at, params), base.residuals(whole, at, params)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name].detach(), values.detach(), rtol=0, atol=1e-9)
    assert system.growth is not None
    assert base.growth is not None
    np.testing.assert_allclose(
        system.growth(rest, at, params).detach(), base.growth(whole, at, params).detach(), rtol=0, atol=1e-12
    )
    assert nu > 0
