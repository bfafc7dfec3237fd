"""All that measuring the topologies of one cut shares: features, Gram matrices, statistics.

The features of a cut are computed once, for every channel; a topology is a choice of columns.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.linear_classifier import LinearClassifier, pool_features
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.characterization.greedy_order import greedy_order
from privynet_opt.characterization.recipes import SCREEN_CELLS, SCREEN_MIN_IMAGES
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import Cut
from privynet_opt.networks.local import build_head
from privynet_opt.networks.magnitude import filter_magnitudes
from privynet_opt.selection import ChannelStatistics

BATCH = 128
"""Images per forward pass of the local network."""

DEAD_CHANNEL_SHARE = 0.01
"""A channel that hardly ever fires is divided by at least this share of the mean deviation."""

LARGEST_FEATURE = 100.0
"""Standardised features are clamped to so many deviations, far inside the range of float16."""


@dataclass(frozen=True)
class CutBank:
    """One cut, ready to measure any subset of its channels.

    Attributes:
        cut: The cut.
        source: Computes features of the three image sets.
        mean: Mean map over the attacker's images, shape ``(1, C, h, w)``. Centring each cell, as
            the mean image centres each pixel, lets a decoder that is the same at every cell be
            exact where features determine the image.
        std: Per-channel standard deviation around it, shape ``(1, C, 1, 1)``.
        ridge: Closed-form attacker of every subset.
        classifier: Closed-form cloud network of every subset.
        statistics: What the selection strategies need.
        features: Standardised float16 features of every channel, ``(n, C, h, w)``, of the
            splits ``"cloud"`` and ``"attacker"``; empty unless the source keeps them.
        score_features: Standardised float16 features of the scored images, ``(n, C, h, w)``.
        score_images: The scored images in [0, 1], float32.
        score_labels: Their labels.
        score_pooled: `pool_features` of the scored images.
    """

    cut: Cut
    source: FeatureSource
    mean: Tensor
    std: Tensor
    ridge: RidgeAttacker
    classifier: LinearClassifier
    statistics: ChannelStatistics
    features: dict[str, Tensor]
    score_features: Tensor
    score_images: Tensor
    score_labels: Tensor
    score_pooled: Tensor

    @torch.no_grad()
    def mirrored(self, split: str, kept: Sequence[int]) -> Tensor:
        """Compute the features of a split's images mirrored left to right.

        Args:
            split: ``"cloud"`` or ``"attacker"``.
            kept: Channel indices of the cut.

        Returns:
            Standardised float16 features of those channels, ``(n, k, h, w)``.
        """
        batches = self.source.batches_of_mirrored(split)
        seen = (_standardise(batch, self.mean, self.std)[:, list(kept)] for batch in batches)
        return torch.cat([batch.half() for batch in seen])


class FeatureSource:
    """Compute the features of a cut, each image once if there is room to keep them.

    Args:
        backbone: The pre-trained network.
        cut: The cut.
        splits: The three image sets.
        device: Where to compute.
        keep: Whether to keep what was computed, as float16; otherwise it is computed each time
            and memory does not grow with the number of images.
    """

    def __init__(
        self, backbone: Backbone, cut: Cut, splits: Splits, device: torch.device, keep: bool
    ) -> None:
        self.backbone = backbone
        self.cut = cut
        self.head = build_head(backbone, cut).to(device)
        self.splits = splits
        self.device = device
        self.keep = keep
        self.kept: dict[str, Tensor] = {}

    def batches(self, split: str, n_images: int | None = None) -> Iterator[Tensor]:
        """Yield the features of a split in batches of `BATCH` images.

        Args:
            split: Name of the split.
            n_images: Only so many of its first images; a multiple of `BATCH`, or None for all.

        Yields:
            float32, shape ``(at most BATCH, C, h, w)``.
        """
        images = self._images(split)
        if not self.keep:
            yield from map(self._compute, torch.split(images[:n_images], BATCH))
            return
        if split not in self.kept:
            self.kept[split] = self._compute_all(images)
        yield from (f.float() for f in torch.split(self.kept[split][:n_images], BATCH))

    def batches_of_mirrored(self, split: str) -> Iterator[Tensor]:
        """Yield the features of a split's images mirrored left to right; they are not kept.

        Args:
            split: Name of the split.

        Yields:
            float32, shape ``(at most BATCH, C, h, w)``.
        """
        for images in torch.split(self._images(split), BATCH):
            yield self._compute(images.flip(-1))

    def _compute_all(self, images: Tensor) -> Tensor:
        shape = (len(images), self.cut.channels, self.cut.height, self.cut.width)
        features = torch.empty(shape, dtype=torch.float16, device=self.device)
        limit = torch.finfo(torch.float16).max
        for part, batch in zip(*(torch.split(t, BATCH) for t in (features, images)), strict=True):
            part.copy_(self._compute(batch).clamp(-limit, limit))
        return features

    def _images(self, split: str) -> Tensor:
        images: Tensor = getattr(self.splits, split).images
        return images

    @torch.no_grad()
    def _compute(self, images: Tensor) -> Tensor:
        features: Tensor = self.head(self.backbone.normalise(images.to(self.device)))
        return features


@torch.no_grad()
def build_bank(source: FeatureSource) -> CutBank:
    """Compute what the measurements of a cut share.

    Args:
        source: Computes the features of its cut.

    Returns:
        The bank.
    """
    splits, cut, device = source.splits, source.cut, source.device
    n_gram = max(SCREEN_MIN_IMAGES, SCREEN_CELLS // (cut.height * cut.width))
    n_gram = min(-(-n_gram // BATCH) * BATCH, len(splits.attacker))
    mean, std = _moments(source.batches("attacker", n_gram))

    def standardised(split: str, n_images: int | None = None) -> Iterator[Tensor]:
        return (_standardise(f, mean, std) for f in source.batches(split, n_images))

    pixels = splits.attacker.images[:n_gram].to(device).float() / 255
    pairs = zip(standardised("attacker", n_gram), torch.split(pixels, BATCH), strict=True)
    ridge = RidgeAttacker.fit(pairs, pixels.mean(0))
    n_classes = len(splits.cloud.class_names)
    scatter = ClassScatter(n_classes)

    def summaries() -> Iterator[tuple[Tensor, Tensor]]:
        labels = torch.split(splits.cloud.labels.to(device), BATCH)
        for seen, batch in zip(standardised("cloud"), labels, strict=True):
            scatter.add(seen, batch)
            yield pool_features(seen), batch

    classifier = LinearClassifier.fit(summaries(), n_classes)
    score = torch.cat([f.half() for f in standardised("score")])
    features = {split: source.kept.pop(split) for split in ("attacker", "cloud") if source.keep}
    source.kept.clear()
    for part in (part for raw in features.values() for part in torch.split(raw, BATCH)):
        part.copy_(_standardise(part.float(), mean, std))
    return CutBank(
        cut=cut,
        source=source,
        mean=mean,
        std=std,
        ridge=ridge,
        classifier=classifier,
        statistics=ChannelStatistics(
            discriminability=scatter.fisher_ratio().cpu().numpy(),
            exposure=ridge.channel_exposure().double().cpu().numpy(),
            magnitude=filter_magnitudes(source.backbone, cut),
            greedy_order=functools.cache(lambda: greedy_order(ridge, classifier)),
        ),
        features=features,
        score_features=score,
        score_images=splits.score.images.to(device).float() / 255,
        score_labels=splits.score.labels.to(device),
        score_pooled=torch.cat([pool_features(f.float()) for f in torch.split(score, BATCH)]),
    )


def _standardise(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
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


def _moments(batches: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean map, and each channel's deviation around it with a floor for dead ones."""
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
