"""The verdict: what to deploy, and how it stands against each limit; plain data, no HTML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from privynet_opt.candidates import recommendable
from privynet_opt.cost import cut_costs
from privynet_opt.metrics import METRICS, PREDICTED, checked_column
from privynet_opt.plain_text import likeness
from privynet_opt.report.ruler import Ruler, ruler
from privynet_opt.report.words import (
    DISPLAYS,
    STRATEGIES,
    format_difference,
    format_interval,
    format_level,
    format_value,
    label,
    topology_fields,
)
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.constraints import Constraint
    from privynet_opt.infeasibility import Infeasibility
    from privynet_opt.result import OptimizationResult

TILES = ("accuracy", "psnr_db", "local_flops", "memory_bytes", "feature_bytes")
"""What the verdict shows in large type."""


class Tile(NamedTuple):
    """One number in large type.

    Attributes:
        title: What it is.
        value: The number with its unit.
        note: Its interval, or the exact count in proportion.
    """

    title: str
    value: str
    note: str


class ConstraintRow(NamedTuple):
    """How the recommended topology stands against one limit.

    Attributes:
        statement: The constraint as written.
        metric: The metric in words.
        value: Predicted or counted value.
        interval: The proxy's interval, or ``"exact"``.
        checked: The value the limit is checked on, in words.
        limit: Operator and limit.
        margin: Room left, signed; negative where the limit is broken.
        holds: Whether the limit holds.
    """

    statement: str
    metric: str
    value: str
    interval: str
    checked: str
    limit: str
    margin: str
    holds: bool


class RelaxationRow(NamedTuple):
    """How far one limit alone would have to move.

    Attributes:
        constraint: The limit as it is.
        relaxed: The limit that would do, or that none does.
        topology: What it would admit; empty likewise.
    """

    constraint: str
    relaxed: str
    topology: str


class Verdict(NamedTuple):
    """What the report opens with.

    Attributes:
        topology: The recommended topology in words; empty where nothing is feasible.
        sentence: What it means, in one or two sentences.
        topology_json: The topology to copy; empty where nothing is feasible.
        tiles: Numbers in large type.
        constraints: One row for each limit.
        ruler: Privacy loss on a readable scale, where one is known.
        infeasibility: Lines that explain why nothing is feasible; empty otherwise.
        relaxations: What would let a topology through; empty where something is feasible.
    """

    topology: str
    sentence: str
    topology_json: str
    tiles: tuple[Tile, ...]
    constraints: tuple[ConstraintRow, ...]
    ruler: Ruler | None
    infeasibility: tuple[str, ...]
    relaxations: tuple[RelaxationRow, ...]


def verdict(result: OptimizationResult) -> Verdict:
    """Return the verdict of a result.

    Args:
        result: What `optimize` returned.
    """
    best = result.best
    if best is None:
        sentence = (
            f"None of the {_eligible(result)} meets every limit.{_outside(result)} What stands in "
            "the way:"
        )
        return Verdict("", sentence, "", (), (), None, *_infeasibility(result.infeasibility))
    return Verdict(
        topology=str(LocalTopology.of(best)),
        sentence=_sentence(result),
        topology_json=json.dumps(topology_fields(best), ensure_ascii=False),
        tiles=tuple(_tile(result, metric) for metric in TILES),
        constraints=tuple(_constraint_row(best, constraint) for constraint in result.constraints),
        ruler=ruler(result),
        infeasibility=(),
        relaxations=(),
    )


def checked_value(row: Any, metric: str) -> float:
    """Return the value a limit is checked on: the interval's upper end for privacy loss.

    Args:
        row: A candidate.
        metric: The constrained metric.
    """
    return float(row[checked_column(metric)])


def margin(row: Any, constraint: Constraint) -> float:
    """Return the room a candidate leaves to a limit, in the metric's unit; negative when broken.

    Args:
        row: A candidate.
        constraint: The limit.
    """
    room = float(constraint.limit) - checked_value(row, constraint.metric)
    return -room if constraint.operator.startswith(">") else room


def _sentence(result: OptimizationResult) -> str:
    best = result.best
    assert best is not None
    cut, kept = str(best["cut_layer"]), int(best["kept_filters"])
    channels = result.table.cuts[cut].channels
    strategy = str(best["selection_strategy"])
    filters = f"all of its {channels} filters"
    if kept < channels:
        what = STRATEGIES.get(strategy, f"chosen by {strategy}")
        filters = f"{kept} of its {channels} filters, {what}"
    within = {0: "", 1: " within the limit"}.get(
        len(result.constraints), f" within all {len(result.constraints)} limits"
    )
    return (
        f"Cut {result.spec.network.name} after {cut} and keep {filters}.{_sending(best)} "
        f"Of the {_eligible(result)}, no other{within} is predicted to be more accurate."
        f"{_off_front(result)}"
    )


def _off_front(result: OptimizationResult) -> str:
    """Return why the choice may miss the front, a sentence after a space; else nothing."""
    if "accuracy" in result.objectives:
        return ""
    return (
        " Accuracy decides what is recommended, so the recommended topology need not be on the "
        f"front of these objectives: {', '.join(result.objectives)}."
    )


def _sending(best: Any) -> str:
    """Return how features are sent, a sentence after a space; nothing where that is plainly."""
    topology = LocalTopology.of(best)
    if topology.is_sent_plainly:
        return ""
    coded = f" in {topology.feature_bits} bits each" if topology.feature_bits != 32 else ""
    noise = ""
    if topology.noise_std:
        noise = f" with noise of {topology.noise_std:g} standard deviations of each channel"
    return f" Send the features{noise}{coded}."


def _eligible(result: OptimizationResult) -> str:
    tried = "" if result.search.is_enumerated else " that the search tried"
    if result.spec.search.extrapolate:
        return f"{len(result.candidates):,} topologies{tried or ' in the search space'}"
    n = len(recommendable(result.candidates, False))
    return f"{n:,} topologies{tried} within the range of the trained measurements"


def _outside(result: OptimizationResult) -> str:
    n = int(result.candidates["feasible"].sum())
    if not n:
        return ""
    return f" Outside it {n:,} are predicted to, where intervals promise nothing."


def _infeasibility(
    why: Infeasibility | None,
) -> tuple[tuple[str, ...], tuple[RelaxationRow, ...]]:
    if why is None:
        return (), ()
    lines = why.lines()[: -len(why.relaxations)]
    rows = tuple(
        RelaxationRow(
            str(one.constraint),
            "no value helps while the others stay" if one.relaxed is None else str(one.relaxed),
            "" if one.topology is None else str(one.topology),
        )
        for one in why.relaxations
    )
    return tuple(lines), rows


def _tile(result: OptimizationResult, metric: str) -> Tile:
    best = result.best
    assert best is not None
    value = format_value(metric, float(best[metric]))
    if metric not in PREDICTED:
        return Tile(DISPLAYS[metric].label, value, _in_proportion(result, metric))
    interval = format_interval(metric, best[f"{metric}_lower"], best[f"{metric}_upper"])
    note = f"{format_level(result.spec.search.confidence)} interval {interval}"
    if metric == "psnr_db" and (eye := likeness(result.table, float(best[metric]))):
        note = f"{eye}; {note}"
    return Tile(DISPLAYS[metric].label, value, note)


def _in_proportion(result: OptimizationResult, metric: str) -> str:
    """Return a cost beside one a reader knows: of the whole network, or of the image itself."""
    best = result.best
    assert best is not None
    cost = float(best[metric])
    if metric == "feature_bytes":
        image = 3 * result.spec.data.image_size**2
        times = cost / image
        return f"{times:.1f} times the image itself ({format_value(metric, image)})"
    network = result.spec.network.name
    costs = result.table.sidecar["network"].get("whole", {})
    if metric in costs:
        return f"{cost / costs[metric]:.0%} of the whole {network}; exact"
    deepest = max(result.table.cuts.values(), key=lambda cut: cut.depth)
    whole = float(cut_costs(deepest, deepest.channels)[metric])
    return f"{cost / whole:.0%} of {network} up to {deepest.name}; exact"


def _constraint_row(best: Any, constraint: Constraint) -> ConstraintRow:
    metric = constraint.metric
    exact = metric not in PREDICTED
    left = margin(best, constraint)
    sign = "+" if left >= 0 else "−"
    return ConstraintRow(
        statement=str(constraint),
        metric=label(metric),
        value=format_value(metric, float(best[metric])),
        interval="exact"
        if exact
        else format_interval(metric, best[f"{metric}_lower"], best[f"{metric}_upper"]),
        checked="upper end of the interval" if METRICS[metric].is_privacy_loss else "the value",
        limit=f"{constraint.operator} {format_value(metric, float(constraint.limit))}".replace(
            "<=", "≤"
        ).replace(">=", "≥"),
        margin=sign + format_difference(metric, abs(left)),
        holds=left >= 0,
    )
