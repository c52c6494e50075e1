import json
import math

import numpy as np
import pytest

from retrodict.cases.data import bundled
from retrodict.physics.errors import ConfigError, DataError, SpaceError
from retrodict.solvers.reference.cantera_flames import (
    burner_flame,
    clear_cache,
    counterflow_premixed,
    free_flame,
    sensitivities,
)
from retrodict.solvers.reference.cantera_gas import gas
from retrodict.solvers.result import load_dataset, save_dataset

ONE_STEP = bundled("flames/1S_CH4_MP1.yaml")
LEAN = (ONE_STEP, "CH4", "O2:1, N2:3.76", 0.8)
FIXED = {"width": 0.01, "grid": 121}
OPPOSED = {"width": 0.02, "T_b": 300.0, "burnt": "N2", "mdot_u": 1.0, "mdot_b": 1.0}


def authors(case, name):
    return np.load(bundled(f"flames/{case}/1S_CH4_MP1/p1.00_phi0.80/data/{name}.npy"))


def test_usual_refinement_of_the_one_step_flame():
    flame = free_flame(*LEAN, width=0.03)
    assert (flame.attrs["status"], flame.sizes["x"]) == ("converged", 68)
    assert float(flame["s_L"]) == pytest.approx(0.283968, rel=1e-5)
    assert float(flame["u"][0]) == float(flame["s_L"])
    # mass is conserved, to Cantera's tolerance, and nothing leaks through the ends
    np.testing.assert_allclose(flame["density"] * flame["u"], float(flame["density"][0] * flame["s_L"]), rtol=1e-4)
    assert flame.attrs["edge_slopes"].max() < 1e-6
    np.testing.assert_allclose(flame["Y"].sum("species"), 1.0, atol=1e-9)


def test_the_authors_flame_on_their_grid():
    x, T, Y, s_L = (authors("freely_prop", k) for k in ("x", "T", "Ys", "sL"))
    at = int(np.argmin(np.abs(T - 729)))
    flame = free_flame(*LEAN, grid=x, anchor=(x[at], T[at]))
    assert np.array_equal(flame["x"], x)
    assert float(flame["T"][at]) == pytest.approx(T[at], abs=1e-6)
    # another version of Cantera, at its own tolerances
    assert float(flame["s_L"]) == pytest.approx(float(s_L), rel=2e-3)
    np.testing.assert_allclose(flame["T"], T, rtol=0, atol=1.0)
    np.testing.assert_allclose(flame["Y"].sel(species=["O2", "H2O", "CH4", "CO2", "N2"]).T, Y, rtol=0, atol=5e-4)


def test_an_anchor_moves_the_flame_and_not_its_speed():
    x = np.linspace(0.0, 0.012, 241)
    flames = [free_flame(*LEAN, grid=x, anchor=anchor) for anchor in ((x[90], 700.0), (x[110], 700.0))]
    for flame, at in zip(flames, (90, 110), strict=True):
        assert float(flame["T"][at]) == pytest.approx(700.0, abs=1e-6)
        assert (flame.attrs["anchor_x"], flame.attrs["anchor_T"]) == pytest.approx((x[at], 700.0), rel=1e-12)
    np.testing.assert_allclose(flames[0]["T"][:-20], flames[1]["T"][20:], rtol=1e-6)
    assert float(flames[0]["s_L"]) == pytest.approx(float(flames[1]["s_L"]), rel=1e-6)


def test_a_failed_start_falls_back_on_a_refined_flame(monkeypatch):
    import cantera as ct

    from retrodict.solvers.reference import cantera_solve

    wanted = free_flame(*LEAN, **FIXED)
    solve_from = cantera_solve._from

    def from_ramp_fails(config, start):
        if start is None:
            raise ct.CanteraError("no convergence")
        return solve_from(config, start)

    monkeypatch.setattr(cantera_solve, "_from", from_ramp_fails)
    clear_cache()
    flame = free_flame(*LEAN, **FIXED)
    assert np.array_equal(flame["x"], wanted["x"])
    np.testing.assert_allclose(flame["T"], wanted["T"], rtol=1e-5)
    assert float(flame["s_L"]) == pytest.approx(float(wanted["s_L"]), rel=1e-6)


