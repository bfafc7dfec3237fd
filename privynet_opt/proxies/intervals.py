"""Intervals around predictions, and how far they reach."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.conformal import (
    conformal_scale,
    cross_conformal_scales,
    group_scale,
    interval_groups,
    with_others,
)
from privynet_opt.proxies.folds import group_folds, row_groups

TARGET_RANGES = {"accuracy": (0.0, 1.0), "psnr_db": (-np.inf, np.inf), "ssim": (-1.0, 1.0)}
"""Predictions and intervals are clipped to what a target can be."""

Interval = tuple[Floats, Floats, Floats]
"""Predictions, lower and upper ends."""


def interval(target: str, means: Floats, reach: Floats) -> Interval:
    """Return predictions and the ends of their intervals, as far as the target can go.

    Args:
        target: A key of `TARGET_RANGES`.
        means: Predictions.
        reach: Half widths.
    """
    low, high = TARGET_RANGES[target]
    return (
        np.clip(means, low, high),
        np.clip(means - reach, low, high),
        np.clip(means + reach, low, high),
    )


def held_out_reach(
    target: str, rows: pd.DataFrame, held_out: tuple[Floats, Floats], confidence: float
) -> Floats:
    """Return half widths of held-out intervals, each set without the row's own fold.

    Args:
        target: What is predicted.
        rows: Measured rows, in the order of `privynet_opt.proxies.fit.trained_rows`.
        held_out: Means and spreads with the row's (cut layer, kept filters) held out.
        confidence: Share of rows to cover, in (0, 1).

    Returns:
        Shape ``(n_rows,)``.
    """
    scales = cross_conformal_scales(
        _scores(rows[target].to_numpy(), *held_out),
        interval_groups(rows["cut_layer"].tolist()),
        _alike(rows),
        group_folds(row_groups(rows)),
        confidence,
    )
    return scales * held_out[1]


def held_out_stds(target: str, rows: pd.DataFrame, held_out: tuple[Floats, Floats]) -> Floats:
    """Return spreads in proportion to the errors of other folds.

    Args:
        target: What is predicted.
        rows: As for `held_out_reach`.
        held_out: As for `held_out_reach`.

    Returns:
        Shape ``(n_rows,)``: spreads times the root mean square of the scores that set a row's
        interval, or of all other folds where they have none.
    """
    squares = _scores(rows[target].to_numpy(), *held_out) ** 2
    groups = interval_groups(rows["cut_layer"].tolist())
    factors = np.empty(len(rows))
    for held, others, group in with_others(groups, group_folds(row_groups(rows))):
        own = others[groups[others] == group]
        factors[held] = squares[own if len(own) else others].mean()
    return held_out[1] * np.sqrt(factors)


def scales_by_cut(
    target: str,
    rows: pd.DataFrame,
    held_out: tuple[Floats, Floats],
    without_cut: tuple[Floats, Floats],
    confidence: float,
) -> tuple[dict[str, float], float]:
    """Return by how many spreads intervals reach, set by all rows.

    Args:
        target: What is predicted.
        rows: As for `held_out_reach`.
        held_out: As for `held_out_reach`.
        without_cut: Means and spreads with the row's cut layer held out; empty for a single cut.
        confidence: Share of new rows to cover, in (0, 1).

    Returns:
        The scale by trained cut, and at a cut never trained.
    """
    cuts, measured = rows["cut_layer"].tolist(), rows[target].to_numpy()
    groups, alike = interval_groups(cuts), _alike(rows)
    scores = _scores(measured, *held_out)
    scales = {
        cut: group_scale(scores, groups, alike, str(group), confidence)
        for cut, group in dict(zip(cuts, groups, strict=True)).items()
    }
    new_cut = conformal_scale(scores, confidence)
    if len(without_cut[0]):
        new_cut = max(new_cut, conformal_scale(_scores(measured, *without_cut), confidence))
    return scales, new_cut


def _alike(rows: pd.DataFrame) -> NDArray[np.int64]:
    groups = row_groups(rows)
    order = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    return np.array([order[group] for group in groups])


def _scores(measured: Floats, means: Floats, spreads: Floats) -> Floats:
    scores: Floats = np.abs(measured - means) / spreads
    return scores
