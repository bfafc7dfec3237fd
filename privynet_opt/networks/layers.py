"""Layers shared by the attacker's decoder and the cloud network."""

from __future__ import annotations

from torch import Tensor, nn


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
