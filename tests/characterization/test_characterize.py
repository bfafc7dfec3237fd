"""One real characterization on scikit-learn's digits: measured, resumed after a kill, refused."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from digits_study import N_SCREENED

from privynet_opt.characterization import measure, recipes, study_inputs
from privynet_opt.characterization.bank import CutBank
from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.provenance import identity
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.study_inputs import StudyInputs, load_splits
from privynet_opt.characterization.table import load_table
from privynet_opt.cost import cut_costs
from privynet_opt.errors import DataError, DataWarning, TableError
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.small_cnn import SmallCNN
from privynet_opt.networks.training import TrainingRecipe
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

CPU = torch.device("cpu")

RUN = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from privynet_opt.characterization import recipes
from privynet_opt.characterization.characterize import characterize
from privynet_opt.study_spec import load_study
torch.set_num_threads(1)
for tier in recipes.TRAINED.values():
    for name, recipe in tier.items():
        short = [replace(part, min_steps=0) for part in (recipe.decoder, recipe.cloud)]
        tier[name] = replace(recipe, decoder=short[0], cloud=short[1])
characterize(load_study(sys.argv[1]), None, None, Path(sys.argv[2]))
"""
"""A run of its own process, with as little training as `short_recipes` gives the others."""


@pytest.mark.parametrize(
    ("fidelity", "n_trained", "told"),
    [
        ("standard", 10**6, "the study has 23 topologies to train, not 1,000,000"),
        ("standard", 23, ""),
        ("standard", None, ""),
        ("screen", 10**6, ""),
    ],
)
def test_more_topologies_than_there_are_is_told(
    study, tmp_path, monkeypatch, recwarn, fidelity, n_trained, told
):
    monkeypatch.setattr("privynet_opt.characterization.characterize.run_jobs", lambda *_: None)
    characterize(study, None, None, tmp_path, fidelities=(fidelity,), n_trained=n_trained)
    lines = [str(w.message) for w in recwarn if issubclass(w.category, DataWarning)]
    assert len(lines) == bool(told)
    assert all(line.startswith(told) for line in lines)


def test_cuts_are_in_the_order_of_the_network_however_the_study_lists_them(study):
    space = replace(study.search_space, cut_layers=("conv4", "conv1"))
    inputs = StudyInputs.load(replace(study, search_space=space))
    assert [cut.name for cut in inputs.cuts] == ["conv1", "conv4"]


def test_table_holds_every_planned_row_and_no_other(measured):
    table = load_table(measured)
    assert len(table.screen) == N_SCREENED
    assert len(table.trained) == 3
    assert set(table.rows["selection_strategy"]) == {
        "random",
        "lda",
        "privacy",
        "privynet",
        "magnitude",
    }


def test_trained_attackers_beat_the_closed_form_and_classifiers_beat_chance(measured):
    trained = load_table(measured).trained
    assert (trained["decoder_psnr_db"] > trained["ridge_psnr_db"] + 0.5).all()
    assert (trained["psnr_db"] == trained[["ridge_psnr_db", "decoder_psnr_db"]].max(axis=1)).all()
    assert (trained["accuracy"] > 0.5).all()
    assert trained["ssim"].between(0, 1).all()


def test_more_channels_leak_more_in_closed_form(measured):
    screen = load_table(measured).screen
    ranked = screen[screen["selection_strategy"].isin(["lda", "privacy", "magnitude"])]
    for _, group in ranked.groupby(["cut_layer", "selection_strategy"]):
        leaks = group.sort_values("kept_filters")["psnr_db"]
        assert leaks.is_monotonic_increasing


def test_privacy_leaks_less_than_magnitude_keeping_as_many(measured):
    screen = load_table(measured).screen.set_index(["cut_layer", "kept_filters"])
    leak = {s: g["psnr_db"] for s, g in screen.groupby("selection_strategy")}
    assert (leak["privacy"] < leak["magnitude"].reindex(leak["privacy"].index)).all()


def test_sidecar_tells_network_data_recipes_and_exact_costs(measured):
    table = load_table(measured)
    assert table.sidecar["network"]["weights_sha256"] == load_backbone("small_cnn").weights_sha256
    assert table.sidecar["data"]["n_images"] == {"cloud": 450, "attacker": 450, "score": 250}
    assert table.sidecar["fidelities"]["standard"]["decoder"]["max_epochs"] > 0
    scale = table.sidecar["data"]["psnr_scale_db"]
    assert scale["mean image"] < min(scale["label only"], scale["4×4 thumbnail"])
    first = table.cuts["conv1"]
    assert int(cut_costs(first, 4)["local_macs"]) == 9 * 3 * 4 * 8 * 8


def test_a_second_run_measures_nothing_again(study, measured):
    files = sorted((measured.parent / "measurements").glob("*"))
    before = [(f.name, f.stat().st_mtime_ns) for f in files]
    text = measured.read_bytes()
    characterize(study, None, None, measured.parent)
    assert [(f.name, f.stat().st_mtime_ns) for f in files] == before
    assert measured.read_bytes() == text


