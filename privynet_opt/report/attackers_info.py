"""Which attacker won at each fidelity, and what an audit compared and found too weak."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from privynet_opt.characterization.audit import RULES, Audit, Violation
from privynet_opt.characterization.schema import CLOSED_FORMS, FIDELITIES
from privynet_opt.report.words import format_difference

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.result import OptimizationResult

RECIPES = {
    "screen": "closed forms alone, nothing trained",
    "amortised": "one decoder per cut, for every choice of its filters",
    "standard": "a decoder of its own, a short recipe",
    "full": "a decoder of its own, trained to convergence",
}
"""What attacks at each fidelity beside the linear decoder."""

N_WEAK = 8
"""Weak attacks that are listed; the rest are counted."""


class AttackerRow(NamedTuple):
    """Who won at one fidelity.

    Attributes:
        fidelity: Its name.
        recipe: What attacked beside the linear decoder.
        n_rows: Measurements.
        trained_won: How many a trained decoder won; empty where none was trained.
        closed_form_won: How many a closed form won.
        gain: What the decoder recovers more than the linear one, on average and at most.
    """

    fidelity: str
    recipe: str
    n_rows: str
    trained_won: str
    closed_form_won: str
    gain: str


class AuditRow(NamedTuple):
    """What one rule found.

    Attributes:
        rule: What must hold.
        found: For each fidelity of the table how many comparisons contradict it beyond noise, as
            ``"4 of 16"``; empty where there was nothing to compare.
    """

    rule: str
    found: tuple[str, ...]


class WeakRow(NamedTuple):
    """One attack that another measurement shows to be too weak.

    Attributes:
        topology: Whose attack it is, in words.
        fidelity: Of the attack.
        shown_by: The topology or attacker that recovers more.
        excess: By how much.
        measured_again: The fidelity that measured it more strongly, or that none did.
    """

    topology: str
    fidelity: str
    shown_by: str
    excess: str
    measured_again: str


class AttackersInfo(NamedTuple):
    """Everything the section shows.

    Attributes:
        attackers: One row per fidelity, the cheapest first.
        audits: One row per rule with something to compare.
        noise: Differences up to this are noise.
        weak: The worst contradictions.
        n_weak_left: How many more there are.
    """

    attackers: tuple[AttackerRow, ...]
    audits: tuple[AuditRow, ...]
    noise: str
    weak: tuple[WeakRow, ...]
    n_weak_left: int


def attackers_info(result: OptimizationResult) -> AttackersInfo:
    """Return who won and what was audited.

    Args:
        result: What `optimize` returned.
    """
    rows, audit = result.table.rows, result.audit
    by_fidelity = dict(iter(rows.groupby("fidelity", sort=False)))
    fidelities = [fidelity for fidelity in FIDELITIES if fidelity in by_fidelity]
    return AttackersInfo(
        attackers=tuple(_attackers(fidelity, by_fidelity[fidelity]) for fidelity in fidelities),
        audits=tuple(_audits(audit, fidelities)),
        noise=format_difference("psnr_db", audit.noise_db),
        weak=tuple(_weak(violation) for violation in audit.violations[:N_WEAK]),
        n_weak_left=max(0, len(audit.violations) - N_WEAK),
    )


def _attackers(fidelity: str, rows: pd.DataFrame) -> AttackerRow:
    n_closed_form = int(rows["attacker"].isin(CLOSED_FORMS).sum())
    gains = (rows["decoder_psnr_db"] - rows["ridge_psnr_db"]).dropna()
    won, gain = "", ""
    if len(gains):
        won = f"{len(rows) - n_closed_form:,}"
        mean, most = (format_difference("psnr_db", v) for v in (gains.mean(), gains.max()))
        gain = f"{mean}, at most {most}"
    recipe = RECIPES[fidelity]
    return AttackerRow(fidelity, recipe, f"{len(rows):,}", won, f"{n_closed_form:,}", gain)


def _audits(audit: Audit, fidelities: list[str]) -> list[AuditRow]:
    broken = [(violation.rule, violation.fidelity) for violation in audit.violations]
    keys = {rule: [(rule, fidelity) for fidelity in fidelities] for rule in RULES}
    return [
        AuditRow(
            RULES[rule],
            tuple(
                f"{broken.count(key):,} of {audit.compared[key]:,}" if key in audit.compared else ""
                for key in of_rule
            ),
        )
        for rule, of_rule in keys.items()
        if any(key in audit.compared for key in of_rule)
    ]


def _weak(found: Violation) -> WeakRow:
    return WeakRow(
        str(found.weak),
        found.fidelity,
        found.strong,
        format_difference("psnr_db", found.excess_db),
        f"at {found.measured_again}" if found.measured_again else "no",
    )
