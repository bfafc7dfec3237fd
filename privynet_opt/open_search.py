"""The search of a space that cannot be listed: Optuna proposes topologies, the proxies judge them.

A generation is predicted at once, vectorised. The candidates are what the trials tried; no
enumeration says what they missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import Trial, TrialState

from privynet_opt.metrics import to_losses
from privynet_opt.optimizer import (
    POPULATION,
    SearchOutcome,
    late_stop,
    outcome_of,
    prepare,
)
from privynet_opt.search_space import SearchSpace, topology_frame
from privynet_opt.study_storage import fail_stale_trials, quiet_optuna, storage_errors
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.constraints import Constraint
    from privynet_opt.study_sections import SearchSpec

Judge = Callable[[pd.DataFrame], pd.DataFrame]
"""Maps topologies to candidates, as `candidates.judge` returns them."""

LEARNS_FROM_EACH = frozenset({"tpe", "gp"})
"""Samplers whose every trial looks at all before it; the others propose a generation at a time."""


def search_open(
    space: SearchSpace,
    judge: Judge,
    constraints: Sequence[Constraint],
    study: optuna.Study,
    settings: SearchSpec,
    measured: Iterable[LocalTopology] = (),
    progress: bool = False,
    notes: Mapping[str, Any] | None = None,
) -> tuple[pd.DataFrame, SearchOutcome]:
    """Run the trials and return every topology that they tried.

    Args:
        space: The topologies.
        judge: Predicts and judges some of them.
        constraints: The limits they are judged by.
        study: An open study; trials are added to those it has.
        settings: Objectives, number of trials, sampler and seed.
        measured: Topologies that were trained; those of the space are tried first.
        progress: Whether to show a bar on stderr where that is a terminal.
        notes: Plain data kept with the study as user attributes.

    Returns:
        The judged candidates, those of earlier runs on the study's storage included, each once in
        the order in which they were tried first; and the outcome of the search.

    Raises:
        OutputError: If the study's storage fails.
    """
    with quiet_optuna(), storage_errors():
        prepare(study, settings.objectives, settings, notes)
        known = [topology for topology in measured if topology in space]
        for topology in known[: settings.n_trials]:
            study.enqueue_trial(space.parameters(topology), skip_if_exists=True)
        _run(space, judge, constraints, study, settings, progress)
        fail_stale_trials(study)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    # Trials that others added to a shared storage carry no topology and are not ours to judge.
    told = [trial.user_attrs.get("topology") for trial in complete]
    tried = [LocalTopology(**fields) for fields in told if fields]
    places = {topology: row for row, topology in enumerate(dict.fromkeys(tried))}
    candidates = judge(topology_frame(places))
    outcome = outcome_of(
        to_losses(candidates, settings.objectives),
        candidates["feasible"].to_numpy(bool),
        candidates["on_front"].to_numpy(bool),
        [places[topology] for topology in tried],
        settings.objectives,
        settings,
        is_enumerated=False,
    )
    return candidates, outcome


def _run(
    space: SearchSpace,
    judge: Judge,
    constraints: Sequence[Constraint],
    study: optuna.Study,
    settings: SearchSpec,
    progress: bool,
) -> None:
    from tqdm import tqdm

    size = 1 if settings.sampler in LEARNS_FROM_EACH else POPULATION
    hidden = not (progress and sys.stderr.isatty())
    with tqdm(total=settings.n_trials, unit="trial", disable=hidden, leave=False) as bar:
        while bar.n < settings.n_trials:
            with late_stop() as asked:
                trials = [study.ask() for _ in range(min(size, settings.n_trials - bar.n))]
                _tell(study, trials, [space.suggest(trial) for trial in trials], judge, constraints)
            if asked:
                raise KeyboardInterrupt
            bar.n += len(trials)
            bar.refresh()


def _tell(
    study: optuna.Study,
    trials: Sequence[Trial],
    topologies: Sequence[LocalTopology],
    judge: Judge,
    constraints: Sequence[Constraint],
) -> None:
    judged = judge(topology_frame(topologies))
    values = judged[list(study.metric_names or ())].to_numpy(dtype=float)
    for row, (trial, topology) in enumerate(zip(trials, topologies, strict=True)):
        for constraint in constraints:
            violation = judged[f"violation_{constraint.metric}"].iloc[row]
            trial.set_constraint(str(constraint), float(violation))
        trial.set_user_attr("topology", topology.as_dict())
        study.tell(trial, np.asarray(values[row]).tolist())
