import copy
import pickle

import numpy as np
import pytest
from ruamel.yaml import YAML

from retrodict.cases.data import bundled
from retrodict.inverse.flames.burning_velocities import BurningVelocities, BurningVelocity
from retrodict.inverse.flames.chemked import read_chemked, write_chemked
from retrodict.physics.errors import DataError, UnitsError
from retrodict.solvers.files import sha256

BANE = bundled("flames/chemked_lbv_h2_n2o_bane2011.yaml")
VELOCITY = "laminar-burning-velocity"
SPREAD = "evaluated-standard-deviation"


def document():
    """One point of methane with all that a file may say about it."""
    return {
        "experiment-type": "laminar burning velocity measurement",
        "apparatus": {"kind": "heat flux burner"},
        "common-properties": {"pressure": ["1 atm"]},
        "datapoints": [
            {
                "composition": {
                    "kind": "mole fraction",
                    "species": [
                        {"species-name": "CH4", "amount": [0.1]},
                        {"species-name": "O2", "amount": [0.2]},
                        {"species-name": "N2", "amount": [0.7]},
                    ],
                },
                "temperature": ["298 K"],
                VELOCITY: ["36 cm/s", {SPREAD: "0.05", f"{SPREAD}-type": "relative"}],
            }
        ],
    }


def stored(path, content):
    YAML(typ="safe", pure=True).dump(content, path)
    return path


def test_the_measurements_of_bane():
    data = read_chemked(BANE)
    assert len(data.points) == 14
    first, last = data.points[0], data.points[-1]
    assert dict(first.composition) == {"N2O": 0.8696, "H2": 0.1304}
    assert (first.temperature, first.pressure, first.equivalence_ratio) == (297.55, 20000.0, 0.15)
    assert (first.value, last.value) == pytest.approx((0.1864, 2.5985), rel=1e-15)
    assert last.temperature == 298.15
    assert {p.deviation for p in data.points} == {0.0381}
    assert (data.doi, data.apparatus) == ("10.1016/j.ijhydene.2011.04.232", "flame")
    assert data.reference == "International Journal of Hydrogen Energy, 36, 2011, 10107-10116"
    assert (data.source, data.sha256) == (BANE.name, sha256(BANE))
    # H2 + N2O: the ratio of the two amounts is the equivalence ratio, which the file states by itself
    for point in data.points:
        assert point.composition["H2"] / point.composition["N2O"] == pytest.approx(point.equivalence_ratio, rel=2e-3)


def test_an_observation_has_one_deviation_a_point(tmp_path):
    content = document()
    other = copy.deepcopy(content["datapoints"][0])
    other[VELOCITY] = ["0.40 m/s", {SPREAD: "10 mm/s", f"{SPREAD}-type": "absolute"}]
    content["datapoints"].append(other)
    seen = read_chemked(stored(tmp_path / "a.yaml", content)).to_observation()
    y, f = seen.values["s_L"], np.array([0.378, 0.42])
    np.testing.assert_allclose(y, [0.36, 0.40], rtol=1e-15)
    np.testing.assert_allclose(seen.noise["s_L"].whiten(y, f, seen.mask["s_L"]).residual, [1.0, 2.0], rtol=1e-12)
    assert seen.provenance["source"] == "a.yaml"


def test_writing_and_reading_changes_no_bit(tmp_path):
    data = read_chemked(BANE)
    write_chemked(data, tmp_path / "again.yaml")
    again = read_chemked(tmp_path / "again.yaml")
    assert again.points == data.points
    assert (again.apparatus, again.doi) == (data.apparatus, data.doi)
    odd = BurningVelocity({"H2": 1 / 3, "O2": 2 / 3}, 1e3 / 3, 1e5 / 7, 1 / 3, 1e-7 / 3, "mass", 0.1 + 0.2)
    write_chemked(BurningVelocities((odd,)), tmp_path / "again.yaml")
    assert read_chemked(tmp_path / "again.yaml").points == (odd,)
    assert [p.name for p in tmp_path.iterdir()] == ["again.yaml"]
    assert pickle.loads(pickle.dumps(data)) == data


