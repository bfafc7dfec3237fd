"""The digits measured by networks that serve every subset of a cut, searched and repaired."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from digits_study import N_SCREENED, STUDY
from safetensors import safe_open
from safetensors.torch import save_file

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.coordinates import CutCoordinates
from privynet_opt.characterization import job, measure, own_networks, recipes, subset_search
from privynet_opt.characterization.audit import audit_table
from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.schema import KEY
from privynet_opt.characterization.table import load_table
from privynet_opt.errors import StudyError, TableError
from privynet_opt.selection import kept_channels
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology


def test_amortised_networks_score_the_whole_space_and_beat_the_closed_form(amortised):
    rows = load_table(amortised).rows
    scored = rows[rows["fidelity"] == "amortised"]
    assert len(scored) == N_SCREENED
    gain = scored["decoder_psnr_db"] - scored["ridge_psnr_db"]
    assert (gain > -0.1).mean() > 0.9  # where the linear attack is near perfect it may stay ahead
    assert gain.mean() > 0.5
    assert (scored["psnr_db"] >= scored["ridge_psnr_db"]).all()
    assert (scored["attacker"] == "amortised").mean() > 0.9


def test_decoders_that_are_tuned_to_subsets_are_trained_by_muon_and_more_briefly(amortised):
    epochs = load_table(amortised).amortised.groupby("cut_layer")["decoder_epochs"].max()
    assert epochs.to_dict() == {"conv1": 4 + 1, "conv4": 8}  # 8×8 and 4×4 cells
    assert recipes.amortised_decoder(8).muon is not None
    assert recipes.amortised_decoder(7).muon is None


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
    study, amortised, tmp_path
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


@pytest.mark.parametrize("mirrorable", [True, False])
def test_full_learns_from_mirrored_images_from_amortised_networks_too(
    conv1_bank, mirrorable, monkeypatch
):
    source = copy.copy(conv1_bank.source)
    source.splits = replace(source.splits, mirrorable=mirrorable)
    bank, topology = replace(conv1_bank, source=source), LocalTopology("conv1", 2, "magnitude", 0)
    start = AmortisedNetworks.untrained(CutCoordinates.of(bank.ridge), 8, 10, seed=1)
    given = {}

    def watched(*arguments):
        given[fidelity] = arguments[-1]
        return start

    monkeypatch.setattr(own_networks, "fine_tune", watched)
    for fidelity in ("standard", "full"):
        measure.measure_trained(bank, topology, fidelity, 1, start)
        assert ("mirrored" in recipes.describe(fidelity, "amortised", mirrorable)) == bool(
            given[fidelity]
        )
    assert given["standard"] is None
    assert bool(given["full"]) == mirrorable
    if mirrorable:
        (seen, heard), kept = given["full"], list(kept_channels(topology, bank.statistics))
        expected = bank.mirrored("attacker", kept), bank.mirrored("cloud", kept)
        assert torch.equal(seen, expected[0])
        assert torch.equal(heard, expected[1])


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
        adaptation = recipes.Adaptation(finest_untouched_grid, 450, 450, recipe)
        monkeypatch.setattr(measure, "ADAPTATION", adaptation)
        topology = LocalTopology("conv1", 2, "random", 1)
        measured.append(measure.measure_amortised(conv1_bank, shared, topology))
    untouched, tuned = measured
    assert untouched["decoder_epochs"] == shared.epochs[0]
    assert tuned["decoder_epochs"] == shared.epochs[0] + 4
    assert tuned["decoder_psnr_db"] > untouched["decoder_psnr_db"] + 0.05


@pytest.mark.parametrize("times", [2, 4])
def test_finer_trunks_adapt_on_as_many_cells_in_a_step(times):
    finer, coarse = recipes.ADAPTATION.at(times * 8), recipes.ADAPTATION.at(8)
    assert times**2 * finer.batch_size == coarse.batch_size == recipes.ADAPTATION.recipe.batch_size


@pytest.mark.parametrize(("trunk", "images"), [(4, 30), (8, 30), (16, 20)])
def test_a_decoder_is_tuned_on_no_more_images_than_the_recipe_says(
    conv1_bank, amortised, monkeypatch, trunk, images
):
    shared = job.amortised_networks(conv1_bank, amortised.parent / "amortised")
    tuned_on = []

    def adapt(networks, kept, attacker, recipe, seed):
        tuned_on.append([len(part) for part in attacker])
        return networks

    monkeypatch.setattr(measure, "adapt_decoder", adapt)
    adaptation = replace(recipes.ADAPTATION, max_images=30, max_images_finer=20)
    monkeypatch.setattr(measure, "ADAPTATION", adaptation)
    monkeypatch.setattr(shared.decoder, "trunk_grid", trunk)
    measure.measure_amortised(conv1_bank, shared, LocalTopology("conv1", 2, "random", 1))
    assert tuned_on == [[images, images]]


def test_networks_of_another_cut_are_refused(study, amortised, tmp_path):
    folder = tmp_path / "amortised"
    folder.mkdir()
    shutil.copy(amortised.parent / "amortised" / "conv4.safetensors", folder / "conv1.safetensors")
    with pytest.raises(TableError, match=r"trained for another \(cut conv4\)"):
        characterize(study, None, None, tmp_path, fidelities=("amortised",))


def test_stored_networks_score_the_same_where_components_have_other_signs(
    study, amortised, tmp_path, monkeypatch
):
    shutil.copytree(amortised.parent / "amortised", tmp_path / "amortised")
    eigh = torch.linalg.eigh

    def other_signs(matrix):
        values, vectors = eigh(matrix)
        return values, -vectors

    monkeypatch.setattr(torch.linalg, "eigh", other_signs)
    characterize(study, None, None, tmp_path, fidelities=("amortised",))
    before, after = (
        load_table(path).amortised[["psnr_db", "accuracy"]].to_numpy()
        for path in (amortised, tmp_path / "characterization.csv")
    )
    np.testing.assert_allclose(after, before[: len(after)], atol=1e-3)


def test_networks_stored_without_components_are_refused(study, amortised, tmp_path):
    shutil.copytree(amortised.parent / "amortised", tmp_path / "amortised")
    path = tmp_path / "amortised" / "conv1.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        left = {n: file.get_tensor(n) for n in file.keys() if "components" not in n}  # noqa: SIM118
    save_file(left, path, metadata)
    with pytest.raises(TableError, match=r"stored with their components.*Remove the file"):
        characterize(study, None, None, tmp_path, fidelities=("amortised",))


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
