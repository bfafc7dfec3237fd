"""What a fresh attack measured is told, kept and made part of the study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from problems import write_toy_study

from privynet_opt.api import optimize, reopen
from privynet_opt.characterization import extend, fresh
from privynet_opt.characterization.fresh import FreshMeasurements
from privynet_opt.characterization.table import load_table
from privynet_opt.cli import main
from privynet_opt.errors import OutputError
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LOCAL_COLUMNS, LocalTopology
from privynet_opt.validation import (
    Validation,
    add_to_study,
)

LIMITS = ("--constraint", "psnr_db <= 17.5", "--constraint", "local_flops <= 1e6")


def answered(study: Path, tmp_path: Path) -> Path:
    """Return the folder of an answer."""
    out = tmp_path / "out"
    assert main(["run", "--study", str(study), "--output", str(out), *LIMITS]) == 0
    return out


def change(monkeypatch: pytest.MonkeyPatch, rows: str, **values: float) -> None:
    """Have other values measured, in ``rows`` or in ``screened``."""
    honest = fresh.measure_again

    def changed(*arguments):
        found = honest(*arguments)
        return replace(found, **{rows: tuple({**row, **values} for row in getattr(found, rows))})

    monkeypatch.setattr(fresh, "measure_again", changed)


@pytest.fixture
def measured_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Stand in for training: every topology leaks 1 dB more than its study says."""
    calls: list[dict[str, Any]] = []

    def measure(spec, topologies, fidelity, training_seed, output, *rest):
        table = load_table(spec.table_path)
        calls.append({"fidelity": fidelity, "seed": training_seed, "rest": rest})
        known = table.screen.set_index(list(LOCAL_COLUMNS))
        rows, screened, label_aware = [], [], []
        for t in topologies:
            row = known.loc[(t.cut_layer, t.kept_filters, t.selection_strategy, t.selection_seed)]
            leak = float(row["psnr_db"]) + 1.0
            rows.append(
                {**vars(t), "fidelity": fidelity, "training_seed": training_seed}
                | {"accuracy": 0.61, "psnr_db": leak, "ssim": 0.5, "attacker": "decoder"}
                | {"ridge_psnr_db": leak - 1.0, "decoder_psnr_db": leak, "decoder_epochs": 3}
                | {"cloud_epochs": 3, "seconds": 1.0}
            )
            label_aware.append({**vars(t), "psnr_db": leak + 0.25, "ssim": 0.4})
            screened.append({**vars(t), **row[["psnr_db", "ssim"]], "fidelity": "screen"})
        own = table.sidecar
        identity = {
            "weights": own["network"].get("weights_sha256"),
            "images": own["data"].get("sha256"),
            "recipes": {name: own["fidelities"].get(name) for name in ("screen", fidelity)},
        }
        pictures = tmp_path / "pictures"
        measured = map(tuple, (rows, screened, label_aware))
        return FreshMeasurements(*measured, identity, {"date": "today"}, pictures)

    monkeypatch.setattr(fresh, "measure_again", measure)
    return calls


def test_validate_measures_tells_extends_the_study_and_answers_anew(
    fitted_toy: Path, tmp_path: Path, measured_anew, capsys: pytest.CaptureFixture[str]
):
    out = answered(fitted_toy, tmp_path)
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
    page = (out / "report.html").read_text()
    assert "fresh attack" in page and "An attacker who knows the label too" in page
    first = found["points"][0]
    assert first["label_aware_psnr_db"] == pytest.approx(first["measured_psnr_db"] + 0.25)
    told = f"psnr_db, label known {first['label_aware_psnr_db']:.2f} dB"
    assert told in " ".join(printed.split())
    front = json.loads((out / "front.json").read_text())
    assert front["answer_sha256"] == after.answer_sha256
    assert measured_anew[0]["fidelity"] == "full"  # the toy predicts standard


def test_a_shipped_study_is_copied_before_it_is_extended(tmp_path: Path, measured_anew, capsys):
    out = tmp_path / "out"
    assert main(["run", "--study", "cifar10", "--output", str(out), "--n-trials", "5"]) == 0
    assert "do not count here" not in capsys.readouterr().err
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
    assert f"--study {out / 'study'} counts them" in capsys.readouterr().err
    assert main(["validate", str(out), "--neighbours", "0"]) in (0, 4)
    again = load_table(out / "study" / "characterization.csv")
    assert len(again.rows) == len(copied.rows) + 1
    added = again.sidecar["extensions"][len(table.sidecar["extensions"]) :]
    assert [entry["rows"] for entry in added] == [1, 1]


@pytest.mark.parametrize("part", ["weights", "images", "recipes"])
def test_measurements_of_another_source_are_told_and_not_added(
    fitted_toy: Path, tmp_path: Path, monkeypatch, measured_anew, capsys, part
):
    out = answered(fitted_toy, tmp_path)
    honest = fresh.measure_again

    def otherwise(*arguments):
        found = honest(*arguments)
        other = {"full": "another"} if part == "recipes" else "another"
        rows, screened = (
            tuple({**row, "psnr_db": 9.0} for row in part) for part in (found.rows, found.screened)
        )
        identity = {**found.identity, part: other}
        return replace(found, rows=rows, screened=screened, identity=identity)

    monkeypatch.setattr(fresh, "measure_again", otherwise)
    before = (fitted_toy / "characterization.csv").read_bytes()
    assert main(["validate", str(out), "--neighbours", "1"]) in (0, 4)
    printed = capsys.readouterr().out
    assert "nothing was added" in printed
    assert (fitted_toy / "characterization.csv").read_bytes() == before
    assert "fresh attack" in (out / "report.html").read_text()
    # Of other images, or another network, the table's attacks say nothing.
    told = json.loads((out / "validation.json").read_text())["points"]
    assert all((point["measured_psnr_db"] > 9.0) == (part == "recipes") for point in told)
    said = "An earlier attack recovered more" in " ".join(printed.split())
    assert said == (part == "recipes")


