"""A flame as solved: equations, parameters, state, how it ended, and a Dataset of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.equations import FlameEquations, Params
from retrodict.solvers.base import Status
from retrodict.solvers.flames.system import FlameSystem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FlameSolution"]

Floats = NDArray[np.float64]
_UNITS = {
    "T": "K",
    "Y": "1",
    "rho": "kg/m3",
    "u": "m/s",
    "V": "1/s",
    "m": "kg/m2/s",
    "s_L": "m/s",
    "Lambda": "Pa/m2",
}
_NAMES = {
    "T": "temperature",
    "Y": "mass fraction",
    "rho": "density",
    "u": "axial velocity",
    "V": "radial velocity over radius",
    "m": "mass flux",
    "s_L": "laminar burning velocity",
    "Lambda": "radial pressure gradient over radius",
}


@dataclass(frozen=True)
class FlameSolution:
    """A solved flame.

    Parameters
    ----------
    equations : FlameEquations
        On the nodes of the solution.
    params : dict of str to Tensor
        Of the mechanism and the conditions.
    U : ndarray, shape (n, M)
        Nodal unknowns.
    z : ndarray, shape (q,)
        Scalars.
    status : Status
        ``CONVERGED``, or how it failed.
    reason : str
        A sentence for a report.
    newton_steps, time_steps : int
        Steps taken on all grids together.
    """

    equations: FlameEquations
    params: Params
    U: Floats
    z: Floats
    status: Status
    reason: str
    newton_steps: int = 0
    time_steps: int = 0

    @property
    def system(self) -> FlameSystem:
        """Equations and parameters as Newton's method sees them."""
        return FlameSystem(self.equations, self.params)

    def required(self, where: str) -> FlameSolution:
        """Return the flame itself.

        Parameters
        ----------
        where : str
            Who asks for it.

        Raises
        ------
        SolverError
            If it did not converge: its numbers are those of an iterate, not of a flame.
        """
        if not self.status.ok:
            raise SolverError(expected(where, f"{self.status.value}: {self.reason}", "a converged flame"))
        return self

    def observables(self) -> dict[str, Floats]:
        """Return speeds and profiles as arrays; see the equations for their names."""
        with torch.no_grad():
            seen = self.equations.observables(self.params, torch.as_tensor(self.U), torch.as_tensor(self.z))
        return {k: v.numpy() for k, v in seen.items()}

    def dataset(self) -> xr.Dataset:
        """Return everything with units over the coordinates ``x`` (m) and ``species``."""
        import xarray as xr

        data = {}
        for name, values in self.observables().items():
            dims = ((), ("x",), ("x", "species"))[values.ndim]
            data[name] = (dims, values, {"units": _UNITS[name], "long_name": _NAMES[name]})
        coords = {
            "x": ("x", self.equations.x.numpy(), {"units": "m", "long_name": "position"}),
            "species": ("species", list(self.equations.mechanism.species)),
        }
        attrs: dict[str, Any] = {
            "status": self.status.value,
            "reason": self.reason,
            "mechanism": self.equations.mechanism.name,
        }
        attrs |= {"newton_steps": self.newton_steps, "time_steps": self.time_steps}
        attrs["edge_slopes"] = self.edge_slopes()
        return xr.Dataset(data, coords, attrs)

    def edge_slopes(self) -> Floats:
        """Return the slopes of the temperature at both ends relative to the steepest: signs of a short domain."""
        T, x = self.observables()["T"], self.equations.x.numpy()
        slope = np.abs(np.diff(T) / np.diff(x))
        ends = [slope[0], slope[-2]]  # the last cell has none where the gradient vanishes by definition
        return np.asarray(ends) / max(float(slope.max()), np.finfo(float).tiny)
