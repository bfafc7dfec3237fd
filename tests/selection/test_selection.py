"""Every strategy keeps what it says it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from privynet_opt.errors import TopologyError
from privynet_opt.selection import STATISTICS_READ, ChannelStatistics, is_drawn, kept_channels
from privynet_opt.topology import SEEDED_STRATEGIES, SELECTION_STRATEGIES, LocalTopology

STATISTICS = ChannelStatistics(
    discriminability=np.array([5.0, 1.0, 4.0, 2.0, 3.0, 8.0, 7.0, 6.0]),
    exposure=np.array([0.9, 0.8, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    magnitude=np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
    greedy_order=lambda: np.array([3, 5, 0, 1, 2, 4, 6, 7]),
    searched={1: (6,), 3: (0, 2, 7), 8: tuple(range(8))},
)


def chosen(strategy, kept, seed=0):
    return kept_channels(LocalTopology("conv1", kept, strategy, seed), STATISTICS)


@pytest.mark.parametrize("strategy", SELECTION_STRATEGIES)
@pytest.mark.parametrize("kept", [1, 3, 8])
def test_every_strategy_gives_distinct_channels_in_order(strategy, kept):
    channels = chosen(strategy, kept)
    assert len(channels) == kept
    assert list(channels) == sorted(set(channels))
    assert set(channels) <= set(range(8))


def test_each_ranking_keeps_its_extremes():
    assert chosen("lda", 3) == (5, 6, 7)
    assert chosen("privacy", 3) == (2, 3, 4)
    assert chosen("magnitude", 2) == (6, 7)
    assert chosen("greedy", 3) == (0, 3, 5)


def test_searched_keeps_the_subset_that_was_found_and_knows_no_other():
    assert chosen("searched", 3) == (0, 2, 7)
    with pytest.raises(TopologyError, match=r"searched \(1, 3, 8\), but got kept_filters=4"):
        chosen("searched", 4)


def test_privynet_never_keeps_the_leakiest_nor_the_weakest():
    seen = {channel for seed in range(40) for channel in chosen("privynet", 2, seed)}
    assert seen == {2, 5, 6, 7}  # 0 and 1 leak most; of the rest 3 and 4 separate worst


@pytest.mark.parametrize("strategy", sorted(SEEDED_STRATEGIES))
def test_seeds_decide_what_is_drawn(strategy):
    draws = {chosen(strategy, 2, seed) for seed in range(10)}
    assert len(draws) > 1
    assert chosen(strategy, 2, 3) == chosen(strategy, 2, 3)


@pytest.mark.parametrize("kept", range(1, 9))
@pytest.mark.parametrize("strategy", sorted(SEEDED_STRATEGIES))
def test_filters_are_drawn_exactly_where_another_seed_keeps_others(strategy, kept):
    draws = {chosen(strategy, kept, seed) for seed in range(20)}
    assert is_drawn(strategy, 8, kept) == (len(draws) > 1)
    assert not is_drawn("lda", 8, kept)


def test_more_filters_than_channels_are_refused():
    with pytest.raises(TopologyError, match=r"at most the 8 channels of conv1.*kept_filters=9"):
        chosen("lda", 9)


@pytest.mark.parametrize("strategy", SELECTION_STRATEGIES)
def test_a_strategy_reads_the_statistics_it_names_and_no_others(strategy):
    hidden = {name: np.full(8, np.nan) for name in ("discriminability", "exposure", "magnitude")}
    hidden["greedy_order"] = lambda: pytest.fail("the greedy order was not to be read")
    unread = set(hidden) - set(STATISTICS_READ[strategy])
    blind = replace(STATISTICS, **{name: hidden[name] for name in unread})
    topology = LocalTopology("conv1", 3, strategy)
    assert kept_channels(topology, blind) == kept_channels(topology, STATISTICS)
