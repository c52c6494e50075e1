"""Trial solutions: hard conditions plus factors times networks, with all derivatives by jets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import Coords, Derivatives, Key, PDESystem, key
from retrodict.solvers.pinn.constraints import Ansatz, check_conditions, hard_and_soft, periodic_coords
from retrodict.solvers.pinn.features import Features
from retrodict.solvers.pinn.networks import Network
from retrodict.solvers.pinn.prepared import Prepared

__all__ = ["Trial", "separate_networks"]


def separate_networks(
    system: PDESystem, width: int = 20, depth: int = 3, *, harmonics: int = 1, activation: str = "tanh"
) -> tuple[Network, ...]:
    """Return one network for every field of a system, periodic where the system is.

    Parameters
    ----------
    system : PDESystem
        Gives fields, box and periods.
    width, depth : int, optional
        Hidden layers and their width.
    harmonics : int, optional
        Harmonics of every periodic coordinate among the inputs.
    activation : str, optional
        See `Network`.

    Returns
    -------
    tuple of Network
        In the order of the fields; none for those that the system prescribes.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> [network.fields for network in separate_networks(convection(1.0))]
    [('u',)]
    """
    periodic = dict.fromkeys(periodic_coords(system.conditions), harmonics)
    features = Features.of(system.coords, periodic)
    free = [name for name in system.fields if name not in system.prescribed]
    return tuple(Network((name,), features, width, depth, activation) for name in free)


class Trial:
    """Fields ``A + B N`` that satisfy the hard conditions of a system for any weights.

    Parameters
    ----------
    system : PDESystem
        Gives conditions and box.
    networks : sequence of Network
        Together they yield every field once; each is periodic where the system is.
    dtype : torch.dtype, optional
        Precision.
    device : str, optional
        Where to compute.

    Raises
    ------
    SolverError
        If a field is missing or comes twice, a network is not periodic where the system is, or the conditions
        contradict each other.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> system = convection(2.0)
    >>> trial = Trial(system, separate_networks(system, 8, 2))
    >>> d = trial.derivatives(trial.draw(np.random.default_rng(0)), {"t": [0.0], "x": [1.0]}, system.derivatives)
    >>> round(float(d["u"][0]), 6), round(float(d["u", "x"][0]), 6)  # sin 1, cos 1
    (0.841471, 0.540302)
    """

    def __init__(
        self, system: PDESystem, networks: Sequence[Network], *, dtype: torch.dtype = torch.float64, device: str = "cpu"
    ) -> None:
        check_conditions(system)
        got = [f for network in networks for f in network.fields]
        free = [f for f in system.fields if f not in system.prescribed]
        if sorted(got) != sorted(free):
            raise SolverError(expected("Trial.networks", got, f"each of {free} once"))
        hard, self.soft = hard_and_soft(system)
        for network in networks:
            if lacking := [c for c in periodic_coords(hard) if c not in network.features.harmonics]:
                raise SolverError(expected("Trial.networks", f"inputs not periodic in {lacking}", "harmonics of them"))
        self.system, self.networks, self.dtype, self.device = system, tuple(networks), dtype, torch.device(device)
        self.ansatz = {f: Ansatz(f, system.coords, hard) for f in system.fields}
        self.size = sum(n.size for n in networks)
        edges = np.cumsum([0, *(n.size for n in networks)])
        self.slices = tuple(slice(int(a), int(b)) for a, b in pairwise(edges))

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return starting weights of all networks.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray, shape (size,)
            Weights.
        """
        return np.concatenate([network.draw(rng) for network in self.networks])

    @property
    def matrices(self) -> list[tuple[slice, tuple[int, ...]]]:
        """Where the matrix and the bias of every layer are in the flat vector, and their shapes."""
        views, at = [], 0
        for n, m in (layer for network in self.networks for layer in network.layers):
            views += [(slice(at, at + n * m), (n, m)), (slice(at + n * m, at + n * (m + 1)), (n,))]
            at += n * (m + 1)
        return views

    def tensor(self, values: object) -> Tensor:
        """Return values in the precision and on the device of the trial."""
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)

    def fields(self, weights: object, coords: Coords) -> dict[str, Tensor]:
        """Return the fields by plain torch: differentiable by everything, for any nesting.

        Parameters
        ----------
        weights : array, shape (size,)
            All weights.
        coords : Mapping of str to Tensor
            Points, each of shape (n,).

        Returns
        -------
        dict of str to Tensor
            Each of shape (n,).
        """
        w = weights if isinstance(weights, Tensor) else self.tensor(weights)
        out = {name: self.ansatz[name].base(coords) for name in self.system.prescribed}
        for network, part in zip(self.networks, self.slices, strict=True):
            values = network(w[part], network.features(coords))
            for i, name in enumerate(network.fields):
                out[name] = self.ansatz[name].base(coords) + self.ansatz[name].factor(coords) * values[:, i]
        return {name: out[name] for name in self.system.fields}

    def prepare(
        self, coords: Mapping[str, object], wanted: Sequence[Key], combined: Mapping[Key, Tensor] | None = None
    ) -> Prepared:
        """Return what does not depend on the weights, for a set of points.

        Parameters
        ----------
        coords : Mapping of str to array
            Points, each of shape (n,).
        wanted : sequence of Key
            Derivatives wanted.
        combined : Mapping of Key to Tensor, optional
            Derivatives of one field of which only the sum with these coefficients, each of shape (n,), is wanted.

        Returns
        -------
        Prepared
            Evaluates them for any weights.
        """
        return Prepared(self, {k: self.tensor(v) for k, v in coords.items()}, [key(*k) for k in wanted], combined)

    def derivatives(self, weights: object, coords: Mapping[str, object], wanted: Sequence[Key]) -> Derivatives:
        """Return derivatives of the fields at points, each of shape (n,).

        Parameters
        ----------
        weights : array, shape (size,)
            All weights.
        coords : Mapping of str to array
            Points, each of shape (n,).
        wanted : sequence of Key
            Derivatives wanted.

        Returns
        -------
        Derivatives
            Without a graph behind them.
        """
        prepared = self.prepare(coords, wanted)
        w = self.tensor(weights)
        parts = [prepared.forward(w, block)[0] for block in prepared.blocks]
        return Derivatives({k: torch.cat([p[i] for p in parts]) for i, k in enumerate(prepared.wanted)})
