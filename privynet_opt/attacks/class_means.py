"""The mean of each class: all that a label alone says of an image, or of its features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BATCH = 256
"""Rows that are added up together."""

PSEUDO_ROWS = 5.0
"""The mean of all rows counts as so many rows of every class: of classes of one or two rows hardly
more is known."""


@dataclass(frozen=True)
class ClassMeans:
    """Means of the rows of each class.

    Attributes:
        sums: Of the rows of each class, float32, shape ``(n_classes, ...)``.
        counts: How many there are of each, shape ``(n_classes,)``.
        overall: Mean of all rows, shape ``(...)``.
    """

    sums: Tensor
    counts: Tensor
    overall: Tensor

    @classmethod
    @torch.no_grad()
    def fit(cls, rows: Tensor, labels: Tensor, n_classes: int) -> ClassMeans:
        """Add up rows.

        Args:
            rows: Any precision, shape ``(n, ...)``.
            labels: int64, shape ``(n,)``.
            n_classes: How many classes there are.
        """
        sums = torch.zeros(n_classes, *rows.shape[1:], device=rows.device)
        for batch, own in zip(rows.split(BATCH), labels.split(BATCH), strict=True):
            sums.index_add_(0, own, batch.float())
        counts = labels.bincount(minlength=n_classes)
        return cls(sums, counts, sums.sum(0) / len(rows))

    def of(self, labels: Tensor) -> Tensor:
        """Return what labels say of rows that were not added up.

        Args:
            labels: int64, shape ``(n,)``.

        Returns:
            float32, shape ``(n, ...)``.
        """
        return self._shrunk(self.sums[labels], self.counts[labels])

    def without(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Return what the other rows of their classes say of rows that were added up.

        Args:
            rows: As in `fit`, or some of them.
            labels: Theirs.

        Returns:
            float32, the shape of `rows`.
        """
        return self._shrunk(self.sums[labels] - rows.float(), self.counts[labels] - 1)

    def _shrunk(self, sums: Tensor, counts: Tensor) -> Tensor:
        n_rows = counts.view(-1, *[1] * (sums.dim() - 1)) + PSEUDO_ROWS
        return (sums + PSEUDO_ROWS * self.overall) / n_rows
