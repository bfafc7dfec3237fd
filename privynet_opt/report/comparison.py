"""Two results side by side: what each recommends, both fronts in one plot, what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from privynet_opt.metrics import METRICS, PREDICTED
from privynet_opt.report.card import Card, Slot
from privynet_opt.report.figures import Figure, layout, metric_axis
from privynet_opt.report.verdict import verdict
from privynet_opt.report.words import (
    DISPLAYS,
    format_difference,
    format_interval,
    format_level,
    format_value,
    plain_numbers,
    plotly_text,
    topologies_in_words,
)
from privynet_opt.search_space import TOPOLOGY_COLUMNS

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

X, Y = "psnr_db", "accuracy"


class Line(NamedTuple):
    """One fact about both results.

    Attributes:
        title: What it is.
        first: Of the first result.
        second: Of the second.
        change: From the first to the second; empty where there is none to tell.
    """

    title: str
    first: str
    second: str
    change: str = ""


def comparison_cards(
    results: tuple[OptimizationResult, OptimizationResult], names: tuple[str, str]
) -> tuple[Card, ...]:
    """Return the cards of a comparison.

    Args:
        results: What `optimize` returned, twice.
        names: What to call them.
    """
    first, second = results
    slot = Slot("fronts", "", f"Both Pareto fronts: {names[0]} and {names[1]}.")
    return (
        Card(
            "verdict",
            "Two answers",
            "The most accurate topology within the limits of each result, as predicted or counted.",
            "Verdicts",
            "comparison",
            body={"names": names, "lines": verdict_lines(first, second)},
        ),
        Card(
            "fronts-card",
            "Both fronts",
            "Up and to the left is better. Each point is a topology of a Pareto front; the stars "
            "are the recommended ones.",
            "Fronts",
            "figures",
            slots=(slot,),
            data={"figures": {slot.id: fronts_figure(results, names)}},
        ),
        Card(
            "asked",
            "What was asked and measured",
            "A difference here explains a difference above.",
            "Questions",
            "comparison",
            body={"names": names, "lines": question_lines(first, second)},
        ),
    )


def verdict_lines(first: OptimizationResult, second: OptimizationResult) -> tuple[Line, ...]:
    """Return what each result recommends, metric by metric.

    Args:
        first: A result.
        second: Another.
    """
    nothing = "nothing is feasible"
    answers = verdict(first).topology or nothing, verdict(second).topology or nothing
    lines = [Line("Recommended", answers[0], answers[1])]
    for metric, shown in DISPLAYS.items():
        texts = _value(first.best, metric), _value(second.best, metric)
        change = ""
        if first.best is not None and second.best is not None:
            gap = float(second.best[metric]) - float(first.best[metric])
            sign = "+" if gap > 0 else "−"
            change = sign + format_difference(metric, abs(gap)) if gap else "same"
        lines.append(Line(shown.label, texts[0], texts[1], change))
    counts = [f"{int(r.candidates['feasible'].sum()):,}, {len(r.front):,}" for r in (first, second)]
    lines.append(Line("Feasible topologies, of them on the front", counts[0], counts[1]))
    weights = [r.table.sidecar["network"].get("weights_sha256") for r in (first, second)]
    if weights[0] != weights[1]:  # a topology of another network is another one
        return tuple(lines)
    keys = [set(r.front[list(TOPOLOGY_COLUMNS)].itertuples(index=False)) for r in (first, second)]
    shared = len({tuple(k) for k in keys[0]} & {tuple(k) for k in keys[1]})
    lines.append(Line("On both fronts", f"{shared:,}", f"{shared:,}"))
    return tuple(lines)


def question_lines(first: OptimizationResult, second: OptimizationResult) -> tuple[Line, ...]:
    """Return what was asked of each result and what it rests on; differing facts are marked.

    Args:
        first: A result.
        second: Another.
    """
    pairs = zip(_questions(first), _questions(second), strict=True)
    return tuple(Line(title, a, b, "" if a == b else "differs") for (title, a), (_, b) in pairs)


def fronts_figure(
    results: tuple[OptimizationResult, OptimizationResult], names: tuple[str, str]
) -> Figure:
    """Draw both fronts, told apart by shape as well as colour.

    Args:
        results: Both.
        names: What to call them.
    """
    styles = (("circle", "@lda"), ("diamond-open", "@privynet"))
    traces = []
    for result, name, (symbol, colour) in zip(results, names, styles, strict=True):
        front = result.front
        traces.append(_trace(front, name, {"symbol": symbol, "size": 8, "color": colour}))
        if result.best is not None:
            star = {"symbol": "star", "size": 20, "color": colour}
            star |= {"line": {"color": "@ink", "width": 1.5}}
            best = result.best.to_frame().T
            traces.append(_trace(best, f"{name}, recommended", star))
    return {"data": traces, "layout": layout(metric_axis(X), metric_axis(Y))}


def _trace(rows: Any, name: str, marker: Figure) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plotly_text(name),
        "x": plain_numbers(rows[X].astype(float)),
        "y": plain_numbers(rows[Y].astype(float)),
        "hovertext": [plotly_text(words) for words in topologies_in_words(rows)],
        "marker": marker,
        "hovertemplate": "%{hovertext}<br>%{y:.1%}, %{x:.2f} dB<extra></extra>",
    }


def _value(best: Any, metric: str) -> str:
    if best is None:
        return "none"
    value = format_value(metric, float(best[metric]))
    if metric not in PREDICTED:
        return value
    return f"{value} ({format_interval(metric, best[f'{metric}_lower'], best[f'{metric}_upper'])})"


def _questions(result: OptimizationResult) -> list[tuple[str, str]]:
    side, spec = result.table.sidecar, result.spec
    ways = {True: "up", False: "down"}
    objectives = (f"{name} {ways[METRICS[name].higher_is_better]}" for name in result.objectives)
    return [
        ("Study", spec.name),
        ("Network", spec.network.name),
        ("Weights, sha256", str(side.get("network", {}).get("weights_sha256", "not recorded"))),
        ("Data", spec.data.name),
        ("Limits", "; ".join(map(str, result.constraints)) or "none"),
        ("Objectives", ", ".join(objectives)),
        ("Confidence of the intervals", format_level(spec.search.confidence)),
        ("Predictions are for fidelity", result.proxies.fidelity),
        ("Topologies", f"{len(result.candidates):,}"),
        ("Trained measurements", f"{len(result.table.trained):,}"),
        ("Table, sha256", str(side.get("table_sha256", "not recorded"))),
    ]
