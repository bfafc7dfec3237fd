"""How near to the optimum searches come over the same proxies, for random sets of limits.

Run ``python benchmarks/search_optimality.py`` after ``pip install -c constraints.txt '.[bench]'``.
For each of 30 sets of limits (`constraint_sets`), hypervolumes as shares of the enumerated front's:

* the returned front, against a brute force of its own over the same predictions and costs: every
  limit read anew, at the column that a limit on it must hold at, every pair of topologies compared,
  the hypervolume by pymoo. The returned front is enumerated, so this proves that enumeration,
  limits and front are right, not that the proxies are;
* the bare search by Optuna's NSGA-II and random, 3,000 trials, and TPE, whose time per trial grows:
  300 trials, and 3,000 on the first ``--slow-sets`` sets;
* pymoo's NSGA-II on the same variables, cut and choice of filters as positions in their lists;
* BoTorch's qLogNEHVI on the first ``--slow-sets`` sets: a Gaussian process for each objective and
  violation, acquisition maximised over all topologies not tried yet, 60 evaluations, 16 by Sobol;
* PrivyNet's hierarchical procedure: whether it finds a topology within the limits, and how much
  accuracy it gives up. Layers counted with all their filters, and with the fewest.

Every finished run is a line of ``--output``: a stopped benchmark goes on, ``--report`` only prints.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from constraint_sets import constraint_sets
from searchers import CHECKPOINTS, Question, botorch_search, optuna_search, pymoo_search

from privynet_opt.api import optimize
from privynet_opt.candidates import best_of, recommendable
from privynet_opt.hierarchical import hierarchical_choice
from privynet_opt.result import OptimizationResult

OPTUNA_TRIALS = {"nsga2": 3000, "random": 3000, "tpe": 300}
SLOW_TRIALS = {"tpe": 3000}

LIMITED = {
    "psnr_db": "psnr_db_upper",
    "local_flops": "local_flops",
    "memory_bytes": "memory_bytes",
}
"""Where limits must hold, that on privacy loss at the upper end of its interval: written out, since
the brute force must not ask the code that it checks."""


def returned_front(question: Question, result: OptimizationResult) -> dict[str, Any]:
    """Compare the front that a user gets with a brute force over the same candidates."""
    from pymoo.indicators.hv import Hypervolume

    answer = optimize(list(question.limits), study=result.spec, n_trials=1)
    signs = np.array([-1 if name == "accuracy" else 1 for name in question.objectives])
    meets = np.ones(len(answer.candidates), dtype=bool)
    for limit in map(str, question.limits):
        metric, bound = limit.split(" <= ")
        meets &= (answer.candidates[LIMITED[metric]] <= float(bound)).to_numpy()
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


def shares_table(searches: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for method, runs in searches.groupby("method"):
        shares = pd.DataFrame(runs["shares"].tolist())
        line: dict[str, Any] = {"search": method, "sets": len(runs)}
        for n in CHECKPOINTS:
            column = shares.get(str(n), pd.Series(dtype=float)).dropna()
            said = f"{column.mean():.3f} ({column.min():.3f})" if len(column) else "-"
            line[f"{n:,}"] = said
        line["evaluations"], line["seconds"] = runs["evaluations"].max(), runs["seconds"].mean()
        lines.append(line)
    return pd.DataFrame(lines)


def report(entries: list[dict[str, Any]], n_sets: int) -> None:
    frame = pd.DataFrame(entries)
    fronts = frame[frame["method"] == "returned front"]
    if len(fronts):
        print(
            f"returned front against brute force, {len(fronts)} of {n_sets} sets: at least "
            f"{fronts['share'].min():.6f} of its hypervolume; {int(fronts['points'].sum()):,} "
            f"points against {int(fronts['brute_points'].sum()):,}"
        )
    searches = frame[frame["shares"].notna()]
    print("share of the enumerated hypervolume after so many evaluations, mean (least)")
    print(shares_table(searches).to_string(index=False, float_format="%.1f"))
    by_set = searches.groupby("set")["method"].nunique()
    common = by_set.index[by_set == searches["method"].nunique()]
    print(f"the same on the {len(common)} sets that every search ran")
    common_runs = searches[searches["set"].isin(common)]
    print(shares_table(common_runs).to_string(index=False, float_format="%.1f"))
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
