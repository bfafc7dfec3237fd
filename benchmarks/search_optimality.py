"""How near to the optimum searches come over the same proxies, for random sets of limits.

Run ``python benchmarks/search_optimality.py`` after ``pip install -c constraints.txt '.[bench]'``.
For each of 30 sets of limits (`constraint_sets`), hypervolumes as shares of the enumerated front's:

* the returned front, against a brute force of its own: every pair of topologies compared, every
  limit read anew, the hypervolume by pymoo. The returned front is enumerated, so this proves that
  enumeration, limits and front are right, not that the proxies are;
* the bare search by Optuna's NSGA-II, random and TPE, whose time per trial grows: 300 trials, and
  1,000 on the first ``--slow-sets`` sets; 3,000 would take an hour or so for each set;
* pymoo's NSGA-II on the same variables, cut and strategy as positions in their lists;
* BoTorch's qLogNEHVI on the first ``--slow-sets`` sets, one Gaussian process for each objective and violation,
  acquisition maximised over all topologies not tried yet (60 evaluations, 16 of them Sobol);
* PrivyNet's hierarchical procedure: whether it finds a topology within the limits, and how much
  accuracy it gives up. Layers counted with all their filters, and with the fewest.

Every finished run is a line of ``--output``: a stopped benchmark goes on, ``--report`` only prints.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from constraint_sets import constraint_sets

from privynet_opt.api import optimize
from privynet_opt.candidates import best_of, judge, recommendable
from privynet_opt.constraints import Constraint
from privynet_opt.hierarchical import hierarchical_choice
from privynet_opt.metrics import METRICS, checked_column
from privynet_opt.optimizer import POPULATION, REFERENCE_MARGIN, search
from privynet_opt.pareto import hypervolume_history
from privynet_opt.problem import Problem
from privynet_opt.result import OptimizationResult
from privynet_opt.search_space import SearchSpace
from privynet_opt.study_sections import SearchSpec
from privynet_opt.study_storage import open_storage, open_study

CHECKPOINTS = (60, 300, 1000, 3000)
OPTUNA_TRIALS = {"nsga2": 3000, "random": 3000, "tpe": 300}
SLOW_TRIALS = {"tpe": 1000}
N_SOBOL, N_BAYESIAN = 16, 60


class Question:
    """One set of limits over a study's candidates, as every searcher sees it.

    Points are in the unit cube: cut, kept filters and strategy by their position.
    """

    def __init__(self, result: OptimizationResult, limits: tuple[Constraint, ...]) -> None:
        self.limits = limits
        self.objectives = result.objectives
        self.candidates = judge(result.candidates, self.objectives, limits)
        channels = {name: cut.channels for name, cut in result.table.cuts.items()}
        spec = result.spec.search_space
        self.space = SearchSpace.of_study(spec, channels, result.table.searched)
        self.problem = Problem.of(self.space, self.candidates, self.objectives, limits)
        front = self.problem.losses[self.problem.on_front]
        self.low = front.min(axis=0)
        self.extent = np.where(np.ptp(front, axis=0) > 0, np.ptp(front, axis=0), 1.0)
        self.losses = (self.problem.losses - self.low) / self.extent
        self.violations = np.array(self.problem.violations)
        self.corner = np.full(len(self.objectives), 1 + REFERENCE_MARGIN)
        self.whole = hypervolume_history(self.losses, self.problem.feasible, self.corner)[-1]

    def rows(self, points: np.ndarray) -> np.ndarray:
        """Return the row of each point's topology."""
        from optuna.trial import FixedTrial

        cuts, strategies = list(self.space.grids), self.space.selection_strategies
        found = []
        for cut, kept, strategy in np.clip(points, 0, 1):
            parameters = {
                "cut_layer": cuts[min(int(cut * len(cuts)), len(cuts) - 1)],
                "kept_position": float(kept),
                "selection_strategy": strategies[
                    min(int(strategy * len(strategies)), len(strategies) - 1)
                ],
            }
            found.append(self.space.rows[self.space.suggest(FixedTrial(parameters))])
        return np.array(found)

    def points(self) -> np.ndarray:
        """Return a point for each row, shape ``(n_topologies, 3)``."""
        cuts, strategies = list(self.space.grids), list(self.space.selection_strategies)
        found = [self.space.parameters(topology) for topology in self.space.topologies]
        return np.array(
            [
                (
                    (cuts.index(p["cut_layer"]) + 0.5) / len(cuts),
                    p["kept_position"],
                    (strategies.index(p["selection_strategy"]) + 0.5) / len(strategies),
                )
                for p in found
            ]
        )

    def shares(self, rows: np.ndarray) -> dict[str, float]:
        """Return what the first of a search's rows reach of the enumerated hypervolume."""
        feasible = self.problem.feasible[rows]
        history = hypervolume_history(self.losses[rows], feasible, self.corner) / self.whole
        return {str(n): float(history[n - 1]) for n in CHECKPOINTS if n <= len(rows)}


