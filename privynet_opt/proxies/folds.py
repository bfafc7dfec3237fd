"""Folds that hold out together what is nearly the same measurement.

Rows that share cut layer and kept filters are held out together: their measurements differ only
by which filters were drawn, so a random split would test on near copies of the training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from privynet_opt.proxies.base import Floats, Model

MAX_FOLDS = 10
"""Each fold refits the hyper-parameters, so the number of folds sets the time of a fit."""

Folds = list[np.ndarray]
"""Positions of the rows held out together; every row is in exactly one fold."""


def row_groups(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """Return what rows share that are held out together.

    Args:
        rows: The columns ``cut_layer`` and ``kept_filters``.
    """
    return list(zip(rows["cut_layer"], rows["kept_filters"], strict=True))


def group_folds(groups: Sequence[object], n_folds: int = MAX_FOLDS) -> Folds:
    """Deal groups out to folds.

    Args:
        groups: The group of each row, in an order that puts neighbouring groups side by side.
        n_folds: At most so many folds.

    Returns:
        The folds; the groups take turns, so that neighbours are in different folds.
    """
    order = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    n_folds = min(n_folds, len(order))
    turns = np.array([order[group] % n_folds for group in groups])
    return [np.flatnonzero(turns == turn) for turn in range(n_folds)]


def held_out(
    build: Callable[[], Model], inputs: Floats, targets: Floats, folds: Folds
) -> tuple[Floats, Floats]:
    """Predict every row by a model that was fitted without its fold.

    Args:
        build: Makes an unfitted model.
        inputs: Design matrix, shape ``(n_rows, n_inputs)``.
        targets: Shape ``(n_rows,)``.
        folds: At least two.

    Returns:
        Means and spreads, shape ``(n_rows,)`` each.
    """
    means, spreads = np.empty(len(targets)), np.empty(len(targets))
    for fold in folds:
        kept = np.setdiff1d(np.arange(len(targets)), fold)
        model = build().fit(inputs[kept], targets[kept])
        means[fold], spreads[fold] = model.predict(inputs[fold])
    return means, spreads
