"""Extracted features are those of the network, whole or named as damaged, also after kill -9."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.cli import main
from privynet_opt.datasets.folder import load_folder
from privynet_opt.deploy.choice import choose
from privynet_opt.deploy.cloud_training import train_cloud
from privynet_opt.deploy.extract import extract
from privynet_opt.deploy.feature_folder import open_features
from privynet_opt.deploy.network_file import load_network
from privynet_opt.errors import BundleError, DataError, DataWarning, OutputError

ROOT = Path(__file__).resolve().parents[2]


def whole(folder, name):
    return torch.cat([shard[name] for shard in folder.part("train")])


def in_order_of(bundle, features, other):
    """Return features of another bundle in this one's order, which is secret where it is drawn."""
    drawn, kept = bundle.private["kept_channels"], other.private["kept_channels"]
    return features[:, [kept.index(channel) for channel in drawn]]


def test_features_and_labels_are_those_of_every_image_in_order(features, exported, digit_folder):
    images = load_folder(digit_folder, 8)
    assert features.class_names == images.class_names
    assert [s.stop - s.start for s in features.shards] == [50, 50, 50, 50, 40]
    torch.testing.assert_close(whole(features, "labels"), images.labels)
    expected = load_network(exported().network_path, 8)(images.images)
    torch.testing.assert_close(whole(features, "features"), expected)


@pytest.mark.parametrize(("bits", "ending"), [(4, "pt2"), (8, "onnx"), (16, "onnx")])
def test_coded_features_are_as_small_as_they_were_said_to_be(
    exported, answer, digit_folder, tmp_path, bits, ending
):
    bundle = exported(bits=bits, file_format=ending)
    folder = extract(bundle, digit_folder, tmp_path).folder
    coding = bundle.manifest.coding
    coded = whole(folder, "features")
    assert coded[0].numel() * coded.element_size() == coding.bytes_per_image
    decoded = coding.decode(coded)
    other = exported()
    plain = whole(extract(other, digit_folder, tmp_path / "plain").folder, "features")
    plain = in_order_of(bundle, plain, other)
    allowed = 0.02
    if bits <= 8:
        images = load_splits(choose(answer).spec, None).cloud.images
        features = load_network(other.network_path, 8)(images)
        lowest, step = coding.ranges([in_order_of(bundle, features, other)])
        plain = ((plain - lowest) / step / (2**bits - 1)).clamp(0, 1)
        allowed = 0.51 / (2**bits - 1)
    assert 0 < (decoded - plain).abs().max() <= allowed


