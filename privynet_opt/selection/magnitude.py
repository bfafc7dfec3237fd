"""Keep the channels with the largest filters: the pruning field's baseline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privynet_opt.selection.statistics import ChannelStatistics


def choose(statistics: ChannelStatistics, kept: int, seed: int) -> NDArray[np.int64]:
    """Return the channels of largest L1 norm, largest first.

    Args:
        statistics: Of the cut.
        kept: How many channels.
        seed: Not used.

    Returns:
        Channel indices, shape ``(kept,)``.
    """
    return np.argsort(-statistics.magnitude, kind="stable")[:kept]
