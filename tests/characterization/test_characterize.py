"""One real characterization on scikit-learn's digits: measured, resumed after a kill, refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from privynet_opt.characterization import job, measure, recipes, subset_search
from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.bank import CutBank, FeatureSource, build_bank
from privynet_opt.characterization.characterize import characterize, load_splits
from privynet_opt.characterization.results import MeasurementFolder
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.table import load_table
from privynet_opt.cost import cut_costs
from privynet_opt.errors import StudyError, TableError
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.small_cnn import SmallCNN
from privynet_opt.networks.training import TrainingRecipe
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

CPU = torch.device("cpu")

STUDY = """
name = "digits-test"
[network]
name = "small_cnn"
weights = "none"
[data]
name = "digits"
image_size = 8
[search_space]
cut_layers = ["conv1", "conv4"]
kept_filters = [2, 8]
selection_strategies = ["random", "lda", "privacy", "privynet", "magnitude"]
[search]
objectives = ["accuracy", "psnr_db"]
[characterization]
images = { cloud = 450, attacker = 450, score = 250 }
trained_topologies = 3
repeated_seeds = 2
"""

N_SCREENED = 7 + 7 + 1 + 7 + 7 + 1
"""Two cuts of two partial counts with 3 + 2 × 2 choices each, and the whole cut once."""

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


@pytest.fixture(scope="module", autouse=True)
def short_recipes():
    """The epochs meant for thousands of images, of a few hundred: enough to see what is learned."""

    def short(recipe, share=1):
        decoder, cloud = (
            replace(part, max_epochs=part.max_epochs // share, min_steps=0)
            for part in (recipe.decoder, recipe.cloud)
        )
        return replace(recipe, decoder=decoder, cloud=cloud)

    with pytest.MonkeyPatch.context() as patch:
        for tier in recipes.TRAINED.values():
            for name, recipe in tier.items():
                patch.setitem(tier, name, short(recipe))
        shorter = short(recipes.AMORTISED, 3)
        for module in (recipes, job):
            patch.setattr(module, "AMORTISED", shorter)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.toml").write_text(STUDY)
    return load_study(folder)


@pytest.fixture(scope="module")
def measured(study, tmp_path_factory):
    torch.set_num_threads(1)
    return characterize(study, None, None, tmp_path_factory.mktemp("measured"))


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


@pytest.fixture(scope="module")
def amortised(study, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("amortised")
    return characterize(study, None, None, folder, fidelities=("screen", "amortised"))


def test_amortised_networks_score_the_whole_space_and_beat_the_closed_form(amortised):
    rows = load_table(amortised).rows
    scored = rows[rows["fidelity"] == "amortised"]
    assert len(scored) == N_SCREENED
    gain = scored["decoder_psnr_db"] - scored["ridge_psnr_db"]
    assert (gain > -0.1).mean() > 0.9  # where the linear attack is near perfect it may stay ahead
    assert gain.mean() > 0.5
    assert (scored["psnr_db"] >= scored["ridge_psnr_db"]).all()
    assert (scored["attacker"] == "amortised").mean() > 0.9


def test_more_topologies_are_scored_without_training_again(study, amortised):
    networks = sorted((amortised.parent / "amortised").iterdir())
    assert [f.name for f in networks] == ["conv1.safetensors", "conv4.safetensors"]
    before = [f.stat().st_mtime_ns for f in networks]
    row = next((amortised.parent / "measurements").glob("conv4--8--lda--0--amortised--*.json"))
    old = json.loads(row.read_text())
    row.unlink()
    characterize(study, None, None, amortised.parent, fidelities=("screen", "amortised"))
    new = json.loads(row.read_text())
    assert [f.stat().st_mtime_ns for f in networks] == before
    assert new["psnr_db"] == pytest.approx(old["psnr_db"], abs=1e-3)


def test_trained_networks_that_start_amortised_are_better_and_never_mixed_with_others(
    study, amortised, measured, tmp_path
):
    shutil.copytree(amortised.parent / "amortised", tmp_path / "amortised")
    arguments = (study, None, None, tmp_path)
    path = characterize(*arguments, fidelities=("standard",), n_trained=1, start="amortised")
    table = load_table(path)
    row = table.trained.iloc[0]
    assert row["decoder_epochs"] == row["cloud_epochs"] == 4
    same = pd.merge(table.trained, load_table(amortised).amortised, on=list(KEY[:4]))
    assert (same["decoder_psnr_db_x"] > same["decoder_psnr_db_y"] + 0.1).all()
    assert table.sidecar["fidelities"]["standard"]["start"] == "amortised"
    with pytest.raises(TableError, match="the same recipes"):
        characterize(*arguments, fidelities=("standard",), n_trained=1)


def test_secrecy_of_the_channels_does_not_survive_a_guess_from_their_statistics(amortised):
    entries = pd.DataFrame(load_table(amortised).sidecar["anonymity"])
    assert set(entries["cut_layer"]) == {"conv1", "conv4"}
    assert (entries["wrong_psnr_db"] < entries["known_psnr_db"] - 0.3).any()
    assert (entries["guessed_share"] > 0.9).all()
    right = entries["guessed_share"] == 1
    gap = (entries["guessed_psnr_db"] - entries["known_psnr_db"]).abs()
    assert (gap[right] < 1e-3).all()


SEARCHED = (
    STUDY.replace('"magnitude"]', '"magnitude", "searched"]')
    .replace('["conv1", "conv4"]', '["conv4"]')
    .replace("[characterization]", "[characterization]\nsearched = { conv4 = [8] }")
)


def test_a_searched_subset_is_found_once_measured_like_any_and_told(
    amortised, tmp_path, monkeypatch
):
    monkeypatch.setattr(subset_search, "N_RANDOM", 12)
    (tmp_path / "study.toml").write_text(SEARCHED)
    shutil.copytree(amortised.parent / "amortised", tmp_path / "out" / "amortised")
    arguments = (load_study(tmp_path), None, None, tmp_path / "out")
    table = load_table(characterize(*arguments, fidelities=("amortised",)))
    (entry,) = table.sidecar["searched"]
    assert table.searched == {("conv4", 8): tuple(entry["channels"])}
    assert len(set(entry["channels"])) == 8
    assert entry["psnr_db"] <= entry["limit_psnr_db"]
    assert entry["accuracy"] > entry["random_accuracy"]
    assert entry["n_scored"] > 12 + 4
    rows = table.rows[table.rows["selection_strategy"] == "searched"]
    assert set(rows["fidelity"]) == {"screen", "amortised"}
    monkeypatch.setattr(job, "search_subset", None)  # not called again
    again = load_table(characterize(*arguments, fidelities=("amortised", "standard"), n_trained=1))
    compared = again.trained[again.trained["kept_filters"] == 8]
    assert {"searched", "lda", "random"} <= set(compared["selection_strategy"])


@pytest.fixture(scope="module")
def conv1_bank(study):
    backbone = load_backbone("small_cnn")
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv1"])
    return build_bank(FeatureSource(backbone, cut, load_splits(study, None), CPU, keep=True))


def test_a_screen_alone_searches_nothing(tmp_path):
    (tmp_path / "study.toml").write_text(SEARCHED)
    path = characterize(load_study(tmp_path), None, None, tmp_path / "o", fidelities=("screen",))
    assert "searched" not in set(load_table(path).rows["selection_strategy"])
    assert not (tmp_path / "o" / "amortised").exists()


def test_a_searched_subset_of_all_channels_is_refused(tmp_path):
    text = SEARCHED.replace("conv4 = [8]", "conv4 = [32]").replace("[2, 8]", "[2, 8, 32]")
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(StudyError, match=r"searched\.conv4` must be fewer than the cut's 32"):
        characterize(load_study(tmp_path), None, None, tmp_path, fidelities=("amortised",))


def test_a_decoder_tuned_to_one_subset_attacks_it_better(conv1_bank, amortised, monkeypatch):
    shared = job.amortised_networks(conv1_bank, amortised.parent / "amortised")
    recipe = replace(recipes.ADAPTATION.recipe, max_epochs=4, batch_size=16)
    measured = []
    for finest_untouched_grid in (8, 7):  # the features of conv1 are 8×8
        adaptation = recipes.Adaptation(finest_untouched_grid, 450, recipe)
        monkeypatch.setattr(measure, "ADAPTATION", adaptation)
        topology = LocalTopology("conv1", 2, "random", 1)
        measured.append(measure.measure_amortised(conv1_bank, shared, topology))
    untouched, tuned = measured
    assert untouched["decoder_epochs"] == shared.epochs[0]
    assert tuned["decoder_epochs"] == shared.epochs[0] + 4
    assert tuned["decoder_psnr_db"] > untouched["decoder_psnr_db"] + 0.05


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
    ("fidelity", "splits"), [("standard", []), ("full", ["attacker", "cloud"])]
)
def test_full_alone_trains_on_mirrored_images_too(conv1_bank, monkeypatch, fidelity, splits):
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


def test_finer_trunks_adapt_on_as_many_cells():
    images, recipe = recipes.ADAPTATION.at(8)
    finer_images, finer = recipes.ADAPTATION.at(16)
    assert images == 4 * finer_images
    assert recipe.batch_size == 4 * finer.batch_size


def test_networks_of_another_cut_are_refused(study, amortised, tmp_path):
    folder = tmp_path / "amortised"
    folder.mkdir()
    shutil.copy(amortised.parent / "amortised" / "conv4.safetensors", folder / "conv1.safetensors")
    with pytest.raises(TableError, match=r"trained for another \(cut conv4\)"):
        characterize(study, None, None, tmp_path, fidelities=("amortised",))


def test_measurements_of_other_weights_are_not_mixed(study, measured, tmp_path):
    torch.manual_seed(3)
    other = tmp_path / "other.pth"
    torch.save(SmallCNN().state_dict(), other)
    with pytest.raises(TableError, match=r"the same weights.*Choose another --output"):
        characterize(study, None, str(other), measured.parent)


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


def test_a_repair_measures_what_was_attacked_too_weakly_at_the_next_fidelity(
    study, amortised, tmp_path
):
    shutil.copytree(amortised.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "measurements" / "conv4--8--lda--0--amortised--1.json"
    row = json.loads(path.read_text())
    weak = {n: row[n] - 8.0 for n in ("psnr_db", "ridge_psnr_db", "decoder_psnr_db")}
    path.write_text(json.dumps({**row, **weak}))
    arguments = (study, None, None, tmp_path)
    assert load_table(characterize(*arguments, fidelities=("amortised",))).trained.empty
    table = load_table(characterize(*arguments, fidelities=("amortised",), repair=True))
    found = audit_table(table).violations
    assert LocalTopology("conv4", 8, "lda") in {v.weak for v in found}
    assert all(v.measured_again for v in found if v.fidelity != "full")
    again = table.trained[table.trained["selection_strategy"] == "lda"]
    assert again["fidelity"].tolist()[0] == "standard"


def test_an_attacker_with_images_of_another_kind_is_measured_beside_the_usual_one(
    study, measured, tmp_path
):
    noise = np.random.default_rng(0).integers(0, 256, (450, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "noise.npz", images=noise, labels=np.arange(450) % 2)
    shutil.copytree(measured.parent, tmp_path / "out")
    arguments = (study, None, None, tmp_path / "out")
    asked = {"attacker_data": tmp_path / "noise.npz", "double_capacity": True}
    table = load_table(characterize(*arguments, **asked))
    attacks = pd.DataFrame(table.sidecar["side_attacks"])
    entries = attacks[attacks["images"] == "noise"]
    alike = load_table(measured).trained
    same = entries.merge(alike, on=list(KEY[:4]), suffixes=("", "_alike"))
    assert len(same) == len(entries) == (alike["selection_seed"] == 0).sum() > 1
    assert (same["psnr_db"] < same["psnr_db_alike"] - 0.5).all()
    larger = attacks[attacks["capacity"] == 2].merge(alike, on=list(KEY[:4]), suffixes=("", "_1"))
    assert len(larger) == len(entries)
    assert (larger["psnr_db"] != larger["psnr_db_1"]).all()
    assert audit_table(table).compared["capacity", "standard"] == len(larger)
    files = sorted((tmp_path / "out" / "measurements" / "side_attacks").iterdir())
    before = [f.stat().st_mtime_ns for f in files]
    files[0].unlink()
    characterize(*arguments, **asked)
    after = [f.stat().st_mtime_ns for f in files]
    assert after[1:] == before[1:]
    assert after[0] > before[0]
