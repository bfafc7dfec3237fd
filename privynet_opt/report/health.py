"""Health checks: what a reader should know before trusting the verdict, in plain language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privynet_opt.candidates import decided_by, passed_over
from privynet_opt.metrics import METRICS, PREDICTED
from privynet_opt.report.bound_check import bound_check
from privynet_opt.report.check import Check
from privynet_opt.report.label_check import label_check
from privynet_opt.report.sampling_check import sampling_check
from privynet_opt.report.trust_checks import trust_checks
from privynet_opt.report.validation_check import validation_check
from privynet_opt.report.verdict import margin
from privynet_opt.report.words import (
    format_difference,
    format_value,
    label,
    topologies_in_words,
)

if TYPE_CHECKING:
    from privynet_opt.constraints import Constraint
    from privynet_opt.result import OptimizationResult

TIGHT = 0.01
"""Share of a limit below which the room left to it is worth saying."""


def health_checks(result: OptimizationResult) -> tuple[Check, ...]:
    """Return the checks that apply, the most pressing first.

    Args:
        result: What `optimize` returned.
    """
    checks: list[Check | None] = [_feasible_share(result), label_check(result)]
    if result.best is not None:
        checks += [*_limits(result), _measured(result), _edge(result), bound_check(result)]
    checks += [*extrapolation_checks(result), sampling_check(result)]
    if result.validation is not None:
        checks.append(validation_check(result.validation, result.best))
    checks += trust_checks(result)
    order = ("act", "watch", "good")
    found = (check for check in checks if check is not None)
    return tuple(sorted(found, key=lambda check: order.index(check.level)))


def _feasible_share(result: OptimizationResult) -> Check:
    n_all, n_feasible = len(result.candidates), int(result.candidates["feasible"].sum())
    tried = "" if result.search.is_enumerated else " tried"
    if not n_feasible:
        return Check(
            "act",
            "Nothing is feasible: relax a limit, or widen the search space",
            f"All {n_all:,} topologies{tried} break at least one limit.",
        )
    return Check(
        "good",
        f"{n_feasible:,} of {n_all:,} topologies{tried} are feasible",
        f"{len(result.front):,} of them are on the Pareto front: no other is at least as good in "
        "every objective and better in one.",
    )


def _limits(result: OptimizationResult) -> list[Check]:
    return [c for c in (_limit(result.best, limit) for limit in result.constraints) if c]


def _limit(best: Any, constraint: Constraint) -> Check | None:
    left, metric = margin(best, constraint), constraint.metric
    room = format_difference(metric, abs(left))
    name = label(metric)
    how = (
        "at the upper end of its interval"
        if METRICS[metric].is_privacy_loss
        else "at its own value"
    )
    if left < 0:
        return Check("act", f"{name} breaks its limit", f"It misses {constraint} by {room}.")
    if abs(left) < TIGHT * abs(constraint.limit):
        tighter = "higher" if constraint.operator == ">=" else "lower"
        return Check(
            "watch",
            f"{name} only just holds",
            f"{constraint} leaves {room}, {how}: one slightly {tighter} would change the choice.",
        )
    return None


def _measured(result: OptimizationResult) -> Check:
    best = result.best
    assert best is not None
    if not best["measured"]:
        return Check(
            "watch",
            "The recommended topology is predicted, not measured",
            "Its accuracy and privacy loss come from proxies, models fitted to other measurements. "
            "Measure it before you deploy: `privynet-opt validate`.",
        )
    measured, predicted = best["measured_fidelity"], result.proxies.fidelity
    decided = decided_by(result.constraints, measured, predicted)
    broken = [constraint for constraint in decided if _breaks(best, constraint)]
    said = ", ".join(f"{label(t)} {format_value(t, best[f'measured_{t}'])}" for t in PREDICTED)
    if broken:
        return Check(
            "act",
            "The recommended topology's own measurement breaks a limit",
            f"{said}: {measured_by(best)}. Broken: {', '.join(map(str, broken))}.",
        )
    text = f"{said}: {measured_by(best)}."
    open_still = [c for c in result.constraints if c.metric in PREDICTED and _breaks(best, c)]
    if open_still:
        limits = ", ".join(map(str, open_still))
        text += f" It is predicted for {predicted}, which learns more: {limits} is undecided."
        return Check("watch", "The recommended topology's measurement leaves a limit open", text)
    return Check("good", "The recommended topology was measured", text)


def measured_by(best: Any) -> str:
    """Return what the measured values of a topology are.

    Args:
        best: A measured row of the judged topologies.
    """
    return f"accuracy at {best['measured_fidelity']}, privacy losses by the strongest attack"


def _breaks(best: Any, constraint: Constraint) -> bool:
    room = float(constraint.limit) - float(best[f"measured_{constraint.metric}"])
    return (-room if constraint.operator.startswith(">") else room) < 0


def extrapolation_checks(result: OptimizationResult) -> list[Check]:
    """Return whether the choice, or a better one passed over, lies beyond what was measured.

    Args:
        result: What `optimize` returned.
    """
    best, better = result.best, passed_over(result.candidates, result.best)
    if better is not None:
        (words,) = topologies_in_words(better.to_frame().T)
        said = format_value("accuracy", float(better["accuracy"]))
        return [
            Check(
                "watch",
                f"Not recommended though predicted within every limit: {words} ({said}), beyond "
                "what was measured",
                f"{_beyond(result, better)} Measure it or topologies around it, or allow such "
                "choices with --extrapolate.",
            )
        ]
    if best is None:
        return []
    if best["extrapolation"]:
        title = "The recommended topology lies beyond what was measured"
        text = f"{_beyond(result, best)} Measure it, or topologies around it."
        return [Check("watch", title, text)]
    return [
        Check(
            "good",
            "The prediction stays within what was measured",
            "The recommended topology lies within the range of the trained measurements, and no "
            "more accurate one outside it meets every limit.",
        )
    ]


def _beyond(result: OptimizationResult, topology: Any) -> str:
    reasons = _capital("; ".join(result.proxies.why_extrapolated(topology)))
    return f"{reasons}: there the interval promises nothing."


def _edge(result: OptimizationResult) -> Check | None:
    best = result.best
    assert best is not None
    cuts = list(result.spec.search_space.cut_layers)
    cut = str(best["cut_layer"])
    same_cut = result.candidates[result.candidates["cut_layer"] == cut]
    edges = []
    if cut == cuts[0]:
        edges.append(f"its cut, {cut}, is the first on offer")
    if cut == cuts[-1]:
        edges.append(f"its cut, {cut}, is the last on offer, and a deeper one may be better")
    if best["kept_filters"] == same_cut["kept_filters"].min():
        edges.append("it keeps the fewest filters on offer at its cut")
    if best["kept_filters"] == result.table.cuts[cut].channels:
        edges.append("it keeps every filter of its cut")
    if not edges:
        return Check(
            "good",
            "The choice lies inside the search space",
            "Neither its cut nor its number of filters is the first or last on offer.",
        )
    text = "; ".join(edges)
    return Check("watch", "The choice lies at an edge of the search space", f"{_capital(text)}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
