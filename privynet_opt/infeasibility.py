"""Why nothing is feasible, and the least that would have to give.

An empty feasible set is an answer: which limit excludes most, which limits exclude each other,
which topology comes closest, and how far each limit alone would have to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privynet_opt.constraints import Constraint, format_limit
from privynet_opt.errors import ConstraintError
from privynet_opt.metrics import METRICS, checked_column
from privynet_opt.topology import LocalTopology

SHOWN_DIGITS = 4
"""Significant digits of a proposed limit; it is rounded to the side that still admits."""


@dataclass(frozen=True)
class Relaxation:
    """The smallest move of one limit, all others kept, that admits a topology.

    Attributes:
        constraint: The limit as it is.
        relaxed: The limit that would do; None where no value of it helps.
        topology: The topology it would admit; None likewise.
    """

    constraint: Constraint
    relaxed: Constraint | None
    topology: LocalTopology | None

    def __str__(self) -> str:
        """Return the relaxation as a line of the verdict."""
        if self.relaxed is None:
            return f"relaxing {self.constraint} alone admits nothing"
        return f"relaxing {self.constraint} to {self.relaxed} would admit {self.topology}"


@dataclass(frozen=True)
class Infeasibility:
    """Why no candidate is feasible.

    Attributes:
        n_candidates: Topologies in the space.
        excluded: How many of them each constraint excludes, the most first.
        reachable: The best checked value of any topology, by constraint that all of them break.
        conflicts: Pairs of constraints that can each be met, but never together.
        nearest: The candidate whose largest violation, as a share of the limit, is smallest.
        violations: That candidate's violations by constraint, shares of the limits.
        relaxations: One per constraint.
        is_enumerated: Whether the candidates are the whole space; otherwise nothing is known of
            topologies that the search did not try.
    """

    n_candidates: int
    excluded: dict[Constraint, int]
    reachable: dict[Constraint, float]
    conflicts: tuple[tuple[Constraint, Constraint], ...]
    nearest: pd.Series
    violations: dict[Constraint, float]
    relaxations: tuple[Relaxation, ...]
    is_enumerated: bool = True

    def __str__(self) -> str:
        """Return the explanation, one fact per line."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return the explanation, one fact per line."""
        counts = sorted(self.excluded.values())
        tried = "" if self.is_enumerated else " tried"
        lines = [
            f"{constraint} excludes {count:,} of {self.n_candidates:,} topologies{tried}"
            + (", more than any other limit" if counts[-2:-1] and count > counts[-2] else "")
            for constraint, count in self.excluded.items()
        ]
        lines += [
            f"{constraint} is out of reach by itself: the best of {self.n_candidates:,} "
            f"topologies{tried} has {_short(best)}"
            + (" at the upper end of its interval" if _is_upper(constraint) else "")
            for constraint, best in self.reachable.items()
        ]
        lines += [
            f"{a} and {b} exclude each other: no topology{tried} meets both"
            for a, b in self.conflicts
        ]
        if len(self.excluded) > 2 and not self.reachable and not self.conflicts:
            lines.append("every two of the limits can be met together; all of them cannot")
        lines.append(f"nearest: {LocalTopology.of(self.nearest)}, {self._misses()}")
        return lines + [str(relaxation) for relaxation in self.relaxations]

    def _misses(self) -> str:
        broken = {c: v for c, v in self.violations.items() if v > 0}
        return " and ".join(
            f"{c.metric} {_short(self.nearest[checked_column(c.metric)])} ({v:.1%} beyond {c})"
            for c, v in broken.items()
        )


def explain_infeasibility(
    candidates: pd.DataFrame, constraints: Sequence[Constraint], is_enumerated: bool = True
) -> Infeasibility | None:
    """Return why no candidate is feasible, or None where one is.

    Args:
        candidates: From `judge`.
        constraints: The limits they were judged by.
        is_enumerated: Whether the candidates are the whole space.
    """
    values = [candidates[checked_column(c.metric)].to_numpy(dtype=float) for c in constraints]
    if not constraints or candidates.empty or candidates["feasible"].any():
        return None
    violations = np.stack([c.violation(v) for c, v in zip(constraints, values, strict=True)])
    meets = violations <= 0
    counts = {c: int((~met).sum()) for c, met in zip(constraints, meets, strict=True)}
    nearest = int(violations.max(axis=0).argmin())
    return Infeasibility(
        n_candidates=len(candidates),
        excluded=dict(sorted(counts.items(), key=lambda pair: -pair[1])),
        reachable={
            c: _best(c, v)
            for c, v, met in zip(constraints, values, meets, strict=True)
            if not met.any()
        },
        conflicts=tuple(
            (constraints[i], constraints[j])
            for i, j in combinations(range(len(constraints)), 2)
            if meets[i].any() and meets[j].any() and not (meets[i] & meets[j]).any()
        ),
        nearest=candidates.iloc[nearest],
        violations={c: float(v) for c, v in zip(constraints, violations[:, nearest], strict=True)},
        relaxations=tuple(
            _relax(candidates, constraint, values[index], _all(np.delete(meets, index, 0)))
            for index, constraint in enumerate(constraints)
        ),
        is_enumerated=is_enumerated,
    )


def limit_at(constraint: Constraint, value: float) -> Constraint | None:
    """Return the tightest limit of `SHOWN_DIGITS` digits that admits a value.

    Args:
        constraint: The limit to move.
        value: What it is to admit.

    Returns:
        The moved limit; None where it would lie beyond the metric's range, as ssim <= 1.02.
    """
    try:
        return constraint.with_limit(_round_outward(value, up=constraint.operator == "<="))
    except ConstraintError:
        return None


def _is_upper(constraint: Constraint) -> bool:
    return METRICS[constraint.metric].is_privacy_loss


def _short(value: float) -> str:
    return format_limit(float(f"{value:.{SHOWN_DIGITS}g}"))


def _best(constraint: Constraint, values: NDArray[np.float64]) -> float:
    return float(values.max() if METRICS[constraint.metric].higher_is_better else values.min())


def _relax(
    candidates: pd.DataFrame,
    constraint: Constraint,
    values: NDArray[np.float64],
    meets_others: NDArray[np.bool_],
) -> Relaxation:
    if not meets_others.any():
        return Relaxation(constraint, None, None)
    violation = np.where(meets_others, constraint.violation(values), np.inf)
    row = int(violation.argmin())
    relaxed = limit_at(constraint, float(values[row]))
    if relaxed is None:
        return Relaxation(constraint, None, None)
    return Relaxation(constraint, relaxed, LocalTopology.of(candidates.iloc[row]))


def _all(meets: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(meets.all(axis=0))


def _round_outward(value: float, up: bool) -> float:
    """Round to few digits, never past the value: a proposed limit must admit it."""
    exact = Decimal(repr(value))
    step = Decimal(1).scaleb(exact.adjusted() + 1 - SHOWN_DIGITS)
    return float(exact.quantize(step, ROUND_CEILING if up else ROUND_FLOOR))
