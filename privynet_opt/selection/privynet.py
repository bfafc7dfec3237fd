"""PrivyNet's own way: drop the leakiest, then the least discriminative, then draw at random.

The draw keeps the local network unguessable; what is dropped first raises its mean accuracy and
privacy (Li et al., arXiv:1709.06161).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privynet_opt.selection.statistics import ChannelStatistics

DROPPED_SHARE = 0.25
"""Share of the channels dropped in each of the two steps; ours, the paper's is not known."""


def pool_size(channels: int, kept: int) -> int:
    """Return from how many channels are drawn; where as many are kept, nothing is.

    Args:
        channels: Of the cut.
        kept: How many are kept.
    """
    spare = channels - kept
    return channels - min(spare, 2 * int(DROPPED_SHARE * channels))


def choose(statistics: ChannelStatistics, kept: int, seed: int) -> NDArray[np.int64]:
    """Return channels drawn from those that survive both steps.

    Where so many channels are kept that dropping both shares would leave too few, half of what
    may be dropped goes in the first step and the rest in the second.

    Args:
        statistics: Of the cut.
        kept: How many channels.
        seed: Seed of the draw.

    Returns:
        Channel indices, shape ``(kept,)``.
    """
    spare = statistics.channels - kept
    share = int(DROPPED_SHARE * statistics.channels)
    leakiest = min(share, (spare + 1) // 2)
    weakest = min(share, spare - leakiest)
    pool = np.argsort(statistics.exposure, kind="stable")[: statistics.channels - leakiest]
    order = np.argsort(-statistics.discriminability[pool], kind="stable")
    pool = np.sort(pool[order[: len(pool) - weakest]])
    return np.random.default_rng(seed).permutation(pool)[:kept]
