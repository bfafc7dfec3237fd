"""Does it pay to choose what is trained? Replays measured rows instead of training.

Run ``python benchmarks/tuning.py cifar10`` (a shipped study or a study's directory). For each seed
four fifths of the study's topologies that were trained at ``standard`` are drawn at random, and
limits on them: on psnr_db between the 20th and the 80th percentile of what they leak and, every
second time, on local_flops likewise. Every order begins from the closed-form values alone and has
the same proxies fitted to what it was shown so far: to save time, of the models that
cross-validation chooses among only the one that it mostly chooses on few rows.

  tune     the rounds of `privynet-opt tune`
  random   a random order
  spread   the order of `privynet-opt characterize`

Printed for each number of trained measurements, mean and standard deviation over the problems:
the accuracy that the best feasible topology measured so far loses against the best feasible of
all; how often the proxies recommend something, how often that keeps its limits as measured, and
what those that do lose.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from privynet_opt.api import proxy_cache
from privynet_opt.candidates import (
    best_of,
    build_candidates,
    exact_costs,
    judge,
    recommendable,
)
from privynet_opt.characterization.design import trained_topologies
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.constraints import Constraint
from privynet_opt.proxies import fit_proxies, model_choice
from privynet_opt.proxies.models import MODELS
from privynet_opt.search_space import TOPOLOGY_COLUMNS, SearchSpace
from privynet_opt.study_sections import SearchSpec
from privynet_opt.study_spec import StudySpec, load_study
from privynet_opt.tuning import rounds
from privynet_opt.tuning.budget import Budget
from privynet_opt.tuning.diary import Diary
from privynet_opt.tuning.valuation import possible_in_closed_form, within_exact_limits

KEYS = list(TOPOLOGY_COLUMNS)
COUNTS = (6, 9, 12, 16, 20)
ORDERS = ("tune", "random", "spread")
MODEL = "gaussian process over a linear trend"


@dataclass(frozen=True)
class Problem:
    """What is asked, and the measured rows that answer it.

    Attributes:
        asked: The limits.
        table: The study's table; its trained rows are those of the problem.
        seed: Of the draw of its rows.
        name: Which one it is.
    """

    asked: SearchSpec
    table: CharacterizationTable
    seed: int
    name: str

    @property
    def rows(self) -> pd.DataFrame:
        """The trained rows."""
        return self.table.trained.reset_index(drop=True)

    def feasible(self) -> np.ndarray:
        """Return which of them keep every limit as measured; costs are looked up, not predicted."""
        return self._kept(self.rows)

    def _kept(self, rows: pd.DataFrame) -> np.ndarray:
        kept = np.ones(len(rows), dtype=bool)
        for constraint in self.asked.constraints:
            kept &= constraint.violation(rows[constraint.metric]) <= 0
        return kept


@dataclass
class Replay:
    """A laboratory that looks measurements up.

    Attributes:
        problem: Whose rows are looked up.
        folder: Keeps fitted proxies, by what was shown.
        shown: Trained rows shown so far, in order.
    """

    problem: Problem
    folder: Path
    shown: list[int] = field(default_factory=list)

    @property
    def cuts(self):
        """Return the profiles, as `rounds.Laboratory` has them."""
        return self.problem.table.cuts

    def measure(self, pairs, may_begin, finished):
        """Look rows up; the closed form has measured everything before."""
        position = {tuple(row): i for i, row in enumerate(self.problem.rows[KEYS].to_numpy())}
        for topology, fidelity in pairs:
            if fidelity != "screen":
                index = position[tuple(vars(topology).values())]
                self.shown.append(index)
                finished(self.problem.rows.iloc[index].to_dict())
        return True

    def table(self) -> CharacterizationTable:
        """Return closed-form values and what was shown so far."""
        table, rows = self.problem.table, self.problem.rows.iloc[self.shown]
        name = hashlib.sha256(repr((self.problem.seed, sorted(self.shown))).encode()).hexdigest()
        path = self.folder / name / "characterization.csv"
        path.parent.mkdir(exist_ok=True)
        return replace(table, rows=pd.concat([table.screen, rows[table.rows.columns]]), path=path)


def problems(
    spec: StudySpec, table: CharacterizationTable, n_seeds: int, n_limits: int
) -> Iterator[Problem]:
    """Draw problems; the same in every run."""
    rows = table.trained[table.trained["fidelity"] == "standard"]
    own = rows[rows["selection_seed"] == 0].drop_duplicates(KEYS)
    own = pd.concat([own, exact_costs(own, table.cuts)], axis=1)
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        chosen = own.iloc[np.sort(rng.permutation(len(own))[: round(0.8 * len(own))])]
        part = replace(table, rows=pd.concat([table.screen, chosen]))
        for index in range(n_limits):
            leak = chosen["psnr_db"].quantile(rng.uniform(0.2, 0.8))
            limits = [Constraint(f"psnr_db <= {leak:.2f}")]
            if index % 2:
                flops = chosen["local_flops"].quantile(rng.uniform(0.2, 0.8))
                limits.append(Constraint(f"local_flops <= {flops:.0f}"))
            asked = replace(spec.search, constraints=tuple(limits))
            problem = Problem(asked, part, seed, f"{seed}.{index}")
            if problem.feasible().any():
                yield problem


def order_of(name: str, problem: Problem, spec: StudySpec, folder: Path) -> list[int]:
    """Return the order in which a problem's rows are trained; `tune` may end before the last.

    No order trains what exact costs or the closed form rule out: that needs no choosing.
    """
    rows, limits = problem.rows, problem.asked.constraints
    possible = within_exact_limits(rows[KEYS], problem.table.cuts, limits)
    possible &= possible_in_closed_form(rows[KEYS], problem.table.screen, limits)
    if name == "random":
        order = np.random.default_rng(list(problem.name.encode())).permutation(len(rows))
        return order[possible[order]].tolist()
    if name == "spread":
        channels = {cut: profile.channels for cut, profile in problem.table.cuts.items()}
        grids = {
            cut: list(grid) for cut, grid in SearchSpace.of_study(spec, channels).grids.items()
        }
        strategies = [s for s in spec.search_space.selection_strategies if s != "searched"]
        planned = trained_topologies(grids, strategies, 10_000, 0)
        place = {tuple(vars(topology).values()): i for i, topology in enumerate(planned)}
        places = [place.get(tuple(row), len(place)) for row in rows[KEYS].to_numpy()]
        order = np.argsort(places, kind="stable")
        return order[possible[order]].tolist()
    replay = Replay(problem, folder)
    diary = Diary(folder / "tuning.json", {})
    budget = Budget(1e9)
    tuning = rounds.Tuning(problem.asked, rows[KEYS], replay, budget, diary, lambda line: None)
    ended = tuning.run()
    limits = ", ".join(map(str, problem.asked.constraints))
    print(f"  {problem.name} ({limits}): {ended} after {len(replay.shown)}", flush=True)
    return replay.shown


def scores(problem: Problem, order: Sequence[int], counts: Sequence[int], folder: Path) -> Iterator:
    """Yield what is known and what is recommended after each number of measurements."""
    rows, feasible = problem.rows, problem.feasible()
    accuracy = rows["accuracy"].to_numpy()
    most = accuracy[feasible].max()
    for count in counts:
        seen = list(order[:count])
        found = [accuracy[i] for i in seen if feasible[i]]
        known = Replay(problem, folder, seen).table()
        proxies = fit_proxies(known, problem.asked.confidence, proxy_cache(known.path))
        candidates = judge(
            build_candidates(rows[KEYS], known, proxies),
            problem.asked.objectives,
            problem.asked.constraints,
        )
        best = best_of(recommendable(candidates, problem.asked.extrapolate))
        row = None if best is None else int(best.name)
        keeps = row is not None and bool(feasible[row])
        yield {
            "trained": count,
            "lost_measured": most - max(found, default=0.0),
            "recommends": row is not None,
            "keeps": keeps if row is not None else np.nan,
            "lost": most - accuracy[row] if keeps else np.nan,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="cifar10", help="name or directory")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limits", type=int, default=4, help="for each seed")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=list(ORDERS))
    asked = parser.parse_args()
    spec = load_study(asked.study)
    table = load_table(spec.table_path)
    model_choice.candidate_models = lambda n_rows: {MODEL: MODELS[MODEL]}
    started = time.perf_counter()
    found = []
    with TemporaryDirectory() as folder:
        for problem in problems(spec, table, asked.seeds, asked.limits):
            for name in asked.orders:
                order = order_of(name, problem, spec, Path(folder))
                for line in scores(problem, order, asked.counts, Path(folder)):
                    found.append({"order": name, "problem": problem.name, **line})
    lines = pd.DataFrame(found)
    groups = lines.groupby(["trained", "order"], sort=False)
    told = groups[["lost_measured", "lost"]].agg(["mean", "std"])
    told.columns = [" ".join(names) for names in told.columns]
    told["recommends"] = groups["recommends"].mean()
    told["keeps"] = groups["keeps"].mean()
    n_problems, seconds = lines["problem"].nunique(), time.perf_counter() - started
    print(f"{table.path}: {n_problems} problems, {seconds:.0f} s")
    print(told.sort_index(level="trained", sort_remaining=False).round(3).to_string())


if __name__ == "__main__":
    main()
