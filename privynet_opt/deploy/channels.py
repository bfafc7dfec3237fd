"""Which channels a chosen topology keeps, computing no more than its strategy looks at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from privynet_opt.characterization.bank import FeatureSource
from privynet_opt.characterization.channel_statistics import channel_statistics, gram_images
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import Cut
from privynet_opt.networks.magnitude import filter_magnitudes
from privynet_opt.selection import STATISTICS_READ, ChannelStatistics, kept_channels
from privynet_opt.topology import LocalTopology

MEASURED_ON_IMAGES = frozenset({"discriminability", "exposure"})
"""Statistics that cannot be known without images."""


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
    found = {count: kept for (at, count), kept in searched.items() if at == cut.name}
    if not needs_images(topology, cut):
        unknown = np.full(cut.channels, np.nan)
        magnitude = filter_magnitudes(backbone, cut)
        return kept_channels(topology, ChannelStatistics(unknown, unknown, magnitude, found))
    assert splits is not None, "images are given where the choice depends on them"
    # Statistics are taken of half-precision features, as in every measurement that trains: the
    # source rounds what it keeps. The attacker's images beyond those of the Gram matrix do not
    # count for them.
    seen = torch.arange(gram_images(cut, len(splits.attacker)))
    enough = replace(splits, attacker=splits.attacker.take(seen))
    source = FeatureSource(backbone, cut, enough, torch.device("cpu"), keep=True)
    return kept_channels(
        topology, channel_statistics(source, STATISTICS_READ[topology.selection_strategy])
    )
