"""Images that cannot be extracted are told in one line; what was finished before them is kept."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from privynet_opt.deploy.extract import extract
from privynet_opt.errors import BundleError, DataError, DataWarning


def whole(folder, name):
    return torch.cat([shard[name] for shard in folder.part("train")])


def test_images_without_labels_are_told_from_no_images(exported, digit_folder, tmp_path):
    flat = digit_folder / "5"
    n = len(list(flat.iterdir()))
    with pytest.raises(DataError, match=rf"has {n} images and no labels\. Sort the images"):
        extract(exported(), flat, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has none"):
        extract(exported(), tmp_path / "empty", tmp_path / "out")
    shutil.copytree(digit_folder, tmp_path / "renamed")
    (tmp_path / "renamed" / "5").rename(tmp_path / "renamed" / "five")
    with pytest.raises(DataError, match="must be classes of the images, but got '5'"):
        extract(exported(), tmp_path / "renamed", tmp_path / "out")


def test_unreadable_files_are_named_or_left_out(exported, digit_folder, tmp_path):
    images = shutil.copytree(digit_folder, tmp_path / "images")
    bad = sorted((images / "6").iterdir())[1]
    bad.write_bytes(b"no image")
    with pytest.raises(DataError, match=f"{bad} is not"):
        extract(exported(), images, tmp_path / "out")
    with pytest.warns(DataWarning, match=f"left out 1 file that is not readable: {bad}"):
        done = extract(exported(), images, tmp_path / "skipped", skip_bad=True)
    folder = done.folder
    assert len(whole(folder, "labels")) == len(whole(folder, "features")) == 239
    assert done.n_images == {"train": 239}
    assert done.n_extracted == 239
    again = extract(exported(), images, tmp_path / "skipped", skip_bad=True)
    assert (again.n_images, again.n_extracted) == ({"train": 239}, 0)


def test_what_was_finished_before_an_unreadable_file_is_kept(exported, digit_folder, tmp_path):
    images = shutil.copytree(digit_folder, tmp_path / "images")
    last = sorted((images / "9").iterdir())[-1]
    last.write_bytes(b"no image")
    with pytest.raises(DataError, match="--skip-bad, which goes on with what is finished"):
        extract(exported(), images, tmp_path / "out", shard_images=50)
    with pytest.warns(DataWarning, match=f"not readable: {last}"):
        done = extract(exported(), images, tmp_path / "out", shard_images=50, skip_bad=True)
    assert (done.n_images, done.n_extracted) == ({"train": 239}, 39)


def test_images_without_any_to_train_on_are_refused(exported, tmp_path):
    path = tmp_path / "none.npz"
    np.savez(path, images=np.zeros((0, 8, 8, 3), np.uint8), labels=np.zeros(0, np.int64))
    bundle = exported()
    content = copy.deepcopy(bundle.manifest.content)
    content["data"]["classes"] = []
    anything = replace(bundle, manifest=replace(bundle.manifest, content=content))
    with pytest.raises(DataError, match=r"`--data` must have training images, but .* has none"):
        extract(anything, path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_that_may_not_be_mirrored_are_not(exported, digit_folder, tmp_path):
    with pytest.raises(BundleError, match=r"`--mirrored` must be left out .*mirrorable = false"):
        extract(exported(), digit_folder, tmp_path / "out", mirrored=True)
    assert not (tmp_path / "out").exists()


def test_a_link_to_nothing_is_named_or_left_out(exported, digit_folder, tmp_path):
    images = shutil.copytree(digit_folder, tmp_path / "images")
    bad = images / "6" / "000.png"
    bad.symlink_to("nothing")
    with pytest.raises(DataError, match=f"{bad} is not .*--skip-bad"):
        extract(exported(), images, tmp_path / "out")
    with pytest.warns(DataWarning, match=f"not readable: {bad}"):
        done = extract(exported(), images, tmp_path / "skipped", skip_bad=True)
    assert done.n_images == {"train": 240}