def test_all_rates_or_all_transport_times_c_carry_the_root_of_c():
    """Stretching ``x`` by ``1/sqrt(c)`` or ``sqrt(c)`` turns one flame into the other, exactly, point by point."""
    c, x = 1.21, np.linspace(0.0, 0.01, 121)
    plain = free_flame(*LEAN, grid=x)
    faster = free_flame(*LEAN, grid=x / math.sqrt(c), multipliers={0: c})
    thicker = free_flame(
        *LEAN, grid=x * math.sqrt(c), transport_factors={"conductivity": c, "diffusivity": c, "viscosity": c}
    )
    for flame in (faster, thicker):
        assert float(flame["s_L"] / plain["s_L"]) == pytest.approx(math.sqrt(c), rel=1e-7)
        np.testing.assert_allclose(flame["T"].values, plain["T"].values, rtol=1e-7)


def test_arrhenius_constants_replace_those_of_the_file():
    A, b, E_a = 3.47850543e8, 0.0, 8.368e7
    doubled = free_flame(*LEAN, **FIXED, parameters={0: (2 * A, b, E_a)})
    by_factor = free_flame(*LEAN, **FIXED, multipliers={0: 2.0})
    assert float(doubled["s_L"]) == pytest.approx(float(by_factor["s_L"]), rel=1e-7)
    cooler = free_flame(*LEAN, **FIXED, parameters={0: (A, b, 1.05 * E_a)})
    assert float(cooler["s_L"]) < 0.9 * float(free_flame(*LEAN, **FIXED)["s_L"])


def test_changes_reach_every_rate_and_transport_property():
    state = ("gri30.yaml", "CH4", "O2:1, N2:3.76", 1.0, 1300.0, 101325.0)
    plain = gas(*state).solution()
    kind = [type(r.rate).__name__ for r in plain.reactions()]
    index = kind.index("TroeRate")
    rates = {which: getattr(plain.reaction(index).rate, f"{which}_rate") for which in ("low", "high")}
    new = {
        (index, k): (3 * r.pre_exponential_factor, r.temperature_exponent, r.activation_energy)
        for k, r in rates.items()
    }
    factors = {"conductivity": 2.0, "viscosity": 3.0, "diffusivity": {("O2", "CH4"): 5.0}}
    changed = gas(*state, parameters=new, multipliers={0: 7.0}, transport_factors=factors).solution()
    ratio = changed.forward_rate_constants / plain.forward_rate_constants
    expected = np.ones(plain.n_reactions)
    expected[index], expected[0] = 3.0, 7.0
    np.testing.assert_allclose(ratio, expected, rtol=1e-12)
    assert changed.thermal_conductivity / plain.thermal_conductivity == pytest.approx(2.0, rel=1e-12)
    assert changed.viscosity / plain.viscosity == pytest.approx(3.0, rel=1e-12)
    pairs = changed.binary_diff_coeffs / plain.binary_diff_coeffs
    i, j = plain.species_index("O2"), plain.species_index("CH4")
    assert pairs[i, j] == pytest.approx(5.0, rel=1e-12)
    assert pairs[j, i] == pytest.approx(5.0, rel=1e-12)
    pairs[[i, j], [j, i]] = 1.0
    np.testing.assert_allclose(pairs, 1.0, rtol=1e-12)


def test_a_mixture_is_the_same_by_ratio_mole_and_mass_fractions():
    made = gas(*LEAN, 300.0, 101325.0).solution()
    wanted = float(free_flame(*LEAN, **FIXED)["s_L"])
    for given in ({"X": made.mole_fraction_dict()}, {"Y": made.mass_fraction_dict()}):
        assert float(free_flame(ONE_STEP, **FIXED, **given)["s_L"]) == pytest.approx(wanted, rel=1e-8)


def test_solved_flames_are_kept_and_handed_out_as_copies(tmp_path):
    clear_cache()
    first = free_flame(*LEAN, **FIXED)
    first["T"][:] = 0.0
    again = free_flame(*LEAN, **FIXED)
    assert float(again["T"].max()) > 1500
    assert again.attrs["wall_time"] == first.attrs["wall_time"]
    # the file's content is the key, not its name
    other = tmp_path / ONE_STEP.name
    other.write_text(ONE_STEP.read_text().replace("A: 1.1e10", "A: 2.2e10").replace("A: 1.1e+10", "A: 2.2e10"))
    assert other.read_text() != ONE_STEP.read_text()
    doubled = free_flame(other, *LEAN[1:], **FIXED)
    assert float(doubled["s_L"]) > 1.3 * float(again["s_L"])
    assert json.loads(again.attrs["settings"])["gas"]["path"] == ONE_STEP.name
    save_dataset(again, tmp_path / "flame.nc")
    assert load_dataset(tmp_path / "flame.nc").equals(again)


