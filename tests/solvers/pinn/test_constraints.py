"""The ansatz satisfies every hard condition for any weights; conditions that no field can satisfy are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, rotation, variable_convection
from retrodict.physics.pde.lagrangian import Lagrangian, crowded
from retrodict.physics.pde.quasilinear import QuasiLinear, line
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Dirichlet, Initial, Neumann, Periodic, key
from retrodict.solvers.pinn.constraints import Ansatz, check_conditions, hard_and_soft, periodic_coords
from retrodict.solvers.pinn.trial import Trial, separate_networks

BOX = Space({"t": Var(bounds=(0.5, 2.0)), "x": Var(bounds=(-1.0, 2.0)), "y": Var(bounds=(0.0, 3.0))})


def field(at):
    """Data for every face: a function of the box, periodic in neither coordinate."""
    return torch.sin(at["x"] * at["t"]) + at["y"] * torch.cos(at["x"]) + at["t"] ** 2


def slope_x(at):
    return at["t"] * torch.cos(at["x"] * at["t"]) - at["y"] * torch.sin(at["x"])


def rate(at):
    return at["x"] * torch.cos(at["x"] * at["t"]) + 2 * at["t"]


def round_field(at):
    """The same, periodic in y."""
    return torch.sin(at["x"] * at["t"]) + torch.sin(2 * math.pi * at["y"] / 3) * at["x"]


class System:
    """Conditions on a box; the equation does not matter."""

    fields, params = Space({"u": Var()}), Space({})
    derivatives, prescribed, exact = (key("u", "t"),), (), None

    def __init__(self, conditions, coords=BOX):
        self.conditions, self.coords = conditions, coords

    @property
    def values(self):
        return {}

    def residuals(self, d, _coords, _params):
        return {"u": d["u", "t"]}


def walls(*names, data=field):
    return tuple(Dirichlet("u", name[1], "lower" if name[0] == "-" else "upper", data) for name in names)


CASES = {
    "initial": System((Initial("u", field),)),
    "initial and rate": System((Initial("u", field, rate),)),
    "one wall": System(walls("+x")),
    "two walls": System(walls("-x", "+x")),
    "three walls": System(walls("-x", "+x", "-y")),
    "box": System((Initial("u", field), *walls("-x", "+x", "-y", "+y"))),
    "box, other order": System((*walls("+y", "-x"), Initial("u", field), *walls("+x", "-y"))),
    "box and rate": System((Initial("u", field, rate), *walls("-x", "+x", "-y", "+y"))),
    "wall and period": System((Initial("u", round_field), *walls("-x", data=round_field), Periodic("y"))),
    "wall and slope": System((Initial("u", field), *walls("-x"), Neumann("u", "x", "upper", slope_x))),
    "wall with its slope": System((Initial("u", field), *walls("-x"), Neumann("u", "x", "lower", slope_x))),
    "upper wall with its slope": System((*walls("+x"), Neumann("u", "x", "upper", slope_x))),
    "one of two walls with its slope": System((*walls("-x", "+x"), Neumann("u", "x", "upper", slope_x))),
    "slopes on all walls of x": System(
        (
            Initial("u", field),
            *walls("-y", "-x", "+x", "+y"),
            *(Neumann("u", "x", side, slope_x) for side in ("lower", "upper")),
        )
    ),
    "interval": burgers_interval(),
    "rotation": rotation(),
    "convection": convection(30.0),
    "labels": Lagrangian(burgers(0.1, c=5.0)),
    "resting labels": Lagrangian(burgers(0.1, c=5.0), "rest", crowded(burgers(0.1))),
}


def face(system, coord, side, n=31, seed=0):
    rng = np.random.default_rng(seed)
    at = {k: torch.from_numpy(rng.uniform(*v.bounds, n)) for k, v in system.coords.items()}
    edge = system.coords[coord].bounds[side == "upper"]
    return {**at, coord: torch.full((n,), edge, dtype=torch.float64)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_every_hard_condition_holds_for_random_weights(name, seed):
    system = CASES[name]
    trial = Trial(system, separate_networks(system, 6, 2))
    weights = np.random.default_rng(seed).standard_normal(trial.size)
    hard, soft = hard_and_soft(system)
    assert len(hard) + len(soft) == len(system.conditions)
    for condition in hard:
        if isinstance(condition, Periodic):
            wanted = [key(f, *by) for f in system.fields for by in ((), (condition.coord,), (condition.coord,) * 2)]
            low, high = (face(system, condition.coord, side, seed=seed) for side in ("lower", "upper"))
            pair = [trial.derivatives(weights, at, wanted) for at in (low, high)]
            for k in wanted:
                assert (pair[0][k] - pair[1][k]).abs().max() < 1e-12 * (1 + pair[0][k].abs().max())
            continue
        at = face(system, *condition.face, seed=seed)
        d = trial.derivatives(weights, at, [key(condition.field), *condition.derivatives])
        size = 1 + max(v.abs().max() for v in d.values())
        assert (
            condition.residual(d, at).detach().abs().max() < (4e-13 if isinstance(condition, Neumann) else 1e-13) * size
        )


@pytest.mark.parametrize("name", CASES)
def test_the_network_is_free_off_the_faces(name):
    system = CASES[name]
    trial = Trial(system, separate_networks(system, 6, 2))
    rng = np.random.default_rng(0)
    at = {k: rng.uniform(*v.bounds, 20) for k, v in system.coords.items()}
    pair = [trial.derivatives(rng.standard_normal(trial.size), at, [key("u")])["u"] for _ in range(2)]
    assert (pair[0] - pair[1]).abs().min() > 1e-7
    factor = trial.ansatz["u"].factor({k: torch.from_numpy(v) for k, v in at.items()})
    assert factor.min() > 0


def test_slopes_are_soft():
    system = CASES["wall and slope"]
    hard, soft = hard_and_soft(system)
    assert [c.name for c in soft] == ["du/dx at upper x"]
    assert [c.name for c in hard] == ["initial u", "u at lower x"]
    trial = Trial(system, separate_networks(system, 6, 2))
    at = face(system, "x", "upper")
    d = trial.derivatives(trial.draw(np.random.default_rng(0)), at, soft[0].derivatives)
    assert soft[0].residual(d, at).abs().max() > 0.1


def test_a_slope_is_hard_where_the_field_is_given_too():
    hard, soft = hard_and_soft(CASES["wall with its slope"])
    assert [c.name for c in hard] == ["initial u", "u at lower x", "du/dx at lower x"]
    assert soft == ()
    given = System((*walls("-x"), Neumann("u", "x", "upper", slope_x)))  # another face: soft as ever
    assert [c.name for c in hard_and_soft(given)[1]] == ["du/dx at upper x"]


def test_a_field_without_conditions_is_its_network():
    ansatz = Ansatz("v", BOX, CASES["box"].conditions)
    at = face(CASES["box"], "x", "lower")
    assert torch.all(ansatz.base(at) == 0)
    assert torch.all(ansatz.factor(at) == 1)


def test_factors_vanish_on_faces_and_quadratically_where_a_rate_is_given():
    at = {k: torch.tensor([v], dtype=torch.float64) for k, v in (("t", 0.6), ("x", 0.5), ("y", 1.5))}
    one, two = (Ansatz("u", BOX, CASES[name].conditions) for name in ("initial", "initial and rate"))
    assert one.factor(at).item() == pytest.approx(0.1)
    assert two.factor(at).item() == pytest.approx(0.01)
    assert Ansatz("u", BOX, walls("-x", "+x")).factor(at).item() == 1.0
    assert Ansatz("u", BOX, walls("+y")).factor(at).item() == 0.5


def test_periodic_coordinates_in_the_order_of_their_declaration():
    assert periodic_coords([Periodic("y"), *walls("-x"), Periodic("z")]) == ("y", "z")


def nan(at):
    return torch.where(at["x"] > 0, torch.full_like(at["x"], math.nan), at["x"])


PERIOD = (Periodic("x"),)
BAD = {
    "initial data that jump at the seam": ((Initial("u", field), *PERIOD), r"a jump of .* across the period of x"),
    "a rate that jumps at the seam": (
        (Initial("u", lambda at: 0 * at["x"], field), *PERIOD),
        "initial u: got a jump of .* across the period of x",
    ),
    "a wall whose data jump at another's seam": (
        (*walls("-y"), *PERIOD),
        "u at lower y: got a jump of .* across the period of x, expected periodic data",
    ),
    "a slope whose data jump at a seam": (
        (Neumann("u", "y", "lower", field), *PERIOD),
        "du/dy at lower y: got a jump of .* across the period of x",
    ),
    "initial data that are NaN": ((Initial("u", nan),), "initial u: got data that are not finite"),
    "a rate that is NaN": ((Initial("u", field, nan),), "initial u: got data that are not finite"),
    "a wall that is infinite": (walls("-y", data=lambda at: at["y"] / 0), "u at lower y: got data that are not finite"),
    "a wall on a period": ((*walls("-x"), *PERIOD), r"\['u at lower x'\], expected none on a periodic coordinate"),
    "a start that misses a wall": (
        (Initial("u", lambda at: field(at) + 0.1), *walls("-x")),
        "initial u and u at lower x: got a gap of 0.1",
    ),
    "a rate that misses a wall's": (
        (Initial("u", field, lambda at: rate(at) + 0.5), *walls("-x")),
        "initial u and u at lower x: got a gap of 0.5",
    ),
    "walls that disagree in a corner": (
        (*walls("-x"), *walls("-y", data=lambda at: field(at) + 0.2)),
        "u at lower x and u at lower y: got a gap of 0.2",
    ),
    "a field that is none": ((Initial("v", field),), r"initial v: got field 'v', expected one of \['u'\]"),
    "a wall of a coordinate that is none": ((Dirichlet("u", "z", "lower", field),), "coordinate 'z'"),
    "a period that is none": ((Periodic("z"),), "coordinate 'z'"),
    "two starts": ((Initial("u", field), Initial("u", round_field)), "'initial u' twice"),
    "two data on one wall": ((*walls("-x"), *walls("-x", data=round_field)), "'u at lower x' twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_conditions_that_no_field_satisfies_are_refused(name):
    conditions, message = BAD[name]
    system = System(conditions)
    with pytest.raises(SolverError, match=message):
        check_conditions(system)
    with pytest.raises(SolverError, match=message):
        Trial(system, separate_networks(System(PERIOD if Periodic("x") in conditions else ()), 4, 1))


def test_a_velocity_that_jumps_at_the_seam_is_refused_on_labels():
    with pytest.raises(SolverError, match=r"initial shift_x: got a jump of 6.28 across the period of x"):
        check_conditions(Lagrangian(variable_convection(lambda _u, at, _p: at["x"])))


@pytest.mark.parametrize("name", CASES)
def test_conditions_that_can_be_satisfied_pass(name):
    check_conditions(CASES[name])


def test_rounding_is_no_jump():
    tiny = replace(convection(1.0), initial=lambda at: 1e-16 * at["x"])
    check_conditions(tiny)


def test_data_of_a_point_in_space():
    decay = System((Initial("u", lambda at: torch.ones_like(at["t"])),), Space({"t": Var(bounds=(0.0, 1.0))}))
    check_conditions(decay)
    trial = Trial(decay, separate_networks(decay, 4, 1))
    assert trial.derivatives(trial.draw(np.random.default_rng(0)), {"t": [0.0]}, [key("u")])["u"].item() == 1.0


def test_an_interval_off_the_origin():
    system = QuasiLinear("off", line(3.0, start=7.0, since=2.0), lambda at: at["x"] - 7, boundary=())
    trial = Trial(system, separate_networks(system, 4, 1))
    at = {"t": [2.0, 2.0], "x": [7.0, 10.0]}
    assert trial.derivatives(np.ones(trial.size), at, [key("u")])["u"].tolist() == [0.0, 3.0]
