"""A study of bits and noise is measured: plainly as any other, and a second time otherwise."""

from __future__ import annotations

import pytest
import torch
from digits_study import STUDY

from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.fresh import measure_again
from privynet_opt.characterization.plan import plan
from privynet_opt.characterization.study_inputs import StudyInputs
from privynet_opt.characterization.table import load_table
from privynet_opt.errors import StudyError
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

ASKED = "[search_space]\nfeature_bits = [32, 8]\nnoise_std = [0.0, 1.0]\n"


@pytest.fixture(scope="module")
def noisy_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "study.toml").write_text(STUDY.replace("[search_space]\n", ASKED))
    return load_study(folder)


@pytest.fixture(scope="module")
def path(noisy_study, tmp_path_factory):
    torch.set_num_threads(1)
    return characterize(noisy_study, None, None, tmp_path_factory.mktemp("measured"))


def topologies(rows):
    return {LocalTopology.of(row) for _, row in rows.iterrows()}


def test_every_planned_choice_of_filters_is_trained_plainly_and_once_otherwise(path):
    table = load_table(path)
    plain = {t for t in topologies(table.trained) if t.is_sent_plainly}
    sent = topologies(table.trained) - plain
    assert len(plain) == 3
    assert {t.as_dict()["cut_layer"] for t in sent} == {t.cut_layer for t in plain}
    local = {
        (t.cut_layer, t.kept_filters, t.selection_strategy) for t in plain if not t.selection_seed
    }
    assert {(t.cut_layer, t.kept_filters, t.selection_strategy) for t in sent} == local
    assert max(t.noise_std for t in sent) == 1.0
    assert topologies(table.screen) >= topologies(table.trained)


def test_noise_is_measured_to_hide(path):
    table = load_table(path)
    for rows in (table.screen, table.trained):
        for topology in topologies(rows):
            if topology.noise_std == 1.0:
                own = {n: getattr(topology, n) for n in ("cut_layer", "kept_filters")}
                alike = rows[(rows[list(own)] == own).all(axis=1)]
                alike = alike[alike["selection_strategy"] == topology.selection_strategy]
                leak = alike.set_index("noise_std")["psnr_db"]
                assert leak[1.0] < leak[0.0].max()


def test_noise_in_steps_is_planned_and_trained_at_the_listed_levels_only(tmp_path):
    asked = "[search_space]\nnoise_std = [0.0, 1.0]\nnoise_step = 0.25\n"
    text = STUDY.replace("[search_space]\n", asked).replace('["conv1", "conv4"]', '["conv1"]')
    (tmp_path / "study.toml").write_text(text)
    spec = load_study(tmp_path)
    cuts = StudyInputs.load(spec, None, None).cuts
    (wanted,) = plan(spec, cuts, ("standard",), 2).values()
    output, only = tmp_path / "measured", ("standard",)
    table = load_table(characterize(spec, None, None, output, fidelities=only, n_trained=2))
    planned = {topology for topology, fidelity in wanted if fidelity == "standard"}
    assert topologies(table.trained) == planned
    noise = {topology.noise_std for topology in planned}
    assert noise <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert noise - {0.0, 1.0}  # else no level but the ends was drawn


def test_a_second_run_measures_nothing_again(noisy_study, path):
    def stamps():
        files = (path.parent / "measurements").rglob("*.json")
        return {file.name: file.stat().st_mtime_ns for file in files}

    before, table = stamps(), path.read_bytes()
    characterize(noisy_study, None, None, path.parent)
    assert stamps() == before
    assert path.read_bytes() == table


def test_what_features_tell_of_images_is_kept_for_the_bound(path):
    table = load_table(path)
    entries = table.sidecar["information"]
    known = {LocalTopology.of(entry) for entry in entries}
    assert len(known) == len(entries)
    assert known == {t for t in topologies(table.screen) if t.is_sent_plainly}
    assert any(t.selection_seed for t in known)
    whole = {e["cut_layer"]: e["information"] for e in entries if e["kept_filters"] >= 16}
    assert set(whole) == {"conv1", "conv4"}
    assert all(0 < e["information"] <= whole[e["cut_layer"]] * 1.001 for e in entries)


def test_amortised_networks_measure_plain_features_only(noisy_study, tmp_path):
    with pytest.raises(StudyError, match="`start` must be scratch where a study codes features"):
        characterize(noisy_study, None, None, tmp_path, start="amortised")


def test_a_fresh_attack_measures_noise_as_the_first_one_did(noisy_study, path, tmp_path):
    table = load_table(path)
    row = table.trained[table.trained["noise_std"] == 1.0].iloc[0]
    found = measure_again(noisy_study, [LocalTopology.of(row)], "standard", 2, tmp_path)
    assert found.rows[0]["noise_std"] == 1.0
    assert found.rows[0]["psnr_db"] == pytest.approx(row["psnr_db"], abs=0.7)
    assert "standard" in found.alike(table.sidecar)
