"""Sliders for the limits: what a reader may ask of the same candidates without a new search."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from privynet_opt.metrics import METRICS, checked_column
from privynet_opt.report.words import DISPLAYS, label

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

ALWAYS = ("psnr_db", "accuracy", "local_flops", "memory_bytes")
"""Metrics with a slider whether or not they are limited."""


class Slider(NamedTuple):
    """One limit that can be moved.

    Attributes:
        metric: What it limits.
        label: The metric in words.
        column: What the limit is checked on: the interval's upper end for privacy loss.
        operator: ``"<="`` or ``">="``.
        limit: The study's limit; None for none.
        low: Lower end of the slider.
        high: Upper end.
        log: Whether it moves by factors.
    """

    metric: str
    label: str
    column: str
    operator: str
    limit: float | None
    low: float
    high: float
    log: bool


def sliders(result: OptimizationResult) -> tuple[Slider, ...]:
    """Return a slider for each limit of the study, and for what is usually limited.

    Args:
        result: What `optimize` returned.
    """
    asked = [(c.metric, c.operator[:2], float(c.limit)) for c in result.constraints]
    limited = {metric for metric, _, _ in asked}
    others = [
        (metric, ">=" if METRICS[metric].higher_is_better else "<=", None)
        for metric in ALWAYS
        if metric not in limited
    ]
    return tuple(_slider(result, *one) for one in [*asked, *others] if one[0] in DISPLAYS)


def _slider(result: OptimizationResult, metric: str, operator: str, limit: float | None) -> Slider:
    column = checked_column(metric)
    values = result.candidates[column].to_numpy(float)
    ends = [float(np.nanmin(values)), float(np.nanmax(values))]
    if limit is not None:
        ends += [limit]
    low, high = min(ends), max(ends)
    log = DISPLAYS[metric].si and low > 0
    return Slider(metric, label(metric), column, operator, limit, low, max(high, low + 1e-9), log)
