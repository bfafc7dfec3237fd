"""Trust: held-out predictions against measurements, and the search against enumeration."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from privynet_opt.report.figures import Figure, axis, layout, line, note
from privynet_opt.report.words import DISPLAYS, plain_numbers, plotly_text, topologies_in_words

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

Numbers = tuple[float | int | None, ...]


class ProxyInfo(NamedTuple):
    """Held-out predictions of one target.

    Attributes:
        target: The target.
        measured: Measured values.
        predicted: Predicted values, by a proxy that never saw the measurement's group.
        lower: Lower ends of the intervals.
        upper: Upper ends.
        covered: Whether the interval holds the measurement.
        words: Each topology in words, with its fidelity.
    """

    target: str
    measured: Numbers
    predicted: Numbers
    lower: Numbers
    upper: Numbers
    covered: tuple[bool, ...]
    words: tuple[str, ...]


class HypervolumeInfo(NamedTuple):
    """The search's progress.

    Attributes:
        trials: Trial numbers at which the value changes, from 1, and the last one.
        share: Hypervolume of the feasible trials so far, as a share of the enumerated front's.
    """

    trials: tuple[int, ...]
    share: tuple[float, ...]


def proxy_info(result: OptimizationResult, target: str) -> ProxyInfo:
    """Return the held-out predictions of one target.

    Args:
        result: What `optimize` returned.
        target: A key of ``result.proxies.validations``.
    """
    rows = result.proxies.validations[target].predictions
    inside = (rows["measured"] >= rows["lower"]) & (rows["measured"] <= rows["upper"])
    pairs = zip(topologies_in_words(rows), rows["fidelity"].tolist(), strict=True)
    return ProxyInfo(
        target,
        measured=tuple(plain_numbers(rows["measured"])),
        predicted=tuple(plain_numbers(rows["predicted"])),
        lower=tuple(plain_numbers(rows["lower"])),
        upper=tuple(plain_numbers(rows["upper"])),
        covered=tuple(bool(v) for v in inside.tolist()),
        words=tuple(f"{words}, {fidelity}" for words, fidelity in pairs),
    )


def proxy_figure(info: ProxyInfo) -> Figure:
    """Draw measured against predicted, with intervals and the diagonal of perfect prediction.

    Args:
        info: From `proxy_info`.
    """
    ends = [v for v in (*info.measured, *info.lower, *info.upper) if v is not None] or [0, 1]
    low, high = min(ends), max(ends)
    shown = DISPLAYS[info.target]
    unit = f", {shown.unit}" if shown.unit not in ("", "%") else ""
    form = {"tickformat": ".0%"} if info.target == "accuracy" else {}
    diagonal = {
        "type": "line", "layer": "below", "x0": low, "y0": low, "x1": high, "y1": high,
        "line": {"color": "@muted", "width": 1, "dash": "dot"},
    }  # fmt: skip
    return {
        "data": [
            _held_out(info, True, "Interval holds it", "circle", "@accent"),
            _held_out(info, False, "Interval misses it", "x", "@limit"),
        ],
        "layout": layout(
            axis(f"Predicted{unit}", **form),
            axis(f"Measured{unit}", **form),
            shapes=[diagonal],
        ),
    }


def hypervolume_info(result: OptimizationResult) -> HypervolumeInfo | None:
    """Return the search's progress, or None where there is no enumerated front to compare with.

    Args:
        result: What `optimize` returned.
    """
    search = result.search
    if search is None or not (search.enumerated_hypervolume or 0) > 0:
        return None
    history = np.asarray(search.hypervolume_history, dtype=float) / search.enumerated_hypervolume
    if not len(history):
        return None
    steps = np.flatnonzero(np.diff(history, prepend=np.nan) != 0)
    kept = sorted({*steps.tolist(), len(history) - 1})
    shares = tuple(round(float(history[i]), 5) for i in kept)
    return HypervolumeInfo(tuple(i + 1 for i in kept), shares)


def hypervolume_figure(info: HypervolumeInfo) -> Figure:
    """Draw hypervolume over trials, with the enumerated optimum as a line.

    Args:
        info: From `hypervolume_info`.
    """
    trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "Search",
        "x": list(info.trials),
        "y": list(info.share),
        "line": {"color": "@accent", "width": 2, "shape": "hv"},
        "hovertemplate": "after %{x} trials: %{y:.1%}<extra></extra>",
    }
    return {
        "data": [trace],
        "layout": layout(
            axis("Trials"),
            axis(
                "Share of the enumerated hypervolume",
                tickformat=".0%",
                range=[0, 1.08],
            ),
            shapes=[line("y", 1, color="@ink", width=1.5, dash="dash") | {"layer": "above"}],
            annotations=[note("y", 1, "enumerated front", "@ink")],
            showlegend=False,
        ),
    }


def _held_out(info: ProxyInfo, covered: bool, name: str, symbol: str, colour: str) -> Figure:
    rows = [i for i, inside in enumerate(info.covered) if inside is covered]
    predicted = [info.predicted[i] for i in rows]
    unit = ":.1%" if info.target == "accuracy" else ":.3f" if info.target == "ssim" else ":.2f"
    ends = [(info.lower[i], info.upper[i]) for i in rows]
    pairs = list(zip(predicted, ends, strict=True))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": predicted,
        "y": [info.measured[i] for i in rows],
        "hovertext": [plotly_text(info.words[i]) for i in rows],
        "marker": {"symbol": symbol, "size": 7, "color": colour},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [round((e[1] or 0) - (p or 0), 6) for p, e in pairs],
            "arrayminus": [round((p or 0) - (e[0] or 0), 6) for p, e in pairs],
            "color": "@infeasible",
            "thickness": 1,
            "width": 0,
        },
        "hovertemplate": f"%{{hovertext}}<br>predicted %{{x{unit}}}<br>"
        f"measured %{{y{unit}}}<extra></extra>",
    }
