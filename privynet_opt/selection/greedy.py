"""Keep the channels that say most of the label per dB they leak, added one at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privynet_opt.selection.statistics import ChannelStatistics


def choose(statistics: ChannelStatistics, kept: int, seed: int) -> NDArray[np.int64]:
    """Return the channels that were added first.

    Args:
        statistics: Of the cut.
        kept: How many channels.
        seed: Not used.

    Returns:
        Channel indices, shape ``(kept,)``.
    """
    return statistics.greedy_order()[:kept]
