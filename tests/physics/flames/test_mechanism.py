"""Reading, refusing, restricting and writing mechanisms, and naming mixtures."""

import json

import cantera as ct
import numpy as np
import pytest
import torch

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.flames import kinetics
from retrodict.physics.flames.mechanism import load_mechanism, pair_index, read_posterior, write_mechanism

LINDEMANN = "- equation: O + CO (+M) <=> CO2 (+M)\n  type: falloff"
PLAIN = "- equation: O + H2 <=> H + OH\n  rate-constant: {A: 3.87e+04, b: 2.7, Ea: 6260.0}"


def test_parameters_are_si_and_signs_stand_apart(load):
    one = load("one-step")
    assert np.exp(one.parameters["ln_A"][0]) == pytest.approx(3.47850543e8, rel=1e-8)
    assert one.parameters["T_a"][0] == pytest.approx(20000 * 4184 / ct.gas_constant, rel=1e-14)
    slots = {one.species[k]: v for k, v in zip(one.reactions.order_species[0], one.parameters["order"][0], strict=True)}
    assert slots == {"CH4": 1.0, "O2": 0.5}
    mech = load("by-hand")
    assert mech.reactions.sign.tolist() == [1, 1, 1, 1, 1, -1, *[1] * 7]
    assert mech.parameters["ln_A"][5] == pytest.approx(np.log(4.2e7), rel=1e-14)
    assert mech.reactions.troe_two.tolist() == [1, 0]
    assert {k: v.shape for k, v in mech.domain.items()} == {k: v.shape for k, v in mech.parameters.items()}
    assert mech.domain["T_a"].units == "K"


def test_explicit_colliders_count_alone(load):
    mech = load("by-hand")
    row = mech.reactions.body.tolist().index(mech.equations.index("H + OH + AR <=> H2O + AR"))
    assert {s: e for s, e in zip(mech.species, mech.parameters["efficiency"][row], strict=True) if e} == {"AR": 1.0}
    assert not mech.reactions.net[mech.equations.index("H + OH + AR <=> H2O + AR"), mech.species.index("AR")]


def test_pairs_are_those_of_cantera(load):
    mech = load("h2o2.yaml")
    gas, index = ct.Solution("h2o2.yaml"), pair_index(mech.K)
    for k, j in ((0, 0), (2, 7), (7, 2), (9, 9)):
        assert mech.diffusion[index[k, j]].tolist() == gas.get_binary_diff_coeffs_polynomial(k, j).tolist()


REFUSED = {
    "pressure-dependent-Arrhenius": (
        PLAIN,
        "- equation: O + H2 <=> H + OH\n  type: pressure-dependent-Arrhenius\n  rate-constants:\n"
        "  - {P: 1 atm, A: 1.0e+10, b: 0, Ea: 0}\n  - {P: 10 atm, A: 1.0e+11, b: 0, Ea: 0}",
    ),
    "Chebyshev": (
        PLAIN,
        "- equation: O + H2 <=> H + OH\n  type: Chebyshev\n  temperature-range: [300.0, 2000.0]\n"
        "  pressure-range: [0.1 atm, 10 atm]\n  data: [[8.0, 0.1], [0.2, 0.3]]",
    ),
    "Blowers-Masel": (
        PLAIN,
        "- equation: O + H2 <=> H + OH\n  type: Blowers-Masel\n"
        "  rate-constant: {A: 3.87e+04, b: 2.7, Ea0: 6260, w: 1e+6}",
    ),
    "falloff-SRI": (LINDEMANN, LINDEMANN + "\n  SRI: {A: 0.5, B: 400.0, C: 1000.0}"),
    "chemically-activated": (LINDEMANN, LINDEMANN.replace("falloff", "chemically-activated")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses_other_rates_by_name(altered, kind):
    at = "reaction 9 'H2 + O <=> H + OH'" if REFUSED[kind][0] == PLAIN else "reaction 3 'CO + O (+M) <=> CO2 (+M)'"
    with pytest.raises(DataError, match=kind) as caught:
        load_mechanism(altered(*REFUSED[kind]))
    assert at in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("OH + HO2 => H2O + O2", "OH + HO2 => H2O + O", "HO2 + OH => H2O + O"),
        ("O + H2 <=> H + OH", "O + XYZ <=> H + OH", "O + XYZ <=> H + OH"),
        ("  kinetics: gas", "  kinetics: nonsense", "nonsense"),
        ("A: 1.8e+10", "A: 0.0", "A = 0"),
        ("phases:", "nothing:", "phases"),
        ("A: 3.87e+04", "A: many", "O + H2 <=> H + OH"),
    ],
)
def test_refuses_what_is_wrong(altered, old, new, told):
    with pytest.raises(DataError) as caught:
        load_mechanism(altered(old, new))
    assert told in str(caught.value)
    assert "|" not in str(caught.value)


