from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from problems import OBJECTIVES, front_by_pairs, toy_cuts, toy_table_of_truth, write_toy_study

from privynet_opt import study_storage
from privynet_opt.candidates import judge
from privynet_opt.constraints import parse_constraints
from privynet_opt.optimizer import SearchOutcome, make_sampler, search
from privynet_opt.problem import Problem
from privynet_opt.search_space import SearchSpace
from privynet_opt.study_journal import journal_text
from privynet_opt.study_spec import SAMPLERS, SearchSpec, load_study
from privynet_opt.study_storage import (
    fail_stale_trials,
    open_storage,
    open_study,
)

LIMITS = ("psnr_db <= 17.5", "local_flops <= 1e6")
WAYS = {"accuracy": "up", "psnr_db": "down", "local_flops": "down"}
SETTINGS = SearchSpec(OBJECTIVES, (), 200, 0, "nsga2", 0.9)


@pytest.fixture
def space(tmp_path: Path) -> SearchSpace:
    spec = load_study(write_toy_study(tmp_path / "toy", with_table=False))
    return SearchSpace.of_study(spec, {c.name: c.channels for c in toy_cuts()})


def problem_of(
    space: SearchSpace, limits: tuple[str, ...] = LIMITS, objectives: tuple[str, ...] = OBJECTIVES
) -> Problem:
    """The toy problem with the truth for predictions, known exactly."""
    rows = pd.DataFrame(toy_table_of_truth())
    rows = rows.assign(psnr_db_upper=rows["psnr_db"], ssim_upper=rows["ssim"])
    constraints = parse_constraints(limits)
    return Problem.of(space, judge(rows, objectives, constraints), objectives, constraints)


def run(
    problem: Problem, settings: SearchSpec = SETTINGS, storage: str | None = None
) -> tuple[optuna.Study, SearchOutcome]:
    study = open_study(open_storage(storage), "toy", problem.directions)
    return study, search(problem, study, settings)


def topologies(study: optuna.Study, source: str | None = None) -> list[tuple[object, ...]]:
    trials = [t for t in study.trials if t.state == TrialState.COMPLETE]
    return [
        tuple(t.user_attrs["topology"].values())
        for t in trials
        if source is None or t.user_attrs.get("source", "search") == source
    ]


def known_front() -> set[tuple[object, ...]]:
    rows = [
        row for row in toy_table_of_truth() if row["psnr_db"] <= 17.5 and row["local_flops"] <= 1e6
    ]
    columns = ("cut_layer", "kept_filters", "selection_strategy", "selection_seed")
    return {tuple(row[c] for c in columns) for row in front_by_pairs(rows, WAYS)}


def test_the_study_ends_with_exactly_the_front_that_enumeration_finds(space: SearchSpace) -> None:
    study, _ = run(problem_of(space))
    best = {tuple(t.user_attrs["topology"].values()) for t in study.best_trials}
    assert best == known_front()


def test_every_trial_sets_every_constraint_in_the_same_order(space: SearchSpace) -> None:
    study, _ = run(problem_of(space))
    for trial in study.trials:
        assert list(trial.constraints) == list(LIMITS)


def test_trials_carry_values_violations_and_topology_of_the_truth(space: SearchSpace) -> None:
    study, _ = run(problem_of(space), replace(SETTINGS, n_trials=30))
    truth = {
        (r["cut_layer"], r["kept_filters"], r["selection_strategy"]): r
        for r in toy_table_of_truth()
    }
    assert study.metric_names == list(OBJECTIVES)
    for trial in study.trials:
        topology = trial.user_attrs["topology"]
        row = truth[topology["cut_layer"], topology["kept_filters"], topology["selection_strategy"]]
        assert trial.values == [row[o] for o in OBJECTIVES]
        assert trial.constraints[LIMITS[0]] == pytest.approx(row["psnr_db"] / 17.5 - 1)
        assert trial.constraints[LIMITS[1]] == pytest.approx(row["local_flops"] / 1e6 - 1)


