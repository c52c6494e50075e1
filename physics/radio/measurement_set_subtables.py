"""The small tables of a MeasurementSet, with what other programs look for in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.measurement_set_tables import CORRELATIONS
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["subtables"]

Floats = NDArray[np.float64]
Column = Sequence[Any] | NDArray[Any]

_CODES = {name: code for code, name in CORRELATIONS.items()}


def subtables(
    like: Visibilities, frequency: Floats, width: Floats, dish_diameter: float
) -> dict[str, dict[str, Column]]:
    """Return the small tables: each column with one entry for each row.

    Parameters
    ----------
    like : Visibilities
        Antennas, positions, feeds, phase centre and telescope.
    frequency, width : ndarray, shape (channel,)
        Channels and their widths [Hz].
    dish_diameter : float
        Of every antenna [m].

    Returns
    -------
    dict
        Columns by table and name.

    Examples
    --------
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 2j], [1.0], [False])
    >>> subtables(one, np.array([1e9]), np.array([1e6]), 25.0)["POLARIZATION"]["CORR_TYPE"]
    [array([1], dtype=int32)]
    """
    count, channels = len(like.antennas), frequency.size
    hands = sorted({hand for name in like.feeds for hand in name} - {"I"}, key="XYRL".index)
    letters = {"I": ["X", "Y"], "X": ["X", "Y"], "Y": ["X", "Y"], "R": ["R", "L"], "L": ["R", "L"]}
    position = like.positions if len(like.positions) else np.zeros((count, 3))
    direction = np.reshape(like.centre, (1, 1, 2))
    product = [[k, k] for k in range(len(like.feeds))]
    return {
        "ANTENNA": {
            "NAME": like.antennas,
            "STATION": like.antennas,
            "POSITION": position,
            "OFFSET": np.zeros((count, 3)),
            "TYPE": ["GROUND-BASED"] * count,
            "MOUNT": ["ALT-AZ"] * count,
            "DISH_DIAMETER": [dish_diameter] * count,
        },
        "FEED": {
            "ANTENNA_ID": range(count),
            "NUM_RECEPTORS": [2] * count,
            "POLARIZATION_TYPE": [letters[hands[0] if hands else "I"]] * count,
            "POL_RESPONSE": [np.eye(2, dtype=np.complex64)] * count,
            "BEAM_OFFSET": np.zeros((count, 2, 2)),
            "RECEPTOR_ANGLE": np.zeros((count, 2)),
            "POSITION": np.zeros((count, 3)),
            "BEAM_ID": [-1] * count,
            "SPECTRAL_WINDOW_ID": [-1] * count,
        },
        "FIELD": {"NAME": ["target"], "DELAY_DIR": direction, "PHASE_DIR": direction, "REFERENCE_DIR": direction},
        "POLARIZATION": {
            "NUM_CORR": [len(like.feeds)],
            "CORR_TYPE": [np.array([_CODES[name] for name in like.feeds], np.int32)],
            "CORR_PRODUCT": [np.array(product, np.int32)],
        },
        "DATA_DESCRIPTION": {"SPECTRAL_WINDOW_ID": [0], "POLARIZATION_ID": [0]},
        "OBSERVATION": {"TELESCOPE_NAME": [like.telescope], "TIME_RANGE": np.zeros((1, 2))},
        "SPECTRAL_WINDOW": {
            "NAME": ["window"],
            "NUM_CHAN": [channels],
            "CHAN_FREQ": [frequency],
            **{name: [width] for name in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION")},
            "REF_FREQUENCY": [frequency[channels // 2]],
            "TOTAL_BANDWIDTH": [width.sum()],
            "MEAS_FREQ_REF": [5],
            "NET_SIDEBAND": [1],
        },
    }
