"""Which channels, as a variable: search a subset of one size with the cut's amortised networks.

Many subsets are scored on images that no network was fitted to and that no row is scored on; the
most accurate of those that leak no more than a typical random subset is kept. What it is worth
is measured afterwards like any topology: choosing among many is optimistic on the images chosen
with. The subset found is no secret from an attacker who can run the same search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from privynet_opt.attacks.amortised import AmortisedNetworks
from privynet_opt.attacks.metrics import psnr_db
from privynet_opt.characterization.bank import CutBank
from privynet_opt.networks.training import HELD_OUT_SHARE
from privynet_opt.selection import kept_channels
from privynet_opt.topology import CLOSED_FORM_STRATEGIES, SEEDED_STRATEGIES, LocalTopology

N_RANDOM = 64
"""Random subsets that are scored; the median of their privacy losses is the limit."""

N_SEEDS = 4
"""Draws of each other strategy that draws."""

ROUNDS = 4
PARENTS = 8
CHILDREN = 2
"""Each round the best subsets under the limit have so many variants each."""

SWAPPED_SHARE = 0.125
"""Share of the channels, at least one, that a variant replaces by random others."""

Subset = tuple[int, ...]


def search_subset(
    bank: CutBank, networks: AmortisedNetworks, kept: int, max_images: int, seed: int
) -> dict[str, Any]:
    """Find an accurate subset of a size that leaks no more than a typical random one.

    Args:
        bank: The cut; its source keeps the features.
        networks: The cut's trained networks.
        kept: How many channels.
        max_images: The networks were trained on so many of the cloud's images, at most.
        seed: Seed of the random subsets and variants.

    Returns:
        ``cut_layer``, ``kept_filters``, the ``channels`` found, ``n_scored`` subsets, the
        ``limit_psnr_db``, and on the images chosen with: ``accuracy`` and ``psnr_db`` of the
        subset found, ``random_accuracy``, the mean over random subsets.
    """
    generator = np.random.default_rng(seed)
    scorer = _Scorer(bank, networks, max_images)
    random = [_draw(generator, bank.cut.channels, kept) for _ in range(N_RANDOM)]
    for subset in random:
        scorer.score(subset)
    limit = float(np.median([scorer.scores[subset][1] for subset in random]))
    random_accuracy = float(np.mean([scorer.scores[subset][0] for subset in random]))
    for subset in _of_strategies(bank, kept):
        scorer.score(subset)
    for _ in range(ROUNDS):
        for parent in scorer.best(limit)[:PARENTS]:
            for _ in range(CHILDREN):
                scorer.score(_swap(generator, parent, bank.cut.channels))
    found = scorer.best(limit)[0]
    accuracy, leak = scorer.scores[found]
    return {
        "cut_layer": bank.cut.name,
        "kept_filters": kept,
        "channels": list(found),
        "n_scored": len(scorer.scores),
        "limit_psnr_db": limit,
        "accuracy": accuracy,
        "psnr_db": leak,
        "random_accuracy": random_accuracy,
    }


class _Scorer:
    """Score subsets on images that neither network was fitted to, each subset once."""

    def __init__(self, bank: CutBank, networks: AmortisedNetworks, max_images: int) -> None:
        splits = bank.source.splits
        n_images = min(max_images, len(splits.cloud))
        # The cloud network only chose its best epoch on these, the decoder never saw them.
        own = slice(n_images - max(1, int(HELD_OUT_SHARE * n_images)), n_images)
        device = bank.score_images.device
        self.networks = networks
        self.features = bank.features.first("cloud", n_images)[own]
        self.images = splits.cloud.images[own].to(device).float() / 255
        self.labels = splits.cloud.labels[own].to(device)
        self.scores: dict[Subset, tuple[float, float]] = {}

    def score(self, subset: Subset) -> None:
        if subset in self.scores:
            return
        linear, recovered, scores = self.networks.score(subset, self.features[:, list(subset)])
        leaks = [float(psnr_db(self.images, image).mean()) for image in (linear, recovered)]
        accuracy = float((scores.argmax(1) == self.labels).float().mean())
        self.scores[subset] = accuracy, max(leaks)

    def best(self, limit: float) -> list[Subset]:
        """Return the subsets within a privacy limit, the most accurate first."""
        within = [(score, subset) for subset, score in self.scores.items() if score[1] <= limit]
        return [subset for _, subset in sorted(within, key=lambda pair: (-pair[0][0], pair[0][1]))]


def _draw(generator: np.random.Generator, channels: int, kept: int) -> Subset:
    return tuple(sorted(generator.permutation(channels)[:kept].tolist()))


def _of_strategies(bank: CutBank, kept: int) -> Iterator[Subset]:
    for strategy in CLOSED_FORM_STRATEGIES[1:]:
        for seed in range(N_SEEDS if strategy in SEEDED_STRATEGIES else 1):
            yield kept_channels(LocalTopology(bank.cut.name, kept, strategy, seed), bank.statistics)


def _swap(generator: np.random.Generator, parent: Sequence[int], channels: int) -> Subset:
    others = np.setdiff1d(np.arange(channels), parent)
    n_swapped = min(max(1, round(SWAPPED_SHARE * len(parent))), len(others))
    stay = generator.permutation(parent)[n_swapped:]
    return tuple(sorted([*stay.tolist(), *generator.permutation(others)[:n_swapped].tolist()]))
