"""Searchers of one question over the same proxies, for `search_optimality`.

Each takes a `Question` and a seed and returns plain data: ``shares`` of the enumerated hypervolume
by number of evaluations (`CHECKPOINTS`), ``seconds`` and ``evaluations``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from privynet_opt.candidates import judge
from privynet_opt.constraints import Constraint
from privynet_opt.optimizer import POPULATION, REFERENCE_MARGIN, search
from privynet_opt.pareto import hypervolume_history
from privynet_opt.problem import Problem
from privynet_opt.result import OptimizationResult
from privynet_opt.search_space import SearchSpace
from privynet_opt.study_sections import SearchSpec
from privynet_opt.study_storage import open_storage, open_study

CHECKPOINTS = (60, 300, 1000, 3000)
N_SOBOL, N_BAYESIAN = 16, 60


class Question:
    """One set of limits over a study's candidates, as every searcher sees it.

    Points are in the unit cube: cut, kept filters and choice of filters by their position.
    """

    def __init__(self, result: OptimizationResult, limits: tuple[Constraint, ...]) -> None:
        self.limits = limits
        self.objectives = result.objectives
        self.candidates = judge(result.candidates, self.objectives, limits)
        channels = {name: cut.channels for name, cut in result.table.cuts.items()}
        self.space = SearchSpace.of_study(result.spec, channels, result.table.searched)
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

        cuts, choices = list(self.space.grids), list(self.space.choices)
        found = []
        for cut, kept, choice in np.clip(points, 0, 1):
            parameters = {
                "cut_layer": cuts[min(int(cut * len(cuts)), len(cuts) - 1)],
                "kept_position": float(kept),
                "selection_strategy": choices[min(int(choice * len(choices)), len(choices) - 1)],
            }
            found.append(self.space.rows[self.space.suggest(FixedTrial(parameters))])
        return np.array(found)

    def points(self) -> np.ndarray:
        """Return a point for each row, shape ``(n_topologies, 3)``."""
        cuts, choices = list(self.space.grids), list(self.space.choices)
        found = [self.space.parameters(topology) for topology in self.space.topologies]
        return np.array(
            [
                (
                    (cuts.index(p["cut_layer"]) + 0.5) / len(cuts),
                    p["kept_position"],
                    (choices.index(p["selection_strategy"]) + 0.5) / len(choices),
                )
                for p in found
            ]
        )

    def shares(self, rows: np.ndarray) -> dict[str, float]:
        """Return what the first of a search's rows reach of the enumerated hypervolume."""
        feasible = self.problem.feasible[rows]
        history = hypervolume_history(self.losses[rows], feasible, self.corner) / self.whole
        return {str(n): float(history[n - 1]) for n in CHECKPOINTS if n <= len(rows)}


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
