"""What a measurement is worth, against closed forms, numerical integration and plain cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from privynet_opt.tuning.acquisition import (
    SAME_CUT_SHARE,
    constrained_expected_improvement,
    normal_std,
    pick_batch,
)

NO_LIMIT = np.empty((0, 1))


def value(mean, std, incumbent, excess=NO_LIMIT, excess_std=NO_LIMIT, possible=(True,), least=0.0):
    found = constrained_expected_improvement(
        [mean], [std], incumbent, excess, excess_std, possible, least
    )
    return float(found[0])


def test_at_the_incumbent_the_improvement_is_the_half_normal_mean():
    assert value(0.6, 0.05, 0.6) == pytest.approx(0.05 / np.sqrt(2 * np.pi))


@pytest.mark.parametrize("incumbent, least", [(0.5, 0.0), (0.62, 0.0), (0.5, 0.63), (0.0, 0.55)])
def test_the_improvement_is_the_integral_it_is_named_after(incumbent, least):
    density = norm(0.6, 0.04).pdf
    by_hand, _ = quad(lambda a: (a - incumbent) * density(a), max(incumbent, least), 1.0)
    assert value(0.6, 0.04, incumbent, least=least) == pytest.approx(by_hand, rel=1e-6)


def test_each_limit_multiplies_by_the_probability_that_it_is_kept():
    free = value(0.7, 0.03, 0.6)
    halved = value(0.7, 0.03, 0.6, [[0.0]], [[0.5]])
    both = value(0.7, 0.03, 0.6, [[0.0], [0.5]], [[0.5], [0.5]])
    assert halved == pytest.approx(free / 2)
    assert both == pytest.approx(free / 2 * norm.cdf(-1))


def test_what_is_certain_counts_fully_or_not_at_all():
    assert value(0.7, 0.0, 0.6) == pytest.approx(0.1)
    assert value(0.5, 0.0, 0.6) == 0
    assert value(0.7, 0.0, 0.6, [[0.0]], [[0.0]]) == pytest.approx(0.1)  # on the limit is kept
    assert value(0.7, 0.0, 0.6, [[0.1]], [[0.0]]) == 0
    assert value(0.7, 0.1, 0.6, possible=(False,)) == 0


def test_without_an_incumbent_the_most_accurate_likely_one_is_worth_most():
    found = constrained_expected_improvement(
        [0.7, 0.6, 0.3], [0.02] * 3, 0.0, [[0.6, 0.0, -1.0]], [[0.3] * 3], [True] * 3
    )
    assert found.argmax() == 1
    assert found[1] == pytest.approx(0.3)


def test_the_standard_deviation_undoes_an_interval_also_where_it_was_clipped():
    half = norm.ppf(0.95) * 0.04
    found = normal_std([0.5 - half, 0.98 - half], [0.5 + half, 1.0], [0.5, 0.98], 0.9)
    assert found == pytest.approx([0.04, 0.04])


def test_a_batch_takes_the_most_valuable_of_each_group():
    values = [0.5, 0.4, 0.3, 0.2, 0.0]
    cuts = ["a", "a", "b", "c", "d"]
    groups = [("a", 1), ("a", 1), ("b", 1), ("c", 1), ("d", 1)]
    assert pick_batch(values, cuts, groups, 3, 0.1) == [0, 2, 3]
    assert pick_batch(values, cuts, groups, 9, 0.1) == [0, 2, 3]
    assert pick_batch(values, cuts, groups, 1, 0.6) == []
    assert pick_batch([], [], [], 3, 0.1) == []


def test_a_batch_stays_at_a_cut_where_that_costs_little():
    cuts, groups = ["a", "b", "a"], [1, 2, 3]
    near, far = 0.5 * SAME_CUT_SHARE + 0.001, 0.5 * SAME_CUT_SHARE - 0.001
    assert pick_batch([1.0, 0.5, near], cuts, groups, 2, 0.1) == [0, 2]
    assert pick_batch([1.0, 0.5, far], cuts, groups, 2, 0.1) == [0, 1]