def test_the_gap_is_of_the_bare_search_before_the_front_is_added(space: SearchSpace) -> None:
    problem = problem_of(space)
    study, few = run(problem, replace(SETTINGS, n_trials=5))
    assert few.gap > 0
    assert len(topologies(study, "enumeration")) > 0
    assert len(topologies(study, "search")) == few.n_trials == 5
    _, many = run(problem, replace(SETTINGS, n_trials=400))
    assert 0 <= many.gap < few.gap
    assert many.gap < 0.05


def test_hypervolumes_equal_those_of_the_trials_in_the_reference_box(space: SearchSpace) -> None:
    import moocore

    problem = problem_of(space)
    study, outcome = run(problem)
    front = problem.losses[problem.on_front]
    lowest, extent = front.min(axis=0), np.ptp(front, axis=0)
    rows = [problem.row_of(t) for t in study.trials if "source" not in t.user_attrs]
    feasible = [row for row in rows if problem.feasible[row]]
    found = (problem.losses[feasible] - lowest) / extent
    assert outcome.search_hypervolume == pytest.approx(moocore.hypervolume(found, ref=[1.1] * 3))
    whole = moocore.hypervolume((front - lowest) / extent, ref=[1.1] * 3)
    assert outcome.enumerated_hypervolume == pytest.approx(whole)
    assert outcome.gap == pytest.approx(1 - outcome.search_hypervolume / whole)
    assert len(outcome.hypervolume_history) == outcome.n_trials == 200
    assert outcome.hypervolume_history[-1] == outcome.search_hypervolume
    worst = front.max(axis=0) + 0.1 * extent
    assert outcome.reference_point == pytest.approx((-worst[0], worst[1], worst[2]))


@pytest.mark.parametrize("objectives", [("accuracy",), ("psnr_db", "accuracy"), tuple(WAYS)])
def test_any_number_of_objectives_is_searched(
    space: SearchSpace, objectives: tuple[str, ...]
) -> None:
    study, outcome = run(problem_of(space, objectives=objectives))
    assert len(study.directions) == len(objectives)
    assert 0 <= outcome.gap < 0.1


def test_without_limits_every_trial_counts(space: SearchSpace) -> None:
    study, outcome = run(problem_of(space, limits=()))
    assert outcome.gap < 0.1
    assert study.trials[0].constraints == {}


def test_where_nothing_is_feasible_the_gap_is_unknown(space: SearchSpace) -> None:
    study, outcome = run(problem_of(space, limits=("psnr_db <= 5",)))
    assert math.isnan(outcome.gap)
    assert outcome.search_hypervolume == outcome.enumerated_hypervolume == 0
    assert topologies(study, "enumeration") == []
    assert outcome.n_trials == 200


