"""What the selection strategies know about the channels of a cut; numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ChannelStatistics:
    """One number per output channel of a cut, each of shape ``(channels,)``, and found subsets.

    Attributes:
        discriminability: Fisher's ratio of between-class to within-class scatter of the channel's
            map, trace over its cells; higher separates the classes better.
        exposure: Share of the image's variance that a linear decoder recovers from this channel
            alone; higher is leakier.
        magnitude: L1 norm of the filters that produce the channel (Li et al., "Pruning filters
            for efficient ConvNets", ICLR 2017); 0 where an identity alone produces it.
        greedy_order: Returns the channels in the order in which they are added where each time the
            one is taken that says most of the label per dB it leaks; a call because it takes
            seconds, and not every study asks.
        searched: The subset found by searching, by count of kept filters.
    """

    discriminability: NDArray[np.float64]
    exposure: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    greedy_order: Callable[[], NDArray[np.int64]]
    searched: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def with_searched(
        self, cut_layer: str, searched: Mapping[tuple[str, int], tuple[int, ...]]
    ) -> ChannelStatistics:
        """Return the statistics with the subsets that searching found.

        Args:
            cut_layer: Name of the cut.
            searched: Channels by cut layer and count of kept filters, of any cuts.
        """
        own = {count: kept for (at, count), kept in searched.items() if at == cut_layer}
        return replace(self, searched=own)

    @property
    def channels(self) -> int:
        """Number of output channels of the cut."""
        return len(self.exposure)
