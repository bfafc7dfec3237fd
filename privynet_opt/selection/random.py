"""Keep channels drawn at random: what PrivyNet's anonymity needs, and the baseline of the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privynet_opt.selection.statistics import ChannelStatistics


def choose(statistics: ChannelStatistics, kept: int, seed: int) -> NDArray[np.int64]:
    """Draw channels uniformly; a smaller count keeps a subset of a larger one's.

    Args:
        statistics: Of the cut.
        kept: How many channels.
        seed: Seed of the draw.

    Returns:
        Channel indices, shape ``(kept,)``.
    """
    return np.random.default_rng(seed).permutation(statistics.channels)[:kept]