def returned_front(question: Question, result: OptimizationResult) -> dict[str, Any]:
    """Compare the front that a user gets with a brute force that shares no code with it."""
    from pymoo.indicators.hv import Hypervolume

    answer = optimize(list(question.limits), study=result.spec, n_trials=1)
    signs = np.array([-1 if METRICS[name].higher_is_better else 1 for name in question.objectives])
    meets = np.ones(len(answer.candidates), dtype=bool)
    for limit in map(str, question.limits):
        metric, bound = limit.split(" <= ")
        meets &= (answer.candidates[checked_column(metric)] <= float(bound)).to_numpy()
    values = answer.candidates.loc[meets, list(question.objectives)].to_numpy() * signs
    best = [
        not any((other <= value).all() and (other < value).any() for other in values)
        for value in values
    ]
    measure = Hypervolume(ref_point=question.corner)
    front = answer.front[list(question.objectives)].to_numpy() * signs
    ours, brute = (
        measure.do((points - question.low) / question.extent) for points in (front, values[best])
    )
    return {"share": ours / brute, "points": len(front), "brute_points": int(np.sum(best))}


def optuna_search(question: Question, sampler: str, n: int, seed: int) -> dict[str, Any]:
    study = open_study(open_storage(None), "benchmark", question.problem.directions)
    settings = SearchSpec(question.objectives, question.limits, n, seed, sampler, 0.9)
    started = time.perf_counter()
    search(question.problem, study, settings)
    seconds = time.perf_counter() - started
    trials = study.get_trials(deepcopy=False)[:n]
    rows = np.array([question.problem.row_of(trial) for trial in trials])
    return {"shares": question.shares(rows), "seconds": seconds, "evaluations": n}


def pymoo_search(question: Question, seed: int) -> dict[str, Any]:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.optimize import minimize

    tried: list[np.ndarray] = []

    class Lookup(PymooProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(
                n_var=3, n_obj=len(question.corner), n_ieq_constr=len(question.limits), xl=0, xu=1
            )

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_: Any, **__: Any) -> None:
            rows = question.rows(x)
            tried.append(rows)
            out["F"], out["G"] = question.losses[rows], question.violations[rows]

    started = time.perf_counter()
    minimize(Lookup(), NSGA2(pop_size=POPULATION), ("n_eval", CHECKPOINTS[-1]), seed=seed)
    seconds = time.perf_counter() - started
    rows = np.concatenate(tried)[: CHECKPOINTS[-1]]
    return {"shares": question.shares(rows), "seconds": seconds, "evaluations": len(rows)}


def botorch_search(question: Question, seed: int) -> dict[str, Any]:
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.sampling.normal import SobolQMCNormalSampler
    from gpytorch.mlls import SumMarginalLogLikelihood

    torch.manual_seed(seed)
    points = torch.tensor(question.points())
    n_objectives, n_limits = len(question.corner), len(question.limits)
    outcomes = torch.tensor(np.hstack([-question.losses, question.violations]))
    started = time.perf_counter()
    engine = torch.quasirandom.SobolEngine(3, scramble=True, seed=seed)
    rows = list(question.rows(engine.draw(N_SOBOL).double().numpy()))
    while len(rows) < N_BAYESIAN:
        x, y = points[rows], outcomes[rows]
        models = [
            SingleTaskGP(x, (column - column.mean()) / column.std().clamp_min(1e-9))
            for column in y.split(1, dim=1)
        ]
        model = ModelListGP(*models)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        centre, spread = y.mean(dim=0), y.std(dim=0).clamp_min(1e-9)
        corner = (-torch.tensor(question.corner) - centre[:n_objectives]) / spread[:n_objectives]
        zero = -centre / spread
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=model,
            ref_point=corner,
            X_baseline=x,
            sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed),
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(n_objectives))),
            constraints=[
                lambda samples, i=n_objectives + j, bound=float(zero[n_objectives + j]): (
                    samples[..., i] - bound
                )
                for j in range(n_limits)
            ],
            prune_baseline=True,
        )
        untried = np.setdiff1d(np.arange(len(points)), rows)
        with torch.no_grad():
            gains = torch.cat([acquisition(part[:, None]) for part in points[untried].split(128)])
        rows.append(int(untried[int(gains.argmax())]))
    seconds = time.perf_counter() - started
    return {
        "shares": question.shares(np.array(rows)),
        "seconds": seconds,
        "evaluations": len(rows),
    }


