"""How the topology drives things: a target against kept filters, one figure per cut and target."""

from __future__ import annotations

import math

from privynet_opt.report.figures import Figure, axis, layout, limit_marks, scale_marks
from privynet_opt.report.filters_info import Curve, FiltersInfo
from privynet_opt.report.words import plotly_text

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
    "greedy": "pentagon",
    "searched": "cross",
}
DASHES = {
    "random": "2px,3px",
    "lda": "9px,4px",
    "privacy": "9px,3px,2px,3px",
    "privynet": "solid",
    "magnitude": "4px,4px",
    "greedy": "12px,3px,3px,3px",
    "searched": "1px,5px",
}


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
    # Privacy loss spans tens of dB over all cuts, and a few at one.
    heights = info.ranges[target] if target == "accuracy" else _own_range(curves, target)
    yaxis = axis(TITLES[target], range=list(heights), **form)
    return {"data": traces, "layout": layout(xaxis, yaxis, shapes=shapes, annotations=notes)}


def _own_range(curves: dict[str, Curve], target: str) -> tuple[float, float]:
    values = [
        value
        for curve in curves.values()
        for numbers in (*curve.bands[target], curve.measured[target])
        for value in numbers
        if value is not None
    ]
    pad = 0.05 * (max(values) - min(values)) + 0.1
    return round(min(values) - pad, 4), round(max(values) + pad, 4)


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
