"""An attacker must have something to learn, wherever his images come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.errors import DataError, DataWarning


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
    with pytest.warns(DataWarning, match="250 of the 250 scored images"):
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


@pytest.fixture
def different(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """1,200 images, no two alike, and labels of two classes."""
    pixels = np.random.default_rng(1).integers(0, 256, (1200, 8, 8, 3), dtype=np.uint8)
    return pixels, np.arange(1200) % 2


def test_scored_images_that_train_an_attacker_as_well_are_told(study, different, tmp_path, recwarn):
    spec = replace(study, data=replace(study.data, name="mine"))
    pixels, labels = different
    np.savez(tmp_path / "images.npz", images=pixels, labels=labels)
    splits = load_splits(spec, tmp_path / "images.npz")
    assert not recwarn.list

    def copied(images):
        return [int((pixels == i.permute(1, 2, 0).numpy()).all((1, 2, 3)).argmax()) for i in images]

    originals = copied(splits.attacker.images[:3])
    pixels[copied(splits.score.images[:3])] = pixels[originals]
    np.savez(tmp_path / "images.npz", images=pixels, labels=labels)
    told = f"^3 of the {len(splits.score)} scored images train the attacker as well"
    with pytest.warns(DataWarning, match=told) as warned:
        load_splits(spec, tmp_path / "images.npz")
    assert len(warned) == 1  # the cloud network sees none of them


def test_an_attacker_of_other_images_has_none_that_are_scored(study, tmp_path):
    score = load_splits(study, None).score.images[:2].permute(0, 2, 3, 1).numpy()
    pixels = np.random.default_rng(1).integers(0, 256, (450, 8, 8, 3), dtype=np.uint8)
    pixels[7:9] = score
    np.savez(tmp_path / "other.npz", images=pixels, labels=np.arange(450) % 2)
    with pytest.raises(DataError, match="must have none of the images that are scored, but 2 of"):
        characterize(study, None, None, tmp_path / "out", attacker_data=tmp_path / "other.npz")
