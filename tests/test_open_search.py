"""A space with noise in a range: searched alone, and said so wherever its front is shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from privynet_opt.api import optimize, reopen
from privynet_opt.errors import OutputError, StudyError
from privynet_opt.pareto import non_dominated
from privynet_opt.report.page import page
from privynet_opt.result import OptimizationResult
from privynet_opt.saved import read_front
from privynet_opt.summary import summary_lines
from privynet_opt.topology import LocalTopology


@pytest.fixture(scope="module")
def folder(noisy_toy_folder: Path) -> Path:
    return noisy_toy_folder


@pytest.fixture(scope="module")
def result(folder: Path) -> OptimizationResult:
    return optimize(study=folder, n_trials=400)


def test_candidates_are_what_was_tried_and_the_front_is_of_those(
    result: OptimizationResult,
) -> None:
    rows = result.candidates
    assert not rows.duplicated(["cut_layer", "kept_filters", "selection_strategy"]).all()
    assert len(rows) == len({LocalTopology.of(row) for _, row in rows.iterrows()})
    assert 300 < len(rows) <= result.search.n_trials == 400
    assert rows["noise_std"].nunique() > 100
    feasible = rows[rows["feasible"]]
    losses = feasible[["accuracy", "psnr_db", "local_flops"]].to_numpy() * [-1, 1, 1]
    assert len(result.front) == int(non_dominated(losses).sum()) > 5


def test_noise_buys_privacy_that_no_local_network_alone_has(result: OptimizationResult) -> None:
    assert result.best is not None
    noisy = result.best["noise_std"] > 0 or result.best["feature_bits"] < 32
    assert noisy
    plain = result.candidates.query("noise_std == 0 and feature_bits == 32 and feasible")
    assert result.best["accuracy"] > plain["accuracy"].max()


def test_measured_topologies_are_tried_first(result: OptimizationResult) -> None:
    trained = result.table.trained
    known = trained[trained["selection_seed"] == 0]
    topologies = {LocalTopology.of(row) for _, row in known.iterrows()}
    assert result.candidates["measured"].sum() == len(topologies)
    assert result.candidates["measured"].iloc[: len(topologies)].all()


def test_the_same_seed_finds_the_same_and_another_does_not(
    folder: Path, result: OptimizationResult
) -> None:
    again, other = (
        optimize(study=folder, n_trials=400),
        optimize(study=folder, n_trials=400, seed=1),
    )
    pd.testing.assert_frame_equal(again.candidates, result.candidates)
    assert not other.candidates["noise_std"].equals(result.candidates["noise_std"])


def test_a_search_gains_on_random_draws(folder: Path, result: OptimizationResult) -> None:
    assert result.best is not None
    drawn = optimize(study=folder, n_trials=400, sampler="random").best
    assert drawn is not None
    assert result.best["accuracy"] >= drawn["accuracy"]


def test_a_storage_keeps_the_trials_of_earlier_runs(folder: Path, tmp_path: Path) -> None:
    storage = str(tmp_path / "study.journal")
    first = optimize(study=folder, n_trials=60, storage=storage)
    second = optimize(study=folder, n_trials=60, storage=storage)
    assert (first.search.n_trials, second.search.n_trials) == (60, 120)
    assert len(second.candidates) > len(first.candidates)
    # Nothing that was drawn before is drawn again.
    drawn = second.candidates[~second.candidates["measured"]]
    assert not drawn.duplicated().any()


def test_a_result_of_two_runs_on_a_storage_is_opened_again_as_it_was(
    folder: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        result = optimize(study=folder, n_trials=60, storage=str(tmp_path / "s.journal"))
    result.save(tmp_path)
    again = reopen(tmp_path)
    pd.testing.assert_frame_equal(again.candidates, result.candidates)
    assert (again.search.n_trials, again.spec.search.n_trials) == (120, 60)
    assert again.search.late_growth == result.search.late_growth
    front, digest = tmp_path / "front.json", result.table.answer_sha256
    front.write_text(front.read_text().replace(digest, "0" * 64))
    assert reopen(tmp_path).search.n_trials == 60, "another table is searched anew"


def test_later_trials_on_the_journal_beside_a_result_do_not_change_it(
    folder: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "study.journal"
    result = optimize(study=folder, n_trials=60, storage=str(journal))
    result.save(tmp_path)
    optimize(study=folder, n_trials=60, storage=str(journal))
    journal.write_bytes(journal.read_bytes() + b"{")  # another process is about to write a line
    before = journal.read_bytes()
    pd.testing.assert_frame_equal(reopen(tmp_path).candidates, result.candidates)
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda whole: whole[: whole.rindex(b"\n", 0, -1) + 1], "it has 19"),
        (lambda whole: b"", "it has no noisy-toy-"),
        (lambda whole: b"no journal\n", "JSONDecodeError"),
        (lambda whole: b"\xff\n", "UnicodeDecodeError"),
    ],
)
def test_a_result_without_its_trials_is_one_line(
    spoil: Callable[[bytes], bytes], why: str, folder: Path, tmp_path: Path
) -> None:
    optimize(study=folder, n_trials=20).save(tmp_path)
    journal = tmp_path / "study.journal"
    journal.write_bytes(spoil(journal.read_bytes()))
    with pytest.raises(OutputError, match=rf"must have the 20 trials .*journal.*\({why}") as caught:
        reopen(tmp_path)
    assert "\n" not in str(caught.value)
    journal.unlink()
    with pytest.raises(OutputError, match="FileNotFoundError"):
        reopen(tmp_path)


def test_nothing_claims_that_the_front_is_proven(
    result: OptimizationResult, tmp_path: Path
) -> None:
    assert not result.search.is_enumerated
    assert np.isnan(result.search.gap) and np.isnan(result.search.enumerated_hypervolume)
    assert 0 <= result.search.late_growth < 1
    printed = " ".join(" ".join(summary_lines(result)).split())
    for said in (printed, page(result)):
        assert "is what the search found and is not proven" in said
        assert "no enumeration says what the search missed" in said
        for claim in ("in the space", "misses nothing", "the enumerated one", "all topologies"):
            assert claim not in said, claim
    assert "that the search tried" in printed
    result.save(tmp_path)
    saved = read_front(tmp_path)
    assert saved["search"]["gap"] is None
    assert saved["recommended"]["noise_std"] == result.best["noise_std"]  # type: ignore[index]
    assert LocalTopology.of(saved["recommended"]) == LocalTopology.of(result.best)
    assert "noise_std" in pd.read_csv(tmp_path / "front.csv").columns


def test_an_infeasible_question_speaks_of_what_was_tried(folder: Path) -> None:
    result = optimize(["psnr_db <= 12", "accuracy >= 0.7"], study=folder, n_trials=100)
    assert result.best is None and result.infeasibility is not None
    lines = result.infeasibility.lines()
    assert any("topologies tried" in line for line in lines)


def test_bits_alone_are_enumerated_and_proven(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "noisy-toy")
    study = copy / "study.toml"
    study.write_text(study.read_text().replace("noise_std", "# noise_std"))
    result = optimize(study=copy, n_trials=200)
    assert result.search.is_enumerated and result.search.gap >= 0
    assert set(result.candidates["feature_bits"]) == {32, 4}
    pair = result.candidates[result.candidates["kept_filters"] == 8].head(2)
    assert pair["feature_bits"].tolist() == [32, 4]
    assert pair["feature_bytes"].iloc[0] == 8 * pair["feature_bytes"].iloc[1]
    assert "bits per feature" in page(result)


def test_noise_in_steps_is_enumerated_proven_saved_and_shown(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "noisy-toy")
    text, study = (folder / "study.toml").read_text(), copy / "study.toml"
    names = []
    for step in (0.5, 1.0):
        asked = f"[search_space]\nnoise_step = {step}\n"
        study.write_text(text.replace("[search_space]\n", asked))
        result = optimize(study=copy, n_trials=200)
        assert result.search.is_enumerated and result.search.gap >= 0
        assert set(result.candidates["noise_std"]) == set(np.arange(0, 2.1, step))
        names.append(result.study.study_name)
    assert names[0] != names[1]  # another space is another study
    result.save(tmp_path / "answer")
    saved = read_front(tmp_path / "answer")
    assert {row.get("noise_std", 0.0) for row in saved["front"]} > {0.0}
    assert "enumerated front" in page(result) and "noise" in page(result)


def test_the_procedure_that_knows_neither_bits_nor_noise_is_refused(folder: Path) -> None:
    with pytest.raises(StudyError, match="must not be 'hierarchical' where a study has"):
        optimize(study=folder, sampler="hierarchical")


def test_a_study_without_them_writes_what_it_always_wrote(
    toy_result: OptimizationResult, tmp_path: Path
) -> None:
    toy_result.save(tmp_path)
    for name in ("front.csv", "candidates.csv"):
        assert not {"feature_bits", "noise_std"} & set(pd.read_csv(tmp_path / name).columns)
    assert "noise_std" not in (tmp_path / "front.json").read_text()
    assert "noise_std" not in json.dumps(toy_result.study.trials[0].user_attrs)
    assert "noise_std" not in page(toy_result).split("<script")[0]