def test_a_burner_takes_heat_or_loses_the_flame():
    held = burner_flame(*LEAN, width=0.01, grid=61, mdot=0.2)
    assert float(held["mass_flux"]) == pytest.approx(0.2, rel=1e-9)
    assert held.attrs["burning"] == 1
    # below the free flame's flux the burner is heated, so that the burnt gas is colder
    assert float(held["T"].max()) < float(free_flame(*LEAN, **FIXED)["T"].max()) - 100
    assert held.attrs["edge_slopes"][0] > 0.1
    gone = burner_flame(*LEAN, width=0.01, mdot=0.6)
    assert (gone.attrs["status"], gone.attrs["burning"]) == ("converged", 0)
    assert float(np.ptp(gone["T"].values)) < 1.0


def test_counterflow_burns_and_is_blown_out():
    flame = counterflow_premixed(*LEAN, **OPPOSED)
    assert (flame.attrs["status"], flame.attrs["burning"]) == ("converged", 1)
    # 1 % of Cantera refined to 550 points
    assert float(flame["Lambda"]) == pytest.approx(-13601.2, rel=1e-2)
    # continuity: what enters leaves radially, to the order of the grid
    radial = np.trapezoid(2 * flame["density"] * flame["V"], flame["x"])
    assert radial == pytest.approx(2.0, rel=0.02)
    out = counterflow_premixed(*LEAN, **(OPPOSED | {"mdot_u": 20.0, "mdot_b": 20.0}), grid=101)
    assert (out.attrs["status"], out.attrs["burning"]) == ("converged", 0)
    assert out.attrs["temperature_rise"] < 1.0


def test_a_jet_of_burnt_gas_is_hot_and_the_flame_burns():
    jets = {"mdot_u": 1.0, "mdot_b": 1.0, "width": 0.02, "grid": 61}
    flame = counterflow_premixed(*LEAN, **jets)
    made = gas(*LEAN, 300.0, 101325.0).solution()
    made.equilibrate("HP")
    assert float(flame["T"][-1]) == pytest.approx(made.T, rel=1e-6)
    # no hotter than the jet, and yet no dead flame
    assert (flame.attrs["burning"], round(flame.attrs["temperature_rise"])) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("phi", "plain", "refined"), [(0.8, -13646.1, -13601.2), (1.0, -16722.8, -16616.4)])
def test_counterflow_with_the_authors_settings(phi, plain, refined):
    flame = counterflow_premixed(*LEAN[:3], phi, grid=501, **OPPOSED)
    # Cantera ends within its tolerances, where in them is the processor's rounding's: 1.3e-5 between two of them
    assert float(flame["Lambda"]) == pytest.approx(plain, rel=2e-5)
    finer = counterflow_premixed(*LEAN[:3], phi, grid=501, refine=(3, 0.05, 0.05, 0.01), **OPPOSED)
    assert float(finer["Lambda"]) == pytest.approx(refined, rel=1e-5)
    if phi == 0.8:
        assert float(flame["Lambda"]) == pytest.approx(float(authors("counterflow_prem", "pCurv")), rel=3e-3)
        assert float(flame["T"].max()) == pytest.approx(authors("counterflow_prem", "T").max(), rel=3e-3)


def test_sensitivities_keep_the_sum_rule_also_beside_multipliers():
    state = ("h2o2.yaml", "H2", "O2:1, N2:3.76", 1.0)
    setting = {"width": 0.02, "refine": (3, 0.15, 0.3)}
    found = sensitivities(*state, **setting)
    assert float(found["sensitivity"].sum()) == pytest.approx(0.5, abs=0.01)
    index = int(np.argmax(found["sensitivity"].values))
    assert str(found["equation"].values[index]) == "H2 + OH <=> H + H2O"
    # d ln s_L / d ln k at a doubled rate, against flames solved again on the grid of the first
    doubled = sensitivities(*state, **setting, multipliers={index: 2.0})
    base = free_flame(*state, **setting, multipliers={index: 2.0})
    fixed = {"grid": base["x"].values, "anchor": (base.attrs["anchor_x"], base.attrs["anchor_T"])}
    up, down = (float(free_flame(*state, **fixed, multipliers={index: 2 * c})["s_L"]) for c in (1.01, 1 / 1.01))
    slope = math.log(up / down) / (2 * math.log(1.01))
    assert float(doubled["sensitivity"][index]) == pytest.approx(slope, rel=0.02)
    assert found.attrs["adjoint_time"] > 0


@pytest.mark.slow
def test_usual_refinement_of_hydrogen():
    flame = free_flame("h2o2.yaml", "H2", "O2:1, N2:3.76", 1.0, width=0.03)
    assert float(flame["s_L"]) == pytest.approx(2.3394, rel=1e-4)
    assert flame.sizes["x"] == 143


