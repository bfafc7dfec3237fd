"""``privynet-opt tune`` as a user sees it, on the toy laboratory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from problems import write_noisy_toy_study, write_toy_study
from toy_laboratory import LIMITS, ToyLaboratory

from privynet_opt import tuning
from privynet_opt.api import reopen
from privynet_opt.characterization import laboratory as measuring
from privynet_opt.cli import main
from privynet_opt.errors import StudyError
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[ToyLaboratory]:
    """Let every laboratory be the toy's; what is measured in a folder stays there."""
    laboratories: list[ToyLaboratory] = []

    def make(spec, output, data, weights, device, skip_bad):
        assert (data, weights, device, skip_bad) == (None, None, "cpu", False)
        mine = [one for one in laboratories if one.folder == output]
        if not mine:
            mine = [ToyLaboratory(write_toy_study(output, with_table=False))]
            laboratories.extend(mine)
        return mine[0]

    monkeypatch.setattr(measuring, "Laboratory", make)
    return laboratories


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_toy_study(tmp_path / "unmeasured", with_table=False)


def command(study: Path, out: Path, *more: str) -> list[str]:
    limits = [part for limit in LIMITS for part in ("--constraint", limit)]
    return ["tune", "--study", str(study), "--output", str(out), *(more or limits)]


def test_an_unmeasured_study_is_measured_answered_and_searchable(
    study: Path, tmp_path: Path, made, capsys
):
    out = tmp_path / "out"
    assert main(command(study, out)) == 0
    printed = capsys.readouterr()
    (laboratory,) = made
    n = len(laboratory.trained)
    assert printed.err.startswith("toy: 64 topologies, budget 30m; rows taken over from")
    assert printed.err.count("\n  trained at standard: ") == n
    assert f"{n} trained measurements" in printed.out.splitlines()[0]
    last = [line for line in printed.err.splitlines() if line.startswith("round")][-1]
    best = json.loads((out / "front.json").read_text())["recommended"]
    words = f"{best['cut_layer']}, {best['kept_filters']} filter"
    assert words in last and f"Recommended: {words}" in printed.out
    assert best["measured_fidelity"] == "standard" and best["measured_psnr_db"] <= 17.5
    assert {p.name for p in out.iterdir()} >= {
        *("study.toml", "characterization.csv", "characterization.json", "tuning.json"),
        *("report.html", "front.csv", "front.json", "candidates.csv", "study.journal"),
    }
    assert json.loads((out / "front.json").read_text())["study_path"] == "./."
    assert main(["run", "--study", str(out), "--output", str(tmp_path / "again"), "--quiet"]) == 0
    # The same command once more measures nothing and answers alike.
    capsys.readouterr()
    assert main(command(study, out)) == 0
    again = capsys.readouterr()
    assert len(laboratory.trained) == n
    assert again.out.splitlines()[1:] == printed.out.splitlines()[1:]


def test_impossible_limits_are_told_at_once_with_the_code_of_nothing_feasible(
    study: Path, tmp_path: Path, made, capsys
):
    assert main(command(study, tmp_path / "a", "--constraint", "local_flops <= 10")) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "rule out every topology" in told
    assert "local_flops <= 10 excludes 64 of 64 topologies; the smallest has " in told
    assert made[0].is_empty
    assert main(command(study, tmp_path / "b", "--constraint", "psnr_db <= 9")) == 3
    told = " ".join(capsys.readouterr().out.split())
    least = min(row["psnr_db"] for row in made[1].rows.values())
    assert f"the closed-form attack alone reaches {least:.2f} dB or more on each" in told
    assert not made[1].trained


@pytest.mark.parametrize("budget", ["30", "soon", "-5m", "0s"])
def test_a_wrong_budget_is_one_line_before_anything_is_written(
    study: Path, tmp_path: Path, made, capsys, budget: str
):
    out = tmp_path / "out"
    assert main([*command(study, out), f"--budget={budget}"]) == 2
    assert "Write for example 90s, 30m or 2h" in capsys.readouterr().err
    assert not made and not out.exists()


def test_the_help_says_which_runs_share_a_budget(capsys):
    assert main(["tune", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "all runs of the same question in the same --output together" in told


def test_a_budget_too_short_for_any_answer_says_what_it_takes(study: Path, tmp_path: Path, made):
    def clock() -> float:
        return made[0].now if made else 0.0

    with pytest.raises(StudyError) as error:
        tuning.tune(LIMITS, study=study, budget="100s", output=tmp_path / "out", clock=clock)
    told = str(error.value)
    assert "must leave time to train 6 topologies, about 30s each" in told
    assert "100s ended after 3" in told
    tuned = tuning.tune(LIMITS, study=study, budget="200s", output=tmp_path / "out", clock=clock)
    assert tuned.ending == "budget" and tuned.result is not None
    assert len(made[0].trained) == 6 and tuned.spent_seconds <= 200
    assert len(tuned.verdicts) == 1


def test_an_interruption_is_one_line_and_the_table_is_written(
    study: Path, tmp_path: Path, made, capsys
):
    out = tmp_path / "out"
    made.append(ToyLaboratory(write_toy_study(out, with_table=False), stop_after=2))
    assert main(command(study, out)) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("privynet-opt: interrupted.")
    assert (out / "characterization.csv").read_text().count("standard") == 2


def test_a_study_that_was_changed_in_memory_is_answered_as_it_was_measured(
    study: Path, tmp_path: Path, made, monkeypatch
):
    spec = load_study(study)
    few = replace(spec.search_space, kept_filters=(1, 2, 4, 8), selection_strategies=("lda",))
    monkeypatch.chdir(tmp_path)
    tuned = tuning.tune(LIMITS, study=replace(spec, search_space=few), output="out")
    (laboratory,) = made
    measured = {topology for topology, _ in laboratory.order}
    result = tuned.result
    assert {LocalTopology.of(row) for _, row in result.candidates.iterrows()} >= measured
    assert set(result.candidates["kept_filters"]) <= {1, 2, 4, 8, 16, 32}
    assert len(result.candidates) < 20
    # What is saved is asked again of the folder, wherever that is then.
    result.save(tmp_path / "out")
    assert reopen(Path("out")).spec.directory == tmp_path / "out"
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    again = reopen(moved)
    assert again.spec.directory == moved and again.constraints == result.constraints
    assert again.table.sidecar["table_sha256"] == result.table.sidecar["table_sha256"]


def test_a_diary_that_is_none_is_one_line(study: Path, tmp_path: Path, made, capsys):
    out = write_toy_study(tmp_path / "out", with_table=False)
    (out / "tuning.json").write_text("{}")
    assert main(command(study, out)) == 2
    assert "tuning.json cannot be used (KeyError). Delete it" in capsys.readouterr().err


def test_noise_of_any_value_is_refused_before_anything_is_written(tmp_path: Path, capsys):
    study = write_noisy_toy_study(tmp_path / "noisy-toy")
    assert main(command(study, tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert "`search_space.noise_step` must be set for `tune`" in said and "[0.0, 2.0]" in said
    assert not (tmp_path / "out").exists()
