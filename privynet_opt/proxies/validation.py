"""What held-out rows say of a proxy: its errors, and whether its intervals keep their promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privynet_opt.proxies.base import Floats
from privynet_opt.proxies.conformal import interval_groups
from privynet_opt.proxies.folds import row_groups
from privynet_opt.proxies.intervals import held_out_reach, interval
from privynet_opt.proxies.record import TargetRecord
from privynet_opt.topology import TOPOLOGY_COLUMNS


@dataclass(frozen=True)
class ProxyValidation:
    """How well a proxy predicts rows it was not fitted to.

    Attributes:
        target: ``accuracy``, ``psnr_db`` or ``ssim``; errors and widths are in its unit.
        model: Name of the model that was chosen.
        errors: Mean absolute error of every candidate, by name of the model.
        crps: Their `model_choice.normal_crps`. The smallest was chosen, so error and intervals are
            optimistic by what choosing among so few can give.
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
    crps: dict[str, float]
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
            Indexed by cut layer, cuts of fewer than `conformal.MIN_OWN_ROWS` rows together as
            `conformal.SHARED`: ``rows`` and ``coverage``.
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


def validate(
    target: str, entry: TargetRecord, rows: pd.DataFrame, confidence: float
) -> ProxyValidation:
    """Return what held-out rows say of a proxy.

    Args:
        target: What is predicted.
        entry: What was learned about it.
        rows: Measured rows, in the order of `privynet_opt.proxies.fit.trained_rows`.
        confidence: What the intervals promise to cover, in (0, 1).
    """
    measured = rows[target].to_numpy()
    reach = held_out_reach(target, rows, entry.held_out, confidence)
    predicted, lower, upper = interval(target, entry.held_out[0], reach)
    loco, _ = entry.without_cut
    return ProxyValidation(
        target=target,
        model=entry.model,
        errors=entry.errors,
        crps=entry.crps,
        n_rows=len(rows),
        n_groups=len(set(row_groups(rows))),
        mean_absolute_error=float(np.abs(predicted - measured).mean()),
        spearman=rank_correlation(predicted, measured),
        r2=explained_variance(measured, predicted),
        confidence=confidence,
        coverage=float(((lower <= measured) & (measured <= upper)).mean()),
        half_width=float(np.median((upper - lower) / 2)),
        loco_mean_absolute_error=float(np.abs(loco - measured).mean()) if len(loco) else math.nan,
        loco_spearman=rank_correlation(loco, measured) if len(loco) else math.nan,
        predictions=rows[[*TOPOLOGY_COLUMNS, "fidelity"]].assign(
            measured=measured, predicted=predicted, lower=lower, upper=upper
        ),
    )


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
