"""A folder that may not be listed, as ext4's lost+found, is told in one line or left out."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from privynet_opt.datasets.load import load_images
from privynet_opt.deploy.image_source import open_images
from privynet_opt.errors import DataError, DataWarning

READERS = [
    lambda root, **options: load_images("mine", root, 8, **options)[0],
    lambda root, **options: open_images("mine", root, 8, **options)["train"],
]


def write_classes(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / name / "0.png")
    return root


@pytest.fixture(autouse=True)
def hide(monkeypatch):
    """Refuse to list folders of one name; permissions would not bind root."""
    iterdir = Path.iterdir

    def list_others(folder):
        if folder.name == "lost+found":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", list_others)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("hidden", ["images/lost+found", "lost+found"])
def test_a_folder_that_cannot_be_listed_is_told_in_one_line(tmp_path, read, hidden):
    write_classes(tmp_path / hidden.split("/")[0], "cat", "dog")
    (tmp_path / hidden).mkdir(exist_ok=True)
    told = (
        rf"^a folder of images must be .* listed, but {re.escape(str(tmp_path / hidden))} is not "
        r"\(Permission denied\)\. Change [^\n]* --skip-bad leaves out such a class folder\.$"
    )
    with pytest.raises(DataError, match=told):
        read(tmp_path / hidden.split("/")[0])


@pytest.mark.parametrize("read", READERS)
def test_a_folder_that_cannot_be_entered_is_told_in_one_line(tmp_path, monkeypatch, read):
    closed, stat = tmp_path / "lost+found", os.stat
    closed.mkdir()

    def refuse(path, *arguments, **named):
        if closed in Path(os.fsdecode(path)).parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", refuse)
    for folder in (closed, closed / "images"):
        with pytest.raises(DataError, match=r"can be listed|does not\. Check the path") as told:
            read(folder)
        assert "\n" not in str(told.value) and str(folder) in str(told.value)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("parts", [("",), ("train", "test")])
def test_with_bad_ones_skipped_it_is_no_class_and_told(tmp_path, read, parts):
    for part in parts:
        write_classes(tmp_path / part, "cat", "dog")
        (tmp_path / part / "lost+found").mkdir()
    with pytest.warns(DataWarning, match=r"no class, since not listable: lost\+found in "):
        train = read(tmp_path, skip_bad=True)
    assert (train.class_names, len(train)) == (("cat", "dog"), 2)
