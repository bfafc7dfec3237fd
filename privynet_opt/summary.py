"""A result as plain text: what ``privynet-opt run`` prints and what a result shows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.metrics import METRICS, PREDICTED
from privynet_opt.plain_text import aligned, likeness, wrapped
from privynet_opt.report.bound_check import bound_check
from privynet_opt.report.health import extrapolation_checks, health_checks, measured_by
from privynet_opt.report.hierarchical_check import hierarchical_check
from privynet_opt.report.open_search_check import open_search_check
from privynet_opt.report.prices import price_note, price_rows
from privynet_opt.report.verdict import verdict
from privynet_opt.report.words import (
    format_difference,
    format_interval,
    format_level,
    format_value,
    readable_scale,
    topologies_in_words,
)

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.api import OptimizationResult

FRONT_ROWS = 12
"""Rows of the front that are printed; all are in the files."""

SHOWN_COSTS = ("local_flops", "memory_bytes", "feature_bytes")
"""Costs of the recommended topology that are always printed."""


def summary_lines(result: OptimizationResult) -> list[str]:
    """Return the whole answer, one string per line.

    Args:
        result: What `optimize` returned.
    """
    parts = (
        header_lines(result),
        verdict_lines(result),
        price_lines(result),
        caution_lines(result),
        front_lines(result),
        proxy_lines(result),
        search_lines(result),
    )
    return [line for part in parts if part for line in (*part, "")][:-1]


def header_lines(result: OptimizationResult) -> list[str]:
    """Return what was asked.

    Args:
        result: What `optimize` returned.
    """
    wanted = ", ".join(
        f"{name} {'up' if METRICS[name].higher_is_better else 'down'}" for name in result.objectives
    )
    limits = ", ".join(map(str, result.constraints)) or "no limits"
    return [
        f"{result.spec.name}: {result.spec.title}",
        *wrapped(f"Asked: {wanted}; {limits}"),
    ]


def verdict_lines(result: OptimizationResult) -> list[str]:
    """Return the recommendation and its limits, or why there is none.

    Args:
        result: What `optimize` returned.
    """
    best = result.best
    if best is None:
        facts = result.infeasibility.lines() if result.infeasibility else []
        facts += [check.title for check in extrapolation_checks(result)]
        why = [line for fact in facts for line in wrapped(fact, "  - ", "    ")]
        return ["Recommended: nothing", *wrapped(verdict(result).sentence), *why]
    told = verdict(result)
    lines = [f"Recommended: {told.topology}", *wrapped(told.sentence), ""]
    fidelity = result.proxies.fidelity
    level = f"{format_level(result.spec.search.confidence)} interval"
    head = ("", f"predicted ({fidelity})", level, "measured")
    lines += aligned([head, *_values(result, best)], "<>>>")
    if best["measured"]:
        lines.append(f"measured: {measured_by(best)}")
    lines += ["", *_privacy_lines(result, float(best["psnr_db"]))]
    bound = bound_check(result)
    if bound is not None and bound.level == "good":  # else it is among the cautions
        lines += wrapped(f"{bound.title}. {bound.text}")
    if told.constraints:
        limits = [(row.statement, row.margin, row.checked) for row in told.constraints]
        lines += ["", *aligned([("limit", "margin", "checked on"), *limits], "<><")]
    return lines


def _values(result: OptimizationResult, best: pd.Series) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for metric in PREDICTED:
        interval = format_interval(metric, best[f"{metric}_lower"], best[f"{metric}_upper"])
        value, measured = (float(best[name]) for name in (metric, f"measured_{metric}"))
        known = format_value(metric, measured) if best["measured"] else "-"
        rows.append((metric, format_value(metric, value), interval, known))
    exact = dict.fromkeys((*SHOWN_COSTS, *(c.metric for c in result.constraints)))
    for metric in exact:
        if metric not in PREDICTED:
            rows.append((metric, format_value(metric, float(best[metric])), "exact", ""))
    return rows


def _privacy_lines(result: OptimizationResult, psnr_db: float) -> list[str]:
    scale = ", ".join(f"{name} {db:.1f}" for name, db in readable_scale(result.table))
    if not scale:
        return ["psnr_db is privacy loss: how well an attacker recovers images; higher is worse"]
    value = format_value("psnr_db", psnr_db)
    return [
        *wrapped(
            f"{value} of privacy loss is {likeness(result.table, psnr_db)}; higher is less private"
        ),
        *wrapped(f"Its scale on this data, in dB: {scale}"),
    ]


def price_lines(result: OptimizationResult) -> list[str]:
    """Return what moving one limit would do to the accuracy.

    Args:
        result: What `optimize` returned.
    """
    rows = price_rows(result)
    if not rows:
        return []
    title = wrapped(f"What a limit is worth: {price_note(result)}")
    heading = ("moved to", "by", "accuracy", "recommended then")
    return [*title, *aligned([heading, *rows], "<<<<")]


def caution_lines(result: OptimizationResult) -> list[str]:
    """Return what to know before relying on the recommendation.

    Args:
        result: What `optimize` returned.

    Returns:
        Titles of the report's health checks that are not all good; nothing where they are.
    """
    checks = [check for check in health_checks(result) if check.level != "good"]
    if result.best is None or not checks:
        return []
    lines = [line for check in checks for line in wrapped(check.title, "  - ", "    ")]
    return ["Before you rely on it (the report says more):", *lines]


def front_lines(result: OptimizationResult) -> list[str]:
    """Return a short table of the Pareto front.

    Args:
        result: What `optimize` returned.
    """
    front = result.front
    if front.empty:
        return []
    n_feasible = int(result.candidates["feasible"].sum())
    shown = _spread(front, FRONT_ROWS)
    metrics = list(dict.fromkeys(("accuracy", "psnr_db", "local_flops", *result.objectives)))
    where = "in the space" if result.search.is_enumerated else "that the search tried"
    some = f"; {len(shown)} of them" if len(shown) < len(front) else ""
    title = (
        f"Pareto front: {len(front):,} of {n_feasible:,} feasible topologies "
        f"(of {len(result.candidates):,} {where}){some}"
    )
    rows = [("topology", *metrics, "measured at")]
    for words, (_, row) in zip(topologies_in_words(shown), shown.iterrows(), strict=True):
        values = (format_value(metric, float(row[metric])) for metric in metrics)
        evidence = str(row["measured_fidelity"]) or (
            "extrapolated" if row["extrapolation"] else "-"
        )
        rows.append((words, *values, evidence))
    return [title, *aligned(rows, "<" + ">" * len(metrics) + "<")]


def proxy_lines(result: OptimizationResult) -> list[str]:
    """Return the proxies' errors on held-out measurements.

    Args:
        result: What `optimize` returned.
    """
    rows = [("", "mean error", "Spearman", "interval", "it holds", "model")]
    for target, held_out in result.proxies.validations.items():
        rows.append(
            (
                target,
                format_difference(target, held_out.mean_absolute_error),
                f"{held_out.spearman:.3f}",
                f"±{format_difference(target, held_out.half_width)}",
                f"{held_out.coverage:.0%}",
                held_out.model,
            )
        )
    first = next(iter(result.proxies.validations.values()))
    title = (
        f"Proxies: errors on {first.n_rows:,} held-out measurements, those of one cut and number "
        "of filters together"
    )
    return [title, *aligned(rows, "<>>>><")]


def search_lines(result: OptimizationResult) -> list[str]:
    """Return how much of the enumerated front the bare search found, or that there is none.

    Args:
        result: What `optimize` returned.
    """
    if result.hierarchical is not None:
        check = hierarchical_check(result.hierarchical, result.best)
        return wrapped(f"{check.title}. {check.text}")
    search = result.search
    ran = f"{search.n_trials:,} trials of {search.sampler} (seed {search.seed})"
    if not search.is_enumerated:
        check = open_search_check(search)
        return wrapped(f"Search: {ran}. {check.title}. {check.text}")
    if not search.enumerated_hypervolume > 0:
        return wrapped(
            f"Search: {ran} and all {len(result.candidates):,} topologies found nothing feasible"
        )
    return wrapped(
        f"Search: {ran} reached {1 - search.gap:.2%} of the hypervolume of the enumerated front "
        f"(gap {search.gap:.2%}); the front above is the enumerated one and misses nothing"
    )


def _spread(front: pd.DataFrame, n: int) -> pd.DataFrame:
    if len(front) <= n:
        return front
    return front.iloc[sorted({round(i * (len(front) - 1) / (n - 1)) for i in range(n)})]
