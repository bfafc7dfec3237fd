"""A fresh attack is put beside the predictions, and what it measured becomes part of the study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from problems import write_toy_study

from privynet_opt.api import optimize, reopen
from privynet_opt.characterization import extend, fresh
from privynet_opt.characterization.extend import extend_table
from privynet_opt.characterization.fresh import FreshMeasurements
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.table import load_table
from privynet_opt.cli import main
from privynet_opt.cli_output import print_validation
from privynet_opt.constraints import Constraint
from privynet_opt.errors import OutputError, StudyError
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LOCAL_COLUMNS, SENDING_DEFAULTS, LocalTopology
from privynet_opt.validation import Validation, compare, neighbourhood, told_of_earlier

LIMITS = ("--constraint", "psnr_db <= 17.5", "--constraint", "local_flops <= 1e6")


def points(*psnr_db: float) -> pd.DataFrame:
    n = len(psnr_db)
    frame = pd.DataFrame({"cut_layer": "conv1", "kept_filters": range(1, n + 1)})
    frame = frame.assign(selection_strategy="lda", selection_seed=0, **SENDING_DEFAULTS)
    frame = frame.assign(psnr_db=psnr_db)
    frame = frame.assign(accuracy=np.linspace(0.5, 0.6, n), ssim=0.5)
    for target, half in (("accuracy", 0.02), ("psnr_db", 0.3), ("ssim", 0.05)):
        frame[f"{target}_lower"], frame[f"{target}_upper"] = (
            frame[target] - half,
            frame[target] + half,
        )
    return frame


def known(*psnr_db: float) -> pd.DataFrame:
    return pd.DataFrame({"psnr_db": psnr_db, "ssim": np.nan})


def test_neighbours_are_those_of_the_most_similar_predictions():
    front = points(15.0, 15.5, 16.0, 16.5, 19.0)
    chosen = neighbourhood(front, front.iloc[3], 2)
    assert chosen["kept_filters"].tolist() == [4, 3, 2]
    assert chosen.dtypes.equals(front.dtypes)
    assert len(neighbourhood(front, front.iloc[3], 9)) == 5
    assert len(neighbourhood(front, front.iloc[3], 0)) == 1


def test_limits_are_checked_on_measurements_and_intervals_told_apart():
    rows = pd.DataFrame({"accuracy": [0.5, 0.7], "psnr_db": [15.2, 16.1], "ssim": [0.5, 0.5]})
    limits = [
        Constraint("psnr_db <= 16"),
        Constraint("accuracy >= 0.6"),
        Constraint("local_flops <= 1"),
    ]
    found = compare(points(15.0, 15.5), rows, known(np.nan, np.nan), limits)
    assert found["broken"].tolist() == ["accuracy >= 0.6", "psnr_db <= 16"]
    assert found["inside_psnr_db"].tolist() == [True, False]
    assert found["inside_accuracy"].tolist() == [True, False]
    assert found["measured_psnr_db"].tolist() == [15.2, 16.1]
    assert told_of_earlier(found) == ""


def test_an_attack_that_recovered_more_before_counts_against_the_limits(capsys):
    rows = pd.DataFrame({"accuracy": [0.5, 0.5], "psnr_db": [15.2, 15.4], "ssim": [0.5, 0.5]})
    limits = [Constraint("psnr_db <= 15.3")]
    found = compare(points(15.0, 15.0), rows, known(15.35, 15.3), limits)
    assert found["measured_psnr_db"].tolist() == [15.35, 15.4]
    assert found["earlier"].tolist() == [True, False]
    assert found["broken"].tolist() == ["psnr_db <= 15.3"] * 2
    assert not found["inside_psnr_db"].iloc[0]
    assert not found["inside_psnr_db"].iloc[1]
    validation = Validation(found, "standard", "standard", 1, None, same_source=True)
    print_validation(validation, None, None)  # type: ignore[arg-type]
    said = "An earlier attack recovered more of 1 of these topologies than the fresh one"
    assert said in " ".join(capsys.readouterr().out.split())


@pytest.fixture
def measured_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Stand in for training: every topology leaks 1 dB more than its study says."""
    calls: list[dict[str, Any]] = []

    def measure(spec, topologies, fidelity, training_seed, output, *rest):
        table = load_table(spec.table_path)
        calls.append({"fidelity": fidelity, "seed": training_seed, "rest": rest})
        known = table.screen.set_index(list(LOCAL_COLUMNS))
        rows = []
        for t in topologies:
            row = known.loc[(t.cut_layer, t.kept_filters, t.selection_strategy, t.selection_seed)]
            leak = float(row["psnr_db"]) + 1.0
            rows.append(
                {**vars(t), "fidelity": fidelity, "training_seed": training_seed}
                | {"accuracy": 0.61, "psnr_db": leak, "ssim": 0.5, "attacker": "decoder"}
                | {"ridge_psnr_db": leak - 1.0, "decoder_psnr_db": leak, "decoder_epochs": 3}
                | {"cloud_epochs": 3, "seconds": 1.0}
            )
        own = table.sidecar
        identity = {
            "weights": own["network"].get("weights_sha256"),
            "images": own["data"].get("sha256"),
            "recipes": {fidelity: own["fidelities"].get(fidelity)},
        }
        return FreshMeasurements(tuple(rows), identity, {"date": "today"}, tmp_path / "pictures")

    monkeypatch.setattr(fresh, "measure_again", measure)
    return calls


