"""The joint model: derivatives against flames solved again, shared flames, purity, refusals."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from retrodict.inverse.flames.handles import moved, rate
from retrodict.inverse.flames.joint import JointFlames
from retrodict.inverse.flames.observed import ObservedFlame
from retrodict.inverse.flames.profiles import Nodal, Profile
from retrodict.physics.errors import DataError, SolverError, SpaceError
from retrodict.physics.verify import dot_test, taylor_test
from retrodict.solvers.base import Status
from retrodict.solvers.flames.premixed import FreeFlame


def test_the_range_names_flames_and_quantities(joint):
    shapes = {k: (v.shape, v.units) for k, v in joint.range.items()}
    assert shapes == {
        "lean/s_L": ((), "m s-1"),
        "lean/T": ((4,), "K"),
        "dense/Y:CH4": ((4,), "1"),
        "dense/u": ((2,), "m s-1"),
    }


def test_the_linearisation_passes_dot_and_taylor_tests(joint, point):
    assert dot_test(joint.linearize(point)[1]).passed
    assert taylor_test(joint, point, scales={"T_a": 250.0, "k": 0.1, "order": 0.03, "lambda": 0.08}).passed


@pytest.mark.slow
def test_derivative_is_that_of_flames_solved_again(joint, point):
    values, operator = joint.linearize(point)
    for name, h in {"k": 1e-4, "T_a": 1.0, "order": 1e-4, "lambda": 1e-4}.items():
        unit = {k: np.array(float(k == name)) for k in joint.domain}
        forth, back = (joint.apply(joint.domain.axpy(s * h, unit, point)) for s in (1, -1))
        for key, slope in operator.apply(unit).items():
            difference = (forth[key] - back[key]) / (2 * h)
            assert np.abs(difference - slope).max() < 1e-6 * max(np.abs(slope).max(), np.abs(values[key]).max() * 1e-3)


def test_rows_by_adjoints_equal_columns_by_forward_solves(joint, point):
    part = joint.parts["dense"]
    state = part.solve(moved(joint.mechanism, joint.handles, point))
    columns = part.jacobian(state)
    many = [rate(joint.mechanism, 0, f"copy {i}") for i in range(3)]
    rows = ObservedFlame(part.base, [*joint.handles, *many], part.speed, part.profiles).jacobian(state)
    assert rows.shape == (6, 7)
    size = np.abs(columns).max(axis=0)
    np.testing.assert_allclose(rows[:, :4] / size, columns / size, atol=1e-9)


def test_a_profile_is_read_where_the_flame_is(joint, point):
    state = joint.parts["lean"].solve(moved(joint.mechanism, joint.handles, point))
    nodes, T = joint.parts["lean"].base.equations.x.numpy(), state.nodal["T"]
    fine = np.linspace(0, nodes[-1], 2_000_001)
    dense = CubicSpline(nodes, T)(fine)
    place = fine[np.argmax(dense >= 1300.0)]
    expected = np.interp(place + joint.parts["lean"].profiles[0].x, fine, dense)
    np.testing.assert_allclose(joint.apply(point)["lean/T"], expected, atol=0.05)
    wider = joint.read(point, "lean", Profile("T", np.array([-1.0, 1.0]), 1300.0))
    np.testing.assert_allclose(wider, [T[0], T[-1]])


def test_data_do_not_depend_on_what_was_asked_before(joint, point):
    first = joint.apply(point)
    for shift in (0.3, -0.2, 0.1):
        joint.apply({**point, "k": np.array(shift)})
    again = joint.apply(point)
    assert all(np.array_equal(first[k], again[k]) for k in first)


def test_names_share_a_flame_and_its_solve(flame_at, four, monkeypatch):
    flame, solved = flame_at(0.8), []
    own = FreeFlame.solve
    monkeypatch.setattr(FreeFlame, "solve", lambda self: solved.append(1) or own(self))
    model = JointFlames({"a": flame, "b": flame}, four[:1])
    values = model.apply(model.domain.zeros())
    assert len(solved) == 1
    assert values["a/s_L"] == values["b/s_L"]
    other = model.with_handles(four[3:])
    assert list(other.domain) == ["lambda"]
    assert other.apply(other.domain.zeros())["a/s_L"] == values["a/s_L"]
    assert list(model.domain) == ["k"]
    assert len(solved) == 1


@pytest.mark.slow
def test_no_flame_gives_nan(joint, point):
    cold = {**point, "k": np.array(-60.0)}
    part = joint.parts["lean"]
    state = part.solve(moved(joint.mechanism, joint.handles, cold))
    assert not state.found
    assert np.isnan(part.values(state)["T"]).all()
    assert np.isnan(part.jacobian(state)).all()
    assert np.isnan(joint.apply(cold)["lean/s_L"])


def test_what_cannot_burn_is_named_before_any_work(flame_at, four, monkeypatch):
    monkeypatch.setattr(FreeFlame, "solve", lambda _: pytest.fail("solved"))
    with pytest.raises(DataError, match=r"flame 'thin': got equilibrium at .* expected a mixture that can burn"):
        JointFlames({"good": flame_at(0.8), "thin": flame_at(0.05)}, four)


def test_a_flame_that_is_not_found_is_named(flame_at, four, monkeypatch):
    from dataclasses import replace

    own = FreeFlame.solve
    failed = {"status": Status.FAILED, "reason": "no luck"}
    monkeypatch.setattr(FreeFlame, "solve", lambda self: replace(own(self), **failed))
    with pytest.raises(SolverError, match=r"flame 'one': got no flame \(failed: no luck\)"):
        JointFlames({"one": flame_at(0.8)}, four)


def test_wrong_set_ups_are_refused(flame_at, four, joint, hydrogen):
    flame = flame_at(0.8)
    bad = {
        "at least one": ({}, four, True, {}),
        "with different names": ({"a": flame}, [four[0], four[0]], True, {}),
        "without a slash": ({"a/b": flame}, four, True, {}),
        r"names among \['a'\]": ({"a": flame}, four, ["c"], {}),
        "speeds or profiles": ({"a": flame}, four, ["a"], {"b": []}),
    }
    for message, (flames, handles, speeds, profiles) in bad.items():
        with pytest.raises(SpaceError, match=message):
            JointFlames(flames, handles, speeds, profiles)
    other = FreeFlame(hydrogen, np.asarray(hydrogen.composition("H2", "O2:1, AR:4", 1.0)))
    with pytest.raises(SpaceError, match="2 mechanisms"):
        JointFlames({"a": flame, "b": other}, four)
    with pytest.raises(SpaceError, match="one that is seen"):
        joint.read(joint.domain.zeros(), "lean", Profile("u", np.zeros(1)))


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (Profile("T", np.zeros(1), 2900.0), "flame 'a': got T_ref 2900 K of 'T', expected one between"),
        (Profile("T", np.ones(1)), "flame 'a': got places of 'T' from 1 to 1 m"),
        (Profile("Y:XY", np.zeros(1)), "'Y:XY', expected a species among"),
    ],
)
def test_profiles_without_a_place_are_refused(flame_at, four, profile, message):
    with pytest.raises(SpaceError, match=message):
        JointFlames({"a": flame_at(0.8)}, four, True, {"a": [profile]})


@pytest.mark.parametrize("wrong", [("V", [0.0], None), ("T", [], None), ("T", [np.nan], None), ("T", [0.0], -1.0)])
def test_wrong_profiles_are_refused(wrong):
    with pytest.raises(SpaceError, match="Profile"):
        Profile(wrong[0], np.array(wrong[1]), wrong[2])


def test_derivatives_of_a_moving_profile():
    nodes = np.linspace(0, 1, 60) ** 1.3
    read, profile = Nodal(nodes), Profile("u", np.array([-0.1, 0.05, 3.0]), 1000.0)
    rng = np.random.default_rng(0)
    T, q = 600 + 900 / (1 + np.exp(-20 * (nodes - 0.4))), np.sin(5 * nodes)
    dT, dq, h = rng.standard_normal(60), rng.standard_normal(60), 1e-5
    seen = read.read(profile, q, T)
    forth, back = (read.read(profile, q + s * h * dq, T + s * h * dT).values for s in (1, -1))
    np.testing.assert_allclose(seen.by_quantity @ dq + seen.by_temperature @ dT, (forth - back) / (2 * h), rtol=1e-7)
    assert np.isnan(read.read(profile, q, T - 900).values).all()
