"""Which topologies are measured: all of the space in closed form, a spread of it by training.

How features are sent is no factor of this product: a spread of topologies is measured a second time
with bits and noise of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from privynet_opt.topology import NOISE_DECIMALS, SEEDED_STRATEGIES, LocalTopology, noise_levels

GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, spread evenly however many are taken."""


def kept_grid(kept_filters: Sequence[int], channels: int) -> list[int]:
    """Return the counts of kept filters a cut offers.

    Args:
        kept_filters: The study's counts.
        channels: Output channels of the cut.

    Returns:
        The counts up to `channels`, and `channels` itself, ascending.
    """
    return sorted({count for count in kept_filters if count < channels} | {channels})


def screen_topologies(
    cut_layer: str,
    grid: Sequence[int],
    strategies: Sequence[str],
    n_seeds: int,
    searched: Collection[int] = (),
) -> list[LocalTopology]:
    """List every topology of one cut that is measured in closed form.

    Args:
        cut_layer: Name of the cut.
        grid: Its counts of kept filters; the largest keeps all channels.
        strategies: Selection strategies of the study.
        n_seeds: Seeds of each strategy that draws.
        searched: The counts that the strategy ``searched`` offers.

    Returns:
        Strategies × counts × seeds; where all channels are kept, every strategy is the same
        network and only the first is listed.
    """
    topologies = [
        LocalTopology(cut_layer, count, strategy, seed)
        for count in grid[:-1]
        for strategy in strategies
        if strategy != "searched" or count in searched
        for seed in range(n_seeds if strategy in SEEDED_STRATEGIES else 1)
    ]
    return [*topologies, LocalTopology(cut_layer, grid[-1], strategies[0])]


def trained_topologies(
    grids: dict[str, list[int]], strategies: Sequence[str], n_trained: int, n_seeds: int
) -> list[LocalTopology]:
    """Choose the topologies whose attackers and cloud networks are trained.

    Args:
        grids: Counts of kept filters of each cut, in the order of the network.
        strategies: Selection strategies of the study.
        n_trained: How many topologies, repeats of a seed included; all there are if it is more.
        n_seeds: Seeds with which a few random subsets are repeated, so that their spread is known.

    Returns:
        Distinct topologies, spread over cuts, counts (evenly on the grid's scale) and
        strategies. About one cut in four repeats its middle count with every seed.
    """
    repeats = _repeats(grids, strategies, n_seeds)
    n_trained = min(n_trained, len(trainable_topologies(grids, strategies, n_seeds)))
    chosen = dict.fromkeys(repeats[:n_trained])
    index = 0
    while len(chosen) < n_trained and index < 100 * n_trained:
        turn, position = divmod(index, len(grids))
        cut = list(grids)[position]
        grid = grids[cut]
        count = grid[int(len(grid) * ((turn * GOLDEN + position * GOLDEN**2) % 1))]
        strategy = strategies[0 if count == grid[-1] else (turn + position) % len(strategies)]
        chosen.setdefault(LocalTopology(cut, count, strategy))
        index += 1
    return list(chosen)


def trainable_topologies(
    grids: dict[str, list[int]], strategies: Sequence[str], n_seeds: int
) -> list[LocalTopology]:
    """List what `trained_topologies` chooses from, each once.

    Args:
        grids: Counts of kept filters of each cut.
        strategies: Selection strategies of the study.
        n_seeds: Seeds with which a few random subsets are repeated.
    """
    drawn_once = [
        topology
        for cut, grid in grids.items()
        for topology in screen_topologies(cut, grid, strategies, n_seeds=1)
    ]
    return list(dict.fromkeys([*_repeats(grids, strategies, n_seeds), *drawn_once]))


def _repeats(
    grids: dict[str, list[int]], strategies: Sequence[str], n_seeds: int
) -> list[LocalTopology]:
    if "random" not in strategies:
        return []
    return [
        LocalTopology(cut, grid[min(len(grid) // 2, len(grid) - 2)], "random", seed)
        for cut, grid in list(grids.items())[1::4]
        for seed in range(n_seeds)
        if len(grid) > 1  # all channels are one subset, whatever the seed
    ]


def sent_otherwise(
    topologies: Sequence[LocalTopology],
    feature_bits: Sequence[int],
    noise_range: tuple[float, float] | None,
    noise_step: float | None = None,
) -> list[LocalTopology]:
    """Return topologies with their features coded or noisy, one for each.

    Args:
        topologies: Those whose features are sent plainly, in the order of their worth.
        feature_bits: The study's bits per feature.
        noise_range: Its least and most noise; None for none.
        noise_step: Difference of neighbouring values of noise; None for any value in the range.

    Returns:
        For each topology, in its order, the same filters with bits in turn at each cut, beginning
        with others at the next, and noise spread evenly over its values; the first of each cut has
        the most noise, so that no topology of the cut has more than was measured. Where bits are
        32, noise in steps is drawn above 0; those that would be sent plainly nonetheless are left
        out.
    """
    low, high = noise_range or (0.0, 0.0)
    levels = noise_levels(noise_range, noise_step)
    begun: Counter[str] = Counter()
    sent = []
    for index, topology in enumerate(topologies):
        before = begun[topology.cut_layer]
        begun[topology.cut_layer] += 1
        nth_cut = list(begun).index(topology.cut_layer)
        bits = feature_bits[(before + nth_cut) % len(feature_bits)]
        share = (index * GOLDEN) % 1 if before else 1.0
        if levels is None:
            noise = round(low + (high - low) * share, NOISE_DECIMALS)
        else:
            offered = [level for level in levels if level or bits != 32] or levels
            noise = offered[min(int(share * len(offered)), len(offered) - 1)]
        sent.append(replace(topology, feature_bits=bits, noise_std=noise))
    return [topology for topology in sent if not topology.is_sent_plainly]
