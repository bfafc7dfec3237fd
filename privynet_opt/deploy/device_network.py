"""What runs on the device: 8-bit images in, coded features out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from privynet_opt.deploy.device_noise import DeviceNoise
from privynet_opt.networks.coding import FeatureCoding, Ranges


class DeviceNetwork(nn.Module):
    """Normalisation, local network, noise and feature coding in one module.

    Args:
        local: The local network; only kept filters are computed.
        mean: Per-channel mean of pixels in [0, 1] that the network's weights expect.
        std: Per-channel standard deviation they expect.
        coding: How features are sent.
        ranges: What codes stand for; None for floats.
        noise: Draws the noise of an image; None for none.
        noise_std: Standard deviation of the noise on each channel, shape ``(C, 1, 1)``; likewise.
    """

    mean: Tensor
    std: Tensor
    noise_std: Tensor | None
    lowest: Tensor | None
    step: Tensor | None

    def __init__(
        self,
        local: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        coding: FeatureCoding,
        ranges: Ranges | None = None,
        noise: DeviceNoise | None = None,
        noise_std: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.local = local
        self.coding = coding
        self.noise = noise
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.register_buffer("noise_std", noise_std)
        for name, values in zip(Ranges._fields, ranges or (None, None), strict=True):
            self.register_buffer(name, values)

    def forward(self, images: Tensor) -> Tensor:
        """Return what is sent to the cloud.

        Args:
            images: uint8, shape ``(n, 3, size, size)``.

        Returns:
            Coded features, shape ``(n, *coding.coded_shape)``.
        """
        return self.send(images, None if self.noise is None else self.noise.of(images))

    def send(self, images: Tensor, noise: Tensor | None) -> Tensor:
        """Return what is sent to the cloud, given the noise.

        Args:
            images: As in `forward`.
            noise: Standard normal, shape ``(n, *coding.shape)``; None for none.

        Returns:
            As `forward`.
        """
        features = self.local((images.float() / 255 - self.mean) / self.std)
        if noise is not None and self.noise_std is not None:
            features = features + self.noise_std * noise
        if self.lowest is None or self.step is None:
            return self.coding.encode(features, None)
        return self.coding.encode(features, Ranges(self.lowest, self.step))


class WithNoise(nn.Module):
    """What is exported of a network that adds noise, which becomes an input of its own.

    So the file computes the same wherever it runs, and noise comes from no generator of a runtime.

    Args:
        network: The network.
    """

    def __init__(self, network: DeviceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Return `DeviceNetwork.send` of both.

        Args:
            images: uint8, shape ``(n, 3, size, size)``.
            noise: Standard normal, shape ``(n, *coding.shape)``.
        """
        return self.network.send(images, noise)
