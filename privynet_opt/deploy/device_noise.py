"""Noise that a device adds: the same for the same image, known to nobody without the secret.

A seeded generator of torch or numpy would not do: whoever guesses its seed subtracts the noise, and
an image that is sent twice would come with two draws, whose mean is less noisy. Here bits come
from SHAKE-256 (FIPS 202) of a secret and the image; the inverse of the normal distribution makes
them noise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SECRET_BYTES = 32
"""Of a secret: nobody tries out 2^256 of them."""


@dataclass(frozen=True)
class DeviceNoise:
    """Standard normal noise for images.

    Attributes:
        secret: What is never sent; hashed before each image.
        shape: Channels, rows and columns of one image's features.
    """

    secret: bytes = field(repr=False)
    shape: tuple[int, int, int]

    def of(self, images: Tensor) -> Tensor:
        """Return the noise of images.

        Args:
            images: uint8, shape ``(n, 3, size, size)``.

        Returns:
            float32, shape ``(n, *shape)``; an image has the same noise wherever it stands.
        """
        drawn = np.empty((len(images), *self.shape), dtype=np.float32)
        for place, image in zip(drawn, images.numpy(), strict=True):
            place[...] = self._of_one(image).reshape(self.shape)
        return torch.from_numpy(drawn)

    def _of_one(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        from scipy.special import ndtri

        count = int(np.prod(self.shape))
        bits = hashlib.shake_256(self.secret + image.tobytes()).digest(4 * count)
        # Halves keep the ends open: from 2^-33 on, at most 6.3 deviations from the mean.
        uniform = (np.frombuffer(bits, dtype="<u4") + 0.5) / 2**32
        noise: NDArray[np.float32] = ndtri(uniform).astype(np.float32)
        return noise
