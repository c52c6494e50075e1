"""Self-calibration: gains of scans from the data alone, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.iterate import iterate
from retrodict.solvers.radio.gauge import signal_to_noise
from retrodict.solvers.radio.joint import JointSolver
from retrodict.solvers.radio.self_calibration import self_calibrated

pytestmark = pytest.mark.slow


def test_phases_and_amplitudes_of_scans_are_found(make_scene):
    """Gains without direction that jump between scans, data summed pixel by pixel."""
    scene = make_scene(kernel=1, terms=1, amplitude=1e-9, slots=12)
    vis, rng = scene.model.vis, np.random.default_rng(4)
    scan = vis.slots[0] // 4
    true = np.exp(0.3 * rng.standard_normal((3, 27)) + 0.6j * rng.standard_normal((3, 27)))
    factor = true[scan, vis.antenna1] * true[scan, vis.antenna2].conj()
    seen = replace(vis, data=vis.data * factor, scan=scan)
    model = Interferometer(seen, scene.model.grid)
    found = self_calibrated(JointSolver(model), scan, cycles=4)
    plain = iterate(JointSolver(model, fixed=model.kernels.unit()), 40).data["image"].values
    assert signal_to_noise(found.image, scene.sky) > signal_to_noise(plain, scene.sky) + 8
    left = found.predict(model, scan) - seen.data
    assert np.linalg.norm(left) < 0.02 * np.linalg.norm(seen.data)


def test_gains_with_a_direction_are_refused(small):
    with pytest.raises(SolverError, match="S = 3"):
        self_calibrated(JointSolver(small.model), small.model.slot)


def test_rows_held_out_are_corrected_and_say_when_to_stop(make_scene):
    scene = make_scene(kernel=1, terms=1, amplitude=1e-9, slots=12)
    vis, rng = scene.model.vis, np.random.default_rng(4)
    scan = vis.slots[0] // 4
    true = np.exp(0.3 * rng.standard_normal((3, 27)) + 0.6j * rng.standard_normal((3, 27)))
    seen = replace(vis, data=vis.data * true[scan, vis.antenna1] * true[scan, vis.antenna2].conj(), scan=scan)
    aside = vis.slots[0] % 4 == 1
    fitted, held = (Interferometer(seen.select(rows), scene.model.grid) for rows in (~aside, aside))
    found = self_calibrated(JointSolver(fitted, held), scan[~aside], scan[aside], cycles=4)
    left = found.predict(held, scan[aside]) - held.vis.data
    assert np.linalg.norm(left) < 0.02 * np.linalg.norm(held.vis.data)
    with pytest.raises(SolverError, match="both or neither"):
        self_calibrated(JointSolver(fitted, held), scan[~aside])