def test_a_broken_limit_has_an_exit_code_of_its_own(
    fitted_toy: Path, tmp_path: Path, monkeypatch, measured_anew, capsys
):
    out = answered(fitted_toy, tmp_path)
    change(monkeypatch, "rows", psnr_db=30.0)
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
    table = load_table(spec.table_path)
    assert found.is_of(table.sidecar) and "standard" not in found.alike(table.sidecar)
    monkeypatch.undo()
    as_shipped = fresh.measure_again(spec, [], "standard", 7, tmp_path)
    assert {"screen", "standard"} <= set(as_shipped.alike(table.sidecar))
    shipped = table.screen.set_index(list(LOCAL_COLUMNS)).loc[("conv2p", 4, "lda", 0)]
    assert [r["fidelity"] for r in found.screened] == ["screen"] * 2
    assert found.screened[0]["psnr_db"] == pytest.approx(shipped["psnr_db"], abs=0.01)
    monkeypatch.setitem(recipes.FROM_SCRATCH, "standard", recipe)

    def stamps() -> dict[Path, int]:
        return {f: f.stat().st_mtime_ns for f in tmp_path.rglob("measurements/*--*")}

    files = stamps()
    assert len(files) == 6
    assert fresh.measure_again(*arguments, searched=searched).rows == found.rows
    assert stamps() == files
    first, second = (f"{t.cut_layer}--{t.kept_filters}--" for t in topologies)
    lost = {
        file
        for file in files
        if "standard" in file.name
        and file.name.startswith(first if fresh.LABEL_AWARE in file.parts else second)
    }
    assert len(lost) == 2
    for file in lost:
        file.unlink()
    again = fresh.measure_again(*arguments, searched=searched)
    leaks = [[row["psnr_db"] for row in each.label_aware] for each in (again, found)]
    assert leaks[0] == pytest.approx(leaks[1], abs=1e-3)
    assert {file for file, stamp in stamps().items() if stamp != files[file]} == lost


def test_a_closed_form_that_recovers_more_than_the_fresh_decoder_is_the_measurement(
    fitted_toy: Path, tmp_path: Path, monkeypatch, measured_anew
):
    out = answered(fitted_toy, tmp_path)
    change(monkeypatch, "screened", psnr_db=30.0)
    assert main(["validate", str(out), "--neighbours", "0"]) == 4
    (point,) = json.loads((out / "validation.json").read_text())["points"]
    assert point["measured_psnr_db"] == 30.0 and point["broken"] == "psnr_db <= 17.5"


def test_closed_forms_that_the_table_lacks_are_added_to_it(tmp_path: Path, measured_anew):
    spec = load_study(write_toy_study(tmp_path / "toy"))
    table = load_table(spec.table_path)
    best = table.screen.iloc[[0]]
    known = LocalTopology.of(best.iloc[0])
    measured = fresh.measure_again(spec, [known], "standard", 9, tmp_path)
    noisy = {**best.iloc[0].to_dict(), "noise_std": 0.5}
    measured = replace(measured, screened=(*measured.screened, noisy))
    validation = Validation(best, "standard", "standard", 9, measured, same_source=True)
    assert add_to_study(validation, spec, table, tmp_path / "copy") == tmp_path / "toy"
    again = load_table(spec.table_path)
    assert len(again.rows) == len(table.rows) + 2
    assert again.screen["noise_std"].tolist().count(0.5) == 1
    told = [(e["fidelity"], e["rows"]) for e in again.sidecar["extensions"]]
    assert told == [("standard", 1), ("screen", 1)]


def test_pictures_of_other_images_stay_apart(
    fitted_toy: Path, tmp_path: Path, monkeypatch, measured_anew
):
    out = answered(fitted_toy, tmp_path)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "originals.txt").write_text("the same")
    honest = fresh.measure_again

    def of_other_images(*arguments):
        found = honest(*arguments)
        return replace(found, identity={**found.identity, "images": "another"})

    monkeypatch.setattr(fresh, "measure_again", of_other_images)
    assert main(["validate", str(out), "--neighbours", "0"]) in (0, 4)
    assert not (out / "gallery").exists()
    monkeypatch.setattr(fresh, "measure_again", honest)
    assert main(["validate", str(out), "--neighbours", "0"]) in (0, 4)
    assert (out / "gallery" / "originals.txt").read_text() == "the same"


def test_what_was_measured_is_told_and_kept_where_the_table_cannot_be_written(
    fitted_toy: Path, tmp_path: Path, monkeypatch, measured_anew, capsys
):
    out = answered(fitted_toy, tmp_path)

    def full(*_):
        raise OutputError("the disk must have room. Free some.")

    monkeypatch.setattr(extend, "write_table", full)
    assert main(["validate", str(out), "--neighbours", "0"]) == 2
    printed = capsys.readouterr()
    assert "The recommended topology" in printed.out and "nothing was added" not in printed.out
    assert printed.err.endswith("the disk must have room. Free some.\n")
    assert len(json.loads((out / "validation.json").read_text())["points"]) == 1
