"""Held-out errors of a proxy, and intervals that keep their promise on held-out rows.

Rows that share cut layer and kept filters are held out together: their measurements differ only
by which filters were drawn, so a random split would test on near copies of the training rows.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.proxies.base import Floats, Model

MAX_FOLDS = 10
"""Each fold refits the hyper-parameters, so the number of folds sets the time of a fit."""

MIN_OWN_ROWS = 20
"""Trained rows from which a cut's own errors set its intervals; the other cuts share theirs. A 90 %
quantile needs 9 of them (`conformal_scale`); of 20, one row moves the coverage by 5 points."""

ROUNDING = 1e-9
"""A rank that is a whole number but for rounding is that number: 25 * 0.28 is a little over 7."""

SHARED = "other cuts"
"""What cuts of fewer rows are called together."""

Folds = list[np.ndarray]
"""Positions of the rows held out together; every row is in exactly one fold."""


@dataclass(frozen=True)
class ProxyValidation:
    """How well a proxy predicts rows it was not fitted to.

    Attributes:
        target: ``accuracy``, ``psnr_db`` or ``ssim``; errors and widths are in its unit.
        model: Name of the model that was chosen.
        errors: Mean absolute error of every candidate, by name of the model. The smallest was
            chosen, so its error is optimistic by what choosing among so few can give.
        n_rows: Trained measurements.
        n_groups: Distinct (cut layer, kept filters) among them.
        mean_absolute_error: Over all rows, each predicted with its group held out. The fits without
            it start from the hyper-parameters of the fit to all rows, and values are raised to the
            envelope of all rows: slightly optimistic for both.
        spearman: Rank correlation of predicted and measured; NaN if either is constant.
        r2: Share of the variance explained; NaN if the target is constant.
        confidence: What the intervals promise to cover.
        coverage: Share of rows inside their interval, whose width was set without their fold.
        half_width: Median half width of those intervals.
        loco_mean_absolute_error: As above with a whole cut layer held out; NaN for one cut.
        loco_spearman: As above with a whole cut layer held out.
        predictions: One row per measurement: topology, fidelity, measured, predicted, lower,
            upper; predictions and intervals as above.
    """

    target: str
    model: str
    errors: dict[str, float]
    n_rows: int
    n_groups: int
    mean_absolute_error: float
    spearman: float
    r2: float
    confidence: float
    coverage: float
    half_width: float
    loco_mean_absolute_error: float
    loco_spearman: float
    predictions: pd.DataFrame

    def coverage_by_cut(self) -> pd.DataFrame:
        """Return how the intervals keep their promise at each cut that sets its own.

        Returns:
            Indexed by cut layer, cuts of fewer than `MIN_OWN_ROWS` rows together as `SHARED`:
            ``rows`` and ``coverage``.
        """
        groups = interval_groups(self.predictions["cut_layer"].tolist())
        covered = self._inside().groupby(groups, sort=False)
        return covered.agg(["size", "mean"]).set_axis(["rows", "coverage"], axis=1)

    def coverage_at(self, fidelity: str) -> tuple[int, float]:
        """Return how the intervals keep their promise on rows of one fidelity.

        Args:
            fidelity: A trained one.

        Returns:
            The rows, and which share of them lies inside; NaN without any.
        """
        inside = self._inside()[self.predictions["fidelity"] == fidelity]
        return len(inside), float(inside.mean())

    def _inside(self) -> pd.Series[bool]:
        rows = self.predictions
        return rows["measured"].between(rows["lower"], rows["upper"])


def group_folds(groups: Sequence[object], n_folds: int = MAX_FOLDS) -> Folds:
    """Deal groups out to folds.

    Args:
        groups: The group of each row, in an order that puts neighbouring groups side by side.
        n_folds: At most so many folds.

    Returns:
        The folds; the groups take turns, so that neighbours are in different folds.
    """
    order = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    n_folds = min(n_folds, len(order))
    turns = np.array([order[group] % n_folds for group in groups])
    return [np.flatnonzero(turns == turn) for turn in range(n_folds)]


def held_out(
    build: Callable[[], Model], inputs: Floats, targets: Floats, folds: Folds
) -> tuple[Floats, Floats]:
    """Predict every row by a model that was fitted without its fold.

    Args:
        build: Makes an unfitted model.
        inputs: Design matrix, shape ``(n_rows, n_inputs)``.
        targets: Shape ``(n_rows,)``.
        folds: At least two.

    Returns:
        Means and spreads, shape ``(n_rows,)`` each.
    """
    means, spreads = np.empty(len(targets)), np.empty(len(targets))
    for fold in folds:
        kept = np.setdiff1d(np.arange(len(targets)), fold)
        model = build().fit(inputs[kept], targets[kept])
        means[fold], spreads[fold] = model.predict(inputs[fold])
    return means, spreads


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
    for fold in folds:
        others = np.setdiff1d(np.arange(len(scores)), fold)
        for group in np.unique(groups[fold]):
            rows = fold[groups[fold] == group]
            scales[rows] = group_scale(
                scores[others], groups[others], alike[others], group, confidence
            )
    return scales


def rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's correlation, ties averaged; NaN if either is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    ranks = pd.DataFrame({"a": a, "b": b}).rank()
    return float(np.corrcoef(ranks["a"], ranks["b"])[0, 1])


def explained_variance(measured: Floats, predicted: Floats) -> float:
    """Return R², one less the squared errors over the squared deviations; NaN if constant."""
    total = float(((measured - measured.mean()) ** 2).sum())
    return 1 - float(((measured - predicted) ** 2).sum()) / total if total > 0 else math.nan
