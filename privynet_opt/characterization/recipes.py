"""What each fidelity means: how many images, how long the networks train."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from privynet_opt.attacks import (
    amortised,
    coordinates,
    decoder,
    linear_classifier,
    neighbourhoods,
    ridge,
    whole_image,
)
from privynet_opt.characterization.schema import STARTS
from privynet_opt.networks import cloud, optimizers
from privynet_opt.networks.optimizers import MuonRecipe
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
        decoder=TrainingRecipe(max_epochs=8, patience=3, min_steps=1_000),
        cloud=TrainingRecipe(max_epochs=6, patience=3, min_steps=800),
    ),
    "full": TrainedFidelity(
        max_images=1_000_000,
        decoder=TrainingRecipe(max_epochs=20, patience=6, min_steps=2_500),
        cloud=TrainingRecipe(max_epochs=20, patience=6, min_steps=2_500),
    ),
}
"""``standard`` is minutes of CPU, ``full`` trains to convergence on every image there is: at conv6
with 16 filters of 10,000 images a cycle of 40 epochs recovered no more (16.78, not 16.81 dB)."""

MIRRORING = frozenset({"full"})
"""Fidelities whose networks see their training images mirrored as well, if these are mirrorable:
from scratch, at conv6 with 16 filters, worth 0.35 dB and 6 points of accuracy after 20 epochs."""

FROM_AMORTISED = {
    "standard": TrainedFidelity(
        max_images=10_000,
        decoder=TrainingRecipe(max_epochs=4, patience=4, min_steps=500),
        cloud=TrainingRecipe(max_epochs=4, patience=4, min_steps=500),
    ),
    "full": FROM_SCRATCH["full"],
}
"""The same fidelities where training starts from the cut's amortised networks."""

TRAINED = dict(zip(STARTS, (FROM_SCRATCH, FROM_AMORTISED), strict=True))
"""Recipes by where the networks start, then by fidelity."""

AMORTISED = TrainedFidelity(
    max_images=10_000,
    decoder=TrainingRecipe(max_epochs=24, patience=24, min_steps=3_000),
    cloud=TrainingRecipe(max_epochs=12, patience=12, min_steps=1_500),
)
"""A cut's amortised networks, which serve every subset of its channels."""

DECODER_TO_TUNE = replace(
    AMORTISED.decoder, min_steps=1_500, muon=MuonRecipe(peak_learning_rate=0.02, momentum=0.9)
)
"""The decoder of a cut where it is tuned to each subset afterwards: by Muon it recovers as much as
by AdamW in half the epochs (-0.01 to 0.07 dB a cut from conv4p to conv7) or more (0.07 to 0.99 dB
before). Half as many epochs stay 0.96 dB behind own decoders at conv6, these 0.73, and 0.54 or 0.35
after a tuning on 3,200 images (18 topologies). Of 340 images (digits) 3,000 steps, tuned, recover
0.12 dB less than 1,500. Where nothing is tuned Muon recovers the same at 4×4 cells of 10,000 images
(within 0.01 dB a cut), up to 0.2 dB less of 340 images (digits), and takes longer at 2×2 cells,
whose first convolution has 1,024 × 7,488 weights."""

SCREEN_MIN_IMAGES = 2_000
SCREEN_CELLS = 300_000
"""The Gram matrix sees at least so many images, and images until it has seen so many cells:
3,000 images of 8×8 cells are enough (measured), coarser grids need more images."""


COARSE_TRUNK = 8
"""Rows of the decoder trunk that steps and images of the tuning were chosen for."""


@dataclass(frozen=True)
class Adaptation:
    """How a cut's amortised decoder is tuned to one subset before it attacks it.

    Attributes:
        finest_untouched_grid: Grids up to so many rows are attacked by the shared decoder as it
            is: there it stays 0.3 dB or less behind one of the topology's own on average.
        max_images: At most so many images tune it, where its trunk has no more than 8×8 cells.
        max_images_finer: At most so many where its trunk is finer.
        recipe: One pass over them, with the batch of a trunk of 8×8 cells.
    """

    finest_untouched_grid: int
    max_images: int
    max_images_finer: int
    recipe: TrainingRecipe

    def tunes(self, grid: int) -> bool:
        """Return whether the decoder is tuned to subsets of a cut with so many rows."""
        return grid > self.finest_untouched_grid

    def images_at(self, trunk_grid: int) -> int:
        """Return how many images tune a decoder at most.

        Args:
            trunk_grid: Rows of the decoder's trunk.
        """
        return self.max_images if trunk_grid <= COARSE_TRUNK else self.max_images_finer

    def at(self, trunk_grid: int) -> TrainingRecipe:
        """Return the recipe for a trunk: a step takes as many cells of a finer one.

        At conv4 (16×16) 32 images a step stay 0.45 dB behind own decoders, 8 a step 0.42.

        Args:
            trunk_grid: Rows of the decoder's trunk.
        """
        share = min(1, (COARSE_TRUNK / trunk_grid) ** 2)
        return replace(self.recipe, batch_size=max(1, round(share * self.recipe.batch_size)))


