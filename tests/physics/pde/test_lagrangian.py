"""Frame identity: J^2 times the residual in space, whatever moves the labels; what the published form leaves out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, rotation, variable_convection
from retrodict.physics.pde.lagrangian import LabelDiffusion, Lagrangian, crowded, jacobian, spatial_derivatives
from retrodict.physics.pde.quasilinear import QuasiLinear, conservative_diffusion, line, plane
from retrodict.physics.pde.reaction import allen_cahn, reaction
from retrodict.physics.system import Derivatives, Initial, key, nested_derivatives

TURN = 2 * math.pi


def tensors(system):
    return {k: torch.tensor(v, dtype=torch.float64) for k, v in system.values.items()}


def conservative(space):
    def k(at):
        return 1.5 + torch.sin(at["x"]) * (torch.cos(at["y"]) if "y" in space else 1.0)

    velocity, diffusivity = conservative_diffusion(k, space)
    return {"velocity": velocity, "diffusivity": diffusivity}


def on_plane(**parts):
    start = lambda at: torch.sin(at["x"]) * torch.cos(at["y"])  # noqa: E731
    return QuasiLinear("plane", plane(0.0, TURN), start, {"a": 1.5, "b": -0.7}, {"x": "a", "y": "b"}, **parts)


SYSTEMS = {
    "convection": convection(5.0),
    "convection-diffusion": convection(5.0, 0.3),
    "late": convection(5.0, 0.3, coords=line(TURN, since=0.5)),
    "burgers": burgers(0.1, c=5.0),
    "inviscid burgers": burgers(0.0, c=2.0),
    "reaction": reaction(5.0),
    "reaction-diffusion": reaction(5.0, 0.3),
    "allen-cahn": allen_cahn(0.1, 5.0, walls=False),
    "variable": variable_convection(
        lambda u, at, _: torch.sin(at["x"]) * u + at["t"],
        lambda u, at, _: 1.5 + torch.cos(at["x"]) + u**2 * at["t"],
        source=lambda u, at, _: u * torch.sin(at["x"] - at["t"]),
    ),
    "conservative": QuasiLinear(
        "conservative",
        line(TURN),
        lambda at: torch.sin(at["x"]),
        {"c": 3.0},
        streams={"x": "c"},
        **conservative(("x",)),
    ),
    "plane": on_plane(
        velocity={"x": lambda u, at, _: u * torch.sin(at["y"]), "y": lambda u, at, _: torch.cos(at["x"]) + u * at["t"]},
        diffusivity=lambda u, at, _: 1.5 + torch.sin(at["x"] + at["y"]) + u**2,
        source=lambda u, at, _: u * torch.cos(at["y"]),
    ),
    "conservative plane": on_plane(**conservative(("x", "y"))),
}
FRAMES = {
    "flow": "flow",
    "rest": "rest",
    "own": lambda u, at, _: {"x": 0.3 * torch.sin(at["x"]) + u * at["t"]},
}


def smooth_pair(system):
    """Return a label map, periodic but for the label itself, and a field on labels, of no equation at all."""
    (low, high), since = system.coords["x"].bounds, system.coords["t"].bounds[0]
    w = TURN / (high - low)

    def shifts(c):
        t, x = c["t"] - since, w * c["x"]
        y = w * c["y"] if "y" in c else torch.zeros_like(x)
        out = {"shift_x": (0.2 * torch.sin(x + y) + 0.15 * t * torch.cos(2 * x - y) + 0.4 * t**2) / w}
        return out | ({"shift_y": (0.25 * torch.cos(x - 2 * y) * (1 + t) - 0.2 * t) / w} if "y" in c else {})

    def field(c):
        t, x = c["t"] - since, w * c["x"]
        y = w * c["y"] if "y" in c else torch.zeros_like(x)
        return 0.5 + 0.3 * torch.sin(x - t + y) + 0.2 * t * torch.cos(2 * x + y)

    return shifts, field


def composed(labels, system, shifts, field, exact):
    """Return ``u(x, t) = w(X(x, t), t)`` in the space at rest: Newton steps from the exact label, with a graph.

    Each step from the exact root makes one more derivative exact; the Jacobian comes from automatic differentiation.
    """
    space, since = labels.space, system.coords["t"].bounds[0]

    def place(own, t):
        moved = shifts({**own, "t": t})
        return torch.stack([own[x] + moved[f"shift_{x}"] + labels.stream.get(x, 0.0) * (t - since) for x in space], -1)

    def u(c):
        own = {x: exact[x].clone().requires_grad_() for x in space}
        target = torch.stack([c[x] for x in space], -1)
        for _ in range(3):
            own = {x: v if v.requires_grad else v.requires_grad_() for x, v in own.items()}
            at = place(own, c["t"])
            rows = [
                torch.autograd.grad(at[:, i].sum(), [own[x] for x in space], create_graph=True)
                for i in range(len(space))
            ]
            f = torch.stack([torch.stack(row, -1) for row in rows], -2)
            step = torch.linalg.solve(f, (at - target)[..., None])[..., 0]
            own = {x: own[x] - step[:, i] for i, x in enumerate(space)}
        return {"u": field({**own, "t": c["t"]})}

    return u, place


def identity_gap(labels, n=24, seed=0):
    """Return label residual less J^2 times the residual of the composed field in space, relative to the latter."""
    system = labels.base
    shifts, field = smooth_pair(system)
    rng = torch.Generator().manual_seed(seed)
    unit = torch.rand(len(system.coords), n, dtype=torch.float64, generator=rng)
    at = {
        k: v.bounds[0] + (v.bounds[1] - v.bounds[0]) * u for (k, v), u in zip(system.coords.items(), unit, strict=True)
    }
    d = nested_derivatives(lambda c: {**shifts(c), "u": field(c)}, at, labels.derivatives)
    d = Derivatives({k: v.detach() for k, v in d.items()})
    on_labels = labels.residuals(d, at, tensors(labels))
    u, place = composed(labels, system, shifts, field, {x: at[x] for x in labels.space})
    lab = {**dict(zip(labels.space, place(at, at["t"]).unbind(-1), strict=True)), "t": at["t"]}
    there = nested_derivatives(u, lab, system.derivatives)
    params = tensors(system)
    r = system.residuals(there, lab, params)[system.name].detach()
    volume = torch.linalg.det(jacobian(d, labels.space))
    assert volume.min() > 0
    assert r.abs().max() > 0.1
    gap = on_labels[system.name].detach() - volume**2 * r
    return float(gap.abs().max() / (volume**2 * r).abs().max()), on_labels, d, lab


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_label_residual_is_j_squared_times_that_in_space(name, frame):
    gap, *_ = identity_gap(Lagrangian(SYSTEMS[name], FRAMES[frame]))
    assert gap < 1e-9


@pytest.mark.parametrize("name", ["burgers", "plane"])
def test_labels_move_as_the_frame_says(name):
    system = SYSTEMS[name]
    speed = {}
    for frame in FRAMES:
        labels = Lagrangian(system, FRAMES[frame])
        _, rows, d, lab = identity_gap(labels)
        for x in labels.space:
            speed[frame, x] = d[f"shift_{x}", "t"] - rows[f"label {x}"]
        if frame == "flow":
            params = tensors(system)
            true = system.speed(d["u"], lab, params)
            for x in labels.space:
                expected = true[x] - labels.stream[x]
                torch.testing.assert_close(speed[frame, x], expected, rtol=1e-12, atol=1e-12)
        if frame == "rest":
            assert all(torch.all(speed[frame, x] == 0) for x in labels.space)
    assert (speed["own", "x"] - speed["flow", "x"]).abs().max() > 0.1


@pytest.mark.parametrize("name", ["convection-diffusion", "burgers", "variable"])
def test_the_published_form_fails_the_identity(name):
    assert identity_gap(LabelDiffusion(SYSTEMS[name]))[0] > 1e-2


def test_the_published_form_is_exact_where_labels_do_not_stretch():
    system = convection(3.0, 0.2)
    at = {k: torch.rand(9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) for k in ("t", "x")}
    stiff = lambda c: {"shift_x": 0.3 * c["t"] ** 2 + 0 * c["x"], "u": torch.sin(c["x"] * c["t"])}  # noqa: E731
    rows = []
    for kind in (Lagrangian, LabelDiffusion):
        labels = kind(system, lambda u, at, _: {"x": 0.6 * at["t"] + 0 * u})
        d = nested_derivatives(stiff, at, labels.derivatives)
        rows.append(labels.residuals(d, at, tensors(labels)))
    # the published form takes the material derivative for granted, so only a frame with the flow compares
    moving = 0.6 * at["t"] * nested_derivatives(stiff, at, [key("u", "x")])["u", "x"]
    torch.testing.assert_close(rows[0]["convection"], rows[1]["convection"] - moving, rtol=1e-12, atol=1e-12)


def test_the_jacobian_is_that_of_the_map():
    system = SYSTEMS["plane"]
    shifts, _ = smooth_pair(system)
    at = {
        k: torch.rand(7, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i, k in enumerate("txy")
    }
    d = nested_derivatives(shifts, at, [key(f"shift_{i}", a) for i in "xy" for a in "xy"])
    f = jacobian(d, ("x", "y"))
    for i, x in enumerate("xy"):
        for j, a in enumerate("xy"):
            torch.testing.assert_close(f[:, i, j], d[f"shift_{x}", a] + (x == a), rtol=0, atol=0)


def test_mixed_and_third_dimension_derivatives_in_space():
    space = ("x", "y", "z")
    matrix = torch.tensor([[1.5, 0.2, -0.1], [0.3, 0.9, 0.4], [0.1, -0.2, 1.2]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    at = {k: torch.rand(5, dtype=torch.float64, generator=generator) for k in ("t", *space)}

    def position(c):
        return torch.stack([c[x] for x in space], -1) @ matrix.T

    wave = lambda p, t: torch.sin(p[:, 0] - 2 * p[:, 1] + 0.5 * p[:, 2] * t)  # noqa: E731

    def both(c):
        p = position(c)
        return {"u": wave(p, c["t"]), **{f"shift_{x}": p[:, i] - c[x] for i, x in enumerate(space)}}

    wanted = [key("u"), key("u", "t"), *(key("u", x) for x in space), key("u", "x", "y"), key("u", "z", "z")]
    names = ("u", *(f"shift_{x}" for x in space))
    pairs = [(a, b) for a in space for b in space if a <= b]
    need = [key(f, *by) for f in names for by in ((), ("t",), *((x,) for x in space), *pairs)]
    d = spatial_derivatives(nested_derivatives(both, at, need), ("u",), tuple(wanted), space)
    p = position(at)
    there = {**{x: p[:, i] for i, x in enumerate(space)}, "t": at["t"]}
    direct = nested_derivatives(lambda c: {"u": wave(torch.stack([c[x] for x in space], -1), c["t"])}, there, wanted)
    for k in wanted:
        torch.testing.assert_close(d[k], direct[k], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("by", [("t", "x"), ("t", "t"), ("x", "x", "x")])
def test_derivatives_that_a_frame_does_not_give_are_refused(by):
    at = {k: torch.rand(3) for k in ("t", "x")}
    names = [key("shift_x"), key("shift_x", "x"), key("u"), key("u", "x"), key("u", "t"), key("shift_x", "t")]
    d = nested_derivatives(lambda c: {"u": c["x"] * c["t"], "shift_x": 0.1 * c["x"]}, at, names)
    with pytest.raises(SolverError, match="up to two in space"):
        spatial_derivatives(d, ("u",), (key("u", *by),), ("x",))


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", ["burgers", "variable", "plane"])
def test_labels_start_in_place_with_the_frames_velocity(name, frame):
    system = SYSTEMS[name]
    labels = Lagrangian(system, FRAMES[frame])
    rng = torch.Generator().manual_seed(0)
    at = {x: TURN * torch.rand(20, dtype=torch.float64, generator=rng) for x in labels.space}
    at["t"] = torch.zeros_like(at["x"])
    starts = {c.field: c for c in labels.conditions if isinstance(c, Initial)}
    assert set(starts) == set(labels.fields)
    torch.testing.assert_close(starts["u"].value(at), system.initial(at))
    for x in labels.space:
        assert torch.all(starts[f"shift_{x}"].value(at) == 0)
    d = {("u",): system.initial(at)}
    for x in labels.space:
        d |= {(f"shift_{x}",): torch.zeros_like(at["t"]), (f"shift_{x}", "t"): starts[f"shift_{x}"].rate(at)}
    rest = [key(*k) for k in labels.derivatives if key(*k) not in d]
    rows = labels.residuals(
        Derivatives({**d, **dict.fromkeys(rest, torch.zeros_like(at["t"]))}),
        at,
        tensors(labels),
    )
    assert all(torch.all(rows[f"label {x}"] == 0) for x in labels.space)


def test_a_spread_of_labels_carries_the_initial_field_with_it():
    system = burgers(0.01, c=3.0)
    labels = Lagrangian(system, "rest", crowded(system, 0.2))
    at = {"t": torch.zeros(33, dtype=torch.float64), "x": torch.linspace(0, TURN, 33, dtype=torch.float64)}
    starts = {c.field: c for c in labels.conditions if isinstance(c, Initial)}
    place = at["x"] + starts["shift_x"].value(at)
    torch.testing.assert_close(starts["u"].value(at), torch.sin(place))
    torch.testing.assert_close(place, at["x"] + 0.8 * torch.sin(at["x"]), rtol=1e-6, atol=1e-6)
    assert labels.prescribed == ("shift_x",)
    assert Lagrangian(system).prescribed == ()


@pytest.mark.parametrize("densest", [0.05, 0.3])
def test_crowded_labels_are_as_dense_as_asked(densest):
    shift = crowded(burgers(0.01, c=7.0), densest)["x"]
    x = torch.linspace(0, TURN, 4001, dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(shift({"t": torch.zeros_like(x), "x": x}).sum(), x)[0]
    assert float(1 + slope.min()) == pytest.approx(densest, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lagrangian(burgers_interval()), "faces that are not periodic"),
        (lambda: Lagrangian(rotation()), "faces that are not periodic"),
        (lambda: Lagrangian(burgers(), "slow"), "'slow', expected 'flow', 'rest' or a function"),
        (lambda: Lagrangian(burgers(), "flow", {"y": lambda c: c["x"]}), r"Lagrangian.spread: got \['y'\]"),
        (lambda: crowded(convection(3.0)), "compresses nowhere"),
        (lambda: crowded(SYSTEMS["plane"]), "2 dimensions"),
        (lambda: crowded(burgers(), 1.0), "densest 1.0"),
    ],
)
def test_frames_that_mean_nothing_are_refused(make, message):
    with pytest.raises(SolverError, match=message):
        make()


@pytest.mark.parametrize("name", ["convection-diffusion", "burgers", "plane"])
def test_the_uniform_stream_leaves_no_trace(name):
    system = SYSTEMS[name]
    slow = replace(system, values={**system.values, **dict.fromkeys(system.streams.values(), 0.0)})
    shifts, field = smooth_pair(system)
    rng = np.random.default_rng(0)
    at = {k: torch.as_tensor(rng.random(30)) for k in system.coords}
    rows = []
    for base in (system, slow):
        if name == "plane":  # coefficients of x are of the lab's x, where the frame moves
            base = replace(base, velocity={}, diffusivity=lambda u, _at, _p: 1 + u**2, source=None)
        labels = Lagrangian(base)
        d = nested_derivatives(lambda c: {**shifts(c), "u": field(c)}, at, labels.derivatives)
        rows.append(labels.residuals(d, at, tensors(labels)))
    assert rows[0].keys() == rows[1].keys()
    assert all(torch.equal(rows[0][k], rows[1][k]) for k in rows[0])
