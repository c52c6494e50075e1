"""The case ``radio-3c391`` on the real observation: what the fit leaves of slots held out, beside the other methods.

    OMP_NUM_THREADS=1 python benchmarks/radio_3c391.py DIR [--out FOLDER] [--size 256]

DIR holds ``*data.mat`` and ``*msSpecs.mat`` of one channel, as ``data/3c391/ch1`` of basp-group/SARA-CALIB-realdata
does. The checks: the joint fit leaves less of the slots held out than gains without direction, gains of scans and no
calibration do, and not less than the noise that differences in time show. Exit code 1 if one fails. Some 12 minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from retrodict.cases.verbs import fit
from retrodict.physics.radio.noise import noise_from_differences


def main() -> None:
    """Fit, compare and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=int, default=256)
    given = parser.parse_args()
    done = fit("radio-3c391", data=given.data, settings={"size": given.size}, out=given.out)
    seen = done.problem
    vis = seen.vis.select(seen.judged)
    noise = noise_from_differences(seen.vis) * np.sqrt(2 * vis.rows / (vis.weight @ np.abs(vis.data) ** 2))
    joint = seen.imaged(done.result.data)
    print(f"{seen.vis.rows} rows; residual over data, fitted and held out; noise {noise:.4f}")
    print(f"  {'joint':28s} {joint.fitted:.4f} {joint.held_out:.4f}")
    checks = {"converged": done.ok, "not below the noise": joint.held_out > noise}
    for name, other in seen.others.items():
        print(f"  {name:28s} {other.fitted:.4f} {other.held_out:.4f}")
        checks[f"below {name}"] = joint.held_out < other.held_out
    for name, passed in checks.items():
        print(f"{'passed' if passed else 'FAILED'}  {name}")
    sys.exit(0 if all(checks.values()) else 1)


if __name__ == "__main__":
    main()
