"""The regression models cross-validation chooses among, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from privynet_opt.proxies.base import Model
from privynet_opt.proxies.gaussian_process import GaussianProcess
from privynet_opt.proxies.log_scale import LogScale
from privynet_opt.proxies.monotone_boosting import MonotoneBoosting

MODELS: dict[str, Callable[..., Model]] = {
    "gaussian process": partial(GaussianProcess, has_trend=False),
    "gaussian process over a linear trend": partial(GaussianProcess, has_trend=True),
    "gaussian process on a log scale": partial(LogScale, has_trend=True),
    "monotone boosting": MonotoneBoosting,
}
"""The candidates, in the order in which a tie is decided."""

MIN_ROWS = {"monotone boosting": 30}
"""Trained rows below which a model is not tried: trees have nothing to split on a handful."""


def candidate_models(n_rows: int) -> dict[str, Callable[..., Model]]:
    """Return the models that are tried on so many trained rows, by name."""
    return {name: build for name, build in MODELS.items() if n_rows >= MIN_ROWS.get(name, 0)}
