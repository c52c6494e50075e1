import numpy as np
import pytest

from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.physics.errors import DataError
from retrodict.physics.spaces import Space, Var

SPACE = Space({"u": Var(("time",), (3,), units="m"), "v": Var()})
VALUES = {"u": np.array([1.0, np.nan, 3.0]), "v": 2.0}
NOISE = {"u": Gaussian(0.1), "v": Gaussian(1.0)}
MASK = {"u": np.array([True, False, True])}


def test_masked_values_are_zeroed_and_counted_out():
    data = Observation(SPACE, VALUES, NOISE, MASK, {"file": "a.csv"})
    assert data.count == 3
    assert data.values["u"].tolist() == [1.0, 0.0, 3.0]
    assert data.mask["v"].tolist() is True
    assert data.provenance == {"file": "a.csv"}
    assert np.isnan(VALUES["u"][1])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"values": {"u": VALUES["u"]}}, r"Observation\.values: got \['u'\], expected exactly \['u', 'v'\]"),
        ({"noise": NOISE | {"w": Gaussian(1.0)}}, r"Observation\.noise: got \['u', 'v', 'w'\]"),
        ({"mask": {"w": np.ones(3, bool)}}, r"Observation\.mask: got \['w'\], expected names among \['u', 'v'\]"),
        ({"values": VALUES | {"u": np.zeros(4)}}, r"Observation\['u'\]: got \(4,\) values"),
        ({"mask": {"u": np.array([1, 0, 1])}}, r"Observation\['u'\]: got \(3,\) values, int64 mask \(3,\)"),
        ({"mask": {"u": np.ones(2, bool)}}, r"bool mask \(2,\), expected \(3,\)"),
        ({"mask": {}}, r"Observation\['u'\]\[1\]: got nan, expected a finite number, or a False in the mask"),
        ({"values": VALUES | {"v": np.inf}}, r"Observation\['v'\]\[\]: got inf"),
        ({"mask": {"u": np.zeros(3, bool), "v": np.array(False)}}, "got no valid value, expected at least one"),
    ],
)
def test_wrong_data_are_refused(changes, match):
    parts = {"values": VALUES, "noise": NOISE, "mask": MASK} | changes
    with pytest.raises(DataError, match=match):
        Observation(SPACE, **parts)


def test_complex_data_are_refused_rather_than_halved():
    space = Space({"g": Var(dtype="complex128")})
    with pytest.raises(DataError, match=r"Observation\['g'\]: got .*complex.*expected"):
        Observation(space, {"g": np.array(1 + 2j)}, {"g": Gaussian(1.0)})
