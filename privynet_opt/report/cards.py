"""What the report shows, as data: one card per section, in reading order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from privynet_opt.metrics import METRICS, PREDICTED
from privynet_opt.report.attackers_info import attackers_info
from privynet_opt.report.card import Card, Slot
from privynet_opt.report.drivers import drivers
from privynet_opt.report.explore import sliders
from privynet_opt.report.figure_filters import filters_figure
from privynet_opt.report.figure_pareto import (
    AXES,
    COLOUR,
    PARALLEL,
    colour_ticks,
    pareto_axes,
    pareto_figure,
    part_names,
    space_figure,
)
from privynet_opt.report.figure_trust import (
    hypervolume_figure,
    hypervolume_info,
    proxy_figure,
    proxy_info,
)
from privynet_opt.report.filters_info import SHOWN, filters_info
from privynet_opt.report.front_table import TITLES, front_table
from privynet_opt.report.gallery_info import GalleryInfo, gallery_info, glimpse
from privynet_opt.report.health import health_checks
from privynet_opt.report.open_search_check import open_search_check
from privynet_opt.report.pareto_info import pareto_info
from privynet_opt.report.prices import price_note, price_rows
from privynet_opt.report.provenance import provenance
from privynet_opt.report.verdict import verdict
from privynet_opt.report.words import (
    axis_title,
    format_correlation,
    format_difference,
    format_level,
    label,
)

if TYPE_CHECKING:
    from privynet_opt.proxies import ProxyValidation
    from privynet_opt.result import OptimizationResult


def cards(result: OptimizationResult) -> tuple[Card, ...]:
    """Return the report's cards.

    Args:
        result: What `optimize` returned.
    """
    gallery = gallery_info(result)
    make: tuple[Callable[[OptimizationResult], Card], ...] = (
        _pareto,
        _front,
        _filters,
        _proxies,
        _attackers,
        _search,
        _provenance,
    )
    return (_verdict(result, gallery), _gallery(gallery), *(one(result) for one in make))


def _verdict(result: OptimizationResult, gallery: GalleryInfo | None) -> Card:
    return Card(
        "verdict",
        "Verdict",
        "",
        "Verdict",
        "verdict",
        body={
            "verdict": verdict(result),
            "glimpse": glimpse(gallery),
            "checks": health_checks(result),
            "prices": price_rows(result),
            "price_note": price_note(result),
        },
    )


def _gallery(info: GalleryInfo | None) -> Card:
    return Card(
        "gallery",
        "Seeing privacy",
        "The same images as they are, as the attacker recovers them from what the cloud receives, "
        "and as thumbnails. Under each image its PSNR in dB and its SSIM, which say how close it "
        "comes to the original, pixel by pixel and in structure; higher is less private.",
        "Seeing privacy",
        "gallery",
        body=info,
        reason=""
        if info
        else "No pictures were kept. `privynet-opt validate RESULT_DIR --data IMAGES` measures the "
        "recommended topology and its neighbours, and keeps what the attacker recovered.",
    )


def _pareto(result: OptimizationResult) -> Card:
    info = pareto_info(result)
    seen = f"of {len(info.words):,} topologies; the front is listed in the table below."
    slots = (
        Slot("pareto-figure", "", f"Scatter {seen}"),
        Slot("space-figure", "", f"Scatter in three dimensions {seen}"),
    )
    moved = sliders(result)
    return Card(
        "pareto",
        "Accuracy against privacy loss",
        "Up and to the left is better: more accurate, less recovered. A privacy limit is checked "
        "on the upper end of each interval, so topologies just left of the line can be "
        "infeasible. Click a point for its details; drag a box, or along an axis of the parallel "
        "view, to mark topologies here and in the table. Move a limit to see what it changes.",
        "Pareto view",
        "pareto",
        body={
            "axes": [(name, label(name)) for name in AXES],
            "sliders": moved,
            "parts": part_names(info),
            "colours": colour_ticks(info),
            "colour_title": axis_title(COLOUR),
        },
        slots=slots,
        data={
            "figures": {slots[0].id: pareto_figure(info), slots[1].id: space_figure(info)},
            "sliders": [slider._asdict() for slider in moved],
            "objectives": [
                {"name": name, "sign": -1 if METRICS[name].higher_is_better else 1}
                for name in result.objectives
            ],
            "extrapolate": bool(result.spec.search.extrapolate),
            "parallel": list(PARALLEL),
            "short": TITLES,
            "points": info.columns,
            "words": list(info.words),
            "recommended": info.recommended,
            "nearest": info.nearest,
            "axes": pareto_axes(info),
        },
    )


def _front(result: OptimizationResult) -> Card:
    table = front_table(result)
    return Card(
        "front",
        "The Pareto front",
        "Feasible topologies that no other beats in every objective. Predicted values stand above "
        "their intervals; costs are exact counts for one image. Extrapolated: beyond the range of "
        "the trained measurements, where intervals promise nothing.",
        "Front",
        "front",
        body=table,
        data={"csv_columns": list(table.csv_columns), "table_metrics": list(table.metrics)},
        reason="" if table.rows else "The front is empty: no topology meets every limit.",
    )


def _filters(result: OptimizationResult) -> Card:
    info = filters_info(result)
    slots = tuple(
        Slot(f"filters-{target}", label(target), f"{label(target)} against kept filters per cut.")
        for target in SHOWN
    )
    figures = {
        slot.id: {cut: filters_figure(info, cut, target) for cut in info.curves}
        for slot, target in zip(slots, SHOWN, strict=True)
    }
    strategies = list(dict.fromkeys(s for curves in info.curves.values() for s in curves))
    sending = f" Features are sent as recommended: {info.sending}." if info.sending else ""
    return Card(
        "filters",
        "How the topology drives accuracy and privacy",
        "Lines are predictions for each selection strategy (of the first of its draws, where it "
        "draws), the band is the interval of one of them, marks are trained measurements. Accuracy "
        "is drawn on one axis for all cuts, privacy loss on each cut's own." + sending,
        "Kept filters",
        "filters",
        body={
            "cuts": list(info.curves),
            "strategies": strategies,
            "cut": info.cut,
            "strategy": info.strategy,
            "drivers": drivers(result),
        },
        slots=slots,
        data={"cut_figures": figures},
    )


def _proxies(result: OptimizationResult) -> Card:
    found = result.proxies.validations
    targets = [target for target in PREDICTED if target in found]
    fidelity = result.proxies.fidelity
    slots = tuple(_proxy_slot(target, found[target], fidelity) for target in targets)
    figures = {
        slot.id: proxy_figure(proxy_info(result, target))
        for slot, target in zip(slots, targets, strict=True)
    }
    return Card(
        "proxies",
        "Predicted against measured",
        "Proxies are models fitted to the measurements; they predict every other topology. Each "
        "mark is a measurement that its proxy had not seen: all measurements of its cut and number "
        "of filters were held out. On the dotted line the prediction is exact; bars are "
        f"{format_level(result.spec.search.confidence)} intervals.",
        "Proxies",
        "figures",
        slots=slots,
        data={"figures": figures},
        reason="" if targets else "No proxy was validated.",
    )


def _proxy_slot(target: str, held_out: ProxyValidation, fidelity: str) -> Slot:
    n_such, such = held_out.coverage_at(fidelity)
    facts = (
        ("mean absolute error", format_difference(target, held_out.mean_absolute_error)),
        (
            "with its whole cut held out",
            format_difference(target, held_out.loco_mean_absolute_error),
        ),
        ("rank correlation (Spearman)", format_correlation(held_out.spearman)),
        ("intervals that hold", f"{held_out.coverage:.0%}"),
        (f"at fidelity {fidelity}", f"{such:.0%} of {n_such}"),
        ("by cut", _by_cut(held_out)),
        ("measurements", f"{held_out.n_rows:,}"),
        ("model", held_out.model),
    )
    name = label(target)
    return Slot(f"proxy-{target}", name, f"{name}, predicted against measured.", facts)


def _by_cut(held_out: ProxyValidation) -> str:
    parts = held_out.coverage_by_cut().itertuples(name=None)
    return ", ".join(f"{cut} {coverage:.0%} of {n}" for cut, n, coverage in parts)


def _attackers(result: OptimizationResult) -> Card:
    return Card(
        "attackers",
        "Which attacker won, and what audits found",
        "Every measurement is attacked by the best linear decoder, in closed form, and by one "
        "more: at the cheapest fidelity a closed form that sees the whole image, above it a "
        "trained decoder; the stronger one counts. A better "
        "attacker than these may exist: the numbers are a lower bound on what leaks.",
        "Attackers",
        "attackers",
        body=attackers_info(result),
    )


def _search(result: OptimizationResult) -> Card:
    info = hypervolume_info(result)
    slot = Slot("hypervolume", "", "Hypervolume over trials against the enumerated front's.")
    return Card(
        "search",
        "How much the search found",
        "Hypervolume is the volume of objective space that a front dominates. The dashed line is "
        "the front of all topologies, enumerated over the same proxies; verdict and table rest on "
        "that one."
        if result.search.is_enumerated
        else "",
        "Search",
        "figures",
        slots=(slot,) if info else (),
        data={"figures": {slot.id: hypervolume_figure(info)}} if info else {},
        reason="" if info else _why_no_comparison(result),
    )


def _why_no_comparison(result: OptimizationResult) -> str:
    if result.search.is_enumerated:
        return "There is no enumerated front to compare the search with."
    check = open_search_check(result.search)
    return f"{check.title}. {check.text}"


def _provenance(result: OptimizationResult) -> Card:
    return Card(
        "provenance",
        "Provenance",
        "What these numbers rest on.",
        "Provenance",
        "provenance",
        body=provenance(result),
    )
