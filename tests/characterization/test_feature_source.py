"""Deep features are computed from those of a small cut before them, which are kept."""

from __future__ import annotations

import os
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from privynet_opt.characterization import characterize as characterizing
from privynet_opt.characterization import feature_source
from privynet_opt.characterization import job as job_module
from privynet_opt.characterization import stems as stems_module
from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.laboratory import Laboratory
from privynet_opt.characterization.stems import Stems, find_stems
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

CPU = torch.device("cpu")


@pytest.fixture
def vgg():
    return load_backbone("vgg11")


@pytest.fixture(scope="module")
def splits(study):
    """Some digits at a size that VGG11 can take."""
    own = load_splits(study, None)
    larger = [
        type(part)(
            part.images[:70].repeat_interleave(4, 2).repeat_interleave(4, 3),
            part.labels[:70],
            part.class_names,
        )
        for part in (own.cloud, own.attacker, own.score)
    ]
    return Splits(*larger, mirrorable=False)


def cuts_of(backbone, *names):
    return choose_cuts(find_cuts(backbone.graph, 32), names)


def features(backbone, cut, splits, stems):
    source = FeatureSource(backbone, cut, splits, CPU, keep=True, stems=stems)
    return torch.cat(list(source.batches("attacker")))


@pytest.mark.parametrize(
    ("name", "stems"),
    [
        ("conv1", ["conv1"]),
        ("conv2", ["conv1", "conv1p"]),
        ("conv2p", ["conv1", "conv1p", "conv2p"]),
        ("conv8", ["conv1", "conv1p", "conv2p", "conv4p", "conv6p"]),
    ],
)
def test_stems_have_fewer_features_than_each_cut_before(vgg, splits, name, stems):
    (cut,) = cuts_of(vgg, name)
    assert [stem.name for stem in find_stems(vgg, cut, splits)] == stems


@pytest.mark.parametrize(
    "names",
    [
        ("conv3", "conv4", "conv5"),
        ("conv2p", "conv3"),
        ("conv2p",),
        ("conv2", "conv2p", "conv3"),
        ("conv2", "conv3"),
    ],
)
@pytest.mark.parametrize("layer", ["features.0", "features.3"])  # of conv1 and of conv2
def test_features_are_those_of_the_whole_way_and_the_first_layers_see_an_image_once(
    vgg, splits, names, layer
):
    seen = []
    vgg.graph.get_submodule(layer).register_forward_hook(
        lambda layer, inputs, output: seen.append(len(output))
    )
    cuts = cuts_of(vgg, *names)
    stems = Stems()
    by_stem = [features(vgg, cut, splits, stems) for cut in cuts]
    assert sum(n for n in seen if n > 1) == 70  # single ones tell the shapes of cuts
    for cut, found in zip(cuts, by_stem, strict=True):
        torch.testing.assert_close(found, features(vgg, cut, splits, None))


@pytest.mark.parametrize(("spare", "n_computed"), [(0, 70), (-1, 140)])
def test_a_stem_that_features_are_pooled_to_is_kept_if_there_is_room_for_both(
    vgg, splits, monkeypatch, spare, n_computed
):
    seen = []
    vgg.graph.get_submodule("features.3").register_forward_hook(
        lambda layer, inputs, output: seen.append(len(output))
    )
    half, whole = 128 * 16 * 16 * 2, 128 * 8 * 8 * 4
    monkeypatch.setattr(stems_module, "ROOM_BYTES", 210 * (half + whole) + spare)
    stems = Stems()
    for cut in cuts_of(vgg, "conv2", "conv2p"):
        features(vgg, cut, splits, stems)
    assert sum(n for n in seen if n > 1) == n_computed


