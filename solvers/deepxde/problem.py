"""What DeepXDE is asked to solve, and how; refused by name where it cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import PDESystem
from retrodict.solvers.deepxde.conditions import Axes
from retrodict.solvers.deepxde.session import Precision

__all__ = ["DeepXDEProblem", "DeepXDESetup", "Method"]

Method = Literal["adam", "l-bfgs", "nncg", "adam+l-bfgs", "adam+nncg"]
"""Newton-CG is ``"nncg"``; what stands behind a plus begins where Adam ends."""

_DISTRIBUTIONS = ("uniform", "pseudo", "LHS", "Halton", "Hammersley", "Sobol")
_NEWTON = ("lr", "rank", "mu", "updatefreq", "chunksz", "cgtol", "cgmaxiter", "lsfun")


@dataclass(frozen=True)
class DeepXDESetup:
    """How DeepXDE solves a system.

    Parameters
    ----------
    optimizer : {"adam", "l-bfgs", "nncg", "adam+l-bfgs", "adam+nncg"}, optional
        Method. ``"nncg"``, Newton-CG, fails where the Hessian is far from positive: let Adam go first.
    precision : {"float64", "float32"}, optional
        DeepXDE's default is float32, in which L-BFGS stalls early.
    hard : bool, optional
        Satisfy initial, Dirichlet and periodic conditions exactly, by the ansatz of `retrodict.solvers.pinn.trial`;
        otherwise they are terms of the loss.
    width, depth : int, optional
        Hidden layers of one tanh network for all fields.
    domain, boundary, initial : int, optional
        Number of points inside, on faces, and where time begins.
    distribution : str, optional
        DeepXDE's name of how points are drawn.
    weights : tuple of float, optional
        Of equations, initial and boundary conditions.
    data_weight : float, optional
        Of observations.
    scale : float, optional
        Factor on the whole loss for the optimiser. L-BFGS learns nothing from steps with ``y.s < 1e-10``; a larger loss
        puts that off.
    rate : float, optional
        Learning rate of Adam.
    switch : int, optional
        Iterations of Adam before the method that follows it.
    memory : int, optional
        Pairs that L-BFGS remembers.
    newton : Mapping, optional
        Options of ``deepxde.optimizers.set_NNCG_options``.
    every : int, optional
        Iterations in one step of the trainer.
    seed : int, optional
        Root of all randomness.
    device : str, optional
        Where to compute.

    Raises
    ------
    SolverError
        If a value is unknown or out of range.

    Examples
    --------
    >>> DeepXDESetup("adam", "float32", width=50, depth=4).weights
    (1.0, 100.0, 100.0)
    """

    optimizer: Method = "adam"
    precision: Precision = "float64"
    hard: bool = False
    width: int = 50
    depth: int = 4
    domain: int = 1000
    boundary: int = 100
    initial: int = 100
    distribution: str = "Hammersley"
    weights: tuple[float, float, float] = (1.0, 100.0, 100.0)
    data_weight: float = 100.0
    scale: float = 1.0
    rate: float = 1e-3
    switch: int = 1000
    memory: int = 100
    newton: Mapping[str, Any] = field(default_factory=dict)
    every: int = 50
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        choices = {
            "optimizer": get_args(Method),
            "precision": ("float32", "float64"),
            "distribution": _DISTRIBUTIONS,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise SolverError(expected(f"DeepXDESetup.{name}", repr(getattr(self, name)), f"one of {allowed}"))
        least = {"width": 1, "depth": 1, "domain": 1, "boundary": 2, "initial": 1, "switch": 1, "memory": 1, "every": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise SolverError(expected(f"DeepXDESetup.{name}", getattr(self, name), f"at least {low}"))
        numbers = {"scale": self.scale, "rate": self.rate, "data_weight": self.data_weight}
        numbers |= {f"weights[{i}]": w for i, w in enumerate(self.weights)}
        if bad := {k: v for k, v in numbers.items() if not (np.isfinite(v) and v > 0)}:
            raise SolverError(expected("DeepXDESetup", bad, "positive numbers"))
        if len(self.weights) != 3:
            raise SolverError(expected("DeepXDESetup.weights", self.weights, "three: equations, initial, boundary"))
        if strange := sorted(set(self.newton) - set(_NEWTON)):
            raise SolverError(expected("DeepXDESetup.newton", strange, f"some of {_NEWTON}"))

    def method(self, iteration: int) -> str:
        """Return the method that takes an iteration."""
        first, _, then = self.optimizer.partition("+")
        return then if then and iteration >= self.switch else first

    def until_switch(self, iteration: int) -> int | None:
        """Return how many iterations the method at work has left, None if nothing follows it."""
        return self.switch - iteration if "+" in self.optimizer and iteration < self.switch else None


@dataclass(frozen=True)
class DeepXDEProblem:
    """A system, and what is to be found besides its fields.

    Parameters
    ----------
    system : PDESystem
        What to solve.
    setup : DeepXDESetup, optional
        How.
    unknown : Mapping of str to float, optional
        Coefficients to find, with the values to start from. DeepXDE knows no bounds: they may leave theirs.
    observations : Mapping of str to ndarray, optional
        All coordinates and some fields, each of shape (n,).

    Raises
    ------
    SolverError
        If DeepXDE cannot express the system, a name is unknown, or values are not finite or of different length.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> DeepXDEProblem(convection(1.0), unknown={"speed": 2.0})
    Traceback (most recent call last):
        ...
    retrodict.physics.errors.SolverError: unknown: got 'speed', expected one of ['c']
    """

    system: PDESystem
    setup: DeepXDESetup = field(default_factory=DeepXDESetup)
    unknown: Mapping[str, float] = field(default_factory=dict)
    observations: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        axes = self.axes
        for name, value in self.unknown.items():
            if name not in self.system.params:
                raise SolverError(expected("unknown", repr(name), f"one of {list(self.system.params)}"))
            low, high = self.system.params[name].bounds
            if not (np.isfinite(value) and low <= value <= high):
                raise SolverError(expected(f"unknown {name!r}", value, f"a start in [{low}, {high}]"))
        if self.unknown and "nncg" in self.setup.optimizer:
            got = "nncg, which DeepXDE cannot apply to coefficients"
            raise SolverError(expected("DeepXDESetup.optimizer", got, "another method"))
        if self.observations is not None:
            _check_observations(axes, self.observations)

    @property
    def axes(self) -> Axes:
        """Order of the coordinates."""
        return Axes(self.system)

    @property
    def name(self) -> str:
        """What identifies it in checkpoints."""
        s, values = self.setup, ",".join(f"{k}={v:g}" for k, v in self.system.values.items())
        digest = hashlib.sha256(repr((s, sorted(self.unknown.items()))).encode())
        for name in sorted(self.observations or {}):
            digest.update(name.encode() + np.asarray((self.observations or {})[name], dtype=np.float64).tobytes())
        shape = f"{s.width}x{s.depth}:{s.precision}:{'hard' if s.hard else 'soft'}:{s.domain}+{s.boundary}+{s.initial}"
        kind = f"{type(self.system).__name__} {getattr(self.system, 'name', '')}".strip()
        return f"deepxde:{s.optimizer}:{kind}({values}):{shape}:{','.join(self.unknown)}:{digest.hexdigest()[:8]}"


def _check_observations(axes: Axes, observations: Mapping[str, Any]) -> None:
    fields = [f for f in axes.system.fields if f in observations]
    known = (*axes.names, *axes.system.fields)
    strange = sorted(set(observations) - set(known))
    if not fields or strange:
        wanted = f"all of {axes.names} and some of {tuple(axes.system.fields)}"
        raise SolverError(expected("observations", strange or sorted(observations), wanted))
    points = axes.join(observations)
    for name in known:
        if name not in observations:
            continue
        values = np.asarray(observations[name], dtype=np.float64)
        if values.shape != points.shape[:1] or not len(values) or not np.isfinite(values).all():
            got = f"shape {values.shape}, {int((~np.isfinite(values)).sum())} values not finite"
            raise SolverError(expected(f"observations[{name!r}]", got, f"{len(points)} finite values"))
