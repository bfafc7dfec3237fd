"""What all figures share: axes, reference lines, layout. A figure is a plain Plotly dict.

Figures are built as JSON-ready dicts rather than `plotly.graph_objects`, whose validation costs
more than the rest of the report; the tests hand each dict to `graph_objects` instead. Colours are
names of `privynet_opt.report.palette`, so that one figure serves light, dark and print.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from privynet_opt.report.words import DISPLAYS, axis_title, format_value, plotly_text

Figure = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

LOG_METRICS = frozenset(name for name, metric in DISPLAYS.items() if metric.si)
"""Costs span orders of magnitude; their axes are logarithmic."""

MERGE_DB = 0.7
"""Marks of the readable scale closer than this share a label, or they would overprint."""


def layout(xaxis: Figure, yaxis: Figure, **more: Any) -> Figure:
    """Return a figure's layout: no ground of its own, quiet grid, legend above the plot.

    Args:
        xaxis: Plotly axis.
        yaxis: Plotly axis.
        **more: Further layout entries, winning over the defaults.
    """
    return {
        "autosize": True,
        "font": {"family": FONT, "size": 13, "color": "@ink"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 12, "r": 12, "t": 28, "b": 12},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "@surface",
            "bordercolor": "@muted",
            "font": {"color": "@ink", "size": 13},
            "align": "left",
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.03, "yanchor": "bottom"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@infeasible", "activecolor": "@accent"}
        | {"orientation": "v"},
        "dragmode": False,
        "xaxis": xaxis,
        "yaxis": yaxis,
        **more,
    }


def axis(title: str, **more: Any) -> Figure:
    """Return an axis in the house look.

    Args:
        title: With unit.
        **more: Further axis entries.
    """
    return {
        "title": {"text": title, "standoff": 10, "font": {"color": "@muted", "size": 13}},
        "automargin": True,
        "gridcolor": "@grid",
        "linecolor": "@rule",
        "tickcolor": "@rule",
        "tickfont": {"color": "@muted"},
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        **more,
    }


def metric_axis(metric: str) -> Figure:
    """Return the axis of one metric, with its unit, direction and number format.

    Args:
        metric: A name in `DISPLAYS`.
    """
    if metric in LOG_METRICS:
        return axis(axis_title(metric), type="log", tickformat="~s", dtick=1)
    return axis(axis_title(metric), tickformat=".0%" if metric == "accuracy" else "")


def line(where: str, value: float, **style: Any) -> Figure:
    """Return a straight reference line across the plot.

    Args:
        where: ``"x"`` for a vertical line at x = `value`, ``"y"`` for a horizontal one.
        value: Position on that axis.
        **style: Plotly line style.
    """
    other = "y" if where == "x" else "x"
    return {
        "type": "line",
        "layer": "below",
        f"{where}ref": where,
        f"{where}0": value,
        f"{where}1": value,
        f"{other}ref": "paper",
        f"{other}0": 0,
        f"{other}1": 1,
        "line": style,
    }


def note(where: str, value: float, text: str, colour: str, **more: Any) -> Figure:
    """Return the label of a reference line: above a vertical one, at the end of a horizontal one.

    Args:
        where: ``"x"`` or ``"y"``, as for `line`.
        value: Position on that axis; the exponent of ten where the axis is logarithmic.
        text: The label.
        colour: Name in the palette, with its prefix.
        **more: Further entries of the annotation.
    """
    place: Figure = (
        {"x": value, "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom"}
        if where == "x"
        else {"y": value, "yref": "y", "x": 1, "xref": "paper", "xanchor": "right"}
        | {"yanchor": "bottom"}
    )
    font = {"size": 11, "color": colour}
    return {**place, "text": plotly_text(text), "showarrow": False, "font": font, **more}


def scale_marks(
    scale: Iterable[tuple[str, float]], where: str
) -> tuple[list[Figure], list[Figure]]:
    """Return lines and labels of the readable dB scale on one axis.

    Args:
        scale: Pairs of name and dB, ascending.
        where: The axis that shows ``psnr_db``.

    Returns:
        Shapes and annotations; neighbours closer than `MERGE_DB` share one label.
    """
    shapes, groups = [], list[list[tuple[str, float]]]()
    for name, db in scale:
        shapes.append(line(where, db, color="@muted", width=1, dash="dot"))
        if groups and db - groups[-1][-1][1] < MERGE_DB:
            groups[-1].append((name, db))
        else:
            groups.append([(name, db)])
    labels = []
    for group in groups:
        words = [name.replace(" thumbnail", "") for name, _ in group]
        text = ("<br>" if where == "x" else " · ").join(plotly_text(word) for word in words)
        middle = sum(db for _, db in group) / len(group)
        labels.append(note(where, group[-1][1] if where == "y" else middle, "", "@muted"))
        labels[-1]["text"] = text
    return shapes, labels


def limit_marks(
    metric: str, limits: Iterable[float], where: str
) -> tuple[list[Figure], list[Figure]]:
    """Return lines and labels of the limits on one metric.

    Args:
        metric: The axis's metric.
        limits: Limits in the metric's unit.
        where: ``"x"`` or ``"y"``.
    """
    import math

    shapes, labels = [], []
    for limit in limits:
        shapes.append({"name": "limit", **line(where, limit, color="@limit", width=2, dash="dash")})
        spot = math.log10(limit) if metric in LOG_METRICS and limit > 0 else limit
        side: Figure = (
            {"y": 0, "yanchor": "bottom", "xanchor": "left"}
            if where == "x"
            else {"x": 0, "xanchor": "left"}
        )
        text = f" limit {format_value(metric, limit)}"
        labels.append(note(where, spot, text, "@limit", name="limit", **side))
    return shapes, labels
