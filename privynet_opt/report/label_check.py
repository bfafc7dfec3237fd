"""A limit on privacy loss beside what the label alone tells of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.report.check import Check
from privynet_opt.report.words import format_value, readable_scale

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult


def label_check(result: OptimizationResult) -> Check | None:
    """Return that the label alone breaks a limit, or None where none does or nothing is known.

    Args:
        result: What `optimize` returned.
    """
    alone = dict(readable_scale(result.table)).get("label only")
    if alone is None:
        return None
    limits = [c for c in result.constraints if c.metric == "psnr_db" and c.violation(alone) > 0]
    if not limits:
        return None
    tightest = min(limits, key=lambda limit: limit.limit)
    value = format_value("psnr_db", alone)
    return Check(
        "watch",
        f"{tightest} cannot hold for images that the cloud trains on: it has their labels",
        f"The mean image of the right class, guessed from the label alone, has {value}, whatever "
        "the local network. The limit is about images that are classified later, of which the "
        "cloud knows no label.",
    )
