"""The general equation: what it needs, its residual by hand, and the same physics from a moving frame."""

import math
from dataclasses import replace

import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.convection import convection, rotation
from retrodict.physics.pde.quasilinear import QuasiLinear, conservative_diffusion, line, plane
from retrodict.physics.system import Dirichlet, Initial, Neumann, Periodic, key, nested_derivatives


def tensors(system):
    return {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}


def points(system, n=40, seed=0):
    rng = torch.Generator().manual_seed(seed)
    unit = torch.rand(len(system.coords), n, dtype=torch.float64, generator=rng)
    bounds = [v.bounds for v in system.coords.values()]
    return {k: a + (b - a) * u for k, (a, b), u in zip(system.coords, bounds, unit, strict=True)}


def residual(system, field, at):
    d = nested_derivatives(field, at, system.derivatives)
    with torch.no_grad():
        return system.residuals(d, at, tensors(system))[system.name]


def everything(**changes):
    """A plane with two streams, two velocities, diffusion and source, all of them of x, t and u."""
    given = {
        "name": "all",
        "coords": plane(0.0, 2 * math.pi),
        "initial": lambda at: torch.sin(at["x"]) * torch.cos(at["y"]),
        "values": {"a": 3.0, "b": -2.0, "k": 0.7},
        "streams": {"x": "a", "y": "b"},
        "velocity": {
            "x": lambda u, at, _p: u * torch.sin(at["y"]) + torch.cos(at["t"]),
            "y": lambda u, at, p: p["k"] * torch.cos(at["x"]) * u**2,
        },
        "diffusivity": lambda u, at, _p: 1.5 + torch.sin(at["x"] + at["y"]) + u**2,
        "source": lambda u, at, p: p["k"] * u * torch.cos(at["x"]),
    }
    return QuasiLinear(**{**given, **changes})


def wavy(at):
    return {"u": torch.sin(at["x"] - at["t"]) * torch.cos(2 * at["y"]) + 0.3 * torch.cos(at["x"] + at["t"] ** 2)}


def test_residual_is_the_equation_written_out():
    system = everything()
    at = points(system)
    d = nested_derivatives(wavy, at, [key("u", *by) for by in ("", "t", "x", "y", "xx", "yy")])
    u, t, x, y = d["u"], at["t"], at["x"], at["y"]
    by_hand = (
        d["u", "t"]
        + (3.0 + u * torch.sin(y) + torch.cos(t)) * d["u", "x"]
        + (-2.0 + 0.7 * torch.cos(x) * u**2) * d["u", "y"]
        - (1.5 + torch.sin(x + y) + u**2) * (d["u", "x", "x"] + d["u", "y", "y"])
        - 0.7 * u * torch.cos(x)
    )
    torch.testing.assert_close(residual(system, wavy, at), by_hand.detach(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, ("", "t", "x", "y", "xx", "yy")),
        ({"diffusivity": None}, ("", "t", "x", "y")),
        ({"streams": {}, "velocity": {}, "source": None}, ("", "t", "xx", "yy")),
        ({"streams": {"x": "a"}, "velocity": {}, "diffusivity": None}, ("", "t", "x")),
    ],
)
def test_only_what_is_needed_is_asked_for(changes, wanted):
    assert set(everything(**changes).derivatives) == {key("u", *by) for by in wanted}


@pytest.mark.parametrize("frame", [{"x": 3.0}, {"x": 1.2}, {"y": -2.0}, {"x": 3.0, "y": -2.0}, {"x": -0.4, "y": 5.0}])
def test_a_frame_in_motion_sees_the_same_physics(frame):
    system = everything(exact=wavy)
    moved = system.seen_from(frame)
    at = points(system)
    lab = {k: v + frame.get(k, 0.0) * at["t"] for k, v in at.items()}
    torch.testing.assert_close(moved.exact(at)["u"], wavy(lab)["u"], rtol=1e-14, atol=1e-14)
    seen, there = residual(moved, moved.exact, at), residual(system, wavy, lab)
    torch.testing.assert_close(seen, there, rtol=1e-12, atol=1e-12)
    assert there.abs().max() > 1


def test_the_frame_counts_from_where_time_begins():
    system = convection(3.0, coords=line(2 * math.pi, since=2.0), initial=lambda at: torch.cos(at["x"]))
    moved = replace(system, velocity={"x": lambda _u, at, _p: torch.sin(at["x"])}).seen_from({"x": 3.0})
    at = {"t": torch.tensor([2.0, 2.5]), "x": torch.tensor([1.0, 1.0])}
    speed = moved.speed(torch.zeros(2), at, {})["x"]
    torch.testing.assert_close(speed, torch.sin(torch.tensor([1.0, 2.5])))


