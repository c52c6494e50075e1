"""Radio interferometry: default settings of joint imaging beside the best of a grid that was searched by the truth.

    OMP_NUM_THREADS=1 python benchmarks/radio_defaults.py [--names spiral] [--arrays vla-a] [--seed 0]

Skies of our own making, two arrays, three levels of noise. The grid: largest threshold of the sparse prior in noise of
a coefficient, and spread of the gains a priori in units of the true one. The defaults have one threshold and learn the
spread; they are told nothing. All stop by the slots held out. Signal to noise of the image [dB], and in brackets up to
the screen that all true gains share: a search by the truth also finds whose screen it is by chance, hence a second one.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from retrodict.cases.radio_setup import RadioSettings, observed, solver_of
from retrodict.solvers.base import Status
from retrodict.solvers.iterate import finished
from retrodict.solvers.radio.gauge import signal_to_noise
from retrodict.solvers.radio.joint import JointSolver

THRESHOLDS = (1.0, 3.0, 10.0)
SPREADS = (1 / 3, 1.0, 3.0)


def main() -> None:
    """Search, and print a line an observation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--slots", type=int, default=30)
    parser.add_argument("--names", default="spiral,remnant,jet")
    parser.add_argument("--arrays", default="vla-a,meerkat")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    behind: list[float] = []
    shared: list[float] = []
    print(f"{given.size} x {given.size}, {given.slots} slots, seed {given.seed}: defaults, best of the grid, where")
    for sky, array, snr in itertools.product(given.names.split(","), given.arrays.split(","), (20.0, 30.0, 40.0)):
        began = time.perf_counter()
        config = RadioSettings(
            sky=sky, array=array, snr=snr, size=given.size, slots=given.slots, seed=given.seed, hold_every=5
        )
        seen = observed(config)
        default = solver_of(seen)

        def score(
            solver: JointSolver,
            truths: tuple[np.ndarray, np.ndarray] = (seen.sky, seen.sky_behind_screen),
            steps: int = config.max_steps,
        ) -> tuple[float, float]:
            # far from the defaults some settings are slow: those are scored as they stand
            image = finished(solver, steps, Status.MAX_STEPS).data["image"].values
            on_sky, up_to_screen = (signal_to_noise(image, truth) for truth in truths)
            return on_sky, up_to_screen

        true = config.amplitude / np.sqrt(config.terms)
        found = {
            (t, s): score(replace(default, threshold=t, spread=s * true))
            for t, s in itertools.product(THRESHOLDS, SPREADS)
        }
        ours, where = score(default), max(found, key=lambda k: found[k])
        best, best_up_to_screen = found[where], max(value for _, value in found.values())
        behind.append(best[0] - ours[0])
        shared.append(best_up_to_screen - ours[1])
        print(
            f"  {sky:8s} {array:8s} {snr:.0f} dB: {ours[0]:5.2f} ({ours[1]:.2f})  {best[0]:5.2f} ({best[1]:.2f}; "
            f"threshold {where[0]:g}, spread {where[1]:.2g})  behind by {behind[-1]:+.2f}, up to the screen by "
            f"{shared[-1]:+.2f}  [{time.perf_counter() - began:.0f} s]",
            flush=True,
        )
    for name, values in (("behind", behind), ("up to the screen", shared)):
        print(f"{name}: median {np.median(values):.2f}, largest {max(values):.2f}; within half a dB in", end=" ")
        print(f"{sum(v <= 0.5 for v in values)} of {len(values)}")


if __name__ == "__main__":
    main()
