"""Handles move the parameters that they name, seen through rates computed by Cantera."""

import cantera as ct
import numpy as np
import pytest

from retrodict.inverse.flames.handles import Handle, activation, exponent, moved, order, prefactor, rate
from retrodict.inverse.flames.reaction_names import find_reactions, find_species
from retrodict.inverse.flames.transport_handles import conductivity, diffusion, transport
from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.flames.mechanism import load_mechanism, write_mechanism

FALLOFF = "2 OH (+M) <=> H2O2 (+M)"


def constants(mechanism, handles, values, tmp_path, T):
    """Forward rate constants of the moved mechanism, by Cantera."""
    file = tmp_path / "moved.yaml"
    write_mechanism(mechanism, moved(mechanism, handles, values), file)
    gas = ct.Solution(str(file))
    gas.TPX = T, 2e5, "H2:1, O2:1, AR:2"
    return gas.forward_rate_constants


@pytest.mark.parametrize("reaction", [FALLOFF, "H + O2 <=> O + OH", 2])
def test_ln_k_scales_the_rate_at_every_temperature(hydrogen, tmp_path, reaction):
    handle, rows = rate(hydrogen, reaction), find_reactions(hydrogen, reaction)
    for T in (600.0, 1800.0):
        before = constants(hydrogen, [], {}, tmp_path, T)
        after = constants(hydrogen, [handle], {handle.name: 0.4}, tmp_path, T)
        factor = np.ones(hydrogen.R)
        factor[rows] = np.exp(0.4)
        np.testing.assert_allclose(after, factor * before, rtol=1e-12)


@pytest.mark.parametrize(("make", "size"), [(activation, 700.0), (exponent, 0.8)])
@pytest.mark.parametrize("reaction", [FALLOFF, "H2 + O = H + OH"])
def test_k_stays_at_the_reference_temperature(hydrogen, tmp_path, make, size, reaction):
    handle, row = make(hydrogen, reaction, 1400.0), find_reactions(hydrogen, reaction)[0]
    at = {handle.name: size}
    held = [constants(hydrogen, h, v, tmp_path, 1400.0)[row] for h, v in (([], {}), ([handle], at))]
    assert held[1] == pytest.approx(held[0], rel=1e-12)
    cold = [constants(hydrogen, h, v, tmp_path, 700.0)[row] for h, v in (([], {}), ([handle], at))]
    change = -size * (1 / 700 - 1 / 1400) if make is activation else size * np.log(0.5)
    assert np.log(cold[1] / cold[0]) == pytest.approx(change, rel=1e-9)


def test_plain_handles_move_one_parameter(hydrogen):
    assert set(activation(hydrogen, 2).direction) == {"T_a"}
    assert set(exponent(hydrogen, 2).direction) == {"b"}
    assert set(prefactor(hydrogen, FALLOFF).direction) == {"ln_A"}
    assert set(order(hydrogen, 2, "H2").direction) == {"order"}


def test_an_order_moves_at_a_fixed_rate(one_step):
    handle = order(one_step, 0, "O2", 3e-3)
    after = moved(one_step, [handle], {handle.name: 0.2})
    slots = zip(one_step.reactions.order_species[0], after["order"][0], strict=True)
    orders = {one_step.species[int(k)]: float(v) for k, v in slots}
    assert orders == {"CH4": 1.0, "O2": 0.7}
    old = one_step.parameters["ln_A"][0] + 0.5 * np.log(3e-3)
    assert after["ln_A"][0] + 0.7 * np.log(3e-3) == pytest.approx(old, rel=1e-14)


def test_duplicates_move_together():
    gri = load_mechanism("gri30.yaml").restricted(["H", "O"])
    rows = find_reactions(gri, "OH + HO2 = H2O + O2")
    assert len(rows) == 2
    assert rate(gri, "HO2 + OH <=> O2 + H2O").direction["ln_A"].nonzero()[0].tolist() == rows
    assert rate(gri, rows[1]).direction["ln_A"].nonzero()[0].tolist() == rows[1:]


def test_transport_handles_move_pairs_and_species(one_step):
    pair = diffusion(one_step, "CH4", "N2").direction["ln_diffusion"]
    own = diffusion(one_step, "CH4").direction["ln_diffusion"]
    assert (pair.sum(), own.sum(), np.vdot(pair, own)) == (1, 5, 1)
    assert np.all(diffusion(one_step).direction["ln_diffusion"] == 1)
    both = transport(one_step).direction
    np.testing.assert_array_equal(both["ln_conductivity"], conductivity(one_step).direction["ln_conductivity"])
    assert conductivity(one_step, "N2").direction["ln_conductivity"].tolist() == [0, 0, 0, 0, 1]


def test_wrong_names_are_answered_with_near_ones(hydrogen, one_step):
    with pytest.raises(DataError, match=r"reaction: got 'H \+ O2 <=> O \+ OHH', .* 'H \+ O2 <=> O \+ OH'"):
        rate(hydrogen, "H + O2 <=> O + OHH")
    with pytest.raises(DataError, match="a number from 0 to 28 of ohmech"):
        rate(hydrogen, 29)
    with pytest.raises(DataError, match="species: got 'H3', expected one of ohmech, such as 'H', 'OH', 'H2'"):
        find_species(hydrogen, "H3")
    with pytest.raises(SpaceError, match="a species on which the rate depends"):
        order(one_step, 0, "N2")
    with pytest.raises(SpaceError, match="T_ref: got -5"):
        activation(hydrogen, 2, -5.0)
    with pytest.raises(SpaceError, match="concentration: got 0"):
        order(one_step, 0, "O2", 0.0)
    with pytest.raises(SpaceError, match="without a slash"):
        rate(hydrogen, 2, "a/b")
    with pytest.raises(SpaceError, match="a direction that moves something"):
        Handle("still", {"b": np.zeros(3)})
