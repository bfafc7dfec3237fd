"""What is measured covers the space."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from privynet_opt.characterization import design
from privynet_opt.characterization.design import (
    kept_grid,
    screen_topologies,
    sent_otherwise,
    trainable_topologies,
    trained_topologies,
)
from privynet_opt.topology import CLOSED_FORM_STRATEGIES, SELECTION_STRATEGIES, LocalTopology

GRIDS = {f"conv{n}": [1, 2, 4, 8, 16, 32, 64] for n in range(1, 9)}


def test_grid_ends_with_every_channel():
    assert kept_grid([1, 4, 16, 64], 24) == [1, 4, 16, 24]
    assert kept_grid([1, 4, 16], 16) == [1, 4, 16]


def test_screen_lists_every_network_once():
    topologies = screen_topologies("conv1", [1, 4, 16], SELECTION_STRATEGIES, n_seeds=3)
    assert len(topologies) == len(set(topologies)) == 2 * (4 + 2 * 3) + 1
    assert [t for t in topologies if t.kept_filters == 16] == [topologies[-1]]


def test_trained_topologies_cover_cuts_counts_and_strategies():
    topologies = trained_topologies(GRIDS, SELECTION_STRATEGIES, 80, n_seeds=3)
    assert len(topologies) == len(set(topologies)) == 80
    per_cut = Counter(t.cut_layer for t in topologies)
    assert set(per_cut) == set(GRIDS)
    assert min(per_cut.values()) >= 80 // len(GRIDS) - 2
    assert max(per_cut.values()) <= 80 // len(GRIDS) + 3  # three seeds of one random subset
    assert {t.kept_filters for t in topologies} == {1, 2, 4, 8, 16, 32, 64}
    assert {t.selection_strategy for t in topologies} == set(SELECTION_STRATEGIES)


def test_random_subsets_are_repeated_at_several_cuts():
    topologies = trained_topologies(GRIDS, SELECTION_STRATEGIES, 40, n_seeds=3)
    random = [t for t in topologies if t.selection_strategy == "random"]
    repeated = Counter((t.cut_layer, t.kept_filters) for t in random)
    assert sum(count >= 3 for count in repeated.values()) >= 2


def test_fewer_topologies_are_a_prefix_of_more():
    few, many = (trained_topologies(GRIDS, SELECTION_STRATEGIES, n, 3) for n in (20, 60))
    assert few == many[:20]


def test_a_repeated_random_subset_is_never_the_whole_cut():
    grids = {f"conv{n}": grid for n, grid in enumerate([[8, 16], [8, 16], [16], [8, 16], [8, 16]])}
    for grid in ({**grids, "conv1": [16]}, grids):
        topologies = trained_topologies(grid, ["lda", "random"], 6, n_seeds=3)
        assert not [t for t in topologies if t.kept_filters == 16 and t.selection_seed]


def test_a_small_space_is_exhausted_rather_than_repeated():
    topologies = trained_topologies({"conv1": [1, 2]}, ("lda",), 10, n_seeds=3)
    assert {t.kept_filters for t in topologies} == {1, 2}
    assert len(topologies) == 2


def test_more_topologies_than_there_are_are_all_of_them_at_once(monkeypatch):
    everything = trainable_topologies(GRIDS, CLOSED_FORM_STRATEGIES, n_seeds=3)
    assert len(everything) == len(set(everything)) == 8 * (6 * 6 + 1) + 2 * 2
    allowed = iter(range(200 * len(everything)))

    def counted(*fields):
        next(allowed)
        return LocalTopology(*fields)

    monkeypatch.setattr(design, "LocalTopology", counted)
    found = trained_topologies(GRIDS, CLOSED_FORM_STRATEGIES, 10**9, n_seeds=3)
    assert len(found) == len(everything)
    assert set(found) == set(everything)
    assert found[:60] == trained_topologies(GRIDS, CLOSED_FORM_STRATEGIES, 60, n_seeds=3)


def test_each_choice_of_filters_is_sent_once_more_with_bits_and_noise_of_its_own():
    planned = trained_topologies(GRIDS, SELECTION_STRATEGIES, 60, n_seeds=1)
    sent = sent_otherwise(planned, (32, 8, 4), (0.0, 2.0))
    assert [t.as_dict() | {"feature_bits": 0, "noise_std": 0} for t in planned] == [
        t.as_dict() | {"feature_bits": 0, "noise_std": 0} for t in sent
    ]
    assert max(Counter(t.feature_bits for t in sent).values()) <= 24
    for bits in (32, 8, 4):  # neither says anything of the other
        mean = np.mean([t.noise_std for t in sent if t.feature_bits == bits])
        assert abs(mean - np.mean([t.noise_std for t in sent])) < 0.3
    noise = sorted(t.noise_std for t in sent)
    assert max(b - a for a, b in pairwise(noise)) < 0.15
    for cut in GRIDS:
        mine = [t for t in sent if t.cut_layer == cut]
        assert mine[0].noise_std == 2.0
        counts = Counter(t.feature_bits for t in mine)  # however many cuts there are
        assert set(counts) == {32, 8, 4} and max(counts.values()) - min(counts.values()) <= 1
    assert sent_otherwise(planned[:20], (32, 8, 4), (0.0, 2.0)) == sent[:20]


def test_noise_in_steps_is_planned_at_every_step_alike():
    planned = trained_topologies(GRIDS, SELECTION_STRATEGIES, 60, n_seeds=1)
    sent = sent_otherwise(planned, (8,), (0.5, 2.0), 0.5)
    counts = Counter(t.noise_std for t in sent)
    assert set(counts) == {0.5, 1.0, 1.5, 2.0}
    assert counts[2.0] >= len(GRIDS) and min(counts.values()) >= 10
    for cut in GRIDS:
        assert next(t for t in sent if t.cut_layer == cut).noise_std == 2.0


@pytest.mark.parametrize(("bits", "step"), [((32,), 1.0), ((32,), 0.25), ((32, 8), 0.5)])
def test_steps_from_no_noise_send_each_choice_of_filters_once_more(bits, step):
    planned = trained_topologies(GRIDS, SELECTION_STRATEGIES, 60, n_seeds=1)
    sent = sent_otherwise(planned, bits, (0.0, 1.0), step)
    assert [t.sent_plainly() for t in sent] == planned
    levels = {n * step for n in range(round(1 / step) + 1)}
    assert {t.noise_std for t in sent if t.feature_bits == 32} == levels - {0.0}
    assert {t.noise_std for t in sent if t.feature_bits == 8} == (levels if 8 in bits else set())


def test_what_would_be_sent_plainly_again_is_left_out():
    planned = trained_topologies(GRIDS, SELECTION_STRATEGIES, 20, n_seeds=1)
    assert sent_otherwise(planned, (32,), None) == []
    assert {t.feature_bits for t in sent_otherwise(planned, (32, 8), None)} == {8}
