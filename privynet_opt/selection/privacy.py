"""Keep the channels that give the image away least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privynet_opt.selection.statistics import ChannelStatistics


def choose(statistics: ChannelStatistics, kept: int, seed: int) -> NDArray[np.int64]:
    """Return the channels of lowest exposure, most private first.

    Args:
        statistics: Of the cut.
        kept: How many channels.
        seed: Not used.

    Returns:
        Channel indices, shape ``(kept,)``.
    """
    return np.argsort(statistics.exposure, kind="stable")[:kept]
