"""Parts of a domain: chain rule, conditions and interfaces of a split system, against the whole."""

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, rotation
from retrodict.physics.pde.lagrangian import Lagrangian
from retrodict.physics.pde.quasilinear import QuasiLinear, line, plane
from retrodict.physics.pde.reaction import reaction
from retrodict.physics.pde.splits import Split
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import (
    Derivatives,
    Dirichlet,
    Initial,
    Interface,
    Neumann,
    PDESystem,
    Periodic,
    key,
    nested_derivatives,
)

TURN = 2 * math.pi
EDGES = (0.0, 1.5, 4.0, TURN)


def tensors(system):
    return {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}


class Dispersive:
    """``u_t + v u_xxx = 0, v = u_x``: two fields, third order, a rate where time begins."""

    coords = line(TURN)
    fields = Space({"u": Var(units="m"), "v": Var()})
    params = Space({})
    values: ClassVar[dict] = {}
    derivatives = (key("u", "t"), key("u", "x", "x", "x"), key("v"), key("u", "x"))
    prescribed = ("v",)
    exact = None
    conditions = (
        Initial("u", lambda at: torch.sin(at["x"]), lambda at: torch.cos(at["x"])),
        Initial("v", lambda at: torch.cos(at["x"])),
        Periodic("x"),
    )

    def residuals(self, d, coords, _params):
        r = d["u", "t"] + d["v"] * d["u", "x", "x", "x"] * torch.cos(coords["x"])
        return {"wave": r, "slope": d["v"] - d["u", "x"]}


def wavy(fields):
    """Return smooth fields of any coordinates."""

    def field(at):
        space = sum((i + 1) * at[c] for i, c in enumerate(at) if c != "t")
        return {f: torch.sin(space + 0.3 * j - at["t"]) + 0.1 * at["t"] * space for j, f in enumerate(fields)}

    return field


