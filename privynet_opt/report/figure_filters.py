"""How the topology drives things: a target against kept filters, one figure per cut and target."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from privynet_opt.report.figures import Figure, axis, layout, limit_marks, scale_marks
from privynet_opt.report.words import (
    plain_numbers,
    plotly_text,
    readable_scale,
    topologies_in_words,
)

if TYPE_CHECKING:
    from privynet_opt.api import OptimizationResult

SHOWN = ("accuracy", "psnr_db")
"""Targets drawn."""

TITLES = {
    "accuracy": "Classified correctly (higher is better)",
    "psnr_db": "PSNR, dB (lower is more private)",
}

SYMBOLS = {
    "random": "circle",
    "lda": "square",
    "privacy": "diamond",
    "privynet": "star",
    "magnitude": "triangle-up",
}
DASHES = {
    "random": "2px,3px",
    "lda": "9px,4px",
    "privacy": "9px,3px,2px,3px",
    "privynet": "solid",
    "magnitude": "4px,4px",
}

Numbers = tuple[float | int | None, ...]


class Curve(NamedTuple):
    """One strategy at one cut.

    Attributes:
        kept: Kept filters, ascending.
        bands: By target: predicted values, lower ends, upper ends.
        measured_kept: Kept filters of the trained measurements.
        measured: By target: measured values.
        measured_words: Each measured topology in words, with its fidelity.
    """

    kept: tuple[int, ...]
    bands: dict[str, tuple[Numbers, Numbers, Numbers]]
    measured_kept: tuple[int, ...]
    measured: dict[str, Numbers]
    measured_words: tuple[str, ...]


class FiltersInfo(NamedTuple):
    """Everything these figures need.

    Attributes:
        curves: By cut, in network order, and by strategy.
        ranges: By target, the lowest and highest value of all cuts, so that every cut is drawn on
            the same axis.
        limits: Limits by target.
        scale: The readable dB scale.
        cut: The cut shown first.
        strategy: The strategy whose band is shown first.
    """

    curves: dict[str, dict[str, Curve]]
    ranges: dict[str, tuple[float, float]]
    limits: dict[str, tuple[float, ...]]
    scale: tuple[tuple[str, float], ...]
    cut: str
    strategy: str


def filters_info(result: OptimizationResult) -> FiltersInfo:
    """Return what the figures show of a result.

    Args:
        result: What `optimize` returned.
    """
    rows, trained = result.candidates, result.table.trained
    cuts = [cut for cut in result.table.cuts if cut in set(rows["cut_layer"])]
    strategies = list(dict.fromkeys(rows["selection_strategy"]))
    predicted = dict(iter(rows.groupby(["cut_layer", "selection_strategy"], sort=False)))
    measured = dict(iter(trained.groupby(["cut_layer", "selection_strategy"], sort=False)))
    curves = {
        cut: {
            strategy: _curve(predicted[cut, strategy], measured.get((cut, strategy)))
            for strategy in strategies
            if (cut, strategy) in predicted
        }
        for cut in cuts
    }
    first = rows.iloc[0] if result.best is None else result.best
    limits = {
        target: tuple(float(c.limit) for c in result.constraints if c.metric == target)
        for target in SHOWN
    }
    return FiltersInfo(
        curves=curves,
        ranges={target: _range(rows, trained, target) for target in SHOWN},
        limits=limits,
        scale=readable_scale(result.table),
        cut=str(first["cut_layer"]),
        strategy=str(first["selection_strategy"]),
    )


def filters_figure(info: FiltersInfo, cut: str, target: str) -> Figure:
    """Draw one target against kept filters at one cut: all strategies, the band of one.

    Args:
        info: From `filters_info`.
        cut: A cut of ``info.curves``.
        target: One of `SHOWN`.

    Returns:
        A figure whose traces name their strategy and part in ``meta``; the page shows the band of
        the strategy the reader picks.
    """
    curves = info.curves[cut]
    traces: list[Figure] = []
    for strategy, curve in curves.items():
        traces.append(_band(info, strategy, curve, target))
    for strategy, curve in curves.items():
        traces += [_line(strategy, curve, target), _points(strategy, curve, target)]
    shapes, notes = limit_marks(target, info.limits[target], "y")
    if target == "psnr_db":
        marks, names = scale_marks(info.scale, "y")
        shapes, notes = [*marks, *shapes], [*names, *notes]
    kept = sorted({k for curve in curves.values() for k in curve.kept})
    ticks = [k for k in kept if k & (k - 1) == 0 or k == kept[-1]]
    ends = [round(math.log10(kept[0]) - 0.08, 4), round(math.log10(kept[-1]) + 0.08, 4)]
    title = f"Kept filters at {plotly_text(cut)}"
    xaxis = axis(title, type="log", tickvals=ticks, ticktext=[str(k) for k in ticks], range=ends)
    form = {"tickformat": ".0%"} if target == "accuracy" else {}
    yaxis = axis(TITLES[target], range=list(info.ranges[target]), **form)
    return {"data": traces, "layout": layout(xaxis, yaxis, shapes=shapes, annotations=notes)}


def _curve(rows: Any, measured: Any) -> Curve:
    rows = rows.sort_values("kept_filters")
    bands = {
        target: (
            tuple(plain_numbers(rows[target], 4)),
            tuple(plain_numbers(rows[f"{target}_lower"], 4)),
            tuple(plain_numbers(rows[f"{target}_upper"], 4)),
        )
        for target in SHOWN
    }
    kept = tuple(rows["kept_filters"].tolist())
    if measured is None:
        return Curve(kept, bands, (), {target: () for target in SHOWN}, ())
    words = topologies_in_words(measured)
    fidelities = measured["fidelity"].tolist()
    return Curve(
        kept,
        bands,
        tuple(measured["kept_filters"].tolist()),
        {target: tuple(plain_numbers(measured[target], 4)) for target in SHOWN},
        tuple(f"{w}, {f}" for w, f in zip(words, fidelities, strict=True)),
    )


def _range(rows: Any, trained: Any, target: str) -> tuple[float, float]:
    ends = [rows[f"{target}_lower"].min(), rows[f"{target}_upper"].max()]
    if len(trained):
        ends += [trained[target].min(), trained[target].max()]
    pad = 0.03 * (max(ends) - min(ends))
    return round(float(min(ends) - pad), 4), round(float(max(ends) + pad), 4)


def _band(info: FiltersInfo, strategy: str, curve: Curve, target: str) -> Figure:
    _, lower, upper = curve.bands[target]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*curve.kept, *reversed(curve.kept)],
        "y": [*upper, *reversed(lower)],
        "fill": "toself",
        "fillcolor": _colour(strategy),
        "opacity": 0.16,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": strategy,
        "visible": strategy == info.strategy,
        "meta": {"strategy": strategy, "part": "band"},
    }


def _line(strategy: str, curve: Curve, target: str) -> Figure:
    values, lower, upper = curve.bands[target]
    unit = ":.1%" if target == "accuracy" else ":.2f"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": strategy,
        "legendgroup": strategy,
        "x": list(curve.kept),
        "y": list(values),
        "customdata": [list(ends) for ends in zip(lower, upper, strict=True)],
        "line": {"color": _colour(strategy), "dash": DASHES.get(strategy, "solid"), "width": 2},
        "hovertemplate": f"%{{x}} filters: %{{y{unit}}} (%{{customdata[0]{unit}}} to "
        f"%{{customdata[1]{unit}}})<extra>{plotly_text(strategy)}, predicted</extra>",
        "meta": {"strategy": strategy, "part": "line"},
    }


def _points(strategy: str, curve: Curve, target: str) -> Figure:
    unit = ":.1%" if target == "accuracy" else ":.2f"
    symbol = SYMBOLS.get(strategy, "cross")
    line = {"color": "@surface", "width": 1}
    return {
        "type": "scatter",
        "mode": "markers",
        "legendgroup": strategy,
        "showlegend": False,
        "x": list(curve.measured_kept),
        "y": list(curve.measured[target]),
        "hovertext": [plotly_text(words) for words in curve.measured_words],
        "marker": {"symbol": symbol, "size": 10, "color": _colour(strategy), "line": line},
        "hovertemplate": f"%{{hovertext}}<br>%{{y{unit}}}<extra>measured</extra>",
        "meta": {"strategy": strategy, "part": "measured"},
    }


def _colour(strategy: str) -> str:
    return f"@{strategy}" if strategy in SYMBOLS else "@ink"
