"""Samples of users: what is read, and what is refused with the place named."""

import numpy as np
import pytest

from retrodict.cases.pde_inverse import case
from retrodict.cases.pde_inverse_setup import PdeInverse
from retrodict.inverse.pde.samples import Samples, read_samples
from retrodict.physics.errors import DataError, RetrodictError
from retrodict.physics.pde.quasilinear import line
from retrodict.physics.seeds import Seeds
from retrodict.solvers.result import save_dataset


def test_csv_and_netcdf_give_the_same_samples(tmp_path):
    seen = Samples(np.array([0.5, 1.25]), np.array([0.0, 0.75]), np.array([-1.0, 2.0]), np.array([0.1, 0.2]))
    csv, sealed, plain = tmp_path / "a.csv", tmp_path / "a.nc", tmp_path / "b.nc"
    csv.write_text("sigma,u,t,x\n0.1,-1,0,0.5\n\n0.2, 2.0 ,0.75,1.25\n")
    save_dataset(seen.to_dataset(), sealed)
    seen.to_dataset().to_netcdf(plain, engine="netcdf4")
    for path in (csv, sealed, plain):
        found = read_samples(path)
        for name in ("x", "t", "u", "sigma"):
            assert np.array_equal(getattr(found, name), getattr(seen, name)), (path, name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty file"),
        ("x,t,u\n", "no line below the header"),
        ("x,t\n1,2\n", "the titles x, t, u"),
        ("x,t,u,v\n1,2,3,4\n", "the titles x, t, u"),
        ("x,t,u,u\n1,2,3,4\n", "each once"),
        ("x,t,u\n1,0.5,nan\n", r"u\[0\]: got nan"),
        ("x,t,u\n1,inf,3\n", r"t\[0\]: got inf"),
        ("x,t,u,sigma\n1,0.5,3,-0.1\n", r"sigma\[0\]: got -0.1"),
        ("x,t,u,sigma\n1,0.5,3,0\n", r"sigma\[0\]: got 0.0"),
        ("x,t,u\n1,0.5,-1e300\n", r"u\[0\]: got -1e\+300, expected a magnitude whose square"),
        ("x,t,u,sigma\n1,0.5,3,1e-300\n", r"sigma\[0\]: got 1e-300, expected a magnitude whose square"),
        ("x,t,u\n1,0.5\n", ":2: got 2 values"),
        ("x,t,u\n1,0.5,1_0\n", "'1_0'"),
        ("x,t,u\n1,0.5,abc\n", "'abc'"),
    ],
)
def test_damaged_csv_is_refused(tmp_path, text, words):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_samples(path, 0.1)


def test_other_damage_is_refused(tmp_path):
    path = tmp_path / "a"
    for raw in (b"\xff\xfe\x00x", b"\x89HDF\r\n\x1a\n damaged", b"CDF\x01 damaged"):
        path.write_bytes(raw)
        with pytest.raises(DataError):
            read_samples(path, 0.1)
    with pytest.raises(DataError, match="no readable file"):
        read_samples(tmp_path / "none.csv", 0.1)
    path.write_text("x,t,u\n1,0.5,2\n")
    with pytest.raises(DataError, match="a column sigma"):
        read_samples(path)


def test_arrays_are_checked():
    one = np.ones(3)
    for bad in ({"u": np.ones(2)}, {"u": np.array([1.0, np.nan, 1.0])}, {"sigma": -1.0}, {"t": np.array(["a"] * 3)}):
        with pytest.raises(DataError):
            Samples(**{"x": one, "t": one, "u": one, "sigma": 0.1, **bad})
    with pytest.raises(DataError, match=r"t\[1\]: got 1.5"):
        Samples(one, np.array([0.0, 1.5, 0.5]), one, 0.1).inside(line(1.0))
    with pytest.raises(DataError, match="no sigma"):
        Samples.of(Samples(one, one, one, 0.1).to_dataset().drop_vars("sigma"))


STATED = {"noise": 0.01, "period": 6.283185307179586, "duration": 1.0, "highest": 70.0, "width": 0.5}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1,0,0.5\n" * 30, "not identifiable"),
        ("1,0.5,0.5\n" * 2, "more than 2"),
        ("1,1.5,0.5\n" * 30, "a time in"),
    ],
)
def test_the_case_refuses_data_that_say_nothing(tmp_path, rows, words):
    path = tmp_path / "a.csv"
    path.write_text("x,t,u\n" + rows)
    with pytest.raises(DataError, match=words):
        case.problem(PdeInverse(features=50, **STATED), Seeds(0), path)


def _limits():
    for key, field in PdeInverse.model_fields.items():
        if field.annotation is float:
            for limit in field.metadata:
                yield from ((key, getattr(limit, side)) for side in ("ge", "le") if hasattr(limit, side))


@pytest.mark.slow
@pytest.mark.parametrize(("key", "value"), list(_limits()))
def test_settings_at_their_limits_give_a_finite_problem_or_a_refusal(key, value):
    config = PdeInverse(**{"features": 50, "samples": 30, key: float(value)})
    try:
        problem = case.problem(config, Seeds(0), None)
    except RetrodictError:
        return
    assert np.isfinite(problem.value(problem.start))
