"""A bundle is what was chosen; its secrets stay in the private part."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.cost import cut_costs
from privynet_opt.deploy.bundle import load_bundle
from privynet_opt.deploy.channels import choose_channels, needs_images
from privynet_opt.deploy.choice import choose
from privynet_opt.deploy.export import ExportOptions, export
from privynet_opt.deploy.network_file import load_network
from privynet_opt.deploy.runtime import allocated_bytes, milliseconds, tensor_bytes
from privynet_opt.deploy.self_check import random_images
from privynet_opt.deploy.words import bundle_lines
from privynet_opt.errors import BundleError, DataError, NetworkError, OutputError, StudyError
from privynet_opt.errors import TopologyError as ImpossibleTopology
from privynet_opt.files import write_atomically
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.local import build_local_network
from privynet_opt.selection import kept_channels
from privynet_opt.study_spec import load_study
from privynet_opt.topology import CLOSED_FORM_STRATEGIES, LocalTopology


@pytest.fixture
def choice(answer):
    return choose(answer)


def with_topology(choice, *fields):
    return replace(choice, topology=LocalTopology(*fields))


def test_the_recommended_topology_is_exported_unless_a_row_is_asked_for(answer):
    front = json.loads((answer / "front.json").read_text())
    row = front["front"][2]
    chosen = choose(answer, 3)
    assert chosen.point == row
    assert chosen.topology.cut_layer == row["cut_layer"]
    assert choose(answer).point == front["recommended"]
    with pytest.raises(StudyError, match=rf"\(1 to {len(front['front'])}\), but got point=0"):
        choose(answer, 0)


def test_a_result_of_a_table_that_has_changed_is_refused(answer, tmp_path):
    changed = shutil.copytree(answer, tmp_path / "answer")
    content = json.loads((changed / "front.json").read_text())
    (changed / "front.json").write_text(json.dumps({**content, "answer_sha256": "0" * 64}))
    with pytest.raises(StudyError, match=r"has changed since.*Run it again"):
        choose(changed)
    with pytest.raises(OutputError, match="a folder that `privynet-opt run` or `tune` wrote"):
        choose(tmp_path)


def validated(answer: Path, target: Path, rows: list[dict], broken: str) -> Path:
    """Copy a saved result and validate some of its rows with made-up measurements."""
    shutil.copytree(answer, target)
    points = []
    for row in rows:
        point = {name: row[name] for name in row if not name.startswith("violation")}
        for metric in ("accuracy", "psnr_db", "ssim"):
            point |= {f"measured_{metric}": row[metric] + 1, f"inside_{metric}": False}
        points.append({**point, "broken": broken})
    said = {"predicted_fidelity": "full", "fidelity": "full", "training_seed": 2, "holds": False}
    content = {**said, "same_source": False, "points": points}
    (target / "validation.json").write_text(json.dumps(content))
    return target


def test_what_broke_a_limit_when_validated_is_exported_only_by_its_row(answer, tmp_path):
    front = json.loads((answer / "front.json").read_text())
    rows = [front["recommended"], front["front"][0]]
    broken = validated(answer, tmp_path / "broken", rows, "psnr_db <= 18")
    with pytest.raises(StudyError, match=r"broke psnr_db <= 18 when it was validated at full\."):
        choose(broken)
    asked = choose(broken, 1)
    assert asked.values["validated"]["psnr_db"] == asked.point["psnr_db"] + 1
    assert choose(broken, 2).validated is None
    bundle = export(asked, tmp_path / "bundle", ExportOptions())
    lines = " ".join(bundle_lines(bundle, asked))
    assert "A fresh attack broke psnr_db <= 18." in lines
    assert f"{asked.point['psnr_db'] + 1:.2f} dB (afresh, full)" in lines
    assert "on other images, weights or recipe than predicted" in lines


def test_what_kept_its_limits_when_validated_is_exported_as_it_is(answer, tmp_path):
    rows = [json.loads((answer / "front.json").read_text())["recommended"]]
    assert choose(validated(answer, tmp_path / "kept", rows, "")).validated["broken"] == ""


@pytest.mark.parametrize("strategy", CLOSED_FORM_STRATEGIES)
def test_exported_channels_are_those_every_measurement_keeps(strategy):
    spec = load_study("digits")
    backbone = load_backbone(spec.network.name, spec.network.weights)
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv3"])
    splits = load_splits(spec, None)
    bank = build_bank(FeatureSource(backbone, cut, splits, torch.device("cpu"), keep=True))
    topology = LocalTopology("conv3", 7, strategy)
    images = splits if needs_images(topology, cut) else None
    chosen = choose_channels(topology, backbone, cut, images, {})
    assert chosen == kept_channels(topology, bank.statistics)


def test_searched_and_whole_cuts_need_no_images():
    backbone = load_backbone("small_cnn")
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv3"])
    found = {("conv3", 2): (4, 9), ("conv4", 2): (0, 1)}
    for topology, kept in (
        (LocalTopology("conv3", 2, "searched"), (4, 9)),
        (LocalTopology("conv3", 32, "lda"), tuple(range(32))),
    ):
        assert not needs_images(topology, cut)
        assert choose_channels(topology, backbone, cut, None, found) == kept


@pytest.mark.parametrize("strategy", ["random", "privynet"])
def test_a_drawn_choice_is_told_by_the_private_part_alone(choice, strategy, tmp_path):
    drawn = with_topology(choice, "conv3", 5, strategy, 2)
    bundle = export(drawn, tmp_path / "bundle", ExportOptions())
    public = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    private = json.loads((tmp_path / "bundle" / "private.json").read_text())
    assert private["selection_seed"] == 2
    assert len(set(private["kept_channels"])) == 5
    assert public["topology"] == {
        "cut_layer": "conv3",
        "kept_filters": 5,
        "selection_strategy": strategy,
        "choice_is_secret": True,
    }
    text = json.dumps(public)
    for name in ("kept_channels", "seed", "predicted", "measured_", "salt", "network_sha256"):
        assert name not in text
    assert private["network_sha256"] not in text
    assert bundle.told("values") == private["values"]
    for name in ("private.json", "network.pt2"):
        assert (tmp_path / "bundle" / name).stat().st_mode & 0o777 == 0o600
    (tmp_path / "plain").touch()
    public_mode = (tmp_path / "bundle" / "manifest.json").stat().st_mode
    assert public_mode == (tmp_path / "plain").stat().st_mode


def numbers_in(content):
    """Return every number of a JSON object that is no whole one."""
    if isinstance(content, dict | list):
        inner = content.values() if isinstance(content, dict) else content
        return [number for item in inner for number in numbers_in(item)]
    return [content] if isinstance(content, float) else []


def channels_named(content, choice):
    """Look all numbers up among the statistics of all channels on images that anyone has."""
    backbone = load_backbone("small_cnn", choice.spec.network.weights)
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv3"])
    whole = build_local_network(backbone, cut, range(cut.channels))
    study = load_splits(choice.spec, None).cloud.images
    found = set()
    with torch.no_grad():
        for images in (study, study[:100], random_images(8)):
            seen = whole(backbone.normalise(images)).transpose(0, 1).flatten(1)
            low, high = seen.amin(1), seen.amax(1)
            largest = seen.abs().amax(1)
            steps = [(high - low) / (2**bits - 1) for bits in (4, 8)]
            for known in (low, high, largest, seen.mean(1), seen.std(1), *steps):
                for number in numbers_in(content):
                    is_it = (known - number).abs() <= 1e-5 * abs(number)
                    found |= set(is_it.nonzero().flatten().tolist()) if number else set()
    return found


@pytest.mark.parametrize(("bits", "ending"), [(32, "pt2"), (16, "onnx"), (8, "onnx"), (4, "pt2")])
def test_a_manifest_says_nothing_of_what_was_drawn(choice, tmp_path, bits, ending):
    options = ExportOptions(bits=bits, file_format=ending)
    bundles = [
        export(with_topology(choice, "conv3", 5, "random", seed), tmp_path / str(seed), options)
        for seed in (2, 3)
    ]
    kept = [set(bundle.private["kept_channels"]) for bundle in bundles]
    assert kept[0] != kept[1]
    assert not channels_named(bundles[0].manifest.content, choice)
    public = [{**bundle.manifest.content, "bundle_id": ""} for bundle in bundles]
    assert public[0] == public[1]
    if bits == 32:  # the look-up is one that finds what is told
        assert channels_named(bundles[0].private["self_check"], choice) & kept[0]


def test_a_choice_anyone_can_repeat_is_told_with_its_predictions(choice, tmp_path):
    ranked = with_topology(choice, "conv3", 5, "magnitude")
    bundle = export(ranked, tmp_path / "bundle", ExportOptions())
    public = bundle.manifest.content
    assert not public["topology"]["choice_is_secret"]
    assert public["values"]["predicted"]["accuracy"][1] == choice.point["accuracy"]
    assert "values" not in bundle.private


def test_drawn_filters_come_in_an_order_that_nobody_knows(choice, tmp_path):
    drawn = with_topology(choice, "conv3", 16, "random", 1)
    orders = [
        export(drawn, tmp_path / str(n), ExportOptions()).private["kept_channels"] for n in range(2)
    ]
    ascending = sorted(orders[0])
    assert sorted(orders[1]) == ascending
    assert orders[0] != orders[1] != ascending != orders[0]
    ranked = with_topology(choice, "conv3", 16, "lda")
    kept = export(ranked, tmp_path / "lda", ExportOptions()).private["kept_channels"]
    assert kept == sorted(kept)


def test_the_level_of_the_intervals_is_told_as_asked(choice, tmp_path):
    surer = replace(choice, confidence=0.975)
    bundle = export(surer, tmp_path / "b", ExportOptions())
    assert "97.5% interval" in "\n".join(bundle_lines(bundle, surer))


def test_a_secret_seed_draws_other_filters_each_time(choice, tmp_path):
    drawn = with_topology(choice, "conv3", 16, "random")
    options = ExportOptions(secret_seed=True)
    privates = [export(drawn, tmp_path / str(n), options).private for n in range(2)]
    assert set(privates[0]["kept_channels"]) != set(privates[1]["kept_channels"])
    assert min(private["selection_seed"] for private in privates) > 2**32
    secret = load_bundle(tmp_path / "0")
    assert "of the study's own draw" in " ".join("\n".join(bundle_lines(secret, drawn)).split())
    assert not privates[0]["values"]["measured"]
    with pytest.raises(ImpossibleTopology, match="conv3, 16 filters by lda draws none"):
        export(with_topology(choice, "conv3", 16, "lda"), tmp_path / "no", options)


def test_privynet_with_nothing_left_to_draw_is_no_secret(choice, tmp_path):
    ranked = with_topology(choice, "conv3", 16, "privynet")  # of 32, 16 of which it drops
    with pytest.raises(ImpossibleTopology, match="conv3, 16 filters by privynet draws none"):
        export(ranked, tmp_path / "no", ExportOptions(secret_seed=True))
    bundle = export(ranked, tmp_path / "b", ExportOptions())
    assert not bundle.manifest.content["topology"]["choice_is_secret"]
    assert bundle.private["kept_channels"] == sorted(bundle.private["kept_channels"])
    assert "drawn" not in "\n".join(bundle_lines(bundle, ranked))


def test_costs_and_memory_of_the_exported_network_are_the_predicted_ones(choice, tmp_path):
    ranked = with_topology(choice, "conv3", 5, "magnitude")
    costs = {n: int(v) for n, v in cut_costs(choice.table.cuts["conv3"], 5).items()}
    ranked = replace(ranked, point={**choice.point, **costs})
    public = export(ranked, tmp_path / "bundle", ExportOptions()).manifest.content
    image = 3 * 8 * 8
    peak = public["costs"]["peak_activation_bytes"]
    assert peak == costs["peak_activation_bytes"]
    # beyond the estimate: the 8-bit image that the caller holds
    assert peak <= public["runtime"]["tensor_bytes"] <= peak + image
    assert public["runtime"]["allocated_bytes"] >= public["runtime"]["tensor_bytes"]
    assert set(public["runtime"]["milliseconds"]) == {"pytorch", "pytorch, pt2 file"}
    assert min(public["runtime"]["milliseconds"].values()) > 0


def test_allocated_bytes_are_those_of_tensors_that_are_alive_together():
    class Doubling(torch.nn.Module):
        def forward(self, images):
            return (images * 2) * 2

    images = torch.zeros(1000)
    assert tensor_bytes(Doubling(), images) == 12_000
    assert 12_000 <= allocated_bytes(Doubling(), images) < 12_100  # and the number 2 itself
    assert milliseconds(Doubling(), images, seconds=0.01) < 1000


@pytest.mark.parametrize("strategy", ["lda", "random"])
def test_features_of_a_file_equal_those_of_the_network_in_memory(choice, tmp_path, strategy):
    bundle = export(with_topology(choice, "conv3", 16, strategy), tmp_path / "b", ExportOptions())
    backbone = load_backbone("small_cnn", choice.spec.network.weights)
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv3"])
    local = build_local_network(backbone, cut, bundle.private["kept_channels"])
    images = load_splits(choice.spec, None).score.images
    expected = local(backbone.normalise(images))
    torch.testing.assert_close(load_network(bundle.network_path, 8)(images), expected)


def test_other_weights_and_images_are_refused_unless_allowed(choice, tmp_path):
    other = tmp_path / "other.pth"
    torch.save(load_backbone("small_cnn").network.state_dict(), other)
    for given, how in (("none", "not that file"), (str(other), "[0-9a-f]{12}…")):
        said = rf"were measured \(small_cnn\.pth.*{Path(given).name} is {how}.*--allow-other"
        with pytest.raises(NetworkError, match=said):
            export(choice, tmp_path / "bundle", ExportOptions(weights=given))
    assert not (tmp_path / "bundle").exists()
    bundle = export(choice, tmp_path / "b", ExportOptions(weights="none", allow_other=True))
    assert bundle.manifest.content["network"]["weights_as_measured"] is False
    more = replace(choice.spec.characterization, n_cloud=300)
    other = replace(choice, spec=replace(choice.spec, characterization=more))
    other = with_topology(other, "conv3", 5, "lda")
    with pytest.raises(DataError, match="must be the images that were measured, but the cloud's"):
        export(other, tmp_path / "c", ExportOptions())
    allowed = export(other, tmp_path / "d", ExportOptions(allow_other=True))
    assert allowed.manifest.content["data"]["images_as_measured"] is False
    assert allowed.told("self_check")["images"] == "other images than the study's"
    assert "Images: not those that were measured: " in "\n".join(bundle_lines(allowed, other))
    same = export(with_topology(choice, "conv3", 5, "lda"), tmp_path / "e", ExportOptions())
    assert same.manifest.content["data"]["images_as_measured"] is True
    assert same.told("self_check")["images"] == "images of the study"
    assert "Images: not" not in "\n".join(bundle_lines(same, choice))


def test_a_bundle_without_a_private_part_has_no_manifest(choice, tmp_path, monkeypatch):
    def full(path, content, mode=None):
        if path.name == "private.json":
            raise OutputError("no space")
        return write_atomically(path, content, mode)

    monkeypatch.setattr("privynet_opt.deploy.bundle.write_atomically", full)
    with pytest.raises(OutputError, match="no space"):
        export(choice, tmp_path, ExportOptions())
    monkeypatch.undo()
    assert not (tmp_path / "manifest.json").exists()
    assert load_bundle(export(choice, tmp_path, ExportOptions()).directory)


def test_a_bundle_is_not_written_over(exported, choice):
    bundle = exported()
    with pytest.raises(OutputError, match="must not hold a bundle yet"):
        export(choice, bundle.directory, ExportOptions())


@pytest.mark.parametrize("name", ["network.pt2", "manifest.json"])
def test_a_changed_file_of_a_bundle_is_named(exported, name, tmp_path):
    bundle = shutil.copytree(exported().directory, tmp_path / "bundle")
    assert load_bundle(bundle).manifest == exported().manifest
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    with pytest.raises(BundleError, match=rf"{name} has the hash .*private.json states"):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}.*[Ee]xport (it )?again"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["salt", "kept_channels"])
def test_a_private_part_without_a_field_is_named(exported, name, tmp_path):
    bundle = shutil.copytree(exported().directory, tmp_path / "bundle")
    private = json.loads((bundle / "private.json").read_text())
    del private[name]
    (bundle / "private.json").write_text(json.dumps(private))
    with pytest.raises(BundleError, match=rf"must have `{name}`.*private\.json has not"):
        load_bundle(bundle)


def test_what_was_measured_with_few_bits_is_sent_in_them_unless_others_are_asked_for(
    choice, tmp_path
):
    coded = replace(choice, topology=replace(choice.topology, feature_bits=4))
    bundle = export(coded, tmp_path / "b", ExportOptions())
    assert bundle.manifest.coding.bits == 4
    assert "were predicted for features of" not in "\n".join(bundle_lines(bundle, coded))
    other = export(coded, tmp_path / "c", ExportOptions(bits=16))
    assert other.manifest.coding.bits == 16
    assert "were predicted for features of 4 bits" in "\n".join(bundle_lines(other, coded))
