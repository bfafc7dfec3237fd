"""What a topology is judged by: every metric's direction, unit and range, in one place.

Objectives and limits are both written in these names. Signs turn in `to_losses` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privynet_opt.cost import COST_NAMES
from privynet_opt.errors import ConstraintError, did_you_mean


@dataclass(frozen=True)
class Metric:
    """One number a topology has.

    Attributes:
        unit: What one of it is, as written after a number.
        kind: What `quantities` reads such a number as.
        higher_is_better: Its direction.
        is_privacy_loss: Whether it is predicted and must hold in the bad case: a limit is checked
            on the upper end of its interval.
        highest: The largest value it can take, None where there is no end.
    """

    unit: str
    kind: str
    higher_is_better: bool = False
    is_privacy_loss: bool = False
    highest: float | None = None


PREDICTED = ("accuracy", "psnr_db", "ssim")
"""What the proxies predict, with an interval; every other metric is counted exactly."""

METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("a fraction from 0 to 1", "fraction", higher_is_better=True, highest=1.0),
    "psnr_db": Metric("dB", "db", is_privacy_loss=True),
    "ssim": Metric("a similarity up to 1", "fraction", is_privacy_loss=True, highest=1.0),
    **{name: Metric("bytes", "bytes") for name in COST_NAMES},
    "local_macs": Metric("multiply-adds", "macs"),
    "local_flops": Metric("FLOPs, two per multiply-add", "flops"),
}
"""Every metric by name; the only names an objective or a constraint can have."""

PRIVACY_LOSSES = tuple(name for name in PREDICTED if METRICS[name].is_privacy_loss)
"""What attackers are measured by."""


def check_metric(name: str, thing: str) -> str:
    """Return a metric's name if there is such a metric.

    Args:
        name: What the user wrote.
        thing: What it was written for, for the message: ``"objective"`` or ``"constraint"``.

    Returns:
        `name`.

    Raises:
        ConstraintError: If no metric has this name; the message names the closest one.
    """
    if name in METRICS:
        return name
    begun = [m for m in METRICS if any(p.startswith(name.lower()) for p in m.split("_"))]
    hint = (
        f"Did you mean {begun[0]!r}? Known: {', '.join(sorted(METRICS))}."
        if len(begun) == 1
        else did_you_mean(name, METRICS)
    )
    raise ConstraintError(f"`{thing}` must name a metric, but got {name!r}. {hint}")


def parse_objectives(objectives: str | Iterable[str]) -> tuple[str, ...]:
    """Check the names of the objectives.

    Args:
        objectives: One name or several; directions are known (`METRICS`).

    Returns:
        The names.

    Raises:
        ConstraintError: On an unknown name, a name given twice, none at all, or what is no name.
    """
    if not isinstance(objectives, Iterable):
        raise ConstraintError(
            f"`objectives` must be names of metrics, but got {objectives!r}. "
            f"Choose from: {', '.join(sorted(METRICS))}."
        )
    listed = [objectives] if isinstance(objectives, str) else list(objectives)
    names = tuple(check_metric(str(name).strip(), "objective") for name in listed)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConstraintError(
            f"`objectives` must name each metric once, but got {', '.join(twice)} twice. "
            "Leave one of them out."
        )
    if not names:
        raise ConstraintError(
            "`objectives` must name at least one metric, but got none. "
            f"Choose from: {', '.join(sorted(METRICS))}."
        )
    return names


def checked_column(metric: str) -> str:
    """Return the column of the candidates that a limit on the metric is checked on.

    Args:
        metric: A name in `METRICS`.

    Returns:
        ``psnr_db_upper`` for ``psnr_db``: privacy must hold at the upper end of the interval; the
        metric itself for accuracy and costs.
    """
    return f"{metric}_upper" if METRICS[metric].is_privacy_loss else metric


def to_losses(columns: Mapping[str, Any] | Any, objectives: Sequence[str]) -> NDArray[np.float64]:
    """Return objective values as losses, lower is better: the one place where signs turn.

    Args:
        columns: A DataFrame or a mapping from metric to ``n`` values.
        objectives: Names in `METRICS`.

    Returns:
        Shape ``(n, n_objectives)``.
    """
    losses = [
        np.asarray(columns[name], dtype=float) * (-1 if METRICS[name].higher_is_better else 1)
        for name in objectives
    ]
    return np.stack(losses, axis=-1)
