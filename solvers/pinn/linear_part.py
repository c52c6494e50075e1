"""Derivatives that enter a residual linearly, with coefficients known beforehand: they share one channel of the jets.

The heat operator ``u_t - nu u_xx`` of Burgers' equation is one number at each point, whatever the field; only ``u`` and
``u_x`` are needed apart. Found by trying: a residual is a black box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from retrodict.physics.system import Derivatives, Key
from retrodict.solvers.pinn.jets import closure, partitions

__all__ = ["linear_part"]

Residual = Callable[[Derivatives, Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]
_SIZES = (1e-3, 1.0, 1e3)


def linear_part(
    residual: Residual,
    wanted: Sequence[Key],
    coords: Mapping[str, Tensor],
    params: Mapping[str, Tensor],
    unknown: Sequence[str] = (),
) -> dict[Key, Tensor]:
    """Return derivatives of one field that may be combined, and their coefficients at points.

    Parameters
    ----------
    residual : callable
        ``(d, coords, params) -> {name: Tensor of shape (n,)}``.
    wanted : sequence of Key
        Derivatives that it needs.
    coords, params : Mapping of str to Tensor
        Points, each of shape (n,), and coefficients.
    unknown : sequence of str, optional
        Coefficients that will change: what depends on them is left alone.

    Returns
    -------
    dict of Key to Tensor
        Empty where there is more than one equation or field, or nothing would be saved.

    Examples
    --------
    >>> from retrodict.physics.pde.burgers import burgers
    >>> system = burgers(0.5)
    >>> at, params = {"t": torch.zeros(2), "x": torch.zeros(2)}, {"c": torch.tensor(0.0), "nu": torch.tensor(0.5)}
    >>> linear_part(system.residuals, system.derivatives, at, params)
    {('u', 't'): tensor([1., 1.]), ('u', 'x', 'x'): tensor([-0.5000, -0.5000])}
    """
    if len({k[0] for k in wanted}) != 1:
        return {}
    generator = torch.Generator().manual_seed(0)
    trials = []
    for size in _SIZES:
        moved = {k: v * (1 + 0.5 * size * (k in unknown)) + 0.1 * size * (k in unknown) for k, v in params.items()}
        slopes = _slopes(residual, wanted, coords, moved, size, generator)
        if slopes is None:
            return {}
        trials.append(slopes)
    fixed = {k: trials[0][k] for k in wanted if len(k) > 1 and all(_equal(t[k], trials[0][k]) for t in trials[1:])}
    apart = closure([k[1:] for k in wanted if k not in fixed])
    needed = closure([*apart, *(p for k in fixed for bs in partitions(k[1:]) if len(bs) > 1 for p in bs)])
    saved = len(closure([k[1:] for k in wanted])) - len(needed) - 1
    return fixed if saved > 0 else {}


def _slopes(
    residual: Residual,
    wanted: Sequence[Key],
    coords: Mapping[str, Tensor],
    params: Mapping[str, Tensor],
    size: float,
    generator: torch.Generator,
) -> dict[Key, Tensor] | None:
    """Return the derivative of the one residual by each of its inputs, at random values of a size."""
    like = next(iter(coords.values()))
    draws = [size * torch.randn(len(like), generator=generator, dtype=torch.float64) for _ in wanted]
    leaves = [draw.to(like).requires_grad_() for draw in draws]
    rows = list(residual(Derivatives(dict(zip(wanted, leaves, strict=True))), coords, params).values())
    if len(rows) != 1 or rows[0].shape != like.shape or not rows[0].requires_grad:
        return None
    found = torch.autograd.grad(rows[0].sum(), leaves, allow_unused=True)
    return {k: torch.zeros_like(like) if g is None else g for k, g in zip(wanted, found, strict=True)}


def _equal(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a, b, rtol=1e-6 if a.dtype is torch.float32 else 1e-13, atol=0.0))