def test_common_properties_stand_in_and_are_overruled(tmp_path):
    content = document()
    point = content["datapoints"][0]
    common = content["common-properties"]
    assert read_chemked(stored(tmp_path / "a.yaml", content)).points[0].pressure == 101325.0
    common["temperature"] = ["400 K"]
    common["composition"] = point.pop("composition")
    common[VELOCITY] = [{SPREAD: "2 cm/s", f"{SPREAD}-type": "absolute"}]
    point[VELOCITY] = ["36 cm/s"]
    point["pressure"] = ["760 Torr"]
    read = read_chemked(stored(tmp_path / "a.yaml", content)).points[0]
    assert (read.temperature, read.deviation, read.composition["CH4"]) == (298.0, 0.02, 0.1)
    assert read.pressure == pytest.approx(101325.0, rel=1e-9)
    del common[VELOCITY]
    common |= {SPREAD: 0.1, f"{SPREAD}-type": "relative"}
    assert read_chemked(stored(tmp_path / "a.yaml", content)).points[0].deviation == pytest.approx(0.036, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "amounts", "basis"),
    [
        ("mole percent", (10, 20, 70), "mole"),
        ("mass fraction", (0.1, 0.2, 0.7), "mass"),
        ("mole fraction", (0.1001, 0.2002, 0.7007), "mole"),
    ],
)
def test_kinds_of_composition(tmp_path, kind, amounts, basis):
    content = document()
    composition = content["datapoints"][0]["composition"]
    composition["kind"] = kind
    for entry, value in zip(composition["species"], amounts, strict=True):
        entry["amount"] = [value]
    point = read_chemked(stored(tmp_path / "a.yaml", content)).points[0]
    assert point.basis == basis
    assert point.composition == pytest.approx({"CH4": 0.1, "O2": 0.2, "N2": 0.7}, rel=1e-12)
    assert sum(point.composition.values()) == pytest.approx(1.0, rel=1e-15)


def test_a_missing_deviation_needs_a_default(tmp_path):
    content = document()
    content["datapoints"][0][VELOCITY] = ["36 cm/s", {"uncertainty": "1 cm/s", "uncertainty-type": "absolute"}]
    path = stored(tmp_path / "a.yaml", content)
    # a stated uncertainty is not a standard deviation
    with pytest.raises(DataError, match=r"a\.yaml: datapoints\[0\]\.laminar.*deviation: got nothing"):
        read_chemked(path)
    for default, wanted in (("2 cm/s", 0.02), ("5 %", 0.018), ("0.05", 0.018)):
        assert read_chemked(path, default_deviation=default).points[0].deviation == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(UnitsError, match="default_deviation"):
        read_chemked(path, default_deviation="2 K")
    with pytest.raises(DataError, match=r"deviation: got -0\.02"):
        read_chemked(path, default_deviation="-2 cm/s")


def damage(**fields):
    def apply(content):
        content["datapoints"][0] |= {k.replace("_", "-"): v for k, v in fields.items()}

    return apply


def composition(species, kind="mole fraction"):
    return damage(composition={"kind": kind, "species": species})


