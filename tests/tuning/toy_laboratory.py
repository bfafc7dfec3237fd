"""A laboratory whose measurements are formulas and whose time is a number."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from problems import sent_row, toy_cuts, toy_row, write_toy_table

from privynet_opt.characterization.table import load_table
from privynet_opt.constraints import parse_constraints
from privynet_opt.search_space import SearchSpace
from privynet_opt.study_spec import load_study
from privynet_opt.topology import SENDING_DEFAULTS, LocalTopology
from privynet_opt.tuning.budget import Budget
from privynet_opt.tuning.diary import Diary
from privynet_opt.tuning.rounds import Tuning

SECONDS = {"screen": 0.1, "standard": 30.0, "full": 100.0}
NOISE = 0.5
LIMITS = ("psnr_db <= 17.5", "local_flops <= 1e6")


@dataclass
class ToyLaboratory:
    """Measures by formula; a clock goes on by what that would take."""

    folder: Path
    now: float = 0.0
    rows: dict[tuple, dict[str, Any]] = field(default_factory=dict)
    order: list[tuple] = field(default_factory=list)
    stop_after: int | None = None
    taken_over: dict[str, int] = field(default_factory=dict)
    searched: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_empty(self):
        return not self.rows

    @property
    def cuts(self):
        return {cut.name: cut for cut in toy_cuts()}

    @property
    def trained(self):
        return [key for key in self.order if key[1] != "screen"]

    def clock(self):
        return self.now

    def measure(self, pairs, may_begin, finished):
        for topology, fidelity in pairs:
            key = (topology, fidelity)
            if key in self.rows:
                continue
            if not may_begin(fidelity):
                return False
            if self.stop_after == len(self.trained):
                raise KeyboardInterrupt
            row = toy_measurement(topology, fidelity)
            self.now += SECONDS[fidelity]
            self.rows[key] = row
            self.order.append(key)
            finished(row)
        return True

    def table(self):
        path = write_toy_table(self.folder / "characterization.csv", list(self.rows.values()))
        return load_table(path)


def toy_measurement(topology: LocalTopology, fidelity: str) -> dict[str, Any]:
    """Return what measuring a topology gives, however its features are sent."""
    plain = tuple(topology.sent_plainly().as_dict().values())
    row = toy_row(plain, fidelity, NOISE) | SENDING_DEFAULTS
    if topology.is_sent_plainly:
        return row
    return sent_row(row, topology.feature_bits, topology.noise_std)


def ask(
    laboratory: ToyLaboratory, *limits: str, seconds: float = 1e6, extrapolate: bool = False
) -> Tuning:
    """Ask a question of a laboratory; the lines that are said are in ``tuning.said``."""
    study = load_study(laboratory.folder)
    search = replace(study.search, constraints=parse_constraints(limits), extrapolate=extrapolate)
    channels = {name: cut.channels for name, cut in laboratory.cuts.items()}
    topologies = SearchSpace.of_study(study, channels).enumerate()
    diary = Diary.open(laboratory.folder / "tuning.json", search, study.search_space)
    budget = Budget(seconds, diary.spent_seconds, laboratory.clock)
    said: list[str] = []
    tuning = Tuning(search, topologies, laboratory, budget, diary, said.append)
    tuning.said = said  # type: ignore[attr-defined]
    return tuning
