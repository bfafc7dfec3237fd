"""Bring images to the size the network is given."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def to_size(pixels: Tensor, size: int) -> Tensor:
    """Resize images, smoothed where they shrink; those of the right size are left as they are.

    Args:
        pixels: uint8, shape ``(n, 3, h, w)``.
        size: Rows and columns wanted.

    Returns:
        uint8, shape ``(n, 3, size, size)``.
    """
    if pixels.shape[-2:] == (size, size):
        return pixels.contiguous()
    resized = functional.interpolate(
        pixels.float(), size=(size, size), mode="bilinear", antialias=True
    )
    return resized.round().clamp(0, 255).to(torch.uint8)
