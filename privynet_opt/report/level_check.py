"""The level asked of the intervals beside the highest that the held-out measurements support."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.proxies.conformal import highest_level, supports
from privynet_opt.report.check import Check
from privynet_opt.report.words import format_level

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult


def level_check(result: OptimizationResult) -> Check | None:
    """Return that more was asked of the intervals than held-out rows support, or None.

    The fewest rows that set intervals of their own decide; every target has the same ones.

    Args:
        result: What `optimize` returned.
    """
    held_out = next(iter(result.proxies.validations.values()), None)
    if held_out is None:
        return None
    rows = held_out.coverage_by_cut()["rows"]
    asked, fewest = float(result.spec.search.confidence), int(rows.min())
    if supports(fewest, asked):
        return None
    where = f" at {rows.idxmin()}" if len(rows) > 1 else ""
    measurements = f"measurement{'' if fewest == 1 else 's'}"
    level, most = format_level(asked), highest_level(fewest)
    above = (
        f"intervals{where} are set by the errors of all {held_out.n_rows:,} measurements, whatever "
        "their cut"
        if supports(held_out.n_rows, asked)
        else "intervals reach to the largest error, or as far as normal errors would if that is "
        "more"
    )
    return Check(
        "watch",
        f"{level} was asked of the intervals, more than the {format_level(most)} that {fewest:,} "
        f"held-out {measurements}{where} can support",
        f"Held-out errors of n measurements support levels up to n / (n + 1). Above that, {above}: "
        f"a limit on privacy loss may hold less surely than {level}. Ask for --confidence "
        f"{most:g} or less, or measure more topologies{where}.",
    )
