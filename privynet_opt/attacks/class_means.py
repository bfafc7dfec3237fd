"""The mean of each class: all that a label alone says of an image, or of its features."""

from __future__ import annotations

import torch
from torch import Tensor

BATCH = 256
"""Rows that are added up together."""


@torch.no_grad()
def class_means(rows: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return the mean of each class's rows.

    Args:
        rows: Any precision, shape ``(n, ...)``.
        labels: int64, shape ``(n,)``.
        n_classes: How many classes there are.

    Returns:
        float32, shape ``(n_classes, ...)``; of a class without rows the mean of all.
    """
    sums = torch.zeros(n_classes, *rows.shape[1:], device=rows.device)
    for batch, own in zip(rows.split(BATCH), labels.split(BATCH), strict=True):
        sums.index_add_(0, own, batch.float())
    counts = labels.bincount(minlength=n_classes)
    overall = sums.sum(0) / len(rows)
    sums /= counts.clamp_min(1).view(-1, *[1] * (rows.dim() - 1))
    sums[counts == 0] = overall
    return sums
