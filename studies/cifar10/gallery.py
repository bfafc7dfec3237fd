"""Make this study's gallery from two photographs; no image of CIFAR-10 is in it.

    python -m privynet_opt.studies.cifar10.gallery gallery CIFAR10_DIR VGG16_WEIGHTS

Decoders are trained on the attacker's images of CIFAR-10, as every measurement of the study is,
and recover crops of the photographs that scikit-learn ships.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from privynet_opt.studies.cifar10.photographs import IMAGE_SIZE
from privynet_opt.studies.gallery import make_gallery
from sklearn.datasets import load_sample_images

from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.study_spec import load_study

CREDIT = (
    "crops of two photographs that come with scikit-learn, china.jpg by danielbuechele and "
    "flower.jpg by vultilion, both of flickr.com, CC BY 2.0, reduced to 32 pixels"
)

CROPS = (
    (0, 10, 20, 400),
    (0, 20, 90, 230),
    (0, 170, 60, 250),
    (0, 130, 400, 240),
    (1, 60, 150, 310),
    (1, 130, 230, 150),
    (1, 30, 10, 390),
    (1, 290, 250, 137),
)
"""Photograph, top, left and side of each square, in pixels."""

TOPOLOGIES = (
    ("conv7", 64, "searched"),
    ("conv7p", 192, "magnitude"),
    ("conv7p", 48, "lda"),
    ("conv7p", 64, "lda"),
    ("conv7p", 8, "lda"),
    ("conv7p", 2, "privynet"),
    ("conv6", 8, "lda"),
    ("conv6", 64, "lda"),
    ("conv6", 32, "greedy"),
    ("conv4p", 64, "random"),
    ("conv2p", 2, "magnitude"),
    ("conv2p", 32, "privacy"),
)
"""What the study recommends or did, a spread over its front, and four that its limits exclude."""

FIDELITY = "standard"


def photographs() -> ImageSet:
    """Return the crops as images that can be scored, each a class of its own."""
    sources = load_sample_images().images
    crops = [
        Image.fromarray(sources[index][top : top + side, left : left + side])
        for index, top, left, side in CROPS
    ]
    size = (IMAGE_SIZE, IMAGE_SIZE)
    pixels = np.stack([np.asarray(crop.resize(size, Image.Resampling.BILINEAR)) for crop in crops])
    images = torch.from_numpy(pixels).movedim(-1, 1).contiguous()
    return ImageSet(images, torch.arange(len(CROPS)), tuple(f"crop {i}" for i in range(len(CROPS))))


def main() -> None:
    """Write the gallery to the folder that is named on the command line."""
    folder, data, weights = sys.argv[1:]
    torch.set_num_threads(1)
    spec = load_study("cifar10")
    splits = replace(load_splits(spec, Path(data)), score=photographs())
    make_gallery(spec, TOPOLOGIES, splits, weights, FIDELITY, Path(folder), CREDIT)


if __name__ == "__main__":
    main()
