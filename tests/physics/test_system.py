import numpy as np
import torch

from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Condition, PDESystem


class Advection:
    """``u_t + c u_x = 0`` with a sine that travels."""

    coords = Space({"t": Var(units="s", bounds=(0.0, 1.0)), "x": Var(units="m", bounds=(0.0, 1.0))})
    fields = Space({"u": Var()})
    params = Space({"c": Var(units="m s-1")})

    def residuals(self, fields, coords, params):
        t, x = (coords[k].requires_grad_() for k in ("t", "x"))
        u = fields({"t": t, "x": x})["u"]
        u_t, u_x = torch.autograd.grad(u.sum(), (t, x), create_graph=True)
        return {"advection": u_t + params["c"] * u_x}

    def conditions(self):
        start = Condition(
            "start",
            lambda coords: coords["t"] == 0,
            lambda fields, coords, _params: fields(coords)["u"] - torch.sin(coords["x"]),
        )
        return (start,)

    def exact(self, coords):
        return {"u": torch.sin(coords["x"] - 2.0 * coords["t"])}


def points(n=50):
    rng = np.random.default_rng(0)
    return {k: torch.as_tensor(rng.random(n)) for k in ("t", "x")}


def test_exact_solution_has_no_residual_and_another_speed_has():
    system = Advection()
    assert isinstance(system, PDESystem)
    right = system.residuals(system.exact, points(), {"c": torch.tensor(2.0)})["advection"]
    wrong = system.residuals(system.exact, points(), {"c": torch.tensor(2.5)})["advection"]
    assert right.abs().max() < 1e-14
    assert wrong.abs().max() > 0.1


def test_condition_selects_and_measures():
    system = Advection()
    (start,) = system.conditions()
    coords = {"t": torch.tensor([0.0, 0.5]), "x": torch.tensor([0.3, 0.3])}
    assert start.where(coords).tolist() == [True, False]
    assert start.residual(system.exact, coords, {})[0] == 0.0
    assert start.residual(system.exact, coords, {})[1] != 0.0


def test_an_object_that_lacks_a_part_is_no_system():
    assert not isinstance(object(), PDESystem)
