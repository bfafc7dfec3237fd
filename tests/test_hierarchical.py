from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from problems import toy_cuts, toy_rows, write_toy_study, write_toy_table

from privynet_opt.api import optimize, reopen
from privynet_opt.candidates import judge
from privynet_opt.cli import main
from privynet_opt.constraints import parse_constraints
from privynet_opt.errors import StudyError
from privynet_opt.hierarchical import HierarchicalChoice, hierarchical_choice
from privynet_opt.report.health import health_checks
from privynet_opt.report.hierarchical_check import hierarchical_check
from privynet_opt.result import OptimizationResult
from privynet_opt.saved import command_of, read_front
from privynet_opt.summary import search_lines
from privynet_opt.topology import LocalTopology

FLOPS = {"conv1": 1e6, "conv2": 10e6, "conv3": 100e6}
LEAK_DB = {"conv1": 4.0, "conv2": 2.0, "conv3": 1.0}
COUNTS = (1, 2, 4, 8)


def frame() -> pd.DataFrame:
    """Three cuts of eight filters; each filter costs, leaks and helps alike."""
    rows = [
        {
            "cut_layer": cut,
            "kept_filters": kept,
            "selection_strategy": strategy if kept < COUNTS[-1] else "lda",
            "selection_seed": 0,
            "accuracy": 0.1 * kept + (0.05 if strategy == "lda" else 0.0),
            "psnr_db_upper": 13 + LEAK_DB[cut] * kept,
            "psnr_db": 12.5 + LEAK_DB[cut] * kept,
            "local_flops": FLOPS[cut] * (1 + kept / COUNTS[-1]),
            "feature_bytes": 100 * kept,
            "extrapolation": False,
        }
        for cut in FLOPS
        for kept in COUNTS
        for strategy in (("lda", "privynet") if kept < COUNTS[-1] else ("lda",))
    ]
    return pd.DataFrame(rows)


def chosen(*texts: str, rows: pd.DataFrame | None = None, **how: object) -> HierarchicalChoice:
    constraints = parse_constraints(texts)
    judged = judge(frame() if rows is None else rows, ("accuracy", "psnr_db"), constraints)
    return hierarchical_choice(judged, constraints, **how)  # type: ignore[arg-type]


def test_the_layer_is_the_deepest_that_the_device_carries_with_all_filters() -> None:
    choice = chosen("local_flops <= 20e6", "psnr_db <= 21")
    assert str(choice.topology) == "conv2, 4 filters by privynet"
    assert choice.accuracy == pytest.approx(0.4)
    assert choice.broken == ()
    assert [step.split(":")[0] for step in choice.steps] == [
        "the layer",
        "the number of filters",
        "the filters",
    ]


def test_where_all_filters_are_kept_none_are_drawn() -> None:
    choice = chosen("local_flops <= 20e6", "psnr_db <= 100")
    assert str(choice.topology) == "conv2, 8 filters by lda"
    assert [step.split(":")[0] for step in choice.steps] == ["the layer", "the number of filters"]


def test_the_procedure_draws_once_whatever_draws_the_space_offers() -> None:
    rows = frame()
    again = rows[rows["selection_strategy"] == "privynet"].assign(selection_seed=1)
    again["psnr_db_upper"] -= 4.0
    both = pd.concat([rows, again], ignore_index=True)
    limits = ("local_flops <= 20e6", "psnr_db <= 18")
    assert chosen(*limits, rows=both) == chosen(*limits)
    assert str(chosen(*limits).topology) == "conv2, 2 filters by privynet"


def test_a_count_that_only_the_trained_range_bounds_is_said_to_be_so() -> None:
    limits = ("local_flops <= 20e6", "psnr_db <= 100")
    rows = frame()
    rows["extrapolation"] = rows["kept_filters"] == COUNTS[-1]
    assert chosen(*limits, rows=rows).steps[1] == (
        "the number of filters: 4, the most that keep psnr_db <= 100, of those within the range of "
        "the trained measurements"
    )
    assert "trained" not in chosen(*limits).steps[1]


def test_counted_with_the_fewest_filters_deeper_layers_are_admitted() -> None:
    limits = ("local_flops <= 130e6", "psnr_db <= 100")
    assert str(chosen(*limits).topology) == "conv2, 8 filters by lda"
    deeper = chosen(*limits, counted="fewest").topology
    assert str(deeper) == "conv3, 2 filters by privynet", "8 and 4 filters cost too much"


def test_it_does_not_go_back_to_another_layer() -> None:
    choice = chosen("local_flops <= 2e6", "psnr_db <= 16")
    assert choice.topology is None
    assert choice.steps[-1] == "no number of filters: none keeps psnr_db <= 16"


