"""A folder of features goes to the cloud as it is: nothing else may lie in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from privynet_opt.deploy.bundle import read_manifest
from privynet_opt.deploy.extract import extract
from privynet_opt.deploy.feature_folder import open_features
from privynet_opt.errors import BundleError, OutputError

OTHERS = [
    "cloud.safetensors",
    "training.json",
    "front.csv",
    "bundle/private.json",
    "5/000.png",
    "empty/",
    ".private.json.abcd_123",
    "train-00999.safetensors",
    "train-00000.safetensors.txt",
]


def contents(folder):
    """Return all that lies in a folder by its path."""
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def put(folder, name):
    path = folder / name
    if name.endswith("/"):
        path.mkdir()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")


@pytest.mark.parametrize(
    "name", [*OTHERS, "manifest.json", "SHA256SUMS", "train-00000.safetensors", "manifest.json/x"]
)
def test_features_need_a_folder_of_their_own(exported, digit_folder, tmp_path, name):
    put(tmp_path, name)
    before = contents(tmp_path)
    words = rf"folder of its own.*{tmp_path} holds .*{name.split('/')[0]}.*Choose an empty --output"
    with pytest.raises(OutputError, match=words):
        extract(exported(), digit_folder, tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_lies_in_the_folder_that_is_sent(
    features, exported, digit_folder, tmp_path, name
):
    copy = Path(shutil.copytree(features.directory, tmp_path / "copy"))
    put(copy, name)
    before = contents(copy)
    words = rf"folder of its own.*{copy} holds {name.split('/')[0]}.*move away what is not of these"
    with pytest.raises(OutputError, match=words):
        extract(exported(), digit_folder, copy, shard_images=50)
    assert contents(copy) == before


def test_the_folder_of_an_answer_and_its_bundle_is_refused(exported, digit_folder, tmp_path):
    bundle = exported()
    shutil.copytree(bundle.directory, tmp_path / "answer" / "bundle")
    (tmp_path / "answer" / "front.json").write_text("{}")
    with pytest.raises(OutputError, match="answer holds bundle/ and 1 more"):
        extract(bundle, digit_folder, tmp_path / "answer")


def test_what_a_killed_run_left_is_no_hindrance(exported, digit_folder, tmp_path):
    bundle = exported()
    shutil.copy(bundle.directory / "manifest.json", tmp_path)
    left = [".manifest.json.abcd_123", ".features.json.0123wxyz"]
    for name in left:
        (tmp_path / name).write_text("{")
    extract(bundle, digit_folder, tmp_path, shard_images=50)
    left += [".SHA256SUMS.abcd_123", ".train-00001.safetensors.________"]
    for name in left:
        (tmp_path / name).write_text("{")
    extract(bundle, digit_folder, tmp_path, shard_images=50)
    assert not [name for name in left if (tmp_path / name).exists()]  # nobody reads them


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 5),
        ("classes", [5, 6]),
        ("mirrored", "no"),
        ("images_sha256", None),
        ("shards", {"name": "x"}),
        ("shards", [{"name": "train-00000.safetensors", "part": 1, "start": 0, "stop": 50}]),
        (
            "shards",
            [{"name": "train-00000.safetensors", "part": "train", "start": "0", "stop": 50}],
        ),
        ("shards", [{"name": "train-00000.safetensors", "part": "train", "start": 0}]),
    ],
)
def test_an_index_with_an_entry_of_another_type_is_refused(features, tmp_path, name, value):
    copy = Path(shutil.copytree(features.directory, tmp_path / "copy"))
    index = json.loads((copy / "features.json").read_text())
    (copy / "features.json").write_text(json.dumps(index | {name: value}))
    with pytest.raises(BundleError, match=rf"`{name}` of features\.json must .*Copy it again"):
        open_features(copy)


@pytest.mark.parametrize(
    "coding", [{}, 5, {"bits": 7, "shape": [1, 2, 2]}, {"bits": 8, "shape": 3}]
)
def test_a_manifest_with_another_coding_is_refused(features, tmp_path, coding):
    content = json.loads((features.directory / "manifest.json").read_text())
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(content | {"coding": coding}))
    with pytest.raises(BundleError, match=f"`coding` of a manifest must be .*{path} has another"):
        read_manifest(path)


def test_the_manifest_of_another_bundle_is_not_sent(features, exported, digit_folder, tmp_path):
    copy = Path(shutil.copytree(features.directory, tmp_path / "copy"))
    shutil.copy(exported(bits=16).directory / "manifest.json", copy)
    with pytest.raises(OutputError, match=r"holds the manifest\.json of another bundle"):
        extract(exported(), digit_folder, copy, shard_images=50)
