"""Show training images as they are or mirrored: twice the images for decoder and cloud network.

The local network of a mirrored image is not the mirrored local network's output, so the features
of mirrored images are computed like any others.
"""

from __future__ import annotations

import torch
from torch import Tensor


class MirroredPairs:
    """Two versions of the same training images, one of which is shown by the toss of a coin.

    Args:
        plain: One tensor per quantity (features, images, ...), first axis the images.
        mirrored: The same of the mirrored images; None shows the plain ones only.
        seed: Seed of the coins.
    """

    def __init__(
        self, plain: tuple[Tensor, ...], mirrored: tuple[Tensor, ...] | None, seed: int
    ) -> None:
        self.plain = plain
        self.mirrored = mirrored
        self.generator = torch.Generator().manual_seed(seed)

    def pick(self, positions: Tensor, is_training: bool) -> tuple[Tensor, ...]:
        """Return a mini-batch.

        Args:
            positions: Images, shape ``(n,)``.
            is_training: Whether coins are tossed; held-out images are shown plain.

        Returns:
            One float32 tensor per quantity, first axis ``n``.
        """
        batch = tuple(tensor[positions].float() for tensor in self.plain)
        if self.mirrored is None or not is_training:
            return batch
        heads = torch.rand(len(positions), generator=self.generator) < 0.5
        for shown, tensor in zip(batch, self.mirrored, strict=True):
            shown[heads] = tensor[positions[heads]].float()
        return batch
