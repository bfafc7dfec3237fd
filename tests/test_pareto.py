from __future__ import annotations

import math
import time
from itertools import product

import moocore
import numpy as np
import pytest

from privynet_opt import pareto
from privynet_opt.pareto import (
    hypervolume,
    hypervolume_gain,
    hypervolume_history,
    non_dominated,
)


def front_of(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, d))


def by_pairs(points: np.ndarray) -> list[bool]:
    return [
        not any((q <= p).all() and (q < p).any() for q in points) and not np.isnan(p).any()
        for p in points
    ]


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_front_equals_the_comparison_of_every_pair(d: int) -> None:
    for seed in range(5):
        points = np.round(front_of(60, d, seed), 1)  # rounding makes ties and duplicates
        assert non_dominated(points).tolist() == by_pairs(points)


def test_equal_points_stay_on_the_front_together() -> None:
    assert non_dominated([[0, 1], [0, 1], [1, 1]]).tolist() == [True, True, False]


def test_front_is_unchanged_by_row_order() -> None:
    points = np.round(front_of(80, 3, 0), 1)
    order = np.random.default_rng(1).permutation(80)
    assert (non_dominated(points)[order] == non_dominated(points[order])).all()


def test_a_point_with_nan_is_never_on_the_front() -> None:
    assert non_dominated([[math.nan, 0], [1, 1]]).tolist() == [False, True]


def test_front_of_nothing_is_empty() -> None:
    assert non_dominated(np.empty((0, 3))).tolist() == []


def test_front_of_a_large_space_is_fast() -> None:
    points = front_of(50_000, 3, 0)
    start = time.perf_counter()
    mask = non_dominated(points)
    assert time.perf_counter() - start < 2
    assert (mask == moocore.is_nondominated(points, keep_weakly=True)).all()


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_one_point_dominates_its_box(d: int) -> None:
    assert hypervolume([[0.25] * d], [1.0] * d) == pytest.approx(0.75**d)


def test_staircase_has_the_area_of_its_steps() -> None:
    n = 20
    points = [(i, n - i) for i in range(n + 1)]
    assert hypervolume(points, [n + 1, n + 1]) == pytest.approx(sum(range(1, n + 2)))


def test_corner_pyramid_has_the_volume_of_its_cubes() -> None:
    # Unit cubes with i + j + k >= n within an n-cube of side n + 1: counted one by one.
    n = 5
    points = [p for p in product(range(n + 1), repeat=3) if sum(p) == n]
    cubes = sum(1 for p in product(range(n + 1), repeat=3) if sum(p) >= n)
    assert hypervolume(points, [n + 1] * 3) == pytest.approx(cubes)


@pytest.mark.parametrize(("d", "n"), [(2, 200), (3, 120), (4, 60), (5, 40), (6, 20)])
def test_hypervolume_equals_a_second_implementation(d: int, n: int) -> None:
    for seed in range(3):
        points = front_of(n, d, seed)
        expected = moocore.hypervolume(points, ref=[0.9] * d)
        assert hypervolume(points, [0.9] * d) == pytest.approx(expected, rel=1e-9)


def test_volumes_to_compute_grow_little_with_the_number_of_objectives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed = []
    volume = pareto._volume

    def counted(points: pareto.Losses, corner: pareto.Losses) -> float:
        computed.append(len(points))
        return volume(points, corner)

    monkeypatch.setattr(pareto, "_volume", counted)
    hypervolume(front_of(60, 6, 0), [1] * 6)
    assert len(computed) < 10_000  # by slices along one objective after another: 31,476


def test_points_on_or_beyond_the_reference_add_nothing() -> None:
    inside = [[0.5, 0.5]]
    beyond = [[1.0, 0.0], [0.0, 2.0], [math.nan, 0.0], [math.inf, 0.1]]
    assert hypervolume(inside + beyond, [1, 1]) == hypervolume(inside, [1, 1]) == 0.25
    assert hypervolume(beyond, [1, 1]) == 0.0


def test_duplicates_and_row_order_leave_the_hypervolume_alone() -> None:
    points = front_of(40, 3, 3)
    shuffled = np.random.default_rng(0).permutation(np.vstack([points, points]))
    assert hypervolume(shuffled, [1] * 3) == pytest.approx(hypervolume(points, [1] * 3))


def test_gain_is_the_difference_of_two_hypervolumes() -> None:
    points = front_of(30, 3, 4)
    for point in front_of(20, 3, 5):
        with_it = hypervolume(np.vstack([points, point]), [1] * 3)
        expected = with_it - hypervolume(points, [1] * 3)
        assert hypervolume_gain(point, points, [1] * 3) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_history_equals_the_hypervolume_of_every_prefix(d: int) -> None:
    points = np.round(front_of(80, d, 6), 2)
    feasible = np.random.default_rng(7).random(80) > 0.3
    expected = [
        hypervolume(points[: i + 1][feasible[: i + 1]], [0.95] * d) for i in range(len(points))
    ]
    history = hypervolume_history(points, feasible, [0.95] * d)
    assert history == pytest.approx(expected, abs=1e-12)
    assert (np.diff(history) >= 0).all()


def test_history_of_a_thousand_points_is_fast() -> None:
    points = front_of(1000, 3, 8)
    start = time.perf_counter()
    hypervolume_history(points, np.ones(1000, dtype=bool), [1] * 3)
    assert time.perf_counter() - start < 1
