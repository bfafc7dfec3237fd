"""Conformal scales keep their promise on new rows, by cut and by count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from privynet_opt.proxies.conformal import (
    MIN_OWN_ROWS,
    SHARED,
    balanced_scale,
    conformal_scale,
    cross_conformal_scales,
    group_scale,
    highest_level,
    interval_groups,
    supports,
)
from privynet_opt.proxies.folds import group_folds


@pytest.mark.parametrize(
    ("count", "confidence", "rank"),
    [(9, 0.9, 9), (19, 0.9, 18), (99, 0.9, 90), (99, 0.5, 50), (24, 0.28, 7), (24, 0.2801, 8)],
)
def test_scale_is_the_score_of_the_conformal_rank(count: int, confidence: float, rank: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_scale(scores, confidence) == rank


def test_new_scores_are_covered_as_promised() -> None:
    generator = np.random.default_rng(5)
    covered = [
        (lambda s: s[-1] <= conformal_scale(s[:-1], 0.9))(generator.exponential(size=40))
        for _ in range(4000)
    ]
    assert 0.89 < np.mean(covered) < 0.94


def test_too_few_scores_give_students_interval() -> None:
    scores = np.array([0.5, 1.0, 0.2, 0.7])
    root_mean_square = math.sqrt((scores**2).mean())
    student = stats.t.ppf(0.95, 4) * root_mean_square
    assert conformal_scale(scores, 0.9) == pytest.approx(max(student, 1.0))
    assert conformal_scale(scores, 0.99) > conformal_scale(scores, 0.9)


def test_own_error_does_not_widen_the_own_interval() -> None:
    folds = group_folds(range(30), n_folds=10)
    scores, groups = np.linspace(0.5, 1.0, 30), np.array(["conv1"] * 30)
    before = cross_conformal_scales(scores, groups, np.arange(len(scores)), folds, 0.9)
    scores[7] = 100.0
    after = cross_conformal_scales(scores, groups, np.arange(len(scores)), folds, 0.9)
    fold = next(fold for fold in folds if 7 in fold)
    assert (after[fold] == before[fold]).all()
    assert (np.delete(after, fold) >= np.delete(before, fold)).all()


def test_a_cut_of_rows_enough_sets_its_own_intervals_the_others_share_theirs() -> None:
    cuts = ["conv1"] * MIN_OWN_ROWS + ["conv2"] * (MIN_OWN_ROWS - 1) + ["conv3"]
    assert interval_groups(cuts).tolist() == ["conv1"] * MIN_OWN_ROWS + [SHARED] * MIN_OWN_ROWS


def test_cuts_of_unlike_errors_are_each_covered_as_promised() -> None:
    generator = np.random.default_rng(2)
    groups = np.repeat(["conv1", "conv2"], 60)
    scores = generator.exponential(size=120) * np.where(groups == "conv1", 1.0, 8.0)
    folds = group_folds(range(120), n_folds=10)
    inside = scores <= cross_conformal_scales(scores, groups, np.arange(len(scores)), folds, 0.9)
    pooled = scores <= cross_conformal_scales(
        scores, np.repeat([SHARED], 120), np.arange(120), folds, 0.9
    )
    for cut in ("conv1", "conv2"):
        assert 0.85 <= inside[groups == cut].mean() <= 0.97
    assert pooled[groups == "conv1"].mean() == 1
    assert pooled[groups == "conv2"].mean() < 0.85


def test_kinds_of_equally_many_rows_weigh_as_rows_do() -> None:
    scores = np.arange(1.0, 10.0)
    for confidence in (0.5, 0.8, 0.9):  # thirds do not add up to whole numbers exactly
        assert balanced_scale(scores, [0, 1, 2] * 3, confidence) == conformal_scale(
            scores, confidence
        )


def test_a_group_too_small_for_the_level_takes_the_scale_of_all_rows() -> None:
    scores, groups = np.arange(1.0, 41.0), np.repeat(["conv1", SHARED], 20)
    assert group_scale(scores, groups, np.arange(len(scores)), "conv1", 0.9) == 19
    assert group_scale(scores, groups, np.arange(len(scores)), "conv1", 0.97) == conformal_scale(
        scores, 0.97
    )
    assert group_scale(scores, groups, np.arange(len(scores)), "nowhere", 0.9) == conformal_scale(
        scores, 0.9
    )


def test_a_count_with_most_of_the_rows_does_not_speak_for_the_others() -> None:
    scores = np.concatenate([np.linspace(0, 1, 30), [3.0, 4.0, 5.0, 6.0]])
    alike = np.array([0] * 30 + [1, 2, 3, 4])
    groups = np.repeat(["conv1"], 34)
    assert conformal_scale(scores, 0.75) < 1
    assert balanced_scale(scores, alike, 0.75) == 5  # of five kinds four err by no more
    assert group_scale(scores, groups, alike, "conv1", 0.75) == 5
    lonely = np.arange(34)
    assert balanced_scale(scores, lonely, 0.75) == conformal_scale(scores, 0.75)
    assert group_scale(scores[:30], groups[:30], alike[:30], "conv1", 0.5) == conformal_scale(
        scores[:30], 0.5
    )


def test_the_highest_level_is_the_last_that_has_a_conformal_rank() -> None:
    for count in range(1, 2000):
        level = highest_level(count)
        assert supports(count, level), count
        assert not supports(count, level + 2e-4), count
        assert level <= count / (count + 1)
    assert highest_level(9) == 0.9
    assert highest_level(59) == 0.9833
