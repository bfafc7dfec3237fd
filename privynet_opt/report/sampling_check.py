"""How far accuracies reach that were all counted on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.report.check import Check
from privynet_opt.report.words import (
    format_difference,
    format_interval,
    format_level,
    format_value,
)
from privynet_opt.sampling import wilson_interval

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

ENOUGH = 0.03
"""Half the width of an interval, by the images' number alone, beyond which it is worth a warning:
as much as the proxies' error may be."""


def sampling_check(result: OptimizationResult) -> Check | None:
    """Return what the recommended topology's accuracy says of other images, None where not known.

    Args:
        result: What `optimize` returned.
    """
    n_images = result.table.sidecar.get("data", {}).get("n_images", {}).get("score")
    if result.best is None or not n_images:
        return None
    accuracy, level = float(result.best["accuracy"]), result.spec.search.confidence
    lower, upper = wilson_interval(accuracy, n_images, level)
    half = (upper - lower) / 2
    text = (
        f"Accuracies and their intervals are of the same {n_images:,} scored images. A network "
        f"right on {format_value('accuracy', accuracy)} of these is right on "
        f"{format_interval('accuracy', lower, upper)} of all images like them, by their number "
        f"alone (Wilson's interval, {format_level(level)})."
    )
    reach = format_difference("accuracy", half)
    if half > ENOUGH:
        title = f"Few images were scored: on others accuracy may differ by {reach}"
        return Check("watch", title, text)
    return Check("good", f"Enough images were scored to tell accuracy within {reach}", text)
