"""All that measuring the topologies of one cut shares: features, Gram matrices, statistics.

The features of a cut are computed once, for every channel; a topology is a choice of columns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from privynet_opt.attacks.linear_classifier import LinearClassifier, pool_features
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.batches import joined
from privynet_opt.characterization.channel_statistics import (
    ClassScatter,
    LinearView,
    standardise,
)
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.greedy_order import greedy_order
from privynet_opt.characterization.stems import BATCH
from privynet_opt.characterization.whole_image_view import WholeImageView
from privynet_opt.networks.coding import extremes
from privynet_opt.networks.cuts import Cut
from privynet_opt.networks.magnitude import filter_magnitudes
from privynet_opt.selection import ChannelStatistics


class TrainingFeatures:
    """Standardised features of every channel, of the images that networks are trained on.

    Args:
        source: Computes them; those of one split are let go of for the other's unless it keeps
            both.
        mean: Mean map, shape ``(1, C, h, w)``.
        std: Standard deviations, shape ``(1, C, 1, 1)``.
    """

    def __init__(self, source: FeatureSource, mean: Tensor, std: Tensor) -> None:
        self._source = source
        self._mean = mean
        self._std = std
        self._held: dict[str, Tensor] = {}

    @torch.no_grad()
    def first(self, split: str, n_images: int) -> Tensor:
        """Return the features of a split's first images, of all where it has no more.

        Args:
            split: ``"cloud"`` or ``"attacker"``.
            n_images: How many; more of them are held only where there is room for both splits.

        Returns:
            float16, shape ``(at most n_images, C, h, w)``.
        """
        n_there = len(getattr(self._source.splits, split))
        wanted = n_there if self._source.keeps_both else min(n_images, n_there)
        if split not in self._held or len(self._held[split]) < wanted:
            if not self._source.keeps_both:
                self._held.clear()
            features = self._source.take(split, wanted)
            for part in torch.split(features, BATCH):
                part.copy_(standardise(part.float(), self._mean, self._std))
            self._held[split] = features
        return self._held[split][:n_images]


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
        statistics: What the selection strategies need.
        features: Those of the images that networks are trained on; the source keeps features.
        score_features: Standardised float16 features of the scored images, ``(n, C, h, w)``.
        score_images: The scored images in [0, 1], float32.
        score_labels: Their labels.
        seen: Yields the standardised features of so many first images of a split, in batches.
        whole_image: Returns what the fidelity ``screen`` needs beside these; computed when first
            asked for.
        extremes: Returns the lowest and highest feature of each channel on the cloud's images, not
            standardised, shape ``(C,)`` each: the ends of codes; computed when first asked for.
    """

    cut: Cut
    source: FeatureSource
    mean: Tensor
    std: Tensor
    ridge: RidgeAttacker
    statistics: ChannelStatistics
    features: TrainingFeatures
    score_features: Tensor
    score_images: Tensor
    score_labels: Tensor
    seen: Callable[[str, int], Iterator[Tensor]]
    whole_image: Callable[[], WholeImageView]
    extremes: Callable[[], tuple[Tensor, Tensor]]

    def with_searched(self, searched: Mapping[tuple[str, int], tuple[int, ...]]) -> CutBank:
        """Return the bank with the subsets that searching found at its cut.

        Args:
            searched: Channels by cut layer and count of kept filters.
        """
        statistics = self.statistics.with_searched(self.cut.name, searched)
        return replace(self, statistics=statistics)

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
        seen = (standardise(batch, self.mean, self.std)[:, list(kept)] for batch in batches)
        n_images = len(getattr(self.source.splits, split))
        return joined((batch.half() for batch in seen), n_images)


@torch.no_grad()
def build_bank(source: FeatureSource) -> CutBank:
    """Compute what the measurements of a cut share.

    Args:
        source: Computes the features of its cut.

    Returns:
        The bank.
    """
    splits, cut, device = source.splits, source.cut, source.device
    view = LinearView.of(source)
    mean, std, ridge = view.mean, view.std, view.ridge
    n_classes = len(splits.cloud.class_names)
    scatter = ClassScatter(n_classes)

    def summaries() -> Iterator[tuple[Tensor, Tensor]]:
        for seen, labels in view.cloud(source):
            scatter.add(seen, labels)
            yield pool_features(seen), labels

    classifier = LinearClassifier.fit(summaries(), n_classes)
    score = joined(
        (standardise(f, mean, std).half() for f in source.batches("score")), len(splits.score)
    )
    source.forget("score")
    features = TrainingFeatures(source, mean, std)

    def seen_of(split: str, n_images: int) -> Iterator[Tensor]:
        if source.keep:
            return iter(torch.split(features.first(split, n_images), BATCH))
        return (standardise(f, mean, std) for f in source.batches(split, n_images))

    return CutBank(
        cut=cut,
        source=source,
        mean=mean,
        std=std,
        ridge=ridge,
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
        seen=seen_of,
        whole_image=functools.cache(
            lambda: WholeImageView.of(splits, mean / std, seen_of, score, cut)
        ),
        extremes=functools.cache(lambda: extremes(source.computed("cloud"))),
    )
