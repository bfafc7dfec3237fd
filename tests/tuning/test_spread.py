"""The first topologies stand far apart."""

from __future__ import annotations

import numpy as np

from privynet_opt.tuning.spread import spread_points


def test_on_a_line_it_takes_the_middle_then_both_ends_then_between():
    line = np.arange(9.0)[:, None]
    assert spread_points(line, 3) == [4, 0, 8]
    assert set(spread_points(line, 5)[3:]) == {2, 6}


def test_no_point_is_farther_than_twice_the_best_possible():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(c, 0.01, (20, 2)) for c in ((0, 0), (3, 0), (0, 3))])
    chosen = points[spread_points(points, 3)]
    away = np.linalg.norm(points[:, None] - chosen, axis=2).min(1)
    assert away.max() < 0.1  # one in each cluster


def test_known_points_are_kept_away_from_and_not_taken_again():
    line = np.arange(9.0)[:, None]
    assert spread_points(line, 2, known=[0]) == [8, 4]
    assert spread_points(line, 99, known=[0, 1]).__len__() == 7
    assert spread_points(line, 0) == []


def test_every_input_counts_in_its_own_deviations():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(30, 3))
    assert spread_points(points, 6) == spread_points(points * [1, 1e6, 1e-6] + 5, 6)
    assert spread_points(np.column_stack([points, np.ones(30)]), 6) == spread_points(points, 6)
