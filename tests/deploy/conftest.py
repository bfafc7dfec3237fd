"""The shipped digits, answered and exported once; features and networks are small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from privynet_opt.api import optimize
from privynet_opt.datasets.load import load_images
from privynet_opt.deploy.bundle import Bundle
from privynet_opt.deploy.choice import choose
from privynet_opt.deploy.export import ExportOptions, export
from privynet_opt.deploy.extract import extract


@pytest.fixture(scope="session")
def answer(tmp_path_factory):
    """A saved result of the shipped digits without limits, so that its front is long."""
    folder = tmp_path_factory.mktemp("answer")
    optimize([], study="digits", n_trials=1).save(folder)
    return folder


@pytest.fixture(scope="session")
def exported(answer, tmp_path_factory):
    """Export the recommended topology in another way; the same way only once.

    ``mirrorable=True`` exports it as of a study whose images may be mirrored, unlike digits.
    """
    torch.set_num_threads(1)
    known: dict[tuple[ExportOptions, bool], Bundle] = {}

    def make(mirrorable=False, **options):
        wanted = ExportOptions(**options)
        if (wanted, mirrorable) not in known:
            choice = choose(answer)
            spec = replace(choice.spec, data=replace(choice.spec.data, mirrorable=mirrorable))
            folder = tmp_path_factory.mktemp("b") / "b"
            known[wanted, mirrorable] = export(replace(choice, spec=spec), folder, wanted)
        return known[wanted, mirrorable]

    return make


@pytest.fixture(scope="session")
def digit_folder(tmp_path_factory) -> Path:
    """Some digits as image files, one folder per class."""
    folder = tmp_path_factory.mktemp("digits")
    digits, _ = load_images("digits", None, 8, ["5", "6", "7", "8", "9"])
    for position in range(240):
        name = digits.class_names[int(digits.labels[position])]
        (folder / name).mkdir(exist_ok=True)
        pixels = digits.images[position].permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / name / f"{position:03d}.png")
    return folder


@pytest.fixture(scope="session")
def features(exported, digit_folder, tmp_path_factory):
    """All digits of the folder in shards of 50; not to be changed."""
    folder = tmp_path_factory.mktemp("features")
    return extract(exported(), digit_folder, folder, shard_images=50).folder
