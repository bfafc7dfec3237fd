"""An attacker must have something to learn, wherever his images come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.errors import DataError


@pytest.fixture
def one_image(tmp_path: Path) -> Path:
    """1,200 copies of one image, with labels of two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(1200) % 2
    np.savez(tmp_path / "one.npz", images=np.repeat(pixels, 1200, axis=0), labels=labels)
    return tmp_path / "one.npz"


def test_one_image_over_and_over_teaches_no_attacker(study, one_image):
    spec = replace(study, data=replace(study.data, name="mine"))
    with pytest.raises(DataError, match=r"`--data` must hold images that differ.* 450 that train"):
        load_splits(spec, one_image)
    with np.load(one_image) as stored:
        pixels, labels = stored["images"], stored["labels"]
    pixels[::3, 0, 0, 0] ^= 1  # hardly different is enough
    np.savez(one_image, images=pixels, labels=labels)
    assert len(load_splits(spec, one_image).attacker) == 450


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        ("nope", "must exist"),
        ("one.npz", "must hold images that differ"),
        ("two", "must hold one data set"),
    ],
)
def test_images_of_another_kind_are_named_by_their_own_option(
    study, one_image, tmp_path, place, rule
):
    for name in ("cifar-10-batches-py", "cifar-100-python"):
        (tmp_path / "two" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=f"^`--attacker-data` {rule}, but"):
        characterize(study, None, None, tmp_path / "out", attacker_data=tmp_path / place)
