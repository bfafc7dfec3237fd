"""The Optuna study over the candidates, and how much of the enumerated front it finds.

Every trial is a lookup in the vectorised predictions, so a thousand of them take about a second. A
space that cannot be listed is searched by `privynet_opt.open_search`.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from privynet_opt.hierarchical import HierarchicalChoice
from privynet_opt.metrics import to_losses
from privynet_opt.pareto import hypervolume, hypervolume_history
from privynet_opt.problem import Problem
from privynet_opt.study_sections import SearchSpec
from privynet_opt.study_storage import fail_stale_trials, quiet_optuna, storage_errors

POPULATION = 50
"""Trials of a generation of NSGA-II and NSGA-III: twenty generations in the usual 1,000 trials."""

REFERENCE_MARGIN = 0.1
"""How far the reference point lies beyond the front's worst values, as a share of its extent, so
that the front's end points count too (Ishibuchi et al., "How to specify a reference point in
hypervolume calculation", 2018)."""


@dataclass(frozen=True)
class SearchOutcome:
    """What the bare search found, measured against enumeration where there is any.

    Hypervolumes are in units of the enumerated feasible front's box: each objective runs from 0
    (the front's best value) to 1 (its worst), and the reference point lies at 1.1 in each. Of a
    space that cannot be listed, the front is the one that the search found.

    Attributes:
        hypervolume_history: Hypervolume after each trial, shape ``(n_trials,)``.
        search_hypervolume: Hypervolume of all trials together.
        enumerated_hypervolume: Hypervolume of the enumerated front; 0 where nothing is feasible,
            NaN where nothing was enumerated.
        gap: Share of it that the search missed; NaN where nothing is feasible or enumerated.
        reference_point: In the objectives' own units; NaN where nothing is feasible.
        n_trials: Finished trials of the study, those of earlier runs on its storage included.
        sampler: How they were chosen.
        seed: The seed the user gave.
        is_enumerated: Whether every topology of the space was judged beside the search.
    """

    hypervolume_history: NDArray[np.float64]
    search_hypervolume: float
    enumerated_hypervolume: float
    gap: float
    reference_point: tuple[float, ...]
    n_trials: int
    sampler: str
    seed: int
    is_enumerated: bool = True

    @property
    def late_growth(self) -> float:
        """Share of the hypervolume found that the second half of the trials added.

        NaN where nothing feasible was found.
        """
        if not self.search_hypervolume > 0:
            return float("nan")
        history = self.hypervolume_history
        return 1 - float(history[(len(history) - 1) // 2]) / self.search_hypervolume


def search(
    problem: Problem,
    study: optuna.Study,
    settings: SearchSpec,
    progress: bool = False,
    notes: Mapping[str, Any] | None = None,
    choice: HierarchicalChoice | None = None,
) -> SearchOutcome:
    """Run the trials, compare what they found with enumeration, then add what they missed.

    Args:
        problem: What a trial looks up.
        study: An open study; trials are added to those it has.
        settings: Number of trials, sampler and seed.
        progress: Whether to show a bar on stderr where that is a terminal.
        notes: Plain data kept with the study as user attributes.
        choice: What PrivyNet's procedure chose, for the sampler ``hierarchical``: the only trial.

    Returns:
        The outcome of the bare search. Afterwards the study holds the whole enumerated front: what
        no trial found is added with the user attribute ``source = "enumeration"``.

    Raises:
        OutputError: If the study's storage fails.
    """
    with quiet_optuna(), storage_errors():
        prepare(study, problem.objectives, settings, notes)
        n_trials = settings.n_trials if choice is None else _enqueue(problem, study, choice)
        _run(problem, study, n_trials, progress)
        fail_stale_trials(study)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        # Trials that others added to a shared storage carry no topology and are not ours to judge.
        finished = [trial for trial in complete if "topology" in trial.user_attrs]
        rows = [problem.row_of(trial) for trial in finished]
        searched = [
            row
            for row, trial in zip(rows, finished, strict=True)
            if trial.user_attrs.get("source") != "enumeration"
        ]
        missed = sorted(set(np.flatnonzero(problem.on_front).tolist()) - set(rows))
        study.add_trials([problem.known_trial(row) for row in missed])
    return outcome_of(
        problem.losses, problem.feasible, problem.on_front, searched, problem.objectives, settings
    )


def prepare(
    study: optuna.Study,
    objectives: Sequence[str],
    settings: SearchSpec,
    notes: Mapping[str, Any] | None,
) -> None:
    """Give a study its metrics, notes and sampler.

    Args:
        study: An open study.
        objectives: Metric names.
        settings: Sampler and seed.
        notes: Plain data kept with the study as user attributes.
    """
    study.set_metric_names(list(objectives))
    for key, value in (notes or {}).items():
        study.set_user_attr(key, value)
    study.sampler = make_sampler(settings.sampler, settings.seed, len(study.get_trials(False)))


def make_sampler(name: str, seed: int, n_stored: int) -> BaseSampler:
    """Return a seeded sampler.

    Args:
        name: One of `study_spec.SAMPLERS`.
        seed: The user's seed.
        n_stored: Trials the study already has. A resumed study must not replay its first draws, so
            the sampler's seed is derived from both.
    """
    drawn = int(np.random.SeedSequence([seed, n_stored]).generate_state(1)[0]) if n_stored else seed
    samplers = optuna.samplers
    if name == "nsga2":
        return samplers.NSGAIISampler(population_size=POPULATION, seed=drawn)
    if name == "nsga3":
        return samplers.NSGAIIISampler(population_size=POPULATION, seed=drawn)
    if name == "tpe":
        return samplers.TPESampler(seed=drawn)
    if name == "qmc":
        return samplers.QMCSampler(seed=drawn, scramble=True, warn_independent_sampling=False)
    if name == "gp":
        return samplers.GPSampler(seed=drawn, deterministic_objective=True)
    assert name in ("random", "hierarchical"), name  # what is enqueued leaves nothing to draw
    return samplers.RandomSampler(seed=drawn)


def _enqueue(problem: Problem, study: optuna.Study, choice: HierarchicalChoice) -> int:
    """Make a choice the study's next trial and return how many trials that is."""
    if choice.topology is None:
        return 0
    steps = {"steps": list(choice.steps)}
    study.enqueue_trial(problem.space.parameters(choice.topology), user_attrs=steps)
    return 1


def _run(problem: Problem, study: optuna.Study, n_trials: int, progress: bool) -> None:
    from tqdm import tqdm

    hidden = not (progress and sys.stderr.isatty())
    bar = tqdm(total=n_trials, unit="trial", disable=hidden, leave=False)
    with bar, late_stop() as asked:
        # A callback would make Optuna copy every trial; an objective can stop its study as well.
        def objective(trial: Trial) -> tuple[float, ...]:
            values = problem(trial)
            bar.update()
            if asked:
                study.stop()
            return values

        study.optimize(objective, n_trials=n_trials)
        if asked:
            raise KeyboardInterrupt


@contextmanager
def late_stop() -> Iterator[list[int]]:
    """Collect the first Ctrl-C instead of raising it; a second one is raised at once.

    A trial that ends before the search does leaves no half-written storage behind; Optuna itself
    fails with another error where the interrupt hits it between two of its own steps.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def outcome_of(
    losses: NDArray[np.float64],
    feasible: NDArray[np.bool_],
    on_front: NDArray[np.bool_],
    searched: Sequence[int],
    objectives: Sequence[str],
    settings: SearchSpec,
    is_enumerated: bool = True,
) -> SearchOutcome:
    """Measure what trials found by the hypervolume of a front.

    Args:
        losses: Of all candidates, shape ``(n, n_objectives)``.
        feasible: Shape ``(n,)``.
        on_front: Shape ``(n,)``.
        searched: The row of each trial, in their order.
        objectives: Metric names.
        settings: Sampler and seed.
        is_enumerated: Whether the candidates are the whole space, not just what trials found.
    """
    front = losses[on_front]
    known = len(front) > 0
    worst = front.max(axis=0) if known else np.full(len(objectives), np.nan)
    best = front.min(axis=0) if known else worst
    extent = np.where(worst > best, worst - best, 1.0)
    corner = np.full(len(objectives), 1 + REFERENCE_MARGIN)
    rows = list(searched)
    found = (losses[rows] - best) / extent
    history = hypervolume_history(found, feasible[rows] & known, corner)
    enumerated = hypervolume((front - best) / extent, corner) if is_enumerated else float("nan")
    reached = float(history[-1]) if len(history) else 0.0
    reference = dict(zip(objectives, best + extent * corner, strict=True))
    return SearchOutcome(
        hypervolume_history=history,
        search_hypervolume=reached,
        enumerated_hypervolume=enumerated,
        gap=max(0.0, 1 - reached / enumerated) if known and is_enumerated else float("nan"),
        reference_point=tuple(to_losses(reference, objectives).tolist()),
        n_trials=len(rows),
        sampler=settings.sampler,
        seed=settings.seed,
        is_enumerated=is_enumerated,
    )
