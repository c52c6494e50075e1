"""What training minimises: half a weighted mean square of residuals, as an objective and as least squares.

The chain of derivatives is cut in two: the pointwise part, from values and derivatives of the fields to residuals, by
automatic differentiation on arrays of shape (n,); the network's part by the reverse pass of the jets. The first serves
any system, the second is where the time goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Array, Space, Tree, Var
from retrodict.physics.system import Derivatives
from retrodict.solvers.pinn.linear_part import linear_part
from retrodict.solvers.pinn.parts import Part
from retrodict.solvers.pinn.prepared import Memory, Prepared
from retrodict.solvers.pinn.trial import Trial

__all__ = ["ResidualLoss"]


class ResidualLoss:
    """Half the weighted mean square of all parts, over the weights of a trial and unknown coefficients.

    Parameters
    ----------
    trial : Trial
        Fields as functions of the weights.
    parts : sequence of Part
        Equations, soft conditions, data.
    start : ndarray, shape (size,)
        Weights to begin with.
    unknown : Mapping of str to float, optional
        Coefficients of the system to find, and where to begin; the others keep their values.
    name : str, optional
        Identifies the problem in checkpoints.

    Raises
    ------
    SolverError
        If there is no part, an unknown is no coefficient, a soft condition has no part, points are not finite, or
        ``start`` has another length.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.parts import equation_part
    >>> from retrodict.solvers.pinn.trial import separate_networks
    >>> system = convection(2.0)
    >>> trial = Trial(system, separate_networks(system, 8, 2))
    >>> points = {"t": np.linspace(0, 1, 9), "x": np.linspace(0, 6, 9)}
    >>> start = trial.draw(np.random.default_rng(0))
    >>> loss = ResidualLoss(trial, [equation_part(trial, points)], start)
    >>> r, jacobian = loss.jacobian(loss.start)
    >>> bool(np.isclose(loss.value(loss.start), 0.5 * r @ r)), jacobian.shape
    (True, (9, 113))
    """

    def __init__(
        self,
        trial: Trial,
        parts: Sequence[Part],
        start: NDArray[np.float64],
        *,
        unknown: Mapping[str, float] | None = None,
        name: str = "pinn",
    ) -> None:
        self.trial, self.parts, self.unknown, self.name = trial, tuple(parts), dict(unknown or {}), name
        if strange := sorted(set(self.unknown) - set(trial.system.params)):
            raise SolverError(expected("unknown", strange, f"coefficients among {sorted(trial.system.params)}"))
        if lacking := [c.name for c in trial.soft if c.name not in {p.name for p in parts}]:
            raise SolverError(expected("parts", [p.name for p in parts], f"one for every soft condition: {lacking}"))
        if not parts or start.shape != (trial.size,):
            raise SolverError(
                expected("ResidualLoss", f"{len(parts)} parts, start {start.shape}", f"parts, ({trial.size},)")
            )
        for part in parts:
            if not all(np.all(np.isfinite(np.asarray(v))) for v in part.coords.values()):
                raise SolverError(expected(f"points of {part.name}", "some that are not finite", "numbers"))
        self.space = Space({"weights": Var(("weight",), (trial.size,)), **{k: Var() for k in self.unknown}})
        self.start: Tree = {
            "weights": np.asarray(start, float),
            **{k: np.asarray(v, float) for k, v in self.unknown.items()},
        }
        self.precision = str(trial.dtype).removeprefix("torch.")
        self._known = {k: trial.tensor(v) for k, v in trial.system.values.items()}
        self._prepared = [self._prepare(part) for part in parts]
        self._factors = [self._roots(p, q) for p, q in zip(self.parts, self._prepared, strict=True)]
        self._last: tuple[bytes, float, NDArray[np.float64]] | None = None
        self.evaluations = 0

    def _prepare(self, part: Part) -> Prepared:
        """Return the part's derivatives at its points; those that enter linearly are combined."""
        coords = {k: self.trial.tensor(v) for k, v in part.coords.items()}
        if part.stencil != 1:
            prepared = self.trial.prepare(coords, part.wanted)
            prepared.blocks = [slice(0, prepared.count)]  # what is coupled must not be parted
            return prepared
        mixed = linear_part(part.residual, part.wanted, coords, self._known, tuple(self.unknown))
        return self.trial.prepare(coords, [k for k in part.wanted if k not in mixed], mixed)

    def _roots(self, part: Part, prepared: Prepared) -> Tensor:
        """Return the square roots of the points' weights, so that the sum of squares is the weighted mean."""
        count, rest = divmod(prepared.count, part.stencil)
        if rest:
            raise SolverError(expected(f"points of {part.name}", prepared.count, f"a multiple of {part.stencil}"))
        points = np.ones(count) if part.points is None else np.asarray(part.points, float)
        if points.shape != (count,) or not np.all(points >= 0):
            raise SolverError(expected(f"weights of {part.name}", points.shape, f"({count},), not negative"))
        return self.trial.tensor(np.sqrt(part.weight * points / count))

    def value(self, x: Tree) -> float:
        """Return the loss."""
        return self.value_and_gradient(x)[0]

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return the gradient by weights and unknown coefficients."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: Tree) -> tuple[float, dict[str, Array]]:
        """Return both at the cost of the gradient; the last point is remembered."""
        mark = self.space.pack(x).tobytes()
        if self._last is None or self._last[0] != mark:
            self._last = (mark, *self._evaluate(x))
        _, value, gradient = self._last
        return value, self.space.unpack(gradient.copy())

    def _evaluate(self, x: Tree) -> tuple[float, NDArray[np.float64]]:
        self.evaluations += 1
        weights, params, free = self._inputs(x)
        bar = torch.zeros_like(weights)
        slopes = [torch.zeros_like(f) for f in free]
        value = 0.0
        for part, prepared, roots in zip(self.parts, self._prepared, self._factors, strict=True):
            for block in prepared.blocks:
                values, memory = prepared.forward(weights, block)
                leaves, rows = self._residuals(part, prepared, block, values, params, roots)
                half = 0.5 * torch.stack([(r * r).sum() for r in rows.values()]).sum()
                cotangent = torch.autograd.grad(half, [*leaves, *free], allow_unused=True)
                value += float(half.detach())
                prepared.gradient(weights, block, memory, _stacked(cotangent[: len(leaves)], leaves), bar)
                for slope, g in zip(slopes, cotangent[len(leaves) :], strict=True):
                    if g is not None:
                        slope += g
        packed = torch.cat([bar, *(s.reshape(1) for s in slopes)])
        return value, packed.double().cpu().numpy()

    def residual(self, x: Tree) -> NDArray[np.float64]:
        """Return the weighted residuals of all parts, shape (m,), without any derivative by the unknowns.

        Parameters
        ----------
        x : Mapping of str to ndarray
            Weights and unknowns.

        Returns
        -------
        ndarray
            Its half sum of squares is the loss.
        """
        weights, params, _ = self._inputs(x)
        found = []
        for part, prepared, roots in zip(self.parts, self._prepared, self._factors, strict=True):
            for block in prepared.blocks:
                values, _ = prepared.forward(weights, block)
                rows = self._residuals(part, prepared, block, values, params, roots)[1]
                found += [r.detach() for r in rows.values()]
        return np.asarray(torch.cat(found).double().cpu().numpy())

    def jacobian(self, x: Tree) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weighted residuals of all parts and their derivative.

        Parameters
        ----------
        x : Mapping of str to ndarray
            Weights and unknowns.

        Returns
        -------
        residual : ndarray, shape (m,)
            Its half sum of squares is the loss.
        jacobian : ndarray, shape (m, n)
            Derivative by the packed unknowns.
        """
        weights, params, free = self._inputs(x)
        residual, rows = [], []
        for part, prepared, roots in zip(self.parts, self._prepared, self._factors, strict=True):
            for block in prepared.blocks:
                values, memory = prepared.forward(weights, block)
                leaves, each = self._residuals(part, prepared, block, values, params, roots)
                for r in each.values():
                    residual.append(r.detach())
                    rows.append(self._rows(part, prepared, block, memory, weights, r, leaves, free))
        return torch.cat(residual).double().cpu().numpy(), torch.cat(rows).double().cpu().numpy()

    def _rows(
        self,
        part: Part,
        prepared: Prepared,
        block: slice,
        memory: Memory,
        weights: Tensor,
        r: Tensor,
        leaves: list[Tensor],
        free: list[Tensor],
    ) -> Tensor:
        """Return the derivative of one residual at the points of a block."""
        points = block.stop - block.start
        out = []
        for piece in r.view(-1, points // part.stencil):
            row = weights.new_zeros(points, self.space.size)
            slopes = torch.autograd.grad(piece.sum(), leaves, retain_graph=True, allow_unused=True)
            prepared.jacobian(weights, block, memory, _stacked(slopes, leaves), row[:, : self.trial.size])
            if part.stencil != 1:
                row = row.view(part.stencil, -1, self.space.size).sum(0)
            for i, f in enumerate(free):
                row[:, self.trial.size + i] = _forward_slope(piece, f)
            out.append(row)
        return torch.cat(out)

    def _inputs(self, x: Tree) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        weights = self.trial.tensor(x["weights"])
        free = [self.trial.tensor(x[k]).clone().requires_grad_() for k in self.unknown]
        return weights, {**self._known, **dict(zip(self.unknown, free, strict=True))}, free

    def _residuals(
        self, part: Part, prepared: Prepared, block: slice, values: Tensor, params: Mapping[str, Tensor], roots: Tensor
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the leaves of the pointwise graph and the weighted residuals behind it."""
        leaves = [v.detach().requires_grad_() for v in values]
        named = dict(zip(prepared.wanted, leaves, strict=False))
        named |= {k: torch.zeros_like(values[0]) for k in prepared.combined}
        d = Derivatives(named)
        coords = {k: v[block] for k, v in prepared.coords.items()}
        rows = {}
        for name, r in part.residual(d, coords, params).items():
            if prepared.combined:  # the one equation is linear in what was combined, and that is the last row
                r = r + leaves[-1]
            root = roots[block] * part.scales.get(name, 1.0)
            rows[name] = (r.view(-1, len(root)) * root).flatten()
        return leaves, rows


def _stacked(slopes: Sequence[Tensor | None], leaves: Sequence[Tensor]) -> Tensor:
    """Return slopes as one tensor; what a residual does not depend on has none."""
    return torch.stack([torch.zeros_like(v) if g is None else g for g, v in zip(slopes, leaves, strict=True)])


def _forward_slope(piece: Tensor, scalar: Tensor) -> Tensor:
    """Return ``d piece / d scalar``, shape of ``piece``, by differentiating the reverse pass by its own weights."""
    dummy = torch.ones_like(piece, requires_grad=True)
    (g,) = torch.autograd.grad((piece * dummy).sum(), scalar, create_graph=True, allow_unused=True)
    if g is None or not g.requires_grad:
        return torch.zeros_like(piece)
    (out,) = torch.autograd.grad(g, dummy, retain_graph=True, allow_unused=True)
    return torch.zeros_like(piece) if out is None else out
