"""The trained attacker: a residual convolutional decoder of its own for one topology.

It starts from what the closed-form attacker recovers and learns what that one cannot express;
where no epoch makes it better on held-out images, it recovers just that. Its trunk of residual
blocks works on the grid of the features, or a grid near it, and one pixel shuffle brings it to
image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from privynet_opt.attacks.ridge import LinearDecoder
from privynet_opt.networks.layers import FewCellsConv2d, ResidualBlock, condition_layer
from privynet_opt.networks.mirroring import MirroredPairs
from privynet_opt.networks.precision import mixed_precision
from privynet_opt.networks.stacked import Stack
from privynet_opt.networks.training import Receive, TrainingRecipe, train

WIDTH = 64
BLOCKS = 4
"""At least 64 wide and 4 residual blocks: what published strong decoders have (CEM's attack,
github xiasong0501/CEM, has 64 and 8)."""

COARSEST_STRIDE = 4
FINEST_STRIDE = 2
"""The trunk's cells cover 2×2 to 4×4 pixels, where whole blocks of them do."""


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
        trunk_stride = _trunk_stride(stride, grid)
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
            enter += [FewCellsConv2d(channels, width * spread**2), nn.PixelShuffle(spread)]
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


def _trunk_stride(stride: int, grid: int) -> int:
    """Return how many pixels a side of the trunk's cells covers."""
    if stride < FINEST_STRIDE:
        return FINEST_STRIDE if grid % FINEST_STRIDE == 0 else stride
    return max(side for side in range(1, COARSEST_STRIDE + 1) if stride % side == 0)


def train_decoders(
    features: Tensor,
    kept: Sequence[Sequence[int]],
    images: Tensor,
    ridges: Sequence[LinearDecoder],
    recipe: TrainingRecipe,
    seed: int,
    mirrored: Tensor | None = None,
    capacity: int = 1,
    receives: Sequence[Receive] | None = None,
) -> list[tuple[Decoder, int]]:
    """Train decoders from scratch, together; each ends as it would alone but for rounding.

    Args:
        features: The attacker's standardised features, ``(n, channels, grid, grid)``.
        kept: Which of these channels each decoder sees.
        images: The attacker's images in [0, 1], ``(n, 3, image_size, image_size)``.
        ridges: The closed-form attackers of the same channels.
        recipe: Length and speed.
        seed: Seed of initial weights and order.
        mirrored: Features of the mirrored images, to train on those as well.
        capacity: Multiplies the decoders' width and number of residual blocks.
        receives: One for each decoder: makes of its features, each time they are shown, what
            arrives of them; None where they arrive as they are.

    Returns:
        Each decoder at its best epoch, and the epochs it was trained.
    """
    make = partial(Decoder, grid=features.shape[-1], image_size=images.shape[-1], capacity=capacity)
    stack = Stack(make, kept, seed, features.device)

    def known(features: Tensor, images: Tensor) -> tuple[Tensor, ...]:
        if receives is not None:  # what arrives is recovered linearly each time it is shown
            return features, images
        linear = [r.reconstruct_all(features, own) for r, own in zip(ridges, kept, strict=True)]
        return features, images, torch.cat(linear, 1)

    flipped = None if mirrored is None else known(mirrored, images.flip(-1))
    pairs = MirroredPairs(known(features, images), flipped, seed)

    def losses(network: nn.Module, positions: Tensor) -> Tensor:
        seen, truth, *recovered_linearly = pairs.pick(positions, network.training)
        if receives is None:
            shown, (linear,) = stack.side_by_side(seen), recovered_linearly
        else:
            views = [
                receive(seen[:, list(own)]) for receive, own in zip(receives, kept, strict=True)
            ]
            shown = stack.joined(views)
            linear = torch.cat([r.reconstruct(v) for r, v in zip(ridges, views, strict=True)], 1)
        with mixed_precision(features.device):
            recovered = network(shown, linear)
        each = recovered.chunk(len(stack), 1)
        return torch.stack([functional.mse_loss(own, truth) for own in each])

    n_images, n_stacked = len(features), len(stack)
    epochs = train(
        stack.whole, losses, n_images, recipe, seed, keep_start=True, n_stacked=n_stacked
    )
    return list(zip(stack.networks(), epochs, strict=True))


@torch.no_grad()
def reconstruct(decoder: Decoder, ridge: LinearDecoder, features: Tensor) -> Tensor:
    """Attack held-out features.

    Args:
        decoder: The trained decoder.
        ridge: The closed-form attacker it was trained with.
        features: Standardised, shape ``(n, channels, grid, grid)``.

    Returns:
        Reconstructions, shape ``(n, 3, image_size, image_size)``, not clamped.
    """
    parts = []
    for batch in torch.split(features, 256):
        seen = batch.float()
        linear = ridge.reconstruct(seen)
        with mixed_precision(features.device):
            parts.append(decoder(seen, linear))
    return torch.cat(parts)