ADAPTATION = Adaptation(
    finest_untouched_grid=7,
    max_images=2_800,
    max_images_finer=2_000,
    recipe=TrainingRecipe(
        max_epochs=1,
        patience=1,
        batch_size=32,
        warm_up=0.1,
        muon=MuonRecipe(peak_learning_rate=0.013, momentum=0.8, relative=True),
    ),
)
"""Part of the fidelity ``amortised``. So far it stays behind own decoders of ``standard``, in dB on
average over 18 topologies and at most, by the images that tune the shared decoder: at conv6 none
0.73 (1.16), 1,600 0.51 (0.79), 2,000 0.46 (0.67), 2,400 0.41 (0.65), 3,200 0.35 (0.56); at conv4
none 0.73 (2.00), 600 0.64 (1.79), 1,200 0.53 (1.47), 2,000 0.42 (1.25). Over 33 topologies of
conv4p: 2,000 0.59 (1.10), 2,800 0.53 (0.94), 3,200 0.49 (0.88), for 2,139, 1,706 and 1,559
topologies an hour."""


def amortised_decoder(grid: int) -> TrainingRecipe:
    """Return how a cut's amortised decoder is trained.

    Args:
        grid: Rows of the cut's features.
    """
    return DECODER_TO_TUNE if ADAPTATION.tunes(grid) else AMORTISED.decoder


def describe(fidelity: str, start: str = "scratch", mirrorable: bool = True) -> dict[str, Any]:
    """Return a fidelity's recipe as plain data for the sidecar.

    Args:
        fidelity: One of `schema.FIDELITIES`.
        start: Where trained fidelities start: one of `schema.STARTS`.
        mirrorable: Whether a mirrored image is one of its kind.

    Returns:
        Every number that a re-measurement needs.
    """
    if fidelity == "screen":
        return {**_closed_form(), **_whole_image()}
    if fidelity == "amortised":
        return {**describe_networks(), "adaptation": asdict(ADAPTATION)}
    trained = asdict(TRAINED[start][fidelity])
    if start != "scratch":
        trained["start"] = start
    else:
        trained["ridge_to_start_from"] = [ridge.FEW_TO_START_FROM, ridge.STARTING_PENALTY]
    if fidelity in MIRRORING and mirrorable:
        trained["mirrored"] = True
    return {**_closed_form(), **trained, **_architecture()}


def describe_networks() -> dict[str, Any]:
    """Return what a cut's amortised networks depend on, as plain data."""
    return {
        **_closed_form(),
        **asdict(AMORTISED),
        "decoder_to_tune": asdict(DECODER_TO_TUNE),
        "subsets": amortised.N_SUBSETS,
        "images_per_subset": amortised.IMAGES_PER_SUBSET,
        "principal_components": coordinates.N_COMPONENTS,
        "newton_schulz": [*optimizers.NEWTON_SCHULZ],
        "newton_schulz_steps": optimizers.NEWTON_SCHULZ_STEPS,
        **_architecture(),
    }


def _closed_form() -> dict[str, Any]:
    return {
        "ridge_neighbourhood": neighbourhoods.NEIGHBOURHOOD,
        "ridge_penalty": ridge.RIDGE,
        "ridge_fewest_samples": ridge.FEWEST_SAMPLES,
        "classifier_regions": linear_classifier.REGIONS,
        "classifier_penalty": linear_classifier.RIDGE,
        "gram_min_images": SCREEN_MIN_IMAGES,
        "gram_cells": SCREEN_CELLS,
    }


def _whole_image() -> dict[str, Any]:
    return {
        "whole_image_regions": [whole_image.MOST_REGIONS, whole_image.FINE_REGIONS],
        "whole_image_columns": [
            whole_image.MOST_COLUMNS,
            whole_image.MOST_FINE_COLUMNS,
            whole_image.MOST_SOLVED,
        ],
        "whole_image_images": whole_image.MOST_IMAGES,
        "whole_image_penalty": [whole_image.PENALTY, whole_image.SMALLEST_PENALTY],
        "thumbnail": whole_image.THUMBNAIL,
    }


def _architecture() -> dict[str, Any]:
    return {
        "held_out_share": HELD_OUT_SHARE,
        "decoder_width": decoder.WIDTH,
        "decoder_blocks": decoder.BLOCKS,
        "decoder_strides": [decoder.FINEST_STRIDE, decoder.COARSEST_STRIDE],
        "cloud_width": cloud.WIDTH,
        "cloud_label_smoothing": cloud.LABEL_SMOOTHING,
        "cloud_dropout": cloud.DROPOUT,
    }
