"""What each fidelity means: how many images, how long the networks train."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from privynet_opt.attacks import amortised, coordinates, decoder, linear_classifier, ridge
from privynet_opt.characterization.schema import STARTS
from privynet_opt.networks import cloud
from privynet_opt.networks.training import HELD_OUT_SHARE, TrainingRecipe


@dataclass(frozen=True)
class TrainedFidelity:
    """A fidelity that trains a decoder and a cloud network of its own for each topology.

    Attributes:
        max_images: At most so many images train each of the two; fewer if the study has fewer.
        decoder: How the decoder is trained.
        cloud: How the cloud network is trained.
    """

    max_images: int
    decoder: TrainingRecipe
    cloud: TrainingRecipe


FROM_SCRATCH = {
    "standard": TrainedFidelity(
        max_images=10_000,
        decoder=TrainingRecipe(max_epochs=8, patience=3),
        cloud=TrainingRecipe(max_epochs=6, patience=3),
    ),
    "full": TrainedFidelity(
        max_images=1_000_000,
        decoder=TrainingRecipe(max_epochs=40, patience=6),
        cloud=TrainingRecipe(max_epochs=40, patience=6),
    ),
}
"""``standard`` is minutes of CPU, ``full`` trains to convergence on every image there is."""

FROM_AMORTISED = {
    "standard": TrainedFidelity(
        max_images=10_000,
        decoder=TrainingRecipe(max_epochs=4, patience=4),
        cloud=TrainingRecipe(max_epochs=4, patience=4),
    ),
    "full": FROM_SCRATCH["full"],
}
"""The same fidelities where training starts from the cut's amortised networks."""

TRAINED = dict(zip(STARTS, (FROM_SCRATCH, FROM_AMORTISED), strict=True))
"""Recipes by where the networks start, then by fidelity."""

AMORTISED = TrainedFidelity(
    max_images=10_000,
    decoder=TrainingRecipe(max_epochs=24, patience=24),
    cloud=TrainingRecipe(max_epochs=12, patience=12),
)
"""A cut's amortised networks, which serve every subset of its channels."""

SCREEN_MIN_IMAGES = 2_000
SCREEN_CELLS = 300_000
"""The Gram matrix sees at least so many images, and images until it has seen so many cells:
3,000 images of 8×8 cells are enough (measured), coarser grids need more images."""


def describe(fidelity: str, start: str = "scratch") -> dict[str, Any]:
    """Return a fidelity's recipe as plain data for the sidecar.

    Args:
        fidelity: One of `schema.FIDELITIES`.
        start: Where trained fidelities start: one of `schema.STARTS`.

    Returns:
        Every number that a re-measurement needs.
    """
    closed_form = {
        "ridge_neighbourhood": ridge.NEIGHBOURHOOD,
        "ridge_penalty": ridge.RIDGE,
        "classifier_regions": linear_classifier.REGIONS,
        "classifier_penalty": linear_classifier.RIDGE,
        "gram_min_images": SCREEN_MIN_IMAGES,
        "gram_cells": SCREEN_CELLS,
    }
    if fidelity == "screen":
        return closed_form
    if fidelity == "amortised":
        trained = {
            **asdict(AMORTISED),
            "subsets": amortised.N_SUBSETS,
            "images_per_subset": amortised.IMAGES_PER_SUBSET,
            "principal_components": coordinates.N_COMPONENTS,
        }
    else:
        trained = asdict(TRAINED[start][fidelity])
        if start != "scratch":
            trained["start"] = start
    return {
        **closed_form,
        **trained,
        "held_out_share": HELD_OUT_SHARE,
        "decoder_width": decoder.WIDTH,
        "decoder_blocks": decoder.BLOCKS,
        "decoder_strides": [decoder.FINEST_STRIDE, decoder.COARSEST_STRIDE],
        "cloud_width": cloud.WIDTH,
        "cloud_label_smoothing": cloud.LABEL_SMOOTHING,
        "cloud_dropout": cloud.DROPOUT,
    }
