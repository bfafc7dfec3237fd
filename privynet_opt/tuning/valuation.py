"""Which topologies a question leaves open, and what measuring each of them is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.candidates import exact_costs
from privynet_opt.cost import COST_NAMES
from privynet_opt.metrics import METRICS, PREDICTED
from privynet_opt.report.words import format_value
from privynet_opt.search_space import TOPOLOGY_COLUMNS
from privynet_opt.tuning.acquisition import Floats, constrained_expected_improvement, normal_std

if TYPE_CHECKING:
    from privynet_opt.constraints import Constraint
    from privynet_opt.cost import CutProfile
    from privynet_opt.study_sections import SearchSpec

Bools: TypeAlias = NDArray[np.bool_]


def within_exact_limits(
    topologies: pd.DataFrame, cuts: Mapping[str, CutProfile], constraints: Sequence[Constraint]
) -> Bools:
    """Return which topologies cost no more than they may; nothing has to be measured for it.

    Args:
        topologies: Columns `TOPOLOGY_COLUMNS`.
        cuts: Profiles by name of the cut layer.
        constraints: The limits; those on what is predicted are left out.

    Returns:
        Shape ``(n_topologies,)``.
    """
    costs = exact_costs(topologies, cuts)
    kept = np.ones(len(topologies), dtype=bool)
    for constraint in constraints:
        if constraint.metric in COST_NAMES:
            kept &= constraint.violation(costs[constraint.metric]) <= 0
    return kept


def possible_in_closed_form(
    topologies: pd.DataFrame, screen: pd.DataFrame, constraints: Sequence[Constraint]
) -> Bools:
    """Return which topologies the closed-form attack leaves within the limits on privacy loss.

    Whoever trains a decoder can run that attack, too: what it recovers is no prediction but the
    least that a topology leaks, whatever is trained for it.

    Args:
        topologies: Columns `TOPOLOGY_COLUMNS`.
        screen: Rows of fidelity ``screen``.
        constraints: The limits.

    Returns:
        Shape ``(n_topologies,)``; True where nothing was screened.
    """
    kept = np.ones(len(topologies), dtype=bool)
    for constraint in constraints:
        if METRICS[constraint.metric].is_privacy_loss:
            leaks = _leaks(topologies, screen, constraint.metric)
            kept &= (constraint.violation(leaks) <= 0) | leaks.isna().to_numpy()
    return kept


def worth(
    candidates: pd.DataFrame, is_possible: Bools, best: pd.Series | None, asked: SearchSpec
) -> Floats:
    """Return by how much measuring each candidate is expected to raise the accuracy.

    A limit on privacy must hold at the upper end of the interval for a topology to be recommended,
    and measuring it moves the interval rather than narrows it: so the upper end has to come down.

    Args:
        candidates: From `judge`.
        is_possible: Which of them may be measured.
        best: The recommended one, None where there is none.
        asked: Limits, and the level of the candidates' intervals.

    Returns:
        `constrained_expected_improvement` of each, shape ``(n_candidates,)``.
    """

    def std(metric: str) -> Floats:
        ends = (candidates[f"{metric}_lower"], candidates[f"{metric}_upper"])
        return normal_std(*ends, candidates[metric], asked.confidence)

    limits = [c for c in asked.constraints if METRICS[c.metric].is_privacy_loss]
    floors = [c.limit for c in asked.constraints if c.metric == "accuracy"]
    return constrained_expected_improvement(
        candidates["accuracy"],
        std("accuracy"),
        0.0 if best is None else float(best["accuracy"]),
        [candidates[f"{c.metric}_upper"] - c.limit for c in limits],
        [std(c.metric) for c in limits],
        is_possible,
        max([0.0, *floors]),
    )


def best_measured(candidates: pd.DataFrame, constraints: Sequence[Constraint]) -> pd.Series | None:
    """Return the most accurate candidate that kept every limit as measured, or None.

    It need not be the recommended one, whose limits on privacy hold at the upper end of its
    interval: one measurement tells less than the level of the interval promises.

    Args:
        candidates: From `judge`.
        constraints: The limits.
    """
    kept = candidates["measured"].to_numpy(bool, copy=True)
    for constraint in constraints:
        name = constraint.metric
        column = f"measured_{name}" if name in PREDICTED else name
        kept &= constraint.violation(candidates[column]) <= 0
    if not kept.any():
        return None
    best: pd.Series = candidates.loc[candidates.loc[kept, "measured_accuracy"].idxmax()]
    return best


def why_impossible(
    topologies: pd.DataFrame,
    cuts: Mapping[str, CutProfile],
    screen: pd.DataFrame | None,
    constraints: Sequence[Constraint],
) -> list[str]:
    """Say which numbers rule out every topology, one fact a line.

    Args:
        topologies: Columns `TOPOLOGY_COLUMNS`.
        cuts: Profiles by name of the cut layer.
        screen: Rows of fidelity ``screen``; None where there are none.
        constraints: The limits.
    """
    costs = exact_costs(topologies, cuts)
    n_all = len(topologies)
    lines = []
    for constraint in (c for c in constraints if c.metric in COST_NAMES):
        over = constraint.violation(costs[constraint.metric]) > 0
        least = f"the smallest has {costs[constraint.metric].min():,}"
        lines.append(f"{constraint} excludes {over.sum():,} of {n_all:,} topologies; {least}")
    within = within_exact_limits(topologies, cuts, constraints)
    if screen is not None and within.any():
        for constraint in (c for c in constraints if METRICS[c.metric].is_privacy_loss):
            leaks = _leaks(topologies[within], screen, constraint.metric)
            over = constraint.violation(leaks.dropna()) > 0
            lines.append(
                f"{constraint} excludes {over.sum():,} of the {within.sum():,} that are left; the "
                "closed-form attack alone reaches "
                f"{format_value(constraint.metric, float(leaks.min()))} or more on each"
            )
    return lines


def _leaks(topologies: pd.DataFrame, screen: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Return what the closed-form attack recovers of topologies; NaN where nothing was screened."""
    keys = list(TOPOLOGY_COLUMNS)
    known = screen.set_index(keys)[metric]
    return known.reindex(pd.MultiIndex.from_frame(topologies[keys]))
