"""A solve inside of other work that breaks down ends that work: none goes on with what it left."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from retrodict.cases import motion_steering, motion_tracks, pde_landscape
from retrodict.inverse.flames.simplified import network_inversion
from retrodict.inverse.flames.temperatures import measured
from retrodict.inverse.motion.calibration import fit_law
from retrodict.inverse.motion.tracking import MotionLaw, TrackBatch
from retrodict.physics.errors import SolverError
from retrodict.physics.flames.simplified import imposed_slope
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.visibilities import Grid, Visibilities
from retrodict.solvers import iterate as loop
from retrodict.solvers.flames.simplified_network import NetworkPlan
from retrodict.solvers.flames.simplified_trained import network_flame
from retrodict.solvers.radio.joint import JointSolver
from retrodict.solvers.radio.self_calibration import self_calibrated

SMALL = NetworkPlan(width=4, points=32, warm_up=2, steps=5)


def _law():
    track = torch.randn(1, 30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tracks = TrackBatch(track, torch.ones(1, 30, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    return fit_law(tracks, MotionLaw(*torch.full((7,), 0.1, dtype=torch.float64)), max_steps=3)


def _inverted():
    flame = imposed_slope(0.42)
    return network_inversion(flame, measured(flame, np.random.default_rng(0)), SMALL)


def _calibrated():
    a, b = np.triu_indices(5, 1)
    uvw = np.append(np.random.default_rng(0).uniform(-60, 60, (10, 2)), np.zeros((10, 1)), axis=1)
    vis = Visibilities(uvw, 0 * a + 1e9, 0 * a, a, b, 2 + 0j * a, 0 * a + 1.0, a < 0)
    return self_calibrated(JointSolver(Interferometer(vis, Grid(16, 2e-3))), 0 * a)


@pytest.mark.parametrize(
    "work",
    [
        _law,
        _inverted,
        _calibrated,
        lambda: network_flame(imposed_slope(0.42), SMALL),
        lambda: motion_steering._study.__wrapped__(motion_steering.Steering(logs=10)),
        lambda: motion_tracks._recovery.__wrapped__(motion_tracks.Tracks(synthetic=4)),
        lambda: motion_tracks._inputs(motion_tracks.Tracks(synthetic=4)),
        lambda: pde_landscape._training_gap(pde_landscape.Landscapes()),
    ],
    ids=["law", "inversion", "self-calibration", "network", "steering", "recovery", "inputs", "landscape"],
)
def test_work_ends_with_the_solve_inside_it(work, monkeypatch):
    monkeypatch.setattr(loop, "math", SimpleNamespace(isfinite=lambda _: False))
    with pytest.raises(SolverError, match="status non-finite"):
        work()
