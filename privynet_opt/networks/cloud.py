"""The cloud network: a small residual classifier on the features of one topology."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from privynet_opt.networks.layers import ResidualBlock, condition_layer
from privynet_opt.networks.mirroring import MirroredPairs
from privynet_opt.networks.precision import mixed_precision
from privynet_opt.networks.stacked import Stack
from privynet_opt.networks.training import TrainingRecipe, train

WIDTH = 64
LABEL_SMOOTHING = 0.1
DROPOUT = 0.2


class CloudNetwork(nn.Module):
    """Two stages of residual blocks, the second twice as wide on half the grid, and a classifier.

    Features finer than 8×8 cells are first brought down to it, or as near as whole blocks of cells
    allow, so that the cost does not depend on where the network was cut.

    Args:
        channels: Kept filters.
        grid: Rows and columns of the features.
        n_classes: Number of classes.
        n_conditions: Numbers that describe the topology to a network that serves several; 0 for
            a network of its own.
    """

    def __init__(self, channels: int, grid: int, n_classes: int, n_conditions: int = 0) -> None:
        super().__init__()
        gather = max(side for side in range(1, max(1, grid // 8) + 1) if grid % side == 0)
        stride = 2 if grid // gather > 2 else 1
        self.enter = nn.Sequential(
            nn.PixelUnshuffle(gather),
            nn.Conv2d(channels * gather**2, WIDTH, 3, padding=1, bias=False),
        )
        self.condition = condition_layer(n_conditions, WIDTH) if n_conditions else None
        self.body = nn.Sequential(
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(inplace=True),
            ResidualBlock(WIDTH),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(2 * WIDTH),
            nn.ReLU(inplace=True),
            ResidualBlock(2 * WIDTH),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(DROPOUT),
            nn.Linear(2 * WIDTH, n_classes),
        )

    def forward(self, features: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return class scores.

        Args:
            features: Standardised, shape ``(n, channels, grid, grid)``.
            conditions: Shape ``(n, n_conditions)``; None for a network of its own.

        Returns:
            Shape ``(n, n_classes)``.
        """
        stem = self.enter(features)
        if self.condition is not None:
            stem = stem + self.condition(conditions)[:, :, None, None]
        scores: Tensor = self.body(stem)
        return scores


def train_cloud_network(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    recipe: TrainingRecipe,
    seed: int,
    mirrored: Tensor | None = None,
    checkpoint: Path | None = None,
    watch: Callable[[int, float], None] | None = None,
) -> tuple[CloudNetwork, int]:
    """Train a cloud network from scratch.

    Args:
        features: Standardised, shape ``(n, channels, grid, grid)``.
        labels: int64, shape ``(n,)``.
        n_classes: Number of classes.
        recipe: Length and speed.
        seed: Seed of initial weights and order.
        mirrored: Features of the mirrored images, to train on those as well.
        checkpoint: File that keeps the state after each epoch; a training that finds it goes on
            from there, to the same network. None keeps nothing.
        watch: Called after each epoch with the epochs trained and the held-out loss.

    Returns:
        The network at its best epoch, and the epochs trained.
    """
    kept = [range(features.shape[1])]
    ((cloud, epochs),) = train_cloud_networks(
        features, kept, labels, n_classes, recipe, seed, mirrored, checkpoint, watch
    )
    return cloud, epochs


def train_cloud_networks(
    features: Tensor,
    kept: Sequence[Sequence[int]],
    labels: Tensor,
    n_classes: int,
    recipe: TrainingRecipe,
    seed: int,
    mirrored: Tensor | None = None,
    checkpoint: Path | None = None,
    watch: Callable[[int, float], None] | None = None,
) -> list[tuple[CloudNetwork, int]]:
    """Train cloud networks from scratch, together; each ends as it would alone but for rounding.

    Args:
        features: As for `train_cloud_network`.
        kept: Which of their channels each network sees.
        labels: As for `train_cloud_network`, like all the rest.
        n_classes: Number of classes.
        recipe: Length and speed.
        seed: Seed of initial weights and order.
        mirrored: Features of the mirrored images.
        checkpoint: File that keeps the state after each epoch.
        watch: Called after each epoch with the epochs trained and the mean held-out loss.

    Returns:
        Each network at its best epoch, and the epochs it was trained.
    """
    make = partial(CloudNetwork, grid=features.shape[-1], n_classes=n_classes)
    stack = Stack(make, kept, seed, features.device)
    pairs = MirroredPairs((features,), None if mirrored is None else (mirrored,), seed)

    def losses(network: nn.Module, positions: Tensor) -> Tensor:
        (seen,) = pairs.pick(positions, network.training)
        with mixed_precision(features.device):
            scores = network(stack.side_by_side(seen))
        smoothing = LABEL_SMOOTHING if network.training else 0.0
        each = scores.float().chunk(len(stack), 1)
        truth = labels[positions]
        return torch.stack(
            [functional.cross_entropy(own, truth, label_smoothing=smoothing) for own in each]
        )

    epochs = train(
        stack.whole,
        losses,
        len(features),
        recipe,
        seed,
        checkpoint,
        generators=(pairs.generator, *stack.generators),
        watch=watch,
        n_stacked=len(stack),
    )
    return list(zip(stack.networks(), epochs, strict=True))


@torch.no_grad()
def classify(cloud: CloudNetwork, features: Tensor) -> Tensor:
    """Return the predicted class of each image.

    Args:
        cloud: The trained network.
        features: Standardised, shape ``(n, channels, grid, grid)``.

    Returns:
        int64, shape ``(n,)``.
    """
    parts = []
    for batch in torch.split(features, 512):
        with mixed_precision(features.device):
            parts.append(cloud(batch.float()).argmax(1))
    return torch.cat(parts)