SYSTEMS = {
    "convection-diffusion": (convection(5.0, 0.3), EDGES, "x"),
    "burgers": (burgers_interval(0.1), (-1.0, 0.25, 1.0), "x"),
    "third order": (Dispersive(), EDGES, "x"),
    "labels": (Lagrangian(burgers(0.1, c=2.0)), EDGES, "x"),
    "plane": (rotation(nu=0.1), (-1.0, 0.2, 1.0), "y"),
    "twice": (Split(rotation(nu=0.1), (-1.0, -0.3, 1.0), "x"), (-1.0, 0.2, 1.0), "y"),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_residuals_are_those_of_the_whole(name):
    base, edges, coord = SYSTEMS[name]
    split, rng = Split(base, edges, coord), np.random.default_rng(0)
    assert isinstance(split, PDESystem)
    box = {k: torch.from_numpy(rng.uniform(*v.bounds, 7)) for k, v in split.coords.items()}
    whole = wavy(base.fields)

    def parts(at):
        found = [whole(split.position(at, k)) for k in range(split.count)]
        return {f"{f}_{k}": v for k, fields in enumerate(found) for f, v in fields.items()}

    params = tensors(split)
    rows = split.residuals(nested_derivatives(parts, box, split.derivatives), box, params)
    for k in range(split.count):
        at = split.position(box, k)
        assert bool((at[coord] >= edges[k]).all() & (at[coord] <= edges[k + 1]).all())
        d = nested_derivatives(whole, at, base.derivatives)
        for equation, r in base.residuals(d, at, params).items():
            torch.testing.assert_close(rows[f"{equation}_{k}"], r, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("agree", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_smooth_field_has_no_jump_and_a_broken_one_has(name, agree):
    base, edges, coord = SYSTEMS[name]
    split = Split(base, edges, coord, residuals_agree=agree)
    (joint,) = (c for c in split.conditions if isinstance(c, Interface) and c.coord == coord)
    rng = np.random.default_rng(0)
    box = {k: torch.from_numpy(np.tile(rng.uniform(*v.bounds, 5), 2)) for k, v in split.coords.items()}
    box[coord] = torch.tensor([1.0] * 5 + [0.0] * 5, dtype=torch.float64)
    period = Periodic(coord) in base.conditions

    def whole(at):
        wave = at[coord] if period else 0.7 * at[coord]
        return {f: torch.sin(wave + 0.3 * j - at["t"]) for j, f in enumerate(base.fields)}

    def parts(at, broken=0.0):
        found = [whole(split.position(at, k)) for k in range(split.count)]
        out = {f"{f}_{k}": v for k, fields in enumerate(found) for f, v in fields.items()}
        first = f"{split.continuous[-1][0]}_0"
        return {**out, first: out[first] + broken * at[coord] ** 2}

    def jumps(broken):
        d = nested_derivatives(lambda at: parts(at, broken), box, joint.derivatives)
        return joint.residual(d, box, tensors(split)).view(-1, 5).detach()

    d = nested_derivatives(whole, split.position(box, 0), base.derivatives)
    equations = len(base.residuals(d, box, tensors(base))) if agree else 0
    expected = len(split.neighbours) * (len(split.continuous) + equations)
    assert jumps(0.0).shape == (expected, 5)
    torch.testing.assert_close(jumps(0.0), torch.zeros(expected, 5, dtype=torch.float64), rtol=0, atol=1e-12)
    assert float(jumps(0.5).abs().max()) > 0.1


def test_orders_that_are_continuous():
    assert Split(convection(1.0), EDGES).continuous == (("u", 0),)
    assert Split(convection(1.0, 0.1), EDGES).continuous == (("u", 0), ("u", 1))
    assert Split(Dispersive(), EDGES).continuous == (("u", 0), ("u", 1), ("u", 2))  # v is prescribed
    still = Split(reaction(1.0), EDGES)  # nothing travels: parts need not meet
    assert still.continuous == ()
    assert not any(isinstance(c, Interface) for c in still.conditions)


def test_only_a_period_joins_the_ends():
    assert Split(convection(1.0), EDGES).neighbours == ((0, 1), (1, 2), (2, 0))
    assert Split(burgers_interval(), (-1.0, 0.0, 1.0)).neighbours == ((0, 1),)
    assert not any(isinstance(c, Interface) for c in Split(burgers_interval(), (-1.0, 1.0)).conditions)


def test_conditions_are_those_of_the_parts_that_they_touch():
    faces = (
        Neumann("u", "x", "lower", lambda at: at["y"] + at["t"]),
        Dirichlet("u", "x", "upper", lambda at: at["x"] + at["t"]),
        Dirichlet("u", "y", "lower", lambda at: at["x"]),
    )
    start, speed = lambda at: at["x"] * at["y"], {"x": lambda u, *_: u}
    base = QuasiLinear("box", plane(-1.0, 1.0), start, velocity=speed, boundary=faces)
    split = Split(base, (-1.0, -0.5, 1.0))
    found = {c.name: c for c in split.conditions}
    assert list(found) == [
        "initial u_0",
        "initial u_1",
        "du_0/dx at lower x",
        "u_1 at upper x",
        "u_0 at lower y",
        "u_1 at lower y",
        "interfaces of x",
    ]
    at = {"t": torch.tensor([0.5]), "x": torch.tensor([0.5]), "y": torch.tensor([0.4])}
    values = [float(found[name].value(at)) for name in list(found)[:-1]]
    expected = [-0.75 * 0.4, 0.25 * 0.4, 0.5 * 0.9, 0.25 + 0.5, -0.75, 0.25]  # the slope is one by the box's coordinate
    assert values == pytest.approx(expected, rel=1e-6)


def test_rates_and_periods_of_other_coordinates_are_kept():
    split = Split(Dispersive(), EDGES)
    starts = [c for c in split.conditions if isinstance(c, Initial)]
    at = {"t": torch.zeros(1), "x": torch.ones(1)}
    assert starts[0].name == "initial u_0"
    assert float(starts[0].rate(at)) == pytest.approx(math.cos(1.5))
    assert starts[3].rate is None
    assert split.prescribed == ("v_0", "v_1", "v_2")
    assert split.fields["u_2"].units == "m"
    square = QuasiLinear("square", plane(0.0, 1.0), lambda at: at["x"] * 0, {"c": 1.0}, {"y": "c"})
    kept = [c for c in Split(square, (0.0, 0.5, 1.0)).conditions if isinstance(c, Periodic)]
    assert kept == [Periodic("y")]


def test_exact_solution_part_by_part():
    split = Split(convection(2.0), EDGES)
    at = {"t": torch.tensor([0.3]), "x": torch.tensor([0.5])}
    assert float(split.exact(at)["u_1"]) == pytest.approx(math.sin(2.75 - 0.6), abs=1e-6)
    assert Split(burgers(0.1), EDGES).exact is None
    assert split.values == {"c": 2.0}
    assert list(split.params) == ["c"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Split(convection(1.0), EDGES, "t"), "coordinate of space"),
        (lambda: Split(convection(1.0), EDGES, "y"), "coordinate of space"),
        (lambda: Split(convection(1.0), (0.0, 3.0)), "ascend"),
        (lambda: Split(convection(1.0), (0.0, 3.0, 2.0, TURN)), "ascend"),
        (lambda: Split(convection(1.0), (0.0,)), "ascend"),
        (lambda: Split(Split(convection(1.0), EDGES), (0.0, 0.5, 1.0)), "split twice"),
    ],
)
def test_what_cannot_be_split_is_refused(make, message):
    with pytest.raises(SolverError, match=message):
        make()


def test_widths_scale_derivatives_by_their_order():
    split = Split(convection(1.0, 0.1), EDGES)
    ones = Derivatives({k: torch.ones(1) for k in split.derivatives})
    d = split.inside(ones, 1)
    assert [float(d[k]) for k in (key("u"), key("u", "t"), key("u", "x"), key("u", "x", "x"))] == pytest.approx(
        [1.0, 1.0, 1 / 2.5, 1 / 6.25]
    )
    assert replace(split, edges=(0.0, TURN)).count == 1