@pytest.mark.parametrize(
    ("apply", "error", "words"),
    [
        (damage(temperature=["298"]), UnitsError, r"temperature: got '298' without units"),
        (damage(temperature=[298.0]), UnitsError, r"temperature: got '?298.0'? without units"),
        (damage(temperature=["298 kPa"]), UnitsError, r"temperature: got units 'kPa'"),
        (damage(temperature=["-5 K"]), DataError, r"temperature: got -5.0"),
        (damage(temperature=["-300 degC"]), DataError, r"temperature: got -26.8"),
        (damage(temperature=["nan K"]), DataError, r"temperature: got 'nan K', expected a finite"),
        (damage(temperature=[".nan K"]), DataError, r"temperature: got '.nan K', expected a finite"),
        (damage(temperature=["inf K"]), DataError, r"temperature: got 'inf K'"),
        (damage(temperature=["warm"]), DataError, r"temperature: got \['warm'\]"),
        (damage(temperature=[]), DataError, r"temperature: got \[\]"),
        (damage(temperature=[True]), DataError, r"temperature: got \[True\]"),
        (damage(temperature=None), DataError, r"temperature: got nothing"),
        (damage(pressure=["1 bananas"]), UnitsError, r"pressure: got units 'bananas'"),
        (damage(pressure=["0 Pa"]), DataError, r"pressure: got 0.0"),
        (damage(laminar_burning_velocity=["36 K"]), UnitsError, r"velocity: got units 'K'"),
        (damage(laminar_burning_velocity=[{"x": 1}]), DataError, r"velocity: got \[\{'x': 1\}\]"),
        (damage(laminar_burning_velocity=["1 m/s", {SPREAD: "0.1"}]), DataError, r"deviation-type: got None"),
        (
            damage(laminar_burning_velocity=["1 m/s", {SPREAD: "0.1", f"{SPREAD}-type": "absolute"}]),
            UnitsError,
            r"deviation: got '0.1' without units",
        ),
        (
            damage(laminar_burning_velocity=["1 m/s", {SPREAD: float("nan"), f"{SPREAD}-type": "relative"}]),
            DataError,
            r"deviation: got nan",
        ),
        (composition([{"species-name": "H2", "amount": [0.9]}]), DataError, r"composition: got a sum of 0.9"),
        (
            composition([{"species-name": "H2", "amount": [1.5]}, {"species-name": "O2", "amount": [-0.5]}]),
            DataError,
            "negative",
        ),
        (composition([{"species-name": "H2", "amount": [float("nan")]}]), DataError, r"species\[0\].amount"),
        (composition([{"species-name": "H2", "amount": ["1 kg"]}]), UnitsError, r"species\[0\].amount: got units 'kg'"),
        (composition([{"species-name": "H2", "amount": [0.5]}] * 2), DataError, r"species\[1\].species-name"),
        (composition([]), DataError, r"composition.species: got \[\]"),
        (composition([{"species-name": "H2", "amount": [1.0]}], "grams"), DataError, r"kind: got 'grams'"),
        (damage(composition="air"), DataError, r"composition.kind: got None"),
    ],
)
def test_a_damaged_point_is_refused_by_file_index_and_field(tmp_path, apply, error, words):
    content = document()
    content["datapoints"].insert(0, copy.deepcopy(content["datapoints"][0]))
    content["datapoints"].reverse()
    apply(content)
    content["datapoints"].reverse()
    with pytest.raises(error, match=r"a\.yaml: datapoints\[1\].*" + words):
        read_chemked(stored(tmp_path / "a.yaml", content))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", r"cannot be read .*YAML"),
        ("a: 1\na: 2\n", r"cannot be read .*YAML"),
        ("a: 2020-13-45\n", r"cannot be read .*YAML"),
        ("", "YAML of a NoneType"),
        ("- 1\n", "YAML of a list"),
        ("experiment-type: ignition delay\n", "experiment-type: got 'ignition delay'"),
        ("a: 1\n", "experiment-type: got None"),
        ("experiment-type: laminar burning velocity measurement\n", "datapoints: got None"),
        ("experiment-type: laminar burning velocity measurement\ndatapoints: []\n", r"datapoints: got \[\]"),
        ("experiment-type: laminar burning velocity measurement\ndatapoints: [1]\n", r"datapoints\[0\]: got 1"),
        (
            "experiment-type: laminar burning velocity measurement\ndatapoints: [{}]\ncommon-properties: [1]\n",
            r"common-properties: got \[1\]",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.yaml.*" + words):
        read_chemked(path)


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00damaged")
    with pytest.raises(DataError, match=r"cannot be read .*YAML"):
        read_chemked(path)
    with pytest.raises(DataError, match="no readable file"):
        read_chemked(tmp_path)
    with pytest.raises(DataError, match="at least one"):
        BurningVelocities(())


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (lambda c: c.update({"aparatus": {}}), r"unknown key 'aparatus', .*did you mean 'apparatus'"),
        (lambda c: c["common-properties"].update({"presure": ["2 atm"]}), r"common-properties: .*mean 'pressure'"),
        (lambda c: c["datapoints"][0].update({"equivalence ratio": ["1"]}), r"\[0\]: .*mean 'equivalence-ratio'"),
        (lambda c: c["datapoints"][0]["composition"].update({"basis": "mass"}), r"composition: .*'basis'"),
        (lambda c: c["datapoints"][0]["composition"]["species"][0].update({"amout": [1]}), r"mean 'amount'"),
        (lambda c: c["datapoints"][0][VELOCITY][1].update({"evaluated-standard-deviaton": "1 cm/s"}), SPREAD),
    ],
)
def test_a_slip_of_the_pen_in_a_key_is_no_absent_key(tmp_path, slip, words):
    content = document()
    slip(content)
    with pytest.raises(DataError, match=words):
        read_chemked(stored(tmp_path / "a.yaml", content), default_deviation="5 %")
