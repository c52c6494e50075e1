import numpy as np
import pytest

from retrodict.physics.errors import UnitsError
from retrodict.physics.units import convert, registry


@pytest.mark.parametrize(
    ("value", "units", "to", "wanted"),
    [
        (36.0, "km/h", "m s-1", 10.0),
        (36.0, "km h-1", "m/s", 10.0),
        (180.0, "degree", "rad", np.pi),
        (1.0, "m2", "cm^2", 1e4),
        (1.0, "mph", "m s-1", 0.44704),
        (20.0, "degC", "K", 293.15),
        (5.0, "1", "", 5.0),
        (50.0, "percent", "1", 0.5),
        (2.0, "kg m-2 s-1", "g m-2 s-1", 2000.0),
    ],
)
def test_conversion_of_cf_and_pint_spellings(value, units, to, wanted):
    assert convert(value, units, to) == pytest.approx(wanted, rel=1e-14)


def test_arrays_keep_their_shape_and_integers_become_floats():
    out = convert(np.arange(6).reshape(2, 3), "km", "m")
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, 1000.0 * np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(("units", "to"), [("s", "m"), ("furlongs-per-nothing", "m"), ("m", "blub"), ("m s-", "m")])
def test_what_cannot_be_converted_names_place_and_both_units(units, to):
    with pytest.raises(UnitsError, match=r"track\.x: got units .*expected units convertible to") as caught:
        convert(1.0, units, to, "track.x")
    assert repr(units) in str(caught.value)
    assert repr(to) in str(caught.value)


def test_text_is_not_a_quantity():
    with pytest.raises(UnitsError, match="value"):
        convert("fast", "m", "m")


def test_one_registry_a_process():
    assert registry() is registry()
