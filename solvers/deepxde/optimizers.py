"""The state of torch optimisers as plain arrays, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retrodict.physics.spaces import Array

__all__ = ["as_array", "pack_optimizer", "unpack_optimizer"]

_ATTRIBUTES = ("U", "S", "rho", "old_dir", "n_iters")
"""What Newton-CG keeps outside its state."""


def as_array(value: Tensor) -> Array:
    """Return a copy of a tensor.

    Examples
    --------
    >>> as_array(torch.ones(1))
    array([1.], dtype=float32)
    """
    return np.array(value.detach().cpu().numpy())


def pack_optimizer(optimizer: Any) -> dict[str, Array]:
    """Return the state of a torch optimiser as arrays; each name ends with the kind of its value.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Adam, L-BFGS or DeepXDE's Newton-CG.

    Returns
    -------
    dict of str to ndarray
        For `unpack_optimizer`.

    Examples
    --------
    >>> w = torch.zeros(1, requires_grad=True)
    >>> adam = torch.optim.Adam([w])
    >>> w.sum().backward()
    >>> _ = adam.step()
    >>> sorted(pack_optimizer(adam))
    ['0.exp_avg.tensor', '0.exp_avg_sq.tensor', '0.step.tensor']
    """
    out: dict[str, Array] = {}

    def put(name: str, value: Any) -> None:
        if isinstance(value, list):
            for i, v in enumerate(value):
                put(f"{name}.{i}", v)
            out[f"{name}.list"] = np.array(len(value))
        elif isinstance(value, Tensor):
            out[f"{name}.tensor"] = as_array(value)
        elif value is not None:
            out[f"{name}.{'int' if isinstance(value, int) else 'float'}"] = np.array(value)

    for i, slots in optimizer.state_dict()["state"].items():
        for name, value in slots.items():
            # scratch space of L-BFGS, and a step length that Newton-CG notes and never reads
            if name not in ("al", "t") or (name == "t" and "d" in slots):
                put(f"{i}.{name}", value)
    for name in _ATTRIBUTES:
        put(f"own.{name}", getattr(optimizer, name, None))
    return out


def unpack_optimizer(optimizer: Any, arrays: Mapping[str, Array]) -> None:
    """Inverse of `pack_optimizer`, into a fresh optimiser of the same kind.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Changed in place.
    arrays : Mapping of str to ndarray
        What `pack_optimizer` returned.

    Examples
    --------
    >>> w = torch.zeros(1, requires_grad=True)
    >>> adam = torch.optim.Adam([w])
    >>> unpack_optimizer(adam, {"0.step.tensor": np.array(3.0), "0.exp_avg.tensor": np.ones(1)})
    >>> adam.state[w]["step"]
    tensor(3., dtype=torch.float64)
    """
    kinds = {k.rpartition(".")[0]: k.rpartition(".")[2] for k in arrays}
    device = optimizer.param_groups[0]["params"][0].device

    def get(name: str) -> Any:
        kind = kinds.get(name)
        if kind is None:
            return None
        value = arrays[f"{name}.{kind}"]
        if kind == "list":
            return [get(f"{name}.{i}") for i in range(int(value))]
        if kind == "tensor":
            # in the order of its memory, which decides how products with it are rounded
            tensor = torch.from_numpy(value.copy(order="K"))
            return tensor if name.endswith(".step") else tensor.to(device)
        return int(value) if kind == "int" else float(value)

    state: dict[int, dict[str, Any]] = {}
    for name in kinds:
        owner, _, slot = name.partition(".")
        if owner == "own":
            setattr(optimizer, slot, get(name))
        elif "." not in slot:
            state.setdefault(int(owner), {})[slot] = get(name)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
