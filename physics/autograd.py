"""A torch function made a Differentiable model: the border between torch and the named numpy trees of the suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Array, Space, Tree

__all__ = ["TorchModel", "to_numpy", "to_tensors"]

TensorTree = dict[str, Tensor]


def to_tensors(tree: Tree, space: Space, device: str = "cpu") -> TensorTree:
    """Move a tree of arrays to tensors of the space's types on ``device``.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> to_tensors({"x": np.ones(2)}, Space({"x": Var(("i",), (2,))}))["x"].dtype
    torch.float64
    """
    return {k: torch.as_tensor(np.asarray(tree[k], space[k].dtype), device=device) for k in space}


def to_numpy(tree: Mapping[str, Tensor]) -> dict[str, Array]:
    """Move a tree of tensors to numpy arrays.

    Examples
    --------
    >>> to_numpy({"x": torch.zeros(1)})["x"]
    array([0.], dtype=float32)
    """
    return {k: v.detach().cpu().numpy() for k, v in tree.items()}


@dataclass(frozen=True)
class TorchModel:
    """A Differentiable model from a function of tensors, by forward and reverse automatic differentiation.

    Parameters
    ----------
    domain, range : Space
        Spaces of parameters and data.
    function : callable
        ``{name: Tensor} -> {name: Tensor}``, composed of differentiable torch operations.
    device : str, optional
        Where torch computes.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> square = TorchModel(line, line, lambda t: {"x": t["x"] ** 2})
    >>> value, slope = square.linearize({"x": np.array(3.0)})
    >>> float(slope.adjoint({"x": np.array(1.0)})["x"])
    6.0
    """

    domain: Space
    range: Space
    function: Callable[[TensorTree], TensorTree]
    device: str = "cpu"

    def apply(self, params: Tree) -> dict[str, Array]:
        """Return the data for the parameters.

        Raises
        ------
        SpaceError
            If the parameters do not belong to the domain, or what the function returns not to the range.
        """
        tensors = to_tensors(self.domain.check(params, "params"), self.domain, self.device)
        with torch.no_grad():
            return to_numpy(self._data(tensors))

    def linearize(self, params: Tree) -> tuple[dict[str, Array], Operator]:
        """Return the data and the derivative; tangents by forward mode, adjoints by reverse mode.

        Raises
        ------
        SpaceError
            If the parameters do not belong to the domain, or what the function returns not to the range.
        """
        point = to_tensors(self.domain.check(params, "params"), self.domain, self.device)
        value, pullback, *_ = torch.func.vjp(self._data, point)

        def forward(x: Tree) -> dict[str, Array]:
            tangent = to_tensors(x, self.domain, self.device)
            return to_numpy(cast("TensorTree", torch.func.jvp(self._data, (point,), (tangent,))[1]))

        def transpose(y: Tree) -> dict[str, Array]:
            (gradient,) = pullback(to_tensors(y, self.range, self.device))
            return to_numpy(gradient)

        return to_numpy(value), Operator(self.domain, self.range, forward, transpose)

    def _data(self, tensors: TensorTree) -> TensorTree:
        """Return the function's tensors after comparing them with the range: torch demotes types without a word."""
        out = self.function(tensors)
        if set(out) != set(self.range):
            raise SpaceError(expected("TorchModel", f"a function that returns {sorted(out)}", f"{sorted(self.range)}"))
        for name, var in self.range.items():
            got, kind = out[name], _kind(var.dtype)
            if tuple(got.shape) != var.shape or got.dtype != kind:
                came = f"{got.dtype} of shape {tuple(got.shape)}"
                raise SpaceError(expected(f"TorchModel range[{name!r}]", came, f"{kind} of shape {var.shape}"))
        return out


@cache
def _kind(dtype: str) -> torch.dtype:
    return torch.as_tensor(np.zeros((), dtype)).dtype
