"""The loop: fit, say what is recommended, measure what could change that, until it is settled.

Knows neither networks nor images: measurements come from a `Laboratory`, time from a `Budget`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from privynet_opt.api import proxy_cache
from privynet_opt.candidates import best_of, build_candidates, decided_by, judge, recommendable
from privynet_opt.characterization.schema import TRAINED_FIDELITIES, is_dearer
from privynet_opt.proxies import fit_proxies
from privynet_opt.proxies.fit import MIN_GROUPS
from privynet_opt.proxies.inputs import INPUT_NAMES, ProxyInputs, sending_inputs
from privynet_opt.search_space import TOPOLOGY_COLUMNS
from privynet_opt.topology import LocalTopology
from privynet_opt.tuning.acquisition import Floats, pick_batch
from privynet_opt.tuning.diary import Verdict
from privynet_opt.tuning.lines import measured_line, verdict_line
from privynet_opt.tuning.spread import spread_points
from privynet_opt.tuning.valuation import (
    Bools,
    possible_in_closed_form,
    within_exact_limits,
    worth,
)

if TYPE_CHECKING:
    from privynet_opt.characterization.table import CharacterizationTable
    from privynet_opt.cost import CutProfile
    from privynet_opt.study_sections import SearchSpec
    from privynet_opt.tuning.budget import Budget
    from privynet_opt.tuning.diary import Diary

Row = dict[str, Any]
Pair = tuple[LocalTopology, str]

FIRST = TRAINED_FIDELITIES[0]
"""What a topology is measured at first: the cheapest fidelity that trains networks of its own."""

N_INITIAL = 6
"""Topologies that are trained before the first fit, which needs five."""

BATCH = 3
"""Measurements between two fits, besides that of the recommended topology."""

STABLE_ROUNDS = 3
"""A verdict that so many rounds in a row gave is stable."""

SMALLEST_GAIN = 0.001
"""Expected gain in accuracy below which a measurement is not worth its time: a tenth of a point,
a tenth of the standard error of an accuracy over 2,000 scored images."""

STABLE, SETTLED, BUDGET, IMPOSSIBLE = "stable", "settled", "budget", "impossible"
"""How a tuning ends."""


class Laboratory(Protocol):
    """Where measurements come from."""

    @property
    def cuts(self) -> Mapping[str, CutProfile]:
        """Cost profiles by name of the cut layer."""
        ...

    def measure(
        self,
        pairs: Sequence[Pair],
        may_begin: Callable[[str], bool],
        finished: Callable[[Row], None],
    ) -> bool:
        """Measure what is missing of `pairs`; return whether all of it is measured now."""
        ...

    def table(self) -> CharacterizationTable:
        """Return everything measured so far."""
        ...


@dataclass
class Tuning:
    """One question, answered by measuring.

    Attributes:
        asked: Limits and the level of the intervals.
        topologies: The space, columns `TOPOLOGY_COLUMNS`.
        laboratory: Measures.
        budget: Time.
        diary: Keeps time and verdicts; saved after every measurement.
        say: Told each verdict and each trained measurement, a line each.
    """

    asked: SearchSpec
    topologies: pd.DataFrame
    laboratory: Laboratory
    budget: Budget
    diary: Diary
    say: Callable[[str], None]

    def run(self) -> str:
        """Measure until the verdict is stable, nothing is worth measuring, or the time is over.

        Returns:
            ``"stable"``: `STABLE_ROUNDS` rounds in a row recommended the same topology, and it was
            measured at the fidelity that is predicted, or a dearer one, and kept every limit.
            ``"settled"``: every measurement left is expected to gain less than `SMALLEST_GAIN`.
            ``"budget"``: the time is over, or what is left of it is less than a measurement takes.
            ``"impossible"``: numbers that no training changes rule out every topology.
        """
        ending = self._begin()
        while ending is None:
            ending = self._round()
        return ending

    def _begin(self) -> str | None:
        """Screen what is within the exact limits, and train a few topologies far apart."""
        within = within_exact_limits(self.topologies, self.laboratory.cuts, self.asked.constraints)
        if not within.any():
            return IMPOSSIBLE
        # However features are sent, proxies begin from the closed form of the same filters plainly.
        plain = dict.fromkeys(t.sent_plainly() for t in self._listed(within))
        if self._measure([(t, "screen") for t in plain]) is None:
            return BUDGET
        table = self.laboratory.table()
        possible = self._possible(table)
        if not possible.any():
            return IMPOSSIBLE
        points = _points(table, self.topologies)
        is_trained = _are_among(self.topologies, table.trained)
        wanted = is_trained.copy()
        groups = self.topologies.groupby(["cut_layer", "kept_filters"]).ngroup().to_numpy()
        # Topologies beyond the limits only where there are too few within them for a fit.
        for pool in (possible, within, np.ones_like(within)):
            _add_far_ones(wanted, pool, points, N_INITIAL - int(wanted.sum()))
            while len(set(groups[wanted])) < MIN_GROUPS:
                if not _add_far_ones(wanted, pool & ~np.isin(groups, groups[wanted]), points, 1):
                    break
        initial = self._listed(wanted & ~is_trained)
        return BUDGET if self._measure([(t, FIRST) for t in initial]) is None else None

    def _round(self) -> str | None:
        """Fit, note the verdict, and measure what could change it."""
        table = self.laboratory.table()
        proxies = fit_proxies(table, self.asked.confidence, cache=proxy_cache(table.path))
        known = build_candidates(self.topologies, table, proxies)
        candidates = judge(known, self.asked.objectives, self.asked.constraints)
        best = best_of(recommendable(candidates, self.asked.extrapolate))
        verdict = self._verdict(best, proxies.fidelity, len(table.trained))
        if self.diary.verdicts[-1:] != [verdict]:
            self.diary.verdicts.append(verdict)
        self.diary.save()
        self.say(verdict_line(self.diary.verdicts, self.budget))
        if self._is_stable():
            return STABLE
        pairs: list[Pair] = []
        if best is not None and not verdict.broken and not verdict.confirmed:
            pairs = [(LocalTopology.of(best), proxies.fidelity if verdict.measured else FIRST)]
        pairs += self._challengers(candidates, best, self._possible(table))
        if not pairs:
            return SETTLED
        n_missing = self._measure(pairs) if self.budget.has(0) else None
        if n_missing is None:
            return BUDGET
        return None if n_missing else SETTLED  # the next round would be this one again

    def _challengers(
        self, candidates: pd.DataFrame, best: pd.Series | None, is_possible: Bools
    ) -> list[Pair]:
        """Return the measurements that are worth most beside that of the recommended topology."""
        is_new = is_possible & ~candidates["measured"].to_numpy(bool)
        if best is not None:
            is_new &= ~_are_among(candidates, best.to_frame().T)
        cuts = candidates["cut_layer"].tolist()
        groups = list(zip(cuts, candidates["kept_filters"], strict=True))
        values = worth(candidates, is_new, best, self.asked)
        batch = pick_batch(values, cuts, groups, BATCH, SMALLEST_GAIN)
        return [(LocalTopology.of(candidates.iloc[row]), FIRST) for row in batch]

    def _possible(self, table: CharacterizationTable) -> Bools:
        limits = self.asked.constraints
        return within_exact_limits(
            self.topologies, self.laboratory.cuts, limits
        ) & possible_in_closed_form(self.topologies, table.screen, limits)

    def _verdict(self, best: pd.Series | None, predicted: str, n_trained: int) -> Verdict:
        if best is None:
            return Verdict(n_trained)
        measured = str(best["measured_fidelity"])
        as_predicted = bool(measured) and not is_dearer(predicted, measured)
        decided = decided_by(self.asked.constraints, measured, predicted) if measured else ()
        broken = tuple(str(c) for c in decided if c.violation(best[f"measured_{c.metric}"]) > 0)
        return Verdict(
            n_trained,
            recommended=str(LocalTopology.of(best)),
            accuracy=float(best["accuracy"]),
            psnr_db=float(best["psnr_db"]),
            psnr_db_upper=float(best["psnr_db_upper"]),
            measured=measured,
            broken=broken,
            confirmed=as_predicted and not broken,
        )

    def _is_stable(self) -> bool:
        last = self.diary.verdicts[-STABLE_ROUNDS:]
        same = len({verdict.recommended for verdict in last}) == 1
        return len(last) == STABLE_ROUNDS and same and last[-1].confirmed

    def _listed(self, which: Bools) -> list[LocalTopology]:
        return [LocalTopology.of(row) for _, row in self.topologies[which].iterrows()]

    def _measure(self, pairs: Sequence[Pair]) -> int | None:
        """Measure what is missing and return how many were; None if the time was over before.

        What is trained on features that are not sent plainly is attacked in closed form as well,
        which of noisy features may recover more than a decoder.
        """
        closed = [(t, "screen") for t, fidelity in pairs if not t.is_sent_plainly]
        pairs = list(dict.fromkeys([*pairs, *closed]))
        last, n_missing = self.budget.spent, 0

        def may_begin(fidelity: str) -> bool:
            return self.budget.has(self.diary.expected_seconds(fidelity))

        def finished(row: Row) -> None:
            nonlocal last, n_missing
            n_missing += 1
            took, last = self.budget.spent - last, self.budget.spent
            if row["fidelity"] in TRAINED_FIDELITIES:
                self.diary.durations.setdefault(row["fidelity"], []).append(took)
                self.say(measured_line(row, took))
            self.diary.spent_seconds = self.budget.spent
            self.diary.save()

        return n_missing if self.laboratory.measure(pairs, may_begin, finished) else None


def _points(table: CharacterizationTable, topologies: pd.DataFrame) -> Floats:
    """Return what makes topologies different; bits and noise before any row has them, too."""
    inputs = ProxyInputs(table).matrix(topologies, FIRST)[:, : len(INPUT_NAMES)]
    return np.column_stack([inputs, sending_inputs(topologies)])


def _are_among(topologies: pd.DataFrame, some: pd.DataFrame) -> Bools:
    """Return which topologies are among some others."""
    keys = list(TOPOLOGY_COLUMNS)
    others = pd.MultiIndex.from_frame(some[keys])
    return np.asarray(pd.MultiIndex.from_frame(topologies[keys]).isin(others), dtype=bool)


def _add_far_ones(chosen: Bools, pool: Bools, points: Floats, n: int) -> bool:
    """Choose more topologies of a pool, far from those chosen; return whether any was left."""
    there = np.flatnonzero(pool | chosen)
    known = np.flatnonzero(chosen[there]).tolist()
    new = spread_points(points[there], max(0, n), known)
    chosen[there[new]] = True
    return bool(new)