def test_a_device_that_carries_no_layer_ends_it_at_once() -> None:
    assert chosen("local_flops <= 1e5").steps == (
        "no layer: no cut keeps local_flops <= 100000 with all its filters",
    )


def test_limits_that_no_step_looks_at_can_be_broken() -> None:
    choice = chosen("psnr_db <= 17", "accuracy >= 0.9", "feature_bytes <= 300")
    assert str(choice.topology) == "conv3, 4 filters by privynet"
    assert [str(c) for c in choice.broken] == ["accuracy >= 0.9", "feature_bytes <= 300"]
    assert "breaks accuracy >= 0.9 and feature_bytes" in hierarchical_check(choice, None).title


def test_without_limits_it_keeps_all_of_the_deepest_cut() -> None:
    assert str(chosen().topology) == "conv3, 8 filters by lda"


def test_what_lies_beyond_the_trained_range_is_chosen_only_when_allowed() -> None:
    rows = frame()
    rows["extrapolation"] = rows["kept_filters"] > 2
    assert str(chosen(rows=rows).topology) == "conv3, 2 filters by privynet"
    assert str(chosen(rows=rows, extrapolate=True).topology) == "conv3, 8 filters by lda"


def test_a_space_without_its_strategy_is_a_mistake_of_the_user(toy_study: Path) -> None:
    with pytest.raises(StudyError, match=r"selection_strategies.*Add it"):
        optimize(study=toy_study, sampler="hierarchical")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy study with what it calls privacy under the name of PrivyNet's strategy."""
    study = write_toy_study(tmp_path_factory.mktemp("privynet") / "toy")
    text = (study / "study.toml").read_text().replace('"privacy"', '"privynet"')
    (study / "study.toml").write_text(text)
    rows = [
        {**row, "selection_strategy": row["selection_strategy"].replace("privacy", "privynet")}
        for row in toy_rows(0.5)
    ]
    write_toy_table(study / "characterization.csv", rows)
    return study


@pytest.fixture(scope="module")
def result(study: Path) -> OptimizationResult:
    return optimize(study=study, sampler="hierarchical")


def test_its_choice_is_the_only_trial_and_what_is_recommended_stays_the_enumerated(
    result: OptimizationResult, tmp_path: Path
) -> None:
    choice, best = result.hierarchical, result.best
    assert choice is not None
    assert choice.topology is not None
    assert best is not None
    trials = [t for t in result.study.trials if t.user_attrs.get("source") != "enumeration"]
    assert [t.user_attrs["topology"] for t in trials] == [choice.topology.as_dict()]
    assert trials[0].user_attrs["steps"] == list(choice.steps)
    assert result.search.n_trials == 1
    assert best["accuracy"] == result.candidates.query("feasible")["accuracy"].max()
    deepest = toy_cuts()[-1].name
    assert choice.topology.cut_layer != deepest, "its 32 filters cost more than 1e6 FLOPs"
    result.save(tmp_path)
    saved = json.loads((tmp_path / "front.json").read_text())["hierarchical"]
    assert saved["topology"] == choice.topology.as_dict()


def test_what_it_loses_is_printed(result: OptimizationResult) -> None:
    choice, best = result.hierarchical, result.best
    assert choice is not None
    assert best is not None
    lost = 100 * (float(best["accuracy"]) - choice.accuracy)
    assert lost > 0
    text = " ".join(line.strip() for line in search_lines(result))
    assert f"gives up {lost:.1f} points" in text
    assert any(f"gives up {lost:.1f} points" in check.title for check in health_checks(result))
    assert str(choice.topology) in text


def test_a_choice_as_good_as_the_recommended_loses_nothing(result: OptimizationResult) -> None:
    assert result.hierarchical is not None
    assert result.best is not None
    same = replace(result.hierarchical, accuracy=float(result.best["accuracy"]))
    assert hierarchical_check(same, result.best).level == "good"


def test_a_result_whose_procedure_found_nothing_can_be_opened_again(
    study: Path, tmp_path: Path
) -> None:
    run = ["run", "--study", str(study), "--output", str(tmp_path), "--n-trials", "7", "--quiet"]
    # With all its filters only the first cut is cheap enough, and with one it leaks too much.
    limits = ["--constraint", "local_flops <= 5e5", "--constraint", "psnr_db <= 16"]
    assert main([*run, *limits, "--sampler", "hierarchical"]) == 0
    saved, report = read_front(tmp_path), (tmp_path / "report.html").read_bytes()
    assert saved["hierarchical"]["topology"] is None
    assert (saved["search"]["n_trials"], saved["search"]["n_asked"]) == (0, 7)
    assert "--n-trials 7" in command_of(saved, tmp_path)
    assert LocalTopology.of(reopen(tmp_path).best) == LocalTopology.of(saved["recommended"])
    assert main(["report", str(tmp_path), "--compare", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_bytes() == report
