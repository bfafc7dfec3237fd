"""The Pareto view: every candidate, told apart by shape as well as colour, on two chosen axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from privynet_opt.metrics import PREDICTED
from privynet_opt.report.figures import Figure, axis, layout, limit_marks, metric_axis, scale_marks
from privynet_opt.report.pareto_info import ParetoInfo
from privynet_opt.report.words import axis_title, plain_numbers

AXES = ("psnr_db", "accuracy", "ssim", "local_flops", "memory_bytes", "feature_bytes")
"""Metrics a reader may put on an axis."""

COLOUR = "local_flops"

INFEASIBLE, DOMINATED, FRONT = "Infeasible", "Feasible, dominated", "Pareto front"
MEASURED, RECOMMENDED = "Measured", "Recommended"
MARKED, SHOWN = "Marked", "Shown in the details"

PARALLEL = ("kept_filters", *AXES)
"""Axes of the parallel coordinates."""


def pareto_axes(info: ParetoInfo) -> dict[str, Figure]:
    """Return each metric's axis and the reference lines that go with it.

    Args:
        info: From `pareto_info`.

    Returns:
        By metric: ``axis``, and by ``"x"`` and ``"y"`` its ``shapes`` and ``annotations``.
    """
    found: dict[str, Figure] = {}
    for metric in AXES:
        entry: Figure = {"axis": metric_axis(metric), "shapes": {}, "annotations": {}}
        for where in ("x", "y"):
            shapes, notes = limit_marks(metric, info.limits.get(metric, ()), where)
            if metric == "psnr_db":
                marks, names = scale_marks(info.scale, where)
                shapes, notes = [*marks, *shapes], [*names, *notes]
            entry["shapes"][where], entry["annotations"][where] = shapes, notes
        found[metric] = entry
    return found


def pareto_figure(info: ParetoInfo, x: str = "psnr_db", y: str = "accuracy") -> Figure:
    """Draw the Pareto view.

    Each trace carries its candidates' indices as ``customdata``, and in ``meta`` whether it shows
    predicted or measured values; with these the page moves it to other axes and writes the text
    that appears on hover, which would otherwise be half of the report's data.

    Args:
        info: From `pareto_info`.
        x: Metric of the x axis, one of `AXES`.
        y: Metric of the y axis.
    """
    axes = pareto_axes(info)
    chosen = () if info.recommended is None else (info.recommended,)
    traces = [
        _trace(info, INFEASIBLE, info.infeasible, x, y, _cross()),
        _trace(info, DOMINATED, info.dominated, x, y, _dot(info, info.dominated)),
        _trace(info, FRONT, info.front, x, y, _diamond(info, info.front)),
        _trace(info, MEASURED, info.measured, x, y, _square(), "measured"),
        _trace(info, RECOMMENDED, chosen, x, y, _star()),
        _trace(info, SHOWN, (), x, y, _ring()) | {"showlegend": False},
        _legend(DOMINATED, _dot(info, ())),
        _legend(FRONT, _diamond(info, ())),
    ]
    for shaded in traces[1:3]:
        shaded["showlegend"] = False
    traces[4] |= {f"error_{w}": _bars(info, chosen, m) for w, m in (("x", x), ("y", y))}
    shapes = [*axes[x]["shapes"]["x"], *axes[y]["shapes"]["y"]]
    notes = [*axes[x]["annotations"]["x"], *axes[y]["annotations"]["y"]]
    return {
        "data": traces,
        "layout": layout(
            axes[x]["axis"],
            axes[y]["axis"],
            shapes=shapes,
            annotations=notes,
            coloraxis=_colour_axis(info),
            legend={"orientation": "h", "x": 0, "y": 1.09, "yanchor": "bottom"},
            dragmode="select",
            margin={"l": 12, "r": 44, "t": 28, "b": 12},
        ),
    }


def space_figure(info: ParetoInfo) -> Figure:
    """Draw the same parts in three dimensions; the page puts the points in.

    Args:
        info: From `pareto_info`.
    """
    symbols = {
        INFEASIBLE: {"symbol": "x", "size": 3, "color": "@infeasible"},
        DOMINATED: {"symbol": "circle", "size": 4, "coloraxis": "coloraxis"},
        FRONT: {"symbol": "diamond", "size": 6, "coloraxis": "coloraxis"}
        | {"line": {"color": "@ink", "width": 1}},
        MEASURED: {"symbol": "square-open", "size": 5, "color": "@muted"},
        RECOMMENDED: {"symbol": "cross", "size": 14, "color": "@privynet"},
        MARKED: {"symbol": "circle-open", "size": 9, "color": "@accent"},
        SHOWN: {"symbol": "circle-open", "size": 14, "color": "@accent"},
    }
    traces = [
        {
            "type": "scatter3d",
            "mode": "markers",
            "name": name,
            "marker": marker,
            "meta": {"source": "measured" if name == MEASURED else "predicted"},
            "hovertemplate": f"%{{hovertext}}<extra>{name}</extra>",
        }
        for name, marker in symbols.items()
    ]
    look = axis("") | {"backgroundcolor": "@surface", "color": "@muted", "zeroline": False}
    look = {k: v for k, v in look.items() if k not in ("automargin", "title")}
    base = layout({}, {}, showlegend=False, coloraxis=_colour_axis(info), dragmode="turntable")
    scene: Figure = {f"{where}axis": look for where in "xyz"}
    scene |= {"aspectmode": "cube", "camera": {"eye": {"x": 1.7, "y": 1.7, "z": 0.9}}}
    plain = {k: v for k, v in base.items() if k not in ("xaxis", "yaxis")}
    plain["coloraxis"] = {**base["coloraxis"], "showscale": False}
    return {"data": traces, "layout": {**plain, "scene": scene}}


def part_names(info: ParetoInfo) -> list[tuple[str, int]]:
    """Return the parts candidates can play, in drawing order, and how many play each.

    Args:
        info: From `pareto_info`.
    """
    return [
        (INFEASIBLE, len(info.infeasible)),
        (DOMINATED, len(info.dominated)),
        (FRONT, len(info.front)),
        (MEASURED, len(info.measured)),
        (RECOMMENDED, int(info.recommended is not None)),
    ]


def colour_ticks(info: ParetoInfo) -> list[tuple[str, float]]:
    """Return the colour scale's ticks: a number with its prefix, and its place from 0 to 100.

    Args:
        info: From `pareto_info`.
    """
    low, high = _colour_range(info)
    exponents = [float(e) for e in range(15) if low <= e <= high]
    if len(exponents) < 2:
        exponents = [low, high]
    names = [f"{10 ** (e % 3):.3g} {('', 'k', 'M', 'G', 'T')[int(e // 3)]}" for e in exponents]
    places = [round(100 * (e - low) / (high - low), 2) for e in exponents]
    return list(zip(names, places, strict=True))


def _trace(
    info: ParetoInfo,
    name: str,
    indices: tuple[int, ...],
    x: str,
    y: str,
    marker: Figure,
    source: str = "predicted",
) -> Figure:
    def values(metric: str) -> list[Any]:
        measured = f"measured_{metric}"
        use = measured if source == "measured" and measured in info.columns else metric
        return [info.columns[use][i] for i in indices]

    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": values(x),
        "y": values(y),
        "marker": marker,
        "legendgroup": name,
        "customdata": list(indices),
        "meta": {"source": source},
        "hovertemplate": f"%{{hovertext}}<extra>{name}</extra>",
    }


def _legend(name: str, marker: Figure) -> Figure:
    """Stand in the legend for a trace whose marks are coloured by value."""
    shape = {k: v for k, v in marker.items() if k != "coloraxis"} | {"color": "@middle"}
    place = {"x": [None], "y": [None], "customdata": [], "meta": {"source": "legend"}}
    return {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": name,
        "marker": shape, "hoverinfo": "skip", **place,
    }  # fmt: skip


def _bars(info: ParetoInfo, indices: tuple[int, ...], metric: str) -> Figure:
    if metric not in PREDICTED or not indices:
        return {"visible": False}
    mean, low, high = (info.columns[f"{metric}{end}"] for end in ("", "_lower", "_upper"))
    return {
        "type": "data",
        "symmetric": False,
        "array": [round(high[i] - mean[i], 6) for i in indices],
        "arrayminus": [round(mean[i] - low[i], 6) for i in indices],
        "color": "@ink",
        "thickness": 1.5,
        "width": 5,
    }


def _shade(info: ParetoInfo, indices: tuple[int, ...]) -> Figure:
    costs = (max(info.columns[COLOUR][i], 1) for i in indices)
    return {"color": plain_numbers([np.log10(c) for c in costs], 4), "coloraxis": "coloraxis"}


def _cross() -> Figure:
    line = {"color": "@infeasible", "width": 1}
    return {"symbol": "x-thin", "size": 5, "line": line, "opacity": 0.8}


def _dot(info: ParetoInfo, indices: tuple[int, ...]) -> Figure:
    line = {"color": "@surface", "width": 0.5}
    return {"symbol": "circle", "size": 7, "line": line, **_shade(info, indices)}


def _diamond(info: ParetoInfo, indices: tuple[int, ...]) -> Figure:
    line = {"color": "@ink", "width": 1}
    return {"symbol": "diamond", "size": 10, "line": line, **_shade(info, indices)}


def _square() -> Figure:
    return {"symbol": "square-open", "size": 7, "color": "@muted", "line": {"width": 1.4}}


def _star() -> Figure:
    line = {"color": "@surface", "width": 1.5}
    return {"symbol": "star", "size": 20, "color": "@privynet", "line": line}


def _ring() -> Figure:
    return {"symbol": "circle-open", "size": 22, "color": "@accent", "line": {"width": 3}}


def _colour_axis(info: ParetoInfo) -> Figure:
    low, high = _colour_range(info)
    ticks = colour_ticks(info)
    return {
        "colorscale": "@flops",
        "cmin": round(low, 4),
        "cmax": round(high, 4),
        "colorbar": {
            "title": {
                "text": axis_title(COLOUR),
                "side": "top",
                "font": {"color": "@muted", "size": 13},
            },
            "orientation": "h",
            "x": 0.5,
            "y": -0.16,
            "yanchor": "top",
            "len": 0.7,
            "thickness": 10,
            "outlinewidth": 0,
            "tickvals": [low + percent / 100 * (high - low) for _, percent in ticks],
            "ticktext": [name for name, _ in ticks],
            "tickfont": {"color": "@muted"},
        },
    }


def _colour_range(info: ParetoInfo) -> tuple[float, float]:
    """Return the scale's ends over all candidates: other limits make other ones feasible."""
    costs = info.columns[COLOUR]
    low, high = (float(np.log10(max(end, 1))) for end in (min(costs), max(costs)))
    return low, max(high, low + 0.1)
