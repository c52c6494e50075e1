import numpy as np
import pytest
import xarray as xr

from retrodict.physics.errors import SpaceError, UnitsError
from retrodict.physics.spaces import Space, Var

SPACE = Space(
    {
        "speed": Var(("time", "axis"), (3, 2), units="m s-1", bounds=(-100.0, 100.0), long_name="speed over ground"),
        "gain": Var(("time",), (3,), "complex128", units="V"),
    }
)
TREE = {"speed": np.arange(6.0).reshape(3, 2), "gain": np.array([1 + 2j, 3j, -1.0])}


def test_names_units_and_complex_pairs():
    dataset = SPACE.to_dataset(TREE)
    assert set(dataset) == {"speed", "gain_re", "gain_im"}
    assert dataset["speed"].attrs == {"units": "m s-1", "long_name": "speed over ground"}
    assert dataset["gain_im"].attrs["units"] == "V"
    assert dataset["gain_im"].values.tolist() == [2.0, 3.0, 0.0]


def test_other_units_and_another_order_of_dims_are_brought_home():
    dataset = SPACE.to_dataset(TREE).transpose("axis", "time")
    dataset["speed"] = (dataset["speed"] * 3.6).assign_attrs(units="km/h")
    for part in ("gain_re", "gain_im"):
        dataset[part] = (dataset[part] * 1e3).assign_attrs(units="mV")
    back = SPACE.from_dataset(dataset)
    np.testing.assert_allclose(back["speed"], TREE["speed"], rtol=1e-15)
    np.testing.assert_allclose(back["gain"], TREE["gain"], rtol=1e-15)


def test_bounds_hold_after_conversion():
    dataset = SPACE.to_dataset(TREE)
    dataset["speed"].attrs["units"] = "km s-1"
    with pytest.raises(SpaceError, match=r"file\.nc\['speed'\]: got 5000\.0, expected values in \[-100, 100\] m s-1"):
        SPACE.from_dataset(dataset, "file.nc")


@pytest.mark.parametrize(
    ("damage", "error", "match"),
    [
        (lambda d: d.drop_vars("speed"), SpaceError, r"run\['speed'\]: got nothing, expected a variable with dims"),
        (lambda d: d.drop_vars("gain_im"), SpaceError, r"run\['gain_im'\]: got nothing"),
        (lambda d: d.rename(axis="level"), SpaceError, r"got \('time', 'level'\), expected a variable with dims"),
        (lambda d: d.isel(time=slice(2)), SpaceError, r"run\['speed'\]: got shape \(2, 2\), expected \(3, 2\)"),
        (lambda d: d.assign(speed=d.speed.assign_attrs(units="kg")), UnitsError, r"run\['speed'\]: got units 'kg'"),
        (lambda d: d.assign(speed=d.speed.where(d.speed != 3)), SpaceError, r"run\['speed'\]: got 1 non-finite values"),
    ],
)
def test_damaged_datasets_are_refused(damage, error, match):
    with pytest.raises(error, match=match):
        SPACE.from_dataset(damage(SPACE.to_dataset(TREE)[["speed", "gain_re", "gain_im"]]), "run")


def test_missing_units_are_taken_as_those_of_the_space():
    dataset = xr.Dataset({"x": ((), 2.0)})
    assert Space({"x": Var(units="km")}).from_dataset(dataset)["x"] == 2.0
