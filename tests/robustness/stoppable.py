"""A case whose every verb solves something inside: the settings say where a signal stops it, and how the solve ends."""

import signal
import time
from pathlib import Path

import numpy as np
import xarray as xr

from retrodict.cases.case import Case
from retrodict.cases.checks import Check, Invariant, max_abs
from retrodict.cases.config import CaseConfig, setting
from retrodict.solvers.base import Status
from retrodict.solvers.iterate import finished


class Config(CaseConfig):
    """Where a signal comes, the first time only, and how the inner solve ends."""

    signal: str = setting("", "", "name of the signal")
    at: str = setting("solve", "", "solve: in a step of the solve; outside: behind its loop")
    ends: str = setting("converged", "", "status of the inner solve")
    pause: float = setting(0.0, "s", "duration of a step")
    max_steps: int = setting(10, "", "largest number of steps")
    checkpoint_every: int = setting(100, "", "steps between two checkpoints")


def send(config: Config, at: str) -> None:
    """Raise the signal of the settings, unless that was done before."""
    if config.signal and config.at == at and not Path("sent").exists():
        Path("sent").touch()
        signal.raise_signal(signal.Signals[config.signal])


class Halving:
    """A number that is halved four times, and gets a signal in the second step."""

    name = "halving"

    def __init__(self, config: Config) -> None:
        self.config = config

    def init(self):
        return 1.0

    def step(self, state):
        time.sleep(self.config.pause)
        if state == 0.5:
            send(self.config, "solve")
        failed = self.config.ends == "non-finite" and state == 0.125
        return state / 2, {"size": np.nan if failed else state / 2}

    def done(self, metrics):
        return Status(self.config.ends) if metrics["size"] <= 1 / 16 else None

    def solution(self, state):
        send(self.config, "outside")
        return xr.Dataset({"x": ("i", [state], {"units": "m"})})

    def pack(self, state):
        return {"x": np.array(state)}

    def unpack(self, arrays):
        return float(arrays["x"])


def solved(config: Config) -> xr.Dataset:
    """Return what the inner solve gives."""
    return finished(Halving(config), config.max_steps).data


def checks(config, _seeds):
    """Return three checks, of which the second asks for the inner solve."""
    return [
        Check("before", lambda: 0.0, Invariant(0.0), 0.0, max_abs),
        Check("solve", lambda: solved(config)["x"].values, Invariant(1 / 16), 0.0, max_abs),
        Check("after", lambda: 0.0, Invariant(0.0), 0.0, max_abs),
    ]


def problem(config, _seeds, _data):
    """Return the settings: the solver is all there is."""
    return config


case = Case(
    name="stoppable",
    system="tests",
    summary="Verbs that are stopped.",
    Config=Config,
    simulate=lambda config, _seeds: solved(config),
    problem=problem,
    solver=lambda config, _problem: Halving(config),
    checks=checks,
)
