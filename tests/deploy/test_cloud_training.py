"""The cloud network learns from features alone, and a training that was killed ends the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from privynet_opt.deploy.cloud_model import load_cloud_model
from privynet_opt.deploy.cloud_training import train_cloud
from privynet_opt.deploy.extract import extract
from privynet_opt.deploy.feature_folder import open_features
from privynet_opt.errors import BundleError, DataWarning, OutputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def features(exported, digit_folder, tmp_path_factory):
    """The digits and their mirror images; not to be changed."""
    folder = tmp_path_factory.mktemp("features")
    return extract(
        exported(mirrorable=True), digit_folder, folder, mirrored=True, shard_images=50
    ).folder


class StoppedError(Exception):
    """Stands for a kill, right after an epoch was kept."""


def train_stopped_after(features, output, epochs, whole):
    def watch(epoch, _):
        if epoch == epochs:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_cloud(features, output, whole, watch=watch)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_digits_are_learned_and_counted_by_class(features, tmp_path):
    metrics = train_cloud(features, tmp_path, epochs=12)
    assert metrics == json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["accuracy"] > 0.6  # 0.2 is guessing
    confusion = torch.tensor(metrics["confusion"])
    assert int(confusion.sum()) == metrics["test_images"] == 24
    assert metrics["train_images"] == 240 - 24
    assert metrics["accuracy"] == int(confusion.diagonal().sum()) / 24
    for row, (name, score) in zip(confusion, metrics["classes"].items(), strict=True):
        assert score["images"] == int(row.sum())
        hits = int(row[features.class_names.index(name)])
        assert score["accuracy"] == pytest.approx(hits / score["images"])


def test_a_training_stopped_after_any_epoch_ends_with_the_same_network(features, tmp_path):
    train_cloud(features, tmp_path / "whole", epochs=4)
    for epoch in (1, 3):
        train_stopped_after(features, tmp_path / f"after{epoch}", epoch, whole=4)
        assert not (tmp_path / f"after{epoch}" / "cloud.safetensors").exists()
        train_cloud(features, tmp_path / f"after{epoch}", epochs=4)
        assert files(tmp_path / f"after{epoch}") == files(tmp_path / "whole")


def test_a_training_killed_by_the_system_ends_with_the_same_network(features, tmp_path):
    command = [sys.executable, "-m", "privynet_opt", "train-cloud", str(features.directory)]
    command += ["--epochs", "4", "--output"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([*command, str(killed)], env=environment, stdout=subprocess.PIPE)
    while process.poll() is None and not (killed / "checkpoint.pt").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    subprocess.run([*command, str(killed)], env=environment, check=True, capture_output=True)
    torch.set_num_threads(1)
    train_cloud(features, whole, epochs=4)
    (killed / "checkpoint.tmp").unlink(missing_ok=True)
    assert files(killed) == files(whole)


def test_a_finished_training_is_not_repeated(features, tmp_path):
    first = train_cloud(features, tmp_path, epochs=1)

    def watch(*_):
        raise AssertionError("it was trained again")

    assert train_cloud(features, tmp_path, epochs=1, watch=watch) == first


def test_another_recipe_in_the_same_folder_is_refused(features, tmp_path):
    train_cloud(features, tmp_path, epochs=1)
    with pytest.raises(OutputError, match="must hold a training with the same seed"):
        train_cloud(features, tmp_path, epochs=1, seed=1)
    with pytest.raises(OutputError, match="the same recipe"):
        train_cloud(features, tmp_path, epochs=2)


def test_another_bundle_other_classes_and_mirrored_are_refused(features, tmp_path):
    train_stopped_after(features, tmp_path, 1, whole=2)

    def watch(*_):
        raise AssertionError("it was trained in vain")

    manifest = replace(features.manifest, sha256="0" * 64)
    names = tuple(f"{name}!" for name in features.class_names)
    for other, word in (
        (replace(features, manifest=manifest), "bundle"),
        (replace(features, class_names=names), "classes"),
        (replace(features, mirrored=False), "mirrored"),
    ):
        with pytest.raises(OutputError, match=f"must hold a training with the same {word}"):
            train_cloud(other, tmp_path, epochs=2, watch=watch)


def test_old_metrics_need_a_model_that_can_be_loaded(features, tmp_path):
    train_cloud(features, tmp_path, epochs=1)
    for name, words in (
        ("metrics.json", r"metrics\.json cannot be used"),
        ("cloud.safetensors", "cloud network must be readable"),
        ("training.json", r"training\.json cannot be used .*Train again"),
    ):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(BundleError, match=words):
            train_cloud(features, tmp_path, epochs=1)


def test_a_damaged_checkpoint_is_named(features, tmp_path):
    train_stopped_after(features, tmp_path, 1, whole=2)
    path = tmp_path / "checkpoint.pt"
    for content in (path.read_bytes()[:-1000], b"", b"none"):
        path.write_bytes(content)
        with pytest.raises(OutputError, match=f"{path} cannot be used .*Delete it"):
            train_cloud(features, tmp_path, epochs=2)
    path.unlink()
    assert train_cloud(features, tmp_path, epochs=2)["epochs"] == 2


def test_a_training_has_a_folder_of_its_own(features, exported):
    for folder, words in (
        (features.directory, "holds features"),
        (exported().directory, "must not be a bundle"),
    ):
        with pytest.raises(OutputError, match=words):
            train_cloud(features, folder, epochs=1)


def test_test_images_that_came_apart_are_the_ones_scored(exported, digit_folder, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(digit_folder, tmp_path / "images" / part)
    for extra in sorted((tmp_path / "images" / "test" / "5").glob("*.png"))[1:]:
        extra.unlink()
    folder = extract(exported(), tmp_path / "images", tmp_path / "out").folder
    metrics = train_cloud(folder, tmp_path / "cloud", epochs=1)
    assert metrics["train_images"] == 240
    assert metrics["classes"]["5"]["images"] == 1
    assert metrics["test_images_are"] == "the test part"


def test_a_test_part_of_no_readable_image_is_none(exported, digit_folder, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(digit_folder, tmp_path / "images" / part)
    for path in (tmp_path / "images" / "test").rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.warns(DataWarning):
        done = extract(exported(), tmp_path / "images", tmp_path / "out", skip_bad=True)
    metrics = train_cloud(done.folder, tmp_path / "cloud", epochs=1)
    assert metrics["test_images_are"] == "held out of training"
    assert metrics["train_images"] + metrics["test_images"] == 240


def test_incomplete_damaged_and_few_features_are_refused(
    features, digit_folder, tmp_path, exported
):
    copy = Path(shutil.copytree(features.directory, tmp_path / "copy"))
    shard = copy / features.shards[1].name
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(BundleError, match=f"{shard} .*truncated or changed"):
        train_cloud(open_features(copy), tmp_path / "cloud", epochs=1)
    shard.unlink()
    with pytest.raises(BundleError, match=f"{shard} is missing"):
        train_cloud(open_features(copy), tmp_path / "cloud", epochs=1)
    with pytest.raises(BundleError, match=r"has no features\.json"):
        open_features(tmp_path)
    few = tmp_path / "few"
    for name in "56789":
        (few / name).mkdir(parents=True)
        shutil.copy(next((digit_folder / name).iterdir()), few / name)
    folder = extract(exported(), few, tmp_path / "little").folder
    with pytest.raises(BundleError, match=r"20 training images or more, but .* has 5"):
        train_cloud(folder, tmp_path / "cloud", epochs=1)
    with pytest.raises(BundleError, match=r"20 training images or more, but .* has 0"):
        train_cloud(replace(folder, shards=()), tmp_path / "none", epochs=1)


def test_finished_metrics_that_were_emptied_are_named(features, tmp_path):
    train_cloud(features, tmp_path, epochs=1)
    (tmp_path / "metrics.json").write_text('{"accuracy": 1.0}')
    with pytest.raises(BundleError, match=r"metrics\.json must be one that .*train-cloud"):
        train_cloud(features, tmp_path, epochs=1)


def test_the_saved_network_is_the_trained_one_and_names_its_bundle(features, tmp_path):
    metrics = train_cloud(features, tmp_path, epochs=6)
    model = load_cloud_model(tmp_path)
    assert model.class_names == features.class_names
    coded = torch.cat([shard["features"] for shard in features.part("train")])
    labels = torch.cat([shard["labels"] for shard in features.part("train")])
    probabilities = model.probabilities(coded)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(240))
    hits = float((probabilities.argmax(1) == labels).float().mean())
    assert hits >= metrics["accuracy"] - 0.2 > 0.3
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("small_cnn", "vgg16"))
    with pytest.raises(BundleError, match="beside the manifest it was trained with"):
        load_cloud_model(tmp_path)
    (tmp_path / "cloud.safetensors").write_bytes(b"none")
    with pytest.raises(BundleError, match=r"must be readable, but .*Train it again"):
        load_cloud_model(tmp_path)
