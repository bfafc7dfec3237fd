"""What runs on the device: 8-bit images in, coded features out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from privynet_opt.deploy.coding import FeatureCoding


class DeviceNetwork(nn.Module):
    """Normalisation, local network and feature coding in one module.

    Args:
        local: The local network; only kept filters are computed.
        mean: Per-channel mean of pixels in [0, 1] that the network's weights expect.
        std: Per-channel standard deviation they expect.
        coding: How features are sent.
    """

    mean: Tensor
    std: Tensor
    lowest: Tensor
    step: Tensor

    def __init__(
        self,
        local: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        coding: FeatureCoding,
    ) -> None:
        super().__init__()
        self.local = local
        self.coding = coding
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        for name, values in zip(("lowest", "step"), coding.per_channel(), strict=True):
            self.register_buffer(name, values)

    def forward(self, images: Tensor) -> Tensor:
        """Return what is sent to the cloud.

        Args:
            images: uint8, shape ``(n, 3, size, size)``.

        Returns:
            Coded features, shape ``(n, *coding.coded_shape)``.
        """
        features = self.local((images.float() / 255 - self.mean) / self.std)
        return self.coding.encode(features, self.lowest, self.step)
