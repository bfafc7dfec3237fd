"""The contract of a regression model that a proxy may use.

Every model is fitted to a design matrix and one target, and predicts a mean and a spread. The
spread only has to be in proportion to how uncertain they are: intervals are scaled by the errors
seen on held-out rows (`privynet_opt.proxies.conformal`).
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from privynet_opt.errors import PrivyNetOptError

Floats = NDArray[np.float64]


class NotFittedError(PrivyNetOptError, RuntimeError):
    """A model was asked to predict before it was fitted."""


class Model(Protocol):
    """What every model offers.

    Attributes:
        hyperparameters_: Learned by `fit`; a model built with them fits without searching.
    """

    hyperparameters_: list[float]

    def fit(self, inputs: Floats, targets: Floats) -> Self:
        """Learn from ``inputs``, shape ``(n, n_inputs)``, and ``targets``, shape ``(n,)``."""
        ...

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return mean and spread, shape ``(n,)`` each; outside the table the mean extrapolates."""
        ...


def check_fitted(model: object) -> None:
    """Raise `NotFittedError` if a model has no ``_regressor`` yet."""
    if not hasattr(model, "_regressor"):
        raise NotFittedError(
            f"`fit` must come before `predict`, but {type(model).__name__} was not fitted. "
            "Call `fit` first."
        )
