"""Cholesky factors of 2x2 matrices in closed form, batched and differentiable, safe in single precision."""

import torch
from torch import Tensor

__all__ = ["cholesky_2x2", "whiten_2x2"]


def _product_error(a: Tensor, b: Tensor, product: Tensor) -> Tensor:
    # Dekker's exact product: narrow ellipses lose half their digits in a c - b^2, and float64 is absent on some devices
    splitter = 134217729.0 if a.dtype == torch.float64 else 4097.0
    a_high = splitter * a - (splitter * a - a)
    b_high = splitter * b - (splitter * b - b)
    a_low, b_low = a - a_high, b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def cholesky_2x2(covariance: Tensor, noise: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Lower Cholesky factor of S + r^2 I for 2x2 matrices, in closed form.

    The determinant is formed as det S + r^2 tr S + r^4 with a compensated det S (Dekker, Numer. Math. 18, 1971), so
    that correlations of 0.9999 survive float32.

    Parameters
    ----------
    covariance : Tensor, shape (..., 2, 2)
        S, symmetric, m^2.
    noise : float
        Standard deviation r of the observation, m.

    Returns
    -------
    tuple of Tensor, each of shape (...)
        l11, l21, l22, m. NaN where the matrix is not positive definite.

    Examples
    --------
    >>> [round(float(part), 12) for part in cholesky_2x2(torch.tensor([[3.0, 2.0], [2.0, 4.0]]), noise=1.0)]
    [2.0, 1.0, 2.0]
    """
    a, c = covariance[..., 0, 0], covariance[..., 1, 1]
    b = 0.5 * (covariance[..., 0, 1] + covariance[..., 1, 0])
    ac, bb = a * c, b * b
    with torch.no_grad():
        correction = _product_error(a, c, ac) - _product_error(b, b, bb)
    determinant = (ac - bb) + correction + (noise**2 * (a + c) + noise**4)
    first = torch.sqrt(a + noise**2)
    return first, b / first, torch.sqrt(determinant) / first


def whiten_2x2(residual: Tensor, covariance: Tensor, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Squared Mahalanobis distance under S + r^2 I, and half the logarithm of its determinant.

    Parameters
    ----------
    residual : Tensor, shape (..., 2)
        In m.
    covariance : Tensor, shape (..., 2, 2)
        S, symmetric, m^2.
    noise : float
        Standard deviation r of the observation, m.

    Returns
    -------
    tuple of Tensor, each of shape (...)
        Dimensionless; log of m^2.

    Examples
    --------
    >>> distance, log_root = whiten_2x2(torch.tensor([3.0, 4.0]), torch.zeros(2, 2), noise=5.0)
    >>> float(distance), round(float(log_root.exp()))
    (1.0, 25)
    """
    l11, l21, l22 = cholesky_2x2(covariance, noise)
    first = residual[..., 0] / l11
    second = (residual[..., 1] - l21 * first) / l22
    return first**2 + second**2, torch.log(l11) + torch.log(l22)
