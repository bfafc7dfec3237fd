"""What decibels amount to on a study's own images: the PSNR of guesses that anyone can picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from privynet_opt.attacks.class_means import ClassMeans
from privynet_opt.attacks.metrics import psnr_db
from privynet_opt.characterization.gallery import THUMBNAIL_SIDES, thumbnails
from privynet_opt.datasets.image_set import ImageSet, Splits

BATCH = 256
"""Images looked at together."""

Guess = Callable[[Tensor, Tensor], Tensor]
"""Maps images ``(n, 3, size, size)`` and their labels ``(n,)`` to what is guessed of them."""


def psnr_scale(splits: Splits) -> dict[str, float]:
    """Return the mean per-image PSNR of readable guesses, on the scored images.

    Args:
        splits: The attacker's images, of which means are taken, and the scored ones.

    Returns:
        dB by name: the mean of the attacker's images, that of the image's class as `ClassMeans` has
        it, and thumbnails of the image itself, of those `THUMBNAIL_SIDES` that are smaller.
    """
    known = splits.attacker
    means = ClassMeans.fit(known.images, known.labels, len(known.class_names))
    guesses: dict[str, Guess] = {
        "mean image": lambda images, _: (means.overall / 255).expand_as(images),
        "label only": lambda _, labels: means.of(labels) / 255,
    }
    size = known.images.shape[-1]
    for side in THUMBNAIL_SIDES:
        if side < size:
            guesses[f"{side}×{side} thumbnail"] = partial(_thumbnail, side=side)
    return {name: _mean_psnr_db(splits.score, guess) for name, guess in guesses.items()}


def _thumbnail(images: Tensor, _: Tensor, side: int) -> Tensor:
    return thumbnails(images, side)


def _mean_psnr_db(images: ImageSet, guess: Guess) -> float:
    each = [psnr_db(batch, guess(batch, labels)) for batch, labels in _batches(images)]
    return float(torch.cat(each).mean())


def _batches(images: ImageSet) -> Iterator[tuple[Tensor, Tensor]]:
    for batch, labels in zip(images.images.split(BATCH), images.labels.split(BATCH), strict=True):
        yield batch.float() / 255, labels
