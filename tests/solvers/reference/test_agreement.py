import numpy as np
import pytest
import xarray as xr

from retrodict.cases.data import bundled
from retrodict.physics.errors import DataError
from retrodict.physics.pde.reference_files import read_reference
from retrodict.solvers.reference.agreement import agreement
from retrodict.solvers.reference.burgers import cole_hopf


def test_published_file_that_is_wrong_is_told_so_with_its_figures():
    reference = read_reference(bundled("pde/pinnacle_burgers1d.dat"))
    assert reference["u"].shape == (101, 11)
    u = cole_hopf(lambda x: -np.sin(np.pi * x), 0.01 / np.pi, period=2.0, origin=-1.0)
    found = agreement(reference, u)
    assert found.relative_l2 == pytest.approx(1.330e-2, abs=5e-6)
    assert found.max_abs == pytest.approx(8.8e-2, abs=5e-4)
    assert (found.t, abs(found.x)) == (0.4, pytest.approx(0.02))
    # what the file has at t = 0 is the initial condition
    assert found.relative_l2_at[0] < 1e-5
    assert not found.agrees(1e-3)
    assert "DISAGREES" in found.verdict(1e-3)
    assert "1.330e-02" in found.verdict(1e-3)
    assert "agrees" in found.verdict(2e-2)


def test_offset_is_left_out_of_the_norm():
    x, t = np.linspace(0, 1, 5), np.array([0.0, 1.0])
    ours = lambda x, t: 50 + np.sin(x) + 0 * t  # noqa: E731
    file = xr.Dataset({"u": (("t", "x"), (ours(x[:, None], t) + 0.01).T)}, {"x": x, "t": t})
    assert agreement(file, ours).relative_l2 < 3e-4
    found = agreement(file, ours, offset=50.0)
    assert found.relative_l2 == pytest.approx(0.01 / np.sqrt((np.sin(x) ** 2).mean()))
    np.testing.assert_allclose(found.relative_l2_at, found.relative_l2)


def test_zero_solution_is_compared_in_absolute_terms():
    file = xr.Dataset({"u": (("x", "t"), np.full((4, 2), 0.5))}, {"x": np.arange(4.0), "t": np.arange(2.0)})
    found = agreement(file, lambda x, t: 0 * x * t)
    assert found.relative_l2 == pytest.approx(0.5)
    np.testing.assert_allclose(found.relative_l2_at, 0.5)


def test_the_field_must_be_known():
    values = (("x", "t"), np.ones((2, 2)))
    file = xr.Dataset({"u": values, "v": values}, {"x": [0.0, 1.0], "t": [0.0, 1.0]})
    for field in (None, "w"):
        with pytest.raises(DataError, match=r"agreement: field: got .* expected one of \['u', 'v'\]"):
            agreement(file, lambda x, t: x + t, field)
    assert agreement(file, lambda x, t: x + t + 1, "v").field == "v"
