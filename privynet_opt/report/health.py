"""Health checks: what a reader should know before trusting the verdict, in plain language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from privynet_opt.characterization.schema import FIDELITIES
from privynet_opt.metrics import METRICS, PREDICTED
from privynet_opt.report.verdict import margin
from privynet_opt.report.words import format_correlation, format_difference, format_value, label

if TYPE_CHECKING:
    from privynet_opt.api import OptimizationResult
    from privynet_opt.constraints import Constraint

ERROR_BARS = {"accuracy": (0.03, 0.95), "psnr_db": (0.5, 0.97)}
"""Held-out mean absolute error allowed, and Spearman correlation asked for."""

COVERAGE_SLACK = 0.05
"""How far held-out coverage may fall short of the promised level: about two standard errors at 80
to 150 rows."""

TIGHT = 0.01
"""Share of a limit below which the room left to it is worth saying."""

SEARCH_GAP = 0.05
"""Share of the enumerated hypervolume that the bare search may miss before it is worth saying."""


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes:
        level: ``"good"``, ``"watch"`` (know it before deciding) or ``"act"`` (do something first).
        title: The finding in a few words.
        text: What it means and, where it is not good, what to do.
    """

    level: str
    title: str
    text: str


def health_checks(result: OptimizationResult) -> tuple[Check, ...]:
    """Return the checks that apply, the most pressing first.

    Args:
        result: What `optimize` returned.
    """
    checks: list[Check | None] = [_feasible_share(result)]
    if result.best is not None:
        checks += [*_limits(result), _measured(result), _extrapolation(result.best), _edge(result)]
    for target in PREDICTED:
        if target in result.proxies.validations:
            checks += _proxy(result, target)
    checks += [_attackers(result), _search(result)]
    order = ("act", "watch", "good")
    found = (check for check in checks if check is not None)
    return tuple(sorted(found, key=lambda check: order.index(check.level)))


def _feasible_share(result: OptimizationResult) -> Check:
    n_all, n_feasible = len(result.candidates), int(result.candidates["feasible"].sum())
    if not n_feasible:
        return Check(
            "act",
            "Nothing is feasible: relax a limit, or widen the search space",
            f"All {n_all:,} topologies break at least one limit.",
        )
    return Check(
        "good",
        f"{n_feasible:,} of {n_all:,} topologies are feasible",
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
        return Check(
            "watch",
            f"{name} only just holds",
            f"{constraint} leaves {room}, {how}: a limit slightly lower would change the choice.",
        )
    return None


def _measured(result: OptimizationResult) -> Check:
    best = result.best
    assert best is not None
    if not best["measured"]:
        return Check(
            "watch",
            "The recommended topology is predicted, not measured",
            "Its accuracy and privacy loss come from the proxies. Measure it before you deploy.",
        )
    broken = [
        constraint
        for constraint in result.constraints
        if constraint.metric in PREDICTED and _breaks(best, constraint)
    ]
    fidelity = str(best["measured_fidelity"])
    said = ", ".join(f"{label(t)} {format_value(t, best[f'measured_{t}'])}" for t in PREDICTED)
    if broken:
        return Check(
            "act",
            "The recommended topology's own measurement breaks a limit",
            f"Measured at fidelity {fidelity}: {said}. Broken: {', '.join(map(str, broken))}.",
        )
    return Check(
        "good", "The recommended topology was measured", f"At fidelity {fidelity}: {said}."
    )


def _breaks(best: Any, constraint: Constraint) -> bool:
    room = float(constraint.limit) - float(best[f"measured_{constraint.metric}"])
    return (-room if constraint.operator.startswith(">") else room) < 0


def _extrapolation(best: Any) -> Check:
    if best["extrapolation"]:
        return Check(
            "watch",
            "The prediction reaches beyond what was measured",
            "The recommended topology lies outside the trained measurements, where the interval "
            "promises nothing. Measure it, or topologies around it.",
        )
    return Check(
        "good",
        "The prediction stays within what was measured",
        "The recommended topology lies within the range of the trained measurements.",
    )


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


def _proxy(result: OptimizationResult, target: str) -> list[Check]:
    held_out = result.proxies.validations[target]
    error = format_difference(target, held_out.mean_absolute_error)
    found = f"Mean absolute error {error}, Spearman {format_correlation(held_out.spearman)}"
    where = f"on {held_out.n_rows} held-out measurements in {held_out.n_groups} groups"
    name = label(target)
    checks = []
    if target in ERROR_BARS:
        allowed, rank = ERROR_BARS[target]
        good = held_out.mean_absolute_error <= allowed and held_out.spearman >= rank
        asked = f"asked for: at most {format_difference(target, allowed)} and at least {rank}"
        title = "is predicted well" if good else "is predicted less well than asked for"
        checks.append(
            Check("good" if good else "watch", f"{name} {title}", f"{found} {where} ({asked}).")
        )
    promised = float(result.spec.search.confidence)
    if held_out.coverage < promised - COVERAGE_SLACK:
        checks.append(
            Check(
                "watch",
                f"{name}: intervals are too narrow",
                f"They hold {held_out.coverage:.0%} of the held-out measurements, not the promised "
                f"{promised:.0%}. Leave more room to the limit, or measure more topologies.",
            )
        )
    return checks


def _attackers(result: OptimizationResult) -> Check:
    trained, fidelity = result.table.trained, result.proxies.fidelity
    n_such = int((trained["fidelity"] == fidelity).sum())
    rows = f"{n_such:,} of {len(trained):,} trained measurements are of fidelity {fidelity}"
    if fidelity == FIDELITIES[-1]:
        return Check(
            "good",
            "Predictions are for attackers trained to convergence",
            f"{rows}; cheaper ones help to predict it.",
        )
    return Check(
        "watch",
        "Attackers were trained by a short recipe",
        f"{rows}, and none is of a dearer one. A decoder trained to convergence recovers 0.4 to "
        "2.4 dB more than a short recipe: leave that much room, or measure the choice at "
        f"{FIDELITIES[-1]}.",
    )


def _search(result: OptimizationResult) -> Check | None:
    search = result.search
    if search is None or not (search.enumerated_hypervolume or 0) > 0:
        return None
    text = (
        f"{search.n_trials:,} trials of {search.sampler} reached {1 - search.gap:.1%} of the "
        "hypervolume of the enumerated front. The verdict and the front come from enumeration, so "
        "nothing is missed either way."
    )
    good = search.gap <= SEARCH_GAP
    title = "The search found nearly all there is" if good else "The search alone missed a part"
    return Check("good" if good else "watch", title, text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
