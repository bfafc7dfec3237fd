"""The front as a table: text as people read it, beside the number that sorts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from privynet_opt.metrics import PREDICTED
from privynet_opt.report.pareto_info import index_of
from privynet_opt.report.words import (
    DISPLAYS,
    format_interval,
    format_value,
    label,
    topologies_in_words,
)
from privynet_opt.search_space import told_columns

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

SHOWN = (*PREDICTED, "local_flops", "memory_bytes", "feature_bytes")
"""Metrics with a column; objectives beyond these are added."""


TITLES = {
    "psnr_db": "Privacy loss, PSNR",
    "ssim": "SSIM",
    "local_flops": "Compute",
    "memory_bytes": "Memory",
    "feature_bytes": "Sent",
}
"""Headings shorter than the metrics' labels, so that the table fits a desk's screen."""


class Cell(NamedTuple):
    """One cell.

    Attributes:
        text: The value with its unit.
        note: The interval; empty where the value is exact.
        order: What sorts the column.
    """

    text: str
    note: str
    order: float


class Row(NamedTuple):
    """One topology of the front.

    Attributes:
        candidate: Its row number among the candidates.
        words: The topology in words.
        order: Its rank in network order.
        cells: One per column of the table.
        evidence: ``"measured"``, ``"predicted"`` or ``"extrapolated"``.
        fidelity: Of the measurement; empty where there is none.
        recommended: Whether it is the recommended one.
    """

    candidate: int
    words: str
    order: int
    cells: tuple[Cell, ...]
    evidence: str
    fidelity: str
    recommended: bool


class FrontTable(NamedTuple):
    """The table.

    Attributes:
        titles: Headings of the metric columns.
        rows: Highest predicted accuracy first.
        csv_columns: Columns that are copied as CSV.
        metrics: The metric of each heading.
    """

    titles: tuple[str, ...]
    rows: tuple[Row, ...]
    csv_columns: tuple[str, ...]
    metrics: tuple[str, ...]


def front_table(result: OptimizationResult) -> FrontTable:
    """Return the front of a result as a table.

    Args:
        result: What `optimize` returned.
    """
    metrics = tuple(dict.fromkeys((*SHOWN, *(m for m in result.objectives if m in DISPLAYS))))
    everything = result.candidates
    indices = np.flatnonzero(everything["on_front"].to_numpy(bool))
    front = everything.iloc[indices]
    order = np.lexsort((front["local_flops"].to_numpy(), -front["accuracy"].to_numpy()))
    words = topologies_in_words(front)
    records = front.to_dict("records")
    best = index_of(everything, result.best)
    rows = tuple(_row(int(indices[i]), words[i], records[i], metrics, best) for i in order)
    ends = tuple(f"{target}{end}" for target in PREDICTED for end in ("", "_lower", "_upper"))
    costs = tuple(name for name in DISPLAYS if name not in PREDICTED)
    measured = tuple(f"measured_{name}" for name in (*PREDICTED, "fidelity"))
    csv_columns = (*told_columns(everything), *ends, *costs, "extrapolation", *measured)
    return FrontTable(tuple(TITLES.get(m, label(m)) for m in metrics), rows, csv_columns, metrics)


def _row(
    index: int, words: str, record: dict[Any, Any], metrics: tuple[str, ...], best: int | None
) -> Row:
    evidence = "extrapolated" if record["extrapolation"] else "predicted"
    if record["measured"]:
        evidence = "measured"
    cells = tuple(_cell(record, metric) for metric in metrics)
    return Row(
        index, words, index, cells, evidence, str(record["measured_fidelity"]), index == best
    )


def _cell(record: dict[Any, Any], metric: str) -> Cell:
    value = float(record[metric])
    note = ""
    if metric in PREDICTED:
        note = format_interval(metric, record[f"{metric}_lower"], record[f"{metric}_upper"])
    return Cell(format_value(metric, value), note, round(value, 6))