SPECIES = """
phases:
- name: strange
  thermo: ideal-gas
  kinetics: gas
  species: [{gri30.yaml/species: [O2]}, {species: [X]}]
  reactions: none
species:
- name: X
  composition: {Ar: 1}
  thermo:
    model: NASA7
    temperature-ranges: [300.0, 1000.0, 5000.0]
    data: [[2.5, 0, 0, 0, 0, -745.375, 4.366], [2.5, 0, 0, 0, 0, -745.375, 4.366]]
  transport: {model: gas, geometry: atom, well-depth: 136.5, diameter: 3.33}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("\n  transport: {model: gas, geometry: atom, well-depth: 136.5, diameter: 3.33}", "", "no transport data"),
        ("[300.0, 1000.0, 5000.0]", "[-300.0, 1000.0, 5000.0]", "temperature-ranges"),
        ("{Ar: 1}", "{Ar: 1, E: -1}", "charge 1"),
        ("NASA7", "NASA9", "NASA9"),
        ("1000.0, 5000.0]", "1000.0, 2000.0, 5000.0]", "X"),
        ("kinetics: gas", "kinetics: gas\n  transport: ionized-gas", "ionized-gas"),
        ("geometry: atom", "geometry: linear", "X"),
    ],
)
def test_refuses_species_by_name(tmp_path, old, new, told):
    assert SPECIES.count(old) == 1
    (tmp_path / "strange.yaml").write_text(SPECIES.replace(old, new))
    with pytest.raises(DataError) as caught:
        load_mechanism(tmp_path / "strange.yaml")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("shipped", "told"),
    [
        ("nDodecane_Reitz.yaml", "Redlich-Kwong"),
        ("gri30_ion.yaml", "ionized-gas"),
        ("airNASA9.yaml", "NASA9"),
        ("water.yaml", "water"),
        ("oxygen-plasma-itikawa.yaml", "plasma"),
    ],
)
def test_refuses_other_phases(shipped, told):
    with pytest.raises(DataError, match=told):
        load_mechanism(shipped)


def test_refuses_a_missing_file_and_phase(tmp_path):
    with pytest.raises(DataError, match=r"absent\.yaml"):
        load_mechanism(tmp_path / "absent.yaml")
    with pytest.raises(DataError, match="absent"):
        load_mechanism("h2o2.yaml", "absent")
    with pytest.raises(DataError, match="ideal-surface"):
        load_mechanism("ptcombust.yaml", "Pt_surf")


def test_mixtures(load):
    mech = load("h2o2.yaml")
    gas = ct.Solution("h2o2.yaml")
    gas.set_equivalence_ratio(0.7, "H2", "O2:1, N2:3.76")
    assert np.allclose(mech.composition("H2", {"O2": 1, "N2": 3.76}, 0.7), gas.Y, rtol=1e-13, atol=0)
    gas.X = "H2:1, O2:2, AR:3"
    assert np.allclose(mech.mass_fractions("H2: 1 O2:2,AR:3"), gas.Y, rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda m: m.composition("H2", "O2", 0.0), "phi: got 0"),
        (lambda m: m.composition("H2", "O2", -1.0), "phi: got -1"),
        (lambda m: m.composition("H2", "O2", float("nan")), "phi: got nan"),
        (lambda m: m.composition("h2", "O2", 1.0), "fuel: species 'h2'.*'H2'"),
        (lambda m: m.composition("H2", "OO2", 1.0), "oxidizer: species 'OO2'.*'O2'"),
        (lambda m: m.composition("AR", "N2", 1.0), "fuel and oxidizer"),
        (lambda m: m.mass_fractions("CH4:1"), "species 'CH4': got not in the mechanism"),
        (lambda m: m.mass_fractions({"H2": -1.0}), "'H2': got -1"),
        (lambda m: m.mass_fractions({"H2": 0.0}), "above zero"),
        (lambda m: m.mass_fractions("H2:x"), "'x', expected a number"),
        (lambda m: m.mass_fractions("H2:1, H2:1"), "named twice"),
        (lambda m: m.mass_fractions(""), "amounts such as"),
    ],
)
def test_mixtures_refused(load, call, told):
    with pytest.raises(DataError, match=told):
        call(load("h2o2.yaml"))


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("by-hand", "OHN"),
        ("by-hand", ["H", "O", "Ar"]),
        pytest.param("gri30.yaml", "HON", marks=pytest.mark.slow),
        pytest.param("gri30.yaml", ["C", "H", "O", "Ar"], marks=pytest.mark.slow),
    ],
)
def test_restricted_is_exact(load, name, elements):
    whole = load(name)
    part = whole.restricted(elements)
    index = [whole.species.index(s) for s in part.species]
    assert set(part.elements) == set(elements)
    rng = np.random.default_rng(4)
    T, c = torch.tensor(rng.uniform(600, 2500, 6)), torch.tensor(rng.uniform(1e-4, 1e-2, (6, part.K)))
    C = torch.zeros(6, whole.K, dtype=torch.float64)
    C[:, index] = c
    full = kinetics.production(whole.tensors(), whole, T, C)
    rates = kinetics.production(part.tensors(), part, T, c)
    # orders that are held at absent species leave a trace
    assert float((full[:, index] - rates).abs().max() / full.abs().max()) < 1e-13
    pairs = pair_index(whole.K)[index][:, index]
    assert torch.equal(part.diffusion[pair_index(part.K)], whole.diffusion[pairs])
    assert torch.equal(part.conductivity, whole.conductivity[index])


def test_restricted_keeps_inert_species_and_drops_idle_colliders(load):
    part = load("by-hand").restricted("HON")
    assert "N2" in part.species
    assert "H + OH + AR <=> H2O + AR" not in part.equations
    with pytest.raises(DataError, match="He"):
        load("by-hand").restricted(["He"])
    with pytest.raises(DataError, match="make up a species"):
        load("by-hand").restricted(["C"])


@pytest.mark.parametrize("name", ["by-hand", "one-step"])
def test_written_mechanisms_read_the_same(load, tmp_path, name):
    mech, path = load(name), tmp_path / "fitted.yaml"
    rng = np.random.default_rng(5)
    scale = {"ln_A": 0.3, "b": 0.1, "T_a": 200.0, "ln_A_low": 0.2, "b_low": 0.1, "T_a_low": 50.0}
    fitted = {k: mech.parameters[k] + s * rng.standard_normal(mech.parameters[k].shape) for k, s in scale.items()}
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    write_mechanism(mech, fitted, path, covariance, ["ln_A[0]", "T_a[0]"])
    again = load_mechanism(path)
    assert again.equations == mech.equations
    assert torch.equal(again.reactions.sign, mech.reactions.sign)
    for key, values in {**mech.parameters, **fitted}.items():
        assert np.allclose(again.parameters[key], values, rtol=1e-14, atol=1e-12), key
    # Cantera fits transport anew from written molecular data
    assert torch.allclose(again.diffusion, mech.diffusion, rtol=1e-8)
    gas = ct.Solution(str(path))
    gas.TP = 1500.0, 2e5
    C = torch.tensor(gas.concentrations)[None].clamp(min=1e-9)
    gas.TDX = 1500.0, float((C[0] * mech.weights).sum()), C[0].numpy() / float(C.sum())
    T = torch.tensor([1500.0], dtype=torch.float64)
    ours = kinetics.production({**mech.tensors(), **{k: torch.tensor(v) for k, v in fitted.items()}}, mech, T, C)[0]
    assert np.allclose(ours, gas.net_production_rates, rtol=1e-10, atol=1e-12 * float(ours.abs().max()))
    names, mean, kept = read_posterior(path)
    assert names == ["ln_A[0]", "T_a[0]"]
    assert mean.tolist() == [fitted["ln_A"][0], fitted["T_a"][0]]
    assert np.array_equal(kept, covariance)


def test_writing_refuses_what_a_file_cannot_hold(load, tmp_path):
    mech, path = load("h2o2.yaml"), tmp_path / "fitted.yaml"
    moved = {"ln_conductivity": mech.parameters["ln_conductivity"] + 0.1}
    with pytest.raises(DataError, match="ln_conductivity"):
        write_mechanism(mech, moved, path)
    with pytest.raises(SpaceError, match="shape"):
        write_mechanism(mech, {"b": np.zeros(3)}, path)
    with pytest.raises(SpaceError, match="names"):
        write_mechanism(mech, {"beta": np.zeros(3)}, path)
    for covariance, names in (([[1.0]], None), ([[1.0]], ["b[99]"]), ([[1.0, 0.0]], ["b[0]"]), ([[np.nan]], ["b[0]"])):
        with pytest.raises(DataError, match=r"names|covariance"):
            write_mechanism(mech, {}, path, covariance, names)
    with pytest.raises(DataError, match="names"):
        write_mechanism(mech, {}, path, np.eye(2), ["b[0]", "b[0]"])
    assert list(tmp_path.iterdir()) == []
    write_mechanism(mech, moved, path, [[0.01]], ["ln_conductivity[4]"])
    assert read_posterior(path)[1].tolist() == [0.1]


def test_damaged_posteriors_are_told(load, tmp_path):
    path = tmp_path / "fitted.yaml"
    write_mechanism(load("h2o2.yaml"), {}, path)
    with pytest.raises(DataError, match="a line"):
        read_posterior(path)
    for content in (
        "{",
        json.dumps({"names": ["b[0]"]}),
        json.dumps({"names": ["b"], "mean": [1], "covariance": [1, 2]}),
    ):
        path.write_text(f"retrodict-posterior: {content}\n")
        with pytest.raises(DataError, match="expected names, mean and covariance"):
            read_posterior(path)


def test_a_write_that_fails_leaves_the_old_file(load, tmp_path, monkeypatch):
    path = tmp_path / "fitted.yaml"
    path.write_text("old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_mechanism(load("h2o2.yaml"), {}, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
