"""What decibels amount to on a study's own images: the PSNR of guesses that anyone can picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.metrics import psnr_db
from privynet_opt.datasets.image_set import ImageSet, Splits

MEAN_IMAGE, LABEL_ONLY = "mean image", "label only"
"""Names of the guesses that know nothing of an image, and its label alone."""

THUMBNAIL_SIDES = (4, 8, 16)
"""Rows and columns of the thumbnails: from hardly to well recognisable on CIFAR-10."""

BATCH = 256
"""Images looked at together."""

Guess = Callable[[Tensor, Tensor], Tensor]
"""Maps images ``(n, 3, size, size)`` and their labels ``(n,)`` to what is guessed of them."""


def psnr_scale(splits: Splits) -> dict[str, float]:
    """Return the mean per-image PSNR of readable guesses, on the scored images.

    Args:
        splits: The attacker's images, of which means are taken, and the scored ones.

    Returns:
        dB by name: the mean of the attacker's images, their mean over the image's class, and
        thumbnails of the image itself (means over blocks, enlarged without smoothing) of those
        `THUMBNAIL_SIDES` that divide the images and are smaller.
    """
    means = class_means(splits.attacker)
    counts = splits.attacker.labels.bincount(minlength=len(means)).float()
    overall = torch.einsum("c,cijk->ijk", counts / counts.sum(), means)
    guesses: dict[str, Guess] = {
        MEAN_IMAGE: lambda images, _: overall.expand_as(images),
        LABEL_ONLY: lambda _, labels: means[labels],
    }
    size = means.shape[-1]
    for side in THUMBNAIL_SIDES:
        if side < size and size % side == 0:
            guesses[f"{side}×{side} thumbnail"] = _thumbnail(size // side)
    return {name: _mean_psnr_db(splits.score, guess) for name, guess in guesses.items()}


def class_means(images: ImageSet) -> Tensor:
    """Return the mean image of each class; of a class without images the mean of all.

    Args:
        images: Labelled images.

    Returns:
        Pixels in [0, 1], shape ``(n_classes, 3, size, size)``.
    """
    n_classes = len(images.class_names)
    sums = torch.zeros(n_classes, *images.images.shape[1:])
    for batch, labels in _batches(images):
        sums.index_add_(0, labels, batch)
    counts = images.labels.bincount(minlength=n_classes)
    overall = sums.sum(0) / len(images)
    sums /= counts.clamp_min(1).view(-1, 1, 1, 1)
    sums[counts == 0] = overall
    return sums


def _thumbnail(block: int) -> Guess:
    def guess(images: Tensor, _: Tensor) -> Tensor:
        return functional.interpolate(functional.avg_pool2d(images, block), scale_factor=block)

    return guess


def _mean_psnr_db(images: ImageSet, guess: Guess) -> float:
    each = [psnr_db(batch, guess(batch, labels)) for batch, labels in _batches(images)]
    return float(torch.cat(each).mean())


def _batches(images: ImageSet) -> Iterator[tuple[Tensor, Tensor]]:
    for batch, labels in zip(images.images.split(BATCH), images.labels.split(BATCH), strict=True):
        yield batch.float() / 255, labels
