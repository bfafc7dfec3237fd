"""What is known of a cut's channels: which a topology keeps, and how far each one spreads."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from privynet_opt.characterization.channel_statistics import (
    MEASURED_ON_IMAGES,
    channel_statistics,
    gram_images,
    moments,
)
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import Cut
from privynet_opt.selection import STATISTICS_READ, kept_channels
from privynet_opt.topology import LocalTopology


def needs_images(topology: LocalTopology, cut: Cut) -> bool:
    """Return whether the choice of channels depends on images.

    Args:
        topology: The topology.
        cut: Its cut.
    """
    if topology.kept_filters == cut.channels:
        return False
    return bool(MEASURED_ON_IMAGES & set(STATISTICS_READ[topology.selection_strategy]))


def choose_channels(
    topology: LocalTopology,
    backbone: Backbone,
    cut: Cut,
    splits: Splits | None,
    searched: dict[tuple[str, int], tuple[int, ...]],
) -> tuple[int, ...]:
    """Return which channels a topology keeps, the same ones its measurements kept.

    Args:
        topology: The topology.
        backbone: The pre-trained network.
        cut: The topology's cut.
        splits: The study's images; None only where `needs_images` says no.
        searched: Channels that searching found, by cut layer and count of kept filters.

    Returns:
        Distinct channel indices in ascending order.

    Raises:
        TopologyError: If the study searched for no subset of this size.
    """
    if topology.kept_filters == cut.channels:
        return tuple(range(cut.channels))
    reads = STATISTICS_READ[topology.selection_strategy]
    source = _feature_source(backbone, cut, splits) if splits is not None else None
    statistics = channel_statistics(backbone, cut, reads, source)
    return kept_channels(topology, statistics.with_searched(cut.name, searched))


@torch.no_grad()
def channel_deviations(backbone: Backbone, cut: Cut, splits: Splits) -> Tensor:
    """Return the deviations of a cut's channels, by which every measurement scales its noise.

    Args:
        backbone: The pre-trained network.
        cut: One of its cuts.
        splits: The study's images.

    Returns:
        Shape ``(C, 1, 1)``.
    """
    source = _feature_source(backbone, cut, splits)
    _, std = moments(source.batches("attacker", len(source.splits.attacker)))
    return std[0]


def _feature_source(backbone: Backbone, cut: Cut, splits: Splits) -> FeatureSource:
    """Return the features that statistics are taken of, in half precision.

    Every measurement that trains takes them so: its source rounds what it keeps. The attacker's
    images beyond those of the Gram matrix do not count.
    """
    seen = torch.arange(gram_images(cut, len(splits.attacker)))
    enough = replace(splits, attacker=splits.attacker.take(seen))
    return FeatureSource(backbone, cut, enough, torch.device("cpu"), keep=True)
