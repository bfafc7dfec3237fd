"""Health checks of what every verdict rests on: proxies, attackers, secrecy, search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.characterization.schema import FIDELITIES
from privynet_opt.metrics import PREDICTED
from privynet_opt.report.check import Check
from privynet_opt.report.coverage_check import coverage_check
from privynet_opt.report.hierarchical_check import hierarchical_check
from privynet_opt.report.knowledge_checks import knowledge_checks
from privynet_opt.report.level_check import level_check
from privynet_opt.report.open_search_check import open_search_check
from privynet_opt.report.words import format_correlation, format_difference, label

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult

ERROR_BARS = {"accuracy": (0.03, 0.95), "psnr_db": (0.5, 0.97)}
"""Held-out mean absolute error allowed, and Spearman correlation asked for."""

SEARCH_GAP = 0.05
"""Share of the enumerated hypervolume that the bare search may miss before it is worth saying."""


ENOUGH_CONVERGED = 12
"""Converged measurements that are asked for before predictions of that fidelity count as sound."""


def trust_checks(result: OptimizationResult) -> list[Check | None]:
    """Return the checks that do not depend on which topology was chosen.

    Args:
        result: What `optimize` returned.
    """
    checks: list[Check | None] = []
    for target in PREDICTED:
        if target in result.proxies.validations:
            checks += _proxy(result, target)
    known = knowledge_checks(result.table)
    checks += [level_check(result), _attackers(result), _audit(result)]
    return [*checks, *known, _search(result)]


def _proxy(result: OptimizationResult, target: str) -> list[Check | None]:
    held_out = result.proxies.validations[target]
    error = format_difference(target, held_out.mean_absolute_error)
    rank = format_correlation(held_out.spearman)
    found = f"Mean absolute error {error}, rank correlation (Spearman) {rank},"
    where = (
        f"on {held_out.n_rows} measurements, each unseen with all of its cut and number of filters"
    )
    name = label(target)
    checks: list[Check | None] = []
    if target in ERROR_BARS:
        allowed, least = ERROR_BARS[target]
        good = held_out.mean_absolute_error <= allowed and held_out.spearman >= least
        asked = f"asked for: at most {format_difference(target, allowed)} and at least {least}"
        title = "is predicted well" if good else "is predicted less well than asked for"
        checks.append(
            Check("good" if good else "watch", f"{name} {title}", f"{found} {where} ({asked}).")
        )
    promised = float(result.spec.search.confidence)
    return [*checks, coverage_check(held_out, promised, result.proxies.fidelity)]


def _attackers(result: OptimizationResult) -> Check:
    trained, fidelity = result.table.trained, result.proxies.fidelity
    n_such = int((trained["fidelity"] == fidelity).sum())
    rows = f"{n_such:,} of {len(trained):,} trained measurements are of fidelity {fidelity}"
    if fidelity == FIDELITIES[-1] and n_such < ENOUGH_CONVERGED:
        return Check(
            "watch",
            "Few attackers were trained to convergence",
            f"{rows}; {ENOUGH_CONVERGED} or more, spread over cuts and counts, teach what they add "
            "to cheaper ones well. Measure more with `privynet-opt characterize --fidelity full`.",
        )
    if fidelity == FIDELITIES[-1]:
        return Check(
            "good",
            "Predictions are for attackers trained to convergence",
            f"{rows}; cheaper ones help to predict it.",
        )
    dearer = "too few are" if n_such < len(trained) else "none is"
    return Check(
        "watch",
        "Attackers were trained by a short recipe",
        f"{rows}, and {dearer} of a dearer one. A decoder trained to convergence recovers 0.4 to "
        "2.4 dB more than a short recipe: leave that much room, or measure the choice at "
        f"{FIDELITIES[-1]}.",
    )


def _audit(result: OptimizationResult) -> Check | None:
    found = result.audit
    closed_form = FIDELITIES[0]
    compared = sum(n for (_, fidelity), n in found.compared.items() if fidelity != closed_form)
    if not compared:
        return None
    contradicted = [v for v in found.violations if v.fidelity != closed_form]
    broken = [v for v in contradicted if not v.measured_again]
    answered = len(contradicted) - len(broken)
    text = (
        f"{len(broken):,} of {compared:,} comparisons contradict what a perfect attacker would do "
        f"by more than {found.noise_db:g} dB: that more of the same filters leak no less, a deeper "
        "cut no more, that training never hurts and a larger decoder helps no more."
    )
    if answered:
        text += f" {answered:,} more did, measured by a stronger attack as well."
    if not broken:
        return Check("good", "No trained attack contradicts another", text)
    worst = broken[0]
    return Check(
        "watch",
        "Some attacks were too weak",
        f"{text} The worst: {worst.weak} ({worst.fidelity}), where {worst.strong} shows "
        f"{format_difference('psnr_db', worst.excess_db)} more. Measure it longer.",
    )


def _search(result: OptimizationResult) -> Check | None:
    if result.hierarchical is not None:
        return hierarchical_check(result.hierarchical, result.best)
    search = result.search
    if search is not None and not search.is_enumerated:
        return open_search_check(search)
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