def test_validate_measures_tells_extends_the_study_and_answers_anew(
    fitted_toy: Path, tmp_path: Path, measured_anew, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert main(["run", "--study", str(fitted_toy), "--output", str(out), *LIMITS]) == 0
    before = load_table(fitted_toy / "characterization.csv")
    capsys.readouterr()
    code = main(["validate", str(out), "--neighbours", "2"])
    printed = capsys.readouterr().out
    found = json.loads((out / "validation.json").read_text())
    assert code == (0 if found["holds"] else 4)
    assert len(found["points"]) == 3
    assert f"at full, seed {found['training_seed']}; predicted for standard" in printed
    assert ("keeps every limit" in printed) == found["holds"]
    assert f"Added to the table of {fitted_toy}" in printed
    after = load_table(fitted_toy / "characterization.csv")
    assert len(after.rows) == len(before.rows) + 3
    new = after.rows[after.rows["training_seed"] == found["training_seed"]]
    assert found["training_seed"] == before.rows["training_seed"].max() + 1
    assert len(new) == 3
    assert after.sidecar["network"] == before.sidecar["network"]
    assert "fresh attack" in (out / "report.html").read_text()
    front = json.loads((out / "front.json").read_text())
    assert front["answer_sha256"] == after.answer_sha256
    assert measured_anew[0]["fidelity"] == "full"  # the toy predicts standard


def test_a_shipped_study_is_copied_before_it_is_extended(tmp_path: Path, measured_anew):
    out = tmp_path / "out"
    assert main(["run", "--study", "cifar10", "--output", str(out), "--n-trials", "5"]) == 0
    table = optimize(n_trials=1).table
    shipped = table.path.read_bytes()
    assert main(["validate", str(out), "--neighbours", "0"]) in (0, 4)
    assert table.path.read_bytes() == shipped
    copied = load_table(out / "study" / "characterization.csv")
    assert copied.rows["training_seed"].max() == table.rows["training_seed"].max() + 1
    assert json.loads((out / "front.json").read_text())["study_path"] == "./study"
    # Another question in the same folder starts from the shipped study; nothing measured is lost.
    limits = ("--constraint", "psnr_db <= 15")
    assert (
        main(["run", "--study", "cifar10", "--output", str(out), "--n-trials", "5", *limits]) == 0
    )
    assert not (out / "validation.json").exists()
    assert main(["validate", str(out), "--neighbours", "0"]) in (0, 4)
    again = load_table(out / "study" / "characterization.csv")
    assert len(again.rows) == len(copied.rows) + 1
    added = again.sidecar["extensions"][len(table.sidecar["extensions"]) :]
    assert [entry["rows"] for entry in added] == [1, 1]


def test_copying_a_study_again_has_no_moment_without_what_was_added(
    fitted_toy: Path, tmp_path: Path, monkeypatch
):
    spec = load_study(fitted_toy)
    path = extend.copy_study(spec, tmp_path / "copy")
    shipped = load_table(path).rows
    added = {**shipped.iloc[-1].to_dict(), "training_seed": 7}
    extend_table(path, [added], [{"rows": 1}])

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(extend, "write_table", interrupted)
        extend.copy_study(spec, tmp_path / "copy")
    for _ in range(2):
        rows = load_table(path).rows
        assert len(rows) == len(shipped) + 1 and (rows["training_seed"] == 7).any()
        extend.copy_study(spec, tmp_path / "copy")
    assert load_table(path).sidecar["extensions"] == [{"rows": 1}]


@pytest.mark.parametrize("part", ["weights", "images", "recipes"])
def test_measurements_of_another_source_are_told_and_not_added(
    fitted_toy: Path, tmp_path: Path, monkeypatch, measured_anew, capsys, part
):
    out = tmp_path / "out"
    assert main(["run", "--study", str(fitted_toy), "--output", str(out), *LIMITS]) == 0
    honest = fresh.measure_again

    def otherwise(*arguments):
        found = honest(*arguments)
        other = {"full": "another"} if part == "recipes" else "another"
        return replace(found, identity={**found.identity, part: other})

    monkeypatch.setattr(fresh, "measure_again", otherwise)
    before = (fitted_toy / "characterization.csv").read_bytes()
    assert main(["validate", str(out), "--neighbours", "1"]) in (0, 4)
    assert "nothing was added" in capsys.readouterr().out
    assert (fitted_toy / "characterization.csv").read_bytes() == before
    assert "fresh attack" in (out / "report.html").read_text()


def test_a_broken_limit_has_an_exit_code_of_its_own(
    fitted_toy: Path, tmp_path: Path, monkeypatch, measured_anew, capsys
):
    out = tmp_path / "out"
    assert main(["run", "--study", str(fitted_toy), "--output", str(out), *LIMITS]) == 0
    honest = fresh.measure_again

    def leaking(*arguments):
        found = honest(*arguments)
        return replace(found, rows=tuple({**row, "psnr_db": 30.0} for row in found.rows))

    monkeypatch.setattr(fresh, "measure_again", leaking)
    assert main(["validate", str(out), "--neighbours", "0"]) == 4
    printed = capsys.readouterr().out
    assert "violated: psnr_db <= 17.5" in printed
    assert "breaks psnr_db <= 17.5; of 1 measured, 0 keep every limit" in printed


def test_a_folder_without_a_result_is_one_line(tmp_path: Path, capsys):
    assert main(["validate", str(tmp_path)]) == 2
    assert "must be a folder that `privynet-opt run` or `tune` wrote" in capsys.readouterr().err
    (tmp_path / "front.json").write_text("{}")
    with pytest.raises(OutputError, match="KeyError"):
        reopen(tmp_path)


def test_nothing_recommended_is_nothing_to_validate(hopeless_result):
    with pytest.raises(StudyError, match="nothing is recommended"):
        hopeless_result.validate()


def test_rows_are_added_beside_the_measurements_they_came_from(tmp_path: Path):
    table = load_table(write_toy_study(tmp_path / "toy") / "characterization.csv")
    (tmp_path / "toy" / "measurements").mkdir()
    row = table.trained.iloc[0].to_dict() | {"training_seed": 9, "accuracy": 0.123}
    plain = {k: getattr(v, "item", lambda v=v: v)() for k, v in row.items()}
    extend_table(table.path, [plain], [{"rows": 1}])
    assert load_table(table.path).sidecar["extensions"] == [{"rows": 1}]
    again = load_table(table.path).rows
    old, kept = (f.sort_values(list(KEY), ignore_index=True) for f in (table.rows, again))
    pd.testing.assert_frame_equal(kept[kept["training_seed"] != 9].reset_index(drop=True), old)
    assert again.loc[again["training_seed"] == 9, "accuracy"].tolist() == [0.123]
    assert MeasurementFolder(tmp_path / "toy").rows()[0]["accuracy"] == 0.123


def test_fresh_networks_measure_the_digits_as_the_first_ones_did(tmp_path: Path, monkeypatch):
    from privynet_opt.characterization import recipes
    from privynet_opt.networks.training import TrainingRecipe
    from privynet_opt.study_spec import load_study

    brief = TrainingRecipe(max_epochs=3, patience=3)
    recipe = recipes.TrainedFidelity(max_images=1000, decoder=brief, cloud=brief)
    monkeypatch.setitem(recipes.FROM_SCRATCH, "standard", recipe)
    spec = load_study("digits")
    topologies = [LocalTopology("conv2p", 4, "lda"), LocalTopology("conv2p", 2, "searched")]
    searched = {("conv2p", 2): (5, 3)}
    arguments = (spec, topologies, "standard", 7, tmp_path)
    found = fresh.measure_again(*arguments, searched=searched)
    assert [r["training_seed"] for r in found.rows] == [7, 7]
    sidecar = load_table(spec.table_path).sidecar
    assert not found.belong_to(sidecar, "standard")  # the recipe is not the table's
    monkeypatch.undo()
    as_shipped = fresh.measure_again(spec, [], "standard", 7, tmp_path)
    assert as_shipped.belong_to(sidecar, "standard")
    monkeypatch.setitem(recipes.FROM_SCRATCH, "standard", recipe)
    files = [f.stat().st_mtime_ns for f in sorted(tmp_path.glob("*/measurements/*--*"))]
    assert len(files) == 2
    assert fresh.measure_again(*arguments, searched=searched).rows == found.rows
    again = [f.stat().st_mtime_ns for f in sorted(tmp_path.glob("*/measurements/*--*"))]
    assert again == files


def test_a_cheaper_attack_than_predicted_does_not_pass_for_the_predicted_one(capsys) -> None:
    rows = pd.DataFrame({"accuracy": [0.5], "psnr_db": [15.2], "ssim": [0.4]})
    found = compare(points(15.0), rows, known(np.nan), [Constraint("psnr_db <= 16")])
    for predicted, said in (
        ("full", "keeps every limit at standard, which attacks less than the full that is"),
        ("standard", "keeps every limit; of 1 measured, 1 keep every limit."),
    ):
        validation = Validation(found, predicted, "standard", 1, None, same_source=True)
        print_validation(validation, None, None)  # type: ignore[arg-type]
        assert said in " ".join(capsys.readouterr().out.split())
