"""Mechanisms that the tests share: shipped ones, the one-step file, and one by hand with every kind of rate."""

import functools
from importlib import resources
from pathlib import Path

import pytest

from retrodict.physics.flames.mechanism import load_mechanism

BY_HAND = """
phases:
- name: by-hand
  thermo: ideal-gas
  kinetics: gas
  transport: mixture-averaged
  species: [{gri30.yaml/species: [H2, H, O, O2, OH, H2O, HO2, H2O2, CH4, CO, CO2, N2, AR]}]
  state: {T: 300.0, P: 1 atm}
units: {length: cm, time: s, quantity: mol, activation-energy: cal/mol}
reactions:
- equation: 2 OH (+M) <=> H2O2 (+M)
  type: falloff
  high-P-rate-constant: {A: 7.4e+13, b: -0.37, Ea: 0.0}
  low-P-rate-constant: {A: 2.3e+18, b: -0.9, Ea: -1700.0}
  Troe: {A: 0.7346, T3: 94.0, T1: 1756.0, T2: 5182.0}
  efficiencies: {H2: 2.0, H2O: 6.0, AR: 0.7}
- equation: H + O2 (+M) <=> HO2 (+M)
  type: falloff
  high-P-rate-constant: {A: 4.65e+12, b: 0.44, Ea: 0.0}
  low-P-rate-constant: {A: 5.75e+19, b: -1.4, Ea: 0.0}
  Troe: {A: 0.5, T3: 30.0, T1: 90000.0}
- equation: O + CO (+M) <=> CO2 (+M)
  type: falloff
  high-P-rate-constant: {A: 1.8e+10, b: 0.0, Ea: 2385.0}
  low-P-rate-constant: {A: 6.02e+14, b: 0.0, Ea: 3000.0}
  efficiencies: {H2: 2.0, O2: 6.0}
- equation: H + HO2 (+AR) <=> H2O2 (+AR)
  type: falloff
  high-P-rate-constant: {A: 1.0e+12, b: 0.1, Ea: 100.0}
  low-P-rate-constant: {A: 3.0e+17, b: -1.0, Ea: 200.0}
- equation: 2 HO2 <=> O2 + H2O2
  duplicate: true
  rate-constant: {A: 1.3e+11, b: 0.0, Ea: -1630.0}
- equation: 2 HO2 <=> O2 + H2O2
  duplicate: true
  negative-A: true
  rate-constant: {A: -4.2e+10, b: 0.0, Ea: -1000.0}
- equation: 2 O + M <=> O2 + M
  type: three-body
  rate-constant: {A: 1.2e+17, b: -1.0, Ea: 0.0}
  efficiencies: {H2: 2.4, H2O: 15.4, AR: 0.83}
- equation: H + OH + AR <=> H2O + AR
  rate-constant: {A: 2.2e+22, b: -2.0, Ea: 0.0}
- equation: O + H2 <=> H + OH
  rate-constant: {A: 3.87e+04, b: 2.7, Ea: 6260.0}
- equation: CH4 + 1.5 O2 => CO + 2 H2O
  rate-constant: {A: 5.0e+11, b: 0.0, Ea: 47800.0}
  orders: {CH4: -0.3, O2: 1.3}
  negative-orders: true
- equation: 2 CO + O2 => 2 CO2
  rate-constant: {A: 2.24e+12, b: 0.0, Ea: 40700.0}
  orders: {CO: 1.0, O2: 0.25, H2O: 0.5}
  nonreactant-orders: true
- equation: OH + HO2 => H2O + O2
  rate-constant: {A: 4.0e+12, b: 0.3, Ea: 70.0}
  orders: {OH: 2.5, HO2: 0.0}
- equation: H2O2 <=> H2O + 0.5 O2
  rate-constant: {A: 1.0e+9, b: 0.0, Ea: 30000.0}
"""


@functools.cache
def mechanism_of(source):
    return load_mechanism(source)


@pytest.fixture(scope="session")
def source_of(tmp_path_factory):
    """The place of a mechanism by its short name."""
    by_hand = tmp_path_factory.mktemp("mechanisms") / "by_hand.yaml"
    by_hand.write_text(BY_HAND)
    one_step = Path(str(resources.files("retrodict.cases") / "reference_data/flames/1S_CH4_MP1.yaml"))
    return lambda name: str({"by-hand": by_hand, "one-step": one_step}.get(name, name))


@pytest.fixture
def load(source_of):
    """Load a mechanism by its short name, once a session."""
    return lambda name: mechanism_of(source_of(name))


@pytest.fixture
def altered(tmp_path):
    """A file of the mechanism by hand in which one text is replaced by another."""

    def write(old, new):
        assert BY_HAND.count(old) >= 1
        path = tmp_path / "altered.yaml"
        path.write_text(BY_HAND.replace(old, new))
        return path

    return write
