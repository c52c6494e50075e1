"""Named equations: closed solutions leave no residual, data are theirs at the start, growth bounds hold."""

import math
from dataclasses import replace

import pytest
import torch

from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, gaussian, rotation, variable_convection
from retrodict.physics.pde.quasilinear import line
from retrodict.physics.pde.reaction import allen_cahn, reaction
from retrodict.physics.system import Initial, key, nested_derivatives

LATE = line(2 * math.pi, since=0.75, duration=0.5)
EXACT = {
    "convection": convection(30.0),
    "convection-diffusion": convection(-3.0, 0.2),
    "convection late": convection(3.0, 0.2, coords=LATE),
    "reaction": reaction(5.0),
    "decay": reaction(-2.0, initial=gaussian(1.0)),
    "reaction late": reaction(5.0, coords=LATE),
    "rotation": rotation(),
    "rotation with diffusion": rotation(-3.0, 0.01, center=(0.2, -0.3)),
    "rotation adrift": rotation(2.0, 0.02, drift=(0.3, -0.2)),
    "drift alone": rotation(0.0, drift=(0.4, 0.1), width=0.3),
}


def points(system, n=64, seed=0, box=None):
    rng = torch.Generator().manual_seed(seed)
    unit = torch.rand(len(system.coords), n, dtype=torch.float64, generator=rng)
    bounds = [(box or {}).get(k, v.bounds) for k, v in system.coords.items()]
    return {k: a + (b - a) * u for k, (a, b), u in zip(system.coords, bounds, unit, strict=True)}


def residual(system, field, at):
    params = {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}
    d = nested_derivatives(field, at, system.derivatives)
    return system.residuals(d, at, params)[system.name].detach(), d["u", "t"].detach()


@pytest.mark.parametrize("name", EXACT)
def test_a_closed_solution_leaves_no_residual(name):
    system = EXACT[name]
    at = points(system, box={"x": (-0.5, 0.5), "y": (-0.5, 0.5)} if "y" in system.coords else None)
    r, rate = residual(system, system.exact, at)
    assert r.abs().max() < 1e-12 * rate.abs().max()


@pytest.mark.parametrize("name", EXACT)
def test_a_closed_solution_meets_every_condition(name):
    system = EXACT[name]
    for condition in system.conditions:
        if not hasattr(condition, "face"):
            continue
        coord, side = condition.face
        at = points(system)
        at[coord] = torch.full_like(at[coord], system.coords[coord].bounds[side == "upper"])
        gap = condition.residual(nested_derivatives(system.exact, at, condition.derivatives), at)
        assert gap.abs().max() < 1e-14


@pytest.mark.parametrize("coefficient", ["c", "nu"])
def test_another_coefficient_leaves_a_residual(coefficient):
    system = convection(3.0, 0.2)
    other = replace(system, values={**system.values, coefficient: system.values[coefficient] * 1.01})
    assert residual(other, system.exact, points(system))[0].abs().max() > 1e-3


def test_a_given_initial_field_has_no_closed_solution():
    assert convection(1.0, initial=gaussian(0.5)).exact is None
    assert reaction(1.0, 0.1).exact is None


def test_the_blob_returns_after_a_turn_and_keeps_its_mass():
    system = rotation(2 * math.pi, 0.01)
    at = points(system)
    turned = system.exact({**at, "t": torch.full_like(at["t"], 1.0)})["u"]
    still = rotation(0.0, 0.01).exact({**at, "t": torch.full_like(at["t"], 1.0)})["u"]
    torch.testing.assert_close(turned, still, rtol=1e-11, atol=1e-14)


def test_the_blob_turns_anticlockwise_and_drifts_with_the_stream():
    quarter = {"t": torch.tensor([0.25]), "x": torch.tensor([0.0]), "y": torch.tensor([0.35])}
    assert rotation().exact(quarter)["u"].item() == pytest.approx(1.0, abs=1e-6)
    away = {"t": torch.tensor([1.0]), "x": torch.tensor([0.45]), "y": torch.tensor([-0.2])}
    assert rotation(0.0, drift=(0.1, -0.2)).exact(away)["u"].item() == pytest.approx(1.0, abs=1e-6)


def test_inviscid_burgers_carries_values_along_straight_lines():
    system = burgers(0.0, c=2.0)
    label = points(system, box={"t": (0.0, 0.8)})
    at = {"t": label["t"], "x": label["x"] + label["t"] * (2.0 + torch.sin(label["x"]))}

    def implicit(c):
        u = torch.sin(label["x"])
        for _ in range(2):  # each step from the exact root makes one more derivative exact
            gap = u - torch.sin(c["x"] - c["t"] * (2.0 + u))
            u = u - gap / (1 + c["t"] * torch.cos(c["x"] - c["t"] * (2.0 + u))).detach()
        return {"u": u}

    r, rate = residual(system, implicit, at)
    assert r.abs().max() < 1e-12 * rate.abs().max()


