"""Conformal scales: by how many spreads an interval must reach to keep its promise.

Intervals are conformal (Vovk et al. 2005) with normalised scores (Lei et al. 2018, §5.2): the
prediction plus or minus its spread times a quantile of the scores ``|measured - predicted| /
spread`` of held-out rows. The scores are cross-validated (Vovk 2015, "Cross-conformal predictors"),
while predictions come from the fit to all rows: no theorem guarantees their level, so it is checked
on held-out rows, and told with the results. A cut with rows enough has a quantile of its own
(Mondrian conformal prediction, ibid.): with one for all, intervals were too narrow at some cuts and
too wide at others. It counts once over rows and once over (cut layer, kept filters), each of which
weighs the same however many rows it has, and the larger quantile is taken: where a few counts have
most of the rows, their errors would speak for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.folds import Folds

MIN_OWN_ROWS = 20
"""Trained rows from which a cut's own errors set its intervals; the other cuts share theirs. A 90 %
quantile needs 9 of them (`conformal_scale`); of 20, one row moves the coverage by 5 points."""

ROUNDING = 1e-9
"""A rank that is a whole number but for rounding is that number: 25 * 0.28 is a little over 7."""

SHARED = "other cuts"
"""What cuts of fewer rows are called together."""


def supports(count: int, confidence: float) -> bool:
    """Return whether so many scores have a conformal rank for a level: up to n / (n + 1).

    Args:
        count: Held-out rows.
        confidence: Share of new rows to cover, in (0, 1).
    """
    return _rank(count, confidence) <= count


def _rank(count: int, confidence: float) -> int:
    return math.ceil((count + 1) * confidence - ROUNDING)


def highest_level(count: int) -> float:
    """Return the highest level that so many scores support, in whole hundredths of a percent.

    Args:
        count: Held-out rows.

    Returns:
        n / (n + 1), rounded down so that the level itself is supported.
    """
    return 10_000 * count // (count + 1) / 10_000


def conformal_scale(scores: Floats, confidence: float) -> float:
    """Return by how many spreads an interval must reach to cover a new row.

    Args:
        scores: ``|measured - predicted| / spread`` of held-out rows, shape ``(n,)``, n at least 2.
        confidence: Share of new rows to cover, in (0, 1).

    Returns:
        The score of rank ``ceil((n + 1) * confidence)``. With too few scores for that rank, the
        half width of Student's prediction interval for errors of mean zero, or the largest score
        if that is more: wide, and no longer free of assumptions.
    """
    count = len(scores)
    if supports(count, confidence):
        return float(np.sort(scores)[_rank(count, confidence) - 1])
    from scipy.special import stdtrit

    quantile = float(stdtrit(count, (1 + confidence) / 2))
    return max(float(scores.max()), quantile * math.sqrt(float(np.mean(scores**2))))


def interval_groups(cut_layers: Sequence[str]) -> NDArray[np.str_]:
    """Return which rows set the width of their intervals together.

    Args:
        cut_layers: The cut layer of each trained row.

    Returns:
        The cut layer where it has `MIN_OWN_ROWS` rows, `SHARED` elsewhere.
    """
    cuts = pd.Series(cut_layers)
    own = cuts.map(cuts.value_counts()) >= MIN_OWN_ROWS
    return cuts.where(own, SHARED).to_numpy(dtype=str)


def balanced_scale(scores: Floats, alike: Sequence[int], confidence: float) -> float:
    """Return `conformal_scale` with rows weighted so that all kinds of rows weigh the same.

    Args:
        scores: As in `conformal_scale`, enough for the level.
        alike: Which kind each row is.
        confidence: Share of the weight of new rows to cover.

    Returns:
        The weighted quantile (Tibshirani et al., NeurIPS 2019), the new row weighing as much as
        the others on average.
    """
    _, kinds, sizes = np.unique(alike, return_inverse=True, return_counts=True)
    weights = 1 / sizes[kinds]
    order = np.argsort(scores)
    reached = np.cumsum(weights[order])
    wanted = confidence * (weights.sum() + weights.mean())
    rank = np.searchsorted(reached, wanted - ROUNDING * weights.sum())
    return float(scores[order][min(int(rank), len(scores) - 1)])


def group_scale(
    scores: Floats,
    groups: NDArray[np.str_],
    alike: NDArray[np.int64],
    group: str,
    confidence: float,
) -> float:
    """Return the scale of the intervals of one group.

    Args:
        scores: As in `conformal_scale`, one per row.
        groups: From `interval_groups`, one per row.
        alike: Which (cut layer, kept filters) each row has.
        group: The group; one without rows takes those of all.
        confidence: Share of new rows to cover.

    Returns:
        The larger of the group's own `conformal_scale` and `balanced_scale`; the first of all rows
        where its own are too few for the level.
    """
    own = groups == group
    if not supports(int(own.sum()), confidence):
        return conformal_scale(scores, confidence)
    return max(
        conformal_scale(scores[own], confidence),
        balanced_scale(scores[own], alike[own], confidence),
    )


def cross_conformal_scales(
    scores: Floats,
    groups: NDArray[np.str_],
    alike: NDArray[np.int64],
    folds: Folds,
    confidence: float,
) -> Floats:
    """Return each row's scale, set by the scores of the other folds alone.

    Args:
        scores: As in `conformal_scale`, one per row.
        groups: From `interval_groups`, one per row.
        alike: As in `group_scale`.
        folds: At least two.
        confidence: Share of rows to cover.

    Returns:
        Shape ``(n_rows,)``. Coverage measured with these is honest: no row's own error widens
        its own interval.
    """
    scales = np.empty(len(scores))
    for rows, others, group in with_others(groups, folds):
        scales[rows] = group_scale(scores[others], groups[others], alike[others], group, confidence)
    return scales


def with_others(
    groups: NDArray[np.str_], folds: Folds
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], str]]:
    """Yield the rows that share fold and group.

    Args:
        groups: From `interval_groups`, one per row.
        folds: At least two.

    Yields:
        Their positions, the positions of all rows of other folds, and the group.
    """
    for fold in folds:
        others = np.setdiff1d(np.arange(len(groups)), fold)
        for group in np.unique(groups[fold]):
            yield fold[groups[fold] == group], others, str(group)
