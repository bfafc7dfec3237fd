"""Keep the channels that a search with the cut's amortised networks found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privynet_opt.errors import TopologyError
from privynet_opt.selection.statistics import ChannelStatistics


def choose(statistics: ChannelStatistics, kept: int, seed: int) -> NDArray[np.int64]:
    """Return the subset that was found for this count.

    Args:
        statistics: Of the cut.
        kept: How many channels.
        seed: Not used.

    Returns:
        Channel indices, shape ``(kept,)``.

    Raises:
        TopologyError: If no subset of this size was searched for.
    """
    if kept not in statistics.searched:
        counts = ", ".join(map(str, sorted(statistics.searched))) or "none"
        raise TopologyError(
            f"`kept_filters` must be a count that was searched ({counts}), but got "
            f"kept_filters={kept}. Add it to [characterization.searched] of the study."
        )
    return np.array(statistics.searched[kept], dtype=np.int64)
