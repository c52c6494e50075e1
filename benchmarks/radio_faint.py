"""Radio interferometry: faint sources beside bright ones behind direction-dependent gains, found or not; their flux.

    OMP_NUM_THREADS=1 python benchmarks/radio_faint.py [--seeds 5]

Twenty sources of 0.03 to 1 Jy and ten of 1e-4 Jy on an empty sky of 128 x 128 pixels, VLA-A, 60 slots, 60 dB, gains of
5 x 5 coefficients and three functions of time with deviations of 5 %. All gains and the sky are unknown. A faint source
is found where its pixel holds half its flux; a false one is an island of pixels that hold as much, joined at sides or
corners, with no source in it. Flux is that of 3 x 3 pixels, and is judged against the sky times the screen that all
true gains share, which no data can tell from the sky.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.ndimage import label

from retrodict.cases.radio_points import RadioPoints
from retrodict.cases.radio_setup import Observation, observed, solver_of
from retrodict.physics.radio.fits_image import write_image
from retrodict.physics.radio.visibilities import Grid
from retrodict.solvers.iterate import finished
from retrodict.solvers.radio.gauge import signal_to_noise

BRIGHT, FAINT, FLUX = 20, 10, 1e-4


def scene(seed: int, folder: Path) -> tuple[Observation, np.ndarray]:
    """Return an observation and the pixels of its faint sources, shape (source, 2)."""
    rng = np.random.default_rng(seed)
    free = np.argwhere(np.ones((18, 18))) * 6 + 10
    at = free[rng.permutation(len(free))[: BRIGHT + FAINT]]
    config = RadioPoints(seed=seed, sky_file=str(folder / f"{seed}.fits"))
    sky = np.zeros((config.size, config.size))
    sky[tuple(at.T)] = np.concatenate([[1.0], 10 ** rng.uniform(-1.5, -0.3, BRIGHT - 1), np.full(FAINT, FLUX)])
    write_image(config.sky_file, sky, Grid(config.size, 1e-5))
    return observed(config), at[BRIGHT:]


def main() -> None:
    """Print a line a seed and a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    shares: dict[str, list[float]] = {}
    for seed in range(parser.parse_args().seeds):
        with tempfile.TemporaryDirectory() as folder:
            seen, faint = scene(seed, Path(folder))
        for name, method, rounds in (
            ("joint", "joint", 3),
            ("not reweighted", "joint", 0),
            ("true gains", "true gains", 3),
        ):
            began = time.perf_counter()
            solver = replace(solver_of(seen, method), reweightings=rounds)
            image = finished(solver, seen.config.max_steps).data["image"].values
            truth = seen.sky if method == "true gains" else seen.sky_behind_screen
            true = truth[tuple(faint.T)]
            found = int((image[tuple(faint.T)] > 0.5 * true).sum())
            share = np.array([image[i - 1 : i + 2, j - 1 : j + 2].sum() for i, j in faint]) / true
            shares.setdefault(name, []).append(float(share.mean()))
            islands, count = label(image > FLUX / 2, np.ones((3, 3)))
            false = count - len(set(islands[seen.sky > 0]) - {0})
            print(
                f"seed {seed} {name:15s} found {found:2d} of {FAINT}, false {false}, "
                f"flux {share.mean():.3f} [{share.min():.2f}, {share.max():.2f}] of the true one, image "
                f"{signal_to_noise(image, truth):.1f} dB, {time.perf_counter() - began:.0f} s",
                flush=True,
            )
    for name, values in shares.items():
        print(f"{name:15s} flux over all seeds, median {np.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]")


if __name__ == "__main__":
    main()
