"""The flame cases that fit mechanisms: coverage over noise draws, files they leave, and input that they refuse."""

from pathlib import Path

import numpy as np
import pytest

from retrodict.cases.checks import judge
from retrodict.cases.data import bundled
from retrodict.cases.flame_mechanism import case as mechanism_case
from retrodict.cases.flame_mechanism_checks import checks
from retrodict.cases.flame_mechanism_setup import FlameMechanism
from retrodict.cases.flame_speeds import case as speeds_case
from retrodict.cases.flame_speeds_setup import BUNDLED, FlameSpeeds, measured
from retrodict.cases.verbs import fit, run
from retrodict.inverse.flames.chemked import read_chemked, write_chemked
from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.flames.mechanism import load_mechanism, read_posterior
from retrodict.physics.seeds import Seeds

SMOKE = {"points": 60, "limit": 2, "strongest": 3}


@pytest.mark.slow
def test_the_truth_is_inside_the_joint_region_of_a_few_draws() -> None:
    config = FlameMechanism(points=80, draws=6)
    verdicts = {c.name: judge(c) for c in checks(config, Seeds(0))}
    assert {n: v.note for n, v in verdicts.items() if not v.passed} == {}


@pytest.mark.slow
def test_a_run_is_data_for_a_fit_and_the_fit_leaves_a_mechanism(tmp_path: Path) -> None:
    made = run(mechanism_case, preset="smoke", out=tmp_path / "run")
    told = {"noise": 0.02, "temperature": 300.0, "aligned": 1500.0}
    done = fit(mechanism_case, preset="smoke", data=made.folder / "result.nc", settings=told, out=tmp_path / "fit")
    own = fit(mechanism_case, preset="smoke", out=tmp_path / "own")
    for k in ("ln k", "T_a"):
        np.testing.assert_allclose(done.result.data[k], own.result.data[k], rtol=1e-9)
    assert "truth" not in done.posterior
    fitted = load_mechanism(done.folder / "mechanism.yaml")
    shift = fitted.parameters["T_a"] - mechanism_case_rates()["T_a"]
    np.testing.assert_allclose(shift, done.result.data["T_a"], atol=1e-6)
    names, mean, covariance = read_posterior(done.folder / "mechanism.yaml")
    std = float(done.posterior["std"].sel(parameter="T_a"))
    at = names.index("T_a[0]")
    assert covariance[at, at] == pytest.approx(std**2, rel=1e-9)
    assert mean[at] == pytest.approx(fitted.parameters["T_a"][0])
    with pytest.raises(DataError, match=r"expected .*phi 0.8, 1 atm.*; see the settings phis and pressures"):
        fit(mechanism_case, data=made.folder / "result.nc", settings=told | {"phis": [0.8, 0.9]}, out=tmp_path / "no")


def mechanism_case_rates():
    return load_mechanism(bundled("flames/1S_CH4_MP1.yaml")).parameters


@pytest.mark.slow
def test_one_flame_without_profile_is_refused(tmp_path: Path) -> None:
    few = {"phis": [0.8], "pressures": [1.0], "places": 0}
    with pytest.raises(DataError, match="a combination of ln k, T_a, order of O2, ln conductivity that neither data"):
        fit(mechanism_case, preset="smoke", settings=few, out=tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


@pytest.mark.slow
def test_another_chemked_file_is_fitted(tmp_path: Path) -> None:
    points = read_chemked(bundled(BUNDLED))
    file = tmp_path / "mine.yaml"
    write_chemked(type(points)(points.points[10:12]), file)
    done = fit(speeds_case, preset="smoke", data=file, settings={"strongest": 3}, out=tmp_path / "fit")
    assert done.ok
    assert done.problem.space.size == 3
    assert done.posterior.attrs["chi2_after"] < done.posterior.attrs["chi2_before"]
    assert load_mechanism(done.folder / "mechanism.yaml").K == 18


def test_points_become_flames_of_the_elements_present() -> None:
    seen = measured(FlameSpeeds(limit=4), None)
    assert seen.mechanism.elements == ("O", "H", "N") or set(seen.mechanism.elements) >= {"O", "H", "N"}
    assert (seen.mechanism.K, len(seen.flames)) == (18, 4)
    flame = seen.flames["04 phi 0.7"]
    assert (flame.p, flame.T_in) == (2e4, 298.15)
    X = flame.Y_in / seen.mechanism.weights.numpy()
    assert X[seen.mechanism.species.index("N2O")] / X.sum() == pytest.approx(0.5882, abs=1e-4)
    assert seen.abscissa[1] == "equivalence ratio"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"factor": 0.5}, ConfigError, "factor: got 0.5, expected above 1, or 0 for no prior"),
        ({"mechanism": "none.yaml"}, DataError, "none.yaml"),
        ({"mechanism": "h2o2.yaml"}, DataError, "species: got 'N2O', expected one of ohmech"),
        ({"reactions": ["H + N2O <=> N2 + OHH"]}, DataError, r"such as 'H \+ N2O <=> N2 \+ OH'"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        fit(speeds_case, settings=settings, out=tmp_path / "fit")
    assert not (tmp_path / "fit").exists()
