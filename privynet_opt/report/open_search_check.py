"""What the front of a space that cannot be listed rests on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from privynet_opt.report.check import Check

if TYPE_CHECKING:
    from privynet_opt.optimizer import SearchOutcome


def open_search_check(search: SearchOutcome) -> Check:
    """Return that nothing proves the front, and how much the search still found at its end.

    Args:
        search: The outcome of a search without enumeration.
    """
    title = "The front is what the search found and is not proven"
    text = (
        "Noise may take any value in a range, so the topologies cannot be listed: no enumeration "
        "says what the search missed."
    )
    if math.isfinite(search.late_growth):
        text += (
            f" The second half of its {search.n_trials:,} trials added {search.late_growth:.2%} of "
            "the hypervolume found; more trials or another seed tell whether more is to be had."
        )
    return Check("watch", title, text)
