"""Whether intervals hold as many held-out measurements as they promise, at each part of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.report.check import Check
from privynet_opt.report.words import format_level, label

if TYPE_CHECKING:
    from privynet_opt.proxies.validation import ProxyValidation

SLACK = 0.05
"""How far held-out coverage may fall short of the promised level before it is said: two standard
errors of 150 rows. Fewer rows fall short by chance more easily: how easily is said as well."""

SURE = 0.05
"""Chance of so few within sound intervals below which these count as too narrow."""


def coverage_check(held_out: ProxyValidation, promised: float, fidelity: str) -> Check | None:
    """Return the part of a table whose intervals are the least likely to keep their promise.

    Args:
        held_out: How a proxy predicted held-out rows.
        promised: Share of measurements that its intervals are to cover.
        fidelity: What is predicted.

    Returns:
        None where no part falls short by more than `SLACK`.
    """
    parts = [("", held_out.n_rows, held_out.coverage)]
    parts += [(f" at {at}", n, c) for at, n, c in held_out.coverage_by_cut().itertuples(name=None)]
    parts.append((f" at fidelity {fidelity}", *held_out.coverage_at(fidelity)))
    short = [
        (_chance(n, c, promised), where, n, c) for where, n, c in parts if c < promised - SLACK
    ]
    if not short:
        return None
    chance, where, n_rows, coverage = min(short)
    verb = "are" if chance < SURE else "may be"
    return Check(
        "watch",
        f"{label(held_out.target)}: intervals {verb} too narrow{where}",
        f"They hold {coverage:.0%} of {n_rows} held-out measurements, not the promised "
        f"{format_level(promised)}; of so many, sound intervals hold so few in "
        f"{_percent(chance)} of cases. Leave more room to the limit, or measure more topologies.",
    )


def _chance(n_rows: int, coverage: float, promised: float) -> float:
    """Return how probable so few hits are where each row is hit as promised (binomial)."""
    from scipy.special import bdtr

    return float(bdtr(round(coverage * n_rows), n_rows, promised))


def _percent(chance: float) -> str:
    return f"{chance:.0%}" if chance >= 0.01 else "less than 1%"
