"""What runs on the device: 8-bit images in, coded features out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from privynet_opt.networks.coding import FeatureCoding, Ranges


class DeviceNetwork(nn.Module):
    """Normalisation, local network and feature coding in one module.

    Args:
        local: The local network; only kept filters are computed.
        mean: Per-channel mean of pixels in [0, 1] that the network's weights expect.
        std: Per-channel standard deviation they expect.
        coding: How features are sent.
        ranges: What codes stand for; None for floats.
    """

    mean: Tensor
    std: Tensor
    lowest: Tensor | None
    step: Tensor | None

    def __init__(
        self,
        local: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        coding: FeatureCoding,
        ranges: Ranges | None = None,
    ) -> None:
        super().__init__()
        self.local = local
        self.coding = coding
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        for name, values in zip(Ranges._fields, ranges or (None, None), strict=True):
            self.register_buffer(name, values)

    def forward(self, images: Tensor) -> Tensor:
        """Return what is sent to the cloud.

        Args:
            images: uint8, shape ``(n, 3, size, size)``.

        Returns:
            Coded features, shape ``(n, *coding.coded_shape)``.
        """
        features = self.local((images.float() / 255 - self.mean) / self.std)
        if self.lowest is None or self.step is None:
            return self.coding.encode(features, None)
        return self.coding.encode(features, Ranges(self.lowest, self.step))