def test_what_cannot_burn_is_a_status():
    flame = free_flame(ONE_STEP, X="N2:1", **FIXED)
    assert flame.attrs["status"] == "failed"
    assert "nothing burns" in flame.attrs["reason"]
    assert math.isnan(float(flame["s_L"]))


@pytest.mark.slow
def test_cantera_giving_up_is_a_status():
    flame = free_flame(*LEAN[:3], 0.05, **FIXED)
    assert flame.attrs["status"] == "failed"
    assert "Time integration failed" in flame.attrs["reason"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"T_in": 0.0}, SpaceError, "T: got 0.0"),
        ({"T_in": math.nan}, SpaceError, "T: got nan"),
        ({"p": -1.0}, SpaceError, "p: got -1.0"),
        ({"phi": 0.0}, SpaceError, "phi: got 0.0"),
        ({"fuel": "CH5"}, SpaceError, "fuel: got unknown species 'CH5'"),
        ({"oxidizer": "O2:1, N2:x"}, DataError, "the form"),
        ({"oxidizer": "O2:1, O2:2"}, DataError, "each species once"),
        ({"oxidizer": {"O2": -1.0}}, DataError, "not negative"),
        ({"oxidizer": "O2:0"}, DataError, "no amount above zero"),
        ({"fuel": "N2", "oxidizer": "N2"}, DataError, "what can burn together"),
        ({"phi": None}, ConfigError, "fuel, oxidizer and phi"),
        ({"X": "CH4"}, ConfigError, "fuel, oxidizer and phi"),
        ({"mechanism": "none.yaml"}, DataError, "no file 'none.yaml'"),
        ({"width": None}, ConfigError, "width"),
        ({"width": 0.0}, SpaceError, "width: got 0.0"),
        ({"grid": np.linspace(0, 0.01, 9)}, ConfigError, "one of the two"),
        ({"grid": 5}, SpaceError, "5 points"),
        ({"width": None, "grid": [0, 1, 2, 4, 3, 5, 6]}, SpaceError, "strictly ascending"),
        ({"refine": (3, 0.0, 0.1)}, ConfigError, "refine"),
        ({"tolerances": (0.0, 1e-9)}, SpaceError, "tolerances"),
        ({"anchor": (0.005, 700.0)}, ConfigError, "unless the grid is fixed"),
        ({"grid": 11, "anchor": (0.0055, 700.0)}, SpaceError, "an inner point"),
        ({"transport_model": "none"}, ConfigError, "transport_model"),
        ({"multipliers": {1: 2.0}}, SpaceError, "an index from 0 to 0"),
        ({"multipliers": {0: -2.0}}, SpaceError, "not negative"),
        ({"parameters": {(0, "low"): (1.0, 0.0, 0.0)}}, ConfigError, "'low' of a ArrheniusRate"),
        ({"parameters": {0: (1.0, 0.0)}}, DataError, "three finite numbers"),
        ({"transport_factors": {"mass": 2.0}}, ConfigError, "conductivity"),
        ({"transport_factors": {"viscosity": {"AR": 2.0}}}, SpaceError, "unknown species 'AR'"),
        ({"transport_factors": {"diffusivity": {"O2": 2.0}}}, ConfigError, "a pair of species"),
        ({"transport_factors": {"diffusivity": {("O2", "N2"): 2.0, ("N2", "O2"): 2.0}}}, DataError, "twice"),
    ],
)
def test_wrong_input_is_refused_before_any_work(change, error, words):
    mechanism, fuel, oxidizer, phi = LEAN
    given = {"mechanism": mechanism, "fuel": fuel, "oxidizer": oxidizer, "phi": phi, "width": 0.01} | change
    with pytest.raises(error, match=words):
        free_flame(**given)


def test_damaged_mechanisms_are_refused(tmp_path):
    path = tmp_path / "damaged.yaml"
    for text in ("phases: [", "just text", "a: 1\n", ONE_STEP.read_text().replace("CO2 + 2 H2O", "CO2 + 3 H2O")):
        path.write_text(text)
        with pytest.raises(DataError, match=r"damaged\.yaml"):
            free_flame(path, *LEAN[1:], width=0.01)
    path.write_text(ONE_STEP.read_text().replace("  transport:\n    model: gas", "  note2:\n    model: gas", 1))
    flame_of = lambda: free_flame(path, *LEAN[1:], width=0.01)  # noqa: E731
    with pytest.raises(DataError, match="transport"):
        flame_of()
