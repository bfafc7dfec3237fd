"""Gradient boosting for targets that must not fall where more can only help."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Self

import numpy as np

from privynet_opt.proxies.base import Floats, check_fitted
from privynet_opt.proxies.inputs import INPUT_NAMES, SENDING_INPUTS

RISING_INPUTS = frozenset(
    {"log_kept_filters", "estimated_accuracy", "log_estimated_psnr", "estimated_ssim", "is_full"}
)
"""More of each can only help the attacker and the cloud network; coarser codes and more noise,
`SENDING_INPUTS`, only hinder them."""


class MonotoneBoosting:
    """Gradient-boosted trees that never fall when estimates, filters or fidelity rise.

    Outside the table the prediction is constant and the spread does not grow.

    Args:
        hyperparameters: Not used; nothing is searched.
        start: Not used.
    """

    def __init__(
        self, hyperparameters: list[float] | None = None, start: list[float] | None = None
    ) -> None:
        self.hyperparameters_: list[float] = []

    def fit(self, inputs: Floats, targets: Floats) -> Self:
        """Grow the trees."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        names = (*INPUT_NAMES, *SENDING_INPUTS)[: inputs.shape[1]]
        ways = [(name in RISING_INPUTS) - (name in SENDING_INPUTS) for name in names]
        self._regressor = HistGradientBoostingRegressor(
            max_iter=150,
            learning_rate=0.08,
            max_leaf_nodes=8,
            min_samples_leaf=3,
            l2_regularization=1.0,
            early_stopping=False,
            monotonic_cst=ways,
        )
        with _one_thread():
            self._regressor.fit(inputs, targets)
        return self

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return the trees' sum, and 1 as every spread."""
        check_fitted(self)
        with _one_thread():
            means = self._regressor.predict(inputs)
        return means, np.ones(len(means))


def _one_thread() -> AbstractContextManager[object]:
    """Keep OpenMP to one thread: on a busy machine two were a thousand times slower."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="openmp")
    return limits
