"""Selection strategies: which output channels of a cut are kept. One module each, numpy only."""

from __future__ import annotations

from privynet_opt.errors import TopologyError
from privynet_opt.selection import greedy, lda, magnitude, privacy, privynet, random, searched
from privynet_opt.selection.statistics import ChannelStatistics
from privynet_opt.topology import SEEDED_STRATEGIES, LocalTopology

__all__ = ["STATISTICS_READ", "ChannelStatistics", "is_drawn", "kept_channels"]

_CHOOSE = {
    "random": random.choose,
    "lda": lda.choose,
    "privacy": privacy.choose,
    "privynet": privynet.choose,
    "magnitude": magnitude.choose,
    "greedy": greedy.choose,
    "searched": searched.choose,
}

STATISTICS_READ = {
    "random": (),
    "lda": ("discriminability",),
    "privacy": ("exposure",),
    "privynet": ("exposure", "discriminability"),
    "magnitude": ("magnitude",),
    "greedy": ("greedy_order",),
    "searched": (),
}
"""Which fields of `ChannelStatistics` a strategy looks at, beside what was searched."""


def is_drawn(strategy: str, channels: int, kept: int) -> bool:
    """Return whether filters are drawn, so that another seed keeps others.

    Args:
        strategy: One of `SELECTION_STRATEGIES`.
        channels: Of the cut.
        kept: How many are kept.
    """
    pool = privynet.pool_size(channels, kept) if strategy == "privynet" else channels
    return strategy in SEEDED_STRATEGIES and kept < pool


def kept_channels(topology: LocalTopology, statistics: ChannelStatistics) -> tuple[int, ...]:
    """Return which channels a topology keeps.

    Args:
        topology: The topology.
        statistics: Of its cut.

    Returns:
        Distinct channel indices in ascending order.

    Raises:
        TopologyError: If more filters are kept than the cut has, or none were searched for.
    """
    if topology.kept_filters > statistics.channels:
        raise TopologyError(
            f"`kept_filters` must be at most the {statistics.channels} channels of "
            f"{topology.cut_layer}, but got kept_filters={topology.kept_filters}. Keep fewer."
        )
    choose = _CHOOSE[topology.selection_strategy]
    chosen = choose(statistics, topology.kept_filters, topology.selection_seed)
    return tuple(sorted(int(channel) for channel in chosen))