def test_burgers_on_an_interval_is_the_period_turned_about():
    short, long = burgers_interval(0.02), burgers(0.02 * math.pi)
    at = points(short)
    field = lambda c: {"u": torch.sin(c["x"] + 1.0) * c["t"] + torch.cos(c["x"])}  # noqa: E731
    there = {"t": math.pi * at["t"], "x": math.pi * (at["x"] + 1)}
    scaled = lambda c: field({"t": c["t"] / math.pi, "x": c["x"] / math.pi - 1})  # noqa: E731
    torch.testing.assert_close(
        residual(short, field, at)[0], math.pi * residual(long, scaled, there)[0], rtol=1e-11, atol=1e-12
    )
    start = next(c for c in short.conditions if isinstance(c, Initial))
    torch.testing.assert_close(start.value(at), torch.sin(there["x"]), rtol=0, atol=1e-14)


@pytest.mark.parametrize("system", [allen_cahn(1e-3, 4.0), reaction(3.0, 0.5)], ids=lambda s: s.name)
def test_sources_are_those_of_the_equation(system):
    at = points(system)
    field = lambda c: {"u": 0.7 * torch.sin(math.pi * c["x"] + c["t"])}  # noqa: E731
    u, bend = field(at)["u"], -(math.pi**2) * field(at)["u"]
    rate = 0.7 * torch.cos(math.pi * at["x"] + at["t"])
    source = 4.0 * (u - u**3) + 1e-3 * bend if system.name == "allen-cahn" else 3.0 * u * (1 - u) + 0.5 * bend
    torch.testing.assert_close(residual(system, field, at)[0], rate - source, rtol=1e-12, atol=1e-12)


def test_variable_convection_is_made_of_its_coefficients():
    system = variable_convection(
        lambda u, at, _: u * at["t"], lambda _u, at, _p: 2 + at["x"], source=lambda u, _at, _p: u**2
    )
    at = points(system)
    field = lambda c: {"u": torch.sin(c["x"]) * c["t"]}  # noqa: E731
    u, t = field(at)["u"], at["t"]
    expected = torch.sin(at["x"]) + u * t * t * torch.cos(at["x"]) + (2 + at["x"]) * u - u**2
    torch.testing.assert_close(residual(system, field, at)[0], expected, rtol=1e-12, atol=1e-12)
    assert system.growth is None


GROWING = {
    "convection": convection(3.0, 0.1),
    "inviscid convection": convection(3.0),
    "burgers": burgers(0.05, c=2.0),
    "inviscid burgers": burgers(0.0, c=-1.0),
    "reaction": reaction(4.0, 0.1),
    "decay": reaction(-4.0, 0.1),
    "allen-cahn": allen_cahn(1e-3, 5.0),
}


def rate_of_error(system, v, u, length, n=512):
    """Return ``d|v - u|/dt`` where both go by the equation from fields on a grid, in the norm of L2."""
    low, high = system.coords["x"].bounds
    x = low + (high - low) * torch.arange(n, dtype=torch.float64) / n
    at = {"t": torch.zeros_like(x), "x": x}
    params = {k: torch.tensor(w, dtype=torch.float64) for k, w in system.values.items()}

    def slope(field):
        d = nested_derivatives(lambda c: {"u": field(c["x"]) + 0 * c["t"]}, at, [key("u", *k[1:]) for k in need])
        return -system.residuals(d, at, params)[system.name].detach(), d

    need = dict.fromkeys((*system.derivatives, *system.growth_derivatives))
    (dv, d), (du, _) = slope(v), slope(u)
    e = v(x) - u(x)
    size = (e**2).mean().sqrt()
    growth = system.growth({k: w.detach() for k, w in d.items()} | {"u": d["u"].detach()}, at, params)
    return float(((dv - du) * e).mean() / size), float(growth.expand_as(x).max() * size)


@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("seed", range(6))
def test_growth_bounds_the_rate_of_every_perturbation(name, seed):
    system = GROWING[name]
    low, high = system.coords["x"].bounds
    rng = torch.Generator().manual_seed(seed)
    turn = 2 * math.pi / (high - low)

    def draw(size, modes):
        waves = torch.randn(modes, 2, dtype=torch.float64, generator=rng) * size / math.sqrt(modes)
        return lambda x: sum(
            a * torch.sin(k * turn * x) + b * torch.cos(k * turn * x) for k, (a, b) in enumerate(waves)
        )

    wave = draw(0.4, 3)
    # a reaction is posed for 0 <= u <= 1
    u = (lambda x: torch.sigmoid(3 * wave(x))) if "reaction" in (name, system.name) else wave
    bump = draw(0.5, 4)
    rate, bound = rate_of_error(system, lambda x: u(x) + bump(x), u, high - low)
    assert rate <= bound + 1e-12


@pytest.mark.parametrize(
    ("system", "v", "u"),
    [
        # the steepest fall of v is where all of the error sits
        (burgers(0.0), lambda x: -torch.sin(x) + 1e-3 * torch.exp(-40 * x**2), lambda x: -torch.sin(x)),
        (reaction(4.0), lambda x: 1e-6 + 0 * x, lambda x: 0 * x),
        (allen_cahn(1e-4, 5.0), lambda x: 1e-6 + 0 * x, lambda x: 0 * x),
    ],
    ids=["burgers", "reaction", "allen-cahn"],
)
def test_growth_is_reached(system, v, u):
    system = replace(system, coords=line(2 * math.pi, start=-math.pi))
    rate, bound = rate_of_error(system, v, u, 2 * math.pi)
    assert 0.9 * bound < rate <= bound
