"""The trained attacker: a residual convolutional decoder of its own for one topology.

It starts from what the closed-form attacker recovers and learns what that one cannot express, so
it is never weaker than it on the images it is trained on. Its trunk of residual blocks works on
the grid of the features, or a grid near it, and one pixel shuffle brings it to image size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from privynet_opt.attacks.ridge import LinearDecoder
from privynet_opt.networks.layers import ResidualBlock, condition_layer
from privynet_opt.networks.mirroring import MirroredPairs
from privynet_opt.networks.training import TrainingRecipe, mixed_precision, train

WIDTH = 64
BLOCKS = 4
"""At least 64 wide and 4 residual blocks: what published strong decoders have (CEM's attack,
github xiasong0501/CEM, has 64 and 8)."""

COARSEST_STRIDE = 4
FINEST_STRIDE = 2
"""The trunk's cells cover 2×2 to 4×4 pixels."""


class Decoder(nn.Module):
    """Map the features of a topology, and the linear reconstruction, to images.

    Args:
        channels: Kept filters.
        grid: Rows and columns of the features.
        image_size: Rows and columns of the image; a multiple of `grid`.
        n_conditions: Numbers that describe the topology to a decoder that serves several; 0 for
            a decoder of its own.
        capacity: Multiplies width and number of residual blocks.

    Attributes:
        trunk_grid: Rows and columns that the residual blocks work on.
    """

    def __init__(
        self, channels: int, grid: int, image_size: int, n_conditions: int = 0, capacity: int = 1
    ) -> None:
        super().__init__()
        width = capacity * WIDTH
        stride = image_size // grid
        trunk_stride = min(max(stride, FINEST_STRIDE), COARSEST_STRIDE)
        self.trunk_grid = image_size // trunk_stride
        enter: list[nn.Module] = []
        if stride < trunk_stride:
            gather = trunk_stride // stride
            enter += [
                nn.PixelUnshuffle(gather),
                nn.Conv2d(channels * gather**2, width, 3, padding=1),
            ]
        elif stride > trunk_stride:
            spread = stride // trunk_stride
            enter += [nn.Conv2d(channels, width * spread**2, 3, padding=1), nn.PixelShuffle(spread)]
        else:
            enter.append(nn.Conv2d(channels, width, 3, padding=1))
        leave = nn.Conv2d(width, 3 * trunk_stride**2, 3, padding=1)
        for parameter in leave.parameters():
            nn.init.zeros_(parameter)
        self.enter = nn.Sequential(*enter)
        self.condition = condition_layer(n_conditions, width) if n_conditions else None
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            *(ResidualBlock(width) for _ in range(capacity * BLOCKS)),
            leave,
            nn.PixelShuffle(trunk_stride),
        )

    def forward(self, features: Tensor, linear: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return reconstructions.

        Args:
            features: Standardised, shape ``(n, channels, grid, grid)``.
            linear: What the closed-form attacker recovers, ``(n, 3, image_size, image_size)``.
            conditions: Shape ``(n, n_conditions)``; None for a decoder of its own.

        Returns:
            Shape of `linear`, float32, not clamped.
        """
        stem = self.enter(features)
        if self.condition is not None:
            stem = stem + self.condition(conditions)[:, :, None, None]
        residual: Tensor = self.body(stem)
        return linear + residual.float()


def train_decoder(
    features: Tensor,
    images: Tensor,
    ridge: LinearDecoder,
    recipe: TrainingRecipe,
    seed: int,
    mirrored: Tensor | None = None,
    capacity: int = 1,
) -> tuple[Decoder, int]:
    """Train a decoder from scratch.

    Args:
        features: The attacker's standardised features, ``(n, channels, grid, grid)``.
        images: The attacker's images in [0, 1], ``(n, 3, image_size, image_size)``.
        ridge: The closed-form attacker of the same channels.
        recipe: Length and speed.
        seed: Seed of initial weights and order.
        mirrored: Features of the mirrored images, to train on those as well.
        capacity: Multiplies the decoder's width and number of residual blocks.

    Returns:
        The decoder at its best epoch, and the epochs trained.
    """
    torch.manual_seed(seed)
    decoder = Decoder(features.shape[1], features.shape[-1], images.shape[-1], capacity=capacity)
    decoder = decoder.to(features.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    plain = (features, ridge.reconstruct_all(features), images)
    flipped = None
    if mirrored is not None:
        flipped = (mirrored, ridge.reconstruct_all(mirrored), images.flip(-1))
    pairs = MirroredPairs(plain, flipped, seed)

    def loss(network: nn.Module, positions: Tensor) -> Tensor:
        seen, linear, truth = pairs.pick(positions, network.training)
        with mixed_precision(features.device):
            recovered = network(seen, linear)
        return functional.mse_loss(recovered, truth)

    return decoder, train(decoder, loss, len(features), recipe, seed)


@torch.no_grad()
def reconstruct(decoder: Decoder, ridge: LinearDecoder, features: Tensor) -> Tensor:
    """Attack held-out features.

    Args:
        decoder: The trained decoder.
        ridge: The closed-form attacker it was trained with.
        features: Standardised, shape ``(n, channels, grid, grid)``.

    Returns:
        Reconstructions, shape ``(n, 3, image_size, image_size)``, clamped to [0, 1].
    """
    parts = []
    for batch in torch.split(features, 256):
        seen = batch.float()
        with mixed_precision(features.device):
            parts.append(decoder(seen, ridge.reconstruct(seen)).clamp(0, 1))
    return torch.cat(parts)
