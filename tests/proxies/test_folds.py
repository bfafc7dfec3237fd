"""What is nearly the same measurement is held out together."""

from __future__ import annotations

import numpy as np
import pytest

from privynet_opt.proxies.folds import group_folds, held_out


class Memory:
    """A model that predicts the mean of what it saw, and remembers it."""

    seen: list[np.ndarray]

    def __init__(self) -> None:
        self.hyperparameters_: list[float] = []

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> Memory:
        self.rows = inputs[:, 0]
        self.mean = targets.mean()
        return self

    def predict(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert not set(inputs[:, 0]) & set(self.rows), "a held-out row was fitted"
        return np.full(len(inputs), self.mean), np.ones(len(inputs))


def test_rows_of_a_group_are_held_out_together() -> None:
    groups = [("conv1", kept) for kept in (1, 1, 2, 4, 4, 4, 8)] + [("conv2", 1)] * 3
    folds = group_folds(groups, n_folds=3)
    assert sorted(np.concatenate(folds)) == list(range(len(groups)))
    held = [{groups[i] for i in fold} for fold in folds]
    assert sum(len(names) for names in held) == len(set(groups))


def test_neighbouring_groups_are_in_different_folds() -> None:
    folds = group_folds(list("abcdefghijkl"), n_folds=4)
    assert [fold.tolist() for fold in folds] == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]


def test_there_are_never_more_folds_than_groups() -> None:
    assert len(group_folds([1, 1, 2, 3, 3])) == 3
    assert len(group_folds(range(99))) == 10


def test_held_out_rows_are_never_fitted() -> None:
    rows = np.arange(12.0)
    folds = group_folds([int(row) // 2 for row in rows], n_folds=4)
    means, spreads = held_out(Memory, rows[:, None], rows, folds)
    for fold in folds:
        assert means[fold] == pytest.approx(np.delete(rows, fold).mean())
    assert (spreads == 1).all()
