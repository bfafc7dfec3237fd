"""What drives the metrics: the parameters' importance, and the strategies against each other.

Both are exact sums over the enumerated candidates, not estimates from the search's trials; where
nothing was enumerated there are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from privynet_opt.metrics import PREDICTED
from privynet_opt.report.words import STRATEGIES, format_difference, label
from privynet_opt.search_space import told_columns

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.result import OptimizationResult

PARAMETERS = {
    "cut_layer": "cut layer",
    "kept_filters": "kept filters",
    "selection_strategy": "selection strategy",
    "feature_bits": "bits per feature",
    "noise_std": "noise",
}

BASELINE = "random"


class Importance(NamedTuple):
    """How much of a metric's variance each parameter explains alone.

    Attributes:
        metric: The metric in words.
        shares: Pairs of parameter and percentage.
    """

    metric: str
    shares: tuple[tuple[str, int], ...]


class StrategyRow(NamedTuple):
    """A selection strategy against random selection at the same cuts and counts.

    Attributes:
        name: The strategy.
        keeps: Which filters it keeps, in words.
        pairs: How many cuts and counts offer both.
        accuracy: Mean difference in accuracy, with its standard deviation.
        psnr_db: The same of the privacy loss.
        on_front: Its topologies on the front, and the number of its topologies.
    """

    name: str
    keeps: str
    pairs: str
    accuracy: str
    psnr_db: str
    on_front: str


class Drivers(NamedTuple):
    """Everything these tables show.

    Attributes:
        importances: One per metric.
        strategies: One per strategy, the baseline first.
    """

    importances: tuple[Importance, ...]
    strategies: tuple[StrategyRow, ...]


def drivers(result: OptimizationResult) -> Drivers | None:
    """Return what drives the metrics of a result, or None where the space cannot be listed.

    Args:
        result: What `optimize` returned.
    """
    if not result.search.is_enumerated:
        return None
    rows = result.candidates
    return Drivers(tuple(_importance(rows, m) for m in PREDICTED), tuple(_strategies(rows)))


def first_order_share(values: Any, groups: Any) -> float:
    """Return the share of a variance that one parameter explains alone.

    It is the variance of the groups' means over the whole variance, Sobol's first-order index of
    the enumerated space (Sobol, "Sensitivity estimates for nonlinear mathematical models", 1993).

    Args:
        values: Shape ``(n,)``.
        groups: The parameter's value of each, shape ``(n,)``.

    Returns:
        From 0 to 1; 0 where nothing varies.
    """
    numbers = np.asarray(values, dtype=float)
    whole = numbers.var()
    if whole == 0:
        return 0.0
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.bincount(place)
    means = np.bincount(place, numbers) / counts
    return float((counts * (means - numbers.mean()) ** 2).sum() / len(numbers) / whole)


def _importance(rows: pd.DataFrame, metric: str) -> Importance:
    shares = tuple(
        (words, round(100 * first_order_share(rows[metric], rows[name])))
        for name, words in PARAMETERS.items()
        if name in told_columns(rows)
    )
    return Importance(label(metric), shares)


def _strategies(rows: pd.DataFrame) -> list[StrategyRow]:
    places = rows.groupby(["cut_layer", "kept_filters", "selection_strategy"], sort=False)
    means: Any = places[["accuracy", "psnr_db"]].mean().unstack("selection_strategy")
    names = list(dict.fromkeys(rows["selection_strategy"]))
    names.sort(key=lambda name: name != BASELINE)
    told = []
    for name in names:
        own = rows[rows["selection_strategy"] == name]
        front, keeps = f"{int(own['on_front'].sum()):,} of {len(own):,}", STRATEGIES.get(name, "")
        if name == BASELINE or BASELINE not in names:
            told.append(StrategyRow(name, keeps, "", "", "", front))
            continue
        gaps = (means.xs(name, axis=1, level=1) - means.xs(BASELINE, axis=1, level=1)).dropna()
        accuracy, leak = (_mean_and_deviation(m, gaps[m].to_numpy()) for m in gaps)
        told.append(StrategyRow(name, keeps, f"{len(gaps):,}", accuracy, leak, front))
    return told


def _mean_and_deviation(metric: str, gaps: Any) -> str:
    if not len(gaps):
        return "not known"
    mean = float(gaps.mean())
    sign = "+" if mean >= 0 else "−"
    spread = format_difference(metric, float(gaps.std()))
    number = format_difference(metric, abs(mean)).split(" ")[0]
    return f"{sign}{number} ± {spread}"