def test_a_stream_that_is_the_frame_is_gone_to_the_last_bit():
    moved = everything().seen_from({"x": 3.0})
    assert moved.streams == {"y": "b"}
    assert set(moved.values) == {"b", "k"}
    still = convection(50.1, 0.2).seen_from({"x": 50.1})
    assert (still.values, still.streams, still.velocity) == ({"nu": 0.2}, {}, {})
    assert still.uniform
    assert set(still.derivatives) == {key("u"), key("u", "t"), key("u", "x", "x")}


def test_a_frame_at_rest_changes_nothing():
    system = everything()
    assert system.seen_from({"x": 0.0}) is system


def test_growth_is_seen_from_the_frame_too():
    grown = everything(growth=lambda _d, at, _p: torch.sin(at["x"]))
    at = points(grown)
    seen = grown.seen_from({"x": 3.0}).growth({}, at, {})
    torch.testing.assert_close(seen, torch.sin(at["x"] + 3.0 * at["t"]))


def test_only_periodic_coordinates_move():
    with pytest.raises(SolverError, match=r"rotation.seen_from: got \['x'\], expected coordinates that are periodic"):
        rotation().seen_from({"x": 1.0})


def test_walls_beside_a_moving_period_are_seen_from_the_frame():
    value = lambda at: torch.sin(at["x"])  # noqa: E731
    faces = (Periodic("x"), Dirichlet("u", "y", "lower", value), Neumann("u", "y", "upper", value))
    moved = everything(boundary=faces).seen_from({"x": 3.0})
    at = points(moved)
    _, period, *walls = moved.conditions
    assert period == Periodic("x")
    for wall in walls:
        torch.testing.assert_close(wall.value(at), torch.sin(at["x"] + 3.0 * at["t"]), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"streams": {"z": "a"}}, r"all.streams: got \['z'\], expected space coordinates"),
        ({"velocity": {"t": lambda u, _a, _p: u}}, r"all.velocity: got \['t'\]"),
        ({"streams": {"x": "speed"}}, r"a value of \['speed'\]"),
        ({"streams": {"x": "a", "y": "a"}}, "a coefficient of its own for each stream"),
    ],
)
def test_streams_and_velocities_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(SolverError, match=message):
        everything(**changes)


def test_space_is_periodic_unless_said_otherwise():
    assert [c for c in everything().conditions if not isinstance(c, Initial)] == [Periodic("x"), Periodic("y")]


@pytest.mark.parametrize("space", [("x",), ("x", "y")])
def test_conservative_diffusion_is_the_divergence_of_the_flux(space):
    conductivity = lambda at: 1.5 + torch.sin(at["x"]) * torch.cos(at["y"])  # noqa: E731
    velocity, diffusivity = conservative_diffusion(conductivity, space)
    system = everything(streams={}, velocity=velocity, diffusivity=diffusivity, source=None, values={})
    if space == ("x",):
        system = replace(system, coords=line(2 * math.pi))
    at = points(everything())
    inner = {k: at[k] for k in ("t", *space)}

    def field(c):
        return {"u": wavy({**at, **c})["u"]}

    divergence = torch.zeros_like(at["t"])
    for x in space:
        own = {k: v.clone().requires_grad_(k == x) for k, v in inner.items()}
        slope = torch.autograd.grad(field(own)["u"].sum(), own[x], create_graph=True)[0]
        divergence += torch.autograd.grad((conductivity({**at, **own}) * slope).sum(), own[x])[0]
    d = nested_derivatives(field, inner, [*system.derivatives, key("u", "t")])
    at_space = {**at, **inner}
    r = system.residuals(d, at_space, {})["all"]
    torch.testing.assert_close(r.detach(), (d["u", "t"] - divergence).detach(), rtol=1e-12, atol=1e-12)


def test_conservative_diffusion_keeps_its_graph():
    velocity, _ = conservative_diffusion(lambda at: at["x"] ** 3)
    x = torch.tensor([2.0], requires_grad=True)
    slope = velocity["x"](x, {"x": x}, {})
    assert slope.item() == -12.0
    assert torch.autograd.grad(slope.sum(), x)[0].item() == -12.0
