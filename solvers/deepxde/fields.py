"""Derivatives, residuals and hard constraints of a `PDESystem` on a network of DeepXDE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from retrodict.physics.system import Derivatives, Key
from retrodict.solvers.deepxde.conditions import Axes
from retrodict.solvers.pinn.constraints import Ansatz, check_conditions, hard_and_soft, periodic_coords
from retrodict.solvers.pinn.features import Features

__all__ = ["constrain", "derivatives_of", "inputs_of", "residual_of"]


def derivatives_of(
    dde: Any, axes: Axes, fields: Sequence[str], wanted: Sequence[Key], x: Tensor, y: Tensor
) -> Derivatives:
    """Return derivatives of a network's outputs by DeepXDE's own cached Jacobians and Hessians.

    Parameters
    ----------
    dde : module
        The library.
    axes : Axes
        Meaning of the inputs' columns.
    fields : sequence of str
        Meaning of the outputs' columns.
    wanted : sequence of Key
        What to compute; any order.
    x, y : Tensor, shapes (n, dim) and (n, fields)
        Inputs and outputs.

    Returns
    -------
    Derivatives
        Each of shape (n,), with the graph behind them.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.deepxde.session import session
    >>> x = torch.tensor([[3.0, 1.0]], requires_grad=True)  # space first, time last
    >>> with session("float32") as dde:
    ...     d = derivatives_of(dde, Axes(convection(1.0)), ["u"], [("u", "t", "x")], x, x[:, :1] ** 2 * x[:, 1:])
    >>> float(d["u", "x", "t"].detach())
    6.0
    """

    def column(name: str, by: Sequence[str]) -> Tensor:
        i, j = fields.index(name), [axes.names.index(c) for c in by]
        if not j:
            return y[:, i : i + 1]
        if len(j) == 1:
            return dde.grad.jacobian(y, x, i=i, j=j[0])  # type: ignore[no-any-return]
        d = dde.grad.hessian(y, x, component=i, i=j[0], j=j[1])
        for k in j[2:]:
            d = dde.grad.jacobian(d, x, i=0, j=k)
        return d  # type: ignore[no-any-return]

    return Derivatives({key: column(key[0], key[1:])[:, 0] for key in wanted})


def residual_of(
    dde: Any, axes: Axes, params: Mapping[str, Tensor], names: Sequence[str] | None = None
) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """Return the function of inputs and outputs that DeepXDE calls a PDE.

    Parameters
    ----------
    dde : module
        The library.
    axes : Axes
        Of the system.
    params : Mapping of str to Tensor
        Coefficients; unknown ones are trainable.
    names : sequence of str, optional
        Order of the equations.

    Returns
    -------
    callable
        ``(x, y) -> list of Tensor``, each of shape (n, 1).

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.deepxde.session import session
    >>> x = torch.tensor([[3.0, 1.0]], requires_grad=True)
    >>> with session("float32") as dde:
    ...     equations = residual_of(dde, Axes(convection(2.0)), {"c": torch.tensor(2.0)})
    ...     rows = equations(x, x.sum(1, keepdim=True))
    >>> float(rows[0].detach())  # u_t + 2 u_x of x + t
    3.0
    """
    system, fields = axes.system, list(axes.system.fields)

    def equations(x: Tensor, y: Tensor) -> list[Tensor]:
        d = derivatives_of(dde, axes, fields, list(system.derivatives), x, y)
        rows = system.residuals(d, axes.split(x), params)
        return [rows[name][:, None] for name in names or rows]

    return equations


def constrain(net: Any, axes: Axes) -> int:
    """Give a network the periodic inputs and the ansatz that satisfy every hard condition.

    Parameters
    ----------
    net : deepxde network
        What to change.
    axes : Axes
        Of the system.

    Returns
    -------
    int
        Number of inputs that the first layer gets.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.deepxde.session import session
    >>> with session("float64") as dde:
    ...     net = dde.nn.FNN([3, 4, 1], "tanh", "Glorot normal")
    ...     inputs = constrain(net, Axes(convection(1.0)))
    ...     u = net(torch.tensor([[1.0, 0.0]]))
    >>> inputs, round(float(u.detach()), 6)  # time, cosine and sine; sin 1
    (3, 0.841471)
    """
    system = axes.system
    check_conditions(system)
    hard = hard_and_soft(system)[0]
    features = inputs_of(axes)
    parts = [Ansatz(name, system.coords, hard) for name in system.fields]

    def outputs(x: Tensor, y: Tensor) -> Tensor:
        at = axes.split(x)
        return torch.stack([p.base(at) + p.factor(at) * y[:, i] for i, p in enumerate(parts)], -1)

    net.apply_feature_transform(lambda x: features(axes.split(x)))
    net.apply_output_transform(outputs)
    return features.size


def inputs_of(axes: Axes) -> Features:
    """Return the inputs of a network with hard constraints: those of `retrodict.solvers.pinn.trial.separate_networks`.

    Parameters
    ----------
    axes : Axes
        Of the system.

    Returns
    -------
    Features
        Periodic where the system is.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> inputs_of(Axes(convection(1.0))).size
    3
    """
    return Features.of(axes.system.coords, dict.fromkeys(periodic_coords(axes.system.conditions), 1))
