"""What a tuning says while it goes on, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from privynet_opt.report.words import format_level, format_value
from privynet_opt.topology import LocalTopology
from privynet_opt.tuning.budget import Budget, format_seconds
from privynet_opt.tuning.diary import Verdict
from privynet_opt.tuning.valuation import best_measured

if TYPE_CHECKING:
    from privynet_opt.result import OptimizationResult


def verdict_line(verdicts: Sequence[Verdict], budget: Budget) -> str:
    """Return what the last round concluded.

    Args:
        verdicts: Of all rounds.
        budget: How far it is spent.

    Returns:
        For example ``"round 2, 9 trained, 4m10s of 30m: conv6, 16 filters by lda: 61.2%, 16.84 dB
        (up to 17.3); not measured yet"``.
    """
    last = verdicts[-1]
    when = f"round {len(verdicts)}, {last.n_trained} trained, {_of(budget)}"
    if last.recommended is None or last.accuracy is None:
        return f"{when}: no topology keeps every limit by the predictions"
    same = 0
    while same < len(verdicts) and verdicts[-1 - same].recommended == last.recommended:
        same += 1
    told = (
        f"{format_value('accuracy', last.accuracy)}, {format_value('psnr_db', last.psnr_db or 0)} "
        f"(up to {last.psnr_db_upper:.1f})"
    )
    if last.broken:
        state = f"breaks {', '.join(last.broken)} as measured at {last.measured}"
    elif last.measured:
        state = f"measured at {last.measured}, keeps every limit"
    else:
        state = "not measured yet"
    again = f", the same for {same} rounds" if same > 1 else ""
    return f"{when}: {last.recommended}: {told}; {state}{again}"


def measured_line(row: Mapping[str, Any], seconds: float) -> str:
    """Return what a measurement found.

    Args:
        row: The measurement.
        seconds: What it took.
    """
    topology = LocalTopology.of(row)
    found = ", ".join(format_value(name, row[name]) for name in ("accuracy", "psnr_db"))
    return f"  trained at {row['fidelity']}: {topology}: {found} ({format_seconds(seconds)})"


def _of(budget: Budget) -> str:
    return f"{format_seconds(budget.spent)} of {format_seconds(budget.seconds)}"


def begin_line(
    name: str,
    n_topologies: int,
    taken_over: Mapping[str, int],
    budget_seconds: float,
    spent_before: float,
) -> str:
    """Return what a tuning begins with.

    Args:
        name: Of the study.
        n_topologies: In its space.
        taken_over: Rows of the study's own table that count, by fidelity.
        budget_seconds: How long it may take, all runs together.
        spent_before: Of that, by earlier runs.
    """
    known = ", ".join(f"{n:,} {fidelity}" for fidelity, n in taken_over.items()) or "none"
    begun = f"; going on after {format_seconds(spent_before)}" if spent_before else ""
    return (
        f"{name}: {n_topologies:,} topologies, budget {format_seconds(budget_seconds)}{begun}; "
        f"rows taken over from the study's own table: {known}"
    )


def ending_line(
    ending: str, verdicts: Sequence[Verdict], spent_seconds: float, n_trained: int
) -> str:
    """Return why a tuning ended.

    Args:
        ending: From `rounds.Tuning.run`.
        verdicts: Of all rounds.
        spent_seconds: Over all runs.
        n_trained: Trained measurements known at the end, those taken over included.
    """
    n_rounds = len(verdicts)
    why = {
        "stable": "the verdict is stable, measured, and keeps every limit",
        "settled": "no measurement left is expected to change the verdict",
        "budget": "the budget is over; the same command with a longer one goes on",
        "impossible": "numbers that no training changes rule out every topology",
    }[ending]
    rounds = f"{n_rounds} round{'' if n_rounds == 1 else 's'}"
    return (
        f"Tuned for {format_seconds(spent_seconds)} in {rounds}, {n_trained} trained measurements "
        f"known: {why}"
    )


def best_measured_line(result: OptimizationResult) -> str | None:
    """Return what was measured to be better than the recommended topology, and why it is not it.

    Args:
        result: The answer.

    Returns:
        None where the recommended topology is the most accurate that kept every limit as measured.
    """
    found, best = best_measured(result.candidates, result.constraints), result.best
    if found is None or (best is not None and found.name == best.name):
        return None
    values = ", ".join(
        format_value(name, found[f"measured_{name}"]) for name in ("accuracy", "psnr_db")
    )
    return (
        "Most accurate of those that kept every limit as measured: "
        f"{LocalTopology.of(found)}: {values} "
        f"at {found['measured_fidelity']}; what is recommended keeps the privacy limits at "
        f"{format_level(result.spec.search.confidence)} confidence"
    )
