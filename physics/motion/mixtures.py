"""Gaussian mixtures over planar trajectories: the output of any forecasting decoder, with its likelihoods.

Everything is batched torch, differentiable, on the device and in the precision of its inputs. A mode is a whole
trajectory; given the mode, steps are independent unless a joint covariance is supplied. Every density is that of the
*observed* position, so the observation noise enters as S + r^2 I. Normalising constants (2 pi) are always kept.
Mixture densities are standard (Bishop, "Pattern Recognition and Machine Learning", 2006, sections 2.3.9 and 9.2).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, DataError, SpaceError, expected
from retrodict.physics.motion.cholesky import cholesky_2x2, whiten_2x2
from retrodict.physics.motion.masks import checked_mask

__all__ = ["GaussianMixture"]

_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """K Gaussian trajectories of T planar positions with unnormalised log weights.

    The methods share their arguments: `target` of shape (..., T, 2) in m, with leading sample dimensions before the
    batch allowed, and an optional boolean `mask` of shape (..., T), True where a step counts. A masked step may hold
    NaN; it yields exactly zero and no gradient. All raise SpaceError for wrong shapes, and DataError if every step is
    masked or, with `check`, if an unmasked target is not finite.

    Parameters
    ----------
    logits : Tensor, shape (..., K)
        Log weights up to a constant.
    mean : Tensor, shape (..., K, T, 2)
        Mean positions, m.
    covariance : Tensor, shape (..., K, T, 2, 2)
        Covariance of each position, m^2; may be singular if `noise` is positive.
    joint_covariance : Tensor, shape (..., K, 2T, 2T), optional
        Covariance of (x_1, y_1, x_2, y_2, ...), m^2; its diagonal blocks are `covariance`.
    noise : float
        Standard deviation r of the observation noise, m; r^2 I is added to every covariance.
    check : bool
        Check values too, which waits for the device at each call; shapes, and masks if given, are always checked.

    Raises
    ------
    SpaceError
        Shapes, dtypes or devices do not fit together.
    DataError
        A value is not finite, or a covariance not symmetric or not positive definite.

    Examples
    --------
    >>> mixture = GaussianMixture(torch.zeros(1), torch.zeros(1, 3, 2), torch.eye(2).expand(1, 3, 2, 2))
    >>> mixture.nll_joint(torch.zeros(3, 2)) / math.log(2 * math.pi)
    tensor(3.0000)
    """

    logits: Tensor
    mean: Tensor
    covariance: Tensor
    joint_covariance: Tensor | None = None
    noise: float = 0.0
    check: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.noise) and self.noise >= 0.0):
            raise DataError(expected("noise", self.noise, "a finite standard deviation >= 0 in m"))
        if self.mean.ndim < 3 or self.mean.shape[-1] != 2 or 0 in self.mean.shape:
            raise SpaceError(expected("mean", tuple(self.mean.shape), "(..., K, T, 2), none of them empty"))
        *lead, modes, steps, _ = self.mean.shape
        shapes = {"logits": (*lead, modes), "mean": tuple(self.mean.shape), "covariance": (*self.mean.shape, 2)}
        if self.joint_covariance is not None:
            shapes["joint_covariance"] = (*lead, modes, 2 * steps, 2 * steps)
        for name, wanted in shapes.items():
            value: Tensor = getattr(self, name)
            if tuple(value.shape) != wanted:
                raise SpaceError(expected(name, tuple(value.shape), wanted))
            kind = (value.dtype, value.device)
            if kind != (self.mean.dtype, self.mean.device) or not value.is_floating_point():
                raise SpaceError(expected(name, kind, f"{self.mean.dtype} (floating) on {self.mean.device}, as mean"))
            if self.check and not bool(torch.isfinite(value).all()):
                raise DataError(expected(name, "NaN or infinity", "finite values"))
        if self.check:
            self._check_covariances()

    def _check_covariances(self) -> None:
        matrices = [("covariance", self.covariance)]
        if self.joint_covariance is not None:
            matrices.append(("joint_covariance", self.joint_covariance))
            split = (*self.mean.shape[:-1], 2, self.mean.shape[-2], 2)
            blocks = torch.diagonal(self.joint_covariance.reshape(split), dim1=-4, dim2=-2)
            if not _close(blocks.movedim(-1, -3), self.covariance):
                raise DataError(expected("joint_covariance", "other diagonal blocks", "those of covariance"))
        for name, matrix in matrices:
            if not _close(matrix, matrix.mT):
                raise DataError(expected(name, "an asymmetric matrix", "symmetric matrices"))
        with torch.no_grad():
            if not all(bool((part > 0).all()) for part in cholesky_2x2(self.covariance, self.noise)[::2]):
                raise DataError(expected("covariance", "S + r^2 I not positive definite", "positive definite"))
            self._joint_factor(torch.ones((), dtype=torch.bool, device=self.mean.device))

    def _joint_factor(self, keep: Tensor) -> Tensor | None:
        if self.joint_covariance is None:
            return None
        identity = torch.eye(self.joint_covariance.shape[-1], dtype=self.mean.dtype, device=self.mean.device)
        # a masked step becomes an independent unit Gaussian with zero residual: it adds nothing to the density
        pairs = keep.unsqueeze(-1) & keep.unsqueeze(-2) if keep.ndim else keep
        matrix = torch.where(pairs, self.joint_covariance + self.noise**2 * identity, identity)
        factor: Tensor
        factor, info = torch.linalg.cholesky_ex(matrix)
        if self.check and bool((info > 0).any()):
            raise DataError(expected("joint_covariance", "not positive definite", "positive definite"))
        return factor

    def residuals(self, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Target minus the modes' means, zero where masked, shape (..., K, T, 2) in m; and the mask, (..., T).

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(1), torch.ones(1, 1, 2), torch.eye(2).expand(1, 1, 2, 2))
        >>> mixture.residuals(torch.zeros(1, 2))[0]
        tensor([[[-1., -1.]]])
        """
        wanted = (*self.logits.shape[:-1], *self.mean.shape[-2:])
        if target.ndim < len(wanted) or tuple(target.shape[-len(wanted) :]) != wanted:
            raise SpaceError(expected("target", tuple(target.shape), f"(any samples, *{wanted})"))
        if target.dtype != self.mean.dtype:
            raise SpaceError(expected("target", target.dtype, self.mean.dtype))
        mask = checked_mask(mask, target.shape[:-1], target)
        if self.check and not bool(torch.isfinite(target)[mask].all()):
            raise DataError(expected("target", "NaN or infinity at an unmasked step", "finite positions, or a mask"))
        keep = mask[..., None, :, None]
        # cut here, where NaN can only be added: after a product its gradient would be 0 x NaN
        return torch.where(keep, target.unsqueeze(-3) - self.mean, 0.0), mask

    def _log_steps(self, residual: Tensor, mask: Tensor) -> Tensor:
        squared, half_log_determinant = whiten_2x2(residual, self.covariance, self.noise)
        return torch.where(mask.unsqueeze(-2), -0.5 * squared - half_log_determinant - _LOG_2PI, 0.0)

    def _log_trajectories(self, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        # log pi_k + log N_k of the whole trajectory, (..., K)
        residual, mask = self.residuals(target, mask)
        keep = mask.unsqueeze(-2).repeat_interleave(2, dim=-1)
        factor = self._joint_factor(keep)
        if factor is None:
            return self.log_weights + self._log_steps(residual, mask).sum(-1), mask
        white = torch.linalg.solve_triangular(factor, residual.flatten(-2).unsqueeze(-1), upper=False)
        log_determinant = torch.log(torch.diagonal(factor, dim1=-2, dim2=-1)).sum(-1)
        constant = _LOG_2PI * mask.sum(-1, keepdim=True, dtype=self.mean.dtype)
        return self.log_weights - 0.5 * white.square().sum((-2, -1)) - log_determinant - constant, mask

    @property
    def log_weights(self) -> Tensor:
        """Normalised log pi, shape (..., K)."""
        return torch.log_softmax(self.logits, dim=-1)

    def nll_per_step(self, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """-log sum_k pi_k N(y_t; mu_kt, S_kt + r^2 I) of each step, shape (..., T), nat.

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(2), torch.zeros(2, 1, 2), torch.eye(2).expand(2, 1, 2, 2))
        >>> mixture.nll_per_step(torch.zeros(1, 2))
        tensor([1.8379])
        """
        residual, mask = self.residuals(target, mask)
        values = torch.logsumexp(self.log_weights.unsqueeze(-1) + self._log_steps(residual, mask), dim=-2)
        return torch.where(mask, -values, 0.0)

    def nll_joint(self, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """-log sum_k pi_k N_k(y_1, ..., y_T), one mode for the whole horizon, shape (...), nat.

        With a joint covariance masked steps are marginalised out. A row without unmasked step yields zero.

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(1), torch.zeros(1, 2, 2), torch.eye(2).expand(1, 2, 2, 2))
        >>> mixture.nll_joint(torch.zeros(2, 2), torch.tensor([True, False]))
        tensor(1.8379)
        """
        values, mask = self._log_trajectories(target, mask)
        return torch.where(mask.any(-1), -torch.logsumexp(values, dim=-1), 0.0)

    def nll_assigned(self, target: Tensor, assignment: Tensor, mask: Tensor | None = None) -> Tensor:
        """sum_k w_k (-log pi_k - log N_k) over the horizon for assignment weights w of shape (..., K); (...), nat.

        At least `nll_joint` plus the entropy of w, with equality for the soft `assign` (the EM bound).

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(2), torch.zeros(2, 1, 2), torch.eye(2).expand(2, 1, 2, 2))
        >>> mixture.nll_assigned(torch.zeros(1, 2), torch.tensor([1.0, 0.0]))
        tensor(2.5310)
        """
        values, mask = self._log_trajectories(target, mask)
        if assignment.shape != values.shape:
            raise SpaceError(expected("assignment", tuple(assignment.shape), tuple(values.shape)))
        return torch.where(mask.any(-1), -(assignment * values).sum(-1), 0.0)

    def assign(
        self,
        target: Tensor,
        rule: Literal["soft", "best", "nearest"],
        mask: Tensor | None = None,
        anchors: Tensor | None = None,
    ) -> Tensor:
        """Assignment weights of the modes, shape (..., K), without gradient.

        "soft": posterior probabilities given the whole trajectory; "best": one-hot at their largest; "nearest":
        one-hot at the mode that ends nearest to the last unmasked target. `anchors`, shape (..., K, 2) in m, then
        stand for the modes' end points, as the intention points of the Motion Transformer do (Shi et al., NeurIPS
        2022). Raises ConfigError for another rule.

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(2), torch.eye(2).view(2, 1, 2), torch.eye(2).expand(2, 1, 2, 2))
        >>> mixture.assign(torch.tensor([[0.0, 0.9]]), "nearest")
        tensor([0., 1.])
        """
        if rule not in ("soft", "best", "nearest"):
            raise ConfigError(expected("rule", repr(rule), "'soft', 'best' or 'nearest'"))
        if rule != "nearest":
            score = self._log_trajectories(target, mask)[0].detach()
            return torch.softmax(score, dim=-1) if rule == "soft" else _one_hot(score)
        residual, mask = self.residuals(target, mask)
        last = torch.where(mask, torch.arange(mask.shape[-1], device=mask.device), 0).amax(-1)[..., None, None]
        if anchors is None:
            end = torch.take_along_dim(residual, last.unsqueeze(-1), dim=-2).squeeze(-2)
        else:
            end = torch.take_along_dim(target, last, dim=-2) - anchors
        return _one_hot(-end.detach().square().sum(-1))

    def marginal(self) -> tuple[Tensor, Tensor]:
        """Mean (..., T, 2) in m and covariance (..., T, 2, 2) in m^2 of the mixture (law of total covariance).

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(2), torch.eye(2).view(2, 1, 2), torch.eye(2).expand(2, 1, 2, 2))
        >>> mixture.marginal()[1]
        tensor([[[ 1.2500, -0.2500],
                 [-0.2500,  1.2500]]])
        """
        weights = self.log_weights.exp()[..., None, None]
        mean = (weights * self.mean).sum(-3)
        spread = self.mean - mean.unsqueeze(-3)
        noise = self.noise**2 * torch.eye(2, dtype=mean.dtype, device=mean.device)
        within = self.covariance + spread.unsqueeze(-1) * spread.unsqueeze(-2)
        return mean, (weights.unsqueeze(-1) * within).sum(-4) + noise

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Trajectories, shape (count, ..., T, 2) in m: a mode each, then its Gaussian (joint if there is one).

        Differentiable with respect to means and covariances, not to the weights.

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(1), torch.zeros(1, 1, 2), torch.eye(2).expand(1, 1, 2, 2))
        >>> float(mixture.sample(4000, torch.Generator().manual_seed(1)).mean().abs()) < 0.05
        True
        """
        dtype, device = self.mean.dtype, self.mean.device
        shape = (count, *self.logits.shape[:-1], 1)
        uniform = torch.rand(shape, generator=generator, dtype=dtype, device=device)
        # the last edge is left out: a cumulated sum that rounds below one must not yield mode K
        mode = (uniform >= self.log_weights.exp().cumsum(-1)[..., :-1]).sum(-1)[..., None, None, None]
        mean = torch.take_along_dim(self.mean.unsqueeze(0), mode, dim=-3).squeeze(-3)
        normal = torch.randn(mean.shape, generator=generator, dtype=dtype, device=device)
        factor = self._joint_factor(torch.ones((), dtype=torch.bool, device=device))
        if factor is not None:
            chosen = torch.take_along_dim(factor.unsqueeze(0), mode, dim=-3).squeeze(-3)
            return mean + torch.matmul(chosen, normal.flatten(-2).unsqueeze(-1)).reshape(mean.shape)
        stacked = torch.stack(cholesky_2x2(self.covariance, self.noise), dim=-1).unsqueeze(0)
        l11, l21, l22 = torch.take_along_dim(stacked, mode, dim=-3).squeeze(-3).unbind(-1)
        return mean + torch.stack([l11 * normal[..., 0], l21 * normal[..., 0] + l22 * normal[..., 1]], dim=-1)


def _one_hot(score: Tensor) -> Tensor:
    return torch.zeros_like(score).scatter(-1, score.argmax(-1, keepdim=True), 1.0)


def _close(one: Tensor, other: Tensor) -> bool:
    scale = other.detach().abs().amax((-2, -1), keepdim=True)
    return bool(((one - other).detach().abs() <= torch.finfo(one.dtype).eps ** 0.5 * scale).all())