@pytest.mark.parametrize(("ending", "expected"), [("onnx", {1}), ("pt2", {2})])
def test_beside_onnxruntime_torch_works_in_one_thread_until_all_images_are_done(
    exported, digit_folder, tmp_path, monkeypatch, ending, expected
):
    bundle, seen = exported(file_format=ending), set()

    def load_watched(*told):
        run = load_network(*told)

        def watched(images):
            seen.add(torch.get_num_threads())
            return run(images)

        return watched

    monkeypatch.setattr("privynet_opt.deploy.extract.load_network", load_watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        extract(bundle, digit_folder, tmp_path)
        assert (seen, torch.get_num_threads()) == (expected, 2)
    finally:
        torch.set_num_threads(before)


def test_mirrored_features_are_those_of_mirrored_images(exported, digit_folder, tmp_path):
    bundle = exported(mirrorable=True)
    folder = extract(bundle, digit_folder, tmp_path, mirrored=True).folder
    images = load_folder(digit_folder, 8).images.flip(-1).contiguous()
    expected = load_network(bundle.network_path, 8)(images)
    torch.testing.assert_close(whole(folder, "mirrored"), expected)


@pytest.fixture
def parted(digit_folder, tmp_path):
    """The digits as training images, and most of them as test images again."""
    for part in ("train", "test"):
        shutil.copytree(digit_folder, tmp_path / "images" / part)
    for extra in (tmp_path / "images" / "test" / "5").glob("*.png"):
        extra.unlink()
    return tmp_path / "images"


def test_only_training_images_are_mirrored(exported, parted, tmp_path, capsys):
    folder = extract(exported(mirrorable=True), parted, tmp_path / "out", mirrored=True).folder
    held = {part: [set(shard) for shard in folder.part(part)] for part in ("train", "test")}
    assert held["train"] == [{"features", "labels", "mirrored"}] * len(held["train"])
    assert held["test"] == [{"features", "labels"}] * len(held["test"]) != []
    metrics = train_cloud(open_features(tmp_path / "out"), tmp_path / "cloud", epochs=1)
    assert (metrics["train_images"], metrics["mirrored"]) == (240, True)
    assert metrics["test_images_are"] == "the test part"
    assert main(["extract", "--help"]) == 0
    assert "features of the training images mirrored" in " ".join(capsys.readouterr().out.split())


def test_training_shards_that_are_not_mirrored_as_told_are_named(features, tmp_path):
    shutil.copytree(features.directory, tmp_path / "copy")
    index = json.loads((tmp_path / "copy" / "features.json").read_text())
    index["mirrored"] = True
    (tmp_path / "copy" / "features.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match="must hold features"):
        next(open_features(tmp_path / "copy").part("train"))


def test_train_and_test_folders_stay_apart(exported, parted, tmp_path):
    folder = extract(exported(), parted, tmp_path / "out").folder
    n = {part: sum(len(s["labels"]) for s in folder.part(part)) for part in ("train", "test")}
    assert n["train"] == 240 > n["test"] > 0


def test_a_folder_without_images_is_no_class(exported, digit_folder, tmp_path):
    shutil.copytree(digit_folder, tmp_path / "images")
    (tmp_path / "images" / "a-result").mkdir()
    with pytest.warns(DataWarning, match="no class, for want of images: a-result in"):
        folder = extract(exported(), tmp_path / "images", tmp_path / "out").folder
    assert folder.class_names == ("5", "6", "7", "8", "9")


def run_and_kill(bundle, data, output, after_shards):
    """Start `extract` in a process of its own and kill it once so many shards are finished."""
    command = [sys.executable, "-m", "privynet_opt", "extract", str(bundle), "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--output", str(output), "--shard-images", "5"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    while process.poll() is None and len(list(output.glob("*.safetensors"))) < after_shards:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode


def test_a_killed_run_ends_with_the_bits_of_an_undisturbed_one(exported, digit_folder, tmp_path):
    bundle = exported()
    undisturbed = extract(bundle, digit_folder, tmp_path / "whole", shard_images=5).folder
    killed = run_and_kill(bundle.directory, digit_folder, tmp_path / "killed", 7)
    assert killed == -signal.SIGKILL
    half = open_features(tmp_path / "killed")
    assert 0 < len(half.unfinished()) < len(half.shards)
    with pytest.raises(BundleError, match=r"is missing or unfinished \(\d+ of 48 shards are"):
        half.check()
    (half.directory / "SHA256SUMS").open("a").write("a torn li")
    resumed = extract(bundle, digit_folder, tmp_path / "killed", shard_images=5)
    assert resumed.n_extracted == sum(s.stop - s.start for s in half.shards) - 5 * (
        len(half.shards) - resumed.n_extracted // 5
    )
    for shard in undisturbed.shards:
        paths = [tmp_path / name / shard.name for name in ("whole", "killed")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert resumed.folder.sums() == undisturbed.sums()


def test_a_truncated_shard_is_named_and_made_again(features, exported, digit_folder, tmp_path):
    shutil.copytree(features.directory, tmp_path / "copy")
    folder = open_features(tmp_path / "copy")
    folder.check()
    path = tmp_path / "copy" / folder.shards[2].name
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(BundleError, match=rf"{path} .*does not have the hash in SHA256SUMS"):
        folder.check()
    again = extract(exported(), digit_folder, tmp_path / "copy", shard_images=50)
    assert again.n_extracted == 50
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", [b"train\xff\xfe00001.safetensors", b"train-00001.safe"])
def test_a_damaged_checksum_is_as_none(features, exported, digit_folder, tmp_path, name):
    shutil.copytree(features.directory, tmp_path / "copy")
    folder = open_features(tmp_path / "copy")
    sums = tmp_path / "copy" / "SHA256SUMS"
    lines = sums.read_bytes().splitlines(keepends=True)
    sums.write_bytes(b"".join([lines[0], lines[1][:66] + name + b"\n", *lines[2:]]))
    with pytest.raises(BundleError, match=f"{folder.shards[1].name} is missing or unfinished"):
        folder.check()
    again = extract(exported(), digit_folder, tmp_path / "copy", shard_images=50)
    assert again.n_extracted == 50
    assert sorted(sums.read_bytes().splitlines(keepends=True)) == sorted(lines)


def test_a_folder_in_place_of_the_checksums_is_no_traceback(features, tmp_path):
    shutil.copytree(features.directory, tmp_path / "copy")
    (tmp_path / "copy" / "SHA256SUMS").unlink()
    (tmp_path / "copy" / "SHA256SUMS").mkdir()
    with pytest.raises(BundleError, match="is missing or unfinished"):
        open_features(tmp_path / "copy").check()


@pytest.mark.parametrize("text", ["[]", '["format_version"]', '"features"', "1", "null", "{", "é"])
def test_an_index_that_is_no_object_is_refused(features, exported, digit_folder, tmp_path, text):
    copy = Path(shutil.copytree(features.directory, tmp_path / "copy"))
    (copy / "features.json").write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match=r"features\.json cannot be used \(\w+\)\. Extract into"):
        open_features(copy)
    with pytest.raises(BundleError, match="cannot be used"):
        extract(exported(), digit_folder, copy, shard_images=50)


def test_a_shard_of_another_shape_is_named(features, tmp_path):
    shutil.copytree(features.directory, tmp_path / "copy")
    folder = open_features(tmp_path / "copy")
    path = tmp_path / "copy" / folder.shards[0].name
    right = {name: tensor.clone() for name, tensor in folder.read(folder.shards[0]).items()}
    labels = right["labels"]
    for wrong in (
        right | {"features": torch.zeros(50, 1, 1, 1)},
        right | {"labels": labels[:-1]},
        right | {"labels": labels.float()},
        right | {"labels": labels + 5},  # beyond the classes
        right | {"labels": labels - 1},
        right | {"labels": labels[:, None]},
        right | {"more": labels.clone()},
        {"labels": labels},
        {"features": right["features"]},
    ):
        path.write_bytes(safetensors.torch.save(wrong))
        with pytest.raises(BundleError, match=r"hold features .* and a label below 5 for each"):
            folder.read(folder.shards[0])


def test_another_bundle_and_other_images_are_refused(features, exported, digit_folder, tmp_path):
    with pytest.raises(OutputError, match="must hold features of the same bundle"):
        extract(exported(bits=16), digit_folder, features.directory, shard_images=50)
    more = shutil.copytree(digit_folder, tmp_path / "more")
    shutil.copy(next((more / "5").iterdir()), more / "5" / "new.png")
    with pytest.raises(OutputError, match="must hold features of the same images"):
        extract(exported(), more, features.directory, shard_images=50)
    with pytest.raises(OutputError, match=r"same shards \(--shard-images\)"):
        extract(exported(), digit_folder, features.directory, shard_images=60)


def test_a_file_that_changed_and_kept_its_size_is_noticed(exported, digit_folder, tmp_path):
    images = shutil.copytree(digit_folder, tmp_path / "images")
    extract(exported(), images, tmp_path / "out")
    first, second = (images / "5" / name for name in sorted(os.listdir(images / "5"))[:2])
    content, size = first.read_bytes(), second.stat().st_size
    second.write_bytes(content[:size].ljust(size, b" "))
    with pytest.raises(OutputError, match=r"same images .*dates of change"):
        extract(exported(), images, tmp_path / "out")


def test_file_names_need_not_be_utf_8_but_classes_do(exported, digit_folder, tmp_path):
    images = os.fsencode(shutil.copytree(digit_folder, tmp_path / "images"))
    os.rename(sorted(Path(os.fsdecode(images), "5").iterdir())[0], images + b"/5/\xff.png")
    assert extract(exported(), Path(os.fsdecode(images)), tmp_path / "out").n_extracted == 240
    os.rename(images + b"/5", images + b"/\xff")
    with pytest.raises(DataError, match="must have a name in UTF-8"):
        extract(exported(), Path(os.fsdecode(images)), tmp_path / "no")


def test_features_never_go_into_a_bundle(exported, digit_folder):
    bundle = exported()
    before = {path.name: path.read_bytes() for path in bundle.directory.iterdir()}
    with pytest.raises(OutputError, match=r"must not be a bundle.*private\.json"):
        extract(bundle, digit_folder, bundle.directory)
    assert {path.name: path.read_bytes() for path in bundle.directory.iterdir()} == before


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"colour": "red"}, "must have name, part, start, stop each"),
        ({"name": "../outside.safetensors"}, "must lie in its folder"),
    ],
)
def test_a_changed_list_of_shards_is_refused(features, tmp_path, told, words):
    copy = Path(shutil.copytree(features.directory, tmp_path / "copy"))
    index = json.loads((copy / "features.json").read_text())
    index["shards"][0] |= told
    (copy / "features.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match=words):
        open_features(copy)


def test_features_say_nothing_that_is_private(features, exported):
    private = exported().private
    texts = [
        path.read_text() for path in features.directory.iterdir() if path.suffix != ".safetensors"
    ]
    for secret in ("salt", "network_sha256"):
        assert not any(private[secret] in text for text in texts)
    assert not any("kept_channels" in text for text in texts)
