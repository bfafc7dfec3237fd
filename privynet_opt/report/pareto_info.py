"""What the Pareto view shows: the candidates by column, and which of them play which part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from privynet_opt.report.words import (
    METRICS,
    TARGETS,
    TOPOLOGY_COLUMNS,
    plain_numbers,
    readable_scale,
    topologies_in_words,
)

if TYPE_CHECKING:
    from privynet_opt.api import OptimizationResult

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
        recommended=recommended_index(result),
        limits=limits,
        scale=readable_scale(result.table),
    )


def _columns(rows: Any) -> Columns:
    columns: Columns = {name: rows[name].tolist() for name in TOPOLOGY_COLUMNS}
    numbers = [*TARGETS, *(f"{t}{end}" for t in TARGETS for end in ("_lower", "_upper"))]
    numbers += [name for name in METRICS if name not in TARGETS]
    numbers += [f"measured_{target}" for target in TARGETS]
    columns |= {name: plain_numbers(rows[name]) for name in numbers}
    columns |= {n: plain_numbers(rows[n]) for n in ("feasible", "on_front", "extrapolation")}
    columns["measured_fidelity"] = [str(v) for v in rows["measured_fidelity"].tolist()]
    return columns


def _where(mask: Any) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def recommended_index(result: OptimizationResult) -> int | None:
    """Return the recommended topology's row number among the candidates, or None.

    Args:
        result: What `optimize` returned.
    """
    rows, best = result.candidates, result.best
    if best is None:
        return None
    same = np.ones(len(rows), dtype=bool)
    for name in TOPOLOGY_COLUMNS:
        same &= (rows[name] == best[name]).to_numpy()
    return int(np.flatnonzero(same)[0])
