"""What the Pareto view shows: the candidates by column, and which of them play which part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from privynet_opt.metrics import PREDICTED
from privynet_opt.report.words import (
    DISPLAYS,
    plain_numbers,
    readable_scale,
    topologies_in_words,
)
from privynet_opt.search_space import TOPOLOGY_COLUMNS, told_columns

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

Columns = dict[str, list[Any]]


class ParetoInfo(NamedTuple):
    """Everything the Pareto view needs.

    Attributes:
        columns: The candidates by column, plain Python values; the page's details read them too.
        words: Each candidate in words.
        infeasible: Indices of candidates that break a limit.
        dominated: Indices of feasible candidates that another one beats.
        front: Indices of the Pareto front.
        measured: Indices of candidates with a measurement of their own.
        recommended: Index of the recommended one, or None.
        nearest: Index of the one that misses the limits least, where none is feasible, or None.
        limits: Limits by metric.
        scale: The readable dB scale.
    """

    columns: Columns
    words: tuple[str, ...]
    infeasible: tuple[int, ...]
    dominated: tuple[int, ...]
    front: tuple[int, ...]
    measured: tuple[int, ...]
    recommended: int | None
    nearest: int | None
    limits: dict[str, tuple[float, ...]]
    scale: tuple[tuple[str, float], ...]


def pareto_info(result: OptimizationResult) -> ParetoInfo:
    """Return what the Pareto view shows of a result.

    Args:
        result: What `optimize` returned.
    """
    rows = result.candidates
    feasible, on_front = rows["feasible"].to_numpy(bool), rows["on_front"].to_numpy(bool)
    limits: dict[str, tuple[float, ...]] = {}
    why = result.infeasibility
    for constraint in result.constraints:
        limits[constraint.metric] = (
            *limits.get(constraint.metric, ()),
            float(constraint.limit),
        )
    return ParetoInfo(
        columns=_columns(rows),
        words=tuple(topologies_in_words(rows)),
        infeasible=_where(~feasible),
        dominated=_where(feasible & ~on_front),
        front=_where(on_front),
        measured=_where(rows["measured"].to_numpy(bool)),
        recommended=index_of(result.candidates, result.best),
        nearest=index_of(result.candidates, why and why.nearest),
        limits=limits,
        scale=readable_scale(result.table),
    )


def _columns(rows: Any) -> Columns:
    columns: Columns = {name: rows[name].tolist() for name in told_columns(rows)}
    numbers = [*PREDICTED, *(f"{t}{end}" for t in PREDICTED for end in ("_lower", "_upper"))]
    numbers += [name for name in DISPLAYS if name not in PREDICTED]
    numbers += [f"measured_{target}" for target in PREDICTED]
    columns |= {name: plain_numbers(rows[name]) for name in numbers}
    columns |= {n: plain_numbers(rows[n]) for n in ("feasible", "on_front", "extrapolation")}
    columns["measured_fidelity"] = [str(v) for v in rows["measured_fidelity"].tolist()]
    return columns


def _where(mask: Any) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def index_of(rows: Any, topology: Any) -> int | None:
    """Return a topology's row number among the candidates, or None where there is none.

    Args:
        rows: The candidates.
        topology: A row with the topology columns, or None.
    """
    if topology is None:
        return None
    same = np.ones(len(rows), dtype=bool)
    for name in TOPOLOGY_COLUMNS:
        same &= (rows[name] == topology[name]).to_numpy()
    return int(np.flatnonzero(same)[0])
