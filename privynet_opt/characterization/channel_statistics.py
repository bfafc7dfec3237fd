"""What the selection strategies and every measurement need to know about the channels of a cut."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.linear_classifier import LinearClassifier, pool_features
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.greedy_order import greedy_order
from privynet_opt.characterization.recipes import SCREEN_CELLS, SCREEN_MIN_IMAGES
from privynet_opt.characterization.stems import BATCH
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import Cut
from privynet_opt.networks.magnitude import filter_magnitudes
from privynet_opt.selection import ChannelStatistics

DEAD_CHANNEL_SHARE = 0.01
"""A channel that hardly ever fires is divided by at least this share of the mean deviation."""

LARGEST_FEATURE = 100.0
"""Standardised features are clamped to so many deviations, far inside the range of float16."""

MEASURED_ON_IMAGES = frozenset({"discriminability", "exposure", "greedy_order"})
"""Statistics that cannot be known without images."""


@dataclass(frozen=True)
class LinearView:
    """How a cut's features are standardised, and the closed-form attacker of all its subsets.

    Attributes:
        mean: Mean map over the attacker's images, shape ``(1, C, h, w)``.
        std: Per-channel standard deviation around it, shape ``(1, C, 1, 1)``.
        ridge: The attacker.
    """

    mean: Tensor
    std: Tensor
    ridge: RidgeAttacker

    @classmethod
    def of(cls, source: FeatureSource) -> LinearView:
        """Compute it on the attacker's images, as many as the Gram matrix needs.

        Args:
            source: Computes the features of its cut.
        """
        attacker = source.splits.attacker
        n_gram = gram_images(source.cut, len(attacker))
        mean, std = moments(source.batches("attacker", n_gram))
        pixels = attacker.images[:n_gram].to(source.device).float() / 255
        seen = (standardise(f, mean, std) for f in source.batches("attacker", n_gram))
        pairs = zip(seen, torch.split(pixels, BATCH), strict=True)
        return cls(mean, std, RidgeAttacker.fit(pairs, pixels.mean(0)))

    def cloud(self, source: FeatureSource) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the standardised features of the cloud's images and their labels, in batches.

        Args:
            source: Computes the features of its cut.
        """
        labels = torch.split(source.splits.cloud.labels.to(source.device), BATCH)
        for features, batch in zip(source.batches("cloud"), labels, strict=True):
            yield standardise(features, self.mean, self.std), batch


def gram_images(cut: Cut, n_available: int) -> int:
    """Return how many of the attacker's images the Gram matrix of a cut sees.

    Args:
        cut: The cut.
        n_available: Images of the attacker.
    """
    wanted = max(SCREEN_MIN_IMAGES, SCREEN_CELLS // (cut.height * cut.width))
    return min(-(-wanted // BATCH) * BATCH, n_available)


@torch.no_grad()
def channel_statistics(
    backbone: Backbone, cut: Cut, names: Collection[str], source: FeatureSource | None = None
) -> ChannelStatistics:
    """Compute only some statistics of a cut's channels.

    Args:
        backbone: The pre-trained network.
        cut: One of its cuts.
        names: Fields of `ChannelStatistics`; the others are NaN, or fail when called.
        source: Computes the features of the cut; None only where no name is one of
            `MEASURED_ON_IMAGES`.
    """
    magnitude = exposure = discriminability = np.full(cut.channels, np.nan)
    order: NDArray[np.int64] | None = None
    if "magnitude" in names:
        magnitude = filter_magnitudes(backbone, cut)
    if MEASURED_ON_IMAGES & set(names):
        assert source is not None, "images are given where they are needed"
        view = LinearView.of(source)
        if "exposure" in names:
            exposure = view.ridge.channel_exposure().double().cpu().numpy()
        if "discriminability" in names:
            scatter = ClassScatter(len(source.splits.cloud.class_names))
            for features, labels in view.cloud(source):
                scatter.add(features, labels)
            discriminability = scatter.fisher_ratio().cpu().numpy()
        if "greedy_order" in names:
            pooled = ((pool_features(f), labels) for f, labels in view.cloud(source))
            n_classes = len(source.splits.cloud.class_names)
            order = greedy_order(view.ridge, LinearClassifier.fit(pooled, n_classes))

    def known_order() -> NDArray[np.int64]:
        assert order is not None, "greedy_order was not asked for"
        return order

    return ChannelStatistics(discriminability, exposure, magnitude, known_order)


def standardise(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return features as every measurement sees them.

    Args:
        features: Shape ``(n, C, h, w)``.
        mean: Mean map, shape ``(1, C, h, w)``.
        std: Standard deviations, shape ``(1, C, 1, 1)``.
    """
    return ((features - mean) / std).clamp(-LARGEST_FEATURE, LARGEST_FEATURE)


class ClassScatter:
    """Stream the between-class and within-class scatter of every channel's map.

    Args:
        n_classes: Number of classes.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.counts: Tensor | float = 0.0
        self.sums: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Take a batch of features into account.

        Args:
            features: Shape ``(n, C, h, w)``.
            labels: Shape ``(n,)``.
        """
        members = functional.one_hot(labels, self.n_classes).double()
        maps = features.flatten(2).double()
        self.counts = self.counts + members.sum(0)
        self.sums = self.sums + torch.einsum("nk,ncm->kcm", members, maps)
        self.squares = self.squares + maps.square().sum((0, 2))

    def fisher_ratio(self) -> Tensor:
        """Return between-class over within-class scatter, traces over the cells of a map.

        Returns:
            Shape ``(C,)``.
        """
        assert isinstance(self.counts, Tensor) and isinstance(self.sums, Tensor)
        weight = self.counts.clamp_min(1).view(-1, 1, 1)
        grand = self.sums.sum(0) ** 2 / self.counts.sum()
        explained = (self.sums**2 / weight).sum(0)
        between = (explained - grand).sum(1)
        within = self.squares - explained.sum(1)
        return between / within.clamp_min(1e-12)


def moments(batches: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean map, and each channel's deviation around it with a floor for dead ones.

    Args:
        batches: Features, shape ``(n, C, h, w)``.

    Returns:
        Shapes ``(1, C, h, w)`` and ``(1, C, 1, 1)``.
    """
    total = squares = torch.zeros((), dtype=torch.float64)
    count = 0
    for features in batches:
        wide = features.double()
        total = total + wide.sum(0, keepdim=True)
        squares = squares + wide.square().sum(0, keepdim=True)
        count += len(features)
    mean = total / count
    variance = (squares / count - mean.square()).clamp_min(0).mean((2, 3), keepdim=True)
    std = variance.sqrt()
    return mean.float(), std.clamp_min(DEAD_CHANNEL_SHARE * float(std.mean()) + 1e-12).float()
