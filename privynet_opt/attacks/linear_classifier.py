"""A ridge classifier for any subset of a cut's channels: greedy selection weighs them by it.

Per channel it sees the mean and the mean square over a coarse grid of regions; as for the ridge
attacker, one Gram matrix serves every subset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from privynet_opt.attacks.gram_matrix import add_outer_products, mirror

REGIONS = 2
"""The features are pooled to 2×2 regions: data README's first measurements rank accuracy by it."""

RIDGE = 1e-2
"""Penalty on standardised pooled features, relative to the number of images."""

CHUNK = 1_024
"""Images that are multiplied at a time, at least: sums in double precision take as long as that."""

SMALLEST_STD = 1e-6
"""A summary that hardly varies is divided by at least this."""


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
    """The regression of the label on the summaries of one cut's channels.

    Attributes:
        gram: Mean outer product of standardised summaries, shape ``(C m, C m)``, channel-major.
        cross: Mean product of summaries and centred one-hot labels, shape ``(C m, n_classes)``.
        mean: Mean of each summary, shape ``(C, m)``.
    """

    gram: Tensor
    cross: Tensor
    mean: Tensor

    @classmethod
    def fit(cls, batches: Iterable[tuple[Tensor, Tensor]], n_classes: int) -> LinearClassifier:
        """Accumulate the Gram matrix; memory does not grow with the number of images.

        Args:
            batches: Pairs of `pool_features`, ``(n, C, m)``, and labels, int64, ``(n,)``.
            n_classes: Number of classes.

        Returns:
            The classifier of the whole cut.
        """
        outer = cross = total = members = torch.zeros((), dtype=torch.float64)
        shape, n = torch.Size(), 0
        for pooled, labels in _gathered(batches):
            if n == 0:
                # Near its mean and in its own unit no summary loses digits to another.
                shape, shift = pooled.shape[1:], pooled.flatten(1).mean(0)
                unit = (pooled.flatten(1) - shift).square().mean(0).sqrt().clamp_min(SMALLEST_STD)
                outer = shift.new_zeros(len(shift), len(shift), dtype=torch.float64)
            seen = (pooled.flatten(1) - shift) / unit
            targets = functional.one_hot(labels, n_classes).to(seen)
            add_outer_products(outer, seen)
            cross = cross + (seen.T @ targets).double()
            total = total + seen.double().sum(0)
            members = members + targets.double().sum(0)
            n += len(labels)
        mirror(outer)
        mean, rate = total / n, members / n
        covariance = outer.div_(n).addr_(mean, mean, alpha=-1)
        variance = (covariance.diagonal() * n / max(1, n - 1)).clamp_min(0)
        std = variance.sqrt().maximum(SMALLEST_STD / unit.double())
        return cls(
            gram=covariance.div_(std[:, None]).div_(std).float(),
            cross=((cross / n - torch.outer(mean, rate)) / std[:, None]).float(),
            mean=(shift + unit * mean).float().view(shape),
        )


def _gathered(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Join batches until they have `CHUNK` images."""
    waiting: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(labels) for _, labels in waiting) >= CHUNK:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    pooled, labels = zip(*batches, strict=True)
    return torch.cat(pooled), torch.cat(labels)
