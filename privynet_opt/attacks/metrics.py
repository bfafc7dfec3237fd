"""How close a reconstruction is: PSNR and SSIM of images with pixels in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2
"""Window and constants of Wang et al., "Image quality assessment", IEEE TIP 2004, section III-B."""

PSNR_FLOOR_MSE = 1e-10
"""Keeps the PSNR of a perfect reconstruction finite (100 dB)."""

CHUNK = 128
"""Images that are compared at a time: what is computed of them stays in the processor's cache."""


def psnr_db(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Return the PSNR of each image.

    Args:
        images: Shape ``(n, c, h, w)``, pixels in [0, 1].
        reconstructions: The same shape; clamped to [0, 1].

    Returns:
        Shape ``(n,)``, in dB, ``-10 log10`` of the mean squared error over pixels and colours.
        Higher is less private.
    """
    pairs = zip(torch.split(images, CHUNK), torch.split(reconstructions, CHUNK), strict=True)
    errors = torch.cat([(a - b.clamp(0, 1)).square().flatten(1).mean(1) for a, b in pairs])
    return -10 * errors.clamp_min(PSNR_FLOOR_MSE).log10()


def ssim(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Return the structural similarity of each image, averaged over pixels and colours.

    Args:
        images: Shape ``(n, c, h, w)``, pixels in [0, 1].
        reconstructions: The same shape; clamped to [0, 1].

    Returns:
        Shape ``(n,)``, at most 1. The Gaussian window shrinks to the image if that is smaller.
        Higher is less private.
    """
    side = min(SSIM_WINDOW, *images.shape[-2:])
    side -= 1 - side % 2
    offsets = torch.arange(side, dtype=images.dtype, device=images.device) - side // 2
    window = torch.exp(-offsets.square() / (2 * SSIM_SIGMA**2))
    rows, columns = (_blur_matrix(window / window.sum(), n) for n in images.shape[-2:])

    def blur(x: Tensor) -> Tensor:
        return rows @ x @ columns.T

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        mean_a, mean_b = blur(a), blur(b)
        product, power = mean_a * mean_b, mean_a.square() + mean_b.square()
        covariance, variances = blur(a * b) - product, blur(a.square() + b.square()) - power
        structure = (2 * product + SSIM_C1) * (2 * covariance + SSIM_C2)
        return (structure / ((power + SSIM_C1) * (variances + SSIM_C2))).flatten(1).mean(1)

    pairs = zip(torch.split(images, CHUNK), torch.split(reconstructions, CHUNK), strict=True)
    return torch.cat([similarity(a, b.clamp(0, 1)) for a, b in pairs])


def _blur_matrix(window: Tensor, length: int) -> Tensor:
    """Return the convolution with `window`, without padding, as a banded matrix."""
    n_out = length - len(window) + 1
    matrix = window.new_zeros(n_out, length)
    for row in range(n_out):
        matrix[row, row : row + len(window)] = window
    return matrix
