"""The regression models cross-validation chooses among, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from privynet_opt.proxies.base import Model
from privynet_opt.proxies.gaussian_process import GaussianProcess
from privynet_opt.proxies.monotone_boosting import MonotoneBoosting

MODELS: dict[str, Callable[..., Model]] = {
    "gaussian process": partial(GaussianProcess, has_trend=False),
    "gaussian process over a linear trend": partial(GaussianProcess, has_trend=True),
    "monotone boosting": MonotoneBoosting,
}
"""The candidates, in the order in which a tie is decided."""