@pytest.mark.parametrize("name", [s for s in SAMPLERS if s not in ("gp", "hierarchical")])
def test_every_sampler_is_seeded(space: SearchSpace, name: str) -> None:
    problem = problem_of(space)
    settings = replace(SETTINGS, sampler=name, n_trials=40)
    first, again, other = (
        topologies(run(problem, replace(settings, seed=seed))[0], "search") for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_thousand_trials_take_about_a_second(space: SearchSpace) -> None:
    problem = problem_of(space)
    start = datetime.now()
    run(problem, replace(SETTINGS, n_trials=1000))
    assert datetime.now() - start < timedelta(seconds=6)


def test_a_resumed_study_adds_trials_and_does_not_replay_its_draws(
    space: SearchSpace, tmp_path: Path
) -> None:
    problem = problem_of(space)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    settings = replace(SETTINGS, n_trials=8, sampler="random")
    run(problem, settings, storage)
    study, outcome = run(problem, settings, storage)
    params = [t.params["kept_position"] for t in study.trials if "source" not in t.user_attrs]
    assert len(params) == outcome.n_trials == 16
    assert len(set(params)) == 16
    front = topologies(study, "enumeration")
    assert len(front) == len(set(front))
    assert {tuple(t.user_attrs["topology"].values()) for t in study.best_trials} == known_front()


def test_the_first_run_uses_the_users_own_seed() -> None:
    assert make_sampler("random", 7, 0)._rng.rng.get_state()[1][0] == 7  # type: ignore[attr-defined]


def test_running_leftovers_of_a_dead_process_are_failed(
    monkeypatch: pytest.MonkeyPatch, space: SearchSpace, tmp_path: Path
) -> None:
    problem = problem_of(space)
    storage = str(tmp_path / "study.journal")
    study, _ = run(problem, replace(SETTINGS, n_trials=3), storage)
    study.ask()
    assert fail_stale_trials(study) == 0, "a young one may belong to another process"
    monkeypatch.setattr(study_storage, "STALE_AFTER", timedelta(0))
    resumed, outcome = run(problem, replace(SETTINGS, n_trials=3), storage)
    assert [t.state for t in resumed.trials].count(TrialState.RUNNING) == 0
    assert [t.state for t in resumed.trials].count(TrialState.FAIL) == 1
    assert outcome.n_trials == 6


def test_trials_of_others_on_a_shared_storage_are_left_alone(
    space: SearchSpace, tmp_path: Path
) -> None:
    problem, storage = problem_of(space), str(tmp_path / "study.journal")
    study, _ = run(problem, replace(SETTINGS, n_trials=2), storage)
    study.add_trial(optuna.create_trial(values=[0.0, 0.0, 0.0]))
    _, outcome = run(problem, replace(SETTINGS, n_trials=2), storage)
    assert outcome.n_trials == 4


def test_a_journal_torn_in_the_middle_of_a_line_is_resumed(
    space: SearchSpace, tmp_path: Path
) -> None:
    problem, path = problem_of(space), tmp_path / "study.journal"
    run(problem, replace(SETTINGS, n_trials=5), str(path))
    path.write_bytes(path.read_bytes() + b'{"op_code":4,"worker_id":"x","stu')
    _, outcome = run(problem, replace(SETTINGS, n_trials=5), str(path))
    assert outcome.n_trials == 10
    _, outcome = run(problem, replace(SETTINGS, n_trials=5), str(path))
    assert outcome.n_trials == 15
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize("torn", [b"", b"{", b'{"op_co', b'{"op_code":0,"worker_id":"x","stu'])
def test_a_first_run_killed_in_its_first_line_is_begun_again(
    torn: bytes, space: SearchSpace, tmp_path: Path
) -> None:
    path = tmp_path / "study.journal"
    path.write_bytes(torn)
    _, outcome = run(problem_of(space), replace(SETTINGS, n_trials=2), str(path))
    assert outcome.n_trials == 2
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_relative_journal_path_works(
    space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, outcome = run(problem_of(space), replace(SETTINGS, n_trials=2), "new/study.journal")
    assert outcome.n_trials == 2


def test_a_study_copied_to_a_journal_is_the_same_study(space: SearchSpace, tmp_path: Path) -> None:
    problem = problem_of(space)
    study, _ = run(problem)
    study.set_user_attr("note", "kept")
    path = tmp_path / "study.journal"
    path.write_text(journal_text(study))
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    copy = optuna.load_study(study_name="toy", storage=storage)
    assert copy.user_attrs == study.user_attrs
    assert copy.metric_names == study.metric_names
    assert copy.directions == study.directions
    for ours, theirs in zip(copy.trials, study.trials, strict=True):
        assert (ours.params, ours.values, ours.user_attrs, ours.constraints) == (
            theirs.params,
            theirs.values,
            theirs.user_attrs,
            theirs.constraints,
        )
    _, outcome = run(problem, replace(SETTINGS, n_trials=3), str(path))
    assert outcome.n_trials == 203


def test_optuna_says_nothing_and_is_left_as_it_was(
    space: SearchSpace, capfd: pytest.CaptureFixture[str]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("nsga3", "qmc"):
            run(problem_of(space), replace(SETTINGS, sampler=name, n_trials=10))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from test_optimizer import problem_of, run, topologies, SearchSpace, load_study, toy_cuts
spec = load_study(Path({study!r}))
space = SearchSpace.of_study(spec, {{c.name: c.channels for c in toy_cuts()}})
study, outcome = run(problem_of(space))
print(topologies(study), outcome.hypervolume_history.tolist(), [t.params for t in study.trials])
"""


def test_the_same_seed_gives_the_same_trials_in_another_process(tmp_path: Path) -> None:
    study = write_toy_study(tmp_path / "toy", with_table=False)
    path = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT.format(path=path, study=str(study))],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert "conv" in outputs[0]
