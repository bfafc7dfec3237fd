"""Gaussian-process regression of the logarithm of what a target exceeds a floor by.

Privacy loss runs from the mean image's 13 dB, where differences of tenths decide, to 40 dB and
more at the first layers. On a log scale one model serves both: errors and intervals grow with
the distance from the floor.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from privynet_opt.proxies.base import Floats, check_fitted
from privynet_opt.proxies.gaussian_process import GaussianProcess

FLOOR_SHARE = 0.05
"""The floor lies below the smallest target by this share of the targets' extent."""

LARGEST_EXCESS = 3.0
"""Predictions exceed the floor by at most so many extents, however far a trend is followed."""


class LogScale:
    """A Gaussian process on ``log(target - floor)``.

    Away from the table the mean follows the trend on the log scale, up to `LARGEST_EXCESS`.

    Args:
        has_trend: As for `GaussianProcess`.
        hyperparameters: As for `GaussianProcess`.
        start: As for `GaussianProcess`.
    """

    def __init__(
        self,
        has_trend: bool,
        hyperparameters: list[float] | None = None,
        start: list[float] | None = None,
    ) -> None:
        self.process = GaussianProcess(has_trend, hyperparameters, start)

    def fit(self, inputs: Floats, targets: Floats) -> Self:
        """Set the floor and fit the process."""
        extent = float(np.ptp(targets)) or 1.0
        self._floor = float(targets.min()) - FLOOR_SHARE * extent
        self._ceiling = np.log(LARGEST_EXCESS * extent)
        self._regressor = self.process.fit(inputs, np.log(targets - self._floor))
        self.hyperparameters_ = self.process.hyperparameters_
        return self

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return the posterior median, and its standard deviation to first order."""
        check_fitted(self)
        logs, stds = self._regressor.predict(inputs)
        excess = np.exp(np.minimum(logs, self._ceiling))
        return self._floor + excess, stds * excess
