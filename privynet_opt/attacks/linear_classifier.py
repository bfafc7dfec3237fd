"""The closed-form cloud network: a ridge classifier for any subset of a cut's channels.

Per channel it sees the mean and the mean square over a coarse grid of regions; as for the ridge
attacker, one Gram matrix serves every subset.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

REGIONS = 2
"""The features are pooled to 2×2 regions: data README's first measurements rank accuracy by it."""

RIDGE = 1e-2
"""Penalty on standardised pooled features, relative to the number of images."""


def pool_features(features: Tensor) -> Tensor:
    """Summarise each channel.

    Args:
        features: Standardised, shape ``(n, C, h, w)``.

    Returns:
        Shape ``(n, C, m)``: the means, then the mean squares, over the regions.
    """
    side = min(REGIONS, features.shape[-1])
    first = functional.adaptive_avg_pool2d(features, side).flatten(2)
    second = functional.adaptive_avg_pool2d(features.square(), side).flatten(2)
    return torch.cat([first, second.clamp_max(25.0)], 2)


@dataclass(frozen=True)
class LinearClassifier:
    """Everything needed to classify from any subset of one cut's channels.

    Attributes:
        gram: Mean outer product of standardised summaries, shape ``(C m, C m)``, channel-major.
        cross: Mean product of summaries and centred one-hot labels, shape ``(C m, n_classes)``.
        class_rate: Share of each class, shape ``(n_classes,)``.
        mean: Mean of each summary, shape ``(C, m)``.
        std: Standard deviation of each summary, shape ``(C, m)``.
    """

    gram: Tensor
    cross: Tensor
    class_rate: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, pooled: Iterable[Tensor], labels: Tensor, n_classes: int) -> LinearClassifier:
        """Fit on pooled features of the cloud's images.

        Args:
            pooled: Batches of `pool_features`, in the order of `labels`.
            labels: int64, shape ``(n,)``.
            n_classes: Number of classes.

        Returns:
            The classifier of the whole cut.
        """
        summaries = torch.cat(list(pooled))
        mean, std = summaries.mean(0), summaries.std(0).clamp_min(1e-6)
        standard = ((summaries - mean) / std).flatten(1)
        targets = functional.one_hot(labels, n_classes).float()
        rate = targets.mean(0)
        n = len(labels)
        return cls(standard.T @ standard / n, standard.T @ (targets - rate) / n, rate, mean, std)

    def scores(self, pooled: Tensor, kept: Sequence[int]) -> Tensor:
        """Return class scores from some channels only.

        Args:
            pooled: `pool_features` of all channels, shape ``(n, C, m)``.
            kept: Channel indices.

        Returns:
            Shape ``(n, n_classes)``.
        """
        index = torch.as_tensor(kept, device=self.gram.device)
        m = self.mean.shape[1]
        rows = (index[:, None] * m + torch.arange(m, device=index.device)).flatten()
        block = self.gram[rows][:, rows].clone()
        block.diagonal().add_(RIDGE)
        solution = torch.cholesky_solve(self.cross[rows], torch.linalg.cholesky(block))
        standard = ((pooled[:, index] - self.mean[index]) / self.std[index]).flatten(1)
        return standard @ solution + self.class_rate