def test_a_stem_that_takes_convolutions_is_not_computed_before_it_is_wanted(splits, monkeypatch):
    resnet = load_backbone("resnet18")
    before, stem = cuts_of(resnet, "layer1.1", "layer2.0")
    monkeypatch.setattr(
        stems_module, "STEM_BYTES", 210 * stem.channels * stem.height * stem.width * 4
    )
    seen = []
    resnet.graph.get_submodule("layer2.0.conv1").register_forward_hook(
        lambda layer, inputs, output: seen.append(len(output))
    )
    stems = Stems()
    features(resnet, before, splits, stems)
    assert not [n for n in seen if n > 1]
    features(resnet, stem, splits, stems)
    assert sum(n for n in seen if n > 1) == 70


@pytest.mark.parametrize(("spare", "n_kept"), [(0, 2), (-1, 1)])
def test_the_features_of_both_training_sets_are_kept_if_there_is_room(
    vgg, splits, monkeypatch, spare, n_kept
):
    (cut,) = cuts_of(vgg, "conv2")
    wanted = build_bank(FeatureSource(vgg, cut, splits, CPU, keep=True))
    monkeypatch.setattr(feature_source, "TRAINING_BYTES", 2 * 70 * 128 * 16 * 16 * 2 + spare)
    source = FeatureSource(vgg, cut, splits, CPU, keep=True)
    assert FeatureSource(vgg, cut, splits, CPU).keeps_both  # nothing else takes memory then
    bank = build_bank(source)
    for name in ("discriminability", "exposure"):
        found = getattr(bank.statistics, name)
        np.testing.assert_array_equal(found, getattr(wanted.statistics, name))
    for split, n_images in (("attacker", 70), ("cloud", 70), ("attacker", 67), ("attacker", 80)):
        found = bank.features.first(split, n_images)
        assert torch.equal(found, wanted.features.first(split, n_images))
    del found
    first = weakref.ref(bank.features._held["attacker"])
    assert len(list(bank.seen("cloud", 67))) == 2
    assert (first() is None) == (n_kept == 1)
    assert len(bank.features._held["cloud"]) == (70 if n_kept == 2 else 67)
    assert not source._kept


@pytest.mark.parametrize("what", ["weights", "images"])
def test_other_weights_or_images_are_not_taken_for_the_same(vgg, splits, what):
    (cut,) = cuts_of(vgg, "conv3")
    stems = Stems()
    features(vgg, cut, splits, stems)
    if what == "weights":
        vgg = replace(load_backbone("vgg11"), weights_sha256="other")
        vgg.graph.get_parameter("features.0.weight").data.mul_(2)
    else:
        splits = Splits(splits.score, splits.score, splits.cloud, mirrorable=False)
    torch.testing.assert_close(features(vgg, cut, splits, stems), features(vgg, cut, splits, None))


def test_a_stem_that_takes_too_much_memory_is_not_kept(vgg, splits, monkeypatch):
    (cut,) = cuts_of(vgg, "conv3")
    monkeypatch.setattr(stems_module, "STEM_BYTES", 210 * 128 * 64 * 4 - 1)
    assert not find_stems(vgg, cut, splits)
    monkeypatch.setattr(stems_module, "STEM_BYTES", 210 * 128 * 64 * 4)
    assert find_stems(vgg, cut, splits)


@pytest.mark.parametrize(("spare", "n_seen"), [(0, 70), (-1, 140)])
def test_a_large_stem_is_let_go_of_while_networks_are_trained(
    vgg, splits, monkeypatch, spare, n_seen
):
    seen = []
    vgg.graph.get_submodule("features.0").register_forward_hook(
        lambda layer, inputs, output: seen.append(len(output))
    )
    monkeypatch.setattr(stems_module, "STEM_BYTES_BESIDE_TRAINING", 70 * 128 * 8 * 8 * 4 + spare)
    stems = Stems()
    for cut in cuts_of(vgg, "conv3", "conv4"):
        features(vgg, cut, splits, stems)
        stems.make_room()
    assert sum(n for n in seen if n > 1) == n_seen


