"""Figures of ``radio-eht``: what is drawn is what its labels say."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from retrodict.cases.radio_eht_figures import amplitude_figure, closure_figure
from retrodict.cases.radio_eht_setup import RadioEHT, crescent, imager, observed


@pytest.fixture(scope="module")
def outcome():
    """M87 and a sky that is nearly it."""
    config = RadioEHT(pixels=32)
    image = SimpleNamespace(values=crescent(config))
    return SimpleNamespace(problem=imager(config, observed(config)), result=SimpleNamespace(data={"image": image}))


def test_closure_phases_add_up_in_the_order_of_their_titles(outcome):
    vis = outcome.problem.vis
    figure = closure_figure(outcome)

    def phase(a, b, time):
        rows = np.flatnonzero(np.abs(vis.time / 3600 % 24 - time) < 1e-6)
        for row in rows:
            if (vis.antenna1[row], vis.antenna2[row]) == (a, b):
                return np.angle(vis.data[row])
            if (vis.antenna1[row], vis.antenna2[row]) == (b, a):
                return -np.angle(vis.data[row])
        raise AssertionError((a, b, time))

    for ax in figure.axes:
        title = ax.get_title() or ax.get_title(loc="left")
        a, b, c = (vis.antennas.index(name) for name in title.split(" - "))
        hours, drawn = ax.containers[0].lines[0].get_data()
        turn = [sum(phase(*side, t) for side in ((a, b), (b, c), (c, a))) for t in hours]
        assert np.abs(np.exp(1j * np.deg2rad(drawn)) - np.exp(1j * np.array(turn))).max() < 1e-9
        assert np.abs(np.sin(turn)).max() > 0.1
    plt.close(figure)


def test_errors_of_calibrated_amplitudes_are_calibrated_too(outcome):
    figure = amplitude_figure(outcome)
    relative = []
    for drawn in figure.axes[0].containers[:2]:
        bars = np.array([segment[1, 1] - segment[0, 1] for segment in drawn.lines[2][0].get_segments()])
        relative.append(bars / drawn.lines[0].get_ydata())
    np.testing.assert_allclose(relative[0], relative[1], rtol=1e-9)
    assert np.ptp(figure.axes[0].containers[1].lines[0].get_ydata()) > 0
    plt.close(figure)