def hierarchical(question: Question) -> dict[str, Any]:
    best = best_of(recommendable(question.candidates, extrapolate=False))
    assert best is not None
    found: dict[str, Any] = {}
    for counted in ("all", "fewest"):
        choice = hierarchical_choice(question.candidates, question.limits, counted=counted)
        meets = choice.topology is not None and not choice.broken
        found[counted] = float(best["accuracy"]) - choice.accuracy if meets else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="cifar10", help="name or directory")
    parser.add_argument("--sets", type=int, default=30)
    parser.add_argument("--slow-sets", type=int, default=3, help="sets for what takes minutes each")
    parser.add_argument("--output", type=Path, default=Path("search-optimality.jsonl"))
    parser.add_argument("--report", action="store_true", help="run nothing more")
    asked = parser.parse_args()
    if not asked.report:
        run(asked)
    report([json.loads(line) for line in asked.output.read_text().splitlines()], asked.sets)


def run(asked: argparse.Namespace) -> None:
    result = optimize([], study=asked.study, n_trials=1)
    limits = list(constraint_sets(recommendable(result.candidates, False), asked.sets))
    methods: dict[str, tuple[int, Callable[..., dict[str, Any]]]] = {
        "returned front": (asked.sets, lambda question, seed: returned_front(question, result)),
        "hierarchical": (asked.sets, lambda question, seed: hierarchical(question)),
        "pymoo NSGA-II": (asked.sets, pymoo_search),
        **{
            f"Optuna {name}": (asked.sets, partial(optuna_search, sampler=name, n=n))
            for name, n in OPTUNA_TRIALS.items()
        },
        **{
            f"Optuna {name}, {n:,}": (asked.slow_sets, partial(optuna_search, sampler=name, n=n))
            for name, n in SLOW_TRIALS.items()
        },
        "BoTorch qLogNEHVI": (asked.slow_sets, botorch_search),
    }
    known = asked.output.read_text().splitlines() if asked.output.exists() else []
    done = {(entry["method"], entry["limits"]) for entry in map(json.loads, known)}
    with asked.output.open("a") as file:
        for method, (n_sets, call) in methods.items():
            for number, chosen in enumerate(limits[:n_sets]):
                key = (method, ", ".join(map(str, chosen)))
                if key in done:
                    continue
                found = call(question=Question(result, chosen), seed=number)
                entry = {"method": method, "set": number, "limits": key[1], **found}
                file.write(json.dumps(entry) + "\n")
                file.flush()


def report(entries: list[dict[str, Any]], n_sets: int) -> None:
    frame = pd.DataFrame(entries)
    fronts = frame[frame["method"] == "returned front"]
    if len(fronts):
        print(
            f"returned front against brute force, {len(fronts)} of {n_sets} sets: at least "
            f"{fronts['share'].min():.6f} of its hypervolume; {int(fronts['points'].sum()):,} "
            f"points against {int(fronts['brute_points'].sum()):,}"
        )
    lines = []
    for method, runs in frame[frame.get("shares", pd.Series()).notna()].groupby("method"):
        shares = pd.DataFrame(runs["shares"].tolist())
        line: dict[str, Any] = {"search": method, "sets": len(runs)}
        for n in map(str, CHECKPOINTS):
            column = shares[n].dropna() if n in shares else pd.Series(dtype=float)
            line[f"{int(n):,}"] = (
                f"{column.mean():.3f} ({column.min():.3f})" if len(column) else "-"
            )
        line["evaluations"], line["seconds"] = runs["evaluations"].max(), runs["seconds"].mean()
        lines.append(line)
    print("share of the enumerated hypervolume after so many evaluations, mean (least)")
    print(pd.DataFrame(lines).to_string(index=False, float_format="%.1f"))
    chosen = frame[frame["method"] == "hierarchical"]
    for counted in ("all", "fewest"):
        if len(chosen):
            lost = chosen[counted].dropna().astype(float)
            print(
                f"PrivyNet's procedure, layers counted with {counted} filters: within the limits "
                f"in {len(lost)} of {len(chosen)} sets; there it gives up {lost.mean():.3f} of "
                f"accuracy on average, {lost.median():.3f} in the median, {lost.max():.3f} at most"
            )


if __name__ == "__main__":
    main()
