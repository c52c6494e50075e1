import pytest
import torch

from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, rotation
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import (
    Derivatives,
    Dirichlet,
    Initial,
    Neumann,
    PDESystem,
    Periodic,
    key,
    nested_derivatives,
)


class Wave:
    """``u_tt = c^2 u_xx``: second order in time, a wall on one side and a slope on the other."""

    coords = Space({"t": Var(units="s", bounds=(0.0, 1.0)), "x": Var(units="m", bounds=(0.0, 1.0))})
    fields = Space({"u": Var()})
    params = Space({"c": Var(units="m s-1")})
    derivatives = (key("u", "t", "t"), key("u", "x", "x"))
    prescribed = ()

    @property
    def values(self):
        return {"c": 2.0}

    def residuals(self, d, _coords, params):
        return {"wave": d["u", "t", "t"] - params["c"] ** 2 * d["u", "x", "x"]}

    @property
    def conditions(self):
        return (
            Initial("u", lambda c: torch.sin(c["x"]), lambda c: -2.0 * torch.cos(c["x"])),
            Dirichlet("u", "x", "lower", lambda c: torch.sin(-2.0 * c["t"])),
            Neumann("u", "x", "upper", lambda c: torch.cos(1 - 2.0 * c["t"])),
        )

    def exact(self, coords):
        return {"u": torch.sin(coords["x"] - 2.0 * coords["t"])}


def points(n=50, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return {k: torch.rand(n, dtype=torch.float64, generator=rng) for k in ("t", "x")}


def residual(system, at, c):
    d = nested_derivatives(system.exact, at, system.derivatives)
    return system.residuals(d, at, {"c": torch.tensor(c)})["wave"]


def test_exact_solution_has_no_residual_and_another_speed_has():
    system = Wave()
    assert isinstance(system, PDESystem)
    assert residual(system, points(), 2.0).abs().max() < 1e-14
    assert residual(system, points(), 2.5).abs().max() > 0.1


@pytest.mark.parametrize("which", [0, 1, 2])
def test_conditions_hold_on_their_face_and_nowhere_else(which):
    system = Wave()
    condition = system.conditions[which]
    coord, side = condition.face
    edge = system.coords[coord].bounds[side == "upper"]
    inside = points()
    face = {**inside, coord: torch.full_like(inside[coord], edge)}
    gap = [condition.residual(nested_derivatives(system.exact, at, condition.derivatives), at) for at in (face, inside)]
    assert gap[0].abs().max() < 1e-15
    assert gap[1].abs().max() > 0.1


def test_an_initial_rate_is_a_residual_behind_the_value():
    start = Wave().conditions[0]
    at = {"t": torch.zeros(3), "x": torch.zeros(3)}
    still = Derivatives({("u",): torch.full((3,), 0.5), ("u", "t"): torch.zeros(3)})
    assert start.residual(still, at).tolist() == [0.5] * 3 + [2.0] * 3
    assert start.derivatives == (("u",), ("u", "t"))
    assert Initial("u", start.value).residual(still, at).tolist() == [0.5] * 3


def test_names_and_faces_are_those_of_the_declaration():
    start, wall, slope = Wave().conditions
    assert [c.name for c in (start, wall, slope, Periodic("y"))] == [
        "initial u",
        "u at lower x",
        "du/dx at upper x",
        "periodic y",
    ]
    assert (start.face, wall.face, slope.face) == (("t", "lower"), ("x", "lower"), ("x", "upper"))
    assert slope.derivatives == (("u", "x"),)


@pytest.mark.parametrize("kind", [Dirichlet, Neumann])
def test_a_side_that_is_none_is_refused(kind):
    with pytest.raises(SolverError, match="'left', expected 'lower' or 'upper'"):
        kind("u", "x", "left", torch.zeros_like)


def test_derivatives_know_no_order_and_name_what_is_missing():
    d = Derivatives({("u",): torch.ones(1), ("u", "t", "x"): torch.ones(1)})
    assert d["u", "x", "t"] is d["u", "t", "x"]
    assert (len(d), list(d)) == (2, [("u",), ("u", "t", "x")])
    with pytest.raises(SpaceError, match=r"\('u', 'x'\).*one that the system declared.*\('u', 't', 'x'\)"):
        d["u", "x"]


def test_nested_derivatives_are_those_of_a_polynomial():
    at = points()
    t, x = at["t"], at["x"]
    wanted = [key("u"), key("u", "x", "t", "x"), key("u", "x", "x", "x"), key("u", "t", "t"), key("one", "x")]
    field = lambda c: {"u": c["t"] * c["x"] ** 2 + c["x"] ** 3, "one": torch.ones_like(c["x"])}  # noqa: E731
    d = nested_derivatives(field, at, wanted)
    expected = [t * x**2 + x**3, torch.full_like(x, 2), torch.full_like(x, 6), torch.zeros_like(x), torch.zeros_like(x)]
    for k, value in zip(wanted, expected, strict=True):
        torch.testing.assert_close(d[k], value, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "system", [convection(2.0), burgers(0.1, c=3.0), burgers_interval(), rotation(), Lagrangian(burgers(0.1))]
)
def test_named_systems_are_systems(system):
    assert isinstance(system, PDESystem)
    assert set(system.values) == set(system.params)
    assert {k[0] for k in system.derivatives} <= set(system.fields)
    assert {c.field for c in system.conditions if isinstance(c, Initial)} == set(system.fields)


def test_an_object_that_lacks_a_part_is_no_system():
    class NoConditions(Wave):
        conditions = property()

    assert not isinstance(object(), PDESystem)
    assert not isinstance(NoConditions(), PDESystem)
