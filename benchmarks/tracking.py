"""The lidar/radar track of spec 7.6: sigma-point filter and smoother, process noise by maximum likelihood.

    python benchmarks/tracking.py FILE

FILE is the 500-row lidar/radar track with ground truth of the Udacity self-driving course; it has no licence and is
not part of this repository. Prints our figures beside those of the specification, and exits with 1 if the
log-likelihood or a root-mean-square error is off by more than what the unstated first covariance explains.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from retrodict.inverse.motion.filtering import Filtered, Measurement, kalman_filter, smooth
from retrodict.inverse.motion.vehicles import constant_turn, lidar, radar

SPEC = {"nll": -592.76, "nll at 1.0, 0.5": -588.24, "std_a": 0.537, "std_yaw_acceleration": 0.504}
SPEC_RMSE = {"filter": (0.062, 0.084, 0.167, 0.162), "smoother": (0.036, 0.044, 0.038, 0.048)}


def read(path: Path) -> tuple[list[Measurement], np.ndarray]:
    sensors = {"L": (lidar(0.15), 2), "R": (radar(0.3, 0.03, 0.3), 3)}
    seen, truth, first = [], [], None
    for line in path.read_text().splitlines():
        words = line.split()
        sensor, count = sensors[words[0]]
        stamp = int(words[count + 1]) * 1e-6
        first = stamp if first is None else first
        values = torch.tensor([[float(w) for w in words[1 : count + 1]]], dtype=torch.float64)
        seen.append(Measurement(stamp - first, sensor, values))
        truth.append([float(w) for w in words[count + 2 : count + 6]])
    return seen, np.array(truth)


def run(seen: list[Measurement], std: tuple[float, float]) -> Filtered:
    # first position from the first lidar point; 5 m/s and zero yaw with the spread of a car or bicycle nearby
    mean = torch.tensor([[*seen[0].value[0].tolist(), 5.0, 0.0, 0.0]], dtype=torch.float64)
    spread = torch.tensor([0.15, 0.15, 2.0, 0.5, 0.5], dtype=torch.float64)
    return kalman_filter(constant_turn(*std), mean, torch.diag(spread**2)[None], seen, start_time=0.0)


def errors(states: Filtered, truth: np.ndarray) -> np.ndarray:
    m = states.mean[:, 0].numpy()
    found = np.stack([m[:, 0], m[:, 1], m[:, 2] * np.cos(m[:, 3]), m[:, 2] * np.sin(m[:, 3])], -1)
    return np.sqrt(((found - truth) ** 2).mean(0))


def main() -> int:
    torch.set_num_threads(1)
    seen, truth = read(Path(sys.argv[1]))
    began = time.perf_counter()
    objective = lambda x: float(run(seen, (float(np.exp(x[0])), float(np.exp(x[1])))).nll.sum())  # noqa: E731
    corners = np.log([[1.0, 0.5], [0.6, 0.5], [1.0, 0.8]])
    fit = minimize(
        objective, np.log([1.0, 0.5]), method="Nelder-Mead", options={"maxfev": 60, "initial_simplex": corners}
    )
    seconds = time.perf_counter() - began
    std = np.exp(fit.x)
    best = run(seen, (std[0], std[1]))
    ours = {
        "nll": float(best.nll.sum()),
        "nll at 1.0, 0.5": objective(np.log([1.0, 0.5])),
        "std_a": std[0],
        "std_yaw_acceleration": std[1],
    }
    print(f"{fit.nfev} evaluations in {seconds:.1f} s, one thread, torch {torch.__version__}")
    for name, value in ours.items():
        print(f"{name:24s} {value:9.3f}   specification {SPEC[name]:9.3f}")
    late = False
    for name, states in (("filter", best), ("smoother", smooth(best))):
        rmse = errors(states, truth)
        late |= bool(np.any(rmse > np.array(SPEC_RMSE[name]) * 1.15 + 0.002))
        print(f"RMSE {name:10s} px, py, vx, vy", np.round(rmse, 4), "  specification", SPEC_RMSE[name])
    return int(late or abs(ours["nll"] - SPEC["nll"]) > 1.0)


if __name__ == "__main__":
    sys.exit(main())
