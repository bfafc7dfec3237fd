"""Shadow prices: what a looser limit would buy in accuracy, exact over the enumerated candidates.

One limit is moved, the others stay, and every candidate is judged again: no search, no derivative.
The space is discrete, so most prices are steps: a limit may bind and yet a small move buy nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.candidates import best_of
from privynet_opt.constraints import Constraint
from privynet_opt.infeasibility import SHOWN_DIGITS, limit_at
from privynet_opt.metrics import METRICS, checked_column
from privynet_opt.topology import LocalTopology

ABSOLUTE_STEPS = {"psnr_db": 1.0, "ssim": 0.05}
"""By how much a limit on privacy loss is moved; one on a cost is moved by `COST_STEP`."""

COST_STEP = 0.1
"""Share of the limit, or of the recommended topology's own cost."""

ALWAYS_PRICED = ("psnr_db", "local_flops", "memory_bytes")
"""Priced whether they are limited or not."""


@dataclass(frozen=True)
class ShadowPrice:
    """What moving one limit does to the accuracy of what is recommended.

    Attributes:
        metric: What is limited.
        constraint: The limit; None where the user set none, and the recommended topology's own
            value is tightened in its place, which shows what that freedom is worth.
        moved: The limit as it was moved.
        change: Accuracy of what would be recommended less that of what is; at least 0 for a limit
            that was loosened, at most 0 for one that was tightened, NaN where nothing is left.
        topology: What would be recommended; None where nothing changes or is left.
        needed: The smallest move that buys any accuracy; None where the limit does not bind, since
            nothing is more accurate even without it.
    """

    metric: str
    constraint: Constraint | None
    moved: Constraint
    change: float
    topology: LocalTopology | None
    needed: Constraint | None = None

    @property
    def binds(self) -> bool:
        """Whether the limit keeps something more accurate from being recommended."""
        return self.needed is not None


def shadow_prices(
    candidates: pd.DataFrame, best: pd.Series | None, constraints: Sequence[Constraint]
) -> tuple[ShadowPrice, ...]:
    """Price every limit, and the metrics of `ALWAYS_PRICED` that have none.

    Args:
        candidates: From `judge`, those that may be recommended.
        best: What is recommended.
        constraints: The limits the candidates were judged by.

    Returns:
        The prices, limits in the user's order first; none for limits on accuracy, which buy nothing
        by definition, and none where nothing is recommended.
    """
    if best is None:
        return ()
    limits = {c.metric: c for c in constraints if c.metric != "accuracy"}
    meets = {c.metric: _meets(candidates, c) for c in constraints}
    prices = []
    for metric in dict.fromkeys((*limits, *ALWAYS_PRICED)):
        others = [met for name, met in meets.items() if name != metric]
        rest = candidates[np.logical_and.reduce(others)] if others else candidates
        constraint = limits.get(metric)
        if constraint is None:
            prices.append(_tightened(rest, best, metric))
        else:
            prices.append(_loosened(rest, best, constraint))
    return tuple(prices)


def _loosened(rest: pd.DataFrame, best: pd.Series, constraint: Constraint) -> ShadowPrice:
    limit = constraint.limit
    moved = _at_most(constraint.metric, limit + _step(constraint.metric, limit))
    top = _best_under(rest, moved)
    assert top is not None  # what is recommended meets the looser limit, too
    change = float(top["accuracy"]) - float(best["accuracy"])
    better = rest[rest["accuracy"] > best["accuracy"]]
    needed = None
    if not better.empty:
        needed = limit_at(constraint, float(better[checked_column(constraint.metric)].min()))
    return ShadowPrice(
        constraint.metric,
        constraint,
        moved,
        change,
        LocalTopology.of(top) if change else None,
        needed,
    )


def _tightened(rest: pd.DataFrame, best: pd.Series, metric: str) -> ShadowPrice:
    own = float(best[checked_column(metric)])
    moved = _at_most(metric, own - _step(metric, own))
    top = _best_under(rest, moved)
    if top is None:
        return ShadowPrice(metric, None, moved, float("nan"), None)
    change = float(top["accuracy"]) - float(best["accuracy"])
    return ShadowPrice(metric, None, moved, change, LocalTopology.of(top))


def _step(metric: str, value: float) -> float:
    return ABSOLUTE_STEPS.get(metric, COST_STEP * value)


def _at_most(metric: str, limit: float) -> Constraint:
    highest = METRICS[metric].highest
    return Constraint(f"{metric} <= {min(limit, highest or limit):.{SHOWN_DIGITS}g}")


def _best_under(rest: pd.DataFrame, constraint: Constraint) -> pd.Series | None:
    return best_of(rest.assign(feasible=_meets(rest, constraint)))


def _meets(candidates: pd.DataFrame, constraint: Constraint) -> NDArray[np.bool_]:
    return constraint.violation(candidates[checked_column(constraint.metric)]) <= 0