def test_a_job_lets_go_of_a_large_stem_if_it_trains(study, tmp_path, monkeypatch):
    monkeypatch.setattr(stems_module, "STEM_BYTES_BESIDE_TRAINING", 0)
    monkeypatch.setattr(characterizing, "forget", lambda: None)
    kept = []
    for fidelity in ("screen", "standard"):
        output = tmp_path / fidelity
        characterizing.characterize(study, None, None, output, fidelities=(fidelity,), n_trained=1)
        kept.append(bool(job_module.STEMS._held))
        job_module.forget()
    assert kept == [True, False]


@pytest.mark.parametrize(
    ("fidelities", "order"),
    [
        (("screen",), ["conv1", "conv2", "conv3", "conv4"]),
        (("screen", "standard"), ["conv1", "conv4", "conv2", "conv3"]),
    ],
)
def test_a_screen_goes_from_cut_to_cut_and_keeps_nothing_at_the_end(
    study, tmp_path, monkeypatch, fidelities, order
):
    cut_layers = ("conv1", "conv2", "conv3", "conv4")
    wider = replace(study, search_space=replace(study.search_space, cut_layers=cut_layers))
    ran = []

    def run(jobs, *_):
        for job in jobs:
            ran.append(job.cut.name)
            job_module.STEMS._held["cloud"] = (), torch.empty(0)
            backbone = job_module._network(job.network, job.weights, None, 8)
            assert not [name for name in backbone.network.state_dict() if "classifier" in name]

    monkeypatch.setattr(characterizing, "run_jobs", run)
    characterizing.characterize(wider, None, None, tmp_path, fidelities=fidelities)
    assert ran == order
    assert not job_module.STEMS._held
    assert not job_module._network.cache_info().currsize


def test_who_only_hands_out_jobs_lets_go_of_the_network(study, tmp_path, monkeypatch):
    load, networks, left = characterizing.StudyInputs.load, [], []

    def loaded(*asked):
        inputs = load(*asked)
        networks.append(weakref.ref(inputs.backbone.network))
        return inputs

    monkeypatch.setattr(characterizing.StudyInputs, "load", loaded)
    monkeypatch.setattr(characterizing, "run_jobs", lambda *_: left.append(networks[0]()))
    characterizing.characterize(study, None, None, tmp_path, fidelities=("screen",))
    assert left == [None]


def test_a_run_loads_the_network_once_for_all_cuts_and_again_when_its_file_changed(
    study, tmp_path, monkeypatch
):
    loaded = []

    def load(name, weights):
        loaded.append(weights)
        return load_backbone(name, weights)

    monkeypatch.setattr(job_module, "load_backbone", load)
    monkeypatch.setattr(characterizing, "forget", lambda: None)
    file = shutil.copy(load_study("digits").network.weights, tmp_path / "weights.pth")
    space = replace(study.search_space, cut_layers=("conv1", "conv2"))
    wider = replace(study, search_space=space, network=replace(study.network, weights=str(file)))
    counts = []
    for number, changed in enumerate((1, 1, 2)):
        os.utime(file, ns=(changed, changed))
        output = tmp_path / str(number)
        characterizing.characterize(wider, None, None, output, fidelities=("screen",))
        counts.append(len(loaded))
    job_module.forget()
    assert counts == [1, 1, 2]


def test_a_job_and_a_laboratory_compute_deep_cuts_from_a_stem(study, tmp_path, monkeypatch):
    stems = []
    find = stems_module.find_stems

    def found(backbone, cut, splits):
        stems.extend(stem for stem in find(backbone, cut, splits) if stem != cut)
        return find(backbone, cut, splits)

    monkeypatch.setattr(stems_module, "find_stems", found)
    characterizing.characterize(study, None, None, tmp_path / "job", fidelities=("screen",))
    assert stems
    stems.clear()
    pairs = [(LocalTopology("conv4", 2, "lda"), "screen")]
    laboratory = Laboratory(study, tmp_path / "laboratory")
    assert laboratory.measure(pairs, lambda fidelity: True, lambda row: None)
    assert stems
