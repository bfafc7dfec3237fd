"""The readable scale of a study: guesses whose PSNR can be worked out by hand."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.characterization.psnr_scale import psnr_scale
from privynet_opt.datasets.image_set import ImageSet, Splits

NAMES = ("dark", "bright")


def flat(levels: list[float], labels: list[int], size: int = 8) -> ImageSet:
    """Images of one level each."""
    pixels = (255 * torch.tensor(levels)).round().to(torch.uint8)
    return ImageSet(pixels.view(-1, 1, 1, 1).repeat(1, 3, size, size), torch.tensor(labels), NAMES)


def scale_of(attacker: ImageSet, score: ImageSet) -> dict[str, float]:
    return psnr_scale(Splits(flat([1.0], [1], 8), attacker, score))


def test_the_mean_image_and_the_label_are_guessed_from_the_attackers_images():
    attacker = flat(400 * [0.2, 0.4, 0.8, 1.0], 400 * [0, 0, 1, 1])
    scale = scale_of(attacker, flat([0.4, 0.8], [0, 1]))
    # Both scored images are 0.2 from the mean of all, 0.6, and 0.1 from that of their class.
    assert scale["mean image"] == pytest.approx(-20 * torch.tensor(0.2).log10().item(), abs=0.02)
    assert scale["label only"] == pytest.approx(20, abs=0.2)


def test_thumbnails_are_block_means_of_the_scored_images():
    score = flat([0.5], [0])
    score.images[:, :, 0::2] = 102  # rows of 0.4 and of 0.6: every block's mean is 0.5
    score.images[:, :, 1::2] = 153
    scale = scale_of(flat([0.2, 0.9], [0, 1]), score)
    assert scale["4×4 thumbnail"] == pytest.approx(20, abs=0.02)


@pytest.mark.parametrize(
    ("size", "sides"), [(8, ["4×4"]), (12, ["4×4", "8×8"]), (32, ["4×4", "8×8", "16×16"]), (4, [])]
)
def test_thumbnails_are_smaller_than_the_images(size, sides):
    images = flat([0.2, 0.9], [0, 1], size)
    assert [name for name in scale_of(images, images) if "thumbnail" in name] == [
        f"{side} thumbnail" for side in sides
    ]


def test_classes_of_different_size_count_by_their_images():
    attacker = flat([0.0, 0.0, 0.0, 0.8], [0, 0, 0, 1])
    scale = scale_of(attacker, flat([0.4], [0]))
    assert scale["mean image"] == pytest.approx(13.98, abs=0.02)  # 0.2 from the mean of all
