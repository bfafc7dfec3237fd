"""Shadow prices in words, for the report and the printed summary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from privynet_opt.constraints import format_limit
from privynet_opt.report.words import DISPLAYS, format_difference
from privynet_opt.shadow_prices import ABSOLUTE_STEPS, COST_STEP, ShadowPrice

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult


class PriceRow(NamedTuple):
    """What moving one limit would do.

    Attributes:
        moved: The limit as it was moved.
        step: By how much: more where there is a limit, less than its own value where there is none.
        change: What it does to the accuracy of what is recommended.
        topology: What would be recommended then; empty where nothing changes.
    """

    moved: str
    step: str
    change: str
    topology: str


def price_rows(result: OptimizationResult) -> tuple[PriceRow, ...]:
    """Return the shadow prices in words.

    Args:
        result: What `optimize` returned.
    """
    return tuple(
        PriceRow(str(p.moved), _step(p), _change(p), "" if p.topology is None else str(p.topology))
        for p in result.shadow_prices
    )


def price_note(result: OptimizationResult) -> str:
    """Return how to read the prices.

    Args:
        result: What `optimize` returned.
    """
    error = result.proxies.validations["accuracy"].mean_absolute_error
    judged = "every topology judged again"
    if not result.search.is_enumerated:
        judged = "every topology that the search tried judged again, so that limits may buy more"
    return (
        f"One limit moved, all others kept, {judged}. A metric without a limit "
        "is held below what is recommended, to show what that freedom is worth. Differences below "
        f"{format_difference('accuracy', error)}, the proxies' mean error, may not be real."
    )


def _step(price: ShadowPrice) -> str:
    size = f"{COST_STEP:.0%}"
    if price.metric in ABSOLUTE_STEPS:
        size = f"{ABSOLUTE_STEPS[price.metric]:g} {DISPLAYS[price.metric].unit}".rstrip()
    return f"{'+' if price.constraint else '−'}{size}"


def _change(price: ShadowPrice) -> str:
    if math.isnan(price.change):
        return "leaves nothing"
    if price.change:
        size = format_difference("accuracy", abs(price.change))
        return f"{'+' if price.change > 0 else '−'}{size}"
    if price.constraint is None:
        return "costs nothing"
    if price.needed is None:
        return "does not bind"
    return f"none before {format_limit(price.needed.limit)}"