def test_a_run_killed_twenty_times_ends_with_the_rows_of_an_undisturbed_one(
    study, measured, tmp_path
):
    folder, chance = MeasurementFolder(tmp_path), random.Random(0)
    command = [sys.executable, "-c", RUN, str(study.directory), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    survived = []
    for attempt in range(20):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        if attempt % 2:  # anywhere in starting and measuring; else soon after a measurement
            time.sleep(chance.uniform(0, 4))
        else:
            before = folder.count()
            while folder.count() == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        survived.append(folder.count())
    assert survived == sorted(survived)  # nothing that was measured is lost
    assert any(0 < n < N_SCREENED + 3 for n in survived)
    subprocess.run(command, env=environment, check=True, timeout=240)
    resumed, undisturbed = (
        load_table(path).rows.drop(columns="seconds").set_index(list(KEY))
        for path in (tmp_path / "characterization.csv", measured)
    )
    pd.testing.assert_frame_equal(resumed, undisturbed, rtol=1e-3)


def test_features_of_mirrored_images_are_those_of_the_mirrored_images(conv1_bank):
    own = conv1_bank.source
    turned = replace(own.splits.cloud, images=own.splits.cloud.images.flip(-1))
    splits = replace(own.splits, cloud=turned)
    other = FeatureSource(own.backbone, own.cut, splits, CPU, keep=False)
    raw = torch.cat(list(other.batches("cloud")))
    expected = ((raw - conv1_bank.mean) / conv1_bank.std)[:, [3, 1]]
    seen = conv1_bank.mirrored("cloud", [3, 1]).float()
    torch.testing.assert_close(seen, expected, atol=0.02, rtol=0.01)


@pytest.mark.parametrize(
    ("fidelity", "mirrorable", "splits"),
    [("standard", True, []), ("full", True, ["attacker", "cloud"]), ("full", False, [])],
)
def test_full_alone_trains_on_mirrored_images_too(
    conv1_bank, monkeypatch, fidelity, mirrorable, splits
):
    monkeypatch.setattr(
        conv1_bank.source, "splits", replace(conv1_bank.source.splits, mirrorable=mirrorable)
    )
    brief = TrainingRecipe(max_epochs=1, patience=1)
    recipe = recipes.TrainedFidelity(max_images=1000, decoder=brief, cloud=brief)
    monkeypatch.setitem(recipes.FROM_SCRATCH, fidelity, recipe)
    topology, seen = LocalTopology("conv1", 2, "lda"), []
    plain = measure.measure_trained(conv1_bank, topology, fidelity, 1)
    mirrored = CutBank.mirrored

    def unlike(bank, split, kept):
        seen.append(split)
        return mirrored(bank, split, kept) * 0

    monkeypatch.setattr(CutBank, "mirrored", unlike)
    changed = measure.measure_trained(conv1_bank, topology, fidelity, 1)
    assert seen == splits
    # What the mirrored images show matters to both networks where they are used, and only there.
    for column in ("decoder_psnr_db", "accuracy"):
        assert (changed[column] != plain[column]) == bool(splits)


def test_a_study_says_whether_its_images_may_be_mirrored(study):
    for mirrorable in (True, False):
        spec = replace(study, data=replace(study.data, mirrorable=mirrorable))
        splits = load_splits(spec, None)
        own = identity(load_backbone("small_cnn", "none"), splits, 8)
        assert splits.mirrorable is mirrorable
        assert own["recipes"]["full"].get("mirrored", False) is mirrorable


def test_measurements_of_other_weights_are_not_mixed(study, measured, tmp_path):
    torch.manual_seed(3)
    other = tmp_path / "other.pth"
    torch.save(SmallCNN().state_dict(), other)
    with pytest.raises(TableError, match=r"the same weights.*Choose another --output"):
        characterize(study, None, str(other), measured.parent)


def test_nothing_is_downloaded_where_images_are_missing(monkeypatch):
    monkeypatch.setattr(study_inputs, "load_backbone", lambda *_: pytest.fail("weights loaded"))
    with pytest.raises(DataError, match="--data"):
        study_inputs.StudyInputs.load(load_study("cifar10"))


def test_rows_that_only_the_table_holds_are_not_lost(study, measured, tmp_path):
    for name in ("characterization.csv", "characterization.json", "study.toml"):
        shutil.copyfile(measured.parent / name, tmp_path / name)  # as a copied study is
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TableError, match=r"would be lost\. Choose another --output"):
        characterize(study, None, None, tmp_path, fidelities=("screen",))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_worker_processes_measure_the_same(study, measured, tmp_path):
    path = characterize(study, None, None, tmp_path, fidelities=("screen",), workers=2)
    expected = load_table(measured).screen.drop(columns="seconds").reset_index(drop=True)
    got = load_table(path).screen.drop(columns="seconds").reset_index(drop=True)
    shared = expected.merge(got, on=list(KEY), suffixes=("", "_again"))
    assert len(shared) == len(got) == N_SCREENED
    assert (shared["psnr_db"] - shared["psnr_db_again"]).abs().max() < 1e-3


def test_study_file_travels_with_the_table(measured):
    assert load_study(measured.parent).name == "digits-test"
    assert Path(measured.parent / "characterization.json").is_file()
