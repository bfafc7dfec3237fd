"""Layers shared by the attacker's decoder and the cloud network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW_CELLS = 4
"""Grids of so many cells are multiplied, not convolved, on a CPU."""


class FewCellsConv2d(nn.Conv2d):
    """A padded 3×3 convolution that is one product of matrices on a grid of few cells.

    A CPU's convolutions are made for many cells: on 2×2 of them a decoder's step takes 1.03 (64
    channels), 1.25 (512) or 1.4 times (832) as long with them. Values differ by rounding alone.
    Other devices and stacks of networks, whose convolutions have groups, convolve.

    Args:
        channels: Channels in.
        width: Channels out.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution.

        Args:
            x: Shape ``(n, channels, h, w)``.

        Returns:
            Shape ``(n, width, h, w)``.
        """
        h, w = x.shape[-2:]
        if h * w > FEW_CELLS or x.device.type != "cpu" or self.groups > 1:
            return super().forward(x)
        padded = functional.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
        shifted = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        cells = functional.linear(torch.cat(shifted, -1), weight, self.bias)
        return cells.permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch normalisation around a skip connection.

    Args:
        width: Channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        last_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(last_norm.weight)
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            last_norm,
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``relu(x + body(x))``; the body starts at zero.

        Args:
            x: Shape ``(n, width, h, w)``.

        Returns:
            The same shape.
        """
        out: Tensor = self.activation(x + self.body(x))
        return out


def condition_layer(n_conditions: int, width: int) -> nn.Module:
    """Return the small network that tells a trunk which topology it is looking at.

    Args:
        n_conditions: Numbers that describe the topology.
        width: Channels of the trunk that its output is added to.

    Returns:
        A module from ``(n, n_conditions)`` to ``(n, width)``.
    """
    return nn.Sequential(nn.Linear(n_conditions, width), nn.ReLU(), nn.Linear(width, width))
